# SPDX-License-Identifier: Apache-2.0
"""Cords that the Spinal Cord Toolbox measured, as ours: its tables in, levels and slices out."""

from __future__ import annotations

import csv
import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bids_msvol.bids.files import check_fetched
from bids_msvol.bids.names import session_name
from bids_msvol.cord.levels import LEAST_COVERAGE, LEVEL_TOPS_MM, LEVELS, LevelMeasure, average, average_levels
from bids_msvol.cord.sections import CordShape
from bids_msvol.engines.sct_files import AREA, IMAGE, made_from, names_other
from bids_msvol.errors import DataError

SctMethod = Literal["slices", "levels", "distances", "stretch", "all"]
"""How the rows of a table became levels."""

METHODS: Mapping[SctMethod, str] = {
    "slices": "Each level is the mean of its slices. C2-C3 is the mean of all slices of the vertebral levels 2 and 3, "
    "not of the 20 mm around the disc.",
    "levels": "Each level is the mean that the toolbox wrote. C2-C3 is that of the vertebral levels 2 and 3 together, "
    "not of the 20 mm around the disc.",
    "distances": "Each level is where it lies on average below the pontomedullary junction. C2-C3 is the 20 mm around "
    "the average place of that disc.",
    "stretch": "C2-C3 is one stretch that was chosen by its distance from the pontomedullary junction. The table does "
    "not say how long it is.",
    "all": "The table tells no levels. This is the mean of all that it holds.",
}
"""What the figures of each method are, for the reader."""

SLICE, LEVEL, DISTANCE = "Slice (I->S)", "VertLevel", "DistancePMJ"

NEEDED = (SLICE, LEVEL, AREA)
"""Columns that a table must have."""

AP_COLUMNS = ("MEAN(diameter_AP_ellipse)", "MEAN(diameter_AP)")
"""The first one that a table has is used. Where there are both, ``diameter_AP`` is the mean depth of the middle 3 mm
and no longer the axis of the ellipse."""

RL, ECCENTRICITY = "MEAN(diameter_RL)", "MEAN(eccentricity)"

LENGTH = "SUM(length)"
"""Empty in tables that were brought to the template PAM50, whose slices are not those of the image."""

BLANK = frozenset({"", "nan", "none", "n/a", "na"})
"""How the toolbox, and programs that save its tables again, write that there is no value."""

STRETCHES: Mapping[str, frozenset[int]] = {
    **{level: frozenset({number}) for number, level in enumerate(LEVELS, 1)},
    "C2-C3": frozenset({2, 3}),
    "C1-C7": frozenset(range(1, 8)),
}
"""What is reported, and its vertebral levels; from 8 on they are thoracic and lumbar."""

DISC_TOLERANCE_MM = 2.0
"""A stretch is C2-C3 if it was centred this near to where the disc lies on average."""


@dataclass(frozen=True)
class SctSlice:
    """One slice that the toolbox measured.

    Attributes
    ----------
    number
        Slice of the image, or of the template, from the lowest up.
    level
        ``C1`` to ``C7``; ``None`` elsewhere, and where levels are not known.
    below_junction_mm
        Distance from the pontomedullary junction along the cord; ``None`` if not known.
    csa_mm2, ap_diameter_mm, rl_diameter_mm, eccentricity
        Measures; ``None`` where the table has none.
    """

    number: int
    level: str | None
    below_junction_mm: float | None
    csa_mm2: float
    ap_diameter_mm: float | None
    rl_diameter_mm: float | None
    eccentricity: float | None


@dataclass(frozen=True)
class SctResult:
    """What a table of `sct_process_segmentation` says about one session.

    Attributes
    ----------
    source
        Name of the file.
    versions
        Versions of the toolbox that wrote it.
    method
        How its rows became levels; `METHODS` says what that means.
    in_template
        Whether the slices are those of the template PAM50.
    levels
        Means of ``C1`` to ``C7``, ``C2-C3`` and ``C1-C7``; only of ``C2-C3`` or ``visible`` where levels are not known.
        ``coverage`` is the share of the slices of the level that have a value, ``None`` in a table of means. Outside
        the template, slices beyond the image are in no table and do not lower it.
    slices
        The slices that were measured, from the lowest up; none if the table has only means.
    """

    source: str
    versions: tuple[str, ...]
    method: SctMethod
    in_template: bool
    levels: tuple[LevelMeasure, ...]
    slices: tuple[SctSlice, ...]


@dataclass(frozen=True)
class _Row:
    """One row: its slices, vertebral levels, and values; NaN for what is missing."""

    slices: tuple[int, ...]
    levels: frozenset[int]
    distance_mm: float
    area_mm2: float
    ap_mm: float
    rl_mm: float
    eccentricity: float
    length_mm: float

    @property
    def place(self) -> tuple[object, ...]:
        """What it is about: two rows of one place are the same measurement."""
        return self.slices, self.levels, None if math.isnan(self.distance_mm) else self.distance_mm

    @property
    def weight(self) -> int:
        """Slices that its mean stands for; 0 if it has no value."""
        return max(len(self.slices), 1) if self.area_mm2 > 0.0 else 0


