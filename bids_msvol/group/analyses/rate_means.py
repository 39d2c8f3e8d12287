# SPDX-License-Identifier: Apache-2.0
"""The mean annual rate of a group (atrophy_rates, cord_levels): how much each person's rate counts, and its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bids_msvol.stats.estimates import CONFIDENCE, Estimate, t_estimate

LEAST_PERSONS = 2
"""Persons that a mean with an interval needs."""

LEAST_FREEDOM = 30.0
"""Persons less one, and scans beyond the second of each, from which error and true differences can be told apart; with
fewer, all scatter counts as error of the scans."""

LEAST_ERROR_DF = 10.0
"""Degrees of freedom from which the scatter of scans around persons' lines is a standard deviation that can be used."""

RATIOS = np.concatenate([[0.0], np.logspace(-3.0, 4.0, 71)])
"""True variance of rates over the typical error variance of one: where the likelihood is looked at."""

CHOICE = (
    "each person weighted by the precision of the rate: the inverse of the error variance, which falls with the sum of "
    "squares of the scan times about their mean, plus the true variance between persons"
)
"""The estimator in words."""


@dataclass(frozen=True)
class MeanRate:
    """The mean rate of some persons.

    Attributes
    ----------
    estimate
        Weighted mean with its interval and test against no change.
    plain
        Mean in which each person counts the same.
    largest_share
        Share of the weight that one person has, the largest.
    """

    estimate: Estimate
    plain: float
    largest_share: float


def scan_error(error_ss: ArrayLike, error_df: ArrayLike) -> float:
    """Return the standard deviation of one scan around a person's line; NaN where too few scans tell.

    Parameters
    ----------
    error_ss, error_df
        (person,) squared distance of the scans from the line, and its degrees of freedom.
    """
    degrees = float(np.sum(np.asarray(error_df, dtype=float)))
    if degrees < LEAST_ERROR_DF:
        return float("nan")
    return float(np.sqrt(np.sum(np.asarray(error_ss, dtype=float)) / degrees))


def precision_weights(rate: ArrayLike, time_ss: ArrayLike, error_ss: float, error_df: float) -> NDArray[np.float64]:
    """Return how much each person's rate counts.

    Parameters
    ----------
    rate
        (person,) rates.
    time_ss
        (person,) sum of squares of the scan times about their mean, in years squared.
    error_ss, error_df
        Squared distance of all scans from the persons' lines, and its degrees of freedom; 0 where nobody has three.

    Returns
    -------
    (person,) array
        Weights with mean one.

    Notes
    -----
    An error of scans of variance s2 makes one of variance s2 / time_ss of a rate; true rates differ by t2. The weight
    is 1 / (t2 + s2 / time_ss), with t2 / s2 from the restricted likelihood of the rates and of what is left around the
    lines: a mixed model with slopes of the persons and an intercept of its own for each (Laird and Ware 1982,
    Biometrics 38:963-974). With few persons t2 is 0, and the weight is the sum of squares.
    """
    values, squares = np.asarray(rate, dtype=float), np.asarray(time_ss, dtype=float)
    ratio = 0.0
    error = 1.0 / squares
    degrees = error_df + len(values) - 1.0
    if degrees >= LEAST_FREEDOM:
        tried = RATIOS * float(np.median(error))
        ratio = float(tried[np.argmin([_deviance(values, error + one, error_ss, degrees) for one in tried])])
    weights = 1.0 / (error + ratio)
    found: NDArray[np.float64] = weights / weights.mean()
    return found


def _deviance(values: NDArray[np.float64], variances: NDArray[np.float64], error_ss: float, degrees: float) -> float:
    """Return minus twice the restricted log likelihood, with the error variance at its best."""
    weights = 1.0 / variances
    mean = float(weights @ values) / float(weights.sum())
    left = error_ss + float(weights @ (values - mean) ** 2)
    if not left > 0.0:
        return float(np.log(weights.sum()) + np.log(variances).sum())
    return float(degrees * np.log(left) + np.log(variances).sum() + np.log(weights.sum()))


def mean_rate(values: ArrayLike, weights: ArrayLike, level: float = CONFIDENCE) -> MeanRate:
    """Return the weighted mean with an interval that holds also where the weights are not the true precisions.

    Parameters
    ----------
    values, weights
        (person,) two or more.
    level
        Of the interval.

    Raises
    ------
    ValueError
        If there are fewer than two persons, or all values are the same.

    Notes
    -----
    The variance comes from the persons' distances from the mean (HC2), its degrees of freedom from the variances that
    the weights stand for (Bell and McCaffrey 2002, Survey Methodology 28:169-181). With equal weights this is the t
    interval of a mean.
    """
    rates, given = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    if len(rates) < LEAST_PERSONS:
        raise ValueError(f"a mean with an interval needs {LEAST_PERSONS} persons")
    if not np.ptp(rates) > 0.0:
        raise ValueError("all rates are the same")
    total = float(given.sum())
    shares = given / total
    mean = float(shares @ rates)
    factors = shares**2 / (1.0 - shares)
    variance = float(factors @ (rates - mean) ** 2)
    own = 1.0 / given - 1.0 / total
    expected = float(factors @ own)
    spread = float(factors**2 @ own**2) + (float(factors.sum()) ** 2 - float(factors @ factors)) / total**2
    estimate = t_estimate(mean, float(np.sqrt(variance)), expected**2 / spread, level)
    return MeanRate(estimate, float(rates.mean()), float(shares.max()))


def rate_difference(upper: MeanRate, lower: MeanRate, level: float = CONFIDENCE) -> Estimate:
    """Return the second mean less the first, as Welch's test does: spreads may differ."""
    one, other = upper.estimate, lower.estimate
    variance = one.se**2 + other.se**2
    df = variance**2 / (one.se**4 / one.df + other.se**4 / other.df)
    return t_estimate(one.value - other.value, float(np.sqrt(variance)), df, level)
