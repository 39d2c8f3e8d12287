# SPDX-License-Identifier: Apache-2.0
"""The participant level from a configuration to outcomes: check, collect, run each participant apart, sum up."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bids_msvol.bids.folders import check_folders, check_output_space, make_output_dir, work_space_shortage
from bids_msvol.bids.given import KNOWN, KNOWN_OF_GROUP
from bids_msvol.bids.load import finished_participants
from bids_msvol.config import Config, default_work_dir, participant_work_dir
from bids_msvol.configfile import to_toml
from bids_msvol.engines.sct_program import check_installed
from bids_msvol.errors import CannotCreateError, ExitCode, MSVolError, NothingSelectedError, OutOfResourcesError
from bids_msvol.executor import SubprocessExecutor
from bids_msvol.logs import TerminalHandler, log_outcome, utc_stamp
from bids_msvol.outcome import (
    ParticipantOutcome,
    common_exit_code,
    count_by_status,
    failed_outcome,
    summary_text,
    summary_tsv,
)
from bids_msvol.plan import describe_plan
from bids_msvol.progressbar import ProgressBar
from bids_msvol.resources import participant_memory_gb, participants_at_once
from bids_msvol.runner import Task, run_all

if TYPE_CHECKING:
    from bids_msvol.bids.records import Subject

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes
    ----------
    exit_code
        Exit code of the program.
    sentence
        The outcome in words.
    details
        Table or plan to print before the last line.
    see
        File that tells more, if something failed.
    """

    exit_code: ExitCode
    sentence: str
    details: str = ""
    see: Path | None = None


def run_participant_level(config: Config, terminal: TerminalHandler) -> RunResult:
    """Run the participant level.

    Parameters
    ----------
    config
        The run.
    terminal
        Shows the messages; it gets a progress bar if its stream is a terminal.

    Raises
    ------
    MSVolError
        If the run as a whole cannot start; what stops one participant only is in the result.
    """
    check_folders(config)
    if config.cord_engine == "sct":
        check_installed()
    if config.dry_run:
        return _dry_run(config)
    tasks, sessions, refused = _report_tasks(config) if config.reports_only else _measurement_tasks(config)
    if terminal.stream.isatty() and not config.verbosity:
        terminal.bar = ProgressBar(terminal.stream, sessions)
    for outcome in refused:
        log_outcome(" ".join(outcome.messages), outcome.label, level=logging.ERROR)
    if refused and config.stop_on_first_crash:
        stopped = "the run was stopped after the first failure"
        outcomes = tuple(ParticipantOutcome(task.label, "not run", (stopped,)) for task in tasks)
    else:
        outcomes = run_all(
            tasks,
            lambda: SubprocessExecutor(_workers(config, len(tasks)), memory_gb=config.mem_gb),
            output_dir=config.output_dir,
            stop_on_first_crash=config.stop_on_first_crash,
        )
    return _sum_up(sorted((*outcomes, *refused), key=lambda outcome: outcome.label), config)


def measure(subject: Subject, config: Config) -> ParticipantOutcome:
    """Measure one participant; the worker process imports the heavy libraries, this process does not."""
    from bids_msvol.participant import run_participant

    return run_participant(subject, config)


def rewrite_report(label: str, config: Config) -> ParticipantOutcome:
    """Write one participant's report again."""
    from bids_msvol.participant import rebuild_report

    return rebuild_report(label, config)


