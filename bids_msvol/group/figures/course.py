# SPDX-License-Identifier: Apache-2.0
"""The course of groups over the years: one panel a variable, with the number of persons below each point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.group.figures.drawing import GREY, GRID, group_colors, group_markers, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 2
"""Panels beside one another."""

PANEL_SIZE_INCHES = (3.6, 2.6)
"""Width and height of one panel without the numbers below it."""

DODGE_YEARS = (0.14, 0.6)
"""How far apart the points of two groups in one year are, and those of the first and the last group, at most."""

NUMBER_POINTS = 9.5
"""Height of a line of numbers below a panel."""

AXIS_POINTS = 30.0
"""Room below a panel for the years and their label, above the numbers."""

MOST_ABOVE = 2.5
"""Bars that reach farther above zero than so many times the highest point are cut, and the title says so."""

FAINT = 0.45
"""Opacity of bars where there are many groups."""

MOST_ROWS_OF_NUMBERS = 4
"""With more groups the numbers below the panel would be a table: the title says their range."""

MOST_NUMBERS = 9
"""With more years, numbers would touch one another."""


@dataclass(frozen=True)
class Course:
    """One group in one variable.

    Attributes
    ----------
    group
        Its name.
    years
        (point,) of follow-up.
    values, low, high
        (point,) and the ends of the bars; NaN for no bar.
    numbers
        (point,) persons.
    """

    group: str
    years: tuple[int, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Panel:
    """One variable.

    Attributes
    ----------
    title
        What it is.
    unit
        Label of the axis.
    bars
        What bars mean.
    courses
        Of the groups.
    """

    title: str
    unit: str
    bars: str
    courses: tuple[Course, ...]


def draw_course(panels: Sequence[Panel], groups: Sequence[str]) -> Figure:
    """Return small multiples of all variables.

    Parameters
    ----------
    panels
        In order.
    groups
        All groups in their order, for colours and markers.
    """
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    years = _years_of(panels)
    in_rows = has_room_for_numbers(panels, groups)
    width, height = PANEL_SIZE_INCHES
    if in_rows:
        height += NUMBER_POINTS * len(groups) / 72.0
    figure, axes = new_figure(rows, columns, panel_inches=(width, height))
    for axis, panel in zip(axes, panels, strict=False):
        _draw_panel(axis, panel, groups, years, in_rows)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    if len(groups) > 1:
        handles, labels = max((axis.get_legend_handles_labels() for axis in axes), key=lambda found: len(found[1]))
        figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)), frameon=False)
    return figure


def has_room_for_numbers(panels: Sequence[Panel], groups: Sequence[str]) -> bool:
    """Whether the number of persons of every point stands below it; else the axis says their range."""
    return len(groups) <= MOST_ROWS_OF_NUMBERS and max(_years_of(panels)) < MOST_NUMBERS


def _years_of(panels: Sequence[Panel]) -> set[int]:
    return {year for panel in panels for course in panel.courses for year in course.years}


def _draw_panel(axis: Axes, panel: Panel, groups: Sequence[str], years: set[int], in_rows: bool) -> None:
    colors, markers = group_colors(groups), group_markers(groups)
    step = min(DODGE_YEARS[0], DODGE_YEARS[1] / max(1, len(groups) - 1))
    for course in panel.courses:
        place = groups.index(course.group)
        offset = step * (place - (len(groups) - 1) / 2.0)
        at = np.array(course.years) + offset
        values = np.array(course.values)
        bars = np.array([values - course.low, course.high - values])
        color = colors[course.group]
        axis.errorbar(
            at, values, yerr=np.where(np.isfinite(bars), bars, 0.0).clip(min=0.0), color=color, linewidth=1.3,
            marker=markers[course.group], markersize=5.0, elinewidth=0.9, capsize=2.0, label=course.group,
            ecolor=(color, 1.0 if in_rows else FAINT),
        )  # fmt: skip
        if in_rows:
            for year, number in zip(course.years, course.numbers, strict=True):
                axis.annotate(
                    str(number), (year, 0.0), xycoords=("data", "axes fraction"), textcoords="offset points",
                    xytext=(0.0, -AXIS_POINTS - NUMBER_POINTS * (place + 0.5)), ha="center", va="center",
                    fontsize=7.0, color=color,
                )  # fmt: skip
    if in_rows:
        axis.annotate(
            "n", (0.0, 0.0), xycoords="axes fraction", textcoords="offset points",
            xytext=(-8.0, -AXIS_POINTS - NUMBER_POINTS * 0.5), ha="right", va="center", fontsize=7.0, color=GREY,
        )  # fmt: skip
    top = _top(panel)
    cut = any(high > top for course in panel.courses for high in course.high)
    axis.set_title(f"{panel.title} ({panel.bars}{', cut' if cut else ''})", loc="left", fontsize=9.0)
    axis.set_ylabel(panel.unit)
    axis.set_xlabel("Year of follow-up" + ("" if in_rows else f" ({_say_numbers(panel)})"))
    axis.set_xticks(sorted(years) if len(years) <= MOST_NUMBERS else sorted(years)[:: -(-len(years) // MOST_NUMBERS)])
    axis.set_xlim(min(years) - 0.4, max(years) + 0.4)
    # A little room, so that points at 0 are seen whole.
    axis.set_ylim(-0.03 * top, 1.05 * top)
    axis.grid(axis="y", color=GRID, linewidth=0.6)


def _top(panel: Panel) -> float:
    """Return the end of the axis: that of the bars, unless those of a few persons would flatten all the rest."""
    highest = max(value for course in panel.courses for value in course.values)
    bars = [high for course in panel.courses for high in course.high if np.isfinite(high)]
    top = max([highest, *bars])
    return min(top, MOST_ABOVE * highest) if highest > 0.0 else top or 1.0


def _say_numbers(panel: Panel) -> str:
    numbers = [number for course in panel.courses for number in course.numbers]
    low, high = min(numbers), max(numbers)
    return f"n = {low} a point" if low == high else f"n = {low} to {high} a point"
