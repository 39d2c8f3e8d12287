# SPDX-License-Identifier: Apache-2.0
"""The totals that FreeSurfer states, against their parts: files that were edited or mixed up show here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bids_msvol.engines.stats_result import StatsResult, SumCheck, total_mm3
from bids_msvol.engines.stats_text import StatsText

SEGMENT, VOLUME, NAME, VOXELS = "SegId", "Volume_mm3", "StructName", "NVoxels"
"""Columns of a table of structures."""

ETIV = "EstimatedTotalIntraCranialVol"
"""FreeSurfer's name of the intracranial volume."""

RATIO = "BrainSegVol-to-eTIV"

ROUNDING = 1e-5
"""For sums of numbers of one header."""

EXACT = 0.001
"""For totals that are counted from the same labels as the table. On real data the difference is 0."""

NEAR = 0.01
"""For sums that leave out the optic chiasm and vessels (0.1 %), and for totals of versions before 7."""

PARTLY = 0.03
"""For one volume in two ways: voxels and partial volume, or vertices and surfaces."""

EARLY_DEEP = 0.06
"""Version 5.3 counted its header on other labels than its table: deep grey matter differs by 3 to 4 %."""

FIXED = "BrainVolStatsFixed"
"""Line in the header since version 7, which counts header and table on the same labels."""

SUBCORTICAL = (10, 11, 12, 13, 17, 18, 26, 28, 49, 50, 51, 52, 53, 54, 58, 60)
"""Members of ``SubCortGrayVol``: the deep grey matter with the ventral diencephalon."""

CHOROID_VENTRICLES = (4, 5, 31, 43, 44, 63)
"""Members of ``VentricleChoroidVol``."""

FLUID = (*CHOROID_VENTRICLES, 14, 15, 24)
"""What ``BrainSegVol`` has and ``BrainSegVolNotVent`` has not."""

Term = str | tuple[int, ...]
"""A measure by name, or structures by number, which are taken as FreeSurfer adds them: whole voxels."""


@dataclass(frozen=True)
class Definition:
    """One total and what it is made of, with tolerances since version 7 and before."""

    name: str
    stated: tuple[Term, ...]
    parts: tuple[Term, ...]
    tolerance: float
    tolerance_before: float


OUR_BRAIN, FROM_RATIO = "WholeBrain", "BrainSegVol-to-eTIV x eTIV"
"""Volumes that are worked out here, not stated."""

DEFINITIONS = (
    Definition("CortexVol = left + right", ("CortexVol",), ("lhCortexVol", "rhCortexVol"), ROUNDING, ROUNDING),
    Definition(
        "CerebralWhiteMatterVol = left + right",
        ("CerebralWhiteMatterVol",),
        ("lhCerebralWhiteMatterVol", "rhCerebralWhiteMatterVol"),
        *(ROUNDING, ROUNDING),
    ),
    Definition(f"BrainSegVol = {FROM_RATIO}", ("BrainSegVol",), (FROM_RATIO,), ROUNDING, ROUNDING),
    Definition(
        "SubCortGrayVol = DeepGray + ventral diencephalon", ("SubCortGrayVol",), (SUBCORTICAL,), EXACT, EARLY_DEEP
    ),
    Definition(
        "TotalGrayVol = CortexVol + SubCortGrayVol + cerebellar cortex",
        ("TotalGrayVol",),
        ("CortexVol", "SubCortGrayVol", (8, 47)),
        *(EXACT, NEAR),
    ),
    Definition(
        "BrainSegVolNotVentSurf = SupraTentorialVolNotVent + cerebellum",
        ("BrainSegVolNotVentSurf",),
        ("SupraTentorialVolNotVent", (7, 8, 46, 47)),
        *(EXACT, NEAR),
    ),
    Definition(
        "VentricleChoroidVol = lateral ventricles + choroid plexus",
        ("VentricleChoroidVol",),
        (CHOROID_VENTRICLES,),
        *(EXACT, PARTLY),
    ),
    Definition(
        "BrainSegVol = BrainSegVolNotVent + ventricles, choroid plexus and CSF",
        ("BrainSegVol",),
        ("BrainSegVolNotVent", FLUID),
        *(EXACT, NEAR),
    ),
    Definition(
        "SupraTentorialVolNotVent = CortexVol + CerebralWhiteMatterVol + SubCortGrayVol",
        ("SupraTentorialVolNotVent",),
        ("CortexVol", "CerebralWhiteMatterVol", "SubCortGrayVol"),
        *(NEAR, NEAR),
    ),
    Definition(
        f"BrainSegVolNotVent + brainstem = our {OUR_BRAIN}", ("BrainSegVolNotVent", (16,)), (OUR_BRAIN,), NEAR, NEAR
    ),
)
"""FreeSurfer's totals as its page on morphometry statistics defines them; ``BrainSegVol`` is without brainstem."""


def check_totals(text: StatsText, result: StatsResult) -> tuple[SumCheck, ...]:
    """Compare the totals of FreeSurfer with their parts, as far as both are given.

    Parameters
    ----------
    text
        `aseg.stats`.
    result
        What it was read as, together with the other files.
    """
    known = dict(result.measures_mm3)
    ratio, etiv, brain = text.measures.get(RATIO), text.measure_mm3(ETIV), result.sum_mm3(OUR_BRAIN)
    if ratio is not None and etiv is not None:
        known[FROM_RATIO] = ratio.value * etiv
    if brain is not None:
        known[OUR_BRAIN] = brain
    counted = dict(result.volumes_mm3)
    voxel_mm3 = _voxel_mm3(text)
    if voxel_mm3 is not None:
        counted |= {int(text.number(row, SEGMENT)): text.number(row, VOXELS) * voxel_mm3 for row in text.rows}
    checks = []
    for item in DEFINITIONS:
        stated, parts = (_add(terms, known, counted) for terms in (item.stated, item.parts))
        if stated is not None and parts is not None:
            tolerance = item.tolerance if FIXED in text.header else item.tolerance_before
            checks.append(SumCheck(item.name, stated, parts, tolerance))
    return tuple(checks)


def check_voxels(text: StatsText) -> tuple[SumCheck, ...]:
    """Compare the volumes of a table with its voxels; other units than stated show here."""
    voxel_mm3 = _voxel_mm3(text)
    if voxel_mm3 is None:
        return ()
    stated, voxels = (sum(text.number(row, column) for row in text.rows) for column in (VOLUME, VOXELS))
    return (SumCheck("all structures = voxels x volume of a voxel", stated, voxels * voxel_mm3, PARTLY),)


def check_regions(result: StatsResult) -> tuple[SumCheck, ...]:
    """Compare the cortex of each hemisphere with its regions."""
    checks = []
    for hemisphere, number in (("lh", 3), ("rh", 42)):
        volumes = [region.volume_mm3 for region in result.regions if region.hemisphere == hemisphere]
        stated = result.volumes_mm3.get(number)
        if volumes and stated is not None:
            checks.append(SumCheck(f"{hemisphere}CortexVol = its regions", stated, sum(volumes), PARTLY))
    return tuple(checks)


def _voxel_mm3(text: StatsText) -> float | None:
    """Return the volume of a voxel, if the table counts voxels."""
    try:
        return float(text.header["VoxelVolume_mm3"]) if VOXELS in text.columns else None
    except (KeyError, ValueError):
        return None


def _add(terms: tuple[Term, ...], known: Mapping[str, float], counted: Mapping[int, float]) -> float | None:
    total = 0.0
    for term in terms:
        value = known.get(term) if isinstance(term, str) else total_mm3(counted, term)
        if value is None:
            return None
        total += value
    return total
