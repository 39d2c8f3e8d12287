# SPDX-License-Identifier: Apache-2.0
"""The same events as the R package msprog, where its results on random people are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.edss_events import DATA, EXPECTED, compare


@pytest.fixture
def folder() -> Path:
    """Return the folder with msprog's results, below the one that ``$BIDS_MSVOL_DATA`` names."""
    root = os.environ.get("BIDS_MSVOL_DATA")
    if not root:
        pytest.skip("$BIDS_MSVOL_DATA names no folder of reference data")
    if not (Path(root) / DATA).is_dir():
        pytest.skip(f"$BIDS_MSVOL_DATA has no folder {DATA}")
    return Path(root) / DATA


@pytest.mark.parametrize("name", EXPECTED)
def test_every_event_is_the_same(folder: Path, name: str) -> None:
    """Type, day, PIRA or RAW, and all details of every event agree."""
    result = compare(folder, name)
    assert result.people == 400
    assert result.expected > 100
    assert (result.missing, result.extra, result.other_details) == (0, 0, 0)