def read_sct_table(
    path: Path, subject: str | None = None, session: str | None = None, *, image_stem: str | None = None
) -> SctResult:
    """Read a table of `sct_process_segmentation`, versions 5 to 7: by slice, by level, or of one stretch.

    By slice with levels (``-perslice 1``, in the image or in the template), C2-C3 is the mean of the slices of the
    vertebral levels 2 and 3. That is what ``-vert 2:3`` gives. It differs from our own 20 mm around the disc: in the
    template the two levels are 34 mm long. By level (``-perlevel 1``), C2-C3 is the row ``2:3``, or the rows 2 and 3
    weighted by their slices. By slice with only distances from the pontomedullary junction (``-pmj``), levels are where
    they lie on average. One stretch chosen by that distance is C2-C3 if its centre is within 2 mm of the average disc.
    `SctResult.method` tells which it was. A level is reported if at least half of its slices have a value.

    A table does not say whether its areas were normalised (``-normalize``); such a table must not be given. Of rows
    that were written twice (``-append 1``) the last one counts.

    Parameters
    ----------
    path
        The table.
    subject, session
        Labels without prefixes. Rows whose ``Filename`` names somebody else, or another session, are left out.
    image_stem
        Name of an image without its extension; of rows of several images, those of this image are used.

    Raises
    ------
    NoInputError
        If the file does not exist or was not fetched.
    DataError
        If it is no such table, or holds nothing of the session, or it is not certain what.
    """
    lines = _choose(_read_lines(path), path, subject, session, image_stem)
    parsed = [_parse(line, number, path) for number, line in lines]
    rows = list({row.place: row for row in parsed}.values())
    measured = sorted((row for row in rows if row.weight), key=lambda row: row.slices)
    if not measured:
        raise DataError(f"has no value in the column {AREA}", remedy="Look at the mask it was made from", subject=path)
    by_slice = all(len(row.slices) == 1 for row in rows)
    method, levels = _levels(rows, by_slice, path)
    return SctResult(
        source=path.name,
        versions=tuple(sorted({line.get("SCT Version", "") for _, line in lines} - {""})),
        method=method,
        in_template=by_slice and LENGTH in lines[0][1] and all(math.isnan(row.length_mm) for row in measured),
        levels=levels,
        slices=tuple(map(_slice, measured)) if by_slice else (),
    )


def _read_lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a table and their numbers in the file, where the header is 1."""
    check_fetched(path)
    remedy = "Give the table as sct_process_segmentation wrote it, separated by commas"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            lines = [(reader.line_num, values) for values in reader if values]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"is no table ({error})", remedy=remedy, subject=path) from error
    lacking = [name for name in NEEDED if name not in header]
    if lacking:
        raise DataError(f"lacks the column {lacking[0]}", remedy=remedy, subject=path)
    if not lines:
        raise DataError("has no rows", remedy="Run sct_process_segmentation again", subject=path)
    for number, values in lines:
        if len(values) != len(header):
            raise DataError(
                f"has {len(values)} values in line {number} but {len(header)} columns, as happens if versions of the "
                "toolbox wrote to one file",
                remedy="Write the results of each version to a file of its own",
                subject=path,
            )
    return [(number, dict(zip(header, values, strict=True))) for number, values in lines]


def _choose(
    lines: Sequence[tuple[int, dict[str, str]]],
    path: Path,
    subject: str | None,
    session: str | None,
    image_stem: str | None,
) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of the session, all of one image."""
    if subject is not None:
        lines = [line for line in lines if not names_other(line[1].get(IMAGE, ""), subject, session)]
        if not lines:
            raise DataError(
                f"has no row of {session_name(subject, session)}",
                remedy=f"Check the column {IMAGE}, which names the subject and the session",
                subject=path,
            )
    images = {re.split(r"[/\\]", line.get(IMAGE, ""))[-1] for _, line in lines}
    fitting = {image for image in images if made_from(image, image_stem)} or images
    if len(fitting) > 1:
        raise DataError(
            f"has rows of several images: {', '.join(sorted(fitting)[:4])}",
            remedy="Keep the rows of one image for each session",
            subject=path,
        )
    return [line for line in lines if re.split(r"[/\\]", line[1].get(IMAGE, ""))[-1] in fitting]


def _parse(line: Mapping[str, str], number: int, path: Path) -> _Row:
    """Read the values of a row."""

    def value(*columns: str) -> float:
        column = next((column for column in columns if column in line), "")
        text = line.get(column, "").strip()
        if text.lower() in BLANK:
            return math.nan
        try:
            return float(text)
        except ValueError as error:
            raise wrong(column) from error

    def numbers(column: str) -> tuple[int, ...]:
        """Read whole numbers as the toolbox writes them: 1:3;5 is 1, 2, 3 and 5."""
        text = line[column].strip()
        found: list[int] = []
        for part in [] if text.lower() in BLANK else text.split(";"):
            ends = re.fullmatch(r"(\d+)(?:\.0+)?(?::(\d+))?", part.strip())
            if ends is None:
                raise wrong(column)
            found += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
        return tuple(found)

    def wrong(column: str) -> DataError:
        return DataError(
            f"holds {line[column]!r} in the column {column}, line {number}, which is no number",
            remedy="Correct the value, or run sct_process_segmentation again",
            subject=path,
        )

    return _Row(
        slices=numbers(SLICE),
        levels=frozenset(numbers(LEVEL)),
        distance_mm=value(DISTANCE),
        area_mm2=value(AREA),
        ap_mm=value(*AP_COLUMNS),
        rl_mm=value(RL),
        eccentricity=value(ECCENTRICITY),
        length_mm=value(LENGTH),
    )


