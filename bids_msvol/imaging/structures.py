# SPDX-License-Identifier: Apache-2.0
"""Structures of the brain: the head atlas deformed onto the image and a tissue brightness model, in one whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.imaging.bias import BiasField, flat_field
from bids_msvol.imaging.deformation import Level, deform, invert
from bids_msvol.imaging.frame import Frame, sample_priors, with_floor
from bids_msvol.imaging.grids import sample_trilinear, world_points
from bids_msvol.imaging.mixture import Mixture, fit_mixture
from bids_msvol.imaging.neighbours import agree_with_neighbours
from bids_msvol.imaging.registration import TemplateTransform, sample_field
from bids_msvol.imaging.tissues import GROUPS, MIXED, OUTSIDE, TISSUES, tissue_indices, tissue_maps

MARGIN_MM = 10.0
"""How far beyond the intracranial cavity the model looks."""

FINAL_MARGIN_MM = 5.0
"""The same once the atlas is deformed onto the image."""

AFFINE_BLUR_MM = 3.0
"""Gaussian blur of the priors while only the affine is known."""

_Samples = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.integer]]


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
    seen
        (x, y, z) voxels inside the field of view.
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

    seen: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    classes: tuple[int, ...]
    posteriors: NDArray[np.float32]
    model: BrightnessModel
    transform: TemplateTransform
    corrected: nib.Nifti1Image
    prior_agreement: float


def segment(
    image: nib.Nifti1Image,
    atlas: HeadAtlas,
    affine: NDArray[np.float64],
    *,
    skull_stripped: bool = False,
    seen: NDArray[np.bool_] | None = None,
    hold: float = 0.0,
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
    seen
        (x, y, z) voxels inside the field of view; all of them if not given.
    hold
        How firmly the brightness field is held where there is no tissue; see `fit_mixture`.
    """
    head = _Head.prepare(image, _Maps.of(atlas), skull_stripped, seen)
    frame, groups = head.frame, head.maps.groups
    transform = TemplateTransform(affine)
    model: BrightnessModel | None = None
    for blur_mm, stride, schedule in (
        (AFFINE_BLUR_MM, 3, (Level(8.0, 30), Level(4.0, 25))),
        (0.0, 2, (Level(4.0, 15), Level(2.0, 15))),
        (0.0, 2, (Level(2.0, 15),)),
    ):
        blur = blur_mm / frame.spacing_mm
        priors = head.maps.priors
        maps = ndimage.gaussian_filter(priors, (blur, blur, blur, 0.0)) if blur_mm else priors
        model = _fit(head, head.near(transform, MARGIN_MM), maps, transform, model, stride, hold)
        shown = _group_responsibilities(head, maps, transform, model)
        levels = [level for level in schedule if level.voxel_size_mm >= frame.spacing_mm] or [
            Level(frame.spacing_mm, schedule[-1].iterations)
        ]
        inverse = deform(shown, groups, frame.affine, levels=levels, start=transform.inverse, weight=shown.sum(axis=-1))
        transform = TemplateTransform(affine, invert(inverse), inverse)
    agreement = _agreement(shown, groups, frame, transform)
    near = head.near(transform, FINAL_MARGIN_MM)
    model = _fit(head, near, head.maps.priors, transform, model, 2, hold)
    return _classify(head, near, atlas, transform, model, agreement)


def segment_together(
    images: Sequence[nib.Nifti1Image],
    atlas: HeadAtlas,
    transforms: Sequence[TemplateTransform],
    *,
    skull_stripped: bool = False,
    seen: Sequence[NDArray[np.bool_]],
    hold: float = 0.0,
) -> Iterator[Segmentation]:
    """Segment the sessions of a person with deformations of the atlas that are known, and one brightness model for all.

    A model of each session's own, or a field, would take part of a change of volume for a change of brightness: where
    sulci widen, the voxels of the cortex darken.

    Parameters
    ----------
    images
        T1w of each session on one grid, matched in brightness.
    atlas, skull_stripped, hold
        As for `segment`.
    transforms
        Between the template and each image.
    seen
        For each session, (x, y, z) voxels inside its field of view.
    """
    maps = _Maps.of(atlas)
    heads = [_Head.prepare(image, maps, skull_stripped, visible) for image, visible in zip(images, seen, strict=True)]
    near = [head.near(transform, FINAL_MARGIN_MM) for head, transform in zip(heads, transforms, strict=True)]
    samples = [
        _samples(head, mask, maps.priors, transform, 2)
        for head, mask, transform in zip(heads, near, transforms, strict=True)
    ]
    shared = _fit_samples(samples, heads[0], None, hold)
    for head, mask, transform in zip(heads, near, transforms, strict=True):
        shown = _group_responsibilities(head, maps.priors, transform, shared)
        agreement = _agreement(shown, maps.groups, maps.frame, transform)
        yield _classify(head, mask, atlas, transform, shared, agreement)


