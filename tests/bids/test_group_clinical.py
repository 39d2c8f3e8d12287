# SPDX-License-Identifier: Apache-2.0
"""Clinical tables as people send them: spellings, tabs at the ends of lines, and datasets without sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_msvol.bids.clinical import read_cohort
from bids_msvol.bids.clinical_checks import check_cohort
from bids_msvol.errors import DataError


def write(root: Path, *rows: str, name: str = "participants.tsv") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(row.split(" ")) + "\n" for row in rows), encoding="utf-8")
    return root


@pytest.mark.parametrize(("text", "expected"), [("rrms", "RRMS"), ("RR-MS", "RRMS"), ("hc", "HC"), ("Late", "Late")])
def test_spellings_of_phenotypes(tmp_path: Path, text: str, expected: str) -> None:
    """One phenotype in two spellings is one group; what is not known stays as it is, with a warning."""
    cohort = read_cohort(write(tmp_path, "participant_id phenotype", f"sub-01 {text}"))
    assert cohort.persons[0].phenotype == expected
    warned = any("is not a phenotype" in finding.message for finding in check_cohort(cohort))
    assert warned == (expected == "Late")


def test_tabs_at_the_end_of_a_row(tmp_path: Path) -> None:
    """Empty cells beyond the header are nothing; a value there is an error, and so is a row that is too short."""
    assert read_cohort(write(tmp_path, "participant_id age", "sub-01 40  ")).persons[0].age == 40.0
    for row in ("sub-01 40  x", "sub-01"):
        with pytest.raises(DataError, match="cells, and the header has 2"):
            read_cohort(write(tmp_path, "participant_id age", row))


def test_columns_of_sessions_without_sessions(tmp_path: Path) -> None:
    """They are about the only session of a person if the dataset has none, not if it has, or if others are wide."""
    cohort = read_cohort(
        write(tmp_path / "a", "participant_id age edss exclude", "sub-01 40 2.5 1", "sub-02 41 n/a n/a")
    )
    (session,) = cohort.sessions
    assert (session.participant_id, session.session_id, session.edss, session.exclude) == ("sub-01", "n/a", 2.5, True)
    assert session.age is None
    assert cohort.persons[0].age == 40.0
    wide = read_cohort(write(tmp_path / "b", "participant_id edss edss_M12", "sub-01 2.5 3"))
    assert [(one.session_id, one.edss) for one in wide.sessions] == [("ses-M12", 3.0)]
    write(tmp_path / "c", "session_id days", "ses-1 0", name="sub-01/sub-01_sessions.tsv")
    several = read_cohort(write(tmp_path / "c", "participant_id edss", "sub-01 2.5"))
    assert [one.edss for one in several.sessions] == [None]


def test_two_sessions_of_one_day_are_told(tmp_path: Path) -> None:
    """Also where nothing was measured in the clinic at either."""
    cohort = read_cohort(write(tmp_path, "session_id days", "ses-1 9", "ses-2 9", name="sub-01/sub-01_sessions.tsv"))
    messages = [finding.message for finding in check_cohort(cohort)]
    assert "ses-1 and ses-2 of sub-01 are of the same day" in messages
