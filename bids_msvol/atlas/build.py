# SPDX-License-Identifier: Apache-2.0
"""Learn the head atlas from whole-head label maps: ``python -m bids_msvol.atlas.build LABELMAPS ATLAS.npz``.

Each map is aligned with the grey and white matter of the MNI152 template, then twice with the average of all maps,
by the same channels and the same registration that later align a patient, so that the atlas is as sharp as that
registration deserves and no sharper. Every map counts twice, once mirrored: the atlas is symmetric.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.head import TYPICAL_T1W_INTENSITY, HeadAtlas, save_atlas
from bids_msvol.atlas.labels import (
    BRAIN,
    BRAIN_STEM,
    CLASSES,
    CSF,
    MIRROR,
    SOFT_TISSUE,
    SPINAL_FLUID,
)
from bids_msvol.imaging.deformation import deform
from bids_msvol.imaging.grids import resample_to_grid
from bids_msvol.imaging.registration import TemplateTransform, register_affine
from bids_msvol.imaging.tissues import registration_groups

GRID_SHAPE = (197, 241, 217)
GRID_ORIGIN_MM = (-98.0, -136.0, -112.0)
"""1 mm grid of the atlas: the head with the upper neck, the midsagittal plane on a voxel centre."""

MERGED_LABELS: dict[int, int] = {
    **{25: 2, 57: 41},  # white-matter lesions
    **{30: 12, 62: 51},  # vessels inside the putamen
    **{136: 4, 137: 5, 163: 43, 164: 44},  # choroid plexus
    72: 14,
    **dict.fromkeys((85, 502, 506, 508, 509, 511, 530), SOFT_TISSUE),
}
"""Labels of the maps that the atlas counts with another class."""

SMOOTHING_SIGMA_MM = 0.8
"""Gaussian width that fills the gaps between a few maps."""

MNI_TISSUES = ((3, 42, 8, 47, 11, 50, 12, 51, 17, 53, 18, 54, 26, 58), (2, 41, 7, 46, 16))
"""Classes that the grey and the white matter map of the template show."""


def read_label_map(path: Path) -> nib.Nifti1Image:
    """Read one map, RAS, with the labels merged into the classes of the atlas and the spinal fluid set apart."""
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(image.dataobj).astype(np.int16)
    for label, target in MERGED_LABELS.items():
        labels[labels == label] = target
    unknown = set(np.unique(labels).tolist()) - set(CLASSES)
    if unknown:
        raise ValueError(f"{path}: labels {sorted(unknown)} are not classes of the atlas")
    lowest = np.flatnonzero((labels == BRAIN_STEM).any(axis=(0, 1)))[0]
    below = labels[:, :, :lowest]
    below[below == CSF] = SPINAL_FLUID
    return nib.Nifti1Image(labels, image.affine)


def build(paths: Sequence[Path], *, passes: int = 2, seed: int = 7) -> HeadAtlas:
    """Build the atlas from label maps.

    Parameters
    ----------
    paths
        The maps.
    passes
        Rounds of registration to the average of the round before.
    seed
        Seed of the affine registration.
    """
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    affine = nib.affines.from_matvec(np.eye(3), GRID_ORIGIN_MM)
    maps = [read_label_map(path) for path in paths]
    template = load_mni152_template(resolution=1)
    near_brain = ndimage.binary_dilation(np.asarray(template.dataobj) > 0, iterations=4).astype(np.float32)
    linear = []
    for number, labels in enumerate(maps, 1):
        found = register_affine(_draw_brain(labels), template, nib.Nifti1Image(near_brain, template.affine), seed=seed)
        linear.append(found.affine)
        print(f"map {number}: scale {np.linalg.det(found.affine):.3f}", flush=True)

    gray, white = (load(resolution=1) for load in (load_mni152_gm_template, load_mni152_wm_template))
    target = np.stack([_on_atlas_grid(image, affine) for image in (gray, white)], axis=-1)
    atlas = _average(maps, _align(maps, linear, affine, target, MNI_TISSUES), affine)
    for round_number in range(1, passes + 1):
        groups = registration_groups()
        target = np.stack([np.asarray(atlas.probability(group).dataobj) for group in groups], axis=-1)
        atlas = _average(maps, _align(maps, linear, affine, target, groups), affine)
        print(f"round {round_number} done", flush=True)
    return atlas


def _align(
    maps: Sequence[nib.Nifti1Image],
    linear: Sequence[NDArray[np.float64]],
    affine: NDArray[np.float64],
    target: NDArray[np.float32],
    groups: Sequence[Sequence[int]],
) -> list[TemplateTransform]:
    """Deform every map onto the target (x, y, z, group)."""
    transforms = []
    for labels, matrix in zip(maps, linear, strict=True):
        aligned, _ = _labels_on_atlas_grid(labels, TemplateTransform(matrix), affine)
        moving = np.stack([np.isin(aligned, group) for group in groups], axis=-1).astype(np.float32)
        transforms.append(TemplateTransform(matrix, forward=deform(target, moving, affine)))
    return transforms


def _average(
    maps: Sequence[nib.Nifti1Image], transforms: Sequence[TemplateTransform], affine: NDArray[np.float64]
) -> HeadAtlas:
    counts = np.zeros((len(CLASSES), *GRID_SHAPE), dtype=np.float32)
    for labels, transform in zip(maps, transforms, strict=True):
        warped, known = _labels_on_atlas_grid(labels, transform, affine)
        for channel, number in enumerate(CLASSES):
            present = (warped == number) & known
            counts[channel] += present
            counts[CLASSES.index(MIRROR.get(number, number))] += present[::-1]
    for channel in range(len(CLASSES)):
        counts[channel] = ndimage.gaussian_filter(counts[channel], SMOOTHING_SIGMA_MM)
    total = counts.sum(axis=0)
    # Voxels below every map's field of view repeat the lowest slice known.
    known_slices = np.flatnonzero((total > 0.5).any(axis=(0, 1)))
    counts[:, :, :, : known_slices[0]] = counts[:, :, :, known_slices[0]][..., None]
    total = counts.sum(axis=0)
    empty = total <= 0.5
    counts[CLASSES.index(0), empty], total[empty] = 1.0, 1.0
    return HeadAtlas(CLASSES, np.round(255.0 * counts / total).astype(np.uint8), affine)


def _labels_on_atlas_grid(
    labels: nib.Nifti1Image, transform: TemplateTransform, affine: NDArray[np.float64]
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Nearest label at each voxel of the atlas, and whether the map reaches there."""
    points = nib.affines.apply_affine(affine, np.indices(GRID_SHAPE).reshape(3, -1).T).astype(np.float32)
    moved = nib.affines.apply_affine(np.linalg.inv(labels.affine), transform.template_to_subject(points))
    nearest = np.round(moved).astype(np.int32)
    known = np.all((nearest >= 0) & (nearest < labels.shape), axis=1)
    nearest = np.clip(nearest, 0, np.asarray(labels.shape) - 1)
    return np.asarray(labels.dataobj)[tuple(nearest.T)].reshape(GRID_SHAPE), known.reshape(GRID_SHAPE)


