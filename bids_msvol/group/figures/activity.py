# SPDX-License-Identifier: Apache-2.0
"""NEDA as stacked bars by year and group, and the share of persons with each kind of activity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.group.figures.drawing import GREY, GRID, footer, group_colors, group_markers, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bids_msvol.stats.proportions import Proportion

INK = "#222222"
"""Of points and intervals that must be seen on solid and on pale bars alike."""

MOST_COLUMNS = 4
"""Groups side by side."""

MOST_YEARS = 12
"""With more years than this only the first ones and all of follow-up are drawn."""


@dataclass(frozen=True)
class NedaBar:
    """One bar: persons with NEDA, those judged and those not known.

    Attributes
    ----------
    group, year, state
        Of whom, when (a number or ``all``), and whether NEDA-3 or NEDA-4.
    kept, judged, unknown
        Numbers of persons.
    share, low, high
        Share of those judged who kept it, and its interval, from 0 to 1; NaN if nobody was judged.
    """

    group: str
    year: str
    state: str
    kept: int
    judged: int
    unknown: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Share:
    """Share of persons of a group with one kind of activity."""

    label: str
    group: str
    value: Proportion


def draw_neda(bars: Sequence[NedaBar], groups: Sequence[str]) -> Figure:
    """Draw stacked bars: one panel a group, one pair of bars (NEDA-3, NEDA-4) a year."""
    columns = min(len(groups), MOST_COLUMNS)
    rows = math.ceil(len(groups) / columns)
    years = list(dict.fromkeys(bar.year for bar in bars))
    shown = [*[year for year in years if year != "all"][:MOST_YEARS], *[year for year in years if year == "all"]]
    states = [state for state in dict.fromkeys(bar.state for bar in bars) if _has(bars, state)] or ["NEDA-3"]
    width = max(2.2, 0.36 * len(shown) * len(states) + 0.9)
    figure, panels = new_figure(rows, columns, panel_inches=(width, 2.7), sharey=True)
    colors = group_colors(groups)
    for group, panel in zip(groups, panels, strict=False):
        for position, year in enumerate(shown):
            for order, state in enumerate(states):
                found = [bar for bar in bars if (bar.group, bar.year, bar.state) == (group, year, state)]
                if found:
                    place = position + (order - (len(states) - 1) / 2) * 0.44
                    _draw_bar(panel, place, 0.4 if len(states) > 1 else 0.6, found[0], colors[group])
        panel.set_title(group)
        panel.set(ylim=(0.0, 118.0), xlim=(-0.6, len(shown) - 0.4), yticks=range(0, 101, 25))
        panel.set_xticks(range(len(shown)), ["all" if year == "all" else year for year in shown])
        panel.set_xlabel("Year since the baseline")
    for panel in panels[len(groups) :]:
        panel.set_visible(False)
    for panel in panels[::columns]:
        panel.set_ylabel("Persons (%)")
    pair = f"; left bar {states[0]}, right bar {states[1]}" if len(states) > 1 else f"; {states[0]}"
    text = (
        f"solid: NEDA; pale: activity; hatched: not known{pair}; above: number of persons\n"
        "point and line: share of those judged with its Wilson interval"
    )
    footer(figure, text)
    return figure


def _has(bars: Sequence[NedaBar], state: str) -> bool:
    return any(bar.judged for bar in bars if bar.state == state)


def _draw_bar(panel: Axes, place: float, width: float, bar: NedaBar, color: str) -> None:
    total = bar.judged + bar.unknown
    if not total:
        return
    kept, lost, unknown = (100 * count / total for count in (bar.kept, bar.judged - bar.kept, bar.unknown))
    panel.bar(place, kept, width, color=color, edgecolor="white", linewidth=0.5)
    panel.bar(place, lost, width, bottom=kept, color=color, alpha=0.28, edgecolor="white", linewidth=0.5)
    panel.bar(place, unknown, width, bottom=kept + lost, color="white", edgecolor=GREY, linewidth=0.5, hatch="////")
    if bar.judged:
        panel.plot([place, place], [100 * bar.low, 100 * bar.high], color=INK, linewidth=0.9)
        panel.plot(place, 100 * bar.share, "o", color=INK, markersize=2.6, clip_on=False)
    panel.text(
        place, 102, str(total), ha="center", va="bottom", fontsize=6.5, color=GREY, rotation=90 if total > 99 else 0
    )


def draw_components(shares: Sequence[Share], groups: Sequence[str]) -> Figure:
    """Draw the share of persons with each kind of activity, groups one below the other within a kind."""
    labels = list(dict.fromkeys(share.label for share in shares))
    height = len(labels) * (0.16 * len(groups) + 0.16) + 0.8
    figure, (panel,) = new_figure(1, 1, panel_inches=(5.4, max(2.2, height)))
    colors, markers = group_colors(groups), group_markers(groups)
    step = 0.8 / max(len(groups), 1)
    for share in shares:
        order = list(groups).index(share.group)
        row = labels.index(share.label) + (order - (len(groups) - 1) / 2) * step
        value = share.value
        if not value.n:
            panel.text(1.0, row, f"{share.group}: not known", va="center", fontsize=6.5, color=GREY)
            continue
        color = colors[share.group]
        panel.plot([100 * value.low, 100 * value.high], [row, row], color=color, linewidth=1.4)
        panel.plot(100 * value.share, row, markers[share.group], color=color, markersize=4.5, clip_on=False)
        text = f"{value.count}/{value.n}"
        panel.annotate(
            text, (100 * value.high, row), (6, 0), textcoords="offset points", va="center", fontsize=6.5, color=GREY
        )
    for group in groups:
        panel.plot([], [], markers[group], color=colors[group], label=group)
    panel.set(xlim=(0.0, 112.0), xticks=range(0, 101, 20), xlabel="Persons with it over all of follow-up (%)")
    panel.set(ylim=(len(labels) - 0.45, -0.55))
    panel.set_yticks(range(len(labels)), labels)
    panel.grid(axis="x", color=GRID, linewidth=0.8)
    if len(groups) > 1:
        figure.legend(loc="outside upper left", ncols=min(len(groups), 4), fontsize=7.5, frameon=False)
    return figure
