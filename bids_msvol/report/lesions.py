# SPDX-License-Identifier: Apache-2.0
"""The lesions of every session: how many, how large, where, and pictures in which to see whether they are real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.bids.lesion_tables import LESIONS
from bids_msvol.lesion_terms import REGIONS
from bids_msvol.report.lesion_images import ENHANCING_COLOR, LESION_COLOR
from bids_msvol.report.lesion_pictures import SessionPicture, draw_lesions
from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import (
    MISSING,
    describe_day,
    format_count,
    format_ml,
    format_percent,
    name_session,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs

CRITERIA = "Thompson 2018"
"""Where the regions and dissemination in space are defined."""
SIZES = "Coronado 2021"
"""Where the sizes of enhancing lesions come from."""

DISSEMINATION = {"yes": "yes", "no": "not in the brain alone"}
"""Dissemination in space by its value in the table. A plain "no" would claim what was not looked at."""

HYPOINTENSE = next(column.description for column in LESIONS.columns if column.name == "t1_hypointense_fraction")
"""What a T1-hypointense share is, in the words of the table."""

NO_REASON = "no reason was recorded"


@dataclass(frozen=True)
class Headline:
    """The lesions of one session in a line, as the report shows them.

    Attributes
    ----------
    title, day
        The session.
    count, volume_ml
        All lesions; ``n/a`` where they were not measured, as with all that follows.
    regions
        Name and number of lesions by region; empty where not measured.
    regions_2017, dissemination
        Regions of the McDonald criteria of 2017, and whether there are two.
    gd, gd_candidates
        Lesions that take up contrast agent, with high and with low confidence.
    source
        What the lesions were found on, or the path of the mask that was given.
    given
        Whether somebody else drew them.
    reason
        Why lesions were not measured; empty where they were.
    """

    title: str
    day: str
    count: str
    volume_ml: str
    regions: tuple[tuple[str, str], ...]
    regions_2017: str
    dissemination: str
    gd: str
    gd_candidates: str
    source: str
    given: bool
    reason: str


@dataclass(frozen=True)
class Lesion:
    """One lesion as the report shows it; ``status`` with its confidence."""

    index: str
    region: str
    volume_mm3: str
    hypointense_pct: str
    status: str


@dataclass(frozen=True)
class Enhancing:
    """One lesion that takes up contrast agent, as the report shows it."""

    index: str
    confidence: str
    volume_mm3: str
    size_mm3: str
    in_lesion: str
    ring: str


@dataclass(frozen=True)
class SessionLesions:
    """What the report shows of the lesions of one session.

    Attributes
    ----------
    title
        The session.
    measured
        Whether lesions were measured; there may be none.
    picture
        ``None`` if there is nothing to draw.
    lesions, enhancing
        The lesions, and what takes up contrast agent.
    """

    title: str
    measured: bool
    picture: SessionPicture | None
    lesions: tuple[Lesion, ...]
    enhancing: tuple[Enhancing, ...]

    @property
    def has_status(self) -> bool:
        """Whether it is known of any lesion what became of it."""
        return any(lesion.status != MISSING for lesion in self.lesions)


def build_lesion_section(outputs: ParticipantOutputs) -> Section:
    """Build the section with the lesions of every session."""
    html = render(
        "lesions.html.j2",
        rows=tuple(summarise_session(session) for session in outputs.sessions),
        sessions=tuple(collect_lesions(session) for session in outputs.sessions),
        unlike=has_unlike_sources(outputs.sessions),
        criteria=CRITERIA,
        sizes=SIZES,
        hypointense=HYPOINTENSE,
        colors={"lesion": LESION_COLOR, "enhancing": ENHANCING_COLOR},
    )
    return Section("Lesions", "lesions", html)


def list_lesion_citations(outputs: ParticipantOutputs) -> tuple[str, ...]:
    """Return what the section cites, for the list of references."""
    measured = any(session.lesions is not None for session in outputs.sessions)
    enhancing = any(session.enhancement is not None and len(session.enhancement) for session in outputs.sessions)
    return (*((CRITERIA,) if measured else ()), *((SIZES,) if enhancing else ()))


def summarise_session(session: SessionOutputs) -> Headline:
    """Return the lesions of a session in a line."""
    count = session.lesion_value("count")
    counts = [(region.replace("_", " "), session.lesion_value(f"{region}_count")) for region in REGIONS]
    dissemination = lesion_text(session, "dissemination_in_space")
    return Headline(
        title=name_session(session),
        day=describe_day(session.days),
        count=format_count(count),
        volume_ml=format_ml(session.lesion_value("volume_mm3")),
        regions=() if count is None else tuple((name, format_count(number)) for name, number in counts),
        regions_2017=lesion_text(session, "regions_2017") or MISSING,
        dissemination=DISSEMINATION.get(dissemination, dissemination) or MISSING,
        gd=format_count(session.lesion_value("gd_lesions")),
        gd_candidates=format_count(session.lesion_value("gd_lesion_candidates")),
        source=lesion_text(session, "source") or MISSING,
        given=lesion_text(session, "method") == "given",
        reason="" if count is not None else lesion_text(session, "reason").rstrip(".") or NO_REASON,
    )


def lesion_text(session: SessionOutputs, column: str) -> str:
    """Return a text of the table of all lesions, empty where it is missing."""
    return str(session.lesion_summary[column].iloc[0])


def has_unlike_sources(sessions: Sequence[SessionOutputs]) -> bool:
    """Say whether the lesions of the sessions were found in different ways, so that their numbers do not compare."""
    ways = {
        method if (method := lesion_text(session, "method")) == "given" else lesion_text(session, "source")
        for session in sessions
        if session.lesion_value("count") is not None
    }
    return len(ways) > 1


def collect_lesions(session: SessionOutputs) -> SessionLesions:
    """Return pictures and tables of the lesions of a session."""
    drawn = any(table is not None and len(table) for table in (session.lesions, session.enhancement))
    return SessionLesions(
        title=name_session(session),
        measured=session.lesions is not None,
        picture=draw_lesions(session) if drawn else None,
        lesions=() if session.lesions is None else tuple(_lesion(row) for _, row in session.lesions.iterrows()),
        enhancing=()
        if session.enhancement is None
        else tuple(_enhancing(row) for _, row in session.enhancement.iterrows()),
    )


def _lesion(row: pd.Series) -> Lesion:
    return Lesion(
        index=str(row["index"]),
        region=describe_region(str(row["region"])),
        volume_mm3=format_count(row["volume_mm3"]),
        hypointense_pct=format_percent(100 * row["t1_hypointense_fraction"], 0),
        status=describe_status(str(row["status"]), str(row["confidence"])),
    )


def _enhancing(row: pd.Series) -> Enhancing:
    return Enhancing(
        index=str(row["index"]),
        confidence=str(row["confidence"]) or MISSING,
        volume_mm3=format_count(row["volume_mm3"]),
        size_mm3=str(row["size_mm3"]) or MISSING,
        in_lesion=str(row["in_lesion"]) or MISSING,
        ring=str(row["ring"]) or MISSING,
    )


def describe_status(status: str, confidence: str) -> str:
    """Return what became of a lesion, with how sure that is where something became of it.

    Examples
    --------
    >>> describe_status("new", "high"), describe_status("new", "candidate"), describe_status("stable", "candidate")
    ('new, high confidence', 'new, candidate', 'stable')
    >>> describe_status("", "")
    'n/a'
    """
    if not status or status == "stable":
        return status or MISSING
    return f"{status}, {'high confidence' if confidence == 'high' else confidence or MISSING}"


def describe_region(region: str) -> str:
    """Return a region of the table as a reader says it.

    Examples
    --------
    >>> describe_region("deep_white_matter"), describe_region("")
    ('deep white matter', 'n/a')
    """
    return region.replace("_", " ") or MISSING
