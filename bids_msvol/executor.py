# SPDX-License-Identifier: Apache-2.0
"""An executor that gives every call a fresh process of its own: what kills one call cannot touch another."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bids_msvol.errors import MSVolError, OutOfResourcesError
from bids_msvol.logs import LOGGER_NAME, add_context

_P = ParamSpec("_P")
_T = TypeVar("_T")

_SECONDS_TO_EXIT = 10.0
"""How long a process may take to end after it has given its result."""

_OOM_SCORE = "500"
"""Makes the kernel end a worker before the program itself when memory runs out."""


class WorkerDiedError(MSVolError):
    """A process ended without a result."""


class SubprocessExecutor(Executor):
    """Runs each call in its own spawned process.

    Calls, arguments and results must be picklable. Log records of the program's loggers are handled in this process,
    as if they had been made here.

    Parameters
    ----------
    max_workers
        Processes at one time.
    memory_gb
        Memory limit in GB, for the message when a process seems to have run out of it.
    """

    def __init__(self, max_workers: int, *, memory_gb: float | None = None) -> None:
        self._threads = ThreadPoolExecutor(max_workers)
        self._memory_gb = memory_gb
        self._lock = threading.Lock()
        self._processes: set[BaseProcess] = set()
        self._killed = False

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run ``fn(*args, **kwargs)`` in a new process as soon as one of the workers is free."""
        return self._threads.submit(self._run, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; with ``wait``, return when the running ones have ended."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)

    def kill(self) -> None:
        """End the running processes at once and run nothing more."""
        with self._lock:
            self._killed = True
            for process in self._processes:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, function: Callable[..., _T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _T:
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        level = logging.getLogger(LOGGER_NAME).getEffectiveLevel()
        process = context.Process(target=_serve, args=(sender, level, function, args, kwargs), daemon=True)
        with self._lock:
            if self._killed:
                raise CancelledError
            process.start()
            self._processes.add(process)
        sender.close()  # the child holds the other copy: its end is seen as the end of the stream
        try:
            answer = _receive(receiver)
            process.join(_SECONDS_TO_EXIT if answer is not None else None)
        finally:
            receiver.close()
            process.kill()  # one that hangs after its result, or whose result cannot be read
            process.join()
            with self._lock:
                self._processes.discard(process)
        if answer is None:
            if self._killed:
                raise CancelledError
            raise death_error(process.exitcode, self._memory_gb)
        kind, payload = answer
        if kind == "error":
            raise payload
        result: _T = payload
        return result


def death_error(exit_code: int | None, memory_gb: float | None) -> MSVolError:
    """Return the error for a process that ended without a result.

    Parameters
    ----------
    exit_code
        The process's exit code; negative for the number of the signal that ended it.
    memory_gb
        Memory limit in GB, where known.
    """
    if exit_code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        limit = f" (limit {memory_gb:.1f} GB for all participants together)" if memory_gb is not None else ""
        return OutOfResourcesError(
            f"the process was killed, probably out of memory{limit}",
            remedy="Give the job more memory, or let fewer participants run at once with a smaller --nprocs",
        )
    if exit_code is not None and exit_code < 0:
        try:
            how = f"by {signal.Signals(-exit_code).name}"
        except ValueError:
            how = f"by signal {-exit_code}"
    else:
        how = f"with code {exit_code}"
    return WorkerDiedError(
        f"the process ended {how} without a result",
        remedy="Run this participant alone, with -v; if it happens again, report it with the log",
    )


class _SendingHandler(logging.Handler):
    """Sends records to the parent process."""

    def __init__(self, sender: Connection) -> None:
        super().__init__()
        self.sender = sender
        self.addFilter(add_context)

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args = record.getMessage(), None
        if record.exc_info:
            record.msg += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
            record.exc_info = None
        self.sender.send(("log", record))


def _receive(receiver: Connection) -> tuple[str, Any] | None:
    """Handle a child's log records until its answer comes; ``None`` if it ends without one."""
    while True:
        try:
            kind, payload = receiver.recv()
        except (EOFError, OSError):
            return None
        except Exception as error:
            return "error", error
        if kind != "log":
            return kind, payload
        logging.getLogger(payload.name).handle(payload)


def _serve(
    sender: Connection, level: int, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Run one call in the child process and send its answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    handler = _SendingHandler(sender)
    logger = logging.getLogger(LOGGER_NAME)
    logger.setLevel(level)
    logger.addHandler(handler)
    try:
        answer: tuple[str, Any] = ("result", function(*args, **kwargs))
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        answer = ("error", error)
    logger.removeHandler(handler)
    try:
        sender.send(answer)
    except Exception as error:
        sender.send(("error", RuntimeError(f"the answer {answer[1]!r} cannot be sent to the parent: {error!r}")))
    sender.close()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
