# SPDX-License-Identifier: Apache-2.0
"""New and enlarging lesions between two visits: which planted ones are reported, and which reports are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

from bids_msvol.demo.lesion_recovery import Contacts, LesionMatch, LesionRecovery
from bids_msvol.lesion_terms import Confidence

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.bids.load import ParticipantOutputs

Kind = Literal["new", "enlarging"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)

NOT_COMPARED = "the lesions of these sessions were not compared"

CENTER_REACH_MM = 3.0
"""A report that names no lesion of the image is about the planted lesion this close to its centre."""


@dataclass(frozen=True)
class Report:
    """A lesion that the results call new or enlarging.

    Attributes
    ----------
    kind
        ``new`` or ``enlarging``; what grew while it merged or split is enlarging, as in the program's counts.
    confidence
        ``high`` or ``candidate``.
    found
        Its numbers in the results' lesion image of the later session.
    gain_mm3
        Volume that became lesion.
    true
        Planted lesions of the later session that it meets.
    """

    kind: Kind
    confidence: Confidence
    found: tuple[int, ...]
    gain_mm3: float
    true: frozenset[int]


@dataclass(frozen=True)
class PlantedChange:
    """A planted lesion that is new or has grown between two visits.

    Attributes
    ----------
    kind
        ``new`` or ``enlarging``.
    match
        It at the later session.
    before_mm3
        Its true volume at the earlier session, 0 if it is new.
    reports
        What the results report there, the best first; ``None`` if the sessions were not compared.
    """

    kind: Kind
    match: LesionMatch
    before_mm3: float
    reports: tuple[Report, ...] | None

    @property
    def best(self) -> Report | None:
        """The report that counts; ``None`` if there is none."""
        return self.reports[0] if self.reports else None

    @property
    def is_renamed(self) -> bool:
        """Whether it is reported, but new as enlarging or enlarging as new."""
        return self.best is not None and self.best.kind != self.kind


@dataclass(frozen=True)
class ActivityRecovery:
    """New and enlarging lesions between two sessions, planted and reported.

    Attributes
    ----------
    before, after
        Labels without ``ses-``.
    planted
        What was planted, in the order of numbers, as far as it is large enough to be asked for.
    reports
        What the results report; ``None`` if the sessions were not compared.
    false
        Reports that meet nothing that was planted new or enlarging; ``None`` likewise.
    reason
        Why they were not compared; empty if they were.
    """

    before: str
    after: str
    planted: tuple[PlantedChange, ...]
    reports: tuple[Report, ...] | None
    false: tuple[Report, ...] | None
    reason: str

    def n_planted(self, kind: Kind) -> int:
        """How many were planted."""
        return sum(one.kind == kind for one in self.planted)

    def n_reported(self, kind: Kind, confidence: Confidence) -> int | None:
        """How many the results report, right or wrong."""
        return _count(self.reports, kind, confidence)

    def n_false(self, kind: Kind, confidence: Confidence) -> int | None:
        """How many of these are wrong."""
        return _count(self.false, kind, confidence)

    def n_recovered(self, kind: Kind, confidence: Confidence) -> int | None:
        """How many planted ones are reported as what they are."""
        if self.reports is None:
            return None
        own = (one.best for one in self.planted if one.kind == kind and not one.is_renamed)
        return sum(best is not None and best.confidence == confidence for best in own)

    def n_renamed(self, kind: Kind) -> int | None:
        """How many planted ones are reported under the other name."""
        return None if self.reports is None else sum(one.is_renamed for one in self.planted if one.kind == kind)

    def n_missed(self, kind: Kind) -> int | None:
        """How many planted ones are not reported."""
        return None if self.reports is None else sum(one.best is None for one in self.planted if one.kind == kind)


def compare_activity(
    before: LesionRecovery, after: LesionRecovery, outputs: ParticipantOutputs | None
) -> ActivityRecovery:
    """Hold the new and enlarging lesions that were planted between two sessions against those reported.

    Parameters
    ----------
    before, after
        The lesions of the earlier and of the later session.
    outputs
        The results; ``None`` if the person was not measured.
    """
    rows = _rows(outputs, before.session, after.session)
    reports, contacts = None, after.contacts
    if rows is not None and contacts is not None:
        reports = tuple(report for row in rows if (report := _report(row, contacts)) is not None)
    changed = [(kind, match) for match in after.matches if (kind := _planted(before, match)) is not None]
    numbers = {match.known.number for _, match in changed}
    return ActivityRecovery(
        before=before.session,
        after=after.session,
        planted=tuple(_change(kind, match, before, reports) for kind, match in changed if match.counts),
        reports=reports,
        # A report about a planted change too small to be asked for is not wrong.
        false=None if reports is None else tuple(report for report in reports if not report.true & numbers),
        reason="" if reports is not None else after.reason or NOT_COMPARED,
    )


def rows_of_pair(table: pd.DataFrame | None, before: str, after: str) -> pd.DataFrame | None:
    """Rows of two sessions, labelled without ``ses-``, in a table about pairs of sessions."""
    if table is None:
        return None
    return table[(table["session_id_from"] == f"ses-{before}") & (table["session_id_to"] == f"ses-{after}")]


def _planted(before: LesionRecovery, match: LesionMatch) -> Kind | None:
    """What happened to a planted lesion between the sessions; growth happens after the first visit and never again."""
    earlier = before.match(match.known.number)
    if earlier is None:
        return "new"
    grown = match.known.status == "enlarging" and earlier.known.status == "first"
    return "enlarging" if grown else None


def _change(
    kind: Kind, match: LesionMatch, before: LesionRecovery, reports: tuple[Report, ...] | None
) -> PlantedChange:
    earlier = before.match(match.known.number)
    own = None
    if reports is not None:
        touching = [report for report in reports if match.known.number in report.true]
        own = tuple(sorted(touching, key=lambda report: (report.kind != kind, report.confidence != "high")))
    return PlantedChange(kind, match, 0.0 if earlier is None else earlier.known.volume_mm3, own)


def _rows(outputs: ParticipantOutputs | None, before: str, after: str) -> list[dict[str, Any]] | None:
    """Rows of a pair of sessions in the table of activity; ``None`` if they were not compared."""
    own = rows_of_pair(None if outputs is None else outputs.activity, before, after)
    if outputs is None or own is None:
        return None
    if own.empty:
        # Two sessions without any lesion have no rows either, but the later one then counts 0 new lesions.
        compared = any(
            (first.label, last.label) == (before, after) and last.lesion_value("new_lesions") is not None
            for first, last in pairwise(outputs.sessions)
        )
        return [] if compared else None
    return [{str(name): value for name, value in row.items()} for row in own.to_dict("records")]


def _report(row: Mapping[str, Any], contacts: Contacts) -> Report | None:
    kind = row["status"]
    if kind in ("merged", "split") and row["grew"] == "yes":
        kind = "enlarging"
    if kind not in KINDS:
        return None
    found = tuple(int(number) for number in row["index_to"].split(",") if number)
    if found:
        true = frozenset[int]().union(*(contacts.true_of(number) for number in found))
    else:
        true = contacts.true_near((row["x_mm"], row["y_mm"], row["z_mm"]), CENTER_REACH_MM)
    return Report(kind, row["confidence"], found, row["gain_mm3"], true)


def _count(reports: tuple[Report, ...] | None, kind: Kind, confidence: Confidence) -> int | None:
    if reports is None:
        return None
    return sum(report.kind == kind and report.confidence == confidence for report in reports)
