# SPDX-License-Identifier: Apache-2.0
"""The rows and tables of group_volumes: one region compared between groups by analysis of covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.head_size import Scans, group_columns, same_head
from bids_msvol.group.checks import FEW_PERSONS, equal_spread_p, join_notes, say_shape, shapiro_p
from bids_msvol.group.covariates import covariate_columns, say_not_adjusted
from bids_msvol.group.result import COUNTS, FAMILY, GROUP, INTERVAL, NOTES, REGION, Q, number, p_column
from bids_msvol.group.wording import say_count, say_p
from bids_msvol.stats.ancova import Ancova, Difference, fit_ancova
from bids_msvol.stats.design import INTERCEPT
from bids_msvol.stats.regression import LinearFit, fit_ols

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import HeadSize

METHODS: tuple[HeadSize, ...] = ("covariate", "residual", "proportion", "none")
"""Ways to account for head size."""

LEAST_PERSONS = 3
"""Persons of a group from whom it is compared at all."""

DOUBTFUL = 0.01
"""P value of a check of assumptions below which a result carries a warning: three checks for each region give some
below 0.05 by chance."""

OMNIBUS = "all groups"

TABLE = Table(
    "Volumes of the groups compared",
    "ancova.tsv",
    "All groups together, or one pair of groups, for one region.",
    (
        REGION,
        Column("comparison", "Which groups are compared: all, or the second less the first."),
        Column("reference", "First group of a pair; n/a for all groups."),
        Column("group", "Second group of a pair; n/a for all groups."),
        *COUNTS,
        Column("n_reference", "Persons of the first group.", "integer"),
        Column("n_group", "Persons of the second group.", "integer"),
        Column("unit", "Unit of the difference."),
        number("difference", "Adjusted mean of the second group less that of the first."),
        number("se", "Its standard error."),
        *INTERVAL,
        number("pct", "Difference in per cent of the adjusted mean of the first group.", "percent"),
        number("pct_ci_lo", "Lower end of its confidence interval (delta method).", "percent"),
        number("pct_ci_hi", "Upper end of its confidence interval.", "percent"),
        number("hedges_g", "Difference in standard deviations of the error, corrected for small samples."),
        number("g_ci_lo", "Lower end of its confidence interval."),
        number("g_ci_hi", "Upper end of its confidence interval."),
        number("partial_eta2", "Share of the variance not explained by covariates that the groups explain."),
        Column("test", "Test: F of all groups, or t of a pair, both of the one model."),
        number("statistic", "Its value."),
        number("df_between", "Degrees of freedom of the groups."),
        number("df", "Degrees of freedom of the error."),
        p_column(),
        Q,
        FAMILY,
        p_column("p_hc3", "P value with standard errors that hold for unequal variances (HC3)."),
        p_column("p_covariate", "P value with intracranial volume as a covariate."),
        p_column("p_residual", "P value with residuals of a regression on intracranial volume."),
        p_column("p_proportion", "P value with volumes divided by intracranial volume."),
        p_column("p_none", "P value without adjustment for head size."),
        *NOTES,
    ),
)

MEANS = Table(
    "Adjusted mean volumes",
    "ancova_means.tsv",
    "One group and region.",
    (
        REGION,
        GROUP,
        *COUNTS,
        Column("unit", "Unit of the means."),
        number("mean_raw", "Mean as measured."),
        number("sd_raw", "Standard deviation as measured."),
        number("adjusted_mean", "Mean at the mean of every covariate over all groups."),
        number("se", "Its standard error."),
        *INTERVAL,
        NOTES[1],
    ),
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegionFit:
    """A region fitted, or why it was not."""

    name: str
    unit: str
    people: pd.DataFrame
    values: Floats
    fit: Ancova | None
    robust: Ancova | None
    others: Mapping[str, Ancova]
    assumptions: str
    warning: str


def adjusted_for(scans: Scans, method: HeadSize) -> list[str]:
    """Return the covariates of the model: intracranial volume is one only if the method says so."""
    return [name for name in scans.covariates.names if name != "etiv_ml" or method == "covariate"]


def fit_region(
    name: str, scans: Scans, measured: pd.Series[Any] | None, method: HeadSize, level: float, unit: str = "mm^3"
) -> RegionFit:
    """Compare one region between groups.

    Parameters
    ----------
    name
        Of the region.
    scans
        First scans and covariates.
    measured
        Its values by the number of the session; ``None`` if it was not measured.
    method
        How head size is accounted for; the other ways are fitted beside it where there are intracranial volumes.
    level
        Of confidence intervals.
    unit
        Of the values.
    """
    people = scans.covariates.complete(scans.table)
    if measured is None:
        return RegionFit(name, unit, people.iloc[:0], np.empty(0), None, None, {}, "", "the region was not measured")
    values = measured.reindex(people["row"].to_numpy()).to_numpy(dtype=float)
    people, values = people[np.isfinite(values)], values[np.isfinite(values)]
    sizes = people["group"].value_counts()
    kept = people["group"].map(sizes).to_numpy(dtype=float) >= LEAST_PERSONS
    warning = _warning(scans, sizes)
    people, values = people[kept], values[kept]
    reference = next((group for group in scans.groups if (people["group"] == group).any()), "")
    if people["group"].nunique() < 2:
        reason = f"fewer than two groups have {LEAST_PERSONS} persons"
        return RegionFit(name, unit, people, values, None, None, {}, "", reason)

    def compare(way: HeadSize, errors: Any = "equal") -> Ancova:
        volumes = same_head(values, people, way, reference)
        columns, _ = covariate_columns(people, adjusted_for(scans, way), group_columns(people))
        labels = people["group"].to_numpy(dtype=object)
        return fit_ancova(volumes, labels, columns, reference=reference, errors=errors, level=level)

    try:
        fit = compare(method)
    except ValueError as error:
        return RegionFit(name, unit, people, values, None, None, {}, "", str(error))
    try:
        robust = compare(method, "HC3")
    except ValueError:
        robust = None
    others: dict[str, Ancova] = {}
    for way in METHODS:
        if way == method:
            others[way] = fit
        elif "etiv_ml" in scans.covariates.names:
            others[way] = compare(way)
    assumptions, doubts = _check(fit.fit, people)
    _, left_out = covariate_columns(people, adjusted_for(scans, method), group_columns(people))
    said = join_notes(*warning, *doubts, say_not_adjusted(left_out))
    return RegionFit(name, unit, people, values, fit, robust, others, assumptions, said)


def _warning(scans: Scans, sizes: pd.Series[int]) -> list[str]:
    found = []
    for group in scans.groups:
        size = int(sizes.get(group, 0))
        if size < LEAST_PERSONS:
            found.append(f"{say_count(size, 'person')} of {group}: left out")
        elif size < FEW_PERSONS:
            found.append(f"only {size} persons in {group}")
    return found


def _check(fit: LinearFit, people: pd.DataFrame) -> tuple[str, list[str]]:
    """Check that slopes on age and variances are the same in all groups, and that residuals are normal."""
    said, doubts = [], []
    labels = people["group"].to_numpy(dtype=object)
    columns = dict(zip(fit.names, fit.matrix.T, strict=True))
    dummies = [name for name in fit.names if name.startswith("group[")]
    if "age" in columns:
        products = {f"{name}:age": columns[name] * columns["age"] for name in dummies}
        try:
            wider = fit_ols(fit.fitted + fit.residuals, {**columns, **products})
            test = wider.joint_test([{name: 1.0} for name in products])
            said.append(
                f"same slope on age in all groups: F({test.df_between:.0f}, {test.df_within:.0f}) = {test.f:.2f}, "
                f"{say_p(test.p)}"
            )
            if test.p < DOUBTFUL:
                doubts.append("the slope on age differs between groups: the difference holds at the mean age only")
        except ValueError:
            said.append("same slope on age in all groups: could not be checked")
    parts = [fit.residuals[labels == group] for group in dict.fromkeys(labels)]
    equal = equal_spread_p(parts)
    said.append(f"equal variances: Brown-Forsythe {say_p(equal)}")
    if equal < DOUBTFUL:
        doubts.append("variances differ between groups: read p_hc3")
    said.append(f"residuals: {say_shape(fit.residuals)}")
    if shapiro_p(fit.residuals) < DOUBTFUL:
        doubts.append("residuals are not normal")
    return "; ".join(said), doubts


def comparison_rows(region: RegionFit, pairs: Sequence[tuple[str, str]]) -> list[dict[str, object]]:
    """Return the row of all groups and one for each pair; those that could not be tested too."""
    base: dict[str, object] = {
        "roi": region.name, "unit": region.unit, "assumptions": region.assumptions, "warning": region.warning,
    }  # fmt: skip
    sizes = region.people["group"].value_counts()
    omnibus: dict[str, object] = {"comparison": OMNIBUS, "family": f"{OMNIBUS}, over regions", "test": "F"}
    omnibus |= {"n_obs": len(region.people), "n_sub": len(region.people)}
    if region.fit is not None:
        test = region.fit.omnibus
        omnibus |= {
            "partial_eta2": test.partial_eta_squared, "statistic": test.f, "df_between": test.df_between,
            "df": test.df_within, "p": test.p,
            "p_hc3": None if region.robust is None else region.robust.omnibus.p,
            **{f"p_{way}": other.omnibus.p for way, other in region.others.items()},
        }  # fmt: skip
    rows = [{**base, **omnibus}]
    for first, second in pairs:
        comparison = f"{second} - {first}"
        counts = [int(sizes.get(group, 0)) for group in (first, second)]
        row: dict[str, object] = {
            "comparison": comparison, "reference": first, "group": second, "family": f"{comparison}, over regions",
            "n_obs": sum(counts), "n_sub": sum(counts), "n_reference": counts[0], "n_group": counts[1], "test": "t",
        }  # fmt: skip
        found = None if region.fit is None else _difference(region.fit, first, second)
        if region.fit is not None and found is None:
            row["warning"] = join_notes(region.warning, "the pair could not be compared")
        if region.fit is not None and found is not None:
            row |= _pair_cells(region.fit, found)
            row["p_hc3"] = None if region.robust is None else _p_of(region.robust, first, second)
            row |= {f"p_{way}": _p_of(other, first, second) for way, other in region.others.items()}
        rows.append({**base, **row})
    return rows


def _difference(fit: Ancova, first: str, second: str) -> Difference | None:
    return next((pair for pair in fit.differences if (pair.first, pair.second) == (first, second)), None)


def _p_of(fit: Ancova, first: str, second: str) -> float | None:
    found = _difference(fit, first, second)
    return None if found is None else found.difference.p


def _pair_cells(fit: Ancova, pair: Difference) -> dict[str, object]:
    estimate = pair.difference
    mean = fit.adjusted_means[pair.first].value
    cells: dict[str, object] = {
        "difference": estimate.value, "se": estimate.se, "ci_lo": estimate.low, "ci_hi": estimate.high,
        "hedges_g": pair.effect_size, "g_ci_lo": pair.effect_low, "g_ci_hi": pair.effect_high,
        "partial_eta2": estimate.t**2 / (estimate.t**2 + estimate.df), "statistic": estimate.t, "df_between": 1,
        "df": estimate.df, "p": estimate.p,
    }  # fmt: skip
    if mean > 0.0:
        # Delta method: the ratio of two means varies as the second less the ratio times the first, over the first.
        ratio = fit.adjusted_means[pair.second].value / mean
        weights = _weights(fit, pair.second) - ratio * _weights(fit, pair.first)
        spread = float(np.sqrt(weights @ fit.fit.covariance @ weights)) / mean
        half = float(special.stdtrit(estimate.df, 0.5 + fit.fit.level / 2.0)) * spread
        cells |= {
            "pct": 100.0 * (ratio - 1.0),
            "pct_ci_lo": 100.0 * (ratio - 1.0 - half),
            "pct_ci_hi": 100.0 * (ratio - 1.0 + half),
        }
    return cells


def _weights(fit: Ancova, group: str) -> Floats:
    """Weights (column,) of the adjusted mean of a group."""
    means = dict(zip(fit.fit.names, fit.fit.matrix.mean(axis=0), strict=True))
    return np.array(
        [
            1.0 if name in (INTERCEPT, f"group[{group}]") else 0.0 if name.startswith("group[") else means[name]
            for name in fit.fit.names
        ]
    )


def mean_rows(regions: Sequence[RegionFit], groups: Sequence[str]) -> list[dict[str, object]]:
    """Return the row of each region and group."""
    rows = []
    for region in regions:
        for group in groups:
            values = region.values[(region.people["group"] == group).to_numpy()]
            row: dict[str, object] = {
                "roi": region.name, "group": group, "n_obs": len(values), "n_sub": len(values), "unit": region.unit,
                "mean_raw": values.mean() if len(values) else None,
                "sd_raw": values.std(ddof=1) if len(values) > 1 else None, "warning": region.warning,
            }  # fmt: skip
            if region.fit is not None and group in region.fit.adjusted_means:
                mean = region.fit.adjusted_means[group]
                row |= {"adjusted_mean": mean.value, "se": mean.se, "ci_lo": mean.low, "ci_hi": mean.high}
            rows.append(row)
    return rows
