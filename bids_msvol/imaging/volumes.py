# SPDX-License-Identifier: Apache-2.0
"""From posteriors to volumes and maps, partial volume counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bids_msvol.structures import STRUCTURES, Tissue


def structure_volumes_mm3(
    posteriors: NDArray[np.float32], classes: Sequence[int], voxel_volume_mm3: float
) -> dict[int, float]:
    """Volume of each structure: the sum of its posterior over all voxels, times the volume of a voxel.

    Parameters
    ----------
    posteriors
        (voxel, class).
    classes
        Class numbers in the order of ``posteriors``.
    voxel_volume_mm3
        Volume of one voxel.
    """
    sums = posteriors.sum(axis=0, dtype=np.float64) * voxel_volume_mm3
    return {structure.index: float(sums[classes.index(structure.index)]) for structure in STRUCTURES}


def most_likely_labels(
    posteriors: NDArray[np.float32], classes: Sequence[int], mask: NDArray[np.bool_]
) -> NDArray[np.int16]:
    """FreeSurfer number of the most likely structure in each voxel; 0 where none is measured."""
    measured = {structure.index for structure in STRUCTURES}
    lookup = np.array([number if number in measured else 0 for number in classes], dtype=np.int16)
    labels = np.zeros(mask.shape, dtype=np.int16)
    labels[mask] = lookup[posteriors.argmax(axis=1)]
    return labels


def tissue_probabilities(
    posteriors: NDArray[np.float32], classes: Sequence[int], mask: NDArray[np.bool_]
) -> Mapping[Tissue, NDArray[np.float32]]:
    """Probability of grey matter, white matter and fluid in each voxel."""
    tissues: tuple[Tissue, ...] = ("GM", "WM", "CSF")
    result: dict[Tissue, NDArray[np.float32]] = {}
    for tissue in tissues:
        columns = [classes.index(structure.index) for structure in STRUCTURES if structure.tissue == tissue]
        result[tissue] = np.zeros(mask.shape, dtype=np.float32)
        result[tissue][mask] = np.clip(posteriors[:, columns].sum(axis=1), 0.0, 1.0)
    return result
