# SPDX-License-Identifier: Apache-2.0
"""Grids: what is where in the world stays there, however an image is stored and whatever its voxels are."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bids_msvol.imaging import grids
from bids_msvol.imaging.grids import (
    SAMPLER_CHUNK,
    conform,
    resample_to_grid,
    sample_cubic,
    sample_trilinear,
    voxel_volume_mm3,
    world_points,
)
from tests.imaging.phantoms import mesh, rigid

ORIENTATIONS = [
    np.column_stack([order, signs])
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def blob(spacing: tuple[float, float, float], shape: tuple[int, int, int] = (30, 26, 34)) -> nib.Nifti1Image:
    """Return a smooth blob off the centre of an oblique grid."""
    affine = rigid((0.1, -0.05, 0.15), (7.0, -11.0, 4.0)) @ np.diag([*spacing, 1.0])
    distance = sum(((axis - 0.45 * len_) / (0.14 * len_)) ** 2 for axis, len_ in zip(mesh(shape), shape, strict=True))
    return nib.Nifti1Image((100.0 * np.exp(-0.5 * distance)).astype(np.float32), affine)


def world_center(image: nib.Nifti1Image) -> np.ndarray:
    """Return the centre of mass in world mm."""
    return nib.affines.apply_affine(image.affine, ndimage.center_of_mass(np.asarray(image.dataobj)))


def total_mm3(image: nib.Nifti1Image) -> float:
    """Return the integral over space."""
    return float(np.asarray(image.dataobj, dtype=float).sum()) * voxel_volume_mm3(image.affine)


@pytest.mark.parametrize("spacing", [(1.0, 1.33, 1.33), (2.5, 2.0, 3.0), (0.7, 0.7, 0.7), (0.8, 1.0, 2.4)])
def test_conform_keeps_place_and_amount(spacing: tuple[float, float, float]) -> None:
    """After resampling up, down or both, the blob lies where it lay and integrates to the same amount."""
    image = blob(spacing)
    working = conform(image, 1.0)
    assert nib.affines.voxel_sizes(working.affine) == pytest.approx([1.0] * 3)
    assert world_center(working) == pytest.approx(world_center(image), abs=0.02)
    assert total_mm3(working) == pytest.approx(total_mm3(image), rel=0.002)
    assert np.asarray(working.dataobj).mean() == pytest.approx(np.asarray(image.dataobj).mean(), rel=0.03)


def test_conform_keeps_faces_of_the_field_of_view() -> None:
    """The outer faces of the grid stay in place, so that nothing at the border is lost."""
    image = nib.Nifti1Image(np.ones((10, 20, 30), np.float32), np.diag([2.0, 1.0, 3.0, 1.0]))
    working = conform(image, 1.0)
    assert working.shape == (20, 20, 90)
    first_face = nib.affines.apply_affine(working.affine, [-0.5, -0.5, -0.5])
    assert first_face == pytest.approx([-1.0, -0.5, -1.5])


def test_conform_does_not_touch_an_image_of_the_right_size() -> None:
    """An isotropic image at the working voxel size keeps its values exactly; only its axes are turned."""
    image = nib.Nifti1Image(
        np.random.default_rng(1).random((5, 6, 7)).astype(np.float32), np.diag([-1.0, 1.0, 1.0, 1.0])
    )
    working = conform(image, 1.0)
    assert np.array_equal(np.asarray(working.dataobj), np.asarray(image.dataobj)[::-1])
    assert nib.aff2axcodes(working.affine) == ("R", "A", "S")


def test_downsampling_suppresses_what_the_coarse_grid_cannot_carry() -> None:
    """A pattern finer than the target voxels becomes grey instead of a false coarse pattern."""
    stripes = np.tile(np.float32([0.0, 1.0]), 24)[:, None, None] * np.ones((48, 12, 12), np.float32)
    working = conform(nib.Nifti1Image(stripes, np.eye(4)), 3.0)
    assert np.asarray(working.dataobj)[2:-2] == pytest.approx(0.5, abs=0.05)


@settings(deadline=None, max_examples=8)
@given(
    shape=st.tuples(*[st.integers(3, 9)] * 3),
    spacing=st.tuples(*[st.sampled_from([1.0, 1.3, 0.75, 2.5])] * 3),
    angle=st.floats(-0.5, 0.5),
    seed=st.integers(0, 1000),
)
def test_conform_gives_one_image_for_all_48_orientations(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], angle: float, seed: int
) -> None:
    """However the axes are ordered and directed, the working image has the same voxels at the same places."""
    data = np.random.default_rng(seed).random(shape).astype(np.float32)
    image = nib.Nifti1Image(data, rigid((angle, 0.3 * angle, -angle), (1.5, -20.25, 33.0)) @ np.diag([*spacing, 1.0]))
    expected = conform(image, 1.0)
    for orientation in ORIENTATIONS:
        working = conform(image.as_reoriented(orientation), 1.0)
        assert np.array_equal(np.asarray(working.dataobj), np.asarray(expected.dataobj))
        assert working.affine == pytest.approx(expected.affine, abs=1e-9)


def test_resample_to_grid_goes_through_world_coordinates() -> None:
    """A value is found again at its place in the world, and outside there is nothing."""
    data = np.zeros((8, 8, 8), np.float32)
    data[2, 3, 4] = 5.0
    source = nib.Nifti1Image(data, np.diag([2.0, 2.0, 2.0, 1.0]))
    target = nib.affines.from_matvec(np.diag([-1.0, 1.0, 1.0]), [6.0, 4.0, 6.0])
    found = np.asarray(resample_to_grid(source, (5, 5, 5), target, order=0).dataobj)
    assert found[2, 2, 2] == 5.0
    far = nib.affines.from_matvec(np.eye(3), [100.0, 0.0, 0.0])
    assert not np.asarray(resample_to_grid(source, (5, 5, 5), far).dataobj).any()


def test_voxel_volume_of_a_turned_grid() -> None:
    """Turning and flipping do not change the volume of a voxel."""
    assert voxel_volume_mm3(rigid((0.3, 0.2, 0.1), (1, 2, 3)) @ np.diag([-1.0, 2.0, 1.5, 1.0])) == pytest.approx(3.0)


def test_world_points_are_those_of_the_affine() -> None:
    """The points of a mask come in C order at the places that nibabel gives."""
    mask = np.random.default_rng(2).random((4, 5, 6)) > 0.6
    affine = rigid((0.2, -0.4, 0.3), (5.0, -6.0, 70.0)) @ np.diag([1.0, 1.2, 3.0, 1.0])
    expected = nib.affines.apply_affine(affine, np.argwhere(mask))
    assert world_points(mask, affine) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_sample_trilinear_agrees_with_scipy(
    channels: tuple[int, ...], dtype: type[np.generic], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside it interpolates as scipy does, outside it repeats the edge; also in several chunks."""
    monkeypatch.setattr(grids, "SAMPLER_CHUNK", 100)
    rng = np.random.default_rng(3)
    maps = (200 * rng.random((7, 8, 9, *channels))).astype(dtype)
    points = rng.uniform(-3, 12, (1000, 3)).astype(np.float32)
    found = sample_trilinear(maps, points)
    stacked = maps.reshape(7, 8, 9, -1)
    expected = np.stack(
        [
            ndimage.map_coordinates(stacked[..., channel].astype(float), points.T, order=1, mode="nearest")
            for channel in range(stacked.shape[3])
        ],
        axis=-1,
    )
    # Points at the last voxel are taken a thousandth of a voxel before it.
    assert found.reshape(1000, -1) == pytest.approx(expected, abs=1.0)
    inside = np.all((points > 0) & (points < np.array([6, 7, 8]) - 0.01), axis=1)
    assert found.reshape(1000, -1)[inside] == pytest.approx(expected[inside], abs=1e-3)
    assert found.dtype == np.float32


