# SPDX-License-Identifier: Apache-2.0
"""Text files that FreeSurfer, FastSurfer and SAMSEG call stats: header, measures, and a table, in our types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_msvol.bids.files import check_fetched
from bids_msvol.errors import DataError

MM3 = "mm^3"
"""How these programs write the unit of a volume."""

RENAMED: Mapping[str, str] = {
    "eTIV": "EstimatedTotalIntraCranialVol",
    "lhCorticalWhiteMatterVol": "lhCerebralWhiteMatterVol",
    "rhCorticalWhiteMatterVol": "rhCerebralWhiteMatterVol",
    "CorticalWhiteMatterVol": "CerebralWhiteMatterVol",
}
"""Names of measures that are kept under another name: the long one, and the one used since FreeSurfer 6."""

AGAIN = "Run the program again, or copy the file again from where it was made"


@dataclass(frozen=True)
class Measure:
    """One line ``# Measure``: its value and unit."""

    value: float
    unit: str


@dataclass(frozen=True)
class StatsText:
    """A stats file, read but not yet understood.

    Attributes
    ----------
    path
        The file.
    header
        Lines ``# key value``; of a key that occurs twice the first one.
    measures
        Lines ``# Measure``, by FreeSurfer's short name (``BrainSegVol``), or by the only name there is.
    units
        Unit of each column of the table, where the file says so.
    columns
        Columns of the table; none if the file has only measures.
    rows
        Values by column, and the number of the line in the file.
    """

    path: Path
    header: Mapping[str, str]
    measures: Mapping[str, Measure]
    units: Mapping[str, str]
    columns: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, str]], ...]

    def measure_mm3(self, name: str) -> float | None:
        """Return a measure that is a volume, in mm3; ``None`` if the file has none of that name.

        Raises
        ------
        DataError
            If its unit is not mm^3.
        """
        measure = self.measures.get(name)
        if measure is None:
            return None
        if measure.unit != MM3:
            raise _not_mm3(self.path, f"the measure {name}", measure.unit)
        return measure.value

    def volumes_mm3(self) -> dict[str, float]:
        """Return all measures that are volumes, in mm3."""
        return {name: measure.value for name, measure in self.measures.items() if measure.unit == MM3}

    def check_columns(self, needed: Mapping[str, str]) -> None:
        """Check that there is a table, with these columns in these units; an empty unit may be anything.

        Raises
        ------
        DataError
            If there is no table, a column is missing, or its unit is another one.
        """
        if not self.columns:
            raise DataError("holds no table: it has no line '# ColHeaders'", remedy=AGAIN, subject=self.path)
        for column, unit in needed.items():
            if column not in self.columns:
                raise DataError(f"lacks the column {column}", remedy=AGAIN, subject=self.path)
            stated = self.units.get(column, unit)
            if unit and stated != unit:
                raise _not_mm3(self.path, f"the column {column}", stated, unit)
        if not self.rows:
            raise DataError("has a table without rows", remedy=AGAIN, subject=self.path)

    def number(self, row: tuple[int, Mapping[str, str]], column: str) -> float:
        """Return a value of a row, which cannot be negative.

        Raises
        ------
        DataError
            If it is no such number.
        """
        return _number(row[1][column], self.path, row[0])


def read_stats_text(path: Path) -> StatsText:
    """Read a stats file.

    Raises
    ------
    NoInputError
        If it does not exist or was not fetched.
    DataError
        If it is empty, cut off, or no such file.
    """
    if path.is_file() and not path.stat().st_size:
        raise DataError("is empty (0 bytes)", remedy=AGAIN, subject=path)
    check_fetched(path)
    header: dict[str, str] = {}
    measures: dict[str, Measure] = {}
    columns: tuple[str, ...] = ()
    names: dict[str, str] = {}
    units: dict[str, str] = {}
    rows: list[tuple[int, Mapping[str, str]]] = []
    # Names of users and machines in the header may be in any encoding; the table is plain ASCII.
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.lstrip("# \t").split()
        if not words:
            continue
        if not line.startswith("#"):
            rows.append((number, _row(words, columns, path, number)))
        elif words[0] == "Measure":
            name, measure = _measure(line, path, number)
            measures.setdefault(name, measure)
        elif words[0] == "ColHeaders":
            columns = tuple(words[1:])
        elif words[0] == "TableCol" and len(words) == 4:
            {"ColHeader": names, "Units": units}.get(words[2], {})[words[1]] = words[3]
        else:
            header.setdefault(words[0], " ".join(words[1:]))
    if not measures and not rows and not columns:
        raise DataError("is no stats file: it holds neither measures nor a table", remedy=AGAIN, subject=path)
    _check_count(header, rows, path)
    by_name = {name: units[column] for column, name in names.items() if column in units}
    return StatsText(path, header, measures, by_name, columns, tuple(rows))


def _row(words: Sequence[str], columns: tuple[str, ...], path: Path, number: int) -> Mapping[str, str]:
    if not columns:
        raise DataError(f"holds no table: no line '# ColHeaders' before line {number}", remedy=AGAIN, subject=path)
    if len(words) != len(columns):
        raise DataError(
            f"is cut off or damaged: line {number} has {len(words)} values, but the table {len(columns)} columns",
            remedy=AGAIN,
            subject=path,
        )
    return dict(zip(columns, words, strict=True))


def _measure(line: str, path: Path, number: int) -> tuple[str, Measure]:
    """Take ``# Measure field, name, description, value, unit`` apart; short files have only ``field, value, unit``."""
    parts = [part.strip() for part in line.lstrip("# \t").removeprefix("Measure").split(",")]
    if len(parts) < 3 or not parts[0] or not parts[-1]:
        raise DataError(f"is cut off or damaged: line {number} is no whole measure", remedy=AGAIN, subject=path)
    # Tables of the cortex of FreeSurfer 6 forget the comma after the name: 'CortexVol Total cortical ...'.
    name = parts[0] if len(parts) == 3 else parts[1].split()[0]
    return RENAMED.get(name, name), Measure(_number(parts[-2], path, number), parts[-1])


def _number(text: str, path: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0.0:
        raise DataError(
            f"holds {text!r} in line {number}, where a number of 0 or more must be", remedy=AGAIN, subject=path
        )
    return value


def _check_count(header: Mapping[str, str], rows: Sequence[object], path: Path) -> None:
    stated = header.get("NRows", "")
    if stated.isdecimal() and int(stated) != len(rows):
        raise DataError(
            f"is cut off or damaged: it says that it has {stated} rows, but has {len(rows)}",
            remedy=AGAIN,
            subject=path,
        )


def _not_mm3(path: Path, what: str, unit: str, needed: str = MM3) -> DataError:
    return DataError(
        f"gives {what} in {unit}, not in {needed}", remedy="Give the file as the program wrote it", subject=path
    )
