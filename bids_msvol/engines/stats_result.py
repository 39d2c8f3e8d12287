# SPDX-License-Identifier: Apache-2.0
"""Volumes that another program measured, as rows of our table of volumes, and whether its sums agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bids_msvol.errors import DataError
from bids_msvol.structures import ETIV_NAME, STRUCTURES, SUMS

Program = Literal["FreeSurfer", "FastSurfer", "SAMSEG"]
"""Programs whose volumes can be read."""

LESIONS = 99
"""FreeSurfer's number for lesions, which SAMSEG uses."""

UNSIDED_WHITE = (77, 78, 79, LESIONS, 251, 252, 253, 254, 255)
"""White matter that programs keep apart: hypointensities, lesions, and the corpus callosum. FreeSurfer's surfaces
enclose it, so its cerebral white matter holds it already; where white matter was counted by labels it is added to the
sums ``WholeBrain`` and ``TotalWhite``, else a person with more lesions would have less brain."""

WITH_UNSIDED_WHITE = frozenset({"WholeBrain", "TotalWhite"})
"""Sums to which it is added."""

LABELS_NOTE = (
    "Hypointensities, lesions and the corpus callosum, where the program keeps them apart, are in the sums WholeBrain "
    "and TotalWhite, but in no structure."
)
"""How sums are made where white matter was counted by labels."""


@dataclass(frozen=True)
class Region:
    """One region of the cortex.

    Attributes
    ----------
    hemisphere
        ``lh`` or ``rh``.
    name
        FreeSurfer's name, such as ``bankssts``.
    thickness_mm
        Mean thickness.
    area_mm2
        Area of its white surface.
    volume_mm3
        Volume of its grey matter.
    """

    hemisphere: str
    name: str
    thickness_mm: float
    area_mm2: float
    volume_mm3: float


@dataclass(frozen=True)
class SumCheck:
    """One sum that a program states, against its parts.

    Attributes
    ----------
    name
        What was compared.
    stated_mm3
        What the program states.
    added_mm3
        What its parts add up to.
    tolerance
        Relative difference up to which they agree.
    """

    name: str
    stated_mm3: float
    added_mm3: float
    tolerance: float

    @property
    def difference(self) -> float:
        """Relative difference; positive if the parts are more."""
        if self.stated_mm3 == 0.0:
            return 0.0 if self.added_mm3 == 0.0 else float("inf")
        return self.added_mm3 / self.stated_mm3 - 1.0

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance."""
        return abs(self.difference) <= self.tolerance


@dataclass(frozen=True)
class StatsResult:
    """What another program measured in one session.

    Attributes
    ----------
    program
        Which one.
    version
        As its files tell; ``None`` if they do not.
    subject
        How the program called the person or session; ``None`` if its files do not say.
    longitudinal
        Whether it is a result of the longitudinal stream (``.long.``).
    sources
        The files that were read.
    volumes_mm3
        Volumes by FreeSurfer number: all that the program gives, not only the structures of our tables.
    measures_mm3
        The program's own sums and totals by its own names, such as ``BrainSegVolNotVent``.
    etiv_mm3
        Intracranial volume.
    lesion_volume_mm3
        Lesions, where the program looked for them; hypointensities on a T1w are not counted as that.
    regions
        Regions of the cortex, left ones first.
    mean_thickness_mm
        Mean thickness of the cortex by hemisphere, ``lh`` and ``rh``.
    white_by_labels
        Whether white matter was counted by labels, so that `UNSIDED_WHITE` lies outside it.
    checks
        Sums that the program states, against their parts.
    notes
        How its volumes are defined where that differs from ours.
    """

    program: Program
    version: str | None
    subject: str | None
    longitudinal: bool
    sources: tuple[Path, ...]
    volumes_mm3: Mapping[int, float]
    measures_mm3: Mapping[str, float]
    etiv_mm3: float | None
    lesion_volume_mm3: float | None = None
    regions: tuple[Region, ...] = ()
    mean_thickness_mm: Mapping[str, float] = field(default_factory=dict)
    white_by_labels: bool = False
    checks: tuple[SumCheck, ...] = ()
    notes: tuple[str, ...] = ()

    def sum_mm3(self, name: str) -> float | None:
        """Return one of our sums, such as ``WholeBrain``; ``None`` if one of its structures is missing.

        Raises
        ------
        KeyError
            If we have no such sum.
        """
        members = {item.name: item.members for item in SUMS}[name]
        total = total_mm3(self.volumes_mm3, members)
        if total is None or not self.white_by_labels or name not in WITH_UNSIDED_WHITE:
            return total
        return total + sum(self.volumes_mm3.get(number, 0.0) for number in UNSIDED_WHITE)


def total_mm3(volumes_mm3: Mapping[int, float], members: Iterable[int]) -> float | None:
    """Add volumes by FreeSurfer number; ``None`` if one is missing."""
    found = [volumes_mm3.get(number) for number in members]
    return None if None in found else sum(value for value in found if value is not None)


def stats_rows(result: StatsResult) -> list[dict[str, object]]:
    """Return volumes as rows of our table of volumes: structures, then sums, then the intracranial volume.

    Sums are added from structures as in our own tables, so that they mean the same whoever measured them; the
    program's own totals are in `StatsResult.measures_mm3`.

    Returns
    -------
    list of dict
        ``index``, ``name``, ``volume_mm3`` and ``volume_pct_etiv``; what the program does not give is ``None``.
    """
    rows: list[tuple[int | None, str, float | None]] = [
        (item.index, item.name, result.volumes_mm3.get(item.index)) for item in STRUCTURES
    ]
    rows += [(None, item.name, result.sum_mm3(item.name)) for item in SUMS]
    rows.append((None, ETIV_NAME, result.etiv_mm3))
    etiv = result.etiv_mm3
    return [
        {
            "index": index,
            "name": name,
            "volume_mm3": value,
            "volume_pct_etiv": 100.0 * value / etiv if etiv and value is not None else None,
        }
        for index, name, value in rows
    ]


def check_name(number: int, name: str, path: Path) -> None:
    """Check that a structure has the name that FreeSurfer gives to its number.

    Names of some versions are longer than ours: ``Left-Thalamus-Proper`` and ``Left-Thalamus-Proper*``.

    Raises
    ------
    DataError
        If it has another name, as happens with a colour table of one's own.
    """
    expected = {item.index: item.name for item in STRUCTURES}.get(number, name)
    if not name.startswith(expected):
        raise DataError(
            f"calls the structure {number} {name}, which is {expected} in FreeSurfer's colour table",
            remedy="Give volumes that were made with FreeSurfer's colour table",
            subject=path,
        )


def usable_etiv(value_mm3: float | None, path: Path) -> float | None:
    """Return an intracranial volume.

    Raises
    ------
    DataError
        If it is 0, as after a failed alignment with the atlas.
    """
    if value_mm3 == 0.0:
        raise DataError(
            "gives 0 as intracranial volume",
            remedy="Look at the alignment with the atlas (talairach.xfm) and run the program again",
            subject=path,
        )
    return value_mm3
