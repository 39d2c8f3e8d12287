# SPDX-License-Identifier: Apache-2.0
"""How it was measured: text for a paper, its references, the versions, and how far off the numbers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bids_msvol.report.citations import find_cited
from bids_msvol.report.lesion_activity import list_activity_citations
from bids_msvol.report.lesions import list_lesion_citations
from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import MISSING, describe_structure, format_number, join_words, name_session

if TYPE_CHECKING:
    from bids_msvol.bids.load import ParticipantOutputs, Provenance
    from bids_msvol.report.measured_error import ErrorMeasure, MeasuredError

NOT_MEASURED = "not measured"
NOT_DEFINED = "\N{EN DASH}"
"""For a measure that does not exist for a structure, such as the overlap of a sum."""


def build_method_section(outputs: ParticipantOutputs) -> Section:
    """Build the section with the methods text and its references."""
    texts: dict[str, list[str]] = {}
    for session in outputs.sessions:
        texts.setdefault(" ".join(session.provenance.sentences), []).append(name_session(session))
    html = render(
        "methods.html.j2",
        # With one text for all sessions there is nothing to tell apart.
        texts=[("" if len(texts) == 1 else join_words(names), text) for text, names in texts.items()],
        references=find_cited((*texts, *list_lesion_citations(outputs), *list_activity_citations(outputs))),
    )
    return Section("Methods, ready to paste", "methods", html)


def build_error_section(error: MeasuredError) -> Section:
    """Build the section on the measured error of the program."""
    measures = tuple(measure for measure in error.measures if measure.is_measured)
    names = tuple(dict.fromkeys(name for measure in measures for name in measure.values))
    rows = [(describe_structure(name), [_show(measure, name) for measure in measures]) for name in names]
    html = render("measured_error.html.j2", error=error, measures=measures, rows=rows)
    return Section("How far off these numbers can be", "error", html)


def build_version_section(outputs: ParticipantOutputs) -> Section:
    """Build the section on versions and settings."""
    settings: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for session in outputs.sessions:
        settings.setdefault(_describe_settings(session.provenance), []).append(name_session(session))
    tables = [("" if len(settings) == 1 else join_words(names), table) for table, names in settings.items()]
    versions = dict.fromkeys(session.provenance.versions.get("bids_msvol", MISSING) for session in outputs.sessions)
    html = render("versions.html.j2", tables=tables, program_versions=join_words(tuple(versions)))
    return Section("Versions, settings and how to cite", "versions", html)


def _describe_settings(provenance: Provenance) -> tuple[tuple[str, str], ...]:
    return (
        *((name, str(version)) for name, version in provenance.versions.items()),
        ("Working resolution", f"{format_number(provenance.resolution_mm)} mm"),
        ("Template space", provenance.template_space),
        ("Random seed", str(provenance.random_seed)),
        ("Configuration", provenance.configuration_hash),
    )


def _show(measure: ErrorMeasure, name: str) -> str:
    value = measure.values.get(name)
    if value is None:
        return NOT_MEASURED if name in measure.values else NOT_DEFINED
    return f"{value:.2f} {measure.unit}".rstrip()
