# SPDX-License-Identifier: Apache-2.0
"""Rates of groups against published rates of healthy adults, and what measurement error makes of a cut-off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.healthy_rates import (
    HEALTHY_RATES,
    HealthyRate,
    error_sd,
    healthy_rates_of,
    share_failing,
)
from bids_msvol.group.analyses.rates import Rates, check_normal, person_covariates
from bids_msvol.group.result import COUNTS, FAMILY, GROUP, INTERVAL, NOTES, Q, estimate_cells, number, p_column
from bids_msvol.group.wording import say_count
from bids_msvol.report.measured_error import load_measured_error
from bids_msvol.stats.estimates import t_estimate

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

LEAST_PERSONS = 2
"""Persons whose rates have a spread."""

CUTOFF_YEARS = (1.0, 2.0, 3.0)
"""Intervals for which the cut-off is looked at: error counts less the longer they are."""

LEAST_ERROR_DF = 10.0
"""Degrees of freedom from which the study's own scatter is a standard deviation that can be used."""

AGAINST_HEALTHY = Table(
    "Annual rates against healthy adults",
    "rates_against_healthy.tsv",
    "One row for each structure, group and published source: mean rate less that of healthy adults of the same age, "
    "and persons beyond the limit of 95 % of healthy adults.",
    (
        Column("roi", "Region of the brain or level of the cord."),
        GROUP,
        Column("source", "Where the rate of healthy adults is from."),
        Column("method", "How change was measured there."),
        Column("ages", "Ages the source is used for; n/a where it does not say, and all adults are compared."),
        Column("n_healthy", "Healthy adults of the source.", "integer"),
        *COUNTS,
        Column("n_left_out", "Persons with a rate whose age is unknown or beyond the source.", "integer"),
        number("rate", "Mean rate of these persons.", "percent/year"),
        number("healthy", "Mean of the healthy rates at their ages.", "percent/year"),
        number("difference", "Mean rate less the healthy one.", "percent/year"),
        number("se", "Its standard error."),
        *INTERVAL,
        number("df", "Degrees of freedom."),
        p_column(),
        Q,
        number("limit", "Mean of the rates that 5 % of healthy adults exceed, at their ages.", "percent/year"),
        Column("n_beyond", "Persons who lose more than that limit at their age.", "integer"),
        number("share_beyond", "Their share; 5 in healthy adults measured without further error.", "percent"),
        number("share_lo", "Lower end of its interval (Wilson).", "percent"),
        number("share_hi", "Upper end.", "percent"),
        FAMILY,
        *NOTES,
    ),
)

BVL_CUTOFF = Table(
    "What a cut-off of brain volume loss makes of healthy adults",
    "bvl_cutoff.tsv",
    "One row for each measurement error and interval: share of healthy adults whose measured loss reaches the cut-off.",
    (
        number("cutoff", "Loss from which a person fails.", "percent/year"),
        number("years", "Length of the interval.", "year"),
        Column("error", "Which measurement error."),
        number("error_sd", "Standard deviation of the error of one measured change.", "percent"),
        Column("data", "What the error was measured on."),
        number("healthy_mean", "Mean rate of healthy adults.", "percent/year"),
        number("healthy_sd", "Its standard deviation between people.", "percent/year"),
        number("share_failing", "Share of healthy adults who fail.", "percent"),
        number("specificity", "Share of healthy adults who do not.", "percent"),
        Column("warning", "Why the result must be read with care."),
    ),
)


def healthy_rows(part: Rates, study: Study, plan: Plan) -> list[dict[str, object]]:
    """Compare the rates of each group with what is known of healthy adults."""
    groups = study.persons["group"].astype(object)
    labels = ["all", *study.groups()] if len(study.groups()) > 1 else ["all"]
    age = person_covariates(study)["age"]
    rows = []
    for name in part.rate:
        for source in healthy_rates_of(str(name)):
            for label in labels:
                inside = part.rate[name].notna() & ((groups == label) | (label == "all"))
                # Half of the time between the scans has passed at the middle of the course.
                middle = age[inside] + part.years[name][inside] / 2.0
                row: dict[str, object] = {"roi": name, "group": label, "family": f"healthy, {part.kind}, {label}"}
                scans = part.scans[name][inside].to_numpy(dtype=float)
                rows.append(row | _against(part.rate[name][inside], scans, middle, source, plan))
    return rows


