# SPDX-License-Identifier: Apache-2.0
"""Posteriors become volumes, labels and tissue maps."""

from __future__ import annotations

import numpy as np
import pytest

from bids_msvol.atlas.labels import CLASSES, SOFT_TISSUE
from bids_msvol.imaging.volumes import most_likely_labels, structure_volumes_mm3, tissue_probabilities
from bids_msvol.structures import STRUCTURES


@pytest.fixture
def posteriors() -> np.ndarray:
    """Random posteriors (voxel, class) of 60 voxels."""
    values = np.random.default_rng(0).dirichlet(np.full(len(CLASSES), 0.2), 60)
    return values.astype(np.float32)


@pytest.fixture
def mask() -> np.ndarray:
    """A mask of 60 voxels."""
    inside = np.zeros((5, 6, 7), dtype=bool)
    inside.ravel()[np.random.default_rng(1).permutation(inside.size)[:60]] = True
    return inside


def test_volume_is_the_sum_of_the_posterior(posteriors: np.ndarray) -> None:
    """A voxel that is a third thalamus adds a third of its volume."""
    volumes = structure_volumes_mm3(posteriors, CLASSES, 0.5)
    assert set(volumes) == {structure.index for structure in STRUCTURES}
    for index, volume in volumes.items():
        assert volume == pytest.approx(0.5 * posteriors[:, CLASSES.index(index)].sum(dtype=float))


def test_no_volume_is_lost(posteriors: np.ndarray) -> None:
    """The structures and the classes that are not measured add up to the volume looked at."""
    volumes = structure_volumes_mm3(posteriors, CLASSES, 2.0)
    others = [CLASSES.index(number) for number in CLASSES if number not in volumes]
    assert sum(volumes.values()) + 2.0 * posteriors[:, others].sum() == pytest.approx(2.0 * 60, rel=1e-5)


def test_volume_of_many_voxels_is_not_rounded() -> None:
    """Ten million voxels of a tenth each are a million, though a float32 sum would drift."""
    column = np.zeros((10_000_000, 1), dtype=np.float32)
    column[:] = 0.1
    classes = (2, *(structure.index for structure in STRUCTURES if structure.index != 2))
    wide = np.broadcast_to(column, (10_000_000, len(classes)))
    assert structure_volumes_mm3(wide, classes, 1.0)[2] == pytest.approx(1_000_000.0, rel=1e-6)


def test_label_is_the_most_likely_structure(posteriors: np.ndarray, mask: np.ndarray) -> None:
    """Labels lie at the voxels of the mask in its order; classes that are not measured become 0."""
    posteriors[0], posteriors[1] = 0.0, 0.0
    posteriors[0, CLASSES.index(49)] = 1.0
    posteriors[1, CLASSES.index(SOFT_TISSUE)] = 1.0
    labels = most_likely_labels(posteriors, CLASSES, mask)
    first, second = np.argwhere(mask)[:2]
    assert labels[tuple(first)] == 49
    assert labels[tuple(second)] == 0
    assert not labels[~mask].any()
    assert labels.dtype == np.int16


def test_tissues_and_what_is_outside_add_up_to_one(posteriors: np.ndarray, mask: np.ndarray) -> None:
    """Each structure counts in exactly one tissue map, and outside the mask there is none."""
    tissues = tissue_probabilities(posteriors, CLASSES, mask)
    measured = {structure.index for structure in STRUCTURES}
    outside = posteriors[:, [CLASSES.index(number) for number in CLASSES if number not in measured]].sum(axis=1)
    assert sum(tissues[name][mask] for name in ("GM", "WM", "CSF")) + outside == pytest.approx(1.0, abs=1e-5)
    assert not any(values[~mask].any() for values in tissues.values())
