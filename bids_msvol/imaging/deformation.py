# SPDX-License-Identifier: Apache-2.0
"""Diffeomorphic registration of tissue probability maps: symmetric demons forces over several channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.grids import sample_cubic, sample_trilinear

LONGEST_STEP_VOXELS = 0.6
"""Longest displacement of one iteration, in voxels of the level: keeps every update invertible."""

INVERSION_ITERATIONS = 12
"""Fixed-point iterations to invert a displacement field."""


@dataclass(frozen=True)
class Level:
    """One resolution of the registration.

    Attributes
    ----------
    voxel_size_mm
        Edge of the voxels.
    iterations
        Number of updates.
    update_sigma, total_sigma
        Gaussian widths, in voxels of the level, that smooth each update and the accumulated displacement.
    noise
        Differences and gradients of about this size say nothing.
    cubic
        Whether the moving maps are interpolated by cubic B-splines. Linear interpolation answers a small displacement
        with too small a change wherever brightness bends between voxels, by sin(w) / w for a period of 2 pi / w voxels,
        so that the displacement found is too long: by a tenth to a quarter at the edges of structures.
    """

    voxel_size_mm: float
    iterations: int
    update_sigma: float = 1.5
    total_sigma: float = 0.6
    noise: float = 0.01
    cubic: bool = False


COARSE_TO_FINE: tuple[Level, ...] = (Level(8.0, 30), Level(4.0, 25), Level(2.0, 15))


def deform(
    fixed: NDArray[np.float32],
    moving: NDArray[np.float32],
    affine: NDArray[np.float64],
    *,
    levels: Sequence[Level] = COARSE_TO_FINE,
    start: nib.Nifti1Image | None = None,
    weight: NDArray[np.float32] | None = None,
) -> nib.Nifti1Image:
    """Find the displacement ``v`` for which ``moving(x + v(x))`` matches ``fixed(x)``.

    Both live on the same isotropic grid (apply an affine first). Every iteration moves each point along the mean of the
    two images' gradients, channel by channel, smooths the update and composes it with the displacement so far.

    Parameters
    ----------
    fixed, moving
        (x, y, z, channel) probabilities.
    affine
        Voxel to world of the grid, axes along the world's.
    levels
        Resolutions, coarse to fine; none finer than the grid.
    start
        Displacement in mm to start from, on any grid.
    weight
        (x, y, z) confidence of each point of ``fixed``.

    Returns
    -------
    nibabel.Nifti1Image
        Displacement (x, y, z, 3) in mm on the grid of the finest level.

    References
    ----------
    Vercauteren et al. 2009, NeuroImage 45:S61-S72.
    """
    spacing = float(nib.affines.voxel_sizes(affine)[0])
    displacement = start
    for level in levels:
        factor = level.voxel_size_mm / spacing
        small_fixed, level_affine = _coarsen(fixed, affine, factor)
        small_moving, _ = _coarsen(moving, affine, factor)
        small_weight = _coarsen(weight[..., None], affine, factor)[0][..., 0] if weight is not None else None
        shape = small_fixed.shape[:3]
        # The grid may not allow the level's voxel size exactly.
        voxel_mm = np.float32(nib.affines.voxel_sizes(level_affine)[0])
        vectors = _field_on_grid(displacement, shape, level_affine) / voxel_mm
        vectors = _iterate(small_fixed, small_moving, small_weight, vectors, level)
        displacement = nib.Nifti1Image(vectors * voxel_mm, level_affine)
    if displacement is None:
        raise ValueError("no levels and no start were given")
    return displacement


def invert(displacement: nib.Nifti1Image) -> nib.Nifti1Image:
    """Invert a displacement field: ``w`` with ``w(x + v(x)) = -v(x)``, by fixed-point iteration, on the same grid.

    References
    ----------
    Chen et al. 2008, Medical Physics 35:81-88.
    """
    spacing = np.float32(nib.affines.voxel_sizes(displacement.affine)[0])
    vectors = np.asarray(displacement.dataobj, dtype=np.float32) / spacing
    grid = _grid(vectors.shape[:3])
    inverse = np.negative(vectors)
    for _ in range(INVERSION_ITERATIONS):
        inverse = np.negative(_warp(vectors, grid, inverse))
    return nib.Nifti1Image(inverse * spacing, displacement.affine)


def jacobian_determinant(displacement: nib.Nifti1Image) -> NDArray[np.float32]:
    """Local volume change of ``x + v(x)``: below one where the map shrinks, negative where it folds."""
    spacing = float(nib.affines.voxel_sizes(displacement.affine)[0])
    vectors = np.asarray(displacement.dataobj) / np.float32(spacing)
    matrix = np.stack([np.stack(np.gradient(vectors[..., axis]), axis=-1) for axis in range(3)], axis=-2)
    matrix += np.eye(3, dtype=np.float32)
    return np.asarray(np.linalg.det(matrix), dtype=np.float32)


def _iterate(
    fixed: NDArray[np.float32],
    moving: NDArray[np.float32],
    weight: NDArray[np.float32] | None,
    vectors: NDArray[np.float32],
    level: Level,
) -> NDArray[np.float32]:
    grid = _grid(fixed.shape[:3])
    fixed_channels = np.ascontiguousarray(np.moveaxis(fixed, -1, 0))
    wanted = np.ones(fixed.shape[:3], dtype=bool) if weight is None else weight > 0
    splines = [ndimage.spline_filter(part, 3, np.float32) for part in np.moveaxis(moving, -1, 0)] if level.cubic else []
    for _ in range(level.iterations):
        if level.cubic:
            warped = _warp_splines(splines, vectors, wanted, fixed_channels)
        else:
            warped = np.ascontiguousarray(np.moveaxis(_warp(moving, grid, vectors), -1, 0))
        update = np.zeros((3, *fixed.shape[:3]), dtype=np.float32)
        norm = np.full(fixed.shape[:3], level.noise**2, dtype=np.float32)
        for fixed_map, warped_map in zip(fixed_channels, warped, strict=True):
            difference = fixed_map - warped_map
            if weight is not None:
                difference *= weight
            norm += difference**2
            middle = np.float32(0.5) * (fixed_map + warped_map)
            for axis in range(3):
                gradient = _central_difference(middle, axis)
                update[axis] += difference * gradient
                norm += gradient**2
        update = np.stack([ndimage.gaussian_filter(part / norm, level.update_sigma) for part in update], axis=-1)
        longest = float(np.sqrt(np.sum(update**2, axis=-1)).max())
        if longest > LONGEST_STEP_VOXELS:
            update *= np.float32(LONGEST_STEP_VOXELS / longest)
        vectors = update + _warp(vectors, grid, update)
        for axis in range(3):
            vectors[..., axis] = ndimage.gaussian_filter(vectors[..., axis], level.total_sigma)
    return vectors


def _central_difference(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Half the difference of the two neighbours along an axis; zero at the border."""
    result = np.zeros_like(values)
    inner, ahead, behind = ([slice(None)] * 3 for _ in range(3))
    inner[axis], ahead[axis], behind[axis] = slice(1, -1), slice(2, None), slice(None, -2)
    np.subtract(values[tuple(ahead)], values[tuple(behind)], out=result[tuple(inner)])
    result *= np.float32(0.5)
    return result


