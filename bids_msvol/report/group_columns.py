# SPDX-License-Identifier: Apache-2.0
"""Columns of the tables of the group level as a reader wants them: what belongs together stands in one cell."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from bids_msvol.bids.tabular import MISSING, Column, format_value
from bids_msvol.group.regions import region_label
from bids_msvol.group.results import DATA_SET
from bids_msvol.group.wording import say_number, say_p
from bids_msvol.report.group_families import LEVEL, is_p, is_q, number_or_none
from bids_msvol.report.wording import MINUS, NOT_APPLICABLE

NOTE_COLUMNS = ("warning", "assumptions", "family")
"""Columns with sentences, which stand below the table."""

MAX_LEVEL_LETTERS = 32
"""A value of a column is shown by its meaning if that is no longer."""

Kind = Literal["plain", "interval", "range", "persons", "spread", "quartiles", "share", "named"]
"""How the values of a cell are put together."""

_JOINED: Sequence[tuple[str, tuple[str, ...], Kind]] = (
    ("n_obs", ("n_sub",), "persons"),
    ("mean", ("sd",), "spread"),
    ("median", ("q1", "q3"), "quartiles"),
    ("count", ("percent",), "share"),
    ("label", ("unit",), "named"),
)
"""Columns that take others in, where a table has them all."""

_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "roi": "Region", "n_obs": "Obs.", "n_sub": "Persons", "n": "n", "n_excluded": "Left out", "df": "df",
        "beta": "Slope", "q_bh": "q", "r": "r", "rho": "rho", "z": "z", "t": "t", "f": "F", "r2": "R²",
        "se": "SE", "data_set": "Data", "hr": "Hazard ratio", "arr": "Relapses a year", "smd": "SMD", "p": "p",
        "q": "q",
    }
)  # fmt: skip
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "edss": "EDSS", "t2": "T2", "gd": "Gd", "neda": "NEDA", "neda3": "NEDA-3", "neda4": "NEDA-4", "ci": "CI",
        "auc": "AUC", "icc": "ICC", "etiv": "eTIV", "csa": "CSA", "sd": "SD", "pct": "%", "mm2": "mm²", "mm3": "mm³",
        "eta2": "η²", "dz": "Δz", "pira": "PIRA", "raw": "RAW", "se": "SE", "arr": "ARR", "ols": "OLS", "hc3": "HC3",
    }
)  # fmt: skip
_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "percent": "%",
        "mm^3": "mm³",
        "mm^2": "mm²",
        "year": "years",
        "mm^2/year": "mm² a year",
        "percent/year": "% a year",
    }
)
_EDGES = (("lo", "hi"), ("low", "high"), ("lower", "upper"))
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

    Intervals, spreads and numbers of persons join their estimates; standard errors beside intervals, and sentences,
    are left out; the first column names the row, and the set of data follows.
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
    for place, column in enumerate(given):
        high = _upper_edge(column.name, by_name)
        if not high:
            continue
        estimate = _estimate_of(column.name, given[:place], by_name)
        taken.add(high)
        if estimate and estimate not in leads and estimate not in taken:
            leads[estimate] = Shown(by_name[estimate], (column, by_name[high]), "interval")
            taken.add(column.name)
        elif estimate:
            taken.add(column.name)
        else:
            leads[column.name] = Shown(column, (by_name[high],), "range")
    if any(one.kind == "interval" for one in leads.values()):
        taken.update(name for name in by_name if _is_error(name))
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
    label = shown.label or label_of(column.name)
    if shown.kind == "interval":
        label += f" ({100 * level:g} % CI)"
    elif shown.kind == "range":
        label = f"{label_of(column.name.rpartition('_')[0])} range"
        meanings.append(shown.others[0].description)
    elif shown.kind == "persons":
        label, meanings = "n (persons)", ["Number of observations, and in brackets of persons."]
    elif shown.kind == "spread":
        label, meanings = "Mean (SD)", ["Mean, and standard deviation in brackets."]
    elif shown.kind == "quartiles":
        label, meanings = "Median [quartiles]", ["Median, and lower and upper quartile in brackets."]
    elif shown.kind == "share":
        label, meanings = "Number (%)", ["Number of persons, and per cent in brackets."]
    return Header(label, _UNITS.get(column.unit, column.unit), " ".join(meanings), column.kind != "text")


def cell_of(row: Mapping[str, object], shown: Shown, marked: frozenset[str] = frozenset()) -> Cell:
    """Return one cell; small values are marked in the columns ``marked``."""
    column = shown.column
    value = row.get(column.name)
    if column.kind == "text":
        text = _say_level(format_value(value, column), column)
        if _REGION_COLUMN.search(column.name):
            text = region_label(text)
        units = [format_value(row.get(other.name), other) for other in shown.others]
        text += "".join(f", {_UNITS.get(unit, unit)}" for unit in units if unit != MISSING)
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
    if not known or shown.kind in ("plain", "interval"):
        return Cell(text, True)
    words = [minus(f"{other:.0f}" if shown.kind in ("persons", "share") else say_number(other)) for other in known]
    brackets = {"spread": "({})", "persons": "({})", "share": "({} %)", "quartiles": "[{}]", "range": "to {}"}
    return Cell(f"{text} {brackets[shown.kind].format(' to '.join(words))}", True)


def label_of(name: str) -> str:
    """Return how a reader calls a column."""
    if name in _LABELS:
        return _LABELS[name]
    if is_p(name) or is_q(name):
        return f"{name[0]} {' '.join(_WORDS.get(word, word) for word in name.split('_')[1:])}"
    text = " ".join(_WORDS.get(word, word) for word in name.split("_"))
    return text if text[:1] == "n" and text[1:2] == " " else text[:1].upper() + text[1:]


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
    """Return what a short name means, where that is short as well."""
    meaning = column.levels.get(value, "").removesuffix(".")
    is_code = value not in ("yes", "no") and column.name != DATA_SET.name
    return meaning if is_code and 0 < len(meaning) <= MAX_LEVEL_LETTERS else value


def _upper_edge(name: str, by_name: Mapping[str, Column]) -> str:
    stem, _, last = name.rpartition("_")
    for low, high in _EDGES:
        other = f"{stem}_{high}" if stem else high
        if last == low and other in by_name:
            return other
    return ""


def _estimate_of(low: str, before: Sequence[Column], by_name: Mapping[str, Column]) -> str:
    """Return the column that an interval belongs to: by its name, or without one the number before it."""
    stem = low.rpartition("_")[0].removesuffix("ci").rstrip("_")
    if stem:
        if stem in by_name:
            return stem
        named = [c.name for c in before if c.name.endswith(f"_{stem}") or c.name.startswith(f"{stem}_")]
        return next((name for name in reversed(named) if by_name[name].kind != "text" and not _is_edge(name)), "")
    for column in reversed(before):
        is_test = is_p(column.name) or is_q(column.name) or column.name.startswith("df")
        if column.kind == "number" and not is_test and not _is_error(column.name) and not _is_edge(column.name):
            return column.name
    return ""


def _is_edge(name: str) -> bool:
    return name.rpartition("_")[2] in {edge for edges in _EDGES for edge in edges}


def _is_error(name: str) -> bool:
    return name == "se" or name.endswith("_se") or name.startswith("se_")


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
