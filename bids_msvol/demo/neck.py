# SPDX-License-Identifier: Apache-2.0
"""The neck of a synthetic person: the course of the cord, its exactly known size, and what is true of it in a scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.cord.levels import LEVELS, MUCCA_MM

LOCATING_ROUNDS = 2
"""Newton steps that find the plane of a point: at the cord they leave no error that matters."""

LEAST_SLOWING = 0.3
"""Far to the inner side of a bend planes cross; a step is never longer than allowed by this."""

OWN_ARCS_MM = (12.0, 20.0)
"""Places along the medulla between which the loss of area sets in."""


@dataclass(frozen=True, eq=False)
class Neck:
    """A neck, in the millimetres of a person's head before it is posed.

    Positions along the cord (arcs) are lengths of the centreline below the point of it that is nearest to the
    pontomedullary junction.

    Attributes
    ----------
    junction_mm
        (3,) groove between pons and medulla.
    arc_mm
        (n,) positions of the points, increasing downward.
    centers_mm
        (n, 3) centreline.
    right_mm, front_mm
        (n,) half-diameters of the cord, side to side and front to back.
    sac_right_mm, sac_front_mm, sac_shift_mm
        (n,) half-diameters of the sac of fluid, and how far in front of the cord its middle lies.
    flattening
        How much flatter the cord is in front.
    tops_mm
        (8,) arcs of the top of C1, of the discs C1/C2 to C6/C7, and of the lower end of C7.
    discs
        (8,) brightness of the core of each disc as a share of a healthy one's.
    seed
        Of the texture of the neck's tissue, the same at all visits.
    """

    junction_mm: NDArray[np.float64]
    arc_mm: NDArray[np.float64]
    centers_mm: NDArray[np.float64]
    right_mm: NDArray[np.float64]
    front_mm: NDArray[np.float64]
    sac_right_mm: NDArray[np.float64]
    sac_front_mm: NDArray[np.float64]
    sac_shift_mm: NDArray[np.float64]
    flattening: float
    tops_mm: NDArray[np.float64]
    discs: NDArray[np.float64]
    seed: int

    @property
    def area_mm2(self) -> NDArray[np.float64]:
        """(n,) area of the cord across the centreline; exact, since the outline has a closed form."""
        return np.pi * self.right_mm * self.front_mm * (1.0 + self.flattening**2 / 2.0)


@dataclass(frozen=True, eq=False)
class CordTruth:
    """What is true of a cord as it lay in a scan.

    Attributes
    ----------
    junction_mm
        (3,) groove between pons and medulla, in the world of the scan.
    arc_mm
        (n,) positions along the centreline, 0 nearest to the junction, increasing downward.
    centerline_mm
        (n, 3) points of the centreline in the world of the scan.
    area_mm2
        (n,) area across the centreline.
    tops_mm
        (8,) arcs of the top of C1, of the discs C1/C2 to C6/C7, and of the lower end of C7.
    csa_mm2
        Mean area of C1 to C7, and of ``C2-C3``, the 20 mm around that disc.
    """

    junction_mm: NDArray[np.float64]
    arc_mm: NDArray[np.float64]
    centerline_mm: NDArray[np.float64]
    area_mm2: NDArray[np.float64]
    tops_mm: NDArray[np.float64]
    csa_mm2: Mapping[str, float]


def shrink_cord(neck: Neck, factor: float) -> Neck:
    """Return a neck whose cord has that share of its area left, from the first vertebra down; the rest stays."""
    begun = smoothstep(neck.arc_mm, *OWN_ARCS_MM)
    scale = np.sqrt(factor) ** begun
    return replace(neck, right_mm=neck.right_mm * scale, front_mm=neck.front_mm * scale)


def locate(
    neck: Neck, points_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Say where points (n, 3) of the head lie: arc (n,), and mm to the right and to the front in the plane there."""
    arcs, centers = neck.arc_mm, neck.centers_mm
    tangents = _tangents(neck)
    table = np.concatenate([centers, tangents, np.gradient(tangents, arcs, axis=0)], axis=1)
    # The first height is the highest, and interpolation wants increasing ones.
    arc = np.interp(-points_mm[:, 2], -centers[:, 2], arcs)
    for turn in range(LOCATING_ROUNDS + 1):
        place = np.clip((arc - arcs[0]) / (arcs[1] - arcs[0]), 0.0, len(arcs) - 1.001)
        index = place.astype(np.intp)
        rows = table[index]
        rows += (place - index)[:, None] * (table[index + 1] - rows)
        offset = points_mm - rows[:, :3]
        if turn < LOCATING_ROUNDS:
            step = np.einsum("ij,ij->i", offset, rows[:, 3:6])
            slowing = 1.0 - np.einsum("ij,ij->i", offset, rows[:, 6:])
            arc = np.clip(arc + step / np.maximum(slowing, LEAST_SLOWING), arcs[0], arcs[-1])
    right, front = _across(rows[:, 3:6])
    return arc, np.einsum("ij,ij->i", offset, right), np.einsum("ij,ij->i", offset, front)


