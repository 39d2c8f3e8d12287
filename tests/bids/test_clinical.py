# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from bids_msvol.bids.clinical import read_cohort
from bids_msvol.bids.clinical_records import Cohort, Source
from bids_msvol.clinical import course
from bids_msvol.errors import DataError, MSVolError, NoInputError


def tsv(*rows: str) -> str:
    """Write rows whose cells are separated by spaces."""
    return "".join("\t".join(row.split()) + "\n" for row in rows)


def make(root: Path, files: Mapping[str, str]) -> Path:
    """Write files of text."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root


def read(root: Path, files: Mapping[str, str]) -> Cohort:
    return read_cohort(make(root, files))


SESSIONS = "sub-01/sub-01_sessions.tsv"
VISITS = "phenotype/ms_visits.tsv"
RELAPSES = "phenotype/ms_relapses.tsv"


def test_people(tmp_path: Path) -> None:
    """Values are read by kind, n/a and empty cells are missing, and every value knows where it stands."""
    text = "participant_id\tsex\tage\tgroup\tn_prior_dmt\nsub-01\tfemale\t41.5\tMS\t2.0\nsub-02\tM\tn/a\t\tn/a\n"
    cohort = read(tmp_path, {"participants.tsv": text})
    one, two = cohort.persons
    assert (one.participant_id, one.sex, one.age, one.group, one.n_prior_dmt) == ("sub-01", "F", 41.5, "MS", 2)
    assert one.sources["age"] == Source("participants.tsv", 2, "age")
    assert (two.sex, two.age, two.group, two.n_prior_dmt) == ("M", None, None, None)
    assert "age" not in two.sources
    assert cohort.person("sub-02") is two
    assert cohort.person("sub-03") is None


@pytest.mark.parametrize(("text", "expected"), [("F", "F"), ("female", "F"), ("M", "M"), ("Male", "M")])
def test_sex(tmp_path: Path, text: str, expected: str) -> None:
    """The four spellings are read."""
    assert read(tmp_path, {"participants.tsv": tsv("participant_id sex", f"sub-01 {text}")}).persons[0].sex == expected


@pytest.mark.parametrize("text", ["0", "1", "w", "NA", "other", "females"])
def test_other_codes_of_sex_are_refused(tmp_path: Path, text: str) -> None:
    """A code of sex is not guessed; the message names file, row and column."""
    make(tmp_path, {"participants.tsv": tsv("participant_id age sex", "sub-01 30 F", f"sub-02 31 {text}")})
    with pytest.raises(DataError, match=rf"participants\.tsv, row 3, column sex: '{text}' is not one of F, M"):
        read_cohort(tmp_path)


def test_empty_dataset(tmp_path: Path) -> None:
    """No table is needed, and tables that do not exist are not the same as empty ones."""
    cohort = read_cohort(tmp_path)
    assert cohort.persons == ()
    assert cohort.relapses is None
    assert cohort.relapses_of("sub-01") is None
    assert cohort.treatments_of("sub-01") is None


def test_folders_make_people_and_sessions(tmp_path: Path) -> None:
    """People and sessions that have only images are known, without values."""
    (tmp_path / "sub-07" / "ses-M12").mkdir(parents=True)
    cohort = read_cohort(tmp_path)
    assert [person.participant_id for person in cohort.persons] == ["sub-07"]
    assert [(one.session_id, one.days) for one in cohort.sessions_of("sub-07")] == [("ses-M12", None)]
    assert cohort.visits == ()


def test_windows_files(tmp_path: Path) -> None:
    """A byte order mark, Windows line ends and blank lines change nothing, also in the numbers of rows."""
    text = "\ufeffparticipant_id\tage\r\n\r\nsub-01\t30\r\n\t\r\nsub-02\t31\r\n"
    cohort = read(tmp_path, {"participants.tsv": text})
    assert [(person.participant_id, person.age) for person in cohort.persons] == [("sub-01", 30), ("sub-02", 31)]
    assert cohort.persons[1].sources["age"].row == 5


def test_sessions_from_days(tmp_path: Path) -> None:
    """Days are taken as they are, and sessions are put in their order."""
    table = tsv("session_id days edss new_t2 exclude", "ses-b 200 3 1 1", "ses-a -20 2.5 n/a 0")
    cohort = read(tmp_path, {SESSIONS: table})
    a, b = cohort.sessions_of("sub-01")
    assert (a.session_id, a.days, a.edss, a.new_t2, a.exclude) == ("ses-a", -20, 2.5, None, False)
    assert (b.session_id, b.days, b.edss, b.new_t2, b.exclude) == ("ses-b", 200, 3, 1, True)


@pytest.mark.parametrize("year", [1925, 1867, 1600, 2019])
def test_dates_become_days(tmp_path: Path, year: int) -> None:
    """Shifted dates keep their intervals, and no date is in the result."""
    rows = (f"ses-1 {year}-01-01T23:30:00 2", f"ses-2 {year}-02-20T08:00:00.000000Z 3")
    table = tsv("session_id acq_time edss", *rows)
    cohort = read(tmp_path, {SESSIONS: table})
    assert [one.days for one in cohort.sessions_of("sub-01")] == [0, 50]
    assert str(year) not in repr(cohort)
    assert [visit.days for visit in cohort.visits_of("sub-01")] == [0, 50]


def test_dates_of_events(tmp_path: Path) -> None:
    """Events may have dates, shifted as those of the sessions; days of a session say when day 0 is."""
    cohort = read(
        tmp_path,
        {
            SESSIONS: tsv("session_id days acq_time", "ses-1 10 1867-03-11", "ses-2 n/a 1867-03-31"),
            VISITS: tsv("participant_id date edss", "sub-01 1867-03-21 3"),
            RELAPSES: tsv("participant_id date end_date", "sub-01 1867-03-02 1867-04-02"),
            "phenotype/ms_treatments.tsv": tsv("participant_id drug start_date", "sub-01 natalizumab 1867-02-28"),
        },
    )
    assert [one.days for one in cohort.sessions] == [10, 30]
    assert [one.days for one in cohort.visits] == [20]
    assert cohort.relapses is not None
    assert [(one.days, one.end_days) for one in cohort.relapses] == [(1, 32)]
    assert cohort.treatments is not None
    assert [(one.drug, one.start_days, one.end_days) for one in cohort.treatments] == [("natalizumab", -1, None)]
    assert "1867" not in repr(cohort)


def test_dates_of_visits_alone(tmp_path: Path) -> None:
    """Without sessions the first visit is day 0."""
    cohort = read(
        tmp_path,
        {
            VISITS: tsv("participant_id date edss", "sub-01 1900-02-10 3", "sub-01 1900-02-01 2"),
            RELAPSES: tsv("participant_id date", "sub-01 1900-02-05"),
        },
    )
    assert [(one.days, one.edss) for one in cohort.visits] == [(0, 2), (9, 3)]
    assert [one.days for one in cohort.relapses or ()] == [4]


def test_dates_that_cannot_be_related(tmp_path: Path) -> None:
    """A date beside days alone is refused, since nothing says when day 0 was."""
    make(
        tmp_path,
        {
            SESSIONS: tsv("session_id days", "ses-1 0"),
            RELAPSES: tsv("participant_id date", "sub-01 1900-02-05"),
        },
    )
    with pytest.raises(DataError, match=r"phenotype/ms_relapses\.tsv, row 2, column date: .*day 0"):
        read_cohort(tmp_path)


def test_wide_columns(tmp_path: Path) -> None:
    """Columns that end in the label of a session are values of that session, with their source."""
    table = tsv(
        "participant_id edss_M0 edss_M12 days_M0 days_M12 nhpt_dom_M12 gd_M12",
        "sub-01 2 2.5 0 365 21.5 0",
        "sub-02 1 n/a 0 n/a n/a n/a",
    )  # fmt: skip
    cohort = read(tmp_path, {"participants.tsv": table})
    m0, m12 = cohort.sessions_of("sub-01")
    assert (m0.session_id, m0.days, m0.edss) == ("ses-M0", 0, 2)
    assert (m12.session_id, m12.days, m12.edss, m12.nhpt_dom, m12.gd) == ("ses-M12", 365, 2.5, 21.5, 0)
    assert m12.sources["edss"] == Source("participants.tsv", 2, "edss_M12")
    assert [one.session_id for one in cohort.sessions_of("sub-02")] == ["ses-M0"]
    assert [(one.days, one.edss) for one in cohort.visits_of("sub-01")] == [(0, 2), (365, 2.5)]


def test_columns_that_only_look_wide(tmp_path: Path) -> None:
    """The end of a name is a label if a session is called so or it ends in a digit; other columns are not used."""
    files = {
        "participants.tsv": tsv("participant_id age_onset edss_baseline edss_late shoe", "sub-01 20 2 3 44"),
        SESSIONS: tsv("session_id days", "ses-baseline 0"),
    }
    cohort = read(tmp_path, files)
    assert [(one.session_id, one.edss, one.age) for one in cohort.sessions] == [("ses-baseline", 2, None)]
    assert [source.column for source in cohort.unused] == ["age_onset", "edss_late", "shoe"]


def test_precedence(tmp_path: Path) -> None:
    """The table of sessions comes before the visits, these before the wide columns; each fills what others lack."""
    cohort = read(
        tmp_path,
        {
            "participants.tsv": tsv("participant_id edss_1 sdmt_1 t25fw_1", "sub-01 1 41 5.1"),
            SESSIONS: tsv("session_id days edss", "ses-1 10 3"),
            VISITS: tsv("participant_id days edss sdmt", "sub-01 10 2 42", "sub-01 100 4 n/a"),
        },
    )
    visit, later = cohort.visits_of("sub-01")
    assert (visit.session_id, visit.edss, visit.sdmt, visit.t25fw) == ("ses-1", 3, 42, 5.1)
    assert visit.sources["edss"] == Source(SESSIONS, 2, "edss")
    assert visit.sources["sdmt"] == Source(VISITS, 2, "sdmt")
    assert visit.sources["t25fw"] == Source("participants.tsv", 2, "t25fw_1")
    assert (later.days, later.edss, later.session_id) == (100, 4, None)
    (session,) = cohort.sessions
    assert (session.edss, session.sdmt, session.t25fw) == (3, 42, 5.1)
    told = [(one.name, one.used.value, one.other.value, one.other.source.file) for one in cohort.repeated]
    assert told == [("edss", 3, 2, VISITS), ("edss", 3, 1, "participants.tsv"), ("sdmt", 42, 41, "participants.tsv")]


def test_precedence_where_only_wide_columns_say_when(tmp_path: Path) -> None:
    """A visit on the day of a session finds it, though the day stands in a wide column, and its value is used."""
    cohort = read(
        tmp_path,
        {
            "participants.tsv": tsv("participant_id days_1 edss_1", "sub-01 10 1"),
            VISITS: tsv("participant_id days edss", "sub-01 10 2"),
        },
    )
    assert [(one.session_id, one.edss) for one in cohort.visits] == [("ses-1", 2)]
    assert cohort.sessions[0].edss == 2


def test_a_visit_may_name_its_session(tmp_path: Path) -> None:
    """A visit that names a session needs no day; two sessions of one day stay two."""
    files = {
        SESSIONS: tsv("session_id days", "ses-1 0", "ses-1b 0", "ses-2 90"),
        VISITS: tsv("participant_id session_id edss", "sub-01 ses-2 2", "sub-01 1b 3"),
    }
    cohort = read(tmp_path, files)
    assert [(one.session_id, one.days, one.edss) for one in cohort.sessions] == [
        ("ses-1", 0, None), ("ses-1b", 0, 3), ("ses-2", 90, 2)
    ]  # fmt: skip
    assert [(one.session_id, one.days, one.edss) for one in cohort.visits] == [("ses-1b", 0, 3), ("ses-2", 90, 2)]


def test_two_wide_sessions_of_one_day(tmp_path: Path) -> None:
    """Sessions with labels of their own are never made one, whatever their days."""
    table = tsv("participant_id days_1 days_2 edss_1 edss_2", "sub-01 5 5 2 3")
    cohort = read(tmp_path, {"participants.tsv": table})
    assert [(one.session_id, one.days, one.edss) for one in cohort.sessions] == [("ses-1", 5, 2), ("ses-2", 5, 3)]


def test_rows_of_one_day_of_which_one_names_a_session(tmp_path: Path) -> None:
    """Rows of one day are one visit, and what one of them says of the session holds for it."""
    table = tsv("participant_id session_id days edss sdmt", "sub-01 n/a 5 2 n/a", "sub-01 ses-x 5 n/a 50")
    cohort = read(tmp_path, {VISITS: table})
    assert [(one.session_id, one.days, one.edss, one.sdmt) for one in cohort.visits] == [("ses-x", 5, 2, 50)]
    assert [one.session_id for one in cohort.sessions] == ["ses-x"]


def test_clinical_dir(tmp_path: Path) -> None:
    """Tables of events may lie in another folder, but not in both."""
    raw = make(tmp_path / "raw", {"participants.tsv": tsv("participant_id", "sub-01", "sub-02")})
    table = tsv("participant_id days steroids severity", "sub-01 20 yes mild", "sub-01 90 0 n/a")
    other = make(tmp_path / "clinic", {"ms_relapses.tsv": table})
    cohort = read_cohort(raw, other)
    relapses = cohort.relapses_of("sub-01")
    assert relapses is not None
    assert [(one.days, one.steroids, one.severity) for one in relapses] == [(20, True, "mild"), (90, False, None)]
    assert relapses[0].sources["days"] == Source("ms_relapses.tsv", 2, "days")
    assert cohort.relapses_of("sub-02") == ()
    make(raw, {RELAPSES: table})
    with pytest.raises(DataError, match=r"is there as well"):
        read_cohort(raw, other)
    assert len(read_cohort(raw, raw / "phenotype").relapses or ()) == 2
    with pytest.raises(NoInputError, match=r"is no folder"):
        read_cohort(raw, tmp_path / "absent")
    with pytest.raises(DataError, match=r"holds none of ms_visits\.tsv"):
        read_cohort(raw, tmp_path)


def test_map_of_columns(tmp_path: Path) -> None:
    """Columns go by the names of a map, wide ones by their beginning; sources keep the name in the file."""
    raw = make(
        tmp_path / "raw",
        {
            "participants.tsv": tsv("ID Gender sex T25FWT_M0", "sub-01 F 1 5.5"),
            VISITS: tsv("ID VisitDay EDSS_total", "sub-01 3 2.5"),
        },
    )
    names = {
        "participants": {"participant_id": "ID", "sex": "Gender", "t25fw": "T25FWT"},
        "ms_visits": {"participant_id": "ID", "days": "VisitDay", "edss": "EDSS_total"},
    }
    make(tmp_path, {"map.json": json.dumps(names)})
    cohort = read_cohort(raw, map_file=tmp_path / "map.json")
    assert (cohort.persons[0].sex, cohort.sessions[0].t25fw) == ("F", 5.5)
    day = next(visit for visit in cohort.visits if visit.days is not None)
    assert (day.days, day.edss, day.sources["edss"].column) == (3, 2.5, "EDSS_total")
    assert [source.column for source in cohort.unused] == ["sex"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not a map"),
        ('{"people": {}}', "names the table 'people'"),
        ('{"participants": {"shoe": "x"}}', "names 'shoe' in participants"),
        ('{"participants": {"sex": 3}}', "a name that is no text"),
        ('{"participants": {"sex": "a", "age": "a"}}', "two columns of participants one name"),
        ('{"participants": {"sex": "Gender"}}', "sex is called 'Gender' in participants, which has no such column"),
    ],
)
def test_bad_maps(tmp_path: Path, content: str, problem: str) -> None:
    """What is wrong with a map of columns is said, also if a column that it names does not exist."""
    make(tmp_path, {"map.json": content, "participants.tsv": tsv("participant_id sex", "sub-01 F")})
    with pytest.raises(DataError, match=problem):
        read_cohort(tmp_path, map_file=tmp_path / "map.json")


def test_absent_map(tmp_path: Path) -> None:
    """A map that does not exist is an error."""
    with pytest.raises(NoInputError, match=r"map\.json"):
        read_cohort(tmp_path, map_file=tmp_path / "map.json")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("participants.tsv", tsv("participant_id age", "sub-01 3", "sub-02 4", "sub-01 3"),
         "participants.tsv, row 4, column participant_id: sub-01 is in row 2 already. Keep one row of it."),
        ("participants.tsv", tsv("participant_id", "sub-01", "01"), "row 3, column participant_id: sub-01 is in row 2"),
        (SESSIONS, tsv("session_id", "ses-1", "ses-1"), "row 3, column session_id: ses-1 is in row 2 already"),
        (SESSIONS, tsv("days", "1"), "row 1: has no column session_id (its columns: days)"),
        (SESSIONS, tsv("session_id acq_time", "ses-1 2.3.1867"), "row 2, column acq_time: '2.3.1867' is not a date"),
        ("participants.tsv", "participant_id,age\nsub-01,3\n", "has no column participant_id"),
        ("participants.tsv", "participant_id\tage\nsub-01\n", "row 2: has 1 cells, and the header has 2"),
        ("participants.tsv", "participant_id\tage\n\t3\n", "row 2, column participant_id: is empty"),
        ("participants.tsv", tsv("participant_id age age", "sub-01 3 3"), "has several columns 'age'"),
        ("participants.tsv", tsv("participant_id age", "sub-01 3,5"), "'3,5' is not a number. Write it with a decimal"),
        ("participants.tsv", tsv("participant_id age", "sub-01 NA"), "'NA' is not a number. Write a number, or n/a"),
        ("participants.tsv", tsv("participant_id age", "sub-01 1e999"), "'1e999' is not a number"),
        ("participants.tsv", tsv("participant_id age", "sub_01 3"), "'sub_01' is not a label"),
        ("participants.tsv", tsv("participant_id gd_M1", "sub-01 1.5"), "column gd_M1: '1.5' is not a whole number"),
        ("participants.tsv", " \n", "is empty"),
        (RELAPSES, tsv("participant_id days steroids", "sub-01 3 maybe"), "'maybe' is not one of 0 and 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path: Path, file: str, text: str, message: str) -> None:
    """Each mistake is told with its file, row and column, and with what to do."""
    make(tmp_path, {file: text})
    with pytest.raises(MSVolError, match=re.escape(message)) as caught:
        read_cohort(tmp_path)
    assert Path(file).name in str(caught.value)


def test_other_encodings(tmp_path: Path) -> None:
    """A table that a spreadsheet saved as UTF-16 is refused in plain words."""
    (tmp_path / "participants.tsv").write_bytes("participant_id\n".encode("utf-16"))
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_cohort(tmp_path)


def test_course(tmp_path: Path) -> None:
    """Visits and relapses come as the search for events takes them; 9HPT is the mean of both hands."""
    files = {
        VISITS: tsv("participant_id days edss nhpt_dom nhpt_ndom", "sub-01 9 3 20 22", "sub-01 0 2 20 n/a"),
        RELAPSES: tsv("participant_id days", "sub-01 5", "sub-01 n/a"),
    }
    cohort = read(tmp_path, files)
    assert cohort.course_of("sub-01") == ((course.Visit(0, 2), course.Visit(9, 3)), (course.Relapse(5),))
    assert cohort.course_of("sub-01", "nhpt")[0] == (course.Visit(9, 21),)
    assert cohort.course_of("sub-02") == ((), ())


def test_participants_with_a_row_for_each_session(tmp_path: Path) -> None:
    """Rows of one person become sessions, ages those at the sessions; what differs otherwise is said."""
    text = tsv(
        "participant_id session_id sex age edss site", "sub-01 ses-1 F 30.5 2.0 A", "sub-01 2 F 31.6 2.5 B",
        "sub-02 ses-1 M 50 n/a A",
    )  # fmt: skip
    cohort = read(tmp_path, {"participants.tsv": text})
    assert [(one.participant_id, one.sex, one.age) for one in cohort.persons] == [
        ("sub-01", "F", 30.5),
        ("sub-02", "M", 50.0),
    ]
    assert [(one.session_id, one.age, one.edss) for one in cohort.sessions_of("sub-01")] == [
        ("ses-1", 30.5, 2.0),
        ("ses-2", 31.6, 2.5),
    ]
    assert [(one.name, one.used.value, one.other.value) for one in cohort.repeated] == [("site", "A", "B")]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("sub-01 ses-1 30", "sub-01 ses-1 31"), "sub-01 with ses-1 is in row 2 already"),
        (("sub-01 ses-1 30", "sub-01 n/a n/a"), "sub-01 with no session is in row 2 already"),
        (("sub-01 n/a 30",), "is empty. Fill it in"),
    ],
)
def test_rows_of_sessions_that_contradict(tmp_path: Path, rows: tuple[str, ...], said: str) -> None:
    """Two rows of one session, or a row without one, are refused."""
    with pytest.raises(DataError, match=re.escape(said)):
        read(tmp_path, {"participants.tsv": tsv("participant_id session_id age", *rows)})
