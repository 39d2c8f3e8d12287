# SPDX-License-Identifier: Apache-2.0
"""Grids: reorienting, conforming to a working voxel size, and fast resampling of many maps on the same points."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

ISOTROPY_TOLERANCE_MM = 0.02
"""An image whose voxel edges are all within this of the working voxel size is not resampled."""

SAMPLER_CHUNK = 1 << 15
"""Points interpolated at a time: small enough for the cache."""

NYQUIST_SIGMA = 0.42
"""Gaussian width, in target voxels, that suppresses what the target grid cannot carry."""


def to_canonical(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Reorder and flip the array axes to right-anterior-superior; no voxel value changes."""
    canonical = nib.as_closest_canonical(image)
    affine = canonical.affine.copy()
    # Headers hold the origin in single precision, rounded differently for every way to store the array.
    affine[:3, 3] = np.round(affine[:3, 3], 3)
    return nib.Nifti1Image(np.asarray(canonical.dataobj, dtype=np.float32), affine)


def conform(image: nib.Nifti1Image, voxel_size_mm: float = 1.0) -> nib.Nifti1Image:
    """Bring an image to the working grid: RAS axes along the image's own, isotropic voxels.

    The axes of the grid stay those of the scanner, so that an image already at the working voxel size is passed on
    untouched. Coarser images are interpolated by cubic B-splines; finer ones are smoothed first against aliasing.

    Parameters
    ----------
    image
        Three-dimensional image in any orientation.
    voxel_size_mm
        Edge of the working voxels.

    Returns
    -------
    nibabel.Nifti1Image
        float32, same world coordinates.
    """
    canonical = to_canonical(image)
    spacing = np.asarray(nib.affines.voxel_sizes(canonical.affine))
    if np.all(np.abs(spacing - voxel_size_mm) <= ISOTROPY_TOLERANCE_MM):
        return canonical
    data = np.asarray(canonical.dataobj)
    factor = voxel_size_mm / spacing
    sigma = np.where(
        factor > 1.0 + ISOTROPY_TOLERANCE_MM, NYQUIST_SIGMA * np.sqrt(np.maximum(factor**2 - 1.0, 0.0)), 0.0
    )
    if np.any(sigma > 0):
        data = ndimage.gaussian_filter(data, sigma)
    shape = np.maximum(np.round(np.asarray(data.shape) * spacing / voxel_size_mm).astype(int), 1)
    # The outer faces of the two grids coincide, so the first voxel's centre moves by half the difference.
    offset = (factor - 1.0) / 2.0
    resampled = ndimage.affine_transform(data, np.diag(factor), offset, tuple(shape.tolist()), order=3, mode="nearest")
    resampled = np.clip(resampled, data.min(), data.max())
    affine = canonical.affine @ nib.affines.from_matvec(np.diag(factor), offset)
    return nib.Nifti1Image(resampled.astype(np.float32), affine)


def resample_to_grid(
    image: nib.Nifti1Image, shape: tuple[int, int, int], affine: NDArray[np.float64], order: Literal[0, 1, 3] = 1
) -> nib.Nifti1Image:
    """Resample an image onto the grid ``shape``, ``affine`` through world coordinates; zero outside."""
    to_source = np.linalg.inv(image.affine) @ affine
    data = np.asarray(image.dataobj, dtype=np.float32)
    matrix, offset = nib.affines.to_matvec(to_source)
    resampled: NDArray[np.float32] = ndimage.affine_transform(
        data, np.asarray(matrix), np.asarray(offset), shape, order=order, mode="constant", cval=0.0
    )
    return nib.Nifti1Image(resampled, affine)


def block_mean(values: NDArray[np.generic], factor: int) -> NDArray[np.float32]:
    """Average (x, y, z) over cubes of ``factor`` voxels; what does not fill a cube is left out."""
    x, y, z = (length // factor for length in values.shape)
    trimmed = values[: x * factor, : y * factor, : z * factor]
    blocks = trimmed.reshape(x, factor, y, factor, z, factor)
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32))


