# SPDX-License-Identifier: Apache-2.0
"""Slices show the right side on the right side, whatever the orientation of the array."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from bids_msvol.report.slices import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    Plane,
    Volume,
    compute_head_box,
    compute_window,
    find_box,
    load_canonical,
    slice_size_mm,
    spread_positions,
    take_slice,
    world_coordinate_mm,
)

WHOLE = ((0, 6), (0, 7), (0, 8))


def _marked_image() -> nib.Nifti1Image:
    """Return a right-anterior-superior image with one marked voxel on the right, in front and on top."""
    data = np.zeros((6, 7, 8), np.int16)
    data[5, 6, 7] = 9
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = (-5, -9, -14)
    return nib.Nifti1Image(data, affine)


@pytest.mark.parametrize("order", list(itertools.permutations("RAS")))
@pytest.mark.parametrize("flips", list(itertools.product((False, True), repeat=3)))
def test_stored_orientation_does_not_matter(order: tuple[str, ...], flips: tuple[bool, ...]) -> None:
    """All 48 ways of storing an image give the same volume."""
    opposite = {"R": "L", "A": "P", "S": "I"}
    codes = tuple(opposite[code] if flip else code for code, flip in zip(order, flips, strict=True))
    image = _marked_image()
    turned = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes)))
    volume = load_canonical(turned, np.int16)
    np.testing.assert_array_equal(volume.data, np.asarray(image.dataobj))
    np.testing.assert_allclose(volume.affine, image.affine)
    assert volume.spacing == pytest.approx((2, 3, 4))


@pytest.mark.parametrize(
    ("plane", "position", "place"), [(AXIAL, 7, (0, 0)), (CORONAL, 6, (0, 0)), (SAGITTAL, 5, (0, 0))]
)
def test_right_front_top_lies_where_a_radiologist_expects_it(
    plane: Plane, position: int, place: tuple[int, int]
) -> None:
    """Right is on the left of axial and coronal slices, the front on top of axial and on the left of sagittal ones."""
    shown = take_slice(load_canonical(_marked_image(), np.int16), plane, position, WHOLE)
    assert shown[place] == 9
    assert np.count_nonzero(shown) == 1


def test_slice_size_counts_millimetres() -> None:
    """Height and width of a slice follow the voxel size, so that thick slices are not squashed."""
    volume = load_canonical(_marked_image(), np.int16)
    assert slice_size_mm(volume, AXIAL, WHOLE) == pytest.approx((7 * 3, 6 * 2))
    assert slice_size_mm(volume, CORONAL, WHOLE) == pytest.approx((8 * 4, 6 * 2))
    assert slice_size_mm(volume, SAGITTAL, WHOLE) == pytest.approx((8 * 4, 7 * 3))


def test_world_coordinate_is_that_of_the_affine() -> None:
    """The millimetres under a slice are the scanner's."""
    volume = load_canonical(_marked_image(), np.int16)
    assert world_coordinate_mm(volume, AXIAL, 7, WHOLE) == pytest.approx(-14 + 7 * 4)
    assert world_coordinate_mm(volume, SAGITTAL, 0, WHOLE) == pytest.approx(-5)


def test_positions_are_spread_over_the_box() -> None:
    """Slices are evenly spread, inside the box, and none is shown twice in a thin one."""
    box = ((10, 110), (0, 5), (3, 4))
    positions = spread_positions(box, SAGITTAL, 14)
    assert len(positions) == 14
    assert positions[0] == 14
    assert positions[-1] == 105
    assert spread_positions(box, CORONAL, 14) == (0, 1, 2, 3, 4)
    assert spread_positions(box, AXIAL, 14) == (3,)


def test_head_box_leaves_out_air_and_neck() -> None:
    """The picture is cropped to the head, and ends a margin below the brain even if the neck goes on."""
    data = np.random.default_rng(3).normal(0, 1, (80, 80, 120)).clip(0).astype(np.float32)
    data[20:60, 20:60, 0:110] = 100
    mask = np.zeros(data.shape, np.uint8)
    mask[30:50, 30:50, 80:100] = 1
    volume, brain = Volume(data, np.eye(4), (1, 1, 1)), Volume(mask, np.eye(4), (1, 1, 1))
    assert compute_head_box(volume, brain) == ((20, 60), (20, 60), (52, 110))


def test_empty_mask_still_shows_the_head() -> None:
    """Where no brain was found, the head is shown all the same."""
    data = np.zeros((20, 20, 20), np.float32)
    data[5:15, 5:15, 5:15] = 50
    volume = Volume(data, np.eye(4), (1, 1, 1))
    empty = Volume(np.zeros(data.shape, np.uint8), np.eye(4), (1, 1, 1))
    assert compute_head_box(volume, empty) == ((5, 15), (5, 15), (5, 15))
    low, high = compute_window(volume, empty)
    assert low == 0
    assert high > 50
    assert find_box(empty.data > 0) is None


def test_image_of_nothing_gives_a_window() -> None:
    """An image of zeros neither divides by zero nor has no box."""
    nothing = Volume(np.zeros((4, 4, 4), np.float32), np.eye(4), (1, 1, 1))
    low, high = compute_window(nothing, nothing)
    assert high > low
    assert compute_head_box(nothing, nothing) == ((0, 4), (0, 4), (0, 4))
