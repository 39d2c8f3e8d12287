# SPDX-License-Identifier: Apache-2.0
"""Volumes and thickness of FreeSurfer are read as they stand; wrong files are refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_msvol.engines.freesurfer import read_freesurfer
from bids_msvol.engines.stats_result import StatsResult, stats_rows
from bids_msvol.errors import DataError, NoInputError
from bids_msvol.structures import STRUCTURES, SUMS
from tests.engines.stats_samples import (
    CORTEX,
    ETIV,
    VOLUMES,
    add,
    measure_lines,
    measures,
    write,
    write_aparc,
    write_aseg,
)

VERSIONS = ("5.3", "6.0", "7.4.1")


def edit(path: Path, old: str, new: str) -> Path:
    """Replace words that the file must have."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def table_of(result: StatsResult) -> dict[object, object]:
    """Return volumes by the name of the row."""
    return {row["name"]: row["volume_mm3"] for row in stats_rows(result)}


@pytest.mark.parametrize("version", VERSIONS)
def test_all_structures_are_read_whatever_the_version(tmp_path: Path, version: str) -> None:
    """Structures come from the table, cortex and white matter from the header, under old and new names."""
    result = read_freesurfer(write_aseg(tmp_path / "aseg.stats", version))
    assert (result.program, result.version, result.subject) == ("FreeSurfer", version, "sub-01")
    assert {number: result.volumes_mm3[number] for number in VOLUMES} == pytest.approx(VOLUMES)
    assert result.volumes_mm3[77] == pytest.approx(400.0)
    assert result.etiv_mm3 == pytest.approx(ETIV)
    assert result.lesion_volume_mm3 is None
    assert result.measures_mm3["CerebralWhiteMatterVol"] == pytest.approx(add(2, 41))
    assert result.measures_mm3["MaskVol"] == pytest.approx(180_000.0)


@pytest.mark.parametrize("version", VERSIONS)
def test_totals_agree_with_their_parts(tmp_path: Path, version: str) -> None:
    """All definitions hold in a file that follows them."""
    checks = read_freesurfer(write_aseg(tmp_path / "aseg.stats", version)).checks
    assert len(checks) == 10
    assert [check.name for check in checks if not check.agrees] == []


def test_rows_are_those_of_our_own_table(tmp_path: Path) -> None:
    """Structures, sums, intracranial volume, in that order; sums are added as ours are."""
    rows = stats_rows(read_freesurfer(write_aseg(tmp_path / "aseg.stats")))
    assert [row["name"] for row in rows] == [*(s.name for s in STRUCTURES), *(s.name for s in SUMS), "eTIV"]
    assert [row["index"] for row in rows] == [*(s.index for s in STRUCTURES), *[None] * 7]
    values = {row["name"]: row for row in rows}
    for one in SUMS:
        assert values[one.name]["volume_mm3"] == pytest.approx(add(*one.members))
    assert values["Left-Thalamus"]["volume_pct_etiv"] == pytest.approx(100.0 * VOLUMES[10] / ETIV)
    assert values["eTIV"]["volume_pct_etiv"] == pytest.approx(100.0)


def test_a_missing_structure_is_none_and_not_zero(tmp_path: Path) -> None:
    """Without a structure the sums that need it are missing too, and others are not."""
    path = write_aseg(tmp_path / "aseg.stats")
    lines = [line for line in path.read_text().splitlines() if not line.rstrip().endswith("Left-Hippocampus")]
    rows = sum(not line.startswith("#") for line in lines)
    write(path, [f"# NRows {rows}" if line.startswith("# NRows") else line for line in lines])
    values = table_of(read_freesurfer(path))
    assert values["Left-Hippocampus"] is values["DeepGray"] is values["WholeBrain"] is None
    assert values["Cerebellum"] == pytest.approx(add(7, 8, 46, 47))


