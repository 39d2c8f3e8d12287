# SPDX-License-Identifier: Apache-2.0
"""Structures of the brain: the head atlas deformed onto the image and a tissue brightness model, in one whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import (
    AIR,
    CORD,
    CORTICAL_BONE,
    CSF,
    INTRACRANIAL,
    MARROW,
    SOFT_TISSUE,
    SPINAL_FLUID,
    VEINS_AND_DURA,
)
from bids_msvol.imaging.bias import BiasField, flat_field
from bids_msvol.imaging.deformation import Level, deform, invert
from bids_msvol.imaging.grids import sample_trilinear, world_points
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
    Tissue("thalamus", (10, 49), "deep", components=2, in_bias=True),
    Tissue("pallidum", (13, 52), "white", in_bias=True),
    Tissue("ventricles", (4, 43, 5, 44, 14, 15), "fluid"),
    Tissue("fluid", (CSF, SPINAL_FLUID), "fluid"),
    Tissue("veins and dura", (VEINS_AND_DURA,), "veins", components=2),
    Tissue("bone and air", (CORTICAL_BONE, AIR), "bone", components=2),
    Tissue("soft tissue and marrow", (SOFT_TISSUE, MARROW), "soft", components=3),
)
"""Which classes share a brightness: those that look alike and lie far enough apart for the priors to separate them."""

GROUPS: tuple[tuple[str, ...], ...] = (
    ("cortex", "hippocampus and amygdala"),
    ("cerebral white matter", "pallidum"),
    ("ventricles",),
    ("fluid",),
    ("caudate and accumbens", "putamen"),
    ("thalamus",),
    ("cerebellar cortex",),
    ("cerebellar white matter", "brainstem"),
    ("veins and dura", "bone and air", "soft tissue and marrow"),
)
"""Channels of the deformable registration, as tissues. The pallidum is as bright as white matter on many scanners."""

OUTSIDE = 8
"""Position in ``GROUPS`` of what is not inside the skull."""

MIXED: tuple[tuple[str, str], ...] = (
    ("cerebral white matter", "cortex"),
    ("cortex", "fluid"),
    ("cerebral white matter", "ventricles"),
    ("caudate and accumbens", "ventricles"),
    ("thalamus", "ventricles"),
    ("hippocampus and amygdala", "ventricles"),
    ("hippocampus and amygdala", "fluid"),
    ("cerebral white matter", "hippocampus and amygdala"),
    ("cerebral white matter", "caudate and accumbens"),
    ("cerebral white matter", "putamen"),
    ("cerebellar white matter", "cerebellar cortex"),
    ("cerebellar cortex", "fluid"),
    ("cerebellar cortex", "ventricles"),
    ("brainstem", "fluid"),
    ("brainstem", "ventricles"),
)
"""Tissues that share voxels along their borders, where the difference in brightness is worth the effort."""

MARGIN_MM = 10.0
"""How far beyond the intracranial cavity the model looks."""

FINAL_MARGIN_MM = 5.0
"""The same once the atlas is deformed onto the image."""

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
        Mean over the cavity of the prior probability of the tissue that the image shows: how well the atlas fits.
    """

    mask: NDArray[np.bool_]
    classes: tuple[int, ...]
    posteriors: NDArray[np.float32]
    model: BrightnessModel
    transform: TemplateTransform
    corrected: nib.Nifti1Image
    prior_agreement: float


