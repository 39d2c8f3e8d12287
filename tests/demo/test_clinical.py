# SPDX-License-Identifier: Apache-2.0
"""The people drawn are plausible and follow the plan of the dataset."""

from __future__ import annotations

import numpy as np

from bids_msvol.demo.clinical import Participant, draw_participant


def _people(count: int) -> list[Participant]:
    return [draw_participant(number, np.random.default_rng([0, number])) for number in range(1, count + 1)]


def test_groups_alternate_and_decide_the_visits() -> None:
    """Odd numbers have multiple sclerosis and two visits about a year apart, even ones are healthy with one visit."""
    for number, person in enumerate(_people(20), 1):
        assert person.label == f"{number:02d}"
        assert person.group == ("MS" if number % 2 else "HC")
        assert [visit.session for visit in person.appointments] == (["01", "02"] if number % 2 else ["01"])
        assert person.appointments[0].days == 0
        if number % 2:
            first, second = person.appointments
            assert (second.date - first.date).days == second.days
            assert 350 <= second.days <= 380


def test_values_are_plausible() -> None:
    """Ages, head sizes and disability lie in the ranges of adults, disability in half steps and not falling."""
    for person in _people(60):
        assert 18 <= person.age <= 60
        assert 1.1e6 < person.etiv_mm3 < 1.9e6
        scores = [visit.edss for visit in person.appointments]
        if person.group == "HC":
            assert scores == [None]
        else:
            assert all(score is not None and 0 <= score <= 10 and 2 * score == int(2 * score) for score in scores)
            assert scores == sorted(scores)  # type: ignore[type-var]
