# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from bids_msvol.bids.folders import check_folders, check_output_space, make_output_dir, work_space_shortage
from bids_msvol.errors import CannotCreateError, InvocationError, OutOfResourcesError
from tests.bids.skeleton import make_config, make_dataset


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


def test_a_new_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    """The output folder is made, and nothing is left in it."""
    make_dataset(tmp_path / "raw", {})
    make_output_dir(make_config(tmp_path))
    assert list((tmp_path / "out").iterdir()) == []


def test_derivatives_of_the_dataset_may_be_made(tmp_path: Path) -> None:
    """``BIDS_DIR/derivatives/bids_msvol`` works although ``derivatives`` does not exist yet; so does work inside it."""
    make_dataset(tmp_path / "raw", {})
    output = tmp_path / "raw" / "derivatives" / "bids_msvol"
    config = make_config(tmp_path, output_dir=output, work_dir=output / "work")
    check_folders(config)
    assert not output.parent.exists(), "the check alone writes nothing"
    make_output_dir(config)
    assert output.is_dir()


def test_output_equal_to_input_is_refused_also_through_a_link(tmp_path: Path) -> None:
    """The input is recognised under another name, and a good place is suggested."""
    make_dataset(tmp_path / "raw", {})
    (tmp_path / "alias").symlink_to("raw")
    for output in ("raw", "alias"):
        with pytest.raises(InvocationError, match=r"is the input dataset.*derivatives/bids_msvol") as caught:
            check_folders(make_config(tmp_path, output_dir=tmp_path / output))
        assert caught.value.exit_code == 19


@pytest.mark.parametrize("work", ["raw", "raw/work"])
def test_work_inside_the_input_is_refused(tmp_path: Path, work: str) -> None:
    """Intermediate files do not go into somebody's raw data."""
    make_dataset(tmp_path / "raw", {})
    with pytest.raises(InvocationError, match="work folder inside the input"):
        check_folders(make_config(tmp_path, work_dir=tmp_path / work))


@pytest.mark.parametrize(
    ("output", "problem"), [("missing/out", "missing does not exist"), ("raw/README.md", "is a file")]
)
def test_output_folders_that_cannot_be_made(tmp_path: Path, output: str, problem: str) -> None:
    """Each has its own sentence."""
    make_dataset(tmp_path / "raw", {})
    with pytest.raises(CannotCreateError, match=problem):
        make_output_dir(make_config(tmp_path, output_dir=tmp_path / output))


def test_a_read_only_place_is_code_73(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses files is found before any work, whoever runs the program."""

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    make_dataset(tmp_path / "raw", {})
    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(CannotCreateError, match=r"cannot be written to \(Read-only file system\).*mount") as caught:
        make_output_dir(make_config(tmp_path))
    assert caught.value.exit_code == 73


def test_disk_space_depends_on_sessions_and_resolution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for one session is not room for fifty, and coarse voxels need less."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, 3 * 10**9))
    check_output_space(make_config(tmp_path), 1)
    with pytest.raises(OutOfResourcesError, match=r"3.00 GB of free disk, and 50 sessions need about 4.00") as caught:
        check_output_space(make_config(tmp_path), 50)
    assert caught.value.exit_code == 75
    check_output_space(make_config(tmp_path, resolution_mm=4.0), 50)


def test_a_small_work_folder_is_told_and_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 64 MB that Apptainer gives for /tmp lead to a sentence, a large disk to none."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(64 * 10**6, 0, 64 * 10**6))
    told = work_space_shortage(make_config(tmp_path), 1)
    assert told == f"{tmp_path / 'work'} has 0.06 GB of free disk, and 1 session needs about 1.00 GB"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, 10**12))
    assert work_space_shortage(make_config(tmp_path), 1) == ""
