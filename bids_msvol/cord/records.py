# SPDX-License-Identifier: Apache-2.0
"""What is known of the cord of a session in the end, whoever measured it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from bids_msvol.cord.levels import LEAST_COVERAGE, Levelling, LevelMeasure, name_levels
from bids_msvol.cord.sections import CordShape, Sections, downward_arc_mm

if TYPE_CHECKING:
    import nibabel as nib

    from bids_msvol.cord.measure import MeasuredCord
    from bids_msvol.measurement import QualityMetric

CordSource = Literal["head-T1w", "cord-T2w", "cord-T1w", "cord-T2starw", "sct", "sct-mask"]
"""What was measured: the T1w of the head, an image of the cord, or what Spinal Cord Toolbox made of one."""

ETIV_REFERENCE_MM3 = 1.5e6
"""Intracranial volume to which areas are normalised beside their raw value."""

ETIV_POWER = 2.0 / 3.0
"""Areas of bodies of the same shape go with their volumes to this power."""


@dataclass(frozen=True)
class CordSection:
    """What one section shows.

    Attributes
    ----------
    center_mm
        Its centre, in the world of the image; ``None`` where only a table is known.
    distance_mm
        Downward position along the centreline.
    average_mm, level
        Where it lies in the average cord, and its level; ``None`` where unknown.
    csa_mm2, ap_diameter_mm, rl_diameter_mm, eccentricity
        Measures; ``None`` where missing.
    tilt_deg
        Angle between the cord and the normal of the section.
    believed
        Whether it counts.
    """

    center_mm: tuple[float, float, float] | None
    distance_mm: float | None
    average_mm: float | None
    level: str | None
    csa_mm2: float | None
    ap_diameter_mm: float | None
    rl_diameter_mm: float | None
    eccentricity: float | None
    tilt_deg: float | None
    believed: bool


@dataclass(frozen=True, eq=False)
class SessionCord:
    """The cord of a session as one image shows it.

    Attributes
    ----------
    source
        Kind of image, or of result that was given.
    origin
        Path of the image inside the dataset, or of what was given.
    levels_by
        What told the levels (``labels``, ``discs``, ``junction``, ``sct``); empty where they are not known.
    levels
        C1 to C7, the stretch around C2/C3, all together; or one row for all that is visible.
    sections
        From the highest down.
    measured
        Outlines and sections; ``None`` where only a table was given.
    mask
        The cord on the grid of the image as stored; ``None`` where only a table was given.
    """

    source: CordSource
    origin: str
    levels_by: str
    levels: tuple[LevelMeasure, ...]
    sections: tuple[CordSection, ...]
    measured: MeasuredCord | None = None
    mask: nib.Nifti1Image | None = None

    @property
    def quality(self) -> tuple[QualityMetric, ...]:
        """Quality metrics, worst first; none for what was only given."""
        return () if self.measured is None else self.measured.quality

    def why_missing(self, level: LevelMeasure) -> str:
        """Say in plain words why a level has no area; empty where it has one."""
        if level.csa_mm2 is not None:
            return ""
        failed = [one.reason for one in self.quality if one.verdict == "fail"]
        if failed:
            return "; ".join(failed)
        return f"less than {100 * LEAST_COVERAGE:.0f} % of it was measured" if level.n_slices else "it is not in view"


def normalised_area_mm2(csa_mm2: float | None, etiv_mm3: float | None) -> float | None:
    """Return the area that the cord would have in a head of 1500 mL; ``None`` if something is unknown."""
    if csa_mm2 is None or not etiv_mm3:
        return None
    return float(csa_mm2 * (ETIV_REFERENCE_MM3 / etiv_mm3) ** ETIV_POWER)


def list_sections(
    sections: Sections,
    shape: CordShape,
    levelling: Levelling | None,
    seen: NDArray[np.bool_],
    believed: NDArray[np.bool_],
) -> tuple[CordSection, ...]:
    """List the sections of a cord that lie well within the image, from the highest down.

    Parameters
    ----------
    sections, shape
        The n planes and what was measured in them.
    levelling
        What told the levels; ``None`` where unknown.
    seen, believed
        (n,) which are listed, and which of them count.
    """
    arc, centers, tilt = downward_arc_mm(sections), sections.centers_mm, sections.tilt_deg
    table = None if levelling is None else levelling.to_table_mm(arc)
    names: Sequence[str | None] = [None] * len(arc) if table is None else name_levels(table)
    return tuple(
        CordSection(
            center_mm=(float(centers[k, 0]), float(centers[k, 1]), float(centers[k, 2])),
            distance_mm=float(arc[k]),
            average_mm=None if table is None else float(table[k]),
            level=names[k],
            csa_mm2=float(shape.csa_mm2[k]),
            ap_diameter_mm=float(shape.ap_diameter_mm[k]),
            rl_diameter_mm=float(shape.rl_diameter_mm[k]),
            eccentricity=float(shape.eccentricity[k]),
            tilt_deg=float(tilt[k]),
            believed=bool(believed[k]),
        )
        for k in range(len(arc))[::-1]
        if seen[k]
    )
