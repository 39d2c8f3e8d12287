# SPDX-License-Identifier: Apache-2.0
"""Outline the cord in each of its sections: the steepest edge in every direction that is smooth around and along it."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.cord.centerline import cut_sections, smooth_line
from bids_msvol.cord.sections import Sections, directions
from bids_msvol.imaging.grids import sample_cubic

ANGLES = 48
"""Directions in which the edge is looked for: one for each 0.8 mm of the outline."""

STEP_MM, REACH_MM = 0.2, 11.0
"""Distance of the samples along each direction, and how far they go."""

LEAST_RADIUS_MM, MOST_RADIUS_MM = 2.0, 9.5
"""The edge lies between these: atrophied cords are 4.5 mm thick, the medulla 17 mm wide."""

SEARCH_SIGMA_MM, PLACE_SIGMA_MM = 0.5, 0.5
"""Width of the smoothing along a direction, in finding the edge and in placing it."""

STRETCH_MM, STEEP_SHARE = 1.2, 0.3
"""The edge is the middle of what is at least this share as steep as the steepest point, and this near to it."""

ALONG_SIGMA_MM = 1.5
"""Width of the smoothing along the cord, where slices are thinner than this."""

BEHIND_MM, BEHIND_COST = 1.6, 0.6
"""An edge this far behind another one is not the cord's, but that of the dura or of bone."""

BEND_COST = 0.03
"""Cost of a step of one sample from one direction to the next, squared, as a share of a clear edge."""

NEIGHBOUR_COST = 0.25
"""Cost of lying 1 mm away from where neighbouring sections have the edge, squared, as a share of a clear edge."""

NEIGHBOURS_MM = 9.0
"""Stretch of cord whose sections vote on that."""

HARMONICS = 6
"""Waves around the outline that are kept: the cord is a rounded shape with shallow grooves."""

ROUNDS = 3
"""Each starts from the middle of the outline that the last one found."""


def outline_cord(
    image: nib.Nifti1Image, path_mm: NDArray[np.float64], *, bright: bool
) -> tuple[Sections, NDArray[np.float64], NDArray[np.float32]]:
    """Outline the cord around a path through it.

    Brightness is sampled in polar coordinates in each section, and the closed line of steepest edges is found by
    dynamic programming (Timp & Karssemeijer 2004), in three rounds, each with a better centre and with the neighbouring
    sections in mind; the edge is then placed in the middle of the slope to a fraction of a sample.

    Parameters
    ----------
    image
        Axes right, anterior, superior.
    path_mm
        (n, 3) one point for each axial slice, roughly in the middle of the cord.
    bright
        Whether the cord is brighter than the fluid.

    Returns
    -------
    sections
        The n planes.
    radii_mm
        (n, ANGLES) distance of the edge from the centre of the plane.
    profiles
        (n, ANGLES, samples) brightness from the centres outward, rising across the edge.
    """
    coefficients = ndimage.spline_filter(np.asarray(image.dataobj, dtype=np.float32), 3, np.float32)
    sections = cut_sections(smooth_line(path_mm), image.affine)
    expected: NDArray[np.float64] | None = None
    for _ in range(ROUNDS):
        profiles = sample_profiles(coefficients, image.affine, sections) * (-1.0 if bright else 1.0)
        radii = place_edges(profiles, _search_edges(profiles, sections.spacing_mm, expected), sections.spacing_mm)
        middle = _centroids(radii)
        centers = sections.centers_mm + middle[:, :1] * sections.right + middle[:, 1:] * sections.front
        sections = cut_sections(smooth_line(_at_heights(centers, path_mm[:, 2])), image.affine)
        expected = _voted(radii, sections.spacing_mm)
    profiles = sample_profiles(coefficients, image.affine, sections) * (-1.0 if bright else 1.0)
    found = _search_edges(profiles, sections.spacing_mm, expected)
    return sections, place_edges(profiles, found, sections.spacing_mm), profiles


def sample_profiles(
    coefficients: NDArray[np.float32], affine: NDArray[np.float64], sections: Sections
) -> NDArray[np.float32]:
    """Sample an image in polar coordinates around the centre of each section.

    Parameters
    ----------
    coefficients
        (x, y, z) cubic B-spline coefficients of the image.
    affine
        Of the image.
    sections
        The n planes.

    Returns
    -------
    numpy.ndarray
        (n, ANGLES, samples), float32; samples are ``STEP_MM`` apart, the first at the centre.
    """
    rays = directions(ANGLES)
    reach = np.arange(0.0, REACH_MM, STEP_MM)
    across = rays[:, :1] * sections.right[:, None] + rays[:, 1:] * sections.front[:, None]
    points = sections.centers_mm[:, None, None] + reach[:, None] * across[:, :, None]
    voxels = nib.affines.apply_affine(np.linalg.inv(affine), points.reshape(-1, 3)).T.astype(np.float32)
    return sample_cubic(coefficients, np.ascontiguousarray(voxels)).reshape(points.shape[:3])


