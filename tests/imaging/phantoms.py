# SPDX-License-Identifier: Apache-2.0
"""Small images whose contents are known by formula."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def mesh(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return voxel coordinates (3, x, y, z)."""
    return np.stack(np.meshgrid(*(np.arange(length, dtype=float) for length in shape), indexing="ij"))


def soft_sphere(
    shape: tuple[int, int, int], center: tuple[float, float, float], radius: float, oversampling: int = 4
) -> NDArray[np.float32]:
    """Return the share of each voxel that lies within a sphere, in voxels: what partial volume is."""
    fine = mesh(tuple(length * oversampling for length in shape))
    fine = (fine + 0.5) / oversampling - 0.5
    inside = sum((axis - middle) ** 2 for axis, middle in zip(fine, center, strict=True)) <= radius**2
    blocks = inside.reshape([part for length in shape for part in (length, oversampling)])
    return blocks.mean(axis=(1, 3, 5)).astype(np.float32)


def head_phantom(shape: tuple[int, int, int] = (36, 44, 40), spacing_mm: float = 5.0) -> nib.Nifti1Image:
    """Return an image without symmetry: an egg-shaped head with a bright nose and unequal bright and dark cores."""
    x, y, z = mesh(shape)
    cx, cy, cz = ((length - 1) / 2 for length in shape)
    head = ((x - cx) / 13) ** 2 + ((y - cy) / 17) ** 2 + ((z - cz) / 15 - 0.15 * (y - cy) / 17) ** 2 < 1
    image = 100.0 * head
    image[(x - cx) ** 2 + (y - cy - 18) ** 2 + (z - cz + 4) ** 2 < 12] = 160.0
    image[((x - cx + 5) / 4) ** 2 + ((y - cy - 3) / 7) ** 2 + ((z - cz - 2) / 5) ** 2 < 1] = 200.0
    image[((x - cx - 4) / 3) ** 2 + ((y - cy + 5) / 5) ** 2 + ((z - cz - 4) / 3) ** 2 < 1] = 30.0
    affine = nib.affines.from_matvec(np.eye(3) * spacing_mm, -spacing_mm * np.array([cx, cy, cz]))
    return nib.Nifti1Image(ndimage.gaussian_filter(image, 0.7).astype(np.float32), affine)


def rigid(angles_rad: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return a rigid motion (4, 4): turns about x, y and z, then the shift."""
    from scipy.spatial.transform import Rotation

    return nib.affines.from_matvec(Rotation.from_euler("xyz", angles_rad).as_matrix(), shift_mm)


def smooth_displacement(
    shape: tuple[int, int, int], peak_mm: float, sigma: float, seed: int = 0
) -> NDArray[np.float32]:
    """Return a random smooth vector field (x, y, z, 3) that vanishes at the border, its longest vector ``peak_mm``."""
    noise = np.random.default_rng(seed).standard_normal((*shape, 3))
    field = ndimage.gaussian_filter(noise, (sigma, sigma, sigma, 0))
    taper = np.ones(shape)
    for axis, length in enumerate(shape):
        ramp = np.clip(np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.2 * length), 0, 1)
        taper *= ramp.reshape([-1 if other == axis else 1 for other in range(3)])
    field *= taper[..., None]
    return (field * peak_mm / np.sqrt((field**2).sum(axis=-1)).max()).astype(np.float32)
