# SPDX-License-Identifier: Apache-2.0
"""The rows of the tables of brain_cord: correlations by disability, loss by disability, and who is told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bids_msvol.group.analyses.cord_models import LEAST_PERSONS, relative
from bids_msvol.group.checks import FEW_PERSONS, join_notes, say_decisive, say_few
from bids_msvol.group.covariates import LABELS, Covariates, covariate_columns, say_not_adjusted
from bids_msvol.group.regions import REGIONS, region_label
from bids_msvol.stats.correlation import compare_correlations, partial_correlation, pearson
from bids_msvol.stats.design import INTERCEPT
from bids_msvol.stats.regression import fit_ols, influence
from bids_msvol.stats.robust import spearman
from bids_msvol.stats.roc import compare_aucs, measure_auc, permute_auc

if TYPE_CHECKING:
    from bids_msvol.group.plan import Statistics

CORD = "C2-C3"
"""The cord area that is related to the brain: the one that most studies report."""

BRAIN = "WholeBrain"

MEASURES: tuple[str, ...] = ("WholeBrain", "Cortex", "DeepGray", "Thalamus", "Ventricles")
"""Regions of the brain beside the cord."""


@dataclass(frozen=True)
class Bounds:
    """People of similar disability: EDSS from ``lowest`` to ``highest``, both included."""

    name: str
    lowest: float
    highest: float

    @property
    def label(self) -> str:
        """Return ``mild (EDSS 0-1.5)``."""
        ends = f"{self.lowest:g} or more" if self.highest >= 10.0 else f"{self.lowest:g}-{self.highest:g}"
        return f"{self.name} (EDSS {ends})"


THREE_STRATA = (
    Bounds("mild", 0.0, 1.5),
    Bounds("mild to moderate", 2.0, 3.5),
    Bounds("moderate to severe", 4.0, 10.0),
)
"""Three groups by EDSS, as in the study of Vaneckova 2018, whose text does not give the bounds: the middle one is that
in which EDSS 2-2.5 was told from 3-3.5, and the others lie on its sides."""

TWO_STRATA = (Bounds("up to 3", 0.0, 3.0), Bounds("above 3", 3.5, 10.0))
"""The two groups of Andelova et al. 2019, Frontiers in Neurology 10:793, as a second look."""

SCHEMES = {"three strata": THREE_STRATA, "two strata": TWO_STRATA}

LOWER_EDSS, HIGHER_EDSS = Bounds("lower", 2.0, 2.5), Bounds("higher", 3.0, 3.5)
"""The neighbours that only the cord told apart in that study."""

EVERYBODY = "all patients"

PERMUTED_VALUES = 10_000_000
"""Persons times permutations of one test: large groups get fewer permutations, so that a study of ten thousand persons
takes seconds; the number is in the table."""

LEAST_PERMUTATIONS = 999
"""But never fewer than these, if as many are asked for."""

Row = dict[str, object]


@dataclass(frozen=True, eq=False)
class Setting:
    """What all the tests of one study share.

    Attributes
    ----------
    patients
        One row a person with EDSS: measures in the unit of the correlations (``cord``, and regions), volumes in mm3
        (``<region>_mm3``), ``edss``, ``age``, ``sex``, ``site``, ``etiv_mm3``.
    controls
        The same of healthy controls; may be empty.
    covariates
        Age, sex and site, as far as known.
    in_percent
        Whether measures of the brain are in per cent of the intracranial volume; else they are volumes.
    statistics
        Level, permutations and seed.
    """

    patients: pd.DataFrame
    controls: pd.DataFrame
    covariates: Covariates
    in_percent: bool
    statistics: Statistics


def permutations_for(persons: int, statistics: Statistics) -> int:
    """Return how many permutations a test of so many persons gets."""
    affordable = max(LEAST_PERMUTATIONS, PERMUTED_VALUES // max(persons, 1))
    return min(statistics.permutations, affordable)


def within(people: pd.DataFrame, bounds: Bounds) -> pd.DataFrame:
    """Return the people whose EDSS lies within bounds."""
    return people[people["edss"].between(bounds.lowest, bounds.highest)]


def correlation_rows(setting: Setting) -> list[Row]:
    """Return the correlation of the cord with each measure of the brain, in each stratum and in all patients."""
    sets = [(EVERYBODY, EVERYBODY, setting.patients)]
    sets += [
        (scheme, bounds.label, within(setting.patients, bounds))
        for scheme, strata in SCHEMES.items()
        for bounds in strata
    ]
    return [
        _correlation(people, measure, scheme, label, setting) for scheme, label, people in sets for measure in MEASURES
    ]


def _correlation(people: pd.DataFrame, measure: str, scheme: str, label: str, setting: Setting) -> Row:
    used = people.dropna(subset=["cord", measure])
    row: Row = {
        "roi": measure,
        "scheme": scheme,
        "stratum": label,
        "n_obs": len(used),
        "n_sub": len(used),
        "family": f"correlation, {label}",
    }
    level = setting.statistics.level
    cord, brain = used["cord"].to_numpy(dtype=float), used[measure].to_numpy(dtype=float)
    try:
        found, ranks = pearson(cord, brain, level=level), spearman(cord, brain, level=level)
    except ValueError as error:
        return row | {"warning": f"{len(used)} persons: {error}"}
    doubts = [f"only {len(used)} persons"] if len(used) < FEW_PERSONS else []
    row |= {
        "r": found.r, "ci_lo": found.low, "ci_hi": found.high, "df": found.df, "p": found.p,
        "rho": ranks.rho, "rho_lo": ranks.low, "rho_hi": ranks.high, "p_rho": ranks.p,
    }  # fmt: skip
    try:
        line = fit_ols(cord, {INTERCEPT: np.ones(len(cord)), "x": brain})
        cooks = influence(line).cooks_distance
        row["assumptions"] = f"largest Cook's distance {np.max(cooks):.2f}"
        doubts.append(say_decisive(cooks, used["participant_id"].to_numpy(dtype=object)))
        if (found.p < 0.05) != (ranks.p < 0.05):
            doubts.append("Pearson's and Spearman's correlations disagree at 0.05")
        adjusted = setting.covariates.complete(used)
        held, given = _held(adjusted, setting)
        partial = partial_correlation(adjusted["cord"], adjusted[measure], held, level=level)
    except ValueError as error:
        return row | {"warning": join_notes(*doubts, f"no partial correlation: {error}")}
    return row | {
        "partial_r": partial.r, "partial_lo": partial.low, "partial_hi": partial.high, "p_partial": partial.p,
        "n_partial": partial.n_obs, "given": given, "warning": join_notes(*doubts),
    }  # fmt: skip


def difference_rows(setting: Setting) -> list[Row]:
    """Return how the correlation differs between strata: each pair of a scheme, for each measure."""
    found = []
    for scheme, strata in SCHEMES.items():
        for number, first in enumerate(strata):
            for second in strata[number + 1 :]:
                found += [_difference(measure, scheme, first, second, setting) for measure in MEASURES]
    return found


def _difference(measure: str, scheme: str, first: Bounds, second: Bounds, setting: Setting) -> Row:
    name = f"{second.label} - {first.label}"
    row: Row = {"roi": measure, "scheme": scheme, "comparison": name, "family": f"difference of correlations, {name}"}
    people = setting.patients.dropna(subset=["cord", measure])
    people = pd.concat([within(people, first), within(people, second)])
    flags = people["edss"] >= second.lowest
    row |= {"n_sub": len(people), "n_lower": int((~flags).sum()), "n_upper": int(flags.sum())}
    statistics = setting.statistics
    try:
        found = compare_correlations(
            people["cord"],
            people[measure],
            flags,
            permutations=permutations_for(len(people), statistics),
            seed=statistics.seed,
            level=statistics.level,
        )
    except ValueError as error:
        return row | {"warning": str(error)}
    sizes = {first.label: int((~flags).sum()), second.label: int(flags.sum())}
    doubts = say_few(sizes, sizes)
    row |= {
        "r_lower": found.first.r, "r_upper": found.second.r, "difference": found.difference, "ci_lo": found.low,
        "ci_hi": found.high, "z": found.z, "p_fisher": found.p, "p": found.p_permutation,
        "permutations": found.permutations,
    }  # fmt: skip
    adjusted = setting.covariates.complete(people)
    try:
        held, given = _held(adjusted, setting)
        after = compare_correlations(
            adjusted["cord"],
            adjusted[measure],
            adjusted["edss"] >= second.lowest,
            held,
            permutations=permutations_for(len(adjusted), statistics),
            seed=statistics.seed,
            level=statistics.level,
        )
        row |= {"difference_adjusted": after.difference, "p_adjusted": after.p_permutation, "given": given}
    except ValueError as error:
        doubts.append(f"not adjusted: {error}")
    return row | {"warning": "; ".join(doubts)}


def loss_rows(setting: Setting) -> list[Row]:
    """Return how much less cord and brain each stratum has than controls, or than the mildest where there are none."""
    found = []
    for scheme, strata in SCHEMES.items():
        for measure in ("cord", *MEASURES):
            found += _loss(measure, scheme, strata, setting)
    return found


def _loss(measure: str, scheme: str, strata: Sequence[Bounds], setting: Setting) -> list[Row]:
    controls = setting.controls.dropna(subset=[measure])
    parts = {bounds.label: within(setting.patients, bounds).dropna(subset=[measure]) for bounds in strata}
    if len(controls) >= LEAST_PERSONS:
        parts = {"controls": controls} | parts
    reference, *others = parts
    everybody = pd.concat([part.assign(stratum=label) for label, part in parts.items()])
    # The brain is free of head size already; the cord is not.
    head = measure == "cord" and setting.in_percent
    everybody = setting.covariates.complete(everybody.dropna(subset=["etiv_mm3"]) if head else everybody)
    counts = {str(label): int(count) for label, count in everybody["stratum"].value_counts().items()}
    kept = [label for label in parts if counts.get(label, 0) >= LEAST_PERSONS]
    base = [
        {
            "roi": _name(measure),
            "scheme": scheme,
            "stratum": label,
            "reference": reference,
            "n_sub": counts.get(label, 0),
            "n_reference": counts.get(reference, 0),
            "family": f"loss, {label}",
        }
        for label in others
    ]
    if reference not in kept or len(kept) < 2:
        why = f"fewer than {LEAST_PERSONS} persons in the reference or in all others"
        return [row | {"warning": why} for row in base]
    used = everybody[everybody["stratum"].isin(kept)]
    columns: dict[str, Any] = {f"group[{label}]": (used["stratum"] == label).to_numpy(dtype=float) for label in kept}
    if head:
        etiv = used["etiv_mm3"].to_numpy(dtype=float)
        columns["etiv"] = etiv / etiv.mean() - 1.0
    try:
        adjusting, left_out = covariate_columns(used, setting.covariates.names, columns)
        fit = fit_ols(used[measure], columns | adjusting, level=setting.statistics.level)
        joint = fit.joint_test([{f"group[{label}]": 1.0, f"group[{reference}]": -1.0} for label in kept[1:]])
    except ValueError as error:
        return [row | {"warning": str(error)} for row in base]
    cooks = influence(fit).cooks_distance
    doubts = (say_not_adjusted(left_out), say_decisive(cooks, used["participant_id"].to_numpy(dtype=object)))
    found = []
    for row in base:
        label = str(row["stratum"])
        if label not in kept:
            found.append(row | {"warning": f"fewer than {LEAST_PERSONS} persons"})
            continue
        weights = {f"group[{label}]": 1.0, f"group[{reference}]": -1.0}
        estimate, pct = fit.contrast(weights), relative(fit, weights, {f"group[{reference}]": 1.0})
        few = say_few(counts, (label, reference))
        found.append(
            row
            | {
                "difference_pct": pct.pct, "ci_lo": pct.low, "ci_hi": pct.high, "df": estimate.df, "p": estimate.p,
                "difference": estimate.value, "se": estimate.se, "f_strata": joint.f, "p_strata": joint.p,
                "assumptions": f"largest Cook's distance {np.max(cooks):.2f}", "warning": join_notes(*doubts, *few),
            }
        )  # fmt: skip
    return found


def scores(setting: Setting) -> tuple[dict[str, pd.Series[Any]], dict[str, pd.Series[Any]], pd.DataFrame]:
    """Return the scores that are to tell lower from higher EDSS: as measured, adjusted, and the people.

    A score is higher where there is less of the cord or brain, or more fluid. Adjusted: the residual of the area or
    volume in mm2 or mm3 on age, sex, site and the intracranial volume, in these people.
    """
    people = pd.concat([within(setting.patients, LOWER_EDSS), within(setting.patients, HIGHER_EDSS)])
    plain, adjusted = {}, {}
    for measure in ("cord", *MEASURES):
        sign = 1.0 if measure in REGIONS and REGIONS[measure].is_fluid else -1.0
        plain[measure] = sign * people[measure].dropna()
        volume = "cord" if measure == "cord" else f"{measure}_mm3"
        wanted = ["etiv_mm3"] if people["etiv_mm3"].notna().mean() >= 0.5 else []
        used = setting.covariates.complete(people.dropna(subset=[volume, *wanted]))
        columns: dict[str, Any] = {INTERCEPT: np.ones(len(used))}
        if wanted and len(used):
            columns["etiv"] = (used["etiv_mm3"] / used["etiv_mm3"].mean()).to_numpy(dtype=float)
        try:
            adjusting, _ = covariate_columns(used, setting.covariates.names, columns)
            left = fit_ols(used[volume], columns | adjusting).residuals
        except ValueError:
            left = np.full(len(used), np.nan)
        adjusted[measure] = sign * pd.Series(left, index=used.index).dropna()
    return plain, adjusted, people


def roc_rows(setting: Setting) -> list[Row]:
    """Return how well each measure tells lower from higher EDSS, and how it compares with the cord."""
    plain, adjusted, people = scores(setting)
    positive = people["edss"] >= HIGHER_EDSS.lowest
    found = []
    for kind, score in (("adjusted", adjusted), ("as measured", plain)):
        for measure in ("cord", *MEASURES):
            row: Row = {"roi": _name(measure), "adjustment": kind, "family": f"AUC, {kind}"}
            found.append(row | _auc(score[measure], score["cord"], positive, measure, setting))
    return found


def _auc(score: pd.Series[Any], cord: pd.Series[Any], positive: pd.Series[bool], measure: str, setting: Setting) -> Row:
    flags, statistics = positive.reindex(score.index), setting.statistics
    row: Row = {"n_sub": len(score), "n_positive": int(flags.sum()), "n_negative": int((~flags).sum())}
    try:
        area = measure_auc(score, flags, level=statistics.level)
        drawn = permutations_for(len(score), statistics)
        p = permute_auc(score, flags, permutations=drawn, seed=statistics.seed)
    except ValueError as error:
        return row | {"warning": str(error)}
    fewest = min(area.n_positive, area.n_negative)
    doubts = [f"only {fewest} persons in one of the two"] if fewest < FEW_PERSONS else []
    if np.isnan(area.se):
        doubts.append("all persons are told apart; DeLong's interval does not exist")
    row |= {
        "auc": area.auc,
        "se": area.se,
        "ci_lo": area.low,
        "ci_hi": area.high,
        "p_delong": area.p,
        "p": p,
        "permutations": drawn,
    }
    both = score.index.intersection(cord.index)
    if measure != "cord" and len(both):
        try:
            pair = compare_aucs(cord[both], score[both], positive[both], level=statistics.level)
            row |= {
                "less_cord": pair.difference, "less_cord_lo": pair.low, "less_cord_hi": pair.high,
                "p_less_cord": pair.p, "n_pair": len(both),
            }  # fmt: skip
        except ValueError as error:
            doubts.append(f"not compared with the cord: {error}")
    return row | {"warning": "; ".join(doubts)}


def _held(people: pd.DataFrame, setting: Setting) -> tuple[dict[str, Any], str]:
    """Return what partial correlations hold constant, and its name in a table.

    It is head size, since the cord grows with it, if all of these people have it, and the covariates that vary in them.
    """
    columns: dict[str, Any] = {INTERCEPT: np.ones(len(people))}
    head = bool(len(people)) and bool(people["etiv_mm3"].notna().all())
    if head:
        columns["etiv"] = (people["etiv_mm3"] / people["etiv_mm3"].mean()).to_numpy(dtype=float)
    adjusting, left_out = covariate_columns(people, setting.covariates.names, columns)
    used = [name for name in setting.covariates.names if name not in left_out and people[name].nunique() > 1]
    given = [*(LABELS[name] for name in used), *([LABELS["etiv_ml"]] if head else [])]
    held = {name: values for name, values in (columns | adjusting).items() if name != INTERCEPT}
    return held, ", ".join(given) or "nothing"


def _name(measure: str) -> str:
    return CORD if measure == "cord" else measure


def measure_label(name: str) -> str:
    """Return how a reader calls a measure."""
    return f"Cord area ({CORD})" if name in ("cord", CORD) else region_label(name)
