# SPDX-License-Identifier: Apache-2.0
"""Read the clinical tables of a cohort, in days and with the source of each value.

Dates are turned into days as soon as they are read; no date is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bids_msvol.bids.clinical_columns import COLUMNS, DAYS_OF, Row, Tables
from bids_msvol.bids.clinical_records import (
    MEASURES,
    SAME_DAY,
    AnyRecord,
    Cell,
    ClinicalSession,
    ClinicalVisit,
    Cohort,
    Person,
    Relapse,
    Repeated,
    Treatment,
)
from bids_msvol.errors import DataError, NoInputError

DATE_TOLERANCE_DAYS = 1.5
"""``days`` and the differences of dates may differ by less: rounding, and times around midnight."""


@dataclass
class _Draft:
    """What is known of one session or visit so far."""

    session_id: str | None
    cells: dict[str, Cell] = field(default_factory=dict)

    def is_on(self, day: Cell | None) -> bool:
        own = self.cells.get("days")
        return own is not None and day is not None and abs(float(own.value) - float(day.value)) < SAME_DAY


@dataclass
class _Notes:
    repeated: list[Repeated] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)


def read_cohort(bids_dir: Path, clinical_dir: Path | None = None, map_file: Path | None = None) -> Cohort:
    """Read all clinical tables of a dataset.

    Read are ``participants.tsv``, ``sub-XX/sub-XX_sessions.tsv`` and, in ``phenotype`` or another folder,
    ``ms_visits.tsv``, ``ms_relapses.tsv`` and ``ms_treatments.tsv``, with the columns of ``COLUMNS``. None of them must
    exist. Empty cells and ``n/a`` are missing. If a value is given twice for the same session or day, that of the
    sessions table is used, else that of ``ms_visits.tsv``, else that of ``participants.tsv``, else the upper one.

    Days count from day 0 of the column ``days``, whatever that is. Where there are dates instead, day 0 is the one that
    a session with both says, else the date of the first session, else that of the first visit. Times of day are not
    used.

    Parameters
    ----------
    bids_dir
        The dataset.
    clinical_dir
        Folder of the tables of visits, relapses and treatments instead of ``phenotype``.
    map_file
        JSON: for each table (``participants``, ``sessions``, ``ms_visits``, ``ms_relapses``, ``ms_treatments``) an
        object that gives the names which columns have in the file, such as ``{"participants": {"sex": "Gender"}}``.

    Raises
    ------
    NoInputError
        If a file or folder that was named does not exist.
    DataError
        If a table cannot be read, or holds a value that cannot be understood; file, row and column are named.
    """
    tables = Tables(map_file)
    events = _event_files(bids_dir, clinical_dir)
    folders = {path.name: path for path in sorted(bids_dir.glob("sub-*")) if path.is_dir()}
    sessions = {name: _session_drafts(tables, folder, bids_dir) for name, folder in folders.items()}
    labels = frozenset(str(draft.session_id) for drafts in sessions.values() for draft in drafts)

    table = bids_dir / "participants.tsv"
    people = tables.read(table, bids_dir, "participants", labels) if table.is_file() else []
    by_session = any("session_id" in row.cells for row in people)
    if not by_session:
        _check_single(people, "participant_id", table)
    rows_of = {
        name: tables.read(path, path.parents[1] if clinical_dir is None else path.parent, name)
        for name, path in events.items()
    }
    tables.check_map()

    notes = _Notes()
    persons = _join_rows(people, table, notes)
    ids = dict.fromkeys([*persons, *folders, *(_id(row) for rows in rows_of.values() for row in rows)])
    by_person = {kind: _by_person(rows) for kind, rows in rows_of.items()}
    drafts: dict[str, list[_Draft]] = {}
    for name in ids:
        own = {kind: rows.get(name, []) for kind, rows in by_person.items()}
        wide = persons[name].wide if name in persons else {}
        drafts[name] = _assemble(name, sessions.get(name, []), wide, own, notes)
    return Cohort(
        persons=tuple(
            _record(Person, name, persons[name].cells if name in persons else {})
            for name in dict.fromkeys([*persons, *folders])
        ),
        sessions=tuple(
            _record(ClinicalSession, name, one.cells, session_id=one.session_id)
            for name in ids
            for one in drafts[name]
            if one.session_id is not None
        ),
        visits=tuple(
            _record(ClinicalVisit, name, one.cells, session_id=one.session_id)
            for name in ids
            for one in drafts[name]
            if one.session_id is None or not MEASURES.isdisjoint(one.cells)
        ),
        relapses=_events(Relapse, rows_of.get("ms_relapses")),
        treatments=_events(Treatment, rows_of.get("ms_treatments")),
        repeated=tuple(notes.repeated),
        assumed_day_zero=tuple(notes.assumed),
        unused=tuple(tables.unused),
    )


def _join_rows(people: Iterable[Row], path: Path, notes: _Notes) -> dict[str, Row]:
    """Return one row for each participant; of a table with a row for each session, the first with all sessions.

    The age of such a row is that at its session, and of the first row also the participant's.
    """
    persons: dict[str, Row] = {}
    for row in people:
        name, session = _id(row), row.cells.pop("session_id", None)
        if session is not None:
            age = row.wide.setdefault(str(session.value), {}).get("age")
            if age is not None and name not in persons:
                row.cells["age"] = age
        first = persons.setdefault(name, row)
        if first is row:
            continue
        twice = first.wide.keys() & row.wide.keys()
        if twice or session is None:
            raise DataError(
                f"{name} with {', '.join(sorted(twice)) or 'no session'} is in row {first.number} already",
                remedy="Keep one row for each session",
                subject=f"{path}, row {row.number}",
            )
        first.wide.update(row.wide)
        for key, cell in row.cells.items():
            used = first.cells.setdefault(key, cell)
            if key != "participant_id" and used.value != cell.value:
                notes.repeated.append(Repeated(name, key, used, cell))
    return persons


def _session_drafts(tables: Tables, folder: Path, bids_dir: Path) -> list[_Draft]:
    """Return a person's sessions: those of the table, then those that have only a folder."""
    path = folder / f"{folder.name}_sessions.tsv"
    rows = tables.read(path, bids_dir, "sessions") if path.is_file() else []
    _check_single(rows, "session_id", path)
    drafts = [_Draft(row.cells["session_id"].value, row.cells) for row in rows]
    listed = {draft.session_id for draft in drafts}
    only_folders = [one.name for one in sorted(folder.glob("ses-*")) if one.is_dir() and one.name not in listed]
    return drafts + [_Draft(name) for name in only_folders]


