# SPDX-License-Identifier: Apache-2.0
"""How much the definition of worsening decides: rates of confirmed worsening and PIRA under many definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.clinical.course import Relapse, Visit
from bids_msvol.clinical.definitions import DEFINITIONS, ProgressionDefinition, describe
from bids_msvol.clinical.events import find_events
from bids_msvol.group.analyses.follow_up import follow_up
from bids_msvol.group.cells import as_count, as_float, has_number, interval_of, say_cell
from bids_msvol.group.courses import find_courses, make_relapses, plan_definition, relapse_days
from bids_msvol.group.figures.survival import DefinitionPoint, draw_definitions
from bids_msvol.group.grouping import EVERYBODY
from bids_msvol.group.people import find_patients, is_among, with_everybody
from bids_msvol.group.result import (
    NOTES,
    Analysis,
    CannotAnalyseError,
    Figure,
    ResultTable,
    number,
)
from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.wording import say_count
from bids_msvol.stats.counts import poisson_rate
from bids_msvol.stats.proportions import compare_proportions, proportion

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "definitions_compared"
TITLE = "Definitions of worsening compared"

CONFIRMATION_WEEKS = (12, 24, 48)
RULES = ("seed", "msbase", "trial")
BASELINES = ("fixed", "roving")
"""What is varied, each with each, starting from the definition of the plan."""


DEFINITION_TABLE = Table(
    "Definitions of worsening compared",
    "definitions.tsv",
    "Confirmed EDSS worsening and PIRA under each definition, for all patients and each group.",
    (
        Column("definition", "Name, or which choices were changed in the definition of the plan."),
        Column("kind", "Where it is from.", levels={
            "plan": "definition of this study", "named": "published or of another program",
            "variation": "definition of this study with other choices",
        }),
        Column("group", "Group, or all patients."),
        Column("n_sub", "Patients with at least two visits.", "integer"),
        number("person_years", "Years from first to last visit.", "year"),
        Column("n_worsened", "Persons with confirmed worsening.", "integer"),
        number("share", "Share of persons with confirmed worsening."),
        number("share_lo", "Lower end of Wilson's interval."),
        number("share_hi", "Upper end of Wilson's interval."),
        Column("n_events", "Number of confirmed worsenings.", "integer"),
        number("rate", "Confirmed worsenings in 100 person-years.", "1/(100 year)"),
        number("ci_lo", "Lower end of the exact Poisson interval."),
        number("ci_hi", "Upper end of the exact Poisson interval."),
        Column("n_pira", "Worsenings that are PIRA.", "integer"),
        Column("n_raw", "Worsenings that are RAW.", "integer"),
        Column("n_undefined", "Worsenings that are neither.", "integer"),
        number("pira_share", "Share of worsenings that are PIRA."),
        number("pira_lo", "Lower end of Wilson's interval."),
        number("pira_hi", "Upper end of Wilson's interval."),
        Column("n_changed", "Persons whom the definition of the plan judges otherwise.", "integer"),
        Column("reference", "Group that it is compared with."),
        number("difference", "Share of persons less that of the reference."),
        number("difference_lo", "Lower end of Newcombe's interval."),
        number("difference_hi", "Upper end of Newcombe's interval."),
        NOTES[1],
    ),
)  # fmt: skip

TEXT_TABLE = Table(
    "Definitions of worsening in full",
    "definition_texts.tsv",
    "One row for each definition of the table of definitions compared.",
    (
        Column("definition", "Name, or which choices were changed in the definition of the plan."),
        Column("description", "The definition in full."),
    ),
)

TABLES = (DEFINITION_TABLE, TEXT_TABLE)


@dataclass(frozen=True)
class Variant:
    """A definition, how it is called, and what kind it is (``plan``, ``named``, ``variation``)."""

    label: str
    kind: str
    definition: ProgressionDefinition


@dataclass(frozen=True, eq=False)
class _Found:
    """What a definition finds, by person: numbers (person,) of worsenings, and of those that are PIRA and RAW."""

    events: np.ndarray
    pira: np.ndarray
    raw: np.ndarray


def analyse(study: Study, plan: Plan) -> Analysis:
    """Count events under every definition.

    Raises
    ------
    CannotAnalyseError
        If no patient has two EDSS visits.
    """
    people = follow_up(study)
    patients = find_patients(study)
    groups = patients.groups
    courses = {
        name: visits
        for name, visits in find_courses(study.visits, "edss").items()
        if name in people.index and len({visit.day for visit in visits}) > 1
    }
    if not courses:
        raise CannotAnalyseError("no patient has two EDSS visits of known days")
    onsets = relapse_days(study.relapses)
    relapses = make_relapses(onsets, list(courses))
    years = np.array([_length(visits) for visits in courses.values()])
    label = people["group"].reindex(list(courses)).to_numpy(dtype=object)
    members = {group: is_among(label, group) for group in with_everybody(groups)}
    variants = make_variants(plan)
    found = [_find(courses, relapses, variant.definition) for variant in variants]
    texts = tuple({"definition": one.label, "description": describe(one.definition)} for one in variants)
    rows: list[dict[str, object]] = []
    for variant, one in zip(variants, found, strict=True):
        counted = [
            _row(variant, group, one, found[0], years, chosen, plan, has_relapses=onsets is not None)
            for group, chosen in members.items()
        ]
        rows += [counted[0], *_compare(counted[1:], plan)]
    return Analysis(
        name=NAME,
        title=TITLE,
        question="How much do the rates of confirmed worsening and of PIRA depend on their definition?",
        methods=_methods(variants, plan),
        findings=tuple(_findings(rows, groups, plan.statistics.level)),
        limits=(*patients.limits, *_limits(len(people) - len(courses), onsets is not None)),
        tables=(
            ResultTable(DEFINITION_TABLE, tuple(rows), {"Definitions": len(variants)}),
            ResultTable(TEXT_TABLE, texts),
        ),
        figures=(_figure(rows, plan.statistics.level),),
    )


def make_variants(plan: Plan) -> tuple[Variant, ...]:
    """Return the definition of the plan, those of other names, and its variations, each once."""
    base = plan_definition(plan)
    variants = [Variant(f"{base.name} (this study)", "plan", base)]
    for name, definition in DEFINITIONS.items():
        # Runs of msprog are there to test against it; they count an event that lasts more than once.
        if name != base.name and not name.startswith("msprog_"):
            variants.append(Variant(name, "named", definition))
    for weeks in CONFIRMATION_WEEKS:
        for rule in RULES:
            for baseline in BASELINES:
                changed = replace(base, confirmation_days=7.0 * weeks, rule=rule, baseline=baseline)  # type: ignore[arg-type]
                if changed != base:
                    variants.append(Variant(f"{weeks} weeks, {rule}, {baseline}", "variation", changed))
    return tuple(variants)


def _length(visits: Sequence[Visit]) -> float:
    days = [visit.day for visit in visits]
    return (max(days) - min(days)) / DAYS_PER_YEAR


def _find(
    courses: Mapping[str, Sequence[Visit]],
    relapses: Mapping[str, Sequence[Relapse] | None],
    definition: ProgressionDefinition,
) -> _Found:
    counts = np.zeros((3, len(courses)), dtype=int)
    for person, (name, visits) in enumerate(courses.items()):
        if _never_rises(visits):
            continue
        for event in find_events(visits, relapses[name], definition).events:
            if event.kind == "CDW":
                counts[0, person] += 1
                counts[1, person] += event.association == "PIRA"
                counts[2, person] += event.association == "RAW"
    return _Found(*counts)


def _never_rises(visits: Sequence[Visit]) -> bool:
    """Return whether no value is above an earlier one, so that no definition finds a worsening."""
    values = [visit.value for visit in sorted(visits, key=lambda visit: visit.day)]
    return all(later <= earlier for earlier, later in pairwise(values))


def _row(
    variant: Variant,
    group: str,
    found: _Found,
    reference: _Found,
    years: np.ndarray,
    chosen: np.ndarray,
    plan: Plan,
    *,
    has_relapses: bool,
) -> dict[str, object]:
    level = plan.statistics.level
    events, time = int(found.events[chosen].sum()), float(years[chosen].sum())
    share = proportion(int((found.events[chosen] > 0).sum()), int(chosen.sum()), level)
    row: dict[str, object] = {
        "definition": variant.label, "kind": variant.kind, "group": group, "n_sub": share.n, "person_years": time,
        "n_worsened": share.count, "share": share.share, "share_lo": share.low, "share_hi": share.high,
        "n_events": events,
        "n_changed": int(((found.events > 0) != (reference.events > 0))[chosen].sum()),
    }  # fmt: skip
    if time <= 0.0:
        return {**row, "warning": "no patient of the group has two visits"}
    rate = poisson_rate(events, time / 100.0, level)
    row |= {"rate": rate.rate, "ci_lo": rate.low, "ci_hi": rate.high}
    if not has_relapses:
        return {**row, "warning": "relapses were not recorded: PIRA and RAW not known"}
    pira, raw = int(found.pira[chosen].sum()), int(found.raw[chosen].sum())
    part = proportion(pira, events, level)
    return {
        **row,
        "n_pira": pira,
        "n_raw": raw,
        "n_undefined": events - pira - raw,
        "pira_share": part.share,
        "pira_lo": part.low,
        "pira_hi": part.high,
        "warning": "" if events else "no events",
    }


def _compare(rows: Sequence[dict[str, object]], plan: Plan) -> Iterator[dict[str, object]]:
    if not rows:
        return
    first, *others = rows
    yield first
    for row in others:
        pair = [(as_count(one, "n_worsened"), as_count(one, "n_sub")) for one in (first, row)]
        shared = {**row, "reference": first["group"]}
        if not pair[0][1] or not pair[1][1] or not pair[0][0] + pair[1][0]:
            yield {**shared, "warning": "not compared: a group is empty, or nobody worsened"}
            continue
        test = compare_proportions(pair[0], pair[1], plan.statistics.level)
        yield {**shared, "difference": test.difference, "difference_lo": test.low, "difference_hi": test.high}


def _methods(variants: Sequence[Variant], plan: Plan) -> tuple[str, ...]:
    return (
        f"Confirmed EDSS worsening was looked for under {len(variants)} definitions: that of this study, those of "
        f"other studies and programs, and that of this study with confirmation after {CONFIRMATION_WEEKS[0]}, "
        f"{CONFIRMATION_WEEKS[1]} or {CONFIRMATION_WEEKS[2]} weeks, with each rule of what change counts "
        f"({', '.join(RULES)}), and with a fixed or roving baseline. Rates are worsenings in 100 person-years from the "
        "first to the last visit, with exact Poisson intervals; shares have Wilson intervals, and their differences "
        "between groups Newcombe's. Every definition is written out in a table of its own.",
        f"Definition of this study: {describe(plan_definition(plan))}",
    )


def _findings(rows: Sequence[Mapping[str, object]], groups: Sequence[str], level: float) -> Iterator[str]:
    everybody = [row for row in rows if row["group"] == EVERYBODY and "rate" in row]
    if not everybody:
        return
    own = everybody[0]
    if not any(row["n_events"] for row in everybody):
        yield (
            f"No definition of {len(everybody)} finds a confirmed worsening in any of "
            f"{say_count(as_count(own, 'n_sub'), 'patient')}."
        )
        return
    yield (
        f"By the definition of this study {own['n_worsened']} of {say_count(as_count(own, 'n_sub'), 'patient')} "
        f"({100 * as_float(own, 'share'):.0f} %) worsened: {say_cell(own, 'rate')} worsenings in 100 "
        f"person-years ({interval_of(own, level)})."
    )
    yield _say_range(everybody)
    pira = sorted(as_float(row, "pira_share") for row in everybody if "pira_share" in row and row["n_events"])
    if pira:
        yield f"The share of PIRA among worsenings ranges from {100 * pira[0]:.0f} to {100 * pira[-1]:.0f} %."
    for group in groups[1:3]:
        compared = [row for row in rows if row["group"] == group and has_number(row, "difference")]
        if compared:
            gaps = [100 * as_float(row, "difference") for row in compared]
            own = compared[0]
            interval = interval_of(own, level, "difference_lo", "difference_hi", factor=100.0, digits=2)
            yield (
                f"{group} less {groups[0]}: the difference of the shares of persons who worsened ranges from "
                f"{min(gaps):.0f} to {max(gaps):.0f} percentage points over {len(compared)} definitions; by "
                f"{own['definition']} it is {gaps[0]:.0f} ({interval})."
            )


def _say_range(rows: Sequence[Mapping[str, object]]) -> str:
    """Say over which rates definitions range, and how many of them give the same one."""
    by_rate: dict[int, list[str]] = {}
    for row in sorted(rows, key=lambda row: as_count(row, "n_events")):
        by_rate.setdefault(as_count(row, "n_events"), []).append(str(row["definition"]))
    rates = {as_count(row, "n_events"): say_cell(row, "rate") for row in rows}
    if len(by_rate) == 1:
        return f"All {len(rows)} definitions find the same number of worsenings."

    def named(count: int) -> str:
        names = by_rate[count]
        return f"{rates[count]} ({names[0] if len(names) == 1 else f'{len(names)} definitions'})"

    common = max(by_rate, key=lambda count: len(by_rate[count]))
    ends = (min(by_rate), max(by_rate))
    most = f"; {len(by_rate[common])} give {rates[common]}" if common not in ends and len(by_rate[common]) > 1 else ""
    return f"Under {len(rows)} definitions the rate ranges from {named(ends[0])} to {named(ends[1])}{most}."


def _limits(left_out: int, has_relapses: bool) -> Iterator[str]:
    if left_out:
        yield f"{say_count(left_out, 'patient')} without two EDSS visits left out."
    if not has_relapses:
        yield "Relapses were not recorded: PIRA and RAW cannot be told apart, and no visit is left out for a relapse."
    yield (
        "The intervals of rates take the worsenings of one person as independent: where some worsen again and again, "
        "they are too narrow. Differences of shares do not allow for the length of follow-up."
    )
    yield (
        "Visits that are further apart than a definition asks for confirm nothing under it: part of the differences is "
        "due to when people were seen. A definition must be chosen before the data are seen, not from this table."
    )


def _figure(rows: Sequence[Mapping[str, object]], level: float) -> Figure:
    points = tuple(
        DefinitionPoint(
            str(row["definition"]),
            (as_float(row, "rate"), as_float(row, "ci_lo"), as_float(row, "ci_hi")),
            (100 * as_float(row, "pira_share"), 100 * as_float(row, "pira_lo"), 100 * as_float(row, "pira_hi")),
            row["kind"] == "named",
            row["kind"] == "plan",
        )
        for row in rows
        if row["group"] == EVERYBODY and "rate" in row
    )
    n = next((as_count(row, "n_sub") for row in rows if row["group"] == EVERYBODY), 0)
    return Figure(
        "definitions",
        f"Rate of confirmed worsening and share of PIRA under {len(points)} definitions, with {100 * level:.0f} % "
        f"intervals; n = {n} patients.",
        "Points with intervals, one row for each definition.",
        partial(draw_definitions, points, n),
    )
