# SPDX-License-Identifier: Apache-2.0
"""What the participant level measured of a whole cohort, read back from its tables; no image is opened."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bids_msvol.bids.lesion_space import LesionFiles, find_lesion_files
from bids_msvol.bids.names import SessionFiles, change_table_path, sessions_table_path
from bids_msvol.bids.tabular import MISSING
from bids_msvol.errors import DataError, MSVolError, NoInputError

_logger = logging.getLogger(__name__)

CHANGE_METHOD = "segmentation"
"""The method of change whose recovery of a known change was best (see the benchmarks)."""

CHANGE_COLUMNS = ("session_id_from", "session_id_to", "name", "method", "change_mm3", "change_pct")

IMAGE_COUNTS = {
    "new_t2_images": "new_lesions", "enlarging_t2_images": "enlarging_lesions", "gd_images": "gd_lesions",
    "t2_count_images": "lesion_count", "lesion_volume_mm3": "lesion_volume_mm3", "etiv_mm3": "etiv_mm3",
    "days": "days",
}  # fmt: skip
"""Columns of a session of the group level, and the columns of the table of sessions that they are read from."""

Key = tuple[str, str]
"""A participant and a session, both with their prefixes; the session is ``n/a`` in a dataset without sessions."""


@dataclass
class Measured:
    """What was measured, by participant and session, as it is gathered.

    Attributes
    ----------
    sessions
        Numbers of `IMAGE_COUNTS` and ``verdict``.
    volumes
        In mm3, by row of the table of volumes.
    cord
        Areas in mm2 by level, for each source.
    change_mm3, change_pct
        By pair of sessions.
    thickness
        In mm.
    lesions
        Lesion masks.
    problems
        Files that could not be used, and why.
    """

    sessions: dict[Key, dict[str, object]] = field(default_factory=dict)
    volumes: dict[Key, dict[str, float]] = field(default_factory=dict)
    cord: dict[Key, dict[str, dict[str, float]]] = field(default_factory=dict)
    change_mm3: dict[tuple[Key, Key], dict[str, float]] = field(default_factory=dict)
    change_pct: dict[tuple[Key, Key], dict[str, float]] = field(default_factory=dict)
    thickness: dict[Key, dict[str, float]] = field(default_factory=dict)
    lesions: dict[Key, LesionFiles] = field(default_factory=dict)
    problems: list[MSVolError] = field(default_factory=list)

    def attempt(self, function: Callable[..., None], *arguments: object) -> None:
        """Read a file; one that cannot be used is kept as a problem, and the others go on."""
        try:
            function(*arguments)
        except MSVolError as error:
            _logger.warning("%s", error)
            self.problems.append(error)


def read_measured(root: Path, *, with_volumes: bool = True, with_cord: bool = True) -> Measured:
    """Read the tables of everybody in a derivative dataset of this program.

    Parameters
    ----------
    root
        The dataset.
    with_volumes, with_cord
        Whether volumes and change, and cord areas, are wanted from here.
    """
    found = Measured()
    for folder in sorted(root.glob("sub-*")):
        subject = folder.name.removeprefix("sub-")
        # Of a person whose participant level failed there may be a log and nothing else.
        if sessions_table_path(root, subject).is_file() or next(folder.rglob("*_morph.tsv"), None) is not None:
            found.attempt(_read_person, found, root, subject, with_volumes, with_cord)
    return found


def read_rows(path: Path, *required: str) -> list[dict[str, str]]:
    """Read a table of ours quickly, as text; it needs only the columns that are named.

    Raises
    ------
    NoInputError
        If it does not exist.
    DataError
        If it is damaged or lacks a column.
    """
    remedy = "Remove the file and run the participant again"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NoInputError("does not exist", remedy="Run the participant level again", subject=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", remedy=remedy, subject=path) from error
    lines = text.splitlines()
    header = lines[0].split("\t") if lines else []
    lacking = [name for name in required if name not in header]
    if lacking:
        raise DataError(f"lacks the column {lacking[0]}", remedy=remedy, subject=path)
    rows = [line.split("\t") for line in lines[1:] if line]
    if any(len(row) != len(header) for row in rows):
        raise DataError("has rows of different length", remedy=remedy, subject=path)
    if not text.endswith("\n"):
        raise DataError("does not end with the end of a line, so it was cut off", remedy=remedy, subject=path)
    if not rows:
        raise DataError("has no rows", remedy=remedy, subject=path)
    return [dict(zip(header, row, strict=True)) for row in rows]


def choose_cord(found: Measured) -> tuple[dict[Key, dict[str, float]], str, int]:
    """Return cord areas from one source, the one that most sessions have; areas of different images do not compare.

    Returns
    -------
    areas : dict
        By session.
    source : str
        Which one.
    left_out : int
        Number of sessions with areas from other sources only.
    """
    counts = Counter(source for sources in found.cord.values() for source in sources)
    if not counts:
        return {}, "", 0
    source = counts.most_common(1)[0][0]
    areas = {key: sources[source] for key, sources in found.cord.items() if source in sources}
    return areas, source, len(found.cord) - len(areas)


def _read_person(found: Measured, root: Path, subject: str, with_volumes: bool, with_cord: bool) -> None:
    path = sessions_table_path(root, subject)
    name = f"sub-{subject}"
    labels: list[str] = []
    for row in read_rows(path, "session_id", "quality_verdict", "etiv_mm3"):
        key = (name, row["session_id"])
        found.sessions[key] = {ours: number(row.get(theirs, MISSING), path) for ours, theirs in IMAGE_COUNTS.items()}
        found.sessions[key]["verdict"] = row["quality_verdict"]
        labels.append(row["session_id"])
    for label in labels:
        files = SessionFiles(root, subject, None if label == MISSING else label.removeprefix("ses-"))
        if with_volumes:
            found.attempt(_read_volumes, found, (name, label), files.volumes)
        lesions = find_lesion_files(root, subject, files.session)
        if lesions is not None:
            found.lesions[name, label] = lesions
        if with_cord and files.cord_table.is_file():
            found.attempt(_read_cord, found, (name, label), files.cord_table)
    change = change_table_path(root, subject)
    if with_volumes and change.is_file():
        found.attempt(_read_change, found, name, change)


def _read_volumes(found: Measured, key: Key, path: Path) -> None:
    found.volumes[key] = {row["name"]: number(row["volume_mm3"], path) for row in read_rows(path, "name", "volume_mm3")}


def _read_cord(found: Measured, key: Key, path: Path) -> None:
    for row in read_rows(path, "level", "csa_mm2", "source"):
        area = number(row["csa_mm2"], path)
        if not math.isnan(area):
            found.cord.setdefault(key, {}).setdefault(row["source"], {})[row["level"]] = area


def _read_change(found: Measured, name: str, path: Path) -> None:
    for row in read_rows(path, *CHANGE_COLUMNS):
        if row["method"] == CHANGE_METHOD:
            pair = ((name, row["session_id_from"]), (name, row["session_id_to"]))
            found.change_mm3.setdefault(pair, {})[row["name"]] = number(row["change_mm3"], path)
            found.change_pct.setdefault(pair, {})[row["name"]] = number(row["change_pct"], path)


def number(text: str, path: Path) -> float:
    """Return a number of a table; NaN for ``n/a``.

    Raises
    ------
    DataError
        If it is none.
    """
    if text == MISSING:
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise DataError(
            f"holds {text!r} where a number belongs",
            remedy="Remove the file and run the participant again",
            subject=path,
        ) from error


def drop_impossible(found: Measured) -> tuple[str, ...]:
    """Take out measurements that cannot be: not finite, below 0, or 0 where there must be something; say how many."""
    volumes = _drop(found.volumes.values(), lambda value: math.isfinite(value) and value >= 0.0)
    areas = (levels for sources in found.cord.values() for levels in sources.values())
    others = _drop(areas, _is_size) + _drop(found.thickness.values(), _is_size)
    for session in found.sessions.values():
        etiv_mm3 = float(session.get("etiv_mm3", math.nan))  # type: ignore[arg-type]
        if not math.isnan(etiv_mm3) and not _is_size(etiv_mm3):
            session["etiv_mm3"] = math.nan
            others += 1
    for changes in (found.change_mm3, found.change_pct):
        others += _drop(changes.values(), math.isfinite)
    if not volumes + others:
        return ()
    return (f"{volumes + others} measurements cannot be (below 0, or not finite) and were taken as missing.",)


def _drop(rows: Iterable[dict[str, float]], can_be: Callable[[float], bool]) -> int:
    """Put NaN in the place of values that cannot be; return how many."""
    dropped = 0
    for row in rows:
        for name, value in row.items():
            if not math.isnan(value) and not can_be(value):
                row[name] = math.nan
                dropped += 1
    return dropped


def _is_size(value: float) -> bool:
    return math.isfinite(value) and value > 0.0


def session_keys(found: Measured) -> Iterator[Key]:
    """Yield every session of which anything is known."""
    keys: Sequence[dict[Key, object]] = (found.sessions, found.volumes, found.cord, found.thickness)  # type: ignore[assignment]
    yield from dict.fromkeys(key for one in keys for key in one)
