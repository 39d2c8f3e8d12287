# SPDX-License-Identifier: Apache-2.0
"""Stats files of FreeSurfer, FastSurfer and SAMSEG: find those of a person's sessions by the names of folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bids_msvol.bids.names import session_name
from bids_msvol.engines.fastsurfer import read_fastsurfer
from bids_msvol.engines.freesurfer import read_freesurfer
from bids_msvol.engines.samseg import read_samseg
from bids_msvol.engines.stats_result import StatsResult
from bids_msvol.errors import DataError, NoInputError

LONG = ".long."
"""Between the name of a session and that of the person's template, in folders of the longitudinal stream."""

TEMPLATE_MARKS = ("base-tps", "base-tps.fastsurfer")
"""Files in the folder of a person's template, which is no session."""

SAMSEG_PLACES = ("", "samseg", "stats", "anat", "anat/samseg")
"""Where SAMSEG's files are, from the folder of a session on; SAMSEG is told where to write, so habits differ."""

CORTEX_TABLES = ("aparc.stats", "aparc.DKTatlas.stats", "aparc.DKTatlas.mapped.stats")
"""Tables of the cortex, the one that is used first in front; FastSurfer has only the last ones."""

ASEG, ASEG_DKT, SAMSEG, SBTIV = "aseg.stats", "aseg+DKT.stats", "samseg.stats", "sbtiv.stats"


@dataclass(frozen=True)
class StatsFiles:
    """Stats files of one session.

    Attributes
    ----------
    folder
        Folder of the session.
    longitudinal
        Whether it is one of the longitudinal stream.
    volumes
        `aseg.stats`, `aseg+DKT.stats` or `samseg.stats`.
    brainvol, sbtiv, lh_aparc, rh_aparc
        Further files; ``None`` where there is none.
    """

    folder: Path
    longitudinal: bool
    volumes: Path
    brainvol: Path | None = None
    sbtiv: Path | None = None
    lh_aparc: Path | None = None
    rh_aparc: Path | None = None

    def read(self) -> StatsResult:
        """Read them, by the program that wrote them.

        Raises
        ------
        NoInputError
            If a file was not fetched.
        DataError
            If a file is damaged or of another kind.
        """
        if self.volumes.name.endswith(SAMSEG):
            result = read_samseg(self.volumes, self.sbtiv)
        elif self.volumes.name == ASEG_DKT:
            result = read_fastsurfer(self.volumes)
        else:
            result = read_freesurfer(
                self.volumes, brainvol=self.brainvol, lh_aparc=self.lh_aparc, rh_aparc=self.rh_aparc
            )
            if result.program == "FreeSurfer" and _there(self.volumes.with_name(ASEG_DKT)):
                # FastSurfer had FreeSurfer measure between the surfaces that it made.
                result = replace(result, program="FastSurfer", version=f"with FreeSurfer {result.version}")
        return replace(result, longitudinal=result.longitudinal or self.longitudinal)


