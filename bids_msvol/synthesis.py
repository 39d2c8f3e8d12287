# SPDX-License-Identifier: Apache-2.0
"""Draw MR images of heads whose anatomy is known, for the demo and for measuring the program's error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BIAS_KNOTS = 4
"""Knots per axis of the smooth brightness field."""


@dataclass(frozen=True)
class Acquisition:
    """How an image comes about.

    Attributes
    ----------
    brightness
        Mean signal of each class; classes left out are black.
    spread
        Standard deviation of the tissue itself, as a share of white matter's signal.
    noise
        Standard deviation of the scanner noise (Rician), as a share of white matter's signal.
    bias
        Peak deviation of the smooth brightness field from one.
    blur_mm
        Gaussian point-spread of the acquisition.
    """

    brightness: Mapping[int, float]
    spread: float = 0.02
    noise: float = 0.03
    bias: float = 0.2
    blur_mm: float = 0.45


def draw_image(
    labels: nib.Nifti1Image, acquisition: Acquisition, rng: np.random.Generator, *, scale: float = 500.0
) -> nib.Nifti1Image:
    """Draw an image of a label map.

    Parameters
    ----------
    labels
        Class of every voxel.
    acquisition
        Brightness, noise, bias and blur.
    rng
        Source of chance.
    scale
        Signal of brightness one.

    Returns
    -------
    nibabel.Nifti1Image
        float32 on the grid of ``labels``.
    """
    signal = tissue_signal(np.asarray(labels.dataobj), acquisition, rng)
    return acquire_image(nib.Nifti1Image(signal, labels.affine), acquisition, rng, scale=scale)


def tissue_signal(
    labels: NDArray[np.integer], acquisition: Acquisition, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Compute the brightness of every voxel before it is imaged: the mean of its class and the tissue's own texture."""
    lookup = np.zeros(int(labels.max()) + 1, dtype=np.float32)
    for number, value in acquisition.brightness.items():
        if number < len(lookup):
            lookup[number] = value
    signal = lookup[labels]
    texture = ndimage.gaussian_filter(rng.standard_normal(labels.shape, dtype=np.float32), 1.0)
    signal *= 1.0 + texture * np.float32(acquisition.spread / texture.std())
    return np.asarray(signal, dtype=np.float32)


def acquire_image(
    signal: nib.Nifti1Image, acquisition: Acquisition, rng: np.random.Generator, *, scale: float = 500.0
) -> nib.Nifti1Image:
    """Image a noise-free signal: blur, brightness field and Rician noise.

    Parameters
    ----------
    signal
        Brightness of every voxel, white matter about one.
    acquisition
        Noise, bias and blur.
    rng
        Source of chance.
    scale
        Value of brightness one in the result.

    Returns
    -------
    nibabel.Nifti1Image
        float32, same grid.
    """
    sigma = acquisition.blur_mm / np.asarray(nib.affines.voxel_sizes(signal.affine))
    values = ndimage.gaussian_filter(np.asarray(signal.dataobj, dtype=np.float32), sigma, truncate=3.0)
    values *= smooth_field(values.shape, acquisition.bias, rng)
    values += rng.standard_normal(values.shape, dtype=np.float32) * np.float32(acquisition.noise)
    imaginary = rng.standard_normal(values.shape, dtype=np.float32) * np.float32(acquisition.noise)
    return nib.Nifti1Image(np.hypot(values, imaginary) * np.float32(scale), signal.affine)


def smooth_field(shape: tuple[int, ...], peak: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a smooth multiplicative field whose largest deviation from one is ``peak``."""
    coarse = rng.standard_normal((BIAS_KNOTS,) * 3).astype(np.float32)
    # Cubic interpolation along one axis after the other: the same as in 3D at once, and many times faster.
    along = [
        ndimage.zoom(np.eye(BIAS_KNOTS), (length / BIAS_KNOTS, 1), order=3, mode="nearest", grid_mode=True).astype(
            np.float32
        )
        for length in shape
    ]
    field = np.einsum("ai,ijk->ajk", along[0], coarse)
    field = np.einsum("bj,ajk->abk", along[1], field)
    field = np.einsum("ck,abk->abc", along[2], field)
    field -= field.mean()
    return np.asarray(np.exp(field * np.float32(np.log1p(peak) / np.abs(field).max())), dtype=np.float32)
