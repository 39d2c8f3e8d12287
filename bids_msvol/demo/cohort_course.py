# SPDX-License-Identifier: Apache-2.0
"""The clinical course of a simulated person: visits, relapses, and an EDSS whose events are planned before it is drawn.

Every event is planned so that it can be read in one way only: the EDSS stays on one level, or half a point above it,
between events; it leaves it by what counts from there, and stays where it went.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bids_msvol.demo.cohort_shape import Clinic

DAYS_PER_YEAR = 365.25

VISIT_JITTER_DAYS = 10
"""Visits are planned every half year; each is up to so many days early or late."""

MISSED_VISITS = 0.05
"""Share of the visits between two scans that do not take place."""

LONGER_FOLLOWED, LONGER_YEARS = 0.85, 1.0
"""Share of people who are seen for longer than they are scanned, and for how long: their last worsening can be
confirmed, that of the others cannot."""

CONFIRMED_AFTER_DAYS = 161
"""A visit so long after a change confirms it: 24 weeks, a week early at most."""

CONFIRMED_WITHIN_DAYS = 898
"""So long after it, it still does."""

CALM_DAYS = 30
"""So long after a relapse a visit confirms nothing, and is no baseline."""

RELAPSE_WINDOW_DAYS = 90
"""A worsening up to so long after a relapse is due to it."""

APART_DAYS = 30
"""Relapses are at least so far apart, or they are one."""

HIGHEST_WORSENING = 7.5
"""From here on no worsening is planned."""

FLUCTUATION, HIGHEST_FLUCTUATING = 0.25, 4.5
"""Share of visits with half a point more, and the highest level at which there are such: at 5.0 and above it would
count."""

RAMP = 0.7
"""Share of worsenings without relapse that begin with half a point at the visit before."""

STEROID_GAP_DAYS = 60
"""No relapse so shortly before a scan is treated with steroids."""

Kind = Literal["PIRA", "RAW", "undefined", "CDI"]


@dataclass(frozen=True)
class PlannedEvent:
    """A lasting change of the EDSS.

    Attributes
    ----------
    kind
        Worsening without (PIRA) or with (RAW) relapse, neither (undefined), or improvement (CDI).
    day
        The visit at which it is first seen.
    confirmed
        Whether a later visit can confirm it.
    """

    kind: Kind
    day: float
    confirmed: bool


@dataclass(frozen=True)
class PlannedRelapse:
    """A relapse: day of its onset, day of its end, and whether it was treated with intravenous steroids."""

    day: float
    end_day: float
    steroids: bool


@dataclass
class Course:
    """What happens to a person in the clinic.

    Attributes
    ----------
    days, edss
        Of the visits.
    relapses
        By day; those before the first visit have negative days.
    events
        By day; one that no visit can confirm comes last.
    """

    days: list[float]
    edss: list[float]
    relapses: list[PlannedRelapse]
    events: list[PlannedEvent] = field(default_factory=list)


def edss_step(level: float) -> float:
    """Return by how much the EDSS must rise from a level to count: 1.5 from 0, 1 from 1 to 5, 0.5 from 5.5 on."""
    if level == 0.0:
        return 1.5
    return 1.0 if level <= 5.0 else 0.5


def plan_visits(years: int, rng: np.random.Generator) -> list[float]:
    """Return days of visits, every half year from day 0; those of the yearly scans are never missed."""
    if years == 0:
        return [0.0]
    last = 2 * years + (round(2 * LONGER_YEARS) if rng.random() < LONGER_FOLLOWED else 0)
    jitter = rng.integers(-VISIT_JITTER_DAYS, VISIT_JITTER_DAYS + 1, last + 1)
    missed = rng.random(last + 1) < MISSED_VISITS
    planned = [round(number * DAYS_PER_YEAR / 2.0) + int(jitter[number]) for number in range(last + 1)]
    planned[0] = 0
    return [float(day) for number, day in enumerate(planned) if not (missed[number] and number % 2 == 1 and number > 1)]


def plan_relapses(clinic: Clinic, years: int, rng: np.random.Generator) -> list[float]:
    """Return the days of relapses from a year before the first visit to the end of follow-up."""
    own = rng.gamma(clinic.frailty, 1.0 / clinic.frailty)
    before = -rng.uniform(APART_DAYS, DAYS_PER_YEAR, rng.poisson(own * clinic.relapses_before))
    length = years + LONGER_YEARS if years else 0.0
    after = rng.uniform(0.0, length * DAYS_PER_YEAR, rng.poisson(own * clinic.relapses_per_year * length))
    days: list[float] = []
    for day in sorted(np.rint([*before, *after]).tolist()):
        if not days or day - days[-1] >= APART_DAYS:
            days.append(day)
    return days


def plan_course(
    clinic: Clinic, visits: list[float], relapses: list[float], scans: list[float], rng: np.random.Generator
) -> Course:
    """Plan events and draw the EDSS.

    Parameters
    ----------
    clinic
        Rates.
    visits, relapses
        Days, ascending.
    scans
        Days of scans; relapses shortly before one are not treated with steroids, so that it can be used.
    rng
        Source of chance.
    """
    days = [day for day in relapses if day <= visits[-1]]
    target = -1
    if clinic.certain:
        target, days = _place_certain(clinic.certain, visits, days, rng)
    level = _first_level(clinic, rng)
    plan = _Plan(visits, days, level)
    plan.follow(clinic, target, rng)
    treated = rng.random(len(days)) < clinic.steroids
    lasts = rng.integers(14, 60, len(days))
    return Course(
        days=visits,
        edss=plan.edss,
        relapses=[
            PlannedRelapse(day, day + float(last), bool(drug) and not _followed_by_scan(day, scans))
            for day, last, drug in zip(days, lasts, treated, strict=True)
        ],
        events=plan.events,
    )


def _followed_by_scan(day: float, scans: list[float]) -> bool:
    return any(0.0 <= scan - day <= STEROID_GAP_DAYS for scan in scans)


def _first_level(clinic: Clinic, rng: np.random.Generator) -> float:
    low, high = clinic.edss_range
    value = round(2.0 * float(np.clip(rng.normal(*clinic.edss), low, high))) / 2.0
    # There is no 0.5 on the scale.
    return value if value != 0.5 else 1.0


def _place_certain(
    kind: str, visits: list[float], relapses: list[float], rng: np.random.Generator
) -> tuple[int, list[float]]:
    """Choose the visit of the one worsening of a person, and make room for it among the relapses."""
    possible = [
        number
        for number in range(2, len(visits))
        if any(visits[number] + CONFIRMED_AFTER_DAYS <= day for day in visits[number + 1 :])
    ]
    target = int(rng.choice(possible))
    day = visits[target]
    confirmed = next(other for other in visits[target + 1 :] if other >= day + CONFIRMED_AFTER_DAYS)
    # The baseline must be free of relapses, too.
    kept = [one for one in relapses if one < -CALM_DAYS or (one > CALM_DAYS and not _near(one, day, confirmed))]
    if kind == "RAW":
        kept = sorted([*kept, day - float(rng.integers(10, RELAPSE_WINDOW_DAYS - 10))])
    return target, kept


def _near(relapse: float, event: float, confirmed: float) -> bool:
    return event - RELAPSE_WINDOW_DAYS - APART_DAYS <= relapse <= confirmed + APART_DAYS + CALM_DAYS


class _Plan:
    """The EDSS of one person as it is laid out, visit by visit."""

    def __init__(self, visits: list[float], relapses: list[float], level: float) -> None:
        self.visits = visits
        self.relapses = relapses
        self.level = level
        self.edss = [level] * len(visits)
        self.events: list[PlannedEvent] = []
        self.reference = next((number for number in range(len(visits)) if self._calm(number)), len(visits))

    def follow(self, clinic: Clinic, target: int, rng: np.random.Generator) -> None:
        """Go through the visits and plant events; ``target`` is that of a certain one, or -1."""
        chance = rng.random((len(self.visits), 3)).tolist()
        number = 0
        while number < len(self.visits):
            if number <= self.reference:
                self.edss[number] = self.level
                number += 1
                continue
            kind = self._choose(clinic, number, target, chance[number][0])
            if kind is None:
                number = self._pass(clinic, number, chance[number])
                continue
            if kind == "PIRA" and chance[number][1] < RAMP:
                self._begin_ramp(number)
            number = self._plant(kind, number)

    def _choose(self, clinic: Clinic, number: int, target: int, chance: float) -> Kind | None:
        if clinic.certain:
            return clinic.certain if number == target else None
        years = (self.visits[number] - self.visits[number - 1]) / DAYS_PER_YEAR
        confirming = self._confirming(number)
        # A rise that cannot be confirmed, though one seen later could be, would be taken for that one.
        later = range(number + 1, len(self.visits))
        ambiguous = confirming is None and any(self._confirming(other) is not None for other in later)
        can_rise = self.level < HIGHEST_WORSENING and not ambiguous
        since = self._since_relapse(number)
        if since <= RELAPSE_WINDOW_DAYS:
            # A visit in the window that is not the first after the relapse shows what the first one showed.
            fresh = since < self.visits[number] - self.visits[number - 1]
            return "RAW" if fresh and can_rise and chance < clinic.lasting else None
        if can_rise and chance < clinic.pira_per_year * years:
            if self._relapse_within(self.visits[number], self.visits[number] + CALM_DAYS):
                return "undefined"
            end = number if confirming is None else confirming
            # In doubt about the windows around the confirmation nothing is planted.
            calm = not self._relapse_within(self.visits[end] - RELAPSE_WINDOW_DAYS, self.visits[end] + CALM_DAYS)
            return "PIRA" if calm else None
        improves = 2.0 <= self.level <= 5.0 and confirming is not None
        return "CDI" if improves and chance > 1.0 - clinic.improvement_per_year * years else None

    def _pass(self, clinic: Clinic, number: int, chance: list[float]) -> int:
        """Draw the EDSS of a visit without event: the level, half a point more, or a rise with a relapse that passes.

        Returns the number of the visit from which events may be planted again.
        """
        fluctuates = 1.0 <= self.level <= HIGHEST_FLUCTUATING
        last = number == len(self.visits) - 1
        after_relapse = self._since_relapse(number) <= RELAPSE_WINDOW_DAYS
        if after_relapse and not last and not clinic.certain and chance[1] < clinic.passing:
            self.edss[number] = min(self.level + edss_step(self.level), 9.5)
            self.edss[number + 1] = self.level
            return number + 2
        self.edss[number] = self.level + (0.5 if fluctuates and chance[2] < FLUCTUATION else 0.0)
        return number + 1

    def _begin_ramp(self, number: int) -> None:
        half = self.level + (1.0 if self.level == 0.0 else 0.5)
        if number - 1 > self.reference and half - self.level < edss_step(self.level):
            at_level = self.edss[number - 1] - self.level < edss_step(self.level)
            self.edss[number - 1] = half if at_level else self.edss[number - 1]

    def _plant(self, kind: Kind, number: int) -> int:
        """Move the level for good; return the first visit after the one that confirms it."""
        confirming = self._confirming(number)
        self.level += -1.0 if kind == "CDI" else edss_step(self.level)
        self.events.append(PlannedEvent(kind, self.visits[number], confirming is not None))
        end = len(self.visits) if confirming is None else confirming + 1
        for later in range(number, end):
            self.edss[later] = self.level
        if confirming is not None:
            self.reference = confirming
        return end

    def _calm(self, number: int) -> bool:
        return self._since_relapse(number) >= CALM_DAYS

    def _since_relapse(self, number: int) -> float:
        earlier = bisect_right(self.relapses, self.visits[number])
        return self.visits[number] - self.relapses[earlier - 1] if earlier else math.inf

    def _relapse_within(self, first: float, last: float) -> bool:
        later = bisect_left(self.relapses, first)
        return later < len(self.relapses) and self.relapses[later] <= last

    def _confirming(self, number: int) -> int | None:
        """Return the first visit that can confirm a change seen at another."""
        day = self.visits[number]
        found = (
            later
            for later in range(number + 1, len(self.visits))
            if CONFIRMED_AFTER_DAYS <= self.visits[later] - day <= CONFIRMED_WITHIN_DAYS and self._calm(later)
        )
        return next(found, None)
