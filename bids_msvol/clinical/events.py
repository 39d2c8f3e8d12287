# SPDX-License-Identifier: Apache-2.0
"""Events of disability in a person's visits: confirmed worsening (CDW: PIRA, RAW) and confirmed improvement (CDI)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from bids_msvol.clinical.course import Course, Relapse, Visit, make_course
from bids_msvol.clinical.definitions import ProgressionDefinition
from bids_msvol.clinical.scales import Rule, find_rule

Kind = Literal["CDW", "CDI"]
"""Confirmed disability worsening, confirmed disability improvement."""

Association = Literal["PIRA", "RAW", "undefined"]
"""Progression independent of relapse activity, relapse-associated worsening, neither."""


@dataclass(frozen=True)
class Event:
    """A worsening or an improvement.

    Attributes
    ----------
    kind
        Worsening or improvement.
    association
        How a worsening relates to relapses; ``None`` for an improvement, and where relapses were not recorded.
    day, value
        The visit at which it was first seen.
    baseline_day, baseline_value
        What it was compared with. The value may be that of an earlier baseline (``baseline_never_better``).
    confirmation_day, confirmation_value
        The visit that first confirmed it; ``None`` if no visit can.
    pira_confirmation_day
        The first visit that confirmed it as a PIRA: one with no relapse in the windows.
    sustained_days
        Days from the event to the last visit of the unbroken run that holds it.
    sustained_to_end
        Whether that is the last visit of all.
    """

    kind: Kind
    association: Association | None
    day: float
    value: float
    baseline_day: float
    baseline_value: float
    confirmation_day: float | None
    confirmation_value: float | None
    pira_confirmation_day: float | None
    sustained_days: float
    sustained_to_end: bool


@dataclass(frozen=True)
class History:
    """What a person's visits show.

    Attributes
    ----------
    events
        By day.
    unconfirmed
        A worsening that lasts to the end of follow-up and that no visit can confirm, if its truth is left open.
    visit_days
        Days of the visits that were used, ascending.
    last_confirmable_day
        The last visit at which an event could have begun and been confirmed: where a person without event is censored.
        ``None`` if there is none.
    stopped_day
        The first worsening, if the search ended with it: later days were not searched.
    """

    events: tuple[Event, ...]
    unconfirmed: Event | None
    visit_days: tuple[float, ...]
    last_confirmable_day: float | None
    stopped_day: float | None


@dataclass(frozen=True)
class _Change:
    """A visit that differs from the baseline, and what follows.

    Attributes
    ----------
    kind
        In which direction.
    baseline, onset
        Numbers of the visits.
    reference
        Value of the baseline.
    confirming
        Numbers of the visits that confirm it; empty if none does.
    end
        Number of the first later visit that does not hold the change.
    """

    kind: Kind
    baseline: int
    onset: int
    reference: float
    confirming: tuple[int, ...]
    end: int


def find_events(
    visits: Iterable[Visit], relapses: Iterable[Relapse] | None, definition: ProgressionDefinition
) -> History:
    """Find the events of one person.

    Visits are scanned in order of time. One that differs enough from the baseline is an event if the next visit in the
    confirmation window, and every visit before that one, differ as much in the same direction.

    Parameters
    ----------
    visits
        In any order. Of visits on one day the last in the list is used.
    relapses
        In any order; ``None`` if relapses were not recorded, which is not the same as none.
    definition
        What counts.

    Raises
    ------
    ValueError
        If a value does not exist on the scale, or a day is not a number.

    References
    ----------
    The order of the steps is that of the R package msprog 1.0: Montobbio et al. 2024, Multiple Sclerosis Journal,
    doi 10.1177/13524585241243157.
    """
    course = make_course(visits, relapses, definition)
    rule = find_rule(definition.rule)
    # By visit: the search may come to a visit twice, with two baselines. The later baseline counts.
    events: dict[int, Event] = {}
    unconfirmed: Event | None = None
    baseline, start, reference = 0, 1, math.nan
    while (placed := _first_usable(course, baseline, definition)) is not None:
        baseline, start = placed, max(start, placed + 1)
        reference = _reference(course.values[baseline], reference, rule, definition)
        onset = _first_change(course, reference, start, rule)
        if onset is None:
            if definition.stop_if_unchanged or not definition.rebaseline_at_relapse:
                break
            baseline = _behind_relapse(course, baseline)
            start = baseline + 1
            continue
        if _relapse_between(course, baseline, onset, definition):
            start = onset
        else:
            change = _follow(course, baseline, reference, onset, rule, definition)
            if _is_event(course, change, definition):
                events[onset] = _event(course, change, definition)
                if change.kind == "CDW" and definition.select == "first_worsening":
                    break
            elif change.kind == "CDW" and change.end == len(course.days):
                unconfirmed = unconfirmed or _event(course, change, definition)
            baseline, start = _after(course, change, definition)
            if baseline != change.baseline:
                reference = math.nan
        if start < len(course.days) and _relapse_between(course, baseline, start, definition):
            baseline = _behind_relapse(course, baseline)
            start = baseline + 1
    return _history(course, events, unconfirmed, definition)


def _first_usable(course: Course, visit: int, definition: ProgressionDefinition) -> int | None:
    """Return the first visit from one on that may be a baseline: not soon after a relapse."""
    usable = (
        number
        for number in range(visit, len(course.days))
        if course.days_since_relapse(number) >= definition.baseline_after_relapse_days
    )
    return next(usable, None)


def _reference(value: float, former: float, rule: Rule, definition: ProgressionDefinition) -> float:
    """Return the value to compare with; ``former`` is NaN unless the baseline stayed or moved behind a relapse."""
    if not definition.baseline_never_better or math.isnan(former):
        return value
    return max(value, former) if rule.higher_is_worse else min(value, former)


def _first_change(course: Course, reference: float, start: int, rule: Rule) -> int | None:
    """Return the first visit from one on that differs enough from the reference, in either direction."""
    changed = (
        number
        for number in range(start, len(course.days))
        if rule.worsened(reference, course.values[number]) or rule.improved(reference, course.values[number])
    )
    return next(changed, None)


def _relapse_between(course: Course, baseline: int, visit: int, definition: ProgressionDefinition) -> bool:
    """Return whether the baseline must move behind a relapse before a visit is judged.

    A visit still so close to the relapse that it may be a RAW is judged first.
    """
    if not definition.rebaseline_at_relapse:
        return False
    onset = course.next_relapse(course.days[baseline], beyond=True)
    return onset + definition.raw_after_relapse_days < course.days[visit]


def _behind_relapse(course: Course, baseline: int) -> int:
    """Return the first visit from the next relapse on; one beyond the last visit if there is none."""
    relapse_day = course.next_relapse(course.days[baseline], beyond=True)
    behind = (number for number, day in enumerate(course.days) if day >= relapse_day)
    return next(behind, len(course.days))


def _follow(
    course: Course, baseline: int, reference: float, onset: int, rule: Rule, definition: ProgressionDefinition
) -> _Change:
    """Follow a change through the later visits."""
    worse = rule.worsened(reference, course.values[onset])
    holds: Callable[[float, float], bool] = rule.worsened if worse else rule.improved
    later = range(onset + 1, len(course.days))
    end = next((number for number in later if not holds(reference, course.values[number])), len(course.days))
    confirming = tuple(number for number in _candidates(course, onset, definition) if number < end)
    return _Change("CDW" if worse else "CDI", baseline, onset, reference, confirming, end)


def _candidates(course: Course, onset: int, definition: ProgressionDefinition) -> tuple[int, ...]:
    """Return the visits that may confirm a change: in the window, and not soon after a relapse."""
    first = course.days[onset] + definition.confirmation_days - definition.early_days
    last = course.days[onset] + definition.confirmation_days + definition.late_days
    return tuple(
        number
        for number in range(onset + 1, len(course.days))
        if first <= course.days[number] <= last
        and course.days_since_relapse(number) >= definition.confirmation_after_relapse_days
    )


def _is_event(course: Course, change: _Change, definition: ProgressionDefinition) -> bool:
    """Return whether a change counts: confirmed, lasting and asked for."""
    asked = change.kind == "CDW" or definition.select == "all"
    return asked and bool(change.confirming) and _sustained(course, change, definition)


def _sustained(course: Course, change: _Change, definition: ProgressionDefinition) -> bool:
    """Return whether a change lasts as long as it must."""
    if change.end == len(course.days):
        return True
    return course.days[change.end] - course.days[change.onset] >= definition.sustained_days


def _after(course: Course, change: _Change, definition: ProgressionDefinition) -> tuple[int, int]:
    """Return with which baseline, and from which visit on, the search goes on after a change."""
    if not change.confirming:
        return change.baseline, change.onset + 1
    mover = "roving_worsening" if change.kind == "CDW" else "roving_improvement"
    if definition.baseline in ("roving", mover):
        # Even after a change that was confirmed but did not last: its confirmation is the better baseline.
        return change.confirming[0], change.confirming[0] + 1
    return change.baseline, change.confirming[0] + 1 if definition.count_again else change.end


def _event(course: Course, change: _Change, definition: ProgressionDefinition) -> Event:
    onset, last = change.onset, change.end - 1
    # Without confirmation the windows around it are taken around the event.
    pira = [
        number
        for number in change.confirming or (onset,)
        if _free_of_relapses(course, change.baseline, onset, number, definition)
    ]
    association = _association(course, onset, bool(pira), definition) if change.kind == "CDW" else None
    confirmation = change.confirming[0] if change.confirming else None
    return Event(
        kind=change.kind,
        association=association,
        day=course.days[onset],
        value=course.values[onset],
        baseline_day=course.days[change.baseline],
        baseline_value=change.reference,
        confirmation_day=None if confirmation is None else course.days[confirmation],
        confirmation_value=None if confirmation is None else course.values[confirmation],
        pira_confirmation_day=course.days[pira[0]] if association == "PIRA" and change.confirming else None,
        sustained_days=course.days[last] - course.days[onset],
        sustained_to_end=change.end == len(course.days),
    )


def _association(course: Course, onset: int, free: bool, definition: ProgressionDefinition) -> Association | None:
    if course.relapse_days is None:
        return None
    if course.days_since_relapse(onset) <= definition.raw_after_relapse_days:
        return "RAW"
    if course.days_to_relapse(onset) <= definition.raw_before_relapse_days:
        return "RAW"
    return "PIRA" if free else "undefined"


def _free_of_relapses(
    course: Course, baseline: int, onset: int, confirmation: int, definition: ProgressionDefinition
) -> bool:
    visits = {"baseline": baseline, "previous": onset - 1, "event": onset, "confirmation": confirmation}
    anchors = {name: course.days[visit] for name, visit in visits.items()}
    return not any(
        course.relapse_within(anchors[window.start] + window.start_days, anchors[window.end] + window.end_days)
        for window in definition.relapse_free
    )


def _history(
    course: Course, events: dict[int, Event], unconfirmed: Event | None, definition: ProgressionDefinition
) -> History:
    found = [events[visit] for visit in sorted(events)]
    worsenings = [event.day for event in found if event.kind == "CDW"]
    if unconfirmed is not None and any(day > unconfirmed.day for day in worsenings):
        unconfirmed = None
    if unconfirmed is not None and definition.unconfirmed_last == "yes":
        found = sorted([*found, unconfirmed], key=lambda event: event.day)
    return History(
        events=tuple(found),
        unconfirmed=unconfirmed if definition.unconfirmed_last == "na" else None,
        visit_days=course.days,
        last_confirmable_day=_last_confirmable(course, definition),
        stopped_day=next(iter(worsenings), None) if definition.select == "first_worsening" else None,
    )


def _last_confirmable(course: Course, definition: ProgressionDefinition) -> float | None:
    baseline = _first_usable(course, 0, definition)
    if baseline is None:
        return None
    later = range(len(course.days) - 1, baseline, -1)
    return next((course.days[visit] for visit in later if _candidates(course, visit, definition)), None)
