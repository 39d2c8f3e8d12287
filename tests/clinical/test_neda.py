# SPDX-License-Identifier: Apache-2.0
"""NEDA-3 and NEDA-4 over an interval: what fails, what holds, and what is not known."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_msvol.clinical.course import Relapse
from bids_msvol.clinical.neda import ImagingActivity, Neda, all_of, assess_neda
from tests.clinical.persons import history

STABLE = history({0: 2.0, 180: 2.0, 365: 2.0, 560: 2.0})
QUIET = ImagingActivity(new_t2=0, enlarging_t2=0, gd=0)


def neda(**changes: Any) -> Neda:
    """Judge a year of a person in whom everything was measured and nothing happened, with some of it changed."""
    given: dict[str, Any] = {
        "relapses": [], "history": STABLE, "imaging": QUIET, "brain_change_pct_per_year": -0.2, **changes
    }  # fmt: skip
    return assess_neda(0, 365, **given)


def test_nothing_happened() -> None:
    """All parts hold."""
    year = neda()
    assert (year.neda3, year.neda4) == (True, True)
    assert year.no_imaging_activity is True


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"relapses": [Relapse(100)]}, "no_relapse"),
        ({"history": history({0: 2.0, 180: 3.0, 365: 3.0})}, "no_worsening"),
        ({"imaging": ImagingActivity(1, 0, 0)}, "no_new_t2"),
        ({"imaging": ImagingActivity(0, 1, 0)}, "no_enlarging_t2"),
        ({"imaging": ImagingActivity(0, 0, 1)}, "no_gd"),
    ],
)
def test_each_part_fails_neda3(changes: dict[str, Any], part: str) -> None:
    """One part is enough, and it is seen which."""
    year = neda(**changes)
    assert getattr(year, part) is False
    assert (year.neda3, year.neda4) == (False, False)
    assert [name for name in PARTS if getattr(year, name) is False] == [part]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"relapses": None}, "no_relapse"),
        ({"history": None}, "no_worsening"),
        ({"imaging": ImagingActivity(None, 0, 0)}, "no_new_t2"),
        ({"imaging": ImagingActivity(0, None, 0)}, "no_enlarging_t2"),
        ({"imaging": ImagingActivity(0, 0, None)}, "no_gd"),
    ],
)
def test_each_missing_part_leaves_neda_unknown(changes: dict[str, Any], part: str) -> None:
    """What is missing is not taken as absent; but another part that fails decides."""
    year = neda(**changes)
    assert getattr(year, part) is None
    assert (year.neda3, year.neda4) == (None, None)
    lost = neda(**changes, brain_change_pct_per_year=-1.0)
    assert (lost.neda3, lost.neda4) == (None, False)


def test_gd_decides_where_t2_is_missing() -> None:
    """A lesion with gadolinium fails NEDA-3 although nobody counted T2 lesions."""
    assert neda(imaging=ImagingActivity(gd=1)).neda3 is False
    assert neda(imaging=ImagingActivity(gd=0)).neda3 is None
    assert neda(imaging=None).neda3 is None


def test_without_gadolinium_on_request() -> None:
    """Where gadolinium is not required, an interval without it is judged by T2, and one with it by both."""
    without = neda(imaging=ImagingActivity(0, 0, None), gd_required=False)
    assert (without.no_gd, without.neda3) == (None, True)
    assert neda(imaging=ImagingActivity(0, 0, 1), gd_required=False).neda3 is False
    assert neda(imaging=ImagingActivity(None, 0, None), gd_required=False).neda3 is None


@pytest.mark.parametrize(("day", "inside"), [(0, False), (1, True), (365, True), (366, False)])
def test_the_interval_begins_after_its_first_day(day: float, inside: bool) -> None:
    """A relapse on the first day belongs to the interval before, one on the last day to this one."""
    assert neda(relapses=[Relapse(day)]).no_relapse is not inside


@pytest.mark.parametrize(("change", "holds"), [(-0.39, True), (-0.4, False), (-0.41, False), (0.5, True), (None, None)])
def test_brain_volume_loss(change: float | None, holds: bool | None) -> None:
    """A loss below 0.4 % per year passes, one of 0.4 % does not; growth passes. NEDA-3 does not ask."""
    year = neda(brain_change_pct_per_year=change)
    assert (year.no_brain_loss, year.neda4, year.neda3) == (holds, holds, True)


def test_another_cutoff() -> None:
    """The cut-off can be set to suit the method."""
    assert neda(brain_change_pct_per_year=-0.5, bvl_cutoff=0.52).neda4 is True
    assert neda(brain_change_pct_per_year=float("nan")).neda4 is None


def test_onset_decides_the_interval() -> None:
    """A worsening seen in the first year and confirmed in the second fails the first year only."""
    course = history({0: 2.0, 300: 3.0, 365: 3.0, 500: 3.0, 730: 3.0})
    first, second = (assess_neda(start, start + 365, history=course) for start in (0, 365))
    assert (first.no_worsening, second.no_worsening) == (False, True)
    course = history({0: 2.0, 365: 3.0, 600: 3.0, 730: 3.0})
    first, second = (assess_neda(start, start + 365, history=course) for start in (0, 365))
    assert (first.no_worsening, second.no_worsening) == (False, True)


def test_improvement_is_no_activity() -> None:
    """An improvement is an event, but not of this kind."""
    assert neda(history=history({0: 3.0, 180: 2.0, 365: 2.0})).no_worsening is True


@pytest.mark.parametrize(("option", "holds"), [("na", None), ("no", True), ("yes", False)])
def test_unconfirmed_last_visit(option: str, holds: bool | None) -> None:
    """A worsening that cannot be confirmed leaves its interval unknown, or as the definition says."""
    course = history({0: 2.0, 180: 2.0, 365: 3.0}, unconfirmed_last=option)
    assert neda(history=course).no_worsening is holds
    assert assess_neda(0, 180, history=course).no_worsening is True


@pytest.mark.parametrize(
    ("course", "holds"),
    [
        ({}, None),
        ({0: 2.0}, None),
        ({0: 2.0, 180: 2.0}, None),  # nobody knows about the second half of the year
        ({0: 2.0, 274: 2.0}, None),
        ({0: 2.0, 275: 2.0}, True),  # 90 days before the end
        ({0: 2.0, 455: 2.0}, True),  # 90 days after it
        ({0: 2.0, 456: 2.0}, None),
        ({90: 2.0, 365: 2.0}, True),  # 90 days after the start
        ({91: 2.0, 365: 2.0}, None),
        ({-500: 2.0, 365: 2.0}, True),  # a visit long before is one to compare with
    ],
)
def test_visits_must_speak_for_the_interval(course: dict[float, float], holds: bool | None) -> None:
    """No event is good news only with a visit to compare with and one near the end."""
    assert neda(history=history(course)).no_worsening is holds


def test_short_intervals_need_two_visits_too() -> None:
    """In an interval of 60 days one visit is near to both ends and shows no change; nor do two before it."""
    for course in ({30: 2.0}, {-50: 2.0, -20: 2.0}):
        assert assess_neda(0, 60, history=history(course)).no_worsening is None


def test_after_the_first_worsening_nothing_was_searched() -> None:
    """With a definition that stops there, later intervals are unknown."""
    course = history({0: 2.0, 300: 3.0, 500: 3.0, 730: 3.0, 1095: 3.0}, select="first_worsening")
    years = [assess_neda(start, start + 365, history=course).no_worsening for start in (0, 365, 730)]
    assert years == [False, None, None]


def test_refused() -> None:
    """An interval without length, a cut-off that is none, and less than no lesion."""
    with pytest.raises(ValueError, match="from day 10 to day 10 has no length"):
        assess_neda(10, 10)
    with pytest.raises(ValueError, match=r"bvl_cutoff is -0\.4"):
        neda(bvl_cutoff=-0.4)
    with pytest.raises(ValueError, match="gd is -1"):
        ImagingActivity(gd=-1)


def test_all_of() -> None:
    """False beats unknown, unknown beats true."""
    assert all_of([True, True]) is True
    assert all_of([True, None]) is None
    assert all_of([None, False]) is False
    assert all_of([]) is True


PARTS = ("no_relapse", "no_worsening", "no_new_t2", "no_enlarging_t2", "no_gd", "no_brain_loss")


@pytest.mark.parametrize("gd_required", [True, False])
def test_more_knowledge_never_changes_a_known_answer(gd_required: bool) -> None:
    """For each of the 729 combinations and each unknown part: learning it leaves a known NEDA-3 and NEDA-4 alone,
    unless gadolinium was not required."""
    for values in itertools.product((True, False, None), repeat=len(PARTS)):
        year = Neda(0, 365, *values, gd_required=gd_required)
        for part, learned in itertools.product(PARTS, (True, False)):
            if getattr(year, part) is not None or (part == "no_gd" and not gd_required):
                continue
            known = replace(year, **{part: learned})
            for answer in ("neda3", "neda4"):
                assert getattr(year, answer) in (None, getattr(known, answer))


everything = {
    "relapses": st.lists(st.builds(Relapse, st.integers(-100, 500)), max_size=2),
    "history": st.sampled_from([STABLE, history({0: 2.0, 180: 3.0, 365: 3.0}), history({0: 2.0, 365: 3.0})]),
    "imaging": st.builds(ImagingActivity, *[st.sampled_from([0, 2])] * 3),
    "brain_change_pct_per_year": st.sampled_from([-0.1, -0.4, -2.0]),
}


@given(st.fixed_dictionaries(everything), st.sets(st.sampled_from(list(everything))))
def test_less_data_gives_the_same_answer_or_none(given_data: dict[str, Any], withheld: set[str]) -> None:
    """Withholding data never turns an answer round."""
    full = assess_neda(0, 365, **given_data)
    partial = assess_neda(0, 365, **{name: value for name, value in given_data.items() if name not in withheld})
    assert partial.neda3 in (None, full.neda3)
    assert partial.neda4 in (None, full.neda4)
