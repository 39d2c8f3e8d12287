# SPDX-License-Identifier: Apache-2.0
"""Sampling one anatomy from the atlas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.atlas.head import coarsen_atlas
from bids_msvol.atlas.labels import CSF
from bids_msvol.demo.anatomy import sample_anatomy
from bids_msvol.imaging.grids import block_mean
from tests.demo.heads import made_up_atlas


def test_volumes_are_those_of_the_atlas_on_average() -> None:
    """White matter, cortex and fluid of several people have the volumes that the atlas expects."""
    atlas = made_up_atlas()
    people = [np.asarray(sample_anatomy(atlas, np.random.default_rng(seed)).dataobj) for seed in range(4)]
    for members, tolerance in (((2, 41), 0.10), ((3, 42), 0.10), ((CSF,), 0.15)):
        expected = float(np.asarray(atlas.probability(members).dataobj).sum())
        counted = np.mean([np.isin(person, members).sum() for person in people])
        assert counted == pytest.approx(expected, rel=tolerance)


def test_people_differ_and_are_reproducible() -> None:
    """Another seed gives another anatomy, the same seed the same one."""
    atlas = made_up_atlas()
    first, again, other = (np.asarray(sample_anatomy(atlas, np.random.default_rng(seed)).dataobj) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert 0.02 < np.mean(first != other) < 0.5


def test_gray_matter_lies_between_white_matter_and_fluid() -> None:
    """White matter of the cerebrum hardly ever touches the fluid around the brain."""
    labels = np.asarray(sample_anatomy(made_up_atlas(), np.random.default_rng(3)).dataobj)
    white = np.isin(labels, (2, 41))
    touching = white & ndimage.binary_dilation(labels == CSF)
    assert touching.sum() < 0.03 * white.sum()


def test_sides_stay_apart() -> None:
    """Left classes lie left of the midline (negative x) and right ones right of it."""
    image = sample_anatomy(made_up_atlas(), np.random.default_rng(4))
    labels, middle = np.asarray(image.dataobj), image.shape[0] // 2
    assert not np.isin(labels[middle + 2 :], (2, 3, 4, 10)).any()
    assert not np.isin(labels[: middle - 1], (41, 42, 43, 49)).any()


def test_block_mean_averages_cubes() -> None:
    """Cubes of two voxels are averaged and an incomplete cube is left out."""
    values = np.arange(3 * 2 * 4).reshape(3, 2, 4)
    assert block_mean(values, 2).tolist() == [[[values[:2, :, :2].mean(), values[:2, :, 2:].mean()]]]


def test_coarsened_atlas_keeps_positions_and_shares() -> None:
    """Averaging keeps the centre of mass of a class in millimetres, and its total probability."""
    atlas = made_up_atlas()
    coarse = coarsen_atlas(atlas, 8.0)
    assert coarse.maps.shape[1:] == (22, 22, 22)
    for number in (2, 10):
        fine_map, coarse_map = (each.maps[each.classes.index(number)] for each in (atlas, coarse))
        centres = [
            each.affine[:3, :3] @ np.asarray(ndimage.center_of_mass(values)) + each.affine[:3, 3]
            for each, values in ((atlas, fine_map), (coarse, coarse_map))
        ]
        assert centres[1] == pytest.approx(centres[0], abs=0.5)
        assert 8.0 * coarse_map.sum() == pytest.approx(float(fine_map.sum()), rel=0.03)
    assert coarsen_atlas(atlas, 4.0) is atlas
