# SPDX-License-Identifier: Apache-2.0
"""Standardized differences of the groups at the first session, one line a variable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.group.figures.drawing import GREY, GRID, PANEL_INCHES, footer, group_colors, group_markers, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINE_INCHES = 0.24
"""Height of the line of one variable with one or two groups beside the reference."""

MORE_INCHES = 0.07
"""Height that each further group adds to it."""

LARGEST_STEP = 0.25
"""Distance of two groups within the line of a variable."""

FARTHEST = 3.0
"""Intervals are drawn up to here, unless a difference lies beyond: those of a few persons would flatten all others."""


@dataclass(frozen=True)
class Difference:
    """The standardized difference of one variable.

    Attributes
    ----------
    label
        Of the variable.
    group
        Which is compared with the reference.
    smd, low, high
        Group less reference, and its confidence interval.
    n
        Persons with a value, both groups together.
    """

    label: str
    group: str
    smd: float
    low: float
    high: float
    n: int


def draw_balance(points: Sequence[Difference], groups: Sequence[str], limit: float, level: float) -> Figure:
    """Return a panel with the differences from the first of the groups, which is the reference.

    Parameters
    ----------
    points
        In the order of the table.
    groups
        All groups in their order, so that colours are those of other figures.
    limit
        Of balance, drawn on either side.
    level
        Of the confidence intervals.
    """
    labels = list(dict.fromkeys(point.label for point in points))
    height = 1.2 + (LINE_INCHES + MORE_INCHES * max(0, len(groups) - 3)) * len(labels)
    figure, (panel,) = new_figure(panel_inches=(1.9 * PANEL_INCHES[0], height))
    colors, markers = group_colors(groups), group_markers(groups)
    panel.axvline(0.0, color=GREY, linewidth=0.8)
    for side in (-limit, limit):
        panel.axvline(side, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    compared = groups[1:]
    step = min(LARGEST_STEP, 0.7 / len(compared))
    for order, group in enumerate(compared):
        chosen = [point for point in points if point.group == group]
        offset = (order - (len(compared) - 1) / 2) * step
        lines = [labels.index(point.label) + offset for point in chosen]
        panel.hlines(lines, [one.low for one in chosen], [one.high for one in chosen], colors[group], linewidth=1.1)
        panel.plot(
            [point.smd for point in chosen],
            lines,
            linestyle="none",
            marker=markers[group],
            color=colors[group],
            markersize=5,
            label=group,
        )
    panel.set_yticks(range(len(labels)), [f"{label}  (n = {_numbers(points, label)})" for label in labels])
    panel.set_ylim(len(labels) - 0.5, -0.5)
    panel.grid(axis="y", color=GRID, linewidth=0.6)
    ends = max(max(abs(point.low), abs(point.high)) for point in points)
    reach = 1.15 * max(0.5, min(FARTHEST, ends), *(abs(point.smd) for point in points))
    panel.set_xlim(-reach, reach)
    panel.locator_params(axis="x", nbins=6)
    panel.set_xlabel(f"Standardized difference from {groups[0]} (SD)")
    if len(groups) > 2:
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    else:
        panel.set_title(f"{groups[1]} less {groups[0]}", loc="left", fontsize=9.5)
    footer(figure, f"Lines: {100 * level:.0f} % confidence intervals. Dashed: {limit:g} on either side.")
    return figure


def _numbers(points: Sequence[Difference], label: str) -> str:
    counts = sorted({point.n for point in points if point.label == label})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
