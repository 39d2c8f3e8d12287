# SPDX-License-Identifier: Apache-2.0
"""The mean rate of a group: weights against a mixed model, interval against scipy, type-I error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bids_msvol.group.analyses.rate_means import mean_rate, precision_weights, rate_difference, scan_error


def test_equal_weights_are_tests_of_scipy() -> None:
    """One sample t and Welch's t."""
    rng = np.random.default_rng(1)
    one, other = rng.normal(0.3, 1.0, 9), rng.normal(0.0, 2.0, 14)
    first, second = mean_rate(one, np.ones(9)), mean_rate(other, np.full(14, 3.0))
    expected = stats.ttest_1samp(one, 0.0)
    assert (first.estimate.p, first.estimate.df) == pytest.approx((expected.pvalue, 8.0))
    welch = stats.ttest_ind(one, other, equal_var=False)
    found = rate_difference(first, second)
    assert (found.p, found.df) == pytest.approx((welch.pvalue, welch.df))


def test_few_persons_are_weighted_by_their_scan_times() -> None:
    """Five persons cannot tell error from true differences: weights follow the sums of squares alone."""
    squares = np.array([0.125, 0.5, 2.0, 0.5, 8.0])
    weights = precision_weights([1.0, -1.0, 0.5, 2.0, 0.0], squares, 0.0, 0.0)
    assert weights == pytest.approx(squares / squares.mean())


def test_true_differences_make_weights_equal() -> None:
    """With hardly any error of the scans everybody counts the same; with nothing else, by the sums of squares."""
    rng = np.random.default_rng(2)
    squares = rng.choice([0.2, 0.5, 4.0], 300)
    true = precision_weights(rng.normal(-0.3, 0.5, 300), squares, 300 * 1e-4, 300.0)
    assert np.ptp(true) < 0.05
    noise = precision_weights(rng.normal(0.0, 1.0, 300) / np.sqrt(squares), squares, 300.0, 300.0)
    assert noise.max() / noise.min() > 10.0


def test_type_one_error_is_kept() -> None:
    """Five hundred null groups of twelve with unequal times: about one in twenty is below 0.05."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(500):
        squares = rng.choice([0.125, 0.5, 2.0], 12)
        rates = rng.normal(0.0, 0.3, 12) + rng.normal(0.0, 1.0, 12) / np.sqrt(squares)
        hits += mean_rate(rates, precision_weights(rates, squares, 0.0, 0.0)).estimate.p < 0.05
    assert 0.02 < hits / 500 < 0.085


def test_what_cannot_be_told_is_refused() -> None:
    """One person, all the same, or too few scans for an error."""
    with pytest.raises(ValueError, match="2 persons"):
        mean_rate([1.0], [1.0])
    with pytest.raises(ValueError, match="the same"):
        mean_rate([1.0, 1.0], [1.0, 1.0])
    assert np.isnan(scan_error([1.0, 1.0], [2.0, 2.0]))
    assert scan_error([8.0, 8.0], [2.0, 14.0]) == 1.0
