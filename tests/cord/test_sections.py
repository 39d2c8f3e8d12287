# SPDX-License-Identifier: Apache-2.0
"""Planes across the cord, points between them, and measures of outlines, against shapes with known answers."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.cord.centerline import cut_sections, locate, smooth_line
from bids_msvol.cord.partial_volume import cord_shares
from bids_msvol.cord.sections import arc_of_mm, directions, downward_arc_mm, measure_outlines

HALF_RL_MM, HALF_AP_MM = 6.0, 4.0


def leaning_line(tilt_deg: float, heights: np.ndarray) -> np.ndarray:
    """Points of a straight cord that leans forward."""
    return np.stack([np.zeros_like(heights), np.tan(np.deg2rad(tilt_deg)) * heights, heights], axis=1)


def ellipse(count: int, sections: int) -> np.ndarray:
    """Radii of the ellipse in the plane across the cord."""
    x, y = directions(count).T
    return np.tile(1.0 / np.hypot(x / HALF_RL_MM, y / HALF_AP_MM), (sections, 1))


@pytest.mark.parametrize("tilt_deg", [0.0, 20.0, 35.0])
def test_ellipse_across_a_leaning_cord(tilt_deg: float) -> None:
    """Area, diameters and eccentricity are those of the ellipse, whatever the lean."""
    sections = cut_sections(leaning_line(tilt_deg, np.arange(30.0)), np.eye(4))
    shape = measure_outlines(sections, ellipse(720, 30))
    np.testing.assert_allclose(shape.csa_mm2, np.pi * HALF_RL_MM * HALF_AP_MM, rtol=1e-3)
    np.testing.assert_allclose(shape.rl_diameter_mm, 2 * HALF_RL_MM, rtol=1e-3)
    np.testing.assert_allclose(shape.ap_diameter_mm, 2 * HALF_AP_MM, rtol=1e-3)
    np.testing.assert_allclose(shape.eccentricity, np.sqrt(1 - (HALF_AP_MM / HALF_RL_MM) ** 2), rtol=1e-3)
    np.testing.assert_allclose(sections.tilt_deg, 0.0, atol=1e-3)


def test_an_oblique_cut_is_not_a_larger_cord() -> None:
    """In thick slices, cut along them, the outline is longer by 1 / cos; seen along the cord it is the ellipse."""
    line = leaning_line(30.0, np.arange(0.0, 60.0, 5.0))
    sections = cut_sections(line, np.diag([0.5, 0.5, 5.0, 1.0]))
    np.testing.assert_allclose(sections.tilt_deg, 30.0, atol=1e-6)
    x, y = directions(720).T
    cut = np.tile(1.0 / np.hypot(x / HALF_RL_MM, y * np.cos(np.deg2rad(30.0)) / HALF_AP_MM), (len(line), 1))
    shape = measure_outlines(sections, cut)
    np.testing.assert_allclose(shape.csa_mm2, np.pi * HALF_RL_MM * HALF_AP_MM, rtol=1e-3)
    np.testing.assert_allclose(shape.ap_diameter_mm, 2 * HALF_AP_MM, rtol=1e-3)


def test_points_are_found_on_a_bent_cord() -> None:
    """A point put at a plane and a place in it is located there, within 0.05 mm, between planes and beyond the ends."""
    heights = np.arange(0.0, 80.0)
    line = np.stack([0.002 * (heights - 40) ** 2, 0.004 * (heights - 30) ** 2, heights], axis=1)
    sections = cut_sections(line, np.eye(4))
    rng = np.random.default_rng(0)
    planes = rng.integers(5, 75, 200)
    right, front = rng.uniform(-6, 6, (2, 200))
    points = (
        sections.centers_mm[planes] + right[:, None] * sections.right[planes] + front[:, None] * sections.front[planes]
    )
    position, found_right, found_front = locate(points, sections)
    assert np.abs(position - planes).max() < 0.1
    np.testing.assert_allclose(found_right, right, atol=0.05)
    np.testing.assert_allclose(found_front, front, atol=0.05)
    beyond = locate(sections.centers_mm[-1:] + 3.0 * sections.along[-1:], sections)
    assert beyond[0][0] > 79.0 + 2.0
    np.testing.assert_allclose([beyond[1][0], beyond[2][0]], 0.0, atol=0.1)


def test_smoothing_keeps_a_parabola_and_its_ends() -> None:
    """A bend that is a parabola is not flattened, and noise of single slices is."""
    heights = np.arange(0.0, 100.0)
    line = np.stack([0.001 * heights**2, 0.003 * (heights - 60) ** 2, heights], axis=1)
    np.testing.assert_allclose(smooth_line(line), line, atol=1e-6)
    noisy = line + np.random.default_rng(1).normal(0, 0.5, line.shape) * [1, 1, 0]
    assert np.abs(smooth_line(noisy) - line)[10:-10].max() < 0.4


def test_positions_count_downward_from_the_top() -> None:
    """The highest point is 0; a point above the line is negative, by its distance along the cord."""
    sections = cut_sections(leaning_line(30.0, np.arange(50.0)), np.eye(4))
    arc = downward_arc_mm(sections)
    assert arc[-1] == 0.0
    assert arc[0] == pytest.approx(49.0 / np.cos(np.deg2rad(30.0)))
    above = sections.centers_mm[-1] + 7.0 * sections.along[-1]
    assert arc_of_mm(sections, above) == pytest.approx(-7.0)


@pytest.mark.parametrize("voxel_mm", [(1.0, 1.0, 1.0), (0.6, 0.6, 3.0)])
def test_shares_add_up_to_the_area(voxel_mm: tuple[float, float, float]) -> None:
    """The shares of voxels, summed over a slice, are the area of the cord cut by it, within 1 %."""
    sizes = np.asarray(voxel_mm)
    shape = tuple(int(n) for n in np.ceil(np.asarray([40, 50, 45]) / sizes))
    affine = nib.affines.from_matvec(np.diag(sizes), -np.asarray(shape) * sizes / 2)
    heights = affine[2, 3] + sizes[2] * np.arange(shape[2])
    sections = cut_sections(leaning_line(15.0, heights), affine)
    radii = ellipse(48, len(heights))
    if voxel_mm[2] > 2.0:
        x, y = directions(48).T
        radii = np.tile(1.0 / np.hypot(x / HALF_RL_MM, y * np.cos(np.deg2rad(15.0)) / HALF_AP_MM), (len(heights), 1))
    shares = cord_shares(sections, radii, shape, affine)  # type: ignore[arg-type]
    areas = shares.sum(axis=(0, 1))[4:-4] * sizes[0] * sizes[1] * np.cos(np.deg2rad(15.0))
    np.testing.assert_allclose(areas.mean(), np.pi * HALF_RL_MM * HALF_AP_MM, rtol=0.01)
    assert shares.min() >= 0.0
    assert shares.max() <= 1.0
