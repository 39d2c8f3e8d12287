# SPDX-License-Identifier: Apache-2.0
"""The report of the group level cites what its analyses rest on, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from bids_msvol.group.plan import ANALYSES
from bids_msvol.group.result import Analysis
from bids_msvol.group.results import GroupResults
from bids_msvol.report.group_document import write_group_report
from bids_msvol.report.group_references import GROUP_REFERENCES, find_references
from tests.report.group_samples import make_results


def _results(*names: str, definition: str = "default") -> GroupResults:
    analyses = tuple(Analysis(name, name, "What?", (), (), (), ()) for name in names)
    return replace(make_results(), analyses=analyses, settings={"activity.definition": definition})


def _keys(results: GroupResults) -> set[str]:
    return {one.key for one in find_references(results)}


def test_list_is_well_formed() -> None:
    """Keys are unique and sorted and begin the text, years agree, DOIs are bare, analyses exist."""
    keys = [one.key for one in GROUP_REFERENCES]
    assert keys == sorted(set(keys), key=str.casefold)
    for one in GROUP_REFERENCES:
        name, year = one.key.rsplit(" ", 1)
        assert one.text.startswith(name)
        assert f"({year}). " in one.text
        assert one.text.endswith(".")
        assert not one.doi or re.fullmatch(r"10\.\d{4,9}/\S+", one.doi)
        assert {*one.analyses} <= {*ANALYSES, "q values"}


def test_only_what_was_used_is_cited() -> None:
    assert {"Cox 1972", "Efron 1977", "Kaplan 1958"} <= _keys(_results("time_to_event"))
    assert not {"Cox 1972", "DeLong 1988", "Rocca 2019"} & _keys(_results("lesions_yearly"))
    assert _keys(_results()) == {"Gorgolewski 2016"}


def test_tests_with_q_values_cite_their_correction() -> None:
    assert "Benjamini 1995" in _keys(make_results())
    assert "Benjamini 1995" not in _keys(_results("time_to_event"))


def test_the_definition_of_progression_is_cited() -> None:
    """That of the plan, if worsening was looked for."""
    assert "Kappos 2020" in _keys(_results("time_to_event", definition="kappos2020"))
    assert "Müller 2023" not in _keys(_results("time_to_event", definition="kappos2020"))
    assert "Müller 2023" not in _keys(_results("group_volumes"))


def test_identifiers_with_brackets_are_links(tmp_path: Path) -> None:
    """A DOI with angle brackets is shown as it is, and escaped in its address."""
    html = write_group_report(_results("disease_activity"), tmp_path / "group.html").read_text(encoding="utf-8")
    assert "17:8&lt;873::AID-SIM779&gt;3.0.CO;2-I</a>" in html
    assert "https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8%3C873::AID-SIM779%3E3.0.CO;2-I" in html