def _levels(rows: Sequence[_Row], by_slice: bool, path: Path) -> tuple[SctMethod, tuple[LevelMeasure, ...]]:
    """Turn rows into levels, by the best that they tell of where they are."""
    # A mean over a stretch that was chosen by distance also lists the levels that it touches.
    named = [row for row in rows if row.levels and (by_slice or math.isnan(row.distance_mm))]
    if named:
        levels = tuple(_mean_of_level(name, named, by_slice=by_slice) for name in STRETCHES)
        if all(level.csa_mm2 is None for level in levels):
            there = sorted({number for row in named if row.weight for number in row.levels})
            raise DataError(
                f"holds no cervical level, alone or 2:3 or 1:7 together, of which enough was measured; it has {there}",
                remedy="Run sct_process_segmentation with -vert 1:7 -perlevel 1, or with -perslice 1",
                subject=path,
            )
        return ("slices" if by_slice else "levels"), levels
    placed = [row for row in rows if not math.isnan(row.distance_mm)]
    distances = np.asarray([row.distance_mm for row in placed])
    if by_slice and len(np.unique(distances)) > 1:
        order = np.argsort(distances)
        trusted = np.asarray([placed[index].weight > 0 for index in order])
        shape = _shape([placed[index] for index in order])
        levels = average_levels(shape, distances[order], distances[order], trusted)
        return "distances", tuple(map(_without_nan, levels))
    disc = [row for row in placed if abs(row.distance_mm - LEVEL_TOPS_MM[2]) <= DISC_TOLERANCE_MM]
    if any(row.weight for row in disc):
        return "stretch", (_mean("C2-C3", disc, None),)
    return "all", (_mean("visible", rows, None),)


def _mean_of_level(name: str, rows: Sequence[_Row], *, by_slice: bool) -> LevelMeasure:
    """Average the rows of a stretch; rows that are of all of it count before rows of its parts."""
    numbers = STRETCHES[name]
    inside = [row for row in rows if row.levels == numbers] or [row for row in rows if row.levels < numbers]
    listed = frozenset(number for row in inside for number in row.levels)
    seen = frozenset(number for row in inside if row.weight for number in row.levels)
    coverage = sum(row.weight for row in inside) / len(inside) if by_slice and listed == numbers else None
    measure = _mean(name, inside, coverage)
    # All of the neck is seldom in view: what is visible of it is still what it is.
    enough = name == "C1-C7" or (seen == numbers and (coverage is None or coverage >= LEAST_COVERAGE))
    return measure if enough else measure.without_values()


def _mean(name: str, rows: Sequence[_Row], coverage: float | None) -> LevelMeasure:
    """Average rows as the toolbox does, each slice counting alike."""
    weights = np.asarray([row.weight for row in rows], dtype=np.float64)
    measure = _without_nan(average(name, _shape(rows), weights, coverage))
    length_mm = sum(row.length_mm for row in rows if row.weight)
    known = measure.csa_mm2 is not None and not math.isnan(length_mm)
    return dataclasses.replace(
        measure,
        n_slices=int(weights.sum()),
        length_mm=length_mm if known else None,
        volume_mm3=(measure.csa_mm2 or 0.0) * length_mm if known else None,
    )


def _shape(rows: Iterable[_Row]) -> CordShape:
    """Return the values of rows; rows without area have 0, for they are given no weight."""
    values = [
        (row.area_mm2, row.ap_mm, row.rl_mm, row.eccentricity) if row.weight else (0.0, 0.0, 0.0, 0.0) for row in rows
    ]
    return CordShape(*np.asarray(values, dtype=np.float64).reshape(-1, 4).T)


def _without_nan(measure: LevelMeasure) -> LevelMeasure:
    """Write ``None`` for means of a column that is not there."""
    names = ("csa_mm2", "ap_diameter_mm", "rl_diameter_mm", "eccentricity")
    missing: dict[str, Any] = {
        name: None for name in names if (value := getattr(measure, name)) is not None and math.isnan(value)
    }
    return dataclasses.replace(measure, **missing)


def _slice(row: _Row) -> SctSlice:
    number = next(iter(row.levels), 0)
    level = LEVELS[number - 1] if len(row.levels) == 1 and number <= len(LEVELS) else None
    distance, front, side, eccentricity = (
        None if math.isnan(value) else value for value in (row.distance_mm, row.ap_mm, row.rl_mm, row.eccentricity)
    )
    return SctSlice(row.slices[0], level, distance, row.area_mm2, front, side, eccentricity)
