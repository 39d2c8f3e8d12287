# SPDX-License-Identifier: Apache-2.0
"""One participant: what is measured, what is resumed, and what a failing session does to the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bids_msvol import __version__, participant, person
from bids_msvol.bids.inputs import collect_subjects
from bids_msvol.bids.load import load_participant
from bids_msvol.bids.names import SessionFiles, change_table_path, pair_table_path, report_path
from bids_msvol.bids.outputs import OutputDataset
from bids_msvol.bids.records import Subject
from bids_msvol.config import Config
from bids_msvol.errors import DataError, ExitCode
from bids_msvol.measurement import SessionMeasurement
from bids_msvol.outcome import ParticipantOutcome, SessionFailure
from bids_msvol.participant import process_sessions, run_participant
from bids_msvol.steps import StepCache
from bids_msvol.structures import SUMS
from tests.bids.skeleton import HEAD_MM, make_config, make_dataset
from tests.fake_engine import LEAST_BRIGHTNESS, SHARES, FakeEngine, made_up_head

ALONE = ["segment"]
TOGETHER = ["align", "align", "segment", "follow", "follow"]
"""What the engine is asked for one session, and for two."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Put the fake in the place of the program's engine."""
    fake = FakeEngine()
    monkeypatch.setattr(person, "AtlasEngine", lambda: fake)
    return fake


@pytest.fixture
def visits(tmp_path: Path) -> tuple[Subject, Config]:
    """Return a participant with two sessions, and the run."""
    name = "sub-01/ses-{0}/anat/sub-01_ses-{0}_T1w.nii.gz"
    make_dataset(tmp_path / "raw", {name.format("a"): made_up_head(0), name.format("b"): made_up_head(1, gain=2.0)})
    return prepare(make_config(tmp_path, resolution_mm=HEAD_MM))


@pytest.fixture
def single(tmp_path: Path) -> tuple[Subject, Config]:
    """Return a participant with one session, and the run."""
    make_dataset(tmp_path / "raw", {"sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz": made_up_head(0)})
    return prepare(make_config(tmp_path, resolution_mm=HEAD_MM))


def prepare(config: Config) -> tuple[Subject, Config]:
    """Read the dataset of a run and start its output dataset."""
    subjects = collect_subjects(config).subjects
    OutputDataset.create(config)
    return subjects[0], config


def process(subject: Subject, config: Config) -> bool:
    """Process the sessions as a new run does, all of which can be read."""
    failures: list[SessionFailure] = []
    written = process_sessions(subject, config, StepCache(config.work_dir, __version__), failures)
    assert failures == []
    return written


def run(subject: Subject, config: Config) -> ParticipantOutcome:
    """Run a participant."""
    return run_participant(subject, config)


def files_of(subject: Subject, config: Config, position: int = 0) -> SessionFiles:
    """Return where the files of a session are."""
    return SessionFiles(config.output_dir, subject.label, subject.sessions[position].label)


def times(config: Config) -> dict[Path, int]:
    """Return when each file of the output was written."""
    return {path: path.stat().st_mtime_ns for path in config.output_dir.rglob("*") if path.is_file()}


def cut_short(path: Path) -> bytes:
    """Damage an image; return what it held before."""
    content = path.read_bytes()
    path.write_bytes(content[:2000])
    return content


def test_engine_gets_the_seed_of_the_run(single: tuple[Subject, Config], engine: FakeEngine) -> None:
    """The seed that the user gave decides."""
    subject, config = single
    assert process(subject, config)
    assert engine.seeds == [config.random_seed]


