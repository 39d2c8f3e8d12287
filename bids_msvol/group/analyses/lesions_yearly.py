# SPDX-License-Identifier: Apache-2.0
"""New lesions and the change of volumes over the same year: a mixed model of patient-years, slopes by group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.lesion_influence import DIFFERENCE_RESTS, RESTS, add_notes, choose_rest
from bids_msvol.group.analyses.lesion_regression import (
    GADOLINIUM,
    NEW_T2,
    LesionKind,
    find_changes,
    fit_line,
    line_checks,
    line_warnings,
    slope_difference,
    slope_of,
    variance_check,
)
from bids_msvol.group.analyses.lesions_yearly_levels import LEVELS_TABLE, levels_limits, levels_rows, levels_sidecar
from bids_msvol.group.analyses.lesions_yearly_models import (
    YearModels,
    YearRest,
    YearSample,
    fit_models,
    fit_without,
    p_of,
)
from bids_msvol.group.analyses.lesions_yearly_words import (
    yearly_figures,
    yearly_findings,
    yearly_limits,
    yearly_methods,
)
from bids_msvol.group.cells import without_hidden
from bids_msvol.group.people import Patients, find_patients
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
    estimate_cells,
    number,
    p_column,
    with_q,
)
from bids_msvol.group.wording import threshold
from bids_msvol.stats.mixed_model import MixedFit
from bids_msvol.stats.regression import LinearFit, compare_slopes

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "lesions_yearly"
TITLE = "New lesions and change of volumes in the same year"

_COLUMNS = (
    REGION, GROUP, *COUNTS,
    Column("n_with_lesions", "Observations with at least one lesion.", "integer"),
    Column("n_sub_with_lesions", "Persons with such an observation.", "integer"),
    Column("n_excluded", "Intervals of about a year that lack the change or the count.", "integer"),
    Column("estimator", "How the model was fitted."),
    number("beta", "Slope: change for each lesion, points of % of intracranial volume (a year, if the plan says so)."),
    number("se", "Standard error of the slope."), *INTERVAL,
    number("df", "Degrees of freedom of the slope (Satterthwaite)."), p_column(), Q, FAMILY,
    Column("without", "Person with most influence (the largest Cook's distance in the group's simple regression)."),
    number("beta_without", "Slope without that person; n/a if then there is none."),
    p_column("p_without", "Its p value."),
    number("difference", "Slope less that of the reference group."),
    number("difference_lo", "Lower end of its confidence interval."),
    number("difference_hi", "Upper end of its confidence interval."),
    number("difference_df", "Degrees of freedom of the difference."),
    p_column("p_interaction", "Two-sided p value of the difference, in the same model."),
    p_column("q_interaction", "False discovery rate of these over the regions."),
    Column("difference_without", "Person of either group with a Cook's distance above 1, the one with the largest."),
    number("difference_rest", "Difference of the slopes without that person; n/a if then there is none."),
    p_column("p_interaction_without", "Its p value."),
    p_column("p_welch", "P value of the difference between separate lines, whose variances may differ (Welch)."),
    Column("joint_test", "F test of all slopes being the same, with more than two groups.", optional=True),
    Column("p_joint", "Its p value.", "number", significant=4, optional=True),
    Column("q_joint", "False discovery rate of these over the regions.", "number", significant=4, optional=True),
    number("sigma_g", "Residual standard deviation of the group about its own line."),
    number("icc", "Share of the variance that lies between persons."),
    Column("singular", "Whether the variance between persons was estimated as zero (yes, no)."),
    number("r", "Correlation in the group, as in the figures (simple regression)."),
    p_column("p_simple", "P value of the simple regression of the group."),
    p_column("p_ols", "P value of the slope without random intercepts (least squares)."),
    p_column("p_ols_interaction", "P value of the difference without random intercepts."),
    p_column("p_hc3", "P value of the slope by least squares with HC3 standard errors."),
    p_column("p_hc3_interaction", "P value of the difference with HC3 standard errors."),
    number("beta_person", "Slope between the means of persons."),
    p_column("p_person", "Its p value."),
    p_column("p_person_interaction", "P value of the difference of the slopes between the means of persons."),
    *NOTES,
)  # fmt: skip


def _table(kind: LesionKind) -> Table:
    return Table(
        f"Yearly change and {kind.many}",
        f"lme_{kind.short}.tsv",
        f"One row for each region and group: the slope of yearly change on the number of {kind.many}.",
        _COLUMNS,
    )


TABLES: tuple[Table, ...] = (_table(NEW_T2), _table(GADOLINIUM), LEVELS_TABLE)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Relate the lesions of each year to the change of volumes over it.

    Raises
    ------
    CannotAnalyseError
        If no interval of about a year has both.
    """
    patients = find_patients(study)
    years = study.intervals[study.intervals["is_year"].astype(bool)].reset_index(drop=True)
    if years.empty or not patients.groups:
        raise CannotAnalyseError("no patient has two sessions about a year apart")
    change = find_changes(study, years, plan.regions.atrophy)
    if plan.intervals.per_year:
        change = change.div(years["years"].to_numpy(), axis=0)
    of_patient = np.isin(patients.of(years["participant_id"]).astype(str), patients.groups)
    measured = of_patient & change.notna().any(axis=1).to_numpy()
    counted = [kind for kind in (NEW_T2, GADOLINIUM) if years.loc[measured, kind.column].notna().any()]
    if not counted:
        raise CannotAnalyseError("no interval of about a year has both a change of volume and a count of new lesions")
    tables, figures, findings = [], [], []
    for kind in counted:
        samples = {
            region: _sample(years, change[region], kind, patients, plan.statistics.level)
            for region in plan.regions.atrophy
        }
        rows = _rows(samples, kind, patients, plan)
        tables.append(ResultTable(_table(kind), without_hidden(rows), _sidecar(kind, plan, patients)))
        findings += yearly_findings(rows, kind, patients, plan)
        figures += yearly_figures(rows, samples, kind, study, plan, scatter=kind is counted[0])
    levels = levels_rows(study, plan, patients, counted)
    if levels:
        tables.append(ResultTable(LEVELS_TABLE, levels, levels_sidecar(patients)))
    return Analysis(
        NAME,
        TITLE,
        "Does a region lose more volume in years with more new lesions, and does this differ between groups?",
        yearly_methods(study, plan, patients, counted, with_levels=bool(levels)),
        tuple(findings),
        (*patients.limits, *yearly_limits(counted, tables, plan), *(levels_limits(study, patients) if levels else ())),
        tuple(tables),
        tuple(figures),
    )


