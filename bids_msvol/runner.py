# SPDX-License-Identifier: Apache-2.0
"""Run participants apart from one another: each ends in an outcome, whatever happens to it or to the others."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path

from bids_msvol.bids.names import log_dir
from bids_msvol.errors import ExitCode, MSVolError, OutOfResourcesError
from bids_msvol.logs import log_outcome, participant_log, utc_stamp
from bids_msvol.outcome import ParticipantOutcome, failed_outcome

_ALLOCATION_MESSAGES = ("bad_alloc", "bad allocation", "Failed to allocate memory")
"""How the C++ libraries word that memory ran out; Python sees a plain ``RuntimeError``."""


_SECONDS_ASLEEP = 0.5


@dataclass(frozen=True)
class Task:
    """One participant's work.

    Attributes
    ----------
    label
        Participant label.
    function
        Does the work; a module-level function, so that it can be sent to another process.
    arguments
        Its arguments, picklable.
    """

    label: str
    function: Callable[..., ParticipantOutcome]
    arguments: tuple[object, ...] = ()


def run_all(
    tasks: Sequence[Task],
    executor_factory: Callable[[], Executor],
    *,
    output_dir: Path,
    stop_on_first_crash: bool = False,
) -> tuple[ParticipantOutcome, ...]:
    """Run every task and return the outcomes in the order of the tasks.

    Parameters
    ----------
    tasks
        The participants.
    executor_factory
        Makes the executor, of this program, of `concurrent.futures` or of a cluster; it is shut down at the end.
    output_dir
        Output dataset; logs go into its ``sub-<label>/log`` folders.
    stop_on_first_crash
        Stop at the first failure; what was not finished is ``not run``.
    """
    outcomes: dict[str, ParticipantOutcome] = {}
    executor = executor_factory()
    orderly = False
    try:
        futures = {_submit(executor, task, output_dir): task for task in tasks}
        for future in _as_completed(futures):
            task = futures[future]
            outcomes[task.label] = _settle(future, task, output_dir)
            if stop_on_first_crash and outcomes[task.label].status == "failed":
                break
        else:
            orderly = True
    finally:
        _close(executor, orderly=orderly)
    stopped = "the run was stopped after the first failure"
    return tuple(outcomes.get(task.label, ParticipantOutcome(task.label, "not run", (stopped,))) for task in tasks)


def run_task(task: Task, output_dir: Path) -> ParticipantOutcome:
    """Run one task where it is; every exception becomes a ``failed`` outcome, an unforeseen one also a crash file."""
    start = time.monotonic()
    try:
        with participant_log(output_dir, task.label) as log:
            try:
                outcome = task.function(*task.arguments)
            except MSVolError as error:
                outcome = failed_outcome(task.label, error, log=log)
            except Exception as error:
                outcome = _crash(task.label, error, output_dir)
            outcome = replace(outcome, seconds=time.monotonic() - start)
            _announce(outcome)
    except OSError as error:  # the log folder cannot be made or written
        outcome = _crash(task.label, error, output_dir)
        _announce(outcome)
    return outcome


def _submit(executor: Executor, task: Task, output_dir: Path) -> Future[ParticipantOutcome]:
    try:
        return executor.submit(run_task, task, output_dir)
    except Exception as error:  # a pool that an earlier task broke takes no more
        future: Future[ParticipantOutcome] = Future()
        future.set_exception(error)
        return future


def _as_completed(futures: Iterable[Future[ParticipantOutcome]]) -> Iterator[Future[ParticipantOutcome]]:
    """Yield futures as they end; it wakes up often, since Python acts on a signal only in a main thread that runs."""
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, timeout=_SECONDS_ASLEEP, return_when=FIRST_COMPLETED)
        yield from ended


def _settle(future: Future[ParticipantOutcome], task: Task, output_dir: Path) -> ParticipantOutcome:
    """Return the outcome of a finished future; what the worker could not report is announced here."""
    try:
        return future.result()
    except MSVolError as error:
        outcome = failed_outcome(task.label, error, log=_write_crash(task.label, error, output_dir))
    except CancelledError:
        outcome = ParticipantOutcome(task.label, "not run", ("it was cancelled",))
    except Exception as error:
        outcome = _crash(task.label, error, output_dir)
    _announce(outcome)
    return outcome


def _crash(label: str, error: Exception, output_dir: Path) -> ParticipantOutcome:
    path = _write_crash(label, error, output_dir)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _ALLOCATION_MESSAGES):
        memory = OutOfResourcesError(
            "memory ran out", remedy="Give the job more memory, or let fewer participants run at once with --nprocs"
        )
        return failed_outcome(label, memory, log=path)
    return ParticipantOutcome(
        label, "failed", (f"unforeseen {type(error).__name__}: {error}",), exit_code=ExitCode.FAILED, log=path
    )


def _write_crash(label: str, error: Exception, output_dir: Path) -> Path | None:
    path = log_dir(output_dir, label) / f"crash-{utc_stamp()}.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return None  # the disk may be what failed: the outcome itself must not get lost
    return path


def _announce(outcome: ParticipantOutcome) -> None:
    level = logging.ERROR if outcome.status == "failed" else logging.INFO
    sessions = (f"{failure.session}: {failure.reason}" for failure in outcome.failed_sessions)
    reason = f": {' '.join((*outcome.messages, *sessions))}" if outcome.status == "failed" else ""
    log_outcome(f"{outcome.status} after {outcome.seconds:.0f} s{reason}", outcome.label, level=level)


def _close(executor: Executor, *, orderly: bool) -> None:
    kill = getattr(executor, "kill", None)
    if orderly or kill is None:
        executor.shutdown(wait=orderly, cancel_futures=not orderly)
    else:
        kill()
