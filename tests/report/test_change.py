# SPDX-License-Identifier: Apache-2.0
"""What the report says of change between sessions."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from bids_msvol.report.change import build_change_section, collect_pairs
from bids_msvol.report.measured_error import load_measured_error

COLUMNS = ("session_id_from", "session_id_to", "days", "index", "name", "method", "change_mm3", "change_pct")
PAIR = ("ses-a", "ses-b", 365.25)


def person(**changes: Any) -> Any:
    """Return the outputs of a person whose brain and thalami shrank."""
    rows = [
        (*PAIR, None, "WholeBrain", "segmentation", -11_000.0, -1.0),
        (*PAIR, None, "WholeBrain", "jacobian", -12_100.0, -1.1),
        (*PAIR, None, "WholeBrain", "boundary", float("nan"), float("nan")),
        (*PAIR, 10, "Left-Thalamus", "segmentation", -70.0, -1.0),
        (*PAIR, 49, "Right-Thalamus", "segmentation", -210.0, -3.0),
    ]
    volumes = {"WholeBrain": 1.1e6, "Thalamus": 14000.0}
    session = SimpleNamespace(label="a", total_mm3=volumes.get)
    quality = pd.DataFrame(
        [("ses-a", "ses-b", "protocol_differences", "other voxels"), ("ses-a", "ses-b", "alignment", "")],
        columns=["session_id_from", "session_id_to", "metric", "reason"],
    )
    made = {"changes": pd.DataFrame(rows, columns=list(COLUMNS)), "pairs": quality, "sessions": (session,)}
    return SimpleNamespace(**{**made, **changes})


def test_both_sides_are_one_structure() -> None:
    """Left and right are added, and their change is in per cent of both; a year of 365.25 days has the same rate."""
    (pair,) = collect_pairs(person(), load_measured_error())
    rows = {row.name: row for row in pair.rows}
    assert rows["Thalamus"].change_mm3 == -280.0
    assert rows["Thalamus"].change_pct == pytest.approx(-2.0)
    assert rows["Thalamus"].change_pct_per_year == pytest.approx(-2.0)
    assert rows["Whole brain"].change_pct == pytest.approx(-1.0)
    assert rows["Whole brain"].others == (pytest.approx(-1.1), None)
    assert rows["Caudate"].change_pct is None


def test_what_is_wrong_with_a_pair_is_told() -> None:
    """Reasons of the pair's quality table are printed, empty ones are not."""
    (pair,) = collect_pairs(person(), load_measured_error())
    assert pair.warnings == ("other voxels",)


def test_change_is_set_against_the_measured_error() -> None:
    """A change beyond the limit is called so, one within is not; without a measured error nothing is said."""
    error = load_measured_error()
    known = replace(error, measures=tuple(
        replace(one, values={**one.values, "WholeBrain": 0.1, "Thalamus": 1.0}) if one.key == "change_error" else one
        for one in error.measures
    ))  # fmt: skip
    (pair,) = collect_pairs(person(), known)
    rows = {row.name: row for row in pair.rows}
    assert rows["Whole brain"].is_beyond_error is True
    assert rows["Thalamus"].is_beyond_error is False
    assert rows["Caudate"].is_beyond_error is None


def test_one_session_has_no_such_section() -> None:
    """Without a table of change there is nothing to print."""
    assert build_change_section(person(changes=None), load_measured_error()) is None


def test_section_prints_the_numbers() -> None:
    """The numbers of the table are on the page, with their signs."""
    section = build_change_section(person(), load_measured_error())
    assert section is not None
    assert "−2.00" in section.html  # noqa: RUF001
    assert "Other voxels." in section.html
