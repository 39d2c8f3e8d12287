# SPDX-License-Identifier: Apache-2.0
"""Definitions refuse what makes no sense, and say in words what they do."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bids_msvol.clinical.definitions import DEFINITIONS, describe, find_definition


def test_names() -> None:
    """Each definition is found under its own name."""
    assert {"default", "kappos2020", "mueller2023", "mueller2025", "portaccio2025"} < set(DEFINITIONS)
    for name in DEFINITIONS:
        assert find_definition(name).name == name
    with pytest.raises(ValueError, match="'mine'; there are: default, kappos2020"):
        find_definition("mine")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rule": "mine"}, "no rule 'mine'"),
        ({"baseline": "moving"}, "baseline is 'moving'; it is one of fixed, roving"),
        ({"select": "last"}, "select is 'last'"),
        ({"unconfirmed_last": "maybe"}, "unconfirmed_last is 'maybe'; it is one of na, no, yes"),
        ({"late_days": -1.0}, "late_days is -1.0"),
        ({"sustained_days": math.nan}, "sustained_days is nan"),
        ({"confirmation_days": 7.0}, "an event cannot confirm itself"),
    ],
)
def test_refused(changes: dict[str, Any], problem: str) -> None:
    """The message names the field and what it may be."""
    with pytest.raises(ValueError, match=problem):
        find_definition("default", **changes)


def test_default_in_words() -> None:
    """The words of the default hold every number that it uses."""
    assert describe(find_definition("default")) == (
        "On the EDSS, worsening is a rise of at least 1.5 from a baseline of 0, 1.0 from a baseline of 1.0 to 5.0, "
        "0.5 from a baseline of 5.5 and above; improvement is a fall by as much. "
        "The baseline is the first visit at least 30 days after the onset of any earlier relapse. "
        "It is roving: after each event it moves to the visit that first confirmed it. "
        "A change is confirmed if it is still there at the first visit 161 to 898.5 days later and at least 30 days "
        "after the onset of any earlier relapse, and at every visit in between. "
        "A worsening up to 90 days after the onset of a relapse is relapse-associated (RAW). "
        "Any other is progression independent of relapse activity (PIRA) if no relapse began from 90 days before the "
        "event to 30 days after the event or from 90 days before the confirmation to 30 days after the confirmation, "
        "for at least one of the visits that confirm it; else it is undefined. "
        "All events count. "
        "A worsening that lasts to the end of follow-up and that no visit can confirm is left open."
    )


_CHANGES: dict[str, tuple[Any, str]] = {
    "rule": (
        "sdmt",
        "On the SDMT, worsening is a fall by at least 4 points or 20% of the baseline, whichever is less;",
    ),
    "baseline": ("fixed", "It is fixed."),
    "rebaseline_at_relapse": (True, "; and it moves behind each relapse."),
    "stop_if_unchanged": (True, ", as long as a later visit differs enough from it."),
    "baseline_never_better": (True, "keeps the former value if that was worse."),
    "confirmation_days": (84.0, "77 to 814.5 days later"),
    "early_days": (0.0, "168 to 898.5 days later"),
    "late_days": (math.inf, "at least 161 days later"),
    "sustained_days": (200.0, "It must last for at least 200 days, or to the last visit."),
    "select": ("first_worsening", "The search ends with the first worsening."),
    "count_again": (True, "counts again while the baseline stays."),
    "baseline_after_relapse_days": (0.0, "The baseline is the first visit."),
    "confirmation_after_relapse_days": (0.0, "161 to 898.5 days later, and at every visit"),
    "relapse_free": ((), "Any other is progression independent of relapse activity (PIRA)."),
    "raw_after_relapse_days": (30.0, "up to 30 days after the onset of a relapse is"),
    "raw_before_relapse_days": (30.0, "a relapse, or up to 30 days before it, is"),
    "earlier_relapses_days": (30.0, "Relapses more than 30 days before the first visit are left out."),
    "unconfirmed_last": ("no", "no visit can confirm does not count."),
}


_NEEDED: dict[str, dict[str, Any]] = {
    "stop_if_unchanged": {"rebaseline_at_relapse": True},
    "baseline_never_better": {"rebaseline_at_relapse": True},
    "count_again": {"baseline": "fixed"},
}
"""Fields that mean something only together with another one."""


@pytest.mark.parametrize("field", list(_CHANGES))
def test_every_field_is_heard(field: str) -> None:
    """A definition that differs in one field reads differently, in the words meant for it."""
    value, words = _CHANGES[field]
    needed = _NEEDED.get(field, {})
    assert words in describe(find_definition("default", **needed, **{field: value}))
    assert words not in describe(find_definition("default", **needed))


@pytest.mark.parametrize("field", list(_NEEDED))
def test_what_has_no_effect_is_not_said(field: str) -> None:
    """Without the other field the words are those of the default."""
    assert describe(find_definition("default", **{field: True})) == describe(find_definition("default"))


def test_no_field_is_forgotten() -> None:
    """The list above is complete but for the name."""
    assert set(find_definition("default").__dataclass_fields__) - set(_CHANGES) == {"name"}


def test_published_windows_in_words() -> None:
    """Windows between two visits, and windows that begin or end at a visit."""
    assert (
        "no relapse began from the baseline to 30 days after the event "
        "or from 30 days before the confirmation to 30 days after the confirmation,"
    ) in describe(find_definition("kappos2020"))
    assert (
        "no relapse began from the visit before the event to the event "
        "or from 30 days before the confirmation to the confirmation,"
    ) in describe(find_definition("mueller2025"))
    assert "It must last to the last visit." in describe(find_definition("default", sustained_days=math.inf))
