# SPDX-License-Identifier: Apache-2.0
"""Rates of events: exact intervals, and regression of counts that vary more than chance alone makes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from bids_msvol.stats.design import Design, check_vector, make_design
from bids_msvol.stats.estimates import (
    CONFIDENCE,
    Contrast,
    Estimate,
    JointTest,
    check_level,
    estimate_contrast,
    f_test,
    joint_parts,
)

STEPS = 100
"""Of the iteration; it takes about five where there is a maximum."""

SETTLED = 1e-10
"""Change of the deviance, relative to its size, below which the iteration ends."""

LARGEST_LOG_RATE = 30.0
"""A linear predictor beyond this runs away: the data have no maximum."""

EXTRA_VARIANCE = (1e-8, 1e4)
"""Range in which the extra variance of the negative binomial distribution is looked for: from none to be seen, to one
at which nearly all counts are zero."""


@dataclass(frozen=True)
class Rate:
    """A rate with the exact confidence interval of the Poisson distribution.

    Attributes
    ----------
    events, exposure
        What was counted, and over how long.
    rate, low, high
        Events by unit of exposure, and interval.
    """

    events: int
    exposure: float
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class RateRatio:
    """Two rates compared by the exact conditional test of the Poisson distribution.

    Attributes
    ----------
    ratio, low, high
        Second rate over first; 0 or infinite where one of them has no events.
    p
        Two-sided.
    """

    ratio: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class CountModel:
    """A fitted model: log(expected count / exposure) = columns @ beta.

    Attributes
    ----------
    names
        Of the columns.
    beta
        (column,) coefficients: logarithms of ratios of rates.
    covariance
        (column, column) of the coefficients.
    dispersion
        Pearson's chi-square by its degrees of freedom: 1 if counts vary as the Poisson distribution has it, or, for the
        negative binomial model, as that has it.
    extra_variance
        Variance of the counts is m + this times m squared, for a mean of m; 0 in the quasi-Poisson model.
    df
        Degrees of freedom of tests: observations less columns, or infinite where the normal distribution is used.
    log_likelihood
        Of the negative binomial model; NaN for quasi-Poisson, which has none.
    n_obs, n_events
        Numbers of observations and of events.
    """

    names: tuple[str, ...]
    beta: NDArray[np.float64]
    covariance: NDArray[np.float64]
    dispersion: float
    extra_variance: float
    df: float
    log_likelihood: float
    n_obs: int
    n_events: int

    def estimate(self, contrast: Contrast, level: float = CONFIDENCE) -> Estimate:
        """Return a coefficient or contrast, a logarithm of a ratio of rates, tested against zero."""
        return estimate_contrast(contrast, self.names, self.beta, self.covariance, self.df, level)

    def joint_test(self, contrasts: Sequence[Contrast]) -> JointTest:
        """Return the F test of several contrasts together; its second degrees of freedom may be infinite."""
        f, parts, _ = joint_parts(contrasts, self.names, self.beta, self.covariance)
        if math.isinf(self.df):
            return JointTest(f, float(len(parts)), self.df, float(special.chdtrc(len(parts), f * len(parts))))
        return f_test(f, len(parts), self.df)


def poisson_rate(events: int, exposure: float, level: float = CONFIDENCE) -> Rate:
    """Return a rate with its exact interval.

    Parameters
    ----------
    events
        Number of events.
    exposure
        Such as person-years.
    level
        Of the interval.

    Raises
    ------
    ValueError
        If there is no exposure, or the number of events is negative.

    References
    ----------
    Garwood 1936, Biometrika 28:437-442.
    """
    check_level(level)
    if events < 0:
        raise ValueError(f"a number of events is at least 0, not {events}")
    if not exposure > 0.0:
        raise ValueError("there is no exposure: a rate needs some time in which events could happen")
    tail = (1.0 - level) / 2.0
    low = float(special.chdtri(2 * events, 1.0 - tail)) / 2.0 if events else 0.0
    high = float(special.chdtri(2 * events + 2, tail)) / 2.0
    return Rate(events, exposure, events / exposure, low / exposure, high / exposure)


def compare_rates(first: tuple[int, float], second: tuple[int, float], level: float = CONFIDENCE) -> RateRatio:
    """Compare two rates, each given as events and exposure, by the exact test, which takes the counts as Poisson.

    Given the sum of the events, those of the second group are binomial. The interval is that of Clopper and Pearson.

    Raises
    ------
    ValueError
        If there are no events at all, or a group has no exposure.
    """
    rates = [poisson_rate(*one, level=level) for one in (first, second)]
    total = first[0] + second[0]
    if not total:
        raise ValueError("there are no events in either group")
    test = stats.binomtest(second[0], total, second[1] / (first[1] + second[1]))
    bounds = test.proportion_ci(confidence_level=level, method="exact")
    scale = first[1] / second[1]
    low, high = (math.inf if share == 1.0 else scale * share / (1.0 - share) for share in (bounds.low, bounds.high))
    ratio = rates[1].rate / rates[0].rate if first[0] else math.inf
    return RateRatio(ratio, float(low), float(high), float(test.pvalue))


def fit_quasi_poisson(events: ArrayLike, columns: Mapping[str, ArrayLike], exposure: ArrayLike) -> CountModel:
    """Regress counts on columns, with a variance that is a multiple of the mean.

    Parameters
    ----------
    events
        (observation,) counts.
    columns
        Values (observation,) by name; a column of ones is not added.
    exposure
        (observation,) such as years of follow-up, above 0.

    Raises
    ------
    ValueError
        If values are missing or impossible, the columns follow from one another, there are no events, or the rate of
        some observations would be zero, so that there is no finite estimate.

    Notes
    -----
    Coefficients are those of Poisson regression. Their covariance is multiplied with the dispersion, and tests use the
    t distribution (McCullagh and Nelder 1989, Generalized Linear Models, section 6.2), as in R's ``glm`` with
    ``family = quasipoisson``.
    """
    counts, offset, design = _check(events, columns, exposure)
    beta, mean = _fit_mean(counts, offset, design, 0.0)
    df = len(counts) - len(design.names)
    dispersion = float(((counts - mean) ** 2 / mean).sum()) / df
    if not dispersion > 0.0:
        raise ValueError("the counts are fitted without error: nothing says how uncertain the rates are")
    covariance = dispersion * _covariance(design.matrix, mean, 0.0)
    names = design.names
    return CountModel(names, beta, covariance, dispersion, 0.0, float(df), math.nan, len(counts), int(counts.sum()))


def fit_negative_binomial(events: ArrayLike, columns: Mapping[str, ArrayLike], exposure: ArrayLike) -> CountModel:
    """Regress counts on columns by the negative binomial model, whose variance is m + a m^2 for a mean of m.

    Parameters
    ----------
    events, columns, exposure
        As for `fit_quasi_poisson`.

    Raises
    ------
    ValueError
        As for `fit_quasi_poisson`.

    Notes
    -----
    The likelihood is maximised over the coefficients for each a, and over a in one dimension, so that the fit cannot
    stop halfway. Where counts vary no more than the Poisson distribution has it, a is 0. Standard errors are those of
    R's ``MASS::glm.nb`` (expected information, given a); tests use the normal distribution.
    """
    counts, offset, design = _check(events, columns, exposure)
    beta, mean = _fit_mean(counts, offset, design, 0.0)
    extra = 0.0
    # The slope of the likelihood in a, at a = 0.
    if float(((counts - mean) ** 2 - counts).sum()) > 0.0:
        low, high = np.log(EXTRA_VARIANCE)
        grid = np.linspace(low, high, 30)
        losses = [_negative_likelihood(point, counts, offset, design) for point in grid]
        best = int(np.argmin(losses))
        bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
        found = optimize.minimize_scalar(
            _negative_likelihood,
            bounds=bounds,
            args=(counts, offset, design),
            method="bounded",
            options={"xatol": 1e-9},
        )
        extra = math.exp(float(found.x))
        beta, mean = _fit_mean(counts, offset, design, extra)
    df = len(counts) - len(design.names)
    dispersion = float(((counts - mean) ** 2 / (mean + extra * mean**2)).sum()) / df
    covariance = _covariance(design.matrix, mean, extra)
    likelihood = _log_likelihood(counts, mean, extra)
    names, n_events = design.names, int(counts.sum())
    return CountModel(names, beta, covariance, dispersion, extra, math.inf, likelihood, len(counts), n_events)


def _check(
    events: ArrayLike, columns: Mapping[str, ArrayLike], exposure: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], Design]:
    """Return counts, logarithms of the exposure, and columns."""
    counts = check_vector("events", events)
    if (counts < 0.0).any() or (counts != np.floor(counts)).any():
        raise ValueError("'events' holds something other than counts")
    times = check_vector("exposure", exposure, len(counts))
    if not (times > 0.0).all():
        raise ValueError("'exposure' holds times that are not above 0")
    if not counts.any():
        raise ValueError("there are no events")
    design = make_design(columns)
    if len(design.matrix) != len(counts):
        raise ValueError(f"there are {len(counts)} counts, but columns of {len(design.matrix)} values")
    return counts, np.log(times), design


def _fit_mean(
    counts: NDArray[np.float64], offset: NDArray[np.float64], design: Design, extra: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coefficients and expected counts for a given extra variance: iteratively reweighted least squares."""
    exposure = np.exp(offset)
    mean = (counts + exposure * counts.sum() / exposure.sum()) / 2.0
    predictor = np.log(mean)
    beta = np.full(len(design.names), np.nan)
    deviance = math.inf
    for _ in range(STEPS):
        weights = mean / (1.0 + extra * mean)
        root = np.sqrt(weights)
        target = predictor - offset + (counts - mean) / mean
        proposed = np.linalg.lstsq(design.matrix * root[:, None], target * root, rcond=None)[0]
        # Half steps, should the full one make the fit worse; the first has nothing to be compared with.
        for _ in range(STEPS):
            predictor = design.matrix @ proposed + offset
            mean = np.exp(np.clip(predictor, -2 * LARGEST_LOG_RATE, LARGEST_LOG_RATE))
            value = _deviance(counts, mean, extra)
            if np.isnan(beta).any() or value <= deviance + SETTLED * (1.0 + abs(deviance)):
                break
            proposed = (proposed + beta) / 2.0
        settled = abs(deviance - value) <= SETTLED * (1.0 + abs(value))
        beta, deviance = proposed, value
        if np.abs(design.matrix @ beta).max() > LARGEST_LOG_RATE:
            break
        if settled:
            # Where there is no maximum, the mean goes on towards zero for all that share a column.
            if (mean / exposure).min() < 1e-7 * counts.sum() / exposure.sum():
                break
            return beta, mean
    raise ValueError("there is no finite estimate: some columns mark only persons without events")


