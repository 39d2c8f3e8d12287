# SPDX-License-Identifier: Apache-2.0
"""Who and what is left out of the analyses, why, and how many that concerns. Nothing is dropped in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.group.conditions import meets, parse_condition
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
        start = treatment_start(tables).reindex(sessions["participant_id"]).set_axis(sessions.index)
        early = sessions["days"] < start + plan.intervals.rebaseline_days
        add(early, f"before the new baseline, {plan.intervals.rebaseline_days:g} days after the start of treatment")
    if leave_out_flagged:
        for text in plan.exclusions.exclude_if:
            add(meets(parse_condition(text), derived(sessions, plan), tables.persons), f"meets {text}")
    return reasons


def derived(sessions: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return sessions with the lesion counts that the plan chooses under their plain names."""
    from bids_msvol.group.lesion_counts import choose_counts

    return choose_counts(sessions, plan.activity.lesion_source)[0]


def count_flow(persons: pd.DataFrame, sessions: pd.DataFrame, reasons: pd.Series[str]) -> tuple[FlowStep, ...]:
    """Return how many there were, how many were left out for each reason, and how many remain."""
    people = sessions["participant_id"]
    reasons = reasons.where((reasons != "") | sessions["has_scan"], NOT_MEASURED)
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
    treated = tables.relapses[tables.relapses["steroids"].fillna(False).astype(bool)].dropna(subset="days")
    onsets = {name: np.sort(rows["days"].to_numpy(dtype=float)) for name, rows in treated.groupby("participant_id")}
    for row, name, day in zip(sessions.index, sessions["participant_id"], sessions["days"], strict=True):
        if np.isnan(since[row]) and name in onsets and not np.isnan(day):
            earlier = onsets[name][onsets[name] <= day]
            if len(earlier):
                since[row] = day - earlier[-1]
    return since


def treatment_start(tables: StudyTables) -> pd.Series[float]:
    """Return the day on which the last treatment of each person started, by ``participant_id``."""
    if tables.treatments is None:
        return pd.Series(dtype=float)
    return tables.treatments.groupby("participant_id")["start_days"].max()
