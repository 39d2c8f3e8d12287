# SPDX-License-Identifier: Apache-2.0
"""The course of each group year by year: relapses, new lesions and EDSS, and their change since the first session."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.yearly_course_change import compare_with_first
from bids_msvol.group.analyses.yearly_course_values import VARIABLES, YearlyValues, take_years
from bids_msvol.group.analyses.yearly_course_words import say_findings, say_limits, say_methods
from bids_msvol.group.cells import as_count, as_float
from bids_msvol.group.figures.course import Course, Panel, draw_course, has_room_for_numbers
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    GROUP,
    INTERVAL,
    NOTES,
    Analysis,
    Figure,
    Q,
    ResultTable,
    number,
    p_column,
    with_q,
)
from bids_msvol.group.wording import say_count, say_list
from bids_msvol.stats.counts import poisson_rate
from bids_msvol.stats.estimates import t_estimate
from bids_msvol.stats.proportions import proportion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "yearly_course"
TITLE = "Clinical and radiological course year by year"

YEAR = Column("year", "Year of follow-up; 0 is the first session, and for relapses the year before it.", "integer")
VARIABLE = Column("variable", "What was counted or graded.", levels=VARIABLES)

COURSE = Table(
    "Course year by year",
    "yearly_course.tsv",
    "One row for each group, year and variable.",
    (
        GROUP,
        YEAR,
        VARIABLE,
        Column("n", "Persons with a value.", "integer"),
        Column("missing", "Persons of the group without one, also those not followed so long.", "integer"),
        Column("count", "Persons with at least one.", "integer"),
        number("percent", "Of those with a value.", "percent"),
        number("percent_lo", "Lower end of its confidence interval (Wilson).", "percent"),
        number("percent_hi", "Upper end.", "percent"),
        Column("total", "Number of relapses or lesions.", "integer"),
        number("person_years", "Time in which relapses could happen.", "year"),
        number("arr", "Annualised relapse rate: relapses by person-years.", "1/year"),
        number("mean", "Mean."),
        number("sd", "Standard deviation."),
        number("ci_lo", "Lower end of the confidence interval of the mean, or of the annualised relapse rate."),
        number("ci_hi", "Upper end."),
        number("median", "Median."),
        number("q1", "Lower quartile."),
        number("q3", "Upper quartile."),
        Column("n_long", "Persons whose new lesions were counted over more than a year.", "integer"),
    ),
)

CHANGE = Table(
    "Change since the first session",
    "yearly_course_tests.tsv",
    "One row for each group, year and variable: the same persons in that year and at the first session.",
    (
        GROUP,
        YEAR,
        VARIABLE,
        Column("test", "Statistical test, two-sided."),
        *COUNTS,
        Column("n_higher", "Persons with more, or for relapses with relapses only in that year.", "integer"),
        Column("n_lower", "Persons with less, or with relapses only in the year before the first session.", "integer"),
        Column("measure", "What the estimate is; that year less the first session."),
        number("estimate", "Estimate."),
        *INTERVAL,
        p_column(),
        Q,
        FAMILY,
        Column("effect_measure", "Kind of effect size."),
        number("effect", "Effect size."),
        number("mean_change", "Mean change."),
        number("mean_lo", "Lower end of its confidence interval."),
        number("mean_hi", "Upper end."),
        p_column("p_paired_t", "P value of the paired t test, for comparison."),
        *NOTES,
    ),
)

TABLES = (COURSE, CHANGE)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Describe each group in each year, and test the change since the first session within the groups."""
    values = take_years(study, plan)
    level = plan.statistics.level
    groups = study.groups()
    rows = [
        _describe(values, group, year, variable, level)
        for group in groups
        for year in range(values.edss.shape[1])
        for variable in VARIABLES
    ]
    tests = with_q(
        {
            "group": group,
            "year": year,
            "variable": variable,
            "family": f"change since the first session, {VARIABLES[variable]}, all groups and years",
            **compare_with_first(values.of(variable)[values.groups == group], year, variable, level),
        }
        for group in groups
        for year in range(1, values.edss.shape[1])
        for variable in VARIABLES
    )
    return Analysis(
        name=NAME,
        title=TITLE,
        question="How did relapses, new lesions and disability change from year to year within each group?",
        methods=say_methods(values, plan),
        findings=say_findings(rows, tests, groups, level),
        limits=say_limits(study, values, tests),
        tables=(
            ResultTable(COURSE, tuple(rows), {"Level": level}),
            ResultTable(CHANGE, tests, {"Level": level}),
        ),
        figures=_figures(rows, groups, level),
    )


