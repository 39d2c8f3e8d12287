# SPDX-License-Identifier: Apache-2.0
"""What the report says of new and changed lesions is what the table of activity says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bids_msvol.bids.load import ParticipantOutputs
from bids_msvol.report.lesion_activity import (
    MAX_PANELS,
    NONE_FOUND,
    build_activity_section,
    collect_activity,
    list_activity_citations,
)
from tests.report.patients import FIRST, SECOND, make_activity, make_patient, with_lesions
from tests.report.people import make_participant

pytestmark = pytest.mark.usefixtures("coarse_pictures")

ATTACK = "</td><script>alert('x')</script><img src=x onerror=y>&\""


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> ParticipantOutputs:
    """Two sessions: a new lesion, a candidate, one enlarging, one shrinking, one resolved and one stable."""
    return make_patient(tmp_path_factory.mktemp("derivatives"))


def _table(patient: ParticipantOutputs) -> pd.DataFrame:
    assert patient.activity is not None
    return patient.activity


def _html(outputs: ParticipantOutputs) -> str:
    section = build_activity_section(outputs)
    assert section is not None
    return section.html


def test_counts_equal_the_tables(patient: ParticipantOutputs) -> None:
    """Each kind is counted as in the table of the later session, certain things and candidates apart."""
    (pair,) = collect_activity(patient)
    counts = {count.kind: (count.high, count.candidates) for count in pair.counts}
    summary = patient.sessions[1].lesion_summary.iloc[0]
    for kind in ("new", "enlarging"):
        assert counts[kind] == (summary[f"{kind}_lesions"], summary[f"{kind}_lesion_candidates"])
    assert counts["shrinking"][0] == summary["shrinking_lesions"]
    assert counts["resolved"][0] == summary["resolved_lesions"]
    assert counts == {
        "new": (1, 1), "enlarging": (1, 0), "shrinking": (1, 0), "resolved": (1, 0), "regrouped": (0, 0),
        "stable": (1, 0),
    }  # fmt: skip
    assert pair.result == (
        "Found with high confidence: 1 new lesion and 1 enlarging lesion.",
        "Candidates, to be looked at before they are counted: 1 new lesion.",
    )
    assert pair.days == 203.0
    assert "fluid at the later one (atrophied lesion volume, Dwyer 2018): 12 mm³" in _html(patient)
    assert list_activity_citations(patient) == ("Dwyer 2018",)


def test_panels_show_what_is_new_or_has_grown_and_nothing_else(patient: ParticipantOutputs) -> None:
    """New and enlarging lesions are drawn, certain ones first; stable, shrinking and resolved ones are not."""
    (pair,) = collect_activity(patient)
    assert [panel.title for panel in pair.panels] == ["New lesion 5", "Enlarging lesion 1", "New lesion 6"]
    assert [panel.confidence for panel in pair.panels] == ["high", "high", "candidate"]
    assert pair.more == 0
    html = _html(patient)
    assert html.count('<figure class="panel">') == 3
    assert html.count("<img ") == 3 * 4
    assert "not shown" not in html


def test_all_changes_but_stable_lesions_are_in_the_table(patient: ParticipantOutputs) -> None:
    """Shrinking and resolved lesions, which have no panel, are listed with their volumes."""
    (pair,) = collect_activity(patient)
    rows = {change.lesions: change for change in pair.changes}
    assert list(rows) == ["5", "6", "1", "3", "4"]
    table = _table(patient).set_index("status")
    resolved = table.loc["resolved"]
    assert (rows["4"].status, rows["4"].after_mm3) == ("resolved, high confidence", "0")
    assert rows["4"].before_mm3 == f"{resolved['volume_from_mm3']:.0f}"
    grown = table.loc["enlarging"]
    assert rows["1"].change_mm3 == f"+{grown['volume_to_mm3'] - grown['volume_from_mm3']:.0f}"
    assert rows["3"].change_mm3.startswith("\N{MINUS SIGN}")


def test_lesions_that_grew_while_they_merged_are_enlarging(patient: ParticipantOutputs) -> None:
    """As in the tables of the sessions; those that only met count apart and have no panel."""
    table = _table(patient)
    merged = table[table["status"] == "enlarging"].assign(status="merged", index_from="1,2")
    grown, met = merged.assign(grew="yes"), merged.assign(grew="no")
    for rows, counts, titles in (
        (grown, {"enlarging": 1, "regrouped": 0}, ["Lesions 1 and 2 merged and grown"]),
        (met, {"enlarging": 0, "regrouped": 1}, []),
    ):
        (pair,) = collect_activity(replace(patient, activity=rows))
        assert counts.items() <= {count.kind: count.high for count in pair.counts}.items()
        assert [panel.title for panel in pair.panels] == titles
        assert sum(count.high + count.candidates for count in pair.counts) == 1
        assert [change.lesions for change in pair.changes] == ["1, 2"]


def test_long_list_is_cut_and_says_so(patient: ParticipantOutputs) -> None:
    """Not more than eight panels, certain ones among them wherever they stand; the rest is counted."""
    table = _table(patient)
    candidate, sure = (
        table[(table["status"] == "new") & (table["confidence"] == one)] for one in ("candidate", "high")
    )
    many = pd.concat([*[candidate] * (MAX_PANELS + 1), sure], ignore_index=True)
    outputs = replace(patient, activity=many)
    (pair,) = collect_activity(outputs)
    assert len(pair.panels) == MAX_PANELS
    assert pair.panels[0].title == "New lesion 5"
    assert pair.more == 2
    assert len(pair.changes) == MAX_PANELS + 2
    assert "2 more new or enlarging lesions are not shown" in _html(outputs)
    one_more = replace(patient, activity=many.iloc[1:])
    assert "1 more new or enlarging lesion is not shown" in _html(one_more)


def test_nothing_new_is_said_plainly(patient: ParticipantOutputs) -> None:
    """A comparison in which nothing changed says so, has its counts, and no picture."""
    table = _table(patient)
    outputs = replace(patient, activity=table[table["status"] == "stable"])
    (pair,) = collect_activity(outputs)
    assert pair.result == (NONE_FOUND,)
    html = _html(outputs)
    assert "No new or enlarging lesion was found." in html
    assert "<img" not in html
    assert "Every lesion that changed" not in html
    assert "n/a" not in html


def test_candidates_alone_are_not_called_found(patient: ParticipantOutputs) -> None:
    """With candidates only, the certain result is none, and the candidates are named after it."""
    table = _table(patient)
    (pair,) = collect_activity(replace(patient, activity=table[table["confidence"] == "candidate"]))
    assert pair.result == (
        "No new or enlarging lesion was found with high confidence.",
        "Candidates, to be looked at before they are counted: 1 new lesion.",
    )


def test_no_comparison_gives_the_reason(tmp_path: Path) -> None:
    """Where lesions were not compared, the reason of the later session is told, and nothing is claimed."""
    person = make_participant(tmp_path)
    html = _html(person)
    assert "The lesions were not compared: there is no FLAIR and no T2w image." in html
    assert NONE_FOUND not in html
    assert not re.search(r"<td[^>]*>0<", html)
    assert list_activity_citations(person) == ()


def test_no_lesion_at_either_session_is_a_result(patient: ParticipantOutputs) -> None:
    """A comparison of sessions without lesions leaves no row in the table, but zeros in that of the session."""
    first, second = patient.sessions
    table = _table(patient).iloc[:0]
    empty = (with_lesions(first, ()), with_lesions(second, (), earlier=()))
    (pair,) = collect_activity(replace(patient, sessions=empty, activity=table))
    assert (pair.result, pair.reason) == ((NONE_FOUND,), "")
    unknown = with_lesions(second, ())
    (pair,) = collect_activity(replace(patient, sessions=(empty[0], unknown), activity=table))
    assert (pair.result, pair.reason) == ((), "there is no earlier session to compare with")


def test_pairs_that_do_not_follow_one_another_come_last(tmp_path: Path) -> None:
    """Neighbours are told in order, compared or not; the whole course comes after them and is marked as such."""
    sessions = (("01", 0.0, "pass"), ("02", 100.0, "pass"), ("03", 400.0, "pass"))
    first, second, third = make_participant(tmp_path, sessions=sessions).sessions
    person = ParticipantOutputs(
        "P1",
        tmp_path,
        (
            with_lesions(first, FIRST),
            replace(second, lesion_summary=second.lesion_summary.assign(reason="the image is blurred")),
            with_lesions(third, SECOND, earlier=FIRST),
        ),
    )
    table = make_activity((person.sessions[0], person.sessions[2]), (FIRST, SECOND))
    gone = table.assign(session_id_to="ses-09")
    person = replace(person, activity=pd.concat([table, gone], ignore_index=True))
    pairs = collect_activity(person)
    assert [(pair.title, pair.consecutive, pair.days) for pair in pairs] == [
        ("Session 01 to session 02", True, None),
        ("Session 02 to session 03", True, None),
        ("Session 01 to session 03", False, 400.0),
    ]
    assert pairs[0].reason == "the image is blurred"
    # The table of the third session holds a number for a step that this one is not.
    assert pairs[1].reason == "the lesions of these two sessions were not compared"
    assert pairs[2].atrophied_mm3 is None
    assert len(pairs[2].panels) == 3
    assert "do not follow one another" in _html(person)


def test_one_session_has_no_such_section(patient: ParticipantOutputs) -> None:
    """There is nothing to compare with, and nothing to excuse."""
    assert build_activity_section(replace(patient, sessions=patient.sessions[:1])) is None


def test_missing_image_does_not_lose_the_numbers(tmp_path: Path) -> None:
    """Where an image is gone, the counts stay and the file is named in place of the pictures."""
    person = make_patient(tmp_path)
    person.sessions[0].files.lesions.unlink()
    html = _html(person)
    assert "Found with high confidence: 1 new lesion" in html
    assert f"No pictures. {person.sessions[0].files.lesions}" in html
    assert "<img" not in html


def test_hostile_text_is_escaped(patient: ParticipantOutputs, tmp_path: Path) -> None:
    """Markup in a table or in a reason is shown as text."""
    table = _table(patient)
    attacked = table[table["status"] == "new"].assign(confidence=ATTACK)
    second = patient.sessions[1]
    assert second.lesions is not None
    sessions = (patient.sessions[0], replace(second, lesions=second.lesions.assign(region=ATTACK)))
    html = _html(replace(patient, sessions=sessions, activity=attacked))
    person = make_participant(tmp_path)
    first, later = person.sessions
    later = replace(later, lesion_summary=later.lesion_summary.assign(reason=ATTACK))
    html += _html(replace(person, sessions=(first, later)))
    assert "<script" not in html
    assert "onerror=y>" not in html
    assert html.count("alert(") >= 2 * 3 + 1
