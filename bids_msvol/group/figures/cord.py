# SPDX-License-Identifier: Apache-2.0
"""Figures of the cord: areas and their change by level, and the cord beside the brain."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.figures.drawing import GREY, GRID, footer, group_colors, group_markers, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 1500
"""Points drawn in one panel; of more, so many are drawn, evenly chosen in the order of the cord areas."""

SPREAD = 0.55
"""Width, in levels, over which the marks of the groups lie beside each other."""


@dataclass(frozen=True)
class LevelPoint:
    """A value with its interval: of a group at a level, and from how many persons."""

    level: str
    group: str
    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, eq=False)
class Stratum:
    """The cord and the brain of people of similar disability.

    Attributes
    ----------
    name
        Such as ``EDSS 0-1.5``.
    brain, cord
        (person,).
    text
        The correlation in words, written into the panel.
    """

    name: str
    brain: NDArray[np.float64]
    cord: NDArray[np.float64]
    text: str


@dataclass(frozen=True)
class Bar:
    """A difference in per cent with its interval: of a measure in a stratum."""

    measure: str
    stratum: str
    value: float
    low: float
    high: float
    count: int


def draw_profile(points: Sequence[LevelPoint], levels: Sequence[str], counts: Mapping[str, int]) -> Figure:
    """Draw adjusted mean areas along the cord, one line for each group."""
    shown = _shown(points, levels)
    figure, (panel,) = new_figure(panel_inches=_size(shown, counts))
    _draw_groups(panel, points, shown, list(counts), counts, connect=True)
    panel.set_ylabel("Adjusted cord area (mm²)")
    _count_rows(panel, points, shown, list(counts))
    return figure


def draw_rates(points: Sequence[LevelPoint], levels: Sequence[str], groups: Sequence[str]) -> Figure:
    """Draw the change of area a year by level, one mark for each group."""
    shown = _shown(points, levels)
    names = [name for name in groups if any(point.group == name for point in points)]
    figure, (panel,) = new_figure(panel_inches=_size(shown, names))
    panel.axhline(0.0, color=GREY, linewidth=0.8)
    _draw_groups(panel, points, shown, names, None, connect=False)
    panel.set_ylabel("Change of area (% a year)")
    _count_rows(panel, points, shown, names)
    return figure


def _size(levels: Sequence[str], groups: Collection[str]) -> tuple[float, float]:
    return max(5.6, 0.72 * len(levels) + 2.6), 3.2 + 0.125 * len(groups)


def _shown(points: Sequence[LevelPoint], levels: Sequence[str]) -> list[str]:
    there = {point.level for point in points}
    return [level for level in levels if level in there]


def _draw_groups(
    panel: Axes,
    points: Sequence[LevelPoint],
    levels: Sequence[str],
    groups: Sequence[str],
    counts: Mapping[str, int] | None,
    *,
    connect: bool,
) -> None:
    colors, markers = group_colors(groups), group_markers(groups)
    offsets = np.linspace(-0.5, 0.5, len(groups)) * SPREAD if len(groups) > 1 else np.zeros(1)
    for name, offset in zip(groups, offsets, strict=True):
        mine = {point.level: point for point in points if point.group == name}
        if not mine:
            continue
        # A stretch such as C2-C3 is no step further down: its mark stands apart from the line.
        for part, label in ((_single(levels), True), (_stretches(levels), False)):
            there = [level for level in part if level in mine]
            if not there:
                continue
            at = np.array([levels.index(level) for level in there]) + offset
            values = np.array([mine[level].value for level in there])
            arms = np.array([[mine[one].value - mine[one].low, mine[one].high - mine[one].value] for one in there]).T
            n = f" (n = {counts[name]})" if counts else ""
            panel.errorbar(
                at, values, yerr=arms, color=colors[name], marker=markers[name], markersize=4.5, linewidth=1.2,
                linestyle="-" if connect and label else "none", elinewidth=1.1, capsize=0,
                label=f"{name}{n}" if label or not _single(levels) else None,
            )  # fmt: skip
    panel.set_xticks(range(len(levels)), list(levels))
    panel.set_xlim(-0.6, len(levels) - 0.4)
    panel.grid(axis="y", color=GRID, linewidth=0.7)
    panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _single(levels: Sequence[str]) -> list[str]:
    return [level for level in levels if "-" not in level]


def _stretches(levels: Sequence[str]) -> list[str]:
    return [level for level in levels if "-" in level]


def _count_rows(panel: Axes, points: Sequence[LevelPoint], levels: Sequence[str], groups: Sequence[str]) -> None:
    """Write below each level how many persons of each group were seen there, in the groups' colours."""
    colors = group_colors(groups)
    known = {(point.group, point.level): point.count for point in points}
    for row, name in enumerate(groups):
        for at, level in enumerate(levels):
            panel.annotate(
                str(known.get((name, level), "–")), (at, 0.0), xytext=(0, -22 - 9 * row),  # noqa: RUF001
                xycoords=("data", "axes fraction"), textcoords="offset points",
                ha="center", va="top", fontsize=7.0, color=colors[name],
            )  # fmt: skip
    panel.annotate("n", (0.0, 0.0), xytext=(-8, -22), xycoords="axes fraction", textcoords="offset points",
                   ha="right", va="top", fontsize=7.0, color=GREY)  # fmt: skip