def registration_groups() -> tuple[tuple[int, ...], ...]:
    """Return the channels of the deformable registration as class numbers; the atlas is built with the same."""
    return tuple(
        tuple(number for tissue in TISSUES if tissue.name in group for number in tissue.members) for group in GROUPS
    )


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
    groups = np.stack([priors[..., _tissue_indices(group)].sum(axis=-1) for group in GROUPS], axis=-1)
    transform = TemplateTransform(affine)
    data = np.asarray(image.dataobj)
    log_data = nib.Nifti1Image(np.log(_positive(data, skull_stripped)), image.affine)
    valid = data > 0 if skull_stripped else np.ones(data.shape, dtype=bool)

    model: BrightnessModel | None = None
    for blur_mm, stride, schedule in (
        (AFFINE_BLUR_MM, 3, (Level(8.0, 30), Level(4.0, 25))),
        (0.0, 2, (Level(4.0, 15), Level(2.0, 15))),
        (0.0, 2, (Level(2.0, 15),)),
    ):
        blur = blur_mm / frame.spacing_mm
        maps = ndimage.gaussian_filter(priors, (blur, blur, blur, 0.0)) if blur_mm else priors
        near = _cavity_mask(log_data, frame, groups, transform, MARGIN_MM) & valid
        model = _fit(log_data, near, frame, maps, transform, model, stride)
        seen = _group_responsibilities(log_data, valid, frame, groups, maps, transform, model)
        levels = [level for level in schedule if level.voxel_size_mm >= frame.spacing_mm] or [
            Level(frame.spacing_mm, schedule[-1].iterations)
        ]
        inverse = deform(seen, groups, frame.affine, levels=levels, start=transform.inverse, weight=seen.sum(axis=-1))
        transform = TemplateTransform(affine, invert(inverse), inverse)
    agreement = _agreement(seen, groups, frame, transform)
    near = _cavity_mask(log_data, frame, groups, transform, FINAL_MARGIN_MM) & valid
    model = _fit(log_data, near, frame, priors, transform, model, 2)
    posteriors = _structure_posteriors(log_data, near, frame, atlas, transform, model)
    log_field = model.bias.log_field()
    # Far from the brain nothing holds the field.
    np.clip(log_field, log_field[near].min(), log_field[near].max(), out=log_field)
    corrected = nib.Nifti1Image(data * np.exp(-log_field), image.affine)
    return Segmentation(near, atlas.classes, posteriors, model, transform, corrected, agreement)


@dataclass(frozen=True, eq=False)
class _Frame:
    """The part of the atlas grid around the intracranial cavity."""

    box: tuple[slice, slice, slice]
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    spacing_mm: float

    @staticmethod
    def around_cavity(atlas: HeadAtlas) -> _Frame:
        inside = np.asarray(atlas.probability(INTRACRANIAL).dataobj) > 0.02
        spacing_mm = float(nib.affines.voxel_sizes(atlas.affine)[0])
        box = []
        for axis in range(3):
            present = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
            margin = int(np.ceil(MARGIN_MM / spacing_mm))
            box.append(slice(max(int(present[0]) - margin, 0), min(int(present[-1]) + margin, inside.shape[axis])))
        shape = tuple(part.stop - part.start for part in box)
        start = [part.start for part in box]
        affine = atlas.affine @ nib.affines.from_matvec(np.eye(3), start)
        return _Frame((box[0], box[1], box[2]), (shape[0], shape[1], shape[2]), affine, spacing_mm)

    def crop(self, maps: NDArray[np.generic]) -> NDArray[np.float32]:
        return np.ascontiguousarray(maps[self.box], dtype=np.float32)

    def voxels(self, points_mm: NDArray[np.float32]) -> NDArray[np.float32]:
        inverse = np.linalg.inv(self.affine).astype(np.float32)
        return points_mm @ inverse[:3, :3].T + inverse[:3, 3]


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
    return _with_floor(sample_trilinear(maps, located))


