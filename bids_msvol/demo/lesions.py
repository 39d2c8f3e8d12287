# SPDX-License-Identifier: Apache-2.0
"""White-matter lesions at the places that multiple sclerosis prefers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.demo.randomfields import smooth_noise
from bids_msvol.imaging.instances import CONNECTED

Region = Literal["periventricular", "juxtacortical", "infratentorial", "deep"]
Course = Literal["stable", "enlarging", "new"]

LATERAL_VENTRICLES = (4, 43)
CEREBRAL_CORTEX = (3, 42)
CEREBRAL_WHITE = (2, 41)
INFRATENTORIAL_WHITE = (16, 7, 46)

NEAR_VENTRICLE_MM = 3.0
"""A periventricular lesion has its centre this close to the ventricle, and so touches it."""

NEAR_CORTEX_MM = 2.5
"""The same for a juxtacortical lesion and the cortex."""

DEEP_MM = 5.0
"""A deep lesion has its centre farther than this from ventricle and cortex."""

FAR_MM = 1000.0
"""Distance where there is no such structure."""

GAP_MM = 3.0
"""Smallest distance between two lesions."""

BORDER_SIGMA_MM = 2.5
ROUGHNESS = 0.15
"""Width and size of the chance in a lesion's outline."""

ELONGATION = 1.6
"""Length of a lesion as a multiple of its width."""

GROWTH = 1.9
"""Volume of an enlarging lesion at follow-up, as a multiple of that at the first visit."""

DEFAULT_COURSES: tuple[tuple[Region, Course, int], ...] = (
    ("periventricular", "enlarging", 1),
    ("periventricular", "stable", 5),
    ("deep", "stable", 4),
    ("juxtacortical", "stable", 3),
    ("infratentorial", "stable", 2),
    ("periventricular", "new", 1),
    ("deep", "new", 1),
    ("juxtacortical", "new", 1),
)
"""How many lesions of each kind a person with multiple sclerosis gets."""

MEDIAN_VOLUME_MM3: Mapping[Region, float] = {
    "periventricular": 350.0,
    "deep": 120.0,
    "juxtacortical": 100.0,
    "infratentorial": 90.0,
}
VOLUME_SPREAD = 0.5
"""Standard deviation of the logarithm of a lesion's volume."""


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion.

    Attributes
    ----------
    number
        Its number, from 1, kept over the visits.
    region
        Where it lies.
    course
        What becomes of it between the first visit and the later ones.
    t1w_brightness, flair_brightness
        Its signal as a multiple of normal white matter's.
    baseline, follow_up
        Flat indices of its voxels on the grid of the anatomy, at the first visit (none if it is new) and later.
    """

    number: int
    region: Region
    course: Course
    t1w_brightness: float
    flair_brightness: float
    baseline: NDArray[np.int64]
    follow_up: NDArray[np.int64]


def place_lesions(
    labels: nib.Nifti1Image, rng: np.random.Generator, courses: tuple[tuple[Region, Course, int], ...] = DEFAULT_COURSES
) -> tuple[Lesion, ...]:
    """Place lesions in an anatomy.

    A kind of lesion for which there is no room left is left out.

    Parameters
    ----------
    labels
        Class of every voxel.
    rng
        Source of chance.
    courses
        Region, course and number of the lesions wanted.
    """
    data = np.asarray(labels.dataobj)
    spacing = float(nib.affines.voxel_sizes(labels.affine)[0])
    towards = _distance_mm(data, LATERAL_VENTRICLES, spacing)
    centers = _centers(data, towards, _distance_mm(data, CEREBRAL_CORTEX, spacing), spacing)
    outline = smooth_noise(data.shape, spacing, BORDER_SIGMA_MM, rng)
    free = np.ones(data.shape, dtype=bool)
    lesions: list[Lesion] = []
    for region, course, count in courses:
        tissue = INFRATENTORIAL_WHITE if region == "infratentorial" else CEREBRAL_WHITE
        for _ in range(count):
            possible = np.flatnonzero(centers[region] & free)
            if len(possible) == 0:
                break
            center = np.asarray(np.unravel_index(rng.choice(possible), data.shape), dtype=np.int64)
            volume = MEDIAN_VOLUME_MM3[region] * np.exp(VOLUME_SPREAD * rng.standard_normal())
            axis = _outward(towards, center) if region == "periventricular" else rng.standard_normal(3)
            count_wanted = max(round(volume * GROWTH / spacing**3), 2)
            grown = _grow(np.isin(data, tissue) & free, outline, center, axis, count_wanted)
            small = grown[: max(round(len(grown) / GROWTH), 1)]
            t1w, flair = rng.uniform(0.55, 0.85), rng.uniform(1.5, 1.8)
            baseline = small[:0] if course == "new" else small
            follow_up = grown if course == "enlarging" else small
            lesions.append(Lesion(len(lesions) + 1, region, course, t1w, flair, baseline, follow_up))
            _reserve(free, grown, spacing)
    return tuple(lesions)


def lesion_map(lesions: tuple[Lesion, ...], shape: tuple[int, ...], *, follow_up: bool) -> NDArray[np.int16]:
    """Return the number of the lesion at each voxel of the anatomy's grid, 0 for none."""
    numbers = np.zeros(shape, dtype=np.int16)
    for lesion in lesions:
        numbers.flat[lesion.follow_up if follow_up else lesion.baseline] = lesion.number
    return numbers


