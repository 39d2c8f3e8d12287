# SPDX-License-Identifier: Apache-2.0
"""Load an image, or say in one sentence why it cannot be used.

Orientation: the sform is used where its code is set, else the qform; an image with neither is refused, since left and
right cannot be told apart, and so is one whose two forms disagree on the direction of an axis. Voxels that are not
finite are set to 0 where they are outside the head, and refused inside.
"""

from __future__ import annotations

import gzip
import logging
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bids_msvol.bids.atomic import clean_image
from bids_msvol.bids.files import check_fetched
from bids_msvol.errors import DataError

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

SMALLEST_VOXEL_MM = 0.2
LARGEST_IN_PLANE_MM = 5.0
"""Applies to the two shortest edges of a voxel."""
LARGEST_SLICE_MM = 12.0
"""Applies to the longest edge, of thick clinical slices."""
SMALLEST_EXTENT_MM = 80.0
"""Of an image of the head."""
SMALLEST_NECK_MM = 10.0
"""Of an image of the neck, which may be a narrow slab or a few slices."""
LARGEST_EXTENT_MM = 600.0
LARGEST_VOXEL_COUNT = 10**9
LARGEST_SHEAR = 0.02
"""Cosine between two axes of the array in the world, 0 if they are at right angles (0.02: 1.1 degrees off)."""
LARGEST_EDGE_ERROR = 0.01
"""Relative difference between voxel edges of the affine and of ``pixdim``; every volume goes with their product."""
SMALLEST_AXIS_COSINE = 0.7071
"""Between the same axis in sform and qform: 45 degrees, where it is no longer certain which side is which."""
AGREEING_AXIS_COSINE = 0.9962
"""Below it (5 degrees) a difference between sform and qform is logged."""
PROBABILITY_TOLERANCE = 1e-3
"""Rounding that a probability may have beyond 0 and 1."""
BACKGROUND_FRACTION = 0.15
"""Of the 99th percentile of intensity: less is background when voxels that are not finite are judged."""


def load_image(path: Path, smallest_extent_mm: float = SMALLEST_EXTENT_MM) -> nib.Nifti1Image:
    """Load a 3D image after checking all that would make its measurement wrong.

    Parameters
    ----------
    path
        A NIfTI file, compressed or not.
    smallest_extent_mm
        Least field of view along each axis.

    Returns
    -------
    nibabel.Nifti1Image
        Values in float32, in memory; affine in mm; sform and qform the same.

    Raises
    ------
    NoInputError
        If the file does not exist or was not fetched.
    DataError
        If it cannot be used.
    """
    import numpy as np

    image, shape, affine = open_checked(path)
    _check_size(shape, affine, path, smallest_extent_mm)
    data = read_values(image, path).reshape(shape)
    data = _without_non_finite(data, path)
    if data.min() == data.max():
        raise DataError(
            f"is constant: every voxel is {data.flat[0]:g}", remedy="Convert the image again from DICOM", subject=path
        )
    return clean_image(np.ascontiguousarray(data), affine)


def load_mask_image(path: Path) -> nib.Nifti1Image:
    """Load a mask, a label image or a probability map as probabilities; it may be empty.

    Whole numbers above 0 count as 1; fractions between 0 and 1 are kept; voxels that are not numbers count as 0.

    Parameters
    ----------
    path
        A NIfTI file, compressed or not.

    Returns
    -------
    nibabel.Nifti1Image
        Values from 0 to 1 in float32, in memory; affine in mm.

    Raises
    ------
    NoInputError
        If the file does not exist or was not fetched.
    DataError
        If it cannot be used.
    """
    import numpy as np

    image, shape, affine = open_checked(path)
    data = np.nan_to_num(read_values(image, path).reshape(shape), nan=0.0, posinf=0.0, neginf=0.0)
    if not np.array_equal(data, np.rint(data)):
        if data.min() < -PROBABILITY_TOLERANCE or data.max() > 1.0 + PROBABILITY_TOLERANCE:
            raise DataError(
                f"holds fractions between {data.min():.3g} and {data.max():.3g}, so it is neither a mask nor a "
                "probability map",
                remedy="Give a mask of 0 and 1, or probabilities from 0 to 1",
                subject=path,
            )
        return clean_image(np.clip(data, 0.0, 1.0), affine)
    return clean_image((data > 0).astype(np.float32), affine)


