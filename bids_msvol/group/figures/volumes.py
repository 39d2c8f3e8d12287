# SPDX-License-Identifier: Apache-2.0
"""Figure of the comparison of volumes: a forest of standardised differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.group.figures.drawing import GREY, GRID, footer, group_colors, group_markers, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS_PER_ROW = 4

LARGEST_SHOWN = 3.0
"""Intervals are shown up to here, in standard deviations, unless an estimate is farther out: one region with few
persons must not squeeze all others."""


@dataclass(frozen=True)
class Comparison:
    """One panel.

    Attributes
    ----------
    title
        Which groups, with their numbers of persons.
    group
        The group whose colour and marker are used.
    effects
        For each region the difference and the ends of its interval; NaN where there is none.
    stands
        For each region whether it stands after correction.
    """

    title: str
    group: str
    effects: tuple[tuple[float, float, float], ...]
    stands: tuple[bool, ...]


def draw_forest(labels: Sequence[str], panels: Sequence[Comparison], groups: Sequence[str], level: float) -> Figure:
    """Draw one panel for each comparison with one row for each region.

    Parameters
    ----------
    labels
        Of the regions, from top to bottom.
    panels
        The comparisons.
    groups
        All groups, in their order.
    level
        Of the intervals.
    """
    columns = min(len(panels), PANELS_PER_ROW)
    lines = math.ceil(len(panels) / columns)
    height = 0.21 * len(labels) + 0.9
    figure, axes = new_figure(
        lines, columns, panel_inches=(2.8 if columns > 1 else 4.6, height), sharex=True, sharey=True
    )
    colors, markers = group_colors(groups), group_markers(groups)
    rows = np.arange(len(labels))
    limit = _limit(panels)
    for panel, comparison in zip(axes, panels, strict=False):
        effects = np.array(comparison.effects, dtype=float).reshape(-1, 3)
        stands = np.array(comparison.stands, dtype=bool)
        known = np.isfinite(effects[:, 0])
        color, marker = colors[comparison.group], markers[comparison.group]
        panel.axvline(0.0, color=GREY, linewidth=0.8)
        panel.hlines(rows[known], effects[known, 1], effects[known, 2], color=color, linewidth=1.4)
        for chosen, fill in ((known & stands, color), (known & ~stands, "white")):
            panel.plot(
                effects[chosen, 0], rows[chosen], marker, markersize=5, color=color, markerfacecolor=fill, linewidth=0
            )
        for row in rows[~known]:
            panel.text(0.0, row, " not tested", fontsize=7, color=GREY, va="center")
        panel.set_title(comparison.title, fontsize=9.0)
        panel.grid(axis="y", color=GRID, linewidth=0.6)
        panel.set_yticks(rows, labels)
        panel.tick_params(axis="y", length=0)
        panel.set_ylim(len(labels) - 0.4, -0.6)
        panel.set_xlim(-limit, limit)
    for number, panel in enumerate(axes):
        if number >= len(panels):
            panel.set_visible(False)
        elif number + columns >= len(panels):
            panel.set_xlabel("Difference (standard deviations)")
            panel.tick_params(labelbottom=True)
    footer(figure, f"Hedges' g with {100 * level:.0f} % interval; filled: q < {1.0 - level:g} within the comparison")
    return figure


def _limit(panels: Sequence[Comparison]) -> float:
    values = np.abs([effect for panel in panels for effect in panel.effects])
    if not np.isfinite(values).any():
        return 1.0
    ends = min(float(np.nanmax(values)), max(LARGEST_SHOWN, 1.3 * float(np.nanmax(values[:, 0]))))
    return max(1.05 * ends, 0.5)