def test_an_edited_total_is_noticed(tmp_path: Path) -> None:
    """Exact sums notice 1 %; version 7 also in what it counts, where 5.3 itself differs by more."""
    right = measures("7.4.1")["SubCortGrayVol"][1]
    for version, others in (("7.4.1", 1), ("5.3", 0)):
        path = edit(write_aseg(tmp_path / "aseg.stats", version), f"{right:.6f}", f"{1.01 * right:.6f}")
        wrong = [check.name for check in read_freesurfer(path).checks if not check.agrees]
        assert sum("SubCortGrayVol = " in name for name in wrong) == others
    path = write_aseg(tmp_path / "aseg.stats")
    edit(path, f"lhCortexVol, Some words, {VOLUMES[3]:.6f}", f"lhCortexVol, Some words, {VOLUMES[3] + 10:.6f}")
    assert "CortexVol = left + right" in [check.name for check in read_freesurfer(path).checks if not check.agrees]


def test_other_units_than_stated_show_in_the_voxels(tmp_path: Path) -> None:
    """Volumes in ml that claim to be mm3 do not agree with the number of voxels."""
    path = edit(write_aseg(tmp_path / "aseg.stats"), "# VoxelVolume_mm3 0.5", "# VoxelVolume_mm3 500")
    check = read_freesurfer(path).checks[0]
    assert "voxels" in check.name
    assert not check.agrees


def test_white_matter_counted_by_labels_leaves_hypointensities_out(tmp_path: Path) -> None:
    """If the table has cerebral white matter, hypointensities and callosum are added to the sums, once."""
    path = write_aseg(tmp_path / "aseg.stats")
    rows = "".join(
        f" 90 {number} {2 * VOLUMES[number]:.0f} {VOLUMES[number]:.1f} {side}-Cerebral-White-Matter\n"
        for number, side in ((2, "Left"), (41, "Right"))
    )
    path.write_text(path.read_text() + rows)
    count = sum(not line.startswith("#") for line in path.read_text().splitlines())
    result = read_freesurfer(edit(path, f"# NRows {count - 2} ", f"# NRows {count} "))
    assert result.white_by_labels
    assert result.sum_mm3("TotalWhite") == pytest.approx(add(2, 41, 7, 46, 77, 251))


def test_totals_missing_in_one_file_come_from_the_other(tmp_path: Path) -> None:
    """`brainvol.stats` completes the header of `aseg.stats`, which goes before it where it has a total itself."""
    path = write_aseg(tmp_path / "aseg.stats")
    lines = path.read_text().splitlines()
    write(path, [line for line in lines if not line.startswith("# Measure") or "eTIV," in line or "Mask" in line])
    assert table_of(read_freesurfer(path))["WholeBrain"] is None
    totals = {name: one for name, one in measures("7.4.1").items() if name != "eTIV"} | {"MaskVol": ("Mask", 1.0)}
    result = read_freesurfer(path, brainvol=write(tmp_path / "brainvol.stats", measure_lines(totals)))
    assert result.volumes_mm3[3] == pytest.approx(VOLUMES[3])
    assert result.measures_mm3["MaskVol"] == pytest.approx(180_000.0)
    assert table_of(result)["WholeBrain"] == pytest.approx(add(*SUMS[0].members))


def test_thickness_is_read_by_region(tmp_path: Path) -> None:
    """Each region has its thickness, area and volume; their volumes are the cortex."""
    files = {f"{hemi}_aparc": write_aparc(tmp_path / f"{hemi}.aparc.stats", hemi) for hemi in ("lh", "rh")}
    result = read_freesurfer(write_aseg(tmp_path / "aseg.stats"), **files)
    assert [(one.hemisphere, one.name) for one in result.regions[1:3]] == [("lh", "insula"), ("rh", "bankssts")]
    insula = result.regions[1]
    assert (insula.thickness_mm, insula.area_mm2) == (3.0, 1400.0)
    assert insula.volume_mm3 == pytest.approx(0.75 * VOLUMES[3], abs=0.1)
    assert result.mean_thickness_mm == {"lh": 2.66667, "rh": 2.66667}
    assert len(result.checks) == 12
    assert all(check.agrees for check in result.checks)
    assert result.measures_mm3["CortexVol"] == pytest.approx(CORTEX)


