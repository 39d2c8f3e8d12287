# SPDX-License-Identifier: Apache-2.0
"""Which image of a visit is measured.

The rule, in the order in which it is applied to the images of one contrast (T1w, T2w or FLAIR):

1. Left out: phase, real and imaginary parts; localisers and scouts (named so, or fewer than 12 slices); scans of the
   spinal cord (named so in the file name or in ``BodyPartExamined``, or with a field of view smaller than a brain).
2. Images after contrast agent (``ce-``) stand back: one is measured only where the visit has no other T1w.
3. Reconstructions (``rec-``) are made from another image and stand back too, except ``rec-norm``, which comes first:
   the scanner has divided out the measured sensitivity of its coil, which a later bias correction can only guess.
4. Of what is left: the image with the finest voxels (smallest longest edge, so that 3D comes before 2D), then the first
   echo, then the first run, then the first name. A repetition is not preferred: no file says that it is better.

A filter file narrows the images before the rule is applied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bids_msvol.bids.records import IgnoredScan, Scan

MINIMUM_SLICES = 12
"""An image with fewer slices along any axis is a localiser."""

MINIMUM_BRAIN_EXTENT_MM = (100.0, 120.0, 90.0)
"""Smallest field of view that can hold a brain: left to right, back to front, foot to head."""

EDGE_TOLERANCE_MM = 0.05
"""Longest voxel edges are compared in steps of this size."""

_CORD_NAME = re.compile(r"c-?spine|t-?spine|l-?spine|spine|spinal|cord|cervical|thoracic|lumbar", re.IGNORECASE)
_LOCALISER_NAME = re.compile(r"locali[sz]er|^loc$|scout|survey", re.IGNORECASE)
_CORD_BODY_PART = re.compile(r"spine|cord|neck|cervix|thorax|lumbar", re.IGNORECASE)
_HEAD_BODY_PART = re.compile(r"brain|head|skull", re.IGNORECASE)
_NO_TEXT = frozenset({"subject", "session", "run", "task", "echo", "part", "suffix", "extension", "datatype"})
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Geometry:
    """What the choice needs to know of an image's grid.

    Attributes
    ----------
    shape
        Voxels along the three axes of the array.
    edges_mm
        Voxel edges along the same axes.
    extent_mm
        Field of view from left to right, back to front, and foot to head.
    """

    shape: tuple[int, int, int]
    edges_mm: tuple[float, float, float]
    extent_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Candidate:
    """A scan and its geometry, which is ``None`` where the header cannot be read."""

    scan: Scan
    geometry: Geometry | None


@dataclass(frozen=True)
class Choice:
    """The outcome for one contrast.

    Attributes
    ----------
    scan
        The image to use, or ``None`` if none can be used.
    sentence
        Why this one.
    ignored
        All others, with the reason.
    """

    scan: Scan | None
    sentence: str
    ignored: tuple[IgnoredScan, ...]


def exclusion(candidate: Candidate) -> str | None:
    """Say why an image cannot be used for volumetry at all, or return ``None`` if it can."""
    scan, geometry = candidate.scan, candidate.geometry
    if part := other_part(scan):
        return f"it holds the {part} part of the signal, not its magnitude"
    if is_localiser(scan):
        return "it is named as a localiser"
    if any(_CORD_NAME.search(label) for label in text_labels(scan)):
        return "it is named as a scan of the spinal cord"
    if says_cord(scan):
        return f"its sidecar says that it shows another part of the body ({scan.metadata['BodyPartExamined']})"
    if geometry is None:
        return None
    if min(geometry.shape) < MINIMUM_SLICES:
        return f"it has only {min(geometry.shape)} slices, like a localiser"
    if any(have < need for have, need in zip(geometry.extent_mm, MINIMUM_BRAIN_EXTENT_MM, strict=True)):
        extent = " x ".join(f"{length:.0f}" for length in geometry.extent_mm)
        return f"its field of view of {extent} mm is too small for a brain"
    return None


def other_part(scan: Scan) -> str:
    """Return which part of the signal an image holds if not its magnitude, else an empty text."""
    part = scan.entities.get("part", "mag")
    return "" if part == "mag" else part


def text_labels(scan: Scan) -> list[str]:
    """Return the labels of a file name that people choose freely."""
    return [label for key, label in scan.entities.items() if key not in _NO_TEXT]


def is_localiser(scan: Scan) -> bool:
    """Say whether an image is named as a localiser or a scout."""
    series = [str(scan.metadata.get(key, "")) for key in ("SeriesDescription", "ProtocolName")]
    return any(_LOCALISER_NAME.search(text) for text in (*text_labels(scan), *series))


def says_cord(scan: Scan) -> bool:
    """Say whether the name or the sidecar of an image says that it shows the spinal cord and not the head."""
    body_part = str(scan.metadata.get("BodyPartExamined", ""))
    told = _CORD_BODY_PART.search(body_part) and not _HEAD_BODY_PART.search(body_part)
    return bool(told) or any(_CORD_NAME.search(label) for label in text_labels(scan))


def choose(candidates: Sequence[Candidate]) -> Choice:
    """Apply the rule of this module to the images of one contrast of one visit."""
    ignored, usable = [], []
    for candidate in candidates:
        reason = exclusion(candidate)
        if reason is None:
            usable.append(candidate)
        else:
            ignored.append(IgnoredScan(candidate.scan.relative_path, reason))
    if not usable:
        return Choice(None, "", tuple(ignored))
    ranked = sorted(usable, key=_rank)
    best, rest = ranked[0], ranked[1:]
    for other in rest:
        reason = f"another image was preferred: {_difference(best, other)}"
        ignored.append(IgnoredScan(other.scan.relative_path, reason))
    return Choice(best.scan, _sentence(best, rest, bool(ignored)), tuple(ignored))


def _rank(candidate: Candidate) -> tuple[Any, ...]:
    entities = candidate.scan.entities
    return (
        "ceagent" in entities,
        _reconstruction_rank(entities),
        _longest_edge(candidate),
        number_of(entities.get("echo")),
        number_of(entities.get("run")),
        candidate.scan.relative_path,
    )


_CRITERIA = (
    "without contrast agent",
    "the reconstruction is the one that comes first (rec-norm, then none)",
    "finer voxels",
    "the earlier echo",
    "the earlier run",
    "the first by name",
)
"""In words, the criteria of `_rank`."""


def _reconstruction_rank(entities: Mapping[str, str]) -> int:
    reconstruction = entities.get("reconstruction")
    if reconstruction is None:
        return 1
    return 0 if reconstruction.lower() == "norm" else 2


def _longest_edge(candidate: Candidate) -> float:
    # An unreadable header comes last; the reader says what is wrong with it if there is no better image.
    if candidate.geometry is None:
        return float("inf")
    return round(max(candidate.geometry.edges_mm) / EDGE_TOLERANCE_MM)


def number_of(label: str | None) -> int:
    """Return the number in a label such as that of ``run-``, 0 without any."""
    # An image without run- or echo- comes before the numbered ones.
    match = _NUMBER.search(label or "")
    return int(match[0]) if match else 0


def _difference(best: Candidate, other: Candidate) -> str:
    for ours, theirs, words in zip(_rank(best), _rank(other), _CRITERIA, strict=True):
        if ours != theirs:
            if words == "finer voxels" and best.geometry and other.geometry:
                return f"{words}, {max(best.geometry.edges_mm):.3g} mm against {max(other.geometry.edges_mm):.3g} mm"
            return words
    return _CRITERIA[-1]


def _sentence(best: Candidate, rest: Sequence[Candidate], excluded: bool) -> str:
    scan = best.scan
    name = scan.path.name
    note = ""
    if "ceagent" in scan.entities and scan.suffix == "T1w":
        note = "; it was acquired after contrast agent, which brightens vessels and membranes, and no other T1w exists"
    if not rest:
        only = f"the only usable {scan.suffix}" if excluded else f"the only {scan.suffix}"
        return f"{name} is {only} of the session{note}."
    reasons = "; ".join(dict.fromkeys(_difference(best, other) for other in rest))
    return f"{name} was chosen among {len(rest) + 1} {scan.suffix} images: {reasons}{note}."
