# SPDX-License-Identifier: Apache-2.0
"""Correlations against scipy and the inverse of the correlation matrix; their differences against worked numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.correlation import compare_correlations, partial_correlation, pearson


def _sample(count: int, r: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    return x, r * x + np.sqrt(1.0 - r**2) * rng.normal(size=count)


def test_pearson_is_that_of_scipy() -> None:
    """Correlation, p value and Fisher's interval, also at another level."""
    x, y = _sample(23, 0.4, 1)
    theirs = stats.pearsonr(x, y)
    for level in (0.95, 0.9):
        ours = pearson(x, y, level=level)
        assert (ours.r, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue))
        assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(level)))
    assert (ours.df, ours.n_obs, ours.n_given) == (21, 23, 0)


def test_partial_correlation_is_that_of_the_inverse_matrix() -> None:
    """With two others held constant, of values and of ranks; the interval has two degrees of freedom less."""
    rng = np.random.default_rng(2)
    mixed = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4))
    for kind, values in (("pearson", mixed), ("spearman", stats.rankdata(mixed, axis=0))):
        inverse = np.linalg.inv(np.corrcoef(values.T))
        expected = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
        found = partial_correlation(
            mixed[:, 0],
            mixed[:, 1],
            {"a": mixed[:, 2], "b": mixed[:, 3]},
            kind=kind,  # type: ignore[arg-type]
        )
        assert found.r == pytest.approx(expected)
        assert found.df == 36
        assert found.p == pytest.approx(2 * stats.t.sf(abs(expected) * np.sqrt(36 / (1 - expected**2)), 36))
        spread = (1 + expected**2 / 2) / 35 if kind == "spearman" else 1 / 35
        assert np.arctanh(found.high) - np.arctanh(found.r) == pytest.approx(1.959964 * np.sqrt(spread), rel=1e-5)


def test_partial_correlation_takes_away_a_common_cause() -> None:
    """Two variables that only share an age effect correlate, and no more once age is held constant."""
    rng = np.random.default_rng(3)
    age = rng.normal(size=500)
    x, y = age + 0.5 * rng.normal(size=500), age + 0.5 * rng.normal(size=500)
    assert pearson(x, y).r > 0.7
    assert abs(partial_correlation(x, y, {"age": age}).r) < 0.1


def test_full_correlation_has_no_interval() -> None:
    """Points on a line: p is zero and the interval is not known."""
    found = pearson([1.0, 2.0, 3.0, 5.0], [2.0, 4.0, 6.0, 10.0])
    assert (found.r, found.p) == (1.0, 0.0)
    assert np.isnan(found.low)


@pytest.mark.parametrize(
    ("first", "second", "given", "message"),
    [
        ([1.0, 2.0, np.nan, 4.0], [1.0, 3.0, 2.0, 4.0], {}, "missing"),
        ([2.0, 2.0, 2.0, 2.0], [1.0, 3.0, 2.0, 4.0], {}, "does not vary"),
        ([1.0, 2.0], [2.0, 1.0], {}, "too few"),
        ([1.0, 2.0, 3.0, 4.0, 6.0], [1.0, 3.0, 2.0, 4.0, 1.0], {"a": [2.0, 4.0, 6.0, 8.0, 12.0]}, "follows"),
    ],
)
def test_what_cannot_be_correlated_is_refused(first: list, second: list, given: dict, message: str) -> None:
    """The message says why."""
    with pytest.raises(ValueError, match=message):
        partial_correlation(first, second, given)