def test_the_longitudinal_stream_is_told_by_its_name(tmp_path: Path) -> None:
    """Folder or header say so."""
    folder = tmp_path / "sub-01_ses-1.long.sub-01" / "stats"
    assert read_freesurfer(write_aseg(folder / "aseg.stats")).longitudinal
    named = write_aseg(tmp_path / "a" / "aseg.stats", subject="sub-01_ses-1.long.sub-01")
    assert read_freesurfer(named).longitudinal
    assert not read_freesurfer(write_aseg(tmp_path / "b" / "aseg.stats")).longitudinal


def test_an_unknown_revision_is_named_as_it_stands(tmp_path: Path) -> None:
    """Versions are not guessed."""
    path = edit(write_aseg(tmp_path / "aseg.stats", "6.0"), "1.121 2016/05/31", "1.99 2014/01/02")
    assert read_freesurfer(path).version == "mri_segstats.c 1.99 of 2014/01/02"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("# ColHeaders", "# Headers", "no line '# ColHeaders'"),
        ("Volume_mm3", "Volume_ml", "lacks the column Volume_mm3"),
        ("Units     mm^3", "Units     ml", r"gives the column Volume_mm3 in ml, not in mm\^3"),
        (f"{ETIV:.6f}, mm^3", f"{ETIV:.6f}, ml", "EstimatedTotalIntraCranialVol in ml"),
        (f"{ETIV:.6f}", "0.000000", "gives 0 as intracranial volume"),
        (f"{ETIV:.6f}, mm^3", f"{ETIV:.6f}", "no whole measure|where a number"),
        ("Left-Putamen", "Left-Insula", "calls the structure 12 Left-Insula, which is Left-Putamen"),
        (" 63 ", " 31 ", "holds the structure 31 twice"),
        ("Right-VentralDC", "", "is cut off or damaged: line .* has 4 values, but the table 5 columns"),
        (f"{VOLUMES[54]:.1f}", "-3.0", "holds '-3.0' in line"),
        (f"{VOLUMES[54]:.1f}", "nan", "holds 'nan' in line"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """The message names the file and what is wrong, and says what to do."""
    path = edit(write_aseg(tmp_path / "aseg.stats"), old, new)
    with pytest.raises(DataError, match=problem) as caught:
        read_freesurfer(path)
    assert caught.value.subject == path
    assert caught.value.remedy


def test_a_file_that_was_cut_off_between_lines_is_refused(tmp_path: Path) -> None:
    """The number of rows in the header says so."""
    path = write_aseg(tmp_path / "aseg.stats")
    write(path, path.read_text().splitlines()[:-3])
    with pytest.raises(DataError, match="it says that it has 33 rows, but has 30"):
        read_freesurfer(path)


def test_no_file_empty_file_and_other_file(tmp_path: Path) -> None:
    """Each is told apart."""
    with pytest.raises(NoInputError, match="does not exist"):
        read_freesurfer(tmp_path / "aseg.stats")
    path = tmp_path / "aseg.stats"
    path.touch()
    with pytest.raises(DataError, match="is empty"):
        read_freesurfer(path)
    path.write_text("# a remark\n")
    with pytest.raises(DataError, match="is no stats file"):
        read_freesurfer(path)
    path.write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="holds no table"):
        read_freesurfer(path)


def test_files_of_other_people_runs_and_sides_are_refused(tmp_path: Path) -> None:
    """Name, intracranial volume and hemisphere must fit."""
    aseg = write_aseg(tmp_path / "aseg.stats")
    path = tmp_path / "lh.aparc.stats"
    with pytest.raises(DataError, match=r"is of sub-02, but aseg\.stats of sub-01"):
        read_freesurfer(aseg, lh_aparc=write_aparc(path, "lh", "sub-02"))
    with pytest.raises(DataError, match=r"gives 202000 mm\^3 as intracranial volume"):
        read_freesurfer(aseg, lh_aparc=write_aparc(path, "lh", etiv=1.01 * ETIV))
    with pytest.raises(DataError, match="is of the hemisphere rh, not lh"):
        read_freesurfer(aseg, lh_aparc=write_aparc(path, "rh"))