def test_sample_cubic_agrees_with_scipy() -> None:
    """Values between voxels are those of scipy's splines, those at voxels the voxels' own, in every chunk."""
    rng = np.random.default_rng(3)
    data = rng.standard_normal((12, 9, 10)).astype(np.float32)
    coefficients = ndimage.spline_filter(data, 3, np.float32)
    between = rng.uniform(-1.0, 9.0, (3, SAMPLER_CHUNK + 5)).astype(np.float32)
    expected = ndimage.map_coordinates(data.astype(float), between, order=3, mode="mirror")
    np.testing.assert_allclose(sample_cubic(coefficients, between), expected, atol=2e-5)
    voxels = np.argwhere(np.ones(data.shape, bool)).T.astype(np.float32)
    np.testing.assert_allclose(sample_cubic(coefficients, voxels), data.ravel(), atol=2e-5)


@pytest.mark.parametrize("turn_rad", [0.0, 0.21])
def test_files_in_all_48_orientations_give_one_image(turn_rad: float, tmp_path: Path) -> None:
    """Headers round the origin to single precision; the working image does not show it, oblique or not."""
    rng = np.random.default_rng(11)
    rotation = nib.eulerangles.euler2mat(0.0, turn_rad, 0.0)
    affine = nib.affines.from_matvec(rotation @ np.diag([1.0, 1.0, 1.0]), [-81.2345678, -97.7654321, -64.1928374])
    image = nib.Nifti1Image(rng.random((9, 11, 13)).astype(np.float32), affine)
    path = tmp_path / "scan.nii.gz"
    seen = set()
    for orientation in ORIENTATIONS:
        nib.save(image.as_reoriented(orientation), path)
        working = conform(nib.load(path), 1.0)
        seen.add((working.affine.round(9).tobytes(), np.asarray(working.dataobj).tobytes()))
    assert len(seen) == 1
