# SPDX-License-Identifier: Apache-2.0
"""Reading what the group level works on: our own tables, those of other programs, and the clinical ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from bids_msvol.arguments import parse_arguments
from bids_msvol.bids.cord_tables import CORD
from bids_msvol.bids.group_inputs import GroupInput, read_group_input
from bids_msvol.bids.names import SessionFiles, change_table_path, sessions_table_path
from bids_msvol.bids.tables import CHANGE, SESSIONS, VOLUMES
from bids_msvol.bids.tabular import write_table
from bids_msvol.errors import MSVolError, NoInputError, NothingSelectedError, UsageError
from bids_msvol.structures import ETIV_NAME, STRUCTURES, SUMS
from tests.engines.stats_samples import VOLUMES as FREESURFER_VOLUMES
from tests.engines.stats_samples import write_aparc, write_aseg


def read(root: Path, *flags: str) -> GroupInput:
    for name in ("bids", "out"):
        (root / name).mkdir(exist_ok=True)
    return read_group_input(parse_arguments([str(root / "bids"), str(root / "out"), "group", *flags]), "default")


def write(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(row.split()) + "\n" for row in rows), encoding="utf-8")


def write_session(
    root: Path, subject: str, session: str, thalamus_mm3: float, cord: Mapping[str, float] | None = None
) -> None:
    """Write the tables of one session: each structure of 1000 mm3 but the left thalamus, areas of C2-C3 by source."""
    files = SessionFiles(root, subject, session)
    rows: list[dict[str, object]] = [{"name": item.name, "volume_mm3": 1000.0} for item in (*STRUCTURES, *SUMS)]
    rows.append({"name": "Left-Thalamus", "volume_mm3": thalamus_mm3})
    rows.append({"name": ETIV_NAME, "volume_mm3": 1.5e6})
    write_table(files.volumes, VOLUMES, rows)
    if cord:
        areas = [{"level": "C2-C3", "csa_mm2": area, "source": source} for source, area in cord.items()]
        write_table(files.cord_table, CORD, areas)


def write_person(root: Path, subject: str, sessions: Mapping[str, Mapping[str, object]]) -> None:
    rows = [
        {"session_id": f"ses-{label}", "quality_verdict": "pass", "etiv_mm3": 1.5e6, **values}
        for label, values in sessions.items()
    ]
    write_table(sessions_table_path(root, subject), SESSIONS, rows)


def test_own_tables_and_clinical_tables_meet(tmp_path: Path) -> None:
    """Sessions of both are joined; counts of readers and of images stay apart; days come from the images if nowhere
    else."""
    out = tmp_path / "out"
    for session, volume in (("01", 7000.0), ("02", 6900.0)):
        write_session(out, "01", session, volume, {"head-T1w": 70.0})
    write_person(
        out, "01", {"01": {"days": 0, "lesion_count": 4}, "02": {"days": 370, "new_lesions": 2, "gd_lesions": 0}}
    )
    change = {"session_id_from": "ses-01", "session_id_to": "ses-02", "name": "Left-Thalamus"}
    write_table(
        change_table_path(out, "01"),
        CHANGE,
        [
            {**change, "method": "segmentation", "change_mm3": -80.0, "change_pct": -1.14},
            {**change, "method": "jacobian", "change_mm3": -50.0, "change_pct": -0.7},
        ],
    )
    write(tmp_path / "bids" / "participants.tsv", "participant_id sex age group", "sub-01 F 40 MS", "sub-02 M 50 HC")
    write(tmp_path / "bids" / "sub-01" / "sub-01_sessions.tsv", "session_id edss new_t2", "ses-02 3.5 5")
    tables = read(tmp_path).tables
    assert tables.persons["group"].tolist() == ["MS", "HC"]
    sessions = tables.sessions
    assert sessions["session_id"].tolist() == ["ses-01", "ses-02"]
    assert sessions["days"].tolist() == [0.0, 370.0]
    assert sessions["edss"].to_numpy() == pytest.approx([np.nan, 3.5], nan_ok=True)
    assert sessions["new_t2_images"].to_numpy() == pytest.approx([np.nan, 2], nan_ok=True)
    assert sessions["new_t2_clinic"].to_numpy() == pytest.approx([np.nan, 5], nan_ok=True)
    assert sessions["t2_count_images"].iloc[0] == 4
    assert tables.volumes_mm3["Left-Thalamus"].tolist() == [7000.0, 6900.0]
    assert ETIV_NAME not in tables.volumes_mm3
    assert tables.cord_mm2["C2-C3"].tolist() == [70.0, 70.0]
    assert tables.change_mm3 is not None
    assert tables.change_mm3.loc[(0, 1), "Left-Thalamus"] == -80.0
    assert tables.relapses is None


def test_cord_areas_of_one_source(tmp_path: Path) -> None:
    """Of several images the one that most sessions have is used; a session without it has no area, and that is said."""
    out = tmp_path / "out"
    for subject, cord in (
        ("01", {"head-T1w": 70.0, "cord-T2w": 75.0}),
        ("02", {"head-T1w": 71.0}),
        ("03", {"cord-T2w": 76.0}),
    ):
        write_session(out, subject, "01", 7000.0, cord)
        write_person(out, subject, {"01": {}})
    write_session(out, "04", "01", 7000.0, {"head-T1w": 72.0})
    write_person(out, "04", {"01": {}})
    tables = read(tmp_path).tables
    assert tables.cord_mm2["C2-C3"].tolist() == [70.0, 71.0, 72.0]
    assert any("1 sessions have cord areas only from other images" in note for note in tables.notes)


def test_freesurfer_needs_nothing_else(tmp_path: Path) -> None:
    """A folder of FreeSurfer alone is a study: people and sessions by the names of its folders, with thickness."""
    subjects = tmp_path / "fs"
    for name in ("sub-01_ses-01", "sub-01_ses-02", "sub-02_ses-01"):
        write_aseg(subjects / name / "stats" / "aseg.stats", subject=name)
    for side in ("lh", "rh"):
        write_aparc(subjects / "sub-02_ses-01" / "stats" / f"{side}.aparc.stats", side, "sub-02_ses-01")
    (subjects / "fsaverage" / "stats").mkdir(parents=True)
    tables = read(tmp_path, "-d", f"freesurfer={subjects}").tables
    pairs = list(zip(tables.sessions["participant_id"], tables.sessions["session_id"], strict=True))
    assert pairs == [("sub-01", "ses-01"), ("sub-01", "ses-02"), ("sub-02", "ses-01")]
    assert tables.volumes_mm3["Left-Thalamus"].tolist() == [FREESURFER_VOLUMES[10]] * 3
    assert len(tables.thickness_mm) == 1
    assert "FreeSurfer 7.4.1" in tables.notes[0]


def test_a_damaged_file_does_not_stop_the_others(tmp_path: Path) -> None:
    """What cannot be read is named; the other person is analysed."""
    out = tmp_path / "out"
    for subject in ("01", "02"):
        write_session(out, subject, "01", 7000.0)
        write_person(out, subject, {"01": {}})
    damaged = SessionFiles(out, "01", "01").volumes
    damaged.write_text("index\tname\n1\tx\n", encoding="utf-8")
    given = read(tmp_path)
    assert len(given.tables.volumes_mm3) == 1
    assert len(given.tables.sessions) == 2
    assert [str(damaged) in problem for problem in given.problems] == [True]


def test_tables_of_the_cord_toolbox(tmp_path: Path) -> None:
    """Areas by level come from a folder of tables; the participants' table may have a row for each session."""
    header = "Filename,Slice (I->S),VertLevel,MEAN(area),MEAN(diameter_AP),MEAN(diameter_RL),MEAN(eccentricity)"
    for session, area in (("1", 70.0), ("2", 69.0)):
        path = tmp_path / "sct" / f"sub-01_ses-{session}_T1w.csv"
        path.parent.mkdir(exist_ok=True)
        lines = [f"x.nii.gz,{number},{level},{area},8,12,0.7" for number, level in enumerate((3, 3, 2, 2))]
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    write(tmp_path / "bids" / "participants.tsv", "participant_id session_id age", "sub-01 ses-1 30", "sub-01 ses-2 31")
    tables = read(tmp_path, "-d", f"sct={tmp_path / 'sct'}").tables
    assert tables.cord_mm2["C2"].tolist() == [70.0, 69.0]
    assert tables.sessions["age"].tolist() == [30.0, 31.0]
    assert tables.sessions["days"].tolist() == [0.0, 365.0]
    assert any("come from their ages" in note for note in tables.notes)


