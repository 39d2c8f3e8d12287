# SPDX-License-Identifier: Apache-2.0
"""A made-up participant for the tests of the report: ellipsoids for structures, written to disk as real outputs are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.bids.cord_tables import CORD
from bids_msvol.bids.lesion_tables import LESION_SUMMARY
from bids_msvol.bids.load import ParticipantOutputs, Provenance, SessionOutputs
from bids_msvol.bids.names import SessionFiles
from bids_msvol.bids.records import IgnoredScan
from bids_msvol.cord.levels import LEVELS
from bids_msvol.measurement import Verdict
from bids_msvol.structures import STRUCTURES, SUMS

FIELD_OF_VIEW_MM = (170.0, 205.0, 175.0)

# Number, centre and radii in mm; later ones replace earlier ones. Left is negative x.
_ELLIPSOIDS: tuple[tuple[int, tuple[float, float, float], tuple[float, float, float]], ...] = (
    (24, (0, 0, 10), (69, 86, 66)),
    *((index, (side * 32, 0, 10), (33, 80, 60)) for index, side in ((3, -1), (42, 1))),
    *((index, (side * 31, 0, 11), (28, 72, 52)) for index, side in ((2, -1), (41, 1))),
    *((index, (side * 24, -52, -36), (24, 26, 18)) for index, side in ((8, -1), (47, 1))),
    *((index, (side * 18, -50, -34), (13, 13, 9)) for index, side in ((7, -1), (46, 1))),
    (16, (0, -24, -36), (11, 12, 24)),
    *((index, (side * 12, -18, 8), (9, 14, 9)) for index, side in ((10, -1), (49, 1))),
    *((index, (side * 12, 18, 12), (6, 16, 9)) for index, side in ((11, -1), (50, 1))),
    *((index, (side * 25, 6, 2), (7, 17, 11)) for index, side in ((12, -1), (51, 1))),
    *((index, (side * 18, 2, 0), (4, 9, 6)) for index, side in ((13, -1), (52, 1))),
    *((index, (side * 27, -20, -16), (6, 18, 6)) for index, side in ((17, -1), (53, 1))),
    *((index, (side * 23, 0, -18), (7, 7, 7)) for index, side in ((18, -1), (54, 1))),
    *((index, (side * 8, 12, -4), (4, 6, 4)) for index, side in ((26, -1), (58, 1))),
    *((index, (side * 9, -14, -6), (5, 8, 5)) for index, side in ((28, -1), (60, 1))),
    *((index, (side * 8, -4, 22), (5, 30, 8)) for index, side in ((4, -1), (43, 1))),
    *((index, (side * 33, -22, -12), (3, 12, 3)) for index, side in ((5, -1), (44, 1))),
    (14, (0, -10, 2), (2.5, 10, 9)),
    (15, (0, -38, -32), (5, 5, 8)),
)
_BRIGHTNESS: Mapping[str, float] = {"GM": 62.0, "WM": 95.0, "CSF": 22.0}
_SEED = 20


def make_participant(
    root: Path,
    *,
    sessions: Iterable[tuple[str | None, float | None, Verdict]] = (("01", 0.0, "pass"), ("02", 203.0, "warn")),
    voxel_mm: float = 4.0,
    skipped: tuple[IgnoredScan, ...] = (),
) -> ParticipantOutputs:
    """Write the images of a participant and return its outputs; each later session has 1 % less of everything."""
    made = tuple(
        make_session(root, label, days, verdict, shrink=1 - 0.01 * order, voxel_mm=voxel_mm)
        for order, (label, days, verdict) in enumerate(sessions)
    )
    return ParticipantOutputs("P1", root, made, skipped)


def make_session(
    root: Path, label: str | None, days: float | None, verdict: Verdict, *, shrink: float = 1.0, voxel_mm: float = 4.0
) -> SessionOutputs:
    """Write the images of one session and return its outputs; a failed session has no volumes."""
    files = SessionFiles(root, "P1", label)
    labels, t1w, affine = make_head(voxel_mm, shrink)
    brain = np.isin(labels, [structure.index for structure in STRUCTURES if structure.tissue != "CSF"])
    if verdict == "fail":
        labels, brain = np.zeros_like(labels), np.zeros_like(brain)
    files.t1w.parent.mkdir(parents=True, exist_ok=True)
    for path, data in ((files.t1w, t1w), (files.brain_mask, brain.astype(np.uint8)), (files.dseg, labels)):
        nib.save(nib.Nifti1Image(data, affine), path)
    return SessionOutputs(
        "P1", label, files, make_volumes(labels, voxel_mm, failed=verdict == "fail"), make_quality(verdict),
        make_no_lesions(), None, None, make_no_cord(), None, make_provenance(days, verdict),
    )  # fmt: skip


def make_head(voxel_mm: float, shrink: float) -> tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float64]]:
    """Return labels, T1w and affine of a head stored left-posterior-superior, so that the report has to turn it."""
    shape = tuple(round(extent / voxel_mm) for extent in FIELD_OF_VIEW_MM)
    affine = np.diag([-voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = (voxel_mm * (shape[0] - 1) / 2, -voxel_mm * (shape[1] - 1) / 2, -voxel_mm * (shape[2] - 1) / 2)
    indices = np.indices(shape, dtype=np.float64)
    world = [affine[axis, axis] * indices[axis] + affine[axis, 3] for axis in range(3)]

    def inside(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> NDArray[np.bool_]:
        distance = sum(((axis - c) / r) ** 2 for axis, c, r in zip(world, centre, radii, strict=True))
        return np.asarray(distance <= 1)

    labels = np.zeros(shape, np.int16)
    t1w = np.zeros(shape, np.float32)
    t1w[inside((0, 0, 8), (80, 98, 80))] = 75.0  # scalp
    t1w[inside((0, 0, 9), (74, 92, 72))] = 8.0  # skull
    for index, centre, radii in _ELLIPSOIDS:
        factor = 1.0 if index == 24 else shrink ** (1 / 3)
        labels[inside(centre, (radii[0] * factor, radii[1] * factor, radii[2] * factor))] = index
    for structure in STRUCTURES:
        t1w[labels == structure.index] = _BRIGHTNESS[structure.tissue]
    noise = np.random.default_rng(_SEED).normal(0, 2.5, shape).astype(np.float32)
    return labels, np.clip(t1w + noise, 0, None).astype(np.float32), affine


def make_no_lesions() -> pd.DataFrame:
    """Return the lesion table of a session without FLAIR and T2w."""
    row = {column.name: "" if column.kind == "text" else None for column in LESION_SUMMARY.columns}
    return pd.DataFrame([row | {"reason": "there is no FLAIR and no T2w image"}])


def make_no_cord() -> pd.DataFrame:
    """Return the table of the cord of a session whose images end above it."""
    row = {column.name: "" if column.kind == "text" else np.nan for column in CORD.columns}
    row |= {"n_slices": 0, "reason": "not measured on the T1w of the head: the image ends above the cord"}
    return pd.DataFrame([row | {"level": level} for level in (*LEVELS, "C2-C3", "C1-C7")])


def make_volumes(labels: NDArray[np.int16], voxel_mm: float, *, failed: bool) -> pd.DataFrame:
    """Return the volume table of a segmentation, all missing where the measurement failed."""
    by_index = {structure.index: float((labels == structure.index).sum()) * voxel_mm**3 for structure in STRUCTURES}
    etiv = 1_500_000.0
    rows: list[tuple[object, str, float]] = [(item.index, item.name, by_index[item.index]) for item in STRUCTURES]
    rows += [(pd.NA, total.name, sum(by_index[index] for index in total.members)) for total in SUMS]
    rows.append((pd.NA, "eTIV", etiv))
    frame = pd.DataFrame(rows, columns=["index", "name", "volume_mm3"]).astype({"index": "Int64"})
    if failed:
        frame["volume_mm3"] = np.nan
    frame["volume_pct_etiv"] = 100 * frame["volume_mm3"] / etiv
    return frame


def make_quality(verdict: Verdict) -> pd.DataFrame:
    """Return a quality table whose worst verdict is ``verdict``."""
    rows: list[tuple[str, float, str, str]] = [
        ("contrast_to_noise_ratio", 3.42, "pass", ""),
        ("brain_mask_components", 1.0, "pass", ""),
    ]
    if verdict != "pass":
        rows.insert(1, ("bias_field_pct", 41.5, "warn", "the bias field is stronger than in usual images"))
    if verdict == "fail":
        rows.append(("registration_overlap", np.nan, "fail", "the head could not be aligned with the template"))
    return pd.DataFrame(rows, columns=["metric", "value", "verdict", "reason"])


def make_provenance(days: float | None, verdict: Verdict) -> Provenance:
    """Return what a session was measured from."""
    return Provenance(
        chosen_scan="sub-P1/anat/sub-P1_run-1_T1w.nii.gz",
        choice="It has the finest voxels of two T1w images.",
        other_scans={"FLAIR": "sub-P1/anat/sub-P1_FLAIR.nii.gz"},
        ignored=(IgnoredScan("sub-P1/anat/sub-P1_run-2_T1w.nii.gz", "coarser voxels than the image chosen"),),
        days=days,
        scanner={"Manufacturer": "Maker", "MagneticFieldStrength": 3},
        voxel_size_mm=(1.0, 1.0, 1.2),
        skull_stripped=False,
        template_space="MNI152NLin2009aSym",
        verdict=verdict,
        sentences=(
            "The image was registered with SyN (Avants and others, 2008).",
            "Tissue was modelled (Ashburner 2005).",
        ),
        versions={"bids_msvol": "0.1.0", "antspyx": "0.6.1"},
        configuration_hash="abc123",
        resolution_mm=1.0,
        random_seed=1,
    )


def with_provenance(session: SessionOutputs, **changes: object) -> SessionOutputs:
    """Return a session with other provenance."""
    return replace(session, provenance=replace(session.provenance, **changes))  # type: ignore[arg-type]
