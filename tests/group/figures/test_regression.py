# SPDX-License-Identifier: Apache-2.0
"""Drawings of regressions and forest plots."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.figures.regression import (
    MOST_POINTS,
    ForestRow,
    ScatterPanel,
    confidence_band,
    draw_forest,
    draw_scatter,
)


def test_band_at_the_mean_is_the_interval_of_the_mean() -> None:
    """At the mean of x the line passes the mean of y, with a band of t times s over the root of n."""
    x, y = np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 5.0, 4.0])
    line, low, high = confidence_band(x, y, np.array([2.0]))
    residuals = y - (1.4 + 0.8 * x)
    half = 3.182446305 * math.sqrt(float(residuals @ residuals) / 3.0 / 5.0)
    assert line[0] == pytest.approx(3.0)
    assert (high[0] - low[0]) / 2.0 == pytest.approx(half, rel=1e-6)


def test_scatter_says_n_and_subsamples_what_is_too_much() -> None:
    """Every panel has its n; of many points some are drawn, and how many is said."""
    rng = np.random.default_rng(1)
    few = ScatterPanel("A", rng.poisson(1.0, 20).astype(float), rng.normal(size=20), "R = 0.10, p = 0.60")
    many = ScatterPanel("B", rng.poisson(1.0, 5000).astype(float), rng.normal(size=5000))
    figure = draw_scatter([few, many], x_label="Lesions", y_label="Change, %", groups=("A", "B"), footer_text="Simple.")
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["A, n = 20\nR = 0.10, p = 0.60", f"B, n = 5,000 ({MOST_POINTS:,} drawn)"]
    assert len(figure.axes[1].collections[0].get_offsets()) == MOST_POINTS
    assert "Simple." in to_svg(figure)


def test_scatter_without_a_line() -> None:
    """One value of x, or points on a line, are drawn without a band."""
    flat = ScatterPanel("A", np.zeros(4), np.arange(4.0))
    straight = ScatterPanel("B", np.arange(4.0), np.arange(4.0))
    figure = draw_scatter([flat, straight], x_label="x", y_label="y", groups=("A", "B"))
    assert [len(axis.lines) for axis in figure.axes] == [1, 1]


def test_forest_stands_in_the_order_given_and_says_what_was_not_tested() -> None:
    """Labels once, top down; a row without an estimate says so; a wide interval ends in an arrow."""
    rows = [
        ForestRow("Thalamus", "A", -0.5, -0.9, -0.1, "-0.5"),
        ForestRow("Thalamus", "B", math.nan, math.nan, math.nan),
        ForestRow("Caudate", "A", 0.1, -0.3, 0.5, "0.1"),
        ForestRow("Caudate", "B", 0.2, -90.0, 90.0, "0.2"),
    ]
    figure = draw_forest(rows, x_label="Slope", groups=("A", "B"), text_title="slope")
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["Thalamus", "Caudate"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
    assert "not tested" in [text.get_text() for text in axis.texts]
    assert axis.get_xlim()[1] < 10.0
    assert {line.get_marker() for line in axis.lines} >= {"<", ">"}


def test_forest_of_nothing_is_an_empty_figure() -> None:
    """No rows, no error."""
    assert draw_forest([], x_label="Slope", groups=()).axes
