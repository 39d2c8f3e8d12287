# SPDX-License-Identifier: Apache-2.0
"""The record of what a session was measured from and how, from which a report can be made again."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bids_msvol import __version__
from bids_msvol.bids.dataset import NAME, RAW_LINK
from bids_msvol.bids.records import Scan, Session
from bids_msvol.bids.scans import read_geometry
from bids_msvol.bids.tabular import Table
from bids_msvol.bids.unmeasured import describe_ignored
from bids_msvol.config import Config, result_hash

if TYPE_CHECKING:
    from bids_msvol.measurement import SessionMeasurement

_SCANNER_FIELDS = (
    "Manufacturer", "ManufacturersModelName", "MagneticFieldStrength", "SoftwareVersions",
    "ReceiveCoilName", "MRAcquisitionType", "ScanningSequence", "SequenceName", "ProtocolName", "SeriesDescription",
    "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle",
)  # fmt: skip
"""Sidecar fields that are kept for the report."""

_SOFTWARE = ("antspyx", "nibabel", "numpy", "scipy", "pandas", "pybids")


def describe_session(measurement: SessionMeasurement, config: Config) -> dict[str, Any]:
    """Return what a session was measured from and how, as `bids_msvol.bids.load.Provenance` reads it back."""
    session = measurement.session
    geometry = read_geometry(session.t1w.path)
    others = {
        "FLAIR": session.flair,
        "T2w": session.t2w,
        "T1w after contrast agent": session.t1w_gd,
        "image of the cord": session.cord,
        "lesion mask": session.lesion_mask,
        "table of Spinal Cord Toolbox": session.sct_table,
        "mask of the cord": session.sct_mask,
        "levels of the cord": session.cord_labels,
    }
    return {
        "Session": session.label,
        "DaysSinceFirstSession": session.days,
        "ChosenScan": session.t1w.relative_path,
        "Choice": session.choice,
        "OtherScans": {name: scan.relative_path for name, scan in others.items() if scan is not None},
        "Ignored": describe_ignored(session.ignored),
        "Scanner": _scanner(session),
        "VoxelSizeMm": None if geometry is None else [round(edge, 4) for edge in geometry.edges_mm],
        "SkullStripped": measurement.skull_stripped,
        "TemplateSpace": measurement.template_space,
        "QualityVerdict": measurement.verdict,
        "Methods": list(measurement.sentences),
        "Versions": _versions(),
        "ConfigurationHash": result_hash(config),
        "ResolutionMm": config.resolution_mm,
        "RandomSeed": config.random_seed,
    }


def bids_uri(path: Path, root: Path) -> str:
    """Return the BIDS URI of a file of the derivative dataset."""
    return f"bids::{path.relative_to(root).as_posix()}"


def raw_uri(scan: Scan) -> str:
    """Return the BIDS URI of a file of the input dataset."""
    return f"bids:{RAW_LINK}:{scan.relative_path}"


def table_origin(table: Table, sources: Sequence[str]) -> dict[str, Any]:
    """Return what the sidecar of a table says besides its columns."""
    return {
        "Description": table.description,
        "Sources": list(sources),
        "GeneratedBy": {"Name": NAME, "Version": __version__},
    }


def _scanner(session: Session) -> dict[str, Any]:
    return {name: session.t1w.metadata[name] for name in _SCANNER_FIELDS if name in session.t1w.metadata}


def _versions() -> dict[str, str]:
    found = {NAME: __version__, "Python": platform.python_version()}
    for package in _SOFTWARE:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