def _describe(values: YearlyValues, group: str, year: int, variable: str, level: float) -> dict[str, object]:
    """Return one row of the table."""
    people = values.groups == group
    given = values.of(variable)[people, year]
    there = ~np.isnan(given)
    known = given[there]
    row: dict[str, object] = {
        "group": group, "year": year, "variable": variable, "n": len(known), "missing": int((~there).sum()),
    }  # fmt: skip
    if not len(known):
        return row
    q1, median, q3 = np.percentile(known, [25.0, 50.0, 75.0])
    row |= {
        "mean": float(known.mean()), "sd": float(known.std(ddof=1)) if len(known) > 1 else None,
        "median": float(median), "q1": float(q1), "q3": float(q3),
    }  # fmt: skip
    if variable == "edss":
        if len(known) > 1 and np.ptp(known) > 0.0:
            se = float(known.std(ddof=1) / np.sqrt(len(known)))
            mean = t_estimate(float(known.mean()), se, len(known) - 1.0, level)
            row |= {"ci_lo": mean.low, "ci_hi": mean.high}
        return row
    part = proportion(int((known > 0).sum()), len(known), level)
    row |= {
        "count": part.count, "percent": 100.0 * part.share,
        "percent_lo": 100.0 * part.low, "percent_hi": 100.0 * part.high, "total": int(known.sum()),
    }  # fmt: skip
    exposure = np.ones(len(known))
    if variable == "relapses":
        exposure = values.person_years[people, year][there]
        row |= {"person_years": float(exposure.sum()), "arr": float(known.sum() / exposure.sum())}
    if variable == "new_t2":
        row["n_long"] = int(values.is_long[people, year].sum())
    low, high = rate_interval(known, exposure, level)
    return {**row, "ci_lo": low, "ci_hi": high}


def rate_interval(counts: NDArray[np.float64], exposure: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return the confidence interval of a rate of counts (person,) that may vary more than the Poisson distribution.

    It is made on the scale of the logarithm, with the variance of the quasi-Poisson model, though not less than that
    of the Poisson distribution; without any event it is the exact one of that distribution.
    """
    events, total = float(counts.sum()), float(exposure.sum())
    if events == 0.0 or len(counts) < 2:
        found = poisson_rate(int(events), total, level)
        return found.low, found.high
    rate = events / total
    dispersion = max(1.0, float(((counts - rate * exposure) ** 2 / (rate * exposure)).sum()) / (len(counts) - 1))
    half = t_estimate(0.0, math.sqrt(dispersion / events), len(counts) - 1.0, level).high
    return rate * math.exp(-half), rate * math.exp(half)


def _figures(rows: Sequence[Mapping[str, object]], groups: Sequence[str], level: float) -> tuple[Figure, ...]:
    """Return the figure of all variables that anybody has."""
    percent = f"{100 * level:.0f} %"
    wanted = (
        ("relapses", "percent", ("percent_lo", "percent_hi"), "Persons with relapses", "% of persons", f"{percent} CI"),
        ("new_t2", "mean", ("ci_lo", "ci_hi"), "New T2 lesions", "mean per person", f"{percent} CI"),
        ("gd", "mean", ("ci_lo", "ci_hi"), "Gadolinium-enhancing lesions", "mean per person", f"{percent} CI"),
        ("edss", "median", ("q1", "q3"), "EDSS", "median", "quartiles"),
    )
    panels = []
    for variable, cell, ends, title, unit, bars in wanted:
        known = [row for row in rows if row["variable"] == variable and row["n"]]
        courses = [
            Course(
                group,
                tuple(as_count(row, "year") for row in own),
                values=tuple(as_float(row, cell) for row in own),
                low=tuple(as_float(row, ends[0]) for row in own),
                high=tuple(as_float(row, ends[1]) for row in own),
                numbers=tuple(as_count(row, "n") for row in own),
            )
            for group in groups
            if (own := [row for row in known if row["group"] == group])
        ]
        if courses:
            panels.append(Panel(title, unit, bars, tuple(courses)))
    if not panels:
        return ()
    titles = say_list([panel.title for panel in panels])
    below = (
        "numbers below: persons with a value."
        if has_room_for_numbers(panels, groups)
        else "below each panel the smallest and the largest number of persons with a value at a point, since there is "
        "no room for all; each is in the table."
    )
    return (
        Figure(
            "yearly_course",
            f"{titles} in each year of follow-up by group (0: first session, and the year before it for relapses). "
            f"Bars: {percent} confidence intervals, for EDSS quartiles; {below}",
            f"{say_count(len(panels), 'panel')} with one line for each of {say_count(len(groups), 'group')} over the "
            "years.",
            functools.partial(draw_course, tuple(panels), tuple(groups)),
        ),
    )
