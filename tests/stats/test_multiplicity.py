# SPDX-License-Identifier: Apache-2.0
"""Corrections of p values against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bids_msvol.stats.multiplicity import benjamini_hochberg, correct_within, holm

P_VALUES = [0.04, 0.01, np.nan, 0.03, 0.5]


def test_q_values_by_hand() -> None:
    """Ranks 1 to 4: .01*4/1, .03*4/2, .04*4/3, .5; the second may not exceed the third. NaN is not counted."""
    expected = [0.16 / 3, 0.04, np.nan, 0.16 / 3, 0.5]
    assert benjamini_hochberg(P_VALUES) == pytest.approx(expected, nan_ok=True)


def test_holm_by_hand() -> None:
    """Times 4, 3, 2, 1 from the smallest on: .04, .09, .08 raised to .09, .5."""
    assert holm(P_VALUES) == pytest.approx([0.09, 0.04, np.nan, 0.09, 0.5], nan_ok=True)
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])


def test_families_are_corrected_apart() -> None:
    """A test is not charged for those of another family."""
    families = ["interaction", "slope", "slope", "slope", "interaction"]
    found = correct_within(P_VALUES, families)
    assert found == pytest.approx([0.08, 0.02, np.nan, 0.03, 0.5], nan_ok=True)
    assert correct_within(P_VALUES, families, "holm")[0] == pytest.approx(0.08)


def test_nothing_to_correct() -> None:
    assert np.isnan(benjamini_hochberg([np.nan, np.nan])).all()
    assert holm([]).shape == (0,)
    assert benjamini_hochberg([0.03]) == pytest.approx([0.03])


@pytest.mark.parametrize("wrong", [1.2, -0.1])
def test_what_is_no_p_value_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg([0.1, wrong])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.1, wrong])


def test_unknown_correction_is_refused() -> None:
    with pytest.raises(ValueError, match="'bh' or 'holm', not 'by'"):
        correct_within([0.1], ["a"], "by")  # type: ignore[arg-type]
