# SPDX-License-Identifier: Apache-2.0
"""Read one clinical table: which columns there are, how their values are read, and by which names they may go."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bids_msvol.bids.clinical_records import (
    Cell,
    ClinicalSession,
    ClinicalVisit,
    Person,
    Record,
    Relapse,
    Source,
    Treatment,
)
from bids_msvol.bids.tabular import MISSING
from bids_msvol.errors import DataError, NoInputError

PHENOTYPES = ("HC", "RIS", "CIS", "RRMS", "SPMS", "PPMS", "NMOSD")

_MISSING = ("", "n/a")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
_FLAGS = {"0": False, "no": False, "false": False, "1": True, "yes": True, "true": True}


Parser = Callable[[str], Any]
"""Reads a value; raises ``ValueError`` with what is wrong and what to do."""


def _number(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        comma = _NUMBER.fullmatch(text.replace(",", "."))
        remedy = "Write it with a decimal point" if comma else "Write a number, or n/a for what is missing"
        raise ValueError(f"{text!r} is not a number", remedy)
    return value


def _whole(text: str) -> int:
    value = _number(text)
    if value != int(value):
        raise ValueError(
            f"{text!r} is not a whole number", "Write a number without decimals, or n/a for what is missing"
        )
    return int(value)


def _choice(choices: Mapping[str, Any], allowed: str) -> Parser:
    def parse(text: str) -> Any:
        if text.lower() not in choices:
            raise ValueError(f"{text!r} is not one of {allowed}", f"Write one of {allowed}, or n/a for what is missing")
        return choices[text.lower()]

    return parse


def _date(text: str) -> int:
    try:
        return datetime.fromisoformat(text).date().toordinal()
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date", "Write dates as 1867-03-02 or 1867-03-02T08:30:00") from error


def _label(prefix: str) -> Parser:
    def parse(text: str) -> str:
        if not re.fullmatch(rf"({prefix})?[0-9A-Za-z+]+", text):
            raise ValueError(f"{text!r} is not a label", f"Write {prefix} and letters or digits, such as {prefix}01")
        return prefix + text.removeprefix(prefix)

    return parse


def _phenotype(text: str) -> str:
    """Return a known phenotype as it is written here, such as RRMS for rrms and RR-MS; another as it is."""
    plain = re.sub(r"[\s_-]", "", text).upper()
    return plain if plain in PHENOTYPES else text


_KINDS: Mapping[str, Parser] = {
    "float | None": _number, "int | None": _whole, "str | None": str, "bool | None": _choice(_FLAGS, "0 and 1"),
}  # fmt: skip
_SPECIAL: Mapping[str, Parser] = {
    "participant_id": _label("sub-"), "session_id": _label("ses-"), "sex": _choice(_SEXES, "F, M, female and male"),
    "phenotype": _phenotype,
}  # fmt: skip
DAYS_OF = {"acq_time": "days", "date": "days", "start_date": "start_days", "end_date": "end_days"}
"""Columns with dates, and the days that they stand for."""


def _columns(record: type[Record], *dates: str) -> Mapping[str, Parser]:
    kinds = {name: str(one.type) for name, one in record.__dataclass_fields__.items() if name != "sources"}
    return {**{name: _SPECIAL.get(name) or _KINDS[kind] for name, kind in kinds.items()}, **dict.fromkeys(dates, _date)}


COLUMNS: Mapping[str, Mapping[str, Parser]] = MappingProxyType(
    {
        "participants": {**_columns(Person), "session_id": _SPECIAL["session_id"]},
        "sessions": _columns(ClinicalSession, "acq_time"),
        "ms_visits": _columns(ClinicalVisit, "date"),
        "ms_relapses": _columns(Relapse, "date", "end_date"),
        "ms_treatments": _columns(Treatment, "start_date", "end_date"),
    }
)
"""Columns of each table and how they are read. Dates may stand for days everywhere; those of a person must be shifted
alike. In ``participants``, every column of ``sessions`` may be given as ``<column>_<session>``, such as edss_M12; or
the table has a column ``session_id`` and a row for each session, and then all columns of ``sessions``; or the dataset
has no sessions, and then they are about the only session of the person."""

OF_ROW = ""
"""Stands for the session of the row, where that of a wide column would stand."""

ONLY_SESSION = MISSING
"""Stands for the session of a person in a dataset without sessions, likewise."""


@dataclass
class Row:
    """One row: its number, its values by our names, and those of wide columns by session."""

    number: int
    cells: dict[str, Cell]
    wide: dict[str, dict[str, Cell]]


class Tables:
    """Reads tables by the names of a map, and remembers which columns were not used and which names were found."""

    def __init__(self, map_file: Path | None) -> None:
        self.unused: list[Source] = []
        self.map_file = map_file
        self.renamed = {} if map_file is None else _read_map(map_file)
        self.found: set[tuple[str, str]] = set()

    def read(self, path: Path, root: Path, table: str, labels: frozenset[str] = frozenset()) -> list[Row]:
        """Read a table; ``labels`` are those of sessions that may end the name of a wide column."""
        lines, file = _lines(path), path.relative_to(root).as_posix()
        header = [name.strip() for name in lines[0].split("\t")]
        key = "session_id" if table == "sessions" else "participant_id"
        twice = next((name for name in header if header.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"has several columns {twice!r}", remedy="Give each column its own name", subject=path)
        targets = [self._target(name, table, labels) for name in header]
        if table == "participants" and ("session_id", None) in targets:
            targets = [self._target_of(OF_ROW, *pair) for pair in zip(header, targets, strict=True)]
        elif table == "participants" and not labels and all(target is None or target[1] is None for target in targets):
            targets = [
                target or self._target_of(ONLY_SESSION, name) for name, target in zip(header, targets, strict=True)
            ]
        if (key, None) not in targets:
            raise DataError(
                f"has no column {key} (its columns: {', '.join(header)[:200]})",
                remedy="Add it, with tabs between the columns, or say in the map of columns how it is called",
                subject=f"{path}, row 1",
            )
        self.unused += [Source(file, 1, name) for name, target in zip(header, targets, strict=True) if target is None]
        rows = []
        for number, line in enumerate(lines[1:], 2):
            texts = [text.strip() for text in line.split("\t")]
            if not any(texts):
                continue
            while len(texts) > len(header) and not texts[-1]:
                texts.pop()  # spreadsheets leave tabs at the ends of lines
            if len(texts) != len(header):
                raise DataError(
                    f"has {len(texts)} cells, and the header has {len(header)}",
                    remedy="Put one tab between two cells, and n/a where a value is missing",
                    subject=f"{path}, row {number}",
                )
            row = Row(number, {}, {})
            for name, target, text in zip(header, targets, texts, strict=True):
                if target is not None and text not in _MISSING:
                    ours, label = target
                    cells = row.cells if label is None else row.wide.setdefault(label, {})
                    parse = COLUMNS[table if label is None else "sessions"][ours]
                    cells[ours] = Cell(_parse(parse, text, path, number, name), Source(file, number, name))
            if OF_ROW in row.wide:
                label = row.cells["session_id"].value if "session_id" in row.cells else None
                _move(row, label, path)
            if key not in row.cells:
                raise DataError(
                    "is empty", remedy="Fill it in or remove the row", subject=f"{path}, row {number}, column {key}"
                )
            rows.append(row)
        return rows

    def _target(self, name: str, table: str, labels: frozenset[str]) -> tuple[str, str | None] | None:
        """Return what a column holds and, if wide, of which session; ``None`` if it is not used."""
        ours = self._ours(name, table)
        if ours in COLUMNS[table]:
            return ours, None
        base, _, label = name.rpartition("_")
        ours = self._ours(base, table)
        known = f"ses-{label}" in labels or label[-1:].isdigit()
        if table == "participants" and label.isalnum() and known and ours in COLUMNS["sessions"]:
            return ours, f"ses-{label}"
        return None

    def _target_of(
        self, session: str, name: str, target: tuple[str, str | None] | None = None
    ) -> tuple[str, str | None] | None:
        """Return what a column of the table of participants holds if columns of sessions are about this one."""
        ours = self._ours(name, "participants")
        belongs = ours in COLUMNS["sessions"] and ours not in ("participant_id", "session_id")
        return (ours, session) if belongs else target

    def _ours(self, name: str, table: str) -> str:
        renamed = self.renamed.get(table, {})
        if name in renamed:
            self.found.add((table, name))
        # A column of our own name gives way to the one that the map names.
        return renamed.get(name, "" if name in renamed.values() else name)

    def check_map(self) -> None:
        """Check that every column which the map names was found."""
        for table, renamed in self.renamed.items():
            for theirs, ours in renamed.items():
                if (table, theirs) not in self.found:
                    raise DataError(
                        f"says that {ours} is called {theirs!r} in {table}, which has no such column",
                        remedy="Correct the name or remove the entry",
                        subject=self.map_file,
                    )


def _move(row: Row, label: str | None, path: Path) -> None:
    """Give the values of a row's session to that session."""
    if label is None:
        raise DataError("is empty", remedy="Fill it in", subject=f"{path}, row {row.number}, column session_id")
    row.wide.setdefault(label, {}).update(row.wide.pop(OF_ROW))


