# SPDX-License-Identifier: Apache-2.0
"""Drawings of regressions: points with a line and its band, a panel a group; and slopes side by side (forest plot)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.figures.drawing import GREY, GRID, INK, footer, group_colors, group_markers, new_figure
from bids_msvol.stats.regression import simple_regression

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 2000
"""Points drawn in a panel: more hide one another and make large files. The line is always that of all points."""

MOST_COLUMNS = 4
"""Panels side by side."""

MOST_TEXTS = 60
"""Rows of a forest plot up to which each has its numbers written beside it."""

ROW_INCHES, CLOSE_ROW_INCHES = 0.2, 0.11
"""Height of one row of a forest plot, with numbers beside it and without."""

TITLE_POINTS = 9.5
"""Size of the titles of panels."""

LEAST_FOR_LINE = 3
"""Points from which a line has a band."""


@dataclass(frozen=True, eq=False)
class ScatterPanel:
    """The points of one group.

    Attributes
    ----------
    group
        Its name, the title of the panel.
    x, y
        (point,).
    note
        What is written in the panel, such as ``R = -0.35, p = 0.006``; the number of points is added.
    """

    group: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    note: str = ""


@dataclass(frozen=True)
class ForestRow:
    """One estimate of a forest plot.

    Attributes
    ----------
    label
        What it is about, such as a region; rows of one label stand together.
    group
        Which gives its colour and marker.
    value, low, high
        Estimate and confidence interval; NaN where there is none.
    text
        Numbers written to the right.
    """

    label: str
    group: str
    value: float
    low: float
    high: float
    text: str = ""


def draw_scatter(
    panels: Sequence[ScatterPanel],
    *,
    x_label: str,
    y_label: str,
    groups: Sequence[str],
    level: float = 0.95,
    footer_text: str = "",
) -> Figure:
    """Draw points of each group with the line of least squares and its confidence band.

    Parameters
    ----------
    panels
        One for each group that is shown.
    x_label, y_label
        With units.
    groups
        All groups of the study, from which colours and markers follow.
    level
        Of the band.
    footer_text
        Line below the figure.
    """
    columns = max(1, min(MOST_COLUMNS, len(panels)))
    rows = max(1, math.ceil(len(panels) / columns))
    figure, axes = new_figure(rows, columns, sharex=True, sharey=True)
    colors, markers = group_colors(groups), group_markers(groups)
    for axis, panel in zip(axes, panels, strict=False):
        _draw_panel(axis, panel, colors.get(panel.group, INK), markers.get(panel.group, "o"), level)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for number, axis in enumerate(axes[: len(panels)]):
        if number % columns == 0:
            axis.set_ylabel(y_label)
        if number + columns >= len(panels):
            axis.set_xlabel(x_label)
            axis.tick_params(labelbottom=True)
    if footer_text:
        footer(figure, footer_text)
    return figure


def confidence_band(
    x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64], level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the line of least squares and the confidence limits of the mean, at given places.

    Raises
    ------
    ValueError
        If no line can be fitted, or the points lie on one.
    """
    fit = simple_regression(y, x, level=level)
    points = [fit.contrast({"intercept": 1.0, "x": float(place)}) for place in at]
    lines = [np.array([getattr(point, name) for point in points]) for name in ("value", "low", "high")]
    return lines[0], lines[1], lines[2]


