# SPDX-License-Identifier: Apache-2.0
"""Pictures of the brain with what was found in it, so that a reader can judge the measurement by eye."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.errors import DataError, NoInputError
from bids_msvol.report.section import Section, render
from bids_msvol.report.slices import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    Box,
    Plane,
    Volume,
    compute_head_box,
    compute_window,
    find_box,
    grow_box,
    load_canonical,
    slice_size_mm,
    spread_positions,
    take_slice,
    world_coordinate_mm,
)
from bids_msvol.report.tiles import make_grey_tile, make_label_tile, make_outline_tile
from bids_msvol.report.wording import MINUS, describe_structure, name_session
from bids_msvol.structures import STRUCTURES, SUMS

if TYPE_CHECKING:
    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs

HEAD_SLICES = 14
"""Slices of the whole head in each plane: two rows of seven on a wide screen."""
DEEP_SLICES = 6
"""Slices through the deep grey matter in each plane."""
HEAD_PIXELS_PER_MM = 2.0
DEEP_PIXELS_PER_MM = 4.0
DEEP_MARGIN_MM = 10.0
DEEP_OUTLINE_WIDTH = 2
DEEP_FILL_ALPHA = 40
"""Opacity of the colours in the enlarged pictures, where the outlines matter more."""

DEEP_GRAY: tuple[int, ...] = next(total.members for total in SUMS if total.name == "DeepGray")
DEEP_SHOWN: tuple[int, ...] = (
    *DEEP_GRAY,
    *(s.index for s in STRUCTURES if s.name.endswith(("VentralDC", "-Ventricle", "Lat-Vent"))),
)
"""Structures drawn in the enlarged pictures: the deep grey matter and what borders on it."""


@dataclass(frozen=True)
class Tile:
    """One slice: the grey picture and the layers over it, as data URIs, with its size in pixels and its place in mm."""

    grey: str
    outline: str
    structures: str
    height: int
    width: int
    place: str


@dataclass(frozen=True)
class Strip:
    """Slices of one plane, with the marks of what lies left and right in them."""

    plane: str
    description: str
    left_mark: str
    right_mark: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class SessionPictures:
    """All pictures of a session, or the problem that kept them from being made."""

    title: str
    head: tuple[Strip, ...] = ()
    deep: tuple[Strip, ...] = ()
    problem: str = ""


def build_overlay_section(outputs: ParticipantOutputs) -> Section:
    """Build the section with the pictures of every session."""
    pictures = tuple(draw_session(session) for session in outputs.sessions)
    legend = {describe_structure(structure.name): structure.color for structure in STRUCTURES}
    html = render("overlays.html.j2", sessions=pictures, legend=legend)
    return Section("Pictures: is the measurement in the right place?", "pictures", html)


def draw_session(session: SessionOutputs) -> SessionPictures:
    """Draw the pictures of one session; images that cannot be read are reported in their place."""
    title = name_session(session)
    try:
        t1w = load_canonical(session.load_t1w(), np.float32)
        mask = load_canonical(session.load_brain_mask(), np.uint8)
        labels = load_canonical(session.load_dseg(), np.int32)
    except (NoInputError, DataError) as error:
        return SessionPictures(title, problem=str(error))
    if not t1w.data.shape == mask.data.shape == labels.data.shape:
        return SessionPictures(title, problem="The T1w, the brain mask and the structures do not lie on one grid.")
    window = compute_window(t1w, mask)
    head_box = compute_head_box(t1w, mask)
    brain_box = find_box(mask.data > 0) or head_box
    head = tuple(
        _draw_strip(
            (t1w, mask, labels),
            plane,
            head_box,
            spread_positions(brain_box, plane, HEAD_SLICES),
            window,
            HEAD_PIXELS_PER_MM,
        )
        for plane in (AXIAL, CORONAL, SAGITTAL)
    )
    return SessionPictures(title, head, _draw_deep(t1w, mask, labels, window))


def _draw_deep(t1w: Volume, mask: Volume, labels: Volume, window: tuple[float, float]) -> tuple[Strip, ...]:
    found = find_box(np.isin(labels.data, DEEP_GRAY))
    if found is None:
        return ()
    box = grow_box(found, DEEP_MARGIN_MM, labels)
    shown = Volume(np.where(np.isin(labels.data, DEEP_SHOWN), labels.data, 0), labels.affine, labels.spacing)
    return tuple(
        _draw_strip(
            (t1w, mask, shown), plane, box, spread_positions(found, plane, DEEP_SLICES), window, DEEP_PIXELS_PER_MM,
            fill_alpha=DEEP_FILL_ALPHA, width=DEEP_OUTLINE_WIDTH,
        )
        for plane in (AXIAL, CORONAL)
    )  # fmt: skip


def _draw_strip(
    volumes: tuple[Volume, Volume, Volume],
    plane: Plane,
    box: Box,
    positions: tuple[int, ...],
    window: tuple[float, float],
    pixels_per_mm: float,
    **label_options: int,
) -> Strip:
    t1w, mask, labels = volumes
    height_mm, width_mm = slice_size_mm(t1w, plane, box)
    size = (max(round(height_mm * pixels_per_mm), 1), max(round(width_mm * pixels_per_mm), 1))
    tiles = tuple(
        Tile(
            grey=make_grey_tile(take_slice(t1w, plane, position, box), size, window),
            outline=make_outline_tile(take_slice(mask, plane, position, box), size),
            structures=make_label_tile(take_slice(labels, plane, position, box), size, **label_options),
            height=size[0],
            width=size[1],
            place=f"{plane.coordinate} {world_coordinate_mm(t1w, plane, position, box):.0f}".replace("-", MINUS),
        )
        for position in reversed(positions)
    )
    return Strip(plane.name, _ORDER[plane.name], plane.left_mark, plane.right_mark, tiles)


_ORDER = {"axial": "from top to bottom", "coronal": "from front to back", "sagittal": "from right to left"}
