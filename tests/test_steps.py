# SPDX-License-Identifier: Apache-2.0
"""Resuming: steps are computed once for the same content, and finished outputs are recognised."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.steps import StepCache, file_digest, is_current, step_address, write_record


class Counter:
    """A step that counts how often it runs."""

    def __init__(self, result: object = "result") -> None:
        self.runs = 0
        self.result = result

    def __call__(self) -> object:
        self.runs += 1
        return self.result


def test_second_run_reads_the_first_ones_result(tmp_path: Path) -> None:
    """An identical step is not computed again, even by another cache object."""
    step = Counter({"volume": [1.5, None]})
    first = StepCache(tmp_path, "1").run("brain", step, key={"image": "abc"})
    second = StepCache(tmp_path, "1").run("brain", step, key={"image": "abc"})
    assert (step.runs, first.reused, second.reused) == (1, False, True)
    assert second.value == step.result
    assert second.address == first.address


@pytest.mark.parametrize(
    ("name", "version", "key"), [("mask", "1", {"image": "abc"}), ("brain", "2", {"image": "abc"}), ("brain", "1", {})]
)
def test_other_name_version_or_key_computes_again(tmp_path: Path, name: str, version: str, key: dict[str, str]) -> None:
    """Each part of the address counts."""
    step = Counter()
    StepCache(tmp_path, "1").run("brain", step, key={"image": "abc"})
    assert not StepCache(tmp_path, version).run(name, step, key=key).reused
    assert step.runs == 2


def test_address_does_not_depend_on_key_order() -> None:
    """The same content has one address."""
    assert step_address("a", "1", {"x": 1, "y": 2}) == step_address("a", "1", {"y": 2, "x": 1})


def test_key_that_json_cannot_hold_is_refused() -> None:
    """An object without a stable text, or NaN, cannot become part of an address."""
    with pytest.raises(TypeError):
        step_address("a", "1", {"x": object()})
    with pytest.raises(ValueError, match="JSON"):
        step_address("a", "1", {"x": float("nan")})


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 0xFF
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_a_byte, cut_off, empty])
def test_damaged_result_is_computed_again(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged file is noticed, reported and replaced by a good one."""
    step = Counter(list(range(100)))
    cache = StepCache(tmp_path, "1")
    cache.run("brain", step, key={})
    damage(next(tmp_path.glob("*.pkl")))
    assert cache.run("brain", step, key={}).value == step.result
    assert "damaged" in caplog.text
    assert cache.run("brain", step, key={}).reused
    assert step.runs == 2


def test_failed_step_leaves_nothing(tmp_path: Path) -> None:
    """An exception passes through, and no file remains."""

    def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        StepCache(tmp_path, "1").run("brain", fail, key={})
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_costs_only_the_resume(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A result that cannot be stored is still returned."""
    (tmp_path / "file").write_text("")
    result = StepCache(tmp_path / "file" / "folder", "1").run("brain", Counter(), key={})
    assert result.value == "result"
    assert "could not be stored" in caplog.text


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Make an output tree with two files and their record; return the record."""
    output = tmp_path / "out"
    (output / "anat").mkdir(parents=True)
    (output / "anat" / "a.nii.gz").write_bytes(b"image")
    (output / "b.html").write_text("report")
    record = output / "log" / "record.json"
    write_record(record, "address", [output / "anat" / "a.nii.gz", output / "b.html"])
    return record


def test_record_of_untouched_outputs_is_current(finished: Path, tmp_path: Path) -> None:
    """Finished outputs are recognised, also after the tree was moved."""
    assert is_current(finished, "address")
    assert is_current(finished, "address", [tmp_path / "out" / "b.html"])
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    assert is_current(tmp_path / "elsewhere" / "log" / "record.json", "address")


def test_record_is_not_current_after_any_change(finished: Path, tmp_path: Path) -> None:
    """Other work, an unrecorded, changed or missing file, a broken or missing record: the work is done again."""
    output = tmp_path / "out"
    assert not is_current(finished, "other")
    assert not is_current(finished, "address", [output / "c.tsv"])
    (output / "b.html").write_text("rEport")
    assert not is_current(finished, "address")
    (output / "b.html").write_text("report")
    assert is_current(finished, "address")
    (output / "anat" / "a.nii.gz").unlink()
    assert not is_current(finished, "address")
    finished.write_text("[]")
    assert not is_current(finished, "address")
    finished.unlink()
    assert not is_current(finished, "address")


def test_file_digest(tmp_path: Path) -> None:
    """The digest is SHA-256 of the content."""
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_images_come_back_as_they_were(tmp_path: Path) -> None:
    """Array, its type and the affine of an image survive, alone and within other results."""
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = nib.Nifti1Image(data, np.diag([2.0, 3.0, 4.0, 1.0]))
    stored = {"images": (image, nib.Nifti1Image(data.astype(np.float32), np.eye(4)))}
    for reused in (False, True):
        result = StepCache(tmp_path, "1").run("images", lambda: stored, key={})
        assert result.reused is reused
        first, second = result.value["images"]
        assert np.array_equal(np.asarray(first.dataobj), data)
        assert np.asarray(first.dataobj).dtype == np.int16
        assert np.array_equal(first.affine, image.affine)
        assert np.asarray(second.dataobj).dtype == np.float32


def test_storing_images_makes_no_copies(tmp_path: Path) -> None:
    """While images are stored, hardly more memory is held than before."""
    images = [nib.Nifti1Image(np.full((64, 64, 64), float(number), np.float32), np.eye(4)) for number in range(20)]
    tracemalloc.start()
    StepCache(tmp_path, "1").run("images", lambda: images, key={})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 64**3 * 4
