# SPDX-License-Identifier: Apache-2.0
"""The bones and discs around a synthetic cord, as rounded boxes laid along it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bids_msvol.demo.neck import Neck

Core = Literal["marrow", "disc", "ligament", "flow"]
"""What a solid is filled with; what flows fast, as the blood in arteries, gives no signal."""

DISC_HALF_MM = 2.6
"""Half the height of a disc with its end plates."""

CORTEX_MM = 0.9
"""Thickness of the compact bone around the marrow."""

BODY_DEPTH_MM, BODY_HALF_WIDTH_MM = 15.0, 9.5
"""Size of the body of a vertebra."""

BEHIND_MM = 2.2
"""Distance of bone from the sac: dura, fat and ligament."""

SPINES_MM = (0.0, 19.0, 14.0, 14.0, 16.0, 22.0, 32.0, 32.0)
"""Length of the spinous processes from the first vertebra, which has none, to the first thoracic one."""

THORACIC_MM = 21.5
"""Height of the first thoracic vertebra."""


@dataclass(frozen=True)
class Solid:
    """A rounded box in the coordinates of the cord: arc, to the right, to the front; mm.

    Attributes
    ----------
    center, half
        Middle and half the edges.
    rounding
        Radius of its edges.
    core
        What it is filled with.
    rim
        Thickness of the compact bone around the core.
    scale
        Factor on the brightness of the core.
    slope
        How much lower it lies for each millimetre farther back.
    mirrored
        Whether there is one on each side.
    """

    center: tuple[float, float, float]
    half: tuple[float, float, float]
    rounding: float
    core: Core
    rim: float = CORTEX_MM
    scale: float = 1.0
    slope: float = 0.0
    mirrored: bool = False

    def reach(self) -> tuple[float, float]:
        """Return the arcs between which it lies."""
        leaning = self.slope * self.half[2]
        return self.center[0] - self.half[0] - leaning, self.center[0] + self.half[0] + leaning

    def distance_mm(
        self, arc: NDArray[np.float64], right: NDArray[np.float64], front: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the distance (n,) of points from its surface, negative within."""
        across = np.abs(right) if self.mirrored else right
        lower = arc - self.center[0] + self.slope * (front - self.center[2])
        offset = np.stack([np.abs(lower), np.abs(across - self.center[1]), np.abs(front - self.center[2])])
        beyond = offset - (np.asarray(self.half) - self.rounding)[:, None]
        outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=0)
        return np.asarray(outside + np.minimum(beyond.max(axis=0), 0.0) - self.rounding)


def vertebral_column(neck: Neck) -> Iterator[Solid]:
    """Yield bones, discs and arteries, each to be drawn over those before it."""
    ends = [*neck.tops_mm.tolist(), float(neck.tops_mm[-1]) + THORACIC_MM]
    for number, (top, bottom) in enumerate(pairwise(ends)):
        middle = (top + bottom) / 2.0
        width, ahead, behind = _sac(neck, middle)
        if number == 0:
            yield from _first(middle, width, ahead, behind)
            continue
        yield from _sides(middle, width)
        yield from _arch(middle, behind, SPINES_MM[number])
        yield from _body(neck, number, top, bottom)
    for number in range(2, len(neck.tops_mm)):
        yield from _disc(neck, number)
    yield from _dens(neck)


def _sac(neck: Neck, arc: float) -> tuple[float, float, float]:
    """Half-width of the sac, and where it ends in front of and behind the cord's middle."""
    width, depth, shift = (
        float(np.interp(arc, neck.arc_mm, values))
        for values in (neck.sac_right_mm, neck.sac_front_mm, neck.sac_shift_mm)
    )
    return width, shift + depth, shift - depth


def _body(neck: Neck, number: int, top: float, bottom: float) -> Iterator[Solid]:
    begin = top if number == 1 else top + DISC_HALF_MM
    middle, half = (begin + bottom - DISC_HALF_MM) / 2.0, (bottom - DISC_HALF_MM - begin) / 2.0
    front = _sac(neck, middle)[1] + BEHIND_MM + BODY_DEPTH_MM / 2.0
    yield Solid((middle, 0.0, front), (half, BODY_HALF_WIDTH_MM + 0.3 * number, BODY_DEPTH_MM / 2.0), 2.0, "marrow")


def _disc(neck: Neck, number: int) -> Iterator[Solid]:
    """Yield a disc, which bulges a little, and its brighter core."""
    arc = float(neck.tops_mm[number])
    front = _sac(neck, arc)[1] + BEHIND_MM + BODY_DEPTH_MM / 2.0 - 0.2
    yield Solid((arc, 0.0, front), (DISC_HALF_MM - 0.3, 9.5, BODY_DEPTH_MM / 2.0 + 0.6), 1.5, "ligament", rim=0.0)
    core = float(neck.discs[number])
    yield Solid((arc, 0.0, front), (DISC_HALF_MM - 1.0, 7.0, BODY_DEPTH_MM / 2.0 - 2.0), 1.2, "disc", 0.0, core)


def _dens(neck: Neck) -> Iterator[Solid]:
    """Yield the tooth of the second vertebra, which goes up in front of the first one, and its scar of a disc."""
    top, base = float(neck.tops_mm[0]), float(neck.tops_mm[1])
    middle, half = (top + 2.0 + base + 4.0) / 2.0, (base + 4.0 - top - 2.0) / 2.0
    front = _sac(neck, (top + base) / 2.0)[1] + BEHIND_MM + 7.5
    yield Solid((middle, 0.0, front), (half, 5.2, 5.5), 4.5, "marrow")
    yield Solid((base + 2.0, 0.0, front), (0.8, 4.0, 4.0), 0.5, "ligament", rim=0.0)


def _first(middle: float, width: float, ahead: float, behind: float) -> Iterator[Solid]:
    """Yield the ring of the first vertebra: arches in front and behind, and a mass of bone at each side."""
    yield Solid((middle, width + 9.0, ahead - 3.0), (8.0, 6.0, 8.0), 3.0, "marrow", mirrored=True)
    yield Solid((middle - 1.0, 0.0, ahead + BEHIND_MM + 16.5), (5.0, 9.0, 3.0), 2.5, "marrow")
    yield Solid((middle, 0.0, behind - BEHIND_MM - 3.5), (3.8, 11.0, 3.2), 2.5, "marrow")
    yield Solid((middle, width + 20.0, ahead - 2.0), (9.0, 2.4, 2.4), 2.4, "flow", rim=0.0, mirrored=True)


def _sides(middle: float, width: float) -> Iterator[Solid]:
    """Yield the joints at both sides of the canal, with the arteries in front of them."""
    yield Solid((middle, width + 8.5, -1.0), (6.0, 5.5, 6.0), 2.5, "marrow", mirrored=True)
    yield Solid((middle, width + 7.0, 8.5), (12.0, 2.4, 2.4), 2.4, "flow", rim=0.0, mirrored=True)


def _arch(middle: float, behind: float, length: float) -> Iterator[Solid]:
    """Yield the arch behind the canal, and the spinous process, which points back and down."""
    yield Solid((middle + 2.0, 0.0, behind - BEHIND_MM - 2.5), (5.0, 11.0, 2.6), 2.2, "marrow")
    back = behind - BEHIND_MM - 2.5 - length / 2.0
    yield Solid((middle + 5.0, 0.0, back), (4.2, 3.6, length / 2.0), 2.5, "marrow", slope=0.35)
