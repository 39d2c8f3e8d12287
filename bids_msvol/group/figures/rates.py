# SPDX-License-Identifier: Apache-2.0
"""Pictures of annual change: bars with and without activity, trajectories, rates by class, forest with healthy band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bids_msvol.group.figures.drawing import (
    COLORS,
    GREY,
    GRID,
    INK,
    MARKERS,
    footer,
    group_colors,
    group_markers,
    new_figure,
)
from bids_msvol.group.wording import say_p

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_DOTS = 200
"""Dots drawn of one bar; of more, as many drawn by chance, which the figure says."""

MOST_LINES = 150
"""Persons drawn in one panel of trajectories."""

SHOWN_SHARE = (0.5, 99.5)
"""Percentiles of the dots that the axis is made for; the few beyond lie at its edge."""


@dataclass(frozen=True, eq=False)
class RegionBars:
    """One region: change on both sides.

    Attributes
    ----------
    label
        Of the region.
    fluid
        Whether it grows where the brain is lost.
    quiet, active
        (interval,) change in per cent a year.
    p
        Of the difference.
    """

    label: str
    fluid: bool
    quiet: NDArray[np.float64]
    active: NDArray[np.float64]
    p: float


def draw_activity(panels: tuple[tuple[tuple[RegionBars, ...], str, str], ...]) -> Figure:
    """Draw bars of mean and standard error with dots, one row of panels a question: brain, and fluid apart."""
    solid = max(sum(not one.fluid for one in bars) for bars, _, _ in panels)
    fluid = max(sum(one.fluid for one in bars) for bars, _, _ in panels)
    widths = [width for width in (solid, fluid) if width]
    figure, axes = new_figure(
        len(panels),
        len(widths),
        panel_inches=((1.2 + 0.62 * (solid + 1.4 * fluid)) / len(widths), 3.1),
        gridspec_kw={"width_ratios": [1.0 if width == solid else max(1.4 * width, 1.6) / solid for width in widths]},
    )
    thinned = False
    for row, (bars, quiet, active) in enumerate(panels):
        parts = [part for part in ([b for b in bars if not b.fluid], [b for b in bars if b.fluid]) if part]
        for column in range(len(widths)):
            axis = axes[row * len(widths) + column]
            if column >= len(parts):
                axis.set_axis_off()
                continue
            thinned = _draw_bars(axis, parts[column]) or thinned
        most = max(bars, key=lambda one: len(one.quiet) + len(one.active))
        first = axes[row * len(widths)]
        first.set_ylabel("Change (% a year)")
        handles = [
            first.bar([0], [0], color=COLORS[number], alpha=0.75, label=f"{name} (n = {count})")
            for number, (name, count) in enumerate(((quiet, len(most.quiet)), (active, len(most.active))))
        ]
        first.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2, frameon=False
        )
    note = f" At most {MOST_DOTS} dots a bar are drawn." if thinned else ""
    footer(
        figure, f"Bars: mean and standard error. p: person-level test, not corrected. Dots beyond: at the edge.{note}"
    )
    return figure


def _draw_bars(axis: Axes, bars: Sequence[RegionBars]) -> bool:
    """Draw one panel; return whether dots were left out."""
    together = np.concatenate([np.concatenate([one.quiet, one.active]) for one in bars])
    low, high = np.percentile(together, SHOWN_SHARE)
    room = 0.08 * (high - low) or 1.0
    low, high = min(low, 0.0) - room, max(high, 0.0) + 2.2 * room
    generator, thinned = np.random.default_rng(0), False
    for place, one in enumerate(bars):
        for number, values in enumerate((one.quiet, one.active)):
            at = place + (number - 0.5) * 0.38
            shown = values
            if len(values) > MOST_DOTS:
                shown, thinned = generator.choice(values, MOST_DOTS, replace=False), True
            axis.scatter(
                at + generator.uniform(-0.12, 0.12, len(shown)),
                np.clip(shown, low + 0.3 * room, high - 1.4 * room),
                s=5,
                color=COLORS[number],
                alpha=0.28,
                linewidths=0,
                rasterized=True,
            )
            axis.bar(at, values.mean(), 0.34, color=COLORS[number], alpha=0.75, zorder=2)
            if len(values) > 1:
                error = values.std(ddof=1) / np.sqrt(len(values))
                axis.errorbar(at, values.mean(), error, color=INK, capsize=2, linewidth=1.0, zorder=3)
        if np.isfinite(one.p):
            axis.text(place, high - 0.1 * room, say_p(one.p), ha="center", va="top", fontsize=7, color=INK)
    axis.axhline(0.0, color=GREY, linewidth=0.8)
    axis.set_ylim(low, high)
    axis.set_xlim(-0.6, len(bars) - 0.4)
    axis.set_xticks(range(len(bars)), [one.label for one in bars], rotation=30, ha="right", rotation_mode="anchor")
    return thinned


@dataclass(frozen=True, eq=False)
class Trajectories:
    """The course of one region in one class of persons.

    Attributes
    ----------
    label, name
        Of the region and of the class.
    persons
        (scan,) whose it is; scans of a person follow each other in time.
    years
        (scan,) since the person's first.
    change_pct
        (scan,) change since then; NaN where not measured.
    """

    label: str
    name: str
    persons: NDArray[np.str_]
    years: NDArray[np.float64]
    change_pct: NDArray[np.float64]

    def count(self) -> int:
        """Return the number of persons with a course."""
        return len(np.unique(self.persons[np.isfinite(self.change_pct)]))


def draw_trajectories(courses: tuple[Trajectories, ...], columns: int, level: float) -> Figure:
    """Draw lines of persons and mean with confidence interval, one row of panels a region."""
    rows = len(courses) // columns
    figure, axes = new_figure(rows, columns, panel_inches=(2.6, 2.5), sharex=True, sharey="row")
    thinned = False
    for place, (axis, one) in enumerate(zip(axes, courses, strict=True)):
        color = COLORS[place % columns]
        known = np.isfinite(one.change_pct)
        names = np.unique(one.persons[known])
        drawn = names
        if len(names) > MOST_LINES:
            drawn, thinned = np.random.default_rng(0).choice(names, MOST_LINES, replace=False), True
        at, value = _lines(one.persons[known], one.years[known], one.change_pct[known], drawn)
        axis.plot(at, value, color=color, alpha=0.22, linewidth=0.7, rasterized=True)
        times, mean, half = _mean_course(one.years[known], one.change_pct[known], level)
        axis.fill_between(times, mean - half, mean + half, color=color, alpha=0.3, linewidth=0)
        axis.plot(times, mean, color=color, linewidth=2.0, marker=MARKERS[place % columns], markersize=4)
        axis.axhline(0.0, color=GREY, linewidth=0.8)
        fewer = f", {len(drawn)} drawn" if len(drawn) < len(names) else ""
        axis.set_title(f"{one.name} (n = {len(names)}{fewer})", loc="left", fontsize=9.5)
        if place % columns == 0:
            axis.set_ylabel(f"{one.label}: change\n(% of first scan)")
        if place >= len(courses) - columns:
            axis.set_xlabel("Years since first scan")
    if thinned:
        footer(figure, f"At most {MOST_LINES} persons a panel are drawn, chosen by chance; means are of all.")
    return figure


def _lines(
    persons: NDArray[np.str_], years: NDArray[np.float64], values: NDArray[np.float64], drawn: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lines of some persons as one, broken between persons."""
    chosen = np.isin(persons, drawn)
    who, at, value = persons[chosen], years[chosen], values[chosen]
    breaks = np.flatnonzero(who[1:] != who[:-1]) + 1
    return np.insert(at, breaks, np.nan), np.insert(value, breaks, np.nan)