def _draw_panel(axis: Axes, panel: ScatterPanel, color: str, marker: str, level: float) -> None:
    from matplotlib.ticker import MaxNLocator

    count = len(panel.x)
    shown = np.arange(count)
    if count > MOST_POINTS:
        shown = np.random.default_rng(0).choice(count, MOST_POINTS, replace=False)
    axis.axhline(0.0, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    dense = count > 200
    axis.scatter(
        panel.x[shown], panel.y[shown], s=7 if dense else 20, color=color, marker=marker, linewidths=0.0,
        alpha=0.25 if dense else 0.6, zorder=2, rasterized=dense,
    )  # fmt: skip
    if count >= LEAST_FOR_LINE and np.ptp(panel.x) > 0.0:
        at = np.linspace(float(panel.x.min()), float(panel.x.max()), 60)
        try:
            line, low, high = confidence_band(panel.x, panel.y, at, level)
        except ValueError:
            pass  # Points on a line have no band; they show the line themselves.
        else:
            axis.fill_between(at, low, high, color=color, alpha=0.16, linewidth=0.0, zorder=1.5)
            axis.plot(at, line, color=color, linewidth=1.6, zorder=3)
    drawn = f" ({MOST_POINTS:,} drawn)" if count > MOST_POINTS else ""
    title = f"{panel.group}, n = {count:,}{drawn}"
    axis.set_title(f"{title}\n{panel.note}" if panel.note else title, loc="left", fontsize=TITLE_POINTS)
    if np.all(panel.x == np.round(panel.x)):
        axis.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axis.margins(x=0.06, y=0.08)


def draw_forest(
    rows: Sequence[ForestRow],
    *,
    x_label: str,
    groups: Sequence[str],
    reference: float = 0.0,
    footer_text: str = "",
    text_title: str = "",
    mark_text: str = "",
) -> Figure:
    """Draw estimates with their confidence intervals, one below the other; also for use by other analyses.

    Parameters
    ----------
    rows
        From top to bottom. Those of one label should follow one another.
    x_label
        With unit.
    groups
        All groups of the study, from which colours and markers follow.
    reference
        Where the vertical line of no effect stands.
    footer_text
        Line below the figure.
    text_title
        Heading of the numbers to the right.
    mark_text
        What a star in these numbers means; written if the numbers are, and one has a star.
    """
    labels = list(dict.fromkeys(row.label for row in rows))
    positions = _positions(rows, labels)
    written = 0 < len(rows) <= MOST_TEXTS and any(row.text for row in rows)
    row_inches = ROW_INCHES if len(rows) <= MOST_TEXTS else CLOSE_ROW_INCHES
    height = max(1.8, row_inches * (positions[-1] + 1.0 if positions else 1.0) + 1.0)
    figure, axes = new_figure(panel_inches=(7.4 if written else 5.4, height))
    axis = axes[0]
    colors, markers = group_colors(groups), group_markers(groups)
    axis.axvline(reference, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    _shade(axis, rows, positions, labels)
    limits = _limits(rows, reference)
    for row, position in zip(rows, positions, strict=True):
        color = colors.get(row.group, INK)
        if math.isfinite(row.value):
            axis.plot([max(row.low, limits[0]), min(row.high, limits[1])], [position, position], color=color,
                      linewidth=1.4, solid_capstyle="butt", zorder=2)  # fmt: skip
            axis.plot([row.value], [position], color=color, marker=markers.get(row.group, "o"), markersize=5,
                      markeredgewidth=0.0, linestyle="none", zorder=3)  # fmt: skip
            _mark_cut(axis, row, position, limits, color)
        text = row.text if math.isfinite(row.value) else "not tested"
        if written:
            axis.annotate(text, (1.02, position), xycoords=axis.get_yaxis_transform(), va="center", fontsize=7.5,
                          color=INK if math.isfinite(row.value) else GREY, annotation_clip=False)  # fmt: skip
    axis.set_xlim(*limits)
    axis.set_ylim((positions[-1] if positions else 0.0) + 0.8, -0.8)
    centres = [np.mean([at for row, at in zip(rows, positions, strict=True) if row.label == label]) for label in labels]
    axis.set_yticks([float(centre) for centre in centres], labels)
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.spines["left"].set_visible(False)
    axis.set_xlabel(x_label)
    if written and text_title:
        axis.annotate(text_title, (1.02, 1.0), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points",
                      va="bottom", fontsize=7.5, color=GREY, annotation_clip=False)  # fmt: skip
    _add_legend(figure, [group for group in groups if any(row.group == group for row in rows)])
    marked = written and any("*" in row.text for row in rows)
    lines = [line for line in (footer_text, mark_text if marked else "") if line]
    if lines:
        footer(figure, "\n".join(lines))
    return figure


def _positions(rows: Sequence[ForestRow], labels: Sequence[str]) -> list[float]:
    """Return where rows stand: closer together within a label than between labels."""
    several = len(rows) > len(labels)
    positions: list[float] = []
    at, before = 0.0, None
    for row in rows:
        if before is not None:
            at += 1.6 if several and row.label != before else 1.0
        positions.append(at)
        before = row.label
    return positions


def _shade(axis: Axes, rows: Sequence[ForestRow], positions: Sequence[float], labels: Sequence[str]) -> None:
    """Lay a band behind every other label."""
    for label in labels[1::2]:
        own = [at for row, at in zip(rows, positions, strict=True) if row.label == label]
        axis.axhspan(min(own) - 0.8, max(own) + 0.8, color=GRID, alpha=0.45, linewidth=0.0, zorder=0)


def _limits(rows: Sequence[ForestRow], reference: float) -> tuple[float, float]:
    """Return the ends of the axis: of all intervals, but that a few very wide ones are cut."""
    known = [row for row in rows if math.isfinite(row.value)]
    if not known:
        return reference - 1.0, reference + 1.0
    reach = np.array([max(abs(row.low - reference), abs(row.high - reference)) for row in known])
    reach = np.where(np.isfinite(reach), reach, np.inf)
    centre = max(abs(row.value - reference) for row in known)
    cut = max(4.0 * float(np.median(reach[np.isfinite(reach)])) if np.isfinite(reach).any() else 0.0, 1.2 * centre)
    lows = [max(row.low, reference - cut) for row in known]
    highs = [min(row.high, reference + cut) for row in known]
    low, high = min(*lows, reference), max(*highs, reference)
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _mark_cut(axis: Axes, row: ForestRow, position: float, limits: tuple[float, float], color: str) -> None:
    """Put an arrow where an interval goes on beyond the axis."""
    for end, marker, beyond in ((limits[0], "<", row.low < limits[0]), (limits[1], ">", row.high > limits[1])):
        if beyond:
            axis.plot([end], [position], marker=marker, color=color, markersize=5, markeredgewidth=0.0, clip_on=False)


def _add_legend(figure: Figure, groups: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    if len(groups) < 2:
        return
    colors, markers = group_colors(groups), group_markers(groups)
    handles = [
        Line2D([], [], color=colors[group], marker=markers[group], markeredgewidth=0.0, markersize=5, label=group)
        for group in groups
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(groups), 4), frameon=False)
