# SPDX-License-Identifier: Apache-2.0
"""A smooth, known deformation that shrinks and enlarges structures by stated amounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from bids_msvol.atlas.labels import CSF, INTRACRANIAL
from bids_msvol.demo.anatomy import block_mean
from bids_msvol.imaging.deformation import jacobian_determinant

FIELD_VOXEL_SIZE_MM = 2.0
"""Grid of the displacement."""

REST_MM = 6.0
"""Depth below the skull over which the displacement fades to nothing, so that the skull stays where it is."""

ROUNDS = 8
"""Corrections of the amounts: borders share voxels, so each structure feels its neighbours' change."""

Rates = Mapping[tuple[int, ...], float]
"""Classes that change together, and by what share of their volume."""


def plan_atrophy(labels: nib.Nifti1Image, rates: Rates) -> nib.Nifti1Image:
    """Find a displacement that changes volumes by stated shares; the extra-ventricular fluid makes up for it.

    The displacement is the gradient of a potential whose sources are the growing structures and whose sinks are the
    shrinking ones, faded out towards the skull.

    Parameters
    ----------
    labels
        Class of every voxel.
    rates
        For each group of classes the change wanted, such as ``{(10, 49): -0.02}``. The fluid must not be among them.

    Returns
    -------
    nibabel.Nifti1Image
        Displacement (x, y, z, 3) in mm: a point ``y`` of the anatomy before moves to ``y + u(y)``.
    """
    data = np.asarray(labels.dataobj)
    factor = max(int(FIELD_VOXEL_SIZE_MM / nib.affines.voxel_sizes(labels.affine)[0] + 1e-3), 1)
    affine = labels.affine @ nib.affines.from_matvec(np.eye(3) * factor, np.full(3, (factor - 1) / 2.0))
    spacing = float(nib.affines.voxel_sizes(affine)[0])
    present = {group: rate for group, rate in rates.items() if np.isin(data, group).any()}
    shares = [block_mean(np.isin(data, group), factor) for group in present]
    fluid = block_mean(data == CSF, factor)
    still = _rest_at_skull(block_mean(np.isin(data, INTRACRANIAL), factor), spacing)
    wanted = np.asarray(list(present.values()))
    sources = wanted.copy()
    field = nib.Nifti1Image(np.zeros((*fluid.shape, 3), dtype=np.float32), affine)
    for _ in range(ROUNDS):
        flow = _flow(_divergence(shares, sources, fluid), spacing)
        field = nib.Nifti1Image(flow * still[..., None], affine)
        change = jacobian_determinant(field) - 1.0
        reached = np.asarray(
            [np.sum(change * share, dtype=np.float64) / share.sum(dtype=np.float64) for share in shares]
        )
        sources += wanted - reached
    return field


def _divergence(
    shares: Sequence[NDArray[np.float32]], sources: NDArray[np.float64], fluid: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Wanted local volume change; its sum is zero."""
    total = np.zeros_like(fluid)
    for share, source in zip(shares, sources, strict=True):
        total += np.float32(source) * share
    return np.asarray(total - fluid * np.float32(total.sum(dtype=np.float64) / fluid.sum(dtype=np.float64)))


def _flow(divergence: NDArray[np.float32], spacing: float) -> NDArray[np.float32]:
    """Displacement (x, y, z, 3) in mm without rotation and with the given divergence, by Poisson's equation."""
    spectrum = fft.rfftn(divergence)
    shape = divergence.shape
    frequencies = [*(fft.fftfreq(length) for length in shape[:-1]), fft.rfftfreq(shape[-1])]
    waves = [
        (2.0 * np.pi / spacing * values).astype(np.float32).reshape([-1 if other == axis else 1 for other in range(3)])
        for axis, values in enumerate(frequencies)
    ]
    squared = waves[0] ** 2 + waves[1] ** 2 + waves[2] ** 2
    squared[0, 0, 0] = 1.0  # the mean, which is zero anyway
    potential = spectrum / squared
    return np.stack([fft.irfftn(-1j * wave * potential, shape) for wave in waves], axis=-1).astype(np.float32)


def _rest_at_skull(inside: NDArray[np.float32], spacing: float) -> NDArray[np.float32]:
    """Factor on the displacement: 0 at the border of the intracranial space and outside it, 1 deep inside."""
    depth = np.asarray(ndimage.distance_transform_edt(inside > 0.99, sampling=spacing)) - spacing
    part = np.clip(depth / REST_MM, 0.0, 1.0)
    return np.asarray(part * part * (3.0 - 2.0 * part), dtype=np.float32)
