# SPDX-License-Identifier: Apache-2.0
"""Least squares with t tests, the influence of single observations, and slopes of two groups compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bids_msvol.stats.design import INTERCEPT, PERFECT, check_vector, make_design
from bids_msvol.stats.estimates import (
    CONFIDENCE,
    Contrast,
    Estimate,
    JointTest,
    check_level,
    estimate_contrast,
    f_test,
    joint_parts,
    t_estimate,
)

Errors = Literal["equal", "HC3"]
"""Standard errors: for equal variances, or for variances that differ between observations."""

FULL_LEVERAGE = 1e-9
"""An observation whose hat value is nearer to one than this decides a coefficient alone."""

COOK_SEVERE = 1.0
"""Cook's distance above which an observation rules the fit; above 4/n it deserves a look."""


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A fitted model: outcome = columns @ beta + error.

    Attributes
    ----------
    names
        Of the columns.
    beta
        (column,) coefficients.
    covariance
        (column, column) of the coefficients, as ``errors`` says.
    errors
        Kind of standard errors.
    sigma2
        Variance of the error, in squared units of the outcome.
    df
        Observations less columns.
    r_squared
        Share of the outcome's variance explained; about zero, not the mean, if the columns hold no constant.
    n_obs
        Number of observations.
    level
        Of the confidence intervals.
    matrix
        (observation, column) the columns.
    unscaled
        (column, column) inverse of the columns' products.
    fitted, residuals
        (observation,).
    hat
        (observation,) leverage, from 0 to 1.
    """

    names: tuple[str, ...]
    beta: NDArray[np.float64]
    covariance: NDArray[np.float64]
    errors: Errors
    sigma2: float
    df: int
    r_squared: float
    n_obs: int
    level: float
    matrix: NDArray[np.float64]
    unscaled: NDArray[np.float64]
    fitted: NDArray[np.float64]
    residuals: NDArray[np.float64]
    hat: NDArray[np.float64]

    @property
    def coefficients(self) -> dict[str, Estimate]:
        """Estimate and test of each column, by name."""
        return {name: self.contrast({name: 1.0}) for name in self.names}

    @property
    def partial_eta_squared(self) -> dict[str, float]:
        """Share of the variance not taken by the other columns that each column takes, from equal variances."""
        gains = self.beta**2 / np.diag(self.unscaled)
        shares = gains / (gains + self.sigma2 * self.df)
        return {name: float(share) for name, share in zip(self.names, shares, strict=True)}

    def contrast(self, contrast: Contrast) -> Estimate:
        """Estimate and test a weighted sum of coefficients.

        Parameters
        ----------
        contrast
            Weights by name, such as ``{"x": 1, "x:group": 1}``, or one for each column.

        Raises
        ------
        ValueError
            If the weights do not fit the model.
        """
        return estimate_contrast(contrast, self.names, self.beta, self.covariance, self.df, self.level)

    def joint_test(self, contrasts: Sequence[Contrast]) -> JointTest:
        """Test several contrasts together with an F test (Wald's, if the errors are HC3).

        Raises
        ------
        ValueError
            If there are none, or one does not fit the model.
        """
        f, parts, _ = joint_parts(contrasts, self.names, self.beta, self.covariance)
        return f_test(f, len(parts), self.df)


@dataclass(frozen=True, eq=False)
class Influence:
    """What each observation does to a fit.

    Attributes
    ----------
    hat
        (observation,) leverage; their mean is columns / observations.
    studentised
        (observation,) residual over its standard error from a fit without the observation; NaN where that has none.
    cooks_distance
        (observation,); infinite where a coefficient rests on the observation alone.
    notable, severe
        (observation,) whether Cook's distance is above 4/n, and above 1.
    beta_without
        (observation, column) coefficients of the fit without the observation; NaN where there is none.
    """

    hat: NDArray[np.float64]
    studentised: NDArray[np.float64]
    cooks_distance: NDArray[np.float64]
    notable: NDArray[np.bool_]
    severe: NDArray[np.bool_]
    beta_without: NDArray[np.float64]


def fit_ols(
    outcome: ArrayLike,
    columns: Mapping[str, ArrayLike],
    *,
    errors: Errors = "equal",
    level: float = CONFIDENCE,
) -> LinearFit:
    """Fit a linear model by ordinary least squares.

    Parameters
    ----------
    outcome
        (observation,).
    columns
        (observation,) values by name, in the order of the coefficients; the intercept is a column of ones among them.
    errors
        ``HC3`` for standard errors that hold when variances differ (MacKinnon and White 1985, Journal of Econometrics
        29:305-325), tested with the same degrees of freedom.
    level
        Of the confidence intervals.

    Raises
    ------
    ValueError
        If a value is missing, a column follows from others, there are not more observations than columns, the columns
        leave nothing of the outcome, or HC3 is asked for and a coefficient rests on one observation alone.
    """
    check_level(level)
    if errors not in ("equal", "HC3"):
        raise ValueError(f"errors are 'equal' or 'HC3', not {errors!r}")
    design = make_design(columns)
    count, width = design.matrix.shape
    values = check_vector("outcome", outcome, count)
    inverse = np.linalg.inv(design.triangle)
    projected = design.basis.T @ values
    residuals = values - design.basis @ projected
    if np.linalg.norm(residuals) <= PERFECT * np.linalg.norm(values):
        raise ValueError("the columns leave nothing of the outcome")
    hat = np.sum(design.basis**2, axis=1)
    df = count - width
    left = float(residuals @ residuals)
    unscaled = inverse @ inverse.T
    covariance = unscaled * (left / df)
    if errors == "HC3":
        alone = int(np.count_nonzero(hat > 1.0 - FULL_LEVERAGE))
        if alone:
            raise ValueError(f"HC3 has no answer: {alone} observations decide a coefficient alone")
        spread = (design.basis @ inverse.T) * (residuals / (1.0 - hat))[:, None]
        covariance = spread.T @ spread
    ones = np.ones(count)
    constant = np.linalg.norm(ones - design.basis @ (design.basis.T @ ones)) < 1e-7 * np.sqrt(count)
    total = float(np.sum((values - values.mean()) ** 2)) if constant else float(values @ values)
    return LinearFit(
        names=design.names,
        beta=inverse @ projected,
        covariance=covariance,
        errors=errors,
        sigma2=left / df,
        df=df,
        r_squared=1.0 - left / total,
        n_obs=count,
        level=level,
        matrix=design.matrix,
        unscaled=unscaled,
        fitted=values - residuals,
        residuals=residuals,
        hat=hat,
    )


def simple_regression(
    outcome: ArrayLike, x: ArrayLike, *, errors: Errors = "equal", level: float = CONFIDENCE
) -> LinearFit:
    """Fit a straight line: the columns are ``intercept`` and ``x``; see ``fit_ols``."""
    return fit_ols(outcome, {INTERCEPT: np.ones(np.size(x)), "x": x}, errors=errors, level=level)


def influence(fit: LinearFit) -> Influence:
    """Tell what each observation does to a fit (Cook 1977, Technometrics 19:15-18; Belsley et al. 1980)."""
    width = len(fit.names)
    alone = fit.hat > 1.0 - FULL_LEVERAGE
    rest = np.where(alone, np.nan, 1.0 - fit.hat)
    squared = fit.residuals**2
    cooks = np.where(alone, np.inf, squared / (fit.sigma2 * width) * fit.hat / rest**2)
    # The error variance of the fit without the observation; with one degree of freedom there is none.
    without = (fit.sigma2 * fit.df - squared / rest) / (fit.df - 1) if fit.df > 1 else np.full(fit.n_obs, np.nan)
    # An observation that all misfit is due to leaves none; rounding may even take more.
    without = np.where(without > PERFECT * fit.sigma2, without, np.nan)
    moved = (fit.matrix @ fit.unscaled) * (fit.residuals / rest)[:, None]
    return Influence(
        hat=fit.hat,
        studentised=fit.residuals / np.sqrt(without * rest),
        cooks_distance=cooks,
        notable=cooks > 4.0 / fit.n_obs,
        severe=cooks > COOK_SEVERE,
        beta_without=fit.beta - moved,
    )


def compare_slopes(first: LinearFit, second: LinearFit, name: str) -> Estimate:
    """Test whether a coefficient differs between two groups whose error variances may differ.

    Parameters
    ----------
    first, second
        The same model, fitted to each group alone.
    name
        Of the column.

    Returns
    -------
    Estimate
        Coefficient of the second fit less that of the first, with the degrees of freedom of Welch 1947, Biometrika
        34:28-35.

    Raises
    ------
    ValueError
        If a fit lacks the column, or their levels of confidence differ.
    """
    if first.level != second.level:
        raise ValueError("the two fits have different levels of confidence")
    one, other = (fit.contrast({name: 1.0}) for fit in (first, second))
    variance = one.se**2 + other.se**2
    df = variance**2 / (one.se**4 / one.df + other.se**4 / other.df)
    return t_estimate(other.value - one.value, float(np.sqrt(variance)), df, first.level)