def _sample(
    years: pd.DataFrame, change: pd.Series[float], kind: LesionKind, patients: Patients, level: float
) -> YearSample:
    group = patients.of(years["participant_id"])
    lesions = years[kind.column].to_numpy(dtype=float)
    values = change.to_numpy(dtype=float)
    person = years["participant_id"].to_numpy(dtype=object)
    complete = ~np.isnan(lesions) & ~np.isnan(values)
    lines = {}
    for name in patients.groups:
        own = complete & (group == name)
        lines[name] = fit_line(values[own], lesions[own], person[own], kind.many, level)
    kept = complete & np.isin(group.astype(str), patients.groups)
    excluded = {name: int(np.count_nonzero(~complete & (group == name))) for name in patients.groups}
    return YearSample(values[kept], lesions[kept], person[kept], group[kept], lines, excluded)


def _rows(
    samples: Mapping[str, YearSample], kind: LesionKind, patients: Patients, plan: Plan
) -> tuple[dict[str, object], ...]:
    rows: list[dict[str, object]] = []
    for region, sample in samples.items():
        models = fit_models(sample, plan.statistics.level)
        rests = fit_without(sample, kind.many, plan.statistics.level)
        joint = _joint_cells(models.main, [name for name, line in sample.lines.items() if line.fit is not None])
        for name in patients.groups:
            rows.append(
                {
                    "roi": region,
                    "group": name,
                    "family": f"{kind.many}, slope in {name}, all regions",
                    "_interaction": f"{kind.many}, difference of {name}, all regions",
                    "_joint": f"{kind.many}, all regions",
                    **_row(sample, models, kind, name, patients.reference),
                    **_rest_cells(models, rests, name, patients.reference),
                    **(joint if len(patients.groups) > 2 and name == patients.groups[0] else {}),
                }
            )
    done = with_q(rows)
    done = with_q(done, "p_interaction", "q_interaction", "_interaction")
    done = with_q(done, "p_joint", "q_joint", "_joint")
    alpha = threshold(plan.statistics.level)
    add_notes(done, "p", "q_bh", "family", alpha)
    add_notes(done, "p_interaction", "q_interaction", "_interaction", alpha, of_difference=True)
    return done


