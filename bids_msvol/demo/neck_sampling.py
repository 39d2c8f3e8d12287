# SPDX-License-Identifier: Apache-2.0
"""Draw a neck by chance that goes on from the brainstem of a synthetic head."""

from __future__ import annotations

from collections.abc import Mapping

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import BRAIN_STEM, CORD, CSF
from bids_msvol.cord.levels import LEVEL_TOPS_MM
from bids_msvol.demo.neck import Neck, locate, outline_level
from bids_msvol.imaging.grids import world_points
from bids_msvol.imaging.registration import TemplateTransform

JUNCTION_MM = (0.0, -28.5, -49.0)
"""The groove between pons and medulla in the midline, in template space, read off the atlas."""

AXIS_HEIGHTS_MM = (-70.0, -50.0)
"""Heights in template space between which the middle of the atlas's brainstem is the axis of the medulla. Higher up the
pons, which bulges forward, would bend it; lower down the atlas has few people."""

HEAD_AXIS_TOP_MM = -36.0
"""Height in template space to which the axis goes on straight, so that it passes the junction."""

STEP_MM = 0.5
"""Distance of the points of the centreline."""

ABOVE_MM, BELOW_MM = 8.0, 195.0
"""Length of the centreline above and below the junction: to the second thoracic vertebra."""

MEDULLA_ARCS_MM = (-8.0, 4.0, 8.0, 12.0, 16.0)
"""Places at which the size of the cord is the atlas's; further down it is the person's own."""

SHAPED_BELOW_MM = -57.0
"""Height in template space below which the brainstem of the label map takes the shape of the cord below it."""

USUAL_AREA_MM2: Mapping[float, float] = {
    24.0: 88.0, 30.0: 79.0, 38.0: 74.5, 48.0: 73.0, 64.0: 72.0, 80.0: 75.0, 92.0: 77.0, 105.0: 76.0, 117.0: 70.5,
    130.0: 62.5, 141.0: 57.6, 155.0: 52.0, 195.0: 46.0,
}  # fmt: skip
"""Area of a healthy cord by the distance below the junction. As in people (Frostell 2016; Valosek 2024) it is widest at
C4 and C5, and at C7 a fifth smaller than at C2 and C3."""

USUAL_RATIO: Mapping[float, float] = {
    -8.0: 0.95, 14.0: 0.93, 22.0: 0.88, 34.0: 0.74, 48.0: 0.66, 64.0: 0.62, 82.0: 0.57, 100.0: 0.54, 117.0: 0.52,
    141.0: 0.56, 195.0: 0.70,
}  # fmt: skip
"""Diameter from front to back as a share of that from side to side: the cord is flattest at C6."""

USUAL_SAC: Mapping[float, tuple[float, float, float]] = {
    14.0: (17.0, 15.0, -3.0), 22.0: (15.0, 13.0, -2.5), 26.0: (13.5, 12.0, -2.0), 33.0: (11.5, 9.5, -1.5),
    40.0: (10.7, 7.6, -0.4), 64.0: (10.3, 6.5, 0.0), 100.0: (10.8, 6.3, 0.1), 141.0: (10.0, 6.1, 0.0),
    195.0: (8.8, 6.3, 0.2),
}  # fmt: skip
"""Sac of fluid: half its width, half its depth and how far its middle lies in front of the cord's, mm."""

LEAST_FLUID_MM = 1.5
"""Room between cord and sac that every person has."""

AREA_SPREAD, RATIO_SPREAD, SAC_SPREAD, LENGTH_SPREAD = 0.08, 0.04, 0.04, 0.05
"""Standard deviation between people of the cord's area, its shape, the sac and the distances of the vertebrae."""

MOST_SPREADS = 2.0
"""Nobody is farther from the usual than so many standard deviations."""

DISC_SPREAD_MM = 0.7
"""Standard deviation of the place of each disc beyond that."""

BEND_ARCS_MM = (40.0, 65.0, 105.0, 150.0, 195.0)
BEND_DEG = (6.0, -2.0, 2.0, 11.0, 17.0)
BEND_SPREAD_DEG = (2.0, 4.0, 4.0, 4.0, 4.0)
"""Where the direction of the cord is drawn, how far it leans backward going down there, and the spread of that: the
neck is bent forward in its middle."""

SIDE_SPREAD_DEG = 1.5
"""Standard deviation of its lean to the side."""

FLATTENING = (0.015, 0.045)
"""Range of how much flatter the cord is in front, as a share of its radius."""


