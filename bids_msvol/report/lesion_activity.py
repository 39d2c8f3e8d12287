# SPDX-License-Identifier: Apache-2.0
"""What became of the lesions between sessions: counts, and what is new or has grown before and after, side by side."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.errors import DataError, NoInputError
from bids_msvol.report.lesion_panels import EXTENT_MM, Panel, draw_panels, split_numbers
from bids_msvol.report.lesions import describe_status, lesion_text
from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import MISSING, count_words, format_change, format_count, join_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs

MAX_PANELS = 8
"""Changes shown of a pair of sessions, at most."""

ATROPHIED = "Dwyer 2018"
"""Where the volume of lesions that became fluid was described."""

KINDS = {
    "new": "New",
    "enlarging": "Enlarging",
    "shrinking": "Shrinking",
    "resolved": "Resolved",
    "regrouped": "Merged or split, without growth",
    "stable": "Stable",
}
"""What can become of a lesion, in the order of the table of counts. Lesions that grew while they merged or split are
enlarging, as in the tables of the sessions."""

SHOWN = ("new", "enlarging")
"""Kinds that are shown before and after."""

NONE_FOUND = "No new or enlarging lesion was found."
NOT_COMPARED = "the lesions of these two sessions were not compared"


@dataclass(frozen=True)
class Count:
    """How many lesions went one way, with high confidence and as candidates; ``kind`` is one of `KINDS`."""

    kind: str
    name: str
    high: int
    candidates: int


@dataclass(frozen=True)
class Change:
    """One lesion that changed, as the report shows it in the table."""

    lesions: str
    status: str
    before_mm3: str
    after_mm3: str
    change_mm3: str


@dataclass(frozen=True)
class PairReport:
    """One pair of sessions.

    Attributes
    ----------
    title
        Names of the sessions.
    days
        Days between them, or ``None``.
    contrast
        The images that were compared; empty if not known.
    consecutive
        Whether the later session follows the earlier one; else the steps between have been counted already.
    result
        What was found, as sentences; empty where the sessions were not compared.
    reason
        Why they were not compared; empty where they were.
    atrophied_mm3
        Volume of lesion that became fluid, or ``None``.
    counts
        How many lesions went which way.
    panels, more
        What is new or has grown, before and after; how many of them are not shown.
    problem
        What kept the pictures from being made; empty if nothing did.
    changes
        All lesions that changed.
    """

    title: str
    days: float | None = None
    contrast: str = ""
    consecutive: bool = True
    result: tuple[str, ...] = ()
    reason: str = ""
    atrophied_mm3: float | None = None
    counts: tuple[Count, ...] = ()
    panels: tuple[Panel, ...] = ()
    more: int = 0
    problem: str = ""
    changes: tuple[Change, ...] = ()


def build_activity_section(outputs: ParticipantOutputs) -> Section | None:
    """Build the section, or return ``None`` for a participant with one session."""
    if len(outputs.sessions) < 2:
        return None
    pairs = collect_activity(outputs)
    html = render("lesion_activity.html.j2", pairs=pairs, atrophied=ATROPHIED, extent_mm=EXTENT_MM)
    return Section("New and changed lesions", "activity", html)


def list_activity_citations(outputs: ParticipantOutputs) -> tuple[str, ...]:
    """Return what the section cites, for the list of references."""
    return (ATROPHIED,) if outputs.activity is not None and len(outputs.sessions) > 1 else ()


def collect_activity(outputs: ParticipantOutputs) -> tuple[PairReport, ...]:
    """Return each session with the next, and then the other pairs of the table.

    A pair of neighbours is there whether or not it was compared: that nothing was found, and that nobody looked, are
    both to be said.
    """
    tables = _rows_by_pair(outputs.activity)
    sessions = {f"ses-{session.label}": session for session in outputs.sessions}
    neighbours = list(itertools.pairwise(sessions))
    found = [
        _report(sessions[first], sessions[last], tables[first, last], consecutive=True)
        if (first, last) in tables
        else _report_without_rows(sessions[first], sessions[last])
        for first, last in neighbours
    ]
    for (first, last), rows in tables.items():
        # The table may name a session whose own outputs have been removed since.
        if (first, last) not in neighbours and first in sessions and last in sessions:
            found.append(_report(sessions[first], sessions[last], rows, consecutive=False))
    return tuple(found)


def kind_of(row: pd.Series) -> str:
    """Return what became of a lesion, as one of `KINDS`."""
    if row["status"] in ("merged", "split"):
        return "enlarging" if row["grew"] == "yes" else "regrouped"
    return str(row["status"])


def count_kinds(rows: pd.DataFrame) -> tuple[Count, ...]:
    """Count the lesions of a pair of sessions by what became of them; every row of the table counts once."""
    found = [(kind_of(row), row["confidence"] == "high") for _, row in rows.iterrows()]
    return tuple(
        Count(kind, name, found.count((kind, True)), found.count((kind, False))) for kind, name in KINDS.items()
    )


def say_result(counts: Sequence[Count]) -> tuple[str, ...]:
    """Return what was found in plain sentences, certain things first."""
    shown = [count for count in counts if count.kind in SHOWN]
    sure = [count_words(one.high, f"{one.name.lower()} lesion") for one in shown if one.high]
    candidates = [count_words(one.candidates, f"{one.name.lower()} lesion") for one in shown if one.candidates]
    if not sure and not candidates:
        return (NONE_FOUND,)
    first = (
        f"Found with high confidence: {join_words(sure)}."
        if sure
        else "No new or enlarging lesion was found with high confidence."
    )
    second = f"Candidates, to be looked at before they are counted: {join_words(candidates)}."
    return (first, second) if candidates else (first,)


def _report(before: SessionOutputs, after: SessionOutputs, rows: pd.DataFrame, *, consecutive: bool) -> PairReport:
    counts = count_kinds(rows)
    changed = rows[rows["status"] != "stable"]
    shown = [row for _, row in changed.iterrows() if kind_of(row) in SHOWN]
    # The table has the most important change first; what is certain goes before what is not.
    shown.sort(key=lambda row: row["confidence"] != "high")
    panels: tuple[Panel, ...] = ()
    problem = ""
    try:
        panels = draw_panels(before, after, shown[:MAX_PANELS]) if shown else ()
    except (NoInputError, DataError) as error:
        problem = str(error)
    days = rows["days"].dropna()
    return PairReport(
        title=_title(before, after),
        days=float(days.iloc[0]) if len(days) else None,
        contrast=str(rows["contrast"].iloc[0]),
        consecutive=consecutive,
        result=say_result(counts),
        # The table of a session knows this number for the step from the session before only.
        atrophied_mm3=after.lesion_value("atrophied_lesion_mm3") if consecutive else None,
        counts=counts,
        panels=panels,
        more=max(len(shown) - MAX_PANELS, 0),
        problem=problem,
        changes=tuple(_change(row) for _, row in changed.iterrows()),
    )


def _report_without_rows(before: SessionOutputs, after: SessionOutputs) -> PairReport:
    """Tell a pair without any lesion from one that was not compared."""
    title = _title(before, after)
    columns = [f"{kind}_{what}" for kind in SHOWN for what in ("lesions", "lesion_candidates")]
    measured = before.lesion_value("count") is not None
    if measured and all(after.lesion_value(column) == 0 for column in columns):
        return PairReport(title, result=(NONE_FOUND,), atrophied_mm3=after.lesion_value("atrophied_lesion_mm3"))
    return PairReport(title, reason=lesion_text(after, "reason").rstrip(".") or NOT_COMPARED)


def _rows_by_pair(activity: pd.DataFrame | None) -> dict[tuple[str, str], pd.DataFrame]:
    if activity is None:
        return {}
    groups = activity.groupby(["session_id_from", "session_id_to"], sort=False)
    return {(str(first), str(last)): rows for (first, last), rows in groups}


def _title(before: SessionOutputs, after: SessionOutputs) -> str:
    return f"Session {before.label} to session {after.label}"


def _change(row: pd.Series) -> Change:
    numbers = dict.fromkeys((*split_numbers(row["index_from"]), *split_numbers(row["index_to"])))
    return Change(
        lesions=", ".join(map(str, numbers)) or MISSING,
        status=describe_status(str(row["status"]), str(row["confidence"])),
        before_mm3=format_count(row["volume_from_mm3"]),
        after_mm3=format_count(row["volume_to_mm3"]),
        change_mm3=format_change(row["volume_to_mm3"] - row["volume_from_mm3"], 0),
    )
