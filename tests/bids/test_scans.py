# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.records import Scan
from bids_msvol.bids.scans import passes, read_days, read_geometry
from tests.bids.skeleton import make_dataset


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, True),
        ({"run": "1"}, True),
        ({"run": "2"}, False),
        ({"run": ("2", "01")}, True),
        ({"acquisition": None}, False),
        ({"acquisition": "*"}, True),
        ({"reconstruction": None}, True),
        ({"reconstruction": "*"}, False),
        ({"suffix": "T1w", "acquisition": "fine"}, True),
    ],
)
def test_filters(query: dict[str, str | tuple[str, ...] | None], expected: bool) -> None:
    """Values, lists, absence and presence work, and leading zeros of numbers do not matter."""
    scan = Scan(Path("x"), "x", "T1w", {"subject": "01", "run": "01", "acquisition": "fine"})
    assert passes(scan, query) is expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("session_id\tacq_time\nses-a\t1867-03-02T08:00:00\nses-b\t1867-03-12T20:00:00\n", {"a": 0, "b": 10.5}),
        ("session_id\tdays\nses-a\t30\nses-b\t233\nses-c\tn/a\n", {"a": 0, "b": 203}),
        ("session_id\tacq_time\tdays\nses-a\tearly\t0\nses-b\tlate\t5\n", {"a": 0, "b": 5}),
        ("session_id\tacq_time\nses-a\t2020-01-01T00:00:00Z\nses-b\t2020-01-02\n", {"a": 0, "b": 1}),
        ("session_id\tage\nses-a\t30\n", {}),
    ],
)
def test_days(tmp_path: Path, table: str, expected: dict[str, float]) -> None:
    """Days count from the first session; dates come first, and a column that is no date is passed over."""
    make_dataset(tmp_path, {"sub-01/sub-01_sessions.tsv": table})
    assert read_days(tmp_path, "01") == expected


def test_a_bad_date_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A date that cannot be read makes the days unknown, and the log says in which file."""
    make_dataset(tmp_path, {"sub-01/sub-01_sessions.tsv": "session_id\tacq_time\nses-a\t2.3.2020\n"})
    with caplog.at_level(logging.WARNING):
        assert read_days(tmp_path, "01") == {}
    assert "sub-01_sessions.tsv" in caplog.text


def test_no_table_of_sessions(tmp_path: Path) -> None:
    """Without the table the days are unknown, which is no error."""
    assert read_days(tmp_path, "01") == {}


def test_extent_is_along_the_axes_of_the_body(tmp_path: Path) -> None:
    """The field of view is told from left to right and so on, however the array is stored."""
    affine = np.array([[0, 0, 3.0, 0], [-1.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(np.zeros((10, 20, 30), np.uint8), affine), tmp_path / "a.nii")
    geometry = read_geometry(tmp_path / "a.nii")
    assert geometry is not None
    assert geometry.extent_mm == (90.0, 10.0, 40.0)
    assert geometry.edges_mm == (1.0, 2.0, 3.0)


def test_an_unreadable_header_gives_no_geometry(tmp_path: Path) -> None:
    """A damaged file does not stop the choice among the others."""
    (tmp_path / "a.nii.gz").write_bytes(b"nothing")
    assert read_geometry(tmp_path / "a.nii.gz") is None
