# SPDX-License-Identifier: Apache-2.0
"""Enlarged pictures of a lesion at two sessions, side by side, alike in place and brightness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.report.lesion_images import LESION_COLOR, LesionImages, check_same_grid, load_lesion_images
from bids_msvol.report.lesions import describe_region
from bids_msvol.report.slices import AXIAL, Box, Volume, slice_size_mm, take_slice, world_coordinate_mm
from bids_msvol.report.tiles import make_contour_tile, make_grey_tile
from bids_msvol.report.wording import MINUS, format_count, name_session

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from bids_msvol.bids.load import SessionOutputs

EXTENT_MM = 40.0
"""Width and height of a picture: a large lesion with enough around it to know the place again."""
PIXELS_PER_MM = 4.0


@dataclass(frozen=True)
class Half:
    """One session of a panel: the grey picture and the line around the lesion, as data URIs."""

    session: str
    grey: str
    contours: str


@dataclass(frozen=True)
class Panel:
    """One lesion before and after.

    Attributes
    ----------
    title
        What became of it.
    confidence
        ``high`` or ``candidate``.
    details
        Volumes, region and place.
    description
        The panel in words, for readers who do not see it.
    height, width
        Of each picture, in pixels.
    before, after
        The pictures.
    """

    title: str
    confidence: str
    details: str
    description: str
    height: int
    width: int
    before: Half
    after: Half


def draw_panels(before: SessionOutputs, after: SessionOutputs, rows: Sequence[pd.Series]) -> tuple[Panel, ...]:
    """Draw changes of lesions.

    Parameters
    ----------
    before, after
        The sessions that were compared.
    rows
        Rows of the table of activity for this pair.

    Raises
    ------
    NoInputError
        If an image is not there.
    DataError
        If the images do not lie on one grid.
    """
    contrast = str(rows[0]["contrast"])
    images = load_lesion_images(before, contrast), load_lesion_images(after, contrast)
    check_same_grid(images[0].shown, images[1].shown, after)
    return tuple(_draw_panel((before, after), images, row) for row in rows)


def find_crop(volume: Volume, center_mm: Sequence[float]) -> tuple[Box, tuple[int, int, int]]:
    """Return the box of a picture around a place, moved inwards at the edge of the image, and the voxel of the place.

    Parameters
    ----------
    volume
        Where to crop.
    center_mm
        World coordinates.
    """
    inverse = np.linalg.inv(volume.affine)
    voxel = np.rint(inverse[:3, :3] @ np.asarray(center_mm, dtype=np.float64) + inverse[:3, 3]).astype(int)
    center = [int(np.clip(index, 0, size - 1)) for index, size in zip(voxel, volume.data.shape, strict=True)]
    spans = []
    for index, size, spacing in zip(center, volume.data.shape, volume.spacing, strict=True):
        width = min(max(round(EXTENT_MM / spacing), 1), size)
        first = min(max(index - width // 2, 0), size - width)
        spans.append((first, first + width))
    return (spans[0], spans[1], spans[2]), (center[0], center[1], center[2])


def nearest_slice(lesion: NDArray[np.bool_], wanted: int) -> int:
    """Return the axial slice nearest to ``wanted`` that holds some of a lesion.

    The centre of a curved lesion, or of a rim that was gained, may lie in a slice without any of it.
    """
    full = np.flatnonzero(lesion.any(axis=(0, 1)))
    return int(full[np.argmin(np.abs(full - wanted))]) if full.size else wanted


def split_numbers(text: object) -> tuple[int, ...]:
    """Return the numbers of lesions that a field of the table lists.

    Examples
    --------
    >>> split_numbers("3,12"), split_numbers("")
    ((3, 12), ())
    """
    return tuple(int(number) for number in str(text).split(",") if number.strip().isdecimal())


def _draw_panel(
    sessions: tuple[SessionOutputs, SessionOutputs],
    images: tuple[LesionImages, LesionImages],
    row: pd.Series,
) -> Panel:
    numbers = split_numbers(row["index_from"]), split_numbers(row["index_to"])
    box, center = find_crop(images[0].shown, [row[f"{axis}_mm"] for axis in "xyz"])
    lesions = [np.isin(image.lesions.data, own) for image, own in zip(images, numbers, strict=True)]
    changed = lesions[0] ^ lesions[1]
    position = nearest_slice(changed if changed.any() else lesions[1], center[2])
    height_mm, width_mm = slice_size_mm(images[0].shown, AXIAL, box)
    size = (max(round(height_mm * PIXELS_PER_MM), 1), max(round(width_mm * PIXELS_PER_MM), 1))
    halves = [
        Half(
            name_session(session),
            make_grey_tile(take_slice(image.shown, AXIAL, position, box), size, image.window),
            make_contour_tile(
                [
                    (
                        take_slice(Volume(own, image.shown.affine, image.shown.spacing), AXIAL, position, box),
                        LESION_COLOR,
                    )
                ],
                size,
            ),
        )
        for session, image, own in zip(sessions, images, lesions, strict=True)
    ]
    # The number stays on the line of its axis.
    place = f"z\N{NO-BREAK SPACE}{world_coordinate_mm(images[0].shown, AXIAL, position, box):.0f}".replace("-", MINUS)
    title = _title(str(row["status"]), numbers)
    details = ", ".join((_volumes(row), *_region(sessions[1], numbers[1]), place))
    return Panel(
        title=title,
        confidence=str(row["confidence"]),
        details=details,
        description=f"{title}, {details}: axial {images[0].contrast} of {halves[0].session} and of "
        f"{halves[1].session}, with a line around the lesion where there is one.",
        height=size[0],
        width=size[1],
        before=halves[0],
        after=halves[1],
    )


def _title(status: str, numbers: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    earlier, later = (" and ".join(map(str, own)) for own in numbers)
    if status == "merged":
        return f"Lesions {earlier} merged and grown"
    if status == "split":
        return f"Lesion {earlier} split and grown"
    return f"{status.capitalize()} lesion {later}".rstrip()


def _volumes(row: pd.Series) -> str:
    after = f"{format_count(row['volume_to_mm3'])} mm³"
    # A new lesion may have grown over what was there.
    return f"{format_count(row['volume_from_mm3'])} to {after}" if row["volume_from_mm3"] > 0 else after


def _region(session: SessionOutputs, numbers: tuple[int, ...]) -> tuple[str, ...]:
    if session.lesions is None:
        return ()
    own = session.lesions.loc[session.lesions["index"].isin(numbers), "region"]
    return tuple(dict.fromkeys(describe_region(str(region)) for region in own))
