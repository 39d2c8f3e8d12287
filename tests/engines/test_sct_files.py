# SPDX-License-Identifier: Apache-2.0
"""Files of the Spinal Cord Toolbox are found by name, and the toolbox is run, here a made-up one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bids_msvol.engines.sct_files import find_sct_files, run_sct
from bids_msvol.errors import DataError, InvocationError, MSVolError, NoInputError

HEADER = "Filename,Slice (I->S),VertLevel,MEAN(area)\n"


def touch(folder: Path, *names: str, content: str = "x") -> None:
    """Make files, and the folders they are in."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_ses-a_T2w_seg.nii.gz",
        "sub-01/ses-a/anat/sub-01_ses-a_T1w_RPI_r_seg.nii.gz",
        "sub-01/ses-a/anat/sub-01_ses-a_T2w_seg-manual.nii.gz",
        "derivatives/labels/sub-01/ses-a/anat/sub-01_ses-a_T2w_label-SC_mask.nii.gz",
        "sub-01/sub-01_ses-a_acq-sag_T2w_label-SC_seg.nii",
        "sub-01/sub-01_ses-a_space-T2w_label-cord_seg.nii.gz",
    ],
)
def test_masks_are_found_by_their_usual_names(tmp_path: Path, name: str) -> None:
    """Each of the names that the toolbox and the datasets made with it use is recognised anywhere below the folder."""
    touch(tmp_path, name)
    assert find_sct_files(tmp_path, "01", "a").mask == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        "sub-01/sub-01_ses-a_T2w_gmseg.nii.gz",
        "sub-01/sub-01_ses-a_T2w_labels.nii.gz",
        "sub-01/sub-01_ses-a_T2w_label-discs_dlabel.nii.gz",
        "sub-01/sub-01_ses-a_T2w_label-GM_seg.nii.gz",
        "sub-01/sub-01_ses-a_T2w_label-lesion_seg.nii.gz",
        "sub-01/sub-01_ses-a_T2w_lesion_seg.nii.gz",
        "sub-01/sub-01_ses-a_desc-lesion_seg.nii.gz",
        "sub-01/sub-01_ses-a_T2w_seg_labeled_discs.nii.gz",
        "sub-01/sub-01_ses-a_space-PAM50_label-SC_seg.nii.gz",
        "sub-01/sub-01_ses-a_label-brain_mask.nii.gz",
        "sub-01/sub-01_ses-b_T2w_seg.nii.gz",
        "sub-01/sub-01_T2w_seg.nii.gz",
        "sub-010/sub-010_ses-a_T2w_seg.nii.gz",
        "sub-01/sub-01_ses-a_T2w_seg.json",
    ],
)
def test_other_files_are_no_masks_of_the_session(tmp_path: Path, name: str) -> None:
    """Grey matter, lesions, discs, the template, other people and other sessions are left alone."""
    touch(tmp_path, name)
    found = find_sct_files(tmp_path, "01", "a")
    assert (found.table, found.mask, found.labelled) == (None, None, None)


def test_mask_with_levels_is_told_from_the_mask(tmp_path: Path) -> None:
    """The labelled mask is found beside the plain one, and never taken for it."""
    touch(tmp_path, "sub-01/sub-01_T2w_seg.nii.gz", "sub-01/sub-01_T2w_seg_labeled.nii.gz")
    found = find_sct_files(tmp_path, "01", None)
    assert found.mask == tmp_path / "sub-01/sub-01_T2w_seg.nii.gz"
    assert found.labelled == tmp_path / "sub-01/sub-01_T2w_seg_labeled.nii.gz"


def test_file_without_session_belongs_to_the_only_one(tmp_path: Path) -> None:
    """Of a person with several sessions it is not known which one a file without ses- shows."""
    touch(tmp_path, "sub-01/sub-01_T2w_seg.nii.gz")
    touch(tmp_path, "sub-01/csa.csv", content=HEADER + "/tmp/T2w_seg.nii.gz,1,3,70\n")
    assert find_sct_files(tmp_path, "01", "a").mask is None
    assert find_sct_files(tmp_path, "01", "a").table is None
    found = find_sct_files(tmp_path, "01", "a", only_session=True)
    assert (found.mask is not None, found.table is not None) == (True, True)


