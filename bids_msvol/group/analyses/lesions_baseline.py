# SPDX-License-Identifier: Apache-2.0
"""Lesions of the first scan and the change of volumes since: simple regressions by group, with what each rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.lesion_influence import add_notes
from bids_msvol.group.analyses.lesion_regression import (
    GADOLINIUM,
    NEW_T2,
    LesionKind,
    find_changes,
    fit_line,
)
from bids_msvol.group.analyses.lesions_baseline_models import (
    ALL_DATA,
    EVERYBODY,
    MOST_FLAGGED,
    NOTABLE_UP_TO,
    SpanResult,
    SpanSample,
    influence_rows,
    region_rows,
)
from bids_msvol.group.analyses.lesions_baseline_words import (
    baseline_figures,
    baseline_findings,
    baseline_limits,
    baseline_methods,
)
from bids_msvol.group.cells import without_hidden
from bids_msvol.group.people import Patients, find_patients, say_unscanned
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    GROUP,
    INTERVAL,
    NOTES,
    REGION,
    Analysis,
    CannotAnalyseError,
    Q,
    ResultTable,
    number,
    p_column,
    with_q,
)
from bids_msvol.group.wording import threshold

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "lesions_baseline"
TITLE = "Lesions at baseline and later change of volumes"

ALL_LESIONS = LesionKind("t2_count", "T2", "T2 lesion", "T2 lesions")

_COLUMNS = (
    Column("lesions", "Which lesions of the first session are counted."),
    Column("data", "Everybody (all), or without one person who has much influence."),
    REGION, GROUP, *COUNTS,
    Column("n_excluded", "Persons with such a pair of scans that lack the change or the count.", "integer"),
    number("beta", "Slope: change for each lesion, points of % of intracranial volume over the span."),
    number("se", "Standard error of the slope."), *INTERVAL,
    number("t", "t statistic."), Column("df", "Degrees of freedom.", "integer"), p_column(), Q, FAMILY,
    number("beta_adjusted", "Of all groups together: slope with an intercept of each group, so that it is not one "
           "between groups."),
    p_column("p_adjusted", "Its p value, not corrected."),
    number("r", "Correlation."), number("r2", "Share of the variance explained."),
    number("sigma", "Residual standard deviation."),
    p_column("p_hc3", "P value with HC3 standard errors."),
    number("theil_sen", "Slope of Theil and Sen: median of the slopes of all pairs."),
    number("theil_sen_lo", "Lower end of its confidence interval."),
    number("theil_sen_hi", "Upper end of its confidence interval."),
    number("rho", "Spearman's rank correlation."),
    p_column("p_spearman", "Its p value, exact up to 9 persons."),
    number("difference", "Slope less that of the reference group."),
    number("difference_lo", "Lower end of its confidence interval."),
    number("difference_hi", "Upper end of its confidence interval."),
    number("difference_df", "Degrees of freedom of the difference."),
    p_column("p_difference", "P value of the difference of separate lines, whose variances may differ (Welch)."),
    p_column("q_difference", "False discovery rate of these over the regions."),
    p_column("p_interaction", "P value of the difference in one model with equal variances."),
    Column("joint_test", "F test of all slopes being the same, with more than two groups.", optional=True),
    Column("p_joint", "Its p value.", "number", significant=4, optional=True),
    Column("q_joint", "False discovery rate of these over the regions.", "number", significant=4, optional=True),
    Column("n_flagged", "Persons with a Cook's distance above 4/n.", "integer"),
    number("largest_cook", "Largest Cook's distance."),
    number("largest_hat", "Largest hat value."),
    *NOTES,
)  # fmt: skip

INFLUENCE_TABLE = Table(
    "Persons with much influence on the regressions of change on lesions at baseline",
    "ols_baseline_influence.tsv",
    f"One row for each person with a Cook's distance above 4/n (above 1 with more than {NOTABLE_UP_TO} persons), "
    f"at most {MOST_FLAGGED} of a regression.",
    (
        Column("lesions", "Which lesions of the first session are counted."),
        number("span", "Years from the first scan.", "year"),
        REGION, GROUP,
        Column("participant_id", "The person."),
        number("n_lesions", "Number of lesions."),
        number("change", "Change, points of % of intracranial volume."),
        number("hat", "Leverage, from 0 to 1."),
        number("studentised", "Residual over its standard error from a fit without the person."),
        number("cooks_distance", "Cook's distance."),
        Column("severe", "Whether it is above 1 (yes, no)."),
        number("beta", "Slope of everybody."),
        number("beta_without", "Slope without the person."),
        p_column("p_without", "P value without the person."),
    ),
)  # fmt: skip


def table_of(short: str, span: str) -> Table:
    """Return the table of one kind of lesion and one span, such as ``T2`` and ``3y``."""
    return Table(
        f"Lesions at baseline ({short}) and change over {span}",
        f"ols_baseline{short}_{span}.tsv",
        "One row for each region and group, and again without each person who has much influence.",
        _COLUMNS,
    )


TABLES: tuple[Table, ...] = (
    *(table_of(short, span) for short in ("T2", "Gd") for span in ("1y", "3y")),
    INFLUENCE_TABLE,
)
"""With the spans that the plan has unless told otherwise."""


def analyse(study: Study, plan: Plan) -> Analysis:
    """Relate the lesions of the first scan to the change of volumes since.

    Raises
    ------
    CannotAnalyseError
        If nobody has lesions counted at the first scan and a scan at the end of a span.
    """
    patients = find_patients(study)
    kinds = _kinds(study, patients)
    if not kinds:
        raise CannotAnalyseError("no lesions were counted at the first scan of anybody")
    results = [
        found
        for kind in kinds
        for span in plan.intervals.spans_years
        if (found := _analyse_span(study, plan, patients, kind, span)) is not None
    ]
    if not results:
        spans = " or ".join(f"{span:g}" for span in plan.intervals.spans_years)
        raise CannotAnalyseError(f"nobody has lesions counted at the first scan and a scan {spans} years later")
    influence = tuple(row for result in results for row in influence_rows(result, plan.statistics.level))
    tables = [
        ResultTable(
            table_of("Gd" if result.kind is GADOLINIUM else "T2", span_name(result.span)),
            without_hidden(result.rows),
            _sidecar(result, plan, patients),
        )
        for result in results
    ]
    tables.append(ResultTable(INFLUENCE_TABLE, influence, {"Flagged": "Cook's distance above 4/n"}))
    missing = [
        (kind, span)
        for kind in kinds
        for span in plan.intervals.spans_years
        if not any(result.kind is kind and result.span == span for result in results)
    ]
    return Analysis(
        NAME,
        TITLE,
        "Does a region lose more volume in persons who had more lesions at the first scan?",
        baseline_methods(study, plan, patients, kinds),
        tuple(sentence for result in results for sentence in baseline_findings(result, patients, plan)),
        (
            *patients.limits,
            *say_unscanned(study, patients.group.index[patients.group.notna()]),
            *baseline_limits(results, missing),
        ),
        tuple(tables),
        tuple(baseline_figures(results, study, patients, plan)),
    )


def span_name(years: float) -> str:
    """Return ``3y``, ``1p5y``: part of a file name."""
    return f"{years:g}y".replace(".", "p")


def _kinds(study: Study, patients: Patients) -> list[LesionKind]:
    """Return the counts used: new T2 lesions where most persons have them at the first scan, else all T2 lesions."""
    first = study.sessions[(study.sessions["years"] == 0.0) & study.sessions["has_scan"]]
    first = first[np.isin(patients.of(first["participant_id"]).astype(str), patients.groups)]
    known = {kind.column: int(first[kind.column].notna().sum()) for kind in (NEW_T2, ALL_LESIONS, GADOLINIUM)}
    kinds = []
    if known["new_t2"] and 2 * known["new_t2"] >= known["t2_count"]:
        kinds.append(NEW_T2)
    elif known["t2_count"]:
        kinds.append(ALL_LESIONS)
    return [*kinds, GADOLINIUM] if known["gd"] else kinds


def _analyse_span(study: Study, plan: Plan, patients: Patients, kind: LesionKind, span: float) -> SpanResult | None:
    pairs = study.spans(span, plan.intervals.span_tolerance_days).reset_index(drop=True)
    pairs = pairs[np.isin(patients.of(pairs["participant_id"]).astype(str), patients.groups)].reset_index(drop=True)
    if pairs.empty:
        return None
    change = find_changes(study, pairs, plan.regions.atrophy)
    if plan.intervals.per_year:
        change = change.mul(span / pairs["years"].to_numpy(), axis=0)
    lesions = study.sessions.loc[pairs["from_row"], kind.column].to_numpy(dtype=float)
    if np.isnan(lesions).all():
        return None
    samples = {
        region: _sample(pairs, change[region].to_numpy(dtype=float), lesions, kind, patients, plan.statistics.level)
        for region in plan.regions.atrophy
    }
    rows: list[dict[str, object]] = []
    for region, sample in samples.items():
        rows += region_rows(region, sample, kind, patients, plan.statistics.level)
    # Rows without a person ask whether a result is firm: they are no further tests.
    done = with_q([{**row, "_p": row.get("p") if row["data"] == ALL_DATA else None} for row in rows], "_p")
    done = with_q(done, "p_difference", "q_difference", "_difference")
    done = with_q(done, "p_joint", "q_joint", "_joint")
    alpha = threshold(plan.statistics.level)
    add_notes(done, "_p", "q_bh", "family", alpha)
    add_notes(done, "p_difference", "q_difference", "_difference", alpha, of_difference=True)
    return SpanResult(kind, span, samples, done)


def _sample(
    pairs: pd.DataFrame, change: NDArray[np.float64], lesions: NDArray[np.float64], kind: LesionKind,
    patients: Patients, level: float,
) -> SpanSample:  # fmt: skip
    group = patients.of(pairs["participant_id"])
    person = pairs["participant_id"].to_numpy(dtype=object)
    complete = ~np.isnan(change) & ~np.isnan(lesions)
    chosen = {name: group == name for name in patients.groups}
    if len(patients.groups) > 1:
        chosen = {EVERYBODY: np.ones(len(group), dtype=bool), **chosen}
    lines = {
        name: fit_line(change[own & complete], lesions[own & complete], person[own & complete], kind.many, level)
        for name, own in chosen.items()
    }
    return SpanSample(lines, {name: int(np.count_nonzero(own & ~complete)) for name, own in chosen.items()})


def _sidecar(result: SpanResult, plan: Plan, patients: Patients) -> dict[str, Any]:
    scaled = f", divided by the years between the scans and multiplied by {result.span:g}"
    return {
        "Formula": f"change over {result.span:g} years ~ {result.kind.column} of the first session",
        "Estimator": "least squares, for each group and all together",
        "Unit": "points of per cent of the intracranial volume" + (scaled if plan.intervals.per_year else ""),
        "SpanYears": result.span,
        "SpanToleranceDays": plan.intervals.span_tolerance_days,
        "ReferenceGroup": patients.reference,
        "Families": "q_bh: the slopes of one group in all regions, everybody included; q_difference: the differences "
        "of one group from the reference in all regions; q_joint: all regions",
        "ConfidenceLevel": plan.statistics.level,
    }
