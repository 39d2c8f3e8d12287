# SPDX-License-Identifier: Apache-2.0
"""Participants apart from one another: whatever ends one, it has an outcome and the others run."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from bids_msvol.errors import ExitCode, OutOfResourcesError
from bids_msvol.executor import SubprocessExecutor, WorkerDiedError, death_error
from bids_msvol.outcome import (
    ParticipantOutcome,
    SessionFailure,
    common_exit_code,
    count_by_status,
    summary_text,
    summary_tsv,
)
from bids_msvol.runner import Task, run_all
from tests import fake_program


def two_processes() -> Executor:
    return SubprocessExecutor(2, memory_gb=4.0)


def one_thread() -> Executor:
    return ThreadPoolExecutor(1)


def test_each_kind_of_end_concerns_one_participant_only(tmp_path: Path) -> None:
    """Bad data, a bug, a kill for memory and a segmentation fault each end one participant; the others are done."""
    work = {
        "01": fake_program.succeed,
        "02": fake_program.meet_bad_data,
        "03": fake_program.crash,
        "04": fake_program.be_killed,
        "05": fake_program.fault,
        "06": fake_program.succeed,
    }
    tasks = [Task(label, function, (label,)) for label, function in work.items()]
    outcomes = {outcome.label: outcome for outcome in run_all(tasks, two_processes, output_dir=tmp_path)}
    assert list(outcomes) == list(work), "in the order of the tasks"
    assert [outcome.status for outcome in outcomes.values()] == ["done", "failed", "failed", "failed", "failed", "done"]
    assert outcomes["02"].exit_code == ExitCode.DATA_ERROR
    assert "sub-02_T1w.nii.gz: holds NaN. Mend it." in outcomes["02"].messages[0]
    assert outcomes["03"].exit_code == ExitCode.FAILED
    assert outcomes["04"].exit_code == ExitCode.TEMPORARY
    assert "probably out of memory (limit 4.0 GB" in outcomes["04"].messages[0]
    assert "SIGSEGV" in outcomes["05"].messages[0]
    assert outcomes["03"].log is not None
    crash = outcomes["03"].log.read_text()
    assert outcomes["03"].log.parent == tmp_path / "sub-03" / "log"
    assert "ZeroDivisionError: in 03" in crash
    assert "fake_program.py" in crash, "the traceback leads to the place"
    assert all(outcomes[label].log is not None and outcomes[label].log.exists() for label in ("04", "05"))


def test_any_executor_will_do(tmp_path: Path) -> None:
    """The runner works with an executor that runs tasks in this process, and keeps the participants' logs apart."""
    tasks = [Task("01", fake_program.succeed, ("01",)), Task("02", fake_program.crash, ("02",))]
    outcomes = run_all(tasks, lambda: ThreadPoolExecutor(2), output_dir=tmp_path)
    assert [outcome.status for outcome in outcomes] == ["done", "failed"]
    (log,) = (tmp_path / "sub-01" / "log").glob("run-*.jsonl")
    assert "a remark" in log.read_text()
    (log,) = (tmp_path / "sub-02" / "log").glob("run-*.jsonl")
    assert "a remark" not in log.read_text()


def test_broken_pool_loses_no_participant(tmp_path: Path) -> None:
    """With a pool that one kill breaks for all, every participant still has an outcome."""
    tasks = [Task(label, fake_program.be_killed, (label,)) for label in ("01", "02", "03")]
    outcomes = run_all(tasks, lambda: ProcessPoolExecutor(1), output_dir=tmp_path)
    assert [(outcome.label, outcome.status) for outcome in outcomes] == [
        ("01", "failed"),
        ("02", "failed"),
        ("03", "failed"),
    ]


def test_stop_on_first_crash(tmp_path: Path) -> None:
    """The first failure ends the run at once, running participants included, and says so."""
    mark = tmp_path / "mark"
    tasks = [
        Task("01", fake_program.crash, ("01",)),
        Task("02", fake_program.sleep, ("02", mark)),
        Task("03", fake_program.succeed, ("03",)),
    ]
    start = time.monotonic()
    outcomes = run_all(tasks, lambda: SubprocessExecutor(2), output_dir=tmp_path, stop_on_first_crash=True)
    assert time.monotonic() - start < 30
    assert [outcome.status for outcome in outcomes][:2] == ["failed", "not run"]
    assert "stopped after the first failure" in outcomes[1].messages[0]
    assert common_exit_code(outcomes) == ExitCode.FAILED


