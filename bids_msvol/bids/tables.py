# SPDX-License-Identifier: Apache-2.0
"""The tables that are written, declared as data for the code that writes and reads them and for the documentation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bids_msvol.bids.atomic import write_json, write_text
from bids_msvol.bids.names import sidecar_path
from bids_msvol.errors import DataError, NoInputError
from bids_msvol.structures import SUMS

if TYPE_CHECKING:
    import pandas as pd

MISSING = "n/a"
"""How a missing value is written; never 0, never an empty field."""

Kind = Literal["text", "integer", "number"]

MM3_DECIMALS = 1
PERCENT_DECIMALS = 4
FRACTION_DECIMALS = 5
DAYS_DECIMALS = 1


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name
        Name in the header.
    description
        What it holds, for the sidecar and the documentation.
    kind
        How values are read back.
    unit
        Unit as BIDS writes it (``mm^3``, ``percent``); empty for none.
    decimals
        Digits after the point of a ``number``.
    levels
        Meaning of each value, where there are few.
    optional
        Whether the column is left out when no row has a value.
    """

    name: str
    description: str
    kind: Kind = "text"
    unit: str = ""
    decimals: int = 4
    levels: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """One kind of table.

    Attributes
    ----------
    title
        Heading in the documentation.
    file_name
        Pattern of its file name.
    description
        What a row is, in a sentence.
    columns
        Its columns, in order.
    """

    title: str
    file_name: str
    description: str
    columns: tuple[Column, ...]


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
    ),
)

_PAIR_COLUMNS = (
    Column("session_id_from", "Earlier session, with its prefix ses-."),
    Column("session_id_to", "Later session."),
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
        *_PAIR_COLUMNS,
        Column("days", "Days between the sessions.", "number", "day", DAYS_DECIMALS),
        Column("index", "Number in FreeSurfer's colour table; n/a for sums.", "integer"),
        Column("name", "FreeSurfer's name of the structure, or the name of a sum."),
        Column("method", "How the change was measured.", levels=METHODS),
        Column("change_mm3", "Later minus earlier volume.", "number", "mm^3", MM3_DECIMALS),
        Column("change_pct", "The same in per cent of the earlier volume.", "number", "percent", PERCENT_DECIMALS),
        Column(
            "change_pct_per_year",
            "The same for a year of 365.25 days; n/a if the days are unknown.",
            "number",
            "percent",
            PERCENT_DECIMALS,
        ),
    ),
)

PAIRS = Table(
    "Quality of pairs of sessions",
    "sub-*_desc-change_stat.tsv",
    "One row for each quality metric of each pair of sessions of one participant.",
    (*_PAIR_COLUMNS, *QUALITY.columns),
)

TABLES = (VOLUMES, QUALITY, SESSIONS, CHANGE, PAIRS, LABELS)
"""All tables, in the order of the documentation."""


def write_table(path: Path, table: Table, rows: Iterable[Mapping[str, object]], **sidecar: Any) -> tuple[Path, Path]:
    """Write a table as TSV, and its JSON sidecar.

    Parameters
    ----------
    path
        Target, ending in ``.tsv``.
    table
        Which columns to write.
    rows
        Values by column name; ``None`` and NaN are written as ``n/a``.
    **sidecar
        Fields of the sidecar besides the columns, such as ``Sources``.

    Returns
    -------
    tuple of Path
        The table and its sidecar.
    """
    content = [dict(row) for row in rows]
    columns = [
        column
        for column in table.columns
        if not column.optional or any(format_value(row.get(column.name), column) != MISSING for row in content)
    ]
    lines = ["\t".join(column.name for column in columns)]
    lines += ["\t".join(format_value(row.get(column.name), column) for column in columns) for row in content]
    write_json(sidecar_path(path), table_sidecar(columns, **sidecar))
    write_text(path, "\n".join(lines) + "\n")
    return path, sidecar_path(path)


def table_sidecar(columns: Iterable[Column], **extra: Any) -> dict[str, Any]:
    """Describe columns as a BIDS sidecar does."""
    content: dict[str, Any] = dict(extra)
    for column in columns:
        entry: dict[str, Any] = {"Description": column.description}
        if column.kind != "text":
            entry["Format"] = column.kind
        if column.unit:
            entry["Units"] = column.unit
        if column.levels:
            entry["Levels"] = dict(column.levels)
        content[column.name] = entry
    return content


def format_value(value: object, column: Column) -> str:
    """Write one value: fixed digits for numbers, ``n/a`` for what is missing, no tabs or line ends in text."""
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if column.kind == "number":
        text = f"{float(value):.{column.decimals}f}"  # type: ignore[arg-type]
        # A tiny negative number would otherwise be written as -0.0.
        return text.removeprefix("-") if float(text) == 0 else text
    if column.kind == "integer":
        return str(int(value))  # type: ignore[call-overload]
    return " ".join(str(value).split()) or MISSING


def read_table(path: Path, table: Table) -> pd.DataFrame:
    """Read a table that this program wrote.

    Parameters
    ----------
    path
        The TSV file.
    table
        What it is.

    Returns
    -------
    pandas.DataFrame
        Numbers as floats with NaN for missing, integers as ``Int64`` with ``NA``, text with ``""`` for missing.

    Raises
    ------
    NoInputError
        If it does not exist.
    DataError
        If it is damaged or has not the columns of such a table.
    """
    import pandas as pd

    kinds = {"text": "str", "integer": "Int64", "number": "float64"}
    types: Any = {column.name: kinds[column.kind] for column in table.columns}
    remedy = "Remove the file and run the participant again"
    try:
        frame = pd.read_csv(path, sep="\t", na_values=[MISSING], keep_default_na=False, dtype=types)
    except FileNotFoundError as error:
        raise NoInputError("does not exist", remedy="Run the participant level again", subject=path) from error
    except ValueError as error:
        raise DataError(f"is damaged ({error})", remedy=remedy, subject=path) from error
    lacking = [column.name for column in table.columns if not column.optional and column.name not in frame]
    if lacking:
        raise DataError(f"lacks the column {lacking[0]}", remedy=remedy, subject=path)
    texts = [column.name for column in table.columns if column.kind == "text"]
    frame[texts] = frame[texts].fillna("")
    return frame


def docs_markdown() -> str:
    """Describe all tables in Markdown, for the documentation of the outputs."""
    return "\n".join(_table_markdown(table) for table in TABLES)


def _table_markdown(table: Table) -> str:
    lines = [f"### {table.title}: `{table.file_name}`", "", table.description, "", "| column | unit | what it is |"]
    lines.append("|---|---|---|")
    for column in table.columns:
        levels = "; ".join(f"`{value}`: {meaning}" for value, meaning in column.levels.items())
        what = column.description + (f" {levels}." if levels else "")
        what += " Left out when unknown for all sessions." if column.optional else ""
        lines.append(f"| `{column.name}` | {column.unit} | {what} |")
    return "\n".join((*lines, ""))
