# SPDX-License-Identifier: Apache-2.0
"""Levels of the cervical cord: where each begins and ends along the centreline, and its mean measures."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bids_msvol.cord.sections import CordShape

LevelSource = Literal["labels", "discs", "junction"]
"""What told the levels: labels that were given, discs found in the image and numbered by their distance from the
pontomedullary junction, or that distance alone."""

LEVELS: tuple[str, ...] = ("C1", "C2", "C3", "C4", "C5", "C6", "C7")

LEVEL_TOPS_MM: tuple[float, ...] = (25.0, 48.5, 64.0, 82.5, 101.0, 117.5, 133.0, 150.0)
"""Distance of the top of C1, of each disc below, and of the lower end of C7 from the pontomedullary junction, along the
centreline: the heights of the levels of the PAM50 template, with the disc C2/C3 where it lies on average (64 mm)."""

MUCCA_MM = 20.0
"""Length of cord around the disc C2/C3 whose mean area is the mean upper cervical cord area."""

LEAST_COVERAGE = 0.5
"""Least share of a level that must have been measured for it to be reported."""


@dataclass(frozen=True, eq=False)
class Levelling:
    """How positions along the cord become positions along the average cord.

    Attributes
    ----------
    source
        What the anchors are.
    arc_mm
        (k,) positions of the anchors along the centreline, measured downward from any point, increasing.
    table_mm
        (k,) positions of the same anchors below the junction of the average cord, increasing.
    """

    source: LevelSource
    arc_mm: NDArray[np.float64]
    table_mm: NDArray[np.float64]

    def to_table_mm(self, arc_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where positions lie in the average cord; beyond the anchors a millimetre is a millimetre."""
        inside = np.interp(arc_mm, self.arc_mm, self.table_mm)
        below = np.maximum(arc_mm - self.arc_mm[-1], 0.0)
        above = np.minimum(arc_mm - self.arc_mm[0], 0.0)
        return np.asarray(inside + below + above)


@dataclass(frozen=True)
class LevelMeasure:
    """Mean measures of one stretch of the cord.

    Attributes
    ----------
    level
        ``C1`` to ``C7``, ``C2-C3`` for the 20 mm around that disc, ``C1-C7`` for all that is visible of them, or
        ``visible`` for all sections of a cord whose levels are not known.
    csa_mm2, ap_diameter_mm, rl_diameter_mm, eccentricity
        Means over the sections; ``None`` where too little was measured.
    n_slices
        Sections that were measured and believed.
    coverage
        Share of the stretch that they cover; ``None`` where its length is unknown.
    length_mm, volume_mm3
        Length along the centreline and volume of what was measured; volume divided by length is the mean area.
    """

    level: str
    csa_mm2: float | None
    ap_diameter_mm: float | None
    rl_diameter_mm: float | None
    eccentricity: float | None
    n_slices: int
    coverage: float | None
    length_mm: float | None = None
    volume_mm3: float | None = None

    def without_values(self) -> LevelMeasure:
        """Return the same without anything measured."""
        return LevelMeasure(self.level, None, None, None, None, self.n_slices, self.coverage)


def level_ranges_mm() -> Mapping[str, tuple[float, float]]:
    """Return where each reported stretch begins and ends in the average cord, mm below the junction."""
    ranges = dict(zip(LEVELS, itertools.pairwise(LEVEL_TOPS_MM), strict=True))
    disc = LEVEL_TOPS_MM[2]
    return {
        **ranges,
        "C2-C3": (disc - MUCCA_MM / 2, disc + MUCCA_MM / 2),
        "C1-C7": (LEVEL_TOPS_MM[0], LEVEL_TOPS_MM[-1]),
    }


def disc_position_mm(number: int) -> float:
    """Return where a disc lies in the average cord, mm below the junction; 1 is the top of C1, 3 the disc C2/C3.

    Raises
    ------
    ValueError
        If there is no such disc in the neck.
    """
    if not 1 <= number <= len(LEVEL_TOPS_MM):
        raise ValueError(f"there is no cervical disc {number}")
    return LEVEL_TOPS_MM[number - 1]


