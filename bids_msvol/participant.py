# SPDX-License-Identifier: Apache-2.0
"""One participant, from the files of the dataset to those of the derivatives; the imaging is in `bids_msvol.person`."""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_msvol import __version__
from bids_msvol.bids.load import has_finished_session, load_participant
from bids_msvol.bids.names import SessionFiles, log_dir, report_path
from bids_msvol.bids.outputs import remove_changes, write_changes, write_session, write_sessions_table
from bids_msvol.bids.records import Session, Subject
from bids_msvol.bids.session_images import SessionImages, image_paths, load_session_images
from bids_msvol.bids.unmeasured import record_unmeasured
from bids_msvol.config import Config, participant_work_dir, result_hash
from bids_msvol.errors import MSVolError
from bids_msvol.logs import Progress
from bids_msvol.outcome import ParticipantOutcome, SessionFailure
from bids_msvol.person import measure_person, with_sessions
from bids_msvol.report import write_report
from bids_msvol.steps import StepCache, file_digest, is_current, step_address, write_record

_logger = logging.getLogger(__name__)

STEPS_TOGETHER = 2
"""Reading and measuring; then each session is written."""


def run_participant(subject: Subject, config: Config) -> ParticipantOutcome:
    """Measure the sessions of a participant and write tables, images and report.

    A session that cannot be read does not stop the others; what an earlier run finished is left alone.

    Raises
    ------
    MSVolError
        If no session could be measured for a reason that concerns the participant as a whole.
    """
    start = time.monotonic()
    cache = StepCache(participant_work_dir(config, subject.label), __version__)
    crash: Exception | None = None
    written, failures = False, list[SessionFailure]()
    try:
        written = process_sessions(subject, config, cache, failures)
    except MSVolError as error:
        _logger.error("sub-%s: %s", subject.label, error)
        unread = {failure.session for failure in failures}
        others = [session.name for session in subject.sessions if session.name not in unread]
        failures += [SessionFailure(name, str(error), error.exit_code) for name in others]
    except Exception as error:  # an error of ours: finished sessions still get their table and report
        crash = error
    changed = record_unmeasured(subject, config, failures)
    report = report_path(config.output_dir, subject.label)
    finished = has_finished_session(config.output_dir, subject.label)
    if finished and (written or changed or not report.exists()):
        write_sessions_table(config.output_dir, subject.label)
        write_report(load_participant(config.output_dir, subject.label), report)
    if crash is not None:
        raise crash
    return ParticipantOutcome(
        subject.label,
        "failed" if failures else "done" if written else "unchanged",
        seconds=time.monotonic() - start,
        failed_sessions=tuple(failures),
        report=report if report.exists() else None,
    )


def rebuild_report(label: str, config: Config) -> ParticipantOutcome:
    """Write a participant's report again from the files in the output folder."""
    start = time.monotonic()
    report = write_report(load_participant(config.output_dir, label), report_path(config.output_dir, label))
    return ParticipantOutcome(label, "done", seconds=time.monotonic() - start, report=report)


def process_sessions(subject: Subject, config: Config, cache: StepCache, failures: list[SessionFailure]) -> bool:
    """Measure the sessions of a participant together and write their files.

    Parameters
    ----------
    subject
        The participant.
    config
        The run.
    cache
        Results of finished steps.
    failures
        Sessions that cannot be read are added to it; the others are measured without them.

    Returns
    -------
    bool
        ``False`` if all files were there, unchanged.
    """
    progress = Progress(subject.label, None, STEPS_TOGETHER + len(subject.sessions))
    with progress.step("reading"):
        digest = functools.cache(file_digest)
        # Nothing needs to be read where everything can be read and was finished before.
        if are_finished(subject.sessions, config, digest):
            return False
        sessions, images = read_sessions(subject, failures)
        if not sessions or are_finished(sessions, config, digest):
            return False
        key = _content(sessions, config, digest)
        address = _address(sessions, key)
    with progress.step("measuring"):
        measured = cache.run("person", lambda: measure_person(sessions, images, config), key=key).value
    # Another visit, or an earlier place of the dataset, may hold the very same images.
    measured = with_sessions(measured, sessions)
    remove_changes(config, subject.label)
    changes = write_changes(measured.pairs, config) if measured.pairs else ()
    before = {later.name: earlier.name for earlier, later in itertools.pairwise(sessions)}
    since_before = {pair.after.name: pair for pair in measured.pairs if before.get(pair.after.name) == pair.before.name}
    for session, measurement in zip(sessions, measured.sessions, strict=True):
        with progress.step(f"writing {session.name}"):
            files = write_session(measurement, config, since_before.get(session.name))
            write_record(_record_path(session, config), address, (*files, *changes))
    return True


def read_sessions(subject: Subject, failures: list[SessionFailure]) -> tuple[list[Session], list[SessionImages]]:
    """Read the images of every session; sessions that cannot be read are added to ``failures``."""
    sessions, images = [], []
    for session in subject.sessions:
        try:
            read, found = load_session_images(session)
            sessions.append(read)
            images.append(found)
        except MSVolError as error:
            _logger.error("%s: %s", session.name, error)
            failures.append(SessionFailure(session.name, str(error), error.exit_code))
    return sessions, images


def are_finished(sessions: Sequence[Session], config: Config, digest: Callable[[Path], str]) -> bool:
    """Say whether the files of these sessions, measured together, are there, unchanged."""
    try:
        address = _address(sessions, _content(sessions, config, digest))
    except OSError:  # an image that is missing or cannot be opened, which reading it explains
        return False
    return all(_is_finished(session, address, config) for session in sessions)


def _is_finished(session: Session, address: str, config: Config) -> bool:
    files = SessionFiles(config.output_dir, session.subject, session.label)
    return is_current(_record_path(session, config), address, (files.volumes, files.dseg))


def _content(sessions: Sequence[Session], config: Config, digest: Callable[[Path], str]) -> dict[str, Any]:
    """What decides the numbers: the images and the settings."""
    digests = [{name: digest(path) for name, path in image_paths(session)} for session in sessions]
    return {"images": digests, "settings": result_hash(config)}


def _address(sessions: Sequence[Session], content: Mapping[str, Any]) -> str:
    """Address of the finished files, which also repeat names of the dataset."""
    return step_address("person", __version__, {**content, "inputs": [_input_names(one) for one in sessions]})


def _record_path(session: Session, config: Config) -> Path:
    return log_dir(config.output_dir, session.subject) / f"{session.name}_finished.json"


def _input_names(session: Session) -> dict[str, str | float | None]:
    """What the outputs repeat of the dataset besides the images' voxels."""
    names = ("flair", "t2w", "t1w_gd", "cord", "lesion_mask", "sct_table", "sct_mask", "cord_labels")
    others = {name: scan.relative_path for name in names if (scan := getattr(session, name)) is not None}
    return {"t1w": session.t1w.relative_path, "choice": session.choice, "days": session.days, **others}
