# SPDX-License-Identifier: Apache-2.0
"""The report of the group level: one HTML file that reads like the results of a paper and needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from bids_msvol.bids.atomic import write_text
from bids_msvol.group.figures.drawing import COLORS
from bids_msvol.group.result import join_sentences
from bids_msvol.report.group_checks import MAX_KINDS, group_checks, read_checks
from bids_msvol.report.group_families import LEVEL, Family, families_of, find_families
from bids_msvol.report.group_figures import MAX_ALL_SVG_BYTES, PageFigure, place_figure
from bids_msvol.report.group_references import find_references
from bids_msvol.report.group_tables import PageTable, place_table
from bids_msvol.report.group_words import say_codes, say_symbols
from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import MINUS

if TYPE_CHECKING:
    from pathlib import Path

    from bids_msvol.group.result import Analysis
    from bids_msvol.group.results import GroupResults

FOLDER = "group"
"""Folder of the tables and figures, beside the report."""

_SYMBOLS = "●■▲◆▼✚✖★"
"""The markers of the groups in the figures (`bids_msvol.group.figures.drawing.MARKERS`), as characters."""

_MINUS = re.compile(r"(?<![\w.,)\]-])-(?=\d)")
_TOGETHER = re.compile(r"\b[\w²]{1,4} [=<>] [\w.\N{MINUS SIGN}]+|\d %( CI)?")

_SOFTWARE = ("numpy", "scipy", "pandas", "matplotlib")


@dataclass(frozen=True)
class _Chapter:
    """One analysis as the page shows it."""

    analysis: Analysis
    figures: tuple[PageFigure, ...]
    tables: tuple[PageTable, ...]
    families: tuple[Family, ...]
    sensitivity: Analysis | None


@dataclass(frozen=True)
class _Group:
    """One group as the page names it: its marker is that of the figures."""

    name: str
    persons: int
    scans: int
    symbol: str
    color: str


def write_group_report(results: GroupResults, path: Path, *, figures: Path | None = None) -> Path:
    """Write the report of the group level.

    Parameters
    ----------
    results
        What was found.
    path
        The HTML file to write, beside the folder ``group``, which it links to; replaced as a whole.
    figures
        Folder with the figures of these results, as `bids_msvol.bids.group_outputs.write_group_outputs` wrote them;
        drawn anew if ``None``.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    CannotCreateError
        If the file cannot be written.
    OutOfResourcesError
        If the disk is full.
    """
    chapters = tuple(_chapters(results, figures))
    sections = tuple(_sections(results, chapters))
    script = _render("group.js.j2")
    page = _render(
        "group.html.j2",
        results=results,
        sections=sections,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
    )
    write_text(path, page)
    return path


def typeset(sentence: str) -> str:
    """Return a sentence for the page: with signs of units, minus signs, and no line ends inside ``p = 0.02``."""
    text = _MINUS.sub(MINUS, say_symbols(sentence))
    return _TOGETHER.sub(lambda match: match[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _render(template: str, **values: object) -> str:
    return render(template, typeset=typeset, **values)


def _chapters(results: GroupResults, drawn_in: Path | None) -> Iterator[_Chapter]:
    level = results.settings.get("statistics.level", 0.95)
    n_figures = n_tables = 0
    svg_left = MAX_ALL_SVG_BYTES
    for analysis in results.analyses:
        figures = []
        for figure in analysis.figures:
            n_figures += 1
            placed = place_figure(figure, n_figures, svg_allowed=svg_left, drawn_in=drawn_in)
            svg_left -= len(placed.svg)
            figures.append(placed)
        tables = []
        for table in results.tables_of(analysis):
            n_tables += 1
            tables.append(place_table(table, n_tables, level=float(str(level))))
        yield _Chapter(
            analysis=analysis,
            figures=tuple(figures),
            tables=tuple(tables),
            families=tuple(family for table in analysis.tables for family in families_of(analysis, table)),
            sensitivity=results.sensitivity_of(analysis),
        )


def _sections(results: GroupResults, chapters: tuple[_Chapter, ...]) -> Iterator[Section]:
    yield Section("Summary", "summary", _summary(results))
    for chapter in chapters:
        html = _render("group_analysis.html.j2", chapter=chapter, results=results, folder=FOLDER)
        yield Section(chapter.analysis.title, f"analysis-{chapter.analysis.name}", html)
    if results.not_done:
        yield Section("Not done, and why", "not-done", _render("group_not_done.html.j2", results=results))
    families = find_families(results.analyses)
    yield Section("How many tests", "multiplicity", _multiplicity(families))
    yield Section("Definitions", "definitions", _render("group_definitions.html.j2", results=results))
    yield Section("Data checks", "checks", _checks(results))
    yield Section("Text for a paper", "paper", _paper(results))
    settings = _render(
        "group_settings.html.j2",
        results=results,
        folder=FOLDER,
        settings=[(name, _say_setting(value)) for name, value in results.settings.items()],
        versions=_versions(results.version),
    )
    yield Section("Settings, versions and how to cite", "settings", settings)


def _summary(results: GroupResults) -> str:
    remaining = results.flow[-1].persons if results.flow else None
    grouped = sum(persons for persons, _ in results.groups.values())
    return _render(
        "group_summary.html.j2",
        results=results,
        groups=_groups(results.groups),
        others=max(0, remaining - grouped) if remaining is not None and results.groups else 0,
        exploratory=any(family.is_exploratory for family in find_families(results.analyses)),
    )


def _multiplicity(families: tuple[Family, ...]) -> str:
    corrected = [replace(family, name=say_codes(family.name)) for family in families if family.is_corrected]
    return _render(
        "group_multiplicity.html.j2",
        families=families,
        corrected=corrected,
        level=LEVEL,
        n_tests=sum(family.n_tests for family in corrected),
        n_checks=sum(family.n_tests for family in families if not family.is_corrected),
        n_small_p=sum(family.n_small_p for family in corrected),
        n_small_q=sum(family.n_small_q or 0 for family in corrected),
        expected=LEVEL * sum(family.n_tests for family in corrected),
    )


def _checks(results: GroupResults) -> str:
    checks = tuple(read_checks(results.clinical_findings))
    serious, notes = group_checks(checks, ("error", "warning")), group_checks(checks, ("note",))
    return _render(
        "group_checks.html.j2",
        serious=serious[:MAX_KINDS],
        notes=notes[:MAX_KINDS],
        n_notes=sum(one.count for one in notes),
        n_more=sum(one.count for one in serious[MAX_KINDS:]),
    )


def _paper(results: GroupResults) -> str:
    def text(part: str) -> str:
        return "\n\n".join(
            f"{analysis.title}. {join_sentences(getattr(analysis, part))}" for analysis in results.analyses
        )

    methods = f"{text('methods')}\n\nProgression was defined as follows. {results.definition}".strip()
    return _render(
        "group_paper.html.j2",
        methods=methods,
        results=text("findings"),
        limits=text("limits"),
        references=find_references(results, [methods]),
        version=results.version,
    )


def _groups(groups: Mapping[str, tuple[int, int]]) -> tuple[_Group, ...]:
    several = len(groups) > 1
    return tuple(
        _Group(
            name,
            persons,
            scans,
            _SYMBOLS[order % len(_SYMBOLS)] if several else "",
            COLORS[order % len(COLORS)],
        )
        for order, (name, (persons, scans)) in enumerate(groups.items())
    )


def _say_setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(_say_setting(item) for item in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def _versions(own: str) -> tuple[tuple[str, str], ...]:
    found = [("bids_msvol", own), ("Python", platform.python_version())]
    for package in _SOFTWARE:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)
