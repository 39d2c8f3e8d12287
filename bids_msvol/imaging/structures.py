# SPDX-License-Identifier: Apache-2.0
"""Structures of the brain: the head atlas deformed onto the image, and a tissue brightness model, in one Bayesian whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import (
    AIR, CORD, CORTICAL_BONE, CSF, INTRACRANIAL, MARROW, REGISTRATION_GROUPS, SOFT_TISSUE, SPINAL_FLUID, VEINS_AND_DURA,
)
from bids_msvol.imaging.bias import BiasField, flat_field
from bids_msvol.imaging.deformation import COARSE_TO_FINE, Level, deform, invert
from bids_msvol.imaging.grids import TrilinearSampler, world_points
from bids_msvol.imaging.mixture import Mixture, Tissue, fit_mixture
from bids_msvol.imaging.registration import TemplateTransform, sample_field

TISSUES: tuple[Tissue, ...] = (
    Tissue("cerebral white matter", (2, 41), "white", in_bias=True),
    Tissue("cerebellar white matter", (7, 46), "white", in_bias=True),
    Tissue("brainstem", (16, 28, 60, CORD), "white", in_bias=True),
    Tissue("cortex", (3, 42), "gray", in_bias=True),
    Tissue("cerebellar cortex", (8, 47), "gray", in_bias=True),
    Tissue("hippocampus and amygdala", (17, 53, 18, 54), "gray", in_bias=True),
    Tissue("caudate and accumbens", (11, 50, 26, 58), "gray", in_bias=True),
    Tissue("putamen", (12, 51), "gray", in_bias=True),
    Tissue("thalamus", (10, 49), "deep", in_bias=True),
    Tissue("pallidum", (13, 52), "deep", in_bias=True),
    Tissue("ventricles", (4, 43, 5, 44, 14, 15), "fluid"),
    Tissue("fluid", (CSF, SPINAL_FLUID), "fluid"),
    Tissue("veins and dura", (VEINS_AND_DURA,), "veins", components=2),
    Tissue("bone and air", (CORTICAL_BONE, AIR), "bone", components=2),
    Tissue("soft tissue and marrow", (SOFT_TISSUE, MARROW), "soft", components=3),
)
"""Which classes share a brightness: those that look alike and lie far enough apart for the priors to separate them."""

GROUPS: tuple[tuple[str, ...], ...] = (
    ("cortex", "hippocampus and amygdala"),
    ("cerebral white matter",),
    ("ventricles",),
    ("fluid",),
    ("caudate and accumbens", "putamen"),
    ("thalamus", "pallidum"),
    ("cerebellar cortex",),
    ("cerebellar white matter", "brainstem"),
    ("veins and dura", "bone and air", "soft tissue and marrow"),
)
"""Channels of the deformable registration, as tissues."""

OUTSIDE = 8
"""Position in ``GROUPS`` of what is not inside the skull."""

MARGIN_MM = 10.0
"""How far beyond the intracranial cavity the model looks."""

AFFINE_BLUR_MM = 3.0
"""Gaussian blur of the priors while only the affine is known."""

PRIOR_FLOOR = 1e-4
"""Share of every other class mixed into the priors: the atlas has never seen everybody."""

NEIGHBOUR_WEIGHT = 0.15
"""Strength of the neighbourhood prior, per neighbour and unit probability."""

NEIGHBOUR_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class BrightnessModel:
    """What the mixture found: brightness per tissue and the bias field on the working grid."""

    mixture: Mixture
    bias: BiasField


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Posterior of every class in the voxels looked at.

    Attributes
    ----------
    mask
        (x, y, z) voxels looked at.
    classes
        Class numbers, in the order of ``posteriors``.
    posteriors
        (voxel of the mask, class), float32.
    model
        Brightness and bias.
    transform
        Between the template and the image.
    corrected
        Bias-corrected image.
    prior_agreement
        Mean over the voxels of the prior probability of the tissue group that the image shows there: how well the deformed
        atlas fits.
    """

    mask: NDArray[np.bool_]
    classes: tuple[int, ...]
    posteriors: NDArray[np.float32]
    model: BrightnessModel
    transform: TemplateTransform
    corrected: nib.Nifti1Image
    prior_agreement: float


