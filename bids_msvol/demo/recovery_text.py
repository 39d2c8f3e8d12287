# SPDX-License-Identifier: Apache-2.0
"""What was recovered of the synthetic people, as plain text for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from bids_msvol.bids.tables import METHODS
from bids_msvol.demo.activity_recovery import CONFIDENCES, KINDS, ActivityRecovery
from bids_msvol.demo.cord_recovery import CordPairRecovery, CordRecovery
from bids_msvol.demo.lesion_recovery import LesionRecovery
from bids_msvol.demo.recovery import MAIN_STRUCTURES, PersonRecovery
from bids_msvol.report.wording import MINUS, MISSING, describe_structure, format_change, format_ml, format_percent

OPTIMISM = (
    "These figures are optimistic: the synthetic people are drawn from the same atlas that the program uses, and their "
    "scans are simpler than real ones. Errors on real people are larger."
)

NAME_WIDTH, NUMBER_WIDTH, METHOD_WIDTH, COUNT_WIDTH, LINE_WIDTH = 28, 9, 13, 12, 100
"""Columns of the text, in characters."""


def describe_people(people: Sequence[PersonRecovery]) -> str:
    """Return headline volumes, change, lesions, their activity and the cord of each person, true and found."""
    lines = ["What is true of the synthetic people, and what was found"]
    for person in people:
        lines += ["", *_describe_person(person)]
    text = "\n".join((*lines, "", *textwrap.wrap(OPTIMISM, LINE_WIDTH)))
    # Terminals obey some characters that cannot be printed, and not all know a true minus sign.
    return "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text.replace(MINUS, "-"))


def _describe_person(person: PersonRecovery) -> list[str]:
    if not person.measured:
        return [f"sub-{person.label}: no results"]
    lines = [_row(f"sub-{person.label}", (f"ses-{label}" for label in person.sessions), 3 * NUMBER_WIDTH)]
    lines.append(_row("  volume in mL", ("true", "found", "error %") * len(person.sessions)))
    for name, volumes in person.volumes:
        cells = [
            cell
            for one in volumes
            for cell in (format_ml(one.true_mm3), format_ml(one.found_mm3), format_change(one.difference_pct))
        ]
        lines.append(_row(f"  {describe_structure(name)}", cells))
    for pair in person.pairs:
        days = "" if pair.days is None else f", {pair.days:g} days"
        lines += ["", f"  change from ses-{pair.before} to ses-{pair.after}{days}"]
        lines.append(_row("  in %", ("true", *METHODS), METHOD_WIDTH))
        for change in pair.changes:
            if change.name in MAIN_STRUCTURES:
                cells = [format_change(value) for value in (change.true_pct, *change.found_pct)]
                lines.append(_row(f"  {describe_structure(change.name)}", cells, METHOD_WIDTH))
    lines += ["", *_describe_lesions(person.lesions)]
    for pair in person.pairs:
        lines += ["", *_describe_activity(pair.activity)]
    for cord in person.cords:
        lines += ["", *_describe_cord(cord, person.sessions)]
    for pair in person.pairs:
        lines += ["", *_describe_cord_change(pair.cord)]
    return lines


def _describe_lesions(sessions: Sequence[LesionRecovery]) -> list[str]:
    lines = [_row("  lesions", ("planted", "found", "missed", "small", "false", "true mL", "found mL", "error %"))]
    for session in sessions:
        counts = (session.true_count, session.n_found, session.n_missed, session.n_small, session.n_false)
        volumes = (format_ml(session.true_mm3), format_ml(session.found_mm3), format_change(session.difference_pct, 1))
        lines.append(_row(f"  ses-{session.session}", (*map(_count, counts), *volumes)))
    lines += [f"  ses-{one.session} {MISSING}: {one.reason}" for one in sessions if one.n_found is None and one.reason]
    return lines


def _describe_activity(activity: ActivityRecovery) -> list[str]:
    names = ("planted", "high", "candidate", "other name", "missed", "false high", "false cand.")
    lines = [_row(f"  ses-{activity.before} to ses-{activity.after}", names, COUNT_WIDTH)]
    for kind in KINDS:
        counts = (
            activity.n_planted(kind),
            *(activity.n_recovered(kind, confidence) for confidence in CONFIDENCES),
            activity.n_renamed(kind),
            activity.n_missed(kind),
            *(activity.n_false(kind, confidence) for confidence in CONFIDENCES),
        )
        lines.append(_row(f"  {kind} lesions", map(_count, counts), COUNT_WIDTH))
    return [*lines, *([f"  {MISSING}: {activity.reason}"] if activity.reason else [])]


def _describe_cord(cord: CordRecovery, sessions: Sequence[str]) -> list[str]:
    lines = [_row(f"  cord, {cord.source or 'not measured'}", (f"ses-{label}" for label in sessions), 3 * NUMBER_WIDTH)]
    lines.append(_row("  mean area in mm2", ("true", "found", "error %") * len(sessions)))
    for level, areas in cord.levels:
        cells = [
            cell
            for one in areas
            for cell in (
                format_percent(one.true_mm2),
                format_percent(one.found_mm2),
                format_change(one.difference_pct),
            )
        ]
        lines.append(_row(f"  {level}", cells))
    for (session, reason), levels in cord.gaps.items():
        text = f"  ses-{session}, {', '.join(levels)} {MISSING}: {reason}"
        lines += textwrap.wrap(text, LINE_WIDTH, subsequent_indent="    ")
    return lines


def _describe_cord_change(pair: CordPairRecovery) -> list[str]:
    names = ("true", *(name for source in pair.sources for name in (source, "error")))
    lines = [f"  cord, change from ses-{pair.before} to ses-{pair.after}", _row("  in %", names, METHOD_WIDTH)]
    for change in pair.changes:
        found = (value for both in zip(change.found_pct, change.differences, strict=True) for value in both)
        lines.append(_row(f"  {change.level}", map(format_change, (change.true_pct, *found)), METHOD_WIDTH))
    return [*lines, *([f"  {MISSING}: {pair.reason}"] if pair.reason else [])]


def _count(value: int | None) -> str:
    return MISSING if value is None else str(value)


def _row(name: str, cells: Iterable[str], width: int = NUMBER_WIDTH) -> str:
    return name.ljust(NAME_WIDTH) + "".join(cell.rjust(width) for cell in cells)