def _covariance(matrix: NDArray[np.float64], mean: NDArray[np.float64], extra: float) -> NDArray[np.float64]:
    weights = mean / (1.0 + extra * mean)
    return np.asarray(np.linalg.inv(matrix.T @ (matrix * weights[:, None])), dtype=np.float64)


def _deviance(counts: NDArray[np.float64], mean: NDArray[np.float64], extra: float) -> float:
    """Return the deviance without the part that does not depend on the mean."""
    with np.errstate(all="ignore"):
        if not extra:
            return float(2.0 * (mean - special.xlogy(counts, mean)).sum())
        shared = (counts + 1.0 / extra) * np.log1p(extra * mean)
        return float(2.0 * (shared - special.xlogy(counts, mean)).sum())


def _log_likelihood(counts: NDArray[np.float64], mean: NDArray[np.float64], extra: float) -> float:
    if not extra:
        return float(np.sum(stats.poisson.logpmf(counts, mean)))
    size = 1.0 / extra
    parts = (
        special.gammaln(counts + size)
        - special.gammaln(size)
        - special.gammaln(counts + 1.0)
        + special.xlogy(counts, extra * mean)
        - (counts + size) * np.log1p(extra * mean)
    )
    return float(parts.sum())


def _negative_likelihood(
    log_extra: float, counts: NDArray[np.float64], offset: NDArray[np.float64], design: Design
) -> float:
    extra = math.exp(log_extra)
    return -_log_likelihood(counts, _fit_mean(counts, offset, design, extra)[1], extra)