def _rest_cells(
    models: YearModels, rests: Mapping[str, YearRest], group: str, reference: str | None
) -> dict[str, object]:
    """Return the slope and the difference without the person on whom each rests most."""
    cells: dict[str, object] = {}
    if models.main is None:
        return cells
    if group in rests and set(slope_of(group)) <= set(models.main.names):
        own = rests[group].rest(slope_of(group), group)
        cells |= {RESTS: own, "without": own.person, "beta_without": own.value, "p_without": own.p}
    if reference is None or group == reference:
        return cells
    weights = slope_difference(group, reference)
    of_pair = [rests[name].rest(weights, name) for name in (group, reference) if name in rests]
    rest = choose_rest(of_pair)
    if rest is not None and set(weights) <= set(models.main.names):
        cells |= {
            DIFFERENCE_RESTS: rest, "difference_without": rest.person, "difference_rest": rest.value,
            "p_interaction_without": rest.p,
        }  # fmt: skip
    return cells


def _row(
    sample: YearSample, models: YearModels, kind: LesionKind, group: str, reference: str | None
) -> dict[str, object]:
    line = sample.lines[group]
    bearing = line.x > 0.0
    warnings, checks = line_warnings(line, kind.many), line_checks(line)
    row: dict[str, object] = {
        "n_obs": len(line.x),
        "n_sub": len(set(line.persons)),
        "n_with_lesions": int(bearing.sum()),
        "n_sub_with_lesions": len(set(line.persons[bearing])),
        "n_excluded": sample.n_excluded[group],
        "sigma_g": line.sigma,
        "r": line.r,
        "p_simple": math.nan if line.slope is None else line.slope.p,
    }
    slope = slope_of(group)
    if line.fit is not None and models.main is not None:
        main = models.main
        estimate = main.contrast(slope)
        row |= {"beta": estimate.value, **estimate_cells(estimate), **_variance_cells(main)}
        if isinstance(main, MixedFit) and main.singular:
            warnings.append("singular: no variance between persons")
        if models.persons is not None and set(slope) <= set(models.persons.names):
            row["beta_person"] = models.persons.contrast(slope).value
    elif line.fit is not None:
        warnings.append(f"not tested: {models.failure}")
    row |= {"p_ols": p_of(models.ols, slope), "p_hc3": line.p_hc3, "p_person": p_of(models.persons, slope)}
    if reference is not None and group != reference:
        row |= _difference_cells(sample, models, group, reference)
        text, unequal = variance_check(line, sample.lines[reference], reference)
        checks += [text] if text else []
        if unequal:
            warnings.append("variances of the groups differ: p_welch holds for the difference, p_interaction does not")
        if sample.lines[reference].fit is None:
            warnings.append(f"no slope in {reference} to compare with")
    return row | {"assumptions": "; ".join(checks), "warning": "; ".join(warnings)}


def _variance_cells(main: MixedFit | LinearFit) -> dict[str, object]:
    if isinstance(main, LinearFit):
        return {"estimator": "least squares (one interval a person)"}
    return {"estimator": "REML", "icc": main.icc, "singular": "yes" if main.singular else "no"}


def _difference_cells(sample: YearSample, models: YearModels, group: str, reference: str) -> dict[str, object]:
    one, other = sample.lines[reference].fit, sample.lines[group].fit
    if models.main is None or one is None or other is None:
        return {}
    weights = slope_difference(group, reference)
    found = models.main.contrast(weights)
    return {
        "difference": found.value, "difference_lo": found.low, "difference_hi": found.high, "difference_df": found.df,
        "p_interaction": found.p, "p_welch": compare_slopes(one, other, "x").p,
        "p_ols_interaction": p_of(models.ols, weights), "p_hc3_interaction": p_of(models.hc3, weights),
        "p_person_interaction": p_of(models.persons, weights),
    }  # fmt: skip


def _joint_cells(main: MixedFit | LinearFit | None, groups: list[str]) -> dict[str, object]:
    if main is None or len(groups) < 2:
        return {}
    test = main.joint_test([slope_difference(name, groups[0]) for name in groups[1:]])
    return {"joint_test": f"F({test.df_between:.0f}, {test.df_within:.1f}) = {test.f:.3g}", "p_joint": test.p}


def _sidecar(kind: LesionKind, plan: Plan, patients: Patients) -> dict[str, Any]:
    rate = " / years" if plan.intervals.per_year else ""
    return {
        "Formula": f"change{rate} ~ {kind.column} * group + (1 | person)",
        "Estimator": "REML, random intercept",
        "DegreesOfFreedom": "Satterthwaite",
        "Unit": "points of per cent of the intracranial volume" + (" a year" if plan.intervals.per_year else ""),
        "LesionLag": plan.activity.lesion_lag,
        "ReferenceGroup": patients.reference,
        "Families": "q_bh: the slopes of one group in all regions; q_interaction: the differences of one group from "
        "the reference in all regions; q_joint: all regions",
        "ConfidenceLevel": plan.statistics.level,
    }
