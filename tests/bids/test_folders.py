# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from bids_msvol.bids.folders import check_disk_space, check_output_dir
from bids_msvol.errors import CannotCreateError, InvocationError, MSVolError, OutOfResourcesError
from tests.bids.skeleton import make_config, make_dataset


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


def test_a_new_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    """The check makes the output folder and leaves nothing in it."""
    make_dataset(tmp_path / "raw", {})
    check_output_dir(make_config(tmp_path))
    assert list((tmp_path / "out").iterdir()) == []


def test_derivatives_of_the_dataset_may_be_made(tmp_path: Path) -> None:
    """``BIDS_DIR/derivatives/bids_msvol`` works although ``derivatives`` does not exist yet."""
    make_dataset(tmp_path / "raw", {})
    check_output_dir(make_config(tmp_path, output_dir=tmp_path / "raw" / "derivatives" / "bids_msvol"))
    assert (tmp_path / "raw" / "derivatives" / "bids_msvol").is_dir()


def test_output_equal_to_input_is_refused_also_through_a_link(tmp_path: Path) -> None:
    """The input is recognised under another name, and a good place is suggested."""
    make_dataset(tmp_path / "raw", {})
    (tmp_path / "alias").symlink_to("raw")
    for output in ("raw", "alias"):
        with pytest.raises(InvocationError, match=r"is the input dataset.*derivatives/bids_msvol"):
            check_output_dir(make_config(tmp_path, output_dir=tmp_path / output))


@pytest.mark.parametrize(
    ("settings", "kind", "problem"),
    [
        ({"work_dir": "raw/work"}, InvocationError, "work folder inside the input"),
        ({"output_dir": "missing/out"}, CannotCreateError, "missing does not exist"),
        ({"output_dir": "raw/README.md"}, CannotCreateError, "is a file"),
    ],
)
def test_folders_that_cannot_be_used(
    tmp_path: Path, settings: dict[str, str], kind: type[MSVolError], problem: str
) -> None:
    """Each has its own sentence."""
    make_dataset(tmp_path / "raw", {})
    with pytest.raises(kind, match=problem):
        check_output_dir(make_config(tmp_path, **{name: tmp_path / path for name, path in settings.items()}))


def test_a_read_only_place_is_code_73(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses files is found before any work, whoever runs the program."""

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    make_dataset(tmp_path / "raw", {})
    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(CannotCreateError, match=r"cannot be written to \(Read-only file system\).*mount") as caught:
        check_output_dir(make_config(tmp_path))
    assert caught.value.exit_code == 73


def test_disk_space_depends_on_sessions_and_resolution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for one session is not room for fifty, and coarse voxels need less."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, 3 * 10**9))
    check_disk_space(make_config(tmp_path), 1)
    with pytest.raises(OutOfResourcesError, match=r"3.0 GB of free disk, and 50 sessions need about") as caught:
        check_disk_space(make_config(tmp_path), 50)
    assert caught.value.exit_code == 75
    check_disk_space(make_config(tmp_path, resolution_mm=4.0), 50)
