# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.images import SMALLEST_NECK_MM, load_image
from bids_msvol.errors import DataError, MSVolError, NoInputError
from tests.bids.skeleton import head_image


def save(image: nib.Nifti1Image, folder: Path, name: str = "sub-01_T1w.nii.gz") -> Path:
    """Write an image and return its path."""
    nib.save(image, folder / name)
    return folder / name


def with_data(data: np.ndarray) -> nib.Nifti1Image:
    """Return the head image with other values."""
    return nib.Nifti1Image(data, head_image().affine)


def with_forms(
    sform: np.ndarray | None, qform: np.ndarray | None, pixdim: tuple[float, ...] | None = None
) -> nib.Nifti1Image:
    """Return the head image with other forms; ``None`` sets the code to 0."""
    image = head_image()
    image.set_qform(qform, code=0 if qform is None else 1)
    image.set_sform(sform, code=0 if sform is None else 1)
    if pixdim is not None:
        image.header["pixdim"][1:4] = pixdim
    return image


def scaled(data: np.ndarray) -> np.ndarray:
    """Return a copy as float32."""
    return data.astype(np.float32)


HEAD = np.asarray(head_image().dataobj)
DIAGONAL = np.diag([4.0, 4.0, 4.0, 1.0])
SHEARED = DIAGONAL + np.array([[0, 0.5, 0, 0]] + [[0.0] * 4] * 3)


def nan_inside() -> nib.Nifti1Image:
    data = scaled(HEAD)
    data[22, 27, 22] = np.nan
    return with_data(data)


def nan_slice() -> nib.Nifti1Image:
    data = scaled(HEAD)
    data[:, :, 22] = np.inf
    return with_data(data)


BAD: list[tuple[Callable[[], nib.Nifti1Image], str]] = [
    (lambda: head_image((45, 55, 45, 2)), "more than one volume: its shape is 45 x 55 x 45 x 2"),
    (lambda: head_image((45, 55, 1)), "is not a volume"),
    (nan_inside, "1 voxels inside the head that are not numbers"),
    (nan_slice, "inside the head that are not numbers"),
    (lambda: with_data(np.full(HEAD.shape, np.nan, np.float32)), "not numbers"),
    (lambda: with_data(np.full(HEAD.shape, 7, np.int16)), "is constant: every voxel is 7"),
    (lambda: head_image(edges_mm=(6.0, 6.0, 4.0)), "voxels of 4 x 6 x 6 mm"),
    (lambda: head_image(edges_mm=(0.1, 0.2, 0.2)), "voxels of 0.1 x 0.2 x 0.2 mm"),
    (lambda: head_image(edges_mm=(1.0, 1.0, 1.0)), "covers 45 x 55 x 45 mm"),
    (lambda: head_image((160, 160, 160), (4.0, 4.0, 4.0)), "covers 640 x 640 x 640 mm"),
    (lambda: with_forms(None, None), "has no orientation"),
    (lambda: with_forms(np.diag([4.0, 4.0, 0.0, 1.0]), DIAGONAL), "broken sform: it cannot be inverted"),
    (lambda: with_forms(SHEARED, None), "broken sform: its axes are 7.1 degrees off"),
    (lambda: with_forms(np.diag([-4.0, 4.0, 4.0, 1.0]), DIAGONAL), "disagree on the direction of an axis"),
    (lambda: with_forms(DIAGONAL, None, pixdim=(4.0, 4.0, 5.0)), "4 x 4 x 4 mm there and 4 x 4 x 5 mm in pixdim"),
    (lambda: with_data(HEAD.astype(np.complex64)), "holds complex numbers"),
    (lambda: with_data(np.zeros(HEAD.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])), "is a colour image"),
]


@pytest.mark.parametrize(("make", "problem"), BAD, ids=[problem[:30] for _, problem in BAD])
def test_a_bad_image_gets_one_sentence(tmp_path: Path, make: Callable[[], nib.Nifti1Image], problem: str) -> None:
    """Each fault is named, with the file and a remedy, and ends in code 65."""
    path = save(make(), tmp_path, "sub-01_T1w.nii")
    with pytest.raises(DataError) as caught:
        load_image(path)
    assert problem in caught.value.problem
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.exit_code == 65


def test_an_sform_that_is_not_a_number(tmp_path: Path) -> None:
    """NaN in the stored sform is named as a broken sform."""
    path = save(head_image(), tmp_path, "sub-01_T1w.nii")
    content = bytearray(path.read_bytes())
    start = nib.Nifti1Header.template_dtype.fields["srow_y"][1]
    content[start : start + 4] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    with pytest.raises(DataError, match="broken sform: it cannot be inverted"):
        load_image(path)


def test_a_good_image_comes_as_it_is(tmp_path: Path) -> None:
    """Values and affine are those of the file; sform and qform of the result agree."""
    image = load_image(save(head_image(), tmp_path))
    np.testing.assert_array_equal(image.get_fdata(), HEAD)
    np.testing.assert_allclose(image.affine, DIAGONAL)
    np.testing.assert_allclose(image.get_qform(), DIAGONAL)
    assert image.get_data_dtype() == np.float32


def test_stored_slope_is_applied(tmp_path: Path) -> None:
    """Integers with a slope come as the values that they stand for."""
    image = head_image()
    image.header.set_slope_inter(0.5, 3.0)
    np.testing.assert_allclose(load_image(save(image, tmp_path)).get_fdata(), HEAD * 0.5 + 3.0)


