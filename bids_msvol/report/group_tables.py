# SPDX-License-Identifier: Apache-2.0
"""Tables of the group level as a page shows them: few columns, few rows, and what must be said below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.bids.tabular import MISSING
from bids_msvol.group.results import DATA_SET
from bids_msvol.report.group_columns import NOTE_COLUMNS, Cell, Header, Shown, cell_of, header_of, merge_columns
from bids_msvol.report.group_families import is_p, is_q, number_or_none

if TYPE_CHECKING:
    from bids_msvol.group.result import ResultTable

MAX_ROWS = 30
"""Rows shown of a long table."""

WHOLE_ROWS = 40
"""A table of so many rows is shown whole."""

MAX_COLUMNS = 8
"""Columns shown."""

OPEN_ROWS = 16
"""A table of more rows is folded."""

MAX_NAMED = 4
"""Rows that are named where a sentence is about several."""

PERSON = "participant_id"
"""A table with this column is not shown: a report is passed on, and must not list people."""

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
    rows, chosen = _choose(result)
    merged = merge_columns(result.table.columns)
    filled = [one for one in merged if any(not cell_of(row, one).is_missing for row in rows)] or merged[:1]
    constants = [one for one in filled[1:] if len(result.rows) > 1 and _is_constant(one, result.rows)]
    kept = _fit([one for one in filled if one not in constants])
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


def _choose(result: ResultTable) -> tuple[list[Mapping[str, object]], str]:
    """Return the rows to show, with those of the second set of data below those they belong to, and how chosen."""
    names = [column.name for column in result.table.columns]
    if PERSON in names:
        return [], "It is about single persons, and in the file only."
    sets = _side_by_side(result)
    every = [row for rows in sets for row in rows]
    if len(every) <= WHOLE_ROWS:
        return every, ""
    kind = ""
    if "primary" in names and any(rows[0].get("primary") == "yes" for rows in sets):
        sets = [rows for rows in sets if rows[0].get("primary") == "yes"]
        kind = " of the primary tests"
    limit = MAX_ROWS // max(map(len, sets), default=1)
    by = next((name for name in names if is_p(name)), None)
    if len(sets) > limit and by is not None:
        p_values = [number_or_none(rows[0].get(by)) for rows in sets]
        order = sorted(range(len(sets)), key=lambda place: (p_values[place] is None, p_values[place] or 0.0, place))
        sets, kind = [sets[place] for place in order], f"{kind} with the smallest p"
    shown = [row for rows in sets[:limit] for row in rows]
    if kind:
        return shown, f"Of {len(every)} rows, {len(shown)}{kind} are shown."
    return shown, f"The first {len(shown)} of {len(every)} rows are shown."


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
    """Leave out columns if there are too many: from the end, first numbers that are no estimate, then checks."""
    counts = (place for place, one in enumerate(shown) if one.name == "n" or one.name.startswith("n_"))
    # What stands before the first count tells the rows apart.
    first = max(1, next(counts, 1))
    kept = list(shown)
    for spare in (_is_detail, _is_second):
        for one in reversed(shown[first:]):
            if len(kept) > MAX_COLUMNS and one in kept and one.name not in _ALWAYS and spare(one):
                kept.remove(one)
    return kept


def _is_detail(one: Shown) -> bool:
    return one.kind == "plain" and one.column.kind != "text" and not is_q(one.name)


def _is_second(one: Shown) -> bool:
    return one.kind not in ("interval", "spread") and one.column.kind != "text"


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
