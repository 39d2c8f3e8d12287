# SPDX-License-Identifier: Apache-2.0
"""Shares of persons: intervals, two shares compared, and shares of the years of persons compared by permutation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bids_msvol.stats.design import check_vector
from bids_msvol.stats.estimates import CONFIDENCE, check_level

ROUNDING = 1e-12
"""Differences nearer to one another than this are the same."""


@dataclass(frozen=True)
class Proportion:
    """A share with its interval.

    Attributes
    ----------
    count, n
        How many of how many.
    share, low, high
        The share and its interval; NaN if there is nobody.
    """

    count: int
    n: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class ProportionTest:
    """Two shares compared.

    Attributes
    ----------
    difference, low, high
        Second share less first, and its interval.
    odds_ratio
        Of the second to the first; 0, infinite or NaN where a cell is empty.
    p
        Two-sided, Fisher's exact test.
    """

    difference: float
    low: float
    high: float
    odds_ratio: float
    p: float


@dataclass(frozen=True)
class SharePermutation:
    """Shares of rows compared between two groups of persons, where persons are permuted.

    Attributes
    ----------
    difference
        Share in the marked persons less that in the others.
    p
        Two-sided.
    n_persons, n_rows
        Numbers of persons and of rows.
    permutations, seed
        How many were drawn, and from where.
    """

    difference: float
    p: float
    n_persons: int
    n_rows: int
    permutations: int
    seed: int


def proportion(count: int, n: int, level: float = CONFIDENCE) -> Proportion:
    """Return a share with Wilson's interval (Wilson 1927, Journal of the American Statistical Association 22:209-212).

    Raises
    ------
    ValueError
        If there are more than all, or fewer than none.
    """
    check_level(level)
    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n} is no share")
    if not n:
        return Proportion(0, 0, math.nan, math.nan, math.nan)
    z2 = float(special.ndtri(0.5 + level / 2.0)) ** 2
    share = count / n
    middle = (share + z2 / (2 * n)) / (1.0 + z2 / n)
    half = math.sqrt(z2 * (share * (1.0 - share) / n + z2 / (4 * n * n))) / (1.0 + z2 / n)
    # Rounding must not leave the end that is exactly 0 or 1 beside it.
    low = 0.0 if count == 0 else middle - half
    high = 1.0 if count == n else middle + half
    return Proportion(count, n, share, low, high)


def compare_proportions(first: tuple[int, int], second: tuple[int, int], level: float = CONFIDENCE) -> ProportionTest:
    """Compare two shares, each given as count and number.

    Raises
    ------
    ValueError
        If a group is empty.

    Notes
    -----
    The interval of the difference is Newcombe's, from Wilson's intervals (1998, Statistics in Medicine 17:873-890,
    method 10). It does not follow from the exact test and may disagree with it near the level.
    """
    one, other = (proportion(*given, level=level) for given in (first, second))
    if not one.n or not other.n:
        raise ValueError("a group is empty")
    difference = other.share - one.share
    low = difference - math.hypot(other.share - other.low, one.high - one.share)
    high = difference + math.hypot(other.high - other.share, one.share - one.low)
    cells = np.array([[other.count, other.n - other.count], [one.count, one.n - one.count]])
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = cells[:, 0] / cells[:, 1]
        ratio = odds[0] / odds[1]
    p = float(stats.fisher_exact(cells).pvalue)
    return ProportionTest(difference, low, high, float(ratio), min(p, 1.0))


def permute_shares(
    counts: ArrayLike, rows: ArrayLike, marked: ArrayLike, *, permutations: int, seed: int
) -> SharePermutation:
    """Compare shares of rows, such as years, between two groups of persons, who exchange groups with all their rows.

    Parameters
    ----------
    counts
        (person,) number of rows that count.
    rows
        (person,) number of rows, at least 1.
    marked
        (person,) whether the person is of the second group.
    permutations, seed
        How many to draw, and from where. The data as they are count as one.

    Raises
    ------
    ValueError
        If a group is empty, or values are missing or impossible.
    """
    hits = check_vector("counts", counts)
    sizes = check_vector("rows", rows, len(hits))
    flags = check_vector("marked", marked, len(hits))
    if (sizes < 1.0).any() or (hits < 0.0).any() or (hits > sizes).any():
        raise ValueError("'counts' must lie between 0 and 'rows', which must be at least 1")
    if not np.isin(flags, (0.0, 1.0)).all() or not 0.0 < flags.sum() < len(flags):
        raise ValueError("a group is empty")
    # Persons with the same counts cannot be told apart: how many of each kind are marked has a known distribution.
    kinds, numbers = np.unique(np.column_stack([hits, sizes]), axis=0, return_counts=True)
    observed = float(_difference(flags @ hits, flags @ sizes, hits.sum(), sizes.sum()))
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(numbers, int(flags.sum()), size=permutations)
    differences = _difference(drawn @ kinds[:, 0], drawn @ kinds[:, 1], hits.sum(), sizes.sum())
    extreme = int(np.count_nonzero(np.abs(differences) >= abs(observed) - ROUNDING))
    return SharePermutation(
        difference=observed,
        p=(1 + extreme) / (1 + permutations),
        n_persons=len(flags),
        n_rows=int(sizes.sum()),
        permutations=permutations,
        seed=seed,
    )


def _difference(own_hits: ArrayLike, own_sizes: ArrayLike, hits: float, sizes: float) -> NDArray[np.float64]:
    """Return the share in the marked persons less that in the others, from the sums of the former and of all."""
    own = np.asarray(own_hits, dtype=np.float64), np.asarray(own_sizes, dtype=np.float64)
    return np.asarray(own[0] / own[1] - (hits - own[0]) / (sizes - own[1]), dtype=np.float64)
