# SPDX-License-Identifier: Apache-2.0
"""From sections to levels: where they begin, what counts, and how positions are carried to the average cord."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_msvol.cord.levels import (
    LEVEL_TOPS_MM,
    LEVELS,
    Levelling,
    average_levels,
    disc_position_mm,
    level_ranges_mm,
    name_levels,
    share_within,
    stretches,
)
from bids_msvol.cord.sections import CordShape


def shape(csa: np.ndarray) -> CordShape:
    """Return sections of given areas, other measures made up from them."""
    return CordShape(csa, csa / 10.0, csa / 6.0, np.full(len(csa), 0.7))


def test_table_and_names_agree() -> None:
    """Every position within a level gets its name, and above C1 and below C7 there is none."""
    ranges = level_ranges_mm()
    for level in LEVELS:
        top, bottom = ranges[level]
        assert name_levels(np.asarray([top, (top + bottom) / 2, bottom - 0.01])) == [level] * 3
    assert name_levels(np.asarray([LEVEL_TOPS_MM[0] - 0.01, LEVEL_TOPS_MM[-1]])) == [None, None]
    assert ranges["C2-C3"] == (54.0, 74.0)
    assert disc_position_mm(3) == 64.0
    with pytest.raises(ValueError, match="disc 9"):
        disc_position_mm(9)


def test_a_level_is_the_mean_over_its_length() -> None:
    """With an area that falls linearly, each level has that of its middle, its length and its volume."""
    position = np.arange(20.0, 155.0, 0.5)
    levels = average_levels(shape(100.0 - 0.2 * position), position, position, np.ones(len(position), dtype=bool))
    for level in levels:
        top, bottom = level_ranges_mm()[level.level]
        assert level.csa_mm2 == pytest.approx(100.0 - 0.1 * (top + bottom), abs=0.01)
        assert level.coverage == pytest.approx(1.0)
        assert level.length_mm == pytest.approx(bottom - top)
        assert level.volume_mm3 == pytest.approx(level.length_mm * level.csa_mm2)  # type: ignore[operator]


def test_too_little_of_a_level_gives_no_area() -> None:
    """Less than half of C3: no area, but the count and the coverage are told; C1-C7 is what there is."""
    position = np.arange(25.0, 70.0, 1.0)
    levels = {
        level.level: level
        for level in average_levels(
            shape(np.full(len(position), 70.0)), position, position, np.ones(len(position), dtype=bool)
        )
    }
    assert levels["C3"].csa_mm2 is None
    assert levels["C3"].coverage == pytest.approx(5.5 / 18.5)
    assert levels["C3"].n_slices == 6
    assert levels["C4"].n_slices == 0
    assert levels["C1-C7"].csa_mm2 == pytest.approx(70.0)
    assert levels["C1-C7"].length_mm == pytest.approx(44.5)


def test_withheld_sections_do_not_count() -> None:
    """A section that is not believed changes coverage and not the mean."""
    position = np.arange(25.0, 150.0, 1.0)
    area = np.full(len(position), 70.0)
    trusted = np.ones(len(position), dtype=bool)
    area[10], trusted[10] = 500.0, False
    levels = average_levels(shape(area), position, position, trusted)
    assert levels[0].csa_mm2 == pytest.approx(70.0)
    assert levels[0].coverage == pytest.approx((23.5 - 1.0) / 23.5)


@given(
    anchors=st.lists(st.floats(-50, 200), min_size=1, max_size=6, unique=True),
    shift=st.floats(-30, 30),
    scale=st.floats(0.8, 1.25),
)
def test_levelling_meets_its_anchors_and_keeps_order(anchors: list[float], shift: float, scale: float) -> None:
    """Anchors go where they belong, order is kept, and beyond the anchors a millimetre is a millimetre."""
    table = np.sort(np.asarray(anchors))
    if len(table) > 1 and np.diff(table).min() < 0.1:
        return
    arc = shift + scale * table
    levelling = Levelling("labels", arc, table)
    np.testing.assert_allclose(levelling.to_table_mm(arc), table, atol=1e-9)
    dense = np.linspace(arc[0] - 20, arc[-1] + 20, 200)
    assert (np.diff(levelling.to_table_mm(dense)) > 0).all()
    ends = levelling.to_table_mm(np.asarray([arc[0] - 7.0, arc[-1] + 5.0]))
    np.testing.assert_allclose(ends, [table[0] - 7.0, table[-1] + 5.0], atol=1e-9)


@given(st.lists(st.floats(0.2, 5.0), min_size=1, max_size=30), st.floats(-20, 60), st.floats(1, 50))
def test_stretches_cover_what_lies_within(steps: list[float], low: float, length: float) -> None:
    """The parts of a range that sections stand for add up to its overlap with all of them."""
    positions = np.cumsum([0.0, *steps])
    lengths = stretches(positions)
    inside = float((share_within(positions, (low, low + length)) * lengths).sum())
    first, last = positions[0] - lengths[0] / 2, positions[-1] + lengths[-1] / 2
    assert inside == pytest.approx(max(0.0, min(last, low + length) - max(first, low)), abs=1e-6)
