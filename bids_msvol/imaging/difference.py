# SPDX-License-Identifier: Apache-2.0
"""What differs between two aligned images of one head, and how significant that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.instances import CONNECTED

SMOOTHING_MM = 0.7
"""Gaussian blur of the difference: a lesion is larger than a voxel, the noise is not."""

EDGE_SHARE = 0.5
HEIGHT_PERCENTILE = 90.0
"""A change ends where the difference falls below half of its height: there a blurred edge lies. The height is this
percentile, since a single voxel is noisy."""

TREND_MM = 12.0
"""Width of the Gaussian that finds the smooth part of the difference, which no lesion makes."""

NOISE_MM = 8.0
"""Width of the Gaussian that finds the local noise."""

LONELY_WEIGHT = 0.02
"""Share of normal white matter in the neighbourhood below which local estimates lean on the global one."""

LEAST_SHIFT_MM = 0.2
"""Error of position that is always allowed for."""

LARGEST_SHIFT_MM = 1.5
SHIFT_SHARE = 0.6
"""A change is dropped if moving the image there by at most so much explains at least this share of the difference."""

SHIFT_MARGIN_VOXELS = 2
"""How far around a change a movement is looked for."""

SHARPNESS_TOLERANCE = 0.1
"""Difference of the two images' sharpness, as a share, that is left alone."""

BLUR_STEPS = 5
"""Halvings of the interval in which the blur is looked for."""

LARGEST_BLUR_MM = 3.0
"""Strongest blur that the sharper image is given along an axis: what slices of about 7 mm need."""

MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution per median absolute deviation."""


def same_sharpness(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    seen: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Blur the sharper of two images along each axis until both are equally sharp: slices may differ in thickness.

    Parameters
    ----------
    first, second
        (x, y, z) brightness, finite everywhere.
    seen
        Where both images are valid.
    spacing_mm
        (3,) edges of a voxel.
    """
    images = [first, second]
    inside = ndimage.binary_erosion(seen, CONNECTED, iterations=3)
    if not inside.any():
        return first, second
    for axis in range(3):
        values = [_sharpness(image, axis, inside) for image in images]
        sharper = int(np.argmax(values))
        target = min(values)
        if values[sharper] <= target * (1.0 + SHARPNESS_TOLERANCE):
            continue
        low, high = 0.0, LARGEST_BLUR_MM / float(spacing_mm[axis])
        for _ in range(BLUR_STEPS):
            middle = (low + high) / 2.0
            trial = ndimage.gaussian_filter1d(images[sharper], middle, axis)
            low, high = (middle, high) if _sharpness(trial, axis, inside) > target else (low, middle)
        images[sharper] = ndimage.gaussian_filter1d(images[sharper], low, axis)
    return images[0], images[1]


def _sharpness(image: NDArray[np.float32], axis: int, inside: NDArray[np.bool_]) -> float:
    """Ratio of the energies of a fine and of a coarse gradient along an axis; contrast does not change it."""
    fine, coarse = (
        float(np.mean(ndimage.gaussian_filter1d(image, sigma, axis, order=1)[inside] ** 2)) for sigma in (0.8, 2.0)
    )
    return fine / max(coarse, float(np.finfo(np.float32).tiny))


