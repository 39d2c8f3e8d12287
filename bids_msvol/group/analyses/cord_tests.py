# SPDX-License-Identifier: Apache-2.0
"""The tests of cord areas: groups at each level, change over time, disease duration, and EDSS; as rows of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bids_msvol.group.analyses.cord_covariates import Covariates, add_covariates
from bids_msvol.group.analyses.cord_groups import EARLY, EARLY_YEARS, LATE, Comparison, CordGroups
from bids_msvol.group.analyses.cord_models import (
    LEAST_PERSONS,
    LevelModel,
    Relative,
    cells,
    few,
    fit_level,
    relative,
    relative_difference,
    subtract,
    welch_p,
)
from bids_msvol.stats.correlation import partial_correlation
from bids_msvol.stats.estimates import Estimate, t_estimate
from bids_msvol.stats.regression import COOK_SEVERE, fit_ols, influence

OMNIBUS = "all groups"
"""Name of the comparison of all groups together."""

RAW, HEAD_FREE = "raw", "etiv_residual"
"""Areas as they are; and without what the intracranial volume explains of them."""

PATIENTS = "all patients"

LEAST_FOLLOWED = 3
"""A group needs so many persons with two sessions for a rate of change."""

YEARS_PER_STEP = 10.0
"""Disease duration is given in steps of so many years."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What all the tests of one study share."""

    groups: CordGroups
    covariates: Covariates
    levels: tuple[str, ...]
    confidence: float


Row = dict[str, object]


def free_of_head_size(rows: pd.DataFrame, level: str, setting: Setting) -> pd.Series[Any]:
    """Return areas at the mean intracranial volume, with the slope common to all groups of persons' mean areas.

    The residual method: the slope comes from a model of persons with group and covariates. NaN where the intracranial
    volume is not known, or no slope can be found.
    """
    empty = pd.Series(np.nan, index=rows.index)
    known = setting.covariates.complete(rows.dropna(subset=[level, "etiv_mm3"]))
    if known.empty:
        return empty
    first = known.drop_duplicates("participant_id").set_index("participant_id")
    means = known.groupby("participant_id", sort=False)[level].mean().reindex(first.index)
    head = first["etiv_mm3"].to_numpy(dtype=float)
    base = {f"group[{name}]": (first["group"] == name).to_numpy(dtype=float) for name in first["group"].unique()}
    columns, _ = add_covariates({**base, "etiv": head - head.mean()}, first, setting.covariates.names)
    try:
        slope = float(fit_ols(means, columns).contrast({"etiv": 1.0}).value)
    except ValueError:
        return empty
    freed: pd.Series[Any] = rows[level] - slope * (rows["etiv_mm3"] - head.mean())
    return freed


def compare_level(rows: pd.DataFrame, level: str, kind: str, setting: Setting) -> tuple[LevelModel | None, list[Row]]:
    """Compare the groups at one level; return the model, and the rows of all groups together and of each comparison."""
    wanted = [OMNIBUS, *(one.name for one in setting.groups.comparisons)]
    base: Row = {"level": level, "normalisation": kind}
    try:
        column = level
        if kind == HEAD_FREE:
            rows = rows.assign(**{HEAD_FREE: free_of_head_size(rows, level, setting)})
            column = HEAD_FREE
        model = fit_level(rows, column, setting.groups.order, setting.covariates, level=setting.confidence)
        # An area that does not vary has no standard errors.
        model.fit.contrast({f"group[{next(iter(model.counts))}]": 1.0})
    except ValueError as error:
        return None, [
            base | {"comparison": name, "family": f"{name}, {kind}", "warning": str(error)} for name in wanted
        ]
    found = [_omnibus(model, base, kind)] if setting.groups.comparisons else []
    for one in setting.groups.comparisons:
        row = base | {"comparison": one.name, "family": f"{one.name}, {kind}", "model": model.kind}
        lower, upper = ([name for name in side if name in model.counts] for side in (one.lower, one.upper))
        if not lower or not upper:
            row["warning"] = f"fewer than {LEAST_PERSONS} persons with this level in one of the groups"
            found.append(row)
            continue
        weights = subtract(model.side(upper), model.side(lower))
        estimate = model.fit.contrast(weights)
        pct = relative(model.fit, weights, model.side(lower))
        here = [*lower, *upper]
        found.append(
            row
            | cells(estimate)
            | {
                "n_obs": sum(model.observations[name] for name in here),
                "n_sub": sum(model.counts[name] for name in here),
                "n_lower": sum(model.counts[name] for name in lower),
                "n_upper": sum(model.counts[name] for name in upper),
                "difference_mm2": estimate.value,
                "difference_pct": pct.pct,
                "pct_lo": pct.low,
                "pct_hi": pct.high,
                "effect_size": estimate.value / model.spread,
                "p_welch": welch_p(model, lower, upper),
                "assumptions": "; ".join(model.assumptions),
                "warning": "; ".join((*model.warnings, *few(model.counts, here))),
            }
        )
    return model, found


