# SPDX-License-Identifier: Apache-2.0
"""Visits and relapses are put in order, and what cannot be used is left out or refused."""

from __future__ import annotations

import math

import pytest

from bids_msvol.clinical.course import Course, Relapse, Visit, make_course
from bids_msvol.clinical.definitions import find_definition


def course(visits: list[tuple[float, float]], relapses: list[float] | None = None, name: str = "default") -> Course:
    onsets = None if relapses is None else [Relapse(day) for day in relapses]
    return make_course([Visit(*visit) for visit in visits], onsets, find_definition(name))


def test_order_and_days_with_two_visits() -> None:
    """Visits are sorted; of two on one day the last in the list is used, unless it has no value."""
    made = course([(200, 3.0), (0, 2.0), (0, 2.5), (100, 1.0), (100, math.nan)])
    assert made.days == (0, 100, 200)
    assert made.values == (2.5, 1.0, 3.0)


def test_relapses_not_recorded_are_not_none() -> None:
    """No list of relapses is kept apart from an empty one; both are free of relapses for the windows."""
    assert course([(0, 2.0)]).relapse_days is None
    assert course([(0, 2.0)], []).relapse_days == ()
    assert course([(0, 2.0)]).days_since_relapse(0) == math.inf


def test_early_relapses() -> None:
    """By default a relapse counts however early it was; msprog drops those more than 30 days before the first visit."""
    assert course([(0, 2.0)], [50, -31, -30]).relapse_days == (-31, -30, 50)
    assert course([(0, 2.0)], [50, -31, -30], "msprog_kappos").relapse_days == (-30, 50)


def test_distances() -> None:
    """A relapse on the day of a visit is 0 days before it and 0 days after it."""
    made = course([(0, 2.0), (100, 2.0), (200, 2.0)], [100, 130])
    assert [made.days_since_relapse(visit) for visit in range(3)] == [math.inf, 0, 70]
    assert [made.days_to_relapse(visit) for visit in range(3)] == [100, 0, math.inf]
    assert made.next_relapse(100) == 100
    assert made.next_relapse(100, beyond=True) == 130
    assert made.relapse_within(70, 100)
    assert made.relapse_within(130, 140)
    assert not made.relapse_within(101, 129)


@pytest.mark.parametrize("value", [0.5, 7.25, 11.0])
def test_scores_that_do_not_exist(value: float) -> None:
    """They are refused, not rounded."""
    with pytest.raises(ValueError, match=f"{value:g} is not an EDSS score"):
        course([(0, 2.0), (100, value)])


def test_days_that_are_none() -> None:
    """A day that is not a finite number is refused, for visits and for relapses."""
    with pytest.raises(ValueError, match="a visit has the day nan"):
        course([(math.nan, 2.0)])
    with pytest.raises(ValueError, match="a relapse has the day inf"):
        course([(0, 2.0)], [math.inf])