def tissue_maps(atlas: HeadAtlas) -> NDArray[np.float32]:
    """Atlas summed over the classes of each tissue: (x, y, z, tissue), 0..1."""
    result = np.empty((*atlas.maps.shape[1:], len(TISSUES)), dtype=np.float32)
    for channel, tissue in enumerate(TISSUES):
        result[..., channel] = np.asarray(atlas.probability(tissue.members).dataobj)
    return result


def segment(
    image: nib.Nifti1Image, atlas: HeadAtlas, affine: NDArray[np.float64], *, skull_stripped: bool = False
) -> Segmentation:
    """Segment a T1w image into the classes of the atlas.

    The brightness model and the deformation of the atlas are found in turn, then every class is told from the others.

    Parameters
    ----------
    image
        Conformed T1w, no bias correction needed.
    atlas
        The head atlas.
    affine
        (4, 4), template to image, world mm.
    skull_stripped
        Whether everything outside the brain was set to zero.
    """
    frame = _Frame.around_cavity(atlas)
    priors = frame.crop(tissue_maps(atlas))
    transform = TemplateTransform(affine)
    data = _positive(np.asarray(image.dataobj), skull_stripped)
    log_data = nib.Nifti1Image(np.log(data), image.affine)
    valid = np.asarray(image.dataobj) > 0 if skull_stripped else np.ones(data.shape, dtype=bool)

    blurred = np.stack([ndimage.gaussian_filter(priors[..., channel], AFFINE_BLUR_MM) for channel in range(priors.shape[3])], axis=-1)
    model: BrightnessModel | None = None
    target = np.stack([priors[..., _tissue_indices(group)].sum(axis=-1) for group in GROUPS], axis=-1)
    for maps, stride, levels in (
        (blurred, 3, COARSE_TO_FINE),
        (priors, 2, (Level(4.0, 12), Level(2.0, 12))),
        (priors, 2, (Level(2.0, 12),)),
    ):
        near = _cavity_mask(log_data, frame, priors, transform) & valid
        model = _fit(log_data, near, frame, maps, transform, model, stride)
        seen = _group_responsibilities(log_data, valid, frame, maps, transform, model)
        inverse = deform(seen, target, frame.affine, levels=levels, start=transform.inverse, weight=seen.sum(axis=-1))
        transform = TemplateTransform(affine, invert(inverse), inverse)
    agreement = _agreement(seen, target, frame, transform)
    near = _cavity_mask(log_data, frame, priors, transform) & valid
    model = _fit(log_data, near, frame, priors, transform, model, 2)
    posteriors = _structure_posteriors(log_data, near, frame, atlas, transform, model)
    corrected = nib.Nifti1Image(np.asarray(image.dataobj) * np.exp(-model.bias.log_field()), image.affine)
    return Segmentation(near, atlas.classes, posteriors, model, transform, corrected, agreement)


