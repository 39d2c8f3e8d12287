# SPDX-License-Identifier: Apache-2.0
"""How far off the program's numbers are: what the benchmarks of a release found, stored beside the code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from bids_msvol.errors import DataError

REPEATABILITY = "repeatability"
"""Key of the measure that says how much a volume differs when the same head is measured again."""

CHANGE_ERROR = "change_error"
"""Key of the measure that says how much change is found between two scans where there is none."""


CORD_ERROR = "cord_change_error"
"""Key of the measure that says how much change of the cord is found between two scans where there is none."""


@dataclass(frozen=True)
class ErrorMeasure:
    """One way in which the error was measured.

    Attributes
    ----------
    key
        Identifier, such as ``repeatability``.
    title
        Column heading.
    unit
        ``%``, or empty for a number without unit.
    explanation
        What the number means, one sentence.
    data
        What it was measured on; empty while it has not been measured.
    cases
        How many images or pairs, or ``None`` while it has not been measured.
    values
        The number by structure (FreeSurfer name without its side) or sum; ``None`` where it was not measured.
    """

    key: str
    title: str
    unit: str
    explanation: str
    data: str
    cases: int | None
    values: Mapping[str, float | None]

    @property
    def is_measured(self) -> bool:
        """Whether any structure has a number."""
        return any(value is not None for value in self.values.values())


@dataclass(frozen=True)
class MeasuredError:
    """The measured error of the program.

    Attributes
    ----------
    version
        Version of the program that was measured; empty while none was.
    measures
        The ways in which the error was measured.
    """

    version: str
    measures: tuple[ErrorMeasure, ...]

    @property
    def is_measured(self) -> bool:
        """Whether there is any number."""
        return any(measure.is_measured for measure in self.measures)

    def repeatability_pct(self, structure: str) -> float | None:
        """Return the repeatability of a structure or sum in per cent, or ``None`` where it was not measured."""
        return self._value(REPEATABILITY, structure)

    def change_error_pct(self, structure: str) -> float | None:
        """Return the change found where there is none, in per cent, or ``None`` where it was not measured."""
        return self._value(CHANGE_ERROR, structure)

    def _value(self, key: str, structure: str) -> float | None:
        return next((measure.values.get(structure) for measure in self.measures if measure.key == key), None)


def load_measured_error(path: Path | None = None) -> MeasuredError:
    """Load the measured error.

    Parameters
    ----------
    path
        A JSON file of the same shape; the one shipped with the program if ``None``.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    source = resources.files("bids_msvol.report") / "measured_error.json" if path is None else path
    try:
        record: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
        measures = tuple(_read_measure(key, entry) for key, entry in record["measures"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"is not a table of measured errors ({error})", remedy="Install the program again", subject=str(source)
        ) from error
    return MeasuredError(record.get("version") or "", measures)


def _read_measure(key: str, entry: Mapping[str, Any]) -> ErrorMeasure:
    return ErrorMeasure(
        key=key,
        title=entry["title"],
        unit=entry["unit"],
        explanation=entry["explanation"],
        data=entry.get("data") or "",
        cases=entry.get("cases"),
        values={name: None if value is None else float(value) for name, value in entry["values"].items()},
    )
