# SPDX-License-Identifier: Apache-2.0
"""Measure a cord that somebody else outlined: a mask in, sections and their shape out."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.cord.sections import CordShape, Sections, across, shape_from_moments
from bids_msvol.imaging.grids import to_canonical

LEAST_SLICES = 3
"""Fewer slices show no direction of the cord that could be trusted."""

REACH_MM = 20.0
"""Half width of the local regression, half of whose weight lies within 6 mm. On made-up necks drawn voxel by voxel the
direction was off by 0.2 degrees inside and 0.6 at the ends; at 10 mm that was 0.3 and 1.2, at 30 mm 0.3 and 0.5."""

LEAST_POINTS = 5
"""Slices that a local parabola needs at least; with thick slices the reach grows until it has them."""

ROBUST_ROUNDS = 3
"""Fits of the line; before each but the first, slices far from the line lose weight (Cleveland 1979)."""

OUTLIER = 6.0
"""Distance from the line, in median distances, from which a slice has no weight (Cleveland 1979)."""

LEAST_SPREAD_MM = 0.1
"""Smallest median distance that is believed; masks drawn on voxels are no more exact."""

SPECK = 0.25
"""Parts of the mask with less volume than this share of a typical slice are slips of the pen."""

INCOMPLETE = 0.85
"""An end slice with less than this share of the area of its neighbours is cut by the end of the mask. In 70 sessions of
real necks fewer than one slice in a thousand was so much smaller than the centimetre beside it."""

NEIGHBOURS_MM = 10.0
LEAST_NEIGHBOURS = 3
"""The neighbours of an end slice: those that near, or the nearest three."""


@dataclass(frozen=True, eq=False)
class MeasuredMask:
    """What was measured on a mask of the cord.

    Attributes
    ----------
    sections
        One plane along each slice, n in all, from the lowest to the highest; its centre is the smoothed centreline.
    shape
        Size and shape of the mask in each of them, seen along the cord.
    slices
        (n,) number of each slice in the image, counted from the lowest, from 0.
    incomplete
        Numbers of the slices that were left out because the mask begins or ends within them.
    """

    sections: Sections
    shape: CordShape
    slices: NDArray[np.int64]
    incomplete: tuple[int, ...]


def measure_mask(mask: nib.Nifti1Image) -> MeasuredMask:
    """Measure the cord in each axial slice of a mask, as it looks along the cord.

    The area is the sum of the voxels times the area of a pixel and the cosine of the angle between the cord and the
    normal of the slice. The direction of the cord is that of a parabola fitted to the centroids around each slice by
    robust local regression (Cleveland 1979). It neither shortens the ends nor follows single voxels. The diameters come
    from the second moments, projected onto the plane across the cord.

    `sct_process_segmentation` of the Spinal Cord Toolbox corrects by the product of two cosines instead, of the angles
    that the cord makes in the coronal and in the sagittal plane. The two are the same if the cord leans in one of these
    planes only. If it leans in both, the product is too small: by 0.05 % at 10 degrees in both, by 3.2 % at 30 degrees
    in both, where the cosine is 0.775 and the product 0.750.

    Slices without mask are skipped, the centreline goes on through them. Slices where the mask begins or ends show only
    a part of the cord and are left out, and so are specks apart from the cord.

    Parameters
    ----------
    mask
        (x, y, z) 0 outside and 1 inside, or the share of each voxel that is cord, in any orientation. What is not a
        number counts as 0; values above 1, such as labels of vertebrae, count as 1.

    Returns
    -------
    MeasuredMask
        Areas in mm2, diameters in mm.

    Raises
    ------
    ValueError
        If the mask is empty or too short, or not three-dimensional.
    """
    if mask.ndim != 3:
        raise ValueError(f"the mask has {mask.ndim} dimensions, not 3")
    canonical = to_canonical(mask)
    shares, corner = _around_mask(np.clip(np.nan_to_num(np.asarray(canonical.dataobj), nan=0.0), 0.0, 1.0))
    shares = _without_specks(shares)
    affine = np.asarray(canonical.affine, dtype=np.float64)
    edges = nib.affines.voxel_sizes(affine)
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    pixel_mm2 = float(np.linalg.norm(normal))
    normal /= pixel_mm2
    thickness_mm = float(affine[:3, 2] @ normal)

    sums = shares.sum(axis=(0, 1))
    complete = _complete_slices(sums, thickness_mm)
    incomplete = np.setdiff1d(np.flatnonzero(sums), complete)
    centroids, covariance = _moments(shares[:, :, complete])
    points = nib.affines.apply_affine(affine, np.column_stack([centroids + corner, complete]))
    line, along = _smooth(points, np.asarray(complete * thickness_mm, dtype=np.float64))
    right = np.tile(affine[:3, 0] / edges[0], (len(complete), 1))
    sections = Sections(line, along, right, np.cross(normal, right))

    if ((shares > 0.0) & (shares < 1.0)).any():
        # Shares of voxels are the cord blurred by one voxel, whose own moments are taken off (Sheppard's correction).
        # Through the slice the cord moves sideways as it leans.
        covariance -= np.eye(2) / 12.0
        sideways = (along / (along @ normal)[:, None] - normal) * thickness_mm
        blur = sideways[:, :, None] * sideways[:, None, :] / 12.0
    else:
        blur = np.zeros((len(complete), 3, 3))
    spread = np.einsum("ai,nij,bj->nab", affine[:3, :2], covariance, affine[:3, :2]) - blur
    axes = np.stack(across(sections), axis=1)
    seen = np.einsum("nai,nij,nbj->nab", axes, spread, axes)
    area = sums[complete] * pixel_mm2 * (along @ normal)
    shape = shape_from_moments(area, seen[:, 0, 0], seen[:, 1, 1], seen[:, 0, 1])
    return MeasuredMask(sections, shape, complete, tuple(incomplete.tolist()))


def _around_mask(shares: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cut off rows and columns without mask; return the rest, all slices of it, and where it begins."""
    rows, columns = (np.flatnonzero(shares.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    if not len(rows):
        raise ValueError("the mask is empty")
    box = shares[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return box.astype(np.float64), np.asarray([rows[0], columns[0]])


def _without_specks(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Set parts to 0 that are far smaller than one slice of the cord."""
    parts, count = ndimage.label(shares > 0.0, structure=np.ones((3, 3, 3)))
    if count < 2:
        return shares
    volumes = ndimage.sum_labels(shares, parts, np.arange(1, count + 1))
    sums = shares.sum(axis=(0, 1))
    small = np.concatenate([[False], volumes < SPECK * np.median(sums[sums > 0.0])])
    return np.where(small[parts], 0.0, shares)


def _complete_slices(sums: NDArray[np.float64], thickness_mm: float) -> NDArray[np.int64]:
    """Return the slices that show the whole cord: those with mask, but for cut ones at its ends and at gaps.

    Parameters
    ----------
    sums
        (z,) of the mask in each slice.
    thickness_mm
        Distance from one slice to the next.
    """
    kept = np.flatnonzero(sums)
    while len(kept) > LEAST_SLICES:
        ends = kept[~(np.isin(kept - 1, kept) & np.isin(kept + 1, kept))]
        cut = [number for number in ends if sums[number] < INCOMPLETE * _nearby(sums, kept, number, thickness_mm)]
        # The thinnest go first, so that no more go than can be spared.
        cut = sorted(cut, key=lambda number: float(sums[number]))[: len(kept) - LEAST_SLICES]
        if not cut:
            break
        kept = np.setdiff1d(kept, cut)
    if len(kept) < LEAST_SLICES:
        raise ValueError(f"the mask covers {len(kept)} axial slices; at least {LEAST_SLICES} are needed")
    return kept


def _nearby(sums: NDArray[np.float64], kept: NDArray[np.int64], number: int, thickness_mm: float) -> float:
    """Return the typical sum of the slices around one of them."""
    others = kept[kept != number]
    distance = np.abs(others - number)
    reach = max(NEIGHBOURS_MM / thickness_mm, np.sort(distance)[min(LEAST_NEIGHBOURS, len(others)) - 1])
    return float(np.median(sums[others[distance <= reach]]))


def _moments(shares: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centroids (n, 2) and second central moments (n, 2, 2) of the n slices, in voxels."""
    sums = shares.sum(axis=(0, 1))
    grid = np.indices(shares.shape[:2], dtype=np.float64)
    centroids = np.einsum("axy,xyn->na", grid, shares) / sums[:, None]
    raw = np.einsum("axy,bxy,xyn->nab", grid, grid, shares, optimize=True) / sums[:, None, None]
    return centroids, raw - centroids[:, :, None] * centroids[:, None, :]


def _smooth(
    points_mm: NDArray[np.float64], heights_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smooth a path by robust local regression; return its points (n, 3) and unit directions (n, 3), upward.

    Parameters
    ----------
    points_mm
        (n, 3), n at least 3.
    heights_mm
        (n,) along the normal of the slices, increasing.
    """
    count = len(points_mm)
    degree = 2 if count >= LEAST_POINTS else 1
    away = np.abs(heights_mm[:, None] - heights_mm)
    enough = np.sort(away, axis=1)[:, min(LEAST_POINTS, count) - 1]
    # The farthest of them must not be at the very end of the reach, where the weight is 0.
    reach = np.maximum(REACH_MM, 1.5 * enough)[:, None]
    near = np.clip(1.0 - (away / reach) ** 3, 0.0, None) ** 3
    trust = np.ones(count)
    line, direction = points_mm, points_mm
    for _ in range(ROBUST_ROUNDS):
        fits = [
            _fit(points_mm, heights_mm - height, np.sqrt(weights * trust), degree)
            for height, weights in zip(heights_mm, near, strict=True)
        ]
        line, direction = (np.stack(part) for part in zip(*fits, strict=True))
        residual = np.linalg.norm(points_mm - line, axis=1)
        limit = OUTLIER * max(float(np.median(residual)), LEAST_SPREAD_MM)
        trust = np.clip(1.0 - (residual / limit) ** 2, 0.0, None) ** 2
    return line, direction / np.linalg.norm(direction, axis=1)[:, None]


def _fit(
    points_mm: NDArray[np.float64], offsets_mm: NDArray[np.float64], weights: NDArray[np.float64], degree: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a polynomial and return its value (3,) and its slope (3,) at offset 0."""
    terms = np.vander(offsets_mm, degree + 1, increasing=True) * weights[:, None]
    fitted, *_ = np.linalg.lstsq(terms, points_mm * weights[:, None], rcond=None)
    return fitted[0], fitted[1]
