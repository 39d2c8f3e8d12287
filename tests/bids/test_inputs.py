# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bids_msvol.bids.inputs import CollectedInputs, collect_subjects
from bids_msvol.bids.records import Session
from bids_msvol.errors import (
    BIDSInvalidError,
    DataError,
    ExitCode,
    InvocationError,
    MSVolError,
    NoInputError,
    NothingSelectedError,
)
from tests.bids.skeleton import head_image, make_config, make_dataset


def collect(tmp_path: Path, files: dict[str, Any], **settings: Any) -> CollectedInputs:
    """Make a dataset and collect its images."""
    make_dataset(tmp_path / "raw", files)
    return collect_subjects(make_config(tmp_path, **settings))


def anat(name: str, session: str | None = None, subject: str = "01") -> str:
    """Return the path of an image in ``anat/``."""
    visit = "" if session is None else f"ses-{session}"
    folder = f"sub-{subject}/{visit}/anat" if visit else f"sub-{subject}/anat"
    prefix = f"sub-{subject}_{visit}_" if visit else f"sub-{subject}_"
    return f"{folder}/{prefix}{name}"


def only_session(collected: CollectedInputs) -> Session:
    """Return the session of a dataset with one."""
    assert not collected.problems
    (subject,) = collected.subjects
    (session,) = subject.sessions
    return session


def test_a_dataset_without_sessions(tmp_path: Path) -> None:
    """All contrasts of the visit are found, with sidecars, and images of no use are listed with the reason."""
    session = only_session(
        collect(
            tmp_path,
            {
                anat("T1w.nii.gz"): None,
                anat("ce-gad_T1w.nii.gz"): None,
                anat("FLAIR.nii.gz"): None,
                anat("T2w.nii"): None,
                anat("T2starw.nii.gz"): None,
                "sub-01/func/sub-01_task-rest_bold.nii.gz": None,
                "T1w.json": {"MagneticFieldStrength": 3},
            },
        )
    )
    assert (session.subject, session.label, session.name) == ("01", None, "sub-01")
    assert session.t1w.path == tmp_path / "raw" / anat("T1w.nii.gz")
    assert session.t1w.relative_path == anat("T1w.nii.gz")
    assert session.t1w.metadata == {"MagneticFieldStrength": 3}
    assert session.t1w_gd is not None
    assert session.t1w_gd.entities["ceagent"] == "gad"
    assert session.flair is not None
    assert session.t2w is not None
    assert {(scan.relative_path, scan.reason) for scan in session.ignored} == {
        (anat("T2starw.nii.gz"), "images of the kind T2starw are not used")
    }


def test_sessions_come_in_order_of_days(tmp_path: Path) -> None:
    """Sessions are ordered by their dates, not by their labels."""
    table = "session_id\tacq_time\nses-late\t2020-03-01\nses-early\t2020-01-01\nses-x\t2020-02-01\n"
    labels = ("early", "late", "x")
    files = {anat("T1w.nii.gz", label): None for label in labels}
    (subject,) = collect(tmp_path, {**files, "sub-01/sub-01_sessions.tsv": table}).subjects
    assert [(session.label, session.days) for session in subject.sessions] == [("early", 0), ("x", 31), ("late", 60)]


def test_sessions_without_days_come_in_order_of_labels(tmp_path: Path) -> None:
    """Without dates the labels decide."""
    (subject,) = collect(tmp_path, {anat("T1w.nii.gz", label): None for label in ("b", "a")}).subjects
    assert [(session.label, session.days) for session in subject.sessions] == [("a", None), ("b", None)]


def test_the_choice_reaches_the_session(tmp_path: Path) -> None:
    """Phase image and coarse run are left out, with every reason; the scan of the cord serves for the cord."""
    session = only_session(
        collect(
            tmp_path,
            {
                anat("acq-cspine_T1w.nii.gz"): None,
                anat("part-phase_T1w.nii.gz"): None,
                anat("run-1_T1w.nii.gz"): head_image((45, 55, 36), (4.0, 4.0, 5.0)),
                anat("run-2_T1w.nii.gz"): None,
            },
        )
    )
    assert session.t1w.path.name == "sub-01_run-2_T1w.nii.gz"
    assert "finer voxels, 4 mm against 5 mm" in session.choice
    assert len(session.ignored) == 2
    assert session.cord is not None
    assert session.cord.path.name == "sub-01_acq-cspine_T1w.nii.gz"
    assert "the only image of it" in session.cord_choice


