# SPDX-License-Identifier: Apache-2.0
"""The images of a session are read; a further contrast that cannot be read does not cost the session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bids_msvol.bids.inputs import collect_subjects
from bids_msvol.bids.records import Session
from bids_msvol.bids.session_images import image_paths, load_session_images
from bids_msvol.errors import DataError
from tests.bids.skeleton import head_image, make_config, make_dataset

FILES = {
    "sub-01/anat/sub-01_T1w.nii.gz": None,
    "sub-01/anat/sub-01_FLAIR.nii.gz": None,
    "sub-01/anat/sub-01_T2w.nii.gz": None,
    "sub-01/anat/sub-01_ce-gadolinium_T1w.nii.gz": None,
}
MASK = "masks/sub-01/sub-01_label-L_mask.nii.gz"


def only_session(root: Path, *, with_mask: bool = False) -> Session:
    """Find the session of a dataset with every contrast."""
    make_dataset(root / "raw", FILES)
    if with_mask:
        make_dataset(root, {MASK: head_image(dtype=np.uint8)})
    config = make_config(root, derivatives={"lesions": root / "masks"} if with_mask else {})
    (subject,) = collect_subjects(config).subjects
    return subject.sessions[0]


def test_all_contrasts_are_read(tmp_path: Path) -> None:
    """FLAIR, T2w, the T1w after contrast agent and a given mask come with the T1w."""
    session, images = load_session_images(only_session(tmp_path, with_mask=True))
    assert list(images.contrasts) == ["FLAIR", "T2w"]
    assert images.t1w_gd is not None
    assert images.lesion_mask is not None
    assert images.lesion_mask.name == "sub-01/sub-01_label-L_mask.nii.gz"
    assert [name for name, _ in image_paths(session)] == ["t1w", "flair", "t2w", "t1w_gd", "lesion_mask"]


def test_flair_that_cannot_be_read_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The session is measured without it; the log and the session's list of unused images tell why."""
    found = only_session(tmp_path)
    assert found.flair is not None
    found.flair.path.write_bytes(found.flair.path.read_bytes()[:200])
    session, images = load_session_images(found)
    assert session.flair is None
    assert list(images.contrasts) == ["T2w"]
    assert session.ignored[-1].relative_path.endswith("FLAIR.nii.gz")
    assert session.ignored[-1].reason == "it cannot be read: it is cut short or damaged"
    assert "measured without the FLAIR" in caplog.text


def test_mask_that_cannot_be_used_stops_the_session(tmp_path: Path) -> None:
    """Without the mask that was asked for other numbers would come out, so none do."""
    found = only_session(tmp_path, with_mask=True)
    (tmp_path / MASK).write_bytes(b"nothing")
    with pytest.raises(DataError):
        load_session_images(found)
