# SPDX-License-Identifier: Apache-2.0
"""Pictures of slices as small WebP files inside data URIs: grey images, and transparent layers to lay over them."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_msvol.structures import STRUCTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

GREY_QUALITY = 72
"""WebP quality of the grey images, 0 to 100; no artefact is visible at this value in a head."""
FILL_ALPHA = 85
"""Opacity of a coloured structure, 0 to 255: the T1w stays readable under it."""
UNFILLED: tuple[int, ...] = tuple(
    structure.index for structure in STRUCTURES if structure.name.endswith("White-Matter")
)
"""White matter has an outline only: a pale colour over bright tissue would hide the border with the cortex."""
OUTLINE_ALPHA = 255
OUTLINE_WIDTH = 2
"""Width of the brain outline in pixels, inside the mask."""
MASK_COLOR = "#ffd400"
"""Colour of the brain outline: yellow, told apart from grey by every reader."""
CONTOUR_WIDTH = 1
"""Width of the line around a lesion in pixels, outside the lesion."""


def make_grey_tile(values: NDArray[Any], size: tuple[int, int], window: tuple[float, float]) -> str:
    """Return a slice of intensities as a data URI.

    Parameters
    ----------
    values
        Intensities, shape (rows, columns).
    size
        Rows and columns of the picture, in pixels.
    window
        Intensities shown as black and as white.
    """
    from PIL import Image

    low, high = window
    scaled = np.clip((values.astype(np.float32) - low) / (high - low), 0, 1) * 255
    picture = Image.fromarray(scaled.astype(np.float32)).resize(size[::-1], Image.Resampling.BICUBIC)
    grey = np.clip(np.rint(np.asarray(picture)), 0, 255).astype(np.uint8)
    return _as_data_uri(Image.fromarray(grey), lossless=False)


def make_outline_tile(mask: NDArray[Any], size: tuple[int, int], color: str = MASK_COLOR) -> str:
    """Return the outline of a mask, of shape (rows, columns), as a transparent data URI of ``size`` pixels."""
    inside = _enlarge(mask > 0, size).astype(np.int32)
    pixels = np.zeros((*size, 4), np.uint8)
    pixels[find_edges(inside, width=OUTLINE_WIDTH)] = (*_rgb(color), OUTLINE_ALPHA)
    return _as_rgba_uri(pixels)


def make_contour_tile(
    layers: Sequence[tuple[NDArray[Any], str]], size: tuple[int, int], *, width: int = CONTOUR_WIDTH
) -> str:
    """Return lines around masks as a transparent data URI.

    The lines run outside the masks: a lesion of a few voxels would vanish under a line within it.

    Parameters
    ----------
    layers
        Masks of shape (rows, columns), each with its colour; later ones are drawn over earlier ones.
    size
        Rows and columns of the picture, in pixels.
    width
        Width of the lines in pixels.
    """
    from scipy import ndimage

    pixels = np.zeros((*size, 4), np.uint8)
    for mask, color in layers:
        inside = _enlarge(mask > 0, size)
        around = ndimage.binary_dilation(inside, iterations=width) & ~inside
        pixels[around] = (*_rgb(color), OUTLINE_ALPHA)
    return _as_rgba_uri(pixels)


def make_label_tile(
    labels: NDArray[Any], size: tuple[int, int], *, fill_alpha: int = FILL_ALPHA, width: int = 1
) -> str:
    """Return structures as a transparent data URI: filled in their colours, with outlines.

    Parameters
    ----------
    labels
        FreeSurfer numbers, shape (rows, columns); numbers that are not measured stay transparent.
    size
        Rows and columns of the picture, in pixels.
    fill_alpha
        Opacity of the inside, 0 to 255; white matter is never filled.
    width
        Width of the outlines in pixels, inside the structures.
    """
    table = _color_table(fill_alpha)
    large = _enlarge(labels, size)
    known = np.where((large > 0) & (large < len(table)), large, 0)
    known = np.where(table[known].any(axis=-1), known, 0)
    pixels = table[known]
    pixels[find_edges(known, width=width), 3] = OUTLINE_ALPHA
    return _as_rgba_uri(pixels)


def find_edges(labels: NDArray[Any], *, width: int = 1) -> NDArray[np.bool_]:
    """Return the rim of every nonzero label, ``width`` pixels wide, along its four-sided border."""
    rim = np.zeros(labels.shape, bool)
    for _ in range(width):
        inner = np.pad(np.where(rim, 0, labels), 1)
        centre = inner[1:-1, 1:-1]
        neighbours = (inner[:-2, 1:-1], inner[2:, 1:-1], inner[1:-1, :-2], inner[1:-1, 2:])
        differs = np.logical_or.reduce([neighbour != centre for neighbour in neighbours])
        rim |= differs & (centre != 0)
    return rim


def _enlarge(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    # Nearest neighbour on purpose: the reader sees the voxels that were measured, not a smoothed version of them.
    rows = ((np.arange(size[0]) + 0.5) * values.shape[0] / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * values.shape[1] / size[1]).astype(int)
    return values[np.ix_(rows, columns)]


def _color_table(fill_alpha: int) -> NDArray[np.uint8]:
    """Return colour and opacity by FreeSurfer number; all zero where nothing is measured."""
    table = np.zeros((max(structure.index for structure in STRUCTURES) + 1, 4), np.uint8)
    for structure in STRUCTURES:
        table[structure.index] = (*_rgb(structure.color), 0 if structure.index in UNFILLED else fill_alpha)
    return table


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _as_rgba_uri(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    return _as_data_uri(Image.fromarray(pixels), lossless=True)


def _as_data_uri(picture: Image, *, lossless: bool) -> str:
    stream = io.BytesIO()
    picture.save(stream, "WEBP", lossless=lossless, quality=GREY_QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
