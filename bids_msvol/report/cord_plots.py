# SPDX-License-Identifier: Apache-2.0
"""The area along the cord: a line for each session over a band of healthy adults, as places in an SVG picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.cord.levels import LEVEL_TOPS_MM, LEVELS, level_ranges_mm
from bids_msvol.report.cord_healthy import HEALTHY, HealthyLevel
from bids_msvol.report.plots import Tick
from bids_msvol.report.wording import describe_day, name_session

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.bids.load import SessionOutputs

WIDTH, HEIGHT = 760.0, 290.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 12.0, 12.0, 58.0
"""Size and margins of the plot, in its own units (pixels at natural size)."""

FRAME = {
    "width": WIDTH,
    "height": HEIGHT,
    "left": LEFT,
    "right": WIDTH - RIGHT,
    "top": TOP,
    "bottom": HEIGHT - BOTTOM,
}
"""The edges of the plot, for the template."""

COLORS = ("#0b5394", "#d55e00", "#007a5a", "#a64d79", "#1c2127")
DASHES = ("none", "8 3", "2 3", "10 3 2 3")
"""Colours that readers who do not see red or green can tell apart, and dashes for those who see no colour at all. Their
numbers have no common divisor, so that 20 sessions differ."""

MARGIN_MM2 = 4.0
"""The axis reaches beyond the smallest and the largest area by at least this."""

STEPS_MM2 = (5.0, 10.0, 20.0, 50.0)
MOST_STEPS = 8
STEP_MM = 20.0
"""Steps of the vertical axis, how many of them there may be, and the step of the horizontal axis."""


@dataclass(frozen=True)
class Line:
    """The cord of one session in the plot.

    Attributes
    ----------
    name
        The session.
    color, dash
        How it is drawn.
    runs
        Stretches that are measured without a gap, as ``points`` of a polyline.
    """

    name: str
    color: str
    dash: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """The healthy range of one level in the plot: its edges, and the height of the mean."""

    x: float
    width: float
    y: float
    height: float
    mean_y: float
    text: str


@dataclass(frozen=True)
class Profile:
    """Area along the cord for all sessions that have it on one kind of image.

    Attributes
    ----------
    summary
        The plot in words, for readers who do not see it.
    lines
        One for each session.
    band
        The healthy range, empty where none is known.
    x_ticks, y_ticks
        Marks of the axes.
    borders
        Places along the horizontal axis where a level ends and the next begins.
    levels
        The names of the levels.
    axis
        What the horizontal axis is.
    """

    summary: str
    lines: tuple[Line, ...]
    band: tuple[Step, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    borders: tuple[float, ...]
    levels: tuple[Tick, ...]
    axis: str


@dataclass(frozen=True, eq=False)
class Course:
    """Positions (mm) and areas (mm2) of one session along the cord, in stretches without a gap."""

    session: SessionOutputs
    runs: tuple[tuple[tuple[float, float], ...], ...]

    @property
    def positions_mm(self) -> tuple[float, ...]:
        """All positions."""
        return tuple(position for run in self.runs for position, _ in run)

    @property
    def areas_mm2(self) -> tuple[float, ...]:
        """All areas."""
        return tuple(area for run in self.runs for _, area in run)


def draw_profiles(sessions: Sequence[SessionOutputs], source: str) -> tuple[Profile, ...]:
    """Draw the area along the cord.

    Parameters
    ----------
    sessions
        The sessions, in order; each keeps its colour whichever of them have a cord.
    source
        Kind of image.

    Returns
    -------
    tuple of Profile
        One with all sessions whose levels are known, and one with the others, over the distance from the first section;
        none without any section that is believed.
    """
    profiles = []
    for by_level in (True, False):
        courses = [_course(session, source, by_level=by_level) for session in sessions]
        if any(courses):
            profiles.append(_draw(courses, source, by_level=by_level))
    return tuple(profiles)


def place_sections(sections: pd.DataFrame, levels: pd.DataFrame) -> pd.Series:
    """Return where sections lie in the average cord, mm below the pontomedullary junction; NaN where unknown.

    Where only the level is known, as in tables of Spinal Cord Toolbox, the sections of a level are spread evenly over
    the part of it that was measured: the lower part of the highest level, and the upper part of the others.

    Parameters
    ----------
    sections
        Rows of the table of sections of one image.
    levels
        Rows of the table of levels of the same image.
    """
    placed = sections["average_mm"].astype(float)
    if placed.notna().any():
        return placed
    ranges, shares = level_ranges_mm(), levels.set_index("level")["coverage"]
    found = [level for level in LEVELS if (sections["level"] == level).any()]
    for level in found:
        own = sections.index[sections["level"] == level]
        top, bottom = ranges[level]
        share = shares.get(level, 1.0)
        length = (bottom - top) * (share if 0.0 < share <= 1.0 else 1.0)
        begin = bottom - length if level == found[0] and level != found[-1] else top
        placed.loc[own] = begin + (np.arange(len(own)) + 0.5) / len(own) * length
    return placed


def has_areas(session: SessionOutputs, source: str) -> bool:
    """Say whether any level of a session has an area on a kind of image; else the whole cord is withheld."""
    return bool(session.cord.loc[session.cord["source"] == source, "csa_mm2"].notna().any())


def _course(session: SessionOutputs, source: str, *, by_level: bool) -> Course | None:
    import pandas as pd

    if session.cord_sections is None or not has_areas(session, source):
        return None
    own = session.cord_sections[session.cord_sections["source"] == source].reset_index(drop=True)
    placed = place_sections(own, session.cord[session.cord["source"] == source])
    if placed.notna().any() != by_level:
        return None
    positions = placed if by_level else own["distance_mm"] - own["distance_mm"].min()
    shown = (own["believed"] == "yes") & positions.notna() & own["csa_mm2"].notna()
    # Each section that is left out begins a new stretch.
    stretch = (~shown).cumsum()[shown]
    points = pd.DataFrame({"position": positions[shown], "area": own.loc[shown, "csa_mm2"]}).astype(float)
    runs = tuple(tuple(part.itertuples(index=False, name=None)) for _, part in points.groupby(stretch))
    return Course(session, runs) if runs else None


def _draw(courses: Sequence[Course | None], source: str, *, by_level: bool) -> Profile:
    found = [course for course in courses if course is not None]
    positions = [position for course in found for position in course.positions_mm]
    first, last = min(positions), max(positions)
    borders = [top for top in LEVEL_TOPS_MM if by_level and _level_before(first) <= top <= _level_after(last)]
    if borders:
        first, last = min(first, borders[0]), max(last, borders[-1])
    if last == first:
        last = first + 1.0
    inside = [(level, ends) for level, ends in _levels() if ends[0] in borders and ends[1] in borders]
    healthy = [one for one in _healthy(source) if by_level and one.level in {level for level, _ in inside}]
    areas = [area for course in found for area in course.areas_mm2]
    areas += [value for one in healthy for value in (one.low_mm2, one.high_mm2)]
    low, high, step = choose_axis(min(areas), max(areas))

    def to_x(position_mm: float) -> float:
        return round(LEFT + (position_mm - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def to_y(area_mm2: float) -> float:
        return round(HEIGHT - BOTTOM - (area_mm2 - low) / (high - low) * (HEIGHT - BOTTOM - TOP), 1)

    ranges = dict(inside)
    marks = np.arange(math.ceil(first / STEP_MM) * STEP_MM, last + 1e-6, STEP_MM)
    return Profile(
        summary=" ".join((f"Area along the cord, {len(found)} session(s).", *(_say(course) for course in found))),
        lines=tuple(
            Line(
                f"{name_session(course.session)}, {describe_day(course.session.days)}",
                COLORS[number % len(COLORS)],
                DASHES[number % len(DASHES)],
                tuple(
                    _polyline([(to_x(position), to_y(area)) for position, area in stretch]) for stretch in course.runs
                ),
            )
            for number, course in enumerate(courses)
            if course is not None
        ),
        band=tuple(
            Step(
                x=to_x(ranges[one.level][0]),
                width=round(to_x(ranges[one.level][1]) - to_x(ranges[one.level][0]), 1),
                y=to_y(one.high_mm2),
                height=round(to_y(one.low_mm2) - to_y(one.high_mm2), 1),
                mean_y=to_y(one.mean_mm2),
                text=f"{one.level} in healthy adults: mean {one.mean_mm2:.1f} mm², {one.low_mm2:.1f} to "
                f"{one.high_mm2:.1f} mm²",
            )
            for one in healthy
        ),
        x_ticks=tuple(Tick(to_x(float(mark)), f"{mark:.0f}") for mark in marks),
        y_ticks=tuple(Tick(to_y(float(mark)), f"{mark:.0f}") for mark in np.arange(low, high + 1e-6, step)),
        borders=tuple(to_x(border) for border in borders),
        levels=tuple(Tick(to_x((top + bottom) / 2), level) for level, (top, bottom) in inside),
        axis="mm below the pontomedullary junction, in the average cord" if by_level else "mm below the first section",
    )


def choose_axis(least: float, most: float) -> tuple[float, float, float]:
    """Return where an axis of areas begins and ends, and its step, all round numbers.

    Examples
    --------
    >>> choose_axis(37.1, 88.5)
    (30.0, 100.0, 10.0)
    """
    for step in STEPS_MM2:
        low = max(math.floor((least - MARGIN_MM2) / step) * step, 0.0)
        high = math.ceil((most + MARGIN_MM2) / step) * step
        if (high - low) / step <= MOST_STEPS:
            break
    return low, high, step


def _healthy(source: str) -> tuple[HealthyLevel, ...]:
    areas = HEALTHY.get(source)
    return areas.levels if areas is not None else ()


def _levels() -> list[tuple[str, tuple[float, float]]]:
    ranges = level_ranges_mm()
    return [(level, ranges[level]) for level in LEVELS]


def _level_before(position_mm: float) -> float:
    """The top of the level that a position lies in."""
    return max((top for top in LEVEL_TOPS_MM if top <= position_mm), default=LEVEL_TOPS_MM[0])


def _level_after(position_mm: float) -> float:
    """The lower end of the level that a position lies in."""
    return min((top for top in LEVEL_TOPS_MM if top > position_mm), default=LEVEL_TOPS_MM[-1])


def _polyline(points: Sequence[tuple[float, float]]) -> str:
    """Write places as a polyline has them; a single one twice, since a line of one point is not drawn."""
    return " ".join(f"{x},{y}" for x, y in (points if len(points) > 1 else (*points, *points)))


def _say(course: Course) -> str:
    return (
        f"{name_session(course.session)}: {min(course.areas_mm2):.0f} to {max(course.areas_mm2):.0f} mm² between "
        f"{min(course.positions_mm):.0f} and {max(course.positions_mm):.0f} mm."
    )
