# SPDX-License-Identifier: Apache-2.0
"""Figures of networks: circles of connections, left and right mirrored, and matrices of correlations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.figures.drawing import GREY, INK, footer, new_figure
from bids_msvol.group.regions import region_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CIRCLES_PER_ROW = 3

MATRICES_PER_ROW = 4

SHARED_COLOR, ADDITIONAL_COLOR, MISSING_COLOR = "#c4c4c4", "#d1661a", "#0b6fa4"

GAP_DEGREES = 16.0
"""Half of the gap between the sides, at the top and at the bottom of the circle; smaller for many nodes."""

CROWDED = 24
"""Nodes above which labels are turned along the radius."""

PULL = 0.35
"""How far out, of the radius, the middle of a connection is held: between a chord and a line through the centre."""


@dataclass(frozen=True)
class Line:
    """One kind of connection in a circle.

    Attributes
    ----------
    label
        For the legend, with the number.
    color
        Colour.
    dashed
        Whether it is dashed.
    edges
        Numbers of the two nodes of each.
    """

    label: str
    color: str
    dashed: bool
    edges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class CirclePanel:
    """One circle: its title and the connections, those drawn first below."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, eq=False)
class MatrixPanel:
    """One matrix.

    Attributes
    ----------
    title
        Group and number of persons.
    values
        (node, node) below the diagonal the correlation, above it the difference from the reference, or the correlation
        again.
    marked
        (node, node) which differences stand after correction.
    """

    title: str
    values: NDArray[np.float64]
    marked: NDArray[np.bool_]


def draw_circles(nodes: Sequence[str], panels: Sequence[CirclePanel], note: str) -> Figure:
    """Draw one circle for each comparison.

    Parameters
    ----------
    nodes
        Names; those that begin with ``Left-`` and ``Right-`` are put on that side, mirrored.
    panels
        The circles.
    note
        The line below.
    """
    columns = min(len(panels), CIRCLES_PER_ROW)
    rows = math.ceil(len(panels) / columns)
    figure, axes = new_figure(rows, columns, panel_inches=(4.5, 4.3) if len(nodes) <= CROWDED else (7.0, 7.0))
    angles = place_nodes(nodes)
    for number, panel in enumerate(axes):
        panel.set_axis_off()
        if number < len(panels):
            _circle(panel, nodes, angles, panels[number])
    footer(figure, note)
    return figure


def place_nodes(nodes: Sequence[str]) -> NDArray[np.float64]:
    """Return the angle (node,) of each node in degrees, counted from the right.

    Left nodes are on the left half from top to bottom, right nodes opposite, all others at the bottom between them; if
    no node has a side, all are spread over the circle.
    """
    sides = [name.split("-", 1)[0] if name.startswith(("Left-", "Right-")) else "" for name in nodes]
    if not any(sides):
        return 90.0 - 360.0 * np.arange(len(nodes)) / len(nodes)
    middle = sides.count("")
    gap = min(GAP_DEGREES, 270.0 / len(nodes))
    bottom = gap * (1.0 + middle)
    # Regions have the same height on both sides, in the order of their first mention.
    regions = list(dict.fromkeys(name.split("-", 1)[1] for name, side in zip(nodes, sides, strict=True) if side))
    steps = dict(zip(regions, np.linspace(gap, 180.0 - bottom, len(regions)), strict=True))
    between = iter(np.linspace(-0.5, 0.5, middle + 2)[1:-1] * 2.0 * bottom)
    angles = []
    for name, side in zip(nodes, sides, strict=True):
        if not side:
            angles.append(270.0 + float(next(between)))
        else:
            step = float(steps[name.split("-", 1)[1]])
            angles.append(90.0 + step if side == "Left" else 90.0 - step)
    return np.array(angles)


