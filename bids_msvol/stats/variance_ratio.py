# SPDX-License-Identifier: Apache-2.0
"""The deviance of a random-intercept model as a function of its variance ratio, and where it is smallest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Method = Literal["REML", "ML"]
"""Restricted maximum likelihood, or maximum likelihood."""

SINGULAR_THETA = 1e-4
"""Ratio of the standard deviations, between groups to within, below which there is no spread between groups: the limit
of ``isSingular`` in lme4."""

RATIOS = np.concatenate([[0.0], np.logspace(2.0 * np.log10(SINGULAR_THETA), 8.0, 65)])
"""Variance ratios between which minima are looked for, four to a decade. Above the last one the observations of a group
are all but equal."""

RATIO_TOLERANCE = 1e-12
"""Precision of the logarithm of the variance ratio."""


@dataclass(frozen=True, eq=False)
class Moments:
    """All that the deviance needs of the data; the last variable is the outcome, the others are the columns.

    Attributes
    ----------
    within
        (variable, variable) sums of products of deviations from the means of the groups.
    sizes, counts
        (size,) the distinct numbers of observations in a group, and how many groups have each.
    between
        (size, variable, variable) products of the sums of each group, summed over the groups of that size.
    """

    within: NDArray[np.float64]
    sizes: NDArray[np.float64]
    counts: NDArray[np.float64]
    between: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Profile:
    """The deviance at one variance ratio, where coefficients and error variance are the best for that ratio.

    Attributes
    ----------
    deviance
        Minus twice the log likelihood.
    slope, curvature
        Its derivatives along the ratio.
    sigma2
        Error variance.
    tilt
        Derivative of the log error variance along the ratio.
    coefficients
        (column,).
    unscaled, unscaled_slope
        (column, column) covariance of the coefficients for an error variance of one, and its derivative.
    """

    deviance: float
    slope: float
    curvature: float
    sigma2: float
    tilt: float
    coefficients: NDArray[np.float64]
    unscaled: NDArray[np.float64]
    unscaled_slope: NDArray[np.float64]


def gather_moments(variables: NDArray[np.float64], codes: NDArray[np.intp]) -> Moments:
    """Sum up the data.

    Parameters
    ----------
    variables
        (observation, variable), the columns and then the outcome.
    codes
        (observation,) number of the group; all from 0 to the highest occur.
    """
    order = np.argsort(codes, kind="stable")
    per_group = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(per_group)[:-1]])
    sums = np.add.reduceat(variables[order], starts, axis=0)
    deviations = variables - (sums / per_group[:, None])[codes]
    sizes, which, counts = np.unique(per_group, return_inverse=True, return_counts=True)
    between = [sums[which == index].T @ sums[which == index] for index in range(len(sizes))]
    return Moments(deviations.T @ deviations, sizes.astype(np.float64), counts.astype(np.float64), np.array(between))


def best_ratio(moments: Moments, degrees: int, method: Method) -> float:
    """Return the variance ratio, between groups to within, at the lowest minimum of the deviance.

    Parameters
    ----------
    moments
        The data.
    degrees
        Number of observations, less that of the columns for REML.
    method
        Which deviance.

    Raises
    ------
    ValueError
        If the deviance falls without end, because groups hardly vary within.
    """
    slopes = _deviance_and_slope(moments, RATIOS, degrees, method)[1]
    if slopes[-1] < 0.0:
        raise ValueError("the outcome does not vary within groups beyond what the columns explain")

    def slope(log_ratio: float) -> float:
        at = np.exp([log_ratio])
        return float((_deviance_and_slope(moments, at, degrees, method)[1] * at)[0])

    minima = [0.0] if slopes[1] >= 0.0 else []
    for index in np.flatnonzero((slopes[1:-1] < 0.0) & (slopes[2:] >= 0.0)) + 1:
        low, high = np.log(RATIOS[index : index + 2])
        minima.append(float(np.exp(optimize.brentq(slope, low, high, xtol=RATIO_TOLERANCE))))
    deviances = _deviance_and_slope(moments, np.array(minima), degrees, method)[0]
    return minima[int(np.argmin(deviances))]


def profile(moments: Moments, ratio: float, degrees: int, method: Method) -> Profile:
    """Return the deviance at a variance ratio, with its derivatives and the estimates that go with it."""
    deviances, slopes = _deviance_and_slope(moments, np.array([ratio]), degrees, method)
    value, first, second = (_products(moments, np.array([ratio]), order)[0] for order in range(3))
    unscaled = np.linalg.inv(value[:-1, :-1])
    coefficients = unscaled @ value[:-1, -1]
    error = np.append(-coefficients, 1.0)
    rest, rest_first = float(error @ value @ error), float(error @ first @ error)
    cross = (first @ error)[:-1]
    rest_second = float(error @ second @ error - 2.0 * cross @ unscaled @ cross)
    tilt = rest_first / rest
    curvature = degrees * (rest_second / rest - tilt**2)
    curvature -= float(np.sum(moments.counts * (moments.sizes / (1.0 + ratio * moments.sizes)) ** 2))
    if method == "REML":
        step = unscaled @ first[:-1, :-1]
        curvature += float(np.trace(unscaled @ second[:-1, :-1]) - np.trace(step @ step))
    return Profile(
        deviance=float(deviances[0]),
        slope=float(slopes[0]),
        curvature=curvature,
        sigma2=rest / degrees,
        tilt=tilt,
        coefficients=coefficients,
        unscaled=unscaled,
        unscaled_slope=-unscaled @ first[:-1, :-1] @ unscaled,
    )


def _products(moments: Moments, ratios: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Products (ratio, variable, variable) weighted by the inverse covariance of the observations, or a derivative."""
    spread = 1.0 + ratios[:, None] * moments.sizes
    weights = (1.0 / (moments.sizes * spread), -(spread**-2.0), 2.0 * moments.sizes * spread**-3.0)[order]
    result = np.tensordot(weights, moments.between, axes=1)
    return np.asarray(result + moments.within if order == 0 else result)


def _deviance_and_slope(
    moments: Moments, ratios: NDArray[np.float64], degrees: int, method: Method
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Profiled deviance (ratio,) and its derivative along the ratio."""
    value, first = _products(moments, ratios, 0), _products(moments, ratios, 1)
    columns, columns_first = value[:, :-1, :-1], first[:, :-1, :-1]
    coefficients = np.linalg.solve(columns, value[:, :-1, -1:])
    error = np.concatenate([-coefficients, np.ones((len(ratios), 1, 1))], axis=1)
    rest = (error.transpose(0, 2, 1) @ value @ error)[:, 0, 0]
    rest_first = (error.transpose(0, 2, 1) @ first @ error)[:, 0, 0]
    spread = 1.0 + ratios[:, None] * moments.sizes
    deviance = np.log(spread) @ moments.counts + degrees * (1.0 + np.log(2.0 * np.pi * rest / degrees))
    slope = (moments.sizes / spread) @ moments.counts + degrees * rest_first / rest
    if method == "REML":
        deviance = deviance + np.linalg.slogdet(columns)[1]
        slope = slope + np.trace(np.linalg.solve(columns, columns_first), axis1=1, axis2=2)
    return deviance, slope
