# SPDX-License-Identifier: Apache-2.0
"""Made-up stats files of FreeSurfer, FastSurfer and SAMSEG, whose volumes and sums are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bids_msvol.structures import STRUCTURES

VOXEL_MM3 = 0.5

VOLUMES: Mapping[int, float] = {item.index: 1000.0 + 10.0 * item.index for item in STRUCTURES}
"""Volume of each of our structures."""

OTHERS: Mapping[int, tuple[str, float]] = {
    31: ("Left-choroid-plexus", 300.0),
    63: ("Right-choroid-plexus", 350.0),
    72: ("5th-Ventricle", 0.0),
    77: ("WM-hypointensities", 400.0),
    251: ("CC_Posterior", 500.0),
}
"""Structures that the programs have and we have not."""

ETIV = 200_000.0

COLUMNS = {"Index": "NA", "SegId": "NA", "NVoxels": "unitless", "Volume_mm3": "mm^3", "StructName": "NA"}
APARC_COLUMNS = {"StructName": "NA", "NumVert": "unitless", "SurfArea": "mm^2", "GrayVol": "mm^3", "ThickAvg": "mm"}

HEADERS = {
    "5.3": "cvs_version $Id: mri_segstats.c,v 1.75.2.9 2013/02/16 00:09:33 greve Exp $",
    "6.0": "cvs_version $Id: mri_segstats.c,v 1.121 2016/05/31 17:27:11 greve Exp $",
    "7.4.1": "cvs_version 7.4.1",
}


def add(*numbers: int) -> float:
    """Add up volumes of the samples."""
    every = dict(VOLUMES) | {number: volume for number, (_, volume) in OTHERS.items()}
    return sum(every[number] for number in numbers)


CORTEX, WHITE, CEREBELLUM = add(3, 42), add(2, 41), add(7, 8, 46, 47)
DEEP = add(10, 11, 12, 13, 17, 18, 26, 28, 49, 50, 51, 52, 53, 54, 58, 60)
NOT_VENT = CORTEX + WHITE + DEEP + CEREBELLUM
BRAIN = NOT_VENT + add(4, 5, 31, 43, 44, 63, 14, 15, 24)


def measures(version: str) -> dict[str, tuple[str, float]]:
    """Return FreeSurfer's totals: what stands in front of the name, and the volume."""
    word = "Cortical" if version == "5.3" else "Cerebral"
    return {
        "BrainSegVol": ("BrainSeg", BRAIN),
        "BrainSegVolNotVent": ("BrainSegNotVent", NOT_VENT),
        "BrainSegVolNotVentSurf": ("BrainSegNotVentSurf", NOT_VENT),
        "lhCortexVol": ("lhCortex", VOLUMES[3]),
        "rhCortexVol": ("rhCortex", VOLUMES[42]),
        "CortexVol": ("Cortex", CORTEX),
        f"lh{word}WhiteMatterVol": (f"lh{word}WhiteMatter", VOLUMES[2]),
        f"rh{word}WhiteMatterVol": (f"rh{word}WhiteMatter", VOLUMES[41]),
        f"{word}WhiteMatterVol": (f"{word}WhiteMatter", WHITE),
        "SubCortGrayVol": ("SubCortGray", DEEP),
        "TotalGrayVol": ("TotalGray", CORTEX + DEEP + add(8, 47)),
        "SupraTentorialVolNotVent": ("SupraTentorialNotVent", CORTEX + WHITE + DEEP),
        "MaskVol": ("Mask", 180_000.0),
        "eTIV": ("EstimatedTotalIntraCranialVol", ETIV),
    }


def measure_lines(totals: Mapping[str, tuple[str, float]]) -> list[str]:
    """Write totals as FreeSurfer does."""
    return [f"# Measure {short}, {name}, Some words, {value:.6f}, mm^3" for name, (short, value) in totals.items()]


def table(columns: Mapping[str, str], rows: list[str], *, count: bool = True) -> list[str]:
    """Write a table with its description."""
    lines = []
    for number, (name, unit) in enumerate(columns.items(), 1):
        lines += [f"# TableCol {number:2d} ColHeader {name} ", f"# TableCol {number:2d} Units     {unit}"]
    lines += [f"# NRows {len(rows)} "] if count else []
    return [*lines, f"# NTableCols {len(columns)} ", f"# ColHeaders  {' '.join(columns)}  ", *rows]