def frame(neck: Neck, arc: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 3, 3) unit vectors down along the cord, to the right and to the front, in its rows."""
    along = np.stack([np.interp(arc, neck.arc_mm, part) for part in _tangents(neck).T], axis=1)
    return np.stack([along, *_across(along)], axis=1)


def outline_level(
    neck: Neck, arc: NDArray[np.float64], right_mm: NDArray[np.float64], front_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n,) the distance from the centreline as a share of the cord's radius in that direction: 1 on the outline.

    The radius of an ellipse times ``1 + e sin 3t``, with t the angle from right to front: flatter in front, with the
    centre of mass on the centreline and the area pi a b (1 + e^2 / 2).
    """
    across = right_mm / np.interp(arc, neck.arc_mm, neck.right_mm)
    ahead = front_mm / np.interp(arc, neck.arc_mm, neck.front_mm)
    radius = np.hypot(across, ahead)
    sine = ahead / np.maximum(radius, 1e-9)
    return np.asarray(radius / (1.0 + neck.flattening * (3.0 * sine - 4.0 * sine**3)))


def mean_area_mm2(arc_mm: NDArray[np.float64], area_mm2: NDArray[np.float64], top: float, bottom: float) -> float:
    """Mean area (n,) between two positions along the cord."""
    total = np.concatenate([[0.0], np.cumsum((area_mm2[1:] + area_mm2[:-1]) / 2.0 * np.diff(arc_mm))])
    first, last = np.interp([top, bottom], arc_mm, total)
    return float((last - first) / (bottom - top))


def cord_truth(neck: Neck, to_world: NDArray[np.float64]) -> CordTruth:
    """State what is true of a cord.

    Parameters
    ----------
    neck
        The neck at the visit.
    to_world
        (4, 4) rigid, from the head before it is posed to the world of the scan.
    """
    shown = neck.arc_mm >= 0.0
    arc, area = neck.arc_mm, neck.area_mm2
    means = {
        level: mean_area_mm2(arc, area, float(neck.tops_mm[number]), float(neck.tops_mm[number + 1]))
        for number, level in enumerate(LEVELS)
    }
    disc = float(neck.tops_mm[2])
    means["C2-C3"] = mean_area_mm2(arc, area, disc - MUCCA_MM / 2.0, disc + MUCCA_MM / 2.0)
    return CordTruth(
        junction_mm=np.asarray(nib.affines.apply_affine(to_world, neck.junction_mm)),
        arc_mm=arc[shown],
        centerline_mm=np.asarray(nib.affines.apply_affine(to_world, neck.centers_mm[shown])),
        area_mm2=area[shown],
        tops_mm=neck.tops_mm,
        csa_mm2=means,
    )


def smoothstep(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.float64]:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    part = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(part * part * (3.0 - 2.0 * part), dtype=np.float64)


def _tangents(neck: Neck) -> NDArray[np.float64]:
    tangents = np.gradient(neck.centers_mm, neck.arc_mm, axis=0)
    return np.asarray(tangents / np.linalg.norm(tangents, axis=1)[:, None])


def _across(along: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the vectors (n, 3) to the right and to the front across directions that point down."""
    size = np.sqrt(along[:, 1] ** 2 + along[:, 2] ** 2)
    right = np.stack([size**2, -along[:, 0] * along[:, 1], -along[:, 0] * along[:, 2]], axis=1) / size[:, None]
    front = np.stack([np.zeros_like(size), -along[:, 2], along[:, 1]], axis=1) / size[:, None]
    return right, front