def open_checked(path: Path) -> tuple[nib.Nifti1Image, tuple[int, int, int], NDArray[np.float64]]:
    """Return an image whose voxels are not read yet, its shape, and its affine in mm, all of them checked."""
    check_fetched(path)
    image = _open(path)
    shape = _checked_shape(image, path)
    _check_type(image, path)
    return image, shape, _checked_affine(image, path)


def _open(path: Path) -> nib.Nifti1Image:
    import nibabel as nib

    compressed = path.name.endswith(".gz")
    try:
        image = nib.load(path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _corrupt(path) from error
    except Exception as error:  # nibabel raises many kinds for what is no image
        if compressed and not _starts_as_gzip(path):
            raise DataError(
                "is named .gz but is not compressed", remedy="Rename it to .nii, or compress it", subject=path
            ) from error
        raise DataError("is not a NIfTI image", remedy="Convert the image again from DICOM", subject=path) from error
    # The class of NIfTI-2 is derived from that of NIfTI-1.
    if not isinstance(image, nib.Nifti1Pair):
        raise DataError("is not a NIfTI image", remedy="Convert it to NIfTI", subject=path)
    return image  # type: ignore[return-value]


def _starts_as_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _corrupt(path: Path) -> DataError:
    return DataError(
        "is cut short or damaged", remedy="Copy the file again, or convert the image again from DICOM", subject=path
    )


def _checked_shape(image: nib.Nifti1Image, path: Path) -> tuple[int, int, int]:
    """Return three lengths; trailing axes of length 1 are dropped."""
    shape = tuple(int(length) for length in image.shape)
    if len(shape) < 3 or 1 in shape[:3]:
        raise DataError(
            f"is not a volume: its shape is {_by(shape)}", remedy="Give a 3D image with several slices", subject=path
        )
    if any(length > 1 for length in shape[3:]):
        raise DataError(
            f"holds more than one volume: its shape is {_by(shape)}",
            remedy="Keep one volume (an echo, an average) in the file",
            subject=path,
        )
    return shape[0], shape[1], shape[2]


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)


def _check_type(image: nib.Nifti1Image, path: Path) -> None:
    dtype = image.get_data_dtype()
    if dtype.fields is not None:
        raise DataError("is a colour image (RGB)", remedy="Give the magnitude image in grey values", subject=path)
    if dtype.kind == "c":
        raise DataError("holds complex numbers", remedy="Give the magnitude image", subject=path)


def _checked_affine(image: nib.Nifti1Image, path: Path) -> NDArray[np.float64]:
    """Return the affine in mm, after checking it."""
    import numpy as np

    header: Any = image.header
    sform = header.get_sform() if header["sform_code"] > 0 else None
    try:
        qform = header.get_qform() if header["qform_code"] > 0 else None
    except ValueError:
        qform = np.full((4, 4), np.nan)
    affine = sform if sform is not None else qform
    if affine is None:
        raise DataError(
            "has no orientation (sform and qform codes are 0), so left and right cannot be told apart",
            remedy="Convert the image again from DICOM, or set the codes if its orientation is known",
            subject=path,
        )
    name = "sform" if sform is not None else "qform"
    _check_form(affine, name, path)
    if sform is not None and qform is not None:
        _check_agreement(sform, qform, path)
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    pixdim = np.asarray(header["pixdim"][1:4], dtype=float)
    if not np.allclose(edges, pixdim, rtol=LARGEST_EDGE_ERROR, atol=0.0):
        raise DataError(
            f"has a broken {name}: its voxels measure {_mm(edges)} there and {_mm(pixdim)} in pixdim",
            remedy="Correct the header, or convert the image again from DICOM",
            subject=path,
        )
    # Metres and micrometres are rare but legal.
    in_mm = {"meter": 1000.0, "micron": 0.001}.get(header.get_xyzt_units()[0], 1.0)
    return np.asarray(np.diag([in_mm, in_mm, in_mm, 1.0]) @ affine, dtype=np.float64)


