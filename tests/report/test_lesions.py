# SPDX-License-Identifier: Apache-2.0
"""What the report says of lesions is what the tables say, and no more."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
from bids_msvol.report.lesions import (
    build_lesion_section,
    collect_lesions,
    has_unlike_sources,
    list_lesion_citations,
    summarise_session,
)
from bids_msvol.report.wording import format_ml
from tests.report.patients import ENHANCING, FIRST, make_patient, with_lesions
from tests.report.people import make_participant

pytestmark = pytest.mark.usefixtures("coarse_pictures")

ATTACK = "</td><script>alert('x')</script><img src=x onerror=y>&\""


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> ParticipantOutputs:
    """Two sessions with FLAIR, the second with one enhancing lesion."""
    return make_patient(tmp_path_factory.mktemp("derivatives"))


@pytest.fixture(scope="module")
def html(patient: ParticipantOutputs, coarse_pictures: None) -> str:
    """The section."""
    return build_lesion_section(patient).html


@pytest.fixture
def person(tmp_path: Path) -> ParticipantOutputs:
    """Two sessions in which no lesions were measured."""
    return make_participant(tmp_path)


def _row_of(session: SessionOutputs, html: str) -> str:
    """Return the line of a session in the table of all lesions."""
    row = re.search(rf'<tr><th scope="row">Session {session.label}<br>.*?</tr>', html, re.DOTALL)
    assert row is not None
    return row[0]


def test_headline_equals_the_tables(patient: ParticipantOutputs, html: str) -> None:
    """Number, volume in mL, regions and dissemination of each session are those of its table."""
    for session in patient.sessions:
        table = session.lesion_summary.iloc[0]
        row = _row_of(session, html)
        assert f'<td class="number">{table["count"]}</td>' in row
        assert f'<td class="number">{format_ml(table["volume_mm3"])}</td>' in row
        for region in ("periventricular", "juxtacortical", "infratentorial", "deep_white_matter"):
            assert f"{region.replace('_', ' ')}: {table[f'{region}_count']}<" in row
        assert f"<td>{table['regions_2017']}</td>" in row
        assert "FLAIR, by this program" in row


def test_enhancing_lesions_are_counted_apart(patient: ParticipantOutputs) -> None:
    """High and low confidence have their own numbers; without an image after contrast agent there is none."""
    first, second = (summarise_session(session) for session in patient.sessions)
    assert (first.gd, first.gd_candidates) == ("n/a", "n/a")
    assert (second.gd, second.gd_candidates) == ("1", "0")
    balls = (*ENHANCING, replace(ENHANCING[0], index=2, centre_mm=(-36, -30, 24), confidence="low"))
    found = with_lesions(patient.sessions[0], FIRST, enhancing=balls)
    assert (summarise_session(found).gd, summarise_session(found).gd_candidates) == ("1", "1")
    assert [one.confidence for one in collect_lesions(found).enhancing] == ["high", "low"]


def test_dissemination_is_never_ruled_out(patient: ParticipantOutputs, html: str) -> None:
    """The table's "no" is told as what it is, and the caveat stands beside it."""
    one = with_lesions(patient.sessions[0], FIRST[1:3])
    assert one.lesion_summary["dissemination_in_space"].iloc[0] == "no"
    assert summarise_session(one).dissemination == "not in the brain alone"
    assert summarise_session(patient.sessions[1]).dissemination == "yes"
    assert "cannot be ruled out here" in html


def test_every_lesion_is_in_the_table(patient: ParticipantOutputs, html: str) -> None:
    """The table of a session has each lesion with its region, volume, T1-hypointense share and status."""
    session = patient.sessions[1]
    assert session.lesions is not None
    shown = collect_lesions(session).lesions
    assert [lesion.index for lesion in shown] == ["1", "2", "3", "5", "6"]
    assert [lesion.volume_mm3 for lesion in shown] == [f"{volume:.0f}" for volume in session.lesions["volume_mm3"]]
    assert [lesion.hypointense_pct for lesion in shown] == ["10", "20", "30", "50", "60"]
    assert [lesion.status for lesion in shown] == [
        "enlarging, high confidence", "stable", "shrinking, high confidence", "new, high confidence", "new, candidate",
    ]  # fmt: skip
    assert shown[4].region == "infratentorial"
    assert html.count('<tr><th scope="row" class="number">') == 4 + 5 + 1


def test_status_is_left_out_at_a_first_session(patient: ParticipantOutputs, html: str) -> None:
    """A column of n/a would look like a failure where there is nothing to compare with."""
    first, second = (collect_lesions(session) for session in patient.sessions)
    assert not first.has_status
    assert second.has_status
    assert html.count('<th scope="col">Status</th>') == 1


def test_missing_is_shown_as_missing(person: ParticipantOutputs) -> None:
    """Without measurement there is n/a and the reason, neither a number nor a picture nor a word on diagnosis."""
    html = build_lesion_section(person).html
    for session in person.sessions:
        row = _row_of(session, html)
        assert row.count(">n/a<") == 8
        assert not re.search(r">\s*0", row)
        assert f"Session {session.label}: lesions were not measured: there is no FLAIR and no T2w image." in html
    assert "<img" not in html
    assert "No pictures" not in html
    assert "No lesion was found" not in html
    assert "McDonald 2017, dissemination" not in html
    assert list_lesion_citations(person) == ()


