# SPDX-License-Identifier: Apache-2.0
"""What lesions_baseline says and shows: methods, findings, limits and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bids_msvol.group.analyses.lesion_influence import DIFFERENCE_NOTE, NOTE, RESTS
from bids_msvol.group.analyses.lesion_regression import (
    GADOLINIUM,
    NEW_T2,
    LesionKind,
    say_survivors,
    spread_of,
)
from bids_msvol.group.analyses.lesions_baseline_models import ALL_DATA, EVERYBODY, NOTABLE_UP_TO, SpanResult
from bids_msvol.group.cells import has_number, interval_of, say_cell, say_chance, say_chances, say_region
from bids_msvol.group.figures.regression import ForestRow, ScatterPanel, draw_forest, draw_scatter
from bids_msvol.group.people import Patients
from bids_msvol.group.regions import region_label
from bids_msvol.group.result import Figure
from bids_msvol.group.wording import say_count, say_list, say_some, threshold

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

MOST_FIGURES = 3
"""Regions that are drawn: those with the smallest p values in any group, over the longest span."""

Row = Mapping[str, Any]


def baseline_methods(study: Study, plan: Plan, patients: Patients, kinds: Sequence[LesionKind]) -> tuple[str, ...]:
    """Return how it was done."""
    spans = say_list([f"{span:g}" for span in plan.intervals.spans_years])
    scaled = ", scaled to exactly that span," if plan.intervals.per_year else ""
    compared = patients.reference is not None
    used = {kind.column for kind in kinds}
    chosen = ""
    if "t2_count" in used:
        chosen = "All T2 lesions of the first session were counted, since new ones were not known there."
    elif NEW_T2.column in used:
        chosen = "New T2 lesions are those reported as new at the first session."
    sentences = (
        f"The change of each region from the first scan to the one nearest to {spans} years later (at most "
        f"{plan.intervals.span_tolerance_days:g} days from it), in points of per cent of the intracranial volume "
        f"(eTIV){scaled} was regressed on the number of {say_list([kind.many for kind in kinds])} at the first scan, "
        f"by simple least squares{' in each group and in all persons together' * compared}.",
        chosen,
        study.change_source,
        study.lesion_source,
        "Slopes of two groups were compared as separate lines whose variances may differ (Welch)." if compared else "",
        f"Persons with a Cook's distance above 4/n (above 1 with more than {NOTABLE_UP_TO} persons) are named, and the "
        "regression is repeated without each of them; the slope of Theil and Sen and Spearman's rank correlation are "
        "given beside it.",
        "False discovery rates (q, Benjamini-Hochberg) are over all regions, for each span, kind of lesion and group.",
    )
    return tuple(sentence for sentence in sentences if sentence)


def baseline_limits(results: Sequence[SpanResult], missing: Sequence[tuple[LesionKind, float]]) -> tuple[str, ...]:
    """Return what the data cannot carry."""
    sentences = []
    smallest = min((int(row["n_sub"]) for result in results for row in _tested(result)), default=0)
    if 0 < smallest < 20:
        sentences.append(
            f"The smallest of these regressions has {say_count(smallest, 'person')}: single persons can make or hide a "
            "slope (see the rows without each of them)."
        )
    severe = {row[RESTS].person for result in results for row in _tested(result) if NOTE in row}
    if severe:
        sentences.append(f"A Cook's distance above 1 occurs in {say_some(sorted(severe))}.")
    sentences += [
        f"Change over {span:g} years could not be related to {kind.many}: nobody has both." for kind, span in missing
    ]
    return tuple(sentences)


def baseline_findings(result: SpanResult, patients: Patients, plan: Plan) -> list[str]:
    """Return the smallest p value of one kind of lesion and one span, what it rests on, and what stands."""
    tested = _tested(result)
    what = f"{result.kind.many} at baseline and change over {_years(result.span)}"
    if not tested:
        return [f"No slope of {what} could be tested."]
    best = min(tested, key=lambda row: float(row["p"]))
    interval = interval_of(best, plan.statistics.level)
    where = "" if patients.reference is None else f" in {_group(best)}"
    alpha = threshold(plan.statistics.level)
    first = (
        f"{what[0].upper()}{what[1:]}: clearest in the {say_region(best)}{where}, {say_cell(best, 'beta')} % eTIV a "
        f"lesion ({interval}; {say_chances(best)}; n = {best['n_sub']})."
    )
    adjusted = (
        f"; with an intercept of each group the slope is {say_cell(best, 'beta_adjusted')}, "
        f"{say_chance(best, 'p_adjusted')}"
        if has_number(best, "beta_adjusted")
        else ""
    )
    found = [
        f"There R2 = {best['r2']:.2f}, rank correlation {best['rho']:.2f} ({say_chance(best, 'p_spearman')}){adjusted}."
        f"{_how_firm(result, best)}",
        say_survivors(tested, "p", "q_bh", "These slopes", alpha, note=NOTE),
    ]
    compared = [row for row in tested if "p_difference" in row]
    if compared:
        differences = f"Differences from {patients.reference}"
        found.append(say_survivors(compared, "p_difference", "q_difference", differences, alpha, note=DIFFERENCE_NOTE))
    return [first, " ".join(found)]


def _how_firm(result: SpanResult, best: Row) -> str:
    """Say what the slope is without the influential person whose absence weakens it most."""
    rest: list[dict[str, Any]] = [
        dict(row)
        for row in result.rows
        if (row["roi"], row["group"]) == (best["roi"], best["group"]) and row["data"] != ALL_DATA
    ]
    if not rest:
        return ""
    worst = max(rest, key=lambda row: float(row.get("p", math.inf)))
    person = str(worst["data"]).removeprefix("without ")
    if "p" not in worst:
        return f" Without {person} there is no slope."
    return f" Without {person} the slope is {say_cell(worst, 'beta')} ({say_chance(worst)})."


def _tested(result: SpanResult) -> list[dict[str, Any]]:
    return [dict(row) for row in result.rows if row["data"] == ALL_DATA and "p" in row]


def _years(span: float) -> str:
    return f"{span:g} year{'' if span == 1 else 's'}"


def _group(row: Row) -> str:
    return "all groups together" if row["group"] == EVERYBODY else str(row["group"])


def baseline_figures(results: Sequence[SpanResult], study: Study, patients: Patients, plan: Plan) -> list[Figure]:
    """Return forest plots of all slopes, and the points of the regions with the smallest p values."""
    figures = [_forest(result, study, plan) for result in results if _tested(result)]
    kind = results[0].kind
    longest = max((result for result in results if result.kind is kind), key=lambda result: result.span)
    ranked = sorted(
        (row for row in _tested(longest) if row["group"] in patients.groups), key=lambda row: float(row["p"])
    )
    for region in list(dict.fromkeys(str(row["roi"]) for row in ranked))[:MOST_FIGURES]:
        lines = {name: longest.samples[region].lines[name] for name in patients.groups}
        panels = [ScatterPanel(name, line.x, line.y, line.note()) for name, line in lines.items() if len(line.x)]
        label, span = region_label(region), _years(longest.span)
        shown = "; ".join(f"{panel.group}: {say_count(len(panel.x), 'person')}, {panel.note}" for panel in panels)
        caption = (
            f"{label}: change over {span} and the number of {kind.many} at baseline. Each point is a person; line of "
            f"least squares with its {100 * plan.statistics.level:.0f} % confidence band. {shown}."
        )
        alt = (
            f"Points of the change of the {label.lower()} over {span} against {kind.many}, one panel a group. {shown}."
        )
        draw = partial(
            draw_scatter, panels, x_label=f"Number of {kind.many} at baseline",
            y_label=f"{label}\nchange over {span}, % of eTIV", groups=study.groups(), level=plan.statistics.level,
            footer_text="Simple regression.",
        )  # fmt: skip
        name = f"lesions_baseline_{_short(kind)}_{longest.span:g}y_{region}".replace(".", "p").replace("-", "_")
        figures.append(Figure(name, caption, alt, draw))
    return figures


def _short(kind: LesionKind) -> str:
    return "Gd" if kind is GADOLINIUM else "T2"


def _forest(result: SpanResult, study: Study, plan: Plan) -> Figure:
    """Draw slopes in units of the spread of the change, so that large and small regions share an axis."""
    main = [row for row in result.rows if row["data"] == ALL_DATA and row["group"] != EVERYBODY]
    entries = []
    for row in main:
        cells: Row = row
        lines = result.samples[str(row["roi"])].lines
        own = [line for name, line in lines.items() if name != EVERYBODY]
        spread = spread_of(own)
        value, low, high = (float(cells.get(name, math.nan)) / spread for name in ("beta", "ci_lo", "ci_hi"))
        text = ""
        if "beta" in cells:
            mark = " *" if NOTE in cells else ""
            text = f"{say_cell(cells, 'beta', 2)}, {say_chance(cells)}, n = {cells['n_obs']}{mark}"
        entries.append(ForestRow(region_label(str(row["roi"])), str(row["group"]), value, low, high, text))
    draw = partial(
        draw_forest, entries, groups=study.groups(),
        x_label=f"Slope: SD of the change over {_years(result.span)} for each {result.kind.one}",
        text_title="slope in % of eTIV, p, persons",
        footer_text="Simple regressions; slopes divided by the residual SD of the region.",
        mark_text="* Rests much on one person (Cook's distance above 1).",
    )  # fmt: skip
    tested = sum("beta" in row for row in main)
    caption = (
        f"Slopes of the change over {_years(result.span)} on the number of {result.kind.many} at baseline, by region "
        f"and group, with {100 * plan.statistics.level:.0f} % confidence intervals, in residual standard deviations of "
        f"the change ({tested} of {len(main)} slopes could be tested). Numbers beside: points of per cent of the "
        "intracranial volume for each lesion."
    )
    alt = f"Forest plot of {tested} slopes of the change over {_years(result.span)} on {result.kind.many} at baseline."
    name = f"lesions_baseline_{_short(result.kind)}_{result.span:g}y_slopes".replace(".", "p")
    return Figure(name, caption, alt, draw)
