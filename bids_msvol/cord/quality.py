# SPDX-License-Identifier: Apache-2.0
"""Which sections of the cord are believed, and whether the cord of a session can be believed at all."""

from __future__ import annotations

from collections.abc import Mapping

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.cord.outline import ANGLES, STEP_MM
from bids_msvol.cord.sections import Sections, outline_points
from bids_msvol.imaging.quality import Limits, judge_number
from bids_msvol.measurement import QualityMetric

FLUID_MM = 1.5
"""Distance from the edge at which the brightness of the fluid is looked for."""

PLAUSIBLE_CSA_MM2 = (25.0, 140.0)
"""Areas of a cervical cord beyond which none has been reported, healthy or ill."""

TREND_MM, LARGEST_JUMP = 8.0, 0.15
"""A section whose area differs by this share from the trend along the cord around it has leaked or slipped; the trend
has this width (standard deviation of its weights)."""

TREND_ROUNDS = 3
"""The trend is found again without the sections that differ from it."""

LEAST_CONTRAST_SHARE = 0.4
"""Least contrast of a section with its fluid, as a share of that of all: below, the edge is that of something else."""

LEAST_EVENNESS = 2.0
"""Least contrast divided by the unevenness within: below, a band of an artefact crosses the cord. A lesion that fills
half of the cord, half-way to the brightness of fluid, leaves 4."""

LARGEST_GAP_MM = 3.0
"""In images of the head, whose lower end is bent and folded, what lies beyond a longer gap is not believed."""

TAPER_UPPER_MM, TAPER_END_MM, TAPER_STRETCH_MM = (35.0, 50.0), 101.0, 10.0
"""Stretch below the junction that the lowest 10 mm are compared with, and the lower end of C5: further
down cords do taper."""

METRICS: Mapping[str, Limits] = {
    "cord_contrast_to_noise": Limits(3.0, 1.2, "below", "cord and fluid are hard to tell apart"),
    "cord_sections_withheld_pct": Limits(15.0, 50.0, "above", "the outline is not to be believed in many sections"),
    "cord_c2c3_coverage_pct": Limits(90.0, None, "below", "the stretch around the disc C2/C3 is not all in view"),
    "cord_taper_pct": Limits(
        15.0,
        None,
        "above",
        "the cord seems to taper toward the lower end of the image, which cords do not do there but bent images do, "
        "so that areas are too small",
    ),
    "cord_bend_mm": Limits(1.0, 3.0, "above", "the middle of the cord jumps from slice to slice"),
    "cord_voxel_in_plane_mm": Limits(1.1, None, "above", "the voxels across the cord are large"),
}
"""Limits chosen on real images; ``docs/methods.md`` tells how."""


