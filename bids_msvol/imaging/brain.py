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
"""Share of exactly equal background voxels from which an image counts as cut out."""


def is_skull_stripped(image: nib.Nifti1Image) -> bool:
    """Tell whether everything outside the brain was removed.

    Such an image has a background of one exact value around an object no larger than a brain. Interpolation blurs the
    rim of the object, so voxels within a thousandth of the range count as background.
    """
    data = np.asarray(image.dataobj)
    lowest = float(data.min())
    span = float(np.percentile(data, 99.9)) - lowest
    empty = data <= lowest + 1e-3 * span
    object_mm3 = float(np.count_nonzero(~empty)) * voxel_volume_mm3(image.affine)
    return bool(empty.mean() > LEAST_EMPTY_SHARE and object_mm3 < LARGEST_BRAIN_MM3)


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
