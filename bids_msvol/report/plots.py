# SPDX-License-Identifier: Apache-2.0
"""Small plots of a course over sessions, as places in an SVG picture: what all of them have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.report.wording import describe_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bids_msvol.bids.load import SessionOutputs

HEADROOM = 1.15
"""The axis reaches beyond the largest value by this factor."""
WIDTH, HEIGHT = 260.0, 150.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 14.0, 10.0, 24.0
"""Size and margins of a plot, in its own units (pixels at natural size)."""


@dataclass(frozen=True)
class Point:
    """One session in a plot: its place, and what it says when pointed at."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place along the axis and its text."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Plot:
    """One small plot, in the units of its picture.

    Attributes
    ----------
    title
        What is plotted.
    summary
        The plot in words, for readers who do not see it.
    points
        The sessions that have a number.
    x_ticks, y_ticks
        Marks of the axes.
    band
        Top and height of the repeatability band, or ``None`` if the repeatability was not measured.
    missing
        Places along the horizontal axis of the sessions without a number.
    """

    title: str
    summary: str
    points: tuple[Point, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    band: tuple[float, float] | None
    missing: tuple[float, ...]


FRAME = {
    "width": WIDTH,
    "height": HEIGHT,
    "left": LEFT,
    "right": WIDTH - RIGHT,
    "top": TOP,
    "bottom": HEIGHT - BOTTOM,
}
"""The edges of a plot, for the template."""


def all_dated(sessions: Sequence[SessionOutputs]) -> bool:
    """Say whether the day of every session is known."""
    return all(session.days is not None for session in sessions)


def place_sessions(sessions: Sequence[SessionOutputs]) -> tuple[float, ...]:
    """Return the place of each session along the horizontal axis: by days where all are known, else evenly spread."""
    days = [session.days if session.days is not None else 0.0 for session in sessions]
    if not all_dated(sessions) or max(days) == min(days):
        days = [float(order) for order in range(len(sessions))]
    scale = (WIDTH - LEFT - RIGHT - 20) / (max(days) - min(days))
    return tuple(round(LEFT + 10 + (day - min(days)) * scale, 2) for day in days)


def label_sessions(sessions: Sequence[SessionOutputs], places: Sequence[float]) -> tuple[Tick, ...]:
    """Return the marks of the horizontal axis."""

    def text(session: SessionOutputs) -> str:
        return describe_day(session.days) if all_dated(sessions) else f"{session.label or ''}"

    # First and last always have room; those between are marked by their points alone.
    return Tick(places[0], text(sessions[0]), "start"), Tick(places[-1], text(sessions[-1]), "end")
