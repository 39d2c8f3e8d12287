# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bids_msvol.bids.clinical_checks import Finding, check_cohort, findings_text
from tests.bids.test_clinical import RELAPSES, SESSIONS, VISITS, read, tsv

TREATMENTS = "phenotype/ms_treatments.tsv"
CLEAN = {
    "participants.tsv": tsv("participant_id sex phenotype", "sub-01 F RRMS"),
    SESSIONS: tsv("session_id days edss new_t2", "ses-M0 0 2 n/a", "ses-M12 365 2 1"),
    RELAPSES: tsv("participant_id days end_days steroids", "sub-01 100 130 1"),
}


def check(root: Path, files: Mapping[str, str]) -> tuple[Finding, ...]:
    return check_cohort(read(root, {**CLEAN, **files}))


def test_clean_tables(tmp_path: Path) -> None:
    """Tables without fault give only notes on completeness, with the right counts."""
    findings = check(tmp_path, {})
    assert {(one.severity, one.file) for one in findings} == {("note", None)}
    messages = {one.message for one in findings}
    assert "new_t2: 1 of 2 sessions have a value (50 %)" in messages
    assert "edss: 2 of 2 visits have a value (100 %)" in messages
    assert "sex: 1 of 1 people have a value (100 %)" in messages
    assert not any(message.startswith("sdmt") for message in messages)


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (SESSIONS, tsv("session_id days edss", "ses-1 0 0.5"), ("error", 2, "edss", "0.5 is not an EDSS score")),
        (VISITS, tsv("participant_id days edss", "sub-01 9 2.25"), ("error", 2, "edss", "2.25 is not an EDSS")),
        (VISITS, tsv("participant_id days sdmt", "sub-01 9 111"), ("error", 2, "sdmt", "111 is not an SDMT score")),
        (VISITS, tsv("participant_id days nhpt_dom", "sub-01 9 0"), ("error", 2, "nhpt_dom", "0 is not a time")),
        (VISITS, tsv("participant_id days fs_visual", "sub-01 9 7"), ("error", 2, "fs_visual", "7 is not a score")),
        (VISITS, tsv("participant_id edss", "sub-01 2"), ("error", 2, "participant_id", "neither a day nor a session")),
        (VISITS, tsv("participant_id days edss", "sub-09 1 2"), ("error", 2, "participant_id", "sub-09 is neither in")),
        (RELAPSES, tsv("participant_id days", "sub-01 400"), ("warning", 2, "days", "is after the follow-up")),
        (RELAPSES, tsv("participant_id days", "sub-01 -4"), ("note", 2, "days", "is before the follow-up")),
        (RELAPSES, tsv("participant_id days", "sub-01 n/a"), ("error", 2, "participant_id", "has no day on which")),
        (RELAPSES, tsv("participant_id days", "sub-01 9", "sub-01 9"), ("warning", 3, "days", "another relapse")),
        (RELAPSES, tsv("participant_id days end_days", "sub-01 9 3"), ("error", 2, "end_days", "ends on day 3")),
        (RELAPSES, tsv("participant_id days", "sub-01 9"), ("note", 1, "steroids", "steroids is not known")),
        (TREATMENTS, tsv("participant_id start_days end_days", "sub-01 9 3"),
         ("error", 2, "end_days", "a treatment of sub-01 ends on day 3")),
        (TREATMENTS, tsv("participant_id drug", "sub-01 x"), ("warning", 2, "participant_id", "has no day on which")),
        (SESSIONS, tsv("session_id days new_t2", "ses-1 0 21"), ("warning", 2, "new_t2", "21 lesions at one session")),
        (SESSIONS, tsv("session_id days gd", "ses-1 0 -1"), ("error", 2, "gd", "-1 is no number of lesions")),
        (SESSIONS, tsv("session_id edss", "ses-1 0"), ("note", 2, "session_id", "neither days nor acq_time")),
        (SESSIONS, tsv("session_id days", "ses-1 0", "ses-2 n/a"), ("warning", 3, "session_id", "ses-2 of sub-01 has")),
        (SESSIONS, tsv("session_id days", "ses-M6 365", "ses-M12 180"),
         ("warning", 3, "days", "from ses-M6 to ses-M12 of sub-01 are -185 days")),
        (SESSIONS, tsv("session_id days acq_time", "ses-1 0 1900-01-01", "ses-2 90 1900-02-01"),
         ("warning", 3, "acq_time", "days of sub-01 is 31 here and 90")),
        (SESSIONS, tsv("session_id acq_time", "ses-1 1900-01-01"), ("warning", None, "acq_time", "day 0 was taken")),
        (SESSIONS, tsv("session_id days sdmt", "ses-1 9 40", "ses-2 9 41"),
         ("error", 3, "sdmt", "sdmt is 40 in one and 41 in the other")),
        (SESSIONS, tsv("session_id days sdmt", "ses-1 9 40", "ses-2 9 40"), ("note", 3, "days", "of the same day")),
        (VISITS, tsv("participant_id days edss", "sub-01 9 2", "sub-01 9 2"),
         ("note", 3, "edss", "edss of sub-01 is 2, as")),
        (VISITS, tsv("participant_id days edss", "sub-01 9 2", "sub-01 9 3"),
         ("error", 3, "edss", "is 3 here and 2 for")),
        (VISITS, tsv("participant_id days edss", "sub-01 365 3"), ("warning", 2, "edss", "is 3 here and 2 for")),
        (VISITS, tsv("participant_id days edss", "sub-01 500 3.5"), ("warning", 2, "edss", "rises from 2 to 3.5")),
        (VISITS, tsv("participant_id days shoe", "sub-01 9 40"), ("note", 1, None, "not used: shoe")),
        ("participants.tsv", tsv("participant_id edss", "sub-01 2"), ("warning", 1, "edss", "does not say of which")),
        ("participants.tsv", tsv("participant_id phenotype", "sub-01 XX"), ("warning", 2, "phenotype", "'XX' is not")),
        ("participants.tsv", tsv("participant_id", "sub-02"),
         ("warning", None, "participant_id", "sub-01 has a folder")),
    ],
)  # fmt: skip
def test_each_finding(tmp_path: Path, file: str, text: str, expected: tuple[str, int | None, str | None, str]) -> None:
    """Each fault is found once, where it stands, with its severity and with what to do."""
    severity, row, column, message = expected
    found = [one for one in check(tmp_path, {file: text}) if message in one.message]
    assert [(one.severity, one.file, one.row, one.column) for one in found] == [(severity, file, row, column)]
    assert found[0].remedy
    assert not found[0].message.endswith(".")
    assert not found[0].remedy.endswith(".")


