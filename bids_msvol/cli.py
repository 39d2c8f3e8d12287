# SPDX-License-Identifier: Apache-2.0
"""The program: from a command line to an exit code, with a last line that says how it ended."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from bids_msvol.arguments import parse_arguments
from bids_msvol.config import Config
from bids_msvol.environment import prepared_environment
from bids_msvol.errors import ExitCode, MSVolError
from bids_msvol.group_level import run_group_level
from bids_msvol.logs import TerminalHandler, terminal_log
from bids_msvol.participant_level import RunResult, run_participant_level

_SIGNAL_BASE = 128
"""A program that a signal ends has, by custom, 128 plus the signal's number as exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    try:
        with terminal_log(sys.stderr) as terminal:
            config = parse_arguments(argv)
            terminal.details = config.verbosity > 0
            with prepared_environment(config), _sigterm():
                result = _run_levels(config, terminal)
    except SystemExit as stop:  # --help and --version
        return int(stop.code or 0)
    except MSVolError as error:
        print(f"bids_msvol: {error}", file=sys.stderr)
        where = f"{error.subject}: " if error.subject is not None else ""
        return _finish(RunResult(error.exit_code, where + " ".join(error.problem.split())))
    except KeyboardInterrupt as interrupt:
        number = signal.Signals(interrupt.args[0] if interrupt.args else signal.SIGINT)
        sentence = f"stopped by {number.name}; the same call goes on from what is finished, the group level begins anew"
        return _finish(RunResult(ExitCode.FAILED, sentence), code=_SIGNAL_BASE + number)
    except Exception as error:
        traceback.print_exc()
        return _finish(RunResult(ExitCode.FAILED, f"unforeseen {type(error).__name__}: {error}"))
    return _finish(result)


def _run_levels(config: Config, terminal: TerminalHandler) -> RunResult:
    """Run the levels that are asked for; the group level also after participants that failed, with the others."""
    if "participant" not in config.levels:
        return run_group_level(config)
    result = run_participant_level(config, terminal)
    if "group" not in config.levels:
        return result
    if result.details:
        print(result.details)
    group = run_group_level(config)
    code = result.exit_code or group.exit_code
    if group.see is not None and result.see is not None:
        print(f"the group level failed as well: see {group.see}")
    return RunResult(code, f"{result.sentence}; {group.sentence}", group.details, result.see or group.see)


def _finish(result: RunResult, code: int | None = None) -> int:
    """Print the details and the last line, and return the exit code."""
    code = int(result.exit_code) if code is None else code
    if result.details:
        print(result.details)
    sys.stderr.flush()
    if code == ExitCode.OK:
        print(f"bids_msvol finished successfully: {result.sentence}", flush=True)
    else:
        see = result.see or "the messages above"
        print(f"bids_msvol failed: {result.sentence} (exit code {code}; see {see})", flush=True)
    return code


@contextmanager
def _sigterm() -> Iterator[None]:
    """Let SIGTERM, which schedulers send, end the run as tidily as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread set handlers
        return
    former = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(number)