def draw_brain_cord(strata: Sequence[Stratum], x_label: str, y_label: str, note: str) -> Figure:
    """Draw cord area against a brain volume, one panel for each stratum, each with its line."""
    figure, panels = new_figure(1, len(strata), panel_inches=(3.0, 3.0), sharex=True, sharey=True)
    names = [stratum.name for stratum in strata]
    colors, markers = group_colors(names), group_markers(names)
    for panel, stratum in zip(panels, strata, strict=True):
        order = np.argsort(stratum.cord, kind="stable")
        drawn = order[np.linspace(0, len(order) - 1, min(MOST_POINTS, len(order))).round().astype(int)]
        panel.plot(
            stratum.brain[drawn], stratum.cord[drawn], linestyle="none", marker=markers[stratum.name], markersize=3.6,
            color=colors[stratum.name], alpha=0.6, markeredgewidth=0.0, rasterized=len(drawn) > MOST_POINTS // 3,
        )  # fmt: skip
        if len(order) > 2 and np.ptp(stratum.brain) > 0.0:
            slope, intercept = np.polyfit(stratum.brain, stratum.cord, 1)
            ends = np.array([stratum.brain.min(), stratum.brain.max()])
            panel.plot(ends, intercept + slope * ends, color=colors[stratum.name], linewidth=1.8)
        few = f" ({len(drawn)} drawn)" if len(drawn) < len(order) else ""
        panel.set_title(f"{_two_lines(stratum.name)}\nn = {len(order)}{few}", loc="left", fontsize=9.0)
        panel.annotate(stratum.text, (0.03, 0.02), xycoords="axes fraction", va="bottom", fontsize=8.0)
        panel.set_xlabel(x_label)
        panel.grid(color=GRID, linewidth=0.7)
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(low - 0.12 * (high - low), high)
    panels[0].set_ylabel(y_label)
    footer(figure, note)
    return figure


def _two_lines(name: str) -> str:
    """Return ``mild`` and, below it, ``(EDSS 0-1.5)``."""
    return name.replace(" (", "\n(", 1)


def draw_loss(bars: Sequence[Bar], measures: Sequence[str], strata: Sequence[str], y_label: str) -> Figure:
    """Draw differences in per cent: measures along the axis, one bar for each stratum."""
    figure, (panel,) = new_figure(panel_inches=(max(6.6, 1.05 * len(measures) + 1.0), 3.4))
    colors = group_colors(strata)
    width = 0.8 / max(len(strata), 1)
    counts = {name: max((bar.count for bar in bars if bar.stratum == name), default=0) for name in strata}
    for number, name in enumerate(strata):
        mine = [bar for bar in bars if bar.stratum == name]
        at = np.array([measures.index(bar.measure) for bar in mine]) + width * (number - (len(strata) - 1) / 2)
        values = np.array([bar.value for bar in mine])
        arms = np.array([[bar.value - bar.low, bar.high - bar.value] for bar in mine]).reshape(-1, 2).T
        panel.bar(at, values, 0.9 * width, color=colors[name], label=f"{_two_lines(name)}, n = {counts[name]}")
        panel.errorbar(at, values, yerr=arms, linestyle="none", color=GREY, elinewidth=1.0)
    panel.axhline(0.0, color=GREY, linewidth=0.8)
    panel.set_xticks(range(len(measures)), [name.replace(" ", "\n") for name in measures], fontsize=8.0)
    panel.set_ylabel(y_label)
    panel.grid(axis="y", color=GRID, linewidth=0.7)
    figure.legend(loc="outside upper left", ncols=min(len(strata), 3), frameon=False, fontsize=8.0)
    return figure
