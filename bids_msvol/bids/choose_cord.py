# SPDX-License-Identifier: Apache-2.0
"""Which image of a visit shows the cervical cord, besides the T1w of the head.

The rule:

1. An image (T2w, T1w or T2*w) is one of the cord if its name or its sidecar says so, if its field of view is too narrow
   for a head, or if it is a T2*w of a few centimetres; the filter ``cord`` of a filter file names others. Images of the
   thoracic or lumbar cord are none, nor are localisers, phase images and those after contrast agent.
2. Of several: one whose pixels across the cord are fine enough for its area, then the one that shows most of the neck,
   then T2w before T2*w and T1w, then the smallest voxels, then the first run, then the first name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from bids_msvol.bids.choose import (
    MINIMUM_BRAIN_EXTENT_MM,
    Candidate,
    Choice,
    is_localiser,
    number_of,
    other_part,
    says_cord,
    text_labels,
)
from bids_msvol.bids.records import IgnoredScan

SUFFIXES = ("T2w", "T2starw", "T1w")
"""Contrasts in which the cord can be outlined, the best one first."""

FINE_MM = 1.2
"""Longest edge across the cord with which its area is measured well: it is 12 mm wide and 8 mm deep."""

NECK_STEP_MM = 40.0
"""Fields of view count as equally long within this: two levels of the neck."""

NARROW_MM = MINIMUM_BRAIN_EXTENT_MM[0]
"""A field of view narrower than this from left to right holds no head."""

_OTHER_LEVEL = re.compile(r"t-?spine|l-?spine|thorac|lumbar|sacr", re.IGNORECASE)


def choose_cord(candidates: Sequence[Candidate], *, named_by_filter: bool = False) -> Choice:
    """Choose the image of the cord among the images of a visit that are not measured otherwise.

    Parameters
    ----------
    candidates
        T1w, T2w and T2*w images of one visit.
    named_by_filter
        Whether a filter file names them, so that they need not look like images of the cord.

    Returns
    -------
    Choice
        ``ignored`` holds only images of the cord that are not the chosen one.
    """
    usable = [one for one in candidates if _can_show(one) and (named_by_filter or shows_cord(one))]
    if not usable:
        return Choice(None, "", ())
    best, *rest = sorted(usable, key=_rank)
    ignored = tuple(
        IgnoredScan(other.scan.relative_path, f"another image of the cord was preferred: {_difference(best, other)}")
        for other in rest
    )
    name = best.scan.path.name
    if not rest:
        return Choice(best.scan, f"The cord was measured on {name}, the only image of it.", ())
    reasons = "; ".join(dict.fromkeys(_difference(best, other) for other in rest))
    sentence = f"The cord was measured on {name}, chosen among {len(usable)} images of it: {reasons}."
    return Choice(best.scan, sentence, ignored)


def shows_cord(candidate: Candidate) -> bool:
    """Say whether an image is one of the cervical cord and not of the head."""
    if says_cord(candidate.scan):
        return True
    if candidate.geometry is None:
        return False
    width, _, height = candidate.geometry.extent_mm
    return width < NARROW_MM or (candidate.scan.suffix == "T2starw" and height < MINIMUM_BRAIN_EXTENT_MM[2])


def _can_show(candidate: Candidate) -> bool:
    scan = candidate.scan
    told = [*text_labels(scan), str(scan.metadata.get("BodyPartExamined", ""))]
    return (
        scan.suffix in SUFFIXES
        and not other_part(scan)
        and not is_localiser(scan)
        and "ceagent" not in scan.entities
        and not any(_OTHER_LEVEL.search(text) for text in told)
    )


_CRITERIA = (
    "pixels across the cord that are fine enough",
    "more of the neck in view",
    "a better contrast",
    "smaller voxels",
    "the earlier run",
    "the first by name",
)
"""In words, the criteria of `_rank`."""


def _rank(candidate: Candidate) -> tuple[bool, float, int, float, int, str]:
    scan, geometry = candidate.scan, candidate.geometry
    coarse, length, volume = True, 0.0, math.inf
    if geometry is not None:
        # Edges are along the array's axes; the extent says which of them run across the cord.
        sizes = {round(edge * count, 3): edge for edge, count in zip(geometry.edges_mm, geometry.shape, strict=True)}
        across = [sizes.get(round(extent, 3), max(geometry.edges_mm)) for extent in geometry.extent_mm[:2]]
        coarse, length = max(across) > FINE_MM, geometry.extent_mm[2]
        volume = math.prod(geometry.edges_mm)
    return (
        coarse,
        -math.floor(length / NECK_STEP_MM),
        SUFFIXES.index(scan.suffix),
        round(volume, 2),
        number_of(scan.entities.get("run")),
        scan.relative_path,
    )


def _difference(best: Candidate, other: Candidate) -> str:
    pairs = zip(_rank(best), _rank(other), _CRITERIA, strict=True)
    return next((words for ours, theirs, words in pairs if ours != theirs), _CRITERIA[-1])
