# SPDX-License-Identifier: Apache-2.0
"""Lesions of real patients against the masks of experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.claim import Findings, Options, Table, number, verdict
from bids_msvol.atlas import HeadAtlas
from bids_msvol.config import DEFAULT_SEED
from bids_msvol.engines.atlas_engine import AtlasEngine
from bids_msvol.imaging.coregistration import register_rigid, resample
from bids_msvol.imaging.expectation import expect_tissues
from bids_msvol.imaging.grids import conform, to_canonical, voxel_volume_mm3
from bids_msvol.imaging.instances import CONNECTED
from bids_msvol.imaging.lesion_table import LEAST_VOLUME_MM3, find_lesions
from bids_msvol.imaging.lesions import LESION_PROBABILITY, LesionMap, segment_lesions
from bids_msvol.imaging.volumes import most_likely_labels

DATASETS: Mapping[str, float] = {"ms-3d-stripped": 0.65, "ms-2d": 0.55}
"""Folder of each data set, and the median Dice asked for."""

WRONG_HEADER = ("sub-101228",)
"""Its masks lie mirrored to its images: they are not compared."""

CONTRASTS: tuple[str, ...] = ("FLAIR", "T2w")
"""Each is tried alone with the T1w; the target is for FLAIR."""


@dataclass(frozen=True)
class Agreement:
    """How a mask agrees with the reference, on the grid of the reference.

    Attributes
    ----------
    dice
        Overlap.
    true_ml, found_ml
        Volumes.
    sensitivity
        Share of the reference's lesions that the mask touches; those below ``LEAST_VOLUME_MM3`` do not count.
    false_discovery
        Share of the mask's lesions that the reference does not touch.
    """

    dice: float
    true_ml: float
    found_ml: float
    sensitivity: float
    false_discovery: float


def run(options: Options) -> Findings:
    """Segment the patients and compare."""
    atlas = options.load_atlas()
    rows, overlaps = [], {}
    for dataset, target in DATASETS.items():
        folder = options.need(dataset)
        patients = [path for path in sorted(folder.glob("sub-*")) if path.name not in WRONG_HEADER]
        results: dict[str, list[Agreement]] = {contrast: [] for contrast in CONTRASTS}
        for patient in patients[: 1 if options.quick else None]:
            for contrast, agreement in compare_patient(folder, patient.name, atlas).items():
                results[contrast].append(agreement)
                rows.append(_row(f"{dataset}, {patient.name}", contrast, agreement))
                print(" | ".join(rows[-1]), flush=True)
        overlaps[dataset] = (float(np.median([found.dice for found in results["FLAIR"]])), target)
    targets = tuple(
        (dataset, number(median, 3), number(target), verdict(median, target, "at least"))
        for dataset, (median, target) in overlaps.items()
    )
    header = ("patient", "contrast", "Dice", "true mL", "found mL", "lesions found %", "false lesions %")
    return Findings(
        claim="Dice overlap and volume of the lesions found against the masks of experts; lesions found and false by "
        f"count, those below {LEAST_VOLUME_MM3:g} mm3 left out.",
        data="one patient of the 3D-MR-MS database (Lesjak et al. 2018), skull-stripped, 1 mm; three patients of the "
        "MS-DeepBrain repository (MIT), slices of 6.6 to 7.2 mm",
        tables=(
            Table(("data", "median Dice with FLAIR", "target", "verdict"), targets),
            Table(header, tuple(rows), "Every patient, with T1w and one contrast"),
        ),
        peers="MSmetrix, without training, T1w and FLAIR: Dice 0.67 (Jain 2015); LST-AI 0.65 on MSSEG-1; two raters of "
        "the ISBI 2015 challenge: 0.63 to 0.73.",
        notes=(
            "Four patients say little. The constants of the method were looked at on these same patients (none was "
            f"fitted), so expect less elsewhere. The masks of {', '.join(WRONG_HEADER)} lie mirrored to its images and "
            "are not used. One mask is a consensus of three raters, the others are of one rater.",
        ),
    )


def compare_patient(folder: Path, label: str, atlas: HeadAtlas) -> dict[str, Agreement]:
    """Segment one patient with each contrast alone and compare with the reference."""
    anat = folder / label / "anat"
    raw_t1w = nib.Nifti1Image.from_filename(anat / f"{label}_T1w.nii.gz")
    reference_path = folder / "derivatives" / "reference" / label / f"{label}_label-lesion_mask.nii.gz"
    reference = to_canonical(nib.Nifti1Image.from_filename(reference_path))
    structures = AtlasEngine(atlas)(conform(raw_t1w), seed=DEFAULT_SEED)
    t1w = structures.corrected
    labels = most_likely_labels(structures.posteriors, structures.classes, structures.mask)
    expected = expect_tissues(structures, atlas)
    result = {}
    for contrast in CONTRASTS:
        image = nib.Nifti1Image.from_filename(anat / f"{label}_{contrast}.nii.gz")
        motion = register_rigid(image, t1w, structures.mask, seed=DEFAULT_SEED)
        lesions = segment_lesions(t1w, {contrast: resample(image, t1w, motion)}, expected)
        found = on_reference(lesions, labels, t1w, reference, motion)
        result[contrast] = agreement(found, np.asarray(reference.dataobj) > 0.5, reference.affine)
    return result


def on_reference(
    lesions: LesionMap,
    labels: NDArray[np.int16],
    t1w: nib.Nifti1Image,
    reference: nib.Nifti1Image,
    motion: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return the lesions that the program lists, on the grid of the reference, which was drawn on the contrast."""
    _, numbers = find_lesions(lesions, labels, t1w)
    listed = np.where(numbers > 0, lesions.probability, 0.0).astype(np.float32)
    moved = np.asarray(
        resample(nib.Nifti1Image(listed, t1w.affine), reference, np.asarray(np.linalg.inv(motion))).dataobj
    )
    return np.asarray(np.nan_to_num(moved) > LESION_PROBABILITY)


def agreement(found: NDArray[np.bool_], truth: NDArray[np.bool_], affine: NDArray[np.float64]) -> Agreement:
    """Compare two masks on one grid."""
    voxel_mm3 = voxel_volume_mm3(affine)
    total = int(found.sum() + truth.sum())
    return Agreement(
        dice=2.0 * int((found & truth).sum()) / total if total else float("nan"),
        true_ml=int(truth.sum()) * voxel_mm3 / 1000.0,
        found_ml=int(found.sum()) * voxel_mm3 / 1000.0,
        sensitivity=_touched(truth, found, voxel_mm3),
        false_discovery=1.0 - _touched(found, truth, voxel_mm3),
    )


def _touched(lesions: NDArray[np.bool_], other: NDArray[np.bool_], voxel_mm3: float) -> float:
    """Share of the lesions of one mask that touch the other; not a number if there are none."""
    pieces, _ = ndimage.label(lesions, CONNECTED)
    large = np.flatnonzero(np.bincount(pieces.ravel()) * voxel_mm3 >= LEAST_VOLUME_MM3)
    large = large[large > 0]
    return float(np.isin(large, pieces[other]).mean()) if len(large) else float("nan")


def _row(name: str, contrast: str, found: Agreement) -> tuple[str, ...]:
    return (
        name,
        contrast,
        number(found.dice, 3),
        number(found.true_ml, 1),
        number(found.found_ml, 1),
        number(100.0 * found.sensitivity, 0),
        number(100.0 * found.false_discovery, 0),
    )
