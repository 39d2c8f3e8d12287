# SPDX-License-Identifier: Apache-2.0
"""Read a participant's finished outputs back from disk: all that a report or a table needs, without the raw data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bids_msvol.bids.cord_tables import CORD, CORD_CHANGE, CORD_SECTIONS
from bids_msvol.bids.lesion_tables import ACTIVITY, ENHANCEMENT, LESION_SUMMARY, LESIONS
from bids_msvol.bids.names import (
    SessionFiles,
    change_table_path,
    cord_change_path,
    lesion_activity_path,
    log_dir,
    pair_table_path,
    sessions_table_path,
)
from bids_msvol.bids.records import IgnoredScan
from bids_msvol.bids.tables import CHANGE, PAIRS, QUALITY, VOLUMES
from bids_msvol.bids.tabular import Table, read_table
from bids_msvol.bids.unmeasured import load_failures, load_skipped, read_ignored
from bids_msvol.errors import DataError, NoInputError
from bids_msvol.measurement import Verdict
from bids_msvol.outcome import SessionFailure
from bids_msvol.structures import ETIV_NAME

if TYPE_CHECKING:
    import nibabel as nib
    import pandas as pd

_RERUN = "Remove the file and run the participant again"


@dataclass(frozen=True)
class Provenance:
    """What a session was measured from and how.

    Attributes
    ----------
    chosen_scan
        The T1w, as a path inside the input dataset.
    choice
        One sentence: why this T1w.
    other_scans
        Further contrasts of the visit by name (``FLAIR``, ``T2w``, ``T1w after contrast agent``), same kind of path.
    ignored
        Images of the visit that were not used, with the reason.
    days
        Days since the person's first session, or ``None``.
    scanner
        What the sidecar says of the scanner, by BIDS name (``Manufacturer``, ``ManufacturersModelName``,
        ``MagneticFieldStrength`` in tesla ...); empty where it says nothing.
    voxel_size_mm
        Voxel edges of the input T1w, or ``None`` if unknown.
    skull_stripped
        Whether the input had no skull left.
    template_space
        BIDS name of the template that the transforms lead to.
    verdict
        The worst verdict of the quality table.
    sentences
        Methods text, one sentence for each step that ran.
    versions
        Version by software name, ``bids_msvol`` first.
    configuration_hash, resolution_mm, random_seed
        The settings that decide the result.
    """

    chosen_scan: str
    choice: str
    other_scans: Mapping[str, str]
    ignored: tuple[IgnoredScan, ...]
    days: float | None
    scanner: Mapping[str, Any]
    voxel_size_mm: tuple[float, float, float] | None
    skull_stripped: bool
    template_space: str
    verdict: Verdict
    sentences: tuple[str, ...]
    versions: Mapping[str, str]
    configuration_hash: str
    resolution_mm: float
    random_seed: int


@dataclass(frozen=True, eq=False)
class SessionOutputs:
    """The finished outputs of one session.

    Attributes
    ----------
    subject, label
        Labels without prefixes; ``label`` is ``None`` in a dataset without sessions.
    files
        Where each file of the session is.
    volumes
        The volume table: ``index`` (nullable integer), ``name``, ``volume_mm3``, ``volume_pct_etiv``; missing is NaN.
    quality
        The quality table: ``metric``, ``value``, ``verdict``, ``reason`` (empty text for none).
    lesion_summary
        The table of all lesions together, one row.
    lesions, enhancement
        The tables of T2 lesions and of enhancing lesions; ``None`` where they could not be measured.
    cord
        The table of the cord by level.
    cord_sections
        The table of its sections; ``None`` where no cord was measured.
    provenance
        What the session was measured from and how.
    """

    subject: str
    label: str | None
    files: SessionFiles
    volumes: pd.DataFrame
    quality: pd.DataFrame
    lesion_summary: pd.DataFrame
    lesions: pd.DataFrame | None
    enhancement: pd.DataFrame | None
    cord: pd.DataFrame
    cord_sections: pd.DataFrame | None
    provenance: Provenance

    @property
    def days(self) -> float | None:
        """Days since the person's first session, or ``None``."""
        return self.provenance.days

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the quality table."""
        return self.provenance.verdict

    @property
    def etiv_mm3(self) -> float | None:
        """Estimated total intracranial volume, or ``None`` where it failed."""
        return self.volume_mm3(ETIV_NAME)

    def volume_mm3(self, name: str) -> float | None:
        """Return the volume of a structure or sum by its name in the table, or ``None`` where it is missing."""
        return self._value(name, "volume_mm3")

    def total_mm3(self, name: str) -> float | None:
        """Return a volume by its name, or left plus right of a paired structure; ``None`` if a part is missing."""
        return total(self.volumes, "volume_mm3", name)

    def volume_pct_etiv(self, name: str) -> float | None:
        """Return the same in per cent of the intracranial volume, or ``None`` where it is missing."""
        return self._value(name, "volume_pct_etiv")

    def lesion_value(self, column: str) -> float | None:
        """Return a number of the table of all lesions, or ``None`` where it is missing."""
        values = self.lesion_summary[column].dropna()
        return float(values.iloc[0]) if len(values) else None

    def cord_value(self, level: str, column: str) -> float | None:
        """Return a number of the table of the cord from the best image, or ``None`` where it is missing."""
        values = self.cord.loc[self.cord["level"] == level, column]
        return float(values.iloc[0]) if len(values) and not values.isna().iloc[0] else None

    def load_straight_cord(self, source: str) -> tuple[nib.Nifti1Image, nib.Nifti1Image] | None:
        """Load the cord drawn straight and its outline; ``None`` where there is none of this source."""
        paths = (self.files.straight_cord(source), self.files.straight_cord_mask(source))
        return (_load(paths[0]), _load(paths[1])) if all(path.exists() for path in paths) else None

    def load_contrast(self, name: str) -> nib.Nifti1Image | None:
        """Load ``FLAIR`` or ``T2w`` on the grid of the T1w, normal white matter 1; ``None`` if there is none."""
        path = self.files.contrast(name)
        return _load(path) if path.exists() else None

    def load_lesions(self) -> nib.Nifti1Image | None:
        """Load the lesions by number; ``None`` where they could not be measured."""
        return None if self.lesions is None else _load(self.files.lesions)

    def load_enhancement(self) -> nib.Nifti1Image | None:
        """Load the enhancing lesions by number; ``None`` where there is no image after contrast agent."""
        return None if self.enhancement is None else _load(self.files.enhancement)

    def load_t1w(self) -> nib.Nifti1Image:
        """Load the bias-corrected T1w."""
        return _load(self.files.t1w)

    def load_brain_mask(self) -> nib.Nifti1Image:
        """Load the brain mask."""
        return _load(self.files.brain_mask)

    def load_dseg(self) -> nib.Nifti1Image:
        """Load the structures, by FreeSurfer number."""
        return _load(self.files.dseg)

    def _value(self, name: str, column: str) -> float | None:
        values = self.volumes.loc[self.volumes["name"] == name, column].dropna()
        return float(values.iloc[0]) if len(values) else None


@dataclass(frozen=True, eq=False)
class ParticipantOutputs:
    """All finished sessions of a participant, in order of days where known, else of label.

    Attributes
    ----------
    label
        Label without ``sub-``.
    root
        The derivative dataset.
    sessions
        The finished sessions.
    skipped
        Sessions or files of the last run that could not be used at all, with the reason.
    failures
        Sessions that could be read but not measured when they were last tried; one may have an older measurement.
    changes, pairs
        The tables of change and of the quality of the pairs of sessions; ``None`` where no pair was measured.
    activity
        The table of what became of the lesions; ``None`` where no two sessions could be compared.
    cord_changes
        The table of change of the cord; ``None`` where no two sessions have it on the same kind of image.
    """

    label: str
    root: Path
    sessions: tuple[SessionOutputs, ...]
    skipped: tuple[IgnoredScan, ...] = ()
    failures: tuple[SessionFailure, ...] = ()
    changes: pd.DataFrame | None = None
    pairs: pd.DataFrame | None = None
    activity: pd.DataFrame | None = None
    cord_changes: pd.DataFrame | None = None

    @property
    def sessions_table_path(self) -> Path:
        """Where the table of headline numbers is."""
        return sessions_table_path(self.root, self.label)


def load_participant(output_dir: Path, label: str) -> ParticipantOutputs:
    """Read the finished outputs of a participant.

    Parameters
    ----------
    output_dir
        The derivative dataset.
    label
        Participant label without ``sub-``.

    Raises
    ------
    NoInputError
        If no session of the participant is finished.
    DataError
        If a file is damaged.
    """
    folder = log_dir(output_dir, label)
    sessions = [_load_session(output_dir, label, path) for path in sorted(folder.glob("*_provenance.json"))]
    if not sessions:
        raise NoInputError(
            "has no finished session",
            remedy="Run the participant level first, without --reports-only",
            subject=output_dir / f"sub-{label}",
        )
    dated = all(session.days is not None for session in sessions)
    sessions.sort(key=lambda session: ((session.days or 0.0) if dated else 0.0, session.label or ""))
    skipped, failures = load_skipped(output_dir, label), load_failures(output_dir, label)
    changes = _read_if_there(change_table_path(output_dir, label), CHANGE)
    pairs = _read_if_there(pair_table_path(output_dir, label), PAIRS)
    activity = _read_if_there(lesion_activity_path(output_dir, label), ACTIVITY)
    cord = _read_if_there(cord_change_path(output_dir, label), CORD_CHANGE)
    return ParticipantOutputs(label, output_dir, tuple(sessions), skipped, failures, changes, pairs, activity, cord)


def has_finished_session(output_dir: Path, label: str) -> bool:
    """Say whether any session of a participant is finished, by this run or an earlier one."""
    return any(log_dir(output_dir, label).glob("*_provenance.json"))


def finished_participants(output_dir: Path) -> tuple[str, ...]:
    """Return the labels of all participants with a finished session, in order."""
    records = output_dir.glob("sub-*/log/*_provenance.json")
    return tuple(sorted({path.parent.parent.name.removeprefix("sub-") for path in records}))


def total(table: pd.DataFrame, column: str, name: str) -> float | None:
    """Add up the rows of a structure in a table of volumes or of one method's changes.

    Parameters
    ----------
    table
        With a column ``name``.
    column
        The numbers, in mm3.
    name
        A sum, an unpaired structure, or a paired one without its side (left and right are added).

    Returns
    -------
    float or None
        ``None`` if the row, or one of both sides, is missing or has no number.
    """
    own = table.loc[table["name"] == name, column]
    if own.empty:
        own = table.loc[table["name"].isin((f"Left-{name}", f"Right-{name}")), column]
        if len(own) != 2:
            return None
    return None if own.isna().any() else float(own.sum())


def _load_session(root: Path, label: str, path: Path) -> SessionOutputs:
    record = _read_json(path)
    try:
        session = record["Session"]
        provenance = Provenance(
            chosen_scan=record["ChosenScan"],
            choice=record["Choice"],
            other_scans=record["OtherScans"],
            ignored=read_ignored(record["Ignored"]),
            days=record["DaysSinceFirstSession"],
            scanner=record["Scanner"],
            voxel_size_mm=tuple(size) if (size := record["VoxelSizeMm"]) else None,
            skull_stripped=record["SkullStripped"],
            template_space=record["TemplateSpace"],
            verdict=record["QualityVerdict"],
            sentences=tuple(record["Methods"]),
            versions=record["Versions"],
            configuration_hash=record["ConfigurationHash"],
            resolution_mm=record["ResolutionMm"],
            random_seed=record["RandomSeed"],
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"lacks {error}", remedy=_RERUN, subject=path) from error
    files = SessionFiles(root, label, session)
    volumes = read_table(files.volumes, VOLUMES)
    quality = read_table(files.quality, QUALITY)
    summary = read_table(files.lesion_summary, LESION_SUMMARY)
    lesions = _read_if_there(files.lesion_table, LESIONS)
    enhancement = _read_if_there(files.enhancement_table, ENHANCEMENT)
    cord = read_table(files.cord_table, CORD)
    sections = _read_if_there(files.cord_sections, CORD_SECTIONS)
    return SessionOutputs(
        label, session, files, volumes, quality, summary, lesions, enhancement, cord, sections, provenance
    )


def _read_if_there(path: Path, table: Table) -> pd.DataFrame | None:
    return read_table(path, table) if path.exists() else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", remedy=_RERUN, subject=path) from error


def _load(path: Path) -> nib.Nifti1Image:
    import nibabel as nib

    try:
        return cast("nib.Nifti1Image", nib.load(path))
    except FileNotFoundError as error:
        raise NoInputError("does not exist", remedy="Run the participant level again", subject=path) from error