def test_a_worsening_that_is_confirmed_is_no_finding(tmp_path: Path) -> None:
    """What a later visit confirms needs no warning, and an impossible score does not stop the search."""
    table = tsv("participant_id days edss", "sub-01 500 3.5", "sub-01 700 3.5", "sub-01 710 3.7")
    messages = [one.message for one in check(tmp_path, {VISITS: table})]
    assert not any("rises" in message for message in messages)
    assert any("3.7 is not an EDSS score" in message for message in messages)


def test_rows_of_one_day_that_add_to_each_other_are_no_finding(tmp_path: Path) -> None:
    """Two rows of one day with different tests are one visit."""
    table = tsv("participant_id days edss sdmt", "sub-01 9 2 n/a", "sub-01 9 n/a 44")
    findings = check(tmp_path, {VISITS: table})
    assert {one.severity for one in findings} == {"note"}
    assert {one.file for one in findings} == {None}


def test_a_relapse_without_any_visit(tmp_path: Path) -> None:
    """A relapse of a person without days cannot be placed."""
    files = {
        "participants.tsv": tsv("participant_id", "sub-01", "sub-02"),
        RELAPSES: tsv("participant_id days", "sub-02 5"),
    }
    assert any("cannot be placed" in one.message for one in check(tmp_path, files))


def test_a_wide_value_that_is_not_used(tmp_path: Path) -> None:
    """A wide value that another table overrides is told if it differs, and only then."""
    table = tsv("participant_id edss_M0 edss_M12", "sub-01 2 2.5")
    found = [one for one in check(tmp_path, {"participants.tsv": table}) if one.severity != "note"]
    assert [(one.severity, one.row, one.column) for one in found] == [("warning", 2, "edss_M12")]
    assert "edss of sub-01 is 2.5 here and 2 for the same session or day in sub-01/" in found[0].message


def test_text(tmp_path: Path) -> None:
    """The report counts, puts errors first, and says where, what and what to do."""
    findings = check(tmp_path, {SESSIONS: tsv("session_id days edss new_t2", "ses-1 0 11 30", "ses-2 365 2 0")})
    text = findings_text(findings)
    lines = text.splitlines()
    assert lines[0].startswith("Clinical tables: 1 error, 1 warning, ")
    assert lines[2] == "ERROR  sub-01/sub-01_sessions.tsv, row 2, column edss"
    assert lines[3].startswith("  11 is not an EDSS score")
    assert lines[4] == "  Correct it, or write n/a."
    assert lines[6] == "WARNING  sub-01/sub-01_sessions.tsv, row 2, column new_t2"
    assert findings_text(()) == "Clinical tables: 0 errors, 0 warnings, 0 notes.\n"


def test_a_single_session_needs_no_day(tmp_path: Path) -> None:
    """Without visits and relapses, the day of the only session means nothing."""
    findings = check_cohort(read(tmp_path, {SESSIONS: tsv("session_id age", "ses-1 30")}))
    assert not any("neither days nor" in one.message for one in findings)