def test_finished_sessions_are_left_alone(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """A second run neither measures nor writes."""
    subject, config = visits
    assert process(subject, config)
    before = times(config)
    assert files_of(subject, config).volumes in before
    assert change_table_path(config.output_dir, "01") in before
    assert not process(subject, config)
    assert times(config) == before
    assert engine.calls == TOGETHER


@pytest.mark.parametrize("damage", ["delete", "change"])
@pytest.mark.parametrize("table", ["volumes", "change"])
def test_lost_output_is_written_again_without_measuring(
    visits: tuple[Subject, Config], engine: FakeEngine, table: str, damage: str
) -> None:
    """The measurement is kept in the work folder: a lost or altered table comes back from there."""
    subject, config = visits
    path = files_of(subject, config, 1).volumes if table == "volumes" else change_table_path(config.output_dir, "01")
    process(subject, config)
    content = path.read_bytes()
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(content.replace(b"Thalamus", b"Hypothalamus"))
    assert process(subject, config)
    assert path.read_bytes() == content
    assert engine.calls == TOGETHER


def test_interrupted_run_resumes_from_the_measurement(
    single: tuple[Subject, Config], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ended while writing does not measure again."""
    subject, config = single

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(participant, "write_session", stop)
        with pytest.raises(KeyboardInterrupt):
            process(subject, config)
    assert process(subject, config)
    assert engine.calls == ALONE


def other_image(subject: Subject, config: Config) -> Config:
    """Replace the T1w by another one."""
    nib.save(made_up_head(5), subject.sessions[0].t1w.path)
    return config


def other_seed(subject: Subject, config: Config) -> Config:
    """Ask for another seed."""
    return make_config(config.bids_dir.parent, resolution_mm=HEAD_MM, random_seed=5)


def empty_work_folder_and_lost_output(subject: Subject, config: Config) -> Config:
    """Lose everything of the first run."""
    files_of(subject, config).volumes.unlink()
    return make_config(config.bids_dir.parent, resolution_mm=HEAD_MM, work_dir=config.work_dir / "other")


@pytest.mark.parametrize("change", [other_image, other_seed, empty_work_folder_and_lost_output])
def test_other_content_or_settings_are_measured_again(
    single: tuple[Subject, Config], engine: FakeEngine, change: Any
) -> None:
    """What decides the result decides whether it is computed again."""
    subject, config = single
    process(subject, config)
    assert process(subject, change(subject, config))
    assert engine.calls == 2 * ALONE


def test_settings_that_do_not_change_results_change_nothing(single: tuple[Subject, Config], engine: FakeEngine) -> None:
    """More processors do not make a finished session unfinished."""
    subject, config = single
    process(subject, config)
    more = make_config(config.bids_dir.parent, resolution_mm=HEAD_MM, nprocs=config.nprocs + 3)
    assert not process(subject, more)
    assert engine.calls == ALONE


def test_another_date_is_written_without_measuring(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """When the days become known the change per year appears, from the measurement that is there."""
    subject, config = visits
    process(subject, config)
    changes = load_participant(config.output_dir, "01").changes
    assert changes is not None
    assert changes[["days", "change_pct_per_year"]].isna().all(axis=None)
    dated = tuple(replace(one, days=days) for one, days in zip(subject.sessions, (0.0, 730.5), strict=True))
    assert process(replace(subject, sessions=dated), config)
    outputs = load_participant(config.output_dir, "01")
    assert [session.days for session in outputs.sessions] == [0.0, 730.5]
    assert outputs.changes is not None
    assert set(outputs.changes["days"]) == {730.5}
    known = outputs.changes.dropna(subset="change_pct")
    assert len(known) > 20
    assert known["change_pct_per_year"].tolist() == pytest.approx((known["change_pct"] / 2).tolist(), abs=1e-3)
    assert engine.calls == TOGETHER


def test_participant_gets_tables_and_a_report(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """Both sessions and their change are there, with a report, and a second run changes nothing."""
    subject, config = visits
    outcome = run(subject, config)
    assert (outcome.status, outcome.failed_sessions) == ("done", ())
    assert outcome.report == report_path(config.output_dir, "01")
    outputs = load_participant(config.output_dir, "01")
    assert [session.label for session in outputs.sessions] == ["a", "b"]
    volume = float((np.asarray(made_up_head().dataobj) > LEAST_BRIGHTNESS).sum()) * HEAD_MM**3
    expected = volume * sum(SHARES[index] for index in SUMS[0].members) / sum(SHARES.values())
    for session in outputs.sessions:
        assert session.volume_mm3("WholeBrain") == pytest.approx(expected, rel=0.03)
        assert session.files.scan_transform.is_file()
    assert outputs.changes is not None
    assert outputs.pairs is not None
    assert set(zip(outputs.changes["session_id_from"], outputs.changes["session_id_to"], strict=True)) == {
        ("ses-a", "ses-b")
    }
    assert set(outputs.changes["method"]) == {"segmentation", "jacobian", "boundary"}
    assert outputs.pairs["metric"].tolist()[:2] == ["alignment", "protocol_differences"]
    written = times(config)
    assert run(subject, config).status == "unchanged"
    assert times(config) == written
    assert engine.calls == TOGETHER


def test_one_image_in_two_sessions_shows_no_change(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """A copied image has the same volumes in both sessions, each reported under its own name, and no change."""
    subject, config = visits
    first, second = subject.sessions
    second.t1w.path.write_bytes(first.t1w.path.read_bytes())
    assert run(subject, config).status == "done"
    outputs = load_participant(config.output_dir, "01")
    assert [session.provenance.chosen_scan for session in outputs.sessions] == [
        first.t1w.relative_path,
        second.t1w.relative_path,
    ]
    volumes = [session.volumes["volume_mm3"].tolist() for session in outputs.sessions]
    assert volumes[0] == volumes[1]
    assert outputs.changes is not None
    assert set(outputs.changes["change_mm3"].dropna()) == {0.0}


def test_lost_report_is_written_again(single: tuple[Subject, Config], engine: FakeEngine) -> None:
    """Without its report a participant is not finished, but nothing is measured for it."""
    subject, config = single
    report = run(subject, config).report
    assert report is not None
    report.unlink()
    assert run(subject, config).report == report
    assert report.exists()
    assert engine.calls == ALONE


def test_failing_session_does_not_stop_the_other(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """The broken image is named with its exit code; the other session is measured alone, and reported."""
    subject, config = visits
    broken = subject.sessions[0].t1w.path
    cut_short(broken)
    outcome = run(subject, config)
    assert outcome.status == "failed"
    assert [(failure.session, failure.exit_code) for failure in outcome.failed_sessions] == [
        ("sub-01_ses-a", ExitCode.DATA_ERROR)
    ]
    assert broken.name in outcome.failed_sessions[0].reason
    assert outcome.report is not None
    outputs = load_participant(config.output_dir, "01")
    assert [session.label for session in outputs.sessions] == ["b"]
    assert outputs.changes is None
    assert [failure.session for failure in outputs.failures] == ["sub-01_ses-a"]
    assert "ses-a" in outcome.report.read_text(encoding="utf-8")
    assert engine.calls == ALONE


def test_mended_session_joins_the_report(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """After the image was mended both sessions are measured together, and the failure is forgotten."""
    subject, config = visits
    content = cut_short(subject.sessions[0].t1w.path)
    run(subject, config)
    subject.sessions[0].t1w.path.write_bytes(content)
    assert run(subject, config).status == "done"
    outputs = load_participant(config.output_dir, "01")
    assert [session.label for session in outputs.sessions] == ["a", "b"]
    assert outputs.changes is not None
    assert outputs.failures == ()
    assert engine.calls == ALONE + TOGETHER


def test_change_does_not_outlive_a_session(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """When one of two sessions can no longer be read, the other is as if alone: no change, no way to a shared space."""
    subject, config = visits
    run(subject, config)
    kept = files_of(subject, config, 1)
    assert kept.scan_transform.is_file()
    cut_short(subject.sessions[0].t1w.path)
    assert run(subject, config).status == "failed"
    assert load_participant(config.output_dir, "01").changes is None
    assert not change_table_path(config.output_dir, "01").exists()
    assert not pair_table_path(config.output_dir, "01").exists()
    assert not kept.scan_transform.exists()
    image, original = nib.load(kept.t1w), nib.load(subject.sessions[1].t1w.path)
    assert image.affine == pytest.approx(original.affine)
    assert engine.calls == TOGETHER + ALONE


def test_no_session_can_be_read(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """Every failure is told with its own reason, nothing is measured, and there is no report."""
    subject, config = visits
    for session in subject.sessions:
        cut_short(session.t1w.path)
    outcome = run(subject, config)
    assert outcome.status == "failed"
    assert [failure.session for failure in outcome.failed_sessions] == ["sub-01_ses-a", "sub-01_ses-b"]
    assert outcome.report is None
    assert engine.calls == []


def test_crash_leaves_the_other_session_reported(
    visits: tuple[Subject, Config], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the program itself is passed on, after what was finished has its table and report."""
    subject, config = visits
    write = participant.write_session

    def crash_on_second(measurement: SessionMeasurement, *arguments: Any) -> Any:
        if measurement.session.label == "b":
            raise ZeroDivisionError
        return write(measurement, *arguments)

    monkeypatch.setattr(participant, "write_session", crash_on_second)
    with pytest.raises(ZeroDivisionError):
        run(subject, config)
    assert [session.label for session in load_participant(config.output_dir, "01").sessions] == ["a"]
    assert report_path(config.output_dir, "01").exists()


def refuse(*_: Any, **__: Any) -> None:
    """Fail as imaging does when data cannot be used."""
    raise DataError("cannot be measured", remedy="Look at it")


def test_nothing_measured_means_no_report(
    visits: tuple[Subject, Config], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If every session fails there is no report that could be mistaken for a result."""
    subject, config = visits
    monkeypatch.setattr(participant, "measure_person", refuse)
    outcome = run(subject, config)
    assert outcome.status == "failed"
    assert len(outcome.failed_sessions) == 2
    assert outcome.report is None
    assert not report_path(config.output_dir, "01").exists()


def test_each_session_fails_once_with_its_own_reason(
    visits: tuple[Subject, Config], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that cannot be read keeps that reason when the measurement of the others fails, too."""
    subject, config = visits
    cut_short(subject.sessions[0].t1w.path)
    monkeypatch.setattr(participant, "measure_person", refuse)
    first, second = run(subject, config).failed_sessions
    assert (first.session, second.session) == ("sub-01_ses-a", "sub-01_ses-b")
    assert "cut short" in first.reason
    assert "cannot be measured" in second.reason
