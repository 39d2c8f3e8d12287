# SPDX-License-Identifier: Apache-2.0
"""Annual rates by group: means, a mixed model beside them, and differences from the reference group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.rates import (
    THICKNESS,
    Rates,
    check_normal,
    person_covariates,
    say_covariates,
    usable_covariates,
)
from bids_msvol.group.result import COUNTS, FAMILY, GROUP, INTERVAL, NOTES, Q, number, p_column, with_q
from bids_msvol.group.wording import say_count
from bids_msvol.stats.ancova import fit_ancova
from bids_msvol.stats.design import INTERCEPT
from bids_msvol.stats.estimates import t_estimate
from bids_msvol.stats.mixed_model import fit_mixed

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

LEAST_PERSONS = 2
"""Persons that a mean with an interval needs."""

FEW_PERSONS = 10
"""Below this many persons a row says so: the t interval then rests on rates being spread normally."""

STRUCTURE = Column("roi", "Region of the brain, level of the cord, or CorticalThickness.")

GROUP_RATES = Table(
    "Annual rates by group",
    "atrophy_rates.tsv",
    "One row for each structure and group: mean of the persons' annual rates, and the same against the reference "
    "group.",
    (
        STRUCTURE,
        Column("kind", "brain, cord or thickness."),
        Column("unit", "Unit of the rates."),
        GROUP,
        *COUNTS,
        Column("n_without", "Persons of the group with such a measurement, but without a rate.", "integer"),
        number("rate", "Mean annual rate, each person counting the same (primary)."),
        number("se", "Its standard error."),
        *INTERVAL,
        number("df", "Degrees of freedom."),
        p_column("p", "Two-sided p value against no change."),
        Q,
        number("sd", "Standard deviation between persons, with measurement error."),
        number("median", "Median annual rate."),
        number("mean_years", "Mean time between first and last scan.", "year"),
        number("mixed_rate", "Rate by a mixed model of all scans with a random intercept of the person."),
        number("mixed_lo", "Lower end of its interval, which takes the rate for the same in all persons."),
        number("mixed_hi", "Upper end."),
        number("difference", "Mean rate less that of the reference group."),
        number("diff_lo", "Lower end of its interval (Welch)."),
        number("diff_hi", "Upper end."),
        number("diff_df", "Degrees of freedom (Welch)."),
        p_column("p_welch", "P value of the difference (Welch; primary)."),
        p_column("q_welch", "False discovery rate of p_welch within the family."),
        number("adjusted", "Difference adjusted for covariates (ANCOVA, all groups in one model)."),
        number("adj_lo", "Lower end of its interval."),
        number("adj_hi", "Upper end."),
        number("adj_df", "Degrees of freedom."),
        p_column("p_ancova", "P value of the adjusted difference."),
        p_column("q_ancova", "False discovery rate of p_ancova within the family."),
        number("hedges_g", "Adjusted difference in standard deviations of the error."),
        Column("reference", "The reference group."),
        Column("covariates", "What was adjusted for."),
        FAMILY,
        *NOTES,
    ),
)


def group_rows(parts: list[Rates], study: Study, plan: Plan) -> tuple[dict[str, object], ...]:
    """Return a row for each structure and group: mean rate, and its difference from the reference group."""
    rows = [row for part in parts for row in _kind_rows(part, study, plan)]
    return with_q(with_q(with_q(rows), "p_welch", "q_welch"), "p_ancova", "q_ancova")


def _labels(study: Study) -> list[str]:
    groups = study.groups()
    return ["all", *groups] if len(groups) > 1 else ["all"]


def _kind_rows(part: Rates, study: Study, plan: Plan) -> list[dict[str, object]]:
    groups = study.persons["group"].astype(object)
    covariates = person_covariates(study)[["age", "sex[M]"]]
    every = _scans(part, study)
    rows: list[dict[str, object]] = []
    for name in part.rate:
        rate, scans = part.rate[name], part.scans[name]
        adjusted = _adjusted(rate, groups, covariates, study, plan)
        for label in _labels(study):
            inside = (groups == label) | (label == "all")
            has = inside & rate.notna()
            row: dict[str, object] = {
                "roi": name,
                "kind": part.kind,
                "unit": part.unit,
                "group": label,
                "n_obs": int(scans[has].sum()),
                "n_sub": int(has.sum()),
                "n_without": int((inside & (scans > 0) & rate.isna()).sum()),
                "family": f"{part.kind}, {label}",
            }
            row |= _mean(rate[has].to_numpy(dtype=float), plan)
            if has.any():
                row["mean_years"] = float(part.years[name][has].mean())
            row |= _mixed(every, str(name), label, plan)
            if label not in ("all", study.reference_group()):
                row |= _welch(rate, groups, label, study, plan) | adjusted.get(label, {})
            rows.append(row)
    return rows


def _mean(values: NDArray[np.float64], plan: Plan) -> dict[str, object]:
    count = len(values)
    if count < LEAST_PERSONS:
        return {
            "rate": float(values.mean()) if count else None,
            "warning": f"no interval: {say_count(count, 'person')} with a rate",
        }
    spread = float(values.std(ddof=1))
    cells: dict[str, object] = {"rate": float(values.mean()), "sd": spread, "median": float(np.median(values))}
    if not spread > 0.0:
        return cells | {"warning": "not tested: all rates are the same"}
    found = t_estimate(float(values.mean()), spread / np.sqrt(count), count - 1.0, plan.statistics.level)
    return cells | {
        "se": found.se,
        "ci_lo": found.low,
        "ci_hi": found.high,
        "df": found.df,
        "p": found.p,
        "assumptions": f"rates: {check_normal(values)}",
        "warning": f"only {count} persons" if count < FEW_PERSONS else "",
    }


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
    use = np.isfinite(values) & np.isfinite(scans.years) & ((scans.groups == label) | (label == "all"))
    columns = {INTERCEPT: np.ones(int(use.sum())), "years": scans.years[use]}
    try:
        fit = fit_mixed(values[use], columns, scans.persons[use], level=plan.statistics.level)
    except ValueError:
        return {}
    slope = fit.contrast({"years": 1.0})
    return {"mixed_rate": slope.value, "mixed_lo": slope.low, "mixed_hi": slope.high}


def _welch(rate: pd.Series[float], groups: pd.Series[str], label: str, study: Study, plan: Plan) -> dict[str, object]:
    reference = study.reference_group()
    one, other = (rate[groups == name].dropna().to_numpy(dtype=float) for name in (reference, label))
    row: dict[str, object] = {"reference": reference}
    if min(len(one), len(other)) < LEAST_PERSONS:
        return row | {"warning": f"no comparison: fewer than {LEAST_PERSONS} persons in a group"}
    errors = [part.var(ddof=1) / len(part) for part in (one, other)]
    if not min(errors) > 0.0:
        return row | {"warning": "no comparison: the rates of a group are all the same"}
    df = sum(errors) ** 2 / sum(e**2 / (len(part) - 1) for e, part in zip(errors, (one, other), strict=True))
    found = t_estimate(float(other.mean() - one.mean()), float(np.sqrt(sum(errors))), df, plan.statistics.level)
    return row | {
        "difference": found.value,
        "diff_lo": found.low,
        "diff_hi": found.high,
        "diff_df": found.df,
        "p_welch": found.p,
    }


def _adjusted(
    rate: pd.Series[float], groups: pd.Series[str], covariates: pd.DataFrame, study: Study, plan: Plan
) -> dict[str, dict[str, object]]:
    """Return the adjusted difference of each group from the reference, as cells."""
    reference = study.reference_group()
    known = rate.notna() & groups.notna()
    if reference is None or not (known & (groups == reference)).any():
        return {}
    names = usable_covariates(covariates[known])
    use = known & covariates[names].notna().all(axis=1)
    counts = groups[use].value_counts()
    use &= groups.isin(counts.index[counts >= LEAST_PERSONS])
    if not (use & (groups == reference)).any():
        return {}
    try:
        found = fit_ancova(
            rate[use].to_numpy(dtype=float),
            groups[use].to_numpy(dtype=str),
            {name: covariates.loc[use, name].to_numpy() for name in names},
            reference=reference,
            level=plan.statistics.level,
        )
    except ValueError:
        return {}
    cells = {}
    for one in found.differences:
        if one.first == reference:
            cells[one.second] = {
                "adjusted": one.difference.value,
                "adj_lo": one.difference.low,
                "adj_hi": one.difference.high,
                "adj_df": one.difference.df,
                "p_ancova": one.difference.p,
                "hedges_g": one.effect_size,
                "covariates": say_covariates(names),
            }
    return cells