def test_no_lesion_is_not_missing(person: ParticipantOutputs) -> None:
    """A measured session without lesions has zeros and a sentence, and no reason."""
    empty = with_lesions(person.sessions[0], ())
    html = build_lesion_section(replace(person, sessions=(empty,))).html
    row = _row_of(empty, html)
    assert '<td class="number">0</td><td class="number">0.000</td>' in row
    assert "<td>none</td>" in row
    assert "<p>No lesion was found.</p>" in html
    assert "were not measured:" not in html
    assert "<img" not in html
    assert "No pictures" not in html


def test_given_mask_is_named(person: ParticipantOutputs) -> None:
    """Whose lesions they are is told with the path of the mask."""
    session = with_lesions(person.sessions[0], FIRST, contrast=None, given="sub-P1/ses-01/anat/lesions.nii.gz")
    html = build_lesion_section(replace(person, sessions=(session,))).html
    row = _row_of(session, html)
    assert 'a mask that was given: <span class="path">sub-P1/ses-01/anat/lesions.nii.gz</span>' in row
    assert "by this program" not in row
    assert "axial slices of the T1w image" in html


def test_unlike_sources_are_told(patient: ParticipantOutputs, html: str) -> None:
    """FLAIR and T2w, or a mask that was given and one that was not, do not compare; two given masks do."""
    first, second = patient.sessions
    assert not has_unlike_sources(patient.sessions)
    assert "not found in the same way" not in html
    t2w = replace(second, lesion_summary=second.lesion_summary.assign(source="T2w"))
    assert "not found in the same way" in build_lesion_section(replace(patient, sessions=(first, t2w))).html
    given = tuple(
        replace(one, lesion_summary=one.lesion_summary.assign(source=f"{one.label}.nii.gz", method="given"))
        for one in patient.sessions
    )
    assert not has_unlike_sources(given)
    assert has_unlike_sources((first, given[1]))


def test_sessions_without_lesions_do_not_count_as_unlike(patient: ParticipantOutputs, tmp_path: Path) -> None:
    """Where lesions were not measured, there is no number to compare."""
    unmeasured = make_participant(tmp_path).sessions[1]
    assert not has_unlike_sources((patient.sessions[0], unmeasured))


def test_enhancement_without_lesions_is_drawn(person: ParticipantOutputs) -> None:
    """Without FLAIR and T2w, what takes up contrast agent is counted and shown on the T1w, and lesions are missing."""
    session = with_lesions(person.sessions[0], (), contrast=None, enhancing=ENHANCING)
    summary = person.sessions[0].lesion_summary.assign(gd_lesions=0, gd_lesion_candidates=1)
    session = replace(session, lesions=None, lesion_summary=summary)
    line = summarise_session(session)
    assert (line.count, line.gd_candidates) == ("n/a", "1")
    found = collect_lesions(session)
    assert found.picture is not None
    assert found.picture.contrast == "T1w"
    html = build_lesion_section(replace(person, sessions=(session,))).html
    assert "No lesion was found" not in html
    assert "lesions were not measured: there is no FLAIR" in html


def test_unreadable_image_does_not_lose_the_numbers(person: ParticipantOutputs) -> None:
    """Where the image of lesions is gone, its name stands in place of the pictures."""
    session = with_lesions(person.sessions[0], FIRST)
    session.files.lesions.unlink()
    html = build_lesion_section(replace(person, sessions=(session,))).html
    assert f"No pictures. {session.files.lesions}" in html
    assert "Every lesion of Session 01 (4)" in html


def test_what_the_section_cites_is_listed(patient: ParticipantOutputs, html: str) -> None:
    """Each citation in the text is among the references, and the size classes only where something enhances."""
    assert list_lesion_citations(patient) == ("Thompson 2018", "Coronado 2021")
    assert all(key in html for key in list_lesion_citations(patient))
    without = replace(patient, sessions=patient.sessions[:1])
    assert list_lesion_citations(without) == ("Thompson 2018",)
    assert "Coronado" not in build_lesion_section(without).html


def test_hostile_text_is_escaped(person: ParticipantOutputs) -> None:
    """Markup in the path of a mask, in a reason or in a table is shown as text."""
    first, second = person.sessions
    drawn = with_lesions(first, FIRST, enhancing=ENHANCING)
    assert drawn.lesions is not None
    assert drawn.enhancement is not None
    summary = drawn.lesion_summary.assign(
        source=ATTACK, method="given", regions_2017=ATTACK, dissemination_in_space=ATTACK
    )
    drawn = replace(
        drawn,
        lesion_summary=summary,
        lesions=drawn.lesions.assign(region=ATTACK, status=ATTACK, confidence=ATTACK),
        enhancement=drawn.enhancement.assign(confidence=ATTACK, size_mm3=ATTACK, in_lesion=ATTACK, ring=ATTACK),
    )
    unmeasured = replace(second, lesion_summary=second.lesion_summary.assign(reason=ATTACK))
    html = build_lesion_section(replace(person, sessions=(drawn, unmeasured))).html
    assert "<script" not in html
    assert "onerror=y>" not in html
    assert html.count("alert(") >= 4 + 3 * len(FIRST) + 4
