# SPDX-License-Identifier: Apache-2.0
"""Which normal tissue the deformed atlas expects at each voxel, whatever the image shows there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import INTRACRANIAL
from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.imaging.grids import sample_trilinear, world_points
from bids_msvol.imaging.normal_tissue import BRAINSTEM_WHITE, NORMAL_TISSUES, WHITE

THIRD_AND_FOURTH_VENTRICLE = (14, 15)
LEFT_VENTRICLE, RIGHT_VENTRICLE = (4, 5), (43, 44)


@dataclass(frozen=True, eq=False)
class TissueExpectation:
    """What the deformed atlas expects in the voxels of ``mask``.

    Attributes
    ----------
    mask
        (x, y, z).
    tissues
        (voxel, tissue) in the order of ``NORMAL_TISSUES``, rows sum to one.
    cavity, flow, left, right
        (voxel,) probability of being inside the skull; of third and fourth ventricle; of either lateral ventricle.
    """

    mask: NDArray[np.bool_]
    tissues: NDArray[np.float32]
    cavity: NDArray[np.float32]
    flow: NDArray[np.float32]
    left: NDArray[np.float32]
    right: NDArray[np.float32]

    def on_grid(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put values (voxel,) on the grid (x, y, z); 0 elsewhere."""
        volume = np.zeros(self.mask.shape, dtype=np.float32)
        volume[self.mask] = values
        return volume

    def blurred(self, values: NDArray[np.float32], sigma: NDArray[np.float64]) -> NDArray[np.float32]:
        """Blur values (voxel,) on the grid."""
        return np.asarray(ndimage.gaussian_filter(self.on_grid(values), sigma)[self.mask], dtype=np.float32)

    def white_matter(self) -> NDArray[np.float32]:
        """Probability (x, y, z) of white matter, with brainstem and cerebellum: where lesions lie."""
        return self.on_grid(self.tissues[:, WHITE] + self.tissues[:, BRAINSTEM_WHITE])

    def inside_skull(self) -> NDArray[np.bool_]:
        """Voxels (x, y, z) that are more likely inside the skull than not."""
        return self.on_grid(self.cavity) >= 0.5


def expect_tissues(structures: StructurePosteriors, atlas: HeadAtlas) -> TissueExpectation:
    """Sample the atlas through the deformation that was found on an image.

    Parameters
    ----------
    structures
        What the engine found.
    atlas
        The atlas of that engine.
    """
    points = structures.to_template.subject_to_template(world_points(structures.mask, structures.corrected.affine))
    inverse = np.linalg.inv(atlas.affine).astype(np.float32)
    located = points @ inverse[:3, :3].T + inverse[:3, 3]
    others = (INTRACRANIAL, THIRD_AND_FOURTH_VENTRICLE, LEFT_VENTRICLE, RIGHT_VENTRICLE)
    groups = (*(tissue.members for tissue in NORMAL_TISSUES), *others)
    # One channel for each group: interpolating all at once is many times faster than one after the other.
    maps = np.stack([_summed(atlas, members) for members in groups], axis=-1)
    values = sample_trilinear(maps, located)
    values /= np.float32(255.0)
    tissues = values[:, : len(NORMAL_TISSUES)]
    tissues /= tissues.sum(axis=1, keepdims=True) + np.float32(1e-6)
    return TissueExpectation(structures.mask, tissues, *values[:, len(NORMAL_TISSUES) :].T)


def _summed(atlas: HeadAtlas, members: Sequence[int]) -> NDArray[np.uint8]:
    """Probability (x, y, z) of a group of classes, 255 means certain."""
    total = np.zeros(atlas.maps.shape[1:], dtype=np.uint16)
    for member in members:
        total += atlas.maps[atlas.classes.index(member)]
    return np.minimum(total, 255).astype(np.uint8)
