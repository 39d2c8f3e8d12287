# SPDX-License-Identifier: Apache-2.0
"""Maps that are zero in most places, one for each person: how often each place is marked, and where groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

LEAST_SHARE = 0.05
"""Places that fewer than this share of all persons have marked are not tested: nothing could be found there."""

LEAST_PERSONS = 3
"""Nor are places that fewer than so many have marked."""


@dataclass(frozen=True, eq=False)
class MapTest:
    """Where the frequency differs between two groups.

    Attributes
    ----------
    places
        (tested,) positions in the flattened map.
    z
        (tested,) difference of proportions over its standard error under no difference, first less second group.
    p
        (tested,) permutation p value corrected for all places (largest absolute value).
    permutations
        Number of permutations, the observed labels not counted.
    n_first, n_second
        Persons in each group.
    """

    places: NDArray[np.int64]
    z: NDArray[np.float64]
    p: NDArray[np.float64]
    permutations: int
    n_first: int
    n_second: int


def stack_maps(marked: Sequence[NDArray[np.int64]], size: int) -> sparse.csr_array:
    """Return maps (person, place) from the positions that are marked in each."""
    lengths = np.array([len(places) for places in marked], dtype=np.int64)
    indices = np.concatenate(marked) if len(marked) else np.empty(0, dtype=np.int64)
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((np.ones(len(indices), dtype=np.float32), indices, pointers), shape=(len(marked), size))


def frequency(maps: sparse.csr_array) -> NDArray[np.float64]:
    """Return the share (place,) of persons in whom each place is marked."""
    return np.asarray(maps.sum(axis=0), dtype=np.float64).ravel() / maps.shape[0]


def compare_frequency(
    maps: sparse.csr_array, first: ArrayLike, *, permutations: int, seed: int, batch: int = 200
) -> MapTest:
    """Test where the frequency differs between two groups, by permutation of the labels.

    The statistic is the difference of two proportions over its standard error with the pooled proportion; the largest
    absolute value over all places, in each permutation, corrects for their number (Westfall and Young 1993).

    Parameters
    ----------
    maps
        (person, place), zeros and ones.
    first
        (person,) whether each belongs to the first group.
    permutations, seed
        Number and chance of the permutations.
    batch
        Permutations that are computed at once.

    Raises
    ------
    ValueError
        If a group has nobody.
    """
    labels = np.asarray(first, dtype=bool)
    count, n_first = len(labels), int(labels.sum())
    n_second = count - n_first
    if not n_first or not n_second:
        raise ValueError("each group needs somebody")
    hits = np.asarray(maps.sum(axis=0), dtype=np.float64).ravel()
    least = max(LEAST_PERSONS, LEAST_SHARE * count)
    places = np.flatnonzero((hits >= least) & (hits <= count - 1))
    kept = maps[:, places].T.tocsr()
    pooled = hits[places] / count
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / n_first + 1.0 / n_second))

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        in_first = np.asarray(kept @ weights, dtype=np.float64)
        ratio: NDArray[np.float64] = (in_first / n_first - (hits[places][:, np.newaxis] - in_first) / n_second) / error[
            :, np.newaxis
        ]
        return ratio

    observed = statistic(labels[:, np.newaxis].astype(np.float64))[:, 0]
    rng = np.random.default_rng(seed)
    largest = []
    for start in range(0, permutations, batch):
        width = min(batch, permutations - start)
        shuffled = rng.permuted(np.repeat(labels[:, np.newaxis], width, axis=1), axis=0).astype(np.float64)
        if len(places):
            largest.append(np.abs(statistic(shuffled)).max(axis=0))
    null = np.sort(np.concatenate(largest)) if largest else np.empty(0)
    # A tie counts as at least as large; rounding must not undo one.
    above = len(null) - np.searchsorted(null, np.abs(observed) - 1e-9, side="left")
    p = ((1.0 + above) / (1.0 + permutations)).astype(np.float64)
    return MapTest(places, observed, p, permutations, n_first, n_second)
