# SPDX-License-Identifier: Apache-2.0
"""Checks of assumptions say what scipy says, and name the person who decides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bids_msvol.group.checks import (
    SHAPIRO_UP_TO,
    equal_spread_p,
    say_decisive,
    say_few,
    say_shape,
    shapiro_p,
)
from bids_msvol.group.wording import say_p


def test_shape_is_that_of_scipy() -> None:
    """Shapiro-Wilk and skewness; above what the test is known for, skewness alone."""
    values = np.random.default_rng(1).exponential(size=40)
    assert shapiro_p(values) == stats.shapiro(values).pvalue
    furthest = np.max(np.abs(values - values.mean())) / values.std(ddof=1)
    skewness = f"skewness {stats.skew(values):.2f}, furthest {furthest:.1f} SD"
    assert say_shape(values) == f"Shapiro-Wilk {say_p(shapiro_p(values))}, {skewness}"
    many = np.random.default_rng(1).normal(size=SHAPIRO_UP_TO + 1)
    assert math.isnan(shapiro_p(many))
    assert say_shape(many).startswith("skewness")


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [3.0] * 10, [0.1 + 1e-17 * one for one in range(10)]])
def test_shape_of_what_does_not_vary(values: list[float]) -> None:
    """Too few values, and values that differ by rounding, have none."""
    assert say_shape(np.array(values)).startswith("not checked")


def test_equal_spread_is_brown_and_forsythe() -> None:
    """Levene's test about the medians."""
    parts = [np.random.default_rng(seed).normal(scale=seed, size=20) for seed in (1, 2)]
    assert equal_spread_p(parts) == stats.levene(*parts, center="median").pvalue


def test_who_decides_is_named() -> None:
    """The person with the largest Cook's distance above 1, and how many more there are."""
    persons = ["sub-01", "sub-02", "sub-03"]
    said = say_decisive(np.array([1.2, 3.4, 0.1]), persons)
    assert said == "decided by sub-02 (Cook's distance 3.4, above 1) and 1 more"
    assert say_decisive(np.array([0.1, math.inf, 0.1]), persons).startswith("decided by sub-02 (Cook's distance inf")
    assert say_decisive(np.array([0.9, 1.0, 0.1]), persons) == ""


def test_small_groups_are_named() -> None:
    """Only those asked for, and only small ones."""
    assert say_few({"A": 9, "B": 10, "C": 1}, ("A", "B")) == ["only 9 persons in A"]