def _on_atlas_grid(image: nib.Nifti1Image, affine: NDArray[np.float64]) -> NDArray[np.float32]:
    scaled = nib.Nifti1Image(np.asarray(image.dataobj, dtype=np.float32) / np.max(image.dataobj), image.affine)
    return np.asarray(resample_to_grid(scaled, GRID_SHAPE, affine).dataobj)


def _draw_brain(labels: nib.Nifti1Image) -> nib.Nifti1Image:
    """A brain-only T1w-like drawing of a label map, to align with the brain-only template."""
    data = np.asarray(labels.dataobj)
    lookup = np.zeros(max(CLASSES) + 1, dtype=np.float32)
    for index in BRAIN:
        lookup[index] = TYPICAL_T1W_INTENSITY[min(index, MIRROR.get(index, index))]
    return nib.Nifti1Image(ndimage.gaussian_filter(lookup[data], 0.7), labels.affine)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelmaps", type=Path, help="folder with the label maps (*.nii.gz)")
    parser.add_argument("atlas", type=Path, help="the .npz file to write")
    parser.add_argument(
        "--leave-out", nargs="*", default=[], metavar="NN", help="maps not used, by the end of their name"
    )
    arguments = parser.parse_args()
    paths = [
        path
        for path in sorted(arguments.labelmaps.glob("*.nii.gz"))
        if not any(path.name.removesuffix(".nii.gz").endswith(f"_{label}") for label in arguments.leave_out)
    ]
    save_atlas(build(paths), arguments.atlas)


if __name__ == "__main__":
    main()
