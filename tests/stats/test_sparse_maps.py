# SPDX-License-Identifier: Apache-2.0
"""Maps of marked places: their frequency, and where groups differ."""

from __future__ import annotations

import numpy as np
import pytest

from bids_msvol.stats.sparse_maps import compare_frequency, frequency, stack_maps


def test_frequency_counts_persons() -> None:
    """Each place's share of persons, also with somebody who has nothing marked."""
    maps = stack_maps([np.array([0, 2]), np.array([2]), np.array([], dtype=np.int64)], 4)
    assert frequency(maps) == pytest.approx([1 / 3, 0.0, 2 / 3, 0.0])


def random_maps(rng: np.random.Generator, shares: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(rng.random(len(row)) < row) for row in shares]


def test_a_planted_difference_is_found() -> None:
    """One place of 300 that is marked in 70 % of one group and 10 % of the other, and only that one."""
    rng = np.random.default_rng(3)
    shares = np.full((60, 300), 0.15)
    shares[:30, 7] = 0.7
    shares[30:, 7] = 0.1
    maps = stack_maps(random_maps(rng, shares), 300)
    test = compare_frequency(maps, np.arange(60) < 30, permutations=999, seed=1)
    assert test.places[test.p < 0.05].tolist() == [7]
    assert test.z[test.places == 7] > 4.0


def test_the_statistic_is_that_of_two_proportions() -> None:
    """At one place: 6 of 10 against 2 of 10, worked by hand."""
    marked = [np.array([0])] * 6 + [np.array([], dtype=np.int64)] * 4
    marked += [np.array([0])] * 2 + [np.array([], dtype=np.int64)] * 8
    test = compare_frequency(stack_maps(marked, 1), np.arange(20) < 10, permutations=99, seed=1)
    assert test.z == pytest.approx([0.4 / np.sqrt(0.4 * 0.6 * 0.2)])


def test_no_difference_is_rarely_found() -> None:
    """Groups from one population: the corrected p value is below 0.05 in about one of twenty studies."""
    rng = np.random.default_rng(5)
    found = 0
    for study in range(200):
        maps = stack_maps(random_maps(rng, np.full((40, 50), 0.25)), 50)
        found += compare_frequency(maps, np.arange(40) < 20, permutations=99, seed=study).p.min() <= 0.05
    assert 2 <= found <= 20


def test_rare_places_are_not_tested() -> None:
    """A place that is marked in two persons says nothing; a group of nobody cannot be compared."""
    marked = [np.array([0, 1])] * 2 + [np.array([1])] * 3 + [np.array([], dtype=np.int64)] * 5
    maps = stack_maps(marked, 2)
    assert compare_frequency(maps, np.arange(10) < 5, permutations=99, seed=1).places.tolist() == [1]
    with pytest.raises(ValueError, match="needs somebody"):
        compare_frequency(maps, np.zeros(10, dtype=bool), permutations=99, seed=1)