def _omnibus(model: LevelModel, base: Row, kind: str) -> Row:
    present = list(model.counts)
    row = base | {
        "comparison": OMNIBUS,
        "model": model.kind,
        "family": f"{OMNIBUS}, {kind}",
        "n_obs": sum(model.observations.values()),
        "n_sub": sum(model.counts.values()),
        "assumptions": "; ".join(model.assumptions),
        "warning": "; ".join((*model.warnings, *few(model.counts, present))),
    }
    if len(present) < 2:
        return row | {"warning": "only one group has this level"}
    joint = model.fit.joint_test([subtract(model.side([name]), model.side(present[:1])) for name in present[1:]])
    return row | {
        "f": joint.f,
        "df_between": joint.df_between,
        "df": joint.df_within,
        "p": joint.p,
        "partial_eta2": joint.partial_eta_squared,
    }


def mean_rows(rows: pd.DataFrame, level: str, kind: str, model: LevelModel | None, setting: Setting) -> list[Row]:
    """Return the adjusted mean of each group at one level, and how many of its persons have the level."""
    found: list[Row] = []
    for name in setting.groups.order:
        mine = rows[rows["group"] == name]
        seen = mine.dropna(subset=[level])
        means = seen.groupby("participant_id")[level].mean()
        people = mine["participant_id"].nunique()
        row: Row = {
            "level": level,
            "normalisation": kind,
            "group": name,
            "n_obs": len(seen),
            "n_sub": len(means),
            "coverage_pct": 100.0 * len(means) / people if people else float("nan"),
            "raw_mean_mm2": float(means.mean()) if len(means) else float("nan"),
            "raw_sd_mm2": float(means.std()) if len(means) > 1 else float("nan"),
        }
        if model is None or name not in model.counts:
            found.append(row | {"warning": f"fewer than {LEAST_PERSONS} persons, or no model"})
            continue
        estimate = model.fit.contrast({f"group[{name}]": 1.0})
        shown = {key: value for key, value in cells(estimate).items() if key != "p"}
        used = {"n_obs": model.observations[name], "n_sub": model.counts[name]}
        warning = "; ".join((*model.warnings, *few(model.counts, [name])))
        found.append(row | shown | used | {"mean_mm2": estimate.value, "warning": warning})
    return found


def rate_rows(rows: pd.DataFrame, level: str, setting: Setting) -> list[Row]:
    """Return the change of area a year of each group, its differences, and how it depends on disease duration."""
    kinds = [("rate", name) for name in setting.groups.order]
    kinds += [("difference", one.name) for one in setting.groups.comparisons]
    groups = setting.groups
    found = _rates(rows, level, setting, [(kind, name, kind) for kind, name in kinds])
    patients = rows[rows["group"].isin(list(groups.patients)) & rows["duration"].notna()]
    split = patients.assign(group=np.where(patients["duration"] <= EARLY_YEARS, EARLY, LATE))
    sides = replace(
        setting,
        groups=replace(
            groups,
            order=(EARLY, LATE),
            comparisons=(Comparison(f"{LATE} - {EARLY}", (EARLY,), (LATE,)),),
        ),
    )
    label = f"all patients: later than {EARLY_YEARS:g} years - earlier"
    found += [
        row | {"group": label, "family": _rate_family("duration", label)}
        for row in _rates(split, level, sides, [("difference", f"{LATE} - {EARLY}", "duration")])
    ]
    found.append(_duration(patients, level, setting))
    return found


