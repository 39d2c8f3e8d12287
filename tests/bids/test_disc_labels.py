# SPDX-License-Identifier: Apache-2.0
"""Labels of discs and vertebrae are found by name, understood, and refused where their numbers cannot be right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.disc_labels import find_label_file, load_labels
from bids_msvol.errors import DataError, NoInputError

SHAPE = (30, 40, 120)
AFFINE = nib.affines.from_matvec(np.diag([-1.0, 1.0, 1.0]), [15.0, -20.0, -60.0])
"""The first axis runs from right to left."""


def save(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def points(heights: Mapping[int, int], size: int = 1) -> np.ndarray:
    """Return labels of single voxels, or of small cubes, at these heights."""
    data = np.zeros(SHAPE, np.int16)
    for number, height in heights.items():
        data[14 : 14 + size, 25 : 25 + size, height : height + size] = number
    return data


def cord(tops: Mapping[int, int], bottom: int = 5) -> np.ndarray:
    """Return a filled cord whose levels begin at these heights, from above."""
    data = np.zeros(SHAPE, np.int16)
    heights = [*tops.values(), bottom]
    for number, high, low in zip(tops, heights, heights[1:], strict=False):
        data[10:20, 18:26, low:high] = number
    return data


def find(root: Path, *names: str, stem: str = "sub-01_T2w", session: str | None = None) -> str | None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = find_label_file(root, "01", session, stem)
    return None if found is None else found.relative_to(root).as_posix()


@pytest.mark.parametrize(
    "ending",
    [
        "label-discs_dlabel.nii.gz",
        "label-discs_desc-warp_dlabel.nii.gz",
        "labels-disc-manual.nii.gz",
        "labels-disc.nii",
        "seg_labeled_discs.nii.gz",
        "label-SC_seg_labeled_discs.nii.gz",
        "totalspineseg_discs.nii.gz",
        "step1_levels.nii.gz",
        "seg_labeled.nii.gz",
        "seg-manual_labeled.nii.gz",
        "labels_vert.nii.gz",
        "labels.nii.gz",
        "label-PMJ_dlabel.nii.gz",
        "pmj.nii.gz",
    ],
)
def test_labels_are_found_by_their_usual_names(tmp_path: Path, ending: str) -> None:
    name = f"sub-01/anat/sub-01_T2w_{ending}"
    assert find(tmp_path, name) == name


@pytest.mark.parametrize(
    "name",
    [
        "sub-01/anat/sub-01_T2w.nii.gz",
        "sub-01/anat/sub-01_T2w_label-SC_seg.nii.gz",
        "sub-01/anat/sub-01_T2w_label-rootlets_dseg.nii.gz",
        "sub-01/anat/sub-01_T2w_label-spine_dseg.nii.gz",
        "sub-01/anat/sub-01_T2w_labels-lesion-manual.nii.gz",
        "sub-01/anat/sub-01_T2w_labels-disc-manual.json",
        "sub-01/anat/sub-01_T1w_labels-disc-manual.nii.gz",
        "sub-01/anat/sub-01_space-other_T2w_labels-disc-manual.nii.gz",
        "sub-01/ses-2/sub-01_ses-2_T2w_labels-disc.nii.gz",
        "sub-01/sub-01_acq-sag_T2w_labels-disc.nii.gz",
        "sub-012/sub-012_T2w_labels-disc.nii.gz",
    ],
)
def test_other_files_are_passed_over(tmp_path: Path, name: str) -> None:
    """Other structures, other images, other spaces, other sessions and other people."""
    assert find(tmp_path, name) is None


def test_labels_of_the_image_come_before_those_of_its_session(tmp_path: Path) -> None:
    """The image has entities of its own, and files may lie beside the folder of the person."""
    stem, general = "sub-01_ses-2_acq-sag_T2w", "sub-01_ses-2_acq-sag_labels-disc-manual.nii.gz"
    assert find(tmp_path, general, stem=stem, session="2") == general
    own = "sub-01/ses-2/anat/sub-01_ses-2_acq-sag_T2w_seg_labeled.nii.gz"
    assert find(tmp_path, own, stem=stem, session="2") == own


def test_points_on_discs_by_hand_come_first(tmp_path: Path) -> None:
    worse = ["pmj", "labels", "labels_vert", "seg_labeled", "seg_labeled_discs"]
    for ending in (*worse, "labels-disc-manual"):
        name = f"sub-01/sub-01_T2w_{ending}.nii.gz"
        assert find(tmp_path, name) == name


def test_two_labels_of_the_same_kind_are_an_error_that_names_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"several.*sub-01_T2w_label-discs_dlabel.*sub-01_T2w_labels-disc-manual"):
        find(tmp_path, "sub-01/sub-01_T2w_labels-disc-manual.nii.gz", "sub-01/sub-01_T2w_label-discs_dlabel.nii.gz")


@pytest.mark.parametrize("size", [1, 3])
def test_points_on_discs_are_read_with_their_places(tmp_path: Path, size: int) -> None:
    path = save(tmp_path / "sub-01_T2w_labels-disc.nii.gz", points({50: 110, 3: 80, 4: 62, 9: 2}, size))
    labels = load_labels(path)
    assert labels.kind == "discs"
    assert sorted(labels.points_mm) == [3, 4, 9, 50]
    middle = (size - 1) / 2.0
    np.testing.assert_allclose(labels.points_mm[3], [1.0 - middle, 5.0 + middle, 20.0 + middle])
    assert "its name says" in labels.read_as


def test_points_in_vertebrae_are_told_by_the_name(tmp_path: Path) -> None:
    labels = load_labels(save(tmp_path / "t2_labels_vert.nii.gz", points({3: 80, 5: 45})))
    assert labels.kind == "bodies"
    assert "vertebrae" in labels.read_as


def test_points_without_a_telling_name_are_taken_for_discs_and_it_is_said(tmp_path: Path) -> None:
    labels = load_labels(save(tmp_path / "given.nii.gz", points({3: 80, 5: 45})))
    assert labels.kind == "discs"
    assert "its name says nothing" in labels.read_as


def test_the_junction_may_have_any_number_in_a_file_named_for_it(tmp_path: Path) -> None:
    labels = load_labels(save(tmp_path / "t2_pmj.nii.gz", points({1: 110})))
    assert list(labels.points_mm) == [50]


@pytest.mark.parametrize("name", ["t2_seg_labeled.nii.gz", "given.nii.gz"])
def test_a_labelled_cord_gives_the_borders_of_its_levels(tmp_path: Path, name: str) -> None:
    labels = load_labels(save(tmp_path / name, cord({2: 100, 3: 80, 4: 62, 5: 44}).astype(np.float32)))
    assert labels.kind == "discs"
    assert sorted(labels.points_mm) == [3, 4, 5]
    np.testing.assert_allclose(labels.points_mm[4], [0.5, 1.5, 1.5])
    assert "one level borders on the next" in labels.read_as


def test_a_level_cut_off_by_the_end_of_the_image_is_no_error(tmp_path: Path) -> None:
    labels = load_labels(save(tmp_path / "t2_seg_labeled.nii.gz", cord({2: 100, 3: 80, 4: 68}, bottom=67)))
    assert sorted(labels.points_mm) == [3, 4]


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("t2_labels-disc", points({}), "holds no label"),
        ("t2_labels-disc", 0.5 * points({3: 80, 5: 45}), "interpolated"),
        ("t2_labels-disc", points({3: 80, 5: 45}) + 3 * points({1: 20}), "label 3 as more than one point"),
        ("t2_labels-disc", points({3: 45, 5: 80}), "label 5 above label 3"),
        ("t2_labels-disc", points({50: 40, 3: 80}), "label 3 above label 50"),
        ("t2_labels-disc", points({3: 80, 4: 77}), "3 mm from one label to the next"),
        ("t2_labels-disc", points({3: 110, 4: 20}), "90 mm from one label to the next"),
        ("t2_labels-disc", points({3: 80, 33: 60}), "the number 33"),
        ("t2_labels-disc", points({3: 80, -4: 60}), "the number -4"),
        ("t2_labels-disc", points({3: 80, 101: 60}), "the number 101"),
        ("t2_labels-disc", points({12: 80, 13: 50}), "no label of the neck, only 12, 13"),
        ("t2_labels_vert", points({8: 80, 9: 60}), "no label of the neck, only 8, 9"),
        ("t2_labels-disc", cord({2: 100, 3: 80, 4: 62}), "named as points"),
        ("t2_seg_labeled", points({3: 80, 4: 62}), "named as a labelled cord"),
        ("t2_seg_labeled", cord({1: 100}), "no border between two levels"),
        ("t2_seg_labeled", cord({5: 100, 4: 80, 3: 62}), "label 4 above label 3|label 5 above label 4"),
        ("t2_seg_labeled", cord({4: 100, 3: 60}), "label 4 above label 3"),
    ],
)
def test_labels_that_cannot_be_right_are_refused(tmp_path: Path, name: str, data: np.ndarray, problem: str) -> None:
    """Each with the file, what is wrong, and what to do."""
    path = save(tmp_path / f"{name}.nii.gz", data)
    with pytest.raises(DataError, match=problem) as caught:
        load_labels(path)
    assert caught.value.subject == path
    assert caught.value.remedy


def test_a_header_that_is_not_that_of_the_image_is_noticed(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones(SHAPE, np.float32), AFFINE)
    path = save(tmp_path / "t2_labels-disc.nii.gz", points({3: 80, 5: 45}))
    assert load_labels(path, image).kind == "discs"
    moved = AFFINE.copy()
    moved[1, 3] += 60.0
    with pytest.raises(DataError, match="label 3 46 mm outside the image"):
        load_labels(save(path, points({3: 80, 5: 45}), moved), image)


def test_a_file_that_is_not_there_or_no_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoInputError):
        load_labels(tmp_path / "t2_labels-disc.nii.gz")
    (tmp_path / "t2_labels-disc.nii").write_text("no image")
    with pytest.raises(DataError, match="not a NIfTI image"):
        load_labels(tmp_path / "t2_labels-disc.nii")
