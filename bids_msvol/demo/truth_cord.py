# SPDX-License-Identifier: Apache-2.0
"""Write what is true of the cords of the synthetic people: their area at each level, and its change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from bids_msvol.bids.cord_tables import MM_DECIMALS
from bids_msvol.bids.dataset import RAW_LINK
from bids_msvol.bids.names import build_name, derivative_path
from bids_msvol.bids.tabular import PERCENT_DECIMALS, Column, Table, write_table
from bids_msvol.cord.levels import LEVELS, MUCCA_MM
from bids_msvol.demo.clinical import DAYS_PER_YEAR, Appointment
from bids_msvol.demo.neck import CordTruth, Neck, cord_truth
from bids_msvol.demo.person import Visit

STRETCHES: tuple[str, ...] = ("C2-C3", *LEVELS)
"""The stretches of the cord whose area is known: that which is used most, then each level."""

TRUE_MM2_DECIMALS = 4
"""Digits of true areas: enough for the change between two of them to be true to 0.001 %."""

_LEVEL = Column("level", f"C1 to C7; C2-C3: the {MUCCA_MM:g} mm around the disc C2/C3.")

CORD_TRUTH = Table(
    "True area of the cord",
    "*_seg-cord_morph.tsv",
    "One row for each level of the cervical cord of one session.",
    (
        _LEVEL,
        Column("csa_mm2", "True mean area across the centreline.", "number", "mm^2", TRUE_MM2_DECIMALS),
        Column(
            "top_mm",
            "Where the level begins, along the centreline from its point nearest to the pontomedullary junction.",
            "number",
            "mm",
            MM_DECIMALS,
        ),
        Column("bottom_mm", "Where it ends.", "number", "mm", MM_DECIMALS),
    ),
)

CORD_TRUTH_CHANGE = Table(
    "Planted change of the cord",
    "sub-*_seg-cord_desc-change_morph.tsv",
    "One row for each level and pair of visits.",
    (
        Column("session_id_from", "The earlier visit."),
        Column("session_id_to", "The later visit."),
        Column("days", "Days between them.", "integer", "day"),
        _LEVEL,
        Column("change_mm2", "Change of the mean area.", "number", "mm^2", TRUE_MM2_DECIMALS),
        Column("change_pct", "Change in per cent of the earlier area.", "number", "percent", PERCENT_DECIMALS),
        Column(
            "change_pct_per_year",
            f"The same divided by the years ({DAYS_PER_YEAR} days) between the visits.",
            "number",
            "percent per year",
            PERCENT_DECIMALS,
        ),
    ),
)


def write_visit_cord(truth: Path, participant: str, session: str, neck: Neck) -> Path:
    """Write the true areas of one session.

    Parameters
    ----------
    truth
        The derivative dataset.
    participant, session
        Labels without prefixes.
    neck
        The neck at the visit.

    Returns
    -------
    Path
        The table.
    """
    source = derivative_path(Path(), participant, session, "T1w", ".nii.gz").as_posix()
    path = derivative_path(truth, participant, session, "morph", ".tsv", seg="cord")
    write_table(path, CORD_TRUTH, area_rows(_truth(neck)), Sources=[f"bids:{RAW_LINK}:{source}"])
    return path


def write_cord_change(truth: Path, participant: str, visits: Sequence[tuple[Appointment, Visit]]) -> Path | None:
    """Write the change of the cord from each visit to the next; nothing where there is no neck or only one visit.

    Returns
    -------
    Path or None
        The table.
    """
    necks = [(appointment, visit.neck) for appointment, visit in visits if visit.neck is not None]
    if len(necks) < 2:
        return None
    entities = {"sub": participant, "seg": "cord", "desc": "change"}
    path = truth / f"sub-{participant}" / build_name("morph", ".tsv", entities)
    rows = [row for before, after in pairwise(necks) for row in cord_change_rows(before, after)]
    write_table(path, CORD_TRUTH_CHANGE, rows)
    return path


def area_rows(truth: CordTruth) -> Iterator[Mapping[str, object]]:
    """Yield the true area of each stretch, and where it lies."""
    tops = truth.tops_mm.tolist()
    ranges = dict(zip(LEVELS, pairwise(tops), strict=True))
    ranges["C2-C3"] = (tops[2] - MUCCA_MM / 2.0, tops[2] + MUCCA_MM / 2.0)
    for level in STRETCHES:
        top, bottom = ranges[level]
        yield {"level": level, "csa_mm2": truth.csa_mm2[level], "top_mm": top, "bottom_mm": bottom}


def cord_change_rows(
    before: tuple[Appointment, Neck], after: tuple[Appointment, Neck]
) -> Iterator[Mapping[str, object]]:
    """Yield the change of each stretch from one visit to a later one."""
    days = after[0].days - before[0].days
    old, new = (_truth(neck).csa_mm2 for _, neck in (before, after))
    for level in STRETCHES:
        percent = 100.0 * (new[level] - old[level]) / old[level]
        yield {
            "session_id_from": f"ses-{before[0].session}",
            "session_id_to": f"ses-{after[0].session}",
            "days": days,
            "level": level,
            "change_mm2": new[level] - old[level],
            "change_pct": percent,
            "change_pct_per_year": percent * DAYS_PER_YEAR / days,
        }


def _truth(neck: Neck) -> CordTruth:
    """What is true wherever the head lies: areas and lengths."""
    return cord_truth(neck, np.eye(4))
