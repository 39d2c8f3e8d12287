# SPDX-License-Identifier: Apache-2.0
"""Effect sizes of rank tests: the rank-biserial correlation with its interval, and the test of Kruskal and Wallis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from bids_msvol.stats.design import check_vector
from bids_msvol.stats.estimates import CONFIDENCE, check_level

NO_OVERLAP = 1e-9
"""An area nearer than this to 0 or 1 is 0 or 1."""


def rank_biserial_interval(
    first: ArrayLike, second: ArrayLike, *, level: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Return the rank-biserial correlation (see `bids_msvol.stats.rank.RankTest`) with its confidence interval.

    Parameters
    ----------
    first, second
        (observation,) values of each group.
    level
        Of the confidence interval.

    Raises
    ------
    ValueError
        If a value is missing or a group is empty.

    Notes
    -----
    The variance is that of the share of the other group that each value exceeds (DeLong et al. 1988, Biometrics
    44:837-845), which takes ties as they are; the interval is made on the scale of the inverse hyperbolic tangent, so
    that it stays between -1 and 1. Where the groups do not overlap, or one has a single value, that variance says
    nothing: then the interval is that of Newcombe 2006, Statistics in Medicine 25:559-573, method 5.
    """
    check_level(level)
    one, other = check_vector("first", first), check_vector("second", second)
    if not len(one) or not len(other):
        raise ValueError("a group has no observations")
    z = float(special.ndtri(0.5 + level / 2.0))
    of_one, of_other = -_excess(one, other), _excess(other, one)
    value = float(of_other.mean())
    if min(len(one), len(other)) > 1 and abs(value) < 1.0 - NO_OVERLAP:
        variance = of_one.var(ddof=1) / len(one) + of_other.var(ddof=1) / len(other)
        if variance > 0.0:
            half = z * float(np.sqrt(variance)) / (1.0 - value**2)
            return value, float(np.tanh(np.arctanh(value) - half)), float(np.tanh(np.arctanh(value) + half))
    return value, *_newcombe(value, len(one), len(other), z)


def _excess(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each value the share of the others that is lower, less the share that is higher."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, side="left")
    return np.asarray((below + np.searchsorted(ordered, values, side="right")) / len(others) - 1.0, dtype=np.float64)


def _newcombe(value: float, n_first: int, n_second: int, z: float) -> tuple[float, float]:
    area = (value + 1.0) / 2.0
    size = (n_first + n_second) / 2.0 - 1.0

    def excess(at: float) -> float:
        variance = at * (1.0 - at) * (1.0 + size * ((1.0 - at) / (2.0 - at) + at / (1.0 + at))) / (n_first * n_second)
        return (at - area) ** 2 - z**2 * variance

    # Without overlap the estimate itself solves the equation: the other solution is the limit.
    inside = min(max(area, NO_OVERLAP), 1.0 - NO_OVERLAP)
    low = 0.0 if area <= 0.0 else float(optimize.brentq(excess, 0.0, inside))
    high = 1.0 if area >= 1.0 else float(optimize.brentq(excess, inside, 1.0))
    return 2.0 * low - 1.0, 2.0 * high - 1.0


def kruskal_wallis(groups: Sequence[ArrayLike]) -> tuple[float, int, float, float]:
    """Return H corrected for ties, degrees of freedom, p and epsilon squared of the test of Kruskal and Wallis.

    Epsilon squared is the share of the variance of the ranks between the groups: H / (n - 1).

    Raises
    ------
    ValueError
        If a value is missing, a group is empty, or all values are the same.
    """
    values = [check_vector("values", one) for one in groups]
    if len(values) < 2 or min(len(one) for one in values) < 1:
        raise ValueError("a group has no observations")
    together = np.concatenate(values)
    if np.ptp(together) == 0.0:
        raise ValueError("all values are the same")
    h, p = stats.kruskal(*values)
    return float(h), len(values) - 1, float(p), float(h) / (len(together) - 1)
