# SPDX-License-Identifier: Apache-2.0
"""Groups in atrophy_rates: mean rates, a mixed model beside them, and differences from the reference group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.rate_means import LEAST_PERSONS, MeanRate, mean_rate, rate_difference
from bids_msvol.group.analyses.rates import Rates
from bids_msvol.group.cells import THICKNESS, as_count, as_float
from bids_msvol.group.checks import FEW_PERSONS, join_notes, say_shape
from bids_msvol.group.covariates import Covariates, covariate_columns, say_adjusted
from bids_msvol.group.grouping import EVERYBODY
from bids_msvol.group.people import is_among, is_control, with_everybody
from bids_msvol.group.regions import REGIONS
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    GROUP,
    INTERVAL,
    NOTES,
    Q,
    estimate_cells,
    number,
    p_column,
    with_q,
)
from bids_msvol.group.wording import say_count
from bids_msvol.stats.design import INTERCEPT, treatment_columns
from bids_msvol.stats.mixed_model import fit_mixed
from bids_msvol.stats.regression import fit_ols

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

PRIMARY_LEVEL = "C2-C3"
"""The primary measure of the cord: the stretch that most studies report. It is nearly the mean of C2 and C3, so it is
no level beside them."""

IMPOSSIBLE_GROWTH = 1.0
"""Growth of the brain or the cord in per cent a year that is an error of measurement, not growth."""

ONE_DECIDES = 0.5
"""Share of the weight from which one person decides a mean."""

STRUCTURE = Column("roi", "Region of the brain, level of the cord, or CorticalThickness.")

GROUP_RATES = Table(
    "Annual rates by group",
    "atrophy_rates.tsv",
    "One row for each structure and group: mean of the persons' annual rates, weighted by precision, and the same "
    "against the reference group.",
    (
        STRUCTURE,
        Column("kind", "brain, cord or thickness."),
        Column("unit", "Unit of the rates."),
        GROUP,
        *COUNTS,
        Column("n_without", "Persons of the group with such a measurement, but without a rate.", "integer"),
        number("rate", "Mean annual rate, each person weighted by the precision of the rate (primary)."),
        number("se", "Its standard error."),
        *INTERVAL,
        number("df", "Degrees of freedom."),
        p_column("p", "Two-sided p value against no change."),
        Q,
        number("plain_mean", "Mean annual rate, each person counting the same."),
        number("largest_share", "Share of the weight that one person has, the largest.", "percent"),
        number(
            "noise_sd",
            "Standard deviation of the error of one person's rate, the median of the persons, from the "
            "scatter of scans around persons' lines; n/a where too few have three scans.",
        ),
        number("sd", "Standard deviation between persons, with measurement error."),
        number("median", "Median annual rate."),
        number("mean_years", "Mean time between first and last scan.", "year"),
        number(
            "mixed_rate",
            "Rate by a mixed model of all volumes, areas or thicknesses with a random intercept of the person; from "
            "volumes also where the rates are from change measured from images.",
        ),
        number("mixed_lo", "Lower end of its interval, which takes the rate for the same in all persons."),
        number("mixed_hi", "Upper end."),
        number("difference", "Mean rate less that of the reference group, both weighted by precision."),
        number("diff_lo", "Lower end of its interval (Welch)."),
        number("diff_hi", "Upper end."),
        number("diff_df", "Degrees of freedom (Welch)."),
        p_column("p_welch", "P value of the difference (Welch; primary)."),
        p_column("q_welch", "False discovery rate of p_welch within the family."),
        number(
            "adjusted", "Difference adjusted for covariates (ANCOVA with the same weights, all groups in one model)."
        ),
        number("adj_lo", "Lower end of its interval."),
        number("adj_hi", "Upper end."),
        number("adj_df", "Degrees of freedom."),
        p_column("p_ancova", "P value of the adjusted difference."),
        p_column("q_ancova", "False discovery rate of p_ancova within the family."),
        number("hedges_g", "Adjusted difference in standard deviations of the error, at the mean weight."),
        Column("reference", "The reference group."),
        Column("covariates", "What was adjusted for."),
        FAMILY,
        *NOTES,
    ),
)


def group_rows(parts: list[Rates], covariates: Covariates, study: Study, plan: Plan) -> tuple[dict[str, object], ...]:
    """Return a row for each structure and group: mean rate, and its difference from the reference group."""
    rows = [row for part in parts for row in _kind_rows(part, covariates, study, plan)]
    return with_q(with_q(with_q(rows), "p_welch", "q_welch"), "p_ancova", "q_ancova")


def _kind_rows(part: Rates, covariates: Covariates, study: Study, plan: Plan) -> list[dict[str, object]]:
    groups = study.persons["group"].astype(object)
    every = _scans(part, study)
    rows: list[dict[str, object]] = []
    for name in part.rate:
        rate, scans = part.rate[name], part.scans[name]
        weights, noise = part.weights(str(name)), part.noise(str(name))
        adjusted = _adjusted(rate, weights, groups, covariates, study, plan)
        means: dict[str, MeanRate] = {}
        for label in with_everybody(study.groups()):
            inside = is_among(groups, label)
            has = inside & rate.notna()
            row: dict[str, object] = {
                "roi": name,
                "kind": part.kind,
                "unit": part.unit,
                "group": label,
                "n_obs": int(scans[has].sum()),
                "n_sub": int(has.sum()),
                "n_without": int((inside & (scans > 0) & rate.isna()).sum()),
                "family": _family(part.kind, str(name), label),
            }
            cells, mean = _mean(rate[has], weights, plan)
            row |= cells
            if mean is not None:
                means[label] = mean
            if has.any():
                row["mean_years"] = float(part.years[name][has].mean())
                row["noise_sd"] = float(noise[has].median())
            if part.kind != "thickness" and not is_fluid(str(name)) and _healthy_only(study, has):
                row["warning"] = join_notes(str(row.get("warning", "")), say_growth(row))
            row |= _mixed(every, str(name), label, plan)
            if label not in (EVERYBODY, study.reference_group()):
                compared = _welch(means, label, study, plan) | adjusted.get(label, {})
                notes = (str(cells.get("warning", "")) for cells in (row, compared))
                row |= compared | {"warning": join_notes(*notes)}
            rows.append(row)
    return rows


def _family(kind: str, name: str, label: str) -> str:
    """Return the family of a test: C2-C3, the primary measure of the cord, is corrected over the groups alone."""
    if name == PRIMARY_LEVEL:
        return f"cord {name}, {'all' if label == EVERYBODY else 'groups'}"
    return f"{kind}, {label}"


def is_fluid(name: str) -> bool:
    """Whether a region is fluid, which grows where the brain is lost."""
    return name in REGIONS and REGIONS[name].is_fluid


def say_growth(row: Mapping[str, object], rate: str = "rate", low: str = "ci_lo", count: str = "n_sub") -> str:
    """Return the warning of healthy people whose brain or cord grows more than can be; empty if it does not."""
    few = as_count(row, count) < FEW_PERSONS
    if as_float(row, rate) > IMPOSSIBLE_GROWTH and (as_float(row, low) > 0.0 or few):
        why = "too few to say" if few and not as_float(row, low) > 0.0 else "not chance alone"
        return f"healthy people do not grow by more than {IMPOSSIBLE_GROWTH:g} % a year: measurement error, {why}"
    return ""


def _healthy_only(study: Study, has: pd.Series[bool]) -> bool:
    return bool(has.any()) and bool(is_control(study)[has].all())


def _mean(rate: pd.Series[float], weights: pd.Series[float], plan: Plan) -> tuple[dict[str, object], MeanRate | None]:
    """Return the cells of the mean of some persons' rates, and the mean if it has an interval."""
    values = np.asarray(rate, dtype=np.float64)
    count = len(values)
    if count < LEAST_PERSONS:
        cells: dict[str, object] = {"rate": float(values[0]), "plain_mean": float(values[0])} if count else {}
        return cells | {"warning": f"no interval: {say_count(count, 'person')} with a rate"}, None
    cells = {"sd": float(values.std(ddof=1)), "median": float(np.median(values)), "plain_mean": float(values.mean())}
    try:
        found = mean_rate(values, weights[rate.index], plan.statistics.level)
    except ValueError as error:
        return cells | {"rate": float(values.mean()), "warning": f"not tested: {error}"}, None
    few = f"only {count} persons" if count < FEW_PERSONS else ""
    cells |= {"rate": found.estimate.value, "largest_share": 100.0 * found.largest_share}
    cells |= {"assumptions": f"rates: {say_shape(values)}", "warning": join_notes(few, say_weight(found))}
    return cells | estimate_cells(found.estimate), found


