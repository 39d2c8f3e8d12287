# SPDX-License-Identifier: Apache-2.0
"""The retina (OCT) in progression: its thickness against volumes, at the same session, and change against change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.progression_scales import LEAST_PERSONS
from bids_msvol.group.analyses.rates import session_slopes
from bids_msvol.group.cells import THICKNESS
from bids_msvol.group.checks import say_shape
from bids_msvol.group.covariates import Covariates, covariate_columns, say_adjusted, say_not_adjusted
from bids_msvol.group.result import COUNTS, FAMILY, INTERVAL, NOTES, REGION, Q, estimate_cells, number, p_column, with_q
from bids_msvol.group.wording import say_count
from bids_msvol.stats.design import INTERCEPT
from bids_msvol.stats.estimates import Estimate
from bids_msvol.stats.mixed_model import fit_mixed
from bids_msvol.stats.regression import fit_ols
from bids_msvol.stats.robust import spearman

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

MEASURES: Mapping[str, str] = {"rnfl_um": "RNFL", "gcipl_um": "GCIPL"}
"""Columns of the sessions, and how a reader calls them."""

SAME_SESSION, CHANGE = "same session", "change against change"

OCT = Table(
    "OCT against volumes of the brain",
    "oct.tsv",
    "One row for each OCT measure, region and relation (at the same session, or change against change).",
    (
        Column("measure", "OCT measure: mean of the eyes without optic neuritis."),
        REGION,
        Column("relation", "Same session, or change against change a year."),
        *COUNTS,
        number("estimate", "Difference of the OCT measure for each standard deviation of the region, adjusted."),
        Column("unit", "Unit of the estimate."),
        number("sd", "That standard deviation, in per cent of the intracranial volume or in the unit of the rate."),
        number("se", "Standard error of the estimate."),
        *INTERVAL,
        number("df", "Degrees of freedom."),
        p_column(),
        Q,
        number("rho", "Spearman's correlation, one value a person (first session with both), not adjusted."),
        number("rho_lo", "Lower end of its confidence interval."),
        number("rho_hi", "Upper end."),
        p_column("p_rho", "P value of the correlation."),
        Column("model", "Mixed model, or least squares where each person has one session."),
        Column("singular", "Whether the mixed model found no variance between persons: yes or no."),
        Column("covariates", "What was adjusted for."),
        FAMILY,
        *NOTES,
    ),
)


def oct_rows(
    study: Study, rates: pd.DataFrame, people: pd.DataFrame, covariates: Covariates, plan: Plan
) -> tuple[dict[str, object], ...]:
    """Relate OCT to volumes and to their rates.

    Parameters
    ----------
    study
        The study.
    rates
        (person, region) of the persons to look at.
    people
        (person, covariate).
    covariates
        Those that are adjusted for.
    plan
        The choices.
    """
    regions = [str(name) for name in rates if name != THICKNESS]
    percent = study.percent_etiv(regions)
    sessions = study.sessions.loc[percent.index]
    sessions = sessions[sessions["participant_id"].isin(rates.index)]
    rows: list[dict[str, object]] = []
    for column, measure in MEASURES.items():
        recorded = study.sessions.loc[study.sessions["participant_id"].isin(rates.index), column].notna()
        if not recorded.any():
            rows.append({"measure": measure, "warning": "not tested: the measure was not recorded"})
            continue
        slopes = session_slopes(study, column).reindex(rates.index)
        for region in regions:
            cells = _same_session(sessions, column, percent.loc[sessions.index, region], people, covariates, plan)
            family = f"{measure}, {SAME_SESSION}, all regions"
            base: dict[str, object] = {"measure": measure, "roi": region}
            rows.append(base | {"relation": SAME_SESSION, "unit": "um", "family": family} | cells)
        for region in map(str, rates):
            base = {"measure": measure, "roi": region, "relation": CHANGE, "unit": "um a year"}
            family = f"{measure}, {CHANGE}, all regions"
            rows.append(base | {"family": family} | _changes(slopes, rates[region], people, covariates, plan))
    return with_q(rows)


def _same_session(
    sessions: pd.DataFrame,
    column: str,
    volume: pd.Series[float],
    people: pd.DataFrame,
    covariates: Covariates,
    plan: Plan,
) -> dict[str, object]:
    frame = pd.DataFrame({"person": sessions["participant_id"], "oct": sessions[column], "volume": volume}).dropna()
    others = people.reindex(frame["person"]).set_axis(frame.index)
    # Persons are a year older in the next session, and so is their disease.
    at_session = {name: sessions[name].astype(float).reindex(frame.index) for name in ("age", "disease_duration")}
    others = others.assign(**at_session)
    return _fit(frame, others, covariates, plan)


def _changes(
    slopes: pd.Series[float], rate: pd.Series[float], people: pd.DataFrame, covariates: Covariates, plan: Plan
) -> dict[str, object]:
    frame = pd.DataFrame({"person": rate.index, "oct": slopes, "volume": rate}, index=rate.index).dropna()
    return _fit(frame, people.reindex(frame.index), covariates, plan)


def _fit(frame: pd.DataFrame, people: pd.DataFrame, covariates: Covariates, plan: Plan) -> dict[str, object]:
    use = covariates.known(people)
    frame, people = frame[use], people[use]
    persons = frame["person"].to_numpy(dtype=str)
    row: dict[str, object] = {"n_obs": len(frame), "n_sub": len(np.unique(persons))}
    if len(np.unique(persons)) < LEAST_PERSONS:
        return row | {"warning": f"not tested: {say_count(len(np.unique(persons)), 'person')} with both"}
    spread = float(frame["volume"].std(ddof=1))
    if not spread > 0.0:
        return row | {"warning": "not tested: the volume does not vary"}
    base = {INTERCEPT: np.ones(len(frame)), "x": (frame["volume"] / spread).to_numpy()}
    adjusting, left_out = covariate_columns(people, covariates.names, base)
    columns = base | adjusting
    row |= {
        "sd": spread,
        "covariates": say_adjusted(covariates.names, left_out),
        "warning": say_not_adjusted(left_out),
        **_rank(frame, plan),
    }
    outcome = frame["oct"].to_numpy(dtype=float)
    try:
        if len(np.unique(persons)) == len(persons):
            plain = fit_ols(outcome, columns, level=plan.statistics.level)
            return row | {"model": "least squares"} | _cells(plain.contrast({"x": 1.0}), plain.residuals)
        mixed = fit_mixed(outcome, columns, persons, level=plan.statistics.level)
    except ValueError as error:
        return row | {"warning": f"not tested: {error}"}
    model = {"model": "mixed model", "singular": "yes" if mixed.singular else "no"}
    return row | model | _cells(mixed.contrast({"x": 1.0}), mixed.residuals)


def _cells(estimate: Estimate, residuals: np.ndarray) -> dict[str, object]:
    checked = f"residuals: {say_shape(residuals)}"
    return {"estimate": estimate.value, "assumptions": checked} | estimate_cells(estimate)


def _rank(frame: pd.DataFrame, plan: Plan) -> dict[str, object]:
    first = frame.drop_duplicates("person")
    try:
        found = spearman(first["oct"].to_numpy(), first["volume"].to_numpy(), level=plan.statistics.level)
    except ValueError:
        return {}
    return {"rho": found.rho, "rho_lo": found.low, "rho_hi": found.high, "p_rho": found.p}
