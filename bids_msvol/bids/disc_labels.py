# SPDX-License-Identifier: Apache-2.0
"""Levels of the neck as others marked them: find the labels of an image, and see what their numbers mean."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bids_msvol.bids.images import open_checked, read_values
from bids_msvol.bids.names import session_name
from bids_msvol.errors import DataError

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np
    from numpy.typing import NDArray

    from bids_msvol.cord.levelling import LabelKind

Meaning = Literal["discs", "levels", "bodies", "points", "junction"]
"""What a name says that a file holds: points on discs, levels of a segmented cord, points in the middle of vertebrae,
points of either kind, or the pontomedullary junction."""

WORDS = frozenset(
    {"label", "labels", "labeled", "labelled", "disc", "discs", "seg", "softseg", "dseg", "dlabel", "mask", "manual"}
    | {"sc", "desc", "warp", "space", "orig", "totalspineseg", "step1", "levels", "vert", "vertebra", "vertebrae"}
    | {"vertebral", "body", "bodies", "center", "centre", "pmj"}
)
"""Words, in lower case, that may follow the name of an image in the name of its labels. Others are of other things:
rootlets, the canal, lesions."""

USED_FIRST = ("discs by hand", "discs", "levels", "bodies", "points", "junction")
"""Which of the labels of one image are used, the best in front."""

HIGHEST_VERTEBRA = 26
"""Discs and vertebrae are numbered from the neck down to this one."""

OTHER_LANDMARKS = (49, 50)
"""Pontomedullary groove and junction, among labels of discs."""

FURTHER_LANDMARKS = (60, 99)
"""Numbers from the first to the last, such as that of the conus, are passed over."""

POINT_MM = 6.0
"""A label is a point if it is at most as long as this, or a single voxel."""

SPACING_MM = (7.0, 35.0)
"""Distances between neighbouring discs or vertebrae that a neck can have: 15 to 23 mm on average."""

MARGIN_MM = 10.0
"""How far outside the image a label may lie: some are put on a disc just outside its field of view."""


@dataclass(frozen=True, eq=False)
class GivenLabels:
    """Labels that were given.

    Attributes
    ----------
    path
        The file.
    kind
        What its points mark.
    points_mm
        Points (3,) by number, in the world; 50 is the pontomedullary junction.
    read_as
        As what the file was read, and why, in plain words.
    """

    path: Path
    kind: LabelKind
    points_mm: Mapping[int, NDArray[np.float64]]
    read_as: str


def find_label_file(folder: Path, subject: str, session: str | None, image_stem: str) -> Path | None:
    """Find the labels of an image in a folder of labels.

    Looked for in ``sub-XX`` and at the top of the folder, by name: that of the image, or that of its session, followed
    by one of the spellings of the Spinal Cord Toolbox and of the datasets made with it: ``_label-discs_dlabel``,
    ``_labels-disc-manual``, ``_seg_labeled_discs``, ``_totalspineseg_discs``, ``_step1_levels``; ``_seg_labeled``;
    ``_labels_vert``; ``_labels``; ``_label-PMJ_dlabel``. Those of discs by hand come first.

    Parameters
    ----------
    folder
        What was given with ``--derivatives labels=PATH``.
    subject, session
        Labels without prefixes.
    image_stem
        Name of the image without extension, such as ``sub-01_acq-sag_T2w``.

    Raises
    ------
    DataError
        If there are several of the same kind.
    """
    files = [*(folder / f"sub-{subject}").rglob("*.nii*"), *folder.glob(f"sub-{subject}_*.nii*")]
    *entities, suffix = image_stem.split("_")
    found: dict[tuple[bool, int], list[Path]] = {}
    for path in sorted(files):
        stem, _, extension = path.name.partition(".")
        parts = stem.split("_")
        if extension not in ("nii", "nii.gz") or not set(entities) <= set(parts):
            continue
        words = _words("_".join(part for part in parts if part not in (*entities, suffix)))
        meaning = _meaning(words)
        if meaning is None or not words <= WORDS:
            continue
        by_hand = meaning == "discs" and ("manual" in words or ("dlabel" in words and "warp" not in words))
        rank = USED_FIRST.index("discs by hand" if by_hand else meaning)
        found.setdefault((suffix not in parts, rank), []).append(path)
    if not found:
        return None
    best = found[min(found)]
    if len(best) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in best[:4])
        raise DataError(
            f"holds several labels of the same kind for {image_stem} of {session_name(subject, session)}: {names}",
            remedy="Keep one of them",
            subject=folder,
        )
    return best[0]


def load_labels(path: Path, image: nib.Nifti1Image | None = None) -> GivenLabels:
    """Load labels, and see what their numbers mean.

    The name tells it, else the content: single voxels are points, taken for discs, and a filled cord is one whose
    voxels carry their level; the borders between its levels are where the discs are.

    Parameters
    ----------
    path
        A NIfTI file, compressed or not.
    image
        The image that it belongs to; the labels must lie in it.

    Raises
    ------
    NoInputError
        If the file does not exist or was not fetched.
    DataError
        If it cannot be used.
    """
    opened, shape, affine = open_checked(path)
    values = _whole_numbers(read_values(opened, path).reshape(shape), path)
    meaning = _meaning(_words(path.name.partition(".")[0]))
    points, doubled, regions = _measure(values, affine)
    if 2 * len(regions) > len(points):
        if meaning in ("discs", "junction"):
            raise DataError(
                f"is named as points, but its label {regions[0]} is longer than {POINT_MM:g} mm",
                remedy="Give one voxel for each label",
                subject=path,
            )
        kind, points, read_as = _borders(values, points, affine, path)
    else:
        if doubled or regions:
            raise DataError(
                f"holds label {(doubled or regions)[0]} as more than one point",
                remedy="Keep one voxel for each label",
                subject=path,
            )
        kind, points, read_as = _points(points, meaning, path)
    if image is not None:
        _check_inside(points, image, path)
    return GivenLabels(path, kind, points, read_as)


def _words(name: str) -> set[str]:
    return {word for word in re.split(r"[-_]", name.lower()) if word}


def _meaning(words: set[str]) -> Meaning | None:
    """Say what the words of a name mean; ``None`` if they say nothing about labels."""
    if words & {"disc", "discs"} or {"step1", "levels"} <= words:
        return "discs"
    if "pmj" in words:
        return "junction"
    if words & {"center", "centre", "body", "bodies"}:
        return "bodies"
    if words & {"seg", "softseg", "dseg"} and words & {"labeled", "labelled", "vert", "vertebrae", "levels"}:
        return "levels"
    if words & {"vert", "vertebra", "vertebrae", "vertebral"}:
        return "bodies"
    return "points" if words & {"labels", "labeled", "labelled"} else None


def _whole_numbers(data: NDArray[np.float32], path: Path) -> NDArray[np.int64]:
    """Return the labels, after checking that they are numbers of vertebrae, discs or landmarks."""
    import numpy as np

    data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
    whole = np.rint(data)
    if not np.allclose(data, whole, rtol=0.0, atol=1e-3):
        raise DataError(
            "holds fractions, so its labels were interpolated",
            remedy="Resample labels to the nearest voxel",
            subject=path,
        )
    numbers = np.unique(whole[whole != 0]).astype(np.int64)
    if not len(numbers):
        raise DataError("holds no label", remedy="Mark the discs, or leave the file out", subject=path)
    known = (numbers >= 1) & (numbers <= HIGHEST_VERTEBRA)
    known |= np.isin(numbers, OTHER_LANDMARKS)
    known |= (numbers >= FURTHER_LANDMARKS[0]) & (numbers <= FURTHER_LANDMARKS[1])
    if not known.all():
        raise DataError(
            f"holds the number {numbers[~known][0]}, which is that of no disc and no vertebra",
            remedy="Number discs as the vertebra below them, C2/C3 as 3; 50 is the pontomedullary junction",
            subject=path,
        )
    return whole.astype(np.int64)


def _measure(
    values: NDArray[np.int64], affine: NDArray[np.float64]
) -> tuple[dict[int, NDArray[np.float64]], list[int], list[int]]:
    """Return the middle of each label in the world, and which labels are several points, and which are regions."""
    import nibabel as nib
    import numpy as np
    from scipy import ndimage

    edges = nib.affines.voxel_sizes(affine)
    points: dict[int, NDArray[np.float64]] = {}
    doubled, regions = [], []
    boxes = ndimage.find_objects(values)
    for number in np.unique(values[values > 0]).tolist():
        box = boxes[number - 1]
        mask = values[box] == number
        middle = np.argwhere(mask).mean(axis=0) + [part.start for part in box]
        points[number] = nib.affines.apply_affine(affine, middle)
        parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
        if max(_length_mm(part, edges) for part in ndimage.find_objects(parts)) > POINT_MM:
            regions.append(number)
        elif count > 1:
            doubled.append(number)
    return points, doubled, regions


def _length_mm(box: tuple[slice, ...], edges_mm: NDArray[np.float64]) -> float:
    """Return the longest side of a box of voxels; a single voxel, which may be thick, has none."""
    counts = [part.stop - part.start for part in box]
    return max(count * float(edge) for count, edge in zip(counts, edges_mm, strict=True)) if max(counts) > 1 else 0.0


def _borders(
    values: NDArray[np.int64], middles: Mapping[int, NDArray[np.float64]], affine: NDArray[np.float64], path: Path
) -> tuple[LabelKind, dict[int, NDArray[np.float64]], str]:
    """Return the borders of the levels of a labelled cord as points on discs."""
    from bids_msvol.cord.levelling import disc_points_mm

    # A single border would not show that the numbers run the wrong way; the middle of a level that is cut off by the
    # end of the image is near the next.
    _check_order(middles, path, least_mm=0.0)
    points = disc_points_mm(values, affine)
    _check_order(points, path)
    if not points:
        raise DataError(
            "has no border between two levels of the neck, so it does not tell where any level begins",
            remedy="Give a cord whose voxels carry their level, or points on the discs",
            subject=path,
        )
    return "discs", points, "a cord whose voxels carry their level: discs are where one level borders on the next"


def _points(
    points: dict[int, NDArray[np.float64]], meaning: Meaning | None, path: Path
) -> tuple[LabelKind, dict[int, NDArray[np.float64]], str]:
    """Say what points mark."""
    from bids_msvol.cord.levelling import JUNCTION_LABEL
    from bids_msvol.cord.levels import LEVELS

    if meaning == "levels":
        raise DataError(
            "is named as a labelled cord, but holds single voxels",
            remedy="Give the labelled cord, or name the points for what they mark: _labels-disc or _labels-vert",
            subject=path,
        )
    if meaning == "junction" and len(points) == 1:
        return "discs", {JUNCTION_LABEL: next(iter(points.values()))}, "the pontomedullary junction, as its name says"
    kind: LabelKind = "bodies" if meaning == "bodies" else "discs"
    used = [*range(1, len(LEVELS) + 1), *((len(LEVELS) + 1, JUNCTION_LABEL) if kind == "discs" else ())]
    if not set(used) & set(points):
        numbers = ", ".join(map(str, sorted(points)))
        raise DataError(f"holds no label of the neck, only {numbers}", remedy="Leave the file out", subject=path)
    _check_order(points, path)
    what = "points in the middle of vertebrae" if kind == "bodies" else "points on discs, C2/C3 being number 3"
    told = meaning in ("discs", "bodies", "junction")
    return kind, points, f"{what}, {'as its name says' if told else 'the usual convention; its name says nothing'}"


def _check_order(points: Mapping[int, NDArray[np.float64]], path: Path, least_mm: float = SPACING_MM[0]) -> None:
    """Check that the labels of the neck lie one below the other, at distances that a neck can have."""
    import numpy as np

    from bids_msvol.cord.levelling import JUNCTION_LABEL
    from bids_msvol.cord.levels import LEVELS

    numbers = sorted(number for number in points if number <= len(LEVELS) + 1)
    if JUNCTION_LABEL in points:
        numbers = [JUNCTION_LABEL, *numbers]
    for upper, lower in itertools.pairwise(numbers):
        if points[upper][2] <= points[lower][2]:
            raise DataError(
                f"has label {lower} above label {upper}",
                remedy="Check the numbers, and that the header is that of the image",
                subject=path,
            )
        apart = float(np.linalg.norm(points[upper] - points[lower])) / (lower - upper)
        if upper != JUNCTION_LABEL and not least_mm <= apart <= SPACING_MM[1]:
            raise DataError(
                f"has {apart:.0f} mm from one label to the next between {upper} and {lower}, which no neck has",
                remedy="Check the numbers, and that the header is that of the image",
                subject=path,
            )


def _check_inside(points: Mapping[int, NDArray[np.float64]], image: nib.Nifti1Image, path: Path) -> None:
    import nibabel as nib
    import numpy as np

    last = np.asarray(image.shape) - 1
    for number, point in points.items():
        voxel = nib.affines.apply_affine(np.linalg.inv(image.affine), point)
        outside = (voxel - np.clip(voxel, 0, last)) * nib.affines.voxel_sizes(image.affine)
        if (away := float(np.linalg.norm(outside))) > MARGIN_MM:
            raise DataError(
                f"has label {number} {away:.0f} mm outside the image",
                remedy="Give it the header of the image that it was made on, or leave it out",
                subject=path,
            )
