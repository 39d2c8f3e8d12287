# SPDX-License-Identifier: Apache-2.0
"""The tables that are written, declared as data for the code that writes and reads them and for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bids_msvol.bids.cord_tables import CORD, CORD_CHANGE, CORD_SECTIONS
from bids_msvol.bids.lesion_tables import ACTIVITY, ACTIVITY_COLUMNS, ENHANCEMENT, GD_COLUMNS, LESION_SUMMARY, LESIONS
from bids_msvol.bids.tabular import (
    CHANGE_PER_YEAR,
    DAYS_BETWEEN,
    DAYS_DECIMALS,
    FRACTION_DECIMALS,
    MM3_DECIMALS,
    PAIR_COLUMNS,
    PERCENT_DECIMALS,
    Column,
    Table,
)
from bids_msvol.structures import SUMS


@dataclass(frozen=True)
class Headline:
    """A volume that appears in the table of sessions: the sum of rows of the volume table."""

    name: str
    rows: tuple[str, ...]
    description: str


def _both_sides(name: str) -> tuple[str, str]:
    return f"Left-{name}", f"Right-{name}"


_SUM_DESCRIPTIONS = {item.name: item.description for item in SUMS}

HEADLINES: tuple[Headline, ...] = (
    Headline("whole_brain", ("WholeBrain",), _SUM_DESCRIPTIONS["WholeBrain"]),
    Headline("total_gray", ("TotalGray",), _SUM_DESCRIPTIONS["TotalGray"]),
    Headline("total_white", ("TotalWhite",), _SUM_DESCRIPTIONS["TotalWhite"]),
    Headline("cortex", _both_sides("Cerebral-Cortex"), "cerebral, both sides"),
    Headline("deep_gray", ("DeepGray",), _SUM_DESCRIPTIONS["DeepGray"]),
    Headline("thalamus", _both_sides("Thalamus"), "both sides"),
    Headline("cerebellum", ("Cerebellum",), _SUM_DESCRIPTIONS["Cerebellum"]),
    Headline("ventricles", ("Ventricles",), _SUM_DESCRIPTIONS["Ventricles"]),
)
"""Volumes of the table of sessions."""

VERDICTS = {
    "pass": "nothing found",
    "warn": "look at the images before using the numbers",
    "fail": "the numbers concerned are withheld, or must not be used",
}

VOLUMES = Table(
    "Volumes of structures",
    "*_seg-structures_morph.tsv",
    "One row for each structure, then for each sum of structures, then for the intracranial volume, of one session.",
    (
        Column("index", "Number in FreeSurfer's colour table; n/a for sums and the intracranial volume.", "integer"),
        Column("name", "FreeSurfer's name of the structure, or the name of a sum."),
        Column("volume_mm3", "Volume, partial volume counted.", "number", "mm^3", MM3_DECIMALS),
        Column(
            "volume_pct_etiv",
            "The same in per cent of the estimated total intracranial volume.",
            "number",
            "percent",
            PERCENT_DECIMALS,
        ),
    ),
)

QUALITY = Table(
    "Quality",
    "*_desc-quality_stat.tsv",
    "One row for each quality metric of one session.",
    (
        Column("metric", "Name of the metric, with its unit."),
        Column("value", "Its value.", "number", decimals=4),
        Column("verdict", "What the value means.", levels=VERDICTS),
        Column("reason", "Why the verdict is not pass."),
    ),
)

LABELS = Table(
    "Label table",
    "seg-structures_dseg.tsv",
    "One row for each label of the images `*_seg-structures_dseg.nii.gz`, of all participants.",
    (
        Column("index", "Voxel value: the number in FreeSurfer's colour table.", "integer"),
        Column("name", "FreeSurfer's name."),
        Column("color", "Display colour, #rrggbb."),
        Column(
            "tissue",
            "Tissue map to which the structure contributes.",
            levels={"GM": "grey matter", "WM": "white matter", "CSF": "cerebrospinal fluid"},
        ),
    ),
)


def _headline_columns() -> tuple[Column, ...]:
    columns = []
    for headline in HEADLINES:
        words = headline.name.replace("_", " ")
        what = f"Volume of {words}: {headline.description}."
        share = f"Volume of {words} in per cent of the estimated total intracranial volume."
        columns.append(Column(f"{headline.name}_mm3", what, "number", "mm^3", MM3_DECIMALS))
        columns.append(Column(f"{headline.name}_pct_etiv", share, "number", "percent", PERCENT_DECIMALS))
    return tuple(columns)


LESION_HEADLINES: Mapping[str, str] = {
    "lesion_count": "count",
    "lesion_volume_mm3": "volume_mm3",
    **{column.name: column.name for column in (*ACTIVITY_COLUMNS, *GD_COLUMNS)},
}
"""Columns of the table of sessions, and the columns of the table of a session's lesions that they repeat."""


