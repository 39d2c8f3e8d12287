# SPDX-License-Identifier: Apache-2.0
"""The cord of the synthetic people: its true area beside what each kind of image gave, and its change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.demo.activity_recovery import rows_of_pair
from bids_msvol.demo.lesion_recovery import NOT_MEASURED, percent_difference
from bids_msvol.demo.truth_cord import STRETCHES

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
    from bids_msvol.demo.known import KnownSession

NO_SUCH_IMAGE = "the cord was not measured on such an image of this session"

LEVELS_UNKNOWN = "the levels of the cord are not known on this image"

NOT_COMPARED = "the cords of these sessions were not compared"


@dataclass(frozen=True)
class AreaRecovery:
    """Mean area of one stretch of the cord in one session on one kind of image.

    Attributes
    ----------
    session
        Label without ``ses-``.
    level
        One of `STRETCHES`.
    true_mm2, found_mm2
        ``None`` where missing.
    coverage_pct
        Share of the stretch that was measured; ``None`` if unknown.
    reason
        Why there is no area; empty if there is one.
    """

    session: str
    level: str
    true_mm2: float | None
    found_mm2: float | None
    coverage_pct: float | None
    reason: str

    @property
    def difference_pct(self) -> float | None:
        """Found minus true, in per cent of the true area."""
        return percent_difference(self.true_mm2, self.found_mm2)


@dataclass(frozen=True)
class CordRecovery:
    """The cord of a person on one kind of image.

    Attributes
    ----------
    source
        Kind of image, as in the results; empty if the cord was not measured on any.
    levels
        For each of `STRETCHES`: its name, and its area in each session.
    """

    source: str
    levels: tuple[tuple[str, tuple[AreaRecovery, ...]], ...]

    @property
    def gaps(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """Levels without an area, by session and reason."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for one in (area for _, areas in self.levels for area in areas if area.reason):
            place = (one.session, one.reason)
            found[place] = (*found.get(place, ()), one.level)
        return dict(sorted(found.items(), key=lambda item: item[0][0]))


@dataclass(frozen=True)
class CordChangeRecovery:
    """Change of one stretch of the cord between two sessions, in per cent of the earlier area.

    Attributes
    ----------
    level
        One of `STRETCHES`.
    true_pct
        What happened.
    found_pct
        What each kind of image gave, in the order of `CordPairRecovery.sources`; ``None`` where it is missing.
    """

    level: str
    true_pct: float | None
    found_pct: tuple[float | None, ...]

    @property
    def differences(self) -> tuple[float | None, ...]:
        """Found minus true, in percentage points."""
        return tuple(
            None if found is None or self.true_pct is None else found - self.true_pct for found in self.found_pct
        )


@dataclass(frozen=True)
class CordPairRecovery:
    """Change of the cord between two sessions.

    Attributes
    ----------
    before, after
        Labels without ``ses-``.
    sources
        Kinds of image on which it was compared, in the order of the results.
    changes
        Each of `STRETCHES`.
    reason
        Why the sessions were not compared; empty if they were.
    """

    before: str
    after: str
    sources: tuple[str, ...]
    changes: tuple[CordChangeRecovery, ...]
    reason: str


def compare_cords(
    known: Sequence[KnownSession], found: Mapping[str | None, SessionOutputs]
) -> tuple[CordRecovery, ...]:
    """Hold the areas of a person's results against the true ones.

    Parameters
    ----------
    known
        What is true of the sessions.
    found
        The results of those that were measured, by label.

    Returns
    -------
    tuple of CordRecovery
        One for each kind of image, the best first; one without found areas if the cord was not measured on any.
    """
    measured = (found[session.label].cord for session in known if session.label in found)
    sources = dict.fromkeys(source for table in measured for source in table["source"] if source)
    return tuple(
        CordRecovery(
            source,
            tuple(
                (level, tuple(_area(session, found.get(session.label), source, level) for session in known))
                for level in STRETCHES
            ),
        )
        for source in sources or ("",)
    )


def compare_cord_change(
    before: KnownSession, after: KnownSession, outputs: ParticipantOutputs | None
) -> CordPairRecovery:
    """Hold the change of the cord that the results give between two sessions against the true one."""
    rows = rows_of_pair(None if outputs is None else outputs.cord_changes, before.label, after.label)
    sources = () if rows is None else tuple(dict.fromkeys(rows["source"]))
    return CordPairRecovery(
        before=before.label,
        after=after.label,
        sources=sources,
        changes=tuple(
            CordChangeRecovery(
                level,
                percent_difference(before.area_mm2(level), after.area_mm2(level)),
                tuple(_number(rows, "change_pct", source, level) for source in sources),
            )
            for level in STRETCHES
        ),
        reason="" if sources else NOT_COMPARED,
    )


def _area(known: KnownSession, outputs: SessionOutputs | None, source: str, level: str) -> AreaRecovery:
    table = None if outputs is None else outputs.cord
    area = _number(table, "csa_mm2", source, level)
    coverage = _number(table, "coverage", source, level)
    return AreaRecovery(
        known.label,
        level,
        known.area_mm2(level),
        area,
        None if coverage is None else 100.0 * coverage,
        "" if area is not None else _reason(table, source, level),
    )


def _reason(table: pd.DataFrame | None, source: str, level: str) -> str:
    if table is None:
        return NOT_MEASURED
    if source and (table["source"] == source).any():
        reasons, otherwise = _rows(table, source, level)["reason"], LEVELS_UNKNOWN
    else:
        # A session without any cord says why in rows without a kind of image.
        reasons, otherwise = _rows(table, "", level)["reason"], NO_SUCH_IMAGE
    return next((str(reason) for reason in reasons if reason), otherwise)


def _number(table: pd.DataFrame | None, column: str, source: str, level: str) -> float | None:
    values = [] if table is None else _rows(table, source, level)[column].dropna().tolist()
    return float(values[0]) if values else None


def _rows(table: pd.DataFrame, source: str, level: str) -> pd.DataFrame:
    return table[(table["source"] == source) & (table["level"] == level)]
