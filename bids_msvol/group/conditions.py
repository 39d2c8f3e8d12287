# SPDX-License-Identifier: Apache-2.0
"""Conditions such as ``new_t2>20``, by which scans or people are set apart."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bids_msvol.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|==|!=|<|>|=)\s*(.+?)\s*")
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "<=": operator.le, ">=": operator.ge, "==": operator.eq, "=": operator.eq, "!=": operator.ne,
        "<": operator.lt, ">": operator.gt,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """A comparison of a column with a value.

    Attributes
    ----------
    text
        As the user wrote it.
    column
        Of the sessions or the persons.
    sign
        ``<``, ``<=``, ``=``, ``==``, ``!=``, ``>=`` or ``>``.
    value
        A number, or a text with ``=``, ``==`` and ``!=``.
    """

    text: str
    column: str
    sign: str
    value: float | str

    def holds(self, values: pd.Series[Any]) -> pd.Series[bool]:
        """Return whether it holds, value by value; never where the value is missing."""
        found: pd.Series[bool] = _OPERATORS[self.sign](values, self.value).fillna(False).astype(bool)
        return found & values.notna()


def parse_condition(text: str, option: str = "--exclude-if") -> Condition:
    """Read a condition.

    Raises
    ------
    UsageError
        If it is not a column, a sign and a value, or compares a text by size.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a condition", remedy="Write it like new_t2>20 or site=B", subject=option)
    column, sign, word = match[1], match[2], match[3].strip("\"'")
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    value: float | str = word if math.isnan(number) else number
    if isinstance(value, str) and sign not in ("=", "==", "!="):
        raise UsageError(f"{word!r} is not a number", remedy=f"Compare {column} with a number", subject=option)
    return Condition(text, column, sign, value)


def meets(condition: Condition, sessions: pd.DataFrame, persons: pd.DataFrame) -> pd.Series[bool]:
    """Return for each session whether it, or its person, meets a condition.

    Raises
    ------
    UsageError
        If no table has the column.
    """
    values = sessions.get(condition.column)
    if condition.column in persons:
        of_person = persons[condition.column].reindex(sessions["participant_id"]).set_axis(sessions.index)
        # The age may be known at each session, or at the first one only.
        values = of_person if values is None else values.fillna(of_person)
    if values is None:
        known = ", ".join(sorted({*sessions.columns, *persons.columns} - {"participant_id"}))
        raise UsageError(
            f"there is no column {condition.column!r}", remedy=f"Use one of {known}", subject=condition.text
        )
    if isinstance(condition.value, str):
        values = values.astype(object)
    return condition.holds(values)
