# SPDX-License-Identifier: Apache-2.0
"""How well a measure tells two groups apart: the area under its ROC curve, and two such areas compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bids_msvol.stats.design import check_vector
from bids_msvol.stats.estimates import CONFIDENCE, check_level

CHANCE = 0.5
"""Area under the curve of a measure that tells nothing."""

NO_SPREAD = 1e-12
"""Variance below which it is rounding."""

BATCH_VALUES = 2_000_000
"""Random numbers drawn at a time, to bound the memory."""


@dataclass(frozen=True)
class Auc:
    """The area under a ROC curve.

    Attributes
    ----------
    auc
        Share of pairs of a positive and a negative person in which the positive one has the higher score, ties counting
        one half.
    se, low, high
        Standard error of DeLong et al. 1988 and confidence interval, cut at 0 and 1; NaN where all pairs agree, since
        the data then say nothing of how uncertain the area is.
    z, p
        Test against 0.5 with that standard error, two-sided; NaN where it is.
    n_positive, n_negative
        Numbers of persons.
    """

    auc: float
    se: float
    low: float
    high: float
    z: float
    p: float
    n_positive: int
    n_negative: int


@dataclass(frozen=True)
class AucDifference:
    """Two measures of the same people compared.

    Attributes
    ----------
    first, second
        The areas.
    difference, se, low, high
        Second less first, with the standard error of DeLong et al. 1988 and its confidence interval.
    z, p
        Test against zero, two-sided. NaN, as the standard error, where the measures order the pairs alike.
    """

    first: Auc
    second: Auc
    difference: float
    se: float
    low: float
    high: float
    z: float
    p: float


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The points of a ROC curve.

    Attributes
    ----------
    false_positive, true_positive
        (point,) shares of the negative and of the positive persons at or above a threshold, from 0 to 1.
    """

    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]


def measure_auc(scores: ArrayLike, positive: ArrayLike, *, level: float = CONFIDENCE) -> Auc:
    """Measure how well scores tell positive from negative persons.

    Parameters
    ----------
    scores
        (person,); higher is meant to speak for positive. The area is below 0.5 if they do the opposite.
    positive
        (person,) booleans.
    level
        Of the confidence interval.

    Raises
    ------
    ValueError
        If a value is missing, or there are fewer than two positive or two negative persons.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837-845; computed from ranks (Sun and Xu 2014, IEEE Signal
    Processing Letters 21:1389-1393).
    """
    check_level(level)
    values, flags = _check(scores, positive)
    return _area(*_placements(values, flags), level)


def compare_aucs(
    first: ArrayLike, second: ArrayLike, positive: ArrayLike, *, level: float = CONFIDENCE
) -> AucDifference:
    """Compare the areas of two scores of the same people, by the test of DeLong et al. 1988.

    Parameters
    ----------
    first, second
        (person,) scores; higher is meant to speak for positive.
    positive
        (person,) booleans.
    level
        Of the confidence intervals.

    Raises
    ------
    ValueError
        As ``measure_auc``.
    """
    check_level(level)
    one, flags = _check(first, positive)
    other = _check(second, positive)[0]
    before, after = _placements(one, flags), _placements(other, flags)
    areas = _area(*before, level), _area(*after, level)
    se = _standard_error(after[0] - before[0], after[1] - before[1])
    difference = areas[1].auc - areas[0].auc
    z = difference / se
    half = float(special.ndtri(0.5 + level / 2.0)) * se
    return AucDifference(*areas, difference, se, difference - half, difference + half, z, _two_sided(z))


def permute_auc(scores: ArrayLike, positive: ArrayLike, *, permutations: int, seed: int = 0) -> float:
    """Return the two-sided p value of an area by exchange of persons between the groups.

    Parameters
    ----------
    scores, positive
        As for ``measure_auc``.
    permutations
        How many to draw. The data as they are count as one more.
    seed
        Of the random numbers.

    Raises
    ------
    ValueError
        As ``measure_auc``, or if no permutation is asked for.
    """
    if permutations < 1:
        raise ValueError("a permutation test needs at least one permutation")
    values, flags = _check(scores, positive)
    ranks = stats.rankdata(values) - (len(values) + 1) / 2.0
    # Sums in another order differ in the last digits, which must not count as less extreme.
    limit = abs(float(ranks[flags].sum())) - 1e-9 * len(ranks) ** 2
    chosen = int(flags.sum())
    generator = np.random.default_rng(seed)
    extreme, batch = 0, max(1, BATCH_VALUES // len(ranks))
    for start in range(0, permutations, batch):
        drawn = min(batch, permutations - start)
        picked = np.argpartition(generator.random((drawn, len(ranks))), chosen - 1, axis=1)[:, :chosen]
        extreme += int(np.count_nonzero(np.abs(ranks[picked].sum(axis=1)) >= limit))
    return (1 + extreme) / (1 + permutations)


def roc_curve(scores: ArrayLike, positive: ArrayLike) -> RocCurve:
    """Return the curve, from nobody called positive to everybody.

    Raises
    ------
    ValueError
        As ``measure_auc``.
    """
    values, flags = _check(scores, positive)
    order = np.argsort(-values, kind="stable")
    # People with the same score are called positive together.
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    right, wrong = np.cumsum(flags[order])[last], np.cumsum(~flags[order])[last]
    return RocCurve(np.append(0.0, wrong / wrong[-1]), np.append(0.0, right / right[-1]))


def _check(scores: ArrayLike, positive: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = check_vector("scores", scores)
    flags = check_vector("positive", positive, len(values))
    if not np.isin(flags, (0.0, 1.0)).all():
        raise ValueError("'positive' holds something other than true and false")
    if min(flags.sum(), len(flags) - flags.sum()) < 2:
        raise ValueError(f"{flags.sum():.0f} positive of {len(flags)} persons: each group needs two or more")
    return values, flags == 1.0


def _placements(
    values: NDArray[np.float64], flags: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each positive person the share of negative ones that are lower; for each negative one, of positive higher."""
    together = stats.rankdata(values)
    lower = (together[flags] - stats.rankdata(values[flags])) / (~flags).sum()
    higher = 1.0 - (together[~flags] - stats.rankdata(values[~flags])) / flags.sum()
    return lower, higher


def _area(lower: NDArray[np.float64], higher: NDArray[np.float64], level: float) -> Auc:
    auc, se = float(lower.mean()), _standard_error(lower, higher)
    half = float(special.ndtri(0.5 + level / 2.0)) * se
    z = (auc - CHANCE) / se
    low, high = (float(end) for end in np.clip([auc - half, auc + half], 0.0, 1.0))
    return Auc(auc, se, low, high, z, _two_sided(z), len(lower), len(higher))


def _standard_error(lower: NDArray[np.float64], higher: NDArray[np.float64]) -> float:
    variance = float(lower.var(ddof=1)) / len(lower) + float(higher.var(ddof=1)) / len(higher)
    return float(np.sqrt(variance)) if variance > NO_SPREAD else float("nan")


def _two_sided(z: float) -> float:
    return 2.0 * float(special.ndtr(-abs(z)))
