# SPDX-License-Identifier: Apache-2.0
"""Outlines and voxels: which share of each voxel is cord, and how far voxels have moved an outline."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.cord.centerline import locate
from bids_msvol.cord.outline import STEP_MM, place_edges, round_off, sample_profiles
from bids_msvol.cord.sections import Sections, radius_at

SAMPLE_MM = 0.4
"""Largest distance between the points of a voxel that are tried."""

MARGIN_MM = 12.0
"""Distance from the centreline within which voxels are looked at."""

ROUNDS = 3
"""Corrections: after these the mean area changes by less than 0.5 %, and more would fit the noise."""


def cord_shares(
    sections: Sections, radii_mm: NDArray[np.float64], shape: tuple[int, int, int], affine: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the share of every voxel that lies within the outlines.

    Parameters
    ----------
    sections, radii_mm
        The n planes and the outlines (n, ANGLES); half a step beyond the ends the cord ends.
    shape, affine
        Grid, axes right, anterior, superior.

    Returns
    -------
    numpy.ndarray
        (x, y, z) float32, 0 to 1.
    """
    sizes = nib.affines.voxel_sizes(affine)
    voxels = _near(sections, shape, affine)
    depth, position = _depth(nib.affines.apply_affine(affine, voxels), sections, radii_mm)
    # Only voxels that the outline crosses have to be divided.
    half = np.linalg.norm(sizes) / 2
    shares = (depth > 0).astype(np.float32)
    crossed = np.abs(depth) < half
    parts = np.maximum(np.ceil(sizes / SAMPLE_MM), 1).astype(int)
    inside = np.zeros(int(crossed.sum()), dtype=np.float32)
    for offset in np.ndindex(*(int(count) for count in parts)):
        moved = voxels[crossed] + (np.asarray(offset) + 0.5) / parts - 0.5
        inside += _depth(nib.affines.apply_affine(affine, moved), sections, radii_mm)[0] > 0
    shares[crossed] = inside / parts.prod()
    shares[(position < -0.5) | (position > len(radii_mm) - 0.5)] = 0.0
    result = np.zeros(shape, dtype=np.float32)
    result[tuple(voxels.T)] = shares
    return result


def undo_blur(
    sections: Sections, radii_mm: NDArray[np.float64], shape: tuple[int, int, int], affine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Correct outlines for what voxels do to them.

    The edge of a small round thing, once averaged over voxels, is steepest nearer to its middle than it was (further
    out for thick oblique slices). So the cord within the outline is drawn on the voxels and outlined in the same way;
    by what the result differs from the outline that was found, the outline drawn was wrong.

    Parameters
    ----------
    sections, radii_mm, shape, affine
        As for `cord_shares`; ``radii_mm`` as found on an image of that grid.
    """
    lengthened = _lengthened(sections)
    low, high = _box(sections, shape, affine)
    origin = affine @ nib.affines.from_matvec(np.eye(3), low)
    box = (int(high[0] - low[0]), int(high[1] - low[1]), int(high[2] - low[2]))
    found = np.clip(np.rint(radii_mm / STEP_MM), 0, None).astype(np.int64)
    corrected = radii_mm
    for _ in range(ROUNDS):
        drawn = cord_shares(lengthened, _repeat_ends(corrected), box, origin)
        coefficients = ndimage.spline_filter(-drawn, 3, np.float32)
        seen = place_edges(sample_profiles(coefficients, origin, sections), found, sections.spacing_mm)
        corrected = round_off(corrected + radii_mm - seen)
    return corrected


def _lengthened(sections: Sections) -> Sections:
    """Add a plane far beyond each end: the cord goes on where the image ends."""
    centers = sections.centers_mm
    below = centers[0] - MARGIN_MM * sections.along[0]
    above = centers[-1] + MARGIN_MM * sections.along[-1]
    return Sections(
        np.concatenate([below[None], centers, above[None]]),
        _repeat_ends(sections.along),
        _repeat_ends(sections.right),
        _repeat_ends(sections.front),
    )


def _repeat_ends(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([values[:1], values, values[-1:]])


def _near(sections: Sections, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> NDArray[np.int64]:
    """Voxels (n, 3) near the centreline."""
    low, high = _box(sections, shape, affine)
    axes = [np.arange(first, last) for first, last in zip(low, high, strict=True)]
    voxels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = nib.affines.apply_affine(affine, voxels)
    order = np.argsort(sections.centers_mm[:, 2])
    line = sections.centers_mm[order]
    away = np.hypot(*(points[:, axis] - np.interp(points[:, 2], line[:, 2], line[:, axis]) for axis in (0, 1)))
    return np.asarray(voxels[away < MARGIN_MM + 2.0])


def _box(
    sections: Sections, shape: tuple[int, int, int], affine: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First voxel and the one beyond the last of the box around the cord, within the grid."""
    sizes = nib.affines.voxel_sizes(affine)
    line = nib.affines.apply_affine(np.linalg.inv(affine), sections.centers_mm)
    low = np.clip(np.floor(line.min(axis=0) - MARGIN_MM / sizes), 0, shape).astype(np.int64)
    high = np.clip(np.ceil(line.max(axis=0) + MARGIN_MM / sizes) + 1, 0, shape).astype(np.int64)
    return low, high


def _depth(
    points_mm: NDArray[np.float64], sections: Sections, radii_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far within the outline points (n, 3) lie, in mm in their plane, and the fractional number of that plane."""
    position, right, front = locate(points_mm, sections)
    return radius_at(radii_mm, position, right, front) - np.hypot(right, front), position
