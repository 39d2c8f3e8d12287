# SPDX-License-Identifier: Apache-2.0
"""Slope and correlation that outliers cannot move: Theil-Sen and Spearman."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bids_msvol.stats.design import check_vector
from bids_msvol.stats.estimates import CONFIDENCE, check_level

EXACT_UP_TO = 9
"""Observations up to which all permutations are counted for a rank correlation: as R does, and quick."""

FULL_CORRELATION = 1e-12
"""A correlation nearer to one than this is one, but for rounding."""


@dataclass(frozen=True)
class RobustSlope:
    """A slope from the median of the slopes of all pairs.

    Attributes
    ----------
    slope, low, high
        Estimate and confidence interval; with few observations the interval is the range of the slopes of all pairs.
    intercept
        Median of the outcome less the slope times the median of x.
    n_obs
        Number of observations.
    """

    slope: float
    low: float
    high: float
    intercept: float
    n_obs: int


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation.

    Attributes
    ----------
    rho, p
        Correlation of the ranks and its two-sided p value.
    method
        Whether p comes from all permutations, or from the t distribution.
    low, high
        Confidence interval; NaN with fewer than five observations, or if the ranks agree fully.
    n_obs
        Number of observations.
    """

    rho: float
    p: float
    method: Literal["exact", "t"]
    low: float
    high: float
    n_obs: int


def theil_sen(outcome: ArrayLike, x: ArrayLike, *, level: float = CONFIDENCE) -> RobustSlope:
    """Fit a straight line by the median of the slopes of all pairs of observations (Sen 1968, JASA 63:1379-1389).

    Raises
    ------
    ValueError
        If a value is missing, there are fewer than two observations, or x does not vary.
    """
    check_level(level)
    values, at = _pair(outcome, x, ("outcome", "x"))
    if np.ptp(at) == 0.0:
        raise ValueError("'x' does not vary")
    slope, intercept, low, high = stats.theilslopes(values, at, alpha=level)
    return RobustSlope(float(slope), float(low), float(high), float(intercept), len(values))


def spearman(first: ArrayLike, second: ArrayLike, *, level: float = CONFIDENCE) -> RankCorrelation:
    """Correlate ranks, with the confidence interval of Bonett and Wright 2000, Psychometrika 65:23-28.

    Up to nine observations the p value is exact, with ties too: the t distribution calls five ranks in the right order
    certain, though chance puts them so once in sixty times.

    Raises
    ------
    ValueError
        If a value is missing, there are fewer than three observations, or one of the two does not vary.
    """
    check_level(level)
    one, other = _pair(first, second, ("first", "second"))
    if len(one) < 3:
        raise ValueError(f"{len(one)} observations are too few for a correlation")
    if np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        raise ValueError("one of the two variables does not vary")
    found = stats.spearmanr(one, other)
    rho, p = float(found.statistic), float(found.pvalue)
    exact = len(one) <= EXACT_UP_TO
    if exact:
        p = _exact_spearman(stats.rankdata(one), stats.rankdata(other))
    low = high = float("nan")
    if len(one) > 4 and abs(rho) < 1.0 - FULL_CORRELATION:
        half = float(special.ndtri(0.5 + level / 2.0)) * np.sqrt((1.0 + rho**2 / 2.0) / (len(one) - 3))
        low, high = (float(np.tanh(np.arctanh(rho) + side * half)) for side in (-1.0, 1.0))
    return RankCorrelation(rho, p, "exact" if exact else "t", low, high, len(one))


def _exact_spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Share of all pairings of two sets of ranks (n,) whose sum of products is as far from the mean as theirs."""
    # Tied ranks are halves: doubled, all are whole.
    one, other = np.rint(2.0 * first).astype(int), np.rint(2.0 * second).astype(int)
    count, observed = len(one), int(one @ other)
    # How many pairings of the first ranks with each subset of the others have each sum of products.
    pairings = np.zeros((2**count, int(np.sort(one) @ np.sort(other)) + 1))
    pairings[0, 0] = 1.0
    for subset in range(2**count - 1):
        value = one[subset.bit_count()]
        for index in range(count):
            if not subset >> index & 1:
                shift = value * other[index]
                pairings[subset | 1 << index, shift:] += pairings[subset, : pairings.shape[1] - shift]
    # Compared in whole numbers: sums times the count, less the product of the totals.
    distance = np.abs(np.arange(pairings.shape[1]) * count - one.sum() * other.sum())
    as_far = distance >= abs(observed * count - int(one.sum() * other.sum()))
    return float(pairings[-1, as_far].sum() / pairings[-1].sum())


def _pair(
    first: ArrayLike, second: ArrayLike, names: tuple[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one = check_vector(names[0], first)
    if len(one) < 2:
        raise ValueError("two observations at least are needed")
    return one, check_vector(names[1], second, len(one))
