# SPDX-License-Identifier: Apache-2.0
"""What all figures of the group level have in common: size, colours, axes, and how they become SVG and PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = (3.4, 2.8)
"""Width and height of one panel."""

DOTS_PER_INCH = 150

INK, GREY, GRID = "#222222", "#6f6f6f", "#e3e3e3"

COLORS = ("#0b6fa4", "#d1661a", "#2d8a57", "#a23b72", "#6b5b95", "#8a6d1f", "#4a4a4a", "#c0392b")
"""Of the groups, in their order: told apart by people who see colours differently, and in grey by their lightness."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Of the groups, so that no meaning hangs on a colour."""

_SETTINGS: Any = {
    "font.family": "DejaVu Sans", "font.size": 9.0, "axes.titlesize": 9.5, "axes.labelsize": 9.0,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY, "axes.labelcolor": INK,
    "xtick.color": GREY, "ytick.color": GREY, "text.color": INK, "legend.frameon": False, "legend.fontsize": 8.0,
    "svg.fonttype": "none", "svg.hashsalt": "bids_msvol", "axes.axisbelow": True, "axes.grid": False,
}  # fmt: skip


def group_colors(groups: Sequence[str]) -> dict[str, str]:
    """Return the colour of each group."""
    return {group: COLORS[number % len(COLORS)] for number, group in enumerate(groups)}


def group_markers(groups: Sequence[str]) -> dict[str, str]:
    """Return the marker of each group."""
    return {group: MARKERS[number % len(MARKERS)] for number, group in enumerate(groups)}


def new_figure(
    rows: int = 1, columns: int = 1, *, panel_inches: tuple[float, float] = PANEL_INCHES, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its panels, row by row; ``options`` go to ``Figure.subplots``."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(columns * panel_inches[0], rows * panel_inches[1]), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
        # Ticks are made when first asked for, and must take the settings too.
        for panel in axes.flat:
            panel.tick_params(length=3)
    return figure, list(axes.flat)


def footer(figure: Figure, text: str) -> None:
    """Write a line below a figure, such as what test the numbers in it come from."""
    figure.supxlabel(text, fontsize=7.5, color=GREY, x=0.01, ha="left")


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG text, the same each time."""
    return _save(figure, "svg", metadata={"Date": None, "Creator": None}).decode("utf-8")


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG, the same each time."""
    return _save(figure, "png", dpi=DOTS_PER_INCH, metadata={"Software": None})


def _save(figure: Figure, kind: str, **options: Any) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(stream, format=kind, **options)
    return stream.getvalue()
