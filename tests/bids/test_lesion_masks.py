# SPDX-License-Identifier: Apache-2.0
"""Masks that others drew are found by name, laid on the right image, and refused where that is not certain."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.lesion_masks import find_lesion_mask, load_lesion_mask
from bids_msvol.bids.records import Scan
from bids_msvol.errors import DataError

SHAPE = (50, 60, 40)
T1W_AFFINE = np.diag([2.0, 2.0, 2.5, 1.0])
FLAIR_AFFINE = nib.affines.from_matvec(np.diag([2.0, 2.0, 4.0]), [5.0, -3.0, 10.0])


def save(path: Path, data: np.ndarray | None = None, affine: np.ndarray = T1W_AFFINE) -> Path:
    """Save a mask with one lesion, or other data."""
    if data is None:
        data = np.zeros(SHAPE, np.uint8)
        data[20:24, 30:33, 15:18] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def scan(path: Path, **entities: str) -> Scan:
    """Return a mask as it is found."""
    return Scan(path, path.name, "mask", entities)


def images() -> dict[str, nib.Nifti1Image]:
    """Return a T1w and a FLAIR of as many voxels each, on different grids."""
    return {
        "T1w": nib.Nifti1Image(np.ones(SHAPE, np.float32), T1W_AFFINE),
        "FLAIR": nib.Nifti1Image(np.ones(SHAPE, np.float32), FLAIR_AFFINE),
    }


@pytest.mark.parametrize(
    "name",
    [
        "sub-01/anat/sub-01_label-L_mask.nii.gz",
        "sub-01/sub-01_label-lesion_mask.nii",
        "sub-01/anat/sub-01_T1w_label-lesion_roi.nii.gz",
        "sub-01/sub-01_roi.nii.gz",
        "sub-01/sub-01_space-T1w_label-L_probseg.nii.gz",
        "sub-01/anat/sub-01_space-FLAIR_seg-lesions_dseg.nii.gz",
        "sub-01_desc-lesion_mask.nii.gz",
    ],
)
def test_masks_are_found_by_their_usual_names(tmp_path: Path, name: str) -> None:
    """Each of the names that labs and programs use is recognised, in the person's folder or beside it."""
    save(tmp_path / name)
    found = find_lesion_mask(tmp_path, "01", None, only_session=True)
    assert found is not None
    assert found.relative_path == name


@pytest.mark.parametrize(
    "name",
    [
        "sub-01/sub-01_label-brain_mask.nii.gz",
        "sub-01/sub-01_space-MNI152NLin2009cAsym_label-L_mask.nii.gz",
        "sub-01/sub-01_label-lesion_T1w.nii.gz",
        "sub-02/sub-02_label-L_mask.nii.gz",
        "sub-01/sub-01_ses-02_label-L_mask.nii.gz",
        "sub-01/sub-01_label-L_mask.json",
    ],
)
def test_other_files_are_no_masks_of_the_session(tmp_path: Path, name: str) -> None:
    """Brain masks, template space, other people and other sessions are left alone."""
    path = tmp_path / name
    save(path.with_suffix(".nii")).rename(path)
    assert find_lesion_mask(tmp_path, "01", "01", only_session=False) is None


def test_mask_without_session_belongs_to_the_only_one(tmp_path: Path) -> None:
    """Of a person with several sessions it is not known which one a mask without ses- shows."""
    save(tmp_path / "sub-01/sub-01_label-L_mask.nii.gz")
    assert find_lesion_mask(tmp_path, "01", "a", only_session=True) is not None
    assert find_lesion_mask(tmp_path, "01", "a", only_session=False) is None


def test_binary_mask_goes_before_probabilities(tmp_path: Path) -> None:
    """Of a mask and a probability map of one session the mask is used."""
    save(tmp_path / "sub-01/sub-01_label-L_probseg.nii.gz")
    save(tmp_path / "sub-01/sub-01_label-L_mask.nii.gz")
    found = find_lesion_mask(tmp_path, "01", None, only_session=True)
    assert found is not None
    assert found.suffix == "mask"


