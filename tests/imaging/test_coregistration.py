# SPDX-License-Identifier: Apache-2.0
"""Other contrasts find their way onto the T1w image, and lose nothing on it but what they never had."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.imaging.coregistration import register_rigid, resample
from tests.imaging.phantoms import head_phantom, rigid

SPACING_MM = 2.5
"""Half the size of a head: a quarter of a minute becomes two seconds."""

POINTS_MM = np.array([[-20.0, -25.0, -15.0], [20.0, -25.0, 15.0], [-20.0, 25.0, 15.0], [20.0, 25.0, -15.0]])


def head() -> nib.Nifti1Image:
    """Return a small head."""
    return head_phantom(spacing_mm=SPACING_MM)


def other_contrast(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return the image with another order of brightness: what was bright is dark, the background stays."""
    data = np.interp(np.asarray(image.dataobj), [0, 30, 100, 160, 200], [0, 180, 120, 60, 20])
    return nib.Nifti1Image(data.astype(np.float32), image.affine)


def in_thick_slices(image: nib.Nifti1Image, motion: np.ndarray) -> nib.Nifti1Image:
    """Scan a head that has moved, in slices of 5 mm that miss its lower part; they lie where the head went."""
    place = nib.affines.from_matvec(np.diag([-1.5, 1.5, 5.0]), motion[:3, 3] + [44.0, -52.0, -20.0])
    fine = place @ nib.affines.from_matvec(np.diag([1.0, 1.0, 0.2]), [0.0, 0.0, -0.4])
    matrix, offset = nib.affines.to_matvec(np.linalg.inv(image.affine) @ np.linalg.inv(motion) @ fine)
    data = ndimage.affine_transform(np.asarray(image.dataobj), matrix, offset, (60, 72, 65), order=1)
    return nib.Nifti1Image(data.reshape(60, 72, 13, 5).mean(axis=3).astype(np.float32), place)


def error_mm(found: np.ndarray, true: np.ndarray) -> float:
    """Return the largest distance between where two motions take points within the head."""
    there = nib.affines.apply_affine(found, POINTS_MM) - nib.affines.apply_affine(true, POINTS_MM)
    return float(np.linalg.norm(there, axis=1).max())


@pytest.mark.parametrize(
    "motion",
    [rigid((0.05, -0.04, 0.06), (3.0, -4.0, 2.0)), rigid((0.25, 0.1, -0.1), (30.0, -60.0, 45.0))],
    ids=["headers nearly right", "headers far off"],
)
def test_motion_is_found_from_thick_slices(motion: np.ndarray) -> None:
    """A head of another contrast, in thick slices of part of it, is placed within a third of the slice thickness."""
    fixed = head()
    moving = in_thick_slices(other_contrast(fixed), motion)
    found = register_rigid(moving, fixed, np.asarray(fixed.dataobj) > 20, seed=1)
    assert error_mm(np.eye(4), motion) > 5.0
    assert error_mm(found, motion) < 1.7
    assert np.linalg.det(found[:3, :3]) == pytest.approx(1.0, abs=1e-6)


def test_same_seed_same_motion() -> None:
    """Two runs give the same matrix, bit for bit, and images that lie well stay where they are."""
    fixed = head()
    moving = other_contrast(fixed)
    near = np.asarray(fixed.dataobj) > 50
    once, again = (register_rigid(moving, fixed, near, seed=3) for _ in range(2))
    assert np.array_equal(once, again)
    assert error_mm(once, np.eye(4)) < 0.3


def ramp(affine: np.ndarray, shape: tuple[int, int, int]) -> nib.Nifti1Image:
    """Return an image whose brightness is 100 + x + 2 y + 3 z of the world point."""
    world = nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    return nib.Nifti1Image((100 + world @ [1.0, 2.0, 3.0]).astype(np.float32), affine)


def test_resampling_reads_the_right_place() -> None:
    """Through flipped axes, thick slices and a motion, each voxel gets the brightness of its own point."""
    motion = rigid((0.1, -0.2, 0.05), (2.0, 1.0, -3.0))
    source = ramp(nib.affines.from_matvec(np.diag([-1.0, 1.5, 4.0]), [30.0, -30.0, -30.0]), (60, 40, 16))
    grid = nib.Nifti1Image(np.zeros((20, 20, 20), np.float32), nib.affines.from_matvec(np.eye(3), [-10, -10, -10]))
    found = resample(source, grid, motion)
    points = nib.affines.apply_affine(motion @ grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    assert np.asarray(found.dataobj) == pytest.approx(100 + points @ [1.0, 2.0, 3.0], abs=0.05)


def test_outside_the_field_of_view_is_not_a_number() -> None:
    """What the slices do not cover is NaN, up to the outer face of the last slice and no farther."""
    source = ramp(nib.affines.from_matvec(np.diag([1.0, 1.0, 4.0]), [0.0, 0.0, 0.0]), (10, 10, 3))
    grid = nib.Nifti1Image(np.zeros((10, 10, 16), np.float32), nib.affines.from_matvec(np.eye(3), [0, 0, -3.5]))
    seen = np.isfinite(np.asarray(resample(source, grid, np.eye(4)).dataobj))
    heights = np.arange(16) - 3.5
    assert np.array_equal(seen.all(axis=(0, 1)), (heights > -2) & (heights < 10))
    assert np.array_equal(seen.any(axis=(0, 1)), seen.all(axis=(0, 1)))


def test_splines_do_not_overshoot() -> None:
    """At a sharp edge no voxel becomes brighter or darker than the image was."""
    data = np.zeros((12, 12, 6), np.float32)
    data[:, 6:] = 100.0
    source = nib.Nifti1Image(data, np.diag([1.0, 1.0, 2.0, 1.0]))
    grid = nib.Nifti1Image(np.zeros((24, 24, 20), np.float32), np.diag([0.5, 0.5, 0.5, 1.0]))
    found = np.asarray(resample(source, grid, np.eye(4)).dataobj)
    assert np.nanmin(found) >= 0.0
    assert np.nanmax(found) <= 100.0


def test_same_grid_is_not_interpolated() -> None:
    """An image on the grid already comes back value for value, to the last voxel."""
    image = head_phantom()
    assert np.array_equal(np.asarray(resample(image, image, np.eye(4)).dataobj), np.asarray(image.dataobj))
