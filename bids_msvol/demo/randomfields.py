# SPDX-License-Identifier: Apache-2.0
"""Smooth random fields: the source of individual folds, shapes and borders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

SHORTEST_WAVELENGTH_VOXELS = 3.0
"""Finer patterns cannot be shown on a grid."""


def folded_field(
    shape: Sequence[int],
    voxel_size_mm: float,
    wavelength_mm: float,
    rng: np.random.Generator,
    *,
    bandwidth: float = 0.3,
) -> NDArray[np.float32]:
    """Draw a field that swings up and down like the folds of a cortex.

    Parameters
    ----------
    shape
        Grid.
    voxel_size_mm
        Edge of its voxels.
    wavelength_mm
        Distance from crest to crest.
    rng
        Source of chance.
    bandwidth
        Relative spread of the wavelengths.

    Returns
    -------
    numpy.ndarray
        Mean 0, standard deviation 1.
    """
    wavelength = max(wavelength_mm / voxel_size_mm, SHORTEST_WAVELENGTH_VOXELS)
    spectrum = fft.rfftn(rng.standard_normal(shape, dtype=np.float32))
    frequencies = [*(fft.fftfreq(length) for length in shape[:-1]), fft.rfftfreq(shape[-1])]
    squared = np.zeros(spectrum.shape, dtype=np.float32)
    for axis, values in enumerate(frequencies):
        squared += (values.astype(np.float32) ** 2).reshape([-1 if other == axis else 1 for other in range(len(shape))])
    spectrum *= np.exp(-0.5 * ((np.sqrt(squared) * np.float32(wavelength) - 1) / np.float32(bandwidth)) ** 2)
    field = fft.irfftn(spectrum, shape)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def smooth_noise(
    shape: Sequence[int], voxel_size_mm: float, sigma_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw white noise smoothed by a Gaussian of width ``sigma_mm``: mean 0, standard deviation 1."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(noise, sigma_mm / voxel_size_mm, mode="wrap", truncate=3.0)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)