def test_corrected_mask_goes_before_the_drawn_one(tmp_path: Path) -> None:
    """Of what the program drew and what a person made of it, the latter is used."""
    touch(tmp_path, "sub-01/sub-01_T2w_seg.nii.gz", "labels/sub-01/sub-01_T2w_seg-manual.nii.gz")
    found = find_sct_files(tmp_path, "01", None)
    assert found.mask == tmp_path / "labels/sub-01/sub-01_T2w_seg-manual.nii.gz"


def test_image_decides_between_masks(tmp_path: Path) -> None:
    """Masks of T1w and T2w are an error that names them, unless it is said which image is measured."""
    touch(tmp_path, "sub-01/sub-01_T1w_seg.nii.gz", "sub-01/sub-01_T2w_label-SC_mask.nii.gz")
    with pytest.raises(DataError, match=r"several masks of the cord of sub-01: .*T1w_seg.*T2w_label-SC_mask"):
        find_sct_files(tmp_path, "01", None, image_stem="sub-01_T2")
    for image, mask in (("sub-01_T1w", "sub-01_T1w_seg.nii.gz"), ("sub-01_T2w", "sub-01_T2w_label-SC_mask.nii.gz")):
        assert find_sct_files(tmp_path, "01", None, image_stem=image).mask == tmp_path / "sub-01" / mask


def test_two_masks_of_one_image_are_refused(tmp_path: Path) -> None:
    """The same mask in two places leaves the choice to nobody."""
    touch(tmp_path, "a/sub-01_T2w_seg.nii.gz", "b/sub-01_T2w_seg.nii.gz")
    with pytest.raises(DataError, match=r"a/sub-01_T2w_seg.nii.gz, b/sub-01_T2w_seg.nii.gz"):
        find_sct_files(tmp_path, "01", None, image_stem="sub-01_T2w")


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("sub-01_ses-a_T1w_PAM50.csv", "/data/T1w_seg.nii.gz"),
        ("sub-01/ses-a/anat/csa.csv", "T1w_seg.nii.gz"),
        ("sub-01/csa_perslice.csv", "/x/sub-01_ses-a_T1w_seg.nii.gz"),
        ("results/csa-SC_vert_C2_C3.csv", "/x/sub-01/ses-a/anat/sub-01_ses-a_T1w_seg.nii.gz"),
    ],
)
def test_tables_are_found_by_name_folder_or_content(tmp_path: Path, name: str, image: str) -> None:
    """A table may name the session in its name, in its folders or in its rows, beside rows of other people."""
    touch(tmp_path, name, content=f"{HEADER}{image},1:9,2:3,70\n")
    touch(tmp_path, "participants.csv", content="id\nsub-01_ses-a\n")
    touch(tmp_path, "sub-01_ses-b.csv", "sub-010_ses-a.csv", content=HEADER + "/data/T1w_seg.nii.gz,1:9,2:3,60\n")
    assert find_sct_files(tmp_path, "01", "a").table == tmp_path / name
    assert find_sct_files(tmp_path, "03", "a").table is None


def test_image_decides_between_tables(tmp_path: Path) -> None:
    """Two tables of a session are an error that names them; that of the image which is measured goes first."""
    for contrast in ("T1w", "T2w"):
        touch(tmp_path, f"csa_{contrast}.csv", content=f"{HEADER}/x/sub-01_{contrast}_seg.nii.gz,1:9,2:3,70\n")
    touch(tmp_path, "sub-01_T2w.csv", content="volume\n3\n")
    assert find_sct_files(tmp_path, "01", None, image_stem="sub-01_T2w").table == tmp_path / "csa_T2w.csv"
    with pytest.raises(DataError, match=r"several tables of sub-01: csa_T1w.csv, csa_T2w.csv"):
        find_sct_files(tmp_path, "01", None)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """Put made-up programs of the toolbox on the PATH, given as shell scripts, and no others."""
    folder.mkdir()
    for name, script in programs.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


