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
"""Height of the line of one variable."""


@dataclass(frozen=True)
class Difference:
    """The standardized difference of one variable.

    Attributes
    ----------
    label
        Of the variable.
    group
        Which is compared with the reference.
    smd
        Group less reference.
    n
        Persons with a value, both groups together.
    """

    label: str
    group: str
    smd: float
    n: int


def draw_balance(points: Sequence[Difference], groups: Sequence[str], limit: float) -> Figure:
    """Return a panel with the differences from the first of the groups, which is the reference.

    Parameters
    ----------
    points
        In the order of the table.
    groups
        All groups in their order, so that colours are those of other figures.
    limit
        Of balance, drawn on either side.
    """
    labels = list(dict.fromkeys(point.label for point in points))
    height = 1.2 + LINE_INCHES * len(labels)
    figure, (panel,) = new_figure(panel_inches=(1.9 * PANEL_INCHES[0], height))
    colors, markers = group_colors(groups), group_markers(groups)
    panel.axvline(0.0, color=GREY, linewidth=0.8)
    for side in (-limit, limit):
        panel.axvline(side, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    for group in groups[1:]:
        chosen = [point for point in points if point.group == group]
        panel.plot(
            [point.smd for point in chosen],
            [labels.index(point.label) for point in chosen],
            linestyle="none",
            marker=markers[group],
            color=colors[group],
            markersize=6,
            label=group,
        )
    panel.set_yticks(range(len(labels)), [f"{label}  (n = {_numbers(points, label)})" for label in labels])
    panel.set_ylim(len(labels) - 0.5, -0.5)
    panel.grid(axis="y", color=GRID, linewidth=0.6)
    reach = 1.15 * max(0.5, *(abs(point.smd) for point in points))
    panel.set_xlim(-reach, reach)
    panel.locator_params(axis="x", nbins=6)
    panel.set_xlabel(f"Standardized difference from {groups[0]} (SD)")
    if len(groups) > 2:
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    else:
        panel.set_title(f"{groups[1]} less {groups[0]}", loc="left", fontsize=9.5)
    footer(figure, f"Dashed: {limit:g}, the usual limit of balance. No test.")
    return figure


def _numbers(points: Sequence[Difference], label: str) -> str:
    counts = sorted({point.n for point in points if point.label == label})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