def draw_matrices(nodes: Sequence[str], panels: Sequence[MatrixPanel], note: str) -> Figure:
    """Draw one matrix for each group, all with the same colours.

    Parameters
    ----------
    nodes
        Names.
    panels
        The matrices.
    note
        The line below.
    """
    columns = min(len(panels), MATRICES_PER_ROW)
    rows = math.ceil(len(panels) / columns)
    side = min(max(2.2, 0.16 * len(nodes) + 0.6), 6.0)
    figure, axes = new_figure(rows, columns, panel_inches=(side + 0.5, side + 0.6), sharex=True, sharey=True)
    labels = [_short(name) for name in nodes]
    ticks = np.arange(len(nodes))
    drawn = None
    for number, panel in enumerate(axes):
        if number >= len(panels):
            panel.set_visible(False)
            continue
        content = panels[number]
        drawn = panel.imshow(content.values, cmap="RdBu_r", vmin=-1.0, vmax=1.0, interpolation="nearest")
        rows_of, columns_of = np.nonzero(content.marked)
        panel.plot(columns_of, rows_of, "o", markersize=3, color=INK, linewidth=0)
        panel.set_title(content.title, fontsize=9.0)
        panel.set_xticks(ticks, labels, rotation=90, fontsize=6.5)
        panel.set_yticks(ticks, labels, fontsize=6.5)
        panel.tick_params(length=0, labelbottom=number + columns >= len(panels))
        for spine in panel.spines.values():
            spine.set_visible(False)
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=25, pad=0.01)
        bar.set_label("Correlation, or difference of two", fontsize=8.0)
        bar.ax.tick_params(labelsize=7.5, colors=GREY)
        bar.outline.set_visible(False)
    footer(figure, note)
    return figure


def _circle(panel: Axes, nodes: Sequence[str], angles: NDArray[np.float64], content: CirclePanel) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    points = np.column_stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))])
    handles = []
    for order, kind in enumerate(content.lines):
        style: Literal["--", "-"] = "--" if kind.dashed else "-"
        wide = (0.8 if kind.color == SHARED_COLOR else 1.4) * (0.5 if len(nodes) > CROWDED else 1.0)
        for one, other in kind.edges:
            middle = PULL * (points[one] + points[other]) / 2.0
            path = Path(np.array([points[one], middle, points[other]]), [Path.MOVETO, Path.CURVE3, Path.CURVE3])
            panel.add_patch(
                PathPatch(path, fill=False, edgecolor=kind.color, linewidth=wide, linestyle=style, zorder=1 + order)
            )
        handles.append(Line2D([], [], color=kind.color, linewidth=wide + 0.4, linestyle=style, label=kind.label))
    panel.plot(points[:, 0], points[:, 1], "o", markersize=5, color=INK, zorder=10, linewidth=0)
    turned = len(nodes) > CROWDED
    lateral = any(name.startswith(("Left-", "Right-")) for name in nodes)
    for name, angle, (x, y) in zip(nodes, angles, points, strict=True):
        label = region_label(name.removeprefix("Left-").removeprefix("Right-"))
        panel.text(
            1.07 * x,
            1.07 * y,
            label,
            fontsize=7.0,
            color=INK,
            ha="center" if abs(x) < 0.1 and not turned else "right" if x < 0 else "left",
            va="center" if turned or abs(y) < 0.9 else "bottom" if y > 0 else "top",
            rotation=(angle + 180.0 if x < 0 else angle) if turned else 0.0,
            rotation_mode="anchor",
        )
    if lateral:
        for x, side in ((-0.3, "Left"), (0.3, "Right")):
            panel.text(x, 1.8 if turned else 1.24, side, fontsize=8.0, color=GREY, ha="center")
    panel.set_title(content.title, fontsize=9.5)
    panel.set_xlim((-1.8, 1.8) if turned else (-1.75, 1.75))
    panel.set_ylim((-1.7, 1.9) if turned else (-1.2, 1.32))
    panel.set_aspect("equal")
    panel.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.02), fontsize=7.5, frameon=False, labelcolor=INK
    )


def _short(name: str) -> str:
    for side in ("Left", "Right"):
        if name.startswith(f"{side}-"):
            return f"{side[0]} {region_label(name.removeprefix(f'{side}-'))}"
    return region_label(name)
