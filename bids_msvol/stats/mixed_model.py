# SPDX-License-Identifier: Apache-2.0
"""Linear mixed model with a random intercept for each group, tested with Satterthwaite's degrees of freedom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bids_msvol.stats.design import PERFECT, check_labels, check_vector, make_design
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
from bids_msvol.stats.variance_ratio import Method, Moments, best_ratio, gather_moments, profile

NO_VARIATION = 1e-10
"""Share of a direction's length below which it does not vary within groups."""


@dataclass(frozen=True, eq=False)
class VarianceUncertainty:
    """How well the two variances are known, from which degrees of freedom follow.

    Attributes
    ----------
    residual_df
        Degrees of freedom of the error variance if the variance ratio were known.
    curvature
        Second derivative of the profiled deviance along the variance ratio; ``None`` at a singular fit, where the ratio
        does not count as uncertain.
    tilt
        Derivative of the log error variance along the ratio.
    covariance_slope
        (column, column) derivative of the covariance along the ratio at a fixed error variance.
    """

    residual_df: float
    curvature: float | None
    tilt: float
    covariance_slope: NDArray[np.float64]

    def degrees_of_freedom(self, weights: NDArray[np.float64], variance: float) -> float:
        """Satterthwaite's degrees of freedom of a contrast: twice its squared variance over the variance of that."""
        inverse = 1.0 / self.residual_df
        if self.curvature is not None:
            slope = float(weights @ self.covariance_slope @ weights) / variance + self.tilt
            inverse += slope**2 / self.curvature
        return 1.0 / inverse


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A fitted model: outcome = columns @ beta + intercept of the group + error.

    Attributes
    ----------
    names
        Of the columns.
    beta
        (column,) coefficients.
    covariance
        (column, column) of the coefficients.
    sigma2, tau2
        Variance within groups and between their intercepts, in squared units of the outcome.
    singular
        Whether the variance between groups was estimated as zero; the estimates are then those of least squares.
    log_likelihood
        Restricted or full, as ``method`` says.
    method
        How the variances were estimated.
    n_obs, n_groups
        Numbers of observations and of groups.
    group_labels
        (group,) distinct labels, sorted.
    random_intercepts
        (group,) predicted intercepts, shrunk towards zero.
    residuals
        (observation,) what columns and random intercepts leave of the outcome.
    level
        Of the confidence intervals.
    uncertainty
        How well the variances are known.
    """

    names: tuple[str, ...]
    beta: NDArray[np.float64]
    covariance: NDArray[np.float64]
    sigma2: float
    tau2: float
    singular: bool
    log_likelihood: float
    method: Method
    n_obs: int
    n_groups: int
    group_labels: tuple[str, ...]
    random_intercepts: NDArray[np.float64]
    residuals: NDArray[np.float64]
    level: float
    uncertainty: VarianceUncertainty

    @property
    def icc(self) -> float:
        """Intraclass correlation: the share of the variance, given the columns, that lies between groups."""
        return self.tau2 / (self.tau2 + self.sigma2)

    @property
    def coefficients(self) -> dict[str, Estimate]:
        """Estimate and test of each column, by name."""
        return {name: self.contrast({name: 1.0}) for name in self.names}

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
        freedom = self.uncertainty.degrees_of_freedom
        return estimate_contrast(contrast, self.names, self.beta, self.covariance, freedom, self.level)

    def joint_test(self, contrasts: Sequence[Contrast]) -> JointTest:
        """Test several contrasts together.

        Parameters
        ----------
        contrasts
            Each as for ``contrast``. One that follows from the others does no harm.

        Raises
        ------
        ValueError
            If there are none, or one does not fit the model.

        Notes
        -----
        The degrees of freedom below the line combine those of uncorrelated parts of the contrasts (Fai and Cornelius
        1996, Journal of Statistical Computation and Simulation 54:363-378). The parts depend on how the contrasts are
        scaled, so unless the data are balanced these degrees of freedom do too, here as in lmerTest.
        """
        f, parts, variances = joint_parts(contrasts, self.names, self.beta, self.covariance)
        each = [
            self.uncertainty.degrees_of_freedom(part, float(variance))
            for part, variance in zip(parts, variances, strict=True)
        ]
        return f_test(f, len(parts), _combined_degrees_of_freedom(np.array(each)))


@dataclass(frozen=True)
class LikelihoodRatio:
    """A model compared with one that lacks some of its columns.

    Attributes
    ----------
    chi2, df, p
        Twice the gain in log likelihood, the number of columns, and the p value.
    """

    chi2: float
    df: int
    p: float


def fit_mixed(
    outcome: ArrayLike,
    columns: Mapping[str, ArrayLike],
    groups: ArrayLike,
    *,
    method: Method = "REML",
    level: float = CONFIDENCE,
) -> MixedFit:
    """Fit a linear mixed model with one random intercept for each group.

    Parameters
    ----------
    outcome
        (observation,).
    columns
        (observation,) values by name, in the order of the coefficients; the intercept is a column of ones among them.
    groups
        (observation,) label of the person, or other unit, whose observations belong together. They may be in any order,
        and groups may have any number of observations.
    method
        Restricted maximum likelihood, or maximum likelihood for comparing models that differ in their columns.
    level
        Of the confidence intervals.

    Raises
    ------
    ValueError
        If a value is missing; a column follows from others; there are too few groups, or too few observations within
        groups, to tell the two variances apart; or the columns and the groups leave nothing of the outcome.

    Notes
    -----
    The deviance, profiled over coefficients and error variance, is a function of the variance ratio alone (Bates et al.
    2015, Journal of Statistical Software 67(1)). Products within groups, and of the sums of groups of equal size, are
    all it needs. The lowest of its minima is taken. Degrees of freedom follow Giesbrecht and Burns 1985, Biometrics
    41:477-486, as in lmerTest (Kuznetsova et al. 2017, Journal of Statistical Software 82(13)): how uncertain the
    variances are comes from the second derivatives of the deviance in the ratio of the standard deviations and the
    error's standard deviation. At a ratio of zero these leave only the error variance uncertain.
    """
    check_level(level)
    if method not in ("REML", "ML"):
        raise ValueError(f"the method is REML or ML, not {method!r}")
    design = make_design(columns)
    count, width = design.matrix.shape
    values = check_vector("outcome", outcome, count)
    labels, codes = check_labels("groups", groups, count)
    projected = design.basis.T @ values
    left = values - design.basis @ projected
    if np.linalg.norm(left) <= PERFECT * np.linalg.norm(values):
        raise ValueError("the columns leave nothing of the outcome")
    # Orthonormal columns and an outcome of unit size make the result the same in all units.
    scale = float(np.linalg.norm(left)) / np.sqrt(count)
    moments = gather_moments(np.column_stack([design.basis, left / scale]), codes)
    _check_identified(moments, count, len(labels), width)
    degrees = count - width if method == "REML" else count
    ratio = best_ratio(moments, degrees, method)
    best = profile(moments, ratio, degrees, method)

    inverse = np.linalg.inv(design.triangle)
    beta = inverse @ (projected + scale * best.coefficients)
    sigma2 = best.sigma2 * scale**2
    log_likelihood = -0.5 * best.deviance - degrees * float(np.log(scale))
    if method == "REML":
        log_likelihood -= float(np.sum(np.log(np.abs(np.diag(design.triangle)))))
    marginal = values - design.matrix @ beta
    intercepts = ratio * np.bincount(codes, marginal) / (1.0 + ratio * np.bincount(codes))
    return MixedFit(
        names=design.names,
        beta=beta,
        covariance=sigma2 * inverse @ best.unscaled @ inverse.T,
        sigma2=sigma2,
        tau2=ratio * sigma2,
        singular=ratio == 0.0,
        log_likelihood=log_likelihood,
        method=method,
        n_obs=count,
        n_groups=len(labels),
        group_labels=tuple(labels),
        random_intercepts=intercepts,
        residuals=marginal - intercepts[codes],
        level=level,
        uncertainty=VarianceUncertainty(
            residual_df=float(degrees),
            curvature=best.curvature if ratio > 0.0 and best.curvature > 0.0 else None,
            tilt=best.tilt,
            covariance_slope=sigma2 * inverse @ best.unscaled_slope @ inverse.T,
        ),
    )


def likelihood_ratio(full: MixedFit, reduced: MixedFit) -> LikelihoodRatio:
    """Compare two fits by maximum likelihood, one of which has only some of the other's columns.

    Raises
    ------
    ValueError
        If a fit is by REML, whose likelihoods of different columns cannot be compared; if the numbers of observations
        differ; or if the columns of ``reduced`` are not some of those of ``full``.
    """
    if "REML" in (full.method, reduced.method):
        raise ValueError("likelihoods of models with different columns are comparable only if fitted with method='ML'")
    if (full.n_obs, full.n_groups) != (reduced.n_obs, reduced.n_groups):
        raise ValueError("the two models were not fitted to the same observations")
    if not set(reduced.names) < set(full.names):
        raise ValueError("the smaller model must have some of the columns of the larger one, and no others")
    chi2 = max(0.0, 2.0 * (full.log_likelihood - reduced.log_likelihood))
    df = len(full.names) - len(reduced.names)
    return LikelihoodRatio(chi2, df, float(special.chdtrc(df, chi2)))


def _check_identified(moments: Moments, count: int, groups: int, width: int) -> None:
    """Raise ``ValueError`` where the data cannot tell the variance between groups from that within."""
    if groups < 2:
        raise ValueError(f"a random intercept needs at least two groups; there is {groups}")
    if groups == count:
        raise ValueError("every group has a single observation; a random intercept needs groups with two or more")
    # The basis is orthonormal: eigenvalues are the shares of each direction that vary within groups.
    within = int(np.sum(np.linalg.eigvalsh(moments.within[:-1, :-1]) > NO_VARIATION))
    if groups + within <= width:
        raise ValueError(
            f"{groups} groups are too few: {width - within} columns or combinations of them differ only between groups"
        )
    if count - groups <= within:
        raise ValueError(
            f"{count} observations of {groups} groups are too few: "
            f"{within} columns or combinations of them differ within groups"
        )


def _combined_degrees_of_freedom(each: NDArray[np.float64]) -> float:
    """Degrees of freedom of a mean of squared t statistics, so that an F distribution has their expected value."""
    if np.ptp(each) < 1e-8:
        return float(each.mean())
    if np.any(each <= 2.0):
        return 2.0
    expected = float(np.sum(each / (each - 2.0)))
    return 2.0 * expected / (expected - len(each))
