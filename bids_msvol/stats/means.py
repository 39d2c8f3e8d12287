# SPDX-License-Identifier: Apache-2.0
"""Means of groups compared: Student's and Welch's t tests, analysis of variance, standardized differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bids_msvol.stats.design import check_vector
from bids_msvol.stats.estimates import CONFIDENCE, Estimate, JointTest, check_level, f_test, t_estimate


def compare_means(
    first: ArrayLike, second: ArrayLike, *, equal_variances: bool = False, level: float = CONFIDENCE
) -> Estimate:
    """Return by how much the mean of the second group is higher, with Welch's or Student's t test.

    Parameters
    ----------
    first, second
        (observation,) values of each group.
    equal_variances
        Student's test, which takes the variances as equal; otherwise that of Welch 1947, Biometrika 34:28-35.
    level
        Of the confidence interval.

    Raises
    ------
    ValueError
        If a value is missing, a group has fewer than two, or no value differs from the mean of its group.
    """
    one, other = _groups((first, second))
    sizes = np.array([len(one), len(other)])
    variances = np.array([one.var(ddof=1), other.var(ddof=1)])
    if equal_variances:
        df = float(sizes.sum() - 2)
        parts = ((sizes - 1) @ variances / df) / sizes
    else:
        parts = variances / sizes
        df = float(parts.sum() ** 2 / (parts**2 / (sizes - 1)).sum()) if parts.any() else 1.0
    return t_estimate(float(other.mean() - one.mean()), float(np.sqrt(parts.sum())), df, level)


def paired_mean(differences: ArrayLike, *, level: float = CONFIDENCE) -> Estimate:
    """Return the mean of the differences (person,) with the paired t test.

    Raises
    ------
    ValueError
        If a value is missing, there are fewer than two, or all are the same.
    """
    values = check_vector("differences", differences)
    if len(values) < 2:
        raise ValueError("two persons at least are needed")
    return t_estimate(
        float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), float(len(values) - 1), level
    )


def analyse_variance(groups: Sequence[ArrayLike], *, equal_variances: bool = False) -> JointTest:
    """Test whether groups have the same mean, by Welch's analysis of variance or the classic one.

    Parameters
    ----------
    groups
        Values (observation,) of each of two groups or more.
    equal_variances
        Classic analysis of variance; otherwise that of Welch 1951, Biometrika 38:330-336.

    Raises
    ------
    ValueError
        If a value is missing, a group has fewer than two, or, for Welch's, all values of a group are the same; for
        the classic one, of every group.
    """
    values = _groups(groups)
    sizes = np.array([len(one) for one in values], dtype=float)
    means = np.array([one.mean() for one in values])
    variances = np.array([one.var(ddof=1) for one in values])
    between = len(values) - 1.0
    if equal_variances:
        within = float(sizes.sum() - len(values))
        error = float((sizes - 1.0) @ variances) / within
        if error == 0.0:
            raise ValueError("no value differs from the mean of its group")
        return f_test(float(sizes @ (means - sizes @ means / sizes.sum()) ** 2) / between / error, between, within)
    if not variances.all():
        raise ValueError("all values of a group are the same")
    weights = sizes / variances
    total = weights.sum()
    spread = float(((1.0 - weights / total) ** 2 / (sizes - 1.0)).sum())
    f = float(weights @ (means - weights @ means / total) ** 2) / between
    f /= 1.0 + 2.0 * (between - 1.0) / (between**2 + 2.0 * between) * spread
    return f_test(f, between, (between**2 + 2.0 * between) / (3.0 * spread))


def hedges_g(first: ArrayLike, second: ArrayLike, *, level: float = CONFIDENCE) -> tuple[float, float, float]:
    """Return the difference of means in pooled standard deviations, corrected for bias, with its confidence interval.

    The interval is that of large samples (Hedges and Olkin 1985, Statistical Methods for Meta-Analysis, chapter 5).

    Raises
    ------
    ValueError
        As for ``compare_means``.
    """
    check_level(level)
    one, other = _groups((first, second))
    free = len(one) + len(other) - 2
    pooled = np.sqrt(((len(one) - 1) * one.var(ddof=1) + (len(other) - 1) * other.var(ddof=1)) / free)
    if pooled == 0.0:
        raise ValueError("no value differs from the mean of its group")
    # The exact factor, by logarithms since the gamma function of large groups overflows.
    logarithm = special.gammaln(free / 2.0) - special.gammaln((free - 1) / 2.0) - 0.5 * np.log(free / 2.0)
    correction = float(np.exp(logarithm)) if free > 1 else 0.0
    g = correction * float((other.mean() - one.mean()) / pooled)
    se = np.sqrt((len(one) + len(other)) / (len(one) * len(other)) + g**2 / (2.0 * free))
    half = float(special.ndtri(0.5 + level / 2.0) * se)
    return g, g - half, g + half


def standardized_difference(first: ArrayLike, second: ArrayLike) -> float:
    """Return the difference of means in units of the root mean square of the two standard deviations.

    For values of zero and one it is the standardized difference of proportions (Austin 2009, Statistics in Medicine
    28:3083-3107). NaN if no value differs from the mean of its group.
    """
    one, other = check_vector("first", first), check_vector("second", second)
    binary = bool(np.isin(one, (0.0, 1.0)).all() and np.isin(other, (0.0, 1.0)).all())
    if min(len(one), len(other)) < (1 if binary else 2):
        return float("nan")
    ddof = 0 if binary else 1
    scale = float(np.sqrt((one.var(ddof=ddof) + other.var(ddof=ddof)) / 2.0))
    return float(other.mean() - one.mean()) / scale if scale > 0.0 else float("nan")


def _groups(groups: Sequence[ArrayLike]) -> list[NDArray[np.float64]]:
    values = [check_vector("values", one) for one in groups]
    if len(values) < 2 or min(len(one) for one in values) < 2:
        raise ValueError("a group has fewer than two observations")
    return values
