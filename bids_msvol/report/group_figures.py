# SPDX-License-Identifier: Apache-2.0
"""Figures of the group level as parts of a page: SVG that can stand beside other SVG, or a picture if large."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bids_msvol.group.figures.drawing import to_png, to_svg

if TYPE_CHECKING:
    from pathlib import Path

    from bids_msvol.group.result import Figure

MAX_SVG_BYTES = 400_000
"""A larger figure is put into the page as a picture: it has so many points that nobody misses their outlines."""

MAX_ALL_SVG_BYTES = 6_000_000
"""Of all figures of a page together; the rest are pictures, so that the page can be sent by mail."""

PIXELS_PER_POINT = 96.0 / 72.0
"""A point of a drawing in pixels of a page."""

_UNUSED = ("metadata", "style", "script", "title")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LONG_NUMBER = re.compile(r"(-?\d+\.\d{2})\d+")
_PLACES = ("d", "points", "x", "y")
"""Attributes with coordinates in points, of which a hundredth is more than enough."""


@dataclass(frozen=True)
class PageFigure:
    """A figure as the page shows it.

    Attributes
    ----------
    number
        Figures are counted through the page.
    name, caption, alt
        As in the result.
    svg
        Trusted markup; empty if it is shown as a picture.
    picture
        PNG as base64; empty if it is shown as SVG. Without either, it could not be drawn.
    width_px
        Natural width.
    """

    number: int
    name: str
    caption: str
    alt: str
    svg: str = ""
    picture: str = ""
    width_px: int = 0


def place_figure(figure: Figure, number: int, *, svg_allowed: int, drawn_in: Path | None = None) -> PageFigure:
    """Draw a figure for the page.

    Parameters
    ----------
    figure
        The figure.
    number
        Its number in the page.
    svg_allowed
        Bytes of SVG that the page may still take.
    drawn_in
        A folder with its SVG and PNG; drawn anew if ``None``.
    """
    placed = PageFigure(number, figure.name, figure.caption, figure.alt)
    if drawn_in is None:
        drawn = figure.draw()
        svg = to_svg(drawn)
        png: Callable[[], bytes] = partial(to_png, drawn)
    elif (path := drawn_in / f"{figure.name}.svg").is_file():
        svg, png = path.read_text(encoding="utf-8"), path.with_suffix(".png").read_bytes
    else:
        return placed
    markup, width_px = inline_svg(svg, f"f{number}-", figure.alt)
    if len(markup) > min(MAX_SVG_BYTES, svg_allowed):
        return replace(placed, picture=base64.b64encode(png()).decode("ascii"), width_px=width_px)
    return replace(placed, svg=markup, width_px=width_px)


def inline_svg(svg: str, prefix: str, alt: str) -> tuple[str, int]:
    """Return SVG for use inside an HTML page, and its natural width in pixels.

    Identifiers get a prefix, so that no two figures of a page share one; rules of style, which would hold for the
    whole page, become attributes; coordinates are rounded.

    Parameters
    ----------
    svg
        A whole SVG file.
    prefix
        Of its identifiers.
    alt
        The figure in words.
    """
    root = ElementTree.fromstring(svg)
    width_px = round(float(root.get("width", "480pt").removesuffix("pt")) * PIXELS_PER_POINT)
    for parent in root.iter():
        for child in [child for child in parent if _local(child.tag) in _UNUSED]:
            parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(name): _adapt(_local(name), value, prefix) for name, value in element.attrib.items()}
    root.attrib = {
        "viewBox": root.get("viewBox", ""),
        "role": "img",
        "aria-label": alt,
        "style": f"--natural: {width_px}px; stroke-linejoin: round; stroke-linecap: butt",
    }
    return ElementTree.tostring(root, encoding="unicode"), width_px


def _local(name: str) -> str:
    """Return a name without its namespace, which HTML does not have."""
    return name.rpartition("}")[2]


def _adapt(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    if name in _PLACES:
        return _LONG_NUMBER.sub(r"\1", value).replace("\n", " ")
    return _REFERENCE.sub(rf"url(#{prefix}\1)", value)
