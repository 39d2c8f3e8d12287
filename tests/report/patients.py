# SPDX-License-Identifier: Apache-2.0
"""A made-up participant with lesions for the tests of the report: balls that come, grow, shrink and go; and a cord."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.bids.lesion_tables import ACTIVITY, ENHANCEMENT, LESION_SUMMARY, LESIONS
from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
from bids_msvol.bids.names import lesion_activity_path
from bids_msvol.bids.tabular import Table, read_table, write_table
from bids_msvol.lesion_terms import REGIONS
from bids_msvol.structures import STRUCTURES
from tests.report.necks import make_cord, make_cord_changes, with_cords
from tests.report.people import make_participant

_SEED = 21
_CONTRAST_BRIGHTNESS: Mapping[str, float] = {"GM": 1.2, "WM": 1.0, "CSF": 0.15}
_LESION_BRIGHTNESS = 1.7


@dataclass(frozen=True)
class Ball:
    """A made-up lesion: its number, where it lies and how large it is in mm; which region the table gives it."""

    index: int
    centre_mm: tuple[float, float, float]
    radius_mm: float
    region: str = "deep_white_matter"
    status: str = ""
    confidence: str = ""


FIRST = (
    Ball(1, (22, 30, 22), 6, "periventricular"),
    Ball(2, (-36, -30, 24), 7),
    Ball(3, (40, 0, 40), 8, "juxtacortical"),
    Ball(4, (-30, 20, 30), 6),
)
"""Lesions of a first session."""

SECOND = (
    Ball(1, (22, 30, 22), 9, "periventricular", "enlarging", "high"),
    Ball(2, (-36, -30, 24), 7, status="stable", confidence="high"),
    Ball(3, (40, 0, 40), 6, "juxtacortical", "shrinking", "high"),
    Ball(5, (34, -40, 20), 6, status="new", confidence="high"),
    Ball(6, (-26, -50, -36), 6, "infratentorial", "new", "candidate"),
)
"""Lesions of a second session: one has grown, one shrunk, one gone, one and a candidate have come."""

ENHANCING = (Ball(1, (34, -40, 20), 5, confidence="high"),)
"""What takes up contrast agent at the second session."""


def make_patient(root: Path, *, voxel_mm: float = 4.0) -> ParticipantOutputs:
    """Return a participant with two sessions, FLAIR, lesions of which some change, one that enhances, and a cord."""
    person = make_participant(root, voxel_mm=voxel_mm)
    first = with_cords(with_lesions(person.sessions[0], FIRST), [make_cord("head-T1w")])
    second = with_lesions(person.sessions[1], SECOND, enhancing=ENHANCING, earlier=FIRST)
    second = with_cords(second, [make_cord("head-T1w", shrink=0.97)])
    activity = make_activity((first, second), (FIRST, SECOND))
    cord = make_cord_changes(first, second, "head-T1w")
    return replace(person, sessions=(first, second), activity=activity, cord_changes=cord)


def with_lesions(
    session: SessionOutputs,
    lesions: Sequence[Ball],
    *,
    contrast: str | None = "FLAIR",
    given: str = "",
    enhancing: Sequence[Ball] | None = None,
    earlier: Sequence[Ball] | None = None,
) -> SessionOutputs:
    """Return a session with lesions, and write its images.

    Parameters
    ----------
    session
        A session without lesions.
    lesions
        Its lesions.
    contrast
        The image that shows them; ``None`` for none, where a mask was given.
    given
        Path of a mask that was given.
    enhancing
        Lesions that take up contrast agent; ``None`` without an image after it.
    earlier
        Lesions of the session before; ``None`` at a first session.
    """
    files = session.files
    image = session.load_dseg()
    labels, affine = np.asarray(image.dataobj), np.asarray(image.affine)
    numbers = draw_balls(lesions, labels.shape, affine)
    nib.save(nib.Nifti1Image(numbers, affine), files.lesions)
    if contrast is not None:
        shown = np.zeros(labels.shape, np.float32)
        for structure in STRUCTURES:
            shown[labels == structure.index] = _CONTRAST_BRIGHTNESS[structure.tissue]
        shown[numbers > 0] = _LESION_BRIGHTNESS
        shown += np.random.default_rng(_SEED).normal(0, 0.04, labels.shape).astype(np.float32) * (shown > 0)
        nib.save(nib.Nifti1Image(shown, affine), files.contrast(contrast))
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    rows = [_lesion_row(ball, numbers, voxel_mm3) for ball in lesions]
    table = write_and_read(files.lesion_table, LESIONS, rows)
    enhancement = None
    if enhancing is not None:
        taking_up = draw_balls(enhancing, labels.shape, affine)
        nib.save(nib.Nifti1Image(taking_up, affine), files.enhancement)
        found = [_enhancing_row(ball, taking_up, voxel_mm3) for ball in enhancing]
        enhancement = write_and_read(files.enhancement_table, ENHANCEMENT, found)
    summary = _summary_row(lesions, rows, given or contrast or "", bool(given), enhancing, earlier)
    return replace(
        session,
        lesions=table,
        enhancement=enhancement,
        lesion_summary=write_and_read(files.lesion_summary, LESION_SUMMARY, [summary]),
    )


def make_activity(
    sessions: tuple[SessionOutputs, SessionOutputs], lesions: tuple[Sequence[Ball], Sequence[Ball]]
) -> pd.DataFrame:
    """Return the table of what became of the lesions between two sessions, new ones first."""
    order = ("new", "enlarging", "shrinking", "resolved", "stable")
    before, after = ({ball.index: ball for ball in own} for own in lesions)
    tables = [session.lesions for session in sessions]
    volumes = [{} if table is None else dict(zip(table["index"], table["volume_mm3"], strict=True)) for table in tables]
    rows = []
    for index in {**after, **before}:
        ball = after.get(index) or replace(before[index], status="resolved", confidence="high")
        volume_from, volume_to = (own.get(index, 0.0) for own in volumes)
        rows.append(
            {
                "session_id_from": f"ses-{sessions[0].label}",
                "session_id_to": f"ses-{sessions[1].label}",
                "days": (sessions[1].days or 0.0) - (sessions[0].days or 0.0),
                "contrast": "FLAIR",
                "status": ball.status,
                "confidence": ball.confidence,
                "grew": "yes" if ball.status in ("new", "enlarging") else "no",
                "index_from": str(index) if index in before else "",
                "index_to": str(index) if index in after else "",
                **dict(zip(("x_mm", "y_mm", "z_mm"), ball.centre_mm, strict=True)),
                "volume_from_mm3": volume_from,
                "volume_to_mm3": volume_to,
                "gain_mm3": max(volume_to - volume_from, 0.0),
                "loss_mm3": max(volume_from - volume_to, 0.0),
                "mean_z": 6.0,
            }
        )
    rows.sort(key=lambda row: order.index(str(row["status"])))
    return write_and_read(lesion_activity_path(sessions[0].files.root, "P1"), ACTIVITY, rows)


def write_and_read(path: Path, table: Table, rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return a table as it comes back from disk, with the types that reading gives it."""
    write_table(path, table, rows)
    return read_table(path, table)