def test_a_trailing_axis_of_one_volume_is_dropped(tmp_path: Path) -> None:
    """A file with shape x, y, z, 1 is a volume."""
    assert load_image(save(head_image((45, 55, 45, 1)), tmp_path)).shape == (45, 55, 45)


def test_nan_outside_the_head_becomes_zero(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A background of NaN, as masking programs leave it, is set to 0, and the log says so."""
    data = scaled(HEAD)
    data[HEAD == 10] = np.nan
    with caplog.at_level(logging.WARNING):
        image = load_image(save(with_data(data), tmp_path))
    np.testing.assert_array_equal(image.get_fdata(), np.where(HEAD == 10, 0, HEAD))
    assert f"{(HEAD == 10).sum()} voxels outside the head" in caplog.text


def test_the_qform_stands_in_for_a_missing_sform(tmp_path: Path) -> None:
    """With sform code 0 the qform gives the orientation."""
    qform = np.array([[0.0, 4, 0, 1], [-4, 0, 0, 2], [0, 0, 4, 3], [0, 0, 0, 1]])
    np.testing.assert_allclose(load_image(save(with_forms(None, qform), tmp_path)).affine, qform, atol=1e-5)


def test_a_small_difference_of_forms_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Forms ten degrees apart are usable; the sform is taken and the log says so."""
    cosine, sine = 4 * np.cos(np.radians(10)), 4 * np.sin(np.radians(10))
    sform = np.array([[cosine, -sine, 0, 0], [sine, cosine, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1.0]])
    with caplog.at_level(logging.WARNING):
        image = load_image(save(with_forms(sform, DIAGONAL), tmp_path))
    np.testing.assert_allclose(image.affine, sform, atol=1e-5)
    assert "differ by 10 degrees" in caplog.text


def test_units_other_than_mm_are_converted(tmp_path: Path) -> None:
    """An image in metres has its voxels in mm afterwards."""
    image = with_forms(np.diag([0.004, 0.004, 0.004, 1.0]), None, pixdim=(0.004,) * 3)
    image.header.set_xyzt_units("meter", "sec")
    np.testing.assert_allclose(load_image(save(image, tmp_path)).affine, DIAGONAL, atol=1e-6)


def damaged(kind: str, folder: Path) -> Path:
    """Write a file with one fault of its bytes and return its path."""
    path = save(head_image(), folder)
    whole = path.read_bytes()
    if kind == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "checksum":
        path.write_bytes(whole[:-8] + b"\0\0\0\0" + whole[-4:])
    elif kind == "not gzip":
        path.write_bytes(gzip.decompress(whole))
    elif kind == "text":
        path.write_bytes(gzip.compress(b"hello " * 100))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut nii":
        path = save(head_image(), folder, "sub-01_T1w.nii")
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "mgh":
        path = folder / "sub-01_T1w.mgz"
        nib.save(nib.MGHImage(HEAD.astype(np.float32), DIAGONAL), path)
    else:
        path.unlink()
    return path


def test_unreadable_files(tmp_path: Path) -> None:
    """Each fault of the bytes gets its own sentence; the checksum of a compressed file is verified."""
    expected: dict[str, tuple[type[MSVolError], str]] = {
        "cut": (DataError, "cut short or damaged"),
        "checksum": (DataError, "cut short or damaged"),
        "cut nii": (DataError, "cut short or damaged"),
        "not gzip": (DataError, "named .gz but is not compressed"),
        "text": (DataError, "is not a NIfTI image"),
        "mgh": (DataError, "is not a NIfTI image"),
        "empty": (DataError, "is empty"),
        "missing": (NoInputError, "does not exist"),
    }
    for kind, (error, problem) in expected.items():
        folder = tmp_path / kind
        folder.mkdir()
        with pytest.raises(error, match=problem):
            load_image(damaged(kind, folder))


@pytest.mark.parametrize(
    ("target", "problem", "remedy"),
    [
        ("../.git/annex/objects/a/b/MD5E-s1.nii.gz", "git-annex link whose content was not fetched", "datalad get"),
        ("/nowhere/a.nii.gz", "is a link to /nowhere/a.nii.gz", "mount the folder"),
    ],
)
def test_links_that_lead_nowhere(tmp_path: Path, target: str, problem: str, remedy: str) -> None:
    """A git-annex link gets the command that fetches it; another link is told apart."""
    path = tmp_path / "sub-01_T1w.nii.gz"
    path.symlink_to(target)
    with pytest.raises(NoInputError, match=problem) as caught:
        load_image(path)
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 66


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("/annex/objects/MD5E-s1.nii.gz\n", "datalad get"), ("version https://git-lfs.github.com/spec/v1\n", "git lfs")],
)
def test_stand_ins_for_unfetched_files(tmp_path: Path, text: str, remedy: str) -> None:
    """A short text in place of the image is recognised."""
    path = tmp_path / "sub-01_T1w.nii.gz"
    path.write_text(text)
    with pytest.raises(NoInputError) as caught:
        load_image(path)
    assert remedy in caught.value.remedy


def test_an_image_of_the_neck_may_be_narrow(tmp_path: Path) -> None:
    """A slab of 56 mm is no head, but it is a neck."""
    data = np.random.default_rng(0).uniform(1, 100, (14, 60, 60)).astype(np.float32)
    image = nib.Nifti1Image(data, np.diag([4.0, 4.0, 4.0, 1.0]))
    image.header.set_xyzt_units("mm")
    path = tmp_path / "neck.nii.gz"
    nib.save(image, path)
    with pytest.raises(DataError, match="not the size of a head"):
        load_image(path)
    assert load_image(path, SMALLEST_NECK_MM).shape == (14, 60, 60)
