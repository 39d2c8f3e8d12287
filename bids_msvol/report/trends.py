# SPDX-License-Identifier: Apache-2.0
"""The sessions side by side: one small plot for each main structure, drawn as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import MINUS, MISSING, describe_day, describe_structure, format_ml, name_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
    from bids_msvol.report.measured_error import MeasuredError

PANELS: tuple[str, ...] = (
    "WholeBrain", "TotalGray", "TotalWhite", "DeepGray", "Cerebral-Cortex", "Cerebral-White-Matter", "Thalamus",
    "Caudate", "Putamen", "Pallidum", "Hippocampus", "Amygdala", "Cerebellum", "Brain-Stem",
    "Lateral-Ventricle", "Ventricles",
)  # fmt: skip
"""What is plotted: sums, unpaired structures, and paired structures as left plus right."""

MIN_HALF_RANGE = 0.04
"""The axis reaches at least this fraction above and below the first session: noise must not look like change."""
HEADROOM = 1.15
LIMIT_PER_MEDIAN = 1.96 / 0.6745
"""Range that holds 95 of 100 repeated measurements over their median absolute difference, for normal errors."""
TICKS_PCT = (3, 5, 10, 20, 30, 50, 100, 200, 500)
"""Round differences from the first session that the vertical axis may mark, in per cent."""
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
        The structure.
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


def build_trend_section(outputs: ParticipantOutputs, error: MeasuredError) -> Section | None:
    """Build the section with the plots, or return ``None`` where fewer than two sessions can be compared."""
    if len(outputs.sessions) < 2:
        return None
    plots = tuple(plot for name in PANELS if (plot := draw_plot(outputs.sessions, name, error)) is not None)
    if not plots:
        return None
    html = render(
        "trends.html.j2",
        plots=plots,
        frame={
            "width": WIDTH,
            "height": HEIGHT,
            "left": LEFT,
            "right": WIDTH - RIGHT,
            "top": TOP,
            "bottom": HEIGHT - BOTTOM,
        },
        has_days=_all_dated(outputs.sessions),
        has_band=any(plot.band for plot in plots),
    )
    return Section("Sessions side by side", "sessions", html)


def draw_plot(sessions: Sequence[SessionOutputs], name: str, error: MeasuredError) -> Plot | None:
    """Draw one structure over the sessions.

    Parameters
    ----------
    sessions
        The sessions, in order.
    name
        A sum, an unpaired structure, or a paired structure without its side (left and right are added).
    error
        The measured error of the program; its repeatability becomes the band around the first session.

    Returns
    -------
    Plot or None
        ``None`` if fewer than two sessions have a number, or the first of them is zero.
    """
    volumes = [total_volume_mm3(session, name) for session in sessions]
    present = [volume for volume in volumes if volume is not None]
    if len(present) < 2 or present[0] <= 0:
        return None
    first = present[0]
    reach = LIMIT_PER_MEDIAN * (error.repeatability_pct(name) or 0.0) / 100
    spread = max(abs(volume / first - 1) for volume in present)
    half_range = max(MIN_HALF_RANGE, HEADROOM * spread, HEADROOM * reach)
    mark_pct = max((mark for mark in TICKS_PCT if mark <= 100 * half_range), default=TICKS_PCT[0])

    def to_y(volume: float) -> float:
        middle = (TOP + HEIGHT - BOTTOM) / 2
        return round(middle - (volume / first - 1) / half_range * (HEIGHT - BOTTOM - TOP) / 2, 2)

    places = _place_sessions(sessions)
    title = describe_structure(name)
    points: list[Point] = []
    said: list[str] = []
    missing: list[float] = []
    for session, x, volume in zip(sessions, places, volumes, strict=True):
        if volume is None:
            missing.append(x)
            said.append(f"{name_session(session)}: {MISSING}")
            continue
        said.append(f"{name_session(session)}: {format_ml(volume)} mL")
        points.append(Point(x, to_y(volume), said[-1]))
    band = (
        (to_y(first * (1 + reach)), round(to_y(first * (1 - reach)) - to_y(first * (1 + reach)), 2)) if reach else None
    )
    return Plot(
        title=title,
        summary=f"{title}. {'; '.join(said)}.",
        points=tuple(points),
        x_ticks=_label_sessions(sessions, places),
        y_ticks=(
            Tick(to_y(first * (1 + mark_pct / 100)), f"+{mark_pct} %"),
            Tick(to_y(first), format_ml(first)),
            Tick(to_y(first * (1 - mark_pct / 100)), f"{MINUS}{mark_pct} %"),
        ),
        band=band,
        missing=tuple(missing),
    )


def total_volume_mm3(session: SessionOutputs, name: str) -> float | None:
    """Return a volume by its name, or left plus right of a paired structure; ``None`` if a part is missing."""
    whole = session.volume_mm3(name)
    if whole is not None:
        return whole
    sides = [session.volume_mm3(f"{side}-{name}") for side in ("Left", "Right")]
    known = [side for side in sides if side is not None]
    return sum(known) if len(known) == len(sides) else None


def _all_dated(sessions: Sequence[SessionOutputs]) -> bool:
    return all(session.days is not None for session in sessions)


def _place_sessions(sessions: Sequence[SessionOutputs]) -> tuple[float, ...]:
    days = [session.days if session.days is not None else 0.0 for session in sessions]
    if not _all_dated(sessions) or max(days) == min(days):
        days = [float(order) for order in range(len(sessions))]
    scale = (WIDTH - LEFT - RIGHT - 20) / (max(days) - min(days))
    return tuple(round(LEFT + 10 + (day - min(days)) * scale, 2) for day in days)


def _label_sessions(sessions: Sequence[SessionOutputs], places: Sequence[float]) -> tuple[Tick, ...]:
    def text(session: SessionOutputs) -> str:
        return describe_day(session.days) if _all_dated(sessions) else f"{session.label or ''}"

    # First and last always have room; those between are marked by their points alone.
    return Tick(places[0], text(sessions[0]), "start"), Tick(places[-1], text(sessions[-1]), "end")