RECORD = 'echo "$@" > arguments.txt; while [ $# -gt 1 ]; do if [ "$1" = -o ]; then echo mask > "$2"; fi; shift; done'


def scan(folder: Path) -> Path:
    """Make an image with a space in its path."""
    path = folder / "the images" / "sub-01_T2w.nii.gz"
    touch(path.parent, path.name)
    return path


@pytest.mark.parametrize(
    ("version", "expected"),
    [("7.1", "spinalcord -i"), ("6.5", "-c t2 -i"), ("5.8", "-c t2 -i"), ("git-master-253936cfc0", "-c t2 -i")],
)
def test_program_that_the_version_knows_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, expected: str
) -> None:
    """From version 7 on the cord is a task of `sct_deepseg`; before, another program needs to know the contrast."""
    programs = {"sct_deepseg": RECORD, "sct_deepseg_sc": RECORD, "sct_version": f"echo {version}"}
    install(tmp_path / "bin", monkeypatch, **programs)
    image = scan(tmp_path)
    mask = run_sct(image, "T2w", tmp_path)
    assert mask == tmp_path / "sub-01_T2w_seg.nii.gz"
    assert mask.read_text() == "mask\n"
    assert (tmp_path / "arguments.txt").read_text() == f"{expected} {image} -o {mask}\n"


def test_toolbox_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the toolbox the message says which programs were looked for."""
    install(tmp_path / "bin", monkeypatch)
    with pytest.raises(InvocationError, match="neither sct_deepseg nor sct_deepseg_sc is on the PATH"):
        run_sct(scan(tmp_path), "T2w", tmp_path)
    with pytest.raises(NoInputError, match="does not exist"):
        run_sct(tmp_path / "none.nii.gz", "T2w", tmp_path)


def test_contrast_that_old_versions_do_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old program was made for four contrasts; others need the new one."""
    install(tmp_path / "bin", monkeypatch, sct_deepseg_sc=RECORD)
    with pytest.raises(InvocationError, match=r"cannot outline the cord in a PDw image\. Install version 7"):
        run_sct(scan(tmp_path), "PDw", tmp_path)


def test_failure_repeats_the_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, the last words of the toolbox and the command are in the message; an old mask does not hide it."""
    talk = "for n in 1 2 3 4 5 6 7; do echo line $n; done; echo no model >&2; exit 3"
    install(tmp_path / "bin", monkeypatch, sct_deepseg=talk)
    touch(tmp_path, "sub-01_T2w_seg.nii.gz")
    with pytest.raises(MSVolError, match=r"status 3 .*said: line 4 \| line 5 \| line 6 \| line 7 \| no model") as error:
        run_sct(scan(tmp_path), "T2w", tmp_path)
    assert "sct_deepseg spinalcord -i" in error.value.remedy
    assert not (tmp_path / "sub-01_T2w_seg.nii.gz").exists()


def test_run_without_mask_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolbox may end well and have written nothing."""
    install(tmp_path / "bin", monkeypatch, sct_deepseg="exit 0")
    with pytest.raises(MSVolError, match=r"ended with status 0 and made no mask; it last said: nothing"):
        run_sct(scan(tmp_path), "T2w", tmp_path)


def test_toolbox_is_stopped_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the time limit it ends, and so does what it started, which otherwise would write a file."""
    install(tmp_path / "bin", monkeypatch, sct_deepseg="(sleep 1.5; echo late > late.txt) & wait")
    with pytest.raises(MSVolError, match="took longer than 0 s"):
        run_sct(scan(tmp_path), "T2w", tmp_path, time_limit_s=0.3)
    time.sleep(1.6)
    assert not (tmp_path / "late.txt").exists()
