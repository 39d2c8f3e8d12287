# SPDX-License-Identifier: Apache-2.0
"""Shares: Wilson and Newcombe against published examples and scipy, permutation of persons against full enumeration."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.proportions import compare_proportions, permute_shares, proportion


@pytest.mark.parametrize(("count", "n"), [(0, 12), (3, 12), (12, 12), (81, 263)])
def test_the_interval_is_wilsons(count: int, n: int) -> None:
    theirs = stats.binomtest(count, n).proportion_ci(method="wilson")
    found = proportion(count, n)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert found.share == count / n


def test_nobody_has_no_share() -> None:
    assert math.isnan(proportion(0, 0).share)
    with pytest.raises(ValueError, match="no share"):
        proportion(3, 2)


def test_the_difference_is_that_of_newcombe() -> None:
    """Newcombe 1998, table II, method 10: 56/70 less 48/80 is 0.0524 to 0.3339; 9/10 less 3/10 is 0.1705 to 0.8090."""
    found = compare_proportions((48, 80), (56, 70))
    assert (found.difference, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    small = compare_proportions((3, 10), (9, 10))
    assert (small.low, small.high) == pytest.approx((0.1705, 0.8090), abs=5e-5)


def test_the_exact_test_by_hand() -> None:
    """3 of 3 against 0 of 3: 2 of the 20 ways are as extreme."""
    found = compare_proportions((0, 3), (3, 3))
    assert found.p == pytest.approx(0.1)
    assert found.odds_ratio == math.inf
    assert compare_proportions((1, 4), (2, 4)).odds_ratio == pytest.approx(3.0)
    with pytest.raises(ValueError, match="empty"):
        compare_proportions((0, 0), (1, 2))


def test_permutation_agrees_with_all_exchanges() -> None:
    """Seven persons with one to three years: the share of all 35 ways of marking three that are as extreme."""
    hits, sizes = np.array([0, 1, 2, 3, 0, 1, 2]), np.array([1, 2, 3, 3, 2, 1, 2])
    marked = np.array([0, 0, 1, 1, 0, 0, 1])

    def difference(chosen: np.ndarray) -> float:
        return hits[chosen].sum() / sizes[chosen].sum() - hits[~chosen].sum() / sizes[~chosen].sum()

    every = []
    for three in combinations(range(7), 3):
        chosen = np.zeros(7, dtype=bool)
        chosen[list(three)] = True
        every.append(difference(chosen))
    observed = difference(marked == 1)
    exact = np.mean(np.abs(every) >= abs(observed) - 1e-12)
    found = permute_shares(hits, sizes, marked, permutations=20_000, seed=3)
    assert found.difference == pytest.approx(observed)
    assert found.p == pytest.approx(exact, abs=0.015)
    assert (found.n_persons, found.n_rows) == (7, 14)
    assert found == permute_shares(hits, sizes, marked, permutations=20_000, seed=3)


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        permute_shares([1, 0], [1, 1], [1, 1], permutations=10, seed=1)
    with pytest.raises(ValueError, match="between 0 and 'rows'"):
        permute_shares([2, 0], [1, 1], [1, 0], permutations=10, seed=1)
