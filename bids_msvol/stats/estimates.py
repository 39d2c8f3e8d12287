# SPDX-License-Identifier: Apache-2.0
"""What a model says of one coefficient or contrast, and of several tested together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

CONFIDENCE = 0.95
"""Level of confidence intervals, unless another is asked for: what clinical papers print."""

LEAST_EIGENVALUE = 1.5e-8
"""Contrasts whose covariance has eigenvalues below this share of the largest say the same thing twice."""

Contrast = Mapping[str, float] | ArrayLike
"""Weights of the coefficients: by name, the others being zero, or one for each."""


@dataclass(frozen=True)
class Estimate:
    """A coefficient or contrast with its t test against zero.

    Attributes
    ----------
    value, se
        Estimate and standard error, in the unit of the outcome per unit of the column.
    df
        Degrees of freedom of the t distribution.
    t, p
        Test against zero, two-sided.
    low, high
        Confidence interval.
    """

    value: float
    se: float
    df: float
    t: float
    p: float
    low: float
    high: float


@dataclass(frozen=True)
class JointTest:
    """An F test of several contrasts together.

    Attributes
    ----------
    f, df_between, df_within, p
        Statistic, its degrees of freedom above and below the line, and its p value.
    """

    f: float
    df_between: float
    df_within: float
    p: float

    @property
    def partial_eta_squared(self) -> float:
        """Share of the variance not taken by the other columns that these take: F d1 / (F d1 + d2)."""
        explained = self.f * self.df_between
        return explained / (explained + self.df_within)


def t_estimate(value: float, se: float, df: float, level: float = CONFIDENCE) -> Estimate:
    """Return an estimate with its t test and confidence interval.

    Raises
    ------
    ValueError
        If ``level`` is not between 0 and 1, or the standard error is zero.
    """
    check_level(level)
    if not se > 0.0:
        raise ValueError("the standard error is zero: the data say nothing of how uncertain the estimate is")
    t = value / se
    half = float(special.stdtrit(df, 0.5 + level / 2.0)) * se
    p = 2.0 * float(special.stdtr(df, -abs(t)))
    return Estimate(float(value), float(se), float(df), float(t), p, float(value - half), float(value + half))


def f_test(f: float, df_between: float, df_within: float) -> JointTest:
    """Return an F test with its p value."""
    p = float(special.fdtrc(df_between, df_within, f))
    return JointTest(float(f), float(df_between), float(df_within), p)


def check_level(level: float) -> None:
    """Raise ``ValueError`` for a confidence level that is not between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"a confidence level lies between 0 and 1, not at {level}")


def contrast_weights(contrast: Contrast, names: Sequence[str]) -> NDArray[np.float64]:
    """Return the weights (coefficient,) of a contrast.

    Raises
    ------
    ValueError
        If it names a column that the model has not, has another length than the model, is zero throughout, or is not
        finite.
    """
    if isinstance(contrast, Mapping):
        unknown = [name for name in contrast if name not in names]
        if unknown:
            raise ValueError(f"the model has no column {unknown[0]!r}; it has {', '.join(names)}")
        weights = np.array([float(contrast.get(name, 0.0)) for name in names])
    else:
        weights = np.asarray(contrast, dtype=np.float64)
    if weights.shape != (len(names),):
        raise ValueError(f"a contrast of this model has {len(names)} weights, not an array of shape {weights.shape}")
    if not np.isfinite(weights).all() or not weights.any():
        raise ValueError("a contrast needs finite weights, not all of them zero")
    return weights


def estimate_contrast(
    contrast: Contrast,
    names: Sequence[str],
    beta: NDArray[np.float64],
    covariance: NDArray[np.float64],
    df: float | Callable[[NDArray[np.float64], float], float],
    level: float = CONFIDENCE,
) -> Estimate:
    """Estimate and test a weighted sum of the coefficients of any model.

    Parameters
    ----------
    contrast
        Weights by name, such as ``{"x": 1, "x:group": 1}``, or one for each coefficient.
    names, beta, covariance
        Of the coefficients.
    df
        Degrees of freedom, or what gives them for weights and the variance of the sum.
    level
        Of the confidence interval.

    Raises
    ------
    ValueError
        If the weights do not fit the model.
    """
    weights = contrast_weights(contrast, names)
    variance = float(weights @ covariance @ weights)
    freedom = df(weights, variance) if callable(df) else df
    return t_estimate(float(weights @ beta), float(np.sqrt(variance)), freedom, level)


def joint_parts(
    contrasts: Sequence[Contrast], names: Sequence[str], beta: NDArray[np.float64], covariance: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the F statistic of several contrasts together, their uncorrelated parts and the variance of each.

    Raises
    ------
    ValueError
        If there are none, or one does not fit the model.
    """
    if not contrasts:
        raise ValueError("a joint test needs at least one contrast")
    weights = np.array([contrast_weights(contrast, names) for contrast in contrasts])
    parts, variances = independent_parts(weights, covariance)
    return float(np.mean((parts @ beta) ** 2 / variances)), parts, variances


def independent_parts(
    weights: NDArray[np.float64], covariance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn contrasts into as many uncorrelated ones as they hold.

    Parameters
    ----------
    weights
        (contrast, coefficient).
    covariance
        (coefficient, coefficient).

    Returns
    -------
    parts : (part, coefficient) array
        Uncorrelated contrasts; fewer than were given if some follow from the others.
    variances : (part,) array
        Variance of each.
    """
    variances, vectors = np.linalg.eigh(weights @ covariance @ weights.T)
    kept = variances > LEAST_EIGENVALUE * variances[-1]
    return vectors[:, kept].T @ weights, variances[kept]
