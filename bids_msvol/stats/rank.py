# SPDX-License-Identifier: Apache-2.0
"""Two groups compared by ranks: Mann-Whitney test, shift, effect size, and permutation of persons with several rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bids_msvol.stats.design import check_labels, check_vector
from bids_msvol.stats.estimates import CONFIDENCE, check_level
from bids_msvol.stats.pair_selection import nth_difference

RankMethod = Literal["exact", "asymptotic"]

PAIRS_AT_ONCE = 1_000_000
"""Up to so many pairs are made and sorted; of more, the differences asked for are looked for without making them."""

EXACT_BELOW = 50
"""Without ties, and with fewer than this in both groups, the exact distribution is used: the rule of R's
``wilcox.test``."""

PERMUTATIONS = 10_000
"""A p value of 0.05 is then known to within 0.004."""

BATCH = 1_000
"""Permutations drawn at a time, to bound the memory."""


@dataclass(frozen=True)
class RankTest:
    """Two groups compared by the Mann-Whitney test.

    Attributes
    ----------
    n_first, n_second
        Numbers of observations.
    u
        Pairs in which the value of the second group is higher, ties counting one half.
    p
        Two-sided.
    method
        Exact distribution of U, or its normal approximation with the variance corrected for ties.
    continuity
        Whether the approximation was corrected for continuity; false for the exact distribution.
    ties
        Whether values occur more than once.
    shift, low, high
        Hodges-Lehmann estimate of how much higher the second group is, in the unit of the values, and its confidence
        interval. The interval is infinite where the groups are too small for the level.
    rank_biserial
        Share of pairs in which the second group is higher, less the share in which it is lower; -1 to 1.
    """

    n_first: int
    n_second: int
    u: float
    p: float
    method: RankMethod
    continuity: bool
    ties: bool
    shift: float
    low: float
    high: float
    rank_biserial: float


@dataclass(frozen=True)
class ClusterPermutation:
    """A rank test in which persons are permuted, not rows.

    Attributes
    ----------
    p
        Two-sided.
    rank_biserial
        As for the Mann-Whitney test of the rows; positive if the rows marked are higher.
    n_rows, n_marked, n_persons
        Numbers of rows, of rows marked, and of persons.
    n_exchanged
        Persons who take part in the permutation: those with as many rows as someone with other marks, of the same
        stratum.
    permutations, seed
        How many were drawn, and from where.
    """

    p: float
    rank_biserial: float
    n_rows: int
    n_marked: int
    n_persons: int
    n_exchanged: int
    permutations: int
    seed: int


def mann_whitney(
    first: ArrayLike,
    second: ArrayLike,
    *,
    method: RankMethod | None = None,
    continuity: bool = True,
    level: float = CONFIDENCE,
) -> RankTest:
    """Compare two independent groups by ranks.

    Parameters
    ----------
    first, second
        (observation,) values of each group.
    method
        Distribution of the statistic; by the rule of R's ``wilcox.test`` if not given.
    continuity
        Whether the normal approximation is corrected for continuity.
    level
        Of the confidence interval.

    Raises
    ------
    ValueError
        If a value is missing, a group is empty, no two values differ, or the exact distribution is asked for and there
        are ties.

    Notes
    -----
    The shift is the median of the differences of all pairs, and its interval holds the shifts that the test does not
    reject, bounded by two of these differences (Hollander, Wolfe and Chicken 2014, Nonparametric Statistical Methods,
    section 4.3). With many ties one of the bounds may be zero while p is below the level.
    """
    check_level(level)
    one, other = check_vector("first", first), check_vector("second", second)
    if not len(one) or not len(other):
        raise ValueError("a group has no observations")
    together = np.concatenate([one, other])
    if np.ptp(together) == 0.0:
        raise ValueError("all values are the same")
    ties = len(np.unique(together)) < len(together)
    if method is None:
        method = "exact" if not ties and max(len(one), len(other)) < EXACT_BELOW else "asymptotic"
    if method == "exact" and ties:
        raise ValueError("with ties there is no exact distribution; use the normal approximation")
    corrected = continuity and method == "asymptotic"
    found = stats.mannwhitneyu(other, one, use_continuity=corrected, alternative="two-sided", method=method)
    pairs = len(one) * len(other)
    shift, low, high = _shift(one, other, _bound(len(one), len(other), method, corrected, level))
    return RankTest(
        n_first=len(one),
        n_second=len(other),
        u=float(found.statistic),
        p=float(found.pvalue),
        method=method,
        continuity=corrected,
        ties=ties,
        shift=shift,
        low=low,
        high=high,
        rank_biserial=2.0 * float(found.statistic) / pairs - 1.0,
    )


def permute_persons(
    values: ArrayLike,
    marked: ArrayLike,
    persons: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> ClusterPermutation:
    """Compare marked rows with the others by ranks, where rows of one person are not independent.

    Parameters
    ----------
    values
        (row,).
    marked
        (row,) booleans, such as whether the person relapsed in that year. They may differ between rows of a person.
    persons
        (row,) label of the person.
    strata
        (row,) label of what persons are exchanged within, such as the treatment: the same in all rows of a person.
        Values may then differ between strata under the null hypothesis, and marks too. ``None``: all are one.
    permutations
        How many to draw.
    seed
        Of the random numbers (PCG64).

    Raises
    ------
    ValueError
        If a value is missing, all or no rows are marked, a person has rows in two strata, or no two persons with
        equally many rows (of one stratum) have different marks.

    Notes
    -----
    Under the null hypothesis a person's values do not depend on the marks of that person. All marks of a person, in
    the order of the rows, are then exchanged with those of another person with as many rows, so that the dependence
    within persons stays, of the values and of the marks (whole-block exchange, Winkler et al. 2015, NeuroImage
    123:253-268). Give the rows of every person in the order of time. The statistic is how far the rank sum of the
    marked rows is from what the exchange makes it on average; ranks are those among all rows, with strata too. The data
    as they are count as one permutation (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular
    Biology 9:39).
    """
    row_values = check_vector("values", values)
    flags = check_vector("marked", marked, len(row_values))
    if not np.isin(flags, (0.0, 1.0)).all():
        raise ValueError("'marked' holds something other than true and false")
    if not 0.0 < flags.sum() < len(flags):
        raise ValueError("all rows are marked, or none is")
    if permutations < 1:
        raise ValueError("a permutation test needs at least one permutation")
    labels, codes = check_labels("persons", persons, len(row_values))
    ranks = stats.rankdata(row_values) - (len(row_values) + 1) / 2.0
    blocks = _exchangeable_blocks(ranks, flags, codes, _strata_of_persons(strata, codes))
    if not blocks:
        within = "" if strata is None else " within a stratum"
        raise ValueError(
            f"no two persons with equally many rows have different marks{within}: there is nothing to permute"
        )
    expected = sum(float(block.sum()) / len(block) for block in blocks)
    # Sums in another order differ in the last digits, which must not count as less extreme.
    limit = abs(sum(float(np.trace(block)) for block in blocks) - expected) - 1e-9 * len(ranks) ** 2
    generator = np.random.Generator(np.random.PCG64(seed))
    extreme = 0
    for start in range(0, permutations, BATCH):
        drawn = np.full(min(BATCH, permutations - start), -expected)
        for block in blocks:
            given = generator.permuted(np.tile(np.arange(len(block)), (len(drawn), 1)), axis=1)
            drawn += block[np.arange(len(block)), given].sum(axis=1)
        extreme += int(np.count_nonzero(np.abs(drawn) >= limit))
    count = float(flags.sum())
    return ClusterPermutation(
        p=(1 + extreme) / (1 + permutations),
        rank_biserial=2.0 * float(ranks @ flags) / (count * (len(flags) - count)),
        n_rows=len(flags),
        n_marked=int(count),
        n_persons=len(labels),
        n_exchanged=sum(len(block) for block in blocks),
        permutations=permutations,
        seed=seed,
    )


def _strata_of_persons(strata: ArrayLike | None, codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Stratum (person,) by number; all the same without strata."""
    found = np.zeros(int(codes.max()) + 1, dtype=np.intp)
    if strata is not None:
        labels = check_labels("strata", strata, len(codes))[1]
        found[codes] = labels
        if (found[codes] != labels).any():
            raise ValueError("a person has rows in two strata")
    return found


