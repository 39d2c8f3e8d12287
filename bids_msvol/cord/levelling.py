# SPDX-License-Identifier: Apache-2.0
"""Levels from all that can tell them: discs that were found, labels that were given, or the pontomedullary junction."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.cord.levels import LEVEL_TOPS_MM, LEVELS, Levelling, disc_position_mm
from bids_msvol.cord.sections import Sections, arc_of_mm

LabelKind = Literal["discs", "bodies"]
"""What given points mark: 1 the top of C1 and k the disc above the vertebra k, or k the middle of the vertebra k."""

JUNCTION_LABEL = 50
"""Number of the pontomedullary junction among labels of discs, in the convention of the Spinal Cord Toolbox."""

COMMON_SCALE = (0.85, 1.2)
"""Necks, as multiples of the average one, in which discs are given numbers."""

NECK_SCALE_SD, SHIFT_SD_MM, DISC_SD_MM = 0.08, 4.0, 1.5
"""How necks differ from the average one: in scale, in where the discs lie as a whole (bending of the neck, and the
error of the junction), and in where each disc lies."""

LARGEST_RESIDUAL_MM = 3.0
"""Largest root mean square distance of numbered discs from where they are expected."""

MISSED_COST = 3.0
"""Cost, in squared standard deviations, of each disc from C2/C3 down that was not found above one that was: since the
junction is in view so are they, and one in five is not found."""

LEAST_LEAD = 6.0
"""By how much the best numbering must beat the next, in squared standard deviations: it is then 20 times as likely."""

THORACIC_TOPS_MM = (171.5, 194.5, 217.5, 242.0, 267.5)
"""Discs T1/T2 to T5/T6 in the PAM50 template: they may be in view, and must then not be taken for cervical ones."""

JUNCTION_AGREES_MM = 5.0
"""The junction is an anchor beside discs if it lies as near as this to where they expect it."""

FARTHEST_BEYOND_MM = 30.0
"""Labels farther than this beyond the ends of the centreline are not used beside others: the cord bends."""

FARTHEST_LABEL_MM = 45.0
"""Largest distance of a label from the centreline: the front of a vertebral body is 25 mm away."""


def number_discs(disc_arc_mm: NDArray[np.float64], junction_arc_mm: float) -> Levelling | None:
    """Give discs their numbers by their distances from the pontomedullary junction and from one another.

    For each way to number them in order, the scale of the neck and a common shift are fitted with what is known of
    both beforehand. The misfit is the squared distance of it all from the average neck in standard deviations; discs
    that were missed, between others or above them, add to it.

    Parameters
    ----------
    disc_arc_mm
        (k,) discs, downward along the centreline, increasing; one between two of them may be missing.
    junction_arc_mm
        The junction, in the same coordinate; it may be above the centreline.

    Returns
    -------
    Levelling or None
        With the cervical discs as anchors, and the junction where it agrees with them; ``None`` if no numbering fits,
        or another one fits nearly as well.
    """
    expected = np.asarray(LEVEL_TOPS_MM[2:] + THORACIC_TOPS_MM)
    found = np.asarray(disc_arc_mm, dtype=np.float64)[: len(expected)]
    distances = found - junction_arc_mm
    fits = []
    for chosen in itertools.combinations(range(len(expected)), len(distances)):
        # More than one missing between two is a sign of something else than discs.
        if chosen and max(np.diff(chosen), default=1) <= 2:
            misfit, scale, residual = _fit_neck(distances, expected[list(chosen)])
            missed = chosen[-1] + 1 - len(chosen)
            fits.append((misfit + MISSED_COST * missed, scale, residual, expected[list(chosen)]))
    if not fits:
        return None
    fits.sort(key=lambda fit: fit[0])
    misfit, scale, residual, positions = fits[0]
    if not COMMON_SCALE[0] <= scale <= COMMON_SCALE[1] or residual > LARGEST_RESIDUAL_MM:
        return None
    if len(fits) > 1 and fits[1][0] - misfit < LEAST_LEAD:
        return None
    cervical = positions <= LEVEL_TOPS_MM[-1]
    if not cervical.any():
        return None
    arcs, places = found[cervical], positions[cervical]
    if abs(arcs[0] - junction_arc_mm - scale * places[0]) <= JUNCTION_AGREES_MM:
        arcs, places = np.concatenate([[junction_arc_mm], arcs]), np.concatenate([[0.0], places])
    return Levelling("discs", arcs, places)


def level_by_junction(junction_arc_mm: float) -> Levelling:
    """Tell levels by the distance from the pontomedullary junction alone (Bédard & Cohen-Adad 2022).

    Parameters
    ----------
    junction_arc_mm
        Where it lies along the centreline, downward from its highest point.
    """
    return Levelling("junction", np.asarray([junction_arc_mm], dtype=np.float64), np.zeros(1))


def level_by_labels(points_mm: Mapping[int, NDArray[np.float64]], sections: Sections, kind: LabelKind) -> Levelling:
    """Tell levels by points that were given, projected on the centreline.

    Parameters
    ----------
    points_mm
        Points (3,) by number, in the world of the sections. Of discs, 1 to 8 and the junction, 50, are used; of bodies,
        1 to 7.
    sections
        The cord.
    kind
        What the points mark.

    Raises
    ------
    ValueError
        If none of them is of the neck, one is far from the cord, or they are not in order along it.
    """
    inside, outside = dict[float, float](), dict[float, float]()
    length = float(sections.arc_mm[-1])
    for number, point in points_mm.items():
        table = _label_position_mm(number, kind)
        if table is None:
            continue
        if (away := _beside_mm(sections, point)) > FARTHEST_LABEL_MM:
            raise ValueError(f"label {number} is {away:.0f} mm away from the cord")
        arc = arc_of_mm(sections, point)
        near = -FARTHEST_BEYOND_MM <= arc <= length + FARTHEST_BEYOND_MM
        (inside if near else outside)[table] = arc
    anchors = inside or outside
    if not anchors:
        raise ValueError("there is no label of the neck")
    tables = sorted(anchors)
    arcs = np.asarray([anchors[table] for table in tables])
    if (np.diff(arcs) <= 0).any():
        raise ValueError("the labels are not in order along the cord")
    return Levelling("labels", arcs, np.asarray(tables))


def disc_points_mm(levels: NDArray[np.integer], affine: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Return the middles (3,) of the borders between the levels of a labelled cord, by the number of the disc there.

    Parameters
    ----------
    levels
        (x, y, z): the level of each voxel of the cord, 0 elsewhere.
    affine
        Of the volume.
    """
    boxes = ndimage.find_objects((levels > 0).astype(np.int8))
    corner = np.asarray([part.start for part in boxes[0]]) if boxes else np.zeros(3)
    cord = levels[boxes[0]] if boxes else levels
    touching = dict[int, list[NDArray[np.float64]]]()
    for axis in range(3):
        ahead = np.moveaxis(cord, axis, 0)
        low, high = np.minimum(ahead[:-1], ahead[1:]), np.maximum(ahead[:-1], ahead[1:])
        for level in range(1, len(LEVELS) + 1):
            faces = np.add(np.argwhere((low == level) & (high == level + 1)), [0.5, 0.0, 0.0])
            if len(faces):
                touching.setdefault(level + 1, []).append(faces[:, np.insert([1, 2], axis, 0)])
    middles = {number: np.concatenate(faces).mean(axis=0) for number, faces in touching.items()}
    return {number: nib.affines.apply_affine(affine, middle + corner) for number, middle in sorted(middles.items())}


