# SPDX-License-Identifier: Apache-2.0
"""The centreline of the cord, the planes across it, and where any point lies along it."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.cord.sections import Sections

SMOOTHNESS_MM = 10.0
"""Standard deviation of the weights of the local regression: the cord bends over several centimetres."""

THICK_SLICES = 2.0
"""Slices so many times thicker than their pixels are cut along, thinner ones across the cord."""

LOCATING_ROUNDS = 3
"""Newton steps that find the plane of a point: the cord is nearly straight over the distance that is left."""


def smooth_line(points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth a path by local quadratic regression on its height, which does not shorten its ends (Cleveland 1979).

    Parameters
    ----------
    points_mm
        (n, 3) one point for each slice, from the lowest to the highest.
    """
    heights = points_mm[:, 2]
    result = points_mm.copy()
    for number, height in enumerate(heights):
        weights = np.exp(-0.25 * ((heights - height) / SMOOTHNESS_MM) ** 2)
        terms = np.vander(heights - height, min(3, len(heights))) * weights[:, None]
        fitted, *_ = np.linalg.lstsq(terms, points_mm[:, :2] * weights[:, None], rcond=None)
        result[number, :2] = fitted[-1]
    return result


def cut_sections(line_mm: NDArray[np.float64], affine: NDArray[np.float64]) -> Sections:
    """Lay a plane across the cord at each point of a smooth line (n, 3), n at least 2.

    Parameters
    ----------
    line_mm
        From the lowest to the highest point, one for each axial slice.
    affine
        Of the image, axes right, anterior, superior.
    """
    along = np.gradient(line_mm, axis=0)
    along /= np.linalg.norm(along, axis=1)[:, None]
    sizes = nib.affines.voxel_sizes(affine)
    if sizes[2] > THICK_SLICES * max(sizes[:2]):
        right, front = (np.tile(affine[:3, axis] / sizes[axis], (len(line_mm), 1)) for axis in (0, 1))
    else:
        side = np.asarray([1.0, 0.0, 0.0])
        right = side - (along @ side)[:, None] * along
        right /= np.linalg.norm(right, axis=1)[:, None]
        front = np.cross(along, right)
    return Sections(line_mm, along, right, front)


def locate(
    points_mm: NDArray[np.float64], sections: Sections
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Say on which plane points lie, and where in it.

    Parameters
    ----------
    points_mm
        (n, 3) near the cord.
    sections
        The planes; between them planes are interpolated, and beyond the ends the cord goes on straight.

    Returns
    -------
    position
        (n,) fractional number of the plane.
    right_mm, front_mm
        (n,) coordinates in the plane, from the centreline.
    """
    centers = sections.centers_mm
    last = len(centers) - 1
    position = np.interp(points_mm[:, 2], centers[:, 2], np.arange(last + 1.0))
    offset = np.empty_like(points_mm)
    for _ in range(LOCATING_ROUNDS):
        index = np.clip(np.floor(position).astype(int), 0, last - 1)
        share = position - index
        step = centers[index + 1] - centers[index]
        offset = points_mm - (centers[index] + share[:, None] * step)
        nearest = np.clip(np.rint(position).astype(int), 0, last)
        normal = np.cross(sections.right[nearest], sections.front[nearest])
        move = (offset * normal).sum(axis=1) / (step * normal).sum(axis=1)
        position = position + move
        offset = offset - move[:, None] * step
    nearest = np.clip(np.rint(position).astype(int), 0, last)
    return (
        position,
        np.asarray((offset * sections.right[nearest]).sum(axis=1)),
        np.asarray((offset * sections.front[nearest]).sum(axis=1)),
    )
