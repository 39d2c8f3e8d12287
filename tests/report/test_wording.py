# SPDX-License-Identifier: Apache-2.0
"""Numbers and names are written the way the report promises."""

from __future__ import annotations

import doctest

import pytest

from bids_msvol.report import quality, wording
from bids_msvol.report.wording import (
    MINUS,
    describe_structure,
    format_ml,
    format_number,
    format_percent,
)
from bids_msvol.structures import STRUCTURES


@pytest.mark.parametrize(
    ("volume_mm3", "text"),
    [
        (0.0, "0.000"),
        (9_999.4, "9.999"),
        (37_140.0, "37.14"),
        (1_392_700.0, "1392.7"),
        (float("nan"), "n/a"),
        (None, "n/a"),
    ],
)
def test_volumes_in_millilitres(volume_mm3: float | None, text: str) -> None:
    """A measured zero stays a zero and a missing volume is n/a: the two are never confused."""
    assert format_ml(volume_mm3) == text


def test_negative_numbers_have_a_true_minus_and_zero_has_none() -> None:
    """A rounded-away negative number is not shown as minus zero."""
    assert format_percent(-3.14159, 1) == f"{MINUS}3.1"
    assert format_percent(-0.001, 1) == "0.0"
    assert format_number(-2.0) == f"{MINUS}2"
    assert format_number(float("nan")) == "n/a"


def test_every_structure_has_words() -> None:
    """No FreeSurfer spelling reaches the reader."""
    for structure in STRUCTURES:
        assert not set(describe_structure(structure.name)) & {"-", "_"}


def test_examples_in_the_documentation_hold() -> None:
    """The examples in the docstrings are true."""
    assert all(doctest.testmod(module).failed == 0 for module in (quality, wording))
