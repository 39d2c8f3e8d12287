# SPDX-License-Identifier: Apache-2.0
"""How many tests were done together, for the statement on multiplicity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bids_msvol.group.result import Analysis, ResultTable

LEVEL = 0.05
"""Of the counts of small p and q values; nothing is decided by it."""


@dataclass(frozen=True)
class Family:
    """Tests that were corrected together; or, without q, p values that stand beside others as a check.

    Attributes
    ----------
    analysis, title
        Name and heading of the analysis.
    name
        What the tests have in common.
    n_tests
        How many gave a p value.
    n_small_p
        How many of them have p below 0.05.
    n_small_q
        How many have q below 0.05; ``None`` if they were not corrected.
    n_untested
        How many could not be done.
    """

    analysis: str
    title: str
    name: str
    n_tests: int
    n_small_p: int
    n_small_q: int | None
    n_untested: int

    @property
    def expected(self) -> float:
        """How many p values below 0.05 chance alone gives on average."""
        return LEVEL * self.n_tests

    @property
    def is_exploratory(self) -> bool:
        """Whether an uncorrected p value of it must be read as exploratory."""
        return self.n_tests > 1

    @property
    def is_corrected(self) -> bool:
        """Whether it has q values."""
        return self.n_small_q is not None


def find_families(analyses: Iterable[Analysis]) -> tuple[Family, ...]:
    """Return the families of all tests, in the order of the report."""
    return tuple(
        family for analysis in analyses for table in analysis.tables for family in families_of(analysis, table)
    )


def families_of(analysis: Analysis, result: ResultTable) -> tuple[Family, ...]:
    """Return the families of the tests of one table."""
    names = [column.name for column in result.table.columns]
    found = []
    for p_name in filter(is_p, names):
        q_name = q_of(p_name, names)
        groups: dict[str, list[Mapping[str, object]]] = {}
        for row in result.rows:
            groups.setdefault(_family(row, p_name, names, result.table.title), []).append(row)
        for name, rows in groups.items():
            tested = _distinct([row for row in rows if number_or_none(row.get(p_name)) is not None], p_name)
            p_values = [number_or_none(row.get(p_name)) for row in tested]
            q_values = [number_or_none(row.get(q_name)) for row in tested] if q_name else None
            found.append(
                Family(
                    analysis=analysis.name,
                    title=analysis.title,
                    name=name,
                    n_tests=len(tested),
                    n_small_p=_count_small(p_values),
                    n_small_q=None if q_values is None else _count_small(q_values),
                    n_untested=sum(number_or_none(row.get(p_name)) is None for row in rows),
                )
            )
    return tuple(family for family in found if family.n_tests)


def is_p(name: str) -> bool:
    """Say whether a column holds p values."""
    return name == "p" or name.startswith("p_")


def is_q(name: str) -> bool:
    """Say whether a column holds q values."""
    return name == "q" or name.startswith("q_")


def q_of(p_name: str, names: Iterable[str]) -> str | None:
    """Return the column with the q values of a column of p values; ``None`` if there is none."""
    wanted = ("q_bh", "q") if p_name == "p" else (f"q_{p_name[2:]}",)
    return next((name for name in wanted if name in set(names)), None)


def number_or_none(value: object) -> float | None:
    """Return a finite number as a float; ``None`` for all else."""
    if value is None or isinstance(value, str | bool):
        return None
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


def _family(row: Mapping[str, object], p_name: str, names: list[str], title: str) -> str:
    own = "family" if p_name == "p" else f"family_{p_name[2:]}"
    if own in names:
        return str(row.get(own) or title)
    base = str(row.get("family") or title)
    return base if p_name == "p" else f"{base}: {p_name[2:].replace('_', ' ')}"


def _distinct(rows: list[Mapping[str, object]], p_name: str) -> list[Mapping[str, object]]:
    """Leave out rows that repeat the test of another row, as those of each group repeat that between the groups."""
    if p_name == "p":
        return rows
    return list({(str(row.get("roi", number)), row.get(p_name)): row for number, row in enumerate(rows)}.values())


def _count_small(values: Iterable[float | None]) -> int:
    return sum(value is not None and value < LEVEL for value in values)
