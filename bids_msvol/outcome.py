# SPDX-License-Identifier: Apache-2.0
"""What became of each participant, as a table and as an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bids_msvol.errors import ExitCode, MSVolError

Status = Literal["done", "unchanged", "failed", "not run"]


@dataclass(frozen=True)
class SessionFailure:
    """A session that could not be measured.

    Attributes
    ----------
    session
        Name of the session, such as ``sub-01_ses-02``.
    reason
        Why, in plain words.
    exit_code
        The code of the error.
    """

    session: str
    reason: str
    exit_code: ExitCode = ExitCode.FAILED


@dataclass(frozen=True)
class ParticipantOutcome:
    """What became of one participant.

    Attributes
    ----------
    label
        Participant label without ``sub-``.
    status
        ``done``: everything was measured; ``unchanged``: an earlier run had measured it all; ``failed``: something,
        perhaps one session only, could not be measured; ``not run``: the run was stopped before.
    messages
        What a reader should know, in plain words; the reason first if it failed.
    seconds
        Wall time.
    failed_sessions
        Sessions that could not be measured; the others were.
    report
        The participant's report, if there is one.
    exit_code
        ``OK``, or the code of the error.
    log
        File that tells more about a failure.
    """

    label: str
    status: Status
    messages: tuple[str, ...] = ()
    seconds: float = 0.0
    failed_sessions: tuple[SessionFailure, ...] = ()
    report: Path | None = None
    exit_code: ExitCode = ExitCode.OK
    log: Path | None = None


def failed_outcome(
    label: str, error: MSVolError, *, seconds: float = 0.0, log: Path | None = None
) -> ParticipantOutcome:
    """Return the outcome of a participant that an error stopped."""
    return ParticipantOutcome(label, "failed", (str(error),), seconds, exit_code=error.exit_code, log=log)


def common_exit_code(outcomes: Sequence[ParticipantOutcome]) -> ExitCode:
    """Return ``OK`` if nobody failed, the code that all failures share, or else ``FAILED``."""
    codes = {code for outcome in outcomes if outcome.status == "failed" for code in _codes(outcome)}
    if not codes:
        return ExitCode.OK
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED


def count_by_status(outcomes: Sequence[ParticipantOutcome]) -> str:
    """Return a phrase such as ``3 participants: 2 done, 1 failed``."""
    statuses: tuple[Status, ...] = ("done", "unchanged", "failed", "not run")
    counts = ((status, sum(outcome.status == status for outcome in outcomes)) for status in statuses)
    noun = "participant" if len(outcomes) == 1 else "participants"
    return f"{len(outcomes)} {noun}: " + ", ".join(f"{count} {status}" for status, count in counts if count)


def summary_rows(outcomes: Sequence[ParticipantOutcome]) -> list[tuple[str, str, str, str]]:
    """Return the summary table, header first: participant, status, seconds, notes."""
    rows = [("participant_id", "status", "duration_s", "notes")]
    for outcome in outcomes:
        sessions = (f"{failure.session}: {failure.reason}" for failure in outcome.failed_sessions)
        notes = " ".join(" ".join((*outcome.messages, *sessions)).split())
        rows.append((f"sub-{outcome.label}", outcome.status, f"{outcome.seconds:.0f}", notes or "n/a"))
    return rows


def summary_text(outcomes: Sequence[ParticipantOutcome]) -> str:
    """Return the summary table for a terminal."""
    rows = summary_rows(outcomes)
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = (
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])) for row in rows
    )
    return "\n".join(lines)


def summary_tsv(outcomes: Sequence[ParticipantOutcome]) -> str:
    """Return the summary table as tab-separated values."""
    return "".join("\t".join(row) + "\n" for row in summary_rows(outcomes))


def _codes(outcome: ParticipantOutcome) -> set[ExitCode]:
    if outcome.exit_code is not ExitCode.OK:
        return {outcome.exit_code}
    return {failure.exit_code for failure in outcome.failed_sessions} or {ExitCode.FAILED}
