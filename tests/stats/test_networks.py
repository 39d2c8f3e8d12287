# SPDX-License-Identifier: Apache-2.0
"""Networks of correlations: textbook formulas, all permutations counted, planted differences, and none."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bids_msvol.stats.multiplicity import benjamini_hochberg
from bids_msvol.stats.networks import (
    compare_all,
    compare_pair,
    correlate,
    correlation_p,
    edge_nodes,
    find_edges,
    fisher_difference,
    residualise,
    two_sided_p,
    upper_p,
)


def draw(count: int, nodes: int, r: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Persons whose nodes all correlate alike."""
    common = rng.normal(size=(count, 1))
    return np.asarray(np.sqrt(r) * common + np.sqrt(1.0 - r) * rng.normal(size=(count, nodes)))


def test_correlations_are_those_of_numpy() -> None:
    values = draw(20, 5, 0.4, np.random.default_rng(0))
    assert correlate(values) == pytest.approx(np.corrcoef(values.T)[edge_nodes(5)])


def test_partial_correlation_is_that_of_the_inverse() -> None:
    """Residuals correlate as the inverse of the covariance of all variables says, with its degrees of freedom."""
    rng = np.random.default_rng(1)
    age = rng.normal(size=30)
    values = draw(30, 2, 0.5, rng) + age[:, None]
    left = residualise(values, {"intercept": np.ones(30), "age": age})
    inverse = np.linalg.inv(np.cov(np.column_stack([values, age]).T))
    partial = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    assert correlate(left)[0] == pytest.approx(partial)
    assert correlation_p(np.array([0.4]), 28)[0] == pytest.approx(2 * stats.t.sf(0.4 * np.sqrt(28 / 0.84), 28))


def test_edges_found_are_those_of_benjamini_and_hochberg() -> None:
    """The limits of |r| say the same as q values, whether few, many or no edges are found."""
    rng = np.random.default_rng(2)
    networks = np.array([correlate(draw(30, 8, r, rng)) for r in (0.0, 0.1, 0.2, 0.3, 0.4, 0.6) for _ in range(5)])
    expected = np.array([benjamini_hochberg(correlation_p(r, 25)) <= 0.05 for r in networks])
    assert (find_edges(networks, 25) == expected).all()
    assert 0 < expected.sum() < expected.size
    assert not expected.any(axis=1).all()


def test_fisher_difference_by_hand() -> None:
    """Correlations of .5 in 80 and .2 in 40 persons differ with p = .083, of .5 in 150 and .2 in 80 with .014."""
    r_first, r_second = np.array([0.5]), np.array([0.2])
    dz, low, high, p = fisher_difference(r_first, r_second, 80, 40, 0, 0.95)
    assert dz[0] == pytest.approx(np.arctanh(0.2) - np.arctanh(0.5))
    assert p[0] == pytest.approx(0.083, abs=5e-4)
    assert high[0] - low[0] == pytest.approx(2 * 1.959964 * np.sqrt(1 / 77 + 1 / 37))
    assert fisher_difference(r_first, r_second, 150, 80, 0, 0.95)[3][0] == pytest.approx(0.014, abs=5e-4)


def test_permutation_p_is_that_of_all_splits() -> None:
    """With ten persons all 252 splits can be counted: the share with as large a difference is the p value."""
    rng = np.random.default_rng(4)
    first, second = draw(5, 3, 0.1, rng), draw(5, 3, 0.9, rng)
    found = compare_pair(first, second, 0, [0.5], permutations=4000, rng=rng)
    together = np.concatenate([first / first.std(axis=0), second / second.std(axis=0)])
    everything = []
    for chosen in combinations(range(10), 5):
        rest = [one for one in range(10) if one not in chosen]
        everything.append(np.arctanh(correlate(together[list(chosen)])) - np.arctanh(correlate(together[rest])))
    differences = np.abs(np.array(everything))
    limits = np.abs(found.dz) - 1e-9
    exact = (differences.max(axis=1)[:, None] >= limits).mean(axis=0)
    assert found.edge_p == pytest.approx(exact, abs=0.025)
    total = (differences.sum(axis=1) >= np.abs(found.dz).sum() - 1e-9).mean()
    assert upper_p(found.observed.sum_dz, found.null.sum_dz)[0] == pytest.approx(total, abs=0.025)


def test_a_planted_difference_is_found_and_no_other() -> None:
    rng = np.random.default_rng(5)
    first, second = draw(60, 8, 0.3, rng), draw(60, 8, 0.3, rng)
    second[:, 1] = second[:, 0] + 0.2 * second[:, 1]
    found = compare_pair(first, second, 0, [0.2], permutations=500, rng=rng)
    assert found.edge_p[0] <= 0.01
    rest = np.ones(28, dtype=bool)
    rest[np.isin(edge_nodes(8)[0], (0, 1)) | np.isin(edge_nodes(8)[1], (0, 1))] = False
    assert found.edge_p[rest].min() > 0.05
    assert found.dz[0] == pytest.approx(np.arctanh(found.r_second[0]) - np.arctanh(found.r_first[0]))


