# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from bids_msvol.bids.atomic import quantised, replacing, write_new_text, write_text
from bids_msvol.errors import CannotCreateError, OutOfResourcesError


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    """When writing breaks off, the old content stands and no temporary file is left."""
    path = tmp_path / "a.nii.gz"
    path.write_text("old")

    def break_off() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            assert temporary.name.endswith(".nii.gz")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind", "problem"),
    [
        (errno.ENOSPC, OutOfResourcesError, "the disk is full"),
        (errno.EDQUOT, OutOfResourcesError, "the disk is full"),
        (errno.EACCES, CannotCreateError, "cannot be written"),
    ],
)
def test_errors_of_the_system_become_ours(tmp_path: Path, number: int, kind: type[Exception], problem: str) -> None:
    """A full disk and a refused permission are told apart, with the name of the file that was to be."""

    def fail() -> None:
        with replacing(tmp_path / "a.txt"):
            raise OSError(number, "told by the system")

    with pytest.raises(kind, match=f"a.txt: {problem}"):
        fail()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the way of a folder is an error for the user, which tidying up, failing there too, does not hide."""
    (tmp_path / "a").write_text("")
    with pytest.raises(CannotCreateError, match=r"b\.txt: cannot be written"):
        write_text(tmp_path / "a" / "b.txt", "x")
    with pytest.raises(CannotCreateError, match=r"b\.txt: cannot be written"):
        write_new_text(tmp_path / "a" / "b.txt", "x")


def test_the_first_writer_wins(tmp_path: Path) -> None:
    """A file is written once; the second call leaves it."""
    assert write_new_text(tmp_path / "a", "first")
    assert not write_new_text(tmp_path / "a", "second")
    assert (tmp_path / "a").read_text() == "first"


def test_quantised_values_come_back() -> None:
    """The largest value is exact, negative ones become 0, and an empty image stays 0."""
    stored, slope = quantised(np.array([-3.0, 0.0, 123.4, 900.0]), np.int16)
    np.testing.assert_allclose(stored * slope, [0, 0, 123.4, 900], atol=slope / 2)
    assert stored.max() == 32767
    zeros, slope = quantised(np.zeros(3), np.int16)
    assert zeros.tolist() == [0, 0, 0]
    assert slope == 1.0
