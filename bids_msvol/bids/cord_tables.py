# SPDX-License-Identifier: Apache-2.0
"""The tables about the cervical cord, declared as data like those of `bids_msvol.bids.tables`."""

from __future__ import annotations

from bids_msvol.bids.tabular import (
    CHANGE_PER_YEAR,
    DAYS_BETWEEN,
    FRACTION_DECIMALS,
    MM3_DECIMALS,
    PAIR_COLUMNS,
    PERCENT_DECIMALS,
    Column,
    Table,
)

MM_DECIMALS = 2
MM2_DECIMALS = 2

SOURCES = {
    "head-T1w": "outlined by bids_msvol on the T1w of the head",
    "cord-T2w": "outlined by bids_msvol on a T2w of the cord",
    "cord-T1w": "outlined by bids_msvol on a T1w of the cord",
    "cord-T2starw": "outlined by bids_msvol on a T2*w of the cord",
    "sct": "table of Spinal Cord Toolbox that was given",
    "sct-mask": "mask that was given or made by Spinal Cord Toolbox, measured by bids_msvol",
}

LEVELS_BY = {
    "labels": "labels that were given",
    "discs": "discs found in the image, numbered by their distance from the pontomedullary junction",
    "junction": "distance from the pontomedullary junction along the centreline",
    "sct": "Spinal Cord Toolbox",
}

_LEVEL = Column(
    "level",
    "C1 to C7; C2-C3: the 20 mm around the disc C2/C3 (in tables of Spinal Cord Toolbox, the levels C2 and C3); C1-C7: "
    "all of these that was measured; visible: all sections, where levels are unknown.",
)
_SOURCE = Column("source", "What was measured.", levels=SOURCES)
_CSA = Column(
    "csa_mm2", "Mean cross-sectional area, corrected for the angle of the cord.", "number", "mm^2", MM2_DECIMALS
)
_DIAMETERS = (
    Column("ap_diameter_mm", "Mean diameter from front to back.", "number", "mm", MM_DECIMALS),
    Column("rl_diameter_mm", "Mean diameter from side to side.", "number", "mm", MM_DECIMALS),
    Column("eccentricity", "Mean eccentricity: 0 for a circle.", "number", decimals=FRACTION_DECIMALS),
)

CORD = Table(
    "Cord by level",
    "*_seg-cord_morph.tsv",
    "One row for each level of the cervical cord and each image on which it was measured, of one session.",
    (
        _LEVEL,
        _CSA,
        *_DIAMETERS,
        Column("n_slices", "Sections that were measured and believed.", "integer"),
        Column("coverage", "Share of the level that they cover.", "number", decimals=FRACTION_DECIMALS),
        _SOURCE,
        Column("levels_by", "What told the levels.", levels=LEVELS_BY),
        Column("length_mm", "Length along the centreline of what was measured.", "number", "mm", MM_DECIMALS),
        Column("volume_mm3", "Its volume; divided by the length it is the mean area.", "number", "mm^3", MM3_DECIMALS),
        Column(
            "csa_etiv_mm2",
            "Mean area as it would be in a head of 1500 mL, if areas go with the intracranial volume to the power 2/3; "
            "beside the area, not instead of it.",
            "number",
            "mm^2",
            MM2_DECIMALS,
        ),
        Column("reason", "Why there is no area."),
    ),
)

CORD_SECTIONS = Table(
    "Sections of the cord",
    "*_seg-cord_desc-sections_morph.tsv",
    "One row for each section of the cord and each image on which it was measured, of one session, from the highest "
    "down: the centreline and what was measured across it.",
    (
        _SOURCE,
        Column("x_mm", "Centre, towards the right, in the world of the image.", "number", "mm", MM_DECIMALS),
        Column("y_mm", "Centre, towards the front.", "number", "mm", MM_DECIMALS),
        Column("z_mm", "Centre, towards the top.", "number", "mm", MM_DECIMALS),
        Column(
            "distance_mm",
            "Position along the centreline, downward, from the section nearest to the top.",
            "number",
            "mm",
            MM_DECIMALS,
        ),
        Column(
            "average_mm",
            "Where it lies in the average cord, mm below the pontomedullary junction: what tells the level.",
            "number",
            "mm",
            MM_DECIMALS,
        ),
        Column("level", "C1 to C7."),
        Column("csa_mm2", "Area, corrected for the angle of the cord.", "number", "mm^2", MM2_DECIMALS),
        Column("ap_diameter_mm", "Diameter from front to back.", "number", "mm", MM_DECIMALS),
        Column("rl_diameter_mm", "Diameter from side to side.", "number", "mm", MM_DECIMALS),
        Column("eccentricity", "0 for a circle.", "number", decimals=FRACTION_DECIMALS),
        Column("tilt_deg", "Angle between the cord and the normal of the section.", "number", "degree", 1),
        Column("believed", "Whether it counts.", levels={"yes": "it counts", "no": "left out"}),
    ),
)

CORD_CHANGE = Table(
    "Change of the cord",
    "sub-*_seg-cord_desc-change_morph.tsv",
    "One row for each pair of sessions, kind of image and level: the same stretch of the cord in both sessions.",
    (
        *PAIR_COLUMNS,
        DAYS_BETWEEN,
        _LEVEL,
        _SOURCE,
        Column("coverage", "Share of the level measured in both.", "number", decimals=FRACTION_DECIMALS),
        Column("change_mm2", "Later minus earlier mean area.", "number", "mm^2", MM2_DECIMALS),
        Column("change_pct", "The same in per cent of the earlier area.", "number", "percent", PERCENT_DECIMALS),
        CHANGE_PER_YEAR,
    ),
)
