# SPDX-License-Identifier: Apache-2.0
"""One person's visits and relapses, put in order for the search for events."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from bids_msvol.clinical.definitions import ProgressionDefinition
from bids_msvol.clinical.scales import find_rule


@dataclass(frozen=True)
class Visit:
    """A value of a clinical scale.

    Attributes
    ----------
    day
        Days from any fixed day; may be negative.
    value
        The value; NaN if it was not taken.
    """

    day: float
    value: float


@dataclass(frozen=True)
class Relapse:
    """A relapse.

    Attributes
    ----------
    day
        The day on which it began, counted as for visits.
    """

    day: float


@dataclass(frozen=True)
class Course:
    """The visits and relapses of one person that a definition uses, by day.

    Attributes
    ----------
    days, values
        Of the visits, ascending.
    relapse_days
        Onsets of the relapses, ascending; ``None`` if they were not recorded.
    """

    days: tuple[float, ...]
    values: tuple[float, ...]
    relapse_days: tuple[float, ...] | None

    def days_since_relapse(self, visit: int) -> float:
        """Return the days from the last onset up to a visit; infinite if there is none."""
        relapses = self.relapse_days or ()
        earlier = bisect_right(relapses, self.days[visit])
        return self.days[visit] - relapses[earlier - 1] if earlier else math.inf

    def days_to_relapse(self, visit: int) -> float:
        """Return the days from a visit to the next onset; infinite if there is none."""
        return self.next_relapse(self.days[visit]) - self.days[visit]

    def next_relapse(self, day: float, *, beyond: bool = False) -> float:
        """Return the first onset from a day on, or beyond it; infinite if there is none."""
        relapses = self.relapse_days or ()
        later = (bisect_right if beyond else bisect_left)(relapses, day)
        return relapses[later] if later < len(relapses) else math.inf

    def relapse_within(self, first_day: float, last_day: float) -> bool:
        """Return whether a relapse began from one day to another, both included."""
        return self.next_relapse(first_day) <= last_day


def make_course(
    visits: Iterable[Visit], relapses: Iterable[Relapse] | None, definition: ProgressionDefinition
) -> Course:
    """Put visits and relapses in order and leave out what a definition does not use.

    Parameters
    ----------
    visits
        In any order. Of visits on one day the last in the list is used.
    relapses
        In any order; ``None`` if relapses were not recorded.
    definition
        Which scale it is, and how old a relapse may be.

    Raises
    ------
    ValueError
        If a value does not exist on the scale, or a day is not a number.
    """
    rule = find_rule(definition.rule)
    by_day: dict[float, float] = {}
    for visit in visits:
        _check_day(visit.day, "visit")
        if not math.isnan(visit.value):
            rule.check(visit.value)
            by_day[visit.day] = visit.value
    days = tuple(sorted(by_day))
    onsets = None
    if relapses is not None:
        onsets = tuple(sorted({relapse.day for relapse in relapses}))
        for onset in onsets:
            _check_day(onset, "relapse")
        if days:
            onsets = tuple(onset for onset in onsets if onset >= days[0] - definition.earlier_relapses_days)
    return Course(days, tuple(by_day[day] for day in days), onsets)


def _check_day(day: float, what: str) -> None:
    if not math.isfinite(day):
        raise ValueError(f"a {what} has the day {day:g}; days are finite numbers")
