# SPDX-License-Identifier: Apache-2.0
"""Image a synthetic person: from the anatomy and its deformation to a scan on a scanner's grid."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.labels import AIR, SOFT_TISSUE
from bids_msvol.demo.lesions import Lesion
from bids_msvol.demo.neck_drawing import draw_neck
from bids_msvol.demo.person import Person, Visit
from bids_msvol.demo.protocol import Sequence
from bids_msvol.demo.randomfields import smooth_noise
from bids_msvol.imaging.grids import NYQUIST_SIGMA
from bids_msvol.imaging.registration import TemplateTransform
from bids_msvol.synthesis import acquire_image, tissue_signal

FIELD_OF_VIEW_MM = (176.0, 240.0, 240.0)
"""Right-left, anterior-posterior and inferior-superior extent: the head, and the neck down to about the fourth
vertebra."""

AIR_ABOVE_MM = 10.0
"""Distance of the vertex from the upper end of the field of view."""

SKIN_DEPTH_MM, FAT_DEPTH_MM = 2.0, 6.0
"""Depths below the surface to which skin and subcutaneous fat reach."""

DEEP_FAT_LEVEL = 0.9
"""Soft tissue where a smooth field of standard deviation 1 exceeds this is fat between muscles."""

SOFT_TISSUE_SPREAD = 0.15
"""Standard deviation of the brightness of soft tissue, which is less even than the brain."""

DEEP_FAT_SIGMA_MM = 3.0

SCALE = 600.0
"""Stored value of normal white matter."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Where each voxel of a scan lies in the anatomy.

    Attributes
    ----------
    coordinates
        (3, x, y, z), in voxels of the anatomy's grid.
    affine
        Voxel to world of the scan.
    motion
        (4, 4) rigid motion of the head since the pose of the visit, mm.
    """

    coordinates: NDArray[np.float32]
    affine: NDArray[np.float64]
    motion: NDArray[np.float64]

    def to_person(self, person: Person, visit: Visit) -> NDArray[np.float64]:
        """Return the matrix (4, 4) from the world of the scan to the person's head before it was posed, mm."""
        return np.asarray(person.affine @ np.linalg.inv(self.motion @ visit.to_head.affine), dtype=np.float64)


def place_scan(
    labels: nib.Nifti1Image, to_head: TemplateTransform, resolution_mm: float, motion: NDArray[np.float64] | None = None
) -> Placement:
    """Lay the scanner's grid over a head.

    Parameters
    ----------
    labels
        The anatomy, in atlas space.
    to_head
        From atlas space to the head in the scanner.
    resolution_mm
        Edge of the voxels.
    motion
        (4, 4) rigid motion of the head since the grid was laid, mm.
    """
    grid, shape = _scanner_grid(labels, to_head, resolution_mm)
    return place_grid(labels, to_head, grid, shape, motion)


def place_grid(
    labels: nib.Nifti1Image,
    to_head: TemplateTransform,
    grid: NDArray[np.float64],
    shape: tuple[int, int, int],
    motion: NDArray[np.float64] | None = None,
) -> Placement:
    """Say where the voxels of any grid lie in the anatomy.

    Parameters
    ----------
    labels, to_head, motion
        As for `place_scan`.
    grid, shape
        Voxel to world, and number of voxels, of the scan.
    """
    moved = np.eye(4) if motion is None else motion
    to_atlas = np.linalg.inv(moved @ to_head.affine) @ grid
    to_voxels = np.linalg.inv(labels.affine) @ to_atlas
    coordinates = np.empty((3, *shape), dtype=np.float32)
    axes = [
        np.arange(length, dtype=np.float32).reshape([-1 if other == axis else 1 for other in range(3)])
        for axis, length in enumerate(shape)
    ]
    for row, values in zip(to_voxels[:3].astype(np.float32), coordinates, strict=True):
        values[...] = row[0] * axes[0] + row[1] * axes[1] + row[2] * axes[2] + row[3]
    if to_head.inverse is not None:
        vectors = np.asarray(to_head.inverse.dataobj, dtype=np.float32)
        matrix, offset = nib.affines.to_matvec(np.linalg.inv(to_head.inverse.affine) @ to_atlas)
        spacing = np.float32(nib.affines.voxel_sizes(labels.affine)[0])
        for axis, values in enumerate(coordinates):
            values += (
                ndimage.affine_transform(
                    vectors[..., axis], matrix, offset, shape, order=1, mode="nearest", output=np.float32
                )
                / spacing
            )
    return Placement(coordinates, grid, moved)