def _lesion_columns() -> tuple[Column, ...]:
    own = {column.name: column for column in LESION_SUMMARY.columns}
    return tuple(replace(own[source], name=name) for name, source in LESION_HEADLINES.items())


CORD_HEADLINES: Mapping[str, tuple[str, str]] = {
    "cord_c2c3_mm2": ("C2-C3", "csa_mm2"),
    "cord_c2c3_etiv_mm2": ("C2-C3", "csa_etiv_mm2"),
    "cord_volume_mm3": ("C1-C7", "volume_mm3"),
    "cord_length_mm": ("C1-C7", "length_mm"),
    "cord_c1c7_mm2": ("C1-C7", "csa_mm2"),
}
"""Columns of the table of sessions, and the row and column of the table of the cord that they repeat."""


def _cord_columns() -> tuple[Column, ...]:
    own = {column.name: column for column in CORD.columns}
    rows = {"C2-C3": "around the disc C2/C3", "C1-C7": "of what was measured of C1 to C7"}
    return tuple(
        replace(own[column], name=name, description=f"Cord {rows[level]}. {own[column].description}")
        for name, (level, column) in CORD_HEADLINES.items()
    )


SESSIONS = Table(
    "Sessions",
    "sub-*/sub-*_sessions.tsv",
    "One row for each finished session of one participant: the headline numbers.",
    (
        Column("session_id", "Session, with its prefix ses-; n/a in a dataset without sessions."),
        Column("days", "Days since the person's first session.", "number", "day", DAYS_DECIMALS, optional=True),
        Column("quality_verdict", "The worst verdict of the session's quality table.", levels=VERDICTS),
        Column("etiv_mm3", "Estimated total intracranial volume.", "number", "mm^3", MM3_DECIMALS),
        Column(
            "brain_parenchymal_fraction",
            "Whole brain divided by the estimated total intracranial volume.",
            "number",
            decimals=FRACTION_DECIMALS,
        ),
        *_headline_columns(),
        *_lesion_columns(),
        *_cord_columns(),
    ),
)

METHODS = {
    "segmentation": "difference of two segmentations that share the person's deformation of the atlas",
    "jacobian": "how the deformation between the sessions stretches the structure",
    "boundary": "how far the edge has moved, from brightness alone",
}

CHANGE = Table(
    "Change of structures",
    "sub-*_seg-structures_desc-change_morph.tsv",
    "One row for each pair of sessions (each with the next, the first with each later one), method and structure or "
    "sum of structures of one participant.",
    (
        *PAIR_COLUMNS,
        DAYS_BETWEEN,
        Column("index", "Number in FreeSurfer's colour table; n/a for sums.", "integer"),
        Column("name", "FreeSurfer's name of the structure, or the name of a sum."),
        Column("method", "How the change was measured.", levels=METHODS),
        Column("change_mm3", "Later minus earlier volume.", "number", "mm^3", MM3_DECIMALS),
        Column("change_pct", "The same in per cent of the earlier volume.", "number", "percent", PERCENT_DECIMALS),
        CHANGE_PER_YEAR,
    ),
)

PAIRS = Table(
    "Quality of pairs of sessions",
    "sub-*_desc-change_stat.tsv",
    "One row for each quality metric of each pair of sessions of one participant.",
    (*PAIR_COLUMNS, *QUALITY.columns),
)

TABLES = (
    *(VOLUMES, QUALITY, LESIONS, LESION_SUMMARY, ENHANCEMENT, CORD, CORD_SECTIONS, SESSIONS),
    *(CHANGE, PAIRS, ACTIVITY, CORD_CHANGE, LABELS),
)
"""All tables, in the order of the documentation."""


def docs_markdown() -> str:
    """Describe all tables in Markdown, for the documentation of the outputs."""
    return "\n".join(table_markdown(table) for table in TABLES)


def table_markdown(table: Table) -> str:
    """Describe a table in Markdown."""
    lines = [f"### {table.title}: `{table.file_name}`", "", table.description, "", "| column | unit | what it is |"]
    lines.append("|---|---|---|")
    for column in table.columns:
        levels = "; ".join(f"`{value}`: {meaning}" for value, meaning in column.levels.items())
        what = column.description + (f" {levels}." if levels else "")
        what += " Left out when unknown for all sessions." if column.optional else ""
        lines.append(f"| `{column.name}` | {column.unit} | {what} |")
    return "\n".join((*lines, ""))
