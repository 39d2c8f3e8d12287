# SPDX-License-Identifier: Apache-2.0
"""What ``--dry-run`` prints: who would be measured, from which images and why, and what would be written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bids_msvol.bids.names import SessionFiles, report_path, sessions_table_path
from bids_msvol.bids.records import IgnoredScan, Session, Subject
from bids_msvol.config import Config, result_hash
from bids_msvol.errors import MSVolError


def describe_plan(subjects: Sequence[Subject], problems: Sequence[tuple[str, MSVolError]], config: Config) -> str:
    """Return the plan of a run as text.

    Parameters
    ----------
    subjects
        The participants that would be measured.
    problems
        Participants that cannot be measured, with the reason.
    config
        The configuration of the run.
    """
    lines = [
        f"dataset: {config.bids_dir}",
        f"output: {config.output_dir}",
        f"work folder: {config.work_dir}",
        f"configuration: {result_hash(config)} ({config.resolution_mm:g} mm, seed {config.random_seed})",
    ]
    for subject in subjects:
        lines.append(f"sub-{subject.label}")
        for session in subject.sessions:
            lines += _session_lines(session, config)
        lines += _ignored_lines(subject.skipped, indent="  ")
        table = sessions_table_path(config.output_dir, subject.label)
        lines.append(f"  would write: {table}")
        lines.append(f"  would write: {report_path(config.output_dir, subject.label)}")
    lines += [f"sub-{label}\n  cannot be measured: {error}" for label, error in problems]
    return "\n".join(lines)


def _session_lines(session: Session, config: Config) -> Iterator[str]:
    yield f"  {session.name}"
    yield f"    T1w: {session.t1w.relative_path}"
    yield f"    why: {session.choice}"
    for name, scan in (
        ("FLAIR", session.flair),
        ("T2w", session.t2w),
        ("T1w after contrast", session.t1w_gd),
        ("cord", session.cord),
    ):
        if scan is not None:
            yield f"    {name}: {scan.relative_path}"
    yield from _ignored_lines(session.ignored, indent="    ")
    files = SessionFiles(config.output_dir, session.subject, session.label)
    for path in (files.t1w, files.brain_mask, files.dseg, files.volumes, files.quality):
        yield f"    would write: {path}"


def _ignored_lines(scans: Sequence[IgnoredScan], *, indent: str) -> Iterator[str]:
    for scan in scans:
        yield f"{indent}not used: {scan.relative_path}: {scan.reason}"
