# SPDX-License-Identifier: Apache-2.0
"""The record of what a run could not measure, so that a report that is made later tells of it, too.

Each failed session has a file of its own: jobs that each measure one session of a person do not disturb one another.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_msvol.bids.atomic import write_json
from bids_msvol.bids.names import log_dir
from bids_msvol.bids.records import IgnoredScan, Subject
from bids_msvol.config import Config
from bids_msvol.errors import CannotCreateError, DataError, ExitCode
from bids_msvol.outcome import SessionFailure

_FAILURE = "_failure.json"


def record_unmeasured(subject: Subject, config: Config, failures: Sequence[SessionFailure]) -> bool:
    """Record the files and sessions of a participant that this run could not use or not measure.

    Failures that are on record for other sessions stay if this run was for some sessions only.

    Parameters
    ----------
    subject
        The participant, with the sessions of this run.
    config
        The run.
    failures
        Sessions of this run that failed.

    Returns
    -------
    bool
        Whether this differs from what was on record, so that a report is out of date.

    Raises
    ------
    CannotCreateError
        If a record cannot be written.
    OutOfResourcesError
        If the disk is full.
    """
    folder = log_dir(config.output_dir, subject.label)
    wanted: dict[Path, dict[str, Any]] = {
        _failure_path(folder, failure.session): {
            "Session": failure.session,
            "Reason": failure.reason,
            "ExitCode": int(failure.exit_code),
        }
        for failure in failures
    }
    if subject.skipped:
        wanted[_skipped_path(folder, subject.label)] = {"Skipped": describe_ignored(subject.skipped)}
    current = {_skipped_path(folder, subject.label), *(_failure_path(folder, item.name) for item in subject.sessions)}
    if not config.session_labels:
        current |= set(folder.glob(f"*{_FAILURE}"))
    changed = False
    for path in sorted(current | set(wanted)):
        changed |= _replace(path, wanted.get(path))
    return changed


def load_skipped(output_dir: Path, label: str) -> tuple[IgnoredScan, ...]:
    """Return the sessions and files of a participant that could not be used at all.

    Raises
    ------
    DataError
        If the record is damaged.
    """
    path = _skipped_path(log_dir(output_dir, label), label)
    return read_ignored(_read(path).get("Skipped", ())) if path.exists() else ()


def load_failures(output_dir: Path, label: str) -> tuple[SessionFailure, ...]:
    """Return the sessions of a participant that could not be measured, by name.

    Raises
    ------
    DataError
        If a record is damaged.
    """
    failures = []
    for path in sorted(log_dir(output_dir, label).glob(f"*{_FAILURE}")):
        content = _read(path)
        try:
            failures.append(SessionFailure(content["Session"], content["Reason"], ExitCode(content["ExitCode"])))
        except (KeyError, ValueError) as error:
            raise _damaged(path, error) from error
    return tuple(failures)


def describe_ignored(scans: Iterable[IgnoredScan]) -> list[dict[str, str]]:
    """Return scans that were not used, with the reasons, as they are kept in records."""
    return [{"Path": scan.relative_path, "Reason": scan.reason} for scan in scans]


def read_ignored(entries: Iterable[Mapping[str, str]]) -> tuple[IgnoredScan, ...]:
    """Return scans from what `describe_ignored` made of them."""
    return tuple(IgnoredScan(entry["Path"], entry["Reason"]) for entry in entries)


def _skipped_path(folder: Path, label: str) -> Path:
    return folder / f"sub-{label}_inputs.json"


def _failure_path(folder: Path, session: str) -> Path:
    return folder / f"{session}{_FAILURE}"


def _replace(path: Path, content: Mapping[str, Any] | None) -> bool:
    """Make a record say ``content``, or be absent for ``None``; return whether it was otherwise before."""
    try:
        before = _read(path) if path.exists() else None
    except DataError:
        before = {}
    if before == content:
        return False
    if content is not None:
        write_json(path, content)
        return True
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CannotCreateError(
            f"cannot be removed ({error.strerror})", remedy="Check the permissions of the folder", subject=path
        ) from error
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    return content if isinstance(content, dict) else {}


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"is damaged ({error})", remedy="Remove the file and run the participant again", subject=path)
