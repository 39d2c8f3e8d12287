# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_msvol.bids.tables import CHANGE, HEADLINES, METHODS, PAIRS, QUALITY, TABLES, VOLUMES, docs_markdown
from bids_msvol.bids.tabular import Column, format_value, read_table, write_table
from bids_msvol.errors import DataError, NoInputError
from bids_msvol.structures import STRUCTURES, SUMS

ROWS = [
    {"index": 10, "name": "Left-Thalamus", "volume_mm3": 7000.04, "volume_pct_etiv": 0.47},
    {"index": None, "name": "WholeBrain", "volume_mm3": None, "volume_pct_etiv": math.nan},
]


def test_written_and_read_back(tmp_path: Path) -> None:
    """Fixed digits, ``n/a`` for what is missing and never 0; reading gives the same back."""
    path, sidecar = write_table(tmp_path / "a_morph.tsv", VOLUMES, ROWS, Sources=["bids::x"])
    assert path.read_text() == (
        "index\tname\tvolume_mm3\tvolume_pct_etiv\n10\tLeft-Thalamus\t7000.0\t0.4700\nn/a\tWholeBrain\tn/a\tn/a\n"
    )
    described = json.loads(sidecar.read_text())
    assert described["volume_mm3"]["Units"] == "mm^3"
    assert described["Sources"] == ["bids::x"]
    frame = read_table(path, VOLUMES)
    assert frame["index"].isna().tolist() == [False, True]
    assert frame["index"][0] == 10
    assert frame["volume_mm3"].isna().tolist() == [False, True]
    assert frame["volume_mm3"][0] == 7000.0


def test_text_cannot_break_the_table(tmp_path: Path) -> None:
    """Tabs and line ends in a reason become spaces; an empty reason comes back empty."""
    rows = [
        {"metric": "cnr", "value": 2, "verdict": "warn", "reason": "low\tcontrast\nof grey"},
        {"metric": "snr", "value": 9, "verdict": "pass", "reason": ""},
    ]
    path, _ = write_table(tmp_path / "a_stat.tsv", QUALITY, rows)
    assert read_table(path, QUALITY)["reason"].tolist() == ["low contrast of grey", ""]


@given(st.floats(allow_nan=True, allow_infinity=True) | st.none(), st.integers(0, 5))
def test_a_number_is_written_to_its_digits(value: float | None, decimals: int) -> None:
    """Every float comes back to half a unit of the last digit; what is no number is ``n/a``; there is no ``-0``."""
    text = format_value(value, Column("x", "", "number", decimals=decimals))
    if value is None or not math.isfinite(value):
        assert text == "n/a"
    else:
        assert float(text) == pytest.approx(value, rel=1e-12, abs=0.5000001 * 10**-decimals)
        assert not (text.startswith("-") and float(text) == 0)


def test_an_optional_column_is_left_out_when_empty(tmp_path: Path) -> None:
    """The days appear only where some session has them."""
    from bids_msvol.bids.tables import SESSIONS

    without, _ = write_table(tmp_path / "a_sessions.tsv", SESSIONS, [{"session_id": "ses-1"}])
    with_days, _ = write_table(
        tmp_path / "b_sessions.tsv", SESSIONS, [{"session_id": "ses-1", "days": 0.0}, {"session_id": "ses-2"}]
    )
    assert "days" not in read_table(without, SESSIONS)
    assert read_table(with_days, SESSIONS)["days"].isna().tolist() == [False, True]


def test_change_is_written_and_read_back(tmp_path: Path) -> None:
    """Signs and digits of a change are kept, unknown days and rates are missing; the sidecar says what a method is."""
    rows = [
        {
            "session_id_from": "ses-1", "session_id_to": "ses-2", "days": None, "index": 10, "name": "Left-Thalamus",
            "method": "jacobian", "change_mm3": -71.26, "change_pct": -1.01, "change_pct_per_year": None,
        },
    ]  # fmt: skip
    path, sidecar = write_table(tmp_path / "a_morph.tsv", CHANGE, rows)
    frame = read_table(path, CHANGE)
    (row,) = frame.to_dict("records")
    assert (row["session_id_from"], row["session_id_to"], row["method"]) == ("ses-1", "ses-2", "jacobian")
    assert (row["index"], row["change_mm3"], row["change_pct"]) == (10, -71.3, -1.01)
    assert frame[["days", "change_pct_per_year"]].isna().all(axis=None)
    described = json.loads(sidecar.read_text())
    assert described["method"]["Levels"] == METHODS
    assert described["change_mm3"]["Units"] == "mm^3"


def test_quality_of_pairs_has_the_columns_of_quality() -> None:
    """A metric of a pair is told as one of a session is, with the two sessions before it."""
    assert [column.name for column in PAIRS.columns] == [
        "session_id_from", "session_id_to", *(column.name for column in QUALITY.columns),
    ]  # fmt: skip


def test_damaged_tables(tmp_path: Path) -> None:
    """A table that is missing, or is another one, or holds words for numbers is an error with the file's name."""
    with pytest.raises(NoInputError, match="does not exist"):
        read_table(tmp_path / "a.tsv", VOLUMES)
    (tmp_path / "a.tsv").write_text("index\tname\n1\tx\n")
    with pytest.raises(DataError, match="lacks the column volume_mm3"):
        read_table(tmp_path / "a.tsv", VOLUMES)
    (tmp_path / "a.tsv").write_text("index\tname\tvolume_mm3\tvolume_pct_etiv\n1\tx\tmany\t1\n")
    with pytest.raises(DataError, match="is damaged"):
        read_table(tmp_path / "a.tsv", VOLUMES)


def test_headlines_are_made_of_rows_that_exist() -> None:
    """Each headline number refers to rows of the volume table by their right names."""
    names = {item.name for item in STRUCTURES} | {item.name for item in SUMS}
    assert {row for headline in HEADLINES for row in headline.rows} <= names


def test_the_documentation_has_every_column() -> None:
    """What is written about the tables names each column with its unit."""
    text = docs_markdown()
    for table in TABLES:
        assert f"`{table.file_name}`" in text
        for column in table.columns:
            assert f"| `{column.name}` | {column.unit} |" in text
