# SPDX-License-Identifier: Apache-2.0
"""Measurements of a made-up head and of its change, as the imaging hands them to the outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from bids_msvol.bids.records import IgnoredScan, Scan, Session
from bids_msvol.imaging.change import Change
from bids_msvol.imaging.registration import TemplateTransform
from bids_msvol.measurement import PairMeasurement, QualityMetric, SessionMeasurement
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
