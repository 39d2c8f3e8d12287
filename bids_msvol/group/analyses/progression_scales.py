# SPDX-License-Identifier: Apache-2.0
"""Clinical scales in progression: annual rates of brain regions against the change of EDSS and SDMT a year."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.checks import join_notes, say_decisive, say_shape
from bids_msvol.group.covariates import Columns, Covariates, covariate_columns, say_adjusted, say_not_adjusted
from bids_msvol.group.result import COUNTS, FAMILY, INTERVAL, NOTES, REGION, Q, number, p_column, with_q
from bids_msvol.group.wording import say_count
from bids_msvol.stats.correlation import partial_correlation
from bids_msvol.stats.design import INTERCEPT, treatment_columns
from bids_msvol.stats.regression import fit_ols, influence
from bids_msvol.stats.robust import spearman

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan

LEAST_PERSONS = 5
"""Persons that a correlation needs: with fewer its interval covers nearly everything."""

SCALE_RATES = Table(
    "Rates of change against clinical scales",
    "progression_scales.tsv",
    "One row for each region and scale: rank correlation of the annual rates, and linear model with covariates.",
    (
        REGION,
        Column("unit", "Unit of the rates of the region."),
        Column("scale", "Clinical scale; its change is in points a year."),
        *COUNTS,
        number("rho", "Spearman's correlation of the two rates; partial where there are groups."),
        *INTERVAL,
        p_column("p", "Two-sided p value of the correlation (primary)."),
        Q,
        Column("method", "Where p comes from: all permutations (exact), or the t distribution."),
        Column("rank_adjusted", "What the correlation holds constant: group, or none."),
        number("beta", "Rate of the region for each point of the scale a year, adjusted."),
        number("beta_se", "Its standard error."),
        number("beta_lo", "Lower end of its confidence interval."),
        number("beta_hi", "Upper end."),
        number("df", "Degrees of freedom of the linear model."),
        p_column("p_linear", "P value of beta."),
        p_column("q_linear", "False discovery rate of p_linear within the family."),
        Column("covariates", "What beta was adjusted for."),
        FAMILY,
        *NOTES,
    ),
)


def scale_rows(
    rates: pd.DataFrame,
    units: Mapping[str, str],
    slopes: Mapping[str, pd.Series[float]],
    people: pd.DataFrame,
    covariates: Covariates,
    groups: pd.Series[str] | None,
    plan: Plan,
) -> tuple[dict[str, object], ...]:
    """Relate rates of regions to changes of scales.

    Parameters
    ----------
    rates
        (person, region).
    units
        Of the regions.
    slopes
        (person,) change a year by scale.
    people
        (person, covariate).
    covariates
        Those that are adjusted for.
    groups
        (person,) group, missing where not known; ``None`` if there is one group only. Groups may differ in both rates,
        and are held constant: people of unknown group are then left out.
    plan
        The choices.
    """
    rows = []
    for scale, slope in slopes.items():
        for region in rates:
            row = {
                "roi": region,
                "unit": units[str(region)],
                "scale": scale.upper(),
                "family": f"{scale.upper()}, all regions",
            }
            rows.append(row | _relate(rates[region], slope, people, covariates, groups, plan))
    return with_q(with_q(rows), "p_linear", "q_linear")


def _relate(
    rate: pd.Series[float],
    slope: pd.Series[float],
    people: pd.DataFrame,
    covariates: Covariates,
    groups: pd.Series[str] | None,
    plan: Plan,
) -> dict[str, object]:
    known = rate.notna() & slope.notna()
    if groups is not None:
        known &= groups.reindex(rate.index).notna()
    labels = np.full(int(known.sum()), "all", dtype=object)
    if groups is not None:
        labels = groups.reindex(rate.index)[known].to_numpy(dtype=object)
    count = int(known.sum())
    row: dict[str, object] = {"n_obs": count, "n_sub": count}
    if count < LEAST_PERSONS:
        return row | {"warning": f"not tested: {say_count(count, 'person')} with both, {LEAST_PERSONS} are needed"}
    try:
        change, loss = (np.asarray(values[known], dtype=float) for values in (slope, rate))
        row |= _rank_cells(change, loss, labels, plan.statistics.level)
    except ValueError as error:
        return row | {"warning": f"not tested: {error}"}
    same = float((slope[known] == 0.0).mean())
    steady = f"{100 * same:.0f} % of persons without change of the scale" if same > 0.5 else ""
    return row | _linear_cells(rate[known], slope[known], people[known], covariates, labels, plan, steady)


def _rank_cells(
    slope: NDArray[np.float64], rate: NDArray[np.float64], labels: NDArray[np.object_], level: float
) -> dict[str, object]:
    """Return Spearman's correlation as cells; with more than one group, that with the groups held constant."""
    held = treatment_columns("group", labels)
    if not held:
        plain = spearman(slope, rate, level=level)
        cells = {"rho": plain.rho, "ci_lo": plain.low, "ci_hi": plain.high, "p": plain.p, "method": plain.method}
        return cells | {"rank_adjusted": "none"}
    found = partial_correlation(slope, rate, held, kind="spearman", level=level)
    cells = {"rho": found.r, "ci_lo": found.low, "ci_hi": found.high, "p": found.p, "method": "t"}
    return cells | {"rank_adjusted": "group"}


def _linear_cells(
    outcome: pd.Series[float],
    x: pd.Series[float],
    people: pd.DataFrame,
    covariates: Covariates,
    labels: NDArray[np.object_],
    plan: Plan,
    warning: str,
) -> dict[str, object]:
    """Return the adjusted slope of an outcome on x as cells, with ``assumptions`` and ``warning``."""
    use = covariates.known(people)
    held = treatment_columns("group", labels[use.to_numpy()]) if use.any() else {}
    base: Columns = {INTERCEPT: np.ones(int(use.sum())), "x": np.asarray(x[use], dtype=float)} | held
    columns, left_out = covariate_columns(people[use], covariates.names, base)
    adjusted = say_adjusted(covariates.names, left_out)
    if held:
        adjusted = "group" if adjusted == "none" else f"group, {adjusted}"
    row: dict[str, object] = {"covariates": adjusted}
    try:
        fit = fit_ols(outcome[use].to_numpy(), base | columns, level=plan.statistics.level)
    except ValueError as error:
        return row | {"warning": join_notes(warning, f"no linear model: {error}")}
    beta = fit.contrast({"x": 1.0})
    decisive = say_decisive(influence(fit).cooks_distance, people.index[use].to_numpy(dtype=object))
    return row | {
        "beta": beta.value,
        "beta_se": beta.se,
        "beta_lo": beta.low,
        "beta_hi": beta.high,
        "df": beta.df,
        "p_linear": beta.p,
        "assumptions": f"residuals of the linear model: {say_shape(fit.residuals)}",
        "warning": join_notes(warning, decisive, say_not_adjusted(left_out)),
    }
