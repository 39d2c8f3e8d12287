# SPDX-License-Identifier: Apache-2.0
"""The cord of one session: which images it is measured on, in which order, and what tells its levels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.cord_given import GivenCord
from bids_msvol.bids.cord_outputs import cord_rows, section_rows
from bids_msvol.bids.disc_labels import GivenLabels
from bids_msvol.bids.records import Scan
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.config import Config
from bids_msvol.cord.levels import LevelMeasure
from bids_msvol.engines.sct import SctResult
from bids_msvol.errors import DataError
from bids_msvol.measurement import SessionMeasurement
from bids_msvol.session_cord import add_cord
from tests.bids.measured import measurement
from tests.cord.phantoms import TRUE_AREA_MM2, neck

JUNCTION_MM = np.asarray([0.0, 0.0, 60.0])
CONFIG = Config(bids_dir=Path(), output_dir=Path())


@pytest.fixture(scope="module")
def head() -> nib.Nifti1Image:
    """T1w in which the cord runs from the junction down to 125 mm below."""
    return neck("T1w", extent_mm=(44.0, 60.0, 130.0))


@pytest.fixture(scope="module")
def cord_scan() -> nib.Nifti1Image:
    """T2w of the same neck, in the same world."""
    return neck("T2w", extent_mm=(44.0, 60.0, 90.0), seed=3)


def session(raw: Path, *, with_cord: bool, **given: Any) -> SessionMeasurement:
    """Return the measurement of a session that has an image of the cord, or none."""
    made = measurement(raw)
    cord = Scan(raw / "sub-01_acq-cspine_T2w.nii.gz", "sub-01/anat/sub-01_acq-cspine_T2w.nii.gz", "T2w", {})
    own = {"cord": cord, "cord_choice": "It was the only image of the cord."} if with_cord else {}
    return replace(made, session=replace(made.session, **own, **given))


def test_on_the_head_alone(tmp_path: Path, head: nib.Nifti1Image) -> None:
    """Without an image of the cord the T1w is measured, levels by distance; the tables have its numbers."""
    made = add_cord(session(tmp_path, with_cord=False), SessionImages(head), JUNCTION_MM, "", CONFIG)
    (cord,) = made.cords
    assert (cord.source, cord.levels_by) == ("head-T1w", "junction")
    rows = {row["level"]: row for row in cord_rows(made)}
    assert rows["C2-C3"]["csa_mm2"] == pytest.approx(TRUE_AREA_MM2, rel=0.02)
    # The head of the test has 1500 mL, to which areas are normalised.
    assert rows["C2-C3"]["csa_etiv_mm2"] == pytest.approx(rows["C2-C3"]["csa_mm2"])
    assert rows["C7"]["csa_mm2"] is None
    assert rows["C7"]["reason"]
    levels = {row["level"] for row in section_rows(made.cords)}
    assert {"C1", "C2", "C3", "C4"} <= levels
    assert any("pontomedullary junction" in sentence for sentence in made.sentences)


def test_an_image_of_the_cord_goes_first_and_takes_the_junction_of_the_head(
    tmp_path: Path, head: nib.Nifti1Image, cord_scan: nib.Nifti1Image
) -> None:
    """Both images are measured, and the levels of the second lie where the head has them."""
    images = SessionImages(head, cord=cord_scan)
    made = add_cord(session(tmp_path, with_cord=True), images, JUNCTION_MM, "", CONFIG)
    assert [cord.source for cord in made.cords] == ["cord-T2w", "head-T1w"]
    first, second = ({one.level: one for one in cord.levels} for cord in made.cords)
    assert first["C3"].csa_mm2 == pytest.approx(TRUE_AREA_MM2, rel=0.02)
    assert second["C3"].csa_mm2 == pytest.approx(TRUE_AREA_MM2, rel=0.02)
    assert "It was the only image of the cord." in made.sentences


def test_where_the_person_has_moved_levels_stay_unknown(
    tmp_path: Path, head: nib.Nifti1Image, cord_scan: nib.Nifti1Image
) -> None:
    """A cord 12 mm beside that of the head does not get its levels, and the reason is in the quality table."""
    moved = cord_scan.affine.copy()
    moved[0, 3] += 12.0
    images = SessionImages(head, cord=nib.Nifti1Image(np.asarray(cord_scan.dataobj), moved))
    made = add_cord(session(tmp_path, with_cord=True), images, JUNCTION_MM, "", CONFIG)
    assert [level.level for level in made.cords[0].levels] == ["visible"]
    (metric,) = [one for one in made.quality if one.name == "cord_levels_known"]
    assert "12 mm" in metric.reason


def test_labels_that_were_given_tell_the_levels(tmp_path: Path, head: nib.Nifti1Image) -> None:
    """Discs given 10 mm further up than the average neck has them move the levels there."""
    points = {3: np.asarray([0.0, 12.0, 60.0 - 54.0]), 4: np.asarray([0.0, 12.0, 60.0 - 72.5])}
    labels = GivenLabels(Path("labels.nii.gz"), "discs", points, "as discs")
    images = SessionImages(head, given_cord=GivenCord(labels=labels))
    made = add_cord(session(tmp_path, with_cord=False), images, JUNCTION_MM, "", CONFIG)
    assert made.cords[0].levels_by == "labels"
    tops = [row.center_mm[2] for row in made.cords[0].sections if row.level == "C3" and row.center_mm is not None]
    assert max(tops) == pytest.approx(60.0 - 54.0, abs=1.0)


def test_labels_far_from_the_cord_are_refused(tmp_path: Path, head: nib.Nifti1Image) -> None:
    """The message names the file and what to do."""
    labels = GivenLabels(Path("labels.nii.gz"), "discs", {3: np.asarray([200.0, 0.0, 0.0])}, "as discs")
    images = SessionImages(head, given_cord=GivenCord(labels=labels))
    with pytest.raises(DataError, match=r"labels\.nii\.gz.*away from the cord.*leave them out"):
        add_cord(session(tmp_path, with_cord=False), images, JUNCTION_MM, "", CONFIG)


def test_results_of_the_toolbox_go_before_ours(tmp_path: Path, head: nib.Nifti1Image) -> None:
    """A table and a mask that were given are reported first, under their names; ours follow."""
    level = LevelMeasure("C2-C3", 70.5, 7.9, 12.0, 0.7, 20, 1.0)
    table = SctResult("sub-01.csv", ("7.1",), "slices", False, (level,), ())
    x, y = np.meshgrid(np.arange(44.0) - 21.5, np.arange(60.0) - 29.5, indexing="ij")
    drawn = np.repeat((np.hypot(x / 6.0, y / 4.0) < 1.0)[..., None], 130, axis=2).astype(np.float32)
    given = GivenCord(table, nib.Nifti1Image(drawn, head.affine))
    scans = {
        "sct_table": Scan(tmp_path / "sub-01.csv", "sub-01.csv", "", {}),
        "sct_mask": Scan(tmp_path / "sub-01_T1w_seg.nii.gz", "sub-01_T1w_seg.nii.gz", "seg", {}),
    }
    images = SessionImages(head, given_cord=given)
    made = add_cord(session(tmp_path, with_cord=False, **scans), images, JUNCTION_MM, "", CONFIG)
    assert [cord.source for cord in made.cords] == ["sct", "sct-mask", "head-T1w"]
    assert made.cords[0].levels == (level,)
    mask_levels = {one.level: one for one in made.cords[1].levels}
    assert mask_levels["C2-C3"].csa_mm2 == pytest.approx(drawn[:, :, 0].sum())


def test_without_junction_the_reason_is_in_every_row(tmp_path: Path, head: nib.Nifti1Image) -> None:
    """The head is not measured, nothing fails, and the table says why."""
    made = add_cord(session(tmp_path, with_cord=False), SessionImages(head), None, "there is no groove", CONFIG)
    assert made.cords == ()
    rows = cord_rows(made)
    assert {row["level"] for row in rows} >= {"C1", "C7", "C2-C3"}
    assert all("there is no groove" in str(row["reason"]) for row in rows)
    assert made.verdict == session(tmp_path, with_cord=False).verdict


def test_the_toolbox_that_is_not_there_is_an_error(
    tmp_path: Path, head: nib.Nifti1Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for and not on PATH: the run says so instead of using its own outline."""
    monkeypatch.setenv("PATH", str(tmp_path))
    config = replace(CONFIG, cord_engine="sct", work_dir=tmp_path / "work")
    with pytest.raises(Exception, match="PATH"):
        add_cord(session(tmp_path, with_cord=False), SessionImages(head), JUNCTION_MM, "", config)
