# SPDX-License-Identifier: Apache-2.0
"""Volumes and cortical thickness that FreeSurfer measured: its stats files in, ours out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bids_msvol.engines.freesurfer_sums import ETIV, NAME, SEGMENT, VOLUME, check_regions, check_totals, check_voxels
from bids_msvol.engines.stats_result import LABELS_NOTE, Program, Region, StatsResult, check_name, usable_etiv
from bids_msvol.engines.stats_text import AGAIN, MM3, StatsText, read_stats_text
from bids_msvol.errors import DataError

SURFACE_VOLUMES: Mapping[int, str] = {
    2: "lhCerebralWhiteMatterVol",
    41: "rhCerebralWhiteMatterVol",
    3: "lhCortexVol",
    42: "rhCortexVol",
}
"""Structures that are measured between surfaces, not counted: they are in the header, not in the table."""

REVISIONS: Mapping[str, str] = {"1.75.2.9": "5.3", "1.121": "6.0"}
"""Revisions of `mri_segstats` and the versions of FreeSurfer they came with; later ones name the version itself.
Version 5.2, which was withdrawn, may have had the revision of 5.3."""

APARC_COLUMNS: Mapping[str, str] = {"StructName": "", "ThickAvg": "mm", "SurfArea": "mm^2", "GrayVol": MM3}
"""Columns of a table of the cortex, and their units."""

SAME_RUN = 0.001
"""The intracranial volume is the same in all files of one run; they differ by rounding only."""

NOTES = (
    "Cortex and cerebral white matter are measured between surfaces. The white matter holds hypointensities (lesions "
    "that are dark on the T1w), and the corpus callosum.",
    "CSF is FreeSurfer's structure 24, the fluid around the third ventricle, and not all fluid inside the skull.",
    "WholeBrain, TotalGray and TotalWhite are added from structures as in our own tables. FreeSurfer's BrainSegVol is "
    "without the brainstem and with the ventricles; its TotalGrayVol is with the ventral diencephalon.",
    "eTIV is estimated from the size of the head's alignment with an atlas.",
)
"""How FreeSurfer defines its volumes."""


def read_freesurfer(
    aseg: Path, *, brainvol: Path | None = None, lh_aparc: Path | None = None, rh_aparc: Path | None = None
) -> StatsResult:
    """Read what FreeSurfer, 5.3 to 7.4, measured in one session (Fischl 2002, Fischl 2012).

    Parameters
    ----------
    aseg
        `aseg.stats`: structures, and in its header cortex, white matter and totals.
    brainvol
        `brainvol.stats`, written since version 7: totals that are not in the first file's header.
    lh_aparc, rh_aparc
        Tables of the regions of the cortex, of any atlas.

    Raises
    ------
    NoInputError
        If a file does not exist or was not fetched.
    DataError
        If a file is empty, cut off, in other units, no such file, or the files are not of one run.
    """
    text = read_stats_text(aseg)
    totals = [text, *(read_stats_text(path) for path in (brainvol,) if path is not None)]
    cortex = {hemi: read_stats_text(path) for hemi, path in (("lh", lh_aparc), ("rh", rh_aparc)) if path is not None}
    texts = [*totals, *cortex.values()]
    _check_same_run(text, texts[1:])
    measures: dict[str, float] = {}
    for one in reversed(texts):
        measures |= one.volumes_mm3()
    counted = read_segments(text)
    surfaces = {
        number: value
        for number, name in SURFACE_VOLUMES.items()
        if number not in counted and (value := _first(totals, name)) is not None
    }
    regions = tuple(region for hemi, one in cortex.items() for region in _regions(one, hemi))
    white_by_labels = {2, 41} <= counted.keys()
    result = StatsResult(
        program=_program(text),
        version=version_of(text),
        subject=text.header.get("subjectname"),
        longitudinal=is_longitudinal(text),
        sources=tuple(one.path for one in texts),
        volumes_mm3=dict(sorted((counted | surfaces).items())),
        measures_mm3=measures,
        etiv_mm3=usable_etiv(_first(texts, ETIV), aseg),
        regions=regions,
        mean_thickness_mm={
            hemi: measure.value for hemi, one in cortex.items() if (measure := one.measures.get("MeanThickness"))
        },
        white_by_labels=white_by_labels,
        notes=(*NOTES, LABELS_NOTE) if white_by_labels else NOTES,
    )
    return replace(result, checks=(*check_voxels(text), *check_totals(text, result), *check_regions(result)))


def read_segments(text: StatsText) -> dict[int, float]:
    """Return the volumes of a table of structures, in mm3 by FreeSurfer number.

    Raises
    ------
    DataError
        If it is no such table, or has a structure twice or under another name.
    """
    text.check_columns({SEGMENT: "", NAME: "", VOLUME: MM3})
    volumes: dict[int, float] = {}
    for row in text.rows:
        number = int(text.number(row, SEGMENT))
        check_name(number, row[1][NAME], text.path)
        if number in volumes:
            raise DataError(f"holds the structure {number} twice", remedy=AGAIN, subject=text.path)
        volumes[number] = text.number(row, VOLUME)
    return volumes


def version_of(text: StatsText) -> str | None:
    """Return the version of FreeSurfer, or of the program itself where that does not tell it.

    Up to version 6 the header has the revision of `mri_segstats`, since version 7 the version of FreeSurfer.
    """
    stated = text.header.get("cvs_version", "")
    words = stated.removeprefix("$Id:").split()
    if not stated.startswith("$Id:"):
        return stated or None
    if len(words) < 3:
        return None
    return REVISIONS.get(words[1], f"{words[0].removesuffix(',v')} {words[1]} of {words[2]}")


def is_longitudinal(text: StatsText) -> bool:
    """Say whether a file comes from the longitudinal stream, whose folders are called ``session.long.template``."""
    names = (text.header.get("subjectname", ""), *(part.name for part in list(text.path.parents)[:2]))
    return any(".long." in name for name in names)


def _program(text: StatsText) -> Program:
    # FastSurfer writes files of the same names, in part by programs of its own.
    return "FastSurfer" if text.header.get("generating_program", "").endswith(".py") else "FreeSurfer"


def _first(texts: Sequence[StatsText], name: str) -> float | None:
    return next((value for text in texts if (value := text.measure_mm3(name)) is not None), None)


def _check_same_run(aseg: StatsText, others: Sequence[StatsText]) -> None:
    """Check that all files are of one person and run."""
    etiv = aseg.measure_mm3(ETIV)
    for other in others:
        for_whom, whose = (text.header.get("subjectname") for text in (aseg, other))
        value = other.measure_mm3(ETIV)
        problem = None
        if for_whom and whose and for_whom != whose:
            problem = f"is of {whose}, but {aseg.path.name} of {for_whom}"
        elif etiv is not None and value is not None and abs(value - etiv) > SAME_RUN * etiv:
            problem = f"gives {value:.0f} mm^3 as intracranial volume, but {aseg.path.name} {etiv:.0f} mm^3"
        if problem:
            raise DataError(problem, remedy="Keep the files of one run in one folder", subject=other.path)


def _regions(text: StatsText, hemisphere: str) -> list[Region]:
    text.check_columns(APARC_COLUMNS)
    stated = text.header.get("hemi", hemisphere)
    if stated != hemisphere:
        raise DataError(
            f"is of the hemisphere {stated}, not {hemisphere}", remedy="Correct the name of the file", subject=text.path
        )
    return [
        Region(
            hemisphere,
            row[1]["StructName"],
            thickness_mm=text.number(row, "ThickAvg"),
            area_mm2=text.number(row, "SurfArea"),
            volume_mm3=text.number(row, "GrayVol"),
        )
        for row in text.rows
    ]
