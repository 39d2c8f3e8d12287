# SPDX-License-Identifier: Apache-2.0
"""Draw a neck into a scan, on the grid of the scan, with the cord's exact share of each voxel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.labels import AIR, CORD, CORTICAL_BONE, MARROW, SOFT_TISSUE, SPINAL_FLUID, VEINS_AND_DURA
from bids_msvol.demo.neck import Neck, frame, locate, outline_level, smoothstep
from bids_msvol.demo.protocol import Sequence
from bids_msvol.demo.randomfields import smooth_noise
from bids_msvol.demo.vertebrae import vertebral_column
from bids_msvol.imaging.grids import sample_trilinear

SUBSAMPLE_MM, MOST_SUBSAMPLES = 0.2, 10
"""Distance of the points that are counted within a voxel on the outline of the cord, and how many of them there are at
most along an edge: a thousand tell the share of a coarse voxel well enough."""

EDGE = 1.2
"""Voxels are looked at in detail to this distance from the outline, as a share of half their diagonal."""

SLAB = 16
"""Axial slices drawn at a time."""

CORD_FROM_MM = (16.0, 20.0)
SAC_FROM_MM = (20.0, 25.0)
COLUMN_FROM_MM = (27.0, 35.0)
"""Arcs over which the head's own drawing gives way to that of the neck: for the cord, which has the shape of the label
map's brainstem there, for the sac around it, and for the vertebrae and what lies between them."""

FLUID_MARGIN_MM = 1.5
"""Fluid that comes with the cord where the sac is still the head's."""

DURA_MM = 1.2
"""Thickness of the dark rim of the sac."""

COLUMN_HALF_MM = (25.0, 27.0)
COLUMN_SHIFT_MM, COLUMN_EDGE_MM = 7.0, 5.0
"""Half-width and half-depth of what the column's own soft tissue replaces of the head's, how far in front of the cord
its middle lies, and the softness of its edge."""

LIGAMENT_HALF_MM, LIGAMENT_FAT = 0.9, 0.75
"""Half the thickness of the sheet between the muscles of the back, and its brightness as a share of fat's."""

COLUMN_REACH_MM = (36.0, 52.0)
"""Distance from the centreline, to the sides and to front and back, within which anything of the column lies."""

SEAM_MM = (9.0, 1.0)
"""Heights above the lower end of the label map between which its soft tissue gives way to that of the neck."""

CHIN_MM = 32.0
"""Length over which the outline of the head becomes that of the neck, below that."""

SKIN_DEPTH_MM, FAT_DEPTH_MM = 2.0, 7.0
"""Depths below the surface to which skin and subcutaneous fat reach."""

GIRTH_MM, GIRTH_SHIFT_MM = (56.0, 60.0), 12.0
"""Half-width and half-depth of the neck, and how far in front of the cord its middle lies."""

SHOULDERS_ARC_MM, SHOULDERS_SLOPE = 115.0, (1.2, 0.35)
"""Arc below which the neck widens towards the shoulders, and by how much per millimetre, to the sides and in depth."""

AIRWAY_HALF_MM, AIRWAY_SHIFT_MM = (9.0, 6.5), 46.0
"""Half-width and half-depth of the airway, and how far in front of the cord it lies."""

DEEP_FAT_LEVEL, MOTTLE_SPREAD = 0.9, 0.15
"""As for the soft tissue of the head: where the mottle exceeds the level there is fat, and how uneven the muscle is."""

BONE_SPREAD = 0.08
"""How uneven the marrow is."""

MOTTLE_SIGMA_MM, GRAIN_SIGMA_MM = 3.0, 1.0
"""Width of the texture of muscle, fat and bone, and of the grain of all tissue."""

TEXTURE_VOXELS = 96
"""Edge, in voxels of that width, of the boxes of texture; beyond it the texture repeats itself."""


