# SPDX-License-Identifier: Apache-2.0
"""The smooth brightness field of the scanner: a few cosines, fitted to what the tissue model leaves unexplained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CUTOFF_MM = 40.0
"""Shortest half-wavelength of the field. Arrays of small coils need one this short: at 60 mm, what is left of the
field makes the two halves of real brains differ by up to 20 % (thalamus)."""

STIFFNESS = 0.004
"""Weight of the field's bending energy against the data, per voxel of data."""


@dataclass(frozen=True, eq=False)
class BiasField:
    """A multiplicative field, the exponential of a sum of separable cosines.

    Attributes
    ----------
    coefficients
        (a, b, c) weights of the cosines along the three axes of the grid, log units.
    shape
        Shape of the grid on which the cosines are defined.
    """

    coefficients: NDArray[np.float64]
    shape: tuple[int, int, int]

    def log_at(self, indices: NDArray[np.integer]) -> NDArray[np.float32]:
        """Log of the field at voxels (n, 3)."""
        bases = self._bases()
        rows = [basis[indices[:, axis]] for axis, basis in enumerate(bases)]
        plane = np.einsum("nc,abc->nab", rows[2], self.coefficients.astype(np.float32), optimize=True)
        return np.asarray(np.einsum("na,nb,nab->n", rows[0], rows[1], plane, optimize=True), dtype=np.float32)

    def log_field(self) -> NDArray[np.float32]:
        """Log of the field on the whole grid."""
        first, second, third = self._bases()
        result = np.tensordot(first, self.coefficients.astype(np.float32), (1, 0))
        result = np.tensordot(result, second, (1, 1))
        return np.asarray(np.tensordot(result, third, (1, 1)), dtype=np.float32)

    def _bases(self) -> list[NDArray[np.float32]]:
        return [_cosines(length, order) for length, order in zip(self.shape, self.coefficients.shape, strict=True)]


def flat_field(shape: tuple[int, int, int], voxel_size_mm: Sequence[float], cutoff_mm: float = CUTOFF_MM) -> BiasField:
    """Return a field of ones with as many cosines as the cutoff asks for."""
    orders = tuple(
        max(2, int(np.floor(length * size / cutoff_mm)) + 1) for length, size in zip(shape, voxel_size_mm, strict=True)
    )
    return BiasField(np.zeros(orders), shape)


def fit_bias(
    field: BiasField,
    indices: NDArray[np.integer],
    log_ratio: NDArray[np.float32],
    weight: NDArray[np.float32],
    stiffness: float = STIFFNESS,
) -> BiasField:
    """Fit the field to the log ratio of measured to expected brightness, by penalised weighted least squares.

    Parameters
    ----------
    field
        Gives the grid and the number of cosines.
    indices
        Voxels (n, 3).
    log_ratio
        Log of measured over expected brightness (n,).
    weight
        Precision of each log ratio (n,).
    stiffness
        Weight of the bending energy.

    Returns
    -------
    BiasField
        With mean log zero over the weighted voxels.

    References
    ----------
    Van Leemput et al. 1999, IEEE Transactions on Medical Imaging 18:885-896; cosines as in Ashburner and Friston 2005,
    NeuroImage 26:839-851.
    """
    orders = field.coefficients.shape
    rows = [
        _cosines(length, order)[indices[:, axis]]
        for axis, (length, order) in enumerate(zip(field.shape, orders, strict=True))
    ]
    count = int(np.prod(orders))
    normal, right = np.zeros((count, count)), np.zeros(count)
    for start in range(0, len(indices), 20000):
        part = slice(start, start + 20000)
        design = np.einsum("na,nb,nc->nabc", *(row[part] for row in rows)).reshape(-1, count)
        weighted = design * weight[part, None]
        normal += weighted.T @ design
        right += weighted.T @ log_ratio[part]
    frequency = [np.arange(order) / length for order, length in zip(orders, field.shape, strict=True)]
    squared = sum(np.meshgrid(*(value**2 for value in frequency), indexing="ij"))
    bending = (np.asarray(squared) ** 2).ravel()
    penalty = stiffness * float(weight.sum()) * bending / max(bending[bending > 0].mean(), 1e-12)
    penalty[0] = 1e-9 * float(weight.sum())
    coefficients = np.linalg.solve(normal + np.diag(penalty), right).reshape(orders)
    fitted = BiasField(coefficients, field.shape)
    mean = float(np.average(fitted.log_at(indices), weights=weight))
    coefficients[0, 0, 0] -= mean
    return BiasField(coefficients, field.shape)


def _cosines(length: int, order: int) -> NDArray[np.float32]:
    """Discrete cosines (length, order), the first one constant 1."""
    position = (2.0 * np.arange(length)[:, None] + 1.0) / (2.0 * length)
    return np.cos(np.pi * position * np.arange(order)[None, :]).astype(np.float32)
