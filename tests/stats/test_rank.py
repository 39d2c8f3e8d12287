# SPDX-License-Identifier: Apache-2.0
"""Rank tests against R 4.2.2's ``wilcox.test`` and full enumeration; persons with several rows are permuted whole."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.rank import mann_whitney, permute_persons

FIRST = [1.1, 2.3, 3.05, 4.9, 7.2, 8.8, 9.7]
SECOND = [2.9, 5.5, 6.1, 8.3, 10.4, 12.9, 13.1, 15.6, 11.15]
TIED_FIRST = [2, 3, 3, 4, 6, 8, 8, 10, 11, 12]
TIED_SECOND = [1, 2, 2, 3, 5, 5, 8, 9]


def test_exact_test_and_shift_are_those_of_r() -> None:
    """``wilcox.test(second, first, conf.int = TRUE)`` without ties: exact p, shift and interval."""
    found = mann_whitney(FIRST, SECOND)
    assert (found.method, found.continuity, found.ties) == ("exact", False, False)
    assert (found.n_first, found.n_second, found.u) == (7, 9, 50.0)
    assert found.p == pytest.approx(0.0548951049)
    assert (found.shift, found.low, found.high) == pytest.approx((4.1, -0.15, 8.85))
    assert found.rank_biserial == pytest.approx(2 * 50 / 63 - 1)


def test_tied_values_are_those_of_r() -> None:
    """``wilcox.test(..., exact = FALSE)`` with ties: normal approximation with continuity correction."""
    found = mann_whitney(TIED_FIRST, TIED_SECOND)
    assert (found.method, found.continuity, found.ties) == ("asymptotic", True, True)
    assert (found.u, found.p) == pytest.approx((24.0, 0.1655810359))
    # R looks for the limits by moving the values: -6.00006 and 1.00005.
    assert (found.shift, found.low, found.high) == pytest.approx((-2.0, -6.0, 1.0))


def test_continuity_can_be_left_out_and_is_recorded() -> None:
    """Without it the p value is that of the normal distribution as it is, and smaller."""
    plain = mann_whitney(FIRST, SECOND, method="asymptotic", continuity=False)
    z = (50 - 31.5) / np.sqrt(63 * 17 / 12)
    assert plain.p == pytest.approx(2 * stats.norm.sf(z))
    assert (plain.method, plain.continuity) == ("asymptotic", False)
    assert plain.p < mann_whitney(FIRST, SECOND, method="asymptotic").p


def test_the_method_follows_size_and_ties() -> None:
    """Exact up to 49 in a group, then the approximation; the two agree closely at that size."""
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=49), rng.normal(0.3, size=50)
    below, above = mann_whitney(one, other[:49]), mann_whitney(one, other)
    assert (below.method, above.method) == ("exact", "asymptotic")
    forced = mann_whitney(one, other[:49], method="asymptotic")
    assert forced.p == pytest.approx(below.p, rel=0.02)
    assert (forced.low, forced.high) == pytest.approx((below.low, below.high), abs=0.02)


@pytest.mark.parametrize("method", ["exact", "asymptotic"])
def test_the_interval_holds_its_level(method: str) -> None:
    """Of 1000 pairs of small groups, the interval misses the true shift in no more than about one of twenty."""
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(1000):
        found = mann_whitney(rng.normal(size=8), 2.0 + rng.normal(size=6), method=method)  # type: ignore[arg-type]
        missed += not found.low <= 2.0 <= found.high
    assert 25 <= missed <= 65


def test_groups_too_small_for_an_interval() -> None:
    """Three against three cannot reach 0.05: the interval is infinite, at 80 % it is not."""
    found = mann_whitney([1.0, 2.0, 3.0], [4.0, 5.0, 6.5])
    assert found.p == pytest.approx(0.1)
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert np.isfinite(mann_whitney([1.0, 2.0, 3.0], [4.0, 5.0, 6.5], level=0.8).low)


def test_exchanging_the_groups_turns_the_sign() -> None:
    one, other = mann_whitney(TIED_FIRST, TIED_SECOND), mann_whitney(TIED_SECOND, TIED_FIRST)
    assert (other.shift, other.low, other.high) == (-one.shift, -one.high, -one.low)
    assert other.rank_biserial == pytest.approx(-one.rank_biserial)
    assert other.p == pytest.approx(one.p)


def test_no_groups_to_compare() -> None:
    with pytest.raises(ValueError, match="a group has no observations"):
        mann_whitney([], [1.0])
    with pytest.raises(ValueError, match="all values are the same"):
        mann_whitney([1.0, 1.0], [1.0])
    with pytest.raises(ValueError, match="with ties there is no exact distribution"):
        mann_whitney(TIED_FIRST, TIED_SECOND, method="exact")
    with pytest.raises(ValueError, match="'second' has 1 values that are missing"):
        mann_whitney([1.0], [np.nan])


def test_permutation_of_persons_by_enumeration() -> None:
    """Five persons with two rows and one with three: all 120 exchanges counted by hand give the p value."""
    persons = np.repeat([0, 1, 2, 3, 4, 5], [2, 2, 2, 2, 2, 3])
    values = np.array([1.0, 2.0, 5.0, 9.0, 3.0, 8.0, 12.0, 7.0, 4.0, 6.0, 11.0, 10.0, 13.0])
    marked = np.array([0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 1], dtype=bool)
    ranks, marks = stats.rankdata(values)[:10].reshape(5, 2), marked[:10].reshape(5, 2)
    sums = np.array([np.sum(ranks * marks[list(order)]) for order in permutations(range(5))])
    share = np.mean(np.abs(sums - sums.mean()) >= abs(sums[0] - sums.mean()) - 1e-9)
    found = permute_persons(values, marked, persons, permutations=20_000, seed=3)
    assert found.p == pytest.approx(share, abs=0.01)
    assert (found.n_rows, found.n_marked, found.n_persons, found.n_exchanged) == (13, 6, 6, 5)
    assert (found.permutations, found.seed) == (20_000, 3)
    known = mann_whitney(values[~marked], values[marked])
    assert found.rank_biserial == pytest.approx(known.rank_biserial)


def test_permutation_does_not_take_rows_for_persons() -> None:
    """Twelve persons whose rows are all but equal: the rank test of the rows is misled, the permutation is not."""
    rng = np.random.default_rng(7)
    persons = np.repeat(np.arange(12), 5)
    misled, held = 0, 0
    for seed in range(60):
        values = rng.normal(size=12)[persons] + 0.1 * rng.normal(size=60)
        marked = rng.permutation(12)[persons] < 5
        misled += mann_whitney(values[~marked], values[marked]).p < 0.05
        held += permute_persons(values, marked, persons, permutations=199, seed=seed).p < 0.05
    assert misled > 15
    assert held <= 8


def test_permutation_finds_what_is_there() -> None:
    """Marked years in which the values are higher, with persons that differ: found, the same for the same seed."""
    rng = np.random.default_rng(2)
    persons = np.repeat(np.arange(40), 3)
    marked = rng.random(120) < 0.4
    values = rng.normal(size=40)[persons] + 1.2 * marked + 0.5 * rng.normal(size=120)
    found = permute_persons(values, marked, persons, seed=5)
    assert found.p < 0.001
    assert found.rank_biserial > 0.3
    assert found == permute_persons(values, marked, persons, seed=5)
    assert found.p >= 1 / 10_001


def test_permutation_within_strata_by_enumeration() -> None:
    """Three persons in each of two strata: the 36 exchanges within strata, counted by hand, give the p value."""
    persons = np.repeat(np.arange(6), 2)
    strata = np.repeat(["treated", "untreated"], 6)
    values = np.array([1.0, 2.0, 5.0, 3.5, 4.0, 0.5, 12.0, 7.0, 9.0, 8.0, 11.0, 10.0])
    marked = np.array([0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 1], dtype=bool)
    ranks, marks = stats.rankdata(values).reshape(6, 2), marked.reshape(6, 2)
    orders = [(*one, *(3 + np.array(two))) for one in permutations(range(3)) for two in permutations(range(3))]
    sums = np.array([np.sum(ranks * marks[list(order)]) for order in orders])
    share = np.mean(np.abs(sums - sums.mean()) >= abs(sums[0] - sums.mean()) - 1e-9)
    found = permute_persons(values, marked, persons, strata=strata, permutations=20_000)
    assert found.p == pytest.approx(share, abs=0.01)
    assert found.n_exchanged == 6
    assert abs(found.p - permute_persons(values, marked, persons, permutations=20_000).p) > 0.05


def test_one_stratum_is_as_none() -> None:
    rng = np.random.default_rng(11)
    values, marked, persons = rng.normal(size=40), rng.random(40) < 0.5, np.repeat(np.arange(20), 2)
    plain = permute_persons(values, marked, persons, permutations=300)
    assert permute_persons(values, marked, persons, strata=["x"] * 40, permutations=300) == plain


def test_groups_that_differ_in_marks_and_values_do_not_mislead_within_strata() -> None:
    """Active groups that lose more for another reason: the test within groups holds its level, that across does not."""
    rng = np.random.default_rng(4)
    persons, strata = np.repeat(np.arange(40), 3), np.repeat([0, 1], 60)
    misled = held = 0
    for seed in range(60):
        values = rng.normal(size=40)[persons] - 1.5 * strata + rng.normal(size=120)
        marked = rng.random(120) < np.where(strata, 0.5, 0.15)
        misled += permute_persons(values, marked, persons, permutations=199, seed=seed).p < 0.05
        held += permute_persons(values, marked, persons, strata=strata, permutations=199, seed=seed).p < 0.05
    assert misled > 15
    assert held <= 8


def test_order_of_persons_does_not_matter_within_ties_of_size() -> None:
    """Rows of persons may be mixed up, as long as each person's keep their order."""
    persons = np.array([0, 1, 0, 2, 1, 2, 3, 3])
    sorted_rows = np.argsort(persons, kind="stable")
    values, marked = np.arange(8.0), np.array([1, 0, 0, 0, 1, 1, 0, 0])
    mixed = permute_persons(values, marked, persons, permutations=500)
    ordered = permute_persons(values[sorted_rows], marked[sorted_rows], persons[sorted_rows], permutations=500)
    assert mixed == ordered


def test_nothing_to_permute() -> None:
    with pytest.raises(ValueError, match="there is nothing to permute"):
        permute_persons([1.0, 2.0, 3.0], [True, False, False], [0, 0, 1])
    with pytest.raises(ValueError, match="within a stratum: there is nothing to permute"):
        permute_persons([1.0, 2.0, 3.0], [True, False, False], [0, 1, 2], strata=["a", "b", "b"])
    with pytest.raises(ValueError, match="a person has rows in two strata"):
        permute_persons([1.0, 2.0, 3.0], [True, False, False], [0, 0, 1], strata=["a", "b", "b"])
    with pytest.raises(ValueError, match="all rows are marked, or none is"):
        permute_persons([1.0, 2.0], [True, True], [0, 1])
    with pytest.raises(ValueError, match="something other than true and false"):
        permute_persons([1.0, 2.0], [0, 2], [0, 1])
    with pytest.raises(ValueError, match="at least one permutation"):
        permute_persons([1.0, 2.0], [0, 1], [0, 1], permutations=0)
