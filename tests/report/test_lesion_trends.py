# SPDX-License-Identifier: Apache-2.0
"""The plots of lesions show the numbers of the tables on an axis that begins at zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bids_msvol.bids.load import ParticipantOutputs
from bids_msvol.report.lesion_trends import MEASURES, draw_lesion_plot, draw_lesion_plots, mark_axis
from bids_msvol.report.measured_error import MeasuredError
from bids_msvol.report.plots import BOTTOM, HEIGHT, TOP
from bids_msvol.report.trends import build_trend_section
from tests.report.patients import FIRST, make_patient, with_lesions
from tests.report.people import make_participant

NOTHING = MeasuredError("", ())
VOLUME, COUNT = MEASURES


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> ParticipantOutputs:
    """Two sessions with lesions."""
    return make_patient(tmp_path_factory.mktemp("derivatives"))


def test_points_lie_at_the_numbers_of_the_tables(patient: ParticipantOutputs) -> None:
    """Volume in mL and number are read off the axis where the tables have them."""
    for measure, column, unit in ((VOLUME, "volume_mm3", 1000.0), (COUNT, "count", 1.0)):
        plot = draw_lesion_plot(patient.sessions, measure)
        assert plot is not None
        marks = {float(tick.text): tick.at for tick in plot.y_ticks}
        high = max(marks)
        for session, point in zip(patient.sessions, plot.points, strict=True):
            value = session.lesion_summary[column].iloc[0] / unit
            assert (point.y - marks[0.0]) / (marks[high] - marks[0.0]) * high == pytest.approx(value, abs=0.01)
            assert TOP <= point.y <= HEIGHT - BOTTOM


def test_zero_is_a_number(patient: ParticipantOutputs) -> None:
    """Sessions without any lesion lie on the zero of an axis; that they were measured is seen."""
    first, second = patient.sessions
    empty = replace(patient, sessions=(with_lesions(first, ()), with_lesions(second, (), earlier=())))
    plots = draw_lesion_plots(empty.sessions)
    assert [plot.title for plot in plots] == ["Lesion volume (mL)", "Number of lesions"]
    for plot in plots:
        zero = next(tick.at for tick in plot.y_ticks if tick.text == "0")
        assert [point.y for point in plot.points] == [zero, zero]


def test_missing_is_not_zero(tmp_path: Path) -> None:
    """A session without a number has a mark and no point; with one number only there is nothing to draw."""
    sessions = (("01", 0.0, "pass"), ("02", 100.0, "pass"), ("03", 200.0, "pass"))
    person = make_participant(tmp_path, sessions=sessions)
    assert draw_lesion_plots(person.sessions) == ()
    first, middle, last = person.sessions
    one = (with_lesions(first, FIRST), middle, last)
    assert draw_lesion_plots(one) == ()
    plot = draw_lesion_plot((with_lesions(first, FIRST), middle, with_lesions(last, FIRST)), COUNT)
    assert plot is not None
    assert len(plot.points) == 2
    assert len(plot.missing) == 1
    assert plot.points[0].x < plot.missing[0] < plot.points[1].x
    assert "Session 02: n/a" in plot.summary


def test_section_has_the_plots_and_no_band_for_them(patient: ParticipantOutputs) -> None:
    """The plots stand in the section of trends, and the text says that no uncertainty is known."""
    section = build_trend_section(patient, NOTHING)
    assert section is not None
    for title in ("Lesion volume (mL)", "Number of lesions"):
        assert f"<figcaption>{title}</figcaption>" in section.html
    assert "They have no band" in section.html
    assert 'class="band"' not in section.html
    assert "not found in the same way" not in section.html


def test_lesions_found_in_different_ways_are_told(patient: ParticipantOutputs) -> None:
    """A course over numbers that do not compare is not shown without saying so."""
    first, second = patient.sessions
    other = with_lesions(second, FIRST, given="sub-P1/ses-02/mask.nii.gz")
    section = build_trend_section(replace(patient, sessions=(first, other)), NOTHING)
    assert section is not None
    assert "not found in the same way" in section.html


@pytest.mark.parametrize("reach", [0.1, 0.115, 0.39, 1.0, 1.99, 2.0, 9.99, 10.0, 13.8, 250.0, 1000.0])
def test_axis_has_few_round_marks(reach: float) -> None:
    """Between two and four steps, from zero, none beyond the axis."""
    marks = mark_axis(reach)
    assert marks[0] == 0
    assert 3 <= len(marks) <= 5
    assert reach / 2 <= marks[-1] <= reach
