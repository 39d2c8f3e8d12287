# SPDX-License-Identifier: Apache-2.0
"""Slices of a head as a radiologist looks at them: orientation, crop and position, on arrays.

Axial and coronal slices follow the radiological convention (the right of the person is on the left of the picture);
sagittal slices look to the left. An oblique scan is shown along its own axes, the nearest to the anatomical ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import nibabel as nib
    from numpy.typing import NDArray

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""First and one past the last voxel along each of the three axes."""

HEAD_FRACTION_OF_BRAIN = 0.2
"""A voxel brighter than this fraction of the median brain intensity belongs to the head."""
MIN_HEAD_VOXELS = 20
"""A plane with fewer bright voxels lies outside the head: noise alone reaches a few."""
BRAIN_MARGIN_MM = 28.0
"""How much of the head is shown around the brain, in mm; keeps the neck and the face out of the way."""
WHITE_HEADROOM = 1.2
"""The brightest brain is shown darker than white by this factor, so that nothing in white matter is cut off."""
EDGE_FRACTION = 0.04
"""The outermost part of the brain, on each side, that no slice shows."""


@dataclass(frozen=True)
class Plane:
    """One of the three anatomical planes.

    Attributes
    ----------
    name
        ``axial``, ``coronal`` or ``sagittal``.
    axis
        Array axis across the plane, in an image stored right-anterior-superior.
    left_mark, right_mark
        What lies on the left and on the right of the picture: ``R``, ``L``, ``A`` or ``P``.
    coordinate
        Name of the world coordinate across the plane.
    """

    name: str
    axis: int
    left_mark: str
    right_mark: str
    coordinate: str


AXIAL = Plane("axial", 2, "R", "L", "z")
CORONAL = Plane("coronal", 1, "R", "L", "y")
SAGITTAL = Plane("sagittal", 0, "A", "P", "x")


@dataclass(frozen=True, eq=False)
class Volume:
    """A three-dimensional array stored right-anterior-superior.

    Attributes
    ----------
    data
        Array of shape ``(i, j, k)``; the indices grow to the right, to the front and to the top.
    affine
        4 x 4 matrix from indices to world coordinates in mm.
    spacing
        Voxel size along the three axes, mm.
    """

    data: NDArray[Any]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]


def load_canonical(image: nib.Nifti1Image, dtype: type[np.generic]) -> Volume:
    """Return an image as a right-anterior-superior volume.

    Parameters
    ----------
    image
        Three-dimensional image in any orientation.
    dtype
        Type of the array returned: ``np.float32`` for intensities, an integer type for labels.
    """
    import nibabel as nib

    canonical = nib.as_closest_canonical(image)
    data = np.nan_to_num(np.asanyarray(canonical.dataobj)).astype(dtype)
    affine = np.asarray(canonical.affine, dtype=np.float64)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return Volume(data, affine, (float(spacing[0]), float(spacing[1]), float(spacing[2])))


def find_box(inside: NDArray[np.bool_], *, min_voxels: int = 1) -> Box | None:
    """Return the box around the planes that hold at least ``min_voxels`` true voxels, or ``None`` if there is none."""
    spans = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        planes = np.flatnonzero(inside.sum(axis=others) >= min_voxels)
        if planes.size == 0:
            return None
        spans.append((int(planes[0]), int(planes[-1]) + 1))
    return spans[0], spans[1], spans[2]


def grow_box(box: Box, margin_mm: float, volume: Volume) -> Box:
    """Return ``box`` with a margin on all sides, kept inside the volume."""
    spans = []
    for (first, last), size, spacing in zip(box, volume.data.shape, volume.spacing, strict=True):
        extra = round(margin_mm / spacing)
        spans.append((max(first - extra, 0), min(last + extra, size)))
    return spans[0], spans[1], spans[2]


def compute_head_box(t1w: Volume, brain_mask: Volume) -> Box:
    """Return the box that shows the head around the brain, without air and neck.

    Parameters
    ----------
    t1w
        T1-weighted intensities.
    brain_mask
        Nonzero inside the brain, on the same grid; may be empty.
    """
    everything = _whole(t1w)
    inside = brain_mask.data > 0
    bright = t1w.data[inside] if inside.any() else t1w.data[t1w.data > t1w.data.mean()]
    threshold = HEAD_FRACTION_OF_BRAIN * float(np.median(bright)) if bright.size else 0.0
    head = find_box(t1w.data > threshold, min_voxels=MIN_HEAD_VOXELS) or everything
    brain = find_box(inside)
    if brain is None:
        return head
    around = grow_box(brain, BRAIN_MARGIN_MM, t1w)
    spans = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(head, around, strict=True)]
    return spans[0], spans[1], spans[2]


def compute_window(t1w: Volume, brain_mask: Volume) -> tuple[float, float]:
    """Return the intensities shown as black and as white."""
    inside = t1w.data[brain_mask.data > 0]
    if inside.size == 0:
        inside = t1w.data[t1w.data > t1w.data.mean()]
    if inside.size == 0:
        return 0.0, 1.0
    low = min(0.0, float(np.percentile(inside, 0.5)))
    high = WHITE_HEADROOM * float(np.percentile(inside, 99.5))
    return low, high if high > low else low + 1.0


def spread_positions(box: Box, plane: Plane, count: int) -> tuple[int, ...]:
    """Return ``count`` slice numbers, or fewer in a thin box, evenly spread over ``box`` across ``plane``."""
    first, last = box[plane.axis]
    extent = last - 1 - first
    positions = np.linspace(first + EDGE_FRACTION * extent, last - 1 - EDGE_FRACTION * extent, count)
    return tuple(dict.fromkeys(int(position) for position in np.rint(positions)))


def take_slice(volume: Volume, plane: Plane, position: int, box: Box) -> NDArray[Any]:
    """Return one slice as rows from top to bottom, turned as its plane is looked at.

    Returns
    -------
    ndarray of shape (rows, columns)
        Axial: front on top, the right of the person on the left. Coronal: crown on top, the right of the person on the
        left. Sagittal: crown on top, face to the left.
    """
    ranges: list[slice | int] = [slice(*span) for span in box]
    ranges[plane.axis] = position
    # Both remaining axes grow away from the picture's top left corner once transposed, hence the two flips.
    return np.ascontiguousarray(volume.data[tuple(ranges)].T[::-1, ::-1])


def slice_size_mm(volume: Volume, plane: Plane, box: Box) -> tuple[float, float]:
    """Return height and width of the slices of ``box`` in mm."""
    across, down = (axis for axis in range(3) if axis != plane.axis)
    return (
        (box[down][1] - box[down][0]) * volume.spacing[down],
        (box[across][1] - box[across][0]) * volume.spacing[across],
    )


def world_coordinate_mm(volume: Volume, plane: Plane, position: int, box: Box) -> float:
    """Return the world coordinate, in mm, of the middle of a slice."""
    middle = [(first + last - 1) / 2 for first, last in box]
    middle[plane.axis] = position
    return float((volume.affine[:3, :3] @ np.array(middle) + volume.affine[:3, 3])[plane.axis])


def _whole(volume: Volume) -> Box:
    shape = volume.data.shape
    return (0, int(shape[0])), (0, int(shape[1])), (0, int(shape[2]))
