# SPDX-License-Identifier: Apache-2.0
"""Theil-Sen slopes by hand; rank correlation against R 4.2.2 and all permutations."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.regression import simple_regression
from bids_msvol.stats.robust import spearman, theil_sen


def test_theil_sen_by_hand() -> None:
    """Slopes of the six pairs are -.5, .5, 1.5, 3, 3.75, 8; the median is 2.25, and the line passes the medians."""
    found = theil_sen([1.0, 2.5, 2.0, 10.0], [1.0, 2.0, 3.0, 4.0])
    assert found.slope == pytest.approx(2.25)
    assert found.intercept == pytest.approx(2.25 - 2.25 * 2.5)


def test_theil_sen_bounds_are_pairwise_slopes() -> None:
    """Nine points without ties: by Sen's formula 8 or 9 of the 36 slopes lie outside on either side."""
    x = np.arange(9.0)
    y = np.array([0.0, 1.3, 1.9, 3.6, 3.7, 5.9, 5.4, 7.7, 30.0])
    slopes = np.sort([(y[j] - y[i]) / (x[j] - x[i]) for i in range(9) for j in range(i + 1, 9)])
    found = theil_sen(y, x)
    assert slopes[7] <= found.low <= slopes[9]
    assert slopes[26] <= found.high <= slopes[28]
    # The last point is far out: it moves the least-squares slope, not this one.
    assert found.slope < 1.3 < simple_regression(y, x).coefficients["x"].value


def test_spearman_is_that_of_r() -> None:
    """``cor.test(method = "spearman", exact = FALSE)``; the interval from Fisher's z with Bonett's error."""
    x = [0, 1, 1, 2, 2, 3, 3, 4, 5, 7]
    y = [-0.01, -0.03, 0.01, -0.05, -0.02, -0.08, -0.03, -0.11, -0.20, -0.04]
    found = spearman(x, y)
    assert (found.method, found.n_obs) == ("t", 10)
    assert (found.rho, found.p) == pytest.approx((-0.754615428178, 0.0116523101114))
    half = 1.959964 * np.sqrt((1 + found.rho**2 / 2) / 7)
    assert np.arctanh([found.low, found.high]) == pytest.approx(np.arctanh(found.rho) + np.array([-half, half]))


def test_spearman_of_few_observations_is_exact() -> None:
    """Five ranks in order: 2 of 120 permutations; with ties, all permutations are tried here one by one."""
    ordered = spearman([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 4.0, 9.0, 16.0, 25.0])
    assert (ordered.rho, ordered.p, ordered.method) == (pytest.approx(1.0), pytest.approx(2 / 120), "exact")
    assert np.isnan([ordered.low, ordered.high]).all()
    x, y = np.array([0, 1, 1, 2, 2, 3, 3]), np.array([-0.01, -0.03, -0.01, -0.05, -0.02, -0.08, -0.03])
    found = spearman(x, y)
    every = np.array([np.corrcoef(stats.rankdata(x), order)[0, 1] for order in permutations(stats.rankdata(y))])
    assert found.p == pytest.approx(np.mean(np.abs(every) >= abs(found.rho) - 1e-9))
    # R's ``cor.test(exact = TRUE)`` for nine without ties.
    assert spearman(np.arange(9), [2, 1, 4, 3, 8, 5, 9, 7, 6]).p == pytest.approx(0.0213899911817)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (theil_sen, ([1.0, 2.0], [3.0, 3.0]), "'x' does not vary"),
        (theil_sen, ([1.0], [3.0]), "two observations at least"),
        (spearman, ([1.0, 2.0], [3.0, 4.0]), "2 observations are too few"),
        (spearman, ([1.0, 2.0, 3.0], [3.0, 3.0, 3.0]), "does not vary"),
        (spearman, ([1.0, 2.0, 3.0], [3.0, np.nan, 3.0]), "'second' has 1 values that are missing"),
    ],
)
def test_what_cannot_be_fitted_is_refused(function: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(*arguments)
