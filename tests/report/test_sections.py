# SPDX-License-Identifier: Apache-2.0
"""The numbers of the report are the numbers of the tables."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bids_msvol.bids.load import ParticipantOutputs
from bids_msvol.report.inputs import build_input_section
from bids_msvol.report.methods import build_method_section, build_version_section
from bids_msvol.report.overlays import draw_session
from bids_msvol.report.quality import collect_checks
from bids_msvol.report.summary import build_summary_section, describe_outcome
from bids_msvol.report.volumes import build_volume_section, collect_volumes
from bids_msvol.report.wording import MINUS, format_ml
from tests.report.patients import make_patient
from tests.report.people import make_participant, with_provenance


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> ParticipantOutputs:
    """Two sessions, the second with a warning."""
    return make_participant(tmp_path_factory.mktemp("derivatives"))


def test_headline_numbers_equal_the_tables(person: ParticipantOutputs) -> None:
    """Each headline cell is the table's volume in mL and per cent, and the parenchymal fraction is brain over eTIV."""
    html = build_summary_section(person).html
    for session in person.sessions:
        table = session.volumes.set_index("name")
        brain_mm3 = table.loc["WholeBrain", "volume_mm3"]
        assert f">{brain_mm3 / 1000:.1f} <" in html
        assert f"({table.loc['WholeBrain', 'volume_pct_etiv']:.2f} %)" in html
        assert f">{brain_mm3 / table.loc['eTIV', 'volume_mm3']:.4f}<" in html


