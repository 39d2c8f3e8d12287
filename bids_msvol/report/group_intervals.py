# SPDX-License-Identifier: Apache-2.0
"""Which columns of a table are the ends of an interval, and which estimate the interval belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bids_msvol.bids.tabular import Column
from bids_msvol.report.group_families import is_p, is_q

LOW, HIGH = "lo", "hi"
"""Words in the names of columns that hold the ends of an interval; ``lower`` and ``upper`` are names of groups."""

ESTIMATES = frozenset(
    {
        "adjusted_mean", "arr", "auc", "beta", "difference", "difference_mm2", "difference_pct", "dz", "effect",
        "estimate", "hr", "mean", "mean_mm2", "r", "rate", "rate_mm2_per_year", "ratio", "rho", "share", "slope",
        "survival",
    }
)  # fmt: skip
"""Names of estimates to which the columns ``ci_lo`` and ``ci_hi`` right of them can belong."""

_ONE_OR_OTHER = frozenset({"arr", "mean"})
"""Where a table has both, its interval is that of the one or of the other, from row to row."""

_ALIASES: Mapping[str, str] = MappingProxyType({"diff": "difference", "adj": "adjusted"})
"""Short forms of names of estimates in the names of their intervals."""


@dataclass(frozen=True)
class Interval:
    """Two columns that hold an interval.

    Attributes
    ----------
    low, high
        Columns of its ends.
    owner
        Column of the estimate; ``None`` if it is not known, or if the interval belongs to no estimate.
    stem
        What the names of the ends say of it (``null`` of ``null_lo``); empty for ``ci_lo``.
    """

    low: Column
    high: Column
    owner: Column | None
    stem: str


def find_intervals(columns: Sequence[Column]) -> tuple[Interval, ...]:
    """Return the intervals of a table.

    An end that names its estimate (`Column.interval_of`) belongs to that. Else the name decides: ``theil_sen_lo``
    belongs to ``theil_sen``, ``hl_ci_lo`` to the only number whose name begins or ends with ``hl``, and ``ci_lo`` to
    the nearest column left of it that has the name of an estimate. Nothing is guessed: without such a column the
    interval has no owner. Counts are never ends of intervals, nor do they have any.
    """
    by_name = {column.name: column for column in columns if column.kind == "number"}
    found = []
    for place, low in enumerate(columns):
        words = low.name.split("_")
        if LOW not in words or low.name not in by_name:
            continue
        high = by_name.get("_".join(HIGH if word == LOW else word for word in words))
        if high is not None:
            stem = "_".join(word for word in words if word not in (LOW, "ci"))
            before = [column for column in columns[:place] if column.name in by_name]
            found.append(Interval(low, high, _owner(low, stem, before, by_name), stem))
    return tuple(found)


def is_error(name: str) -> bool:
    """Say whether a column holds a standard error."""
    return "se" in (name.split("_")[0], name.split("_")[-1])


def _owner(low: Column, stem: str, before: Sequence[Column], by_name: Mapping[str, Column]) -> Column | None:
    if low.interval_of:
        return by_name.get(low.interval_of)
    if not stem:
        if by_name.keys() >= _ONE_OR_OTHER:
            return None
        return next((column for column in reversed(before) if column.name in ESTIMATES), None)
    stem = _ALIASES.get(stem, stem)
    if stem in by_name:
        return by_name[stem]
    named = [name for name in by_name if _has_words(name, stem.split("_")) and _can_be_estimate(name)]
    return by_name[named[0]] if len(named) == 1 else None


def _has_words(name: str, stem: list[str]) -> bool:
    words = name.split("_")
    return words[: len(stem)] == stem or words[-len(stem) :] == stem


def _can_be_estimate(name: str) -> bool:
    words = name.split("_")
    is_detail = is_p(name) or is_q(name) or is_error(name) or {"df", "n", "sd"} & {words[0], words[-1]}
    return not is_detail and not {LOW, HIGH} & set(words)
