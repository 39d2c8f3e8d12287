# SPDX-License-Identifier: Apache-2.0
"""What slopes on lesions, and their differences, rest on: the same without the person who has most influence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bids_msvol.group.analyses.lesion_regression import Line, fit_line
from bids_msvol.group.cells import as_float, has_number
from bids_msvol.group.checks import join_notes
from bids_msvol.group.wording import say_number, say_p
from bids_msvol.stats.multiplicity import benjamini_hochberg
from bids_msvol.stats.regression import COOK_SEVERE

RESTS = "_rests"
"""Cell, not written (see `bids_msvol.group.result.without_hidden`), with what a slope rests on, a `Rest`."""

DIFFERENCE_RESTS = "_difference_rests"
"""The same of a difference from the reference."""

NOTE, DIFFERENCE_NOTE = "_note", "_difference_note"
"""Cells, not written, with this in words."""

Row = dict[str, object]


@dataclass(frozen=True)
class Rest:
    """A result without one person.

    Attributes
    ----------
    person, group
        Who is left out, and from which group.
    cooks_distance
        The largest of the person's observations in the simple regression of the group.
    value, p
        Estimate and p value without the person; NaN if then there is none.
    """

    person: str
    group: str
    cooks_distance: float
    value: float
    p: float

    @property
    def is_severe(self) -> bool:
        """Whether Cook's distance is above 1."""
        return self.cooks_distance > COOK_SEVERE


def find_weightiest(line: Line) -> tuple[str, float] | None:
    """Return the person with the largest Cook's distance, and the distance; ``None`` if there is no line."""
    if line.influence is None:
        return None
    worst = int(np.argmax(line.influence.cooks_distance))
    return str(line.persons[worst]), float(line.influence.cooks_distance[worst])


def without_person(line: Line, person: str, many: str, level: float) -> Line:
    """Return the line without all observations of one person; arguments as for `fit_line`."""
    kept = line.persons != person
    return fit_line(line.y[kept], line.x[kept], line.persons[kept], many, level)


def choose_rest(rests: Iterable[Rest | None]) -> Rest | None:
    """Return the one with the largest Cook's distance of those above 1: several groups take part in a difference."""
    severe = [rest for rest in rests if rest is not None and rest.is_severe]
    return max(severe, key=lambda rest: rest.cooks_distance, default=None)


def add_notes(rows: Sequence[Row], p: str, q: str, family: str, alpha: float, *, of_difference: bool = False) -> None:
    """Add to the warnings of rows, once q values are known, on whom a result rests much or who decides it.

    A person decides if without that person p or q passes from one side of the threshold to the other, or nothing can
    be estimated; Cook's distance above 1 alone says that the estimate changes, not the conclusion.

    Parameters
    ----------
    rows
        With the cell `RESTS` or `DIFFERENCE_RESTS`; changed in place.
    p, q, family
        Names of the cells.
    alpha
        Below which p and q count.
    of_difference
        Whether the results are differences.
    """
    cell, note = (DIFFERENCE_RESTS, DIFFERENCE_NOTE) if of_difference else (RESTS, NOTE)
    for row in rows:
        rest = row.get(cell)
        if not isinstance(rest, Rest) or not rest.is_severe or not has_number(row, p):
            continue
        decides = math.isnan(rest.p) or (rest.p < alpha) != (as_float(row, p) < alpha)
        decides = decides or (_q_without(rows, row, rest.p, p, family) < alpha) != (as_float(row, q) < alpha)
        whom = f"{rest.person} of {rest.group}" if of_difference else rest.person
        without = "none can be estimated" if math.isnan(rest.p) else f"{say_number(rest.value)}, {say_p(rest.p)}"
        said = f"{'decided by' if decides else 'rests much on'} {whom} (without: {without})"
        row[note] = said
        row["warning"] = join_notes(str(row["warning"]), f"difference {said}" if of_difference else said)


def _q_without(rows: Sequence[Row], row: Row, p_without: float, p: str, family: str) -> float:
    """Return what q would be if this row had another p value, and all others of its family their own."""
    own = [one for one in rows if one is not row and one.get(family) == row[family]]
    others = [as_float(one, p) for one in own if has_number(one, p)]
    return float(benjamini_hochberg(np.array([p_without, *others]))[0])
