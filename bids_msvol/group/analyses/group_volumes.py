# SPDX-License-Identifier: Apache-2.0
"""Volumes of the groups at the first scan, compared by analysis of covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

from bids_msvol.group.analyses.group_volumes_fits import (
    MEANS,
    METHODS,
    OMNIBUS,
    TABLE,
    RegionFit,
    adjusted_for,
    comparison_rows,
    fit_region,
    mean_rows,
)
from bids_msvol.group.analyses.head_size import LEAST_CONTROLS, Scans, first_scans, learns_from_controls
from bids_msvol.group.cells import (
    THICKNESS,
    as_count,
    as_float,
    has_number,
    interval_of,
    say_cell,
    say_chances,
    say_region,
    structure_label,
)
from bids_msvol.group.covariates import LABELS
from bids_msvol.group.figures.volumes import Comparison, draw_forest
from bids_msvol.group.result import Analysis, CannotAnalyseError, Figure, ResultTable, with_q
from bids_msvol.group.wording import say_count, say_list, say_some, threshold

if TYPE_CHECKING:
    from bids_msvol.group.plan import HeadSize, Plan
    from bids_msvol.group.study import Study

NAME = "group_volumes"
TITLE = "Volumes of the groups"

IN_WORDS: Mapping[str, str] = {
    "covariate": "intracranial volume was a covariate",
    "residual": "volumes were adjusted to the mean intracranial volume by the slope of {slope}",
    "proportion": "volumes were divided by the intracranial volume and multiplied by its mean",
    "none": "volumes were not adjusted for head size",
}

MOST_NAMED = 3
"""Regions that a sentence names; the others are counted."""

TABLES = (TABLE, MEANS)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Compare volumes of the first usable scan between groups."""
    if study.volumes_mm3.empty:
        raise CannotAnalyseError("no scan has volumes that may be used")
    scans = first_scans(study, study.volumes_mm3.index)
    if len(scans.groups) < 2:
        raise CannotAnalyseError("volumes are compared between groups, and there is one group only")
    method = plan.statistics.head_size
    limits = list(scans.limits)
    if "etiv_ml" not in scans.covariates.names and method != "none":
        method = "none"
        limits.append("Without intracranial volumes nothing could be adjusted for head size.")
    regions = [
        fit_region(name, scans, study.volumes_mm3.get(name), method, plan.statistics.level)
        for name in plan.regions.volumes
    ]
    regions += _thickness(study, plan)
    if all(region.fit is None for region in regions):
        raise CannotAnalyseError(
            f"no region could be compared: {regions[0].warning}" if regions else "the plan names no regions"
        )
    pairs = list(combinations(scans.groups, 2))
    means = tuple(mean_rows(regions, scans.groups))
    rows = with_q([row for region in regions for row in comparison_rows(region, pairs)])
    methods = _methods(scans, study, method)
    sidecar = {
        "Formula": f"volume ~ group + {' + '.join(adjusted_for(scans, method)) or '1'}",
        "Estimator": "ordinary least squares",
        "HeadSize": method,
        "Families": "one comparison over all regions, Benjamini-Hochberg",
        "ConfidenceLevel": plan.statistics.level,
    }
    limits.append(
        "An intracranial volume that was estimated from the brain shrinks with it, and then hides part of a loss."
    )
    return Analysis(
        name=NAME,
        title=TITLE,
        question="In which regions do the groups differ in volume at the first scan, beyond head size, age and sex?",
        methods=methods,
        findings=_findings(rows, scans, plan),
        limits=tuple(limits),
        tables=(
            ResultTable(TABLE, rows, sidecar),
            ResultTable(MEANS, means, sidecar),
        ),
        figures=(_figure(rows, scans, plan.statistics.level),),
    )


def _thickness(study: Study, plan: Plan) -> list[RegionFit]:
    """Mean cortical thickness hardly depends on head size and is not adjusted for it."""
    if study.thickness_mm.empty or "mean" not in study.thickness_mm or study.thickness_mm["mean"].isna().all():
        return []
    measured = study.thickness_mm["mean"].dropna()
    scans = first_scans(study, measured.index)
    return [fit_region(THICKNESS, scans, measured, "none", plan.statistics.level, unit="mm")]


def _methods(scans: Scans, study: Study, method: HeadSize) -> tuple[str, ...]:
    reference = scans.groups[0]
    slope = (
        f"a regression on intracranial volume in {reference}"
        if learns_from_controls(scans.covariates.complete(scans.table), reference)
        else f"a regression on intracranial volume and group in all, controls being fewer than {LEAST_CONTROLS}"
    )
    adjusted = say_list([LABELS[name] for name in adjusted_for(scans, method)]) or "nothing"
    sentences = [
        f"Volumes of the first usable scan of each person were compared between {say_list(scans.groups)} by analysis "
        f"of covariance, adjusted for {adjusted}; "
        f"{IN_WORDS[method].format(slope=slope)}.",
        "All groups were compared by an F test with partial eta squared, and every pair by its difference of adjusted "
        "means, in per cent of the first group's, and as Hedges' g over the standard deviation of the error.",
        "P values were corrected for the number of regions within each comparison (Benjamini-Hochberg q).",
        "Beside each p stand those with HC3 standard errors and with the other ways to account for head size.",
    ]
    if not study.thickness_mm.empty:
        sentences.append("Cortical thickness was not adjusted for head size.")
    return tuple(sentences)