def _against(
    rate: pd.Series[float], scans: NDArray[np.float64], age: pd.Series[float], source: HealthyRate, plan: Plan
) -> dict[str, object]:
    expected = source.expected(age.to_numpy())
    use = np.isfinite(expected)
    values, healthy = rate.to_numpy(dtype=float)[use], expected[use]
    count = len(values)
    row: dict[str, object] = {
        "source": source.source,
        "method": source.method,
        "ages": None if source.ages is None else f"{source.ages[0]:g} to {source.ages[1]:g}",
        "n_healthy": source.people,
        "n_obs": int(scans[use].sum()),
        "n_sub": count,
        "n_left_out": len(rate) - count,
    }
    if count < LEAST_PERSONS:
        return row | {"warning": f"not tested: {say_count(count, 'person')} of the ages of the source with a rate"}
    row |= {"rate": float(values.mean()), "healthy": float(healthy.mean())}
    row |= _beyond(values, source.limit(age.to_numpy())[use], plan)
    distance = values - healthy
    variance = float(distance.var(ddof=1)) / count
    if not variance > 0.0:
        return row | {"warning": "not tested: all rates are the same"}
    df, total = count - 1.0, variance
    warning = "measured by another method"
    if source.se is None:
        warning += "; the uncertainty of the healthy mean is not known and not counted"
    else:
        total = variance + source.se**2
        df = total**2 / (variance**2 / df + source.se**4 / source.se_df)
    found = t_estimate(float(distance.mean()), float(np.sqrt(total)), df, plan.statistics.level)
    if source.ages is None and source.sd is None:
        warning += "; one mean for all ages"
    return row | {
        "difference": found.value,
        **estimate_cells(found),
        "assumptions": f"distances from the healthy rate: {check_normal(distance)}",
        "warning": warning,
    }


def _beyond(values: NDArray[np.float64], limit: NDArray[np.float64], plan: Plan) -> dict[str, object]:
    """Return how many lose more than the limit, with the interval of Wilson 1927, JASA 22:209-212."""
    from scipy import special

    if not np.isfinite(limit).all():
        return {}
    count, beyond = len(values), int(np.count_nonzero(values < limit))
    z = float(special.ndtri(0.5 + plan.statistics.level / 2.0))
    share = beyond / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return {
        "limit": float(limit.mean()),
        "n_beyond": beyond,
        "share_beyond": 100.0 * share,
        "share_lo": 100.0 * max(0.0, middle - half),
        "share_hi": 100.0 * min(1.0, middle + half),
    }


def cutoff_rows(brain: Rates | None, study: Study, plan: Plan) -> tuple[dict[str, object], ...]:
    """Return what the cut-off of NEDA-4 makes of healthy adults at each measurement error.

    The errors are none; that of change found where there is none, and of the same head measured again, as published
    with this program; and the scatter of the study's own scans around each person's line, if change is the difference
    of volumes.
    """
    healthy = next(rate for rate in HEALTHY_RATES if rate.sd is not None and rate.structure == "WholeBrain")
    mean, sd = healthy.means[0][1], healthy.sd or 0.0
    cutoff = plan.activity.bvl_cutoff_pct_per_year
    rows: list[dict[str, object]] = []
    for name, error, data, warning in _errors(brain, study):
        for years in CUTOFF_YEARS:
            share = None if error is None else 100.0 * share_failing(cutoff, error, years, mean, sd)
            rows.append(
                {
                    "cutoff": cutoff,
                    "years": years,
                    "error": name,
                    "error_sd": error,
                    "data": data,
                    "healthy_mean": mean,
                    "healthy_sd": sd,
                    "share_failing": share,
                    "specificity": None if share is None else 100.0 - share,
                    "warning": warning,
                }
            )
    return tuple(rows)


def _errors(brain: Rates | None, study: Study) -> list[tuple[str, float | None, str, str]]:
    measured = load_measured_error()
    found: list[tuple[str, float | None, str, str]] = [("no measurement error", 0.0, "", "")]
    for key, name in (
        ("change_error", "this program's error of change measured from images"),
        ("repeatability", "this program's error of the difference of two volumes"),
    ):
        one = next((measure for measure in measured.measures if measure.key == key), None)
        value = None if one is None else one.values.get("WholeBrain")
        if one is None or value is None:
            found.append((name, None, "", "not computed: not measured"))
            continue
        warning = f"standard deviation from the median of {one.cases} cases, if errors are spread normally"
        found.append((name, error_sd(value), one.data, warning))
    if brain is None or "WholeBrain" not in brain.rate or study.measured_change_pct is not None:
        return found
    df = float(brain.error_df["WholeBrain"].sum())
    if df >= LEAST_ERROR_DF:
        # A change has the error of two scans.
        spread = float(np.sqrt(2.0 * brain.error_ss["WholeBrain"].sum() / df))
        text = f"{say_count(int((brain.error_df['WholeBrain'] > 0).sum()), 'person')} with three scans or more"
        found.append(("the scatter of this study's scans", spread, text, "holds real change that is not steady"))
    return found
