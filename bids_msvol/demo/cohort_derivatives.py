# SPDX-License-Identifier: Apache-2.0
"""Write what the participant level would have measured in a simulated study: its tables and records, without images."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bids_msvol import __version__
from bids_msvol.bids.atomic import write_json, write_text
from bids_msvol.bids.cord_tables import CORD
from bids_msvol.bids.dataset import NAME, OutputDataset
from bids_msvol.bids.lesion_tables import LESION_SUMMARY
from bids_msvol.bids.names import SessionFiles, sessions_table_path, sidecar_path
from bids_msvol.bids.provenance import bids_uri, table_origin
from bids_msvol.bids.tables import CORD_HEADLINES, HEADLINES, LESION_HEADLINES, QUALITY, SESSIONS, VOLUMES
from bids_msvol.bids.tabular import Table, format_value, table_sidecar, write_table
from bids_msvol.config import Config, result_hash
from bids_msvol.cord.records import normalised_area_mm2
from bids_msvol.demo.cohort_anatomy import CORD_LENGTHS_MM
from bids_msvol.structures import ETIV_NAME, STRUCTURES, SUMS

if TYPE_CHECKING:
    from bids_msvol.demo.cohort_making import SimulatedCohort

Row = dict[str, object]

NO_EARLIER_SESSION = "there is no earlier session to compare with"

CORD_SOURCE, CORD_LEVELS_BY = "cord-T2w", "discs"

CNR, CNR_FAILED = 2.4, 0.6
"""Contrast of grey and white matter in the quality table of a good scan and of a failed one."""

DISC_LENGTH_MM = 20.0
"""Length of the stretch around the disc C2/C3."""

_VOLUME_ROWS: tuple[tuple[int | None, str], ...] = (
    *((item.index, item.name) for item in STRUCTURES),
    *((None, item.name) for item in SUMS),
)


class _Writer:
    """Writes tables of one kind; describes their columns once."""

    def __init__(self, table: Table) -> None:
        self.table = table
        said = table_sidecar(table.columns, **table_origin(table, []))
        self.sidecar = json.dumps(said, indent=2, ensure_ascii=False) + "\n"

    def write(self, path: Path, rows: list[Row]) -> None:
        columns = self.table.columns
        lines = ["\t".join(column.name for column in columns)]
        lines += ["\t".join(format_value(row.get(column.name), column) for column in columns) for row in rows]
        write_text(path, "\n".join(lines) + "\n")
        write_text(sidecar_path(path), self.sidecar)


def write_derivatives(cohort: SimulatedCohort, bids_dir: Path, output_dir: Path) -> None:
    """Write the derivative dataset of a simulated study.

    It is like one of this version with its default settings, so that the program takes it for its own.

    Parameters
    ----------
    cohort
        The study.
    bids_dir
        Its BIDS dataset.
    output_dir
        Folder to make.
    """
    config = Config(bids_dir=bids_dir, output_dir=output_dir)
    OutputDataset.create(config)
    writers = {table.file_name: _Writer(table) for table in (VOLUMES, QUALITY, LESION_SUMMARY, CORD)}
    hashed = result_hash(config)
    volumes = cohort.tables.volumes_mm3.to_dict("index")
    cords = cohort.tables.cord_mm2.to_dict("index")
    sessions = cohort.tables.sessions
    first_day = sessions.groupby("participant_id")["days"].transform("min")
    for name, rows in sessions.assign(since_first=sessions["days"] - first_day).groupby("participant_id", sort=False):
        headlines = []
        label = str(name).removeprefix("sub-")
        for number, session in zip(rows.index, rows.to_dict("records"), strict=True):
            files = SessionFiles(output_dir, label, str(session["session_id"]).removeprefix("ses-"))
            etiv = float(session["etiv_mm3"])
            measured = {str(key): value for key, value in volumes.get(number, {}).items()}
            cord = cord_rows({str(key): value for key, value in cords.get(number, {}).items()}, etiv)
            lesions = lesion_row({str(key): value for key, value in session.items()})
            writers[VOLUMES.file_name].write(files.volumes, volume_rows(measured, etiv))
            writers[QUALITY.file_name].write(files.quality, quality_rows(str(session["verdict"])))
            writers[LESION_SUMMARY.file_name].write(files.lesion_summary, [lesions])
            writers[CORD.file_name].write(files.cord_table, cord)
            write_json(files.provenance, _record(files, session["since_first"], str(session["verdict"]), hashed))
            headlines.append(_headline_row(session["session_id"], session["since_first"], str(session["verdict"]), etiv,
                                           measured, lesions, cord))  # fmt: skip
        sources = [bids_uri(SessionFiles(output_dir, label, str(row["session_id"]).removeprefix("ses-")).volumes,
                            output_dir) for row in headlines]  # fmt: skip
        write_table(sessions_table_path(output_dir, label), SESSIONS, headlines, **table_origin(SESSIONS, sources))


def volume_rows(measured: Mapping[str, float], etiv_mm3: float) -> list[Row]:
    """Return the table of volumes: structures, sums, intracranial volume."""
    rows: list[tuple[int | None, str, float | None]] = [
        (index, name, measured.get(name)) for index, name in _VOLUME_ROWS
    ]
    rows.append((None, ETIV_NAME, etiv_mm3))
    return [
        {"index": index, "name": name, "volume_mm3": value, "volume_pct_etiv": _percent(value, etiv_mm3)}
        for index, name, value in rows
    ]


def quality_rows(verdict: str) -> list[Row]:
    """Return the table of quality: one metric that says whether the scan failed."""
    failed = verdict == "fail"
    reason = "grey and white matter are hard to tell apart" if failed else ""
    return [
        {"metric": "cnr_gm_wm", "value": CNR_FAILED if failed else CNR, "verdict": verdict, "reason": reason},
        {"metric": "snr_wm", "value": 22.0, "verdict": "pass", "reason": ""},
    ]


def lesion_row(session: Mapping[str, object]) -> Row:
    """Return the row about all lesions of a session; people without counts were not measured."""
    count, new = session["t2_count_images"], session["new_t2_images"]
    if _missing(count):
        return {"reason": "there is no image that shows lesions"}
    return {
        "source": "FLAIR",
        "method": "bids_msvol",
        "count": count,
        "volume_mm3": session["lesion_volume_mm3"],
        "new_lesions": new,
        "new_lesion_candidates": None if _missing(new) else 0,
        "enlarging_lesions": session["enlarging_t2_images"],
        "enlarging_lesion_candidates": None if _missing(new) else 0,
        "gd_lesions": session["gd_images"],
        "gd_lesion_candidates": None if _missing(session["gd_images"]) else 0,
        "reason": NO_EARLIER_SESSION if _missing(new) else "",
    }


def cord_rows(areas: Mapping[str, float], etiv_mm3: float) -> list[Row]:
    """Return the table of the cord, from a scan of the neck that shows all levels; without one, only why."""
    lengths = {**CORD_LENGTHS_MM, "C2-C3": DISC_LENGTH_MM, "C1-C7": sum(CORD_LENGTHS_MM.values())}
    if not areas:
        return [
            {"level": level, "n_slices": 0, "source": CORD_SOURCE, "reason": "there is no image of the cord"}
            for level in lengths
        ]
    return [
        {
            "level": level,
            "csa_mm2": areas[level],
            "n_slices": round(length),
            "coverage": 1.0,
            "source": CORD_SOURCE,
            "levels_by": CORD_LEVELS_BY,
            "length_mm": length,
            "volume_mm3": areas[level] * length,
            "csa_etiv_mm2": normalised_area_mm2(areas[level], etiv_mm3),
            "reason": "",
        }
        for level, length in lengths.items()
    ]


def _headline_row(
    session_id: object,
    days: object,
    verdict: str,
    etiv: float,
    measured: Mapping[str, float],
    lesions: Row,
    cord: list[Row],
) -> Row:
    row: Row = {"session_id": session_id, "days": days, "quality_verdict": verdict, "etiv_mm3": etiv}
    for headline in HEADLINES:
        volume = sum(measured[name] for name in headline.rows) if measured else None
        row[f"{headline.name}_mm3"] = volume
        row[f"{headline.name}_pct_etiv"] = _percent(volume, etiv)
    row["brain_parenchymal_fraction"] = measured["WholeBrain"] / etiv if measured else None
    by_level = {one["level"]: one for one in cord}
    row |= {name: lesions.get(source) for name, source in LESION_HEADLINES.items()}
    return row | {name: by_level[level].get(column) for name, (level, column) in CORD_HEADLINES.items()}


def _record(files: SessionFiles, days: object, verdict: str, configuration_hash: str) -> dict[str, object]:
    """Return the record of a session, as `bids_msvol.bids.load` reads it back."""
    folder = f"sub-{files.subject}/ses-{files.session}/anat"
    return {
        "Session": files.session,
        "DaysSinceFirstSession": days,
        "ChosenScan": f"{folder}/sub-{files.subject}_ses-{files.session}_T1w.nii.gz",
        "Choice": "There is no scan: the numbers are simulated.",
        "OtherScans": {},
        "Ignored": [],
        "Scanner": {},
        "VoxelSizeMm": None,
        "SkullStripped": False,
        "TemplateSpace": "none",
        "QualityVerdict": verdict,
        "Methods": ["The numbers were simulated by bids_msvol.demo.cohort; nothing was measured."],
        "Versions": {NAME: __version__},
        "ConfigurationHash": configuration_hash,
        "ResolutionMm": 1.0,
        "RandomSeed": 0,
    }


def _percent(value: float | None, whole: float) -> float | None:
    return None if value is None else 100.0 * value / whole


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
