# SPDX-License-Identifier: Apache-2.0
"""Discs are found where they were drawn, whatever they look like, and not where there are none."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.cord.centerline import cut_sections, locate
from bids_msvol.cord.discs import find_discs
from bids_msvol.cord.sections import Sections, downward_arc_mm

DISCS_MM = (20.0, 38.0, 55.5, 71.0)
"""Arcs of the discs that are drawn, downward from the top."""

SHAPE = (30, 60, 95)
BONE, TISSUE, CORD = 100.0, 60.0, 150.0


def neck_sections(affine: NDArray[np.float64] | None = None) -> Sections:
    """Return the sections of a cord that bends forward."""
    heights = np.arange(float(SHAPE[2]))
    line = np.column_stack([np.full(len(heights), 15.0), 16.0 + 0.002 * (heights - 40.0) ** 2, heights])
    return cut_sections(line, np.eye(4) if affine is None else affine)


@functools.cache
def neck_coordinates() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (n,) arc, right and front of all voxels."""
    sections = neck_sections()
    position, right, front = locate(np.argwhere(np.ones(SHAPE, dtype=bool)).astype(float), sections)
    return np.interp(position, np.arange(SHAPE[2]), downward_arc_mm(sections)), right, front


def draw_neck(
    appearance: str,
    discs: Sequence[float] = DISCS_MM,
    *,
    tilt_deg: float = -6.0,
    height_mm: float = 5.0,
    noise: float = 0.05,
    seed: int = 1,
) -> tuple[nib.Nifti1Image, Sections]:
    """Draw vertebral bodies from 8 to 23 mm in front of the cord, and discs whose backs lie at the given arcs."""
    arc, right, front = neck_coordinates()
    values = np.where(np.hypot(right, front) < 5.0, CORD, TISSUE)
    body = (front > 8.0) & (front < 23.0) & (np.abs(right) < 9.0)
    values[body] = BONE
    for disc in discs:
        off = np.abs(arc - disc + np.tan(np.radians(tilt_deg)) * (front - 10.0))
        within = body & (off < height_mm / 2.0)
        values[within] = {"bright": 220.0, "dark": 35.0, "rimmed": 130.0}[appearance]
        if appearance == "rimmed":
            values[body & (off >= height_mm / 2.0) & (off < height_mm / 2.0 + 1.5)] = 30.0
    data = ndimage.gaussian_filter(values.reshape(SHAPE), 0.6)
    data += np.random.default_rng(seed).normal(0.0, noise * BONE, SHAPE)
    return nib.Nifti1Image(np.abs(data).astype(np.float32), np.eye(4)), neck_sections()


@pytest.mark.parametrize("height_mm", [4.0, 6.0])
@pytest.mark.parametrize("appearance", ["bright", "dark", "rimmed"])
def test_discs_are_found_whatever_they_look_like(appearance: str, height_mm: float) -> None:
    found = find_discs(*draw_neck(appearance, height_mm=height_mm))
    assert found.reason is None
    assert found.appearance == appearance
    np.testing.assert_allclose(found.arc_mm, DISCS_MM, atol=0.6)
    assert found.confidence > 0.85


@pytest.mark.parametrize("tilt_deg", [-18.0, 8.0])
def test_a_disc_is_where_its_back_is(tilt_deg: float) -> None:
    """The middle of a disc with this tilt lies up to 1.8 mm away from its back, along the cord."""
    found = find_discs(*draw_neck("bright", tilt_deg=tilt_deg))
    np.testing.assert_allclose(found.arc_mm, DISCS_MM, atol=0.6)


@pytest.mark.parametrize("appearance", ["bright", "dark"])
def test_noise_does_not_move_discs(appearance: str) -> None:
    found = find_discs(*draw_neck(appearance, noise=0.4))
    np.testing.assert_allclose(found.arc_mm, DISCS_MM, atol=1.0)


def test_a_disc_that_is_not_seen_does_not_hide_the_others() -> None:
    discs = (14.0, 31.5, 66.5, 84.0)
    found = find_discs(*draw_neck("bright", discs))
    np.testing.assert_allclose(found.arc_mm, discs, atol=0.6)


