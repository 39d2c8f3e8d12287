# SPDX-License-Identifier: Apache-2.0
"""Groups compared with covariates: omnibus test, adjusted means, pairwise differences and their size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bids_msvol.stats.design import INTERCEPT, check_labels, check_vector, treatment_columns
from bids_msvol.stats.estimates import CONFIDENCE, Estimate, JointTest
from bids_msvol.stats.regression import Errors, LinearFit, fit_ols

GROUP = "group"
"""Prefix of the group columns: ``group[label]``."""


@dataclass(frozen=True)
class Difference:
    """Two groups compared.

    Attributes
    ----------
    first, second
        Labels.
    difference
        Adjusted mean of the second less that of the first.
    effect_size
        The difference over the standard deviation of the error, corrected for small samples (Hedges' g).
    effect_low, effect_high
        Its confidence interval, from the noncentral t distribution.
    """

    first: str
    second: str
    difference: Estimate
    effect_size: float
    effect_low: float
    effect_high: float


@dataclass(frozen=True, eq=False)
class Ancova:
    """Groups compared with covariates.

    Attributes
    ----------
    fit
        The linear model: intercept, ``group[label]`` for each group but the reference, covariates.
    counts
        Number of observations of each group, the reference first.
    omnibus
        Test of all groups together; its ``partial_eta_squared`` is theirs.
    adjusted_means
        Of each group, at the mean of every covariate over all observations.
    differences
        Every pair of groups, in the order of ``counts``.
    """

    fit: LinearFit
    counts: Mapping[str, int]
    omnibus: JointTest
    adjusted_means: Mapping[str, Estimate]
    differences: tuple[Difference, ...]


def fit_ancova(
    outcome: ArrayLike,
    groups: ArrayLike,
    covariates: Mapping[str, ArrayLike] | None = None,
    *,
    reference: str | None = None,
    errors: Errors = "equal",
    level: float = CONFIDENCE,
) -> Ancova:
    """Compare groups by analysis of covariance.

    Parameters
    ----------
    outcome
        (observation,).
    groups
        (observation,) labels, two or more different ones.
    covariates
        (observation,) numbers by name; labels such as sex or site as ``treatment_columns`` codes them.
    reference
        Group to which the others are compared first; the first in alphabetical order if not given.
    errors, level
        As for ``fit_ols``.

    Raises
    ------
    ValueError
        As ``fit_ols``; also if there are fewer than two groups, or a covariate has the name of a group's column.

    Notes
    -----
    Slopes of the covariates are the same in all groups. The standard deviation for effect sizes is that of the error of
    this model, for HC3 too.
    """
    values = check_vector("outcome", outcome)
    labels, codes = check_labels("groups", groups, len(values))
    if len(labels) < 2:
        raise ValueError(f"there is only one group, {labels[0]!r}")
    texts = [labels[code] for code in codes]
    coded = treatment_columns(GROUP, texts, reference)
    first = next(label for label in labels if f"{GROUP}[{label}]" not in coded)
    order = [first, *(label for label in labels if label != first)]
    given = dict(covariates or {})
    clash = ({INTERCEPT} | set(coded)) & set(given)
    if clash:
        raise ValueError(f"a covariate may not be called {min(clash)!r}")
    fit = fit_ols(values, {INTERCEPT: np.ones(len(values)), **coded, **given}, errors=errors, level=level)
    means = dict(zip(fit.names, fit.matrix.mean(axis=0), strict=True))
    at = {label: {**{name: float(means[name]) for name in given}, INTERCEPT: 1.0} for label in order}
    for label in order[1:]:
        at[label][f"{GROUP}[{label}]"] = 1.0
    return Ancova(
        fit=fit,
        counts={label: texts.count(label) for label in order},
        omnibus=fit.joint_test([{name: 1.0} for name in coded]),
        adjusted_means={label: fit.contrast(weights) for label, weights in at.items()},
        differences=tuple(_compare(fit, one, other, order[0]) for one, other in combinations(order, 2)),
    )


def _compare(fit: LinearFit, first: str, second: str, reference: str) -> Difference:
    weights = np.array([float(name == f"{GROUP}[{second}]") - float(name == f"{GROUP}[{first}]") for name in fit.names])
    size, low, high = _effect_size(fit, weights)
    return Difference(first, second, fit.contrast(weights), size, low, high)


def _effect_size(fit: LinearFit, weights: NDArray[np.float64]) -> tuple[float, float, float]:
    """Standardised contrast, corrected for bias (Hedges 1981, Journal of Educational Statistics 6:107-128)."""
    # In units of the error's standard deviation, the contrast has this standard error.
    se = float(np.sqrt(weights @ fit.unscaled @ weights))
    t = float(weights @ fit.beta) / (np.sqrt(fit.sigma2) * se)
    logs = special.gammaln(fit.df / 2.0) - special.gammaln((fit.df - 1) / 2.0)
    correction = float(np.exp(logs) * np.sqrt(2.0 / fit.df)) if fit.df > 1 else float("nan")
    tail = (1.0 - fit.level) / 2.0
    low, high = (float(special.nctdtrinc(fit.df, share, t)) for share in (1.0 - tail, tail))
    return t * se * correction, low * se, high * se
