# SPDX-License-Identifier: Apache-2.0
"""Volumes without differences in lesions_yearly: each scan by time and by the new lesions seen until then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.lesion_regression import FEW_WITH_LESIONS, LesionKind
from bids_msvol.group.cells import without_hidden
from bids_msvol.group.checks import join_notes
from bids_msvol.group.covariates import Covariates, choose_covariates, covariate_columns, say_adjusted, say_not_adjusted
from bids_msvol.group.people import Patients
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    GROUP,
    INTERVAL,
    NOTES,
    REGION,
    Q,
    estimate_cells,
    number,
    p_column,
    with_q,
)
from bids_msvol.stats.mixed_model import MixedFit, fit_mixed

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

LEVELS_TABLE = Table(
    "Volumes and the new lesions since the first scan",
    "lme_levels.tsv",
    "One row for each kind of lesion, region and group: the slope of the volume on the number of new lesions so far.",
    (
        Column("lesions", "Which lesions are counted, from the first session on, without those of the first session."),
        REGION, GROUP, *COUNTS,
        Column("n_excluded", "Scans that lack the volume, the count or a covariate.", "integer"),
        number("beta", "Slope: volume for each new lesion, points of % of intracranial volume."),
        number("se", "Standard error."), *INTERVAL,
        number("df", "Degrees of freedom (Satterthwaite)."), p_column(), Q, FAMILY,
        number("difference", "Slope less that of the reference group."),
        number("difference_lo", "Lower end of its confidence interval."),
        number("difference_hi", "Upper end of its confidence interval."),
        number("difference_df", "Degrees of freedom of the difference."),
        p_column("p_interaction", "Two-sided p value of the difference."),
        p_column("q_interaction", "False discovery rate of these over the regions."),
        number("beta_year", "Change of the volume with time without new lesions, points of % of intracranial volume a "
               "year."),
        p_column("p_year", "Its p value."),
        Column("covariates", "Taken into the model besides."),
        number("icc", "Share of the variance that lies between persons."),
        *NOTES,
    ),
)  # fmt: skip

LEAST_SCANS = 3
"""Scans of a group below which it has no slope."""


def levels_rows(
    study: Study, plan: Plan, patients: Patients, kinds: Sequence[LesionKind]
) -> tuple[dict[str, object], ...]:
    """Return the rows of the table; none if nobody has two scans with counts between them."""
    scans = study.sessions.loc[study.volumes_mm3.index]
    known = [name for name in plan.regions.atrophy if name in study.volumes_mm3]
    percent = study.percent_etiv(known).reindex(columns=list(plan.regions.atrophy))
    covariates = levels_covariates(study, patients)
    rows: list[dict[str, object]] = []
    for kind in kinds:
        cumulative = count_lesions(study.sessions, kind).reindex(scans.index)
        for region in plan.regions.atrophy:
            rows += _region_rows(study, scans, percent[region], cumulative, kind, region, patients, covariates, plan)
    if not any("beta" in row for row in rows):
        return ()
    done = with_q(with_q(rows), "p_interaction", "q_interaction", "_interaction")
    return without_hidden(done)


def count_lesions(sessions: pd.DataFrame, kind: LesionKind) -> pd.Series[float]:
    """Return new lesions of each session since the person's first; NaN from the first count that is missing."""
    dated = sessions[sessions["years"] >= 0.0]
    counts = dated[kind.column].where(dated["years"] > 0.0, 0.0)
    lacking = counts.isna().astype(int).groupby(dated["participant_id"]).cumsum() > 0
    return counts.groupby(dated["participant_id"]).cumsum().mask(lacking)