def test_brightness_that_falls_away_from_the_coil_does_not_matter() -> None:
    image, sections = draw_neck("dark")
    fall = np.exp(-np.arange(60) / 20.0)[:, None] * np.linspace(0.4, 2.0, 95)
    found = find_discs(nib.Nifti1Image(image.get_fdata() * fall, image.affine), sections)
    np.testing.assert_allclose(found.arc_mm, DISCS_MM, atol=0.6)


def test_thick_sagittal_slices_will_do() -> None:
    image, sections = draw_neck("dark")
    data = image.get_fdata().reshape(10, 3, 60, 95).mean(axis=1)
    affine = nib.affines.from_matvec(np.diag([3.0, 1.0, 1.0]), [1.0, 0.0, 0.0])
    found = find_discs(nib.Nifti1Image(data, affine), sections)
    np.testing.assert_allclose(found.arc_mm, DISCS_MM, atol=0.6)


@pytest.mark.parametrize("blur", [0.0, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_no_disc_is_found_in_noise(seed: int, blur: float) -> None:
    texture = np.random.default_rng(seed).normal(size=SHAPE)
    texture = ndimage.gaussian_filter(texture, blur) if blur else texture
    data = np.clip(1.0 + 0.3 * texture / texture.std(), 0.01, None)
    found = find_discs(nib.Nifti1Image(data.astype(np.float32), np.eye(4)), neck_sections())
    assert found.reason is not None
    assert len(found.arc_mm) == 0


@pytest.mark.parametrize("discs", [(), (45.0,), (30.0, 41.0, 75.0)])
def test_bands_at_distances_that_no_neck_has_are_no_discs(discs: tuple[float, ...]) -> None:
    found = find_discs(*draw_neck("bright", discs))
    assert found.reason == "no row of discs is seen in front of the cord"
    assert found.appearance is None


def test_bands_that_differ_from_one_another_are_no_discs() -> None:
    """At the right distances, but by turns only at the back and only at the front of the vertebrae."""
    (behind, sections), (ahead, _) = draw_neck("bright", DISCS_MM[::2]), draw_neck("bright", DISCS_MM[1::2])
    front = neck_coordinates()[2].reshape(SHAPE)
    data = np.where(front < 15.0, behind.get_fdata(), ahead.get_fdata())
    found = find_discs(nib.Nifti1Image(data, np.eye(4)), sections)
    assert found.reason == "what could be discs in front of the cord does not look alike"


def test_discs_as_high_as_vertebrae_cannot_be_told_from_them() -> None:
    found = find_discs(*draw_neck("bright", (10.0, 27.0, 44.0, 61.0, 78.0), height_mm=8.5))
    assert found.reason == "discs and vertebrae in front of the cord cannot be told apart"


def test_slices_thicker_than_discs_are_refused() -> None:
    affine = np.diag([0.5, 0.5, 5.0, 1.0])
    found = find_discs(nib.Nifti1Image(np.ones((60, 120, 19), np.float32), affine), neck_sections(affine=affine))
    assert found.reason is not None
    assert "5.0 mm thick" in found.reason


def test_nothing_is_found_where_nothing_is_in_view() -> None:
    """The image ends 4 mm in front of the cord, or the neck was cut away like a face."""
    image, sections = draw_neck("bright")
    cropped = nib.Nifti1Image(image.get_fdata()[:, :25], image.affine)
    removed = image.get_fdata().copy()
    removed[:, 25:] = 0.0
    for hidden in (cropped, nib.Nifti1Image(removed, image.affine)):
        found = find_discs(hidden, sections)
        assert found.reason is not None
        assert "too little" in found.reason


def test_a_uniform_image_is_refused() -> None:
    found = find_discs(nib.Nifti1Image(np.ones(SHAPE, np.float32), np.eye(4)), neck_sections())
    assert found.reason == "no row of discs is seen in front of the cord"
