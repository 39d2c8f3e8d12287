# SPDX-License-Identifier: Apache-2.0
"""Means of groups: against scipy, R and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from bids_msvol.stats.means import analyse_variance, compare_means, hedges_g, paired_mean, standardized_difference

FIRST = [1.0, 2.0, 3.0, 4.0, 6.0]
SECOND = [4.0, 4.5, 9.0, 12.0]
THIRD = [2.0, 2.5, 2.0, 7.0, 3.0, 1.0]

R_WELCH = (2.132135400586, 2.0, 6.522015237875, 0.193866174794)
"""F, its degrees of freedom, and p."""


@pytest.mark.parametrize("equal", [True, False])
def test_t_tests_are_those_of_scipy(equal: bool) -> None:
    found = compare_means(FIRST, SECOND, equal_variances=equal)
    expected = stats.ttest_ind(SECOND, FIRST, equal_var=equal)
    interval = expected.confidence_interval(0.95)
    assert (found.t, found.p, found.df) == pytest.approx((expected.statistic, expected.pvalue, expected.df))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.value == pytest.approx(np.mean(SECOND) - np.mean(FIRST))


def test_paired_mean_is_the_paired_t_test() -> None:
    found = paired_mean(np.subtract(SECOND, FIRST[:4]))
    assert found.p == pytest.approx(stats.ttest_rel(SECOND, FIRST[:4]).pvalue)


def test_classic_analysis_of_variance_is_that_of_scipy() -> None:
    found = analyse_variance([FIRST, SECOND, THIRD], equal_variances=True)
    expected = stats.f_oneway(FIRST, SECOND, THIRD)
    assert (found.f, found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_welch_of_two_groups_is_the_squared_t_test() -> None:
    """The F statistic is t squared, with the same degrees of freedom and p."""
    found, pair = analyse_variance([FIRST, SECOND]), compare_means(FIRST, SECOND)
    assert (found.f, found.df_within, found.p) == pytest.approx((pair.t**2, pair.df, pair.p))


def test_welch_of_three_groups_is_that_of_r() -> None:
    """``oneway.test(y ~ group)`` of R 4.2.2."""
    found = analyse_variance([FIRST, SECOND, THIRD])
    assert (found.f, found.df_between, found.df_within, found.p) == pytest.approx(R_WELCH, rel=1e-6)


def test_hedges_g_by_hand() -> None:
    """Pooled SD of 2 apart by 2, with six degrees of freedom: 1 times the exact correction."""
    g, low, high = hedges_g([0.0, 2.0, 4.0, 2.0 + 0.0], [2.0, 4.0, 6.0, 4.0])
    pooled = np.sqrt(8.0 / 3.0)
    exact = special.gamma(3.0) / (special.gamma(2.5) * np.sqrt(3.0))
    assert g == pytest.approx(2.0 / pooled * exact)
    assert high - g == pytest.approx(1.959964 * np.sqrt(0.5 + g**2 / 12.0), rel=1e-6)
    assert low == pytest.approx(2 * g - high)


def test_large_groups_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    g, low, high = hedges_g(rng.normal(size=5000), rng.normal(0.2, 1.0, 5000))
    assert low < 0.2 < high
    assert g == pytest.approx(0.2, abs=0.06)


def test_standardized_differences() -> None:
    """Of numbers by the mean of the variances; of shares of 0.5 and 0.8 as for binomial variables."""
    assert standardized_difference([0.0, 2.0], [3.0, 3.0 + 2.0]) == pytest.approx(3.0 / np.sqrt(2.0))
    binary = standardized_difference([1.0] * 5 + [0.0] * 5, [1.0] * 8 + [0.0] * 2)
    assert binary == pytest.approx(0.3 / np.sqrt((0.25 + 0.16) / 2.0))
    assert np.isnan(standardized_difference([1.0, 1.0], [1.0, 1.0]))


def test_groups_without_spread_or_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than two"):
        compare_means([1.0], [2.0, 3.0])
    with pytest.raises(ValueError, match="standard error is zero"):
        compare_means([1.0, 1.0], [2.0, 2.0])
    with pytest.raises(ValueError, match="the same"):
        analyse_variance([[1.0, 1.0], [2.0, 3.0], [4.0, 1.0]])
