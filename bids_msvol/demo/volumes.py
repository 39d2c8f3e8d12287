# SPDX-License-Identifier: Apache-2.0
"""True volumes: how much room the anatomy's voxels take up after a deformation."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.labels import INTRACRANIAL
from bids_msvol.imaging.grids import world_points
from bids_msvol.imaging.registration import sample_field

TRACING_ROUNDS = 3
"""Fixed-point iterations that invert the displacement at the corners."""


def voxel_volumes(
    labels: nib.Nifti1Image, to_atlas: nib.Nifti1Image, to_person: nib.Nifti1Image | None = None
) -> NDArray[np.float32]:
    """Volume in mm3 that each intracranial voxel of the atlas takes up in the person; zero elsewhere.

    The corners of the voxels are traced back through the very map by which the images are drawn.

    Parameters
    ----------
    labels
        Class of every voxel.
    to_atlas
        Displacement (x, y, z, 3) in mm from points of the person to the atlas.
    to_person
        About its inverse, where the tracing starts; by default it starts from no displacement.

    Returns
    -------
    numpy.ndarray
        float32, on the grid of ``labels``.
    """
    inside = np.isin(np.asarray(labels.dataobj), INTRACRANIAL)
    (box,) = ndimage.find_objects(inside.astype(np.int8))
    corners = np.zeros([length + 1 for length in inside[box].shape], dtype=bool)
    for shift in np.ndindex(2, 2, 2):
        part = tuple(slice(start, start + length) for start, length in zip(shift, inside[box].shape, strict=True))
        corners[part] |= inside[box]
    first = nib.affines.from_matvec(np.eye(3), [part.start - 0.5 for part in box])
    points = world_points(corners, labels.affine @ first)
    traced = points if to_person is None else points + sample_field(to_person, points)
    for _ in range(TRACING_ROUNDS):
        traced = points - sample_field(to_atlas, traced)
    positions = np.zeros((3, *corners.shape), dtype=np.float32)
    for axis in range(3):
        positions[axis][corners] = traced[:, axis]
    volumes = np.zeros(inside.shape, dtype=np.float32)
    volumes[box] = np.where(inside[box], _cell_volumes(positions), 0.0)
    return volumes


def _cell_volumes(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Volumes (x, y, z) of deformed cubes, given their corners (3, x + 1, y + 1, z + 1)."""
    (a, b, c), (d, e, f), (g, h, i) = ([_mean_edge(part, axis) for part in corners] for axis in range(3))
    return np.asarray(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g), dtype=np.float32)


def _mean_edge(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Difference along an axis, averaged over the four parallel edges of each cube."""
    edge = np.diff(values, axis=axis)
    for other in {0, 1, 2} - {axis}:
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[other], high[other] = slice(None, -1), slice(1, None)
        edge = (edge[tuple(low)] + edge[tuple(high)]) * np.float32(0.5)
    return edge
