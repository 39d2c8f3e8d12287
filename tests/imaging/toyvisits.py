# SPDX-License-Identifier: Apache-2.0
"""Visits of a person with the toy head: the head moves between them, and may have lost a known amount of tissue."""

from __future__ import annotations

from functools import cache
from typing import Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.demo.protocol import FLAIR, T1W
from bids_msvol.demo.volumes import voxel_volumes
from bids_msvol.imaging.grids import world_points
from bids_msvol.imaging.registration import sample_field
from bids_msvol.structures import STRUCTURES
from bids_msvol.synthesis import Acquisition, acquire_image, tissue_signal
from tests.imaging.toyhead import AFFINE, SHAPE, toy_labels

ACQUISITION = Acquisition(T1W.acquisition.brightness, noise=0.02, bias=0.05)
"""So small a head cannot tell a strong brightness field, which is smooth on the scale of a real head, from anatomy."""


FLAIR_ACQUISITION = Acquisition(FLAIR.acquisition.brightness, noise=0.02, bias=0.05)


@cache
def _signal(contrast: Literal["T1w", "FLAIR"]) -> NDArray[np.float32]:
    """Brightness of the head without noise, smooth enough to be moved by interpolation."""
    acquisition = ACQUISITION if contrast == "T1w" else FLAIR_ACQUISITION
    signal = tissue_signal(np.asarray(toy_labels().dataobj), acquisition, np.random.default_rng(99))
    return np.asarray(ndimage.gaussian_filter(signal, 0.5))


def visit(
    motion: NDArray[np.float64],
    seed: int,
    loss: nib.Nifti1Image | None = None,
    *,
    contrast: Literal["T1w", "FLAIR"] = "T1w",
    factor: NDArray[np.float32] | None = None,
) -> nib.Nifti1Image:
    """Return an image of the head after a movement (4, 4), with a noise and a brightness field of its own.

    What lies at ``x`` after the loss was at ``x + loss(x)`` before; ``factor`` multiplies the brightness before it.
    """
    points = world_points(np.ones(SHAPE, dtype=bool), AFFINE)
    before = nib.affines.apply_affine(np.linalg.inv(motion), points).astype(np.float32)
    if loss is not None:
        before += sample_field(loss, before)
    voxels = nib.affines.apply_affine(np.linalg.inv(AFFINE), before)
    signal = _signal(contrast) if factor is None else _signal(contrast) * factor
    values = ndimage.map_coordinates(signal, voxels.T, order=3, mode="nearest").reshape(SHAPE)
    moved = nib.Nifti1Image(np.maximum(values, 0.0).astype(np.float32), AFFINE)
    acquisition = ACQUISITION if contrast == "T1w" else FLAIR_ACQUISITION
    return acquire_image(moved, acquisition, np.random.default_rng(seed))


def true_volumes_mm3(loss: nib.Nifti1Image | None = None) -> dict[int, float]:
    """Return the volume of each structure by its number, before or after a loss."""
    labels = np.asarray(toy_labels().dataobj)
    room = voxel_volumes(toy_labels(), loss) if loss is not None else np.ones(SHAPE)
    return {item.index: float(room[labels == item.index].sum(dtype=np.float64)) for item in STRUCTURES}
