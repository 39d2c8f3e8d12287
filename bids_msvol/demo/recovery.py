# SPDX-License-Identifier: Apache-2.0
"""Hold finished results against the truth of the synthetic people: volumes, change, lesions and activity, cord."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from bids_msvol.bids.load import has_finished_session, load_participant, total
from bids_msvol.bids.names import report_path
from bids_msvol.bids.tables import HEADLINES, METHODS
from bids_msvol.demo.activity_recovery import ActivityRecovery, compare_activity, rows_of_pair
from bids_msvol.demo.cord_recovery import CordPairRecovery, CordRecovery, compare_cord_change, compare_cords
from bids_msvol.demo.known import KnownPerson, load_known
from bids_msvol.demo.lesion_recovery import LesionRecovery, compare_lesions, percent_difference
from bids_msvol.errors import NoInputError
from bids_msvol.report.trends import PANELS
from bids_msvol.report.wording import split_side
from bids_msvol.structures import ETIV_NAME

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs

MAIN_STRUCTURES: tuple[str, ...] = tuple(split_side(headline.rows[0])[1] for headline in HEADLINES)
"""The structures and sums of the table of sessions, both sides of a paired one together."""


@dataclass(frozen=True)
class VolumeRecovery:
    """One volume of one session in mm3, true and found; ``None`` where it is missing."""

    true_mm3: float | None
    found_mm3: float | None

    @property
    def difference_pct(self) -> float | None:
        """Found minus true, in per cent of the true volume."""
        return percent_difference(self.true_mm3, self.found_mm3)


@dataclass(frozen=True)
class ChangeRecovery:
    """Change of one structure between two sessions, in per cent of the earlier volume.

    Attributes
    ----------
    name
        The structure; both sides of a paired one together.
    true_pct
        What happened.
    found_pct
        What each method found, in the order of `METHODS`; ``None`` where it is missing.
    """

    name: str
    true_pct: float | None
    found_pct: tuple[float | None, ...]


@dataclass(frozen=True)
class PairRecovery:
    """Two sessions of a person: labels without ``ses-``, days between them if known, changes, lesions, cord."""

    before: str
    after: str
    days: float | None
    changes: tuple[ChangeRecovery, ...]
    activity: ActivityRecovery
    cord: CordPairRecovery


@dataclass(frozen=True)
class PersonRecovery:
    """One person: what is true beside what was found.

    Attributes
    ----------
    label
        Label without ``sub-``.
    measured
        Labels of the sessions that have results.
    sessions
        Labels of all sessions.
    volumes
        For each of `MAIN_STRUCTURES`, then the intracranial volume: its name, and its volume in each session.
    pairs
        Each session with the next, and the first with each later one, as the program compares them.
    lesions
        The lesions of each session.
    cords
        The cord on each kind of image.
    report
        The person's report, if there is one.
    """

    label: str
    measured: tuple[str, ...]
    sessions: tuple[str, ...]
    volumes: tuple[tuple[str, tuple[VolumeRecovery, ...]], ...]
    pairs: tuple[PairRecovery, ...]
    lesions: tuple[LesionRecovery, ...]
    cords: tuple[CordRecovery, ...]
    report: Path | None

    @property
    def lesion_numbers(self) -> tuple[int, ...]:
        """Numbers of the planted lesions of all sessions."""
        return tuple(sorted({match.known.number for session in self.lesions for match in session.matches}))

    def region(self, number: int) -> str:
        """Return where a planted lesion lies."""
        matches = (session.match(number) for session in self.lesions)
        return next((match.known.region for match in matches if match is not None), "")


def compare_people(dataset: Path, output_dir: Path) -> tuple[PersonRecovery, ...]:
    """Hold the results of all synthetic people against what is true.

    Parameters
    ----------
    dataset
        The dataset that `bids_msvol.demo` made.
    output_dir
        The results of measuring it.

    Returns
    -------
    tuple of PersonRecovery
        In order of label, also those without results.

    Raises
    ------
    NoInputError
        If one of the folders is not what it should be.
    DataError
        If a file is damaged.
    """
    known = load_known(dataset)
    measured = [person.label for person in known if has_finished_session(output_dir, person.label)]
    if not measured:
        raise NoInputError(
            f"holds no finished session of {', '.join(f'sub-{person.label}' for person in known)}",
            remedy=f"Measure {dataset} first, or give the folder of its results",
            subject=output_dir,
        )
    return tuple(
        compare_person(person, load_participant(output_dir, person.label) if person.label in measured else None)
        for person in known
    )


def compare_person(known: KnownPerson, outputs: ParticipantOutputs | None) -> PersonRecovery:
    """Hold the results of one person, if there are any, against what is true."""
    found = {session.label: session for session in outputs.sessions} if outputs is not None else {}
    lesions = tuple(compare_lesions(session, found.get(session.label)) for session in known.sessions)
    report = None if outputs is None else report_path(outputs.root, known.label)
    positions = range(len(known.sessions))
    return PersonRecovery(
        label=known.label,
        measured=tuple(session.label for session in known.sessions if session.label in found),
        sessions=tuple(session.label for session in known.sessions),
        volumes=tuple(
            (
                name,
                tuple(
                    VolumeRecovery(
                        total(session.volumes, "volume_mm3", name), _found_mm3(found.get(session.label), name)
                    )
                    for session in known.sessions
                ),
            )
            for name in (*MAIN_STRUCTURES, ETIV_NAME)
        ),
        pairs=tuple(
            _compare_pair(known, first, last, outputs, lesions)
            for first, last in (*pairwise(positions), *((0, last) for last in positions[2:]))
        ),
        lesions=lesions,
        cords=compare_cords(known.sessions, found),
        report=report if report is not None and report.exists() else None,
    )


def _found_mm3(session: SessionOutputs | None, name: str) -> float | None:
    return None if session is None else session.total_mm3(name)


def _compare_pair(
    known: KnownPerson,
    first: int,
    last: int,
    outputs: ParticipantOutputs | None,
    lesions: Sequence[LesionRecovery],
) -> PairRecovery:
    before, after = known.sessions[first], known.sessions[last]
    found = {session.label: session for session in outputs.sessions} if outputs is not None else {}
    earlier, later = found.get(before.label), found.get(after.label)
    start, end = (None if session is None else session.days for session in (earlier, later))
    rows = rows_of_pair(None if outputs is None else outputs.changes, before.label, after.label)
    return PairRecovery(
        before=before.label,
        after=after.label,
        days=None if start is None or end is None else end - start,
        changes=tuple(
            ChangeRecovery(
                name,
                percent_difference(*(total(session.volumes, "volume_mm3", name) for session in (before, after))),
                tuple(_found_pct(rows, earlier, method, name) for method in METHODS),
            )
            for name in PANELS
        ),
        activity=compare_activity(lesions[first], lesions[last], outputs),
        cord=compare_cord_change(before, after, outputs),
    )


def _found_pct(rows: pd.DataFrame | None, earlier: SessionOutputs | None, method: str, name: str) -> float | None:
    """Change by one method, made from volumes as in the reports: the percentages of two sides do not add up."""
    volume_mm3 = _found_mm3(earlier, name)
    change_mm3 = None if rows is None else total(rows[rows["method"] == method], "change_mm3", name)
    return None if change_mm3 is None or not volume_mm3 else 100.0 * change_mm3 / volume_mm3
