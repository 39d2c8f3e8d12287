# SPDX-License-Identifier: Apache-2.0
"""Areas under ROC curves against counting by hand, scipy's rank test and the variance of DeLong written out."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import integrate, stats

from bids_msvol.stats.roc import compare_aucs, measure_auc, permute_auc, roc_curve

NEGATIVE, POSITIVE = [1.0, 2.0, 3.0, 4.0], [2.0, 3.5, 5.0]
SCORES, FLAGS = [*NEGATIVE, *POSITIVE], [0, 0, 0, 0, 1, 1, 1]


def _kernel(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Pair by pair: 1 if the positive one is higher, one half for ties."""
    return (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)


def test_area_and_variance_worked_by_hand() -> None:
    """Pairs won: 1.5, 3 and 4 of 4 by the positive persons; 3, 2.5, 2 and 1 of 3 against the negative ones."""
    found = measure_auc(SCORES, FLAGS)
    assert found.auc == pytest.approx(8.5 / 12)
    variance = np.var([1.5 / 4, 3 / 4, 1], ddof=1) / 3 + np.var([1, 2.5 / 3, 2 / 3, 1 / 3], ddof=1) / 4
    assert found.se == pytest.approx(np.sqrt(variance))
    assert found.low == pytest.approx(8.5 / 12 - 1.959964 * np.sqrt(variance), rel=1e-6)
    assert found.high == 1.0
    assert found.p == pytest.approx(2 * stats.norm.sf((8.5 / 12 - 0.5) / np.sqrt(variance)))
    assert (found.n_positive, found.n_negative) == (3, 4)


def test_area_is_that_of_the_rank_test() -> None:
    """U over the number of pairs, with ties and without; reversed scores give the rest to one."""
    rng = np.random.default_rng(1)
    flags = rng.random(60) < 0.4
    for scores in (rng.normal(size=60) + flags, np.round(rng.normal(size=60) + flags)):
        u = stats.mannwhitneyu(scores[flags], scores[~flags]).statistic
        found = measure_auc(scores, flags)
        assert found.auc == pytest.approx(u / (flags.sum() * (~flags).sum()))
        assert measure_auc(-scores, flags).auc == pytest.approx(1 - found.auc)
        assert measure_auc(-scores, flags).se == pytest.approx(found.se)


def test_paired_test_is_delong_written_out() -> None:
    """Covariances of the placements of the two measures, from all pairs, with ties."""
    rng = np.random.default_rng(2)
    flags = rng.random(50) < 0.5
    first = np.round(2 * (rng.normal(size=50) + 0.8 * flags))
    second = first + np.round(2 * rng.normal(size=50))
    found = compare_aucs(first, second, flags)
    kernels = [_kernel(score[flags], score[~flags]) for score in (first, second)]
    areas = [kernel.mean() for kernel in kernels]
    by_positive = np.cov([kernel.mean(axis=1) for kernel in kernels]) / flags.sum()
    by_negative = np.cov([kernel.mean(axis=0) for kernel in kernels]) / (~flags).sum()
    covariance = by_positive + by_negative
    se = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert (found.first.auc, found.second.auc) == pytest.approx(areas)
    assert (found.difference, found.se) == pytest.approx((areas[1] - areas[0], se))
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(areas[1] - areas[0]) / se))
    assert (found.low + found.high) / 2 == pytest.approx(found.difference)


def test_same_order_cannot_be_compared() -> None:
    """Two measures that order people alike: no difference, and no standard error of it."""
    found = compare_aucs(SCORES, np.exp(SCORES), FLAGS)
    assert found.difference == 0.0
    assert np.isnan(found.se)
    assert np.isnan(found.p)


def test_full_separation_has_no_interval_but_a_permutation_p() -> None:
    """All positive persons are higher: the area is 1 and DeLong says nothing of its error."""
    found = measure_auc([1, 2, 3, 7, 8, 9], [0, 0, 0, 1, 1, 1])
    assert found.auc == 1.0
    assert np.isnan([found.se, found.low, found.high, found.p]).all()
    assert permute_auc([1, 2, 3, 7, 8, 9], [0, 0, 0, 1, 1, 1], permutations=5000) == pytest.approx(0.1, abs=0.015)


def test_permutation_p_is_that_of_all_divisions() -> None:
    """Counted over all 35 ways to choose three of seven."""
    ranks = stats.rankdata(SCORES) - 4
    sums = np.array([abs(ranks[list(chosen)].sum()) for chosen in combinations(range(7), 3)])
    exact = np.mean(sums >= abs(ranks[4:].sum()) - 1e-9)
    assert permute_auc(SCORES, FLAGS, permutations=20_000, seed=1) == pytest.approx(exact, abs=0.012)
    assert permute_auc(SCORES, FLAGS, permutations=99, seed=5) == permute_auc(SCORES, FLAGS, permutations=99, seed=5)


def test_curve_by_hand_and_its_area() -> None:
    """From the highest threshold down; ties are crossed together; the area below is the AUC."""
    curve = roc_curve(SCORES, FLAGS)
    assert curve.true_positive == pytest.approx(np.array([0, 1, 1, 2, 2, 3, 3]) / 3)
    assert curve.false_positive == pytest.approx(np.array([0, 0, 1, 1, 2, 3, 4]) / 4)
    assert integrate.trapezoid(curve.true_positive, curve.false_positive) == pytest.approx(
        measure_auc(SCORES, FLAGS).auc
    )


@pytest.mark.parametrize(
    ("scores", "flags", "message"),
    [
        ([1.0, 2.0, 3.0, 4.0], [0, 0, 0, 1], "two or more"),
        ([1.0, np.nan, 3.0, 4.0], [0, 0, 1, 1], "missing"),
        ([1.0, 2.0, 3.0, 4.0], [0, 1, 2, 1], "true and false"),
    ],
)
def test_what_cannot_be_measured_is_refused(scores: list, flags: list, message: str) -> None:
    """The message says why."""
    for test in (measure_auc, roc_curve):
        with pytest.raises(ValueError, match=message):
            test(scores, flags)
    with pytest.raises(ValueError, match="at least one permutation"):
        permute_auc(SCORES, FLAGS, permutations=0)
