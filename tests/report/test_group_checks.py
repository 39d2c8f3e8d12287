# SPDX-License-Identifier: Apache-2.0
"""Checks of the clinical tables in the report: what must be looked at stands first, like things stand together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bids_msvol.bids.clinical_checks import Finding, findings_text
from bids_msvol.report.group_checks import MAX_PLACES, group_checks, read_checks
from bids_msvol.report.group_document import write_group_report
from tests.report.group_samples import make_results

RISES = "the EDSS of sub-{:03d} rises from 3 to {} on day {}, and no later visit can confirm it"


def _findings() -> tuple[Finding, ...]:
    rises = [
        Finding("warning", "visits.tsv", place, "edss", RISES.format(place, 4 + place / 2, 900 + place), "Add a visit")
        for place in range(1, 6)
    ]
    return (
        Finding("error", "participants.tsv", 4, "age", "-3 is no age", "Correct it"),
        *rises,
        Finding("note", None, None, "age", "age: 52 of 52 people have a value (100 %)", "Nothing needs to be done"),
    )


def test_every_finding_is_read_back() -> None:
    """Nothing is lost between the validation report and the page, nor are its counts taken for a finding."""
    given = _findings()
    read = tuple(read_checks(findings_text(given).splitlines()))
    assert [one.severity for one in read] == [one.severity for one in given]
    assert read[0].message == "-3 is no age."
    assert read[0].remedy == "Correct it."
    assert read[0].place == "participants.tsv, row 4, column age"
    assert read[-1].message.startswith("age: 52 of 52")


def test_like_findings_are_grouped() -> None:
    """Persons, days and scores differ; the kind is the same, and the first three places are named."""
    groups = group_checks(read_checks(findings_text(_findings()).splitlines()), ("error", "warning"))
    assert [(one.word, one.count) for one in groups] == [("Error", 1), ("Warning", 5)]
    assert groups[1].places == tuple(f"visits.tsv, row {place}, column edss" for place in (1, 2, 3))
    assert len(groups[1].places) == MAX_PLACES
    assert groups[1].more == 2
    assert "sub-001" in groups[1].message


def test_lines_of_another_form_are_kept() -> None:
    read = tuple(read_checks(["sub-007: a relapse lies after the last visit."]))
    assert [(one.severity, one.message) for one in read] == [
        ("warning", "sub-007: a relapse lies after the last visit.")
    ]


def test_notes_do_not_bury_warnings(tmp_path: Path) -> None:
    """Errors and warnings stand before the notes, which are folded."""
    lines = tuple(findings_text(_findings()).splitlines())
    path = write_group_report(replace(make_results(), clinical_findings=lines), tmp_path / "group.html")
    html = path.read_text(encoding="utf-8")
    section = html[html.index('<section id="checks"') :]
    folded = section.index("<details>")
    assert section.index("Error.") < section.index("Warning, 5 times.") < folded < section.index("52 of 52 people")
    assert "Clinical tables:" not in section[:folded]
