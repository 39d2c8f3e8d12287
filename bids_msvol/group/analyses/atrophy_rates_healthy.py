# SPDX-License-Identifier: Apache-2.0
"""Healthy adults in atrophy_rates: groups against published rates, and what measurement error makes of a cut-off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.published_rates import (
    HEALTHY_RATES,
    HealthyRate,
    error_sd,
    healthy_rates_of,
    share_failing,
)
from bids_msvol.group.analyses.rate_means import LEAST_PERSONS, mean_rate, scan_error
from bids_msvol.group.analyses.rates import Rates
from bids_msvol.group.checks import FEW_PERSONS, say_shape
from bids_msvol.group.people import is_among, is_control, with_everybody
from bids_msvol.group.regions import REGIONS
from bids_msvol.group.result import COUNTS, FAMILY, GROUP, INTERVAL, NOTES, Q, estimate_cells, number, p_column
from bids_msvol.group.wording import say_count
from bids_msvol.report.measured_error import CHANGE_ERROR, REPEATABILITY, load_measured_error
from bids_msvol.stats.estimates import t_estimate
from bids_msvol.stats.proportions import proportion

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

CUTOFF_YEARS = (1.0, 2.0, 3.0)
"""Intervals for which the cut-off is looked at: error counts less the longer they are."""

SIMULATED = "simulated repeats of one image: a lower bound"
"""What the measured error of this program is: the same image moved, with new noise, not a person scanned again."""

BY_RATE, BY_YEAR = "this study's healthy controls, by rate", "this study's healthy controls, by yearly change"
"""Who failed the cut-off, counted."""

OWN_SCATTER = "scatter of this study's yearly changes"
"""What repeated scans of this study's persons say of the error of a change."""

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
        number("rate", "Mean rate of these persons, weighted by precision.", "percent/year"),
        number("healthy", "Mean of the healthy rates at their ages, with the same weights.", "percent/year"),
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
    "Share of healthy adults whose measured loss reaches the cut-off: counted in this study's own healthy controls; "
    "then expected from published rates and the scatter of this study's yearly changes; then from simulated repeats of "
    "one image, a lower bound.",
    (
        Column("basis", "Where the share is from."),
        number("cutoff", "Loss from which a person fails.", "percent/year"),
        number("years", "Length of the interval; of what was counted, the mean.", "year"),
        Column("n_sub", "Healthy controls counted, or persons whose scans gave the error.", "integer"),
        Column("n_failing", "Healthy controls who fail.", "integer"),
        number("share_failing", "Share of healthy adults who fail.", "percent"),
        number("share_lo", "Lower end of its interval (Wilson), where it was counted.", "percent"),
        number("share_hi", "Upper end.", "percent"),
        number("specificity", "Share of healthy adults who do not fail.", "percent"),
        number("error_sd", "Standard deviation of the error of one measured change.", "percent"),
        Column("data", "What the error was measured on."),
        number("healthy_mean", "Published mean rate of healthy adults.", "percent/year"),
        number("healthy_sd", "Its standard deviation between people.", "percent/year"),
        Column("warning", "Why the result must be read with care."),
    ),
)


def healthy_rows(part: Rates, study: Study, plan: Plan) -> list[dict[str, object]]:
    """Compare the rates of each group with what is known of healthy adults."""
    groups = study.persons["group"].astype(object)
    age = study.persons["age"].astype(float)
    rows = []
    for name in part.rate:
        weights = part.weights(str(name))
        for source in healthy_rates_of(str(name)):
            for label in with_everybody(study.groups()):
                inside = part.rate[name].notna() & is_among(groups, label)
                # Half of the time between the scans has passed at the middle of the course.
                middle = age[inside] + part.years[name][inside] / 2.0
                row: dict[str, object] = {"roi": name, "group": label, "family": f"healthy, {part.kind}, {label}"}
                scans = part.scans[name][inside].to_numpy(dtype=float)
                given = weights[inside.index[inside]].to_numpy()
                rows.append(row | _against(part.rate[name][inside], given, scans, middle, source, plan))
    return rows


