# SPDX-License-Identifier: Apache-2.0
"""The rows of the tables of cord_levels: groups at each level, their means, and EDSS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bids_msvol.group.analyses.cord_levels_groups import CordGroups
from bids_msvol.group.analyses.cord_levels_rates import family_of
from bids_msvol.group.analyses.cord_models import (
    LEAST_PERSONS,
    LevelModel,
    fit_level,
    relative,
    subtract,
    welch_p,
)
from bids_msvol.group.checks import join_notes, say_decisive, say_few
from bids_msvol.group.covariates import Covariates, covariate_columns, say_not_adjusted
from bids_msvol.group.result import estimate_cells
from bids_msvol.stats.correlation import partial_correlation
from bids_msvol.stats.design import INTERCEPT
from bids_msvol.stats.regression import fit_ols, influence

OMNIBUS = "all groups"
"""Name of the comparison of all groups together."""

RAW, HEAD_FREE = "raw", "etiv_residual"
"""Areas as they are; and without what the intracranial volume explains of them."""

PATIENTS = "all patients"


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
    base["etiv"] = head - head.mean()
    adjusting, _ = covariate_columns(first, setting.covariates.names, base)
    try:
        slope = float(fit_ols(means, base | adjusting).contrast({"etiv": 1.0}).value)
    except ValueError:
        return empty
    freed: pd.Series[Any] = rows[level] - slope * (rows["etiv_mm3"] - head.mean())
    return freed


def compare_level(rows: pd.DataFrame, level: str, kind: str, setting: Setting) -> tuple[LevelModel | None, list[Row]]:
    """Compare the groups at one level; return the model, and the rows of all groups together and of each comparison."""
    wanted = [OMNIBUS, *(one.name for one in setting.groups.comparisons)]
    families = {name: family_of(level, f"{name}, {kind}", f"comparisons, {kind}") for name in wanted}
    # The test of all groups says nothing new beside the comparisons: no part of their family.
    families[OMNIBUS] = family_of(level, f"{OMNIBUS}, {kind}", f"{OMNIBUS}, {kind}")
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
        return None, [base | {"comparison": name, "family": families[name], "warning": str(error)} for name in wanted]
    found = [_omnibus(model, base | {"family": families[OMNIBUS]})] if setting.groups.comparisons else []
    for one in setting.groups.comparisons:
        row = base | {"comparison": one.name, "family": families[one.name], "model": model.kind}
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
            | estimate_cells(estimate)
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
                "warning": "; ".join((*model.warnings, *say_few(model.counts, here))),
            }
        )
    return model, found


def _omnibus(model: LevelModel, base: Row) -> Row:
    present = list(model.counts)
    row = base | {
        "comparison": OMNIBUS,
        "model": model.kind,
        "n_obs": sum(model.observations.values()),
        "n_sub": sum(model.counts.values()),
        "assumptions": "; ".join(model.assumptions),
        "warning": "; ".join((*model.warnings, *say_few(model.counts, present))),
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
        shown = {key: value for key, value in estimate_cells(estimate).items() if key != "p"}
        used = {"n_obs": model.observations[name], "n_sub": model.counts[name]}
        warning = "; ".join((*model.warnings, *say_few(model.counts, [name])))
        found.append(row | shown | used | {"mean_mm2": estimate.value, "warning": warning})
    return found


def edss_rows(rows: pd.DataFrame, level: str, setting: Setting) -> list[Row]:
    """Return how the area at one level goes with EDSS, in all patients and in each group of them."""
    patients = [name for name in setting.groups.order if name in setting.groups.patients]
    sets = [(PATIENTS, patients), *((name, [name]) for name in patients if len(patients) > 1)]
    known = rows.dropna(subset=[level, "edss"]).drop_duplicates("participant_id")
    return [_edss(known[known["group"].isin(members)], level, label, setting) for label, members in sets]


def _edss(people: pd.DataFrame, level: str, label: str, setting: Setting) -> Row:
    used = setting.covariates.complete(people)
    family = family_of(level, f"EDSS, {label}", "EDSS")
    row: Row = {"level": level, "group": label, "n_sub": len(used), "n_obs": len(used), "family": family}
    if len(used) < LEAST_PERSONS:
        return row | {"warning": "too few persons with this level and EDSS"}
    edss = used["edss"].to_numpy(dtype=float)
    base = {INTERCEPT: np.ones(len(used)), "edss": edss}
    held, left_out = covariate_columns(used, setting.covariates.names, base)
    try:
        ranks = partial_correlation(used[level], edss, held, kind="spearman", level=setting.confidence)
        line = fit_ols(used[level], base | held, level=setting.confidence)
    except ValueError as error:
        return row | {"warning": str(error)}
    slope = line.contrast({"edss": 1.0})
    cooks = influence(line).cooks_distance
    decisive = say_decisive(cooks, used["participant_id"].to_numpy(dtype=object))
    few = f"only {len(used)} persons" if len(used) < 2 * LEAST_PERSONS + len(held) else ""
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
        "warning": join_notes(say_not_adjusted(left_out), decisive, few),
    }
