# SPDX-License-Identifier: Apache-2.0
"""Kaplan-Meier curves with numbers at risk, rates with intervals, and event rates by definition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.group.figures.drawing import COLORS, GREY, GRID, footer, group_colors, group_markers, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BANDS = 3
"""With more groups than this their intervals would cover one another and are not drawn."""

MARK_GAP = 0.018
"""Between the marks beside the ends of curves, as a share of the time shown: their width and a little more."""

MOST_TICKS = 8
"""Times at which those at risk are written."""


@dataclass(frozen=True)
class Curve:
    """A Kaplan-Meier curve.

    Attributes
    ----------
    group
        Whose it is.
    years, survival, low, high
        (step,) time, share without event from then on, and interval.
    n, n_events
        Persons and events.
    at_risk
        Number at risk by year.
    """

    group: str
    years: tuple[float, ...]
    survival: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int
    n_events: int
    at_risk: Mapping[float, int]


@dataclass(frozen=True)
class RatePoint:
    """A rate of a group in a period (``before`` or ``after``), with its interval and what it is made of."""

    group: str
    period: str
    rate: float
    low: float
    high: float
    n: int
    events: int


@dataclass(frozen=True)
class DefinitionPoint:
    """What one definition finds: rate per 100 person-years and share of PIRA, with intervals (NaN if not known)."""

    label: str
    rate: tuple[float, float, float]
    pira: tuple[float, float, float]
    is_named: bool
    is_plan: bool


def draw_curves(curves: Sequence[Curve], groups: Sequence[str], label: str, text: str) -> Figure:
    """Draw curves with a table of those at risk below."""
    rows = 0.17 * len(curves) + 0.25
    figure, panels = new_figure(
        2, 1, panel_inches=(6.6, (3.1 + rows) / 2), sharex=True, gridspec_kw={"height_ratios": [3.1, rows]}
    )
    upper, lower = panels
    colors = group_colors(groups)
    dashes = ("-", "--", "-.", ":")
    for curve in curves:
        years, survival = [0.0, *curve.years], [1.0, *curve.survival]
        style = dashes[list(groups).index(curve.group) % len(dashes)]
        name = f"{curve.group} ({curve.n_events} of {curve.n})"
        upper.step(years, survival, where="post", color=colors[curve.group], linestyle=style, linewidth=1.6, label=name)
        if len(curves) <= MOST_BANDS:
            # Where nobody or everybody had the event there is no interval.
            low, high = (
                [1.0, *(share if math.isnan(end) else end for end, share in zip(ends, curve.survival, strict=True))]
                for ends in (curve.low, curve.high)
            )
            upper.fill_between(years, low, high, step="post", color=colors[curve.group], alpha=0.13, linewidth=0)
    last = max(curve.years[-1] for curve in curves)
    _mark_ends(upper, curves, groups, last)
    upper.set(ylim=(0.0, 1.03), ylabel="Share without event", xlim=(0.0, last * (1.0 + MARK_GAP * (len(curves) + 1))))
    upper.set_title(f"Time to {label}", loc="left")
    upper.tick_params(labelbottom=True)
    # Beside the panel, where no curve can be.
    upper.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.0), title="events of persons", title_fontsize=7.5, fontsize=7.5,
        frameon=False, borderaxespad=0.0,
    )  # fmt: skip
    if text:
        footer(figure, text)
    _write_at_risk(lower, curves, colors, last)
    return figure


def _mark_ends(panel: Axes, curves: Sequence[Curve], groups: Sequence[str], last: float) -> None:
    """Mark the last share of each curve beside its end: where all end at one visit, their falls hide one another."""
    colors, markers = group_colors(groups), group_markers(groups)
    for number, curve in enumerate(curves):
        color, beside = colors[curve.group], curve.years[-1] + MARK_GAP * (number + 1) * last
        panel.plot(beside, curve.survival[-1], markers[curve.group], color=color, markersize=4.5, clip_on=False)
        if len(curves) <= MOST_BANDS and math.isfinite(curve.low[-1]):
            panel.plot([beside, beside], [curve.low[-1], curve.high[-1]], color=color, linewidth=1.0)


def _write_at_risk(panel: Axes, curves: Sequence[Curve], colors: Mapping[str, str], last: float) -> None:
    step = max(1, math.ceil((math.floor(last) + 1) / MOST_TICKS))
    ticks = [float(year) for year in range(0, math.floor(last + 1e-9) + 1, step)]
    panel.set(ylim=(len(curves) - 0.4, -0.6), xlabel="Years since the baseline", xticks=ticks)
    panel.set_yticks(range(len(curves)), [_short(curve.group) for curve in curves], fontsize=7.5)
    panel.tick_params(axis="x", length=0)
    # The number at the start is centred on the axis: names stay clear of it.
    panel.tick_params(axis="y", length=0, pad=14)
    panel.set_title("At risk", fontsize=7.5, color=GREY, loc="left", pad=2)
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.tick_params(axis="x", labelbottom=False)
    for row, curve in enumerate(curves):
        for tick in ticks:
            number = str(curve.at_risk.get(tick, 0))
            panel.text(
                tick, row, number, ha="center", va="center", fontsize=7.5, color=colors[curve.group], clip_on=False
            )


def draw_rates(points: Sequence[RatePoint], groups: Sequence[str]) -> Figure:
    """Draw rates of groups, one panel for each period."""
    periods = [period for period in ("before", "after") if any(point.period == period for point in points)]
    titles = {"before": "Year before the baseline", "after": "From the baseline on"}
    height = max(2.0, 0.34 * len(groups) + 1.0)
    figure, panels = new_figure(1, len(periods), panel_inches=(3.6, height), sharey=True, sharex=True)
    colors, markers = group_colors(groups), group_markers(groups)
    places = {group: row for row, group in enumerate(groups)}
    for period, panel in zip(periods, panels, strict=True):
        for point in (point for point in points if point.period == period):
            row = places[point.group]
            color = colors[point.group]
            panel.plot([point.low, point.high], [row, row], color=color, linewidth=1.6, solid_capstyle="butt")
            panel.plot(point.rate, row, markers[point.group], color=color, markersize=6, clip_on=False)
            text = f"{point.events} in {point.n}"
            panel.annotate(
                text, (point.high, row), (4, 0), textcoords="offset points", va="center", fontsize=7.5, color=GREY
            )
        panel.set_title(titles[period])
        panel.set(xlabel="Relapses per person-year", ylim=(len(groups) - 0.4, -0.6))
        panel.set_xlim(left=0.0)
        panel.grid(axis="x", color=GRID, linewidth=0.8)
        panel.margins(x=0.2)
    panels[0].set_yticks(range(len(groups)), [_short(group) for group in groups])
    highest = max((point.high for point in points if math.isfinite(point.high)), default=1.0)
    panels[0].set_xlim(0.0, 1.3 * highest)
    footer(figure, "n relapses in n persons")
    return figure


def draw_definitions(points: Sequence[DefinitionPoint], n: int) -> Figure:
    """Draw what each definition finds: the rate of events, and the share of PIRA."""
    has_pira = any(math.isfinite(point.pira[0]) for point in points)
    height = 0.19 * len(points) + 1.0
    figure, panels = new_figure(1, 2 if has_pira else 1, panel_inches=(4.2 if has_pira else 5.2, height), sharey=True)
    by_panel = ([point.rate for point in points], [point.pira for point in points])
    titles = ("Worsenings per 100 person-years", "PIRA, share of worsenings (%)")
    for panel, values, title in zip(panels, by_panel, titles, strict=False):
        for row, (point, (value, low, high)) in enumerate(zip(points, values, strict=True)):
            if not math.isfinite(value):
                continue
            color = COLORS[1] if point.is_plan else COLORS[0] if point.is_named else GREY
            panel.plot([low, high], [row, row], color=color, linewidth=1.3)
            panel.plot(
                value,
                row,
                "D" if point.is_plan else "o",
                color=color,
                markersize=5 if point.is_plan else 4,
                clip_on=False,
            )
        chosen = [value[0] for point, value in zip(points, values, strict=True) if point.is_plan]
        if chosen and math.isfinite(chosen[0]):
            panel.axvline(chosen[0], color=COLORS[1], linewidth=0.8, linestyle=":", zorder=0)
        panel.set(xlabel=title, ylim=(len(points) - 0.4, -0.6))
        finite = [value[2] for value in values if np.isfinite(value[2])]
        panel.set_xlim(0.0, 1.05 * max(finite, default=1.0) or 1.0)
        panel.grid(axis="both", color=GRID, linewidth=0.6)
    panels[0].set_yticks(range(len(points)), [point.label for point in points], fontsize=7.5)
    for tick, point in zip(panels[0].get_yticklabels(), points, strict=True):
        tick.set_color(COLORS[1] if point.is_plan else COLORS[0] if point.is_named else GREY)
    text = (
        f"n = {n} persons; diamond: definition of this study;\n"
        "blue: named definitions; grey: that of this study with other choices"
    )
    footer(figure, text)
    return figure


def _short(name: str, longest: int = 18) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
