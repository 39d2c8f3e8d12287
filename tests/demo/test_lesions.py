# SPDX-License-Identifier: Apache-2.0
"""Lesions lie where their kind lies, apart from each other, and take the course planned."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.demo.lesions import GAP_MM, GROWTH, Lesion, lesion_map, place_lesions
from tests.demo.heads import ball_head

COURSES = (
    ("periventricular", "enlarging", 1),
    ("deep", "stable", 3),
    ("juxtacortical", "stable", 2),
    ("periventricular", "new", 1),
    ("deep", "new", 1),
)


@pytest.fixture(scope="module")
def head() -> nib.Nifti1Image:
    return ball_head()


@pytest.fixture(scope="module")
def lesions(head: nib.Nifti1Image) -> tuple[Lesion, ...]:
    return place_lesions(head, np.random.default_rng(5), COURSES)


def test_all_are_placed_in_white_matter(head: nib.Nifti1Image, lesions: tuple[Lesion, ...]) -> None:
    """Every lesion asked for is there, numbered from 1, and made of white matter only."""
    assert [(lesion.region, lesion.course) for lesion in lesions] == [
        (region, course) for region, course, count in COURSES for _ in range(count)
    ]
    assert [lesion.number for lesion in lesions] == list(range(1, 9))
    data = np.asarray(head.dataobj)
    for lesion in lesions:
        assert set(data.flat[lesion.follow_up].tolist()) <= {2, 41}


def test_regions(head: nib.Nifti1Image, lesions: tuple[Lesion, ...]) -> None:
    """Periventricular lesions reach the ventricle, juxtacortical ones the cortex, deep ones start near neither."""
    data = np.asarray(head.dataobj)
    to_ventricle = ndimage.distance_transform_edt(~np.isin(data, (4, 43)), sampling=2.0)
    to_cortex = ndimage.distance_transform_edt(~np.isin(data, (3, 42)), sampling=2.0)
    for lesion in lesions:
        centre = lesion.follow_up[0]
        if lesion.region == "periventricular":
            assert to_ventricle.flat[lesion.follow_up].min() <= 3.0
        elif lesion.region == "juxtacortical":
            assert to_cortex.flat[centre] <= 3.0
        else:
            assert min(to_ventricle.flat[centre], to_cortex.flat[centre]) > 5.0


def test_courses(lesions: tuple[Lesion, ...]) -> None:
    """Stable lesions keep their voxels, a new one has none at first, an enlarging one grows around what it was."""
    for lesion in lesions:
        if lesion.course == "new":
            assert len(lesion.baseline) == 0
            assert len(lesion.follow_up) > 0
        elif lesion.course == "stable":
            assert np.array_equal(lesion.baseline, lesion.follow_up)
        else:
            assert set(lesion.baseline) < set(lesion.follow_up)
            assert len(lesion.follow_up) == pytest.approx(GROWTH * len(lesion.baseline), abs=2)


def test_lesions_stay_apart(head: nib.Nifti1Image, lesions: tuple[Lesion, ...]) -> None:
    """No lesion comes closer to another than the gap."""
    numbers = lesion_map(lesions, head.shape, follow_up=True)
    for lesion in lesions:
        others = (numbers > 0) & (numbers != lesion.number)
        distance = ndimage.distance_transform_edt(~others, sampling=2.0)
        assert distance.flat[lesion.follow_up].min() >= GAP_MM


def test_map_shows_each_lesion_once(head: nib.Nifti1Image, lesions: tuple[Lesion, ...]) -> None:
    """The map holds as many voxels of each number as the lesion has at that visit."""
    for follow_up in (False, True):
        counts = np.bincount(lesion_map(lesions, head.shape, follow_up=follow_up).ravel(), minlength=9)
        wanted = [len(lesion.follow_up if follow_up else lesion.baseline) for lesion in lesions]
        assert counts[1:].tolist() == wanted


def test_no_room_is_no_error() -> None:
    """In a head without white matter there are no lesions."""
    empty = nib.Nifti1Image(np.full((10, 10, 10), 3, dtype=np.int16), np.eye(4))
    assert place_lesions(empty, np.random.default_rng(0)) == ()