def test_difference_is_fisher_z_and_zou() -> None:
    """Worked by hand from the two correlations: z, p, and the interval that joins theirs."""
    one, other = _sample(80, 0.5, 4), _sample(40, 0.2, 5)
    flags = np.repeat([False, True], [80, 40])
    found = compare_correlations(np.append(one[0], other[0]), np.append(one[1], other[1]), flags)
    r1, r2 = np.corrcoef(*one)[0, 1], np.corrcoef(*other)[0, 1]
    z = (np.arctanh(r2) - np.arctanh(r1)) / np.sqrt(1 / 77 + 1 / 37)
    assert (found.first.r, found.second.r, found.z) == pytest.approx((r1, r2, z))
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(z)))
    (l1, u1), (l2, u2) = (stats.pearsonr(*pair).confidence_interval() for pair in (one, other))
    assert found.low == pytest.approx(r2 - r1 - np.sqrt((r2 - l2) ** 2 + (u1 - r1) ** 2))
    assert found.high == pytest.approx(r2 - r1 + np.sqrt((u2 - r2) ** 2 + (r1 - l1) ** 2))
    assert np.isnan(found.p_permutation)


def test_the_published_example_of_power() -> None:
    """r 0.5 against 0.2: p is 0.083 with 80 and 40 persons, and 0.014 with 150 and 80."""
    for sizes, expected in (((80, 40), 0.083), ((150, 80), 0.014)):
        x, y = zip(*(_exact(size, r) for size, r in zip(sizes, (0.5, 0.2), strict=True)), strict=True)
        found = compare_correlations(np.concatenate(x), np.concatenate(y), np.repeat([0.0, 1.0], sizes))
        assert found.p == pytest.approx(expected, abs=0.0006)


def _exact(count: int, r: float) -> tuple[np.ndarray, np.ndarray]:
    """Two variables whose correlation is exactly r."""
    x, noise = np.random.default_rng(count).normal(size=(2, count))
    x = stats.zscore(x)
    noise = stats.zscore(noise - noise.mean() - (noise @ x) / count * x)
    return x, r * x + np.sqrt(1 - r**2) * noise


def test_permutation_agrees_with_fisher_and_can_be_repeated() -> None:
    """Of normal data the two p values are near each other; the seed decides; spread and mean of a group do not."""
    one, other = _sample(60, 0.6, 6), _sample(60, 0.25, 7)
    flags = np.repeat([0.0, 1.0], 60)
    x, y = np.append(one[0], other[0]), np.append(one[1], other[1])
    found = compare_correlations(x, y, flags, permutations=4000, seed=3)
    assert found.p_permutation == pytest.approx(found.p, abs=0.06)
    assert compare_correlations(x, y, flags, permutations=4000, seed=3) == found
    moved = compare_correlations(np.append(one[0], 5 + 3 * other[0]), y, flags, permutations=4000, seed=3)
    assert moved.p_permutation == pytest.approx(found.p_permutation, abs=0.002)


def test_permutation_finds_what_is_there_and_counts_the_data_as_one() -> None:
    """A planted difference gives the smallest p value there can be."""
    one, other = _sample(100, 0.9, 8), _sample(100, -0.5, 9)
    found = compare_correlations(
        np.append(one[0], other[0]), np.append(one[1], other[1]), np.repeat([0.0, 1.0], 100), permutations=199
    )
    assert found.p_permutation == pytest.approx(1 / 200)


def test_covariates_are_held_constant_in_both_groups() -> None:
    """A variable behind both makes correlations alike that differ without it."""
    rng = np.random.default_rng(10)
    cause = np.append(3.0 * rng.normal(size=200), 0.2 * rng.normal(size=200))
    x, y = cause + rng.normal(size=400), cause + rng.normal(size=400)
    flags = np.repeat([0.0, 1.0], 200)
    assert compare_correlations(x, y, flags).p < 1e-6
    held = compare_correlations(x, y, flags, {"cause": cause})
    assert held.p > 0.05
    assert held.first.n_given == 1


def test_small_groups_and_bad_labels_are_refused() -> None:
    """Three persons have no standard error; a group is 0 or 1."""
    x, y = _sample(10, 0.1, 11)
    with pytest.raises(ValueError, match="too few"):
        compare_correlations(x, y, np.repeat([0.0, 1.0], [7, 3]))
    with pytest.raises(ValueError, match="true and false"):
        compare_correlations(x, y, np.arange(10.0))