def _event_files(bids_dir: Path, clinical_dir: Path | None) -> dict[str, Path]:
    if clinical_dir is not None and not clinical_dir.is_dir():
        raise NoInputError("is no folder", remedy="Check the path of the clinical tables", subject=clinical_dir)
    names = [name for name in COLUMNS if name.startswith("ms_")]
    own = {name: path for name in names if (path := bids_dir / "phenotype" / f"{name}.tsv").is_file()}
    if clinical_dir is None:
        return own
    given = {name: path for name in names if (path := clinical_dir / f"{name}.tsv").is_file()}
    if not given:
        raise DataError(
            f"holds none of {', '.join(f'{name}.tsv' for name in names)}",
            remedy="Name the tables so, or leave the folder out",
            subject=clinical_dir,
        )
    twice = next((name for name in given if name in own and not given[name].samefile(own[name])), None)
    if twice is not None:
        raise DataError(f"is there as well as {own[twice]}", remedy="Keep one of them", subject=given[twice])
    return {**own, **given}


def _assemble(
    name: str,
    drafts: list[_Draft],
    wide: Mapping[str, dict[str, Cell]],
    rows: Mapping[str, list[Row]],
    notes: _Notes,
) -> list[_Draft]:
    """Bring together what the tables say about one person, in the order in which they are believed."""
    visits = rows.get("ms_visits", [])
    of_sessions = [*(draft.cells for draft in drafts), *wide.values()]
    day_zero = _day_zero(of_sessions, visits)
    events = [row.cells for one in rows.values() for row in one]
    dated_only = any("acq_time" in cells for cells in of_sessions) and not any("days" in cells for cells in of_sessions)
    if dated_only and any(not {"days", "start_days"}.isdisjoint(cells) for cells in events):
        notes.assumed.append(name)
    for cells in [*of_sessions, *events]:
        _count_days(name, cells, day_zero, notes)
    times = ("days", "session_id")
    for label, cells in wide.items():
        # When a session was must be known before visits are matched with it.
        _merge(name, drafts, label, {key: cell for key, cell in cells.items() if key in times}, notes)
    for row in visits:
        session = row.cells.get("session_id")
        _merge(name, drafts, None if session is None else session.value, row.cells, notes)
    for label, cells in wide.items():
        _merge(name, drafts, label, {key: cell for key, cell in cells.items() if key not in times}, notes)
    return sorted(drafts, key=lambda draft: draft.cells["days"].value if "days" in draft.cells else float("inf"))


