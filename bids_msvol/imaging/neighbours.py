# SPDX-License-Identifier: Apache-2.0
"""The prior that neighbouring voxels belong to the same structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEIGHBOUR_WEIGHT = 0.15
"""Strength of the neighbourhood prior, per neighbour and unit probability."""

NEIGHBOUR_ROUNDS = 2


def agree_with_neighbours(evidence: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Posterior of every class from the evidence of each voxel and the posteriors of its neighbours, by mean field.

    It works class by class: these arrays are the largest of the program.

    Parameters
    ----------
    evidence
        (class, voxel of the mask), positive.
    mask
        (x, y, z) voxels.

    Returns
    -------
    numpy.ndarray
        (class, voxel), summing to one over the classes.

    References
    ----------
    Van Leemput et al. 1999, IEEE Transactions on Medical Imaging 18:897-908.
    """
    posterior = evidence / evidence.sum(axis=0)
    neighbours = _face_neighbours(mask)
    for _ in range(NEIGHBOUR_ROUNDS):
        for own, one in zip(evidence, posterior, strict=True):
            np.multiply(own, np.exp(np.float32(NEIGHBOUR_WEIGHT) * _neighbour_sum(one, neighbours)), out=one)
        posterior /= posterior.sum(axis=0)
    return np.asarray(posterior, dtype=np.float32)


def _face_neighbours(mask: NDArray[np.bool_]) -> list[NDArray[np.int32]]:
    """For each direction, which voxel of the mask is the neighbour of each, counted from 1; 0 if there is none."""
    position = np.zeros(np.asarray(mask.shape) + 2, dtype=np.int32)
    inner = (slice(1, -1),) * 3
    position[inner][mask] = np.arange(1, np.count_nonzero(mask) + 1)
    return [np.roll(position, shift, axis=axis)[inner][mask] for axis in range(3) for shift in (-1, 1)]


def _neighbour_sum(values: NDArray[np.float32], neighbours: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
    """Sum (voxel,) over the face neighbours."""
    padded = np.concatenate([np.zeros(1, dtype=np.float32), values])
    total = np.zeros_like(values)
    for neighbour in neighbours:
        total += padded[neighbour]
    return total