def _centers(
    data: NDArray[np.int16], to_ventricle: NDArray[np.float32], to_cortex: NDArray[np.float32], spacing: float
) -> dict[Region, NDArray[np.bool_]]:
    """Where the centres of each kind of lesion may lie."""
    white = np.isin(data, CEREBRAL_WHITE)
    hind = ndimage.binary_erosion(np.isin(data, INFRATENTORIAL_WHITE), iterations=max(round(2.0 / spacing), 1))
    near = max(NEAR_VENTRICLE_MM, 1.5 * spacing)
    return {
        "periventricular": white & (to_ventricle <= near) & (to_cortex > DEEP_MM),
        "juxtacortical": white & (to_cortex <= max(NEAR_CORTEX_MM, 1.5 * spacing)) & (to_ventricle > 2 * DEEP_MM),
        "infratentorial": hind,
        "deep": white & (to_ventricle > DEEP_MM) & (to_cortex > DEEP_MM),
    }


def _distance_mm(data: NDArray[np.int16], classes: tuple[int, ...], spacing: float) -> NDArray[np.float32]:
    """Distance to the nearest voxel of some classes, computed around the white matter only."""
    distance = np.full(data.shape, FAR_MM, dtype=np.float32)
    target = np.isin(data, classes)
    box = ndimage.find_objects(np.isin(data, (*CEREBRAL_WHITE, *INFRATENTORIAL_WHITE)).astype(np.int8))
    if box and target[box[0]].any():
        distance[box[0]] = ndimage.distance_transform_edt(~target[box[0]], sampling=spacing)
    return distance


def _outward(distance: NDArray[np.float32], center: NDArray[np.int64]) -> NDArray[np.float64]:
    """Direction in which the distance grows: lesions at the ventricle point away from it."""
    last = np.asarray(distance.shape) - 1
    ahead = [distance[tuple(np.clip(center + step, 0, last))] for step in np.eye(3, dtype=np.int64)]
    behind = [distance[tuple(np.clip(center - step, 0, last))] for step in np.eye(3, dtype=np.int64)]
    return np.asarray(ahead, dtype=np.float64) - np.asarray(behind, dtype=np.float64)


def _grow(
    allowed: NDArray[np.bool_],
    outline: NDArray[np.float32],
    center: NDArray[np.int64],
    axis: NDArray[np.float64],
    count: int,
) -> NDArray[np.int64]:
    """Find the ``count`` allowed voxels nearest to the centre, in an elongated and rough metric, nearest first."""
    reach = int(np.ceil(2.0 * count ** (1.0 / 3.0))) + 1
    starts = np.maximum(center - reach, 0)
    box = tuple(slice(int(start), int(index) + reach + 1) for start, index in zip(starts, center, strict=True))
    offsets = np.moveaxis(np.indices(allowed[box].shape), 0, -1) + (starts - center)
    axis = axis / max(float(np.linalg.norm(axis)), np.finfo(float).tiny)
    along = offsets @ axis
    across = np.sum(offsets**2, axis=-1) - along**2
    distance = np.sqrt(across + (along / ELONGATION) ** 2) * np.exp(ROUGHNESS * outline[box])
    inside = np.where(allowed[box], distance, np.inf)
    nearest = np.argsort(inside, axis=None, kind="stable")[:count]
    nearest = nearest[np.isfinite(inside.flat[nearest])]
    # What the metric reaches only across other tissue is another place.
    chosen = np.zeros(inside.shape, dtype=bool)
    chosen.flat[nearest] = True
    pieces, _ = ndimage.label(chosen, CONNECTED)
    nearest = nearest[pieces.flat[nearest] == pieces.flat[nearest[0]]]
    local = np.unravel_index(nearest, inside.shape)
    whole = tuple(index + start for index, start in zip(local, starts, strict=True))
    return np.asarray(np.ravel_multi_index(whole, allowed.shape))


def _reserve(free: NDArray[np.bool_], voxels: NDArray[np.int64], spacing: float) -> None:
    """Take a lesion's voxels, and those around it, off the free ones."""
    gap = max(round(GAP_MM / spacing), 1)
    position = np.stack(np.unravel_index(voxels, free.shape))
    start = np.maximum(position.min(axis=1) - gap, 0)
    box = tuple(slice(int(low), int(high) + gap + 1) for low, high in zip(start, position.max(axis=1), strict=True))
    taken = np.zeros(free[box].shape, dtype=bool)
    taken[tuple(position - start[:, None])] = True
    free[box] &= ~ndimage.binary_dilation(taken, CONNECTED, iterations=gap)
