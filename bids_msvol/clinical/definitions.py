# SPDX-License-Identifier: Apache-2.0
"""What counts as confirmed disability worsening or improvement, as PIRA and as RAW: definitions, and how they read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from bids_msvol.clinical.scales import find_rule

Baseline = Literal["fixed", "roving", "roving_improvement", "roving_worsening"]
"""``fixed``: the first visit that may serve. ``roving``: after each event, the visit that first confirmed it. The other
two: after each improvement only, after each worsening only."""

Anchor = Literal["baseline", "previous", "event", "confirmation"]
"""Visits to which a window is tied; ``previous`` is the last visit before the event."""

Select = Literal["all", "first_worsening"]

UnconfirmedLast = Literal["na", "no", "yes"]
"""What to make of a worsening at the end of follow-up that no later visit can confirm: ``na``, it is not known;
``no``, there is none; ``yes``, it counts."""


@dataclass(frozen=True)
class RelapseFree:
    """A window without relapse, both ends included.

    Attributes
    ----------
    start, end
        The visits from which the window begins and ends.
    start_days, end_days
        Days after these visits; negative for days before.
    """

    start: Anchor
    start_days: float
    end: Anchor
    end_days: float


@dataclass(frozen=True)
class ProgressionDefinition:
    """What counts as an event.

    Attributes
    ----------
    name
        Its name in ``DEFINITIONS``, or another.
    rule
        Name of the rule of ``scales.RULES`` that says which change counts.
    baseline
        Which visit is compared with.
    rebaseline_at_relapse
        Whether the baseline moves behind each relapse.
    stop_if_unchanged
        Whether the search ends as soon as no later visit differs enough from the baseline, even if a relapse lies
        ahead that would move it.
    baseline_never_better
        Whether a baseline that moved behind a relapse keeps the value of the former one if that was worse.
    confirmation_days
        Days from the event to the visit that confirms it.
    early_days, late_days
        By how many days that visit may come before or after; ``late_days`` may be infinite.
    sustained_days
        Days for which the change must last beyond its onset; a change that lasts to the last visit always does.
    select
        All events, or no more after the first worsening.
    count_again
        Whether a change that outlasts its confirmation is an event again while the baseline stays.
    baseline_after_relapse_days, confirmation_after_relapse_days
        A visit fewer days than these after the onset of a relapse is no baseline, and confirms nothing.
    relapse_free
        Windows without relapse that make a worsening a PIRA.
    raw_after_relapse_days, raw_before_relapse_days
        A worsening up to so many days after, or before, the onset of a relapse is a RAW.
    earlier_relapses_days
        Relapses that began more days than these before the first visit are left out.
    unconfirmed_last
        What to make of a worsening at the end of follow-up that cannot be confirmed.
    """

    name: str
    rule: str = "seed"
    baseline: Baseline = "roving"
    rebaseline_at_relapse: bool = False
    stop_if_unchanged: bool = False
    baseline_never_better: bool = False
    confirmation_days: float = 168.0
    early_days: float = 7.0
    late_days: float = 730.5
    sustained_days: float = 0.0
    select: Select = "all"
    count_again: bool = False
    baseline_after_relapse_days: float = 30.0
    confirmation_after_relapse_days: float = 30.0
    relapse_free: tuple[RelapseFree, ...] = (
        RelapseFree("event", -90, "event", 30),
        RelapseFree("confirmation", -90, "confirmation", 30),
    )
    raw_after_relapse_days: float = 90.0
    raw_before_relapse_days: float = 0.0
    earlier_relapses_days: float = math.inf
    unconfirmed_last: UnconfirmedLast = "na"

    def __post_init__(self) -> None:
        find_rule(self.rule)
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise ValueError(f"{field} is {getattr(self, field)!r}; it is one of {', '.join(choices)}")
        for field in (name for name in self.__dataclass_fields__ if name.endswith("_days")):
            if not getattr(self, field) >= 0:
                raise ValueError(f"{field} is {getattr(self, field)!r}; it is a number of days of at least 0")
        if self.confirmation_days <= self.early_days:
            raise ValueError("an event cannot confirm itself: confirmation_days must be more than early_days")


_CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"baseline": get_args(Baseline), "select": get_args(Select), "unconfirmed_last": get_args(UnconfirmedLast)}
)

_KAPPOS_WINDOWS = (
    RelapseFree("baseline", 0, "event", 30),
    RelapseFree("confirmation", -30, "confirmation", 30),
)

_MSPROG: Mapping[str, Any] = MappingProxyType(
    {"stop_if_unchanged": True, "count_again": True, "earlier_relapses_days": 30.0, "unconfirmed_last": "no"}
)
"""What msprog does whatever the definition."""

DEFINITIONS: Mapping[str, ProgressionDefinition] = MappingProxyType(
    {
        definition.name: definition
        for definition in (
            ProgressionDefinition("default"),
            ProgressionDefinition(
                "kappos2020",
                rule="trial",
                baseline="fixed",
                rebaseline_at_relapse=True,
                baseline_never_better=True,
                confirmation_days=84.0,
                early_days=0.0,
                late_days=math.inf,
                relapse_free=_KAPPOS_WINDOWS,
            ),
            ProgressionDefinition("mueller2023", early_days=0.0, late_days=math.inf),
            ProgressionDefinition(
                "mueller2025",
                rebaseline_at_relapse=True,
                confirmation_days=365.0,
                early_days=0.0,
                late_days=math.inf,
                relapse_free=(
                    RelapseFree("previous", 0, "event", 0),
                    RelapseFree("confirmation", -30, "confirmation", 0),
                ),
            ),
            ProgressionDefinition(
                "portaccio2025",
                early_days=0.0,
                late_days=math.inf,
                relapse_free=(RelapseFree("event", -90, "event", 30),),
            ),
            ProgressionDefinition(
                "msprog_fixed_first",
                baseline="fixed",
                early_days=0.0,
                late_days=math.inf,
                select="first_worsening",
                **_MSPROG,
            ),
            ProgressionDefinition("msprog_roving_all", confirmation_days=84.0, **_MSPROG),
            ProgressionDefinition(
                "msprog_kappos",
                baseline="fixed",
                rebaseline_at_relapse=True,
                confirmation_days=84.0,
                early_days=0.0,
                late_days=math.inf,
                relapse_free=_KAPPOS_WINDOWS,
                **_MSPROG,
            ),
        )
    }
)
"""Definitions by name. ``default`` is that of this program: confirmed after 24 weeks against a roving baseline, PIRA as
Müller et al. 2023 recommend. The others are those of Kappos et al. 2020 (JAMA Neurology 77:1132-1140; EDSS part of the
composite), Müller et al. 2023 (JAMA Neurology 80:1232-1245) and 2025 (JAMA Neurology 82:614-625), Portaccio et al. 2025
(Neurology 105), and three runs of the R package msprog that this program is tested against."""


def find_definition(name: str, **changes: Any) -> ProgressionDefinition:
    """Return a definition by its name, with some of its fields changed.

    Raises
    ------
    ValueError
        If there is none of that name, or if a value does not fit.
    """
    if name not in DEFINITIONS:
        raise ValueError(f"there is no definition {name!r}; there are: {', '.join(DEFINITIONS)}")
    return replace(DEFINITIONS[name], **changes)


def describe(definition: ProgressionDefinition) -> str:
    """Say a definition in full, in plain words."""
    sentences = (
        *_change_sentences(definition),
        *_baseline_sentences(definition),
        *_confirmation_sentences(definition),
        *_relapse_sentences(definition),
        *_counting_sentences(definition),
    )
    return " ".join(sentences)


def _change_sentences(definition: ProgressionDefinition) -> tuple[str, ...]:
    rule = find_rule(definition.rule)
    up, down = ("rise", "fall") if rule.higher_is_worse else ("fall", "rise")
    return (f"On the {rule.scale}, worsening is a {up} {rule.sentence}; improvement is a {down} by as much.",)


_MOVES: Mapping[Baseline, str] = MappingProxyType(
    {
        "fixed": "It is fixed",
        "roving": "It is roving: after each event it moves to the visit that first confirmed it",
        "roving_improvement": "After each improvement it moves to the visit that first confirmed it",
        "roving_worsening": "After each worsening it moves to the visit that first confirmed it",
    }
)


def _baseline_sentences(definition: ProgressionDefinition) -> Iterator[str]:
    distance = definition.baseline_after_relapse_days
    yield (
        f"The baseline is the first visit at least {distance:g} days after the onset of any earlier relapse."
        if distance
        else "The baseline is the first visit."
    )
    moves = _MOVES[definition.baseline]
    if definition.rebaseline_at_relapse:
        join = ", but" if definition.baseline == "fixed" else "; and"
        until = ", as long as a later visit differs enough from it" if definition.stop_if_unchanged else ""
        moves += f"{join} it moves behind each relapse{until}"
    yield f"{moves}."
    if definition.rebaseline_at_relapse and definition.raw_after_relapse_days:
        yield (
            f"A visit up to {definition.raw_after_relapse_days:g} days after the onset of that relapse is first "
            "compared with the former baseline."
        )
    if definition.rebaseline_at_relapse and definition.baseline_never_better:
        yield "A baseline that moves behind a relapse keeps the former value if that was worse."


def _confirmation_sentences(definition: ProgressionDefinition) -> Iterator[str]:
    days, early, late = definition.confirmation_days, definition.early_days, definition.late_days
    window = f"at least {days - early:g} days" if math.isinf(late) else f"{days - early:g} to {days + late:g} days"
    distance = definition.confirmation_after_relapse_days
    apart = f" and at least {distance:g} days after the onset of any earlier relapse" if distance else ""
    yield (
        "A change is confirmed if it is still there at the first visit "
        f"{window} later{apart}, and at every visit in between."
    )
    if math.isinf(definition.sustained_days):
        yield "It must last to the last visit."
    elif definition.sustained_days:
        yield f"It must last for at least {definition.sustained_days:g} days, or to the last visit."


def _relapse_sentences(definition: ProgressionDefinition) -> Iterator[str]:
    before = definition.raw_before_relapse_days
    either = f", or up to {before:g} days before it," if before else ""
    yield (
        f"A worsening up to {definition.raw_after_relapse_days:g} days after the onset of a relapse{either} "
        "is relapse-associated (RAW)."
    )
    windows = " or ".join(_window(window) for window in definition.relapse_free)
    if windows:
        yield (
            f"Any other is progression independent of relapse activity (PIRA) if no relapse began {windows}, "
            "for at least one of the visits that confirm it; else it is undefined."
        )
    else:
        yield "Any other is progression independent of relapse activity (PIRA)."
    if math.isfinite(definition.earlier_relapses_days):
        yield f"Relapses more than {definition.earlier_relapses_days:g} days before the first visit are left out."


_ANCHORS: Mapping[Anchor, str] = MappingProxyType(
    {
        "baseline": "the baseline",
        "previous": "the visit before the event",
        "event": "the event",
        "confirmation": "the confirmation",
    }
)


def _window(window: RelapseFree) -> str:
    first, last = _offset(window.start_days), _offset(window.end_days)
    start, end = _ANCHORS[window.start], _ANCHORS[window.end]
    return f"from {first}{start} to {last}{end}"


def _offset(days: float) -> str:
    if not days:
        return ""
    return f"{abs(days):g} days {'before' if days < 0 else 'after'} "


def _counting_sentences(definition: ProgressionDefinition) -> Iterator[str]:
    yield "All events count." if definition.select == "all" else "The search ends with the first worsening."
    if definition.count_again and definition.select == "all" and definition.baseline != "roving":
        yield "A change that outlasts its confirmation counts again while the baseline stays."
    end = {"na": "is left open", "no": "does not count", "yes": "counts"}[definition.unconfirmed_last]
    yield f"A worsening that lasts to the end of follow-up and that no visit can confirm {end}."
