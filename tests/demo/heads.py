# SPDX-License-Identifier: Apache-2.0
"""A small made-up head atlas: nested balls with a soft border, left and right, on a 4 mm grid."""

from __future__ import annotations

from functools import cache

import nibabel as nib
import numpy as np

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import (
    AIR,
    BRAIN_STEM,
    CLASSES,
    CORD,
    CORTICAL_BONE,
    CSF,
    MIRROR,
    SOFT_TISSUE,
    SPINAL_FLUID,
)

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

STEM_RADIUS_MM, CANAL_RADIUS_MM, STEM_END_MM = 7.0, 18.0, -72.0
"""Radius of the brainstem and of the fluid around it, and the height at which it becomes cord."""


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


@cache
def atlas_with_stem() -> HeadAtlas:
    """Return the made-up atlas with a leaning brainstem, cord below it and fluid around, down to its lower end."""
    ball = made_up_atlas()
    maps = {number: values.astype(np.float64) for number, values in zip(ball.classes, ball.maps, strict=True)}
    points = nib.affines.apply_affine(ball.affine, np.moveaxis(np.indices(ball.maps.shape[1:]), 0, -1))
    from_axis = np.hypot(points[..., 0], points[..., 1] + 38.0 - 0.3 * (points[..., 2] + 50.0))
    low = points[..., 2] < -20.0
    stem = low * 255.0 / (1.0 + np.exp((from_axis - STEM_RADIUS_MM) * 2.0))
    canal = low * 255.0 / (1.0 + np.exp((from_axis - CANAL_RADIUS_MM) * 2.0))
    around = low * 255.0 / (1.0 + np.exp((from_axis - CANAL_RADIUS_MM - 25.0) * 2.0))
    ended = points[..., 2] < STEM_END_MM
    for number in maps:
        maps[number] *= 1.0 - np.maximum(canal, around * (points[..., 2] < -70.0)) / 255.0
    maps[SOFT_TISSUE] += np.maximum(around - canal, 0.0) * (points[..., 2] < -70.0)
    maps[BRAIN_STEM] += np.where(ended, 0.0, stem)
    maps[CORD] += np.where(ended, stem, 0.0)
    maps[CSF] += np.where(ended, 0.0, canal - stem)
    maps[SPINAL_FLUID] += np.where(ended, canal - stem, 0.0)
    stacked = np.stack([np.round(maps[number]) for number in ball.classes]).astype(np.uint8)
    return HeadAtlas(ball.classes, stacked, ball.affine)


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
