# SPDX-License-Identifier: Apache-2.0
"""Lesions are written as BIDS derivatives: images, a row for each lesion, one for all, and what became of them."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids import validator
from bids_msvol.bids.lesion_tables import ACTIVITY
from bids_msvol.bids.load import SessionOutputs, load_participant
from bids_msvol.bids.names import SessionFiles, lesion_activity_path
from bids_msvol.bids.outputs import (
    OutputDataset,
    remove_changes,
    write_changes,
    write_session,
    write_sessions_table,
)
from bids_msvol.bids.tables import SESSIONS
from bids_msvol.bids.tabular import read_table
from bids_msvol.config import Config
from bids_msvol.measurement import PairMeasurement, SessionMeasurement
from tests.bids.measured import activity, measurement, pair, with_lesions
from tests.bids.skeleton import make_config, make_dataset

BECAME = activity(
    ("new", "high", (), (4,)),
    ("new", "candidate", (), (3,)),
    ("merged", "high", (1, 2), (1,)),
    ("shrinking", "high", (5,), (5,)),
    ("resolved", "candidate", (6,), ()),
)


def write(tmp_path: Path, *made: SessionMeasurement, since: PairMeasurement | None = None) -> Config:
    """Write a dataset of these sessions; ``since`` is the change of the last since the one before."""
    make_dataset(tmp_path / "raw", {})
    config = make_config(tmp_path)
    OutputDataset.create(config)
    for one in made:
        write_session(one, config, since if one is made[-1] else None)
    if since is not None:
        write_changes([since], config)
    write_sessions_table(config.output_dir, "01")
    return config


def two_visits(tmp_path: Path) -> Config:
    """Write two visits with lesions and what became of them."""
    first, second = (measurement(tmp_path / "raw", session=label) for label in "ab")
    since = pair(first.session, second.session, activity=BECAME)
    return write(tmp_path, with_lesions(first, 1, 2, 5), with_lesions(second, 1, 3, 4, 5), since=since)


def only_session(config: Config) -> SessionOutputs:
    """Load the one session."""
    (session,) = load_participant(config.output_dir, "01").sessions
    return session


@pytest.mark.skipif(validator._find_command() is None, reason="bids-validator-deno is not installed")
def test_lesions_are_valid_bids(tmp_path: Path) -> None:
    """The validator finds no error in a dataset with lesions, enhancing lesions, contrasts and activity."""
    config = two_visits(tmp_path)
    result = validator.run_validator(config.output_dir)
    assert result is not None
    assert result.errors == ()


def test_images_and_table_name_the_same_lesions(tmp_path: Path) -> None:
    """Voxel values of the lesion image are the rows of its table; the mask is where they are."""
    config = write(tmp_path, with_lesions(measurement(tmp_path / "raw"), 2, 5))
    session = only_session(config)
    numbers = np.asarray(nib.load(session.files.lesions).dataobj)
    assert session.lesions is not None
    assert sorted(session.lesions["index"]) == sorted(np.unique(numbers[numbers > 0])) == [2, 5]
    assert session.lesions["volume_mm3"].tolist() == [128.0, 320.0]
    assert session.lesions["mean_contrast"].tolist() == [1.4, 1.4]
    assert np.array_equal(np.asarray(nib.load(session.files.lesion_mask).dataobj) > 0, numbers > 0)
    probability = np.asarray(nib.load(session.files.lesion_probability).dataobj)
    assert probability[numbers > 0] == pytest.approx(0.75, abs=0.01)
    flair = session.load_contrast("FLAIR")
    assert flair is not None
    assert np.isfinite(np.asarray(flair.dataobj)).all()
    assert session.load_contrast("T2w") is None


def test_row_of_all_lesions(tmp_path: Path) -> None:
    """Counts and volumes by region add up, and the table of sessions repeats them."""
    config = write(tmp_path, with_lesions(measurement(tmp_path / "raw"), 1, 2, 4))
    session = only_session(config)
    assert session.lesion_value("count") == 3
    assert session.lesion_value("volume_mm3") == 64.0 * 7
    regions = ("periventricular", "juxtacortical", "infratentorial", "deep_white_matter")
    assert [session.lesion_value(f"{region}_count") for region in regions] == [1, 1, 1, 0]
    assert [session.lesion_value(f"{region}_mm3") for region in regions] == [256.0, 64.0, 128.0, 0.0]
    row = session.lesion_summary.iloc[0]
    assert row["regions_2017"] == "periventricular, cortical or juxtacortical, infratentorial"
    assert row["dissemination_in_space"] == "yes"
    assert (row["source"], row["method"]) == ("FLAIR", "bids_msvol")
    assert row["reason"] == "there is no earlier session to compare with"
    headline = read_table(config.output_dir / "sub-01/sub-01_sessions.tsv", SESSIONS).iloc[0]
    assert (headline["lesion_count"], headline["lesion_volume_mm3"]) == (3, 448.0)
    assert (headline["gd_lesions"], headline["gd_lesion_candidates"]) == (0, 1)
    assert headline[["new_lesions", "enlarging_lesions"]].isna().all()


def test_what_was_not_measured_is_missing_and_never_zero(tmp_path: Path) -> None:
    """Without an image that shows lesions every number is n/a, and the reason is told."""
    config = write(tmp_path, measurement(tmp_path / "raw", no_lesions="there is no FLAIR and no T2w image"))
    session = only_session(config)
    assert session.lesions is None
    assert session.enhancement is None
    text = session.files.lesion_summary.read_text().splitlines()[1]
    assert set(text.split("\t")[:-1]) == {"n/a"}
    assert text.endswith("there is no FLAIR and no T2w image")


def test_no_lesion_found_is_zero(tmp_path: Path) -> None:
    """A FLAIR without lesions gives 0, not n/a, and an empty table."""
    session = only_session(write(tmp_path, with_lesions(measurement(tmp_path / "raw"))))
    assert session.lesion_value("count") == 0
    assert session.lesions is not None
    assert len(session.lesions) == 0
    assert session.lesion_summary.iloc[0]["dissemination_in_space"] == "no"


def test_every_output_names_the_mask_that_was_given(tmp_path: Path) -> None:
    """The table of lesions and the sidecars of the images say whose mask made the number."""
    made = with_lesions(measurement(tmp_path / "raw"), 1, given=True)
    session = only_session(write(tmp_path, made))
    row = session.lesion_summary.iloc[0]
    assert (row["source"], row["method"]) == ("sub-01/sub-01_label-L_mask.nii.gz", "given")
    for path in (session.files.lesion_mask, session.files.lesion_probability):
        sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert "sub-01/sub-01_label-L_mask.nii.gz" in sidecar["Method"]


def test_fate_of_each_lesion_stands_in_its_row(tmp_path: Path) -> None:
    """The later session's table tells what became of each lesion, its summary counts them by confidence."""
    _, later = load_participant(two_visits(tmp_path).output_dir, "01").sessions
    assert later.lesions is not None
    fate = dict(zip(later.lesions["index"], zip(later.lesions["status"], later.lesions["confidence"], strict=True),
                    strict=True))  # fmt: skip
    assert fate == {1: ("merged", "high"), 3: ("new", "candidate"), 4: ("new", "high"), 5: ("shrinking", "high")}
    counts = {
        "new_lesions": 1, "new_lesion_candidates": 1, "enlarging_lesions": 1, "enlarging_lesion_candidates": 0,
        "shrinking_lesions": 1, "resolved_lesions": 0, "atrophied_lesion_mm3": 12.5,
    }  # fmt: skip
    assert {name: later.lesion_value(name) for name in counts} == counts


def test_table_of_activity(tmp_path: Path) -> None:
    """One row for each lesion of a pair, with the ids of both sessions; it goes when the person is measured anew."""
    config = two_visits(tmp_path)
    path = lesion_activity_path(config.output_dir, "01")
    table = read_table(path, ACTIVITY)
    assert table["status"].tolist() == ["new", "new", "merged", "shrinking", "resolved"]
    assert table["index_from"].tolist() == ["", "", "1,2", "5", "6"]
    assert table["index_to"].tolist() == ["4", "3", "1", "5", ""]
    assert table["volume_to_mm3"].tolist() == [256.0, 192.0, 64.0, 320.0, 0.0]
    remove_changes(config, "01")
    assert not path.exists()


def test_files_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    """Measured again without its FLAIR, a session has no lesion images left over."""
    made = measurement(tmp_path / "raw")
    config = write(tmp_path, with_lesions(made, 1, 2))
    files = SessionFiles(config.output_dir, "01", None)
    assert files.lesions.exists()
    write_session(made, config)
    left = [path for path in files.lesion_files() if path.exists()]
    assert sorted(path.name for path in left) == ["sub-01_seg-lesions_morph.json", "sub-01_seg-lesions_morph.tsv"]
