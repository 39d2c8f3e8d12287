# SPDX-License-Identifier: Apache-2.0
"""A head the size of an apple with every tissue of the model: small enough to be segmented in seconds."""

from __future__ import annotations

from functools import cache

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import CLASSES, CORTICAL_BONE, CSF, MIRROR, SOFT_TISSUE, VEINS_AND_DURA

SHAPE = (80, 88, 88)
AFFINE = nib.affines.from_matvec(np.eye(3), [-(length - 1) / 2 for length in SHAPE])

BLUR_MM = 1.2

PAIRED: tuple[tuple[int, tuple[float, float, float], tuple[float, float, float]], ...] = (
    (4, (4.0, 2.0, 9.0), (2.5, 9.0, 3.5)),
    (11, (9.0, 10.0, 9.0), (3.2, 5.0, 3.5)),
    (10, (6.5, -8.0, 4.0), (4.0, 5.0, 4.0)),
    (13, (10.0, 1.0, 1.0), (2.6, 4.0, 3.0)),
    (12, (15.5, 2.0, 1.0), (2.8, 6.5, 4.5)),
    (17, (14.0, -10.0, -5.0), (3.0, 6.5, 3.0)),
)
"""Left structures: number, distance from the middle and place, radii, in mm."""


@cache
def toy_labels() -> nib.Nifti1Image:
    """Return the label map."""
    x, y, z = np.moveaxis(nib.affines.apply_affine(AFFINE, np.moveaxis(np.indices(SHAPE), 0, -1)), -1, 0)

    def ellipsoid(center: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        return sum(((a - c) / r) ** 2 for a, c, r in zip((x, y, z), center, radii, strict=True)) < 1

    labels = np.zeros(SHAPE, dtype=np.int16)
    cerebrum, white = ellipsoid((0, 2, 6), (26, 31, 22)), ellipsoid((0, 2, 6), (22, 27, 18))
    cerebellum = ellipsoid((-9, -17, -16), (9, 9, 8)) | ellipsoid((9, -17, -16), (9, 9, 8))
    stem = ellipsoid((0, -7, -17), (5, 5, 11))
    brain = cerebrum | cerebellum | stem
    cavity, inner, outer, skin = (ndimage.binary_dilation(brain, iterations=n) for n in (4, 6, 8, 11))
    labels[skin], labels[outer], labels[inner], labels[cavity] = SOFT_TISSUE, CORTICAL_BONE, VEINS_AND_DURA, CSF
    labels[cerebellum], labels[ndimage.binary_erosion(cerebellum, iterations=3)] = 8, 7
    labels[cerebrum], labels[white] = 3, 2
    labels[stem] = 16
    for number, (cx, cy, cz), radii in PAIRED:
        labels[ellipsoid((-cx, cy, cz), radii) | ellipsoid((cx, cy, cz), radii)] = number
    for left in (2, 3, 7, 8, *(number for number, _, _ in PAIRED)):
        labels[(labels == left) & (x > 0)] = MIRROR[left]
    return nib.Nifti1Image(labels, AFFINE)


@cache
def toy_atlas() -> HeadAtlas:
    """Return an atlas that knows the head up to a blur."""
    data = np.asarray(toy_labels().dataobj)
    blurred = np.stack([ndimage.gaussian_filter((data == number).astype(np.float32), BLUR_MM) for number in CLASSES])
    return HeadAtlas(CLASSES, np.round(255.0 * blurred / blurred.sum(axis=0)).astype(np.uint8), AFFINE)
