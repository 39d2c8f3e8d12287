# SPDX-License-Identifier: Apache-2.0
"""Hand-worked courses: what is an event, when it is confirmed, against which baseline, and what relapses make of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_msvol.clinical.course import Relapse, Visit
from bids_msvol.clinical.definitions import DEFINITIONS, ProgressionDefinition
from bids_msvol.clinical.edss import EDSS_SCORES
from bids_msvol.clinical.events import Event, History, find_events
from tests.clinical.persons import events, history, label


@pytest.mark.parametrize(
    ("rule", "before", "after", "counts"),
    [
        ("seed", 0.0, 1.0, False), ("seed", 0.0, 1.5, True), ("trial", 0.0, 1.0, True), ("msbase", 0.0, 1.0, False),
        ("seed", 5.0, 5.5, False), ("seed", 5.0, 6.0, True),
        ("seed", 5.5, 6.0, True), ("msbase", 5.5, 6.0, False), ("trial", 5.5, 6.0, False), ("trial", 5.5, 6.5, True),
        ("seed", 6.0, 6.5, True), ("msbase", 6.0, 6.5, True), ("trial", 6.0, 6.5, True),
    ],
)  # fmt: skip
def test_which_change_counts(rule: str, before: float, after: float, counts: bool) -> None:
    """The rules differ at 0 and at 5.5."""
    assert events({0: before, 100: after, 300: after}, rule=rule) == ([("PIRA", 100)] if counts else [])


@pytest.mark.parametrize(("day", "confirms"), [(260, False), (261, True), (352, True), (353, False)])
def test_edges_of_the_confirmation_window(day: float, confirms: bool) -> None:
    """168 days, up to 7 early and 84 late: the first and the last day of the window confirm, those beside it do not."""
    found = events({0: 2.0, 100: 3.0, day: 3.0}, late_days=84.0)
    assert found == ([("PIRA", 100)] if confirms else [])


def test_every_visit_in_between_must_hold() -> None:
    """A dip before the confirmation undoes the event; the change after it is another, with its own confirmation."""
    assert events({0: 2.0, 100: 3.0, 300: 2.5}) == []
    assert events({0: 2.0, 100: 3.0, 200: 2.5, 300: 3.0}) == []
    assert events({0: 2.0, 100: 3.0, 200: 2.5, 300: 3.0, 500: 3.0}) == [("PIRA", 300)]
    assert events({0: 2.0, 100: 3.5, 200: 3.0, 300: 4.0}) == [("PIRA", 100)]


@pytest.mark.parametrize(("relapse", "confirmed_on"), [(270, 300), (271, 400)])
def test_no_confirmation_soon_after_a_relapse(relapse: float, confirmed_on: float) -> None:
    """30 days after its onset a visit confirms, 29 days after it does not; the next one does."""
    (event,) = history({0: 2.0, 100: 3.0, 300: 3.0, 400: 3.0}, (relapse,)).events
    assert event.confirmation_day == confirmed_on


@pytest.mark.parametrize(("relapse", "found"), [(-30, []), (-29, [("PIRA", 160)])])
def test_no_baseline_soon_after_a_relapse(relapse: float, found: list[tuple[str, float]]) -> None:
    """30 days after its onset the first visit is the baseline; 29 days after the next visit is, which is better."""
    assert events({0: 4.0, 60: 3.0, 160: 4.0, 400: 4.0}, (relapse,)) == found


def test_details_of_an_event() -> None:
    """The visit, the baseline, the confirmation, and how long it lasted."""
    assert history({0: 2.0, 100: 3.5, 300: 3.0, 400: 4.0, 500: 2.0}).events[0] == Event(
        kind="CDW", association="PIRA", day=100, value=3.5, baseline_day=0, baseline_value=2.0, confirmation_day=300,
        confirmation_value=3.0, pira_confirmation_day=300, sustained_days=300, sustained_to_end=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("baseline", "found"),
    [
        ("fixed", [("CDI", 100)]),
        ("roving", [("CDI", 100), ("PIRA", 400)]),
        ("roving_improvement", [("CDI", 100), ("PIRA", 400)]),
        ("roving_worsening", [("CDI", 100)]),
    ],
)
def test_improvement_then_worsening(baseline: str, found: list[tuple[str, float]]) -> None:
    """The return to the first value is a worsening only if the improvement moved the baseline."""
    assert events({0: 4.0, 100: 3.0, 300: 3.0, 400: 4.0, 600: 4.0}, baseline=baseline) == found


@pytest.mark.parametrize(
    ("baseline", "found"),
    [
        ("fixed", [("PIRA", 100)]),
        ("roving", [("PIRA", 100), ("PIRA", 400)]),
        ("roving_improvement", [("PIRA", 100)]),
        ("roving_worsening", [("PIRA", 100), ("PIRA", 400)]),
    ],
)
def test_two_steps_of_worsening(baseline: str, found: list[tuple[str, float]]) -> None:
    """The second step is an event only if the first moved the baseline."""
    assert events({0: 2.0, 100: 3.0, 300: 3.0, 400: 4.0, 600: 4.0}, baseline=baseline) == found


def test_a_change_that_lasts_counts_once_unless_asked() -> None:
    """Against a fixed baseline a lasting change is one event; msprog counts it again after each confirmation."""
    course = {0: 2.0, 100: 3.0, 300: 3.0, 400: 3.0, 600: 3.0}
    assert events(course, baseline="fixed") == [("PIRA", 100)]
    assert events(course, baseline="fixed", count_again=True) == [("PIRA", 100), ("PIRA", 400)]


def test_first_worsening_only() -> None:
    """Improvements are not listed, though they move the baseline; nothing is searched after the worsening."""
    course = {0: 4.0, 100: 3.0, 300: 3.0, 400: 4.0, 600: 4.0, 700: 5.0, 900: 5.0}
    found = history(course, select="first_worsening")
    assert [(label(event), event.day) for event in found.events] == [("PIRA", 400)]
    assert found.stopped_day == 400
    assert history(course).stopped_day is None


@pytest.mark.parametrize(
    ("sustained_days", "found"),
    [(0.0, [100]), (300.0, [100]), (301.0, []), (math.inf, [])],
)
def test_sustained(sustained_days: float, found: list[float]) -> None:
    """A change held from day 100 until a better visit on day 400 lasts 300 days."""
    course = {0: 2.0, 100: 3.0, 300: 3.0, 400: 2.0}
    got = events(course, baseline="fixed", sustained_days=sustained_days)
    assert [day for _, day in got] == found


def test_sustained_to_the_end_suffices() -> None:
    """A change that every later visit holds lasts long enough, however soon follow-up ends."""
    (event,) = history({0: 2.0, 100: 3.0, 300: 3.0}, sustained_days=math.inf).events
    assert event.sustained_to_end
    assert event.sustained_days == 200


def test_a_change_that_does_not_last_still_moves_a_roving_baseline() -> None:
    """It was confirmed on day 300, so the return on day 400 is an improvement against that visit."""
    course = {0: 2.0, 100: 3.0, 300: 3.0, 400: 2.0, 600: 2.0}
    assert events(course, sustained_days=math.inf) == [("CDI", 400)]
    assert events(course, sustained_days=math.inf, baseline="fixed") == []


@pytest.mark.parametrize(
    ("relapse", "found"),
    [
        (109, "PIRA"), (110, "RAW"), (200, "RAW"), (201, "undefined"), (230, "undefined"), (231, "PIRA"),
        (309, "PIRA"), (310, "undefined"), (430, "undefined"), (431, "PIRA"),
    ],
)  # fmt: skip
def test_edges_of_the_windows(relapse: float, found: str) -> None:
    """Worse on day 200, confirmed on day 400: RAW up to 90 days after a relapse; for a PIRA none from 90 days before
    to 30 days after both visits."""
    assert events({0: 2.0, 200: 3.0, 400: 3.0}, (relapse,)) == [(found, 200)]


@pytest.mark.parametrize(("relapse", "found"), [(230, "RAW"), (231, "PIRA")])
def test_raw_before_a_relapse(relapse: float, found: str) -> None:
    """On request a worsening up to 30 days before a relapse is a RAW too."""
    assert events({0: 2.0, 200: 3.0, 400: 3.0}, (relapse,), raw_before_relapse_days=30.0) == [(found, 200)]


def test_a_later_confirmation_can_make_it_pira() -> None:
    """A relapse too near to the first confirmation, but not to the second."""
    (event,) = history({0: 2.0, 200: 3.0, 400: 3.0, 500: 3.0}, (310,)).events
    assert (event.association, event.confirmation_day, event.pira_confirmation_day) == ("PIRA", 400, 500)


@pytest.mark.parametrize(
    ("name", "relapse", "found"),
    [
        ("kappos2020", -1, "PIRA"), ("kappos2020", 0, "undefined"), ("kappos2020", 230, "undefined"),
        ("kappos2020", 231, "PIRA"), ("kappos2020", 369, "PIRA"), ("kappos2020", 370, "undefined"),
        ("kappos2020", 430, "undefined"), ("kappos2020", 431, "PIRA"),
        ("mueller2023", 231, "PIRA"), ("mueller2023", 310, "undefined"),
        ("mueller2025", 99, "PIRA"), ("mueller2025", 100, "undefined"), ("mueller2025", 201, "PIRA"),
        ("mueller2025", 569, "PIRA"), ("mueller2025", 570, "undefined"), ("mueller2025", 601, "PIRA"),
        ("portaccio2025", 230, "undefined"), ("portaccio2025", 231, "PIRA"), ("portaccio2025", 310, "PIRA"),
    ],
)  # fmt: skip
def test_windows_of_published_definitions(name: str, relapse: float, found: str) -> None:
    """The same course, each time with one relapse, and without moving the baseline behind it."""
    confirmation = 600 if name == "mueller2025" else 400
    course = {0: 2.0, 100: 2.0, 200: 3.0, confirmation: 3.0}
    changes: dict[str, Any] = {"baseline_after_relapse_days": 0.0, "rebaseline_at_relapse": False}
    assert events(course, (relapse,), name, **changes) == [(found, 200)]


def test_relapses_not_recorded() -> None:
    """Without a list of relapses a worsening is neither PIRA nor RAW nor undefined."""
    (event,) = history({0: 2.0, 100: 3.0, 300: 3.0}, None).events
    assert event.association is None
    assert event.pira_confirmation_day is None


def test_baseline_behind_a_relapse() -> None:
    """After a relapse 2.5 is the baseline, from which 3.0 is no worsening; with a fixed baseline of 2.0 it is."""
    course = {0: 2.0, 200: 2.5, 400: 3.0, 600: 3.0}
    assert events(course, (100,), "kappos2020") == []
    assert events(course, (100,), "kappos2020", rebaseline_at_relapse=False) == [("undefined", 400)]


@pytest.mark.parametrize(("relapse", "found"), [(110, [("RAW", 200)]), (109, [])])
def test_a_raw_is_judged_before_the_baseline_moves(relapse: float, found: list[tuple[str, float]]) -> None:
    """Up to 90 days after a relapse a visit is compared with the baseline before it; later it is the new baseline."""
    assert events({0: 2.0, 200: 3.0, 400: 3.0}, (relapse,), "kappos2020") == found


def test_two_baselines_for_one_visit() -> None:
    """A RAW against the baseline before the relapse is one against the baseline behind it: one event, the latter."""
    found = history({0: 2.0, 130: 2.5, 180: 4.0, 300: 4.0}, (100,), "kappos2020").events
    assert [(label(event), event.day, event.baseline_value) for event in found] == [("RAW", 180, 2.5)]


def test_a_baseline_that_is_never_better() -> None:
    """Kappos 2020 keep 4.0 as the value to compare with, although 3.0 was seen after the relapse."""
    course = {0: 4.0, 200: 3.0, 400: 4.0, 600: 4.0}
    assert events(course, (100,), "kappos2020") == []
    assert events(course, (100,), "kappos2020", baseline_never_better=False) == [("PIRA", 400)]
    assert events({0: 40, 200: 50, 400: 40, 600: 40}, (100,), "kappos2020", rule="sdmt") == []


def test_an_improvement_ends_the_memory_for_worse_values() -> None:
    """A roving baseline takes the better value, whatever the definition says about baselines behind relapses."""
    course = {0: 4.0, 100: 3.0, 300: 3.0, 400: 4.0, 600: 4.0}
    assert events(course, baseline_never_better=True) == [("CDI", 100), ("PIRA", 400)]


def test_relapse_without_change() -> None:
    """From 2.5 nothing changes enough; 2.0 behind the relapse is the baseline from which 3.0 is a worsening. Msprog
    stops before it gets there."""
    course = {0: 2.5, 200: 2.0, 400: 3.0, 600: 3.0}
    assert events(course, (100,), "kappos2020", baseline_never_better=False) == [("PIRA", 400)]
    assert events(course, (100,), "msprog_kappos") == []
    # A change at the last visit suffices to get there.
    longer = {0: 2.0, 200: 1.5, 300: 2.5, 500: 2.5, 700: 3.0}
    assert events(longer, (100,), "msprog_kappos") == [("PIRA", 300)]


def test_a_relapse_on_the_day_of_a_visit() -> None:
    """Where relapses are no hindrance to a baseline, that visit is the new one."""
    course = {0: 2.0, 200: 2.5, 400: 3.5, 600: 3.5}
    found = history(course, (200,), "kappos2020", baseline_after_relapse_days=0.0).events
    assert [(event.day, event.baseline_day) for event in found] == [(400, 200)]


@pytest.mark.parametrize(
    ("option", "found", "left_open"),
    [("na", [], 400), ("no", [], None), ("yes", [("PIRA", 400)], None)],
)
def test_unconfirmed_last_visit(option: str, found: list[tuple[str, float]], left_open: float | None) -> None:
    """A worsening at the last visit is left open, is none, or counts without a confirmation."""
    got = history({0: 2.0, 200: 2.0, 400: 3.0}, unconfirmed_last=option)
    assert [(label(event), event.day) for event in got.events] == found
    assert (got.unconfirmed.day if got.unconfirmed else None) == left_open
    assert [event.confirmation_day for event in got.events] == [None] * len(found)


@pytest.mark.parametrize(
    ("course", "left_open"),
    [
        ({0: 2.0, 400: 3.0, 500: 3.0}, 400),  # a second visit, too soon to confirm
        ({0: 2.0, 400: 3.0, 500: 2.0}, None),  # the second visit says no
        ({0: 2.0, 400: 1.0}, None),  # an improvement
        ({0: 2.0, 200: 3.0, 400: 3.0, 500: 3.0}, None),  # confirmed
        ({0: 2.0, 200: 3.0, 400: 3.0, 500: 4.0}, 500),  # confirmed, and worse again
    ],
)
def test_what_is_left_open(course: dict[float, float], left_open: float | None) -> None:
    """What no visit contradicts and none can confirm, from its first visit on."""
    unconfirmed = history(course).unconfirmed
    assert (unconfirmed.day if unconfirmed else None) == left_open


def test_confirmed_from_a_later_visit_on() -> None:
    """Day 315 is too late to confirm day 100 but not day 150, so nothing is left open."""
    found = history({0: 2.0, 100: 3.0, 150: 3.0, 315: 3.0}, late_days=10.0)
    assert [event.day for event in found.events] == [150]
    assert found.unconfirmed is None


def test_a_lasting_change_is_not_open_again() -> None:
    """Against a fixed baseline the visits that go on to show a confirmed worsening are no new one."""
    assert history({0: 2.0, 200: 3.0, 400: 3.0, 500: 3.0}, baseline="fixed").unconfirmed is None


@pytest.mark.parametrize(
    ("course", "relapses", "day"),
    [
        ({0: 2.0, 100: 2.0, 300: 2.0, 400: 2.0}, (), 100),
        ({0: 2.0, 100: 2.0, 300: 2.0, 400: 2.0, 600: 2.0}, (), 400),
        ({0: 2.0, 20: 2.0, 190: 2.0}, (-5,), None),  # the last visit is the first that can be a baseline
        ({0: 2.0, 100: 2.0}, (), None),
        ({0: 2.0, 100: 2.0, 300: 2.0}, (280,), None),
        ({}, (), None),
    ],
)
def test_where_a_person_is_censored(course: dict[float, float], relapses: tuple[float, ...], day: float | None) -> None:
    """The last visit for which a later one could confirm an event."""
    assert history(course, relapses).last_confirmable_day == day


@pytest.mark.parametrize("course", [{}, {0: 2.0}])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_too_few_visits(course: dict[float, float], name: str) -> None:
    """With no visit, or one, there is no event."""
    assert history(course, (-5, 5), name) == History((), None, tuple(course), None, None)


gaps = st.integers(1, 400)
courses = st.lists(st.tuples(gaps, st.sampled_from(EDSS_SCORES[2:11])), min_size=2, max_size=10)
onsets = st.lists(st.integers(-200, 2000), max_size=4)
definitions = st.sampled_from(list(DEFINITIONS.values()))


def visits_of(course: list[tuple[int, float]], first_day: int = 0) -> list[Visit]:
    """Return visits from the gaps before them."""
    visits, day = [], first_day
    for gap, value in course:
        day += gap
        visits.append(Visit(day, value))
    return visits


@given(courses, onsets, definitions, st.integers(-5000, 5000))
def test_only_intervals_count(
    course: list[tuple[int, float]], relapses: list[int], definition: ProgressionDefinition, shift: int
) -> None:
    """All days moved by the same number: the same events, moved by that number."""
    here = find_events(visits_of(course), [Relapse(day) for day in relapses], definition)
    there = find_events(visits_of(course, shift), [Relapse(day + shift) for day in relapses], definition)
    assert [days_of(event, shift) for event in here.events] == [days_of(event, 0) for event in there.events]


def days_of(event: Event, shift: int) -> tuple[object, ...]:
    """Return an event with its days moved."""
    days = (event.day, event.baseline_day, event.confirmation_day, event.pira_confirmation_day)
    moved = tuple(None if day is None else day + shift for day in days)
    return (label(event), event.value, event.baseline_value, event.sustained_days, event.sustained_to_end, moved)


@given(courses, onsets, definitions, gaps)
def test_one_more_visit_removes_nothing(
    course: list[tuple[int, float]], relapses: list[int], definition: ProgressionDefinition, gap: int
) -> None:
    """A further visit with the value of the last one leaves every confirmed event where it was."""
    listed = [Relapse(day) for day in relapses]
    before = find_events(visits_of(course), listed, definition).events
    after = find_events(visits_of([*course, (gap, course[-1][1])]), listed, definition).events
    assert {(event.kind, event.day) for event in before} <= {(event.kind, event.day) for event in after}