def test_an_enhanced_t1w_is_measured_only_for_want_of_another(tmp_path: Path) -> None:
    """With nothing but a T1w after contrast agent, it is measured, and said to be so."""
    session = only_session(collect(tmp_path, {anat("ce-gad_T1w.nii.gz"): None}))
    assert session.t1w.entities["ceagent"] == "gad"
    assert session.t1w_gd is None
    assert "after contrast agent" in session.choice


def test_labels_select_and_special_characters_are_literal(tmp_path: Path) -> None:
    """Label ``1+`` selects itself and nothing else, ``1`` does not select ``11``."""
    files = {anat("T1w.nii.gz", subject=label): None for label in ("1", "11", "1+")}
    assert [item.label for item in collect(tmp_path, files, participant_labels=("1+", "1")).subjects] == ["1+", "1"]


def test_only_the_requested_participants_are_read(tmp_path: Path) -> None:
    """A damaged sidecar of somebody else does no harm."""
    files = {anat("T1w.nii.gz"): None, anat("T1w.nii.gz", subject="02"): None, anat("T1w.json", subject="02"): "{"}
    assert not collect(tmp_path, files, participant_labels=("01",)).problems


def test_a_problem_of_one_does_not_stop_the_others(tmp_path: Path) -> None:
    """Each participant's problem is its own, and the rest is found."""
    files = {
        anat("T1w.nii.gz"): None,
        anat("FLAIR.nii.gz", subject="02"): None,
        anat("T1w.nii.gz", subject="03"): None,
        anat("T1w.json", subject="03"): "{",
    }
    collected = collect(tmp_path, files)
    assert [subject.label for subject in collected.subjects] == ["01"]
    assert [(label, type(error)) for label, error in collected.problems] == [("02", NoInputError), ("03", DataError)]
    assert "has no T1w image. Add a T1w" in str(collected.problems[0][1])


def test_a_session_without_t1w_is_skipped_with_its_images(tmp_path: Path) -> None:
    """The other session is measured; what was seen in the skipped one is told."""
    files = {anat("T1w.nii.gz", "a"): None, anat("FLAIR.nii.gz", "b"): None, anat("acq-cord_T1w.nii.gz", "c"): None}
    (subject,) = collect(tmp_path, files).subjects
    assert [session.label for session in subject.sessions] == ["a"]
    assert [(scan.relative_path, scan.reason) for scan in subject.skipped] == [
        ("sub-01/ses-b", "it has no T1w"),
        ("sub-01/ses-c", "it has no T1w that can be used"),
        (anat("acq-cord_T1w.nii.gz", "c"), "it is named as a scan of the spinal cord"),
    ]


def test_no_usable_t1w_says_why(tmp_path: Path) -> None:
    """The message names the T1w that was seen and the reason against it."""
    ((_, error),) = collect(tmp_path, {anat("acq-cord_T1w.nii.gz"): None}).problems
    assert "that can be used (sub-01_acq-cord_T1w.nii.gz: it is named as a scan of the spinal cord)" in str(error)
    assert error.exit_code == ExitCode.NO_INPUT


def test_session_labels_and_filter_intersect(tmp_path: Path) -> None:
    """Sessions of the command line and of the filter file are both obeyed; an empty intersection is code 18."""
    files = {anat("T1w.nii.gz", label): None for label in ("a", "b", "c")}
    settings: dict[str, Any] = {"session_labels": ("a", "b"), "bids_filters": {"t1w": {"session": ("b", "c")}}}
    assert only_session(collect(tmp_path, files, **settings)).label == "b"
    settings["bids_filters"] = {"t1w": {"session": "c"}}
    with pytest.raises(NothingSelectedError, match="passes the filter t1w"):
        collect_subjects(make_config(tmp_path, **settings))


def test_a_participant_without_the_requested_session_has_a_problem(tmp_path: Path) -> None:
    """Somebody who missed a visit does not stop those who came."""
    files = {anat("T1w.nii.gz", "a"): None, anat("T1w.nii.gz", "b"): None, anat("T1w.nii.gz", "a", "02"): None}
    collected = collect(tmp_path, files, session_labels=("b",))
    assert [subject.label for subject in collected.subjects] == ["01"]
    assert "has no image in ses-b" in str(collected.problems[0][1])