def _rates(rows: pd.DataFrame, level: str, setting: Setting, wanted: Sequence[tuple[str, str, str]]) -> list[Row]:
    """Return rows of rates and differences; ``wanted`` is what is estimated, its name, and the kind in the table."""

    def nothing(why: str) -> list[Row]:
        return [
            {"level": level, "kind": kind, "group": name, "family": _rate_family(kind, name), "warning": why}
            for _, name, kind in wanted
        ]

    slopes = _person_slopes(rows, level)
    followed = slopes.groupby("group").size() if len(slopes) else pd.Series(dtype=int)
    enough = [name for name in setting.groups.order if followed.get(name, 0) >= LEAST_FOLLOWED]
    if not enough:
        return nothing(f"no group has {LEAST_FOLLOWED} persons with two sessions at this level")
    try:
        order = setting.groups.order
        model = fit_level(rows, level, order, setting.covariates, level=setting.confidence, rate_of=enough)
    except ValueError as error:
        return nothing(str(error))
    enough = [name for name in enough if name in model.counts]
    sides = {one.name: (one.lower, one.upper) for one in setting.groups.comparisons}
    found = []
    for what, name, kind in wanted:
        lower, upper = sides[name] if what == "difference" else ((), (name,))
        row: Row = {"level": level, "kind": kind, "group": name, "family": _rate_family(kind, name)}
        low, high = ([one for one in side if one in enough] for side in (lower, upper))
        if len(high) < 1 or (what == "difference" and not low):
            found.append(row | {"warning": f"fewer than {LEAST_FOLLOWED} persons followed in one of the groups"})
            continue
        here = [*low, *high]
        weights, base = model.side(high, "years"), model.side(high)
        pct = relative(model.fit, weights, base)
        if low:
            pct = relative_difference(model.fit, (weights, base), (model.side(low, "years"), model.side(low)))
            weights = subtract(weights, model.side(low, "years"))
        modelled = model.fit.contrast(weights)
        estimate, checked = _widen(modelled, slopes, low, high, setting), list(model.assumptions)
        if estimate is not modelled:
            wider = (estimate.high - estimate.low) / (modelled.high - modelled.low)
            pct = Relative(pct.pct, pct.pct + wider * (pct.low - pct.pct), pct.pct + wider * (pct.high - pct.pct))
            checked.append("persons' slopes vary: standard error from them")
        mine = slopes[slopes["group"].isin(here)]
        doubts = [*model.warnings, *few({one: int(followed[one]) for one in here}, here)]
        found.append(
            row
            | cells(estimate)
            | {
                "n_obs": sum(model.observations[one] for one in here),
                "n_sub": sum(model.counts[one] for one in here),
                "n_followed": len(mine),
                "years_median": float(mine["span"].median()),
                "rate_mm2_per_year": estimate.value,
                "pct_per_year": pct.pct,
                "pct_lo": pct.low,
                "pct_hi": pct.high,
                "p_model": modelled.p,
                "assumptions": "; ".join(checked),
                "warning": "; ".join(doubts),
            }
        )
    return found


def _rate_family(kind: str, name: str) -> str:
    return f"{kind} of change: {name}"


def _duration(patients: pd.DataFrame, level: str, setting: Setting) -> Row:
    """Return how the yearly change differs with disease duration, from patients."""
    name = f"per {YEARS_PER_STEP:g} years of disease duration"
    row: Row = {"level": level, "kind": "duration", "group": name, "family": _rate_family("duration", name)}
    slopes = _person_slopes(patients, level)
    if len(slopes) < LEAST_FOLLOWED:
        return row | {"warning": "too few patients with two sessions and known disease duration"}
    duration = (patients["duration"] - patients["duration"].mean()) / YEARS_PER_STEP
    timed = patients.assign(_years=patients["years"], _duration=duration, _both=duration * patients["years"])
    pooled = timed.assign(years=0.0)
    try:
        model = fit_level(
            pooled,
            level,
            setting.groups.order,
            setting.covariates,
            level=setting.confidence,
            rate_of=(),
            extra=("_years", "_duration", "_both"),
        )
        estimate = model.fit.contrast({"_both": 1.0})
    except ValueError as error:
        return row | {"warning": str(error)}
    return (
        row
        | cells(estimate)
        | {
            "n_obs": len(model.rows),
            "n_sub": sum(model.counts.values()),
            "n_followed": len(slopes),
            "years_median": float(slopes["span"].median()),
            "rate_mm2_per_year": estimate.value,
            "assumptions": "; ".join(model.assumptions),
            "warning": "; ".join(model.warnings),
        }
    )