@dataclass(frozen=True, eq=False)
class _Frame:
    """The part of the atlas grid around the intracranial cavity."""

    box: tuple[slice, slice, slice]
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @staticmethod
    def around_cavity(atlas: HeadAtlas) -> _Frame:
        inside = np.asarray(atlas.probability(INTRACRANIAL).dataobj) > 0.02
        box = []
        for axis in range(3):
            present = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
            low = max(int(present[0] - MARGIN_MM), 0)
            length = int(present[-1] + MARGIN_MM) - low
            # Blocks of eight voxels fit the coarsest level.
            box.append(slice(low, min(low + -(-length // 8) * 8, inside.shape[axis])))
        shape = tuple(part.stop - part.start for part in box)
        start = [part.start for part in box]
        return _Frame((box[0], box[1], box[2]), (shape[0], shape[1], shape[2]), atlas.affine @ nib.affines.from_matvec(np.eye(3), start))

    def crop(self, maps: NDArray[np.generic]) -> NDArray[np.float32]:
        return np.ascontiguousarray(maps[self.box], dtype=np.float32)

    def voxels(self, points_mm: NDArray[np.float32]) -> NDArray[np.float32]:
        inverse = np.linalg.inv(self.affine).astype(np.float32)
        return points_mm @ inverse[:3, :3].T + inverse[:3, 3]

    def points_mm(self) -> NDArray[np.float32]:
        return world_points(np.ones(self.shape, dtype=bool), self.affine)


def _positive(data: NDArray[np.float32], skull_stripped: bool) -> NDArray[np.float32]:
    """Keep the logarithm finite: nothing is darker than a hundredth of the bright tissue."""
    bright = np.percentile(data[data > 0], 95.0) if skull_stripped else np.percentile(data, 98.0)
    return np.maximum(data, np.float32(0.01 * bright))


def _tissue_indices(names: Sequence[str]) -> list[int]:
    order = [tissue.name for tissue in TISSUES]
    return [order.index(name) for name in names]


def _sample(
    maps: NDArray[np.float32], frame: _Frame, transform: TemplateTransform, points: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Prior (n, channel) at subject points, every channel with its floor, normalised."""
    located = frame.voxels(transform.subject_to_template(points))
    priors = TrilinearSampler(located, frame.shape)(maps)
    total = priors.sum(axis=1, keepdims=True)
    priors += np.float32(PRIOR_FLOOR / maps.shape[3]) * np.maximum(total, np.float32(1e-6))
    priors /= priors.sum(axis=1, keepdims=True)
    return priors


def _cavity_mask(
    image: nib.Nifti1Image, frame: _Frame, priors: NDArray[np.float32], transform: TemplateTransform
) -> NDArray[np.bool_]:
    """Voxels within the margin of the deformed intracranial cavity."""
    outside = priors[..., _tissue_indices(GROUPS[OUTSIDE])].sum(axis=-1)
    allowed = (ndimage.distance_transform_edt(outside > 0.9) < MARGIN_MM).astype(np.float32)
    sparse = np.zeros(image.shape, dtype=bool)
    sparse[::2, ::2, ::2] = True
    located = frame.voxels(transform.subject_to_template(world_points(sparse, image.affine)))
    inside = np.all((located >= 0) & (located <= np.asarray(frame.shape) - 1), axis=1)
    values = TrilinearSampler(located, frame.shape)(allowed) * inside
    coarse = values.reshape([-(-length // 2) for length in image.shape]) > 0.5
    for axis in range(3):
        coarse = np.repeat(coarse, 2, axis=axis)
    return coarse[: image.shape[0], : image.shape[1], : image.shape[2]]


def _fit(
    log_image: nib.Nifti1Image,
    mask: NDArray[np.bool_],
    frame: _Frame,
    maps: NDArray[np.float32],
    transform: TemplateTransform,
    start: BrightnessModel | None,
    stride: int,
) -> BrightnessModel:
    log_data = np.asarray(log_image.dataobj)
    sparse = np.zeros_like(mask)
    every = (slice(None, None, stride),) * 3
    sparse[every] = mask[every]
    priors = _sample(maps, frame, transform, world_points(sparse, log_image.affine))
    bias = start.bias if start else flat_field(log_data.shape, nib.affines.voxel_sizes(log_image.affine))
    mixture, bias = fit_mixture(
        TISSUES, log_data[sparse], priors, np.argwhere(sparse), bias, start.mixture if start else None
    )
    return BrightnessModel(mixture, bias)


def _group_responsibilities(
    log_image: nib.Nifti1Image,
    valid: NDArray[np.bool_],
    frame: _Frame,
    maps: NDArray[np.float32],
    transform: TemplateTransform,
    model: BrightnessModel,
) -> NDArray[np.float32]:
    """Responsibility of each registration group on the frame of the affine (x, y, z, group); zero where nothing is seen."""
    points = frame.points_mm()
    matrix = (np.linalg.inv(log_image.affine) @ transform.affine).astype(np.float32)
    located = points @ matrix[:3, :3].T + matrix[:3, 3]
    inside = np.all((located >= 0) & (located <= np.asarray(log_image.shape, dtype=np.float32) - 1), axis=1)
    sampler = TrilinearSampler(located, log_image.shape)
    values = np.exp(sampler(np.asarray(log_image.dataobj) - model.bias.log_field()))
    inside &= sampler(valid.astype(np.float32)) > 0.5
    displaced = points if transform.inverse is None else points + sample_field(transform.inverse, points)
    posterior = TrilinearSampler(frame.voxels(displaced), frame.shape)(maps)
    posterior += np.float32(PRIOR_FLOOR)
    posterior *= model.mixture.likelihood(values)
    posterior /= posterior.sum(axis=1, keepdims=True) + np.float32(1e-30)
    posterior[~inside] = 0.0
    groups = np.stack([posterior[:, _tissue_indices(group)].sum(axis=1) for group in GROUPS], axis=1)
    return groups.reshape(*frame.shape, len(GROUPS))


def _agreement(
    seen: NDArray[np.float32], target: NDArray[np.float32], frame: _Frame, transform: TemplateTransform
) -> float:
    """Mean prior probability of the tissue that the image shows, inside the cavity."""
    points = frame.points_mm()
    displaced = points if transform.inverse is None else points + sample_field(transform.inverse, points)
    expected = TrilinearSampler(frame.voxels(displaced), frame.shape)(target)
    shown = seen.reshape(expected.shape)
    inside = 1.0 - expected[:, OUTSIDE]
    weight = inside * shown.sum(axis=1)
    return float(np.sum(weight * np.sum(shown * expected, axis=1)) / max(float(weight.sum()), 1.0))


def _structure_posteriors(
    log_image: nib.Nifti1Image,
    mask: NDArray[np.bool_],
    frame: _Frame,
    atlas: HeadAtlas,
    transform: TemplateTransform,
    model: BrightnessModel,
) -> NDArray[np.float32]:
    """Posterior (voxel, class) with a neighbourhood prior by mean field."""
    indices = np.argwhere(mask)
    values = np.exp(np.asarray(log_image.dataobj)[mask] - model.bias.log_at(indices))
    maps = np.ascontiguousarray(np.moveaxis(atlas.maps[(slice(None), *frame.box)], 0, -1))
    located = frame.voxels(transform.subject_to_template(world_points(mask, log_image.affine)))
    priors = TrilinearSampler(located, frame.shape)(maps)
    priors += np.float32(PRIOR_FLOOR * 255.0 / len(atlas.classes))
    priors /= priors.sum(axis=1, keepdims=True)
    owner = [next(index for index, tissue in enumerate(TISSUES) if number in tissue.members) for number in atlas.classes]
    evidence = priors * model.mixture.likelihood(values)[:, owner]
    evidence += np.float32(1e-30)
    posterior = evidence / evidence.sum(axis=1, keepdims=True)
    for _ in range(NEIGHBOUR_ROUNDS):
        posterior = evidence * np.exp(np.float32(NEIGHBOUR_WEIGHT) * _neighbour_sum(posterior, mask))
        posterior /= posterior.sum(axis=1, keepdims=True)
    return posterior


def _neighbour_sum(posterior: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Sum of each class over the six face neighbours, (voxel, class)."""
    position = np.zeros(np.asarray(mask.shape) + 2, dtype=np.int32)
    inner = (slice(1, -1),) * 3
    position[inner][mask] = np.arange(1, len(posterior) + 1)
    padded = np.concatenate([np.zeros((1, posterior.shape[1]), dtype=np.float32), posterior])
    total = np.zeros_like(posterior)
    for axis in range(3):
        for shift in (-1, 1):
            total += padded[np.roll(position, shift, axis=axis)[inner][mask]]
    return total
