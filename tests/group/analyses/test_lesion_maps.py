# SPDX-License-Identifier: Apache-2.0
"""Lesion maps over a group, from masks on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.lesion_space import LesionFiles, find_lesion_files
from bids_msvol.bids.names import SessionFiles
from bids_msvol.group.analyses import lesion_maps
from bids_msvol.group.plan import Plan, Statistics
from bids_msvol.group.result import CannotAnalyseError
from bids_msvol.imaging.registration import TemplateTransform, save_transform
from tests.group.cohorts import make_study

SPACE = "MNI152NLin2009aSym"
LESION_MM = (-24.0, -30.0, 24.0)
"""Where the lesion of group B lies in the template."""
SHIFT_MM = 10.0
"""How far each person's head lies to the right of the template."""


def write_lesion(root: Path, subject: str, *, has_lesion: bool) -> LesionFiles:
    """Write the mask of one person, a cube of 8 mm, and the transform to the template."""
    files = SessionFiles(root, subject, "01")
    files.lesion_mask.parent.mkdir(parents=True)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-60.0, -60.0, 0.0)
    mask = np.zeros((60, 60, 40), dtype=np.uint8)
    place = np.add(LESION_MM, (SHIFT_MM, 0.0, 0.0))
    low = np.round((place - affine[:3, 3]) / 2.0).astype(int) - 2
    if has_lesion:
        mask[low[0] : low[0] + 4, low[1] : low[1] + 4, low[2] : low[2] + 4] = 1
    nib.save(nib.Nifti1Image(mask, affine), files.lesion_mask)
    to_subject = np.eye(4)
    to_subject[0, 3] = SHIFT_MM
    save_transform(TemplateTransform(to_subject), files.transform(SPACE))
    found = find_lesion_files(root, subject, "01")
    assert found is not None
    return found


def test_a_lesion_of_one_group_is_mapped_and_found(tmp_path: Path) -> None:
    """Everybody in B has a lesion at one place of the template, nobody in A: frequency 1, and the test finds it."""
    study = make_study({"A": 8, "B": 8}, years=(0.0,))
    files = {
        row: write_lesion(tmp_path, name.removeprefix("sub-"), has_lesion=row >= 8)
        for row, name in study.sessions["participant_id"].items()
    }
    plan = Plan(statistics=Statistics(permutations=999))
    found = lesion_maps.analyse(replace(study, lesion_files=files), plan)
    a, b = found.tables[0].rows
    assert (a["n_sub"], a["n_without"], a["peak_frequency"]) == (8, 8, 0.0)
    assert b["peak_frequency"] == 1.0
    assert b["mean_volume_mm3"] == pytest.approx(512.0, rel=0.3)
    test = found.tables[1].rows[0]
    place = [test[f"{axis}_mm"] for axis in "xyz"]
    assert place == pytest.approx(LESION_MM, abs=5.0)
    assert test["p_fwe"] < 0.01
    assert test["difference"] == 1.0
    image = found.images[1].make()
    voxel = np.round(np.linalg.inv(image.affine) @ (*LESION_MM, 1.0)).astype(int)[:3]
    assert image.get_fdata()[tuple(voxel)] == 1.0
    assert found.figures[0].draw() is not None


def test_no_masks() -> None:
    """Without masks there is no map."""
    with pytest.raises(CannotAnalyseError):
        lesion_maps.analyse(make_study({"A": 3}), Plan())