def test_two_masks_of_one_session_are_refused(tmp_path: Path) -> None:
    """Two raters leave the choice to nobody: the message names both files."""
    for rater in ("a", "b"):
        save(tmp_path / f"sub-01/sub-01_label-L_desc-{rater}_mask.nii.gz")
    with pytest.raises(DataError, match=r"several lesion masks of sub-01: .*desc-a_mask.*desc-b_mask"):
        find_lesion_mask(tmp_path, "01", None, only_session=True)


def test_mask_lies_on_the_image_whose_grid_it_has(tmp_path: Path) -> None:
    """One on the grid of the FLAIR was drawn on the FLAIR; headers rounded by a program do not matter."""
    rounded = FLAIR_AFFINE.copy()
    rounded[:3, 3] += 0.01
    on_flair = load_lesion_mask(scan(save(tmp_path / "a.nii.gz", affine=rounded)), images())
    on_t1w = load_lesion_mask(scan(save(tmp_path / "b.nii.gz")), images())
    assert (on_flair.drawn_on, on_t1w.drawn_on) == ("FLAIR", "T1w")


def test_space_in_the_name_decides_where_both_grids_fit(tmp_path: Path) -> None:
    """If FLAIR and T1w have one grid, the name says on which of them the mask lies."""
    both = dict.fromkeys(("T1w", "FLAIR"), images()["T1w"])
    path = save(tmp_path / "a.nii.gz")
    assert load_lesion_mask(scan(path, space="T1w"), both).drawn_on == "T1w"
    assert load_lesion_mask(scan(path), both).drawn_on == "FLAIR"


def test_another_grid_is_allowed_in_the_world_of_the_t1w(tmp_path: Path) -> None:
    """A mask resampled by its maker is placed by its header."""
    data = np.zeros((90, 100, 80), np.uint8)
    data[40, 50, 40] = 1
    given = load_lesion_mask(scan(save(tmp_path / "a.nii.gz", data, np.diag([1.0, 1.0, 1.0, 1.0]))), images())
    assert given.drawn_on == "T1w"
    assert given.image.shape == (90, 100, 80)


def test_mirrored_header_is_refused(tmp_path: Path) -> None:
    """As many voxels as the image but axes that run the other way: which voxel is meant cannot be known."""
    mirrored = T1W_AFFINE @ nib.affines.from_matvec(np.diag([-1.0, 1.0, 1.0]), [SHAPE[0] - 1, 0, 0])
    with pytest.raises(DataError, match=r"header places them elsewhere \(by up to 98 mm\)") as caught:
        load_lesion_mask(scan(save(tmp_path / "a.nii.gz", affine=mirrored)), images())
    assert "a.nii.gz" in str(caught.value)


def test_probabilities_keep_their_fractions_and_nan_is_nothing(tmp_path: Path) -> None:
    """A probability map with NaN outside the brain is read as it is meant."""
    data = np.full(SHAPE, np.nan, np.float32)
    data[20:24, 30, 15] = (0.25, 0.5, 0.75, 1.0)
    given = load_lesion_mask(scan(save(tmp_path / "a.nii.gz", data)), images())
    assert np.asarray(given.image.dataobj).sum() == pytest.approx(2.5)


def test_numbered_lesions_count_as_one_mask(tmp_path: Path) -> None:
    """Whole numbers are lesion numbers, whatever they are; 0 is none."""
    data = np.zeros(SHAPE, np.int16)
    data[20, 30, 15], data[25, 30, 15] = 1, 7
    given = load_lesion_mask(scan(save(tmp_path / "a.nii.gz", data)), images())
    assert np.unique(np.asarray(given.image.dataobj)).tolist() == [0.0, 1.0]
    assert np.asarray(given.image.dataobj).sum() == 2.0


def test_empty_mask_means_no_lesions(tmp_path: Path) -> None:
    """A rater may have found none."""
    given = load_lesion_mask(scan(save(tmp_path / "a.nii.gz", np.zeros(SHAPE, np.uint8))), images())
    assert not np.asarray(given.image.dataobj).any()


def test_z_scores_are_no_mask(tmp_path: Path) -> None:
    """Fractions beyond 0 to 1 are refused, with their range."""
    data = np.linspace(-3.0, 4.5, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    with pytest.raises(DataError, match=r"fractions between -3 and 4.5"):
        load_lesion_mask(scan(save(tmp_path / "a.nii.gz", data)), images())
