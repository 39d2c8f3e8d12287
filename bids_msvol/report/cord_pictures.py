# SPDX-License-Identifier: Apache-2.0
"""Pictures of the cord of a session: drawn straight, front to back, and across at each level, with its outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.cord.levels import LEVELS, level_ranges_mm
from bids_msvol.errors import DataError, NoInputError
from bids_msvol.report.lesion_images import SAME_PLACE_MM
from bids_msvol.report.plots import Tick
from bids_msvol.report.slices import AXIAL, SAGITTAL, Box, Plane, Volume, load_canonical, slice_size_mm, take_slice
from bids_msvol.report.tiles import make_contour_tile, make_grey_tile

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from bids_msvol.bids.load import SessionOutputs

STRAIGHT_PIXELS_PER_MM, SECTION_PIXELS_PER_MM = 6.0, 8.0
"""Size of the picture along the cord, and of those across it."""

SECTION_MM = 24.0
"""Width and height of a picture across the cord: the cord and the canal around it."""

MARGIN_MM = 12.0
"""Room beside the straightened cord for the names of the levels."""

WINDOW_MM = 10.0
"""Black and white are taken from what lies as near as this to the middle of the cord: beyond, fat would decide."""

SMOOTH_MM = 0.5
"""The outline is stored as voxels; it is drawn as smooth as it was found. A circle of 4 mm shrinks by 0.03 mm."""

HATCH_MM = 2.0
"""Width of the bar that marks what is withheld, and distance between its strokes."""

CORD_COLOR = "#ffd400"
"""Colour of the line around the cord, that of the outline of the brain."""

LEAST_IN_VIEW_MM = 3.0
"""Levels of which less is in view are neither named nor shown."""

UNNAMED = 5
"""Pictures across a cord whose levels are not known."""


@dataclass(frozen=True)
class Tile:
    """One picture: grey values and the line over them, as data URIs, with its size in pixels and what it shows."""

    grey: str
    outline: str
    height: int
    width: int
    place: str


@dataclass(frozen=True)
class Withheld:
    """A stretch that is not believed, beside the straightened cord: where it begins, how high it is, its hatching."""

    y: float
    height: float
    path: str


@dataclass(frozen=True)
class CordPicture:
    """Pictures of the cord of one session on one image, or why there are none.

    Attributes
    ----------
    straight
        The straightened cord.
    margin, bar
        Widths, in its pixels, of the column beside it, and in that of the bar that marks what is withheld.
    borders
        Heights in it at which one level ends and the next begins.
    levels
        Names of the levels.
    withheld
        Stretches that are not believed.
    sections
        Pictures across the cord, from top to bottom.
    problem
        Empty if there was none.
    """

    straight: Tile | None = None
    margin: float = 0.0
    bar: float = 0.0
    borders: tuple[float, ...] = ()
    levels: tuple[Tick, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    sections: tuple[Tile, ...] = ()
    problem: str = ""


def draw_cord(session: SessionOutputs, source: str) -> CordPicture | None:
    """Draw the cord of a session; images that cannot be read are reported in their place.

    Parameters
    ----------
    session
        The session.
    source
        Kind of image.

    Returns
    -------
    CordPicture or None
        ``None`` where only numbers are known, as of a table or mask that was given.
    """
    try:
        images = session.load_straight_cord(source)
        if images is None or session.cord_sections is None:
            return None
        shown, mask = load_canonical(images[0], np.float32), load_canonical(images[1], np.uint8)
    except (NoInputError, DataError) as error:
        return CordPicture(problem=str(error))
    same_place = np.allclose(shown.affine, mask.affine, atol=SAME_PLACE_MM)
    if shown.data.shape != mask.data.shape or not same_place:
        return CordPicture(problem="The straightened cord and its outline do not lie on one grid.")
    own = session.cord_sections[session.cord_sections["source"] == source]
    scale, window = STRAIGHT_PIXELS_PER_MM, choose_window(shown)
    whole = _whole(shown)
    believed = np.asarray(mask.data.any(axis=(0, 1)), dtype=np.bool_)
    ranges = visible_ranges_mm(own)
    heights = {level: tuple(_height_mm(shown, end) for end in ends) for level, ends in ranges.items()}
    inner = sorted({round(scale * end, 1) for ends in heights.values() for end in ends})
    return CordPicture(
        straight=_draw((shown, mask), SAGITTAL, _middle(shown, 0), whole, window, scale),
        margin=round(MARGIN_MM * scale, 1),
        bar=round(HATCH_MM * scale, 1),
        borders=tuple(inner),
        levels=tuple(Tick(round(scale * (top + end) / 2, 1), level) for level, (top, end) in heights.items()),
        withheld=tuple(_withhold(shown, first, last) for first, last in find_gaps(believed)),
        sections=tuple(
            _draw(
                (shown, mask),
                AXIAL,
                position,
                _around(shown),
                window,
                SECTION_PIXELS_PER_MM,
                name if believed[position] else f"{name}, withheld",
            )
            for name, position in choose_sections(shown, believed, ranges)
        ),
    )


def choose_window(shown: Volume) -> tuple[float, float]:
    """Return the intensities shown as black and as white in all pictures of a cord."""
    x, y = (shown.affine[axis, 3] + shown.spacing[axis] * np.arange(shown.data.shape[axis]) for axis in (0, 1))
    near = shown.data[np.hypot(x[:, None], y[None, :]) < WINDOW_MM]
    low, high = (float(value) for value in np.percentile(near, (0.5, 99.5)))
    return min(low, 0.0), high if high > min(low, 0.0) else low + 1.0


def visible_ranges_mm(sections: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return where the levels in view begin and end along the cord, in the downward positions of its sections.

    Parameters
    ----------
    sections
        Rows of the table of sections of one image.
    """
    known = sections[["average_mm", "distance_mm"]].dropna().sort_values("average_mm")
    if len(known) < 2:
        return {}
    places, distances = known["average_mm"].to_numpy(), known["distance_mm"].to_numpy()
    ranges = {}
    for level in LEVELS:
        top, end = level_ranges_mm()[level]
        first, last = max(top, places[0]), min(end, places[-1])
        if last - first >= LEAST_IN_VIEW_MM:
            ranges[level] = (float(np.interp(first, places, distances)), float(np.interp(last, places, distances)))
    return ranges


