# SPDX-License-Identifier: Apache-2.0
"""Figures of how well measures tell two groups apart: ROC curves, and the areas under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.figures.drawing import COLORS, GREY, GRID, INK, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ("-", "--", "-.")


@dataclass(frozen=True, eq=False)
class Curve:
    """One ROC curve and the area under it."""

    name: str
    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]
    auc: float


@dataclass(frozen=True)
class AreaPoint:
    """An area with its interval, and its p and q in words."""

    name: str
    auc: float
    low: float
    high: float
    p: str
    q: str


def draw_curves(curves: Sequence[Curve], told: str) -> Figure:
    """Draw a few ROC curves over each other; ``told`` says who is told from whom."""
    figure, (panel,) = new_figure(panel_inches=(4.2, 4.0))
    panel.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    for number, curve in enumerate(curves):
        panel.plot(
            curve.false_positive, curve.true_positive, color=COLORS[number % len(COLORS)], linewidth=1.7,
            linestyle=STYLES[number % len(STYLES)], label=f"{curve.name}: {curve.auc:.2f}",
        )  # fmt: skip
    panel.set_aspect("equal")
    panel.set_xlabel("1 - specificity")
    panel.set_ylabel("Sensitivity")
    panel.set_title(told, loc="left", fontsize=8.5)
    panel.grid(color=GRID, linewidth=0.7)
    panel.legend(loc="lower right", frameon=False, title="Area under the curve", title_fontsize=8.0)
    return figure


def draw_areas(points: Sequence[AreaPoint], told: str) -> Figure:
    """Draw the areas of all measures with their intervals, one line for each, p and q beside them."""
    figure, (panel,) = new_figure(panel_inches=(6.4, 1.0 + 0.34 * len(points)))
    panel.axvline(0.5, color=GREY, linewidth=0.9, linestyle=":")
    places = np.arange(len(points))[::-1]
    for place, point in zip(places, points, strict=True):
        if np.isfinite(point.low):
            panel.plot([point.low, point.high], [place, place], color=COLORS[0], linewidth=1.5)
        panel.plot(point.auc, place, marker="s", markersize=5.0, color=COLORS[0])
        panel.annotate(
            f"{point.auc:.2f}   {point.p}, {point.q}", (1.02, place), xycoords=("axes fraction", "data"),
            va="center", fontsize=8.0, color=INK,
        )  # fmt: skip
    panel.set_yticks(places, [point.name for point in points])
    panel.set_ylim(-0.7, len(points) - 0.3)
    ends = [value for point in points for value in (point.low, point.high, point.auc) if np.isfinite(value)]
    panel.set_xlim(min(0.3, min(ends) - 0.02), max(0.8, max(ends) + 0.02))
    panel.set_xlabel("Area under the ROC curve")
    panel.set_title(told, loc="left", fontsize=8.5)
    panel.grid(axis="x", color=GRID, linewidth=0.7)
    return figure
