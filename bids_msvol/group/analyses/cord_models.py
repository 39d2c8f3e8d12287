# SPDX-License-Identifier: Apache-2.0
"""The models of cord areas (cord_levels, brain_cord): one level, all groups, one or several sessions a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from bids_msvol.group.checks import say_decisive
from bids_msvol.group.covariates import covariate_columns, say_not_adjusted
from bids_msvol.group.result import CannotAnalyseError
from bids_msvol.stats.mixed_model import MixedFit, fit_mixed
from bids_msvol.stats.regression import LinearFit, fit_ols, influence

if TYPE_CHECKING:
    from bids_msvol.group.analyses.cord_levels_groups import CordGroups
    from bids_msvol.group.covariates import Covariates
    from bids_msvol.group.study import Study

LEAST_PERSONS = 3
"""A group with fewer persons at a level is left out there: one or two would be compared with a crowd."""

UNEQUAL = 2.0
"""Ratio of the groups' standard deviations above which a common one is doubtful."""

ModelKind = Literal["mixed model", "ANCOVA"]


@dataclass(frozen=True, eq=False)
class LevelModel:
    """A fitted model of the area at one level: a mean for each group, then time and covariates.

    Attributes
    ----------
    fit
        With a column ``group[name]`` for each group, whose coefficient is the adjusted mean at the first session.
    kind
        With a random intercept for each person, or one row a person.
    rows
        The rows that were used.
    counts
        Persons of each group in the model.
    observations
        Rows of each group in the model.
    person_means
        (person,) adjusted mean area of each person, by group.
    assumptions, warnings
        What was checked, and what is doubtful.
    """

    fit: MixedFit | LinearFit
    kind: ModelKind
    rows: pd.DataFrame
    counts: Mapping[str, int]
    observations: Mapping[str, int]
    person_means: Mapping[str, NDArray[np.float64]]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def spread(self) -> float:
        """Standard deviation of one area of one person, given the columns."""
        if isinstance(self.fit, MixedFit):
            return float(np.sqrt(self.fit.sigma2 + self.fit.tau2))
        return float(np.sqrt(self.fit.sigma2))

    def side(self, groups: Sequence[str]) -> dict[str, float]:
        """Return the weights of the mean of some groups, each by its number of persons."""
        total = sum(self.counts[name] for name in groups)
        return {f"group[{name}]": self.counts[name] / total for name in groups}


@dataclass(frozen=True)
class Relative:
    """A contrast in per cent, with its confidence interval by the delta method."""

    pct: float
    low: float
    high: float


def relative(fit: MixedFit | LinearFit, change: Mapping[str, float], base: Mapping[str, float]) -> Relative:
    """Return a contrast in per cent of another, with the uncertainty of both."""
    below = fit.contrast(base).value
    ratio = fit.contrast(change).value / below
    names = {*change, *base}
    moved = fit.contrast({name: change.get(name, 0.0) - ratio * base.get(name, 0.0) for name in names})
    half = 100.0 * (moved.high - moved.value) / abs(below)
    return Relative(100.0 * ratio, 100.0 * ratio - half, 100.0 * ratio + half)


def subtract(upper: Mapping[str, float], lower: Mapping[str, float]) -> dict[str, float]:
    """Return the weights of one contrast less another."""
    return {name: upper.get(name, 0.0) - lower.get(name, 0.0) for name in {**upper, **lower}}


def cord_rows(study: Study, groups: CordGroups) -> pd.DataFrame:
    """Return the sessions with cord areas of persons in a group, with what the models need.

    Returns
    -------
    pandas.DataFrame
        One row a session: ``participant_id``, ``group``, ``years`` since the person's first cord area, ``age``,
        ``duration`` (years) and covariates at that first one, ``edss``, ``etiv_mm3`` and the areas. Sessions without a
        day are left out, but the first of a person.

    Raises
    ------
    CannotAnalyseError
        If nobody has a cord area.
    """
    areas = study.cord_mm2.dropna(how="all")
    if areas.empty:
        raise CannotAnalyseError("no session has a cord area")
    rows = study.sessions.loc[study.sessions.index.intersection(areas.index, sort=False)]
    rows = rows[["participant_id", "session_id", "years", "age", "disease_duration", "edss", "etiv_mm3"]]
    people = rows["participant_id"]
    first = ~people.duplicated()
    years = rows["years"] - rows.groupby("participant_id")["years"].transform("min")
    rows = rows.assign(years=years.mask(first & years.isna(), 0.0))
    rows = rows[rows["years"].notna()]
    start = rows.assign(age=rows["age"] - rows["years"], duration=rows["disease_duration"] - rows["years"])
    medians = start.groupby("participant_id")[["age", "duration"]].transform("median")
    group = groups.of_person.reindex(rows["participant_id"]).set_axis(rows.index)
    rows = rows.assign(age=medians["age"], duration=medians["duration"], group=group)
    rows = study.of_person(rows, "sex", "site").drop(columns="disease_duration")
    rows = rows[rows["group"].notna()]
    if rows.empty:
        raise CannotAnalyseError("nobody with a cord area belongs to a group")
    return rows.join(areas)