def make_neck(
    atlas: HeadAtlas, to_head: TemplateTransform, rng: np.random.Generator, *, thinning: float = 1.0
) -> Neck | None:
    """Draw a neck that goes on from the brainstem of a head.

    Parameters
    ----------
    atlas
        The atlas, whose brainstem is continued.
    to_head
        From the atlas to the person's head before it is posed.
    rng
        Source of chance.
    thinning
        Factor on the area, for people who have already lost some of it.

    Returns
    -------
    Neck or None
        ``None`` if the atlas has no brainstem.
    """
    heights, middle, area = _brainstem(atlas)
    if not area.any():
        return None
    junction = to_head.template_to_subject(np.asarray([JUNCTION_MM], dtype=np.float32))[0].astype(np.float64)
    arc, centers = _centerline(_axis(heights, middle, to_head), junction, rng)
    length = 1.0 + LENGTH_SPREAD * _limited(rng)
    in_plane = float(np.linalg.det(to_head.affine[:2, :2]))
    # The atlas's sections are level, those of the cord lie across it.
    lean = np.interp(MEDULLA_ARCS_MM, arc, -np.gradient(centers[:, 2], arc))
    level = np.interp(MEDULLA_ARCS_MM, arc, to_head.subject_to_template(centers.astype(np.float32))[:, 2])
    seen = np.interp(level, heights, area) * in_plane * lean
    own = thinning * (1.0 + AREA_SPREAD * _limited(rng)) * np.asarray(list(USUAL_AREA_MM2.values()))
    knots = np.concatenate([MEDULLA_ARCS_MM, length * np.asarray(list(USUAL_AREA_MM2))])
    areas = np.exp(_along(dict(zip(knots.tolist(), np.log(np.concatenate([seen, own])).tolist(), strict=True)), arc))
    ratio = (1.0 + RATIO_SPREAD * _limited(rng)) * _along(USUAL_RATIO, arc / length)
    flattening = float(rng.uniform(*FLATTENING))
    right = np.sqrt(areas / (np.pi * (1.0 + flattening**2 / 2.0) * ratio))
    sac = np.stack([_along({at: row[part] for at, row in USUAL_SAC.items()}, arc / length) for part in range(3)])
    sac[:2] *= 1.0 + SAC_SPREAD * _limited(rng)
    room = LEAST_FLUID_MM + np.abs(sac[2])
    return Neck(
        junction_mm=junction,
        arc_mm=arc,
        centers_mm=centers,
        right_mm=right,
        front_mm=ratio * right,
        sac_right_mm=np.maximum(sac[0], right + LEAST_FLUID_MM),
        sac_front_mm=np.maximum(sac[1], ratio * right + room),
        sac_shift_mm=sac[2],
        flattening=flattening,
        tops_mm=length * np.asarray(LEVEL_TOPS_MM) + DISC_SPREAD_MM * _several(rng, len(LEVEL_TOPS_MM)),
        discs=rng.uniform(0.5, 1.15, len(LEVEL_TOPS_MM)),
        seed=int(rng.integers(2**31)),
    )


def shape_stem(labels: nib.Nifti1Image, neck: Neck, to_head: TemplateTransform) -> nib.Nifti1Image:
    """Give the lowest part of a label map's brainstem the shape of the cord, so that the two meet without a step.

    Brainstem becomes fluid around it, or fluid becomes brainstem; no other class changes.
    """
    data = np.asarray(labels.dataobj).copy()
    changing = np.isin(data, (BRAIN_STEM, CSF))
    # Below its last slice the brainstem is cord, which is drawn into the scan only.
    changing[:, :, ~np.logical_or.accumulate((data == BRAIN_STEM).any(axis=(0, 1)))] = False
    changing[:, :, _heights(labels) > SHAPED_BELOW_MM] = False
    points = to_head.template_to_subject(world_points(changing, labels.affine)).astype(np.float64)
    inside = outline_level(neck, *locate(neck, points)) < 1.0
    data[changing] = np.where(inside, BRAIN_STEM, CSF)
    return nib.Nifti1Image(data, labels.affine)


