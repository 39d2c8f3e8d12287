# SPDX-License-Identifier: Apache-2.0
"""Volumes that FastSurfer counted by labels are read as they stand, with cortex from its regions."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_msvol.engines.fastsurfer import read_fastsurfer
from bids_msvol.engines.stats_result import StatsResult, stats_rows
from bids_msvol.errors import DataError
from bids_msvol.structures import SUMS
from tests.engines.stats_samples import VOLUMES, add, write, write_aseg_dkt


def table_of(result: StatsResult) -> dict[object, object]:
    """Return volumes by the name of the row."""
    return {row["name"]: row["volume_mm3"] for row in stats_rows(result)}


def test_fastsurfer_has_cortex_from_regions_and_lesions_in_the_sums(tmp_path: Path) -> None:
    """Cortex is the sum of its regions; hypointensities and callosum are in the white matter's sums."""
    result = read_fastsurfer(write_aseg_dkt(tmp_path / "aseg+DKT.stats"))
    assert (result.program, result.version, result.etiv_mm3) == ("FastSurfer", None, None)
    assert {number: result.volumes_mm3[number] for number in VOLUMES} == pytest.approx(VOLUMES, abs=0.01)
    values = table_of(result)
    assert values["TotalWhite"] == pytest.approx(add(2, 41, 7, 46, 77, 251), abs=0.01)
    assert values["WholeBrain"] == pytest.approx(add(*SUMS[0].members, 77, 251), abs=0.01)
    assert values["TotalGray"] == pytest.approx(add(*SUMS[1].members), abs=0.01)
    assert all(row["volume_pct_etiv"] is None for row in stats_rows(result))
    assert [check.agrees for check in result.checks] == [True]


def test_a_table_without_cortex_has_no_cortex(tmp_path: Path) -> None:
    """Cortex is missing, and not 0, if the table has none of its regions."""
    path = write_aseg_dkt(tmp_path / "aseg+DKT.stats")
    lines = [line for line in path.read_text().splitlines() if "ctx-" not in line and "NRows" not in line]
    values = table_of(read_fastsurfer(write(path, lines)))
    assert values["Left-Cerebral-Cortex"] is values["TotalGray"] is None
    assert values["TotalWhite"] is not None


def test_a_table_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    """Rows are counted."""
    path = write_aseg_dkt(tmp_path / "aseg+DKT.stats")
    write(path, path.read_text().splitlines()[:-1])
    with pytest.raises(DataError, match=r"aseg\+DKT\.stats: is cut off or damaged"):
        read_fastsurfer(path)


def test_newer_versions_give_version_and_intracranial_volume(tmp_path: Path) -> None:
    """They write totals as FreeSurfer does."""
    path = write_aseg_dkt(tmp_path / "aseg+DKT.stats")
    measure = "# Measure EstimatedTotalIntraCranialVol, eTIV, Estimated Total Intracranial Volume, 150000.0, mm^3"
    path.write_text(f"# cvs_version 2.4.2\n{measure}\n{path.read_text()}")
    result = read_fastsurfer(path)
    assert (result.version, result.etiv_mm3) == ("2.4.2", 150_000.0)
    assert stats_rows(result)[-1]["volume_pct_etiv"] == pytest.approx(100.0)
