# SPDX-License-Identifier: Apache-2.0
"""Slices of a session in which its lesions can be seen and judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.errors import DataError, NoInputError
from bids_msvol.report.lesion_images import ENHANCING_COLOR, LESION_COLOR, LesionImages, load_lesion_images
from bids_msvol.report.slices import AXIAL, Box, find_box, grow_box, slice_size_mm, take_slice, world_coordinate_mm
from bids_msvol.report.tiles import make_contour_tile, make_grey_tile
from bids_msvol.report.wording import MINUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bids_msvol.bids.load import SessionOutputs

TILES = 12
"""Slices shown of a session, at most: three rows of four on a wide screen."""
PIXELS_PER_MM = 3.0
MARGIN_MM = 5.0
"""What is shown around the brain."""
LINE_WIDTH = 2
"""Width of the lines around lesions in pixels: the slices are shown smaller than they are."""


@dataclass(frozen=True)
class Tile:
    """One slice: the grey picture and the lines over it, as data URIs, with its size in pixels and its place in mm."""

    grey: str
    contours: str
    height: int
    width: int
    place: str


@dataclass(frozen=True)
class SessionPicture:
    """Slices of one session with its lesions, or the problem that kept them from being made.

    Attributes
    ----------
    contrast
        What the slices show.
    tiles
        The slices, from top to bottom.
    slices
        How many slices hold a lesion.
    problem
        Empty if there was none.
    """

    contrast: str = ""
    tiles: tuple[Tile, ...] = ()
    slices: int = 0
    problem: str = ""


def draw_lesions(session: SessionOutputs) -> SessionPicture:
    """Draw the slices of a session that hold most of its lesions; unreadable images are reported in their place."""
    try:
        images = load_lesion_images(session)
    except (NoInputError, DataError) as error:
        return SessionPicture(problem=str(error))
    burden = measure_burden(images.lesions.data, images.enhancement.data)
    positions = choose_slices(burden, TILES)
    inside = find_box((images.brain.data > 0) | (images.lesions.data > 0) | (images.enhancement.data > 0))
    if not positions or inside is None:
        return SessionPicture(problem="There are lesions in the table, but none in the image.")
    box = grow_box(inside, MARGIN_MM, images.shown)
    return SessionPicture(
        contrast=images.contrast,
        tiles=tuple(_draw_slice(images, position, box) for position in reversed(positions)),
        slices=int(np.count_nonzero(burden)),
    )


def measure_burden(lesions: NDArray[np.int32], enhancement: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return how much there is to see in each axial slice.

    Parameters
    ----------
    lesions, enhancement
        (i, j, k) nonzero inside lesions, and where contrast agent is taken up.

    Returns
    -------
    ndarray of shape (k,)
        Voxels of lesions; any enhancement counts for more than all lesions that a slice can hold, since it is rare.
    """
    area = np.count_nonzero(lesions, axis=(0, 1))
    enhancing = np.count_nonzero(enhancement, axis=(0, 1))
    return np.asarray(area + enhancing * (lesions.shape[0] * lesions.shape[1] + 1), dtype=np.int64)


def choose_slices(burden: NDArray[np.int64], count: int) -> tuple[int, ...]:
    """Choose the slices that are shown.

    Parameters
    ----------
    burden
        How much there is to see in each slice.
    count
        How many slices, at most.

    Returns
    -------
    tuple of int
        In ascending order. The slices with a burden are divided into equal parts, and each part gives its fullest one
        that does not lie beside one of another part: neighbours look alike.
    """
    full = np.flatnonzero(burden)
    if full.size == 0:
        return ()
    parts = np.array_split(full, min(count, full.size))
    chosen: list[int] = []
    for part in sorted(parts, key=lambda one: -int(burden[one].max())):
        # A third of a part on either side leaves something of it.
        free = [int(one) for one in part if all(abs(int(one) - other) > len(part) // 3 for other in chosen)]
        chosen.append(max(free, key=lambda one: int(burden[one])))
    return tuple(sorted(chosen))


def _draw_slice(images: LesionImages, position: int, box: Box) -> Tile:
    height_mm, width_mm = slice_size_mm(images.shown, AXIAL, box)
    size = (max(round(height_mm * PIXELS_PER_MM), 1), max(round(width_mm * PIXELS_PER_MM), 1))
    layers = [
        (take_slice(volume, AXIAL, position, box), color)
        for volume, color in ((images.lesions, LESION_COLOR), (images.enhancement, ENHANCING_COLOR))
    ]
    return Tile(
        grey=make_grey_tile(take_slice(images.shown, AXIAL, position, box), size, images.window),
        contours=make_contour_tile(layers, size, width=LINE_WIDTH),
        height=size[0],
        width=size[1],
        place=f"z {world_coordinate_mm(images.shown, AXIAL, position, box):.0f}".replace("-", MINUS),
    )
