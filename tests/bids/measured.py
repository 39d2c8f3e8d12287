# SPDX-License-Identifier: Apache-2.0
"""Measurements of a made-up head and of its change, as the imaging hands them to the outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from bids_msvol.bids.records import IgnoredScan, Scan, Session
from bids_msvol.imaging.activity import LesionChange
from bids_msvol.imaging.change import Change
from bids_msvol.imaging.gadolinium import Enhancement, EnhancementMap
from bids_msvol.imaging.lesion_table import LesionRecord, summarise
from bids_msvol.imaging.registration import TemplateTransform
from bids_msvol.lesion_terms import REGIONS, Confidence, Status
from bids_msvol.measurement import PairActivity, PairMeasurement, QualityMetric, SessionLesions, SessionMeasurement
from bids_msvol.structures import STRUCTURES
from tests.bids.skeleton import HEAD_SHAPE, head_image

TEMPLATE = "MNI152NLin2009aSym"


def measurement(raw: Path, subject: str = "01", session: str | None = None, **changes: Any) -> SessionMeasurement:
    """Return a measurement of ``sub-01`` in dataset ``raw``: each structure has 100 times its number in mm3."""
    prefix = f"sub-{subject}" + (f"_ses-{session}" if session else "")
    relative = f"sub-{subject}/" + (f"ses-{session}/" if session else "") + f"anat/{prefix}_T1w.nii.gz"
    path = raw / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(head_image(), path)
    metadata = {"Manufacturer": "Siemens", "MagneticFieldStrength": 3, "PatientName": "nobody"}
    scan = Scan(path, relative, "T1w", {"subject": subject}, metadata)
    affine = head_image().affine
    labels = np.random.default_rng(0).choice([0, 2, 3, 10, 41, 42], HEAD_SHAPE).astype(np.int16)
    t1w = np.random.default_rng(1).uniform(-1, 900, HEAD_SHAPE).astype(np.float32)
    half = np.full(HEAD_SHAPE, 0.5, np.float32)
    made = SessionMeasurement(
        session=Session(
            subject,
            session,
            scan,
            "It is the only T1w of the session.",
            flair=replace(scan, relative_path=relative.replace("T1w", "FLAIR")),
            ignored=(IgnoredScan("sub-01/anat/sub-01_T2starw.nii.gz", "not used"),),
        ),
        t1w=nib.Nifti1Image(t1w, affine),
        brain_mask=nib.Nifti1Image((labels > 0).astype(np.uint8), affine),
        labels=nib.Nifti1Image(labels, affine),
        tissue_probabilities={tissue: nib.Nifti1Image(half, affine) for tissue in ("GM", "WM", "CSF")},
        volumes_mm3={item.index: 100.0 * item.index for item in STRUCTURES},
        etiv_mm3=1_500_000.0,
        to_template=TemplateTransform(affine=np.eye(4), forward=None, inverse=None),
        template_space=TEMPLATE,
        quality=(QualityMetric("cnr", 1.5, "warn", "low contrast"), QualityMetric("snr", 12.25, "pass")),
        verdict="warn",
        skull_stripped=False,
        sentences=("The bias was corrected.", "The head was registered."),
    )
    return replace(made, **changes)


def with_lesions(made: SessionMeasurement, *ids: int, given: bool = False) -> SessionMeasurement:
    """Add a FLAIR and lesions of 64 mm3 times their number, and one that takes up contrast agent."""
    affine = made.t1w.affine
    numbers = np.zeros(HEAD_SHAPE, np.int16)
    records = []
    for index in ids:
        numbers[20 : 20 + index, 20 + 3 * index, 20] = index
        records.append(
            LesionRecord(
                index, 64.0 * index, (1.0, -2.0, 3.0 * index), REGIONS[index % 4], 0.25, None if given else 1.4
            )
        )
    flair = np.where(np.asarray(made.labels.dataobj) > 0, 1.0, np.nan).astype(np.float32)
    lesions = SessionLesions(
        source="sub-01/sub-01_label-L_mask.nii.gz" if given else "FLAIR",
        given=given,
        mask=nib.Nifti1Image((numbers > 0).astype(np.uint8), affine),
        probability=nib.Nifti1Image(np.where(numbers > 0, 0.75, 0.0).astype(np.float32), affine),
        numbers=nib.Nifti1Image(numbers, affine),
        records=tuple(records),
        summary=summarise(records),
    )
    spot = (numbers == 1).astype(np.int32)
    enhancing = Enhancement(1, 64.0, (1.0, -2.0, 3.0), 0.3, in_lesion=True, ring=False, confidence="low")
    enhancement = EnhancementMap((enhancing,) if 1 in ids else (), spot, ())
    contrasts = {"FLAIR": nib.Nifti1Image(flair, affine)}
    return replace(made, contrasts=contrasts, lesions=lesions, enhancement=enhancement)


def activity(*changes: tuple[Status, Confidence, tuple[int, ...], tuple[int, ...]]) -> PairActivity:
    """Return what became of lesions: status, confidence, ids before and after."""
    records = tuple(
        LesionChange(number, status, confidence, 64.0 * sum(before), 64.0 * sum(after), 64.0 * sum(after), 0.0, 5.5,
                     status in ("new", "enlarging", "merged"), before, after)
        for number, (status, confidence, before, after) in enumerate(changes, 1)
    )  # fmt: skip
    return PairActivity("FLAIR", records, tuple((1.0, 2.0, 3.0) for _ in records), 12.5, ())


def pair(before: Session, after: Session, **changes: Any) -> PairMeasurement:
    """Return the change between two visits, half a year apart: 1 % less brain, a thalamus that one does not see."""
    made = PairMeasurement(
        before,
        after,
        days=182.625,
        changes=(
            Change(10, "Left-Thalamus", "segmentation", None, None),
            Change(None, "WholeBrain", "segmentation", -12_000.04, -1.0),
            Change(None, "WholeBrain", "boundary", -13_000.0, -1.1),
        ),
        quality=(
            QualityMetric("protocol_differences", 1.0, "warn", "other voxels"),
            QualityMetric("alignment", 0.93, "pass"),
        ),
        verdict="warn",
    )
    return replace(made, **changes)