def _cells(html: str, name: str) -> list[str]:
    """Return the text of each session's cell in a row of the headline table."""
    row = re.search(rf'<tr><th scope="row">{name}.*?</tr>', html, re.DOTALL)
    assert row is not None
    return [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", row[0])]


def test_headline_has_the_lesions_of_the_tables(person: ParticipantOutputs, tmp_path: Path) -> None:
    """Number, volume and new lesions are those of the session's table; candidates stand apart, missing is n/a."""
    patient = make_patient(tmp_path)
    tables = [session.lesion_summary.iloc[0] for session in patient.sessions]
    html = build_summary_section(patient).html
    assert _cells(html, "T2 lesions") == [str(table["count"]) for table in tables]
    assert _cells(html, "Lesion volume") == [f"{table['volume_mm3'] / 1000:.3f}" for table in tables]
    assert _cells(html, "New lesions since the session before") == ["\N{EN DASH}", "1 (1 candidate)"]
    missing = build_summary_section(person).html
    assert _cells(missing, "T2 lesions") == _cells(missing, "Lesion volume") == ["n/a", "n/a"]
    assert _cells(missing, "New lesions since the session before") == ["\N{EN DASH}", "n/a"]
    alone = build_summary_section(replace(patient, sessions=patient.sessions[:1])).html
    assert "New lesions since" not in alone


def test_references_include_what_the_lesion_sections_cite(person: ParticipantOutputs, tmp_path: Path) -> None:
    """What the sections on lesions cite is in the list, and only where they do."""
    html = build_method_section(make_patient(tmp_path)).html
    without = build_method_section(person).html
    for title in ("2017 revisions of the McDonald", "Atrophied brain lesion volume", "gadolinium-enhancing lesions"):
        assert title in html
        assert title not in without


def test_volume_tables_hold_every_row_once(person: ParticipantOutputs) -> None:
    """All structures and sums of the table are shown, with their own numbers on their own side."""
    session = person.sessions[0]
    volumes = collect_volumes(session)
    assert len(volumes.sums) + len(volumes.unpaired) + 2 * len(volumes.pairs) == len(session.volumes)
    thalamus = next(pair for pair in volumes.pairs if pair.name == "Thalamus")
    assert thalamus.left_mm3 == session.volume_mm3("Left-Thalamus")
    assert thalamus.right_mm3 == session.volume_mm3("Right-Thalamus")
    html = build_volume_section(person).html
    for volume_mm3 in session.volumes["volume_mm3"]:
        assert f">{format_ml(volume_mm3)}<" in html


def test_asymmetry_is_left_minus_right_over_their_mean(person: ParticipantOutputs) -> None:
    """110 against 90 is 20 %; a missing side or two empty sides give no number."""
    session = person.sessions[0]
    frame = session.volumes.copy()
    frame.loc[frame["name"] == "Left-Putamen", "volume_mm3"] = 110.0
    frame.loc[frame["name"] == "Right-Putamen", "volume_mm3"] = 90.0
    frame.loc[frame["name"] == "Left-Caudate", "volume_mm3"] = np.nan
    frame.loc[frame["name"].isin(["Left-Pallidum", "Right-Pallidum"]), "volume_mm3"] = 0.0
    pairs = {pair.name: pair for pair in collect_volumes(replace(session, volumes=frame)).pairs}
    assert pairs["Putamen"].asymmetry_pct == pytest.approx(20)
    assert pairs["Caudate"].asymmetry_pct is None
    assert pairs["Pallidum"].asymmetry_pct is None


def test_single_missing_volume_is_shown_as_missing(person: ParticipantOutputs) -> None:
    """One failed structure among good ones reads n/a, with n/a for its asymmetry, and not 0."""
    session = person.sessions[0]
    frame = session.volumes.copy()
    frame.loc[frame["name"] == "Left-Caudate", ["volume_mm3", "volume_pct_etiv"]] = np.nan
    html = build_volume_section(replace(person, sessions=(replace(session, volumes=frame),))).html
    row = re.search(r"<tr><th scope=\"row\">Caudate</th>.*?</tr>", html)
    assert row is not None
    assert row[0].count(">n/a<") == 3


def test_worst_checks_come_first(tmp_path: Path) -> None:
    """Failures stand before warnings, and passed checks apart."""
    person = make_participant(tmp_path, sessions=(("01", None, "fail"),))
    checks = collect_checks(person.sessions[0])
    assert [check.verdict for check in checks.flagged] == ["fail", "warn"]
    assert checks.flagged[0].value == "n/a"
    assert [check.verdict for check in checks.passed] == ["pass", "pass"]


def test_outcome_names_sessions_worst_first(person: ParticipantOutputs) -> None:
    """The overall verdict is a sentence for each verdict that occurs, the worst first."""
    assert describe_outcome(person.sessions) == (
        "Session 02: measured, but a quality check asks you to look before you use the numbers.",
        "Session 01: measured, and every quality check passed.",
    )


def test_outcome_tells_a_failed_part_from_a_failed_whole(tmp_path: Path) -> None:
    """A session that lost one structure is not reported as if it had no numbers."""
    person = make_participant(tmp_path, sessions=(("01", None, "pass"), ("02", None, "fail")))
    good, lost = person.sessions
    partly = with_provenance(good, verdict="fail")
    assert describe_outcome((lost,)) == ("Session 02: the measurement failed. There are no numbers.",)
    assert describe_outcome((partly,))[0].startswith("Session 01: part of the measurement failed.")


def test_inputs_say_what_was_used_and_why(person: ParticipantOutputs) -> None:
    """The chosen image, the reason, the scanner, the voxel size and the images left out are all told."""
    html = build_input_section(person).html
    for text in (
        "sub-P1_run-1_T1w.nii.gz", "It has the finest voxels", "sub-P1_FLAIR.nii.gz", "Maker",
        "1 \N{MULTIPLICATION SIGN} 1 \N{MULTIPLICATION SIGN} 1.2 mm",
        "sub-P1_run-2_T1w.nii.gz", "coarser voxels",
    ):  # fmt: skip
        assert text in html


def test_methods_are_printed_once_unless_they_differ(person: ParticipantOutputs) -> None:
    """Equal sessions share one text; a session measured differently gets its own, under its name."""
    assert build_method_section(person).html.count("registered with SyN") == 1
    other = with_provenance(person.sessions[1], sentences=("Another way.",))
    html = build_method_section(replace(person, sessions=(person.sessions[0], other))).html
    assert '<h3>Session 02</h3>\n<p class="paste">Another way.</p>' in html


def test_versions_and_settings_are_told(person: ParticipantOutputs) -> None:
    """Every software version and the settings that decide the result can be read."""
    html = build_version_section(person).html
    for text in ("0.1.0", "antspyx", "0.6.1", "abc123", "MNI152NLin2009aSym"):
        assert text in html


def test_pictures_cover_three_planes(person: ParticipantOutputs) -> None:
    """The whole head is shown in three planes with their marks, the deep grey matter in two."""
    pictures = draw_session(person.sessions[0])
    assert [(strip.plane, strip.left_mark, strip.right_mark) for strip in pictures.head] == [
        ("axial", "R", "L"), ("coronal", "R", "L"), ("sagittal", "A", "P"),
    ]  # fmt: skip
    assert [len(strip.tiles) for strip in pictures.head] == [14, 14, 14]
    assert [strip.plane for strip in pictures.deep] == ["axial", "coronal"]
    places = [float(tile.place.split()[1].replace(MINUS, "-")) for tile in pictures.head[0].tiles]
    assert places == sorted(places, reverse=True)
