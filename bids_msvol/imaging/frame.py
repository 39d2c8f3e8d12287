# SPDX-License-Identifier: Apache-2.0
"""The part of the atlas around the intracranial cavity, and its priors at points of a subject."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import INTRACRANIAL
from bids_msvol.imaging.grids import sample_trilinear
from bids_msvol.imaging.registration import TemplateTransform

PRIOR_FLOOR = 1e-4
"""Share of every other class mixed into the priors: the atlas has never seen everybody."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The part of the atlas grid around the intracranial cavity."""

    box: tuple[slice, slice, slice]
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    spacing_mm: float

    @staticmethod
    def around_cavity(atlas: HeadAtlas, margin_mm: float) -> Frame:
        """Return the part of the atlas within a margin of the cavity."""
        inside = np.asarray(atlas.probability(INTRACRANIAL).dataobj) > 0.02
        spacing_mm = float(nib.affines.voxel_sizes(atlas.affine)[0])
        box = []
        for axis in range(3):
            present = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
            margin = int(np.ceil(margin_mm / spacing_mm))
            box.append(slice(max(int(present[0]) - margin, 0), min(int(present[-1]) + margin, inside.shape[axis])))
        shape = tuple(part.stop - part.start for part in box)
        start = [part.start for part in box]
        affine = atlas.affine @ nib.affines.from_matvec(np.eye(3), start)
        return Frame((box[0], box[1], box[2]), (shape[0], shape[1], shape[2]), affine, spacing_mm)

    def crop(self, maps: NDArray[np.generic]) -> NDArray[np.float32]:
        """Cut maps (x, y, z, channel) of the atlas to the frame."""
        return np.ascontiguousarray(maps[self.box], dtype=np.float32)

    def voxels(self, points_mm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return voxel coordinates (n, 3) of points (n, 3) of the template."""
        inverse = np.linalg.inv(self.affine).astype(np.float32)
        return points_mm @ inverse[:3, :3].T + inverse[:3, 3]


def sample_priors(
    maps: NDArray[np.float32], frame: Frame, transform: TemplateTransform, points: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Prior (n, channel) at subject points, every channel with its floor, normalised."""
    located = frame.voxels(transform.subject_to_template(points))
    return with_floor(sample_trilinear(maps, located))


def with_floor(priors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalise priors (n, channel) to sum one, with a little of everything everywhere."""
    priors /= priors.sum(axis=1, keepdims=True) + np.float32(1e-6)
    priors += np.float32(PRIOR_FLOOR / priors.shape[1])
    priors /= priors.sum(axis=1, keepdims=True)
    return priors
