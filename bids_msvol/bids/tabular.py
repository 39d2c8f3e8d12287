# SPDX-License-Identifier: Apache-2.0
"""Tables as BIDS has them: columns with units, ``n/a`` for what is missing, a JSON sidecar; written and read back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bids_msvol.bids.atomic import write_json, write_text
from bids_msvol.bids.names import sidecar_path
from bids_msvol.errors import DataError, NoInputError

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
    significant
        Significant digits of a ``number`` instead, for those of any size, such as p values.
    levels
        Meaning of each value, where there are few.
    optional
        Whether the column is left out when no row has a value.
    interval_of
        Of the lower end of an interval: the name of the column with its estimate, where their names do not tell.
    """

    name: str
    description: str
    kind: Kind = "text"
    unit: str = ""
    decimals: int = 4
    significant: int | None = None
    levels: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False
    interval_of: str = ""


PAIR_COLUMNS = (
    Column("session_id_from", "Earlier session, with its prefix ses-."),
    Column("session_id_to", "Later session."),
)
DAYS_BETWEEN = Column("days", "Days between the sessions.", "number", "day", DAYS_DECIMALS)
"""The columns that begin every table about pairs of sessions."""


CHANGE_PER_YEAR = Column(
    "change_pct_per_year",
    "The same for a year of 365.25 days; n/a if the days are unknown.",
    "number",
    "percent",
    PERCENT_DECIMALS,
)
"""The column that ends every table of change."""


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
        if column.significant is not None:
            return f"{float(value):.{column.significant}g}"  # type: ignore[arg-type]
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
