# SPDX-License-Identifier: Apache-2.0
"""Change of the cord a year in cord_levels: of groups, between them, and with disease duration, as in atrophy_rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.group.analyses.atrophy_rates_groups import PRIMARY_LEVEL, say_growth, say_weight
from bids_msvol.group.analyses.cord_levels_groups import EARLY_YEARS
from bids_msvol.group.analyses.rate_means import MeanRate, mean_rate, rate_difference
from bids_msvol.group.analyses.rates import Rates, area_slopes, cord_rates
from bids_msvol.group.checks import join_notes, say_few, say_shape
from bids_msvol.stats.design import INTERCEPT
from bids_msvol.stats.estimates import Estimate
from bids_msvol.stats.regression import fit_ols

if TYPE_CHECKING:
    from bids_msvol.group.analyses.cord_levels_rows import Setting
    from bids_msvol.group.study import Study

LEAST_FOLLOWED = 3
"""A group needs so many persons with a rate."""

YEARS_PER_STEP = 10.0
"""Disease duration is given in steps of so many years."""

Row = dict[str, object]


@dataclass(frozen=True, eq=False)
class CordRates:
    """Rates of persons, in per cent and mm2 a year.

    Attributes
    ----------
    percent
        As in atrophy_rates: the same persons, the same rates, the same weights.
    mm2
        (person, level) slopes of the areas themselves.
    people
        By person with cord areas in a group: ``group`` and ``duration`` (years, at the first of them).
    """

    percent: Rates
    mm2: pd.DataFrame
    people: pd.DataFrame


def find_rates(study: Study, rows: pd.DataFrame, levels: Sequence[str]) -> CordRates:
    """Return the rates of the persons of ``cord_rows``."""
    people = rows.drop_duplicates("participant_id").set_index("participant_id")[["group", "duration"]]
    return CordRates(cord_rates(study, levels), area_slopes(study, levels), people)


def family_of(level: str, secondary: str, primary: str) -> str:
    """Return the family of a test: C2-C3 alone is the primary one, the levels together the secondary one."""
    return f"primary: {primary}, {PRIMARY_LEVEL}" if level == PRIMARY_LEVEL else f"{secondary}, levels"


def rate_rows(rates: CordRates, level: str, setting: Setting) -> list[Row]:
    """Return the change of area a year of each group, its differences, and how it depends on disease duration."""
    groups = setting.groups
    labels = rates.people["group"]
    found = [_row(rates, level, setting, "rate", name, {name: labels == name}, (name,), ()) for name in groups.order]
    found += [
        _row(rates, level, setting, "difference", one.name, {name: labels == name for name in (*one.lower, *one.upper)},
             one.upper, one.lower)
        for one in groups.comparisons
    ]  # fmt: skip
    patients = labels.isin(list(groups.patients)) & rates.people["duration"].notna()
    late = rates.people["duration"] > EARLY_YEARS
    sides = {"later": patients & late, "earlier": patients & ~late}
    name = f"all patients: later than {EARLY_YEARS:g} years - earlier"
    found.append(_row(rates, level, setting, "duration", name, sides, ("later",), ("earlier",)))
    found.append(_duration(rates, level, patients, setting))
    return found


def _row(
    rates: CordRates,
    level: str,
    setting: Setting,
    kind: str,
    name: str,
    members: dict[str, pd.Series[bool]],
    upper: Sequence[str],
    lower: Sequence[str],
) -> Row:
    """Return the row of the mean rate of some groups, or of its difference from that of others."""
    row: Row = {"level": level, "kind": kind, "group": name, "family": _family(level, kind, name)}
    seen = rates.percent.scans[level].reindex(rates.people.index) > 0 if level in rates.percent.scans else None
    if seen is None:
        return row | {"warning": "nobody has this level"}
    rate = rates.percent.rate[level].reindex(rates.people.index)
    weights = rates.percent.weights(level)
    used = {one: rate[mask].dropna() for one, mask in members.items()}
    row["n_sub"] = int(sum((seen & mask).sum() for mask in members.values()))
    row["n_followed"] = sum(map(len, used.values()))
    sides = [pd.concat([used[one] for one in side]) for side in (upper, lower) if side]
    if min(map(len, sides)) < LEAST_FOLLOWED:
        why = f"fewer than {LEAST_FOLLOWED} persons with two scans of this level half a year apart or more"
        return row | {"warning": why + (" in one of the groups" if lower else "")}
    try:
        means = [mean_rate(side, weights[side.index], setting.confidence) for side in sides]
        areas = [mean_rate(rates.mm2.loc[side.index, level], weights[side.index]) for side in sides]
    except ValueError as error:
        return row | {"warning": f"not tested: {error}"}
    estimate = _estimate(means, setting.confidence)
    everybody = pd.concat(sides).index
    row |= _cells(estimate) | {
        "n_obs": int(rates.percent.scans[level][everybody].sum()),
        "years_median": float(rates.percent.years[level][everybody].median()),
        "plain_mean": means[0].plain - (means[1].plain if lower else 0.0),
        "noise_sd": float(rates.percent.noise(level)[everybody].median()),
        "rate_mm2_per_year": _estimate(areas, setting.confidence).value,
        "assumptions": "; ".join(f"rates: {say_shape(side.to_numpy(dtype=np.float64))}" for side in sides),
    }
    few = say_few({one: len(part) for one, part in used.items()}, [one for one in used if len(used[one])])
    notes = [*few, *(say_weight(mean) for mean in means)]
    if kind == "rate" and name not in setting.groups.patients:
        notes.append(say_growth(row, "pct_per_year", "pct_lo", "n_followed"))
    return row | {"warning": join_notes(*notes)}


def _estimate(means: Sequence[MeanRate], confidence: float) -> Estimate:
    return means[0].estimate if len(means) == 1 else rate_difference(means[0], means[1], confidence)


def _cells(estimate: Estimate) -> Row:
    return {
        "pct_per_year": estimate.value, "se": estimate.se, "pct_lo": estimate.low, "pct_hi": estimate.high,
        "df": estimate.df, "p": estimate.p,
    }  # fmt: skip


def _family(level: str, kind: str, name: str) -> str:
    return family_of(level, f"{kind} of change: {name}", f"{kind} of change")


def _duration(rates: CordRates, level: str, patients: pd.Series[bool], setting: Setting) -> Row:
    """Return how the rate differs with disease duration, from patients: a line with the weights of the rates."""
    name = f"per {YEARS_PER_STEP:g} years of disease duration"
    row: Row = {"level": level, "kind": "duration", "group": name, "family": _family(level, "duration", name)}
    if level not in rates.percent.rate:
        return row | {"warning": "nobody has this level"}
    rate = rates.percent.rate[level].reindex(rates.people.index[patients]).dropna()
    if len(rate) < LEAST_FOLLOWED:
        return row | {"warning": "too few patients with a rate and known disease duration"}
    root = np.sqrt(rates.percent.weights(level)[rate.index].to_numpy())
    duration = rates.people.loc[rate.index, "duration"].to_numpy(dtype=float) / YEARS_PER_STEP
    try:
        fit = fit_ols(
            rate.to_numpy(dtype=float) * root,
            {INTERCEPT: root, "duration": (duration - duration.mean()) * root},
            level=setting.confidence,
        )
    except ValueError as error:
        return row | {"warning": str(error)}
    return row | _cells(fit.contrast({"duration": 1.0})) | {
        "n_obs": int(rates.percent.scans[level][rate.index].sum()),
        "n_sub": len(rate),
        "n_followed": len(rate),
        "years_median": float(rates.percent.years[level][rate.index].median()),
        "assumptions": "least squares with the weights of the rates",
        "warning": join_notes(*say_few({"patients": len(rate)}, ["patients"])),
    }  # fmt: skip
