# SPDX-License-Identifier: Apache-2.0
"""The probabilistic atlas of the whole head, in MNI152 space, and the images computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.atlas.labels import CLASSES, INTRACRANIAL, MIRROR
from bids_msvol.imaging.grids import block_mean

TEMPLATE_SPACE = "MNI152NLin2009aSym"
"""The space of the atlas: the symmetric, non-linear MNI152 average of 2009, version a."""

TYPICAL_T1W_INTENSITY: dict[int, float] = {
    0: 0.02, 507: 0.55, 512: 0.85, 514: 0.35, 515: 0.10, 516: 0.75, 520: 0.20, 24: 0.20,
    2: 1.0, 3: 0.65, 4: 0.17, 5: 0.2, 7: 0.97, 8: 0.66, 10: 0.82, 11: 0.70, 12: 0.75, 13: 0.90, 14: 0.2, 15: 0.2,
    16: 0.90, 17: 0.65, 18: 0.65, 26: 0.68, 28: 0.90,
}  # fmt: skip
"""Brightness relative to white matter on a T1w image: only used to draw a template for the affine registration."""


@dataclass(frozen=True, eq=False)
class HeadAtlas:
    """Probability of each class at each point of MNI152 space.

    Attributes
    ----------
    classes
        Class numbers (FreeSurfer's, and those of :mod:`bids_msvol.atlas.labels`), in the order of ``maps``.
    maps
        (class, x, y, z), uint8, 255 means certain.
    affine
        Voxel to RAS world, mm.
    """

    classes: tuple[int, ...]
    maps: NDArray[np.uint8]
    affine: NDArray[np.float64]

    def probability(self, members: Sequence[int]) -> nib.Nifti1Image:
        """Return the summed probability (float32, 0..1) of some classes."""
        total = np.zeros(self.maps.shape[1:], dtype=np.float32)
        for member in members:
            total += self.maps[self.classes.index(member)]
        return nib.Nifti1Image(total / np.float32(255.0), self.affine)

    def expected_image(self, intensity: Mapping[int, float], members: Sequence[int] | None = None) -> nib.Nifti1Image:
        """Return the image expected if each class had one brightness; classes left out of ``members`` are black."""
        total = np.zeros(self.maps.shape[1:], dtype=np.float32)
        for number, values in zip(self.classes, self.maps, strict=True):
            if members is None or number in members:
                brightness = intensity.get(number, intensity.get(MIRROR.get(number, number), 0.0))
                total += np.float32(brightness / 255.0) * values
        return nib.Nifti1Image(total, self.affine)

    def intracranial_mask(self) -> nib.Nifti1Image:
        """Return where the intracranial classes are more likely than not, uint8."""
        inside = np.asarray(self.probability(INTRACRANIAL).dataobj) >= 0.5
        return nib.Nifti1Image(inside.astype(np.uint8), self.affine)

    def brain_points(self, spacing_mm: float) -> NDArray[np.float64]:
        """Return points (n, 3) in mm, about ``spacing_mm`` apart, that fill the brain and the fluid around it."""
        step = max(round(spacing_mm / float(nib.affines.voxel_sizes(self.affine)[0])), 1)
        inside = np.asarray(self.intracranial_mask().dataobj)[::step, ::step, ::step]
        return np.asarray(nib.affines.apply_affine(self.affine, np.argwhere(inside) * step))


def load_atlas(path: Path | None = None) -> HeadAtlas:
    """Load the shipped atlas, or one that :mod:`bids_msvol.atlas.build` wrote.

    The file holds the left half only: the atlas is symmetric.

    Parameters
    ----------
    path
        ``.npz`` file; the one in the package if not given.
    """
    source: Any = path if path is not None else resources.files("bids_msvol.atlas") / "data" / "head_atlas.npz"
    with source.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        half, affine = stored["maps"], stored["affine"]
        classes = tuple(int(number) for number in stored["classes"])
    order = [classes.index(MIRROR.get(number, number)) for number in classes]
    # The half ends with the midsagittal plane, which is not repeated.
    maps = np.concatenate([half, half[order, -2::-1]], axis=1)
    return HeadAtlas(classes, maps, affine)


def save_atlas(atlas: HeadAtlas, path: Path) -> None:
    """Write the left half of a symmetric atlas, including the midsagittal plane."""
    half = atlas.maps[:, : (atlas.maps.shape[1] + 1) // 2]
    np.savez_compressed(path, maps=half, affine=atlas.affine, classes=np.asarray(CLASSES, dtype=np.int32))


def coarsen_atlas(atlas: HeadAtlas, voxel_size_mm: float) -> HeadAtlas:
    """Average blocks of voxels, as many as fit into ``voxel_size_mm``; the same atlas if none do."""
    factor = int(voxel_size_mm / nib.affines.voxel_sizes(atlas.affine)[0] + 1e-3)
    if factor <= 1:
        return atlas
    affine = atlas.affine @ nib.affines.from_matvec(np.eye(3) * factor, np.full(3, (factor - 1) / 2.0))
    maps = np.stack([np.round(block_mean(values, factor)).astype(np.uint8) for values in atlas.maps])
    return HeadAtlas(atlas.classes, maps, affine)