def prepare_work_dir(folder: Path) -> None:
    """Make the work folder, private to the user.

    Raises
    ------
    CannotCreateError
        If it cannot be made, or if it is the default one and belongs to someone else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.stat().st_uid
    except OSError as error:
        raise CannotCreateError(
            f"the work folder cannot be made ({error.strerror})",
            remedy="Give --work-dir a folder that you may write",
            subject=folder,
        ) from error
    # Intermediate results are pickles, which can run code. A folder that the user named may be shared on purpose; the
    # default one has a name that anybody could have taken before.
    if hasattr(os, "getuid") and owner != os.getuid() and folder == default_work_dir():
        raise CannotCreateError(
            "the work folder belongs to another user", remedy="Give --work-dir a folder of your own", subject=folder
        )


def _dry_run(config: Config) -> RunResult:
    from bids_msvol.bids.inputs import collect_subjects

    collected = collect_subjects(config)
    outcomes = [failed_outcome(label, error) for label, error in collected.problems]
    plan = describe_plan(collected.subjects, collected.problems, config)
    would = f"{len(collected.subjects)} participants would be measured, {len(outcomes)} cannot be"
    return RunResult(common_exit_code(outcomes), f"dry run, nothing was written; {would}", details=plan)


def _measurement_tasks(config: Config) -> tuple[list[Task], dict[str, int], list[ParticipantOutcome]]:
    """Return the tasks, the number of sessions of each participant, and the outcomes of those with unusable input."""
    from bids_msvol.bids.inputs import collect_subjects
    from bids_msvol.bids.outputs import OutputDataset
    from bids_msvol.bids.validator import validate_dataset

    collected = collect_subjects(config)
    if not collected.subjects and not collected.problems:
        raise NothingSelectedError(
            "no participant to measure", remedy="Check the labels and filters", subject=config.bids_dir
        )
    prepare_work_dir(config.work_dir)
    make_output_dir(config)
    validate_dataset(config)
    OutputDataset.create(config)
    later = KNOWN_OF_GROUP if "group" in config.levels else ()
    unknown = [name for name in config.derivatives if name not in (*KNOWN, *later)]
    if unknown:
        _logger.warning("this version reads the derivatives %s; not used: %s", ", ".join(KNOWN), ", ".join(unknown))
    need_gb = participant_memory_gb(config.resolution_mm)
    if config.mem_gb < need_gb:
        _logger.warning("a participant may need %.1f GB of memory, and %.1f GB are free", need_gb, config.mem_gb)
    sessions = {subject.label: len(subject.sessions) for subject in collected.subjects}
    if config.clean_workdir:
        for label in sessions:
            shutil.rmtree(participant_work_dir(config, label), ignore_errors=True)
    _check_room(config, sessions)
    tasks = [Task(subject.label, measure, (subject, config)) for subject in collected.subjects]
    return tasks, sessions, [failed_outcome(label, error) for label, error in collected.problems]


def _report_tasks(config: Config) -> tuple[list[Task], dict[str, int], list[ParticipantOutcome]]:
    found = finished_participants(config.output_dir)
    labels = config.participant_labels or found
    missing = [label for label in labels if label not in found]
    if missing or not labels:
        raise NothingSelectedError(
            f"no results of {', '.join(missing) or 'any participant'}",
            remedy="Run the participant level without --reports-only first",
            subject=config.output_dir,
        )
    return [Task(label, rewrite_report, (label, config)) for label in labels], dict.fromkeys(labels, 1), []


def _workers(config: Config, n_tasks: int) -> int:
    at_once = participants_at_once(config.nprocs, config.omp_nthreads, config.mem_gb, config.resolution_mm)
    return max(1, min(at_once, n_tasks))


def _check_room(config: Config, sessions: dict[str, int]) -> None:
    """Refuse a disk too small for the outputs of those that run at once; warn of what else may not fit."""
    largest = sorted(sessions.values(), reverse=True)
    at_once = sum(largest[: _workers(config, len(sessions))])
    check_output_space(config, at_once)
    try:
        check_output_space(config, sum(largest))
    except OutOfResourcesError as error:
        _logger.warning("%s", error)
    shortage = work_space_shortage(config, at_once)
    if shortage:
        _logger.warning(
            "%s: intermediate files that do not fit are not kept, so that an interrupted run begins its sessions anew. "
            "Give --work-dir a folder with more room to avoid it.",
            shortage,
        )


def _sum_up(outcomes: Sequence[ParticipantOutcome], config: Config) -> RunResult:
    """Leave the configuration and the summary in the output's ``logs`` folder, and tell how it ended."""
    from bids_msvol.bids.atomic import write_text

    code = common_exit_code(outcomes)
    stem = config.output_dir / "logs" / f"{utc_stamp()}-{os.getpid()}"
    summary = stem.with_name(f"{stem.name}_summary.tsv")
    try:
        write_text(stem.with_name(f"{stem.name}_config.toml"), to_toml(config))
        write_text(summary, summary_tsv(outcomes))
    except MSVolError as error:
        _logger.warning("the summary is not kept: %s", error)
    sentence = count_by_status(outcomes)
    if code is ExitCode.OK:
        return RunResult(code, f"{sentence}; reports and tables are in {config.output_dir}", summary_text(outcomes))
    logs = [outcome.log for outcome in outcomes if outcome.status == "failed"]
    see = logs[0] if len(logs) == 1 and logs[0] is not None else summary
    return RunResult(code, sentence, summary_text(outcomes), see)
