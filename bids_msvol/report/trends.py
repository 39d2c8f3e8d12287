# SPDX-License-Identifier: Apache-2.0
"""The sessions side by side: one small plot for each main structure and for the lesions, drawn as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bids_msvol.report.lesion_trends import draw_lesion_plots
from bids_msvol.report.lesions import has_unlike_sources
from bids_msvol.report.plots import (
    BOTTOM,
    FRAME,
    HEADROOM,
    HEIGHT,
    TOP,
    Plot,
    Point,
    Tick,
    all_dated,
    label_sessions,
    place_sessions,
)
from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import MINUS, MISSING, describe_structure, format_ml, name_session

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
LIMIT_PER_MEDIAN = 1.96 / 0.6745
"""Range that holds 95 of 100 repeated measurements over their median absolute difference, for normal errors."""
TICKS_PCT = (3, 5, 10, 20, 30, 50, 100, 200, 500)
"""Round differences from the first session that the vertical axis may mark, in per cent."""


def build_trend_section(outputs: ParticipantOutputs, error: MeasuredError) -> Section | None:
    """Build the section with the plots, or return ``None`` where fewer than two sessions can be compared."""
    if len(outputs.sessions) < 2:
        return None
    structures = tuple(plot for name in PANELS if (plot := draw_plot(outputs.sessions, name, error)) is not None)
    lesions = draw_lesion_plots(outputs.sessions)
    if not structures and not lesions:
        return None
    html = render(
        "trends.html.j2",
        plots=(*structures, *lesions),
        frame=FRAME,
        has_days=all_dated(outputs.sessions),
        has_band=any(plot.band for plot in structures),
        has_structures=bool(structures),
        has_lesions=bool(lesions),
        unlike=bool(lesions) and has_unlike_sources(outputs.sessions),
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
    volumes = [session.total_mm3(name) for session in sessions]
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

    places = place_sessions(sessions)
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
        x_ticks=label_sessions(sessions, places),
        y_ticks=(
            Tick(to_y(first * (1 + mark_pct / 100)), f"+{mark_pct} %"),
            Tick(to_y(first), format_ml(first)),
            Tick(to_y(first * (1 - mark_pct / 100)), f"{MINUS}{mark_pct} %"),
        ),
        band=band,
        missing=tuple(missing),
    )