def _check_form(affine: NDArray[np.float64], name: str, path: Path) -> None:
    import numpy as np

    remedy = "Convert the image again from DICOM, or resample it to a grid with right angles"
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or (edges == 0).any():
        raise DataError(f"has a broken {name}: it cannot be inverted", remedy=remedy, subject=path)
    axes = affine[:3, :3] / edges
    if abs(np.linalg.det(axes)) < 1e-3:
        raise DataError(f"has a broken {name}: it cannot be inverted", remedy=remedy, subject=path)
    shear = np.abs(axes.T @ axes - np.eye(3)).max()
    if shear > LARGEST_SHEAR:
        raise DataError(
            f"has a broken {name}: its axes are {np.degrees(np.arcsin(shear)):.1f} degrees off a right angle",
            remedy=remedy,
            subject=path,
        )


def _check_agreement(sform: NDArray[np.float64], qform: NDArray[np.float64], path: Path) -> None:
    import numpy as np

    axes = [form[:3, :3] / np.linalg.norm(form[:3, :3], axis=0) for form in (sform, qform)]
    cosine = float((axes[0] * axes[1]).sum(axis=0).min()) if np.isfinite(qform).all() else -1.0
    if cosine < SMALLEST_AXIS_COSINE:
        raise DataError(
            "has an sform and a qform that disagree on the direction of an axis, so left and right are not certain",
            remedy="Convert the image again from DICOM, or set both forms to the right one",
            subject=path,
        )
    if cosine < AGREEING_AXIS_COSINE:
        angle = np.degrees(np.arccos(cosine))
        logger.warning("%s: sform and qform differ by %.0f degrees; the sform is used.", path, angle)


def _check_size(
    shape: tuple[int, int, int], affine: NDArray[np.float64], path: Path, smallest_extent_mm: float
) -> None:
    import numpy as np

    edges = np.sort(np.linalg.norm(affine[:3, :3], axis=0))
    remedy = "Check the voxel size in the header"
    if edges[0] < SMALLEST_VOXEL_MM or edges[1] > LARGEST_IN_PLANE_MM or edges[2] > LARGEST_SLICE_MM:
        raise DataError(
            f"has voxels of {_mm(edges)}, which no head scan has", remedy=f"{remedy} (unit: mm)", subject=path
        )
    extent = np.linalg.norm(affine[:3, :3], axis=0) * shape
    if extent.min() < smallest_extent_mm or extent.max() > LARGEST_EXTENT_MM:
        part = "head" if smallest_extent_mm == SMALLEST_EXTENT_MM else "neck"
        raise DataError(
            f"covers {_mm(extent)}, which is not the size of a {part}",
            remedy=f"{remedy}, or leave it out",
            subject=path,
        )
    if np.prod(shape, dtype=np.int64) > LARGEST_VOXEL_COUNT:
        raise DataError(f"has {_by(shape)} voxels", remedy="Resample it to at most 1000 million voxels", subject=path)


def _mm(lengths: NDArray[np.float64]) -> str:
    return " x ".join(f"{length:.3g}" for length in lengths) + " mm"


def read_values(image: nib.Nifti1Image, path: Path) -> NDArray[np.float32]:
    """Return all values as float32; the checksum of a compressed file is verified, which nibabel alone does not do."""
    import numpy as np

    try:
        if path.name.endswith(".gz"):
            with gzip.open(path) as file:
                image = type(image).from_bytes(file.read())
        return np.asanyarray(image.dataobj).astype(np.float32)
    except (EOFError, zlib.error, OSError, ValueError) as error:
        raise _corrupt(path) from error


def _without_non_finite(data: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Set voxels that are not finite to 0 where they are outside the head."""
    import numpy as np
    from scipy import ndimage

    finite = np.isfinite(data)
    if finite.all():
        return data
    count = int(data.size - finite.sum())
    inside = count
    if finite.any():
        bright = finite & (np.nan_to_num(data) > BACKGROUND_FRACTION * np.percentile(data[finite], 99))
        head = ndimage.binary_fill_holes(ndimage.binary_closing(bright, iterations=2))
        inside = int((head & ~finite).sum())
    if inside:
        raise DataError(
            f"has {inside} voxels inside the head that are not numbers (NaN or infinite)",
            remedy="Find out which step made them, or convert the image again from DICOM",
            subject=path,
        )
    logger.warning("%s: %d voxels outside the head are not numbers and were set to 0.", path, count)
    return np.where(finite, data, np.float32(0.0))