def without_low_stem(labels: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return a label map whose brainstem ends where it takes on the shape of the cord: no lesion is placed below."""
    data = np.asarray(labels.dataobj).copy()
    low = data[:, :, _heights(labels) <= SHAPED_BELOW_MM]
    low[low == BRAIN_STEM] = CSF
    data[:, :, _heights(labels) <= SHAPED_BELOW_MM] = low
    return nib.Nifti1Image(data, labels.affine)


def _heights(labels: nib.Nifti1Image) -> NDArray[np.float64]:
    """Height in template space of each axial slice."""
    return np.asarray(labels.affine[2, 2] * np.arange(labels.shape[2]) + labels.affine[2, 3])


def _limited(rng: np.random.Generator) -> float:
    return float(_several(rng, 1)[0])


def _along(table: Mapping[float, float], arc: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate a table smoothly; beyond its ends it goes on as it ends."""
    places = np.asarray(list(table))
    curve = PchipInterpolator(places, np.asarray(list(table.values())))
    return np.asarray(curve(np.clip(arc, places[0], places[-1])))


def _brainstem(atlas: HeadAtlas) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Height of each axial slice of the atlas, and of brainstem and cord in it the middle (y) and the area, mm."""
    share = np.asarray(atlas.probability((BRAIN_STEM, CORD)).dataobj, dtype=np.float64)
    by_depth = share.sum(axis=0)
    spacing = nib.affines.voxel_sizes(atlas.affine)
    depths = atlas.affine[1, 1] * np.arange(share.shape[1]) + atlas.affine[1, 3]
    heights = atlas.affine[2, 2] * np.arange(share.shape[2]) + atlas.affine[2, 3]
    counted = by_depth.sum(axis=0)
    middle = (by_depth * depths[:, None]).sum(axis=0) / np.maximum(counted, 1e-9)
    return heights, middle, counted * spacing[0] * spacing[1]


def _axis(heights: NDArray[np.float64], middle: NDArray[np.float64], to_head: TemplateTransform) -> NDArray[np.float64]:
    """Axis of the medulla in the head (n, 3), from the top down, smooth and straight at its upper end."""
    low, high = AXIS_HEIGHTS_MM
    fitted = np.polynomial.Polynomial.fit(within := np.arange(low, high + 1.0), np.interp(within, heights, middle), 2)
    levels = np.arange(HEAD_AXIS_TOP_MM, low - 1.0, -1.0)
    depths = np.where(levels > high, fitted(high) + (levels - high) * fitted.deriv()(high), fitted(levels))
    template = np.stack([np.zeros_like(levels), depths, levels], axis=1)
    points = to_head.template_to_subject(template.astype(np.float32)).astype(np.float64)
    # The displacement of the head's shape is interpolated linearly; the cord bends without corners.
    curves = [np.polynomial.Polynomial.fit(points[:, 2], points[:, side], 2) for side in (0, 1)]
    return np.stack([curves[0](points[:, 2]), curves[1](points[:, 2]), points[:, 2]], axis=1)


def _centerline(
    axis: NDArray[np.float64], junction: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Continue the axis of the medulla downward, with bends; arcs (n,) and points (n, 3), from the top down."""
    arcs = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(axis, axis=0), axis=1))])
    fine = np.arange(0.0, arcs[-1], STEP_MM / 10.0)
    nearest = np.linalg.norm(_at(fine, arcs, axis) - junction, axis=1).argmin()
    arcs = arcs - fine[nearest]
    down = axis[-1] - axis[-2]
    down /= np.linalg.norm(down)
    lean = [np.arcsin(-down[1]), *np.deg2rad(np.asarray(BEND_DEG) + BEND_SPREAD_DEG * _several(rng, len(BEND_DEG)))]
    side = [np.arcsin(down[0]), *np.deg2rad(SIDE_SPREAD_DEG * _several(rng, len(BEND_DEG)))]
    places = [float(arcs[-1]), *BEND_ARCS_MM]
    steps = np.arange(arcs[-1], BELOW_MM + 2 * STEP_MM, STEP_MM / 5.0)
    back, right = (_along(dict(zip(places, angles, strict=True)), steps) for angles in (lean, side))
    ahead = np.stack([np.sin(right), -np.sin(back) * np.cos(right), -np.cos(back) * np.cos(right)], axis=1)
    path = axis[-1] + np.cumsum((ahead[1:] + ahead[:-1]) / 2.0 * (STEP_MM / 5.0), axis=0)
    known, points = np.concatenate([arcs, steps[1:]]), np.concatenate([axis, path])
    wanted = np.linspace(-ABOVE_MM, BELOW_MM, round((ABOVE_MM + BELOW_MM) / STEP_MM) + 1)
    return wanted, _at(wanted, known, points)


def _several(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return np.clip(rng.standard_normal(count), -MOST_SPREADS, MOST_SPREADS)


def _at(wanted: NDArray[np.float64], arcs: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.interp(wanted, arcs, points[:, side]) for side in range(3)], axis=1)