def inside_voxels(
    to_source: NDArray[np.float64], source: Sequence[int], shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Say which voxels of a grid have their centre inside the voxels of another.

    Parameters
    ----------
    to_source
        (4, 4) from the voxels of the grid to those of the other.
    source, shape
        Shape of the other grid, and of this one.
    """
    inside = np.ones(shape, dtype=bool)
    axes = [axis.astype(np.float32) for axis in np.ogrid[: shape[0], : shape[1], : shape[2]]]
    for row, length in zip(to_source[:3].astype(np.float32), source, strict=True):
        coordinate = row[0] * axes[0] + row[1] * axes[1] + row[2] * axes[2] + row[3]
        # Rounding in the headers must not cost the outermost layer.
        inside &= (coordinate >= -0.501) & (coordinate <= length - 0.499)
    return inside


def voxel_volume_mm3(affine: NDArray[np.float64]) -> float:
    """Volume of one voxel."""
    return float(abs(np.linalg.det(affine[:3, :3])))


def world_points(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float32]:
    """World coordinates (n, 3), in mm, of the true voxels of ``mask`` in C order."""
    indices = np.nonzero(mask)
    points = np.empty((len(indices[0]), 3), dtype=np.float32)
    for axis in range(3):
        points[:, axis] = affine[axis, 3]
        for source in range(3):
            if affine[axis, source] != 0.0:
                points[:, axis] += indices[source] * np.float32(affine[axis, source])
    return points


def sample_trilinear(maps: NDArray[np.generic], coordinates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate one or many maps at the same points.

    Parameters
    ----------
    maps
        (x, y, z) or (x, y, z, channel).
    coordinates
        Voxel coordinates (n, 3); points outside take the value of the nearest edge.

    Returns
    -------
    numpy.ndarray
        (n,) or (n, channel).
    """
    shape = maps.shape[:3]
    flat = maps.reshape(-1, *maps.shape[3:])
    # Just short of the last voxel, so that the upper neighbour exists.
    upper = np.asarray(shape, dtype=np.float32) - np.float32(1.001)
    strides = (shape[1] * shape[2], shape[2], 1)
    result = np.empty((len(coordinates), *maps.shape[3:]), dtype=np.float32)

    def interpolate(start: int) -> None:
        part = slice(start, start + SAMPLER_CHUNK)
        clipped = np.clip(coordinates[part], 0.0, upper)
        base = clipped.astype(np.int32)
        above = clipped - base
        below = np.float32(1.0) - above
        index = base[:, 0] * strides[0] + base[:, 1] * strides[1] + base[:, 2]
        total = np.zeros((len(base), *maps.shape[3:]), dtype=np.float32)
        for corner in np.ndindex(2, 2, 2):
            weight = np.ones(len(base), dtype=np.float32)
            for axis, is_above in enumerate(corner):
                weight *= above[:, axis] if is_above else below[:, axis]
            values = np.take(flat, index + int(np.dot(corner, strides)), axis=0).astype(np.float32, copy=False)
            total += values * weight.reshape(-1, *(1,) * (values.ndim - 1))
        result[part] = total

    with ThreadPoolExecutor(_threads()) as threads:
        list(threads.map(interpolate, range(0, len(coordinates), SAMPLER_CHUNK)))
    return result


def sample_cubic(coefficients: NDArray[np.float32], coordinates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate a map by cubic B-splines.

    Parameters
    ----------
    coefficients
        (x, y, z), from `scipy.ndimage.spline_filter`, whose splines are mirrored at the edges.
    coordinates
        Voxel coordinates (3, n); points outside take the value of their mirror image.

    Returns
    -------
    numpy.ndarray
        (n,).
    """
    result = np.empty(coordinates.shape[1], dtype=np.float32)

    def interpolate(start: int) -> None:
        part = slice(start, start + SAMPLER_CHUNK)
        ndimage.map_coordinates(
            coefficients, coordinates[:, part], result[part], order=3, mode="mirror", prefilter=False
        )

    with ThreadPoolExecutor(_threads()) as threads:
        list(threads.map(interpolate, range(0, len(result), SAMPLER_CHUNK)))
    return result


def _threads() -> int:
    """Threads granted to numerical work; no result depends on their number."""
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return int(granted) if granted.isdigit() and int(granted) > 0 else 1