def _grid(shape: Sequence[int]) -> NDArray[np.float32]:
    return np.stack(np.meshgrid(*(np.arange(length, dtype=np.float32) for length in shape), indexing="ij"), axis=-1)


def _warp(maps: NDArray[np.float32], grid: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return sample_trilinear(maps, (grid + vectors).reshape(-1, 3)).reshape(*grid.shape[:3], maps.shape[3])


def _warp_splines(
    splines: Sequence[NDArray[np.float32]],
    vectors: NDArray[np.float32],
    wanted: NDArray[np.bool_],
    others: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Like `_warp` for coefficients of cubic B-splines: (channel, x, y, z); ``others`` where nothing is wanted."""
    positions = np.stack(np.nonzero(wanted)).astype(np.float32) + vectors[wanted].T
    warped = others.copy()
    for channel, coefficients in enumerate(splines):
        warped[channel][wanted] = sample_cubic(coefficients, positions)
    return warped


def _coarsen(
    maps: NDArray[np.float32], affine: NDArray[np.float64], factor: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    if factor <= 1.0:
        return maps, affine
    step = round(factor)
    shape = [length // step for length in maps.shape[:3]]
    trimmed = maps[: shape[0] * step, : shape[1] * step, : shape[2] * step]
    blocks = trimmed.reshape(shape[0], step, shape[1], step, shape[2], step, maps.shape[3])
    coarse = affine @ nib.affines.from_matvec(np.eye(3) * step, np.full(3, (step - 1) / 2.0))
    return np.ascontiguousarray(blocks.mean(axis=(1, 3, 5))), coarse


def _field_on_grid(
    displacement: nib.Nifti1Image | None, shape: Sequence[int], affine: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The displacement in mm sampled on another grid; zero if there is none yet."""
    if displacement is None:
        return np.zeros((*shape, 3), dtype=np.float32)
    to_field = (np.linalg.inv(displacement.affine) @ affine).astype(np.float32)
    coordinates = _grid(shape).reshape(-1, 3) @ to_field[:3, :3].T + to_field[:3, 3]
    vectors = np.asarray(displacement.dataobj, dtype=np.float32)
    return sample_trilinear(vectors, coordinates).reshape(*shape, 3)
