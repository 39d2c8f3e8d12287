# SPDX-License-Identifier: Apache-2.0
"""One participant: what is measured, what is resumed, and what a failing session does to the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bids_msvol import __version__, participant
from bids_msvol.bids.inputs import collect_subjects
from bids_msvol.bids.load import load_participant
from bids_msvol.bids.names import SessionFiles, report_path
from bids_msvol.bids.outputs import OutputDataset
from bids_msvol.bids.records import Session, Subject
from bids_msvol.config import Config
from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.errors import DataError, ExitCode
from bids_msvol.imaging.quality import PLAUSIBLE_MM3
from bids_msvol.imaging.registration import TemplateTransform
from bids_msvol.outcome import ParticipantOutcome
from bids_msvol.participant import measure_session, process_session, run_participant
from bids_msvol.steps import StepCache
from bids_msvol.structures import STRUCTURES, SUMS
from tests.bids.skeleton import HEAD_MM, head_image, make_config, make_dataset

SHARES = {
    structure.index: float(np.mean(PLAUSIBLE_MM3[structure.name.removeprefix("Left-").removeprefix("Right-")]))
    for structure in STRUCTURES
}


class FakeEngine:
    """Finds every structure everywhere in the bright part of an image, in the shares of an ordinary head."""

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.diagnostics: Mapping[str, float] = {"cnr_gm_wm": 3.0, "snr_wm": 20.0}

    def __call__(self, t1w: nib.Nifti1Image, *, seed: int) -> StructurePosteriors:
        self.seeds.append(seed)
        mask = np.asarray(t1w.dataobj) > 100
        shares = np.array(list(SHARES.values()))
        row = (shares / shares.sum()).astype(np.float32)
        return StructurePosteriors(
            mask=mask,
            classes=tuple(SHARES),
            posteriors=np.tile(row, (int(mask.sum()), 1)),
            corrected=t1w,
            to_template=TemplateTransform(np.eye(4)),
            template_space="MNI152NLin2009aSym",
            skull_stripped=False,
            diagnostics=self.diagnostics,
            sentences=("The engine looked at the image.",),
        )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Put the fake in the place of the program's engine."""
    fake = FakeEngine()
    monkeypatch.setattr(participant, "AtlasEngine", lambda: fake)
    return fake


@pytest.fixture
def visits(tmp_path: Path) -> tuple[Subject, Config]:
    """Return a participant with two sessions, and the run."""
    name = "sub-01/ses-{0}/anat/sub-01_ses-{0}_T1w.nii.gz"
    make_dataset(tmp_path / "raw", {name.format("a"): None, name.format("b"): brighter(head_image())})
    return prepare(make_config(tmp_path, resolution_mm=HEAD_MM))


