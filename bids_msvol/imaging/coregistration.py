# SPDX-License-Identifier: Apache-2.0
"""Bring the other contrasts of a session onto its T1w image: a rigid motion, and one interpolation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.grids import conform, inside_voxels, to_canonical, world_points
from bids_msvol.imaging.registration import _ants_linear

SEARCH_VOXEL_SIZE_MM = 5.0
"""Voxel size at which starting poses are compared."""

FINEST_VOXEL_SIZE_MM = 2.0
"""Voxel size of the fixed image in the optimisation: mutual information of 100,000 points finds a rigid motion to about
a tenth of a millimetre, and finer grids only cost time."""

HISTOGRAM_BINS = 24
"""Bins of the joint histogram that compares starting poses."""

LEAST_OVERLAP = 0.2
"""Share of the points that a starting pose must keep within the moving image."""

TILTS_RAD = (-0.3, 0.0, 0.3)
"""Head tilts (chin to chest) tried around the centre of mass."""

REFINEMENT_STEPS = ((0.12, 8.0), (0.06, 4.0), (0.03, 2.0))
"""Steps of the search for the starting pose, in radians and mm, coarse to fine."""

ITERATIONS = (80, 60, 30)
"""Most iterations of the optimiser at 8, 4 and 2 mm."""

Pose = tuple[float, ...]
"""Turns about x, y, z in radians and shifts along x, y, z in mm."""


def register_rigid(
    moving: nib.Nifti1Image, fixed: nib.Nifti1Image, near: NDArray[np.bool_] | None, *, seed: int
) -> NDArray[np.float64]:
    """Find the rigid motion between two images of one head, by mutual information.

    Starting poses are compared at low resolution: the headers as they are, and the centres of mass laid over one
    another with three tilts of the head. Every start is refined by a search along each axis; the best goes to ANTs.

    Parameters
    ----------
    moving
        Image of any contrast and grid; slices may be thick and need not cover the head.
    fixed
        Image of the same head.
    near
        (x, y, z) voxels of ``fixed`` where the images are compared; everywhere if ``None``.
    seed
        Seed of ANTs.

    Returns
    -------
    numpy.ndarray
        (4, 4), world mm: takes points of ``fixed`` to where they lie in ``moving``.

    References
    ----------
    Mattes et al. 2003, IEEE Transactions on Medical Imaging 22:120-128; Avants et al. 2011, NeuroImage 54:2033-2044.
    """
    mask = np.ones(fixed.shape, dtype=bool) if near is None else near
    canonical = to_canonical(moving)
    start = _search_start(canonical, fixed, mask)
    small_fixed = conform(fixed, FINEST_VOXEL_SIZE_MM)
    small_mask = conform(nib.Nifti1Image(mask.astype(np.float32), fixed.affine), FINEST_VOXEL_SIZE_MM)
    return _ants_linear(small_fixed, canonical, small_mask, start, "Rigid", ITERATIONS, seed)


def resample(image: nib.Nifti1Image, grid: nib.Nifti1Image, matrix: NDArray[np.float64]) -> nib.Nifti1Image:
    """Resample an image onto another image's grid through a motion, in one interpolation.

    Cubic B-splines, so that thick slices are interpolated smoothly. Their overshoot is cut at the brightness of the
    neighbouring voxels.

    Parameters
    ----------
    image
        What to resample.
    grid
        Gives shape and world coordinates of the result.
    matrix
        (4, 4), world mm: takes points of ``grid`` to points of ``image``.

    Returns
    -------
    nibabel.Nifti1Image
        float32; NaN outside the field of view of ``image``, which ends at the outer faces of its voxels.
    """
    canonical = to_canonical(image)
    data = np.asarray(canonical.dataobj)
    to_source = np.linalg.inv(canonical.affine) @ matrix @ grid.affine
    shape = (grid.shape[0], grid.shape[1], grid.shape[2])
    if np.allclose(to_source, np.eye(4), atol=1e-4) and data.shape == shape:
        return nib.Nifti1Image(data, grid.affine)
    linear, offset = nib.affines.to_matvec(to_source)

    def at_grid(values: NDArray[np.float32], order: Literal[0, 3]) -> NDArray[np.float32]:
        return np.asarray(
            ndimage.affine_transform(values, linear, offset, shape, order=order, mode="nearest", output=np.float32)
        )

    lowest = at_grid(ndimage.minimum_filter(data, 3), 0)
    highest = at_grid(ndimage.maximum_filter(data, 3), 0)
    resampled = np.clip(at_grid(data, 3), lowest, highest)
    resampled[~inside_voxels(to_source, data.shape, shape)] = np.nan
    return nib.Nifti1Image(resampled, grid.affine)


def _search_start(moving: nib.Nifti1Image, fixed: nib.Nifti1Image, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the best starting pose (4, 4) from ``fixed`` to ``moving``."""
    coarse_fixed = conform(fixed, SEARCH_VOXEL_SIZE_MM)
    coarse_mask = conform(nib.Nifti1Image(mask.astype(np.float32), fixed.affine), SEARCH_VOXEL_SIZE_MM)
    coarse_moving = conform(moving, SEARCH_VOXEL_SIZE_MM)
    inside = np.asarray(coarse_mask.dataobj) > 0.5
    points = world_points(inside, coarse_fixed.affine).astype(np.float64)
    values = _bins(np.asarray(coarse_fixed.dataobj))[inside]
    target = _bins(np.asarray(coarse_moving.dataobj))
    center = points.mean(axis=0)
    to_voxel = np.linalg.inv(coarse_moving.affine)
    shift = _mass_center(coarse_moving) - _mass_center(coarse_fixed)

    def score(pose: Pose) -> float:
        return _shared_information(values, target, nib.affines.apply_affine(to_voxel @ _matrix(pose, center), points))

    starts: list[Pose] = [(0.0,) * 6, *((tilt, 0.0, 0.0, *shift.tolist()) for tilt in TILTS_RAD)]
    best = max((_refine(score, start) for start in starts), key=score)
    return _matrix(best, center)


