# SPDX-License-Identifier: Apache-2.0
"""Volumes and lesions of SAMSEG are read as they stand; wrong files are refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_msvol.engines.samseg import read_samseg
from bids_msvol.engines.stats_result import stats_rows
from bids_msvol.errors import DataError
from bids_msvol.structures import SUMS
from tests.engines.stats_samples import VOLUMES, add, write, write_samseg

INSIDE = sum(VOLUMES.values()) + 300.0 + 600.0
"""All of the sample that lies inside the skull."""


def test_structures_lesions_and_intracranial_volume(tmp_path: Path) -> None:
    """Structures are told by their names; lesions count as white matter in the sums and in no structure."""
    sbtiv = write(tmp_path / "sbtiv.stats", [f"# Measure Intra-Cranial, {INSIDE:.6f}, mm^3"])
    result = read_samseg(write_samseg(tmp_path / "samseg.stats"), sbtiv)
    assert (result.program, result.version, result.longitudinal) == ("SAMSEG", None, False)
    assert {number: result.volumes_mm3[number] for number in VOLUMES} == pytest.approx(VOLUMES)
    assert result.lesion_volume_mm3 == pytest.approx(600.0)
    assert result.etiv_mm3 == pytest.approx(INSIDE)
    assert [check.agrees for check in result.checks] == [True]
    values = {row["name"]: row["volume_mm3"] for row in stats_rows(result)}
    assert values["TotalWhite"] == pytest.approx(add(2, 41, 7, 46) + 600.0)
    assert values["WholeBrain"] == pytest.approx(add(*SUMS[0].members) + 600.0)
    assert values["TotalGray"] == pytest.approx(add(*SUMS[1].members))


def test_an_intracranial_volume_of_another_run_is_noticed(tmp_path: Path) -> None:
    """It does not agree with the structures."""
    sbtiv = write(tmp_path / "sbtiv.stats", [f"# Measure Intra-Cranial, {1.1 * INSIDE:.6f}, mm^3"])
    assert not read_samseg(write_samseg(tmp_path / "samseg.stats"), sbtiv).checks[0].agrees


def test_without_sbtiv_there_is_no_intracranial_volume(tmp_path: Path) -> None:
    """Nothing is made up; but some versions write it among the structures."""
    path = write_samseg(tmp_path / "samseg.stats")
    assert read_samseg(path).etiv_mm3 is None
    path.write_text(f"# Measure Intra-Cranial, {INSIDE:.6f}, mm^3\n" + path.read_text())
    assert read_samseg(path).etiv_mm3 == pytest.approx(INSIDE)


def test_no_lesions_looked_for_is_not_no_lesions(tmp_path: Path) -> None:
    """Without the line the volume is missing; 0 is 0."""
    assert read_samseg(write_samseg(tmp_path / "samseg.stats", lesions=None)).lesion_volume_mm3 is None
    assert read_samseg(write_samseg(tmp_path / "samseg.stats", lesions=0.0)).lesion_volume_mm3 == 0.0


def test_time_points_of_the_longitudinal_stream(tmp_path: Path) -> None:
    """It writes each time point to a folder tp001 and so on."""
    assert read_samseg(write_samseg(tmp_path / "tp002" / "samseg.stats")).longitudinal
    assert not read_samseg(write_samseg(tmp_path / "type2" / "samseg.stats")).longitudinal


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Cut off between lines and within one, other units, other file."""
    path = write_samseg(tmp_path / "samseg.stats")
    text = path.read_text()
    write(path, text.splitlines()[:20])
    with pytest.raises(DataError, match=r"samseg\.stats: lacks the structure .*cut off"):
        read_samseg(path)
    path.write_text(text[:-8])
    with pytest.raises(DataError, match="no whole measure"):
        read_samseg(path)
    with pytest.raises(DataError, match="in voxels, not in mm"):
        read_samseg(write_samseg(path, unit="voxels"))
    sbtiv = write(tmp_path / "sbtiv.stats", ["# Measure Skull, 3.0, mm^3"])
    with pytest.raises(DataError, match=r"sbtiv\.stats: lacks the measure Intra-Cranial"):
        read_samseg(write_samseg(path), sbtiv)
