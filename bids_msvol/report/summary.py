# SPDX-License-Identifier: Apache-2.0
"""The beginning of the report: what was measured, whether it can be used, and the numbers most readers came for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.report.cord import TITLES
from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import (
    MISSING,
    NOT_APPLICABLE,
    count_words,
    describe_day,
    describe_structure,
    format_count,
    format_ml,
    format_percent,
    join_words,
    name_session,
)
from bids_msvol.structures import ETIV_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
    from bids_msvol.outcome import SessionFailure

HEADLINE: tuple[str, ...] = ("WholeBrain", "TotalGray", "TotalWhite", "DeepGray", "Ventricles")
"""Volumes shown first, besides eTIV and the parenchymal fraction."""


@dataclass(frozen=True)
class Cell:
    """A number of the headline table, with the same number in per cent of eTIV, or with what else belongs to it."""

    value: str
    percent: str = ""
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A line of the headline table."""

    name: str
    unit: str
    cells: tuple[Cell, ...]


def build_summary_section(outputs: ParticipantOutputs) -> Section:
    """Build the section with the headline numbers of every session."""
    sessions = outputs.sessions
    rows = (
        Row(describe_structure(ETIV_NAME), "mL", tuple(Cell(format_ml(session.etiv_mm3)) for session in sessions)),
        Row("Brain parenchymal fraction (BPF)", "", tuple(Cell(_fraction(session)) for session in sessions)),
        *(_volume_row(name, sessions) for name in HEADLINE),
        *_lesion_rows(sessions),
        Row("Cord area around C2/C3", "mm²", tuple(_cord(session) for session in sessions)),
    )
    columns = [(name_session(session), describe_day(session.days), session.verdict) for session in sessions]
    html = render("summary.html.j2", rows=rows, columns=columns, several=len(sessions) > 1)
    return Section("Main numbers", "numbers", html)


def describe_outcome(sessions: Sequence[SessionOutputs], failures: Sequence[SessionFailure] = ()) -> tuple[str, ...]:
    """Return the overall verdict as plain sentences, the worst first, and then what could not be measured."""
    named = {
        verdict: [name_session(session) for session in sessions if session.verdict == verdict]
        for verdict in ("warn", "pass")
    }
    failed = [session for session in sessions if session.verdict == "fail"]
    partly = [name_session(session) for session in failed if session.volumes["volume_mm3"].notna().any()]
    wholly = [name_session(session) for session in failed if name_session(session) not in partly]
    sentences = []
    if wholly:
        sentences.append(f"{join_words(wholly)}: the measurement failed. There are no numbers.")
    if partly:
        sentences.append(
            f"{join_words(partly)}: part of the measurement failed. The numbers concerned are withheld (n/a); "
            "look at the pictures before you use the others."
        )
    if named["warn"]:
        sentences.append(
            f"{join_words(named['warn'])}: measured, but a quality check asks you to look before you use the numbers."
        )
    if named["pass"]:
        sentences.append(f"{join_words(named['pass'])}: measured, and every quality check passed.")
    if failures:
        lost = join_words([failure.session for failure in failures])
        sentences.append(f"{lost} could not be measured when last tried; the reason is under Not measured.")
    return tuple(sentences)


def _volume_row(name: str, sessions: Sequence[SessionOutputs]) -> Row:
    cells = tuple(
        Cell(format_ml(session.volume_mm3(name)), format_percent(session.volume_pct_etiv(name))) for session in sessions
    )
    return Row(describe_structure(name), "mL", cells)


def _lesion_rows(sessions: Sequence[SessionOutputs]) -> tuple[Row, ...]:
    rows = (
        Row("T2 lesions", "", tuple(Cell(format_count(session.lesion_value("count"))) for session in sessions)),
        Row("Lesion volume", "mL", tuple(Cell(format_ml(session.lesion_value("volume_mm3"))) for session in sessions)),
    )
    if len(sessions) == 1:
        return rows
    return (*rows, Row("New lesions since the session before", "", (Cell(NOT_APPLICABLE), *map(_new, sessions[1:]))))


def _new(session: SessionOutputs) -> Cell:
    candidates = session.lesion_value("new_lesion_candidates")
    note = count_words(int(candidates), "candidate") if candidates else ""
    return Cell(format_count(session.lesion_value("new_lesions")), note=note)


def _cord(session: SessionOutputs) -> Cell:
    area = session.cord_value("C2-C3", "csa_mm2")
    if area is None:
        return Cell(MISSING)
    source = session.cord.loc[session.cord["level"] == "C2-C3", "source"].iloc[0]
    return Cell(format_percent(area, 1), note=TITLES.get(source, source))


def _fraction(session: SessionOutputs) -> str:
    percent = session.volume_pct_etiv("WholeBrain")
    return MISSING if percent is None else f"{percent / 100:.4f}"
