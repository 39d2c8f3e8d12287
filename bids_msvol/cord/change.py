# SPDX-License-Identifier: Apache-2.0
"""Change of the cord between two sessions, on the same stretch of the same centreline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.cord.levels import LEAST_COVERAGE, LevelMeasure, level_ranges_mm, share_within, stretches
from bids_msvol.cord.measure import MeasuredCord, OutlinedCord
from bids_msvol.cord.sections import downward_arc_mm
from bids_msvol.cord.straight import straighten_plane

STEP_MM = 0.5
"""Distance of the positions along the cord at which the straightened images of two sessions are compared."""

SMOOTH_MM = 12.0
"""Brightness is compared without what varies more slowly than this: coil and level of the neck."""

NEAR_JUNCTION_MM, FAR_MM = 3.0, 40.0
"""How far the offset may lie from that of the pontomedullary junction, and from zero where no junction is known: two
scans of a neck are planned on the same vertebrae."""

LEAST_OVERLAP_MM = 30.0
"""Shortest stretch that both sessions must show for their images to be compared."""

LEAST_LIKENESS = 0.5
"""Least correlation of the two straightened images from which they show the same stretch."""


@dataclass(frozen=True)
class CordChange:
    """Change of one stretch of the cord.

    Attributes
    ----------
    source
        Kind of image, the same in both sessions.
    level
        As in `LevelMeasure`.
    change_mm2, change_pct
        Later minus earlier mean area, and in per cent of the earlier; ``None`` where too little was measured in both.
    coverage
        Share of the stretch that was measured in both sessions; ``None`` where its length is unknown.
    """

    source: str
    level: str
    change_mm2: float | None
    change_pct: float | None
    coverage: float | None


@dataclass(frozen=True)
class Offset:
    """How the positions along the cord of one session become those of another.

    Attributes
    ----------
    offset_mm
        To be added to a downward position of the earlier session.
    likeness
        Correlation of the straightened images with that offset; NaN where too little of the cord is in both.
    """

    offset_mm: float
    likeness: float


def align_along(
    before: OutlinedCord,
    after: OutlinedCord,
    junction_arcs_mm: tuple[float, float] | None,
) -> Offset | None:
    """Find how far one session's cord is shifted along that of another.

    The images are straightened along their centrelines; the shift is that with which what lies in front of and behind
    the cord, vertebrae and discs, looks most alike. So a neck that is bent differently is followed.

    Parameters
    ----------
    before, after
        The cord in images of the same kind.
    junction_arcs_mm
        Downward position of the pontomedullary junction in both, where known: the shift is looked for near theirs, and
        is theirs if the images do not tell.

    Returns
    -------
    Offset or None
        ``None`` if nothing tells.
    """
    guess = 0.0 if junction_arcs_mm is None else junction_arcs_mm[1] - junction_arcs_mm[0]
    reach = FAR_MM if junction_arcs_mm is None else NEAR_JUNCTION_MM
    earlier, later = _texture(before), _texture(after)
    shifts = np.arange(-round(reach / STEP_MM), round(reach / STEP_MM) + 1) + round(guess / STEP_MM)
    likeness = np.asarray([_correlation(earlier, later, int(shift)) for shift in shifts])
    if np.isfinite(likeness).any():
        best = int(np.nanargmax(likeness))
        if likeness[best] >= LEAST_LIKENESS and 0 < best < len(shifts) - 1:
            low, top, high = likeness[best - 1 : best + 2]
            bend = low - 2.0 * top + high
            between = 0.5 * (low - high) / bend if np.isfinite(bend) and bend < 0 else 0.0
            return Offset(float((shifts[best] + between) * STEP_MM), float(likeness[best]))
    if junction_arcs_mm is None:
        return None
    return Offset(guess, float(np.nanmax(likeness)) if np.isfinite(likeness).any() else float("nan"))


def compare_cords(source: str, before: MeasuredCord, after: MeasuredCord, offset_mm: float) -> tuple[CordChange, ...]:
    """Compare the cord of two sessions section by section.

    At each believed section of the earlier session the later one's area is interpolated at the same position; the means
    of a level are taken over the positions that are believed in both, with the same weights.

    Parameters
    ----------
    source
        Kind of image.
    before, after
        The cords.
    offset_mm
        To be added to downward positions of the earlier session.
    """
    arc = downward_arc_mm(before.outlined.sections)
    later = downward_arc_mm(after.outlined.sections)[::-1]
    there = arc + offset_mm
    area = np.interp(there, later, after.outlined.shape.csa_mm2[::-1])
    believed = np.interp(there, later, after.outlined.trusted[::-1].astype(float), left=0.0, right=0.0) > 0.99
    both = before.outlined.trusted & believed
    lengths, own = stretches(arc), before.outlined.shape.csa_mm2
    table = before.table_mm
    if table is None:
        return (_compare(source, "visible", own, area, lengths * both, None),)
    heights, changes = stretches(table), []
    for level, stretch in level_ranges_mm().items():
        share = share_within(table, stretch) * both
        coverage = min(float((share * heights).sum()) / (stretch[1] - stretch[0]), 1.0)
        enough = coverage >= LEAST_COVERAGE or level == "C1-C7"
        changes.append(_compare(source, level, own, area, lengths * share * enough, coverage))
    return tuple(changes)


def compare_levels(
    source: str, before: Sequence[LevelMeasure], after: Sequence[LevelMeasure]
) -> tuple[CordChange, ...]:
    """Compare the mean areas of levels, where nothing but these is known of either session."""
    later = {level.level: level for level in after}
    changes = []
    for level in before:
        other = later.get(level.level)
        if other is None or level.csa_mm2 is None or other.csa_mm2 is None:
            continue
        # Of a stretch that is not all in view each session may show another part.
        if level.level in ("C1-C7", "visible"):
            continue
        percent = 100.0 * (other.csa_mm2 / level.csa_mm2 - 1.0)
        changes.append(CordChange(source, level.level, other.csa_mm2 - level.csa_mm2, percent, other.coverage))
    return tuple(changes)


def _compare(
    source: str,
    level: str,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    weights: NDArray[np.float64],
    coverage: float | None,
) -> CordChange:
    if not weights.any():
        return CordChange(source, level, None, None, coverage)
    earlier, later = (float(np.average(values, weights=weights)) for values in (before, after))
    return CordChange(source, level, later - earlier, 100.0 * (later / earlier - 1.0), coverage)


def _texture(cord: OutlinedCord) -> NDArray[np.float64]:
    """Straightened image (positions, width) at equal steps downward, without slow variation; NaN outside the image."""
    arc = downward_arc_mm(cord.sections)
    picture = straighten_plane(cord.image, cord.sections)[::-1]
    seen = np.isfinite(picture)
    steps = np.arange(0.0, arc.max(), STEP_MM)
    rows = np.interp(steps, arc[::-1], np.arange(len(arc)))
    grid = np.meshgrid(rows, np.arange(picture.shape[1]), indexing="ij")
    filled = np.where(seen, picture, np.float32(picture[seen].mean()))
    even = ndimage.map_coordinates(filled, grid, order=1)
    level = ndimage.gaussian_filter(even, SMOOTH_MM / STEP_MM, mode="nearest")
    texture = np.asarray(even / np.maximum(level, 1e-6 * np.abs(even).max() + 1e-12) - 1.0, dtype=np.float64)
    there = ndimage.map_coordinates(seen.astype(np.float32), grid, order=1) >= 1.0
    # What does not vary along the cord, as the canal itself, looks alike at every shift.
    means = (texture * there).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(there, texture - means, np.nan)


def _correlation(earlier: NDArray[np.float64], later: NDArray[np.float64], shift: int) -> float:
    """Correlation of two textures, the second read ``shift`` steps further down; NaN where they hardly overlap."""
    first, last = max(0, -shift), min(len(earlier), len(later) - shift)
    if (last - first) * STEP_MM < LEAST_OVERLAP_MM:
        return float("nan")
    one, other = earlier[first:last], later[first + shift : last + shift]
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 0.5 * both.size:
        return float("nan")
    return float(np.corrcoef(one[both], other[both])[0, 1])