def _person_slopes(rows: pd.DataFrame, level: str) -> pd.DataFrame:
    """Return the least-squares slope of area on years of each person with two or more sessions, by ``participant_id``.

    Columns ``slope`` (mm2 a year), ``span`` (years), ``sessions`` and ``group``.
    """
    known = rows.dropna(subset=[level])
    by_person = known.groupby("participant_id", sort=False)
    years = known["years"] - by_person["years"].transform("mean")
    area = known[level] - by_person[level].transform("mean")
    sums = pd.DataFrame({"id": known["participant_id"], "xx": years**2, "xy": years * area}).groupby("id").sum()
    span = by_person["years"].max() - by_person["years"].min()
    table = pd.DataFrame(
        {
            "slope": sums["xy"] / sums["xx"],
            "span": span,
            "sessions": by_person.size(),
            "group": by_person["group"].first(),
        }
    )
    return table[sums["xx"].reindex(table.index) > 0.0]


def _widen(
    estimate: Estimate, slopes: pd.DataFrame, lower: Sequence[str], upper: Sequence[str], setting: Setting
) -> Estimate:
    """Return an estimate of change with the standard error of persons' slopes, if that is larger.

    The model has one slope for a group. With three or more sessions, slopes that vary between persons make its standard
    errors too small; the spread of the persons' own slopes has all that varies (Welch's, for two sides). With two
    sessions each the model's error holds it already.
    """
    parts = [slopes[slopes["group"].isin(list(side))] for side in (lower, upper) if side]
    if max(int(part["sessions"].max()) for part in parts) < 3 or min(len(part) for part in parts) < LEAST_FOLLOWED:
        return estimate
    squares = [float(part["slope"].var()) / len(part) for part in parts]
    variance = sum(squares)
    if not variance > estimate.se**2:
        return estimate
    df = variance**2 / sum(square**2 / (len(part) - 1) for square, part in zip(squares, parts, strict=True))
    return t_estimate(estimate.value, float(np.sqrt(variance)), df, setting.confidence)


def edss_rows(rows: pd.DataFrame, level: str, setting: Setting) -> list[Row]:
    """Return how the area at one level goes with EDSS, in all patients and in each group of them."""
    patients = [name for name in setting.groups.order if name in setting.groups.patients]
    sets = [(PATIENTS, patients), *((name, [name]) for name in patients if len(patients) > 1)]
    known = rows.dropna(subset=[level, "edss"]).drop_duplicates("participant_id")
    return [_edss(known[known["group"].isin(members)], level, label, setting) for label, members in sets]


def _edss(people: pd.DataFrame, level: str, label: str, setting: Setting) -> Row:
    used = setting.covariates.complete(people)
    row: Row = {"level": level, "group": label, "n_sub": len(used), "n_obs": len(used), "family": f"EDSS, {label}"}
    if len(used) < LEAST_PERSONS:
        return row | {"warning": "too few persons with this level and EDSS"}
    edss = used["edss"].to_numpy(dtype=float)
    columns, left_out = add_covariates({"intercept": np.ones(len(used)), "edss": edss}, used, setting.covariates.names)
    held = {name: values for name, values in columns.items() if name not in ("intercept", "edss")}
    try:
        ranks = partial_correlation(used[level], edss, held, kind="spearman", level=setting.confidence)
        line = fit_ols(used[level], columns, level=setting.confidence)
    except ValueError as error:
        return row | {"warning": str(error)}
    slope = line.contrast({"edss": 1.0})
    cooks = influence(line).cooks_distance
    doubts = [f"not adjusted for {', '.join(left_out)}"] if left_out else []
    if np.max(cooks) > COOK_SEVERE:
        doubts.append(f"one person decides the slope ({used['participant_id'].iloc[int(np.argmax(cooks))]})")
    if len(used) < 2 * LEAST_PERSONS + len(held):
        doubts.append(f"only {len(used)} persons")
    return row | {
        "rho": ranks.r,
        "ci_lo": ranks.low,
        "ci_hi": ranks.high,
        "df": ranks.df,
        "p": ranks.p,
        "slope_mm2_per_point": slope.value,
        "slope_lo": slope.low,
        "slope_hi": slope.high,
        "p_slope": slope.p,
        "assumptions": f"EDSS from {edss.min():g} to {edss.max():g}; largest Cook's distance {np.max(cooks):.2f}",
        "warning": "; ".join(doubts),
    }
