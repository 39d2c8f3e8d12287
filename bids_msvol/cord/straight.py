# SPDX-License-Identifier: Apache-2.0
"""The cord drawn straight: an image whose slices lie across the cord, and the outline in it."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.cord.measure import OutlinedCord
from bids_msvol.cord.sections import Sections, downward_arc_mm, radius_at

IN_PLANE_MM, STEP_MM = 0.5, 1.0
"""Pixels across the cord, and steps along it."""

HALF_WIDTH_MM, HALF_DEPTH_MM = 16.0, 20.0
"""What is shown to either side, and to back and front."""


def straighten_cord(cord: OutlinedCord) -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    """Resample the surroundings of a cord along its centreline.

    Parameters
    ----------
    cord
        The cord; what lies well within the image is shown.

    Returns
    -------
    image
        float32; first axis to the right, second to the front, third upward along the cord, which is in the middle. The
        third world coordinate is minus the downward position along the centreline, in mm.
    mask
        uint8, 1 within the outline where it is believed.
    """
    sections = cord.sections
    arc = downward_arc_mm(sections)[::-1]
    order = np.arange(len(arc))[::-1]
    shown = np.flatnonzero(cord.seen[::-1])
    positions = np.arange(arc[shown[0]], arc[shown[-1]], STEP_MM)[::-1]
    index = np.interp(positions, arc, order)
    x = np.arange(-HALF_WIDTH_MM, HALF_WIDTH_MM + IN_PLANE_MM / 2, IN_PLANE_MM)
    y = np.arange(-HALF_DEPTH_MM, HALF_DEPTH_MM + IN_PLANE_MM / 2, IN_PLANE_MM)
    centers, right, front = (
        _between(vectors, index) for vectors in (sections.centers_mm, sections.right, sections.front)
    )
    points = (
        centers[None, None] + x[:, None, None, None] * right[None, None] + y[None, :, None, None] * front[None, None]
    )
    voxels = nib.affines.apply_affine(np.linalg.inv(cord.image.affine), points)
    data = np.asarray(cord.image.dataobj, dtype=np.float32)
    straight = ndimage.map_coordinates(data, np.moveaxis(voxels, -1, 0), order=1, mode="constant")
    affine = np.diag([IN_PLANE_MM, IN_PLANE_MM, STEP_MM, 1.0])
    affine[:3, 3] = x[0], y[0], -positions[0]
    side, depth, plane = np.meshgrid(x, y, index, indexing="ij")
    believed = cord.trusted[np.rint(index).astype(int)]
    mask = (np.hypot(side, depth) < radius_at(cord.radii_mm, plane, side, depth)) & believed
    return nib.Nifti1Image(straight.astype(np.float32), affine), nib.Nifti1Image(mask.astype(np.uint8), affine)


def straighten_plane(image: nib.Nifti1Image, sections: Sections) -> NDArray[np.float32]:
    """Resample the plane from back to front through the middle of the cord.

    Parameters
    ----------
    image
        Axes right, anterior, superior.
    sections
        The n planes across the cord.

    Returns
    -------
    numpy.ndarray
        (n, width) float32, from back to front ``IN_PLANE_MM`` apart, the cord in the middle; NaN outside the image.
    """
    offsets = np.arange(-HALF_DEPTH_MM, HALF_DEPTH_MM + IN_PLANE_MM / 2, IN_PLANE_MM)
    points = sections.centers_mm[:, None] + offsets[:, None] * sections.front[:, None]
    voxels = np.moveaxis(nib.affines.apply_affine(np.linalg.inv(image.affine), points), -1, 0)
    data = np.asarray(image.dataobj, dtype=np.float32)
    plane = np.asarray(ndimage.map_coordinates(data, voxels, order=1, mode="nearest"))
    last = np.asarray(image.shape)[:, None, None] - 0.5
    plane[((voxels < -0.5) | (voxels > last)).any(axis=0)] = np.nan
    return plane


def _between(vectors: NDArray[np.float64], index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate vectors (n, 3) at fractional rows."""
    rows = np.arange(len(vectors))
    return np.stack([np.interp(index, rows, vectors[:, axis]) for axis in range(3)], axis=1)