def choose_sections(
    shown: Volume, believed: NDArray[np.bool_], ranges_mm: dict[str, tuple[float, float]]
) -> tuple[tuple[str, int], ...]:
    """Choose the slices across the cord that are shown.

    Parameters
    ----------
    shown
        The straightened image.
    believed
        (k,) whether each of its slices counts.
    ranges_mm
        Where the levels lie, as downward positions; empty where they are not known.

    Returns
    -------
    tuple of (str, int)
        What it is called, and the slice: of each level the one nearest to the middle of what is in view that counts, or
        the middle itself if none does; without levels evenly spread.
    """
    if not ranges_mm:
        last = len(believed) - 1
        spread = np.rint(np.linspace(0.9 * last, 0.1 * last, UNNAMED)).astype(int)
        positions = [_nearest(believed, int(position), 0, last) for position in spread]
        return tuple((f"{_height_mm_of(shown, one):.0f} mm", one) for one in dict.fromkeys(positions))
    chosen = []
    for level, (top, end) in ranges_mm.items():
        lowest, highest, middle = (_slice_at(shown, place) for place in (end, top, (top + end) / 2))
        chosen.append((level, _nearest(believed, middle, lowest, highest)))
    return tuple(chosen)


def find_gaps(believed: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Return the first and the last slice of each stretch that is not believed.

    Examples
    --------
    >>> find_gaps(np.array([False, True, False, False]))
    ((0, 0), (2, 3))
    """
    edges = np.flatnonzero(np.diff(np.pad(~believed, 1).astype(np.int8)))
    return tuple((int(first), int(last) - 1) for first, last in edges.reshape(-1, 2))


def smooth_outline(mask: NDArray[np.uint8], spacing_mm: Sequence[float], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Enlarge a mask (rows, columns) to the pixels of a picture, without the steps of its voxels.

    Parameters
    ----------
    mask
        Nonzero inside.
    spacing_mm
        Height and width of its voxels.
    size
        Rows and columns of the picture.
    """
    from PIL import Image
    from scipy import ndimage

    soft = ndimage.gaussian_filter((mask > 0).astype(np.float32), [SMOOTH_MM / edge for edge in spacing_mm])
    large = Image.fromarray(soft).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(np.asarray(large) > 0.5)


def _draw(
    volumes: tuple[Volume, Volume],
    plane: Plane,
    position: int,
    box: Box,
    window: tuple[float, float],
    pixels_per_mm: float,
    place: str = "",
) -> Tile:
    shown, mask = volumes
    height_mm, width_mm = slice_size_mm(shown, plane, box)
    size = (max(round(height_mm * pixels_per_mm), 1), max(round(width_mm * pixels_per_mm), 1))
    across, down = (axis for axis in range(3) if axis != plane.axis)
    spacing = (shown.spacing[down], shown.spacing[across])
    inside = smooth_outline(take_slice(mask, plane, position, box), spacing, size)
    return Tile(
        grey=make_grey_tile(take_slice(shown, plane, position, box), size, window),
        outline=make_contour_tile([(inside, CORD_COLOR)], size),
        height=size[0],
        width=size[1],
        place=place,
    )


def _withhold(shown: Volume, first: int, last: int) -> Withheld:
    """Mark the slices from ``first`` up to ``last``."""
    scale, top = STRAIGHT_PIXELS_PER_MM, _row_mm(shown, last)
    height = (last - first + 1) * shown.spacing[2]
    path = " ".join(
        f"M0 {scale * (top + min(stroke + HATCH_MM, height)):.1f}L{scale * HATCH_MM:.1f} {scale * (top + stroke):.1f}"
        for stroke in np.arange(0.0, height, HATCH_MM).tolist()
    )
    return Withheld(round(scale * top, 1), round(scale * height, 1), path)


def _nearest(believed: NDArray[np.bool_], wanted: int, lowest: int, highest: int) -> int:
    """The slice nearest to one that is wanted, within a stretch, that counts; or the wanted one."""
    inside = np.arange(max(lowest, 0), min(highest + 1, len(believed)))
    inside = inside[believed[inside]]
    return int(inside[np.argmin(np.abs(inside - wanted))]) if inside.size else wanted


def _slice_at(shown: Volume, distance_mm: float) -> int:
    """The slice at a downward position."""
    slices = (-distance_mm - shown.affine[2, 3]) / shown.spacing[2]
    return int(np.clip(round(slices), 0, shown.data.shape[2] - 1))


def _height_mm(shown: Volume, distance_mm: float) -> float:
    """Distance of a downward position from the upper edge of the picture."""
    extent = shown.data.shape[2] * shown.spacing[2]
    upper = shown.affine[2, 3] + extent - shown.spacing[2] / 2
    return float(np.clip(upper + distance_mm, 0.0, extent))


def _height_mm_of(shown: Volume, position: int) -> float:
    """Distance of the middle of a slice from the upper edge of the picture."""
    return _row_mm(shown, position) + shown.spacing[2] / 2


def _row_mm(shown: Volume, position: int) -> float:
    """Distance of the upper edge of a slice from that of the picture."""
    return float((shown.data.shape[2] - 1 - position) * shown.spacing[2])


def _middle(shown: Volume, axis: int) -> int:
    """The voxel along an axis that holds the middle of the cord."""
    return int(np.clip(round(-shown.affine[axis, 3] / shown.spacing[axis]), 0, shown.data.shape[axis] - 1))


def _around(shown: Volume) -> Box:
    """The box around the cord that the pictures across it show."""
    spans = []
    for axis in (0, 1):
        middle, half = _middle(shown, axis), round(SECTION_MM / 2 / shown.spacing[axis])
        spans.append((max(middle - half, 0), min(middle + half + 1, shown.data.shape[axis])))
    return spans[0], spans[1], (0, shown.data.shape[2])


def _whole(shown: Volume) -> Box:
    across, back, up = shown.data.shape
    return (0, across), (0, back), (0, up)