def _label_position_mm(number: int, kind: LabelKind) -> float | None:
    """Return where a label lies in the average cord; ``None`` if it is none of the neck."""
    if kind == "bodies":
        known = 1 <= number <= len(LEVELS)
        return (disc_position_mm(number) + disc_position_mm(number + 1)) / 2.0 if known else None
    if number == JUNCTION_LABEL:
        return 0.0
    return disc_position_mm(number) if 1 <= number <= len(LEVEL_TOPS_MM) else None


def _beside_mm(sections: Sections, point_mm: NDArray[np.float64]) -> float:
    """Return the distance of a point from the centreline, across it."""
    nearest = int(np.argmin(np.linalg.norm(sections.centers_mm - point_mm, axis=1)))
    offset = point_mm - sections.centers_mm[nearest]
    along = sections.along[nearest]
    return float(np.linalg.norm(offset - (offset @ along) * along))


def _fit_neck(distances_mm: NDArray[np.float64], expected_mm: NDArray[np.float64]) -> tuple[float, float, float]:
    """Fit the average neck to discs (k,); return the misfit, the scale, and the root mean square residual in mm."""
    rows = np.column_stack([expected_mm, np.ones(len(expected_mm))]) / DISC_SD_MM
    rows = np.concatenate([rows, np.diag([1.0 / NECK_SCALE_SD, 1.0 / SHIFT_SD_MM])])
    values = np.concatenate([distances_mm / DISC_SD_MM, [1.0 / NECK_SCALE_SD, 0.0]])
    fitted, *_ = np.linalg.lstsq(rows, values)
    residuals = rows @ fitted - values
    rms = DISC_SD_MM * float(np.sqrt(np.mean(residuals[:-2] ** 2)))
    return float(residuals @ residuals), float(fitted[0]), rms
