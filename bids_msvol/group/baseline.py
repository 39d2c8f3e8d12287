# SPDX-License-Identifier: Apache-2.0
"""When follow-up begins: at the start of treatment if scans were made for it, else at the first session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.tables import StudyTables

ADDED = "baseline"
"""What the session is called that stands for a baseline at which there was none."""

MOST_PERSONS = 0.5
"""Follow-up begins with treatment if this share of the persons with a start of treatment has a session around it."""


def treatment_start(tables: StudyTables) -> pd.Series[float]:
    """Return the day on which the treatment that the study is about began, by ``participant_id``.

    That is the first start of the drug in the column ``treatment`` of the participants; without such a drug, the last
    treatment begun up to the person's first session, or else the first begun after it.
    """
    if tables.treatments is None:
        return pd.Series(dtype=float)
    known = tables.treatments.dropna(subset="start_days").sort_values("start_days")
    person = known["participant_id"]
    own = tables.persons["treatment"].reindex(person).astype(str).str.lower().to_numpy()
    same = known["drug"].astype(str).str.lower().to_numpy() == own
    first_session = tables.sessions.groupby("participant_id")["days"].min().reindex(person).to_numpy()
    before = known["start_days"].to_numpy() <= first_session
    starts = known[~same & ~before].groupby("participant_id")["start_days"].first()
    starts = known[~same & before].groupby("participant_id")["start_days"].last().combine_first(starts)
    own_start: pd.Series[float] = known[same].groupby("participant_id")["start_days"].first()
    return own_start.combine_first(starts)


def before_new_baseline(sessions: pd.DataFrame, start: pd.Series[float], plan: Plan) -> pd.Series[bool]:
    """Return whether each session is sooner after the start of treatment than ``rebaseline_days`` allows."""
    of_session = start.reindex(sessions["participant_id"]).set_axis(sessions.index)
    return sessions["days"] < of_session + plan.intervals.rebaseline_days


def find_baselines(
    sessions: pd.DataFrame, tables: StudyTables, plan: Plan
) -> tuple[pd.DataFrame, pd.Series[float], list[str]]:
    """Return sessions, the day of each person's baseline by ``participant_id``, and what to say of it.

    A person who was not seen around the start of treatment gets a session of that day on which nothing was measured, so
    that a later session is never taken for the baseline.

    Parameters
    ----------
    sessions
        By person and day.
    tables
        What was read.
    plan
        ``intervals.baseline``, ``baseline_window_days`` and ``rebaseline_days``.
    """
    start = treatment_start(tables)
    first = sessions.groupby("participant_id")["days"].min()
    if plan.intervals.rebaseline_days >= 0:
        early = before_new_baseline(sessions, start, plan)
        unknown = sorted(set(sessions["participant_id"]) - set(start.index))
        said = f"The start of treatment of {len(unknown)} persons is not known: all their scans count."
        return sessions, sessions[~early].groupby("participant_id")["days"].min(), [said] if unknown else []
    if plan.intervals.baseline == "first_session" or start.empty:
        return sessions, first, []
    before, after = plan.intervals.baseline_window_days
    gap = sessions["days"] - start.reindex(sessions["participant_id"]).set_axis(sessions.index)
    around = sessions.loc[gap.between(-before, after), ["participant_id", "days"]].assign(gap=gap.abs())
    nearest = around.sort_values("gap", kind="stable").drop_duplicates("participant_id")
    seen = nearest.set_index("participant_id")["days"]
    treated = start.index.intersection(first.index)
    if plan.intervals.baseline == "auto" and len(seen) < MOST_PERSONS * max(len(treated), 1):
        return (
            sessions,
            first,
            ["Follow-up begins at the first session: few were scanned around the start of treatment."],
        )
    unseen = treated.difference(seen.index)
    notes = [
        "Follow-up begins at the start of treatment: its baseline is the session nearest to it, from "
        f"{before:g} days before to {after:g} days after."
    ]
    if len(unseen):
        notes.append(
            f"{len(unseen)} persons have no session around the start of treatment: they have no baseline scan, and "
            "their later scans are no baseline."
        )
    rows = pd.RangeIndex(len(unseen)) + int(sessions.index.max()) + 1
    both = sessions.reindex([*sessions.index, *rows])
    both.loc[rows, "participant_id"] = unseen.to_numpy()
    both.loc[rows, "days"] = start[unseen].to_numpy()
    both.loc[rows, ["session_id", "verdict", "exclude_reason"]] = [ADDED, "n/a", ""]
    both["exclude"] = both["exclude"].eq(True)
    both = both.sort_values(["participant_id", "days", "session_id"], kind="stable")
    return both, seen.combine_first(start[unseen]).combine_first(first), notes
