# SPDX-License-Identifier: Apache-2.0
"""The plot of the area along the cord: each section that counts in its place, over the band of its kind of image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bids_msvol.bids.load import SessionOutputs
from bids_msvol.cord.levels import LEVELS
from bids_msvol.cord.records import CordSource
from bids_msvol.report.cord_healthy import HEALTHY
from bids_msvol.report.cord_plots import FRAME, Profile, choose_axis, draw_profiles, place_sections
from bids_msvol.report.references import REFERENCES
from tests.report.necks import LENGTH_MM, SHIFT_MM, WITHHELD_MM, area_mm2, make_cord, with_cords
from tests.report.people import make_participant


@pytest.fixture(scope="module")
def necks(tmp_path_factory: pytest.TempPathFactory) -> tuple[SessionOutputs, ...]:
    """Two sessions with a cord on the T1w of the head, that of the second 3 % smaller."""
    made = make_participant(tmp_path_factory.mktemp("derivatives"), voxel_mm=10.0)
    return tuple(
        with_cords(session, [make_cord("head-T1w", shrink=shrink)])
        for session, shrink in zip(made.sessions, (1.0, 0.97), strict=True)
    )


@pytest.fixture
def session(tmp_path: Path) -> SessionOutputs:
    """A session without a cord, whose files a test may change."""
    return make_participant(tmp_path, sessions=(("01", 0.0, "pass"),), voxel_mm=10.0).sessions[0]


def _profile(sessions: tuple[SessionOutputs, ...], source: str = "head-T1w") -> Profile:
    (profile,) = draw_profiles(sessions, source)
    return profile


def _places(points: str) -> NDArray[np.float64]:
    """Return the corners of a polyline, shape (n, 2)."""
    return np.array([[float(value) for value in point.split(",")] for point in points.split()])


def test_line_of_the_profile_has_the_areas(necks: tuple[SessionOutputs, ...]) -> None:
    """Read back through the marks of its axes, each point of the plot is a section that counts."""
    profile = _profile(necks)
    (x0, x1), (y0, y1) = (
        np.polyfit([tick.at for tick in ticks], [float(tick.text) for tick in ticks], 1)
        for ticks in (profile.x_ticks, profile.y_ticks)
    )
    for line, shrink in zip(profile.lines, (1.0, 0.97), strict=True):
        runs = [_places(points) for points in line.runs]
        # The stretch that is withheld is a gap.
        assert [len(run) for run in runs] == [WITHHELD_MM[0], LENGTH_MM - WITHHELD_MM[1] - 1]
        places = np.concatenate(runs)
        positions, areas = x0 * places[:, 0] + x1, y0 * places[:, 1] + y1
        assert areas == pytest.approx(shrink * area_mm2(positions - SHIFT_MM), abs=0.3)
        assert (places[:, 0] >= FRAME["left"]).all()
        assert (places[:, 0] <= FRAME["right"]).all()
    assert [tick.text for tick in profile.levels] == ["C1", "C2", "C3", "C4"]


def test_lines_differ_without_colour(necks: tuple[SessionOutputs, ...]) -> None:
    """Sessions are told apart by dashes as well as by colour, and keep both if another session has no cord."""
    lines = _profile(necks).lines
    assert len({line.color for line in lines}) == len({line.dash for line in lines}) == 2
    (alone,) = _profile((replace(necks[0], cord_sections=None), necks[1])).lines
    assert (alone.color, alone.dash) == (lines[1].color, lines[1].dash)


def test_slices_with_a_level_alone_are_spread_over_it() -> None:
    """Slices of a level lie evenly in the part of it that was measured, next to the level beside it."""
    sections = pd.DataFrame(
        {"average_mm": np.full(6, np.nan), "level": ["C1", "C1", "C2", "C3", "C3", ""], "csa_mm2": np.full(6, 70.0)}
    )
    levels = pd.DataFrame({"level": ["C1", "C2", "C3"], "coverage": [0.5, np.nan, 0.4]})
    # C1: 25 to 48.5 mm, its lower half; C2: 48.5 to 64, all; C3: 64 to 82.5, its upper 40 %.
    expected = [36.75 + 11.75 / 4, 36.75 + 3 * 11.75 / 4, 56.25, 64 + 7.4 / 4, 64 + 3 * 7.4 / 4, np.nan]
    assert place_sections(sections, levels).tolist() == pytest.approx(expected, nan_ok=True)
    known = sections.assign(average_mm=[1.0, 2.0, 3.0, 4.0, 5.0, np.nan])
    assert place_sections(known, levels).tolist() == pytest.approx([1, 2, 3, 4, 5, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("least", "most", "axis"),
    [(37.1, 88.5, (30.0, 100.0, 10.0)), (84, 86, (80.0, 90.0, 5.0)), (1, 300, (0.0, 350.0, 50.0))],
)
def test_axis_is_round_and_wide_enough(least: float, most: float, axis: tuple[float, float, float]) -> None:
    """The axis of areas has few round marks and reaches beyond all areas."""
    assert choose_axis(least, most) == axis


@pytest.mark.parametrize(
    ("source", "level", "mean", "sd"), [("cord-T2w", "C3", 72.5, 7.1), ("head-T1w", "C3", 69.1, 7.0)]
)
def test_band_is_that_of_the_contrast(
    session: SessionOutputs, source: CordSource, level: str, mean: float, sd: float
) -> None:
    """The band is the mean and 1.96 standard deviations of the table that belongs to the kind of image."""
    profile = _profile((with_cords(session, [make_cord(source)]),), source)
    y1, y0 = np.polyfit([tick.at for tick in profile.y_ticks], [float(tick.text) for tick in profile.y_ticks], 1)
    step = next(one for one in profile.band if one.text.startswith(level))
    assert y1 * step.mean_y + y0 == pytest.approx(mean, abs=0.2)
    assert y1 * step.y + y0 == pytest.approx(mean + 1.96 * sd, abs=0.2)
    assert y1 * (step.y + step.height) + y0 == pytest.approx(mean - 1.96 * sd, abs=0.2)
    assert {one.text[:2] for one in profile.band} == {"C1", "C2", "C3", "C4"}


def test_no_band_without_table_or_levels(session: SessionOutputs) -> None:
    """There is no band for other images, nor where levels are not known: then the axis begins at the first section."""
    assert _profile((with_cords(session, [make_cord("cord-T2starw")]),), "cord-T2starw").band == ()
    profile = _profile((with_cords(session, [make_cord("cord-T2w", named=False)]),), "cord-T2w")
    assert profile.band == profile.levels == profile.borders == ()
    assert profile.x_ticks[0].text == "0"
    assert profile.x_ticks[0].at == FRAME["left"]


def test_sessions_with_and_without_levels_are_apart(necks: tuple[SessionOutputs, ...], session: SessionOutputs) -> None:
    """A session whose levels are not known has a plot of its own, since its place is not known."""
    lost = with_cords(session, [make_cord("head-T1w", named=False)])
    profiles = draw_profiles((necks[0], lost), "head-T1w")
    assert [len(profile.lines) for profile in profiles] == [1, 1]
    assert [bool(profile.levels) for profile in profiles] == [True, False]


def test_withheld_cord_is_not_plotted(session: SessionOutputs) -> None:
    """Of a cord that is withheld as a whole no area is shown, though its sections are in the table."""
    cord = make_cord("head-T1w")
    failed = replace(cord, levels=tuple(level.without_values() for level in cord.levels))
    assert draw_profiles((with_cords(session, [failed]),), "head-T1w") == ()


def test_healthy_areas_are_complete() -> None:
    """Every table has levels in order, areas that a cord can have, and sources that are in the list of references."""
    keys = {reference.key for reference in REFERENCES}
    for areas in HEALTHY.values():
        names = tuple(one.level for one in areas.levels)
        assert names == LEVELS[: len(names)]
        assert all(40 < one.low_mm2 < one.mean_mm2 < one.high_mm2 < 100 for one in areas.levels)
        assert all(one.people is None or one.people <= areas.people for one in areas.levels)
        assert set(areas.citations) <= keys
