# SPDX-License-Identifier: Apache-2.0
"""Volumes of the groups at the first scan, compared by analysis of covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, cast

from bids_msvol.group.analyses.head_size import LEAST_CONTROLS, Scans, first_scans, learns_from_controls
from bids_msvol.group.analyses.volume_tables import (
    MEANS,
    METHODS,
    OMNIBUS,
    Q_LIMIT,
    TABLE,
    THICKNESS,
    RegionFit,
    adjusted_for,
    comparison_rows,
    fit_region,
    mean_rows,
)
from bids_msvol.group.figures.volumes import Comparison, draw_forest
from bids_msvol.group.regions import region_label
from bids_msvol.group.result import Analysis, CannotAnalyseError, Figure, ResultTable, with_q
from bids_msvol.group.wording import say_count, say_interval, say_list, say_number, say_p

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
    if "etiv_ml" not in scans.covariates and method != "none":
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
    methods = _methods(scans, study, method, plan)
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


def _methods(scans: Scans, study: Study, method: HeadSize, plan: Plan) -> tuple[str, ...]:
    reference = scans.groups[0]
    slope = (
        f"a regression on intracranial volume in {reference}"
        if learns_from_controls(scans.table[scans.complete(scans.covariates)], reference)
        else f"a regression on intracranial volume and group in all, controls being fewer than {LEAST_CONTROLS}"
    )
    sentences = [
        f"Volumes of the first usable scan of each person were compared between {say_list(scans.groups)} by analysis "
        f"of covariance, adjusted for {scans.saying(adjusted_for(scans, method))}; "
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
    if len(scans.groups) > 2:
        tested = [row for row in rows if row["comparison"] == OMNIBUS and row.get("p") is not None]
        if tested:
            best = min(tested, key=lambda row: _of(row, "p"))
            sentences.append(
                f"The groups differed in {_kept(tested)}; most in the {_label(best)} (partial eta squared "
                f"{say_number(_of(best, 'partial_eta2'), 2)}, F({_of(best, 'df_between'):.0f}, {_of(best, 'df'):.0f}) "
                f"= {_of(best, 'statistic'):.2f}, {say_p(_of(best, 'p'))}, {say_p(_of(best, 'q_bh'), 'q')}, "
                f"n = {best['n_sub']})."
            )
    reference = scans.groups[0]
    for group in scans.groups[1:5]:
        tested = [
            row
            for row in rows
            if (row.get("reference"), row.get("group")) == (reference, group) and row.get("p") is not None
        ]
        if not tested:
            sentences.append(f"{group} could not be compared with {reference}.")
            continue
        best = min(tested, key=lambda row: _of(row, "p"))
        level = plan.statistics.level
        sentences.append(
            f"Compared with {reference} (n = {best['n_reference']}), {group} (n = {best['n_group']}) differed in "
            f"{_kept(tested)}; most in the {_label(best)}: {say_number(_of(best, 'pct'), 2)} % "
            f"({say_interval(_of(best, 'pct_ci_lo'), _of(best, 'pct_ci_hi'), level, 2)}), Hedges' g "
            f"{say_number(_of(best, 'hedges_g'), 2)} "
            f"({say_interval(_of(best, 'g_ci_lo'), _of(best, 'g_ci_hi'), level, 2)}), {say_p(_of(best, 'p'))}, "
            f"{say_p(_of(best, 'q_bh'), 'q')}."
        )
    pairs = [row for row in rows if row.get("reference") == reference and _below(row, "q_bh")]
    if pairs:
        every = [f"p_{way}" for way in METHODS] + ["p_hc3"]
        stand = sum(all(row.get(name) is None or _below(row, name) for name in every) for row in pairs)
        sentences.append(
            f"Of the {say_count(len(pairs), 'difference')} from {reference} with q at most {Q_LIMIT}, {stand} had "
            f"p at most {Q_LIMIT} also with HC3 errors and with every way to account for head size."
        )
    return tuple(sentences)


def _kept(tested: Sequence[Mapping[str, object]]) -> str:
    """Say how many of the regions stand after correction."""
    kept = [_label(row) for row in sorted(tested, key=lambda row: _of(row, "p")) if _below(row, "q_bh")]
    named = say_list(kept if len(kept) <= 5 else [*kept[:4], f"{len(kept) - 4} more"])
    said = f"{len(kept)} of {say_count(len(tested), 'region')} after correction (q at most {Q_LIMIT})"
    return f"{said}: {named}" if kept else said


def _label(row: Mapping[str, object]) -> str:
    name = str(row["roi"])
    label = "mean cortical thickness" if name == THICKNESS else region_label(name)
    return label[0].lower() + label[1:]


def _of(row: Mapping[str, object], name: str) -> float:
    value = row.get(name)
    return float("nan") if value is None else float(cast(float, value))


def _below(row: Mapping[str, object], name: str) -> bool:
    return _of(row, name) <= Q_LIMIT


def _figure(rows: Sequence[Mapping[str, object]], scans: Scans, level: float) -> Figure:
    # With more than three groups, all pairs would be too many panels: those with the reference are drawn.
    reference = scans.groups[0]
    wanted = list(combinations(scans.groups, 2))
    if len(scans.groups) > 3:
        wanted = [pair for pair in wanted if pair[0] == reference]
    names = list(dict.fromkeys(str(row["roi"]) for row in rows))
    labels = ["Mean cortical thickness" if name == THICKNESS else region_label(name) for name in names]
    panels = []
    for pair in wanted:
        here = {str(row["roi"]): row for row in rows if (row.get("reference"), row.get("group")) == pair}
        counts = [max(int(_of(row, name)) for row in here.values()) for name in ("n_reference", "n_group")]
        panels.append(
            Comparison(
                title=f"{pair[1]} against {pair[0]}\nn = {counts[1]} and {counts[0]}",
                group=pair[1],
                effects=tuple(
                    (_of(here[name], "hedges_g"), _of(here[name], "g_ci_lo"), _of(here[name], "g_ci_hi"))
                    for name in names
                ),
                stands=tuple(_below(here[name], "q_bh") for name in names),
            )
        )
    caption = (
        f"Differences of adjusted mean volumes in standard deviations (Hedges' g) with {100 * level:.0f} % confidence "
        f"intervals. Filled: q at most {Q_LIMIT} within the comparison. "
        + " ".join(f"{panel.title.replace(chr(10), ', ')}." for panel in panels)
    )
    return Figure(
        "group_volumes_forest",
        caption,
        "One row for each region: a mark for the difference between two groups and a line for its interval; zero is a "
        "vertical line.",
        partial(draw_forest, labels, tuple(panels), scans.groups, level),
    )
