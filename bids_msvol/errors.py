# SPDX-License-Identifier: Apache-2.0
"""Errors a user can act on, and the exit codes they end in.

Every error raised for a user carries three things: the file or option concerned, what is wrong, and what to do.
The codes are those of the BIDS execution specification.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of the BIDS execution specification."""

    OK = 0
    FAILED = 1
    """At least one participant failed for a reason the program could not name."""
    BIDS_INVALID = 16
    UNKNOWN_LEVEL = 17
    NOTHING_SELECTED = 18
    INVOCATION = 19
    USAGE = 64
    DATA_ERROR = 65
    NO_INPUT = 66
    CANNOT_CREATE = 73
    IO_ERROR = 74
    TEMPORARY = 75


class MSVolError(Exception):
    """A problem a user can mend.

    Parameters
    ----------
    problem
        What is wrong, as one sentence without a full stop.
    remedy
        What to do about it, as one sentence without a full stop.
    subject
        The file, folder or option concerned.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, problem: str, *, remedy: str, subject: Path | str | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        self.subject = subject
        super().__init__(problem, remedy, subject)

    def __str__(self) -> str:
        where = f"{self.subject}: " if self.subject is not None else ""
        return f"{where}{self.problem}. {self.remedy}."

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders; the default would drop the keyword arguments.
        return (_rebuild, (type(self), self.problem, self.remedy, self.subject))


def _rebuild(kind: type[MSVolError], problem: str, remedy: str, subject: Path | str | None) -> MSVolError:
    return kind(problem, remedy=remedy, subject=subject)


class UsageError(MSVolError):
    """The command line cannot be understood."""

    exit_code = ExitCode.USAGE


class InvocationError(MSVolError):
    """The command line is well formed, but does not fit the data or an earlier run."""

    exit_code = ExitCode.INVOCATION


class BIDSInvalidError(MSVolError):
    """The dataset is not valid BIDS."""

    exit_code = ExitCode.BIDS_INVALID


class NothingSelectedError(MSVolError):
    """Labels or filters select no file."""

    exit_code = ExitCode.NOTHING_SELECTED


class NoInputError(MSVolError):
    """A file that is needed does not exist or was not fetched."""

    exit_code = ExitCode.NO_INPUT


class DataError(MSVolError):
    """A file exists, but cannot be used."""

    exit_code = ExitCode.DATA_ERROR


class CannotCreateError(MSVolError):
    """An output cannot be written."""

    exit_code = ExitCode.CANNOT_CREATE


class OutOfResourcesError(MSVolError):
    """Memory or disk ran out; the same call may succeed with more."""

    exit_code = ExitCode.TEMPORARY
