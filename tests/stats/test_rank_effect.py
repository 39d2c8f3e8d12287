# SPDX-License-Identifier: Apache-2.0
"""Ranks of large groups without all pairs, the interval of the effect size, and three groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats import rank
from bids_msvol.stats.pair_selection import nth_difference, nth_walsh_average
from bids_msvol.stats.rank import mann_whitney
from bids_msvol.stats.rank_effect import kruskal_wallis, rank_biserial_interval


def test_the_nth_of_all_pairs_is_found_without_them() -> None:
    rng = np.random.default_rng(0)
    one, other = np.round(rng.normal(size=13), 1), np.round(rng.normal(size=9), 1)
    differences = np.sort(np.subtract.outer(other, one), axis=None)
    assert [nth_difference(one, other, n) for n in (1, 40, 58, 59, 117)] == pytest.approx(
        differences[[0, 39, 57, 58, 116]]
    )
    averages = np.sort([(one[i] + one[j]) / 2 for i in range(13) for j in range(i, 13)])
    assert [nth_walsh_average(one, n) for n in (1, 20, 45, 91)] == pytest.approx(averages[[0, 19, 44, 90]])


def test_zero_is_found_as_zero() -> None:
    assert nth_difference(np.array([1.0, 2.0]), np.array([1.0, 2.0]), 2) == 0.0


@pytest.mark.parametrize("steps", [0.0, 0.5])
def test_large_groups_give_what_all_pairs_give(steps: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without ties."""
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=60), rng.normal(0.6, 1.0, 55)
    if steps:
        one, other = np.round(one / steps) * steps, np.round(other / steps) * steps
    expected = mann_whitney(one, other)
    monkeypatch.setattr(rank, "PAIRS_AT_ONCE", 10)
    found = mann_whitney(one, other)
    assert (found.p, found.u, found.ties) == (pytest.approx(expected.p), expected.u, expected.ties)
    assert (found.shift, found.low, found.high) == pytest.approx((expected.shift, expected.low, expected.high))


def test_the_interval_covers_the_planted_effect() -> None:
    """Normal groups 0.8 SD apart: 2 Phi(0.8 / sqrt 2) - 1, in about 95 of 100."""
    rng = np.random.default_rng(4)
    truth = 2 * stats.norm.cdf(0.8 / np.sqrt(2.0)) - 1
    inside = 0
    for _ in range(400):
        value, low, high = rank_biserial_interval(rng.normal(size=20), rng.normal(0.8, 1.0, 15))
        assert low < value < high
        inside += low <= truth <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_groups_without_overlap_have_an_interval() -> None:
    value, low, high = rank_biserial_interval([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0])
    assert (value, high) == (1.0, 1.0)
    assert 0.0 < low < 0.9
    mirrored = rank_biserial_interval([5.0, 6.0, 7.0], [1.0, 2.0, 3.0, 4.0])
    assert mirrored == pytest.approx((-1.0, -1.0, -low))


def test_kruskal_wallis_is_that_of_scipy() -> None:
    groups = [[1.0, 2.0, 2.0, 5.0], [3.0, 4.0, 5.0], [2.0, 8.0, 9.0, 9.0]]
    h, df, p, epsilon2 = kruskal_wallis(groups)
    expected = stats.kruskal(*groups)
    assert (h, p, df) == pytest.approx((expected.statistic, expected.pvalue, 2))
    assert epsilon2 == pytest.approx(h / 10)
    with pytest.raises(ValueError, match="the same"):
        kruskal_wallis([[1.0, 1.0], [1.0], [1.0]])