def test_the_same_persons_do_not_differ() -> None:
    """A group against itself: no difference in anything, and no p value below one."""
    rng = np.random.default_rng(6)
    first = draw(30, 6, 0.4, rng)
    found = compare_pair(first, first, 3, [0.2, 0.4], permutations=200, rng=rng)
    assert found.observed.additional[0] == found.observed.missing[0] == found.observed.asymmetry[0] == 0
    assert (found.observed.differing == 0).all()
    assert found.edge_p.min() == 1.0
    assert found.node_p.min() == 1.0


def test_counts_are_of_edges_found_in_one_group_only() -> None:
    rng = np.random.default_rng(7)
    first, second = draw(40, 6, 0.2, rng), draw(40, 6, 0.5, rng)
    found = compare_pair(first, second, 2, [0.2], permutations=50, rng=rng)
    one, other = find_edges(found.r_first, 36), find_edges(found.r_second, 36)
    assert found.observed.additional[0] == (other & ~one).sum() > 0
    assert found.observed.missing[0] == (one & ~other).sum()
    assert found.observed.shared[0] == (one & other).sum()
    strongest = [set(np.argsort(-np.abs(r))[:3]) for r in (found.r_first, found.r_second)]
    assert found.observed.differing[0, 0] == 3 - len(strongest[0] & strongest[1])
    matrix = np.zeros((2, 6, 6))
    for number, r in enumerate((found.r_first, found.r_second)):
        matrix[number][edge_nodes(6)] = np.abs(r)
    strength = (matrix + matrix.transpose(0, 2, 1)).sum(axis=2)
    assert found.observed.strength[0] == pytest.approx(strength[1] - strength[0])


def test_larger_groups_are_expected_to_have_more_edges() -> None:
    """Without any difference the larger group finds more edges: the null mean of the asymmetry is not zero."""
    rng = np.random.default_rng(8)
    found = compare_pair(draw(25, 8, 0.35, rng), draw(70, 8, 0.35, rng), 0, [0.2], permutations=500, rng=rng)
    assert found.null.asymmetry.mean() > 3.0


def test_spread_of_a_group_makes_no_difference() -> None:
    """Correlations do not depend on the unit: neither must their test."""
    values = [draw(30, 5, 0.3, np.random.default_rng(seed)) for seed in (9, 10)]
    plain, scaled = (
        compare_pair(values[0], values[1] * unit, 0, [0.3], permutations=200, rng=np.random.default_rng(0))
        for unit in (1.0, np.array([10.0, 0.1, 3.0, 1.0, 50.0]))
    )
    assert scaled.edge_p == pytest.approx(plain.edge_p)
    assert scaled.null.sum_dz == pytest.approx(plain.null.sum_dz)


def test_level_is_kept_where_nothing_differs() -> None:
    """150 pairs of groups from one population: about one in twenty below .05, also when one group varies more."""
    rng = np.random.default_rng(11)
    p = []
    for _ in range(150):
        found = compare_pair(draw(24, 6, 0.4, rng), 2.0 * draw(18, 6, 0.4, rng), 0, [0.3], permutations=99, rng=rng)
        p.append([found.edge_p.min(), two_sided_p(float(found.observed.asymmetry[0]), found.null.asymmetry)])
    shares = (np.array(p) <= 0.05).mean(axis=0)
    assert (shares < 0.11).all()
    assert shares[0] > 0.01


def test_all_groups_are_compared_together() -> None:
    """The spread of one edge is the chi-squared statistic of k correlations; a planted group is found."""
    rng = np.random.default_rng(12)
    groups = [draw(count, 5, 0.3, rng) for count in (30, 40, 35)]
    null = compare_all(groups, 1, permutations=300, rng=rng)
    z = np.arctanh([correlate(group) for group in groups])
    weights = np.array([26.0, 36.0, 31.0])
    expected = weights @ z**2 - (weights @ z) ** 2 / weights.sum()
    assert null.spread == pytest.approx(expected)
    assert null.null_sum.mean() == pytest.approx(10 * 2, rel=0.2)
    groups[1][:, 1] = groups[1][:, 0] + 0.1 * groups[1][:, 1]
    assert compare_all(groups, 1, permutations=300, rng=rng).p_largest < 0.01
    assert null.p_largest > 0.01


def test_p_values_count_the_data_and_ties() -> None:
    null = np.array([1.0, 2.0, 2.0, 3.0])
    assert upper_p(np.array([2.0, 3.5, 0.0]), null) == pytest.approx([4 / 5, 1 / 5, 1.0])
    # The mean of these five is 3: the data are 4 away, nothing else is.
    assert two_sided_p(7.0, null) == pytest.approx(1 / 5)
    assert two_sided_p(2.0, null) == pytest.approx(5 / 5)


def test_what_cannot_be_compared_is_refused() -> None:
    rng = np.random.default_rng(13)
    good = draw(20, 3, 0.3, rng)
    flat = good.copy()
    flat[:, 1] = 1.0
    for second, message in ((flat, "does not vary"), (good[:6], "6 persons are too few for 3 covariates")):
        with pytest.raises(ValueError, match=message):
            compare_pair(good, second, 3, [0.2], permutations=10, rng=rng)
    with pytest.raises(ValueError, match="two nodes"):
        compare_pair(good[:, :1], good[:, :1], 3, [0.2], permutations=10, rng=rng)
    with pytest.raises(ValueError, match="6 persons are too few"):
        fisher_difference(np.array([0.1]), np.array([0.1]), 6, 20, 3, 0.95)