def _refine(score: Callable[[Pose], float], start: Pose) -> Pose:
    """Search along each axis with shrinking steps; deterministic."""
    best, value = start, score(start)
    for angle, shift in REFINEMENT_STEPS:
        steps = (angle,) * 3 + (shift,) * 3
        improved = True
        while improved:
            improved = False
            for axis, sign in itertools.product(range(6), (1.0, -1.0)):
                trial = (*best[:axis], best[axis] + sign * steps[axis], *best[axis + 1 :])
                trial_value = score(trial)
                if trial_value > value + 1e-6:
                    best, value, improved = trial, trial_value, True
    return best


def _matrix(pose: Pose, center: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn about ``center``, then shift."""
    rotation = nib.eulerangles.euler2mat(*pose[2::-1])
    return np.asarray(
        nib.affines.from_matvec(rotation, center + np.asarray(pose[3:]) - rotation @ center), dtype=np.float64
    )


def _mass_center(image: nib.Nifti1Image) -> NDArray[np.float64]:
    """Centre of mass in world mm, background left out."""
    data = np.asarray(image.dataobj)
    weights = np.maximum(data - np.percentile(data, 30.0), 0.0)
    return np.asarray(nib.affines.apply_affine(image.affine, ndimage.center_of_mass(weights)), dtype=np.float64)


def _bins(data: NDArray[np.float32]) -> NDArray[np.int64]:
    low, high = np.percentile(data, (1.0, 99.0))
    scaled = (data - low) * (HISTOGRAM_BINS / max(float(high - low), float(np.finfo(np.float32).tiny)))
    return np.asarray(np.clip(scaled, 0, HISTOGRAM_BINS - 1), dtype=np.int64)


def _shared_information(
    values: NDArray[np.int64], target: NDArray[np.int64], coordinates: NDArray[np.float64]
) -> float:
    """Mutual information of the points within the target, times their share: nothing is learned outside."""
    nearest = np.round(coordinates).astype(np.int64)
    inside = np.all((nearest >= 0) & (nearest < target.shape), axis=1)
    if inside.mean() < LEAST_OVERLAP:
        return 0.0
    pairs = values[inside] * HISTOGRAM_BINS + target[tuple(nearest[inside].T)]
    joint = np.bincount(pairs, minlength=HISTOGRAM_BINS**2).reshape(HISTOGRAM_BINS, HISTOGRAM_BINS) / len(pairs)
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    present = joint > 0
    return float(np.sum(joint[present] * np.log(joint[present] / independent[present])) * inside.mean())