def say_weight(mean: MeanRate) -> str:
    """Return the warning of a mean that one person decides; empty if none does."""
    share = mean.largest_share
    return f"one person has {100.0 * share:.0f} % of the weight" if share > ONE_DECIDES else ""


@dataclass(frozen=True, eq=False)
class _Scans:
    """All scans of one kind: values on the scale of the rates, years, persons and groups."""

    values: pd.DataFrame
    years: NDArray[np.float64]
    persons: NDArray[np.str_]
    groups: NDArray[np.object_]


def _scans(part: Rates, study: Study) -> _Scans:
    source = {"brain": study.volumes_mm3, "cord": study.cord_mm2, "thickness": study.thickness_mm}[part.kind]
    values = source.rename(columns={"mean": THICKNESS})[list(part.rate)].astype(float)
    values = values.where(values > 0.0)
    if part.kind != "thickness":
        values = pd.DataFrame(100.0 * np.log(values.to_numpy()), values.index, values.columns)
    sessions = study.sessions.loc[values.index]
    persons = sessions["participant_id"]
    groups = study.persons["group"].astype(object).reindex(persons).to_numpy(dtype=object)
    return _Scans(values, sessions["years"].to_numpy(dtype=float), persons.to_numpy(dtype=str), groups)


def _mixed(scans: _Scans, name: str, label: str, plan: Plan) -> dict[str, object]:
    """Return the slope of all scans over years by a mixed model; nothing where it cannot be fitted."""
    values = scans.values[name].to_numpy()
    use = np.isfinite(values) & np.isfinite(scans.years) & is_among(scans.groups, label)
    columns = {INTERCEPT: np.ones(int(use.sum())), "years": scans.years[use]}
    try:
        fit = fit_mixed(values[use], columns, scans.persons[use], level=plan.statistics.level)
    except ValueError:
        return {}
    slope = fit.contrast({"years": 1.0})
    return {"mixed_rate": slope.value, "mixed_lo": slope.low, "mixed_hi": slope.high}