def name_levels(table_mm: NDArray[np.float64]) -> list[str | None]:
    """Return the level of each position in the average cord, ``None`` above C1 and below C7."""
    numbers = np.searchsorted(LEVEL_TOPS_MM, table_mm, side="right")
    return [LEVELS[number - 1] if 1 <= number <= len(LEVELS) else None for number in numbers]


def average_levels(
    shape: CordShape, arc_mm: NDArray[np.float64], table_mm: NDArray[np.float64], trusted: NDArray[np.bool_]
) -> tuple[LevelMeasure, ...]:
    """Average the measures over each level, over the 20 mm around the disc C2/C3, and over all of C1 to C7.

    Each section stands for the stretch up to half-way to its neighbours; its weight in a level is what of that stretch
    lies within.

    Parameters
    ----------
    shape
        Measures of the n sections.
    arc_mm, table_mm
        (n,) where they lie along the centreline, and in the average cord, mm below the junction.
    trusted
        (n,) which of them are believed.
    """
    lengths, heights = stretches(arc_mm), stretches(table_mm)
    measures = []
    for level, stretch in level_ranges_mm().items():
        share = share_within(table_mm, stretch) * trusted
        coverage = min(float((share * heights).sum()) / (stretch[1] - stretch[0]), 1.0)
        measure = average(level, shape, share * lengths, coverage)
        # All of the neck is seldom in view: what is visible of it is still what it is.
        measures.append(measure if coverage >= LEAST_COVERAGE or level == "C1-C7" else measure.without_values())
    return tuple(measures)


def average_cord(
    shape: CordShape, arc_mm: NDArray[np.float64], levelling: Levelling | None, trusted: NDArray[np.bool_]
) -> tuple[LevelMeasure, ...]:
    """Average the measures over the levels, or over all that is visible where nothing tells the levels.

    Parameters
    ----------
    shape, arc_mm, trusted
        As for `average_levels`.
    levelling
        What tells the levels.
    """
    if levelling is None:
        return (average("visible", shape, stretches(arc_mm) * trusted, None),)
    return average_levels(shape, arc_mm, levelling.to_table_mm(arc_mm), trusted)


def average(level: str, shape: CordShape, lengths_mm: NDArray[np.float64], coverage: float | None) -> LevelMeasure:
    """Average the measures of the sections; each stands for a length (n,) of cord, which may be 0."""
    count, length = int((lengths_mm > 0).sum()), float(lengths_mm.sum())
    if not count:
        return LevelMeasure(level, None, None, None, None, 0, coverage)
    columns: Sequence[NDArray[np.float64]] = (
        shape.csa_mm2,
        shape.ap_diameter_mm,
        shape.rl_diameter_mm,
        shape.eccentricity,
    )
    area, front, side, eccentricity = (float(np.average(values, weights=lengths_mm)) for values in columns)
    return LevelMeasure(level, area, front, side, eccentricity, count, coverage, length, area * length)


def extents(positions_mm: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the stretches (n,) that the sections stand for begin and end: half-way to their neighbours."""
    if len(positions_mm) == 1:
        return positions_mm - 0.5, positions_mm + 0.5
    middles = (positions_mm[:-1] + positions_mm[1:]) / 2.0
    edges = np.concatenate([[2 * positions_mm[0] - middles[0]], middles, [2 * positions_mm[-1] - middles[-1]]])
    return np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])


def stretches(positions_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lengths (n,) that the sections stand for."""
    begins, ends = extents(positions_mm)
    return ends - begins


def share_within(positions_mm: NDArray[np.float64], stretch_mm: tuple[float, float]) -> NDArray[np.float64]:
    """Return the share (n,) of what each section stands for that lies within a stretch."""
    begins, ends = extents(positions_mm)
    overlap = np.minimum(ends, stretch_mm[1]) - np.maximum(begins, stretch_mm[0])
    return np.asarray(np.clip(overlap, 0.0, None) / (ends - begins))