@dataclass(frozen=True, eq=False)
class _Maps:
    """The atlas around the cavity.

    Attributes
    ----------
    frame
        Grid of the others.
    priors, groups
        (x, y, z, tissue) and (x, y, z, channel of the deformable registration).
    cavity_distance_mm
        (x, y, z) distance to the cavity.
    """

    frame: Frame
    priors: NDArray[np.float32]
    groups: NDArray[np.float32]
    cavity_distance_mm: NDArray[np.float32]

    @staticmethod
    def of(atlas: HeadAtlas) -> _Maps:
        frame = Frame.around_cavity(atlas, MARGIN_MM)
        priors = frame.crop(tissue_maps(atlas))
        groups = np.stack([priors[..., tissue_indices(group)].sum(axis=-1) for group in GROUPS], axis=-1)
        distance_mm = ndimage.distance_transform_edt(groups[..., OUTSIDE] > 0.9, frame.spacing_mm)
        return _Maps(frame, priors, groups, np.asarray(distance_mm, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class _Head:
    """What all rounds of a segmentation share: the image, and the atlas around the cavity.

    Attributes
    ----------
    image, log_image
        T1w and its logarithm.
    seen, valid
        (x, y, z) voxels inside the field of view; those that also show something.
    maps
        The atlas.
    """

    image: nib.Nifti1Image
    log_image: nib.Nifti1Image
    seen: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    maps: _Maps

    @property
    def frame(self) -> Frame:
        """Grid of the atlas."""
        return self.maps.frame

    @staticmethod
    def prepare(image: nib.Nifti1Image, maps: _Maps, skull_stripped: bool, seen: NDArray[np.bool_] | None) -> _Head:
        data = np.asarray(image.dataobj)
        seen = np.ones(data.shape, dtype=bool) if seen is None else seen
        return _Head(
            image=image,
            log_image=nib.Nifti1Image(np.log(_positive(data, skull_stripped)), image.affine),
            seen=seen,
            valid=seen & (data > 0) if skull_stripped else seen,
            maps=maps,
        )

    def near(self, transform: TemplateTransform, margin_mm: float) -> NDArray[np.bool_]:
        """Voxels of the image within a margin of the deformed intracranial cavity, to the nearest two voxels."""
        allowed = (self.maps.cavity_distance_mm < margin_mm).astype(np.float32)
        shape = self.log_image.shape
        sparse = np.zeros(shape, dtype=bool)
        sparse[::2, ::2, ::2] = True
        located = self.frame.voxels(transform.subject_to_template(world_points(sparse, self.log_image.affine)))
        inside = np.all((located >= 0) & (located <= np.asarray(self.frame.shape) - 1), axis=1)
        values = sample_trilinear(allowed, located) * inside
        coarse = values.reshape([-(-length // 2) for length in shape]) > 0.5
        for axis in range(3):
            coarse = np.repeat(coarse, 2, axis=axis)
        return np.asarray(coarse[: shape[0], : shape[1], : shape[2]]) & self.valid


def _positive(data: NDArray[np.float32], skull_stripped: bool) -> NDArray[np.float32]:
    """Keep the logarithm finite: nothing is darker than a hundredth of the bright tissue."""
    bright = np.percentile(data[data > 0], 95.0) if skull_stripped else np.percentile(data, 98.0)
    return np.maximum(data, np.float32(0.01 * bright))


def _fit(
    head: _Head,
    mask: NDArray[np.bool_],
    maps: NDArray[np.float32],
    transform: TemplateTransform,
    start: BrightnessModel | None,
    stride: int,
    hold: float,
) -> BrightnessModel:
    return _fit_samples([_samples(head, mask, maps, transform, stride)], head, start, hold)


def _samples(
    head: _Head, mask: NDArray[np.bool_], maps: NDArray[np.float32], transform: TemplateTransform, stride: int
) -> _Samples:
    """Every so many voxels of the mask: log brightness (n,), priors (n, tissue), indices (n, 3)."""
    sparse = np.zeros_like(mask)
    every = (slice(None, None, stride),) * 3
    sparse[every] = mask[every]
    priors = sample_priors(maps, head.frame, transform, world_points(sparse, head.log_image.affine))
    return np.asarray(head.log_image.dataobj)[sparse], priors, np.argwhere(sparse)


def _fit_samples(
    samples: Sequence[_Samples], head: _Head, start: BrightnessModel | None, hold: float
) -> BrightnessModel:
    """Fit one brightness model to samples of one or more images on the grid of ``head``."""
    log_values, priors, indices = (np.concatenate(part) for part in zip(*samples, strict=True))
    x, y, z = head.seen.shape
    bias = start.bias if start else flat_field((x, y, z), nib.affines.voxel_sizes(head.log_image.affine))
    mixture = start.mixture if start else None
    counts = [len(part[0]) for part in samples]
    mixture, bias = fit_mixture(TISSUES, MIXED, log_values, priors, indices, bias, mixture, hold=hold, counts=counts)
    return BrightnessModel(mixture, bias)


def _group_responsibilities(
    head: _Head, maps: NDArray[np.float32], transform: TemplateTransform, model: BrightnessModel
) -> NDArray[np.float32]:
    """What the image shows, on the frame after the affine: (x, y, z, group), zero where nothing is seen.

    Far from the cavity everything is outside, whatever its brightness.
    """
    frame, log_image = head.frame, head.log_image
    near = head.maps.cavity_distance_mm < MARGIN_MM
    points = world_points(near, frame.affine)
    matrix = (np.linalg.inv(log_image.affine) @ transform.affine).astype(np.float32)
    located = points @ matrix[:3, :3].T + matrix[:3, 3]
    inside = np.all((located >= 0) & (located <= np.asarray(log_image.shape, dtype=np.float32) - 1), axis=1)
    inside &= sample_trilinear(head.valid.view(np.uint8), located) > 0.5
    values = np.exp(sample_trilinear(np.asarray(log_image.dataobj) - model.bias.log_field(), located))
    displaced = points if transform.inverse is None else points + sample_field(transform.inverse, points)
    posterior = model.mixture.evidence(values, with_floor(sample_trilinear(maps, frame.voxels(displaced))))
    posterior /= posterior.sum(axis=1, keepdims=True) + np.float32(1e-30)
    posterior[~inside] = 0.0
    result = np.zeros((*frame.shape, len(GROUPS)), dtype=np.float32)
    result[~near, OUTSIDE] = 1.0
    for channel, group in enumerate(GROUPS):
        result[near, channel] = posterior[:, tissue_indices(group)].sum(axis=1)
    return result


def _classify(
    head: _Head,
    near: NDArray[np.bool_],
    atlas: HeadAtlas,
    transform: TemplateTransform,
    model: BrightnessModel,
    agreement: float,
) -> Segmentation:
    """Posteriors of all classes near the cavity, and the corrected image."""
    posteriors = _structure_posteriors(head.log_image, near, head.frame, atlas, transform, model)
    log_field = model.bias.log_field()
    # Far from the brain nothing holds the field.
    np.clip(log_field, log_field[near].min(), log_field[near].max(), out=log_field)
    corrected = nib.Nifti1Image(np.asarray(head.image.dataobj) * np.exp(-log_field), head.image.affine)
    return Segmentation(head.seen, near, atlas.classes, posteriors, model, transform, corrected, agreement)


def _agreement(
    shown: NDArray[np.float32], groups: NDArray[np.float32], frame: Frame, transform: TemplateTransform
) -> float:
    """Mean prior probability of the tissue that the image shows, inside the cavity."""
    inside = groups[..., OUTSIDE] < 0.5
    points = world_points(inside, frame.affine)
    displaced = points if transform.inverse is None else points + sample_field(transform.inverse, points)
    expected = sample_trilinear(groups, frame.voxels(displaced))
    found = shown[inside]
    return float(np.sum(found * expected) / max(float(found.sum()), 1.0))


def _structure_posteriors(
    log_image: nib.Nifti1Image,
    mask: NDArray[np.bool_],
    frame: Frame,
    atlas: HeadAtlas,
    transform: TemplateTransform,
    model: BrightnessModel,
) -> NDArray[np.float32]:
    """Posterior (voxel, class) with a neighbourhood prior by mean field."""
    indices = np.argwhere(mask)
    values = np.exp(np.asarray(log_image.dataobj)[mask] - model.bias.log_at(indices))
    maps = np.ascontiguousarray(np.moveaxis(atlas.maps[(slice(None), *frame.box)], 0, -1))
    located = frame.voxels(transform.subject_to_template(world_points(mask, log_image.affine)))
    priors = with_floor(sample_trilinear(maps, located))
    del maps, located
    owner = np.array(
        [next(index for index, tissue in enumerate(TISSUES) if number in tissue.members) for number in atlas.classes]
    )
    tissue_priors = np.stack([priors[:, owner == index].sum(axis=1) for index in range(len(TISSUES))], axis=1)
    evidence = model.mixture.evidence(values, tissue_priors)
    evidence /= tissue_priors
    del tissue_priors
    # A structure takes the part of its tissue that its prior has. Class by class: these arrays are the largest of all.
    likely = np.empty((len(owner), len(priors)), dtype=np.float32)
    for number, tissue in enumerate(owner):
        np.multiply(priors[:, number], evidence[:, tissue], out=likely[number])
    likely += np.float32(1e-30)
    del priors, evidence
    return np.ascontiguousarray(agree_with_neighbours(likely, mask).T)
