# SPDX-License-Identifier: Apache-2.0
"""Bring the sessions of a person into one space that lies halfway between them, all treated alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage

from bids_msvol.imaging.grids import NYQUIST_SIGMA, inside_voxels, sample_trilinear, to_canonical

LEVELS_MM = (6.0, 3.0, 1.5)
"""Widths of the Gaussian that smooths the images, coarse to fine."""

NEIGHBOURHOOD_MM = 12.0
"""Brightness is compared after removing its local mean and spread on this scale: coils differ between visits."""

LEAST_SPREAD = 0.02
"""Smallest local spread, as a share of the bright tissue, that is divided by."""

OUTLIER = 4.685
"""Tukey's constant: residuals beyond so many robust deviations have no say. Lesions and ventricles may change."""

ITERATIONS = 40

CONVERGED_MM = 0.002
"""Smallest movement of the head's rim that is worth another iteration."""

HEAD_RADIUS_MM = 80.0


@dataclass(frozen=True, eq=False)
class PersonSpace:
    """The space halfway between a person's sessions.

    Attributes
    ----------
    shape, affine
        Isotropic grid along the world axes of the space.
    to_sessions
        For each session the rigid (4, 4) that takes points of the space to the world of the session's image, mm.
    similarity
        For each session the correlation of its local brightness with the mean of the others', in the brain.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    to_sessions: tuple[NDArray[np.float64], ...]
    similarity: tuple[float, ...]


def align_sessions(
    images: Sequence[nib.Nifti1Image],
    starts: Sequence[NDArray[np.float64]],
    template_points: NDArray[np.float64],
    voxel_size_mm: float,
) -> PersonSpace:
    """Find the space halfway between the sessions of a person, and the rigid movement of each session to it.

    No session is the reference: each is moved towards the mean of the others by its share, and the movements sum to
    none, so that the order of the sessions does not matter.

    Parameters
    ----------
    images
        T1w of each session, any grid.
    starts
        (4, 4) affine from the template to each session.
    template_points
        (n, 3) points of the template where the brain is, mm.
    voxel_size_mm
        Edge of the voxels of the grid.

    Raises
    ------
    ValueError
        If there are not two sessions or more.

    References
    ----------
    Reuter et al. 2010, NeuroImage 53:1181-1196 (robust, inverse-consistent); Reuter et al. 2012, NeuroImage
    61:1402-1418 (all sessions treated alike).
    """
    if len(images) < 2:
        raise ValueError("one session needs no common space")
    canonical = [to_canonical(image) for image in images]
    center = template_points.mean(axis=0)
    poses = [_rigid_part(start, center) for start in starts]
    relative = [pose @ np.linalg.inv(poses[0]) for pose in poses]
    movements = _centred(relative)
    # The points of the brain, in the space halfway.
    points = nib.affines.apply_affine(np.linalg.inv(movements[0]) @ poses[0], template_points)
    similarity = [0.0] * len(images)
    for level_mm in LEVELS_MM:
        smoothed = [_local_brightness(image, level_mm) for image in canonical]
        movements, similarity = _refine(smoothed, movements, points)
    shape, affine = _common_grid(canonical, movements, voxel_size_mm)
    return PersonSpace(shape, affine, tuple(movements), tuple(similarity))


def resample_session(
    image: nib.Nifti1Image, space: PersonSpace, to_session: NDArray[np.float64]
) -> tuple[nib.Nifti1Image, NDArray[np.bool_]]:
    """Resample a session's image onto the person's grid, in one interpolation by cubic B-splines.

    Returns
    -------
    image
        float32 on the grid, zero outside the session's field of view.
    seen
        (x, y, z) voxels inside the field of view.
    """
    canonical = to_canonical(image)
    data = np.asarray(canonical.dataobj)
    spacing = np.asarray(nib.affines.voxel_sizes(canonical.affine))
    factor = float(nib.affines.voxel_sizes(space.affine)[0]) / spacing
    sigma = NYQUIST_SIGMA * np.sqrt(np.maximum(factor**2 - 1.0, 0.0))
    if np.any(factor > 1.02):
        data = ndimage.gaussian_filter(data, np.where(factor > 1.02, sigma, 0.0))
    to_source = np.linalg.inv(canonical.affine) @ to_session @ space.affine
    matrix, offset = nib.affines.to_matvec(to_source)
    resampled = ndimage.affine_transform(data, matrix, offset, space.shape, order=3, mode="nearest")
    resampled = np.clip(resampled, data.min(), data.max())
    seen = inside_voxels(to_source, data.shape, space.shape)
    resampled[~seen] = 0.0
    return nib.Nifti1Image(resampled.astype(np.float32), space.affine), seen


def mean_image(images: Sequence[nib.Nifti1Image], seen: Sequence[NDArray[np.bool_]]) -> nib.Nifti1Image:
    """Mean of aligned images after scaling each to the same median brightness where all see something."""
    common = np.logical_and.reduce(seen)
    data = [np.asarray(image.dataobj) for image in images]
    bright = [float(np.median(values[common & (values > values[common].mean())])) for values in data]
    middle = float(np.exp(np.mean(np.log(bright))))
    total, count = np.zeros(common.shape, dtype=np.float32), np.zeros(common.shape, dtype=np.float32)
    for values, visible, scale in zip(data, seen, bright, strict=True):
        total += np.where(visible, values * np.float32(middle / scale), np.float32(0.0))
        count += visible
    return nib.Nifti1Image(total / np.maximum(count, 1.0), images[0].affine)


def _rigid_part(affine: NDArray[np.float64], center: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation nearest to an affine, about the point where the centre goes."""
    rotation, _ = linalg.polar(affine[:3, :3])
    target = nib.affines.apply_affine(affine, center)
    return np.asarray(nib.affines.from_matvec(rotation, target - rotation @ center))


