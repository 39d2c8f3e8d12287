# SPDX-License-Identifier: Apache-2.0
"""The plots of sessions show the numbers at their place and no more certainty than was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bids_msvol.bids.load import ParticipantOutputs
from bids_msvol.report.measured_error import ErrorMeasure, MeasuredError
from bids_msvol.report.trends import LIMIT_PER_MEDIAN, build_trend_section, draw_plot
from bids_msvol.report.wording import MINUS
from tests.report.people import make_participant

NOTHING = MeasuredError("", ())
BRAIN_2_PCT = MeasuredError("1", (ErrorMeasure("repeatability", "", "%", "", "", 10, {"WholeBrain": 2.0}),))


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> ParticipantOutputs:
    """Three sessions, unevenly spaced, the last one failed."""
    sessions = (("01", 0.0, "pass"), ("02", 100.0, "pass"), ("03", 400.0, "fail"))
    return make_participant(tmp_path_factory.mktemp("derivatives"), sessions=sessions)


def _scaled(person: ParticipantOutputs, factor: float) -> ParticipantOutputs:
    """Return the first session and a copy of it, ``factor`` times as large, as the second."""
    first, second = person.sessions[:2]
    volumes = first.volumes.assign(volume_mm3=first.volumes["volume_mm3"] * factor)
    return replace(person, sessions=(first, replace(second, volumes=volumes)))


def test_points_lie_at_their_days(person: ParticipantOutputs) -> None:
    """The distance of points follows the days, and a session without a number has its mark but no point."""
    plot = draw_plot(person.sessions, "WholeBrain", NOTHING)
    assert plot is not None
    assert len(plot.points) == 2
    assert len(plot.missing) == 1
    gap = plot.points[1].x - plot.points[0].x
    assert plot.missing[0] - plot.points[0].x == pytest.approx(4 * gap, abs=0.1)
    assert "Session 03: n/a" in plot.summary


def test_loss_points_down_to_the_right_mark(person: ParticipantOutputs) -> None:
    """A loss of 3 % lies on the lower mark of 3 %, below the first session (down is larger in SVG)."""
    plot = draw_plot(_scaled(person, 0.97).sessions, "WholeBrain", NOTHING)
    assert plot is not None
    marks = {tick.text: tick.at for tick in plot.y_ticks}
    assert plot.points[1].y == pytest.approx(marks[f"{MINUS}3 %"], abs=0.05)
    assert plot.points[1].y > plot.points[0].y


def test_large_change_stays_inside(person: ParticipantOutputs) -> None:
    """The axis grows with the data: a doubled volume lies within the frame."""
    plot = draw_plot(_scaled(person, 2.0).sessions, "Ventricles", NOTHING)
    assert plot is not None
    assert all(10 <= point.y <= 126 for point in plot.points)


def test_band_is_drawn_only_where_measured(person: ParticipantOutputs) -> None:
    """The band holds 95 of 100 repeats, around the first session, and exists only for measured structures."""
    plot = draw_plot(_scaled(person, 1 - 0.02 * LIMIT_PER_MEDIAN).sessions, "WholeBrain", BRAIN_2_PCT)
    assert plot is not None
    assert plot.band is not None
    top, height = plot.band
    assert top + height == pytest.approx(plot.points[1].y, abs=0.05)
    assert top + height / 2 == pytest.approx(plot.points[0].y, abs=0.05)
    without = draw_plot(person.sessions, "Ventricles", BRAIN_2_PCT)
    assert without is not None
    assert without.band is None


def test_unknown_days_put_sessions_in_order(tmp_path: Path) -> None:
    """Without dates the sessions stand at equal distances, under their labels."""
    person = make_participant(tmp_path, sessions=(("a", None, "pass"), ("b", None, "pass"), ("c", None, "pass")))
    plot = draw_plot(person.sessions, "WholeBrain", NOTHING)
    assert plot is not None
    left, middle, right = (point.x for point in plot.points)
    assert middle - left == pytest.approx(right - middle)
    assert [tick.text for tick in plot.x_ticks] == ["a", "c"]


def test_no_plot_without_two_numbers(person: ParticipantOutputs) -> None:
    """One session, or one number among several sessions, gives no section at all."""
    assert build_trend_section(replace(person, sessions=person.sessions[:1]), NOTHING) is None
    assert build_trend_section(replace(person, sessions=person.sessions[1:]), NOTHING) is None


def test_paired_structures_are_added(person: ParticipantOutputs) -> None:
    """A structure without its side is left plus right, and missing if either is."""
    session = person.sessions[0]
    left, right = session.volume_mm3("Left-Thalamus"), session.volume_mm3("Right-Thalamus")
    assert left is not None
    assert right is not None
    assert session.total_mm3("Thalamus") == pytest.approx(left + right)
    one_side = session.volumes[session.volumes["name"] != "Left-Thalamus"]
    assert replace(session, volumes=one_side).total_mm3("Thalamus") is None