def _day_zero(sessions: Iterable[Mapping[str, Cell]], visits: Iterable[Row]) -> float | None:
    """Return the date of day 0, as a number; ``None`` if dates cannot be related to days."""
    cells = [one for one in sessions if "acq_time" in one or "days" in one]
    key = "acq_time"
    if not cells:
        cells = [row.cells for row in visits if "date" in row.cells or "days" in row.cells]
        key = "date"
    both = [one[key].value - one["days"].value for one in cells if key in one and "days" in one]
    if both:
        return float(both[0])
    if any("days" in one for one in cells):
        return None
    return min((float(one[key].value) for one in cells), default=None)


def _count_days(name: str, cells: dict[str, Cell], day_zero: float | None, notes: _Notes) -> None:
    """Put days in the place of dates."""
    for date, days in DAYS_OF.items():
        cell = cells.pop(date, None)
        if cell is None:
            continue
        if day_zero is None:
            if days in cells:
                continue
            raise DataError(
                "is a date, and nothing says on which date day 0 of this person is",
                remedy="Give days, or give a session of the person both days and acq_time, all dates shifted alike",
                subject=f"{cell.source.file}, row {cell.source.row}, column {cell.source.column}",
            )
        counted = Cell(float(cell.value) - day_zero, cell.source)
        if days not in cells:
            cells[days] = counted
        elif abs(counted.value - cells[days].value) >= DATE_TOLERANCE_DAYS:
            notes.repeated.append(Repeated(name, days, cells[days], counted))


def _merge(name: str, drafts: list[_Draft], session_id: str | None, cells: Mapping[str, Cell], notes: _Notes) -> None:
    """Add cells to the session or visit that they belong to; what it has already stays."""
    day = cells.get("days")
    draft = next((one for one in drafts if session_id is not None and one.session_id == session_id), None)
    if draft is None:
        # Two sessions of one day stay two.
        free = (one for one in drafts if session_id is None or one.session_id is None)
        draft = next((one for one in free if one.is_on(day)), None)
    if draft is None:
        draft = _Draft(session_id)
        drafts.append(draft)
    draft.session_id = draft.session_id or session_id
    on_day = draft.is_on(day)
    for key, cell in cells.items():
        if key not in draft.cells:
            draft.cells[key] = cell
        elif key not in ("participant_id", "session_id") and not (key == "days" and on_day):
            notes.repeated.append(Repeated(name, key, draft.cells[key], cell))


def _record(kind: type[AnyRecord], name: str, cells: Mapping[str, Cell], **values: Any) -> AnyRecord:
    known = {key: cell for key, cell in cells.items() if key in kind.__dataclass_fields__}
    values = {**{key: cell.value for key, cell in known.items()}, "participant_id": name, **values}
    return kind(sources={key: cell.source for key, cell in known.items()}, **values)


def _id(row: Row) -> str:
    return str(row.cells["participant_id"].value)


def _by_person(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(_id(row), []).append(row)
    return grouped


def _events(kind: type[AnyRecord], rows: list[Row] | None) -> tuple[AnyRecord, ...] | None:
    return None if rows is None else tuple(_record(kind, _id(row), row.cells) for row in rows)


def _check_single(rows: Iterable[Row], key: str, path: Path) -> None:
    first: dict[str, int] = {}
    for row in rows:
        label = str(row.cells[key].value)
        if label in first:
            raise DataError(
                f"{label} is in row {first[label]} already",
                remedy="Keep one row of it",
                subject=f"{path}, row {row.number}, column {row.cells[key].source.column}",
            )
        first[label] = row.number