def _against(
    rate: pd.Series[float],
    weights: NDArray[np.float64],
    scans: NDArray[np.float64],
    age: pd.Series[float],
    source: HealthyRate,
    plan: Plan,
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
    given = weights[use]
    row |= {"rate": float(np.average(values, weights=given)), "healthy": float(np.average(healthy, weights=given))}
    row |= _beyond(values, source.limit(age.to_numpy())[use], plan)
    distance = values - healthy
    try:
        own = mean_rate(distance, given, plan.statistics.level).estimate
    except ValueError as error:
        return row | {"warning": f"not tested: {error}"}
    variance, df = own.se**2, own.df
    total = variance
    warning = say_method(source)
    if source.se is None:
        warning += "; the uncertainty of the healthy mean is not known and not counted"
    else:
        total = variance + source.se**2
        df = total**2 / (variance**2 / df + source.se**4 / source.se_df)
    found = t_estimate(own.value, float(np.sqrt(total)), df, plan.statistics.level)
    if source.ages is None and source.sd is None:
        warning += "; one mean for all ages"
    return row | {
        "difference": found.value,
        **estimate_cells(found),
        "assumptions": f"distances from the healthy rate: {say_shape(distance)}",
        "warning": warning,
    }


def _beyond(values: NDArray[np.float64], limit: NDArray[np.float64], plan: Plan) -> dict[str, object]:
    """Return how many lose more than the limit."""
    if not np.isfinite(limit).all():
        return {}
    count, beyond = len(values), int(np.count_nonzero(values < limit))
    share = proportion(beyond, count, plan.statistics.level)
    return {
        "limit": float(limit.mean()),
        "n_beyond": beyond,
        "share_beyond": 100.0 * share.share,
        "share_lo": 100.0 * share.low,
        "share_hi": 100.0 * share.high,
    }


def say_method(source: HealthyRate) -> str:
    """Return what a reader must know of how a source measured change."""
    if source.structure in REGIONS:
        return f"the source measured with {source.method}"
    return f"compare methods: the source measured with the {source.method}"


def cutoff_rows(brain: Rates, study: Study, plan: Plan) -> tuple[dict[str, object], ...]:
    """Return whom of healthy adults the cut-off of NEDA-4 fails.

    First those of this study's healthy controls who fail, counted. Then the share that is expected of healthy adults
    with published rates and an error of change: of this study's repeated scans, of simulated repeats, and none.
    """
    healthy = next(rate for rate in HEALTHY_RATES if rate.sd is not None and rate.structure == "WholeBrain")
    mean, sd = healthy.means[0][1], healthy.sd or 0.0
    cutoff = plan.activity.bvl_cutoff_pct_per_year
    rows = _counted(brain, study, plan)
    for error in _errors(brain, study):
        for years in CUTOFF_YEARS:
            share = None if error.sd is None else 100.0 * share_failing(cutoff, error.sd, years, mean, sd)
            rows.append(
                {
                    "basis": error.name,
                    "cutoff": cutoff,
                    "years": years,
                    "n_sub": error.persons,
                    "error_sd": error.sd,
                    "data": error.data,
                    "healthy_mean": mean,
                    "healthy_sd": sd,
                    "share_failing": share,
                    "specificity": None if share is None else 100.0 - share,
                    "warning": error.warning,
                }
            )
    return tuple(rows)


def _counted(brain: Rates, study: Study, plan: Plan) -> list[dict[str, object]]:
    """Return how many of this study's healthy controls fail: by their rates, and by their first yearly change."""
    control = is_control(study)
    rows = []
    if "WholeBrain" in brain.rate:
        rate = brain.rate["WholeBrain"][control].dropna()
        change = 100.0 * np.expm1(rate.to_numpy(dtype=float) / 100.0)
        rows.append(_failing(BY_RATE, change, brain.years["WholeBrain"][rate.index].to_numpy(dtype=float), plan))
    yearly = _yearly(study)
    first = yearly[yearly["participant_id"].map(control).astype(bool)].drop_duplicates("participant_id")
    change, years = (first[name].to_numpy(dtype=float) for name in ("brain_pct_per_year", "years"))
    rows.append(_failing(BY_YEAR, change, years, plan) | {"data": "the first yearly interval of each"})
    return [row for row in rows if row["n_sub"]]


def _yearly(study: Study) -> pd.DataFrame:
    """Return the yearly intervals with a change of the whole brain, by person and time."""
    intervals = study.intervals
    if intervals.empty:
        return intervals
    return intervals[intervals["is_year"].astype(bool) & intervals["brain_pct_per_year"].notna()]


def _failing(basis: str, change: NDArray[np.float64], years: NDArray[np.float64], plan: Plan) -> dict[str, object]:
    cutoff, count = plan.activity.bvl_cutoff_pct_per_year, len(change)
    share = proportion(int(np.count_nonzero(-change >= cutoff)), count, plan.statistics.level)
    return {
        "basis": basis,
        "cutoff": cutoff,
        "years": float(years.mean()) if count else None,
        "n_sub": count,
        "n_failing": share.count,
        "share_failing": 100.0 * share.share,
        "share_lo": 100.0 * share.low,
        "share_hi": 100.0 * share.high,
        "specificity": 100.0 - 100.0 * share.share,
        "warning": f"only {count} persons" if count < FEW_PERSONS else "",
    }


@dataclass(frozen=True)
class _Error:
    """The error of one measured change: its standard deviation in per cent, and where it is from."""

    name: str
    sd: float | None
    persons: int | None = None
    data: str = ""
    warning: str = ""


def _errors(brain: Rates, study: Study) -> list[_Error]:
    measured = load_measured_error()
    found = _scatter(brain, study)
    for key, how in ((CHANGE_ERROR, "change measured from images"), (REPEATABILITY, "difference of two volumes")):
        name = f"{SIMULATED} ({how})"
        one = next((measure for measure in measured.measures if measure.key == key), None)
        value = None if one is None else one.values.get("WholeBrain")
        if one is None or value is None:
            found.append(_Error(name, None, warning="not computed: not measured"))
            continue
        warning = (
            f"not persons scanned again: {one.cases} repeats made from the images of few heads; standard deviation "
            "from the median, if errors are spread normally"
        )
        found.append(_Error(name, error_sd(value), None, one.data, warning))
    return [*found, _Error("no measurement error", 0.0, warning="cannot be reached")]


def _scatter(brain: Rates, study: Study) -> list[_Error]:
    """Return the error of a change over a year that persons with three scans or more show; empty if too few do.

    Where change is the difference of volumes, it is that of two scans around the line of the person; where it was
    measured from pairs of images, the scatter of a person's yearly changes around their mean.
    """
    warning = "holds real change that is not steady, of patients too"
    if study.measured_change_pct is None:
        if "WholeBrain" not in brain.rate:
            return []
        sd = scan_error(brain.error_ss["WholeBrain"], brain.error_df["WholeBrain"]) * np.sqrt(2.0)
        persons = int((brain.error_df["WholeBrain"] > 0).sum())
        data = f"distance of scans from the line of each of {say_count(persons, 'person')} with three scans or more"
    else:
        yearly = _yearly(study)
        change = yearly["brain_pct_per_year"].astype(float)
        own = yearly["participant_id"]
        from_mean = change - change.groupby(own).transform("mean")
        sizes = own.groupby(own).transform("size")
        degrees = (1.0 - 1.0 / sizes).where(sizes > 1, 0.0)
        sd = scan_error(from_mean**2, degrees)
        persons = int(own[sizes > 1].nunique())
        data = f"yearly changes around the mean of each of {say_count(persons, 'person')} with two of them or more"
    return [_Error(OWN_SCATTER, float(sd), persons, data, warning)] if np.isfinite(sd) else []
