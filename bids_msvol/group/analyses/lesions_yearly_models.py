# SPDX-License-Identifier: Apache-2.0
"""The models of patient-years: the mixed model, and those that stand beside it to show how firm it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.analyses.lesion_regression import Line, fit_line, group_columns
from bids_msvol.stats.mixed_model import MixedFit, fit_mixed
from bids_msvol.stats.regression import LinearFit, fit_ols


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
    main: MixedFit | LinearFit | None = None
    ols = hc3 = persons = None
    failure = ""
    try:
        ols = fit_ols(sample.change, columns, level=level)
        main = fit_mixed(sample.change, columns, sample.person, level=level)
    except ValueError as error:
        failure = str(error)
    if main is None and ols is not None and len(set(sample.person)) == len(sample.person):
        main, failure = ols, ""
    try:
        hc3 = fit_ols(sample.change, columns, level=level, errors="HC3")
    except ValueError:
        hc3 = None
    try:
        persons = _fit_persons(sample, level)
    except ValueError:
        persons = None
    return YearModels(main, ols, hc3, persons, failure)


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