def _parse(parse: Parser, text: str, path: Path, row: int, column: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        problem, remedy = error.args
        raise DataError(problem, remedy=remedy, subject=f"{path}, row {row}, column {column}") from error


def _lines(path: Path) -> list[str]:
    """Read the lines of a text file, with or without byte order mark and with any line ends."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise NoInputError(f"cannot be read ({error.strerror})", remedy="Check the file", subject=path) from error
    except UnicodeDecodeError as error:
        raise DataError(
            "is not UTF-8 text", remedy="Save it as text separated by tabs, encoded as UTF-8", subject=path
        ) from error
    if not text.strip():
        raise DataError("is empty", remedy="Fill it in or remove it", subject=path)
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _read_map(path: Path) -> dict[str, dict[str, str]]:
    """Return, for each table, our names of columns by the names in the file."""
    remedy = 'Write it as {"participants": {"sex": "Gender"}}: tables, and in each our names and those in your file'
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise NoInputError(f"cannot be read ({error.strerror})", remedy="Check the path", subject=path) from error
    except ValueError as error:
        raise DataError(f"is not JSON ({error})", remedy=remedy, subject=path) from error
    if not isinstance(content, dict) or not all(isinstance(names, dict) for names in content.values()):
        raise DataError("is not a map of columns", remedy=remedy, subject=path)
    for table, names in content.items():
        if table not in COLUMNS:
            raise DataError(f"names the table {table!r}", remedy=f"Use {', '.join(COLUMNS)}", subject=path)
        known = {**COLUMNS[table], **(COLUMNS["sessions"] if table == "participants" else {})}
        for ours, theirs in names.items():
            if ours not in known:
                raise DataError(
                    f"names {ours!r} in {table}, which is no column of ours",
                    remedy=f"Use {', '.join(known)}",
                    subject=path,
                )
            if not isinstance(theirs, str):
                raise DataError(f"gives {ours} in {table} a name that is no text", remedy=remedy, subject=path)
        if len(set(names.values())) < len(names):
            raise DataError(f"gives two columns of {table} one name", remedy=remedy, subject=path)
    return {table: {theirs: ours for ours, theirs in names.items()} for table, names in content.items()}