def draw_balls(balls: Sequence[Ball], shape: tuple[int, ...], affine: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return the numbers of lesions on a grid."""
    world = nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    numbers = np.zeros(shape, np.int16)
    for ball in balls:
        numbers[np.linalg.norm(world - np.asarray(ball.centre_mm), axis=-1) <= ball.radius_mm] = ball.index
    return numbers


def _lesion_row(ball: Ball, numbers: NDArray[np.int16], voxel_mm3: float) -> dict[str, object]:
    return {
        "index": ball.index,
        "name": f"lesion-{ball.index:03d}",
        "status": ball.status,
        "confidence": ball.confidence,
        "region": ball.region,
        "volume_mm3": float(np.count_nonzero(numbers == ball.index)) * voxel_mm3,
        **dict(zip(("x_mm", "y_mm", "z_mm"), ball.centre_mm, strict=True)),
        "t1_hypointense_fraction": 0.1 * ball.index,
        "mean_contrast": _LESION_BRIGHTNESS,
    }


def _enhancing_row(ball: Ball, numbers: NDArray[np.int16], voxel_mm3: float) -> dict[str, object]:
    return {
        "index": ball.index,
        "name": f"enhancing-{ball.index:03d}",
        "confidence": ball.confidence,
        "size_mm3": "70-500",
        "volume_mm3": float(np.count_nonzero(numbers == ball.index)) * voxel_mm3,
        **dict(zip(("x_mm", "y_mm", "z_mm"), ball.centre_mm, strict=True)),
        "mean_enhancement": 0.4,
        "in_lesion": "yes",
        "ring": "no",
    }


def _summary_row(
    lesions: Sequence[Ball],
    rows: Sequence[Mapping[str, object]],
    source: str,
    given: bool,
    enhancing: Sequence[Ball] | None,
    earlier: Sequence[Ball] | None,
) -> dict[str, object]:
    volumes = [float(str(row["volume_mm3"])) for row in rows]
    row: dict[str, object] = {
        "source": source,
        "method": "given" if given else "bids_msvol",
        "count": len(lesions),
        "volume_mm3": sum(volumes),
        "regions_2017": ", ".join(dict.fromkeys(ball.region for ball in lesions if ball.region in REGIONS[:3]))
        or "none",
        "dissemination_in_space": "yes" if len({ball.region for ball in lesions} & set(REGIONS[:3])) > 1 else "no",
        "reason": "there is no earlier session to compare with" if earlier is None else "",
    }
    for region in REGIONS:
        own = [volume for ball, volume in zip(lesions, volumes, strict=True) if ball.region == region]
        row |= {f"{region}_count": len(own), f"{region}_mm3": sum(own)}
    if earlier is not None:
        became = [(ball.status, ball.confidence) for ball in lesions]
        for status in ("new", "enlarging"):
            row |= {f"{status}_lesions": became.count((status, "high"))}
            row |= {f"{status}_lesion_candidates": became.count((status, "candidate"))}
        gone = {ball.index for ball in earlier} - {ball.index for ball in lesions}
        row |= {"shrinking_lesions": became.count(("shrinking", "high")), "resolved_lesions": len(gone)}
        row |= {"atrophied_lesion_mm3": 12.0}
    if enhancing is not None:
        sure = [ball.confidence for ball in enhancing].count("high")
        row |= {"gd_lesions": sure, "gd_lesion_candidates": len(enhancing) - sure}
    return row
