# SPDX-License-Identifier: Apache-2.0
"""What yearly_course says: methods, findings and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.group.analyses.yearly_course_values import VARIABLES, YearlyValues
from bids_msvol.group.cells import as_count, as_float, has_number, interval_of, say_cell, say_chances
from bids_msvol.group.people import say_unknown_group, say_unscanned
from bids_msvol.group.wording import say_count, say_list, say_number, threshold

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

MOST_SENTENCES = 6
"""What is found is in the table; sentences name what stands out."""

MOST_COURSES = 2
"""Groups whose course is told."""


def say_methods(values: YearlyValues, plan: Plan) -> tuple[str, ...]:
    """Say how years were made and compared."""
    shortest, longest = plan.intervals.year_days
    return (
        "Sessions were assigned to the year that ends nearest to them, if this year was then "
        f"{shortest:g} to {longest:g} days long. New T2 lesions of a year are those since the scan of the year before; "
        "gadolinium-enhancing lesions and EDSS are those at its end; relapses those that began in it. Year 0 is the "
        "first session and, for relapses, the 365 days before it. People count in each variable and year in which they "
        "were followed, so that numbers differ.",
        "Shares have Wilson's interval; means of counts and annualised relapse rates have that of a quasi-Poisson "
        "model with one rate.",
        "Within each group each year was compared with year 0 in the persons known in both: relapses (any or none) by "
        "McNemar's exact test, counts and EDSS by Wilcoxon's signed rank test (exact given the ties, unchanged persons "
        "left out) with the Hodges-Lehmann shift. q values are those of Benjamini and Hochberg over all groups and "
        "years of a variable.",
        *values.notes,
    )


def say_findings(
    rows: Sequence[Mapping[str, object]], tests: Sequence[Mapping[str, object]], groups: Sequence[str], level: float
) -> tuple[str, ...]:
    """Say the course of the first groups, and what changed.

    Parameters
    ----------
    rows, tests
        Of the two tables.
    groups
        In their order.
    level
        Of confidence intervals.
    """
    courses = [text for group in groups[:MOST_COURSES] if (text := _say_course(rows, group))]
    order = sorted((row for row in tests if has_number(row)), key=lambda row: as_float(row, "p"))
    if not order:
        return tuple(courses)
    below = threshold(level)
    stand = [row for row in order if as_float(row, "q_bh") < below]
    only = [row for row in order if row not in stand and as_float(row, "p") < below]
    texts = [
        f"Of {say_count(len(order), 'change')} tested since year 0, {len(stand)} had q below {below:g}, and "
        f"{len(only)} more p below {below:g} without correction (exploratory).",
        *courses,
    ]
    return (*texts, *(_say_change(row, level) for row in (*stand, *only)[: MOST_SENTENCES - len(texts)]))


def _say_change(row: Mapping[str, object], level: float) -> str:
    share = row["variable"] == "relapses"
    factor = 100.0 if share else 1.0
    bounded = has_number(row, "ci_lo")
    interval = interval_of(row, level, factor=factor) if bounded else "interval not bounded"
    unit = " percentage points with relapses" if share else f" ({row['measure']})"
    return (
        f"{VARIABLES[str(row['variable'])]} in {row['group']}, year {row['year']} against year 0: "
        f"{say_number(factor * as_float(row, 'estimate'))}{unit}, {interval}; higher in {row['n_higher']} and lower in "
        f"{row['n_lower']} of {say_count(as_count(row, 'n_sub'), 'person')}; {row['test']}, "
        f"{say_chances(row)}."
    )


def _say_course(rows: Sequence[Mapping[str, object]], group: str) -> str:
    """Return the course of a group as a sentence, in the manner of papers on treatment."""
    parts = []
    for variable, cell, what, unit in (
        ("relapses", "percent", "persons with relapses", " %"),
        ("new_t2", "mean", "mean new T2 lesions", ""),
        ("gd", "mean", "mean gadolinium-enhancing lesions", ""),
        ("edss", "median", "median EDSS", ""),
    ):
        known = [row for row in rows if (row["group"], row["variable"]) == (group, variable) and row["n"]]
        if known:
            values = [f"{say_cell(row, cell)}{unit} (year {row['year']}, n = {row['n']})" for row in known]
            parts.append(f"{what} {', '.join(values)}")
    return f"{group}: {'; '.join(parts)}." if parts else ""


def say_limits(study: Study, values: YearlyValues, tests: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """Say what changes since the first session cannot show, and what is missing."""
    texts = [
        "A change since the first session is no effect of treatment: people are treated, and scanned, when their "
        "disease is active, and would on average have less activity later (regression to the mean).",
        "Later years hold those who were followed so long; they may differ from the others.",
    ]
    long = int(values.is_long.sum())
    if long:
        texts.append(
            f"{say_count(long, 'count')} of new lesions over more than a year: the scan a year before is missing."
        )
    if not np.isnan(values.new_t2[:, 0]).all():
        texts.append("New lesions at the first session are new since an earlier scan whose day is not known here.")
    texts += say_unknown_group(study.persons["group"])
    texts += say_unscanned(study, study.persons.index[study.persons["group"].notna()])
    absent = [label for name, label in VARIABLES.items() if np.isnan(values.of(name)).all()]
    if absent:
        texts.append(f"Not recorded: {say_list(absent)}.")
    untested = sum(not has_number(row) for row in tests)
    if untested:
        texts.append(f"{say_count(untested, 'change')} could not be tested; the table says why.")
    return tuple(texts)
