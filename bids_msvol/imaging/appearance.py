# SPDX-License-Identifier: Apache-2.0
"""Where lesions appeared or vanished between two sessions, from the difference of their images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.difference import (
    SMOOTHING_MM,
    blurred,
    difference_z,
    down_to_half,
    is_shift,
    same_sharpness,
)
from bids_msvol.imaging.instances import CONNECTED, number_pieces

SEED_Z, GROW_Z = 5.0, 2.5
"""A change begins where the difference is this many standard deviations, and reaches as far as the lower number."""

LEAST_LONE_Z = 4.0
"""Least mean z of a change away from known lesions. The growth of a lesion is a rim a voxel or two thick, where the
difference is smaller, but there a change is more likely too."""

LEAST_STEP = 0.08
"""Smallest difference of brightness, as a share of normal white matter, that is looked at: in good images the noise is
so small that harmless differences of contrast are significant."""

NEAR_WHITE_MM = 1.5
"""Lesions lie in white matter or this close to it."""

NORMAL_DISTANCE_MM = 3.0
"""White matter this far from any lesion is taken for normal."""

LEAST_CORE_MM3 = 60.0
"""Volume of lesion seen in both sessions from which the contrast of lesions is compared."""

GAIN_RANGE = (0.6, 1.7)
"""Ratio of the sessions' lesion contrasts that a difference of protocol can explain."""

ROOM_VOXELS = 4
"""Room around a change in which a movement is looked for and gradients are taken."""


@dataclass(frozen=True, eq=False)
class SessionPair:
    """Two sessions on one grid; each tuple holds the earlier and the later session's array (x, y, z).

    Attributes
    ----------
    images
        Brightness, normal white matter 1, finite everywhere.
    masks, probabilities
        Lesions.
    fluids
        Probability of fluid.
    white
        Prior probability of white matter, lesions included.
    seen
        What both sessions saw.
    spacing_mm
        (3,) edges of a voxel.
    """

    images: tuple[NDArray[np.float32], NDArray[np.float32]]
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    probabilities: tuple[NDArray[np.float32], NDArray[np.float32]]
    fluids: tuple[NDArray[np.float32], NDArray[np.float32]]
    white: NDArray[np.float32]
    seen: NDArray[np.bool_]
    spacing_mm: NDArray[np.float64]

    def normal(self) -> NDArray[np.bool_]:
        """Return white matter that no lesion is near.

        Raises
        ------
        ValueError
            If there is none.
        """
        apart = ndimage.distance_transform_edt(~(self.masks[0] | self.masks[1]), self.spacing_mm) > NORMAL_DISTANCE_MM
        if not (self.masks[0] | self.masks[1]).any():
            apart = np.ones_like(self.seen)
        fluid = np.maximum(*self.fluids)
        normal = self.seen & apart & (self.white > 0.9) & (fluid < 0.1)
        if not normal.any():
            raise ValueError("the two sessions have no normal white matter in common")
        return normal


@dataclass(frozen=True, eq=False)
class Changes:
    """What the difference of two sessions shows.

    Attributes
    ----------
    z
        (x, y, z) difference over its standard deviation, 0 where not both sessions were seen.
    appeared, vanished
        (x, y, z) voxels that are lesion in the later session only, and in the earlier one only.
    """

    z: NDArray[np.float32]
    appeared: NDArray[np.bool_]
    vanished: NDArray[np.bool_]


def find_changes(pair: SessionPair, least_voxels: int) -> Changes:
    """Find where lesions appeared or vanished; pieces of fewer than ``least_voxels`` are left out."""
    early, late = _same_contrast(pair, *same_sharpness(*pair.images, pair.seen, pair.spacing_mm))
    z, difference = difference_z(early, late, normal=pair.normal(), seen=pair.seen, spacing_mm=pair.spacing_mm)
    gray = _gray_brightness(pair, early, late)
    appeared = _changed(pair, z, difference, (early, late), (0, 1), gray, least_voxels)
    vanished = _changed(pair, -z, -difference, (late, early), (1, 0), gray, least_voxels)
    return Changes(z, appeared, vanished)


def _same_contrast(
    pair: SessionPair, early: NDArray[np.float32], late: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the lesions that both sessions have the same contrast to white matter, half of the way each."""
    # What grows brightens at its border.
    core = ndimage.binary_erosion(pair.masks[0] & pair.masks[1])
    if np.count_nonzero(core) * float(np.prod(pair.spacing_mm)) < LEAST_CORE_MM3:
        return early, late
    contrast = [max(float(np.median(image[core])) - 1.0, 0.05) for image in (early, late)]
    half = np.float32(np.sqrt(np.clip(contrast[1] / contrast[0], *GAIN_RANGE)))
    return np.float32(1.0) + (early - np.float32(1.0)) * half, np.float32(1.0) + (late - np.float32(1.0)) / half


def _gray_brightness(pair: SessionPair, early: NDArray[np.float32], late: NDArray[np.float32]) -> float:
    """Median of grey matter; of normal white matter if there is none."""
    gray = pair.seen & (pair.white < 0.1) & (np.maximum(*pair.fluids) < 0.1)
    values = ((early + late) / 2.0)[gray if gray.any() else pair.normal()]
    return float(np.median(values))


def _changed(
    pair: SessionPair,
    z: NDArray[np.float32],
    difference: NDArray[np.float32],
    images: tuple[NDArray[np.float32], NDArray[np.float32]],
    order: tuple[int, int],
    gray: float,
    least_voxels: int,
) -> NDArray[np.bool_]:
    """Voxels that are lesion in the second image of ``images`` and were none in the first.

    Parameters
    ----------
    pair
        The sessions.
    z, difference
        Second minus first.
    images
        Matched images.
    order
        Which session of ``pair`` each of them is.
    gray
        Brightness of grey matter: lesions are brighter.
    least_voxels
        Smallest piece kept.
    """
    first, second = order
    near_white = ndimage.distance_transform_edt(pair.white <= 0.5, pair.spacing_mm) <= NEAR_WHITE_MM
    lit = blurred(images[1], SMOOTHING_MM, pair.spacing_mm)
    possible = pair.seen & near_white & (pair.probabilities[first] < 0.5) & (pair.fluids[first] < 0.5)
    possible &= (pair.fluids[second] < 0.5) & (difference > LEAST_STEP) & (lit > gray)
    seeds = possible & (z > SEED_Z)
    pieces, count = ndimage.label(possible & (z > GROW_Z), CONNECTED)
    keep = np.zeros(count + 1, dtype=bool)
    keep[np.unique(pieces[seeds])] = True
    keep[0] = False
    mean = (images[0] + images[1]) / np.float32(2.0)
    changed = np.zeros(pieces.shape, dtype=bool)
    for number, tight in enumerate(ndimage.find_objects(pieces), start=1):
        box = tuple(slice(max(part.start - ROOM_VOXELS, 0), part.stop + ROOM_VOXELS) for part in tight)
        piece = pieces[box] == number
        if not keep[number] or is_shift(piece, mean[box], difference[box], pair.seen[box], pair.spacing_mm):
            continue
        piece = down_to_half(piece, difference[box])
        alone = not (ndimage.binary_dilation(piece, CONNECTED) & pair.masks[first][box]).any()
        if not alone or float(z[box][piece].mean()) >= LEAST_LONE_Z:
            changed[box] |= piece
    return number_pieces(changed, least_voxels) > 0
