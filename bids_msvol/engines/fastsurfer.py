# SPDX-License-Identifier: Apache-2.0
"""Volumes that FastSurfer counted by labels alone: `aseg+DKT.stats` in, ours out."""

from __future__ import annotations

from pathlib import Path

from bids_msvol.engines.freesurfer import is_longitudinal, read_segments, version_of
from bids_msvol.engines.freesurfer_sums import ETIV, check_voxels
from bids_msvol.engines.stats_result import LABELS_NOTE, StatsResult, usable_etiv
from bids_msvol.engines.stats_text import read_stats_text

CORTEX = {3: range(1000, 1036), 42: range(2000, 2036)}
"""Numbers of the regions that make up the cortex of each side."""

NOTES = (
    "Volumes are counted by labels with partial volume; cortex is the sum of its regions, not measured between "
    "surfaces.",
    LABELS_NOTE,
    "CSF is FreeSurfer's structure 24, the fluid around the third ventricle, and not all fluid inside the skull.",
)
"""How FastSurfer defines its volumes."""


def read_fastsurfer(stats: Path) -> StatsResult:
    """Read what FastSurfer's segmentation, without surfaces, measured in one session (Henschel 2020).

    Where FastSurfer made surfaces as well, its `aseg.stats` is like FreeSurfer's, and `read_freesurfer` reads it.

    Parameters
    ----------
    stats
        `aseg+DKT.stats`. Older versions give no intracranial volume.

    Raises
    ------
    NoInputError
        If the file does not exist or was not fetched.
    DataError
        If it is empty, cut off, in other units, or no such file.
    """
    text = read_stats_text(stats)
    volumes = read_segments(text)
    for number, regions in CORTEX.items():
        found = [volumes[region] for region in regions if region in volumes]
        if found:
            volumes.setdefault(number, sum(found))
    return StatsResult(
        program="FastSurfer",
        version=version_of(text),
        subject=text.header.get("subjectname"),
        longitudinal=is_longitudinal(text),
        sources=(stats,),
        volumes_mm3=dict(sorted(volumes.items())),
        measures_mm3=text.volumes_mm3(),
        etiv_mm3=usable_etiv(text.measure_mm3(ETIV), stats),
        white_by_labels=True,
        checks=check_voxels(text),
        notes=NOTES,
    )
