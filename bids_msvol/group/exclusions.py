# SPDX-License-Identifier: Apache-2.0
"""Who and what is left out of the analyses, why, and how many that concerns. Nothing is dropped in silence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.group.baseline import before_new_baseline, treatment_start
from bids_msvol.group.conditions import meets, parse_condition
from bids_msvol.group.courses import relapse_days
from bids_msvol.group.lesion_counts import choose_counts
from bids_msvol.group.study import FlowStep

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.tables import StudyTables


NOT_MEASURED = "without volumes and cord areas"
"""Why a scan that nobody left out is not among those that remain; its clinical data are used."""


def find_exclusions(tables: StudyTables, plan: Plan, *, leave_out_flagged: bool) -> pd.Series[str]:
    """Return for each session why its scan is left out; empty text if it is used.

    Of several reasons the first counts: the ``exclude`` column, failed quality, steroids, before the new baseline, and
    last, if asked for, the conditions of ``exclude_if``.

    Raises
    ------
    UsageError
        If a condition cannot be read or names no column.
    """
    sessions = tables.sessions
    reasons = pd.Series("", index=sessions.index, dtype=object)

    def add(where: pd.Series[bool], reason: str | pd.Series[str]) -> None:
        chosen = where & (reasons == "")
        reasons[chosen] = reason if isinstance(reason, str) else reason[chosen]

    by_column = sessions["exclude"].fillna(False).astype(bool)
    given = sessions["exclude_reason"].fillna("").astype(str)
    add(by_column, given.where(given != "", "no reason given").radd("column exclude: "))
    if plan.exclusions.failed_quality:
        add(sessions["verdict"] == "fail", "failed quality")
    washout = plan.exclusions.steroid_washout_days
    if washout > 0:
        add(days_since_steroids(tables) < washout, f"scanned less than {washout:g} days after steroids")
    if plan.intervals.rebaseline_days >= 0:
        early = before_new_baseline(sessions, treatment_start(tables), plan)
        add(early, f"before the new baseline, {plan.intervals.rebaseline_days:g} days after the start of treatment")
    if leave_out_flagged:
        for text in plan.exclusions.exclude_if:
            add(meets(parse_condition(text), derived(sessions, plan), tables.persons), f"meets {text}")
    return reasons


def derived(sessions: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return sessions with the lesion counts that the plan chooses under their plain names."""
    return choose_counts(sessions, plan.activity.lesion_source)[0]


def without_persons(tables: StudyTables, plan: Plan) -> StudyTables:
    """Return tables without the people who meet a condition on a column of the participants; only scans meet others."""
    out = pd.Series(False, index=tables.persons.index)
    # The age may be known at each session, or of the person only.
    of_sessions = derived(tables.sessions, plan).dropna(axis="columns", how="all")
    for text in plan.exclusions.exclude_if:
        condition = parse_condition(text)
        if condition.column in tables.persons and condition.column not in of_sessions:
            out |= condition.holds(tables.persons[condition.column])
    if not out.any():
        return tables
    kept = set(tables.persons.index[~out])

    def of_kept(frame: pd.DataFrame | None) -> pd.DataFrame | None:
        return None if frame is None else frame[frame["participant_id"].isin(kept)]

    sessions = tables.sessions[tables.sessions["participant_id"].isin(kept)]
    return replace(
        tables,
        persons=tables.persons[~out],
        sessions=sessions,
        volumes_mm3=tables.volumes_mm3.loc[tables.volumes_mm3.index.isin(sessions.index)],
        cord_mm2=tables.cord_mm2.loc[tables.cord_mm2.index.isin(sessions.index)],
        thickness_mm=tables.thickness_mm.loc[tables.thickness_mm.index.isin(sessions.index)],
        visits=tables.visits[tables.visits["participant_id"].isin(kept)],
        relapses=of_kept(tables.relapses),
        treatments=of_kept(tables.treatments),
        lesion_files={row: one for row, one in tables.lesion_files.items() if row in sessions.index},
    )


def count_flow(tables: StudyTables, reasons: pd.Series[str]) -> tuple[FlowStep, ...]:
    """Return how many there were, how many were left out for each reason, and how many remain."""
    persons, sessions = tables.persons, tables.sessions.loc[reasons.index]
    people = sessions["participant_id"]
    measured = sessions.index.isin(tables.volumes_mm3.index) | sessions.index.isin(tables.cord_mm2.index)
    reasons = reasons.where((reasons != "") | measured, NOT_MEASURED)
    steps = [FlowStep("in the tables", len(persons), len(sessions))]
    if len(persons) > people.nunique():
        steps.append(FlowStep("without any session", len(persons) - int(people.nunique()), 0))
    left = pd.Series(True, index=sessions.index)
    found = dict.fromkeys(reason for reason in reasons if reason)
    for reason in sorted(found, key=lambda one: one == NOT_MEASURED):
        before = people[left].nunique()
        left &= reasons != reason
        steps.append(FlowStep(reason, int(before - people[left].nunique()), int((reasons == reason).sum())))
    steps.append(FlowStep("remaining", int(people[left].nunique()), int(left.sum())))
    return tuple(steps)


def days_since_steroids(tables: StudyTables) -> pd.Series[float]:
    """Return days since the last steroids before each session: as given, else since a relapse treated with steroids."""
    sessions = tables.sessions
    since = sessions["steroid_days_before"].astype(float).copy()
    if tables.relapses is None or "steroids" not in tables.relapses:
        return since
    onsets = relapse_days(tables.relapses[tables.relapses["steroids"].fillna(False).astype(bool)]) or {}
    for row, name, day in zip(sessions.index, sessions["participant_id"], sessions["days"], strict=True):
        if np.isnan(since[row]) and name in onsets and not np.isnan(day):
            earlier = onsets[name][onsets[name] <= day]
            if len(earlier):
                since[row] = day - earlier[-1]
    return since