def write_aseg(path: Path, version: str = "7.4.1", subject: str = "sub-01", *, etiv: float = ETIV) -> Path:
    """Write `aseg.stats`: cortex and cerebral white matter only in the header."""
    totals = measures(version) | {"eTIV": ("EstimatedTotalIntraCranialVol", etiv)}
    names = {item.index: item.name for item in STRUCTURES} | {number: name for number, (name, _) in OTHERS.items()}
    rows: list[str] = []
    for number in sorted(names.keys() - {2, 3, 41, 42}):
        name = names[number] + ("-Proper" if version != "7.4.1" and number in (10, 49) else "")
        rows.append(f"{len(rows) + 1:3d} {number:3d} {add(number) / VOXEL_MM3:9.0f} {add(number):10.1f}  {name}  ")
    lines = [
        "# Title Segmentation Statistics ",
        "# ",
        "# generating_program mri_segstats",
        f"# {HEADERS[version]}",
        f"# subjectname {subject}",
        *(["# BrainVolStatsFixed see the wiki"] if version == "7.4.1" else []),
        *measure_lines(totals),
        f"# Measure BrainSegVol-to-eTIV, BrainSegVol-to-eTIV, Ratio of both, {BRAIN / etiv:.6f}, unitless",
        f"# VoxelVolume_mm3 {VOXEL_MM3} ",
        *table(COLUMNS, rows),
    ]
    return write(path, lines)


def write_aparc(path: Path, hemisphere: str, subject: str = "sub-01", *, etiv: float = ETIV) -> Path:
    """Write `lh.aparc.stats` with two regions, which are the cortex of that side, 2 and 3 mm thick."""
    volume = VOLUMES[3 if hemisphere == "lh" else 42]
    rows = [
        f"bankssts      1000  700 {0.25 * volume:8.1f}  2.000",
        f"insula        2000 1400 {0.75 * volume:8.1f}  3.000",
    ]
    lines = [
        "# Table of FreeSurfer cortical parcellation anatomical statistics ",
        f"# subjectname {subject}",
        f"# hemi {hemisphere}",
        "# Measure Cortex, NumVert, Number of Vertices, 3000, unitless",
        "# Measure Cortex, MeanThickness, Mean Thickness, 2.66667, mm",
        f"# Measure Cortex, CortexVol Total cortical gray matter volume, {CORTEX:.6f}, mm^3",
        f"# Measure EstimatedTotalIntraCranialVol, eTIV, Estimated Total Intracranial Volume, {etiv:.6f}, mm^3",
        *table(APARC_COLUMNS, rows, count=False),
    ]
    return write(path, lines)


def write_aseg_dkt(path: Path) -> Path:
    """Write `aseg+DKT.stats`: white matter in the table, and two regions of the cortex on each side."""
    names = {item.index: (item.name, VOLUMES[item.index]) for item in STRUCTURES if item.index not in (3, 42)}
    names |= dict(OTHERS)
    for number, side, first in ((3, "lh", 1000), (42, "rh", 2000)):
        names[first + 2] = (f"ctx-{side}-caudalanteriorcingulate", 0.25 * VOLUMES[number])
        names[first + 35] = (f"ctx-{side}-insula", 0.75 * VOLUMES[number])
    rows = [
        f"{row:2d} {number:4d} {volume / VOXEL_MM3:.0f} {volume:.3f} {name}"
        for row, (number, (name, volume)) in enumerate(sorted(names.items()), 1)
    ]
    header = ["# Title Segmentation Statistics", "#", "# generating_program segstats.py"]
    return write(path, [*header, f"# VoxelVolume_mm3 {VOXEL_MM3}", *table(COLUMNS, rows)])


def write_samseg(path: Path, *, lesions: float | None = 600.0, unit: str = "mm^3") -> Path:
    """Write `samseg.stats`, with what lies outside the brain."""
    names = {item.name: VOLUMES[item.index] for item in STRUCTURES}
    names |= {"Unknown": 90_000.0, "Skull": 9_000.0, "Left-choroid-plexus": 300.0}
    names |= {} if lesions is None else {"Lesions": lesions}
    return write(path, [f"# Measure {name}, {volume:.6f}, {unit}" for name, volume in names.items()])


def write(path: Path, lines: list[str]) -> Path:
    """Write lines, and make the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
