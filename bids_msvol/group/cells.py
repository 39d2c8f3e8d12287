# SPDX-License-Identifier: Apache-2.0
"""Cells of tables of results, read again as numbers and put into words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real

from bids_msvol.group.regions import region_label
from bids_msvol.group.wording import say_interval, say_number, say_p

THICKNESS = "CorticalThickness"
"""Name of the mean cortical thickness of both sides among the regions."""

Row = Mapping[str, object]


def without_hidden(rows: Iterable[Row]) -> tuple[dict[str, object], ...]:
    """Return rows without the cells whose names begin with ``_``, which are needed on the way only."""
    return tuple({name: value for name, value in row.items() if not name.startswith("_")} for row in rows)


def as_float(row: Row, name: str) -> float:
    """Return a cell as a number; NaN if it is empty."""
    value = row.get(name)
    return float(value) if isinstance(value, Real) else math.nan


def as_count(row: Row, name: str) -> int:
    """Return a cell as a whole number; 0 if it is empty."""
    value = as_float(row, name)
    return int(value) if math.isfinite(value) else 0


def has_number(row: Row, name: str = "p") -> bool:
    """Whether a cell holds a number; whether a row was tested, if that is asked of its p value."""
    return math.isfinite(as_float(row, name))


def say_cell(row: Row, name: str, digits: int = 3) -> str:
    """Return a number as `say_number` does."""
    return say_number(as_float(row, name), digits)


def interval_of(
    row: Row, level: float, low: str = "ci_lo", high: str = "ci_hi", *, factor: float = 1.0, digits: int = 3
) -> str:
    """Return the interval of a row as `say_interval` does, times a factor, such as 100 for per cent."""
    return say_interval(factor * as_float(row, low), factor * as_float(row, high), level, digits)


def say_chance(row: Row, name: str = "p", symbol: str = "p") -> str:
    """Return a p or q value as `say_p` does."""
    return say_p(as_float(row, name), symbol)


def say_chances(row: Row, p: str = "p", q: str = "q_bh") -> str:
    """Return ``p = 0.012, q = 0.08``."""
    return f"{say_chance(row, p)}, {say_chance(row, q, 'q')}"


def structure_label(name: str) -> str:
    """Return how a reader calls a region, a row of the tables of volumes, or the cortical thickness."""
    return "Mean cortical thickness" if name == THICKNESS else region_label(name)


def say_region(row: Row) -> str:
    """Return the region of a row within a sentence: ``whole brain``."""
    return structure_label(str(row["roi"])).lower()