def _region_rows(
    study: Study, scans: pd.DataFrame, volume: pd.Series[float], cumulative: pd.Series[float], kind: LesionKind,
    region: str, patients: Patients, covariates: Covariates, plan: Plan,
) -> list[dict[str, object]]:  # fmt: skip
    group = patients.of(scans["participant_id"])
    people = study.persons.loc[scans["participant_id"]]
    years = scans["years"].to_numpy(dtype=float)
    lesions, values = cumulative.to_numpy(dtype=float), volume.to_numpy(dtype=float)
    complete = ~np.isnan(years) & ~np.isnan(lesions) & ~np.isnan(values) & covariates.known(people).to_numpy()
    person = scans["participant_id"].to_numpy(dtype=object)
    kept = complete & np.isin(group.astype(str), patients.groups)
    columns: dict[str, NDArray[np.float64]] = {}
    reasons: dict[str, str] = {}
    for name in patients.groups:
        own = kept & (group == name)
        if not own.any():
            reasons[name] = "no scan with a volume and a known number of new lesions"
            continue
        columns[f"intercept[{name}]"] = (group == name)[kept].astype(float)
        if np.ptp(years[own]) > 0.0:
            columns[f"years[{name}]"] = (years * (group == name))[kept]
        if own.sum() < LEAST_SCANS or np.ptp(lesions[own]) == 0.0:
            reasons[name] = f"no {kind.many} after the first session in any of {int(own.sum())} scans"
        else:
            columns[f"x[{name}]"] = (lesions * (group == name))[kept]
    adjusting, left_out = covariate_columns(people[kept], covariates.names, columns)
    columns |= adjusting
    fit: MixedFit | None = None
    failure = ""
    if any(name.startswith("x[") for name in columns):
        try:
            fit = fit_mixed(values[kept], columns, person[kept], level=plan.statistics.level)
        except ValueError as error:
            failure = str(error)
    rows = []
    for name in patients.groups:
        own = kept & (group == name)
        reason = reasons.get(name, failure)
        rows.append(
            {
                "lesions": kind.column, "roi": region, "group": name, "n_obs": int(own.sum()),
                "n_sub": len(set(person[own])), "n_excluded": int(np.count_nonzero(~complete & (group == name))),
                "family": f"{kind.many}, slope in {name}, all regions",
                "_interaction": f"{kind.many}, difference of {name}, all regions",
                "covariates": say_adjusted(covariates.names, left_out),
                **(_cells(fit, name, patients.reference) if fit is not None and not reason else {}),
                "assumptions": "" if fit is None else f"residual SD within persons {np.sqrt(fit.sigma2):.3g}",
                "warning": f"not tested: {reason}" if reason else join_notes(
                    _warning(fit, person[own], lesions[own]), say_not_adjusted(left_out)
                ),
            }
        )  # fmt: skip
    return rows


def levels_covariates(study: Study, patients: Patients) -> Covariates:
    """Return which of age at the first session and sex the patients with volumes are adjusted for."""
    scanned = study.sessions.loc[study.volumes_mm3.index, "participant_id"].unique()
    people = study.persons.loc[scanned]
    return choose_covariates(people, ("age", "sex"), patients.group.reindex(people.index))


def _cells(fit: MixedFit, group: str, reference: str | None) -> dict[str, object]:
    estimate = fit.contrast({f"x[{group}]": 1.0})
    cells: dict[str, object] = {"beta": estimate.value, **estimate_cells(estimate), "icc": fit.icc}
    if f"years[{group}]" in fit.names:
        year = fit.contrast({f"years[{group}]": 1.0})
        cells |= {"beta_year": year.value, "p_year": year.p}
    if reference is not None and group != reference and f"x[{reference}]" in fit.names:
        found = fit.contrast({f"x[{group}]": 1.0, f"x[{reference}]": -1.0})
        cells |= {
            "difference": found.value, "difference_lo": found.low, "difference_hi": found.high,
            "difference_df": found.df, "p_interaction": found.p,
        }  # fmt: skip
    return cells


def _warning(fit: MixedFit | None, person: NDArray[np.object_], lesions: NDArray[np.float64]) -> str:
    """Say where the slope rests on few persons, or the variance between persons is zero."""
    bearing = len(set(person[lesions > 0.0]))
    found = [f"only {bearing} persons with lesions"] if bearing < FEW_WITH_LESIONS else []
    if fit is not None and fit.singular:
        found.append("singular: no variance between persons")
    return "; ".join(found)


def levels_methods() -> str:
    """Return how the table was made, as a sentence."""
    return (
        "As another view, without differences, the volume of every scan was modelled by time and the number of new "
        "lesions since the first session, both by group, with age at the first session, sex and a random intercept for "
        "each person."
    )


LIMIT = (
    "The model of the volumes of scans takes all persons of a group to change at one rate but for lesions: where rates "
    "differ between persons its p values are too small, and it is a view beside the main one, not a test."
)
"""What the table cannot carry."""


def levels_limits(study: Study, patients: Patients) -> tuple[str, ...]:
    """Return what the table cannot carry, and what it is not adjusted for."""
    return (LIMIT, *levels_covariates(study, patients).notes)


def levels_sidecar(patients: Patients) -> dict[str, Any]:
    """Return what the sidecar of the table says."""
    return {
        "Formula": "volume ~ years * group + cumulative lesions * group + age + sex + (1 | person)",
        "Estimator": "REML, random intercept",
        "DegreesOfFreedom": "Satterthwaite",
        "Unit": "points of per cent of the intracranial volume",
        "ReferenceGroup": patients.reference,
        "Families": "q_bh: the slopes of one kind of lesion and one group in all regions; q_interaction: their "
        "differences from the reference in all regions",
        "Note": LIMIT,
    }
