# SPDX-License-Identifier: Apache-2.0
"""Find the cord in an image without any seed: where each axial slice shows one, and the path from slice to slice."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

IN_PLANE_MM = 1.0
"""Voxels in which the cord is looked for: it is 12 mm wide, and noise is less at this size."""

SLICE_MM = 2.0
"""Thinner slices are averaged to about this height."""

CORD_RADII_MM = ((5.0, 3.6), (6.2, 4.2), (7.2, 5.0))
"""Half-diameters, side to side and front to back, of the cords looked for: thin, usual and thick."""

CORE, RING = 0.75, (1.1, 1.6)
"""Parts of an ellipse of those sizes that are compared: within, and all around, as shares of its radius."""

SECTORS = 8
"""Parts of the ring: a cord has fluid on all of its sides, a vessel or the edge of a muscle has not."""

SURROUNDINGS_MM = 20.0
"""Width of the weights with which brightness is divided by its mean around: what lies near a coil is far brighter."""

MIDLINE_MM, MIDLINE_WEIGHT = 6.0, 0.3
"""The neck's midline is known to about this; beyond it, each 10 mm squared cost this share of a clear response."""

BEND_WEIGHT = 0.05
"""Cost of a step of 1 mm to the side per 2 mm of height, squared, as a share of a clear response."""

REACH_VOXELS = 3
"""Largest step to the side from one slice to the next."""

LEAST_CLARITY = 0.04
"""Least mean response along the path, in units of the local brightness, from which it is taken for a cord."""


class CordNotFoundError(Exception):
    """No cord is seen in an image; the message says why in plain words."""


def find_cord(image: nib.Nifti1Image, *, bright: bool, midline_mm: float | None = None) -> NDArray[np.float64]:
    """Find the cord by its fluid: an ellipse that differs, to the same side, from everything around it.

    Each slice answers for three sizes of cord; the path with the best answers, little bend and no jump is found by
    dynamic programming from slice to slice (as OptiC does with a learned detector; Gros 2018).

    Parameters
    ----------
    image
        Axes right, anterior, superior (``to_canonical``); the cord crosses all of its axial slices.
    bright
        Whether the cord is brighter than the fluid, as in T1w images.
    midline_mm
        Where the cord lies from left to right, in the image's world; the middle of what is seen, if not given.

    Returns
    -------
    numpy.ndarray
        (n, 3) one point in each axial slice of the image, from the lowest to the highest, in its world.

    Raises
    ------
    CordNotFoundError
        If nothing in the image looks like a cord.
    """
    data, affine = _coarse(image)
    local = ndimage.gaussian_filter(data, SURROUNDINGS_MM / nib.affines.voxel_sizes(affine), mode="nearest")
    if not local.any():
        raise CordNotFoundError("the image is empty")
    data = np.asarray(data / (local + 0.05 * np.percentile(data, 99)), dtype=np.float32)
    sign = -1.0 if bright else 1.0
    responses = np.stack([_encircled(sign * one) for one in np.moveaxis(data, 2, 0)], axis=2)
    clear = float(np.percentile(responses.max(axis=(0, 1)), 90))
    if clear <= 0:
        raise CordNotFoundError("no slice shows a cord")
    if midline_mm is None:
        center = float(np.median(np.nonzero(_seen(image))[0])) * float(nib.affines.voxel_sizes(image.affine)[0])
    else:
        center = float(midline_mm - image.affine[0, 3])
    aside = np.abs(np.arange(data.shape[0]) * IN_PLANE_MM - center) - MIDLINE_MM
    score = responses - np.float32(MIDLINE_WEIGHT * clear) * (np.clip(aside, 0.0, None) / 10.0)[:, None, None] ** 2
    path = _best_path(score.astype(np.float32), BEND_WEIGHT * clear)
    clarity = responses[path[:, 0], path[:, 1], np.arange(len(path))]
    if float(np.mean(clarity)) < LEAST_CLARITY:
        raise CordNotFoundError(f"nothing looks like a cord (clarity {np.mean(clarity):.2f}, least {LEAST_CLARITY:g})")
    found = nib.affines.apply_affine(affine, np.column_stack([path, np.arange(len(path))]))
    heights = np.arange(image.shape[2])
    coarse = (heights + 0.5) * len(path) / image.shape[2] - 0.5
    return np.stack([_interpolate(coarse, found[:, axis]) for axis in range(3)], axis=1)


def _seen(image: nib.Nifti1Image) -> NDArray[np.bool_]:
    data = np.asarray(image.dataobj, dtype=np.float32)
    return np.asarray(data > 0.12 * np.percentile(data, 99))


