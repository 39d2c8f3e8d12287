# SPDX-License-Identifier: Apache-2.0
"""Tables of counts: against scipy and worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.contingency import check_independence, compare_paired, exact_odds_ratio, odds_ratio


def test_chi_square_is_that_of_scipy() -> None:
    table = [[10, 5, 3], [2, 6, 9]]
    found = check_independence(table, draws=4000, seed=1)
    expected = stats.chi2_contingency(table, correction=False)
    assert (found.chi2, found.p, found.df) == pytest.approx((expected.statistic, expected.pvalue, 2))
    assert found.least_expected == pytest.approx(expected.expected_freq.min())


def test_permuted_p_is_that_of_fisher_in_a_small_table() -> None:
    """Symmetric margins: tables as far by chi-square are those as unlikely, so both tests are the same."""
    table = [[9, 1], [3, 7]]
    found = check_independence(table, draws=20_000, seed=2)
    assert found.p_permuted == pytest.approx(stats.fisher_exact(table).pvalue, abs=0.004)
    assert found.p_permuted > found.p


def test_empty_categories_are_left_out() -> None:
    found = check_independence([[5, 0, 5], [2, 0, 8]], draws=10, seed=0)
    assert found.df == 1
    with pytest.raises(ValueError, match="same value"):
        check_independence([[5, 0], [7, 0]], draws=10, seed=0)


def test_odds_ratio_by_hand() -> None:
    """15 of 20 against 10 of 20: odds 3 against 1; an empty cell adds a half to each."""
    found = odds_ratio((10, 20), (15, 20))
    se = np.sqrt(1 / 15 + 1 / 5 + 1 / 10 + 1 / 10)
    assert (found.value, found.corrected) == (pytest.approx(3.0), False)
    assert found.high == pytest.approx(3.0 * np.exp(1.959964 * se))
    assert odds_ratio((24, 33), (19, 19)).value == pytest.approx(19.5 * 9.5 / (0.5 * 24.5))


def test_mcnemar_by_hand() -> None:
    """Eight lost and one gained: twice the chance of at most one head in nine throws, 2 * 10 / 512."""
    before = [1] * 8 + [0] + [1] * 3 + [0] * 4
    after = [0] * 8 + [1] + [1] * 3 + [0] * 4
    found = compare_paired(before, after)
    assert (found.gained, found.lost) == (1, 8)
    assert found.p == pytest.approx(20 / 512)
    assert found.difference == pytest.approx(-7 / 16)
    # Bonett and Price: one added to each kind of change, two to the number.
    middle, half = -7 / 18, 1.959964 * np.sqrt((11 / 18 - (7 / 18) ** 2) / 18)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), rel=1e-5)


def test_nobody_changed() -> None:
    found = compare_paired([1, 0, 1], [1, 0, 1])
    assert (found.p, found.difference) == (1.0, 0.0)
    with pytest.raises(ValueError, match="nobody"):
        compare_paired([], [])


def test_exact_odds_ratio_agrees_with_the_test_of_fisher() -> None:
    """The interval leaves out 1 just where the test rejects; the estimate is scipy's; empty cells are open ends."""
    rng = np.random.default_rng(4)
    rejected = 0
    for _ in range(60):
        one, other = (int(size) for size in rng.integers(5, 30, 2))
        count, second = int(rng.integers(1, one)), int(rng.integers(0, other + 1))
        found = exact_odds_ratio((count, one), (second, other))
        table = np.array([[second, other - second], [count, one - count]])
        rejects = stats.fisher_exact(table).pvalue < 0.05
        rejected += int(rejects)
        assert rejects == (not found.low <= 1.0 <= found.high)
        assert found.value == pytest.approx(stats.contingency.odds_ratio(table).statistic, rel=1e-5)
    assert 5 < rejected < 55
    none = exact_odds_ratio((5, 10), (0, 20))
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high < 1.0
    with pytest.raises(ValueError, match="same value"):
        exact_odds_ratio((3, 3), (4, 4))
