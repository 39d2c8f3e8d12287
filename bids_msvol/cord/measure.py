# SPDX-License-Identifier: Apache-2.0
"""Measure the cord on one image: which functions of this package run, in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.cord.find import CordNotFoundError, find_cord
from bids_msvol.cord.levels import (
    Levelling,
    LevelMeasure,
    LevelSource,
    average_cord,
)
from bids_msvol.cord.outline import outline_cord
from bids_msvol.cord.partial_volume import cord_shares, undo_blur
from bids_msvol.cord.quality import contrast_to_fluid, judge_cord, longest_run, taper_pct, trust_sections
from bids_msvol.cord.sections import CordShape, Sections, arc_of_mm, downward_arc_mm, measure_outlines
from bids_msvol.imaging.grids import to_canonical
from bids_msvol.imaging.quality import worst_first, worst_verdict
from bids_msvol.measurement import QualityMetric, Verdict

HEAD_END_MM, NECK_END_MM = 10.0, 3.0
"""Distance from the ends of the field of view within which nothing is believed, in images of the head, whose
brightness and geometry are bad at the lower end, and in those of the neck."""

BOX_MM = ((-40.0, 40.0), (-60.0, 40.0))
"""Part of a head, left to right and back to front of the pontomedullary junction, in which the cord can be."""

ABOVE_MM = 8.0
"""Height above the junction to which a head is looked at, so that the centreline reaches it."""

FIRST_MM = 20.0
"""Distance below the junction at which the cord begins; above it the outline is that of the medulla."""

SHORTEST_MM = 15.0
"""Shorter stretches of cord are not measured."""


@dataclass(frozen=True, eq=False)
class CordScan:
    """An image that shows the cord, and what is known of it beforehand.

    Attributes
    ----------
    image
        As stored.
    bright
        Whether the cord is brighter than the fluid around it.
    junction_mm
        (3,) middle of the brainstem at the pontomedullary junction, in the world of the image, if known.
    whole_head
        Whether it is an image of the head, in which the cord is only looked for below the junction.
    """

    image: nib.Nifti1Image
    bright: bool
    junction_mm: NDArray[np.float64] | None
    whole_head: bool


@dataclass(frozen=True, eq=False)
class OutlinedCord:
    """The cord of one image, before its levels are known.

    Attributes
    ----------
    image
        The image or its part with the cord, axes right, anterior, superior.
    sections
        The n planes, from the lowest to the highest.
    radii_mm
        (n, ANGLES) outlines.
    shape
        What was measured on them.
    seen, trusted
        (n,) which sections lie well within the image, and which of those are believed.
    quality
        Metrics that need no levels.
    """

    image: nib.Nifti1Image
    sections: Sections
    radii_mm: NDArray[np.float64]
    shape: CordShape
    seen: NDArray[np.bool_]
    trusted: NDArray[np.bool_]
    quality: tuple[QualityMetric, ...]


@dataclass(frozen=True, eq=False)
class MeasuredCord:
    """The cord of one image.

    Attributes
    ----------
    outlined
        Its outlines and what was measured on them.
    levelling
        How the levels were told; ``None`` where nothing tells them.
    junction_arc_mm
        Downward position of the pontomedullary junction; ``None`` where unknown.
    levels
        C1 to C7, the 20 mm around the disc C2/C3 and C1 to C7 together; or one row for all that is visible.
    quality, verdict
        Metrics, worst first, and the worst verdict; a failed cord has no values in ``levels``.
    """

    outlined: OutlinedCord
    levelling: Levelling | None
    junction_arc_mm: float | None
    levels: tuple[LevelMeasure, ...]
    quality: tuple[QualityMetric, ...]
    verdict: Verdict

    @property
    def level_source(self) -> LevelSource | None:
        """What told the levels."""
        return None if self.levelling is None else self.levelling.source

    @property
    def table_mm(self) -> NDArray[np.float64] | None:
        """(n,) where the sections lie in the average cord, mm below the pontomedullary junction."""
        return None if self.levelling is None else self.levelling.to_table_mm(downward_arc_mm(self.outlined.sections))

    def measure(self, level: str) -> LevelMeasure | None:
        """Return the measure of one level."""
        return next((one for one in self.levels if one.level == level), None)


def outline_scan(scan: CordScan) -> OutlinedCord:
    """Find the cord in an image and outline it in every axial slice.

    Raises
    ------
    CordNotFoundError
        If no cord is seen, or too little of it.
    """
    image = to_canonical(scan.image)
    if scan.whole_head:
        if scan.junction_mm is None:
            raise CordNotFoundError("the pontomedullary junction, below which the cord begins, was not found")
        image = _below(image, scan.junction_mm)
    if image.shape[2] * nib.affines.voxel_sizes(image.affine)[2] < SHORTEST_MM:
        raise CordNotFoundError(f"the image shows less than {SHORTEST_MM:g} mm of the neck")
    midline = None if scan.junction_mm is None else float(scan.junction_mm[0])
    path = find_cord(image, bright=scan.bright, midline_mm=midline)
    sections, radii, profiles = outline_cord(image, path, bright=scan.bright)
    across, back, up = image.shape
    radii = undo_blur(sections, radii, (across, back, up), image.affine)
    shape = measure_outlines(sections, radii)
    contrast, uneven = contrast_to_fluid(profiles, radii)
    margin = HEAD_END_MM if scan.whole_head else NECK_END_MM
    below = np.ones(len(radii), dtype=bool)
    if scan.junction_mm is not None:
        below = downward_arc_mm(sections) - arc_of_mm(sections, scan.junction_mm) > FIRST_MM
    seen, trusted = trust_sections(sections, radii, shape.csa_mm2, contrast, uneven, image, margin, below)
    if scan.whole_head:
        trusted = longest_run(trusted, sections.spacing_mm)
    if trusted.sum() * sections.spacing_mm < SHORTEST_MM:
        raise CordNotFoundError(f"less than {SHORTEST_MM:g} mm of the cord could be outlined")
    sizes = nib.affines.voxel_sizes(image.affine)
    offsets = path[trusted] - sections.centers_mm[trusted]
    quality = judge_cord(
        {
            "cord_contrast_to_noise": float(np.median(contrast[trusted] / np.maximum(uneven[trusted], 1e-9))),
            "cord_bend_mm": float(np.median(np.hypot(offsets[:, 0], offsets[:, 1]))),
            "cord_voxel_in_plane_mm": float(max(sizes[:2])),
        }
    )
    return OutlinedCord(image, sections, radii, shape, seen, trusted, quality)


def measure_levels(
    outlined: OutlinedCord, levelling: Levelling | None, junction_arc_mm: float | None = None, unknown: str = ""
) -> MeasuredCord:
    """Average the cord over its levels; where they are known, what lies above the cord is left out.

    Parameters
    ----------
    outlined
        The cord.
    levelling
        How positions become levels, ``None`` if nothing tells them: then all that is visible is one row.
    junction_arc_mm
        Downward position of the pontomedullary junction, if known.
    unknown
        Why the levels are not known; only used then.
    """
    arc = downward_arc_mm(outlined.sections)
    if levelling is not None:
        below = levelling.to_table_mm(arc) > FIRST_MM
        outlined = replace(outlined, seen=outlined.seen & below, trusted=outlined.trusted & below)
    withheld = 100.0 * (1.0 - outlined.trusted.sum() / max(outlined.seen.sum(), 1))
    quality = [*outlined.quality, *judge_cord({"cord_sections_withheld_pct": float(withheld)})]
    levels = average_cord(outlined.shape, arc, levelling, outlined.trusted)
    if levelling is None:
        quality.append(QualityMetric("cord_levels_known", 0.0, "warn", unknown))
    else:
        table = levelling.to_table_mm(arc)
        around = next(one for one in levels if one.level == "C2-C3")
        quality += judge_cord({"cord_c2c3_coverage_pct": 100.0 * (around.coverage or 0.0)})
        taper = taper_pct(outlined.shape.csa_mm2, table, outlined.trusted)
        quality += judge_cord({} if taper is None else {"cord_taper_pct": taper})
    judged = worst_first(quality)
    verdict = worst_verdict(judged)
    if verdict == "fail":
        levels = tuple(one.without_values() for one in levels)
    return MeasuredCord(outlined, levelling, junction_arc_mm, levels, judged, verdict)


def cord_mask(cord: OutlinedCord, target: nib.Nifti1Image) -> nib.Nifti1Image:
    """Draw the believed stretch of a cord on the grid of an image: 1 where at least half of a voxel is cord.

    Parameters
    ----------
    cord
        The outlines.
    target
        The image as stored; the mask has its grid and orientation.
    """
    canonical = nib.as_closest_canonical(target)
    shares = cord_shares(cord.sections, cord.radii_mm, canonical.shape[:3], canonical.affine)
    believed = np.flatnonzero(cord.trusted)
    heights = cord.sections.centers_mm[[believed[0], believed[-1]], 2]
    slices = nib.affines.apply_affine(np.linalg.inv(canonical.affine), np.c_[[[0, 0]] * 2, heights])[:, 2]
    mask = np.zeros(shares.shape, dtype=np.uint8)
    kept = slice(max(int(np.floor(slices.min())), 0), int(np.ceil(slices.max())) + 1)
    mask[:, :, kept] = shares[:, :, kept] >= 0.5
    back = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(canonical.affine), nib.orientations.io_orientation(target.affine)
    )
    return nib.Nifti1Image(nib.orientations.apply_orientation(mask, back), target.affine)


def _below(image: nib.Nifti1Image, junction_mm: NDArray[np.float64]) -> nib.Nifti1Image:
    """Cut the part of a head where the cord can be; slices without any signal at the lower end are left out."""
    sizes = nib.affines.voxel_sizes(image.affine)
    center = nib.affines.apply_affine(np.linalg.inv(image.affine), junction_mm)
    data = np.asarray(image.dataobj, dtype=np.float32)
    signal = np.flatnonzero((data > 0.1 * np.percentile(data, 99)).mean(axis=(0, 1)) > 0.01)
    low = [center[axis] + BOX_MM[axis][0] / sizes[axis] for axis in (0, 1)]
    high = [center[axis] + BOX_MM[axis][1] / sizes[axis] for axis in (0, 1)]
    first = np.clip([*np.floor(low), signal[0] if len(signal) else 0], 0, None).astype(int)
    beyond = np.minimum(np.ceil([*high, center[2] + ABOVE_MM / sizes[2]]).astype(int) + 1, image.shape)
    if (beyond - first < 2).any():
        raise CordNotFoundError("the image ends above the cord")
    part = data[tuple(slice(low, high) for low, high in zip(first, beyond, strict=True))]
    return nib.Nifti1Image(part, image.affine @ nib.affines.from_matvec(np.eye(3), first))