def test_interrupt_ends_the_children(tmp_path: Path) -> None:
    """Ctrl-C while participants run ends their processes before it is passed on."""
    mark = tmp_path / "mark"

    def interrupt() -> None:
        while not mark.exists() or not mark.read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    tasks = [Task("01", fake_program.sleep, ("01", mark)), Task("02", fake_program.sleep, ("02", tmp_path / "none"))]
    with pytest.raises(KeyboardInterrupt):
        run_all(tasks, lambda: SubprocessExecutor(1), output_dir=tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert not (tmp_path / "none").exists()


def test_allocation_failure_of_a_library_is_lack_of_memory(tmp_path: Path) -> None:
    """An exception that says that memory ran out has the code of lacking resources."""
    tasks = [Task("01", fake_program.run_out_of_memory, ("01",))]
    (outcome,) = run_all(tasks, one_thread, output_dir=tmp_path)
    assert outcome.exit_code == ExitCode.TEMPORARY


def test_unwritable_log_folder_is_an_outcome(tmp_path: Path) -> None:
    """When even the log cannot be written, the participant fails and the runner does not."""
    (tmp_path / "sub-01").write_text("a file where a folder should be")
    (outcome,) = run_all([Task("01", fake_program.succeed, ("01",))], one_thread, output_dir=tmp_path)
    assert (outcome.status, outcome.log) == ("failed", None)


# The executor ---------------------------------------------------------------------------------------------------------


def test_every_call_has_a_fresh_process_with_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls share no process with one another or with the caller, and inherit variables set meanwhile."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with SubprocessExecutor(1) as executor:
        first, second = executor.submit(fake_program.process_id), executor.submit(fake_program.process_id)
        threads = executor.submit(fake_program.number_of_threads)
        assert len({first.result(), second.result(), os.getpid()}) == 3
        assert threads.result() == "3"


def test_exceptions_and_unsendable_answers_come_back() -> None:
    """An exception arrives with the child's traceback; an answer that cannot be pickled is an error, not a hang."""
    with SubprocessExecutor(2) as executor:
        crash = executor.submit(fake_program.crash, "01").exception()
        assert isinstance(crash, ZeroDivisionError)
        assert "fake_program.py" in crash.__notes__[0]
        with pytest.raises(RuntimeError, match="cannot be sent"):
            executor.submit(fake_program.return_what_cannot_be_pickled, "01").result()
        with pytest.raises(WorkerDiedError, match="with code 3 without a result"):
            executor.submit(fake_program.leave, "01").result()


@pytest.mark.parametrize("code", [-9, 137])
def test_kill_means_memory(code: int) -> None:
    """The kernel's kill, seen directly or through a shell, is named as lack of memory."""
    assert isinstance(death_error(code, None), OutOfResourcesError)
    assert isinstance(death_error(-6, None), WorkerDiedError)


# The summary ----------------------------------------------------------------------------------------------------------


def failed(label: str, code: ExitCode) -> ParticipantOutcome:
    return ParticipantOutcome(label, "failed", ("no",), exit_code=code)


def test_common_exit_code() -> None:
    """One code if all failures share it, else 1; nothing but failures counts."""
    done = ParticipantOutcome("01", "done")
    skipped = ParticipantOutcome("09", "not run")
    assert common_exit_code([done, ParticipantOutcome("02", "unchanged")]) == 0
    assert common_exit_code([done, failed("02", ExitCode.DATA_ERROR), failed("03", ExitCode.DATA_ERROR), skipped]) == 65
    assert common_exit_code([failed("02", ExitCode.DATA_ERROR), failed("03", ExitCode.NO_INPUT)]) == 1
    by_session = ParticipantOutcome(
        "04", "failed", failed_sessions=(SessionFailure("sub-04_ses-01", "no", ExitCode.NO_INPUT),)
    )
    assert common_exit_code([done, by_session]) == 66
    assert common_exit_code([ParticipantOutcome("05", "failed")]) == 1


def test_summary_lists_everybody_on_one_line() -> None:
    """Tables hold one line a participant even if a message has several, and name failed sessions."""
    outcomes = [
        ParticipantOutcome("01", "done", seconds=41.4),
        ParticipantOutcome(
            "02", "failed", ("first\nsecond\tthird",), failed_sessions=(SessionFailure("sub-02_ses-01", "no T1w"),)
        ),
    ]
    assert summary_tsv(outcomes).splitlines() == [
        "participant_id\tstatus\tduration_s\tnotes",
        "sub-01\tdone\t41\tn/a",
        "sub-02\tfailed\t0\tfirst second third sub-02_ses-01: no T1w",
    ]
    assert summary_text(outcomes).splitlines()[1] == "sub-01          done    41          n/a"
    assert count_by_status(outcomes) == "2 participants: 1 done, 1 failed"