def brighter(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return another image of the same head."""
    return nib.Nifti1Image((np.asarray(image.dataobj) * 2).astype(np.int16), image.affine)


def prepare(config: Config) -> tuple[Subject, Config]:
    """Read the dataset of a run and start its output dataset."""
    subjects = collect_subjects(config).subjects
    OutputDataset.create(config)
    return subjects[0], config


def process(session: Session, config: Config) -> bool:
    """Process a session as a new run does."""
    return process_session(session, config, StepCache(config.work_dir, __version__))


def run(subject: Subject, config: Config) -> ParticipantOutcome:
    """Run a participant."""
    return run_participant(subject, config)


def test_volumes_are_those_of_the_posteriors(visits: tuple[Subject, Config]) -> None:
    """Each structure has its share of the voxels, and the intracranial volume is all of them."""
    subject, config = visits
    image = head_image()
    found = measure_session(subject.sessions[0], image, config, FakeEngine())
    volume = float((np.asarray(image.dataobj) > 100).sum()) * HEAD_MM**3
    assert found.etiv_mm3 == pytest.approx(volume, rel=1e-5)
    for index, share in SHARES.items():
        assert found.volumes_mm3[index] == pytest.approx(volume * share / sum(SHARES.values()), rel=1e-4)
    assert found.verdict == "warn"
    assert {metric.name for metric in found.quality if metric.verdict != "pass"} == {
        "voxel_longest_edge_mm", "working_voxel_size_mm",
    }  # fmt: skip


def test_measurement_is_on_the_working_grid(visits: tuple[Subject, Config]) -> None:
    """Whatever the input's grid, all images lie on the one isotropic grid that was asked for."""
    subject, config = visits
    image = head_image((60, 55, 40), (3.0, 4.0, 4.5))
    found = measure_session(subject.sessions[0], image, config, FakeEngine())
    images = [found.t1w, found.brain_mask, found.labels, *found.tissue_probabilities.values()]
    assert {made.shape for made in images} == {(45, 55, 45)}
    assert all(np.array_equal(made.affine, found.t1w.affine) for made in images)
    assert nib.affines.voxel_sizes(found.t1w.affine) == pytest.approx([HEAD_MM] * 3)


def test_methods_text_tells_the_steps_in_order(visits: tuple[Subject, Config]) -> None:
    """First the grid, then what the engine says, then how volumes are counted."""
    subject, config = visits
    found = measure_session(subject.sessions[0], head_image(), config, FakeEngine())
    assert "isotropic voxels of 4 mm" in found.sentences[0]
    assert found.sentences[1] == "The engine looked at the image."
    assert "Volumes are sums" in found.sentences[-1]


def test_failed_quality_withdraws_the_volumes(visits: tuple[Subject, Config]) -> None:
    """An image in which nothing can be told apart gets no numbers."""
    subject, config = visits
    fake = FakeEngine()
    fake.diagnostics = {"cnr_gm_wm": 0.01}
    found = measure_session(subject.sessions[0], head_image(), config, fake)
    assert found.verdict == "fail"
    assert found.etiv_mm3 is None
    assert set(found.volumes_mm3.values()) == {None}


def test_engine_gets_the_seed_of_the_run(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """The seed that the user gave decides."""
    subject, config = visits
    assert process(subject.sessions[0], config)
    assert engine.seeds == [config.random_seed]


def test_finished_session_is_left_alone(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """A second run neither measures nor writes."""
    subject, config = visits
    session = subject.sessions[0]
    files = SessionFiles(config.output_dir, session.subject, session.label)
    assert process(session, config)
    before = {path: path.stat().st_mtime_ns for path in config.output_dir.rglob("*") if path.is_file()}
    assert files.volumes in before
    assert not process(session, config)
    assert {path: path.stat().st_mtime_ns for path in config.output_dir.rglob("*") if path.is_file()} == before
    assert len(engine.seeds) == 1


@pytest.mark.parametrize("damage", ["delete", "change"])
def test_lost_output_is_written_again_without_measuring(
    visits: tuple[Subject, Config], engine: FakeEngine, damage: str
) -> None:
    """The measurement is kept in the work folder: a lost or altered table comes back from there."""
    subject, config = visits
    session = subject.sessions[0]
    volumes = SessionFiles(config.output_dir, session.subject, session.label).volumes
    process(session, config)
    content = volumes.read_bytes()
    if damage == "delete":
        volumes.unlink()
    else:
        volumes.write_bytes(content.replace(b"Thalamus", b"Hypothalamus"))
    assert process(session, config)
    assert volumes.read_bytes() == content
    assert len(engine.seeds) == 1


def test_interrupted_run_resumes_from_the_measurement(
    visits: tuple[Subject, Config], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ended while writing does not measure again."""
    subject, config = visits

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(participant, "write_session", stop)
        with pytest.raises(KeyboardInterrupt):
            process(subject.sessions[0], config)
    assert process(subject.sessions[0], config)
    assert len(engine.seeds) == 1


def brighter_image(session: Session, config: Config) -> Config:
    """Replace the T1w by another one."""
    nib.save(brighter(head_image()), session.t1w.path)
    return config


def other_seed(session: Session, config: Config) -> Config:
    """Ask for another seed."""
    return make_config(config.bids_dir.parent, resolution_mm=HEAD_MM, random_seed=5)


def empty_work_folder_and_lost_output(session: Session, config: Config) -> Config:
    """Lose everything of the first run."""
    SessionFiles(config.output_dir, session.subject, session.label).volumes.unlink()
    return make_config(config.bids_dir.parent, resolution_mm=HEAD_MM, work_dir=config.work_dir / "other")


@pytest.mark.parametrize("change", [brighter_image, other_seed, empty_work_folder_and_lost_output])
def test_other_content_or_settings_are_measured_again(
    visits: tuple[Subject, Config], engine: FakeEngine, change: Any
) -> None:
    """What decides the result decides whether it is computed again."""
    subject, config = visits
    session = subject.sessions[0]
    process(session, config)
    assert process(session, change(session, config))
    assert len(engine.seeds) == 2


def test_settings_that_do_not_change_results_change_nothing(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """More processors do not make a finished session unfinished."""
    subject, config = visits
    process(subject.sessions[0], config)
    more = make_config(config.bids_dir.parent, resolution_mm=HEAD_MM, nprocs=config.nprocs + 3)
    assert not process(subject.sessions[0], more)
    assert len(engine.seeds) == 1


def test_participant_gets_tables_and_a_report(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """Both sessions are measured, the report is there, and a second run changes nothing."""
    subject, config = visits
    outcome = run(subject, config)
    assert (outcome.status, outcome.failed_sessions) == ("done", ())
    assert outcome.report == report_path(config.output_dir, "01")
    outputs = load_participant(config.output_dir, "01")
    assert [session.label for session in outputs.sessions] == ["a", "b"]
    brain = outputs.sessions[0].volume_mm3("WholeBrain")
    members = SUMS[0].members
    volume = float((np.asarray(head_image().dataobj) > 100).sum()) * HEAD_MM**3
    expected = volume * sum(SHARES[index] for index in members) / sum(SHARES.values())
    assert brain == pytest.approx(expected, rel=1e-3)
    written = outcome.report.stat().st_mtime_ns
    assert run(subject, config).status == "unchanged"
    assert outcome.report.stat().st_mtime_ns == written
    assert len(engine.seeds) == 2


def test_one_image_in_two_sessions_is_measured_once(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """A copied image costs nothing, and each session is reported under its own name."""
    subject, config = visits
    first, second = subject.sessions
    second.t1w.path.write_bytes(first.t1w.path.read_bytes())
    assert run(subject, config).status == "done"
    outputs = load_participant(config.output_dir, "01")
    assert [session.label for session in outputs.sessions] == ["a", "b"]
    assert [session.provenance.chosen_scan for session in outputs.sessions] == [
        first.t1w.relative_path,
        second.t1w.relative_path,
    ]
    assert len(engine.seeds) == 1


def test_lost_report_is_written_again(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """Without its report a participant is not finished, but nothing is measured for it."""
    subject, config = visits
    report = run(subject, config).report
    assert report is not None
    report.unlink()
    assert run(subject, config).report == report
    assert report.exists()
    assert len(engine.seeds) == 2


def test_failing_session_does_not_stop_the_other(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """The broken image is named with its exit code; the other session is measured and reported."""
    subject, config = visits
    broken = subject.sessions[0].t1w.path
    broken.write_bytes(broken.read_bytes()[:2000])
    outcome = run(subject, config)
    assert outcome.status == "failed"
    assert [(failure.session, failure.exit_code) for failure in outcome.failed_sessions] == [
        ("sub-01_ses-a", ExitCode.DATA_ERROR)
    ]
    assert broken.name in outcome.failed_sessions[0].reason
    assert outcome.report is not None
    assert [session.label for session in load_participant(config.output_dir, "01").sessions] == ["b"]
    assert "ses-a" in outcome.report.read_text(encoding="utf-8")


def test_mended_session_joins_the_report(visits: tuple[Subject, Config], engine: FakeEngine) -> None:
    """After the image was mended only this session is measured, and the failure is forgotten."""
    subject, config = visits
    image = subject.sessions[0].t1w.path
    content = image.read_bytes()
    image.write_bytes(content[:2000])
    run(subject, config)
    image.write_bytes(content)
    assert run(subject, config).status == "done"
    outputs = load_participant(config.output_dir, "01")
    assert [session.label for session in outputs.sessions] == ["a", "b"]
    assert len(engine.seeds) == 2


def test_crash_leaves_the_other_session_reported(
    visits: tuple[Subject, Config], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the program itself is passed on, after what was finished has its table and report."""
    subject, config = visits
    measure = participant.measure_session

    def crash_on_second(session: Session, *arguments: Any) -> Any:
        if session.label == "b":
            raise ZeroDivisionError
        return measure(session, *arguments)

    monkeypatch.setattr(participant, "measure_session", crash_on_second)
    with pytest.raises(ZeroDivisionError):
        run(subject, config)
    assert [session.label for session in load_participant(config.output_dir, "01").sessions] == ["a"]
    assert report_path(config.output_dir, "01").exists()


def test_nothing_measured_means_no_report(
    visits: tuple[Subject, Config], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If every session fails there is no report that could be mistaken for a result."""
    subject, config = visits

    def refuse(*_: Any, **__: Any) -> None:
        raise DataError("cannot be measured", remedy="Look at it")

    monkeypatch.setattr(participant, "measure_session", refuse)
    outcome = run(subject, config)
    assert outcome.status == "failed"
    assert len(outcome.failed_sessions) == 2
    assert outcome.report is None
    assert not report_path(config.output_dir, "01").exists()
