# SPDX-License-Identifier: Apache-2.0
"""Columns of the tables of the group level as a reader wants them: what belongs together stands in one cell."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bids_msvol.bids.tabular import MISSING, Column, format_value
from bids_msvol.group.regions import region_label
from bids_msvol.group.results import DATA_SET
from bids_msvol.group.wording import say_number, say_p
from bids_msvol.report.group_families import LEVEL, is_p, is_q, number_or_none
from bids_msvol.report.group_intervals import Interval, find_intervals, is_error
from bids_msvol.report.group_words import INTERVAL_LABELS, label_of, say_code, say_symbols, say_unit
from bids_msvol.report.wording import MINUS, NOT_APPLICABLE

NOTE_COLUMNS = ("warning", "assumptions", "family")
"""Columns with sentences, which stand below the table."""

MAX_LEVEL_LETTERS = 64
"""A value of a column is shown by its meaning if that is no longer."""

Kind = Literal["plain", "interval", "range", "persons", "spread", "quartiles", "share", "share interval", "named"]
"""How the values of a cell are put together."""

_BRACKETS = {
    "spread": "({})", "persons": "({})", "share": "({} %)", "share interval": "({} %)", "quartiles": "[{}]",
    "range": "to {}",
}  # fmt: skip

_JOINED: Sequence[tuple[str, tuple[str, ...], Kind]] = (
    ("n_obs", ("n_sub",), "persons"),
    ("mean", ("sd",), "spread"),
    ("median", ("q1", "q3"), "quartiles"),
    ("count", ("percent",), "share"),
    ("label", ("unit",), "named"),
)
"""Columns that take others in, where a table has them all."""

_INTERVAL = "{interval}"
"""Stands in headings for the words that say the level of confidence."""

_REGION_COLUMN = re.compile(r"(^|_)(roi|region|structure|node)(_|$)")


@dataclass(frozen=True)
class Header:
    """Heading of a column: its label, unit, meaning, and whether it is of numbers."""

    label: str
    unit: str
    description: str
    is_number: bool


@dataclass(frozen=True)
class Cell:
    """One cell; ``is_small`` marks a q (without one, p) below 0.05."""

    text: str
    is_number: bool
    is_small: bool = False

    @property
    def is_missing(self) -> bool:
        """Whether it says nothing."""
        return self.text in (MISSING, NOT_APPLICABLE)


@dataclass(frozen=True)
class Shown:
    """A column of the page: a column of the table with those that it takes in."""

    column: Column
    others: tuple[Column, ...] = ()
    kind: Kind = "plain"
    label: str = ""

    @property
    def name(self) -> str:
        """Name of the column that leads."""
        return self.column.name


def merge_columns(columns: Sequence[Column]) -> list[Shown]:
    """Return the columns of the page.

    An interval joins its estimate, and stands alone where that is not known (`find_intervals`). Spreads and numbers of
    persons join what they belong to; standard errors beside intervals, and sentences, are left out; the first column
    names the row, and the set of data follows.
    """
    given = [column for column in columns if not column.name.startswith(NOTE_COLUMNS)]
    if len(given) > 1 and given[0].name == DATA_SET.name:
        given[:2] = [given[1], given[0]]
    by_name = {column.name: column for column in given}
    leads: dict[str, Shown] = {}
    taken: set[str] = set()
    for name, others, kind in _JOINED:
        if name in by_name and all(other in by_name for other in others):
            leads[name] = Shown(by_name[name], tuple(by_name[other] for other in others), kind)
            taken.update(others)
    for interval in find_intervals(given):
        taken.add(interval.high.name)
        if interval.owner is not None and _join(interval.owner, (interval.low, interval.high), leads, taken):
            taken.add(interval.low.name)
        else:
            leads[interval.low.name] = Shown(interval.low, (interval.high,), "range", _label_alone(interval))
    if any(one.kind == "interval" for one in leads.values()):
        taken.update(name for name in by_name if is_error(name))
    shown = [leads.get(column.name, Shown(column)) for column in given if column.name not in taken]
    return _without_code(shown)


def header_of(shown: Shown, level: float) -> Header:
    """Return the heading of a column; ``level`` is that of the confidence intervals."""
    column = shown.column
    levels = {_say_level(name, column): meaning for name, meaning in column.levels.items()}
    said = "; ".join(
        f"{name}: {text}" for name, meaning in levels.items() if (text := meaning.rstrip(".")) != name and text
    )
    meanings = [column.description, f"{said}." if said else ""]
    label, unit = _label_and_unit(shown.label or label_of(column.name), say_unit(column.unit))
    interval = f"{100 * level:g} % CI"
    if shown.kind == "interval":
        label += f" ({interval})"
    elif shown.kind == "range":
        label = label.replace(_INTERVAL, interval)
        meanings.append(shown.others[0].description)
    elif shown.kind == "persons":
        label, meanings = "n (persons)", ["Number of observations, and in brackets of persons."]
    elif shown.kind == "spread":
        label, meanings = "Mean (SD)", ["Mean, and standard deviation in brackets."]
    elif shown.kind == "quartiles":
        label, meanings = "Median [quartiles]", ["Median, and lower and upper quartile in brackets."]
    elif shown.kind == "share":
        label, meanings = "Number (%)", ["Number of persons, and per cent in brackets."]
    elif shown.kind == "share interval":
        label = f"Number (%; {interval})"
        meanings = ["Number of persons, and per cent with its confidence interval in brackets."]
    return Header(label, unit, say_symbols(" ".join(meanings)), column.kind != "text")


def cell_of(row: Mapping[str, object], shown: Shown, marked: frozenset[str] = frozenset()) -> Cell:
    """Return one cell; small values are marked in the columns ``marked``."""
    column = shown.column
    value = row.get(column.name)
    if column.kind == "text":
        text = format_value(value, column)
        if _REGION_COLUMN.search(column.name):
            text = say_symbols(region_label(text))
        elif column.name == "unit":
            text = say_unit(text)
        else:
            text = _say_level(text, column)
        units = [format_value(row.get(other.name), other) for other in shown.others]
        text += "".join(f", {say_unit(unit)}" for unit in units if unit != MISSING)
        return Cell(NOT_APPLICABLE if text == MISSING else text, False)
    number = number_or_none(value)
    if number is None:
        # With a warning, the value could not be had; without, there is none for such a row.
        return Cell(MISSING if row.get("warning") else NOT_APPLICABLE, True)
    if is_p(column.name) or is_q(column.name):
        return Cell(say_p(number).removeprefix("p ").removeprefix("= "), True, column.name in marked and number < LEVEL)
    others = [number_or_none(row.get(other.name)) for other in shown.others]
    known = [other for other in others if other is not None]
    if shown.kind == "interval" and len(known) == 2:
        return Cell(show_estimate(number, *known), True)
    if column.kind == "integer":
        text = minus(str(round(number)))
    else:
        text = f"{number:.1f}".removesuffix(".0") if column.name.startswith("df") else minus(say_number(number))
    if shown.kind == "share interval" and len(known) == 3:
        return Cell(f"{text} ({known[0]:.0f} %; {known[1]:.0f} to {known[2]:.0f})", True)
    if not known or shown.kind in ("plain", "interval"):
        return Cell(text, True)
    counted = shown.kind in ("persons", "share", "share interval")
    words = [minus(f"{other:.0f}" if counted else say_number(other)) for other in known]
    return Cell(f"{text} {_BRACKETS[shown.kind].format(' to '.join(words))}", True)


def show_estimate(value: float, low: float, high: float) -> str:
    """Return an estimate with its interval, all with the digits that the width of the interval bears.

    Examples
    --------
    >>> show_estimate(0.01234, 0.0049, 0.0198)
    '0.0123 (0.0049 to 0.0198)'
    """
    half = (high - low) / 2.0
    if not math.isfinite(half) or half <= 0.0:
        texts = [say_number(number) for number in (value, low, high)]
    else:
        decimals = max(0, 1 - math.floor(math.log10(half)))
        texts = [_plain_zero(f"{number:.{decimals}f}") for number in (value, low, high)]
    return minus(f"{texts[0]} ({texts[1]} to {texts[2]})")


def minus(text: str) -> str:
    """Return numbers with minus signs."""
    return text.replace("-", MINUS)


def _say_level(value: str, column: Column) -> str:
    """Return what a short name means, where that is short as well; else the name in plain words."""
    if value in ("yes", "no", MISSING) or column.name == DATA_SET.name:
        return value
    meaning = column.levels.get(value, "").removesuffix(".")
    return say_symbols(meaning) if 0 < len(meaning) <= MAX_LEVEL_LETTERS else say_code(value, column.name)


def _join(owner: Column, ends: tuple[Column, Column], leads: dict[str, Shown], taken: set[str]) -> bool:
    """Put an interval beside its estimate, if that leads a column of its own or is the share of a number."""
    for name, one in leads.items():
        if one.kind == "share" and owner in one.others:
            leads[name] = Shown(one.column, (*one.others, *ends), "share interval")
            return True
    if owner.name in leads or owner.name in taken:
        return False
    leads[owner.name] = Shown(owner, ends, "interval")
    return True


def _label_and_unit(label: str, unit: str) -> tuple[str, str]:
    """Return a heading and its unit, which is said once."""
    if not unit.isalpha() and label.endswith(f" {unit}"):
        return label.removesuffix(f" {unit}"), unit
    return label, "" if label.casefold().endswith(unit.casefold()) else unit


def _label_alone(interval: Interval) -> str:
    """Return the heading of an interval that stands without an estimate."""
    if interval.stem in INTERVAL_LABELS:
        return INTERVAL_LABELS[interval.stem]
    return f"{label_of(interval.stem)}, {_INTERVAL}" if interval.stem else _INTERVAL


def _without_code(shown: list[Shown]) -> list[Shown]:
    """Leave out the short name of a variable where its label stands beside it."""
    for place, one in enumerate(shown[1:], 1):
        if one.name == "label" and shown[0].column.kind == "text":
            named = Shown(one.column, one.others, one.kind, label_of(shown[0].name))
            return [named, *shown[1:place], *shown[place + 1 :]]
    return shown


def _plain_zero(text: str) -> str:
    """Return a number without the sign of a zero."""
    return text.removeprefix("-") if float(text) == 0.0 else text
