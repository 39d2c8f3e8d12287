# SPDX-License-Identifier: Apache-2.0
"""Volumes that SAMSEG measured, with its lesions: `samseg.stats` and `sbtiv.stats` in, ours out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bids_msvol.engines.stats_result import LABELS_NOTE, LESIONS, StatsResult, SumCheck, usable_etiv
from bids_msvol.engines.stats_text import AGAIN, StatsText, read_stats_text
from bids_msvol.errors import DataError
from bids_msvol.structures import STRUCTURES

INTRACRANIAL = "Intra-Cranial"
"""The line of the intracranial volume, in `sbtiv.stats` or among the structures."""

OTHER_NUMBERS: Mapping[str, int] = {
    "Unknown": 0,
    "Left-undetermined": 29,
    "Left-vessel": 30,
    "Left-choroid-plexus": 31,
    "Right-undetermined": 61,
    "Right-vessel": 62,
    "Right-choroid-plexus": 63,
    "5th-Ventricle": 72,
    "WM-hypointensities": 77,
    "non-WM-hypointensities": 80,
    "Optic-Chiasm": 85,
    "Lesions": LESIONS,
    "Skull": 165,
    "Soft_Nonbrain_Tissue": 258,
    "Fluid_Inside_Eyes": 259,
}
"""Numbers in FreeSurfer's colour table of what SAMSEG measures besides our structures."""

OUTSIDE = frozenset({0, 165, 258, 259})
"""Numbers of what lies outside the skull, or of the skull itself."""

INTRACRANIAL_TOLERANCE = 0.02
"""SAMSEG adds up a list of its structures that leaves out small ones."""

NOTES = (
    "Volumes are sums of probabilities.",
    LABELS_NOTE,
    "CSF is all fluid outside the ventricles and inside the skull, as in our own tables.",
    "eTIV is what SAMSEG segmented inside the skull (sbTIV), not an estimate from the alignment with an atlas.",
)
"""How SAMSEG defines its volumes."""


def read_samseg(stats: Path, sbtiv: Path | None = None) -> StatsResult:
    """Read what SAMSEG measured (Puonti 2016; with lesions, Cerri 2021).

    The files say neither which version wrote them nor how many lines they have. A file that lacks one of our structures
    is refused, for it was cut off or made with another atlas.

    Parameters
    ----------
    stats
        `samseg.stats`.
    sbtiv
        `sbtiv.stats`, which holds the intracranial volume; without it there is none, unless the first file has it.

    Raises
    ------
    NoInputError
        If a file does not exist or was not fetched.
    DataError
        If a file is empty, cut off, not in mm^3, or no such file.
    """
    text = read_stats_text(stats)
    numbers = {item.name: item.index for item in STRUCTURES} | dict(OTHER_NUMBERS)
    volumes: dict[int, float] = {}
    others: dict[str, float] = {}
    for name in text.measures:
        value = text.measure_mm3(name) or 0.0
        if name in numbers:
            volumes[numbers[name]] = value
        else:
            others[name] = value
    lacking = [item.name for item in STRUCTURES if item.index not in volumes]
    if lacking:
        raise DataError(
            f"lacks the structure {lacking[0]}: it was cut off, or is no table of SAMSEG", remedy=AGAIN, subject=stats
        )
    etiv, etiv_file = _intracranial(text, sbtiv)
    if etiv is not None:
        others[INTRACRANIAL] = etiv
    return StatsResult(
        program="SAMSEG",
        version=None,
        subject=None,
        longitudinal=is_longitudinal(stats),
        sources=tuple(dict.fromkeys((stats, etiv_file))),
        volumes_mm3=volumes,
        measures_mm3=others,
        etiv_mm3=etiv,
        lesion_volume_mm3=volumes.get(LESIONS),
        white_by_labels=True,
        checks=() if etiv is None else (_check_intracranial(volumes, etiv),),
        notes=NOTES,
    )


def is_longitudinal(path: Path) -> bool:
    """Say whether a file comes from SAMSEG's longitudinal stream: it writes each time point to ``tp001`` and so on."""
    return ".long." in path.parent.name or (path.parent.name.startswith("tp") and path.parent.name[2:].isdecimal())


def _intracranial(text: StatsText, sbtiv: Path | None) -> tuple[float | None, Path]:
    """Return the intracranial volume, and the file that it stands in."""
    if sbtiv is None:
        return usable_etiv(text.measure_mm3(INTRACRANIAL), text.path), text.path
    value = read_stats_text(sbtiv).measure_mm3(INTRACRANIAL)
    if value is None:
        raise DataError(f"lacks the measure {INTRACRANIAL}", remedy=AGAIN, subject=sbtiv)
    return usable_etiv(value, sbtiv), sbtiv


def _check_intracranial(volumes: Mapping[int, float], etiv_mm3: float) -> SumCheck:
    inside = sum(value for number, value in volumes.items() if number not in OUTSIDE)
    return SumCheck("Intra-Cranial = all structures inside the skull", etiv_mm3, inside, INTRACRANIAL_TOLERANCE)
