# SPDX-License-Identifier: Apache-2.0
"""What is said of times to events: how they were estimated, what was found, and what bounds it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bids_msvol.clinical.definitions import describe
from bids_msvol.group.analyses.time_to_event_tables import COX, FEWEST_AT_RISK, LANDMARKS, LOG_RANK
from bids_msvol.group.cells import as_float, interval_of, say_cell, say_chances
from bids_msvol.group.courses import plan_definition
from bids_msvol.group.wording import say_count, say_interval

if TYPE_CHECKING:
    from bids_msvol.group.analyses.time_to_event_endpoints import Endpoint
    from bids_msvol.group.plan import Plan


def say_methods(endpoints: Sequence[Endpoint], plan: Plan, groups: int) -> tuple[str, ...]:
    """Say how times were taken, shares estimated and groups compared."""
    events = "; ".join(f"{one.label}: {one.rule}" for one in endpoints)
    sentences = [
        f"Time runs from the first session that counts (baseline). Events: {events}.",
        f"Definition of worsening: {describe(plan_definition(plan))}",
        *_say_placed(endpoints),
        "Shares without event were estimated by Kaplan and Meier's method, with intervals on the log(-log) scale, up "
        f"to the last time at which at least {FEWEST_AT_RISK} persons of the group were at risk.",
    ]
    if groups > 1:
        sentences.append(
            "Groups were compared by the log-rank test and by Cox regression (Efron's method for ties, Wald intervals; "
            "primary: unadjusted), again adjusted for age, sex and EDSS at the baseline. Proportional hazards were "
            "checked by the score test of a trend of Schoenfeld residuals with the Kaplan-Meier share."
        )
    return tuple(sentences)


def _say_placed(endpoints: Sequence[Endpoint]) -> Iterator[str]:
    """Say on which planned visits events were put, and why."""
    months = {one.name: one.months for one in endpoints if not one.missing and one.months}
    ways = []
    if scans := months.get("lesion") or months.get("neda3"):
        ways.append(
            "lesions and loss of NEDA-3 on the number of the yearly interval (of intervals of other lengths, on the "
            f"multiple of {say_count(scans, 'month')} nearest to the end)"
        )
    if visits := months.get("worsening") or months.get("pira"):
        ways.append(f"EDSS worsening and PIRA on the nearest multiple of {say_count(visits, 'month')}")
    if ways:
        yield (
            f"What is found at scans or visits was put on the planned visit: {'; '.join(ways)}. These are the usual "
            "times between scans or visits of this study, from their median. So the events and censorings of one wave "
            "of visits have one time, events first, however the days of the visits scatter. Relapses keep their dates."
        )
        yield (
            "With few such times a hazard ratio is one of discrete waves: of the risk from one planned visit to the "
            "next."
        )


def say_findings(
    endpoints: Sequence[Endpoint],
    summaries: Sequence[Mapping[str, object]],
    tests: Sequence[Mapping[str, object]],
    level: float,
) -> Iterator[str]:
    """Say what was found, from the rows of the tables."""
    labels = {one.name: one.label for one in endpoints}
    for name in ("worsening", "neda3"):
        rows = [row for row in summaries if row["endpoint"] == name and row["n_sub"]]
        parts = [f"{row['group']} {row['n_events']} of {row['n_sub']}{_landmark(row, level)}" for row in rows[:4]]
        if parts:
            yield f"Persons with {labels[name]}: {'; '.join(parts)}."
    for row in [row for row in tests if row["test"] == COX and row["endpoint"] == "worsening" and "hr" in row][:2]:
        yield (
            f"Hazard ratio of {labels[str(row['endpoint'])]}, {row['group']} to {row['reference']}: "
            f"{say_cell(row, 'hr')} ({interval_of(row, level)}; "
            f"z = {as_float(row, 'statistic'):.2f}, {say_chances(row)}; "
            f"{row['n_events']} events in {row['n_sub']} persons)."
        )
    ranked = [row for row in tests if row["test"] == LOG_RANK and "p" in row]
    if ranked:
        parts = [
            f"{labels[str(row['endpoint'])]} chi2({row['df']}) = {as_float(row, 'statistic'):.2f}, {say_chances(row)}"
            for row in ranked
        ]
        exploratory = " (exploratory: a family of several tests)" if len(ranked) > 1 else ""
        yield f"Log-rank tests{exploratory}: {'; '.join(parts)}."


def _landmark(row: Mapping[str, object], level: float) -> str:
    for year in reversed(LANDMARKS):
        name = f"survival_{year:.0f}y"
        share, low, high = (100 * as_float(row, key) for key in (name, f"{name}_lo", f"{name}_hi"))
        if math.isfinite(share) and math.isfinite(low):
            return (
                f" (without after {say_count(int(year), 'year')}: {share:.0f} %, {say_interval(low, high, level, 2)})"
            )
    return ""


def say_limits(endpoints: Sequence[Endpoint]) -> Iterator[str]:
    """Say what was not analysed, who is missing, and how precise times are."""
    missing = [f"{one.label} ({one.missing})" for one in endpoints if one.missing]
    if missing:
        yield f"Not analysed: {'; '.join(missing)}."
    left_out = [f"{one.label} {one.n_left_out}" for one in endpoints if one.n_left_out and not one.missing]
    if left_out:
        yield f"Patients who could not be followed: {', '.join(left_out)}."
    yield (
        "An event is known from the visit or scan at which it was found; how close in time these are bounds how "
        "precise its time is. Who misses a planned visit has an event found at a later one and counts as without event "
        "until then. Groups that were seen more often have their events found sooner."
    )