def find_stats_files(folder: Path, subject: str, sessions: Sequence[str | None]) -> dict[str | None, StatsFiles]:
    """Find the stats files of a person's sessions below a folder that was given.

    The folder of a session is called ``sub-01_ses-02``, ``sub-01/ses-02`` or ``sub-01/sub-01_ses-02``, with
    ``.long.`` and the name of the template behind it if it is of the longitudinal stream. A person's only session may
    be in ``sub-01``. Templates are never taken for a session.

    All sessions of a person come from the same stream, for volumes of the two cannot be compared: of several sessions
    the longitudinal results if every session that was measured has one, else the cross-sectional ones. Of a single
    session it is the other way round.

    Parameters
    ----------
    folder
        A ``SUBJECTS_DIR``, or the folder with SAMSEG's results.
    subject
        Label without prefix.
    sessions
        Labels of all sessions of the person, without prefix; ``None`` in a dataset without sessions.

    Returns
    -------
    dict
        By session; sessions that were not measured are left out.

    Raises
    ------
    NoInputError
        If the folder does not exist.
    DataError
        If several folders could be a session's, or some sessions are only in one stream and some only in the other.
    """
    if not folder.is_dir():
        raise NoInputError("is no folder", remedy="Give the folder with the subjects", subject=folder)
    streams: dict[bool, dict[str | None, StatsFiles]] = {True: {}, False: {}}
    for session in sessions:
        found = _runs(folder, subject, session, only_session=len(sessions) == 1)
        for longitudinal, chosen in streams.items():
            one = _only([run for run in found if run.longitudinal == longitudinal], folder, subject, session)
            if one is not None:
                chosen[session] = one
    measured = streams[True].keys() | streams[False].keys()
    for longitudinal in (True, False) if len(sessions) > 1 else (False, True):
        if streams[longitudinal].keys() == measured:
            return streams[longitudinal]
    runs = [run for chosen in streams.values() for run in chosen.values()]
    raise DataError(
        f"holds longitudinal results of some sessions of sub-{subject} and only cross-sectional ones of others: "
        f"{_names(runs, folder)}",
        remedy="Run the longitudinal stream for all sessions, or keep the cross-sectional results of all",
        subject=folder,
    )


def _runs(folder: Path, subject: str, session: str | None, *, only_session: bool) -> list[StatsFiles]:
    """Return the results that could be a session's."""
    person, name = f"sub-{subject}", session_name(subject, session)
    places = [(folder, name)]
    if session is not None:
        places += [(folder / person, f"ses-{session}"), (folder / person, name)]
        places += [(folder, person)] if only_session else []
    found = []
    for parent, stem in places:
        for path in [parent / stem, *sorted(parent.glob(f"{stem}{LONG}*"))]:
            run = _run(path, parent) if path.is_dir() else None
            if run is not None:
                found.append(run)
    return found


def _run(path: Path, parent: Path) -> StatsFiles | None:
    """Return the stats files in a folder; ``None`` if it has none or is a template."""
    if any((path / mark).exists() for mark in TEMPLATE_MARKS) or any(parent.glob(f"*{LONG}{path.name}")):
        return None
    longitudinal = LONG in path.name
    stats = path / "stats"
    for table in (ASEG, ASEG_DKT):
        # Links to content that was not fetched do not exist, but must be complained about when they are read.
        if _there(stats / table):
            return StatsFiles(
                path,
                longitudinal,
                stats / table,
                brainvol=_first(stats, ("brainvol.stats",)),
                lh_aparc=_first(stats, (f"lh.{end}" for end in CORTEX_TABLES)),
                rh_aparc=_first(stats, (f"rh.{end}" for end in CORTEX_TABLES)),
            )
    tables = [one for place in SAMSEG_PLACES for one in sorted((path / place).glob(f"*{SAMSEG}"))]
    tables = [one for one in tables if re.fullmatch(rf"(?:.*_)?{re.escape(SAMSEG)}", one.name)]
    if len(tables) > 1:
        names = ", ".join(one.relative_to(path).as_posix() for one in tables)
        raise DataError(f"holds several tables of SAMSEG: {names}", remedy="Keep one for each session", subject=path)
    if not tables:
        return None
    sbtiv = _first(tables[0].parent, (tables[0].name.removesuffix(SAMSEG) + SBTIV,))
    return StatsFiles(path, longitudinal, tables[0], sbtiv=sbtiv)


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _first(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if _there(folder / name)), None)


def _only(runs: Sequence[StatsFiles], folder: Path, subject: str, session: str | None) -> StatsFiles | None:
    if len(runs) > 1:
        raise DataError(
            f"holds several results of {session_name(subject, session)}: {_names(runs, folder)}",
            remedy="Keep one for each session",
            subject=folder,
        )
    return runs[0] if runs else None


def _names(runs: Iterable[StatsFiles], folder: Path) -> str:
    return ", ".join(sorted(run.folder.relative_to(folder).as_posix() for run in runs))