def difference_z(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    *,
    normal: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Difference of two aligned images over its standard deviation, and the difference, without its smooth part.

    The variance is that of the noise around the voxel, and what a small error of position makes of an edge that both
    images have.

    Parameters
    ----------
    first, second
        (x, y, z) brightness, finite everywhere.
    normal
        Tissue that has not changed, from which noise and smooth part are learned.
    seen
        Where both images are valid; z is 0 elsewhere.
    spacing_mm
        (3,) edges of a voxel.

    Returns
    -------
    tuple
        z, and second minus first; both (x, y, z).
    """
    difference = blurred(second - first, SMOOTHING_MM, spacing_mm)
    weight = normal.astype(np.float32)
    spread = robust_sd(difference[normal])
    middle = np.float32(np.median(difference[normal]))
    clipped = np.clip(difference - middle, -2.5 * spread, 2.5 * spread)
    difference -= middle + _local_mean(clipped, weight, TREND_MM, spacing_mm, otherwise=0.0)
    spread = max(robust_sd(difference[normal]), float(np.finfo(np.float32).eps))
    square = np.clip(difference, -3.0 * spread, 3.0 * spread) ** 2
    noise = _local_mean(square, weight, NOISE_MM, spacing_mm, otherwise=spread**2)
    noise = np.maximum(noise, np.float32(0.5 * spread**2))
    edge = _shared_steepness(first, second, spacing_mm)
    strong = seen & (edge > np.percentile(edge[seen], 90.0))
    excess = max(robust_sd(difference[strong]) ** 2 - spread**2, 0.0) if strong.any() else 0.0
    steep = float(np.median(edge[strong] ** 2)) if strong.any() else 1.0
    shift_mm = max(float(np.sqrt(excess / max(steep, 1e-12))), LEAST_SHIFT_MM)
    z = difference / np.sqrt(noise + np.float32(shift_mm**2) * edge**2)
    return np.where(seen, z, np.float32(0.0)), difference


def down_to_half(piece: NDArray[np.bool_], difference: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the voxels of a piece where the difference is at least half its height."""
    height = float(np.percentile(difference[piece], HEIGHT_PERCENTILE))
    return piece & (difference >= EDGE_SHARE * height)


def robust_sd(values: NDArray[np.float32]) -> float:
    """Return the standard deviation of a normal distribution with the median absolute deviation of the values."""
    return MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))


def blurred(values: NDArray[np.float32], sigma_mm: float, spacing_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Blur an image (x, y, z) with a Gaussian."""
    return np.asarray(ndimage.gaussian_filter(values, sigma_mm / spacing_mm, truncate=3.0), dtype=np.float32)


def _local_mean(
    values: NDArray[np.float32],
    weight: NDArray[np.float32],
    width_mm: float,
    spacing_mm: NDArray[np.float64],
    *,
    otherwise: float,
) -> NDArray[np.float32]:
    """Gaussian mean of the weighted voxels; where there are few, drawn towards ``otherwise``."""
    total = blurred(values * weight, width_mm, spacing_mm) + np.float32(LONELY_WEIGHT * otherwise)
    return np.asarray(total / (blurred(weight, width_mm, spacing_mm) + np.float32(LONELY_WEIGHT)), dtype=np.float32)


def _shared_steepness(
    first: NDArray[np.float32], second: NDArray[np.float32], spacing_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Steepness, per mm, of the edges that both images show: a new lesion has edges in one only."""
    steepness = [np.sqrt(np.sum(np.square(_gradient(image, spacing_mm)), axis=0)) for image in (first, second)]
    return np.asarray(ndimage.maximum_filter(np.minimum(*steepness), size=3), dtype=np.float32)


def _gradient(image: NDArray[np.float32], spacing_mm: NDArray[np.float64]) -> list[NDArray[np.float32]]:
    """Gradient along the three axes, per mm, at the scale of the smoothed difference."""
    smooth = blurred(image, SMOOTHING_MM, spacing_mm)
    return [np.gradient(smooth, float(size), axis=axis) for axis, size in enumerate(spacing_mm)]


def is_shift(
    piece: NDArray[np.bool_],
    mean: NDArray[np.float32],
    difference: NDArray[np.float32],
    seen: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
) -> bool:
    """Tell whether a small movement of the image explains a change, by least squares in and around it.

    Parameters
    ----------
    piece
        (x, y, z) voxels that differ, with some room around them.
    mean, difference
        Mean of the two images, and second minus first, on the same voxels.
    seen
        Where both images are valid.
    spacing_mm
        (3,) edges of a voxel.

    References
    ----------
    Lucas and Kanade 1981, Proceedings of IJCAI 7:674-679.
    """
    around = ndimage.binary_dilation(piece, CONNECTED, iterations=SHIFT_MARGIN_VOXELS) & seen
    gradient = np.stack([part[around] for part in _gradient(mean, spacing_mm)], axis=1).astype(np.float64)
    values = difference[around].astype(np.float64)
    movement, *_ = np.linalg.lstsq(gradient, values, rcond=None)
    explained = 1.0 - float(np.sum((values - gradient @ movement) ** 2)) / float(np.sum(values**2))
    return explained >= SHIFT_SHARE and float(np.linalg.norm(movement)) <= LARGEST_SHIFT_MM
