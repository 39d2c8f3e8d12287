# SPDX-License-Identifier: Apache-2.0
"""Tables of the group level as a page shows them: few columns, few rows, and what must be said below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.bids.tabular import MISSING
from bids_msvol.group.results import DATA_SET
from bids_msvol.report.group_columns import NOTE_COLUMNS, Cell, Header, Shown, cell_of, header_of, merge_columns
from bids_msvol.report.group_families import is_p, is_q

if TYPE_CHECKING:
    from bids_msvol.group.result import ResultTable

MAX_ROWS = 30
"""Rows shown of a long table."""

WHOLE_ROWS = 40
"""A table of so many rows is shown whole."""

MAX_COLUMNS = 8
"""Columns shown."""

MAX_CELL_LETTERS = 200
"""A column with a longer text is in the file only."""

OPEN_ROWS = 16
"""A table of more rows is folded."""

MAX_NAMED = 4
"""Rows that are named where a sentence is about several."""

PERSON = "participant_id"
"""A table with this column is not shown: a report is passed on, and must not list people."""

WITHOUT_PERSON = "without sub-"
"""So begins what the column ``data`` says of an analysis that was repeated without a person."""

_MEASURE = "_measure"
"""Ends the name of a column that says what the numbers of another are: ``effect_measure`` those of ``effect``."""

_FOUND = ("arr", "difference", "observed")
"""Numbers that are what was found, also where they have no interval or share one with another."""

_SUMMARIES = ("interval", "spread", "quartiles", "share interval", "range")
"""Cells of several numbers, which are kept where single numbers are not."""

_ALWAYS = ("p", "q_bh", "n_obs", "n_sub", "n")
"""Columns that are shown however many there are."""


@dataclass(frozen=True)
class Row:
    """One row: its cells, and the letter of the note that belongs to it, or an empty text."""

    cells: tuple[Cell, ...]
    note: str


@dataclass(frozen=True)
class PageTable:
    """A table as the page shows it.

    Attributes
    ----------
    number
        Tables are counted through the page.
    title, file_name, description
        As declared.
    headers, rows
        What is shown; the first column names the row.
    n_rows
        Rows of the file.
    chosen
        In words, which of them are shown; empty if all.
    constants
        Name and value of columns that say the same in every row, and are not shown.
    notes
        Letter and text of the warnings.
    assumptions
        What was checked, after the rows that it is about; these are empty if it is about all.
    n_hidden
        Number of columns that are in the file only.
    has_small
        Whether any cell is marked.
    """

    number: int
    title: str
    file_name: str
    description: str
    headers: tuple[Header, ...]
    rows: tuple[Row, ...]
    n_rows: int
    chosen: str
    constants: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]
    assumptions: tuple[tuple[str, str], ...]
    n_hidden: int
    has_small: bool

    @property
    def sentence(self) -> str:
        """What stands in the place of a table without rows or with one column; empty for all others."""
        if not self.n_rows:
            return "It has no rows."
        if self.rows and len(self.headers) == 1:
            values = "; ".join(dict.fromkeys(row.cells[0].text for row in self.rows))
            return f"{self.headers[0].label}: {values}."
        return "" if self.rows else self.chosen

    @property
    def is_open(self) -> bool:
        """Whether it is short enough to be shown at once."""
        return len(self.rows) <= OPEN_ROWS


def place_table(result: ResultTable, number: int, *, level: float = 0.95) -> PageTable:
    """Return a table as the page shows it.

    Parameters
    ----------
    result
        Table and rows.
    number
        Its number in the page.
    level
        Of the confidence intervals.
    """
    rows, others, chosen = _choose(result)
    merged = merge_columns(result.table.columns)
    filled = [one for one in merged if _is_said(one, rows)] or merged[:1]
    constants = [one for one in filled[1:] if len(result.rows) > 1 and _is_constant(one, others)]
    varied = [one for one in filled if one not in constants]
    kept = _fit(varied)
    lost = {f"{one.name}{_MEASURE}" for one in varied if one not in kept}
    constants = [one for one in constants if one.name not in lost]
    marked = _marked(kept)
    texts = dict.fromkeys(text for row in rows if (text := _sentence(row, "warning")))
    letters = {text: _letter(order) for order, text in enumerate(texts)}
    cells = [tuple(cell_of(row, one, marked) for one in kept) for row in rows]
    return PageTable(
        number=number,
        title=result.table.title,
        file_name=result.table.file_name,
        description=result.table.description,
        headers=tuple(header_of(one, level) for one in kept),
        rows=tuple(
            Row(content, letters.get(_sentence(row, "warning"), "")) for row, content in zip(rows, cells, strict=True)
        ),
        n_rows=len(result.rows),
        chosen=chosen,
        constants=tuple((header_of(one, level).label, cell_of(rows[0], one).text) for one in constants),
        notes=tuple((letter, text) for text, letter in letters.items()),
        assumptions=_assumptions(rows, kept),
        n_hidden=len(result.table.columns) - sum(1 + len(one.others) for one in (*kept, *constants)),
        has_small=any(cell.is_small for content in cells for cell in content),
    )


def _is_said(one: Shown, rows: Sequence[Mapping[str, object]]) -> bool:
    """Say whether a column has any value, and none so long that a cell cannot hold it."""
    texts = [cell.text for row in rows if not (cell := cell_of(row, one)).is_missing]
    return bool(texts) and max(map(len, texts)) <= MAX_CELL_LETTERS


def _choose(result: ResultTable) -> tuple[list[Mapping[str, object]], list[Mapping[str, object]], str]:
    """Return the rows to show, those that they were taken from, and how they were chosen.

    The order is that of the table, with those of the second set of data below the rows that they belong to. What was
    found decides nothing: to show the smallest p values would make chance look like a result.
    """
    names = [column.name for column in result.table.columns]
    if PERSON in names:
        return [], [], "It is about single persons, and in the file only."
    every = _side_by_side(result)
    sets = candidates = [rows for rows in every if not _is_left_out(rows[0])] or every
    said = []
    if len(sets) < len(every):
        said.append(
            f"{_count(every) - _count(sets)} rows of analyses repeated without one person are in the file only."
        )
    n_rows, kind = _count(sets), ""
    if n_rows > WHOLE_ROWS and "primary" in names and any(rows[0].get("primary") == "yes" for rows in sets):
        sets = [rows for rows in sets if rows[0].get("primary") == "yes"]
        kind = " of the primary tests"
    limit = MAX_ROWS // max(map(len, sets), default=1) if _count(sets) > WHOLE_ROWS else len(sets)
    shown = [row for rows in sets[:limit] for row in rows]
    if len(sets) > limit:
        said.insert(0, f"The first {len(shown)}{kind or f' of {n_rows} rows'} are shown, in the order of the file.")
    elif kind:
        said.insert(0, f"Of {n_rows} rows, the {len(shown)}{kind} are shown.")
    return shown, [row for rows in candidates for row in rows], " ".join(said)


def _count(sets: Sequence[Sequence[Mapping[str, object]]]) -> int:
    return sum(map(len, sets))


def _is_left_out(row: Mapping[str, object]) -> bool:
    """Say whether a row repeats an analysis without one person, which is no place for a report that is passed on."""
    return str(row.get("data") or "").startswith(WITHOUT_PERSON)


def _side_by_side(result: ResultTable) -> list[list[Mapping[str, object]]]:
    """Return rows, each together with that of the second set of data that belongs to it, if there is one."""
    if result.table.columns[0].name != DATA_SET.name:
        return [[row] for row in result.rows]
    first = [row for row in result.rows if row[DATA_SET.name] == "all"]
    second = [row for row in result.rows if row[DATA_SET.name] != "all"]
    if len(first) == len(second):
        return [list(pair) for pair in zip(first, second, strict=True)]
    names = [one.name for one in result.table.columns[1:] if one.kind == "text" and one.name not in NOTE_COLUMNS]
    sets: dict[tuple[str, ...], list[Mapping[str, object]]] = {}
    for row in result.rows:
        sets.setdefault(tuple(str(row.get(name)) for name in names), []).append(row)
    return list(sets.values())


def _is_constant(one: Shown, rows: Sequence[Mapping[str, object]]) -> bool:
    is_result = one.kind == "interval" or is_p(one.name) or is_q(one.name)
    if is_result or (one.column.kind == "number" and not one.name.startswith("df")):
        return False
    return len({cell_of(row, one).text for row in rows}) == 1


def _fit(shown: list[Shown]) -> list[Shown]:
    """Leave out columns if there are too many: from the end, first numbers that are no estimate, then checks.

    A column that says what a number is goes with the number, so that it cannot be read as the name of another; the
    number of a lower group goes with that of the upper.
    """
    counts = (place for place, one in enumerate(shown) if one.name == "n" or one.name.startswith("n_"))
    # What stands before the first count tells the rows apart.
    first = max(1, next(counts, 1))
    kept = list(shown)
    for spare in (_is_detail, _is_second):
        for one in reversed(shown[first:]):
            if len(kept) > MAX_COLUMNS and one in kept and one.name not in _ALWAYS and spare(one):
                partner = one.name.replace("upper", "lower")
                kept = [other for other in kept if other.name not in (one.name, partner, f"{one.name}{_MEASURE}")]
    return kept


def _is_detail(one: Shown) -> bool:
    is_number = one.kind == "plain" and one.column.kind != "text"
    return (one.kind == "range" and one.name != "ci_lo") or (
        is_number and not is_q(one.name) and one.name not in _FOUND
    )


def _is_second(one: Shown) -> bool:
    return one.kind not in _SUMMARIES and one.column.kind != "text" and one.name not in _FOUND


def _marked(shown: Sequence[Shown]) -> frozenset[str]:
    return frozenset(one.name for one in shown if is_q(one.name)) or frozenset(
        one.name for one in shown if is_p(one.name)
    )


def _sentence(row: Mapping[str, object], name: str) -> str:
    text = " ".join(str(row.get(name) or "").split())
    return "" if text == MISSING else text


def _assumptions(rows: Sequence[Mapping[str, object]], shown: Sequence[Shown]) -> tuple[tuple[str, str], ...]:
    """Return each thing that was checked, after the rows it was found in."""
    names = [one for one in shown if one.column.kind == "text"][:3]
    found: dict[str, list[str]] = {}
    for row in rows:
        text = _sentence(row, "assumptions")
        if text:
            cells = [cell_of(row, one) for one in names]
            found.setdefault(text, []).append(", ".join(cell.text for cell in cells if not cell.is_missing))
    return tuple(("" if len(where) == len(rows) else _say_rows(where), text) for text, where in found.items())


def _say_rows(names: Sequence[str]) -> str:
    named = list(dict.fromkeys(names))
    more = f"; and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    return "; ".join(named[:MAX_NAMED]) + more


def _letter(order: int) -> str:
    """Return a, b, ... z, aa, ab, ... for 0, 1, ..."""
    text = ""
    order += 1
    while order:
        order, rest = divmod(order - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
