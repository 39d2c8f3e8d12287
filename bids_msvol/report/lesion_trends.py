# SPDX-License-Identifier: Apache-2.0
"""Number and volume of the lesions over the sessions, on axes that begin at zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.report.plots import BOTTOM, HEADROOM, HEIGHT, TOP, Plot, Point, Tick, label_sessions, place_sessions
from bids_msvol.report.wording import MISSING, MM3_PER_ML, format_count, format_ml, name_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bids_msvol.bids.load import SessionOutputs


@dataclass(frozen=True)
class Measure:
    """A number of the table of all lesions as it is plotted.

    Attributes
    ----------
    column
        Its column.
    title
        Title of the plot.
    unit_per_axis
        What one unit of the axis is in the unit of the column.
    least_reach
        The axis reaches at least so far, and its marks are at least this fine: a plot of zeros needs an axis, too.
    say
        How a value is said.
    """

    column: str
    title: str
    unit_per_axis: float
    least_reach: float
    say: Callable[[float], str]


MEASURES = (
    Measure("volume_mm3", "Lesion volume (mL)", MM3_PER_ML, 0.1, lambda value: f"{format_ml(value)} mL"),
    Measure("count", "Number of lesions", 1.0, 2.0, format_count),
)

LEAST_STEPS = 2
"""Steps of the axis, at least."""


def draw_lesion_plots(sessions: Sequence[SessionOutputs]) -> tuple[Plot, ...]:
    """Draw volume and number of the lesions; what fewer than two sessions have is left out."""
    return tuple(plot for measure in MEASURES if (plot := draw_lesion_plot(sessions, measure)) is not None)


def draw_lesion_plot(sessions: Sequence[SessionOutputs], measure: Measure) -> Plot | None:
    """Draw one measure over the sessions.

    Parameters
    ----------
    sessions
        The sessions, in order.
    measure
        What to draw.

    Returns
    -------
    Plot or None
        ``None`` if fewer than two sessions have a number. There is no band: how far lesions scatter when measured
        again is not among the measured errors.
    """
    values = [session.lesion_value(measure.column) for session in sessions]
    present = [value / measure.unit_per_axis for value in values if value is not None]
    if len(present) < 2:
        return None
    reach = max(HEADROOM * max(present), measure.least_reach)

    def to_y(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / reach * (HEIGHT - BOTTOM - TOP), 2)

    places = place_sessions(sessions)
    said = [
        f"{name_session(session)}: {MISSING if value is None else measure.say(value)}"
        for session, value in zip(sessions, values, strict=True)
    ]
    return Plot(
        title=measure.title,
        summary=f"{measure.title}. {'; '.join(said)}.",
        points=tuple(
            Point(x, to_y(value / measure.unit_per_axis), text)
            for x, value, text in zip(places, values, said, strict=True)
            if value is not None
        ),
        x_ticks=label_sessions(sessions, places),
        y_ticks=tuple(Tick(to_y(mark), f"{mark:g}") for mark in mark_axis(reach)),
        band=None,
        missing=tuple(x for x, value in zip(places, values, strict=True) if value is None),
    )


def mark_axis(reach: float) -> tuple[float, ...]:
    """Return round numbers from zero up to ``reach``, in two to four steps.

    Examples
    --------
    >>> mark_axis(13.8), mark_axis(2.0)
    ((0.0, 5.0, 10.0), (0.0, 1.0, 2.0))
    """
    power = 10.0 ** math.floor(math.log10(reach))
    step = next(size * power for size in (5.0, 2.0, 1.0, 0.5) if reach / (size * power) >= LEAST_STEPS)
    return tuple(round(step * count, 10) for count in range(int(reach / step + 1e-9) + 1))
