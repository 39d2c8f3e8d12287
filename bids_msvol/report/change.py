# SPDX-License-Identifier: Apache-2.0
"""What changed between the sessions, by every method, beside what the program finds where nothing has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.bids.load import total
from bids_msvol.bids.tables import METHODS
from bids_msvol.measurement import per_year
from bids_msvol.report.section import Section, render
from bids_msvol.report.trends import LIMIT_PER_MEDIAN, PANELS
from bids_msvol.report.wording import describe_structure

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
    from bids_msvol.report.measured_error import MeasuredError

MAIN_METHOD = "segmentation"
"""The method whose change is set against the measured error."""


@dataclass(frozen=True)
class ChangeRow:
    """Change of one structure between two sessions.

    Attributes
    ----------
    name
        The structure; both sides of a paired one together.
    change_mm3, change_pct, change_pct_per_year
        By the main method, in per cent of the earlier session's volume; ``None`` where missing.
    others
        Per cent by the other methods, in the order of `OTHER_METHODS`.
    limit_pct
        Range that holds 95 of 100 measurements of no change, or ``None`` if it was not measured.
    """

    name: str
    change_mm3: float | None
    change_pct: float | None
    change_pct_per_year: float | None
    others: tuple[float | None, ...]
    limit_pct: float | None

    @property
    def is_beyond_error(self) -> bool | None:
        """Whether the change is larger than the measured error; ``None`` if either is unknown."""
        if self.change_pct is None or self.limit_pct is None:
            return None
        return abs(self.change_pct) > self.limit_pct


@dataclass(frozen=True)
class PairChange:
    """One pair of sessions."""

    title: str
    days: float | None
    warnings: tuple[str, ...]
    rows: tuple[ChangeRow, ...]


OTHER_METHODS = tuple(method for method in METHODS if method != MAIN_METHOD)


def build_change_section(outputs: ParticipantOutputs, error: MeasuredError) -> Section | None:
    """Build the section, or return ``None`` if no pair of sessions was measured."""
    if outputs.changes is None:
        return None
    html = render(
        "change.html.j2",
        pairs=collect_pairs(outputs, error),
        main_method=MAIN_METHOD,
        other_methods=OTHER_METHODS,
        methods=METHODS,
        has_limit=any(error.change_error_pct(name) is not None for name in PANELS),
    )
    return Section("Change between sessions", "change", html)


def collect_pairs(outputs: ParticipantOutputs, error: MeasuredError) -> tuple[PairChange, ...]:
    """Return the changes of every pair of sessions, in the order of the table."""
    if outputs.changes is None:
        return ()
    sessions = {f"ses-{session.label}": session for session in outputs.sessions}
    found = []
    for (first, last), rows in outputs.changes.groupby(["session_id_from", "session_id_to"], sort=False):
        days = rows["days"].dropna()
        found.append(
            PairChange(
                title=f"{first} to {last}",
                days=float(days.iloc[0]) if len(days) else None,
                warnings=_warnings(outputs.pairs, str(first), str(last)),
                rows=tuple(_row(rows, sessions[str(first)], name, error) for name in PANELS),
            )
        )
    return tuple(found)


def _warnings(quality: pd.DataFrame | None, first: str, last: str) -> tuple[str, ...]:
    if quality is None:
        return ()
    own = quality[(quality["session_id_from"] == first) & (quality["session_id_to"] == last)]
    return tuple(str(reason) for reason in own["reason"] if reason)


def _row(rows: pd.DataFrame, before: SessionOutputs, name: str, error: MeasuredError) -> ChangeRow:
    volume_mm3 = before.total_mm3(name)
    change_mm3 = {method: total(rows[rows["method"] == method], "change_mm3", name) for method in METHODS}
    change_pct = {method: _percent(value, volume_mm3) for method, value in change_mm3.items()}
    days = rows["days"].iloc[0]
    median = error.change_error_pct(name)
    return ChangeRow(
        name=describe_structure(name),
        change_mm3=change_mm3[MAIN_METHOD],
        change_pct=change_pct[MAIN_METHOD],
        change_pct_per_year=per_year(change_pct[MAIN_METHOD], None if days != days else float(days)),
        others=tuple(change_pct[method] for method in OTHER_METHODS),
        limit_pct=None if median is None else LIMIT_PER_MEDIAN * median,
    )


def _percent(change_mm3: float | None, volume_mm3: float | None) -> float | None:
    return None if change_mm3 is None or not volume_mm3 else 100.0 * change_mm3 / volume_mm3
