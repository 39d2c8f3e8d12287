# SPDX-License-Identifier: Apache-2.0
"""Lesion filling: give lesions the brightness of the normal white matter around them before tissue is segmented."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

NORMAL_WHITE = 0.8
"""Probability of white matter from which a voxel, away from lesions, counts as normal white matter."""

EXPECTED_WHITE = 0.5
"""Probability of white matter from which a lesion voxel is filled."""

LESION_MARGIN_MM = 2.0
"""Around lesions tissue is not normal either: it shares voxels with them."""

NEIGHBOURHOOD_SIGMA_MM = 4.0
"""Gaussian width over which normal white matter is averaged: wide enough for the noise, narrow enough for what is left
of the brightness field."""

LEAST_WEIGHT = 1e-4
"""Share of normal white matter in the neighbourhood below which the mean of all white matter is used."""


def fill_lesions(
    t1w: nib.Nifti1Image, lesion_mask: NDArray[np.bool_], white_matter: NDArray[np.float32], *, seed: int
) -> nib.Nifti1Image:
    """Replace lesions by the brightness of nearby normal-appearing white matter, noise included.

    Voxels next to a lesion, which share its signal, become half of what they were and half of the filling. No voxel
    beyond that changes.

    Parameters
    ----------
    t1w
        Bias-corrected T1w.
    lesion_mask
        (x, y, z) voxels of lesions.
    white_matter
        (x, y, z) probability of white matter expected there, not what the lesion looks like.
    seed
        Seed of the noise.

    Returns
    -------
    nibabel.Nifti1Image
        float32; the image as it was where there is no lesion, and if no normal white matter is found.

    References
    ----------
    Chard et al. 2010, Journal of Magnetic Resonance Imaging 32:223-228; Battaglini et al. 2012, Human Brain Mapping
    33:2062-2071.
    """
    data = np.array(t1w.dataobj, dtype=np.float32)
    spacing = np.asarray(nib.affines.voxel_sizes(t1w.affine))
    core = lesion_mask & (white_matter >= EXPECTED_WHITE)
    if not core.any():
        return nib.Nifti1Image(data, t1w.affine)
    near = ndimage.distance_transform_edt(~lesion_mask, spacing) <= LESION_MARGIN_MM
    # The outermost layer shares its voxels with other tissue.
    normal = ndimage.binary_erosion(white_matter >= NORMAL_WHITE) & ~near
    if not normal.any():
        return nib.Nifti1Image(data, t1w.affine)
    local, deviation = _local_brightness(data, normal, NEIGHBOURHOOD_SIGMA_MM / spacing)
    noise = np.random.default_rng(seed).standard_normal(data.shape, dtype=np.float32)
    filling = local + deviation * noise
    edge = ndimage.binary_dilation(core) & ~lesion_mask & (white_matter >= EXPECTED_WHITE)
    filled = data.copy()
    filled[core] = filling[core]
    filled[edge] = np.float32(0.5) * (data[edge] + filling[edge])
    return nib.Nifti1Image(filled, t1w.affine)


def _local_brightness(
    data: NDArray[np.float32], normal: NDArray[np.bool_], sigma: NDArray[np.float64]
) -> tuple[NDArray[np.float32], np.float32]:
    """Mean of the normal white matter around each voxel, and its noise: the robust spread about that mean."""
    weight = ndimage.gaussian_filter(normal.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(normal, data, np.float32(0.0)), sigma)
    overall = np.float32(np.median(data[normal]))
    local = np.where(weight > LEAST_WEIGHT, total / np.maximum(weight, np.float32(LEAST_WEIGHT)), overall)
    low, high = np.percentile((data - local)[normal], (25.0, 75.0))
    return local.astype(np.float32), np.float32((high - low) / 1.349)