def _welch(means: Mapping[str, MeanRate], label: str, study: Study, plan: Plan) -> dict[str, object]:
    """Return the difference of a group from the reference as cells."""
    reference = study.reference_group()
    row: dict[str, object] = {"reference": reference}
    if reference is None or label not in means or reference not in means:
        why = f"no comparison: fewer than {LEAST_PERSONS} persons in a group, or rates all the same"
        return row | {"warning": why}
    found = rate_difference(means[label], means[reference], plan.statistics.level)
    return row | {
        "difference": found.value,
        "diff_lo": found.low,
        "diff_hi": found.high,
        "diff_df": found.df,
        "p_welch": found.p,
    }


def _adjusted(
    rate: pd.Series[float],
    weights: pd.Series[float],
    groups: pd.Series[str],
    covariates: Covariates,
    study: Study,
    plan: Plan,
) -> dict[str, dict[str, object]]:
    """Return the adjusted difference of each group from the reference, as cells."""
    reference = study.reference_group()
    if reference is None:
        return {}
    use = rate.notna() & groups.notna() & covariates.known(study.persons)
    counts = groups[use].value_counts()
    use &= groups.isin(counts.index[counts >= LEAST_PERSONS])
    if not (use & (groups == reference)).any():
        return {}
    labels = groups[use].to_numpy(dtype=str)
    base = {INTERCEPT: np.ones(len(labels)), **treatment_columns("group", labels, reference)}
    columns, left_out = covariate_columns(study.persons[use], covariates.names, base)
    # Least squares of what is multiplied with the root of the weight is least squares with weights.
    root = np.sqrt(weights[rate.index[use]].to_numpy())
    try:
        fit = fit_ols(
            rate[use].to_numpy(dtype=float) * root,
            {name: values * root for name, values in (base | columns).items()},
            level=plan.statistics.level,
        )
    except ValueError:
        return {}
    return {
        name.removeprefix("group[").removesuffix("]"): {
            "adjusted": one.value,
            "adj_lo": one.low,
            "adj_hi": one.high,
            "adj_df": one.df,
            "p_ancova": one.p,
            "hedges_g": one.value / np.sqrt(fit.sigma2) * small_sample_correction(fit.df),
            "covariates": say_adjusted(covariates.names, left_out),
        }
        for name, one in fit.coefficients.items()
        if name.startswith("group[")
    }


def small_sample_correction(df: float) -> float:
    """Return the factor that frees a standardized difference from bias (Hedges 1981, J Educ Stat 6:107-128)."""
    logs = special.gammaln(df / 2.0) - special.gammaln((df - 1.0) / 2.0)
    return float(np.exp(logs) * np.sqrt(2.0 / df)) if df > 1.0 else float("nan")
