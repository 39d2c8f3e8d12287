# SPDX-License-Identifier: Apache-2.0
"""The measured error says "not measured" where it is not, and the shipped file has the right shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_msvol.cord.levels import level_ranges_mm
from bids_msvol.errors import DataError
from bids_msvol.report.measured_error import CORD_ERROR, REPEATABILITY, load_measured_error
from bids_msvol.report.methods import build_error_section
from bids_msvol.report.wording import split_side
from bids_msvol.structures import ETIV_NAME, STRUCTURES, SUMS


def _write(path: Path, values: dict[str, float | None]) -> Path:
    measure = {"title": "Repeatability", "unit": "%", "explanation": "What it is.", "data": "ten repeats", "cases": 10}
    path.write_text(json.dumps({"version": "9.9", "measures": {REPEATABILITY: {**measure, "values": values}}}), "utf-8")
    return path


def test_shipped_file_names_known_structures() -> None:
    """Every name in the shipped file is a structure without its side, a sum, eTIV or a stretch of the cord."""
    known = {split_side(structure.name)[1] for structure in STRUCTURES} | {total.name for total in SUMS} | {ETIV_NAME}
    error = load_measured_error()
    assert REPEATABILITY in {measure.key for measure in error.measures}
    cord = {f"Cord-{level}" for level in level_ranges_mm()}
    for measure in error.measures:
        assert set(measure.values) <= (cord if measure.key == CORD_ERROR else known)


def test_numbers_are_shown_with_their_data(tmp_path: Path) -> None:
    """A number is printed with its unit, what it was measured on, and the version; a missing one is not measured."""
    error = load_measured_error(_write(tmp_path / "error.json", {"WholeBrain": 0.21, "Thalamus": None}))
    assert error.repeatability_pct("WholeBrain") == 0.21
    assert error.repeatability_pct("Thalamus") is None
    assert error.repeatability_pct("Putamen") is None
    html = build_error_section(error).html
    assert ">0.21 %<" in html
    assert html.count(">not measured<") == 1
    assert "ten repeats" in html
    assert "(n = 10)" in html
    assert "9.9" in html


def test_nothing_measured_is_said_plainly(tmp_path: Path) -> None:
    """Without any number there is a sentence and no empty table."""
    html = build_error_section(load_measured_error(_write(tmp_path / "error.json", {"WholeBrain": None}))).html
    assert "Not measured." in html
    assert "<table" not in html


@pytest.mark.parametrize("content", ["", "[]", '{"measures": {"x": {}}}', '{"measures": 3}'])
def test_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    """A damaged file ends in an error that names it."""
    path = tmp_path / "error.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"error\.json"):
        load_measured_error(path)
