# SPDX-License-Identifier: Apache-2.0
"""The cervical cord of every session: pictures of what was outlined, its areas by level, and their change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.bids.cord_tables import LEVELS_BY, SOURCES
from bids_msvol.report.cord_healthy import HEALTHY, HealthyAreas
from bids_msvol.report.cord_pictures import CORD_COLOR, CordPicture, draw_cord
from bids_msvol.report.cord_plots import FRAME, Profile, draw_profiles
from bids_msvol.report.measured_error import CORD_ERROR
from bids_msvol.report.references import REFERENCES
from bids_msvol.report.section import Section, render
from bids_msvol.report.trends import LIMIT_PER_MEDIAN
from bids_msvol.report.wording import (
    MISSING,
    describe_day,
    format_change,
    format_count,
    format_percent,
    join_words,
    name_session,
)

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
    from bids_msvol.report.measured_error import ErrorMeasure, MeasuredError

TITLES: Mapping[str, str] = {
    "head-T1w": "T1w of the head",
    "cord-T2w": "T2w of the cord",
    "cord-T1w": "T1w of the cord",
    "cord-T2starw": "T2*w of the cord",
    "sct": "Table of Spinal Cord Toolbox",
    "sct-mask": "Mask that was given or made by Spinal Cord Toolbox",
}
"""What each source of `SOURCES` is called."""

STRETCHES: Mapping[str, str] = {
    "C2-C3": "around C2/C3",
    "C1-C7": "C1 to C7 as measured",
    "visible": "all that is visible",
}
"""Stretches of the tables that are no level, as a reader says them."""

NO_REASON = "no reason was recorded"

ERROR_NAME = "Cord-{level}"
"""Name of a level among the measured errors of the program."""


@dataclass(frozen=True)
class LevelRow:
    """One stretch of the cord as the report shows it; ``reason`` says why there is no area."""

    name: str
    area: str
    depth: str
    width: str
    eccentricity: str
    slices: str
    coverage: str
    normalised: str
    reason: str


@dataclass(frozen=True)
class SessionCord:
    """The cord of one session on one image.

    Attributes
    ----------
    title, day
        The session.
    levels_by
        What told the levels, in words; empty where they are not known.
    picture
        ``None`` where only numbers are known.
    sentences
        The main numbers in words.
    rows
        The table.
    """

    title: str
    day: str
    levels_by: str
    picture: CordPicture | None
    sentences: tuple[str, ...]
    rows: tuple[LevelRow, ...]


@dataclass(frozen=True)
class ChangeRow:
    """Change of one stretch between two sessions, and whether it is more than the measured error."""

    name: str
    area: str
    percent: str
    percent_a_year: str
    coverage: str
    limit: str
    beyond: str


@dataclass(frozen=True)
class CordPair:
    """Change of the cord between two sessions; ``missing`` says which stretches both do not show."""

    title: str
    rows: tuple[ChangeRow, ...]
    missing: str


@dataclass(frozen=True)
class SourceCord:
    """All sessions with a cord on one kind of image.

    Attributes
    ----------
    key, title, description
        The kind of image.
    healthy
        Published areas of healthy adults on such images; ``None`` without any.
    profiles
        Area along the cord.
    sessions
        Pictures and tables.
    pairs
        Change between sessions.
    """

    key: str
    title: str
    description: str
    healthy: HealthyAreas | None
    profiles: tuple[Profile, ...]
    sessions: tuple[SessionCord, ...]
    pairs: tuple[CordPair, ...]

    @property
    def compares_means(self) -> bool:
        """Whether only means of levels could be compared between sessions, since there are no outlines of our own."""
        return self.key.startswith("sct")


def build_cord_section(outputs: ParticipantOutputs, error: MeasuredError) -> Section:
    """Build the section with the cord of every session."""
    sources = tuple(_collect_source(outputs, source, error) for source in list_sources(outputs.sessions))
    citations = dict.fromkeys(key for one in sources if one.healthy for key in one.healthy.citations)
    html = render(
        "cord.html.j2",
        missing=tuple(
            (name_session(session), _why_missing(session)) for session in outputs.sessions if not _sources(session)
        ),
        sources=sources,
        frame=FRAME,
        color=CORD_COLOR,
        limit=find_error(error),
        references=tuple(reference for reference in REFERENCES if reference.key in citations),
    )
    return Section("Cervical cord", "cord", html)


def list_sources(sessions: Sequence[SessionOutputs]) -> tuple[str, ...]:
    """Return on what the cord of any session was measured, in the order of the tables: the best first."""
    return tuple(dict.fromkeys(source for session in sessions for source in _sources(session)))


def find_error(error: MeasuredError) -> ErrorMeasure | None:
    """Return the measure that tells how much the area of a cord differs where nothing has changed, if it was taken."""
    found = (measure for measure in error.measures if measure.key == CORD_ERROR and measure.is_measured)
    return next(found, None)


def name_stretch(level: str, source: str) -> str:
    """Return how a level or stretch of the tables is called.

    Examples
    --------
    >>> name_stretch("C4", "head-T1w"), name_stretch("C2-C3", "head-T1w"), name_stretch("C2-C3", "sct")
    ('C4', 'around C2/C3', 'C2 and C3')
    """
    return "C2 and C3" if (level, source) == ("C2-C3", "sct") else STRETCHES.get(level, level)


def _collect_source(outputs: ParticipantOutputs, source: str, error: MeasuredError) -> SourceCord:
    sessions = tuple(_collect(session, source) for session in outputs.sessions if source in _sources(session))
    profiles = draw_profiles(outputs.sessions, source)
    return SourceCord(
        key=source,
        title=TITLES[source],
        description=SOURCES[source],
        healthy=HEALTHY.get(source) if any(profile.band for profile in profiles) else None,
        profiles=profiles,
        sessions=sessions,
        pairs=_pairs(outputs, source, error),
    )


def _collect(session: SessionOutputs, source: str) -> SessionCord:
    own = session.cord[session.cord["source"] == source]
    known = (own["level"] != "visible").all()
    return SessionCord(
        title=name_session(session),
        day=describe_day(session.days),
        levels_by=LEVELS_BY.get(str(own["levels_by"].iloc[0]), "") if known else "",
        picture=draw_cord(session, source),
        sentences=_sentences(own, source),
        rows=tuple(_row(row, source) for _, row in own.iterrows()),
    )


def _row(row: pd.Series, source: str) -> LevelRow:
    return LevelRow(
        name=name_stretch(str(row["level"]), source),
        area=_fixed(row["csa_mm2"], 1),
        depth=_fixed(row["ap_diameter_mm"], 2),
        width=_fixed(row["rl_diameter_mm"], 2),
        eccentricity=_fixed(row["eccentricity"], 2),
        slices=format_count(row["n_slices"]),
        coverage=_fixed(100 * row["coverage"], 0),
        normalised=_fixed(row["csa_etiv_mm2"], 1),
        reason="" if row["csa_mm2"] == row["csa_mm2"] else str(row["reason"]).rstrip(".") or NO_REASON,
    )


def _sentences(own: pd.DataFrame, source: str) -> tuple[str, ...]:
    """Say the mean around C2/C3, and volume, length and their ratio of all that was measured."""
    sentences = []
    for _, row in own[own["level"].isin(STRETCHES)].iterrows():
        shown = _row(row, source)
        where = shown.name if shown.name.startswith("around") else f"of {shown.name}"
        if shown.reason:
            sentences.append(f"Mean area {where}: {MISSING} ({shown.reason}).")
        elif row["level"] == "C2-C3":
            known = "" if shown.coverage == MISSING else f"; {shown.coverage} % of this stretch was measured"
            sentences.append(f"Mean area {where}: {shown.area} mm²{known}.")
        elif row["length_mm"] != row["length_mm"]:
            sentences.append(f"Volume and length {where}: {MISSING} (the table has none).")
        else:
            sentences.append(
                f"Volume {where}: {format_count(row['volume_mm3'])} mm³ over a length of "
                f"{_fixed(row['length_mm'], 1)} mm; volume divided by length: "
                f"{_fixed(row['volume_mm3'] / row['length_mm'], 1)} mm²."
            )
    return tuple(sentences)


def _pairs(outputs: ParticipantOutputs, source: str, error: MeasuredError) -> tuple[CordPair, ...]:
    if outputs.cord_changes is None:
        return ()
    table = outputs.cord_changes[outputs.cord_changes["source"] == source]
    measure, found = find_error(error), []
    for (first, last), rows in table.groupby(["session_id_from", "session_id_to"], sort=False):
        days = rows["days"].dropna()
        absent = rows["change_mm2"].isna()
        found.append(
            CordPair(
                title=f"{first} to {last}" + (f", {days.iloc[0]:g} days" if len(days) else ""),
                rows=tuple(_change(row, source, measure) for _, row in rows[~absent].iterrows()),
                missing=join_words([name_stretch(str(level), source) for level in rows.loc[absent, "level"]]),
            )
        )
    return tuple(found)


def _change(row: pd.Series, source: str, measure: ErrorMeasure | None) -> ChangeRow:
    median = None if measure is None else measure.values.get(ERROR_NAME.format(level=row["level"]))
    limit = None if median is None else LIMIT_PER_MEDIAN * median
    return ChangeRow(
        name=name_stretch(str(row["level"]), source),
        area=format_change(row["change_mm2"]),
        percent=format_change(row["change_pct"]),
        percent_a_year=format_change(row["change_pct_per_year"]),
        coverage=_fixed(100 * row["coverage"], 0),
        limit=MISSING if limit is None else _fixed(limit, 2),
        beyond="not known" if limit is None else "yes" if abs(row["change_pct"]) > limit else "no",
    )


def _fixed(value: float, decimals: int) -> str:
    """Return a number with as many decimals, ``n/a`` for NaN."""
    return format_percent(value, decimals)


def _sources(session: SessionOutputs) -> tuple[str, ...]:
    shown = session.cord.loc[session.cord["n_slices"] > 0, "source"]
    return tuple(source for source in dict.fromkeys(shown) if source in SOURCES)


def _why_missing(session: SessionOutputs) -> str:
    reasons = dict.fromkeys(str(reason).rstrip(".") for reason in session.cord["reason"] if reason)
    return "; ".join(reasons) or NO_REASON
