# SPDX-License-Identifier: Apache-2.0
"""The planned clinical courses can be read in one way only."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from bids_msvol.clinical.course import Relapse, Visit
from bids_msvol.clinical.definitions import find_definition
from bids_msvol.clinical.edss import check_edss, edss_change
from bids_msvol.clinical.events import find_events
from bids_msvol.demo.cohort_course import APART_DAYS, edss_step, plan_course, plan_relapses, plan_visits
from bids_msvol.demo.cohort_shape import Clinic

CLINICS = {
    "much of everything": Clinic(relapses_per_year=1.5, pira_per_year=0.4, improvement_per_year=0.2, lasting=0.5),
    "from 0": Clinic((0.3, 0.6), (0.0, 1.0), pira_per_year=0.3),
    "high": Clinic((5.5, 0.8), (4.5, 7.0), relapses_per_year=0.8, pira_per_year=0.3),
    "one PIRA": Clinic(certain="PIRA", relapses_per_year=1.0),
    "one RAW": Clinic(certain="RAW", relapses_per_year=1.0),
}


@pytest.mark.parametrize("clinic", CLINICS.values(), ids=CLINICS)
def test_planted_events_are_those_found(clinic: Clinic) -> None:
    """The program's default definition finds every planned event, of its kind and on its day, and no other."""
    rng = np.random.default_rng(5)
    planted: Counter[tuple[str, bool]] = Counter()
    for _ in range(400):
        visits = plan_visits(4, rng)
        course = plan_course(clinic, visits, plan_relapses(clinic, 4, rng), [], rng)
        for value in course.edss:
            check_edss(value)
        history = find_events(
            [Visit(day, value) for day, value in zip(course.days, course.edss, strict=True)],
            [Relapse(one.day) for one in course.relapses],
            find_definition("default"),
        )
        found = [(event.association or event.kind, event.day) for event in history.events]
        assert found == [(one.kind, one.day) for one in course.events if one.confirmed]
        unconfirmed = [] if history.unconfirmed is None else [history.unconfirmed.day]
        assert unconfirmed == [one.day for one in course.events if not one.confirmed]
        planted.update((one.kind, one.confirmed) for one in course.events)
    if clinic.certain:
        assert planted == {(clinic.certain, True): 400}
    else:
        # Without events the test would prove nothing.
        assert planted["PIRA", True] > 50
        assert planted["PIRA", False] > 10


def test_all_kinds_of_events_are_planted() -> None:
    """A worsening that is neither PIRA nor RAW and an improvement occur, too."""
    rng = np.random.default_rng(6)
    clinic = CLINICS["much of everything"]
    kinds = {
        one.kind
        for _ in range(300)
        for one in plan_course(clinic, plan_visits(4, rng), plan_relapses(clinic, 4, rng), [], rng).events
    }
    assert kinds == {"PIRA", "RAW", "undefined", "CDI"}


def test_steps_are_those_of_the_default_definition() -> None:
    """The rise that is planted is the smallest that counts."""
    for level in (0.0, *np.arange(1.0, 9.5, 0.5)):
        assert edss_step(level) == edss_change(level, "seed")


def test_relapses_come_at_their_rate_and_apart() -> None:
    """The mean number of relapses is the rate planned, less those too close to another; none follow closely."""
    rng = np.random.default_rng(7)
    drawn = [plan_relapses(Clinic(relapses_before=0.0, relapses_per_year=0.25), 3, rng) for _ in range(4000)]
    assert np.mean([len(days) for days in drawn]) == pytest.approx(1.0, abs=0.08)
    assert min(later - earlier for days in drawn for earlier, later in pairwise(days)) >= APART_DAYS


def test_no_steroids_shortly_before_a_scan() -> None:
    """Scans stay usable: relapses in the two months before one are not treated with steroids."""
    rng = np.random.default_rng(8)
    clinic = Clinic(relapses_per_year=2.0, steroids=1.0)
    visits = plan_visits(3, rng)
    course = plan_course(clinic, visits, [310.0, 340.0, 400.0], [365.0], rng)
    assert [one.steroids for one in course.relapses] == [False, False, True]
