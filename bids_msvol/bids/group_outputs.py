# SPDX-License-Identifier: Apache-2.0
"""Write the folder ``group``: the tables, figures and exclusions of the group level.

Everything is first made in a folder of its own. Only when all of it is there do the files take their places, so that a
run that fails leaves the results of an earlier one as they were.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bids_msvol.bids.atomic import replacing, write_image, write_json, write_text
from bids_msvol.bids.dataset import NAME
from bids_msvol.bids.names import sidecar_path
from bids_msvol.bids.tabular import Column, Table, write_table
from bids_msvol.errors import CannotCreateError
from bids_msvol.group.figures.drawing import to_png, to_svg

if TYPE_CHECKING:
    from bids_msvol.group.result import Figure, ResultImage, ResultTable
    from bids_msvol.group.results import GroupResults

_logger = logging.getLogger(__name__)

FIGURES = "figures"
"""Folder of the figures in the folder ``group``."""

IMAGES = "images"
"""Folder of the images there."""

FLOW = Table(
    "Who was left out",
    "flow.tsv",
    "One row for everybody, then one for each reason to leave out scans, in this order, and one for what remains.",
    (
        Column("reason", "Why, in words; of several reasons the first counts."),
        Column("persons", "Number of persons; of a reason, of those whose last scans it left out.", "integer"),
        Column("scans", "Number of scans.", "integer"),
    ),
)


@dataclass(frozen=True)
class GroupFiles:
    """What was written.

    Attributes
    ----------
    folder
        The folder ``group``.
    tables
        The TSV files, each with a sidecar beside it.
    figures
        The SVG files, each with a PNG and a sidecar beside it.
    images
        The NIfTI files, each with a sidecar beside it.
    written
        Every file.
    removed
        Files of analyses of an earlier run that are no longer done.
    crashes
        Tracebacks of figures that could not be drawn.
    """

    folder: Path
    tables: tuple[Path, ...]
    figures: tuple[Path, ...]
    images: tuple[Path, ...]
    written: tuple[Path, ...]
    removed: tuple[Path, ...]
    crashes: tuple[str, ...] = ()


def write_group_outputs(folder: Path, results: GroupResults) -> GroupFiles:
    """Write all tables and figures of the group level.

    Files that this program did not write are left alone; results of an earlier run that are no longer done go.

    Parameters
    ----------
    folder
        The folder ``group``; made if needed.
    results
        What was found.

    Raises
    ------
    CannotCreateError
        If a file cannot be written.
    OutOfResourcesError
        If the disk is full.
    """
    _check_names(results)
    crashes: list[str] = []
    trial = folder / f"results.tmp-{uuid.uuid4().hex}"
    try:
        tables = [*_write_tables(trial, results), _write_flow(trial, results)]
        figures = [
            path
            for analysis in results.analyses
            for figure in analysis.figures
            if (path := _write_figure(trial / FIGURES, figure, analysis.title, results.version, crashes)) is not None
        ]
        images = [
            _write_image(trial / IMAGES, image, analysis.title, results.version)
            for analysis in results.analyses
            for image in analysis.images
        ]
        names = sorted(path.relative_to(trial) for path in trial.rglob("*") if path.is_file())
        for name in names:
            with replacing(folder / name) as temporary:
                (trial / name).replace(temporary)
    finally:
        shutil.rmtree(trial, ignore_errors=True)
    removed = _remove_outdated(folder, {folder / name for name in names})
    return GroupFiles(
        folder=folder,
        tables=tuple(folder / path.relative_to(trial) for path in tables),
        figures=tuple(folder / path.relative_to(trial) for path in figures),
        images=tuple(folder / path.relative_to(trial) for path in images),
        written=tuple(folder / name for name in names),
        removed=removed,
        crashes=tuple(crashes),
    )


def _check_names(results: GroupResults) -> None:
    """Refuse two files of one name: a mistake in an analysis, which would lose one of them."""
    files = [table.table.file_name for analysis in results.analyses for table in results.tables_of(analysis)]
    files += [f"{figure.name}.svg" for analysis in results.analyses for figure in analysis.figures]
    files += [f"{image.name}.nii.gz" for analysis in results.analyses for image in analysis.images]
    twice = sorted({name for name in files if files.count(name) > 1})
    if twice:
        raise ValueError(f"two results are called {twice[0]}")


def _write_tables(folder: Path, results: GroupResults) -> Iterator[Path]:
    for analysis in results.analyses:
        for result in results.tables_of(analysis):
            path = folder / result.table.file_name
            yield write_table(path, result.table, result.rows, **_table_sidecar(result, analysis.title, results))[0]


def _write_flow(folder: Path, results: GroupResults) -> Path:
    rows = [{"reason": step.reason, "persons": step.persons, "scans": step.scans} for step in results.flow]
    groups = {name: {"Persons": persons, "Scans": scans} for name, (persons, scans) in results.groups.items()}
    said = {"Description": FLOW.description, "Groups": groups, **_origin(FLOW.file_name, results.version)}
    return write_table(folder / FLOW.file_name, FLOW, rows, **said)[0]


def _table_sidecar(result: ResultTable, title: str, results: GroupResults) -> dict[str, Any]:
    said = {
        "Description": result.table.description,
        "Analysis": title,
        **result.sidecar,
        "ProgressionDefinition": results.definition,
        "Settings": results.settings,
        **_origin(result.table.file_name, results.version),
    }
    return {name: as_json(value) for name, value in said.items()}


def _write_figure(folder: Path, figure: Figure, title: str, version: str, crashes: list[str]) -> Path | None:
    """Write a figure; ``None`` if it cannot be drawn, which must not take the tables with it."""
    try:
        drawn = figure.draw()
        svg, png = to_svg(drawn), to_png(drawn)
    except Exception as error:
        _logger.error("the figure %s could not be drawn: %s: %s", figure.name, type(error).__name__, error)
        crashes.append(f"{figure.name}\n{traceback.format_exc()}")
        return None
    path = folder / f"{figure.name}.svg"
    write_text(path, svg)
    with replacing(path.with_suffix(".png")) as temporary:
        temporary.write_bytes(png)
    said = {"Description": figure.caption, "AlternativeText": figure.alt, "Analysis": title}
    write_json(path.with_suffix(".json"), {**said, **_origin(path.name, version)})
    return path


def _write_image(folder: Path, image: ResultImage, title: str, version: str) -> Path:
    path = folder / f"{image.name}.nii.gz"
    write_image(path, image.make())
    said = {"Description": image.description, "Analysis": title}
    write_json(sidecar_path(path), {**said, **_origin(path.name, version)})
    return path


def _origin(file_name: str, version: str) -> dict[str, Any]:
    return {"FileName": file_name, "GeneratedBy": {"Name": NAME, "Version": version}}


def _remove_outdated(folder: Path, written: set[Path]) -> tuple[Path, ...]:
    removed: list[Path] = []
    for sidecar in sorted(path for place in (".", FIGURES, IMAGES) for path in (folder / place).glob("*.json")):
        described = _described_by_us(sidecar)
        if sidecar in written or described is None:
            continue
        pictures = (described.with_suffix(".png"),) if described.suffix == ".svg" else ()
        for path in (described, *pictures, sidecar):
            if path in written or not path.is_file():
                continue
            try:
                path.unlink()
            except OSError as error:
                raise CannotCreateError(
                    f"belongs to an earlier run and cannot be removed ({error.strerror})",
                    remedy="Remove it, or check the permissions of the folder",
                    subject=path,
                ) from error
            removed.append(path)
    return tuple(removed)


def _described_by_us(sidecar: Path) -> Path | None:
    """Return the file that a sidecar of ours describes; ``None`` for any other, also for a copy under a new name."""
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("GeneratedBy"), dict):
        return None
    name = str(content.get("FileName"))
    possible = [f"{sidecar.stem}{kind}" for kind in (".tsv", ".svg", ".nii.gz")]
    is_ours = content["GeneratedBy"].get("Name") == NAME and name in possible
    return sidecar.with_name(name) if is_ours else None


def as_json(value: object) -> Any:
    """Return a value as JSON has it: plain numbers, lists and texts; ``null`` for numbers that are not finite."""
    if hasattr(value, "tolist"):  # a number or an array of numpy
        return as_json(value.tolist())
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [as_json(item) for item in value]
    return str(value)
