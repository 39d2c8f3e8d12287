# SPDX-License-Identifier: Apache-2.0
"""What lesions_yearly says and shows: methods, findings, limits and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bids_msvol.group.analyses.lesion_influence import DIFFERENCE_NOTE, NOTE
from bids_msvol.group.analyses.lesion_regression import (
    GADOLINIUM,
    NEW_T2,
    LesionKind,
    say_survivors,
    spread_of,
)
from bids_msvol.group.analyses.lesions_yearly_levels import levels_methods
from bids_msvol.group.cells import interval_of, say_cell, say_chance, say_chances, say_region
from bids_msvol.group.figures.regression import ForestRow, ScatterPanel, draw_forest, draw_scatter
from bids_msvol.group.grouping import EVERYBODY
from bids_msvol.group.people import Patients
from bids_msvol.group.regions import region_label
from bids_msvol.group.result import Figure, ResultTable
from bids_msvol.group.wording import say_count, say_list, threshold

if TYPE_CHECKING:
    from bids_msvol.group.analyses.lesions_yearly_models import YearSample
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

MOST_FIGURES = 3
"""Regions that are drawn: those with the smallest p values."""

FOOTNOTE = "Simple regression of all intervals; not the mixed model of the table."

Row = Mapping[str, Any]


def yearly_methods(
    study: Study, plan: Plan, patients: Patients, kinds: Sequence[LesionKind], *, with_levels: bool
) -> tuple[str, ...]:
    """Return how it was done."""
    shortest, longest = plan.intervals.year_days
    rate = ", divided by its length in years" if plan.intervals.per_year else ""
    end = "at its end" if plan.activity.lesion_lag == "end" else "at its start"
    counts = say_list([kind.many for kind in kinds])
    compared = patients.reference is not None
    sentences = [
        f"The change of each region over an interval of {shortest:g} to {longest:g} days between consecutive sessions, "
        f"in points of per cent of the intracranial volume (eTIV){rate}, was related to the number of {counts} "
        f"counted {end}.",
        study.change_source,
        study.lesion_source,
        "All intervals were pooled in one linear mixed model for each region, with the number of lesions, the group, "
        "their interaction and a random intercept for each person (restricted maximum likelihood, t tests with "
        "Satterthwaite's degrees of freedom); the slopes of the groups are contrasts of this model."
        if compared
        else "All intervals were pooled in one linear mixed model for each region, with the number of lesions and a "
        "random intercept for each person (restricted maximum likelihood, t tests with Satterthwaite's degrees of "
        "freedom).",
        "Beside it stand least squares without random intercepts, with HC3 standard errors, and of the means of "
        f"persons{', and the comparison of separate lines, whose variances may differ (Welch)' * compared}.",
        "False discovery rates (q, Benjamini-Hochberg) are over all regions, for the slopes of each group"
        f"{f' and for their differences from {patients.reference}' * compared}.",
    ]
    if with_levels:
        sentences.append(levels_methods())
    return tuple(sentence for sentence in sentences if sentence)


def yearly_limits(kinds: Sequence[LesionKind], tables: Sequence[ResultTable], plan: Plan) -> tuple[str, ...]:
    """Return what the data cannot carry."""
    rows = [row for table in tables for row in table.rows if "singular" in row]
    sentences = []
    singular = sum(row["singular"] == "yes" for row in rows)
    if singular:
        sentences.append(
            f"In {singular} of {len(rows)} results the variance between persons was estimated as zero, as is usual for "
            "differences of successive scans; the model is then that of least squares."
        )
    if any("variances of the groups differ" in str(row["warning"]) for table in tables for row in table.rows):
        sentences.append(
            "Where the residual variances of groups differ (see the warnings), the mixed model's test of the "
            "difference does not keep its level; the comparison of separate lines does."
        )
    for kind in (NEW_T2, GADOLINIUM):
        if kind not in kinds:
            sentences.append(f"{kind.many[0].upper()}{kind.many[1:]} were not counted in these intervals.")
    sentences.append(
        "Lesions and change are those of the same interval: which came first cannot be told."
        if plan.activity.lesion_lag == "end"
        else "Lesions are those seen at the start of each interval."
    )
    return tuple(sentences)


def yearly_findings(rows: Sequence[Row], kind: LesionKind, patients: Patients, plan: Plan) -> list[str]:
    """Return what was found for one kind of lesion: the primary result, what stands after correction, what does not."""
    if patients.reference is None:
        return _one_group(rows, kind, plan)
    compared = [row for row in rows if "p_interaction" in row]
    if not compared:
        return [f"The slopes on {kind.many} could not be compared between groups.", *_one_group(rows, kind, plan)]
    best = min(compared, key=lambda row: float(row["p_interaction"]))
    reference = next(row for row in rows if row["roi"] == best["roi"] and row["group"] == patients.reference)
    interval = interval_of(best, plan.statistics.level, "difference_lo", "difference_hi")
    alpha = threshold(plan.statistics.level)
    rests = f" The difference {_verb(best[DIFFERENCE_NOTE])}." if DIFFERENCE_NOTE in best else ""
    return [
        f"The slope on {kind.many} of {best['group']} less that of {patients.reference} was clearest in the "
        f"{say_region(best)}: {say_cell(best, 'difference')} % eTIV a lesion ({interval}; "
        f"{say_chances(best, 'p_interaction', 'q_interaction')}).",
        f"There the slope was {_slope(reference, plan)} in {patients.reference} and {_slope(best, plan)} in "
        f"{best['group']}, in points of per cent of the intracranial volume (eTIV); with unequal variances allowed the "
        f"difference has {say_chance(best, 'p_welch')}.{rests}",
        say_survivors(
            compared, "p_interaction", "q_interaction", f"Differences of slopes on {kind.many}", alpha,
            note=DIFFERENCE_NOTE,
        ),
        say_survivors([row for row in rows if "p" in row], "p", "q_bh", f"Slopes on {kind.many}", alpha, note=NOTE),
    ]  # fmt: skip


def _verb(note: object) -> str:
    """Return a note as the end of a sentence: ``rests much on ...``, ``is decided by ...``."""
    said = str(note)
    return f"is {said}" if said.startswith("decided") else said


def _one_group(rows: Sequence[Row], kind: LesionKind, plan: Plan) -> list[str]:
    tested = [row for row in rows if "p" in row]
    if not tested:
        return [f"No slope on {kind.many} could be tested."]
    best = min(tested, key=lambda row: float(row["p"]))
    rests = f" It {_verb(best[NOTE])}." if NOTE in best else ""
    return [
        f"The slope on {kind.many} was clearest in the {say_region(best)}{_where(best)}: {say_cell(best, 'beta')} "
        f"% eTIV a lesion ({interval_of(best, plan.statistics.level)}; {say_chances(best)}; "
        f"{say_count(best['n_obs'], 'interval')} of {say_count(best['n_sub'], 'person')}).{rests}",
        say_survivors(tested, "p", "q_bh", f"Slopes on {kind.many}", threshold(plan.statistics.level), note=NOTE),
    ]


def _where(row: Row) -> str:
    return "" if row["group"] == EVERYBODY else f" in {row['group']}"


def _slope(row: Row, plan: Plan) -> str:
    if "beta" not in row:
        return "no slope"
    interval = interval_of(row, plan.statistics.level)
    counts = f"{say_count(row['n_obs'], 'interval')} of {say_count(row['n_sub'], 'person')}"
    return f"{say_cell(row, 'beta')} ({interval}; {say_chance(row)}; {counts})"


def yearly_figures(
    rows: Sequence[Row], samples: Mapping[str, YearSample], kind: LesionKind, study: Study,
    plan: Plan, *, scatter: bool,
) -> list[Figure]:  # fmt: skip
    """Return the forest plot of slopes and, if asked for, the points of the regions with the smallest p values."""
    figures = [_forest(rows, samples, kind, study, plan)] if any("beta" in row for row in rows) else []
    if not scatter:
        return figures
    key = "p_interaction" if any("p_interaction" in row for row in rows) else "p"
    ranked = sorted((row for row in rows if key in row), key=lambda row: float(row[key]))
    unit = "% of eTIV per year" if plan.intervals.per_year else "% of eTIV"
    for region in list(dict.fromkeys(str(row["roi"]) for row in ranked))[:MOST_FIGURES]:
        lines = samples[region].lines
        panels = [ScatterPanel(name, line.x, line.y, line.note()) for name, line in lines.items() if len(line.x)]
        label = region_label(region)
        shown = "; ".join(f"{panel.group}: {len(panel.x)} intervals, {panel.note}" for panel in panels)
        draw = partial(
            draw_scatter, panels, x_label=f"Number of {kind.many}", y_label=f"{label}\nchange, {unit}",
            groups=study.groups(), level=plan.statistics.level, footer_text=FOOTNOTE,
        )  # fmt: skip
        caption = (
            f"{label}: change over a year and the number of {kind.many} of that year. Each point is an interval of a "
            f"person; line of least squares with its {100 * plan.statistics.level:.0f} % confidence band. {shown}. "
            "These p values are of simple regressions, not of the mixed model."
        )
        alt = f"Points of yearly change of the {label.lower()} against {kind.many}, one panel a group. {shown}."
        figures.append(Figure(f"lesions_yearly_{kind.short}_{region}".replace("-", "_"), caption, alt, draw))
    return figures


def _forest(
    rows: Sequence[Row], samples: Mapping[str, YearSample], kind: LesionKind, study: Study, plan: Plan
) -> Figure:
    """Draw slopes in units of the spread of the change, so that large and small regions share an axis."""
    entries = []
    for row in rows:
        spread = spread_of(samples[str(row["roi"])].lines.values())
        value, low, high = (float(row.get(name, math.nan)) / spread for name in ("beta", "ci_lo", "ci_hi"))
        mark = " *" if NOTE in row else ""
        text = f"{say_cell(row, 'beta', 2)}, {say_chance(row)}, n = {row['n_obs']}{mark}" if "beta" in row else ""
        entries.append(ForestRow(region_label(str(row["roi"])), str(row["group"]), value, low, high, text))
    draw = partial(
        draw_forest, entries, groups=study.groups(),
        x_label=f"Slope: SD of the yearly change for each {kind.one}",
        text_title="slope in % of eTIV, p, intervals",
        footer_text="Mixed model; slopes divided by the residual SD of the region.",
        mark_text="* Rests much on one person (Cook's distance above 1).",
    )  # fmt: skip
    tested = sum("beta" in row for row in rows)
    caption = (
        f"Slopes of the yearly change on the number of {kind.many}, by region and group, with "
        f"{100 * plan.statistics.level:.0f} % confidence intervals, in residual standard deviations of the change "
        f"({tested} of {len(rows)} slopes could be tested). Numbers beside: points of per cent of the intracranial "
        "volume for each lesion."
    )
    alt = f"Forest plot of {tested} slopes of yearly change on {kind.many}."
    return Figure(f"lesions_yearly_{kind.short}_slopes", caption, alt, draw)
