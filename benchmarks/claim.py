# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bids_msvol.atlas import HeadAtlas


class MissingDataError(Exception):
    """Reference data that a benchmark needs are not there."""


@dataclass(frozen=True)
class Options:
    """How benchmarks are run.

    Attributes
    ----------
    data
        Folder of the reference data, ``None`` if not given.
    quick
        Fewer cases: to see that a benchmark works, not to publish its figures.
    resolution_mm
        Edge of the working voxels.
    atlas
        Atlas file to use in place of the shipped one.
    pictures
        Folder for pictures; none are made without it.
    """

    data: Path | None = None
    quick: bool = False
    resolution_mm: float = 1.0
    atlas: Path | None = None
    pictures: Path | None = None

    def need(self, name: str) -> Path:
        """Return a file or folder of the reference data.

        Raises
        ------
        MissingDataError
            If it is not there.
        """
        if self.data is None:
            raise MissingDataError("no folder of reference data was given (--data, or $BIDS_MSVOL_DATA)")
        if not (self.data / name).exists():
            raise MissingDataError(f"{self.data / name} does not exist")
        return self.data / name

    def load_atlas(self) -> HeadAtlas:
        """Load the atlas to measure with."""
        from bids_msvol.atlas import load_atlas

        return load_atlas(self.atlas)


@dataclass(frozen=True)
class Table:
    """A table of figures; the last column is usually the verdict."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Measure:
    """Figures that the reports print: by structure (FreeSurfer name without its side) or sum."""

    data: str
    cases: int
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Findings:
    """What a benchmark found.

    Attributes
    ----------
    claim
        What was measured, one sentence.
    data
        On which images, with their source.
    peers
        What other programs reach, with the source; empty if nobody has published it.
    tables
        The figures.
    notes
        What a reader must know to judge them.
    measures
        Figures for the reports, by their key there.
    """

    claim: str
    data: str
    tables: tuple[Table, ...]
    peers: str = ""
    notes: tuple[str, ...] = ()
    measures: Mapping[str, Measure] = field(default_factory=dict)


def verdict(value: float | None, target: float | None, side: Literal["at least", "at most"]) -> str:
    """Return ``pass`` or ``miss``; a dash where there is no target, ``miss`` where there is no value."""
    if target is None:
        return "–"  # noqa: RUF001
    if value is None or value != value:
        return "miss"
    met = value >= target if side == "at least" else value <= target
    return "pass" if met else "miss"


def number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Return a number as text, ``n/a`` where there is none."""
    if value is None or value != value:
        return "n/a"
    return f"{value:{'+' if sign else ''}.{digits}f}"