def draw_head(labels: nib.Nifti1Image, sequence: Sequence, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the brightness of a person's healthy head on the grid of the anatomy, texture included.

    The soft tissue, one class of the atlas, becomes skin, fat and muscle.
    """
    data = np.asarray(labels.dataobj)
    spacing = float(nib.affines.voxel_sizes(labels.affine)[0])
    signal = tissue_signal(data, sequence.acquisition, rng)
    soft = data == SOFT_TISSUE
    depth = ndimage.distance_transform_cdt(data != AIR, metric="taxicab").astype(np.float32) * np.float32(0.8 * spacing)
    mottle = smooth_noise(data.shape, spacing, DEEP_FAT_SIGMA_MM, rng)
    skin = soft & (depth <= SKIN_DEPTH_MM)
    fat = soft & ~skin & ((depth <= FAT_DEPTH_MM) | (mottle > DEEP_FAT_LEVEL))
    muscle = sequence.acquisition.brightness[SOFT_TISSUE]
    signal[skin] *= sequence.skin / muscle
    signal[fat] *= sequence.fat / muscle
    signal[soft] *= 1.0 + np.float32(SOFT_TISSUE_SPREAD) * mottle[soft]
    return signal


def scan(
    healthy: NDArray[np.float32],
    person: Person,
    visit: Visit,
    placement: Placement,
    sequence: Sequence,
    rng: np.random.Generator,
) -> nib.Nifti1Image:
    """Image a head at a visit.

    Parameters
    ----------
    healthy
        What `draw_head` drew.
    person, visit
        Whose head, and when.
    placement
        Where each voxel lies.
    sequence
        Contrast and quality.
    rng
        Source of chance for noise and brightness field.

    Returns
    -------
    nibabel.Nifti1Image
        float32, in the scanner's world coordinates.
    """
    signal = _with_lesions(healthy, person.lesions, visit.lesion_numbers, sequence)
    voxels = nib.affines.voxel_sizes(placement.affine) / nib.affines.voxel_sizes(person.labels.affine)
    if np.any(voxels > 1.0):
        sigma = NYQUIST_SIGMA * np.sqrt(np.maximum(voxels**2 - 1.0, 0.0))
        signal = ndimage.gaussian_filter(signal, sigma, truncate=3.0)
    sampled = ndimage.map_coordinates(signal, placement.coordinates, order=1, mode="nearest", output=np.float32)
    if visit.neck is not None:
        to_neck = placement.to_person(person, visit) @ placement.affine
        draw_neck(sampled, visit.neck, sequence, to_neck, person.labels, placement.coordinates)
    return acquire_image(nib.Nifti1Image(sampled, placement.affine), sequence.acquisition, rng, scale=SCALE)


def sample_labels(numbers: NDArray[np.int16], placement: Placement) -> nib.Nifti1Image:
    """Return the nearest label of the anatomy at each voxel of a scan, int16."""
    nearest = ndimage.map_coordinates(numbers, placement.coordinates, order=0, mode="nearest", output=np.int16)
    return nib.Nifti1Image(nearest, placement.affine)


def _with_lesions(
    healthy: NDArray[np.float32], lesions: tuple[Lesion, ...], numbers: NDArray[np.int16], sequence: Sequence
) -> NDArray[np.float32]:
    """Replace the white matter's signal by the lesions', whose texture is that of the white matter."""
    if not lesions:
        return healthy
    factors = np.ones(len(lesions) + 1, dtype=np.float32)
    for lesion in lesions:
        factors[lesion.number] = getattr(lesion, sequence.lesion)
    return healthy * factors[numbers]


def _scanner_grid(
    labels: nib.Nifti1Image, to_head: TemplateTransform, resolution_mm: float
) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Affine and shape of a grid along the scanner's axes that covers the head from the vertex down."""
    occupied = np.argwhere(np.asarray(labels.dataobj)[::4, ::4, ::4] != AIR) * 4
    points = nib.affines.apply_affine(labels.affine, occupied).astype(np.float32)
    points = to_head.template_to_subject(points)
    low, high = points.min(axis=0), points.max(axis=0)
    x, y, z = (round(extent / resolution_mm) for extent in FIELD_OF_VIEW_MM)
    middle = (low + high) / 2.0
    origin = middle - (np.asarray([x, y, z]) - 1) * resolution_mm / 2.0
    origin[2] = high[2] + AIR_ABOVE_MM - (z - 1) * resolution_mm
    # Whole tenths of a millimetre survive being written to a header.
    return nib.affines.from_matvec(np.eye(3) * resolution_mm, np.round(origin, 1)), (x, y, z)
