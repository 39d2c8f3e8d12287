# SPDX-License-Identifier: Apache-2.0
"""Cells of tables are read as numbers, and said in one way."""

from __future__ import annotations

import math

import numpy as np

from bids_msvol.group.cells import (
    as_count,
    as_float,
    has_number,
    interval_of,
    say_chances,
    say_region,
    structure_label,
)
from bids_msvol.group.wording import say_some

ROW: dict[str, object] = {
    "p": 0.0123,
    "q_bh": 0.5,
    "ci_lo": -0.1,
    "ci_hi": np.float64(0.25),
    "n_sub": np.int64(7),
    "roi": "WholeBrain",
    "empty": None,
    "unknown": math.nan,
}


def test_numbers_of_every_kind_are_read() -> None:
    """Of Python and of numpy; what is empty, absent, not known or text is none."""
    assert (as_float(ROW, "ci_hi"), as_float(ROW, "n_sub"), as_count(ROW, "n_sub")) == (0.25, 7.0, 7)
    assert all(math.isnan(as_float(ROW, name)) for name in ("empty", "unknown", "absent", "roi"))
    assert as_count(ROW, "unknown") == as_count(ROW, "absent") == 0
    assert has_number(ROW)
    assert not any(has_number(ROW, name) for name in ("empty", "unknown", "absent", "roi"))


def test_words_of_cells() -> None:
    """P with q, intervals in per cent, regions within a sentence."""
    assert say_chances(ROW) == "p = 0.012, q = 0.50"
    assert interval_of(ROW, 0.95, factor=100.0, digits=2) == "95 % CI -10 to 25"
    assert say_region(ROW) == "whole brain"
    assert structure_label("CorticalThickness") == "Mean cortical thickness"


def test_long_lists_are_cut() -> None:
    """A sentence names six and says how many more there are; seven are named in full."""
    assert say_some(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"
    assert say_some(list("abcdefg")) == "a, b, c, d, e, f and g"
