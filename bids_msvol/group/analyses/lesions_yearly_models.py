# SPDX-License-Identifier: Apache-2.0
"""The models of lesions_yearly: the mixed model, and those beside it that show how firm it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.analyses.lesion_influence import Rest, find_weightiest, without_person
from bids_msvol.group.analyses.lesion_regression import Line, fit_line, group_columns
from bids_msvol.stats.mixed_model import MixedFit, fit_mixed
from bids_msvol.stats.regression import COOK_SEVERE, LinearFit, fit_ols

FOLLOWED_UP_TO = 200
"""Persons of a group up to which its slope is also found without the one who has most influence."""


@dataclass(frozen=True, eq=False)
class YearSample:
    """The observations of one region and one kind of lesion.

    Attributes
    ----------
    change, lesions
        (observation,) none missing.
    person, group
        (observation,) labels.
    lines
        The simple regression of each group.
    n_excluded
        By group.
    """

    change: NDArray[np.float64]
    lesions: NDArray[np.float64]
    person: NDArray[np.object_]
    group: NDArray[np.object_]
    lines: Mapping[str, Line]
    n_excluded: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class YearModels:
    """The models of one region; ``None`` where the data do not allow one.

    Attributes
    ----------
    main
        The mixed model, or least squares if nobody has two intervals.
    ols, hc3
        Least squares, with both kinds of standard errors.
    persons
        Least squares of the means of persons.
    failure
        Why there is no main model.
    """

    main: MixedFit | LinearFit | None
    ols: LinearFit | None
    hc3: LinearFit | None
    persons: LinearFit | None
    failure: str = ""


def fit_models(sample: YearSample, level: float) -> YearModels:
    """Fit the model of one region, and those that stand beside it."""
    columns = group_columns(sample.lesions, sample.group, sample.lines)
    if not any(line.fit is not None for line in sample.lines.values()):
        return YearModels(None, None, None, None, "no group has a slope")
    ols = hc3 = persons = None
    main, failure = _fit_main(sample, level)
    try:
        ols = fit_ols(sample.change, columns, level=level)
    except ValueError:
        ols = None
    try:
        hc3 = fit_ols(sample.change, columns, level=level, errors="HC3")
    except ValueError:
        hc3 = None
    try:
        persons = _fit_persons(sample, level)
    except ValueError:
        persons = None
    return YearModels(main, ols, hc3, persons, failure)


def _fit_main(sample: YearSample, level: float) -> tuple[MixedFit | LinearFit | None, str]:
    """Fit the mixed model, or least squares if nobody has two intervals; or say why there is none."""
    columns = group_columns(sample.lesions, sample.group, sample.lines)
    if not any(line.fit is not None for line in sample.lines.values()):
        return None, "no group has a slope"
    try:
        return fit_mixed(sample.change, columns, sample.person, level=level), ""
    except ValueError as error:
        if len(set(sample.person)) < len(sample.person):
            return None, str(error)
    try:
        return fit_ols(sample.change, columns, level=level), ""
    except ValueError as error:
        return None, str(error)


@dataclass(frozen=True, eq=False)
class YearRest:
    """The main model without the person who has most influence on the simple regression of a group.

    Attributes
    ----------
    person, cooks_distance
        Who, and the largest Cook's distance of the person's observations.
    main
        ``None`` if then there is none.
    """

    person: str
    cooks_distance: float
    main: MixedFit | LinearFit | None

    def rest(self, weights: Mapping[str, float], group: str) -> Rest:
        """Return a contrast without the person, who is of this group."""
        found = self.main.contrast(weights) if self.main is not None and set(weights) <= set(self.main.names) else None
        value, p = (math.nan, math.nan) if found is None else (found.value, found.p)
        return Rest(self.person, group, self.cooks_distance, value, p)


def fit_without(sample: YearSample, many: str, level: float) -> dict[str, YearRest]:
    """Fit the main model again for each group, without the person who has most influence in it.

    Groups of more than `FOLLOWED_UP_TO` persons are left out unless Cook's distance is above 1: one of so many changes
    nothing.
    """
    found = {}
    for group, line in sample.lines.items():
        weightiest = find_weightiest(line)
        if weightiest is None:
            continue
        person, distance = weightiest
        if distance <= COOK_SEVERE and len(set(line.persons)) > FOLLOWED_UP_TO:
            continue
        kept = ~((sample.person == person) & (sample.group == group))
        lines = {**sample.lines, group: without_person(line, person, many, level)}
        rest = replace(
            sample, change=sample.change[kept], lesions=sample.lesions[kept], person=sample.person[kept],
            group=sample.group[kept], lines=lines,
        )  # fmt: skip
        found[group] = YearRest(person, distance, _fit_main(rest, level)[0])
    return found


def _fit_persons(sample: YearSample, level: float) -> LinearFit:
    """Fit the means of persons: every person counts once."""
    _, first, codes = np.unique(sample.person.astype(str), return_index=True, return_inverse=True)
    counts = np.bincount(codes)
    change = np.bincount(codes, sample.change) / counts
    lesions = np.bincount(codes, sample.lesions) / counts
    group = sample.group[first]
    lines = {
        name: fit_line(change[group == name], lesions[group == name], sample.person[first][group == name], "", level)
        for name in sample.lines
    }
    return fit_ols(change, group_columns(lesions, group, lines), level=level)


def p_of(model: LinearFit | MixedFit | None, weights: Mapping[str, float]) -> float:
    """Return the p value of a contrast, NaN where the model is missing or lacks a column."""
    if model is None or not set(weights) <= set(model.names):
        return math.nan
    return model.contrast(weights).p
