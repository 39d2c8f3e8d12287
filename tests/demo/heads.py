# SPDX-License-Identifier: Apache-2.0
"""A small made-up head atlas: nested balls with a soft border, left and right, on a 4 mm grid."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import AIR, CLASSES, CORTICAL_BONE, CSF, MIRROR, SOFT_TISSUE

VOXEL_SIZE_MM = 4.0
SHAPE = (45, 45, 45)
RADII_MM = (
    (10, 8.0, 14.0),
    (4, 10.0, 4.0),
    (2, 48.0, 0.0),
    (3, 62.0, 0.0),
    (CSF, 70.0, 0.0),
    (CORTICAL_BONE, 75.0, 0.0),
)
"""Class, radius, and distance of its centre from the midline, innermost first; the rest is soft tissue, then air."""


def made_up_atlas(softness_mm: float = 4.0) -> HeadAtlas:
    """Return the atlas: thalami and lateral ventricles in white matter, cortex, fluid, bone and soft tissue around."""
    affine = nib.affines.from_matvec(np.eye(3) * VOXEL_SIZE_MM, -VOXEL_SIZE_MM * (np.asarray(SHAPE) - 1) / 2.0)
    points = nib.affines.apply_affine(affine, np.moveaxis(np.indices(SHAPE), 0, -1))
    left = points[..., 0] <= 0
    centre_height = {10: -10.0, 4: 12.0}
    maps = {number: np.zeros(SHAPE) for number in CLASSES}
    rest = np.ones(SHAPE)
    for number, radius, aside in RADII_MM:
        centre = np.stack(
            [np.where(left, -aside, aside), np.zeros(SHAPE), np.full(SHAPE, centre_height.get(number, 0.0))]
        )
        distance = np.linalg.norm(points - np.moveaxis(centre, 0, -1), axis=-1)
        inside = 1.0 / (1.0 + np.exp((distance - radius) * 4.0 / softness_mm))
        share = rest * inside
        rest = rest - share
        maps[number] += np.where(left, share, 0.0) if number in MIRROR else share
        if number in MIRROR:
            maps[MIRROR[number]] += np.where(left, 0.0, share)
    skin = 1.0 / (1.0 + np.exp((np.linalg.norm(points, axis=-1) - 82.0) * 4.0 / softness_mm))
    maps[SOFT_TISSUE] += rest * skin
    maps[AIR] += rest * (1.0 - skin)
    stacked = np.stack([np.round(255.0 * maps[number]) for number in CLASSES]).astype(np.uint8)
    return HeadAtlas(CLASSES, stacked, affine)


def ball_head(voxel_size_mm: float = 2.0) -> nib.Nifti1Image:
    """Return a label map of the same head without chance, at a finer voxel size."""
    length = int(180.0 / voxel_size_mm) + 1
    affine = nib.affines.from_matvec(np.eye(3) * voxel_size_mm, np.full(3, -voxel_size_mm * (length - 1) / 2.0))
    points = nib.affines.apply_affine(affine, np.moveaxis(np.indices((length,) * 3), 0, -1))
    left = points[..., 0] <= 0
    labels = np.where(np.linalg.norm(points, axis=-1) <= 82.0, SOFT_TISSUE, AIR)
    for number, radius, aside in reversed(RADII_MM):
        height = {10: -10.0, 4: 12.0}.get(number, 0.0)
        centre = np.stack([np.where(left, -aside, aside), np.zeros(left.shape), np.full(left.shape, height)], axis=-1)
        inside = np.linalg.norm(points - centre, axis=-1) <= radius
        labels[inside] = np.where(left, number, MIRROR.get(number, number))[inside]
    return nib.Nifti1Image(labels.astype(np.int16), affine)
