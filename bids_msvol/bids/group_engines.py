# SPDX-License-Identifier: Apache-2.0
"""Results of other programs for a whole cohort: FreeSurfer, FastSurfer, SAMSEG and Spinal Cord Toolbox."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bids_msvol.bids.group_measured import Key, Measured
from bids_msvol.bids.tabular import MISSING
from bids_msvol.engines.sct import read_sct_table
from bids_msvol.engines.sct_files import measured_images
from bids_msvol.engines.stats_files import find_stats_files
from bids_msvol.engines.stats_result import StatsResult, stats_rows
from bids_msvol.errors import DataError, NoInputError

_SUBJECT = re.compile(r"sub-([0-9A-Za-z+]+)")
_SESSION = re.compile(r"ses-([0-9A-Za-z+]+)")
_RUN = re.compile(r"(?:base_)?sub-([0-9A-Za-z+]+)(?:_ses-([0-9A-Za-z+]+))?(?:\.long\..*)?")


def sessions_below(folder: Path) -> dict[str, list[str | None]]:
    """Return the sessions of each person that the names of folders tell: labels without prefixes, ``None`` for none."""
    found: dict[str, dict[str | None, None]] = {}
    for path in sorted(one for one in folder.iterdir() if one.is_dir()):
        match = _RUN.fullmatch(path.name)
        if match is None or path.name.startswith("base_"):
            continue
        inner = [_SESSION.search(one.name) for one in sorted(path.glob("*ses-*")) if match[2] is None and one.is_dir()]
        labels = [match[2]] if match[2] else [one[1] for one in inner if one] or [None]
        found.setdefault(match[1], {}).update(dict.fromkeys(labels))
    # A folder sub-01 beside sub-01_ses-02 is the template of the longitudinal stream, not a session.
    return {subject: [label for label in labels if label is not None] or [None] for subject, labels in found.items()}


def read_stats_folder(found: Measured, folder: Path, sessions: Mapping[str, Sequence[str | None]]) -> tuple[str, ...]:
    """Read the volumes of everybody from a folder of FreeSurfer, FastSurfer or SAMSEG.

    Parameters
    ----------
    found
        Takes the volumes, the intracranial volumes and the cortical thickness.
    folder
        What was given.
    sessions
        Sessions of each person by label, without prefixes; those that the folder alone knows are added.

    Returns
    -------
    tuple of str
        The programs and versions, in words.

    Raises
    ------
    NoInputError
        If there are no volumes of anybody.
    """
    below = sessions_below(folder)
    wanted = {
        subject: list(dict.fromkeys([*sessions.get(subject, ()), *_known(below.get(subject, []), sessions, subject)]))
        for subject in sorted({*sessions, *below})
    }
    programs: dict[str, None] = {}

    def read_person(subject: str) -> None:
        sessions_found = find_stats_files(folder, subject, wanted[subject])
        if subject in below and not sessions_found:
            raise NoInputError(
                f"has a folder for sub-{subject} and in it no statistics",
                remedy="Run the program again for this person, or remove the folder",
                subject=folder,
            )
        for session, files in sessions_found.items():
            found.attempt(read_session, subject, session, files.read)

    def read_session(subject: str, session: str | None, read: object) -> None:
        result: StatsResult = read()  # type: ignore[operator]
        key = _key(subject, session)
        volumes = {str(row["name"]): _float(row["volume_mm3"]) for row in stats_rows(result)}
        found.volumes[key] = volumes
        found.sessions.setdefault(key, {}).update(etiv_mm3=_float(result.etiv_mm3))
        if result.lesion_volume_mm3 is not None:
            found.sessions[key]["lesion_volume_mm3"] = result.lesion_volume_mm3
        if result.mean_thickness_mm or result.regions:
            found.thickness[key] = _thickness(result)
        stream = ", longitudinal stream" if result.longitudinal else ""
        programs[f"{result.program} {result.version or 'of unknown version'}{stream}"] = None

    for subject in wanted:
        found.attempt(read_person, subject)
    if not found.volumes:
        raise NoInputError(
            "holds no volumes that can be used, of anybody",
            remedy="Give the folder in which sub-* folders are (such as SUBJECTS_DIR)",
            subject=folder,
        )
    return tuple(programs)


def read_sct_folder(found: Measured, folder: Path) -> None:
    """Read the cord areas of everybody from a folder with tables of Spinal Cord Toolbox.

    A table belongs to the person and session in its path, or else in its column ``Filename``; a table of several
    people is read once for each.

    Raises
    ------
    NoInputError
        If there are no areas of anybody.
    """
    taken: dict[Key, Path] = {}

    def read(path: Path, subject: str, session: str | None) -> None:
        key = _key(subject, session)
        if key in taken:
            who = " ".join(part for part in key if part != MISSING)
            raise DataError(
                f"is about {who}, and so is {taken[key].relative_to(folder)}",
                remedy="Keep one table for each session",
                subject=path,
            )
        result = read_sct_table(path, subject, session)
        taken[key] = path
        levels = {one.level: one.csa_mm2 for one in result.levels if one.csa_mm2 is not None}
        found.cord.setdefault(key, {})["sct"] = levels

    for path in sorted(folder.rglob("*.csv")):
        for subject, session in _people(path, folder):
            found.attempt(read, path, subject, session)
    if not taken:
        raise NoInputError(
            "holds no table of cord areas that can be used, of anybody",
            remedy="Give the folder with the CSV files of sct_process_segmentation, named by sub-* and ses-*",
            subject=folder,
        )


def _people(path: Path, folder: Path) -> Iterator[tuple[str, str | None]]:
    images = measured_images(path)
    if not images:
        return
    place = path.relative_to(folder).as_posix()
    texts = [place] if _SUBJECT.search(place) else images
    pairs = []
    for text in texts:
        subject = _SUBJECT.search(text)
        session = _SESSION.search(text) or _SESSION.search(place)
        if subject is not None:
            pairs.append((subject[1], session[1] if session else None))
    yield from dict.fromkeys(pairs)


def _known(
    labels: Sequence[str | None], sessions: Mapping[str, Sequence[str | None]], subject: str
) -> Iterator[str | None]:
    """Yield what a folder adds to the known sessions: a person without ``ses-`` there is the only known session."""
    for label in labels:
        if label is not None or not sessions.get(subject):
            yield label


def _key(subject: str, session: str | None) -> Key:
    return f"sub-{subject}", MISSING if session is None else f"ses-{session}"


def _thickness(result: StatsResult) -> dict[str, float]:
    values = dict(result.mean_thickness_mm)
    if {"lh", "rh"} <= values.keys():
        values["mean"] = (values["lh"] + values["rh"]) / 2
    for region in result.regions:
        if region.thickness_mm is not None:
            values[f"{region.hemisphere}-{region.name}"] = region.thickness_mm
    return values


def _float(value: object) -> float:
    return math.nan if value is None else float(value)  # type: ignore[arg-type]
