# SPDX-License-Identifier: Apache-2.0
"""Read the reference data: brains with FreeSurfer's labels, healthy heads, whole-head label maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import spatial

from benchmarks.claim import Options
from bids_msvol.atlas.build import MERGED_LABELS, read_label_map

FREESURFER_MERGED: dict[int, int] = {
    **{label: MERGED_LABELS[label] for label in (25, 30, 57, 62, 72)},
    **{31: 4, 63: 43},  # choroid plexus, part of the lateral ventricles
    **{78: 2, 79: 41},  # white matter hypointensities that have a side
}
"""Labels of FreeSurfer that the program counts with another structure."""

FREESURFER_SIDELESS_WHITE = (77, 251, 252, 253, 254, 255)
"""Hypointensities and corpus callosum: white matter of the side they lie on."""

VOXELMORPH_AFFINE = np.array([[-1.0, 0, 0, 80], [0, 0, 1, -112], [0, -1, 0, 100], [0, 0, 0, 1]])
"""The array has no header; its axes run to the left, down and to the front in steps of 1 mm."""

HEALTHY_SOURCE = "six healthy adults of OpenNeuro ds000011 (PDDL), whole heads without face, 1 x 1.33 x 1.33 mm"
LABEL_MAP_SOURCE = "whole-head label maps of the SynthSeg training set (Billot et al. 2023, Apache-2.0)"


@dataclass(frozen=True, eq=False)
class LabelledHead:
    """An image with its labels, in the numbers of the measured structures."""

    name: str
    image: nib.Nifti1Image
    labels: nib.Nifti1Image


def freesurfer_heads(options: Options) -> list[LabelledHead]:
    """Return the real brains that FreeSurfer labelled.

    Raises
    ------
    MissingDataError
        If the data are not there.
    """
    scan = options.need("structures/voxelmorph/test_scan.npz")
    subject = options.need("freesurfer/subject1/mri")
    with np.load(scan) as stored:
        image = nib.Nifti1Image(stored["vol"].astype(np.float32), VOXELMORPH_AFFINE)
        labels = nib.Nifti1Image(stored["seg"].astype(np.int16), VOXELMORPH_AFFINE)
    heads = [LabelledHead("voxelmorph", image, _as_measured(labels))]
    brain, aseg = (_load_mgz(subject / name) for name in ("brain.mgz", "aseg.mgz"))
    heads.append(LabelledHead("subject1", brain, _as_measured(aseg)))
    return heads


def healthy_heads(options: Options) -> list[tuple[str, nib.Nifti1Image]]:
    """Return label and image of the healthy adults.

    Raises
    ------
    MissingDataError
        If the data are not there.
    """
    folder = options.need("healthy-t1w")
    return [
        (path.parts[-3], nib.Nifti1Image.from_filename(path)) for path in sorted(folder.glob("sub-*/anat/*_T1w.nii.gz"))
    ]


def label_maps(options: Options, numbers: tuple[str, ...]) -> list[tuple[str, nib.Nifti1Image]]:
    """Return number and labels of some of the whole-head label maps.

    Raises
    ------
    MissingDataError
        If the data are not there.
    """
    folder = options.need("labelmaps")
    return [(number, read_label_map(folder / f"training_seg_{number}.nii.gz")) for number in numbers]


def healthy_dataset(options: Options, label: str, root: Path) -> Path:
    """Make a dataset of one healthy adult, with links to the original files.

    Raises
    ------
    MissingDataError
        If the data are not there.
    """
    source = options.need("healthy-t1w")
    (root / label / "anat").mkdir(parents=True)
    for path in (source / "dataset_description.json", *sorted((source / label / "anat").iterdir())):
        target = root / path.relative_to(source)
        target.symlink_to(path.resolve())
    return root


def _load_mgz(path: Path) -> nib.Nifti1Image:
    stored = nib.MGHImage.from_filename(path)
    return nib.Nifti1Image(np.asarray(stored.dataobj), stored.affine)


def _as_measured(labels: nib.Nifti1Image) -> nib.Nifti1Image:
    """Count FreeSurfer's labels as the program does."""
    canonical = nib.as_closest_canonical(labels)
    data = np.asarray(canonical.dataobj).astype(np.int16)
    for label, target in FREESURFER_MERGED.items():
        data[data == label] = target
    _give_sides(data)
    return nib.Nifti1Image(data, canonical.affine)


def _give_sides(data: NDArray[np.int16]) -> None:
    """Give white matter without a side that of the nearest white matter."""
    sideless = np.isin(data, FREESURFER_SIDELESS_WHITE)
    if sideless.any():
        white = np.isin(data, (2, 41))
        _, nearest = spatial.cKDTree(np.argwhere(white)).query(np.argwhere(sideless))
        data[sideless] = data[white][nearest]
