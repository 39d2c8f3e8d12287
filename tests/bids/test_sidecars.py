# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from bids_msvol.bids.sidecars import load_sidecar
from bids_msvol.errors import DataError
from tests.bids.skeleton import make_dataset

IMAGE = "sub-01/ses-1/anat/sub-01_ses-1_acq-fine_T1w.nii.gz"


def test_deeper_sidecars_override_and_others_do_not_apply(tmp_path: Path) -> None:
    """Inheritance: root, subject and image level are merged; other suffixes, entities and people are left out."""
    make_dataset(
        tmp_path,
        {
            IMAGE: "",
            "T1w.json": {"Manufacturer": "root", "EchoTime": 1, "FlipAngle": 9},
            "T2w.json": {"EchoTime": 100},
            "acq-coarse_T1w.json": {"FlipAngle": 1},
            "acq-fine_T1w.json": {"RepetitionTime": 2},
            "sub-01/sub-01_T1w.json": {"EchoTime": 2},
            "sub-01/ses-1/anat/sub-01_ses-1_run-2_T1w.json": {"EchoTime": 7},
            IMAGE.replace(".nii.gz", ".json"): {"Manufacturer": "own"},
            "sub-02/sub-02_T1w.json": {"EchoTime": 5},
        },
    )
    expected = {"Manufacturer": "own", "EchoTime": 2, "FlipAngle": 9, "RepetitionTime": 2}
    assert load_sidecar(tmp_path / IMAGE, tmp_path) == expected


@pytest.mark.parametrize(("text", "problem"), [("{", "not readable JSON"), ("[1]", "not a JSON object")])
def test_a_damaged_sidecar_is_named(tmp_path: Path, text: str, problem: str) -> None:
    """The message names the sidecar, not the image."""
    make_dataset(tmp_path, {IMAGE: "", "T1w.json": text})
    with pytest.raises(DataError, match=problem) as caught:
        load_sidecar(tmp_path / IMAGE, tmp_path)
    assert caught.value.subject == tmp_path / "T1w.json"