def fit_level(
    rows: pd.DataFrame,
    outcome: str,
    groups: Sequence[str],
    covariates: Covariates,
    *,
    level: float,
) -> LevelModel:
    """Fit the area at one level.

    Parameters
    ----------
    rows
        As `cord_rows` gives them, with the column ``outcome``.
    outcome
        Column to explain.
    groups
        Those compared, in order; those with too few persons are left out.
    covariates
        To adjust for.
    level
        Of the confidence intervals.

    Raises
    ------
    ValueError
        If there are too few persons, or as the models.
    """
    used = covariates.complete(rows.dropna(subset=[outcome]))
    persons = used.drop_duplicates("participant_id")["group"].value_counts()
    kept = [name for name in groups if persons.get(name, 0) >= LEAST_PERSONS]
    used = used[used["group"].isin(kept)]
    if used.empty:
        raise ValueError(f"no group has {LEAST_PERSONS} persons")
    warnings: list[str] = []
    kind: ModelKind = "mixed model" if used["participant_id"].duplicated().any() else "ANCOVA"
    if kind == "mixed model":
        columns, left_out = _columns(used, kept, covariates)
        try:
            fit: MixedFit | LinearFit = fit_mixed(used[outcome], columns, used["participant_id"], level=level)
        except ValueError as error:
            kind = "ANCOVA"
            warnings.append(f"first sessions only: {error}")
    if kind == "ANCOVA":
        used = used.drop_duplicates("participant_id")
        columns, left_out = _columns(used, kept, covariates)
        fit = fit_ols(used[outcome], columns, level=level)
    if left_out:
        warnings.append(say_not_adjusted(left_out))
    means, checked, doubts = _check(used, outcome, kept, covariates, fit)
    return LevelModel(
        fit=fit,
        kind=kind,
        rows=used,
        counts={name: int(persons[name]) for name in kept},
        observations={name: int((used["group"] == name).sum()) for name in kept},
        person_means=means,
        assumptions=checked,
        warnings=(*warnings, *doubts),
    )


def _columns(
    rows: pd.DataFrame,
    groups: Sequence[str],
    covariates: Covariates,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    columns: dict[str, Any] = {f"group[{name}]": (rows["group"] == name).to_numpy(dtype=float) for name in groups}
    years = rows["years"].to_numpy(dtype=float)
    if years.any():
        columns["years"] = years
    adjusting, left_out = covariate_columns(rows, covariates.names, columns)
    return columns | adjusting, left_out


def _check(
    rows: pd.DataFrame, outcome: str, groups: Sequence[str], covariates: Covariates, fit: MixedFit | LinearFit
) -> tuple[dict[str, NDArray[np.float64]], tuple[str, ...], tuple[str, ...]]:
    """Look at the persons: spread, skewness, whether one decides; return adjusted means, checks and doubts."""
    means = rows.groupby("participant_id", sort=False)[outcome].mean()
    first = rows.drop_duplicates("participant_id").set_index("participant_id")
    columns, _ = _columns(first.assign(years=0.0), groups, covariates)
    checks, doubts = [], []
    if isinstance(fit, MixedFit):
        checks.append(f"share of variance between persons {fit.icc:.2f}" + (" (singular)" if fit.singular else ""))
        if fit.singular:
            doubts.append("no variance between persons was found; the fit is that of least squares")
    try:
        by_person = fit_ols(means.reindex(first.index), columns)
    except ValueError:
        return {}, tuple(checks), tuple(doubts)
    residuals = by_person.residuals
    of_group = {name: residuals[(first["group"] == name).to_numpy()] for name in groups}
    spreads = [float(part.std(ddof=1)) for part in of_group.values() if len(part) > 1]
    ratio = max(spreads) / min(spreads) if min(spreads) > 0.0 else 1.0
    checks.append(f"ratio of the groups' SD {ratio:.1f}")
    checks.append(f"skewness of persons' residuals {float(stats.skew(residuals)):.1f}")
    if ratio > UNEQUAL:
        doubts.append("the groups' spreads differ; see Welch's test")
    decisive = say_decisive(influence(by_person).cooks_distance, first.index.to_numpy(dtype=object))
    doubts += [decisive] if decisive else []
    own = dict(zip(by_person.names, by_person.beta, strict=True))
    adjusted = {name: float(own[f"group[{name}]"]) + part for name, part in of_group.items()}
    return adjusted, tuple(checks), tuple(doubts)


def welch_p(model: LevelModel, lower: Sequence[str], upper: Sequence[str]) -> float:
    """Return Welch's p value for the adjusted mean areas of persons in two sets of groups; NaN where there is none."""
    empty = np.empty(0)
    one, other = (
        np.concatenate([model.person_means.get(name, empty) for name in side]) if side else empty
        for side in (lower, upper)
    )
    if min(len(one), len(other)) < 2:
        return float("nan")
    squares = [float(values.var(ddof=1)) / len(values) for values in (one, other)]
    variance = sum(squares)
    if variance == 0.0:
        return float("nan")
    df = variance**2 / sum(part**2 / (len(values) - 1) for part, values in zip(squares, (one, other), strict=True))
    return 2.0 * float(special.stdtr(df, -abs(float(other.mean() - one.mean())) / np.sqrt(variance)))