def _with_floor(priors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalise priors (n, channel) to sum one, with a little of everything everywhere."""
    priors /= priors.sum(axis=1, keepdims=True) + np.float32(1e-6)
    priors += np.float32(PRIOR_FLOOR / priors.shape[1])
    priors /= priors.sum(axis=1, keepdims=True)
    return priors


def _near_cavity(frame: _Frame, groups: NDArray[np.float32], margin_mm: float) -> NDArray[np.bool_]:
    """Voxels of the frame within a margin of the intracranial cavity."""
    return np.asarray(ndimage.distance_transform_edt(groups[..., OUTSIDE] > 0.9, frame.spacing_mm) < margin_mm)


def _cavity_mask(
    image: nib.Nifti1Image,
    frame: _Frame,
    groups: NDArray[np.float32],
    transform: TemplateTransform,
    margin_mm: float,
) -> NDArray[np.bool_]:
    """Voxels of the image within a margin of the deformed intracranial cavity, to the nearest two voxels."""
    allowed = _near_cavity(frame, groups, margin_mm).astype(np.float32)
    sparse = np.zeros(image.shape, dtype=bool)
    sparse[::2, ::2, ::2] = True
    located = frame.voxels(transform.subject_to_template(world_points(sparse, image.affine)))
    inside = np.all((located >= 0) & (located <= np.asarray(frame.shape) - 1), axis=1)
    values = sample_trilinear(allowed, located) * inside
    coarse = values.reshape([-(-length // 2) for length in image.shape]) > 0.5
    for axis in range(3):
        coarse = np.repeat(coarse, 2, axis=axis)
    return np.asarray(coarse[: image.shape[0], : image.shape[1], : image.shape[2]])


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
        TISSUES, MIXED, log_data[sparse], priors, np.argwhere(sparse), bias, start.mixture if start else None
    )
    return BrightnessModel(mixture, bias)


def _group_responsibilities(
    log_image: nib.Nifti1Image,
    valid: NDArray[np.bool_],
    frame: _Frame,
    groups: NDArray[np.float32],
    maps: NDArray[np.float32],
    transform: TemplateTransform,
    model: BrightnessModel,
) -> NDArray[np.float32]:
    """What the image shows, on the frame after the affine: (x, y, z, group), zero where nothing is seen.

    Far from the cavity everything is outside, whatever its brightness.
    """
    near = _near_cavity(frame, groups, MARGIN_MM)
    points = world_points(near, frame.affine)
    matrix = (np.linalg.inv(log_image.affine) @ transform.affine).astype(np.float32)
    located = points @ matrix[:3, :3].T + matrix[:3, 3]
    inside = np.all((located >= 0) & (located <= np.asarray(log_image.shape, dtype=np.float32) - 1), axis=1)
    inside &= sample_trilinear(valid.view(np.uint8), located) > 0.5
    values = np.exp(sample_trilinear(np.asarray(log_image.dataobj) - model.bias.log_field(), located))
    displaced = points if transform.inverse is None else points + sample_field(transform.inverse, points)
    posterior = model.mixture.evidence(values, _with_floor(sample_trilinear(maps, frame.voxels(displaced))))
    posterior /= posterior.sum(axis=1, keepdims=True) + np.float32(1e-30)
    posterior[~inside] = 0.0
    result = np.zeros((*frame.shape, len(GROUPS)), dtype=np.float32)
    result[~near, OUTSIDE] = 1.0
    for channel, group in enumerate(GROUPS):
        result[near, channel] = posterior[:, _tissue_indices(group)].sum(axis=1)
    return result


def _agreement(
    seen: NDArray[np.float32], groups: NDArray[np.float32], frame: _Frame, transform: TemplateTransform
) -> float:
    """Mean prior probability of the tissue that the image shows, inside the cavity."""
    inside = groups[..., OUTSIDE] < 0.5
    points = world_points(inside, frame.affine)
    displaced = points if transform.inverse is None else points + sample_field(transform.inverse, points)
    expected = sample_trilinear(groups, frame.voxels(displaced))
    shown = seen[inside]
    return float(np.sum(shown * expected) / max(float(shown.sum()), 1.0))


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
    priors = _with_floor(sample_trilinear(maps, located))
    owner = np.array(
        [next(index for index, tissue in enumerate(TISSUES) if number in tissue.members) for number in atlas.classes]
    )
    tissue_priors = np.stack([priors[:, owner == index].sum(axis=1) for index in range(len(TISSUES))], axis=1)
    evidence = model.mixture.evidence(values, tissue_priors)
    evidence /= tissue_priors
    # A structure takes the part of its tissue that its prior has.
    evidence = priors * evidence[:, owner] + np.float32(1e-30)
    del priors, tissue_priors, maps  # as large as all that follows
    posterior = evidence / evidence.sum(axis=1, keepdims=True)
    for _ in range(NEIGHBOUR_ROUNDS):
        posterior = evidence * np.exp(np.float32(NEIGHBOUR_WEIGHT) * _neighbour_sum(posterior, mask))
        posterior /= posterior.sum(axis=1, keepdims=True)
    return np.asarray(posterior, dtype=np.float32)


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