def _centred(movements: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Movements from the space in their middle: their logarithms sum to zero."""
    middle = np.asarray(movements[0], dtype=np.float64)
    for _ in range(5):
        step = np.mean([linalg.logm(move @ np.linalg.inv(middle)).real for move in movements], axis=0)
        middle = linalg.expm(step) @ middle
    back = np.linalg.inv(middle)
    return [move @ back for move in movements]


def _local_brightness(image: nib.Nifti1Image, level_mm: float) -> nib.Nifti1Image:
    """Smoothed brightness less its local mean, over its local spread."""
    spacing = np.asarray(nib.affines.voxel_sizes(image.affine))
    data = np.asarray(image.dataobj, dtype=np.float32)
    bright = np.float32(np.percentile(data, 95.0))
    smooth = ndimage.gaussian_filter(np.minimum(data / bright, np.float32(2.0)), level_mm / spacing)
    width = NEIGHBOURHOOD_MM / spacing
    detail = smooth - ndimage.gaussian_filter(smooth, width)
    spread = np.sqrt(ndimage.gaussian_filter(detail**2, width)) + np.float32(LEAST_SPREAD)
    return nib.Nifti1Image(detail / spread, image.affine)


def _refine(
    images: Sequence[nib.Nifti1Image], movements: list[NDArray[np.float64]], points: NDArray[np.float64]
) -> tuple[list[NDArray[np.float64]], list[float]]:
    """Gauss-Newton steps of every session towards the mean of the others, robust against what has changed."""
    share = (len(images) - 1) / len(images)
    gradients = [_gradient(image) for image in images]
    center = points.mean(axis=0)
    arms = points - center
    for _ in range(ITERATIONS):
        values, inside = _values(images, movements, points)
        everywhere = np.logical_and.reduce(inside)
        total = sum(values)
        steps = []
        for image, own, gradient, movement in zip(images, values, gradients, movements, strict=True):
            others = (total - own) / (len(images) - 1)
            slope = sample_trilinear(gradient, _voxels(image, movement, points)) @ movement[:3, :3]
            design = np.concatenate([slope, np.cross(arms, slope)], axis=1)[everywhere].astype(np.float64)
            residual = (others - own)[everywhere].astype(np.float64)
            deviation = 1.4826 * float(np.median(np.abs(residual - np.median(residual)))) + 1e-9
            weight = np.clip(1.0 - (residual / (OUTLIER * deviation)) ** 2, 0.0, None) ** 2
            weighted = design * weight[:, None]
            steps.append(share * np.linalg.solve(weighted.T @ design + 1e-6 * np.eye(6), weighted.T @ residual))
        # The person's space stays in the middle.
        steps = list(np.asarray(steps) - np.mean(steps, axis=0))
        movements = [move @ _movement(step, center) for move, step in zip(movements, steps, strict=True)]
        if max(float(np.linalg.norm(step[:3]) + HEAD_RADIUS_MM * np.linalg.norm(step[3:])) for step in steps) < (
            CONVERGED_MM
        ):
            break
    values, inside = _values(images, movements, points)
    everywhere = np.logical_and.reduce(inside)
    total = sum(values)
    similarity = [float(np.corrcoef(own[everywhere], (total - own)[everywhere])[0, 1]) for own in values]
    return movements, similarity


def _values(
    images: Sequence[nib.Nifti1Image], movements: Sequence[NDArray[np.float64]], points: NDArray[np.float64]
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]]]:
    located = [_voxels(image, movement, points) for image, movement in zip(images, movements, strict=True)]
    inside = [
        np.all((voxels >= 0) & (voxels <= np.asarray(image.shape) - 1), axis=1)
        for voxels, image in zip(located, images, strict=True)
    ]
    return [
        sample_trilinear(np.asarray(image.dataobj), voxels) for image, voxels in zip(images, located, strict=True)
    ], inside


def _voxels(image: nib.Nifti1Image, movement: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(nib.affines.apply_affine(np.linalg.inv(image.affine) @ movement, points), dtype=np.float32)


def _gradient(image: nib.Nifti1Image) -> NDArray[np.float32]:
    """Brightness per mm along the world axes, (x, y, z, 3)."""
    slopes = np.stack(np.gradient(np.asarray(image.dataobj, dtype=np.float32)), axis=-1)
    return np.asarray(slopes @ np.linalg.inv(image.affine[:3, :3]), dtype=np.float32)


def _movement(step: NDArray[np.float64], center: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rigid (4, 4) of a translation and a rotation vector about a centre."""
    generator = np.zeros((4, 4))
    x, y, z = step[3:]
    generator[:3, :3] = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]
    generator[:3, 3] = step[:3]
    to_center = nib.affines.from_matvec(np.eye(3), center)
    return np.asarray(to_center @ linalg.expm(generator) @ np.linalg.inv(to_center))


def _common_grid(
    images: Sequence[nib.Nifti1Image], movements: Sequence[NDArray[np.float64]], voxel_size_mm: float
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Grid along the axes of the person's space around the fields of view of all sessions."""
    corners = [
        nib.affines.apply_affine(
            np.linalg.inv(movement) @ image.affine,
            np.array(list(np.ndindex(2, 2, 2))) * np.asarray(image.shape) - 0.5,
        )
        for image, movement in zip(images, movements, strict=True)
    ]
    low, high = np.min(corners, axis=(0, 1)), np.max(corners, axis=(0, 1))
    shape = np.ceil((high - low) / voxel_size_mm).astype(int)
    affine = nib.affines.from_matvec(np.eye(3) * voxel_size_mm, low + voxel_size_mm / 2.0)
    return (int(shape[0]), int(shape[1]), int(shape[2])), np.asarray(affine)