def _coarse(image: nib.Nifti1Image) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the image at the voxel size in which the cord is looked for, and its affine; its corner stays in place."""
    data = np.asarray(image.dataobj, dtype=np.float32)
    sizes = nib.affines.voxel_sizes(image.affine)
    merged = max(1, min(round(SLICE_MM / sizes[2]), data.shape[2]))
    heights = np.array_split(np.arange(data.shape[2]), max(data.shape[2] // merged, 1))
    data = np.stack([data[:, :, part].mean(axis=2) for part in heights], axis=2)
    in_plane = sizes[:2] / IN_PLANE_MM
    shape = [max(round(length * factor), 1) for length, factor in zip(data.shape[:2], in_plane, strict=True)]
    if (in_plane < 1.0).any():
        blur = [0.5 * np.sqrt(max(1 / factor**2 - 1, 0.0)) for factor in in_plane]
        data = ndimage.gaussian_filter(data, (*blur, 0.0), mode="nearest")
    positions = [(np.arange(length) / factor) for length, factor in zip(shape, in_plane, strict=True)]
    grid = np.meshgrid(*positions, indexing="ij")
    coarse = np.stack(
        [ndimage.map_coordinates(one, grid, order=1, mode="nearest") for one in np.moveaxis(data, 2, 0)], axis=2
    )
    thick = image.shape[2] / len(heights)
    scale = np.diag([*(1 / in_plane), thick])
    return coarse, image.affine @ nib.affines.from_matvec(scale, [0.0, 0.0, (thick - 1) / 2])


def _encircled(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Say for each pixel (x, y) how much darker it is than everything that lies around a cord at that place."""
    margin = int(np.ceil(RING[1] * max(max(radii) for radii in CORD_RADII_MM)))
    padded = np.pad(plane, margin, mode="edge")
    best = np.full(padded.shape, -np.inf, dtype=np.float32)
    for radii in CORD_RADII_MM:
        core, sectors = _template(radii)
        mean = signal.fftconvolve(padded, core, mode="same")
        uneven = np.sqrt(np.maximum(signal.fftconvolve(padded**2, core, mode="same") - mean**2, 0.0))
        around = np.stack([signal.fftconvolve(padded, sector, mode="same") for sector in sectors])
        differences = np.sort(around - mean, axis=0)
        least = (differences[1] + differences[: SECTORS // 2].mean(axis=0)) / 2.0
        best = np.maximum(best, (least - uneven).astype(np.float32))
    return np.asarray(best[margin:-margin, margin:-margin])


def _template(radii_mm: tuple[float, float]) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Return averaging weights of the inside of an ellipse and of the sectors of the ring around it."""
    reach = int(np.ceil(RING[1] * max(radii_mm) / IN_PLANE_MM))
    x, y = np.meshgrid(*[np.arange(-reach, reach + 1) * IN_PLANE_MM] * 2, indexing="ij")
    radius = np.hypot(x / radii_mm[0], y / radii_mm[1])
    angle = np.arctan2(y / radii_mm[1], x / radii_mm[0])
    sector = np.floor((angle + np.pi) / (2 * np.pi) * SECTORS).astype(int) % SECTORS
    core = (radius < CORE).astype(np.float64)
    ring = (radius > RING[0]) & (radius < RING[1])
    parts = [(ring & (sector == number)).astype(np.float64) for number in range(SECTORS)]
    return core / core.sum(), [part / part.sum() for part in parts]


def _best_path(score: NDArray[np.float32], bend_cost: float) -> NDArray[np.int64]:
    """Return the pixel (n, 2) in each slice of ``score`` (x, y, n) on the path with the highest sum."""
    steps = [(x, y) for x in range(-REACH_VOXELS, REACH_VOXELS + 1) for y in range(-REACH_VOXELS, REACH_VOXELS + 1)]
    width, depth, count = score.shape
    total, cameby = score[:, :, 0].copy(), list[NDArray[np.int16]]()
    for height in range(1, count):
        padded = np.pad(total, REACH_VOXELS, constant_values=-np.inf)
        best = np.full((width, depth), -np.inf, dtype=np.float32)
        by = np.zeros((width, depth), dtype=np.int16)
        for number, (x, y) in enumerate(steps):
            shifted = padded[REACH_VOXELS + x :, REACH_VOXELS + y :][:width, :depth]
            candidate = shifted - np.float32(bend_cost * (x * x + y * y))
            better = candidate > best
            best[better], by[better] = candidate[better], number
        cameby.append(by)
        total = best + score[:, :, height]
    path = np.zeros((count, 2), dtype=np.int64)
    path[-1] = np.unravel_index(int(np.argmax(total)), total.shape)
    for height in range(count - 1, 0, -1):
        path[height - 1] = path[height] + steps[cameby[height - 1][tuple(path[height])]]
    return path


def _interpolate(positions: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate ``values`` at fractional indices, going on straight beyond both ends."""
    if len(values) == 1:
        return np.full(len(positions), float(values[0]))
    index = np.clip(np.floor(positions).astype(int), 0, len(values) - 2)
    share = positions - index
    return np.asarray((1 - share) * values[index] + share * values[index + 1])
