# SPDX-License-Identifier: Apache-2.0
"""What a model says of one coefficient or contrast, and of several tested together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
