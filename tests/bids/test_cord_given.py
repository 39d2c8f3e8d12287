# SPDX-License-Identifier: Apache-2.0
"""Results of others for the cord: found by name, read, and part of what decides whether a session is measured again."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.cord_given import load_given_cord, with_given_cord
from bids_msvol.bids.records import Scan, Session
from bids_msvol.bids.session_images import image_paths
from bids_msvol.errors import DataError

HEADER = "Timestamp,SCT Version,Filename,Slice (I->S),VertLevel,MEAN(area),MEAN(diameter_AP),MEAN(diameter_RL)"


def session(*, cord: str | None = None) -> Session:
    """Return a visit with a T1w, and an image of the cord of this name."""
    t1w = Scan(Path("/raw/sub-01_T1w.nii.gz"), "sub-01/anat/sub-01_T1w.nii.gz", "T1w", {})
    own = None if cord is None else Scan(Path("/raw") / cord, f"sub-01/anat/{cord}", "T2w", {})
    return Session("01", None, t1w, "It is the only one.", cord=own)


def write_table(path: Path, area: float) -> None:
    """Write a table of Spinal Cord Toolbox with the levels 2 and 3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"now,7.1,{path.stem}_seg.nii.gz,{k},{2 + k // 5},{area},8.0,12.0" for k in range(10)]
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")


def write_image(path: Path, values: np.ndarray) -> None:
    """Write an image with voxels of 1 mm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 1.0, 1.0])), path)


def test_everything_is_found_and_read(tmp_path: Path) -> None:
    """Table, mask and labels of the image of the cord; all of them decide whether the session is measured again."""
    stem = "sub-01_acq-cspine_T2w"
    write_table(tmp_path / "sct" / "sub-01" / f"{stem}.csv", 71.5)
    mask = np.zeros((20, 20, 40), dtype=np.uint8)
    mask[6:14, 7:13] = 1
    write_image(tmp_path / "sct" / "sub-01" / "anat" / f"{stem}_seg.nii.gz", mask)
    discs = np.zeros((20, 20, 40), dtype=np.uint8)
    discs[10, 15, 30], discs[10, 15, 14] = 3, 4
    write_image(tmp_path / "labels" / "sub-01" / f"{stem}_label-discs_dlabel.nii.gz", discs)
    folders = {"sct": tmp_path / "sct", "labels": tmp_path / "labels"}
    found = with_given_cord(session(cord=f"{stem}.nii.gz"), folders, only_session=True)
    given = load_given_cord(found)
    assert given.table is not None
    assert {level.level: level.csa_mm2 for level in given.table.levels}["C2-C3"] == pytest.approx(71.5)
    assert given.mask is not None
    assert np.asarray(given.mask.dataobj).sum() == mask.sum()
    assert given.labels is not None
    assert set(given.labels.points_mm) == {3, 4}
    assert {"sct_table", "sct_mask", "cord_labels"} <= {name for name, _ in image_paths(found)}


def test_nothing_is_asked_for_and_nothing_found(tmp_path: Path) -> None:
    """Without folders, and in folders of other people, there is nothing."""
    assert with_given_cord(session(), {}, only_session=True) == session()
    write_table(tmp_path / "sub-02_T1w.csv", 60.0)
    found = with_given_cord(session(), {"sct": tmp_path, "labels": tmp_path}, only_session=True)
    assert (found.sct_table, found.sct_mask, found.cord_labels) == (None, None, None)
    given = load_given_cord(found)
    assert (given.table, given.mask, given.labels) == (None, None, None)


def test_two_tables_are_an_error_that_names_them(tmp_path: Path) -> None:
    """Nobody can tell which one is meant."""
    for name in ("a", "b"):
        write_table(tmp_path / "sub-01" / f"sub-01_{name}.csv", 60.0)
    with pytest.raises(DataError, match=r"sub-01_a\.csv.*sub-01_b\.csv"):
        with_given_cord(session(), {"sct": tmp_path}, only_session=True)
