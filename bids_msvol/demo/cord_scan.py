# SPDX-License-Identifier: Apache-2.0
"""Lay the grid of a scan of the neck, and state what is true of the cord in any scan."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.demo.neck import CordTruth, cord_truth
from bids_msvol.demo.person import Person, Visit
from bids_msvol.demo.scanner import Placement, place_grid

CERVICAL_VIEW_MM = (60.0, 160.0, 220.0)
"""Right-left, anterior-posterior and inferior-superior extent: from the midbrain to the first thoracic vertebra."""

CERVICAL_VOXEL_MM = (0.8, 0.8, 0.8)
"""Edges of the voxels of a three-dimensional scan; thick sagittal slices have, say, 2 mm from right to left."""

HEAD_VOXEL_MM = 1.0
"""Edge of the voxels of a scan of the head that goes with these; with a coarser one the scan of the neck is coarser."""

BELOW_C7_MM = 20.0
"""Distance of the lower end of the field of view from that of the seventh vertebra."""

AHEAD_MM = 10.0
"""How far in front of the cord the middle of the field of view lies."""


def place_cervical_scan(
    person: Person,
    visit: Visit,
    voxel_mm: tuple[float, float, float] = CERVICAL_VOXEL_MM,
    motion: NDArray[np.float64] | None = None,
) -> Placement:
    """Lay a grid over the neck along the scanner's axes, for `scanner.scan`.

    Parameters
    ----------
    person, visit
        Whose neck, and when.
    voxel_mm
        Edges of the voxels, right-left, anterior-posterior, inferior-superior.
    motion
        (4, 4) rigid motion since the pose of the visit, mm.

    Raises
    ------
    ValueError
        If the person has no neck.
    """
    if visit.neck is None:
        raise ValueError("the person has no neck")
    shape = tuple(round(extent / edge) for extent, edge in zip(CERVICAL_VIEW_MM, voxel_mm, strict=True))
    truth = cord_truth(visit.neck, visit.to_head.affine @ np.linalg.inv(person.affine))
    shown = (truth.arc_mm > truth.tops_mm[0]) & (truth.arc_mm < truth.tops_mm[-1])
    line = truth.centerline_mm[shown]
    middle = (line.min(axis=0) + line.max(axis=0)) / 2.0 + [0.0, AHEAD_MM, 0.0]
    origin = middle - (np.asarray(shape) - 1) * np.asarray(voxel_mm) / 2.0
    origin[2] = line[-1, 2] - BELOW_C7_MM
    grid = nib.affines.from_matvec(np.diag(voxel_mm), np.round(origin, 1))
    return place_grid(person.labels, visit.to_head, grid, (shape[0], shape[1], shape[2]), motion)


def cervical_voxel_mm(resolution_mm: float) -> tuple[float, float, float]:
    """Return the edges of the voxels of a scan of the neck for those of the head: coarser with these, never finer."""
    factor = max(resolution_mm / HEAD_VOXEL_MM, 1.0)
    x, y, z = (factor * edge for edge in CERVICAL_VOXEL_MM)
    return x, y, z


def scan_truth(person: Person, visit: Visit, placement: Placement) -> CordTruth:
    """State what is true of the cord in a scan; see `cord_truth`.

    Raises
    ------
    ValueError
        If the person has no neck.
    """
    if visit.neck is None:
        raise ValueError("the person has no neck")
    return cord_truth(visit.neck, np.asarray(np.linalg.inv(placement.to_person(person, visit)), dtype=np.float64))
