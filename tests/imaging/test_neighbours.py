# SPDX-License-Identifier: Apache-2.0
"""Voxels lean towards what their neighbours are, and stay probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from bids_msvol.imaging import neighbours
from bids_msvol.imaging.neighbours import NEIGHBOUR_WEIGHT, agree_with_neighbours


def test_undecided_voxel_follows_its_neighbours() -> None:
    """A voxel as likely one class as the other, among six that are surely the first, is that by six weights' odds."""
    mask = np.zeros((5, 5, 5), dtype=bool)
    center = (2, 2, 2)
    mask[center] = True
    for axis in range(3):
        for step in (-1, 1):
            place = list(center)
            place[axis] += step
            mask[tuple(place)] = True
    undecided = np.array([np.array_equal(place, center) for place in np.argwhere(mask)])
    evidence = np.where(undecided, 0.5, np.array([[1.0], [1e-20]])).astype(np.float32)
    posterior = agree_with_neighbours(evidence, mask)
    odds = posterior[0, undecided] / posterior[1, undecided]
    assert odds == pytest.approx(np.exp(6 * NEIGHBOUR_WEIGHT), rel=1e-4)
    assert posterior.sum(axis=0) == pytest.approx(np.ones(7))


def test_only_faces_count_and_edges_of_the_image_have_no_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one round every voxel has been weighed with its face neighbours' probabilities, as written out here."""
    monkeypatch.setattr(neighbours, "NEIGHBOUR_ROUNDS", 1)
    rng = np.random.default_rng(0)
    mask = rng.random((4, 5, 6)) > 0.3
    evidence = rng.random((3, np.count_nonzero(mask))).astype(np.float32) + 0.1
    first = evidence / evidence.sum(axis=0)
    places = [tuple(place) for place in np.argwhere(mask)]
    expected = np.empty_like(first)
    for index, place in enumerate(places):
        beside = [
            other for other, its in enumerate(places) if sum(abs(a - b) for a, b in zip(place, its, strict=True)) == 1
        ]
        expected[:, index] = evidence[:, index] * np.exp(NEIGHBOUR_WEIGHT * first[:, beside].sum(axis=1))
    expected /= expected.sum(axis=0)
    np.testing.assert_allclose(agree_with_neighbours(evidence, mask), expected, rtol=1e-5)
