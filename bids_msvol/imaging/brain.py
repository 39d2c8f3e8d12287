# SPDX-License-Identifier: Apache-2.0
"""The brain as a whole: was the skull removed, which voxels are brain."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.grids import voxel_volume_mm3

LARGEST_BRAIN_MM3 = 2.7e6
"""More signal than this is a head, not a brain."""

LEAST_EMPTY_SHARE = 0.4
"""Share of voxels with the background value from which an image counts as cut out."""

RIM_MM = (1.0, 7.0)
"""Depth at which a head shows its scalp, and a brain without skull its cortex."""

DEEP_MM = 20.0
"""Depth from which both show brain."""

BRIGHTEST_RIM = 1.2
"""Upper quartile of the rim over the median of the depth: the fat of a scalp lies above, cortex and fluid below."""

SAMPLING_MM = 2.0
"""Voxel size that is fine enough for the rim."""


def is_skull_stripped(image: nib.Nifti1Image) -> bool:
    """Tell whether everything outside the brain was removed.

    Such an image has a background of one value around an object no larger than a brain, and that object has no bright
    rim: a thin slab of a head on a background set to zero is as small as a brain, but wears its scalp. Interpolation
    blurs and undershoots at the rim of the object, so voxels near the background value count as background.
    """
    data = np.asarray(image.dataobj)
    values, counts = np.unique(data, return_counts=True)
    above = data - values[counts.argmax()]
    span = float(np.percentile(above, 99.9) - above.min())
    empty_share = float((np.abs(above) <= 1e-3 * span).mean())
    object_mm3 = float(np.count_nonzero(above > 1e-3 * span)) * voxel_volume_mm3(image.affine)
    if empty_share <= LEAST_EMPTY_SHARE or object_mm3 >= LARGEST_BRAIN_MM3:
        return False
    return _rim_brightness(above, 2e-2 * span, nib.affines.voxel_sizes(image.affine)) < BRIGHTEST_RIM


def _rim_brightness(above: NDArray[np.float32], least: float, voxel_sizes_mm: NDArray[np.float64]) -> float:
    """Upper quartile of the rim of the largest object over the median of its depth; zero if it has no depth."""
    steps = np.maximum(np.round(SAMPLING_MM / voxel_sizes_mm), 1).astype(int)
    thinned = above[:: steps[0], :: steps[1], :: steps[2]]
    inside = brain_mask((thinned > least).astype(np.float32))
    # The border of the image is not the border of the object.
    around = int(np.ceil(DEEP_MM / SAMPLING_MM))
    padded = np.pad(inside, around, mode="edge")
    depth_mm = ndimage.distance_transform_edt(padded, voxel_sizes_mm * steps)[(slice(around, -around),) * 3]
    rim = (depth_mm > RIM_MM[0]) & (depth_mm <= RIM_MM[1])
    deep = depth_mm > DEEP_MM
    if not rim.any() or not deep.any():
        return 0.0
    return float(np.percentile(thinned[rim], 75.0) / np.median(thinned[deep]))


def brain_mask(brain_probability: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the brain: the largest connected piece where brain is more likely than not, holes filled.

    Ventricles are not part of ``brain_probability``; those that the brain encloses are filled in.
    """
    likely = brain_probability > 0.5
    pieces, count = ndimage.label(likely)
    if count == 0:
        return likely
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(pieces == int(sizes.argmax())), dtype=np.bool_)
