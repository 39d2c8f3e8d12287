# SPDX-License-Identifier: Apache-2.0
"""Writing so that a reader sees a whole file or none, also when a job is killed or two jobs share the folder."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bids_msvol.errors import CannotCreateError, OutOfResourcesError

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np
    from numpy.typing import NDArray

GZIP_LEVEL = 1
"""Higher levels take several times longer on images and save a few per cent."""

PROBABILITY_STEPS = 255
"""Steps in which a probability is stored, in one byte."""

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; when the block ends without an error, it takes the place of ``path``.

    The temporary name keeps the extension, since some writers choose the format by it.

    Raises
    ------
    OutOfResourcesError
        If the disk is full.
    CannotCreateError
        If the file cannot be written for another reason.
    """
    stem, dot, extension = path.name.partition(".")
    temporary = path.with_name(f"{stem}.tmp-{uuid.uuid4().hex}{dot}{extension}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        _remove(temporary)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, keys in the order given."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_new_text(path: Path, text: str) -> bool:
    """Write a text file unless it exists; of several jobs that do so at once, exactly one succeeds.

    Returns
    -------
    bool
        Whether this call wrote the file.
    """
    temporary = path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return False
        temporary.write_text(text, encoding="utf-8", newline="\n")
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            temporary.replace(path)
        return True
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        _remove(temporary)


def write_image(path: Path, image: nib.Nifti1Image) -> None:
    """Write a compressed NIfTI; the same image always gives the same bytes."""
    with (
        replacing(path) as temporary,
        temporary.open("wb") as raw,
        # No file name and no time in the gzip header, which would differ from run to run.
        gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=raw, mtime=0) as compressed,
    ):
        compressed.write(image.to_bytes())


def clean_image(
    data: NDArray[Any], affine: NDArray[Any], *, slope: float = 1.0, code: str = "scanner"
) -> nib.Nifti1Image:
    """Make an image with a header that says no more than is true.

    Parameters
    ----------
    data
        Values as they are to be stored, 3D.
    affine
        Voxel to world coordinates, in mm, 4 x 4.
    slope
        What the stored values are multiplied by on reading.
    code
        Meaning of the world coordinates, as in ``nibabel``'s xform codes.
    """
    import nibabel as nib

    image = nib.Nifti1Image(data, affine)
    image.header.set_data_dtype(data.dtype)
    image.header.set_slope_inter(slope, 0.0)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    return image


def quantised(data: NDArray[Any], dtype: type[np.integer[Any]]) -> tuple[NDArray[Any], float]:
    """Scale non-negative values to the whole range of an integer type, which compresses far better than floats.

    Returns
    -------
    stored : ndarray
        Integers, same shape.
    slope : float
        Multiplier that gives the values back, to half of itself.
    """
    import numpy as np

    largest = float(data.max(initial=0.0))
    slope = largest / np.iinfo(dtype).max if largest > 0 else 1.0
    return np.rint(np.clip(data, 0.0, None) / slope).astype(dtype), slope


def probability_image(probability: NDArray[Any], affine: NDArray[Any]) -> nib.Nifti1Image:
    """Make an image of probabilities in steps of 1/255, which a picture does not show; no number is taken from it."""
    import numpy as np

    steps = np.rint(np.clip(probability, 0.0, 1.0) * PROBABILITY_STEPS).astype(np.uint8)
    return clean_image(steps, affine, slope=1.0 / PROBABILITY_STEPS)


def _remove(temporary: Path) -> None:
    # Where even this fails, the error that led here tells more.
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _explain(error: OSError, path: Path) -> OutOfResourcesError | CannotCreateError:
    if error.errno in _DISK_FULL:
        return OutOfResourcesError("the disk is full", remedy="Make room, or choose another folder", subject=path)
    return CannotCreateError(
        f"cannot be written ({error.strerror or error})", remedy="Check the permissions of the folder", subject=path
    )