def place_edges(
    profiles: NDArray[np.float32], found: NDArray[np.int64], spacing_mm: float, reach: int = 3
) -> NDArray[np.float64]:
    """Place the edge in the middle of the steep stretch around its steepest point, and round the outline off.

    Between voxels brightness rises in steps, so that the steepest point jumps; the middle of the stretch does not.

    Parameters
    ----------
    profiles
        (n, ANGLES, samples) brightness, rising outward across the edge.
    found
        (n, ANGLES) sample near which the edge lies.
    spacing_mm
        Distance from one section to the next.
    reach
        Samples by which its steepest point may lie away.

    Returns
    -------
    numpy.ndarray
        (n, ANGLES) radius, mm.
    """
    steep = _steepness(profiles, spacing_mm, PLACE_SIGMA_MM)
    near = np.clip(found[..., None] + np.arange(-reach, reach + 1), 1, profiles.shape[2] - 2)
    best = np.take_along_axis(near, np.take_along_axis(steep, near, 2).argmax(2)[..., None], 2)
    half = round(STRETCH_MM / STEP_MM)
    stretch = np.clip(best + np.arange(-half, half + 1), 0, profiles.shape[2] - 1)
    floor = STEEP_SHARE * np.take_along_axis(steep, best, 2)
    weights = np.maximum(np.take_along_axis(steep, stretch, 2) - floor, 1e-9)
    return round_off((weights * stretch).sum(axis=2) / weights.sum(axis=2) * STEP_MM)


def round_off(radii_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep the low harmonics of outlines (n, ANGLES)."""
    waves = np.fft.rfft(radii_mm, axis=1)
    waves[:, HARMONICS + 1 :] = 0.0
    return np.asarray(np.fft.irfft(waves, radii_mm.shape[1], axis=1))


def _steepness(profiles: NDArray[np.float32], spacing_mm: float, sigma_mm: float) -> NDArray[np.float32]:
    """Gradient outward, smoothed along the cord, around it and along the direction."""
    smooth = profiles
    if spacing_mm < ALONG_SIGMA_MM:
        smooth = ndimage.gaussian_filter1d(smooth, ALONG_SIGMA_MM / spacing_mm, axis=0, mode="nearest")
    steep = ndimage.gaussian_filter1d(smooth, sigma_mm / STEP_MM, axis=2, order=1, mode="nearest") / STEP_MM
    return np.asarray(ndimage.gaussian_filter1d(steep, 1.0, axis=1, mode="wrap"))


def _search_edges(
    profiles: NDArray[np.float32], spacing_mm: float, expected: NDArray[np.float64] | None
) -> NDArray[np.int64]:
    """Find the sample (n, ANGLES) of the edge in every direction."""
    steep = _steepness(profiles, spacing_mm, SEARCH_SIGMA_MM)
    clear = np.percentile(steep.max(axis=2), 75, axis=1)[:, None, None]
    edges = np.clip(steep / np.maximum(clear, 1e-12), 0.0, 1.0)
    behind = round(BEHIND_MM / STEP_MM)
    first = np.maximum.accumulate(edges, axis=2)
    cost = -edges
    cost[..., behind:] += BEHIND_COST * first[..., :-behind]
    radii = np.arange(profiles.shape[2]) * STEP_MM
    if expected is not None:
        cost += NEIGHBOUR_COST * np.minimum((radii - expected[..., None]) ** 2, 4.0)
    cost[..., (radii < LEAST_RADIUS_MM) | (radii > MOST_RADIUS_MM)] = 5.0
    return _closed_path(cost)


def _closed_path(cost: NDArray[np.float32], reach: int = 2) -> NDArray[np.int64]:
    """Return the cheapest closed line (n, angles) through (n, angles, samples); the ends meet by going round twice."""
    count, angles, samples = cost.shape
    steps = np.arange(-reach, reach + 1)
    cameby = np.zeros((2 * angles, count, samples), dtype=np.int8)
    total = cost[:, 0].copy()
    for turn in range(1, 2 * angles):
        padded = np.pad(total, ((0, 0), (reach, reach)), constant_values=np.inf)
        moves = np.stack([padded[:, reach + step :][:, :samples] + BEND_COST * step * step for step in steps])
        cameby[turn] = moves.argmin(axis=0)
        total = np.take_along_axis(moves, cameby[turn][None].astype(np.int64), 0)[0] + cost[:, turn % angles]
    here, every = total.argmin(axis=1), np.arange(count)
    path = np.zeros((count, angles), dtype=np.int64)
    for turn in range(2 * angles - 1, 0, -1):
        if angles // 2 <= turn < angles + angles // 2:
            path[:, turn % angles] = here
        here = np.clip(here + steps[cameby[turn][every, here]], 0, samples - 1)
    return path


def _centroids(radii_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middle (n, 2) of each outline, mm in its plane."""
    points = radii_mm[..., None] * directions(radii_mm.shape[1])
    following = np.roll(points, -1, axis=1)
    cross = points[..., 0] * following[..., 1] - following[..., 0] * points[..., 1]
    return np.asarray(((points + following) * cross[..., None]).sum(axis=1) / (3.0 * cross.sum(axis=1))[:, None])


def _voted(radii_mm: NDArray[np.float64], spacing_mm: float) -> NDArray[np.float64]:
    """Median of each direction over the neighbouring sections."""
    size = 2 * max(1, round(NEIGHBOURS_MM / 2 / spacing_mm)) + 1
    around = np.pad(radii_mm, ((0, 0), (1, 1)), mode="wrap")
    return np.asarray(ndimage.median_filter(around, size=(size, 3), mode="nearest")[:, 1:-1])


def _at_heights(points_mm: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points of a line (n, 3) at given heights (m,)."""
    order = np.argsort(points_mm[:, 2])
    sorted_points = points_mm[order]
    columns = [np.interp(heights, sorted_points[:, 2], sorted_points[:, axis]) for axis in (0, 1)]
    return np.stack([*columns, heights], axis=1)