def test_labels_select_people(tmp_path: Path) -> None:
    """--participant-label limits the study; a label of nobody is an error."""
    write(tmp_path / "bids" / "participants.tsv", "participant_id", "sub-01", "sub-02")
    assert list(read(tmp_path, "--participant-label", "02").tables.persons.index) == ["sub-02"]
    with pytest.raises(NothingSelectedError):
        read(tmp_path, "--participant-label", "03")


def test_volumes_of_two_programs_are_refused(tmp_path: Path) -> None:
    """Volumes of different programs are not mixed."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="of one program"):
        read(tmp_path, "-d", f"freesurfer={tmp_path / 'a'}", f"samseg={tmp_path / 'b'}")


def test_bad_clinical_table_is_named(tmp_path: Path) -> None:
    """An error in a clinical table names file, row and column."""
    write(tmp_path / "bids" / "participants.tsv", "participant_id age", "sub-01 forty")
    with pytest.raises(MSVolError, match=r"participants.tsv, row 2, column age"):
        read(tmp_path)


def test_labels_of_nobody_are_refused(tmp_path: Path) -> None:
    """One label of several that nobody has stops the run, and so does a session; the message lists what there is."""
    write(tmp_path / "bids" / "participants.tsv", "participant_id", "sub-01", "sub-02")
    write(tmp_path / "bids" / "sub-01" / "sub-01_sessions.tsv", "session_id", "ses-M0")
    with pytest.raises(NothingSelectedError, match=r"sub-03 not found.*sub-01, sub-02"):
        read(tmp_path, "--participant-label", "01", "03")
    with pytest.raises(NothingSelectedError, match=r"ses-M9 not found.*ses-M0"):
        read(tmp_path, "--session-label", "M9")
    assert len(read(tmp_path, "--session-label", "M0").tables.sessions) == 1


def test_a_dataset_without_sessions(tmp_path: Path) -> None:
    """Columns of sessions in participants.tsv belong to the only scan of each person, however it is called."""
    out = tmp_path / "out"
    write_session(out, "01", "A", 7000.0)
    write_person(out, "01", {"A": {}})
    for session in ("A", "B"):
        write_session(out, "02", session, 7000.0)
    write_person(out, "02", {"A": {}, "B": {}})
    rows = ("participant_id age edss t2_count", "sub-01 40 3.5 12", "sub-02 41 2 5", "sub-03 42 1 n/a")
    write(tmp_path / "bids" / "participants.tsv", *rows)
    tables = read(tmp_path).tables
    known = tables.sessions.set_index(["participant_id", "session_id"])
    assert known.loc[("sub-01", "ses-A"), ["edss", "t2_count_clinic"]].tolist() == [3.5, 12.0]
    assert known.loc["sub-02", "edss"].isna().all()
    assert known.loc[("sub-03", "n/a"), "edss"] == 1.0
    assert any("a session of 1 persons is not used: they have several" in note for note in tables.notes)


def test_measurements_that_cannot_be(tmp_path: Path) -> None:
    """Volumes below 0 or infinite and a head of no size are missing, and are counted; a volume of 0 may be."""
    out = tmp_path / "out"
    for session, volume in (("1", -7000.0), ("2", 0.0), ("3", 6900.0)):
        write_session(out, "01", session, volume, {"head-T1w": 0.0 if session == "1" else 70.0})
    write_person(out, "01", {"1": {"etiv_mm3": 0.0}, "2": {}, "3": {}})
    path = SessionFiles(out, "01", "3").volumes
    path.write_text(path.read_text(encoding="utf-8").replace("6900.0", "inf"), encoding="utf-8")
    tables = read(tmp_path).tables
    assert tables.volumes_mm3["Left-Thalamus"].to_numpy() == pytest.approx([np.nan, 0.0, np.nan], nan_ok=True)
    assert tables.cord_mm2["C2-C3"].to_numpy() == pytest.approx([np.nan, 70.0, 70.0], nan_ok=True)
    assert tables.sessions["etiv_mm3"].to_numpy() == pytest.approx([np.nan, 1.5e6, 1.5e6], nan_ok=True)
    assert any("4 measurements cannot be" in note for note in tables.notes)


@pytest.mark.parametrize(
    ("keep", "said"), [(lambda text: text[:-1], "cut off"), (lambda text: text.splitlines(True)[0], "no rows")]
)
def test_a_table_that_was_cut_off_is_named(tmp_path: Path, keep: Callable[[str], str], said: str) -> None:
    """Half a table is not used as if it were whole."""
    out = tmp_path / "out"
    write_session(out, "01", "01", 7000.0)
    write_person(out, "01", {"01": {}})
    path = SessionFiles(out, "01", "01").volumes
    lines = path.read_text(encoding="utf-8").splitlines(True)
    path.write_text(keep("".join(lines[:-3])), encoding="utf-8")
    given = read(tmp_path)
    assert given.tables.volumes_mm3.empty
    assert [said in problem for problem in given.problems] == [True]


def test_results_without_their_table_of_sessions_are_named(tmp_path: Path) -> None:
    """A person who was measured does not vanish because one file did; a folder with a log only is nothing."""
    out = tmp_path / "out"
    write_session(out, "01", "01", 7000.0)
    (out / "sub-02" / "log").mkdir(parents=True)
    write(tmp_path / "bids" / "participants.tsv", "participant_id", "sub-01")
    problems = read(tmp_path).problems
    assert len(problems) == 1
    assert "sub-01_sessions.tsv: does not exist" in problems[0]


def test_folders_of_other_programs_without_results(tmp_path: Path) -> None:
    """A person whose statistics are missing is named, several versions are told, and a wrong folder is an error."""
    subjects = tmp_path / "fs"
    for name, version in (("sub-01", "7.4.1"), ("sub-02", "6.0.0")):
        path = subjects / name / "stats" / "aseg.stats"
        write_aseg(path, subject=name)
        path.write_text(path.read_text(encoding="utf-8").replace("7.4.1", version), encoding="utf-8")
    (subjects / "sub-03" / "stats").mkdir(parents=True)
    given = read(tmp_path, "-d", f"freesurfer={subjects}")
    assert [("sub-03 and in it no statistics" in problem) for problem in given.problems] == [True]
    assert any("different versions" in note for note in given.tables.notes)
    (tmp_path / "empty").mkdir()
    for program, what in (("freesurfer", "no volumes"), ("sct", "no table of cord areas")):
        with pytest.raises(NoInputError, match=what):
            read(tmp_path, "-d", f"{program}={tmp_path / 'empty'}")