def _exchangeable_blocks(
    ranks: NDArray[np.float64], flags: NDArray[np.float64], codes: NDArray[np.intp], strata: NDArray[np.intp]
) -> list[NDArray[np.float64]]:
    """For persons alike in rows and stratum, the rank sum (person, marks of) that each gets with the marks of each."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    blocks = []
    for size, stratum in np.unique(np.stack([sizes, strata], axis=1), axis=0):
        rows = order[starts[(sizes == size) & (strata == stratum)][:, None] + np.arange(size)]
        if len(np.unique(flags[rows], axis=0)) > 1:
            blocks.append(ranks[rows] @ flags[rows].T)
    return blocks


def _shift(one: NDArray[np.float64], other: NDArray[np.float64], bound: int) -> tuple[float, float, float]:
    """Median of the differences of all pairs, and the differences at a rank from either end."""
    pairs = len(one) * len(other)
    if pairs > PAIRS_AT_ONCE:
        middle = [nth_difference(one, other, number) for number in ((pairs + 1) // 2, pairs // 2 + 1)]
        ends = [nth_difference(one, other, number) for number in (bound, pairs + 1 - bound)] if bound > 0 else []
        return float(np.mean(middle)), *(ends or (-np.inf, np.inf))
    differences = np.sort(np.subtract.outer(other, one), axis=None)
    shift = float(np.median(differences))
    if bound < 1:
        return shift, -np.inf, np.inf
    return shift, float(differences[bound - 1]), float(differences[-bound])


def _bound(first: int, second: int, method: RankMethod, corrected: bool, level: float) -> int:
    """Rank, from either end, of the difference at which the test stops to reject; 0 if it rejects nothing."""
    tail = (1.0 - level) / 2.0
    pairs = first * second
    if method == "exact":
        return int(np.searchsorted(np.cumsum(_u_distribution(first, second)), tail, side="right"))
    # Shifted, the groups share no values: the variance is that without ties.
    deviation = np.sqrt(pairs * (first + second + 1.0) / 12.0)
    return max(0, int(np.ceil(pairs / 2.0 - 0.5 * corrected + float(special.ndtri(tail)) * deviation)))


def _u_distribution(first: int, second: int) -> NDArray[np.float64]:
    """Probability (pairs + 1,) of each value of U: the Gaussian binomial coefficients, in whole numbers."""
    counts = [1] + [0] * (first * second)
    for step in range(1, first + 1):
        # Multiply by 1 - x^(second + step), then divide by 1 - x^step.
        for power in range(len(counts) - 1, second + step - 1, -1):
            counts[power] -= counts[power - second - step]
        for power in range(step, len(counts)):
            counts[power] += counts[power - step]
    total = sum(counts)
    return np.array([count / total for count in counts])