def contrast_to_fluid(
    profiles: NDArray[np.float32], radii_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how much each section (n,) differs from its fluid, and how uneven it is itself, in units of the image.

    Parameters
    ----------
    profiles
        (n, ANGLES, samples) brightness in polar coordinates, rising outward across the edge.
    radii_mm
        (n, ANGLES) the edge.
    """
    reach = np.arange(profiles.shape[2]) * STEP_MM
    within = reach < 0.7 * radii_mm[..., None]
    inside = np.asarray([np.median(values[one]) for values, one in zip(profiles, within, strict=True)])
    uneven = np.asarray([np.std(values[one]) for values, one in zip(profiles, within, strict=True)])
    sample = np.clip(np.rint((radii_mm + FLUID_MM) / STEP_MM).astype(int), 0, profiles.shape[2] - 1)
    fluid = np.take_along_axis(profiles, sample[..., None], 2)[..., 0]
    return np.median(fluid, axis=1) - inside, uneven


def trust_sections(
    sections: Sections,
    radii_mm: NDArray[np.float64],
    csa_mm2: NDArray[np.float64],
    contrast: NDArray[np.float64],
    uneven: NDArray[np.float64],
    image: nib.Nifti1Image,
    end_margin_mm: float,
    cord: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which sections lie well within the image, and which of those are believed.

    Parameters
    ----------
    sections, radii_mm, csa_mm2, contrast, uneven
        The n planes, their outlines, areas, contrast with the fluid and unevenness within.
    image
        What was outlined, axes right, anterior, superior.
    end_margin_mm
        Distance from the lowest and the highest slice within which nothing is believed: brightness and geometry are
        worst there.
    cord
        (n,) which sections are of the cord; those of the medulla are neither seen nor set the trend.

    Returns
    -------
    seen, trusted
        (n,) each.
    """
    corners = outline_points(sections, radii_mm + FLUID_MM).reshape(-1, 3)
    voxels = nib.affines.apply_affine(np.linalg.inv(image.affine), corners)
    sizes = nib.affines.voxel_sizes(image.affine)
    margin = np.asarray([0.0, 0.0, end_margin_mm / sizes[2]])
    within = ((voxels >= margin - 0.5) & (voxels <= np.asarray(image.shape) - 0.5 - margin)).all(axis=1)
    seen = within.reshape(-1, ANGLES).all(axis=1) & cord
    plausible = (csa_mm2 > PLAUSIBLE_CSA_MM2[0]) & (csa_mm2 < PLAUSIBLE_CSA_MM2[1])
    if not (seen & plausible).any():
        return seen, seen & plausible
    evenness = contrast / np.maximum(uneven, 1e-12)
    clear = contrast > LEAST_CONTRAST_SHARE * np.median(contrast[seen])
    good = seen & plausible & clear & (evenness > LEAST_EVENNESS)
    if not good.any():
        return seen, good
    fair = good
    for _ in range(TREND_ROUNDS):
        if not fair.any():
            break
        fair = good & (np.abs(csa_mm2 / _trend(sections.arc_mm, csa_mm2, fair) - 1.0) < LARGEST_JUMP)
    return seen, fair


def _trend(arc_mm: NDArray[np.float64], values: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Local linear regression on the position (n,), on the sections that are used."""
    trend = np.empty_like(values)
    for number, position in enumerate(arc_mm):
        offset = arc_mm - position
        # A little weight from afar keeps the trend defined where nothing near is used.
        weights = used * (np.exp(-0.5 * (offset / TREND_MM) ** 2) + 1e-6)
        mean, middle = np.average(values, weights=weights), np.average(offset, weights=weights)
        spread = np.average((offset - middle) ** 2, weights=weights)
        slope = np.average((offset - middle) * (values - mean), weights=weights) / max(spread, 1e-9)
        trend[number] = mean - slope * middle
    return np.maximum(trend, 1.0)


def taper_pct(csa_mm2: NDArray[np.float64], table_mm: NDArray[np.float64], trusted: NDArray[np.bool_]) -> float | None:
    """Return by how much the lowest part of a cord is thinner than the part at C1 and C2, in per cent.

    Between C1 and C5 the mean area of healthy cords changes by less than 10 %.

    Parameters
    ----------
    csa_mm2, table_mm, trusted
        (n,) areas, positions in the average cord, and what is believed.

    Returns
    -------
    float or None
        ``None`` where too little is in view to tell.
    """
    upper = trusted & (table_mm > TAPER_UPPER_MM[0]) & (table_mm < TAPER_UPPER_MM[1])
    below = trusted & (table_mm >= TAPER_UPPER_MM[1]) & (table_mm < TAPER_END_MM)
    if not upper.any() or not below.any():
        return None
    lowest = below & (table_mm > table_mm[below].max() - TAPER_STRETCH_MM)
    return float(100.0 * (1.0 - csa_mm2[lowest].mean() / csa_mm2[upper].mean()))


def longest_run(trusted: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.bool_]:
    """Keep of the believed sections (n,) the longest stretch without a long gap."""
    believed = np.flatnonzero(trusted)
    gaps = np.flatnonzero(np.diff(believed) * spacing_mm > LARGEST_GAP_MM + spacing_mm)
    runs = np.split(believed, gaps + 1)
    kept = np.zeros_like(trusted)
    kept[max(runs, key=len)] = True
    return kept


def judge_cord(values: Mapping[str, float]) -> tuple[QualityMetric, ...]:
    """Give every metric of a cord its verdict."""
    return tuple(judge_number(name, value, METRICS[name]) for name, value in values.items())