def test_a_filter_narrows_before_the_rule(tmp_path: Path) -> None:
    """The filter overrules the preference for the first run."""
    files = {anat(f"run-{run}_T1w.nii.gz"): None for run in (1, 2)}
    session = only_session(collect(tmp_path, files, bids_filters={"t1w": {"run": "2"}}))
    assert session.t1w.path.name == "sub-01_run-2_T1w.nii.gz"
    assert session.ignored[0].reason == "the filter file leaves it out"


def test_unfetched_images_stop_the_participant(tmp_path: Path) -> None:
    """Which run is measured does not depend on which was fetched; a cord scan that was not fetched does not matter."""
    make_dataset(tmp_path / "raw", {anat("run-2_T1w.nii.gz"): None, anat("T1w.nii.gz", subject="02"): None})
    content = "../../.git/annex/objects/xx/MD5E.nii.gz"
    (tmp_path / "raw" / anat("run-1_T1w.nii.gz")).symlink_to(content)
    (tmp_path / "raw" / anat("acq-cord_T1w.nii.gz", subject="02")).symlink_to(content)
    collected = collect_subjects(make_config(tmp_path))
    assert [subject.label for subject in collected.subjects] == ["02"]
    ((label, error),) = collected.problems
    assert label == "01"
    assert error.exit_code == ExitCode.NO_INPUT
    assert f"datalad get {tmp_path / 'raw' / anat('run-1_T1w.nii.gz')}" in str(error)


def test_an_index_is_kept_for_the_whole_dataset(tmp_path: Path) -> None:
    """The index made for one participant serves another one later."""
    files = {anat("T1w.nii.gz", subject=label): None for label in ("01", "02")}
    settings: dict[str, Any] = {"bids_database_dir": tmp_path / "index"}
    assert collect(tmp_path, files, participant_labels=("01",), **settings).subjects[0].label == "01"
    second = collect_subjects(make_config(tmp_path, participant_labels=("02",), **settings))
    assert only_session(second).subject == "02"


@pytest.mark.parametrize(
    ("settings", "problem", "remedy"),
    [
        ({"participant_labels": ("01", "07", "08")}, "has no sub-07, sub-08", "mounted"),
        ({"session_labels": ("x",)}, "no requested participant has ses-x", r"sessions that exist \(ses-a\)"),
        ({"bids_filters": {"t1w": {"run": "9"}}}, r'passes the filter t1w = {"run": "9"}', "Widen the filter"),
    ],
)
def test_what_selects_nothing_ends_in_code_18(
    tmp_path: Path, settings: dict[str, Any], problem: str, remedy: str
) -> None:
    """The message names the labels or filters, and what to do."""
    with pytest.raises(NothingSelectedError, match=f"{problem}.*{remedy}") as caught:
        collect(tmp_path, {anat("T1w.nii.gz", "a"): None}, **settings)
    assert caught.value.exit_code == ExitCode.NOTHING_SELECTED


@pytest.mark.parametrize(
    ("files", "kind", "message"),
    [
        ({"dataset_description.json": {"DatasetType": "derivative"}}, InvocationError, "dataset of derivatives"),
        ({"dataset_description.json": "{"}, BIDSInvalidError, "cannot be read"),
        ({"dataset_description.json": "[]"}, BIDSInvalidError, "not a JSON object"),
        ({}, BIDSInvalidError, "has no sub-"),
    ],
)
def test_what_is_no_raw_dataset(tmp_path: Path, files: dict[str, Any], kind: type[MSVolError], message: str) -> None:
    """Each wrong kind of folder gets its own sentence."""
    with pytest.raises(kind, match=message):
        collect(tmp_path, files)


def test_a_folder_without_description(tmp_path: Path) -> None:
    """A folder that is not BIDS is code 16, with the file to add."""
    (tmp_path / "raw" / "sub-01").mkdir(parents=True)
    with pytest.raises(BIDSInvalidError, match=r"has no dataset_description.json.*BIDSVersion") as caught:
        collect_subjects(make_config(tmp_path))
    assert caught.value.exit_code == ExitCode.BIDS_INVALID


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    """A path that leads nowhere is code 66, with a hint to the mount."""
    with pytest.raises(NoInputError, match="mounted"):
        collect_subjects(make_config(tmp_path))