def _findings(rows: Sequence[Mapping[str, object]], scans: Scans, plan: Plan) -> tuple[str, ...]:
    sentences = []
    alpha = threshold(plan.statistics.level)
    if len(scans.groups) > 2:
        tested = [row for row in rows if row["comparison"] == OMNIBUS and has_number(row)]
        if tested:
            best = min(tested, key=lambda row: as_float(row, "p"))
            sentences.append(
                f"The groups differed in {_kept(tested, alpha)}; most in the {say_region(best)} (partial eta squared "
                f"{say_cell(best, 'partial_eta2', 2)}, F({as_float(best, 'df_between'):.0f}, "
                f"{as_float(best, 'df'):.0f}) = {as_float(best, 'statistic'):.2f}, {say_chances(best)}, "
                f"n = {best['n_sub']})."
            )
    reference = scans.groups[0]
    for group in scans.groups[1:5]:
        tested = [
            row for row in rows if (row.get("reference"), row.get("group")) == (reference, group) and has_number(row)
        ]
        if not tested:
            sentences.append(f"{group} could not be compared with {reference}.")
            continue
        best = min(tested, key=lambda row: as_float(row, "p"))
        level = plan.statistics.level
        sentences.append(
            f"Compared with {reference} (n = {best['n_reference']}), {group} (n = {best['n_group']}) differed in "
            f"{_kept(tested, alpha)}; most in the {say_region(best)}: {say_cell(best, 'pct', 2)} % "
            f"({interval_of(best, level, 'pct_ci_lo', 'pct_ci_hi', digits=2)}), Hedges' g "
            f"{say_cell(best, 'hedges_g', 2)} ({interval_of(best, level, 'g_ci_lo', 'g_ci_hi', digits=2)}), "
            f"{say_chances(best)}."
        )
    pairs = [row for row in rows if row.get("reference") == reference and _below(row, "q_bh", alpha)]
    if pairs:
        # Without any adjustment is no way to account for head size.
        every = [*(f"p_{way}" for way in METHODS if way != "none"), "p_hc3"]
        stand = sum(all(row.get(name) is None or _below(row, name, alpha) for name in every) for row in pairs)
        known = any(row.get("p_proportion") is not None for row in pairs)
        ways = " and with every way to account for head size (covariate, residual, proportion)" if known else ""
        sentences.append(
            f"Of the {say_count(len(pairs), 'difference')} from {reference} with q below {alpha:g}, {stand} had p "
            f"below {alpha:g} also with HC3 errors{ways}."
        )
    return tuple(sentences)


def _kept(tested: Sequence[Mapping[str, object]], alpha: float) -> str:
    """Say how many of the regions stand after correction."""
    kept = [say_region(row) for row in sorted(tested, key=lambda row: as_float(row, "p")) if _below(row, "q_bh", alpha)]
    said = f"{len(kept)} of {say_count(len(tested), 'region')} after correction (q < {alpha:g})"
    return f"{said}: {say_some(kept, MOST_NAMED)}" if kept else said


def _below(row: Mapping[str, object], name: str, alpha: float) -> bool:
    return as_float(row, name) < alpha


def _figure(rows: Sequence[Mapping[str, object]], scans: Scans, level: float) -> Figure:
    # With more than three groups, all pairs would be too many panels: those with the reference are drawn.
    reference = scans.groups[0]
    wanted = list(combinations(scans.groups, 2))
    if len(scans.groups) > 3:
        wanted = [pair for pair in wanted if pair[0] == reference]
    names = list(dict.fromkeys(str(row["roi"]) for row in rows))
    labels = [structure_label(name) for name in names]
    panels = []
    for pair in wanted:
        here = {str(row["roi"]): row for row in rows if (row.get("reference"), row.get("group")) == pair}
        counts = [max(as_count(row, name) for row in here.values()) for name in ("n_reference", "n_group")]
        panels.append(
            Comparison(
                title=f"{pair[1]} against {pair[0]}\nn = {counts[1]} and {counts[0]}",
                group=pair[1],
                effects=tuple(
                    (as_float(here[name], "hedges_g"), as_float(here[name], "g_ci_lo"), as_float(here[name], "g_ci_hi"))
                    for name in names
                ),
                stands=tuple(_below(here[name], "q_bh", threshold(level)) for name in names),
            )
        )
    caption = (
        f"Differences of adjusted mean volumes in standard deviations (Hedges' g) with {100 * level:.0f} % confidence "
        f"intervals. Filled: q < {threshold(level):g} within the comparison. "
        + " ".join(f"{panel.title.replace(chr(10), ', ')}." for panel in panels)
    )
    return Figure(
        "group_volumes_forest",
        caption,
        "One row for each region: a mark for the difference between two groups and a line for its interval; zero is a "
        "vertical line.",
        partial(draw_forest, labels, tuple(panels), scans.groups, level),
    )