@dataclass(frozen=True, eq=False)
class _Canvas:
    """What the parts of the neck are drawn with.

    Attributes
    ----------
    neck, sequence
        What, and in which contrast.
    voxel_mm
        Mean edge of the voxels, over which borders are blurred.
    mottle, grain
        Texture of the tissue, the same at all visits.
    """

    neck: Neck
    sequence: Sequence
    voxel_mm: float
    mottle: NDArray[np.float32]
    grain: NDArray[np.float32]

    def brightness(self, number: int) -> float:
        return self.sequence.acquisition.brightness[number]

    def inside(self, distance_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return about which share of a voxel lies within a surface, from the distance of its centre outward."""
        return np.clip(0.5 - distance_mm / self.voxel_mm, 0.0, 1.0)

    def mottles(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return _repeated(self.mottle, points / MOTTLE_SIGMA_MM)

    def grains(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor of the tissue's grain at points (n, 3)."""
        return 1.0 + self.sequence.acquisition.spread * _repeated(self.grain, points / GRAIN_SIGMA_MM)

    def soft_tissue(self, mottle: NDArray[np.float64]) -> NDArray[np.float64]:
        fat = smoothstep(mottle, DEEP_FAT_LEVEL - 0.1, DEEP_FAT_LEVEL + 0.1)
        muscle = self.brightness(SOFT_TISSUE)
        return (muscle + fat * (self.sequence.fat - muscle)) * (1.0 + MOTTLE_SPREAD * mottle)


def draw_neck(
    signal: NDArray[np.float32],
    neck: Neck,
    sequence: Sequence,
    to_neck: NDArray[np.float64],
    labels: nib.Nifti1Image,
    coordinates: NDArray[np.float32],
) -> None:
    """Draw the neck over the noise-free image of a head, in place.

    Parameters
    ----------
    signal
        (x, y, z) brightness of the head.
    neck
        The neck at the visit.
    sequence
        Contrast.
    to_neck
        (4, 4) from voxels of the scan to the head before it was posed, mm.
    labels
        The label map that the head was drawn from.
    coordinates
        (3, x, y, z), where each voxel of the scan lies in the label map.
    """
    rng = np.random.default_rng(neck.seed)
    mottle, grain = (
        np.pad(smooth_noise((TEXTURE_VOXELS,) * 3, 1.0, 1.0, rng), ((0, 1),) * 3, mode="wrap") for _ in range(2)
    )
    voxel_mm = float(np.abs(np.linalg.det(to_neck[:3, :3])) ** (1.0 / 3.0))
    canvas = _Canvas(neck, sequence, voxel_mm, mottle, grain)
    surface = _surface_at_seam(labels)
    spacing = float(nib.affines.voxel_sizes(labels.affine)[0])
    for slab, points in _slabs(neck, to_neck, signal.shape):
        values = signal[:, :, slab].reshape(-1).astype(np.float64)
        within = coordinates[:, :, :, slab].reshape(3, -1)
        low = np.flatnonzero(within[2] * spacing < SEAM_MM[0])
        if len(low):
            flat = ndimage.map_coordinates(surface, within[:2, low], order=1, mode="nearest", output=np.float64)
            below_mm = -spacing * within[2, low].astype(np.float64)
            share = smoothstep(below_mm, -SEAM_MM[0], -SEAM_MM[1])
            values[low] += share * (_body(canvas, points[low], spacing * flat, below_mm) - values[low])
        near = _near(neck, points, *COLUMN_REACH_MM)
        uneven = canvas.grains(near.points)
        column = _column(canvas, values[near.index], near, uneven)
        cord, weight, share = _cord(neck, near, to_neck)
        fluid, tissue = canvas.brightness(SPINAL_FLUID), canvas.brightness(CORD)
        drawn = (fluid + share * (tissue - fluid)) * uneven[cord]
        column[cord] += weight * (drawn - column[cord])
        values[near.index] = column
        signal[:, :, slab] = values.reshape(*signal.shape[:2], -1)


def cord_share(neck: Neck, to_neck: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the cord's share of each voxel (x, y, z) of a scan, from where it begins to be drawn (``CORD_FROM_MM``).

    On the outline, points 0.2 mm apart are counted, in voxels above 2 mm ten along each edge.

    Parameters
    ----------
    neck
        The neck at the visit.
    to_neck
        (4, 4) from voxels of the scan to the head before it was posed, mm.
    shape
        Of the scan.
    """
    result = np.zeros(shape, dtype=np.float32)
    reach = 2.0 * float(neck.right_mm[neck.arc_mm >= CORD_FROM_MM[0]].max()) + float(np.linalg.norm(to_neck[:3, :3]))
    for slab, points in _slabs(neck, to_neck, shape):
        near = _near(neck, points, reach, reach)
        cord, _, share = _cord(neck, near, to_neck)
        part = np.zeros(len(points), dtype=np.float32)
        part[near.index[cord]] = share
        result[:, :, slab] = part.reshape(*shape[:2], -1)
    return result


@dataclass(frozen=True, eq=False)
class _Near:
    """Voxels of a slab near the cord: their numbers, places (n, 3) in the head, and coordinates along the cord."""

    index: NDArray[np.intp]
    points: NDArray[np.float64]
    arc: NDArray[np.float64]
    right: NDArray[np.float64]
    front: NDArray[np.float64]


def _near(neck: Neck, points: NDArray[np.float64], aside_mm: float, ahead_mm: float) -> _Near:
    """Locate the voxels that lie within these distances of the centreline at their own height."""
    heights, last = -neck.centers_mm[:, 2], np.searchsorted(neck.arc_mm, CORD_FROM_MM[0])
    down = -points[:, 2]
    # A plane across the cord is tilted, and lower behind.
    index = np.flatnonzero(down > heights[last] - ahead_mm / 2.0)
    for side, reach in ((0, aside_mm), (1, ahead_mm)):
        middle = np.interp(down[index], heights, neck.centers_mm[:, side])
        index = index[np.abs(points[index, side] - middle) < reach]
    return _Near(index, points[index], *locate(neck, points[index]))


def _cord(
    neck: Neck, near: _Near, to_neck: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return which voxels hold cord or the fluid at it, how much of them the neck draws, and the cord's share (n,)."""
    edges = np.asarray(nib.affines.voxel_sizes(to_neck))
    reach = float(np.linalg.norm(edges)) / 2.0
    level = outline_level(neck, near.arc, near.right, near.front)
    # Along the ray from the centre: a little more than the distance from the outline.
    outward = np.hypot(near.right, near.front) * (1.0 - 1.0 / np.maximum(level, 1e-6))
    weight = smoothstep(near.arc, *CORD_FROM_MM) * smoothstep(-outward, -EDGE * reach - FLUID_MARGIN_MM, -EDGE * reach)
    chosen = np.flatnonzero(weight)
    share = (level[chosen] < 1.0).astype(np.float64)
    edge = np.flatnonzero(np.abs(outward[chosen]) < EDGE * reach)
    counts = np.minimum(np.ceil(edges / SUBSAMPLE_MM), MOST_SUBSAMPLES).astype(int)
    steps = [(np.arange(count) + 0.5) / count - 0.5 for count in counts]
    inner = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3) @ to_neck[:3, :3].T
    # Within a voxel the cord is straight: a bend of a radius of 5 cm would move the outline by 5 micrometres.
    moves = np.einsum("nij,kj->ink", frame(neck, near.arc[chosen[edge]]), inner)
    arc, right, front = (
        values[chosen[edge], None] + move
        for values, move in zip((near.arc, near.right, near.front), moves, strict=True)
    )
    share[edge] = (outline_level(neck, arc, right, front) < 1.0).mean(axis=1)
    return chosen, weight[chosen], share


def _slabs(
    neck: Neck, to_neck: NDArray[np.float64], shape: tuple[int, ...]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield axial slabs of a scan that reach down to the neck, with the places (n, 3) of their voxels in the head."""
    top = float(np.interp(CORD_FROM_MM[0], neck.arc_mm, neck.centers_mm[:, 2])) + 2.0 * neck.right_mm.max()
    for start in range(0, shape[2], SLAB):
        slab = slice(start, min(start + SLAB, shape[2]))
        axes = np.ogrid[: shape[0], : shape[1], slab]
        sides = [row[0] * axes[0] + row[1] * axes[1] + row[2] * axes[2] + row[3] for row in to_neck[:3]]
        points = np.stack(sides, axis=-1).reshape(-1, 3)
        if points[:, 2].min() < top:
            yield slab, points


def _column(
    canvas: _Canvas, values: NDArray[np.float64], near: _Near, grain: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Draw soft tissue, bones, discs and the sac over what was there, all around the cord."""
    neck, arc, right, front = canvas.neck, near.arc, near.right, near.front
    active = smoothstep(arc, *COLUMN_FROM_MM)
    mottle = canvas.mottles(near.points)
    soft = canvas.soft_tissue(mottle)
    width, depth, shift = (
        np.interp(arc, neck.arc_mm, part) for part in (neck.sac_right_mm, neck.sac_front_mm, neck.sac_shift_mm)
    )
    ligament = canvas.inside(np.abs(right) - LIGAMENT_HALF_MM) * (front < shift - depth)
    soft = soft + ligament * (LIGAMENT_FAT * canvas.sequence.fat - soft)
    radius = np.hypot(right / COLUMN_HALF_MM[0], (front - COLUMN_SHIFT_MM) / COLUMN_HALF_MM[1])
    own = active * smoothstep((1.0 - radius) * COLUMN_HALF_MM[0], 0.0, COLUMN_EDGE_MM)
    values = values + own * (soft - values)
    bone = canvas.brightness(CORTICAL_BONE)
    cores = {
        "marrow": canvas.brightness(MARROW),
        "disc": canvas.sequence.disc,
        "ligament": canvas.brightness(VEINS_AND_DURA),
        "flow": canvas.brightness(AIR),
    }
    for solid in vertebral_column(neck):
        first, last = solid.reach()
        some = np.flatnonzero((arc > first - 2.0) & (arc < last + 2.0) & (active > 0))
        distance = solid.distance_mm(arc[some], right[some], front[some])
        for within, brightness in ((distance, bone), (distance + solid.rim, cores[solid.core] * solid.scale)):
            uneven = brightness * (1.0 + BONE_SPREAD * mottle[some])
            values[some] += active[some] * canvas.inside(within) * (uneven - values[some])
    level = np.hypot(right / width, (front - shift) / depth)
    slope = np.hypot(right / width**2, (front - shift) / depth**2) / np.maximum(level, 1e-6)
    outward = (level - 1.0) / np.maximum(slope, 1e-6)
    sac = smoothstep(arc, *SAC_FROM_MM)
    values += active * canvas.inside(outward - DURA_MM) * (cores["ligament"] - values)
    values += sac * canvas.inside(outward) * (canvas.brightness(SPINAL_FLUID) - values)
    return np.asarray(np.where(own > 0, values * grain, values))


def _body(
    canvas: _Canvas, points: NDArray[np.float64], head_mm: NDArray[np.float64], below_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return skin, fat, muscle and airway below the head.

    Parameters
    ----------
    canvas
        What to draw with.
    points
        (n, 3) in the head, mm.
    head_mm
        (n,) depth below the surface that the lower end of the head has there.
    below_mm
        (n,) distance below that end.
    """
    neck = canvas.neck
    heights = -neck.centers_mm[:, 2]
    down = -points[:, 2]
    arc = np.interp(down, heights, neck.arc_mm)
    right = points[:, 0] - np.interp(down, heights, neck.centers_mm[:, 0])
    front = points[:, 1] - np.interp(down, heights, neck.centers_mm[:, 1])
    wider = np.maximum(arc - SHOULDERS_ARC_MM, 0.0)
    half = [girth + slope * wider for girth, slope in zip(GIRTH_MM, SHOULDERS_SLOPE, strict=True)]
    neck_mm = (1.0 - np.hypot(right / half[0], (front - GIRTH_SHIFT_MM) / half[1])) * half[1]
    part = smoothstep(below_mm, 0.0, CHIN_MM)
    depth = (1.0 - part) * head_mm + part * neck_mm
    mottle = canvas.mottles(points)
    values = canvas.soft_tissue(mottle)
    skin, fat = canvas.sequence.skin, canvas.sequence.fat
    values += canvas.inside(depth - FAT_DEPTH_MM) * (fat - values)
    values += canvas.inside(depth - SKIN_DEPTH_MM) * (skin - values)
    air = canvas.brightness(AIR)
    airway = np.hypot(right / AIRWAY_HALF_MM[0], (front - AIRWAY_SHIFT_MM) / AIRWAY_HALF_MM[1])
    values += canvas.inside((airway - 1.0) * AIRWAY_HALF_MM[1]) * (air - values)
    values += canvas.inside(depth) * (air - values)
    return values


def _surface_at_seam(labels: nib.Nifti1Image) -> NDArray[np.float32]:
    """Depth (x, y), in voxels, below the surface of the head at its lower end; negative outside."""
    spacing = float(nib.affines.voxel_sizes(labels.affine)[0])
    height = min(int(np.ceil(SEAM_MM[0] / spacing)), labels.shape[2] - 1)
    filled = ndimage.binary_fill_holes(np.asarray(labels.dataobj[:, :, height]) != AIR)
    within, without = ndimage.distance_transform_edt(filled), ndimage.distance_transform_edt(~filled)
    return np.asarray(np.where(filled, within - 0.5, 0.5 - without), dtype=np.float32)


def _repeated(field: NDArray[np.float32], voxels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sample a field, whose last voxels are its first ones again, at points (n, 3) in its voxels."""
    return sample_trilinear(field, (voxels % TEXTURE_VOXELS).astype(np.float32)).astype(np.float64)
