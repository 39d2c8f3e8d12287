# SPDX-License-Identifier: Apache-2.0
"""A made-up cord for the tests of the report: an ellipse that thins downward, written to disk as real outputs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import nibabel as nib
import numpy as np
import pandas as pd

from bids_msvol.bids.cord_outputs import cord_rows, section_rows
from bids_msvol.bids.cord_tables import CORD, CORD_CHANGE, CORD_SECTIONS
from bids_msvol.bids.load import SessionOutputs
from bids_msvol.bids.names import cord_change_path
from bids_msvol.bids.tabular import read_table, write_table
from bids_msvol.cord.levels import average_levels
from bids_msvol.cord.records import CordSection, CordSource, SessionCord
from bids_msvol.cord.sections import CordShape
from bids_msvol.measurement import SessionMeasurement, per_year

SHIFT_MM = 20.0
"""The first section lies this far below the junction, and its downward position is 0."""
LENGTH_MM = 70
"""The cord ends in C4, of which too little is in view."""
WITHHELD_MM = (30, 35)
"""Sections that are not believed, between these downward positions: within C2."""
FLATNESS = 0.7
"""Depth of the cord over its width."""


def area_mm2(distance_mm: Any) -> Any:
    """Area at a downward position."""
    return 80.0 - 0.2 * np.asarray(distance_mm)


def make_cord(
    source: CordSource, *, shrink: float = 1.0, named: bool = True, withheld_mm: tuple[int, int] = WITHHELD_MM
) -> SessionCord:
    """Return a cord whose sections are 1 mm apart; without names there is one row for all of it."""
    arc = np.arange(LENGTH_MM, dtype=float)
    areas = shrink * area_mm2(arc)
    width = 2 * np.sqrt(areas / (np.pi * FLATNESS))
    shape = CordShape(areas, FLATNESS * width, width, np.full(len(arc), np.sqrt(1 - FLATNESS**2)))
    believed = (arc < withheld_mm[0]) | (arc > withheld_mm[1])
    levels = average_levels(shape, arc, arc + SHIFT_MM, believed)
    if not named:
        whole = next(one for one in levels if one.level == "C1-C7")
        levels = (replace(whole, level="visible", coverage=None),)
    sections = tuple(
        CordSection(
            (0.0, 0.0, -float(place)),
            float(place),
            float(place) + SHIFT_MM if named else None,
            None,
            float(shape.csa_mm2[number]),
            float(shape.ap_diameter_mm[number]),
            float(shape.rl_diameter_mm[number]),
            float(shape.eccentricity[number]),
            0.0,
            bool(believed[number]),
        )
        for number, place in enumerate(arc)
    )
    return SessionCord(source, "sub-P1/anat/sub-P1_T1w.nii.gz", "junction" if named else "", levels, sections)


def with_cords(session: SessionOutputs, cords: Sequence[SessionCord]) -> SessionOutputs:
    """Return a session with cords, and write its tables, and the images of those outlined by the program."""
    files = session.files
    made = cast(SessionMeasurement, SimpleNamespace(cords=tuple(cords), etiv_mm3=session.etiv_mm3, no_cord={}))
    write_table(files.cord_table, CORD, cord_rows(made))
    write_table(files.cord_sections, CORD_SECTIONS, section_rows(cords))
    for cord in cords:
        if not cord.source.startswith("sct"):
            _write_straight(session, cord)
    return replace(
        session, cord=read_table(files.cord_table, CORD), cord_sections=read_table(files.cord_sections, CORD_SECTIONS)
    )


def make_cord_changes(before: SessionOutputs, after: SessionOutputs, source: str) -> pd.DataFrame:
    """Return the table of change of the cord: the difference of the levels of both sessions."""
    days = (after.days or 0.0) - (before.days or 0.0)
    rows = []
    for (_, first), (_, last) in zip(before.cord.iterrows(), after.cord.iterrows(), strict=True):
        percent = 100 * (last["csa_mm2"] / first["csa_mm2"] - 1)
        rows.append(
            {
                "session_id_from": f"ses-{before.label}",
                "session_id_to": f"ses-{after.label}",
                "days": days,
                "level": first["level"],
                "source": source,
                "coverage": first["coverage"],
                "change_mm2": last["csa_mm2"] - first["csa_mm2"],
                "change_pct": percent,
                "change_pct_per_year": per_year(percent, days),
            }
        )
    path = cord_change_path(before.files.root, "P1")
    write_table(path, CORD_CHANGE, rows)
    return read_table(path, CORD_CHANGE)


def _write_straight(session: SessionOutputs, cord: SessionCord) -> None:
    """Write the straightened image: cord 100, around it 20; the outline ends where sections are not believed."""
    places = np.asarray([one.distance_mm for one in cord.sections][::-1], dtype=float)
    affine = np.diag([0.5, 0.5, 1.0, 1.0])
    affine[:3, 3] = -16.0, -20.0, -places[0]
    x, y = np.meshgrid(np.arange(65) * 0.5 - 16.0, np.arange(81) * 0.5 - 20.0, indexing="ij")
    shown = np.full((65, 81, len(places)), 20.0, np.float32)
    mask = np.zeros(shown.shape, np.uint8)
    for number, one in enumerate(cord.sections[::-1]):
        assert one.rl_diameter_mm is not None
        assert one.ap_diameter_mm is not None
        inside = (2 * x / one.rl_diameter_mm) ** 2 + (2 * y / one.ap_diameter_mm) ** 2 < 1
        shown[inside, number] = 100.0
        mask[inside, number] = one.believed
    nib.save(nib.Nifti1Image(shown, affine), session.files.straight_cord(cord.source))
    nib.save(nib.Nifti1Image(mask, affine), session.files.straight_cord_mask(cord.source))
