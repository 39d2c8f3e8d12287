# SPDX-License-Identifier: Apache-2.0
"""A smooth, known deformation that shrinks and enlarges structures by stated amounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from bids_msvol.atlas.labels import CSF, INTRACRANIAL
from bids_msvol.demo.volumes import voxel_volumes
from bids_msvol.imaging.grids import block_mean

FIELD_VOXEL_SIZE_MM = 2.0
"""Grid of the displacement."""

REST_MM = 5.0
"""Depth below the skull over which the displacement fades to nothing, so that the skull stays where it is."""

SOURCE_SIGMA = 0.7
"""Gaussian width, in voxels of the grid, of sources and sinks: what is finer would not survive interpolation."""

CORRECTIONS = 2
"""Newton steps towards the amounts wanted: neighbours feel each other's change."""

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
        Displacement (x, y, z, 3) in mm on `field_grid`: what is at ``x`` afterwards was at ``x + v(x)`` before.
    """
    data = np.asarray(labels.dataobj)
    affine, _ = field_grid(labels)
    factor = _blocks(labels)
    spacing = float(nib.affines.voxel_sizes(affine)[0])
    masks = {group: np.isin(data, group) for group in rates}
    present = [group for group, mask in masks.items() if mask.any()]
    wanted = np.asarray([rates[group] for group in present])
    shares = [block_mean(masks[group], factor) for group in present]
    fluid = block_mean(data == CSF, factor)
    still = _rest_at_skull(block_mean(np.isin(data, INTRACRANIAL), factor), spacing)
    flows = [_flow(_balanced(share, fluid), spacing) * still[..., None] for share in shares]
    response = np.asarray(
        [[np.average(_divergence(flow, spacing), weights=share) for flow in flows] for share in shares]
    )
    sources = np.linalg.solve(response, wanted)
    for _ in range(CORRECTIONS):
        volumes = voxel_volumes(labels, _combined(sources, flows, affine))
        reached = [volumes[masks[group]].mean(dtype=np.float64) for group in present]
        unit = float(nib.affines.voxel_sizes(labels.affine)[0]) ** 3
        sources += np.linalg.solve(response, wanted - (np.asarray(reached) / unit - 1.0))
    return _combined(sources, flows, affine)


def field_grid(labels: nib.Nifti1Image) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Affine and shape of the grid of displacements: blocks of the labels' voxels."""
    factor = _blocks(labels)
    x, y, z = (length // factor for length in labels.shape)
    step = nib.affines.from_matvec(np.eye(3) * factor, np.full(3, (factor - 1) / 2.0))
    return np.asarray(labels.affine @ step, dtype=np.float64), (x, y, z)


def _blocks(labels: nib.Nifti1Image) -> int:
    return max(int(FIELD_VOXEL_SIZE_MM / nib.affines.voxel_sizes(labels.affine)[0] + 1e-3), 1)


def _combined(
    sources: NDArray[np.float64], flows: Sequence[NDArray[np.float32]], affine: NDArray[np.float64]
) -> nib.Nifti1Image:
    """Displacement back to the anatomy before, for a growth of each structure by its source."""
    total = np.zeros_like(flows[0])
    for source, flow in zip(sources, flows, strict=True):
        total -= np.float32(source) * flow
    return nib.Nifti1Image(total, affine)


def _balanced(share: NDArray[np.float32], fluid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Let a structure grow by one and the fluid make up for it, so that the whole keeps its volume."""
    return share - fluid * np.float32(share.sum(dtype=np.float64) / fluid.sum(dtype=np.float64))


def _divergence(vectors: NDArray[np.float32], spacing: float) -> NDArray[np.float32]:
    parts = [np.gradient(vectors[..., axis], spacing, axis=axis) for axis in range(3)]
    return np.asarray(parts[0] + parts[1] + parts[2], dtype=np.float32)


def _flow(divergence: NDArray[np.float32], spacing: float) -> NDArray[np.float32]:
    """Displacement (x, y, z, 3) in mm without rotation and with the given divergence, by Poisson's equation."""
    spectrum = fft.rfftn(ndimage.gaussian_filter(divergence, SOURCE_SIGMA))
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
