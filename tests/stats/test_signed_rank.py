# SPDX-License-Identifier: Apache-2.0
"""The signed rank test: against scipy, full enumeration of signs, and all Walsh averages."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.signed_rank import signed_rank

PLAIN = np.array([0.3, -1.2, 2.4, 0.9, 3.1, -0.5, 1.7, 2.05])
TIED = np.array([0.5, -0.5, 1.0, 1.0, 0.0, 0.5, 1.5, 0.0, -1.0, 2.0])


def test_without_ties_it_is_the_exact_test_of_scipy() -> None:
    found, expected = signed_rank(PLAIN), stats.wilcoxon(PLAIN, method="exact")
    assert found.method == "exact"
    assert found.p == pytest.approx(expected.pvalue)
    assert min(found.w, 36 - found.w) == expected.statistic


def test_with_ties_all_signs_are_counted() -> None:
    """The share of all 256 signs of the eight changes whose rank sum is as far from the middle."""
    changed = TIED[TIED != 0.0]
    ranks = stats.rankdata(np.abs(changed))
    sums = np.array([np.dot(signs, ranks) for signs in product([0, 1], repeat=len(ranks))])
    w, middle = ranks[changed > 0].sum(), ranks.sum() / 2
    found = signed_rank(TIED)
    assert found.p == pytest.approx(np.mean(np.abs(sums - middle) >= abs(w - middle) - 1e-9))
    assert (found.n, found.n_changed) == (10, 8)
    assert found.rank_biserial == pytest.approx(2 * w / ranks.sum() - 1)


def test_shift_and_interval_are_order_statistics_of_the_walsh_averages() -> None:
    """With eight values the exact 95 % interval leaves out the three lowest and highest of 36."""
    averages = np.sort([(PLAIN[i] + PLAIN[j]) / 2 for i in range(8) for j in range(i, 8)])
    found = signed_rank(PLAIN)
    assert found.shift == pytest.approx(np.median(averages))
    assert (found.low, found.high) == pytest.approx((averages[3], averages[-4]))
    # wilcox.test(x, conf.int = TRUE) of R 4.2.2
    assert (found.p, found.shift, found.low, found.high) == pytest.approx((0.109375, 1.0875, -0.45, 2.4))


def test_large_samples_agree_with_scipy() -> None:
    rng = np.random.default_rng(1)
    values = np.round(2 * rng.normal(0.1, 1.0, 600)) / 2
    found = signed_rank(values)
    expected = stats.wilcoxon(values[values != 0], correction=True, method="asymptotic")
    assert found.method == "asymptotic"
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)


def test_too_few_have_no_bounded_interval_and_nobody_changed_is_refused() -> None:
    found = signed_rank([1.0, 2.0, 3.0])
    assert (found.p, found.low, found.high) == (0.25, -np.inf, np.inf)
    with pytest.raises(ValueError, match="nobody changed"):
        signed_rank([0.0, 0.0])
