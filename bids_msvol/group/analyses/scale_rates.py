# SPDX-License-Identifier: Apache-2.0
"""Annual rates of brain regions against the change of clinical scales a year."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.rates import check_normal, say_covariates, usable_covariates
from bids_msvol.group.result import COUNTS, FAMILY, INTERVAL, NOTES, REGION, Q, number, p_column, with_q
from bids_msvol.group.wording import say_count
from bids_msvol.stats.design import INTERCEPT
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
        number("rho", "Spearman's correlation of the two rates."),
        *INTERVAL,
        p_column("p", "Two-sided p value of the correlation (primary)."),
        Q,
        Column("method", "Where p comes from: all permutations (exact), or the t distribution."),
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
    covariates: pd.DataFrame,
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
    covariates
        (person, covariate).
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
            rows.append(row | _relate(rates[region], slope, covariates, plan))
    return with_q(with_q(rows), "p_linear", "q_linear")


def _relate(rate: pd.Series[float], slope: pd.Series[float], covariates: pd.DataFrame, plan: Plan) -> dict[str, object]:
    known = rate.notna() & slope.notna()
    count = int(known.sum())
    row: dict[str, object] = {"n_obs": count, "n_sub": count}
    if count < LEAST_PERSONS:
        return row | {"warning": f"not tested: {say_count(count, 'person')} with both, {LEAST_PERSONS} are needed"}
    try:
        found = spearman(slope[known].to_numpy(), rate[known].to_numpy(), level=plan.statistics.level)
    except ValueError as error:
        return row | {"warning": f"not tested: {error}"}
    row |= {"rho": found.rho, "ci_lo": found.low, "ci_hi": found.high, "p": found.p, "method": found.method}
    same = float((slope[known] == 0.0).mean())
    warnings = [f"{100 * same:.0f} % of persons without change of the scale"] if same > 0.5 else []
    return row | linear_cells(rate[known], slope[known], covariates[known], plan, warnings)


def linear_cells(
    outcome: pd.Series[float], x: pd.Series[float], covariates: pd.DataFrame, plan: Plan, warnings: list[str]
) -> dict[str, object]:
    """Return the adjusted slope of an outcome on x as cells, with ``assumptions`` and ``warning``."""
    names = usable_covariates(covariates)
    use = covariates[names].notna().all(axis=1)
    columns = {INTERCEPT: np.ones(int(use.sum())), "x": x[use].to_numpy()}
    columns |= {name: covariates.loc[use, name].to_numpy() for name in names}
    row: dict[str, object] = {"covariates": say_covariates(names)}
    try:
        fit = fit_ols(outcome[use].to_numpy(), columns, level=plan.statistics.level)
    except ValueError as error:
        return row | {"warning": "; ".join([*warnings, f"no linear model: {error}"])}
    beta = fit.contrast({"x": 1.0})
    severe = int(influence(fit).severe.sum())
    if severe:
        warnings = [*warnings, f"{say_count(severe, 'person')} with Cook's distance above 1"]
    return row | {
        "beta": beta.value,
        "beta_se": beta.se,
        "beta_lo": beta.low,
        "beta_hi": beta.high,
        "df": beta.df,
        "p_linear": beta.p,
        "assumptions": f"residuals of the linear model: {check_normal(fit.residuals)}",
        "warning": "; ".join(warnings),
    }
