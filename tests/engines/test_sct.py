# SPDX-License-Identifier: Apache-2.0
"""Tables of the Spinal Cord Toolbox become levels and slices; what cannot be read is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bids_msvol.cord.levels import LevelMeasure
from bids_msvol.engines.sct import METHODS, SctResult, read_sct_table
from bids_msvol.errors import DataError, NoInputError

HEADER = (
    "Timestamp", "SCT Version", "Filename", "Slice (I->S)", "VertLevel", "DistancePMJ", "MEAN(area)", "STD(area)",
    "MEAN(angle_AP)", "MEAN(diameter_AP)", "MEAN(diameter_RL)", "MEAN(eccentricity)", "SUM(length)",
)  # fmt: skip

Cells = Mapping[str, object]


def row(slices: object, level: object = "", area: object = "", **other: object) -> dict[str, object]:
    """Return a row as the toolbox writes it; ``other`` may name columns by a word of them."""
    values: dict[str, object] = dict.fromkeys(HEADER, "")
    values |= {"Timestamp": "2025-12-17 02:21:09", "SCT Version": "6.1", "Filename": "/data/sub-01_T2w_seg.nii.gz"}
    values |= {"Slice (I->S)": slices, "VertLevel": level, "MEAN(area)": area}
    if area != "":
        values |= {"MEAN(diameter_AP)": 8, "MEAN(diameter_RL)": 12, "MEAN(eccentricity)": 0.75, "SUM(length)": 1}
    names = {
        "distance": "DistancePMJ", "image": "Filename", "version": "SCT Version", "ap": "MEAN(diameter_AP)",
        "ellipse": "MEAN(diameter_AP_ellipse)", "length": "SUM(length)",
    }  # fmt: skip
    return values | {names[key]: value for key, value in other.items()}


def write(path: Path, rows: Sequence[Cells], header: Sequence[str] = HEADER) -> Path:
    """Write a table, every value in quotes as some versions do."""
    lines = [",".join(header)]
    lines += [",".join(f'"{values.get(name, "")}"' for name in header) for values in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def level(result: SctResult, name: str) -> LevelMeasure:
    """Return the measures of a level."""
    return next(measure for measure in result.levels if measure.level == name)


def in_template() -> list[dict[str, object]]:
    """Return slices of the template: T1 and C4 to C7 unseen but for half of C4, C2 and C3 seen, most of C1 too."""
    rows = [row(number, 8) for number in range(10, 14)]
    rows += [row(number, 7 - (number - 20) // 10) for number in range(20, 55)]
    rows += [row(number, 4, 75, length="") for number in range(55, 60)]
    rows += [row(number, 3, 70, length="") for number in range(60, 90)]
    rows += [row(number, 2, 66, length="") for number in range(90, 100)]
    rows += [row(number, 1, 72 if number < 109 else "", length="") for number in range(100, 110)]
    return rows


def test_slices_in_the_template_become_levels(tmp_path: Path) -> None:
    """Each level is the mean of its slices, and its coverage what part of it was seen, half being enough."""
    result = read_sct_table(write(tmp_path / "sub-01_T2w_PAM50.csv", in_template()))
    assert result.source == "sub-01_T2w_PAM50.csv"
    assert result.versions == ("6.1",)
    assert (result.method, result.in_template) == ("slices", True)
    assert [measure.level for measure in result.levels] == [*(f"C{number}" for number in range(1, 8)), "C2-C3", "C1-C7"]
    areas = {measure.level: measure.csa_mm2 for measure in result.levels}
    assert [areas[f"C{number}"] for number in range(1, 8)] == [72, 66, 70, 75, None, None, None]
    assert level(result, "C1").coverage == pytest.approx(0.9)
    assert level(result, "C4").coverage == pytest.approx(0.5)
    assert level(result, "C5").coverage == 0.0
    assert level(result, "C1-C7").csa_mm2 == pytest.approx((5 * 75 + 30 * 70 + 10 * 66 + 9 * 72) / 54)
    assert level(result, "C1-C7").coverage == pytest.approx(54 / 90)
    assert len(result.slices) == 54


def test_c2_c3_is_the_mean_over_the_slices_of_both_levels(tmp_path: Path) -> None:
    """The longer level counts more, as in ``-vert 2:3``, and the caller is told that this is not our own 20 mm."""
    result = read_sct_table(write(tmp_path / "a.csv", in_template()))
    upper = level(result, "C2-C3")
    assert upper.csa_mm2 == pytest.approx((30 * 70 + 10 * 66) / 40)
    assert (upper.n_slices, upper.coverage) == (40, 1.0)
    assert (upper.ap_diameter_mm, upper.rl_diameter_mm, upper.eccentricity) == (8, 12, 0.75)
    assert (upper.length_mm, upper.volume_mm3) == (None, None)
    assert "not of the 20 mm around the disc" in METHODS[result.method]


def test_less_than_half_of_a_level_is_not_reported(tmp_path: Path) -> None:
    """Below half of its slices a level has no mean, but says how much of it there was."""
    rows = [*in_template(), *(row(number, 4) for number in range(50, 55))]
    rows = [{**values, "MEAN(area)": ""} if values["Slice (I->S)"] == 55 else values for values in rows]
    found = level(read_sct_table(write(tmp_path / "a.csv", rows)), "C4")
    assert (found.csa_mm2, found.n_slices, found.coverage) == (None, 4, pytest.approx(0.4))


def test_slices_of_an_image_keep_their_numbers(tmp_path: Path) -> None:
    """Outside the template lengths are known; thoracic slices have no level; C2-C3 needs both of its levels."""
    rows = [row(0, 9, 50), row(1, 4, 76, distance=90.5), row(2, 3, 74.5), row(3, 3, 75.5), row(4, "", "")]
    result = read_sct_table(write(tmp_path / "a.csv", rows))
    assert not result.in_template
    assert [(item.number, item.level, item.csa_mm2) for item in result.slices] == [
        (0, None, 50),
        (1, "C4", 76),
        (2, "C3", 74.5),
        (3, "C3", 75.5),
    ]
    assert [item.below_junction_mm for item in result.slices] == [None, 90.5, None, None]
    third = level(result, "C3")
    assert (third.csa_mm2, third.length_mm, third.volume_mm3) == (75, 2, 150)
    assert (level(result, "C2-C3").csa_mm2, level(result, "C2-C3").coverage) == (None, None)
    assert level(result, "C1-C7").csa_mm2 == pytest.approx((76 + 74.5 + 75.5) / 3)


def test_one_mean_for_each_level(tmp_path: Path) -> None:
    """Rows of levels are used as they are; C2-C3 weighs the two by their slices, and coverage is not known."""
    rows = [row("40:49", 4, 77), row("50:69", 3, 71), row("70;72:80", 2, 68), row("", 1, "")]
    result = read_sct_table(write(tmp_path / "a.csv", [values | {"SUM(length)": ""} for values in rows]))
    assert (result.method, result.slices, result.in_template) == ("levels", (), False)
    assert [level(result, name).csa_mm2 for name in ("C1", "C2", "C3", "C4")] == [None, 68, 71, 77]
    assert level(result, "C2-C3").csa_mm2 == pytest.approx((20 * 71 + 10 * 68) / 30)
    assert (level(result, "C2-C3").n_slices, level(result, "C2-C3").coverage) == (30, None)


def test_row_of_the_two_levels_together_counts_first(tmp_path: Path) -> None:
    """What ``-vert 2:3`` gave is not computed again from rows of the single levels."""
    rows = [row("50:69", 3, 71), row("70:79", 2, 68), row("50:79", "2:3", 69.7)]
    assert level(read_sct_table(write(tmp_path / "a.csv", rows)), "C2-C3").csa_mm2 == 69.7
    assert level(read_sct_table(write(tmp_path / "b.csv", rows[2:])), "C2-C3").csa_mm2 == 69.7


def test_distances_alone_place_the_levels(tmp_path: Path) -> None:
    """Slices with only a distance from the junction are put where levels lie on average; C2-C3 is 20 mm long."""
    rows = [
        row(number, "", 80 if 54 <= 160 - number < 74 else 60, distance=160.5 - number) for number in range(40, 120)
    ]
    result = read_sct_table(write(tmp_path / "a.csv", rows))
    assert result.method == "distances"
    upper = level(result, "C2-C3")
    assert upper.csa_mm2 == pytest.approx(80, abs=0.01)
    assert (upper.coverage, upper.length_mm) == (pytest.approx(1.0), pytest.approx(20.0))
    assert level(result, "C1").csa_mm2 is None


@pytest.mark.parametrize("levels", ["", "2:4"])
def test_stretch_by_distance(tmp_path: Path, levels: str) -> None:
    """A mean around 64 mm below the junction is C2-C3, also where the toolbox lists the levels it touches."""
    stretch = row("60:79", levels, 69, distance="64.0", length=20.4)
    result = read_sct_table(write(tmp_path / "a.csv", [stretch]))
    assert (result.method, [measure.level for measure in result.levels]) == ("stretch", ["C2-C3"])
    assert result.levels[0].csa_mm2 == 69
    assert (result.levels[0].n_slices, result.levels[0].length_mm) == (20, 20.4)


@pytest.mark.parametrize("rows", [[row("60:79", "", 69, distance=50)], [row(60, "", 70), row(61, "", 68)]])
def test_without_levels_all_is_one_mean(tmp_path: Path, rows: list[Cells]) -> None:
    """A stretch elsewhere, and slices of which nothing else is known, are not called by a level."""
    result = read_sct_table(write(tmp_path / "a.csv", rows))
    assert (result.method, [measure.level for measure in result.levels]) == ("all", ["visible"])
    assert result.levels[0].csa_mm2 == 69


def test_diameter_of_the_ellipse_is_preferred(tmp_path: Path) -> None:
    """Where a version has both, the axis of the ellipse is the one that other versions, and we, call the diameter."""
    rows = [row(number, 3, 70, ap=7.7, ellipse=8.0) for number in range(4)]
    result = read_sct_table(write(tmp_path / "a.csv", rows, (*HEADER, "MEAN(diameter_AP_ellipse)")))
    assert level(result, "C3").ap_diameter_mm == 8.0


def test_columns_that_are_not_there_are_unknown(tmp_path: Path) -> None:
    """A table cut down to slice, level and area is read; the diameters are missing, not zero."""
    rows = [row(number, 3, 70) for number in range(4)]
    result = read_sct_table(write(tmp_path / "a.csv", rows, ("Slice (I->S)", "VertLevel", "MEAN(area)")))
    third = level(result, "C3")
    assert (third.csa_mm2, third.ap_diameter_mm, third.eccentricity) == (70, None, None)
    assert result.slices[0].rl_diameter_mm is None
    assert (result.versions, result.in_template) == ((), False)


def test_ways_to_write_nothing(tmp_path: Path) -> None:
    """Empty fields, nan and None are no values, and numbers that pandas saved again are whole."""
    rows = [row("0.0", "3.0", 70), row("1.0", "3.0", "nan"), row("2.0", "3.0", "None"), row("3.0", "3.0", 72)]
    third = level(read_sct_table(write(tmp_path / "a.csv", rows)), "C3")
    assert (third.csa_mm2, third.n_slices, third.coverage) == (71, 2, 0.5)


def test_last_of_two_runs_counts(tmp_path: Path) -> None:
    """Rows appended to the same file for a corrected mask replace those before."""
    rows = [row("50:69", 3, 71), row("50:69", 3, 73)]
    third = level(read_sct_table(write(tmp_path / "a.csv", rows)), "C3")
    assert (third.csa_mm2, third.n_slices) == (73, 20)


def test_rows_of_one_session_are_picked(tmp_path: Path) -> None:
    """In a table of all people, the column Filename says whose a row is, with folders of any system."""
    images = [
        "/out/sub-01/ses-1/anat/a_seg.nii.gz",
        "C:\\out\\sub-01\\ses-2\\a_seg.nii.gz",
        "/out/sub-010/ses-1/a_seg.nii",
    ]
    path = write(tmp_path / "csa.csv", [row("5:9", "2:3", 70 + n, image=image) for n, image in enumerate(images)])
    found = [read_sct_table(path, subject, session) for subject, session in (("01", "1"), ("01", "2"), ("010", "1"))]
    assert [level(result, "C2-C3").csa_mm2 for result in found] == [70, 71, 72]
    with pytest.raises(DataError, match=r"no row of sub-02_ses-1\. Check the column Filename"):
        read_sct_table(path, "02", "1")


def test_rows_of_two_images(tmp_path: Path) -> None:
    """T1w and T2w of a session in one table are told apart by the image that is measured, else it is an error."""
    rows = [row("5:9", "2:3", 65, image="/out/sub-01_T1w_seg.nii.gz"), row("5:9", "2:3", 70)]
    path = write(tmp_path / "csa.csv", rows)
    assert level(read_sct_table(path, "01", image_stem="sub-01_T1w"), "C2-C3").csa_mm2 == 65
    with pytest.raises(DataError, match=r"several images: sub-01_T1w_seg.nii.gz, sub-01_T2w_seg.nii.gz"):
        read_sct_table(path, "01")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"empty"),
        ("a;b\n1;2\n", r"lacks the column Slice \(I->S\)\. .* separated by commas"),
        ("Slice (I->S),MEAN(area)\n1,2\n", r"lacks the column VertLevel"),
        ("Slice (I->S),VertLevel,MEAN(area)\n", r"has no rows"),
        ("Slice (I->S),VertLevel,MEAN(area)\n1,2,\n2,2,\n", r"has no value in the column MEAN\(area\)"),
        ("Slice (I->S),VertLevel,MEAN(area)\n1,2,70\n2,2,x1\n", r"'x1' in the column MEAN\(area\), line 3"),
        ("Slice (I->S),VertLevel,MEAN(area)\n1,C2,70\n", r"'C2' in the column VertLevel, line 2"),
        ("Slice (I->S),VertLevel,MEAN(area)\n1,2,70\n2,2,7,8\n", r"4 values in line 3 but 3 columns"),
        ("Slice (I->S),VertLevel,MEAN(area)\n1:9,8:9,50\n", r"no cervical level.* it has \[8, 9\]"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, content: str, message: str) -> None:
    """The message names the file, the column and the line, and what to do."""
    path = tmp_path / "csa.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as error:
        read_sct_table(path)
    assert str(path) in str(error.value)


def test_file_that_is_no_text(tmp_path: Path) -> None:
    """Bytes of another kind are refused, and so is a file that is not there."""
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="is no table"):
        read_sct_table(tmp_path / "a.csv")
    with pytest.raises(NoInputError, match="does not exist"):
        read_sct_table(tmp_path / "b.csv")