def _mean_course(
    years: NDArray[np.float64], values: NDArray[np.float64], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and half its confidence interval at each whole year with three scans or more."""
    whole = np.rint(years)
    times = np.array([time for time in np.unique(whole) if np.count_nonzero(whole == time) >= 3])
    parts = [values[whole == time] for time in times]
    mean = np.array([part.mean() for part in parts])
    tail = 0.5 + level / 2.0
    half = np.array([special.stdtrit(len(part) - 1, tail) * part.std(ddof=1) / np.sqrt(len(part)) for part in parts])
    return times, mean, half


@dataclass(frozen=True, eq=False)
class ClassDots:
    """Rates of one region by class.

    Attributes
    ----------
    label, unit
        Of the region, and of its rates.
    classes
        Their names.
    values
        (person,) rates for each class.
    means
        Adjusted mean, lower and upper end of its interval for each class; NaN where not known.
    p
        Of the first comparison.
    """

    label: str
    unit: str
    classes: tuple[str, ...]
    values: tuple[NDArray[np.float64], ...]
    means: tuple[tuple[float, float, float], ...]
    p: float


def draw_class_rates(regions: tuple[ClassDots, ...], level: float) -> Figure:
    """Draw dots of persons with adjusted means and intervals, one panel a region."""
    columns = min(3, len(regions))
    rows = -(-len(regions) // columns)
    figure, axes = new_figure(rows, columns, panel_inches=(2.9, 2.5))
    generator, thinned = np.random.default_rng(0), False
    for axis, one in zip(axes, regions, strict=False):
        for place, (values, (mean, low, high)) in enumerate(zip(one.values, one.means, strict=True)):
            shown = values
            if len(values) > MOST_DOTS:
                shown, thinned = generator.choice(values, MOST_DOTS, replace=False), True
            at = place - 0.12 + generator.uniform(-0.13, 0.13, len(shown))
            axis.scatter(at, shown, s=7, color=COLORS[place], alpha=0.35, linewidths=0, rasterized=True)
            if np.isfinite(mean):
                axis.errorbar(
                    place + 0.22,
                    mean,
                    [[mean - low], [high - mean]],
                    color=INK,
                    markerfacecolor=COLORS[place],
                    marker=MARKERS[place],
                    markersize=6,
                    capsize=2,
                )
        axis.axhline(0.0, color=GREY, linewidth=0.8)
        axis.set_xlim(-0.5, len(one.classes) - 0.5)
        names = [
            f"{name}\nn = {len(values)}" + (f"\n({MOST_DOTS} drawn)" if len(values) > MOST_DOTS else "")
            for name, values in zip(one.classes, one.values, strict=True)
        ]
        axis.set_xticks(range(len(names)), names, fontsize=8)
        axis.set_ylabel(f"Rate ({one.unit})")
        title = f"{one.label} (n = {sum(map(len, one.values))})"
        axis.set_title(title + (f"   {say_p(one.p)}" if np.isfinite(one.p) else ""), loc="left", fontsize=9)
    for axis in axes[len(regions) :]:
        axis.set_axis_off()
    note = f" At most {MOST_DOTS} dots a class are drawn." if thinned else ""
    chance = " p: PIRA against stable, not corrected." if any(np.isfinite(one.p) for one in regions) else ""
    footer(figure, f"Markers: adjusted mean and {100 * level:g} % confidence interval.{chance}{note}")
    return figure


@dataclass(frozen=True)
class ForestRow:
    """Mean rate of one structure in one group.

    Attributes
    ----------
    panel
        Title of the panel it stands in, with the unit.
    label, group
        Of the structure and of the group.
    count
        Persons.
    mean, low, high
        Mean and its confidence interval; NaN where not known.
    healthy
        Range of the published means of healthy adults, if there is one.
    """

    panel: str
    label: str
    group: str
    count: int
    mean: float
    low: float
    high: float
    healthy: tuple[float, float] | None


def draw_rates_forest(rows: tuple[ForestRow, ...], groups: tuple[str, ...], interval: str) -> Figure:
    """Draw means with intervals, one panel a kind of structure, one line a structure, groups beneath each other."""
    panels = list(dict.fromkeys(row.panel for row in rows))
    labels = {panel: list(dict.fromkeys(row.label for row in rows if row.panel == panel)) for panel in panels}
    step = 0.2 + 0.05 * len(groups)
    most = {group: max((row.count for row in rows if row.group == group), default=0) for group in groups}
    figure, axes = new_figure(
        len(panels),
        1,
        panel_inches=(6.6, (0.55 + step * sum(map(len, labels.values())) / len(panels)) + 0.35),
        gridspec_kw={"height_ratios": [len(labels[panel]) + 1.2 for panel in panels]},
    )
    colors, markers = group_colors(groups), group_markers(groups)
    offsets = np.linspace(-0.3, 0.3, len(groups)) if len(groups) > 1 else np.zeros(1)
    for axis, panel in zip(axes, panels, strict=True):
        for row in (one for one in rows if one.panel == panel):
            place = labels[panel].index(row.label)
            if row.healthy is not None and row is _first(rows, panel, row.label):
                low, high = row.healthy
                # One published mean is still to be seen as a band.
                pad = 0.006 if high - low < 0.012 else 0.0
                axis.fill_betweenx([place - 0.45, place + 0.45], low - pad, high + pad, color=GRID, linewidth=0)
            if not np.isfinite(row.mean):
                continue
            at = place + float(offsets[groups.index(row.group)])
            error = [[row.mean - row.low], [row.high - row.mean]] if np.isfinite(row.low) else None
            axis.errorbar(
                row.mean, at, xerr=error, color=colors[row.group], marker=markers[row.group], markersize=4.5,
                linewidth=1.2, capsize=0,
            )  # fmt: skip
        axis.axvline(0.0, color=GREY, linewidth=0.8)
        names = []
        for label in labels[panel]:
            here = [row for row in rows if row.panel == panel and row.label == label]
            fewer = any(row.count < most[row.group] for row in here)
            names.append(label + (f"  (n = {', '.join(str(row.count) for row in here)})" if fewer else ""))
        axis.set_yticks(range(len(names)), names, fontsize=8, color=INK)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.set_title(panel, loc="left", fontsize=9.5)
    handles = [
        axes[0].plot(
            [], [], color=colors[group], marker=markers[group], markersize=5, linewidth=1.2,
            label=f"{group} (n = {most[group]})",
        )[0]
        for group in groups
    ]  # fmt: skip
    band = axes[0].fill_betweenx([np.nan], [np.nan], color=GRID, label="healthy adults, published means")
    shown = [*handles, band] if any(row.healthy for row in rows) else handles
    figure.legend(handles=shown, loc="outside upper left", ncols=min(3, len(shown)), fontsize=8, frameon=False)
    footer(figure, f"Marker: weighted mean of persons; line: {interval}. n beside a structure: where it is less.")
    return figure


def _first(rows: Sequence[ForestRow], panel: str, label: str) -> ForestRow:
    """Return the first row of a structure: the band of healthy adults is drawn with it once."""
    return next(row for row in rows if row.panel == panel and row.label == label)
