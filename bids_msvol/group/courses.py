# SPDX-License-Identifier: Apache-2.0
"""The visits and relapses of every person as the search for events takes them, and what it finds by the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.clinical.course import Relapse, Visit
from bids_msvol.clinical.definitions import ProgressionDefinition, find_definition
from bids_msvol.clinical.events import History, find_events

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import Plan


def plan_definition(plan: Plan, scale: str = "edss") -> ProgressionDefinition:
    """Return the definition of the plan, with the rule of a scale."""
    changes = {} if scale == "edss" else {"rule": scale}
    return find_definition(plan.activity.definition, unconfirmed_last=plan.activity.unconfirmed_last, **changes)


def find_courses(visits: pd.DataFrame, scale: str) -> dict[str, list[Visit]]:
    """Return the values of a scale by person."""
    values = visits[["participant_id", "days", scale]].dropna()
    courses: dict[str, list[Visit]] = {}
    names, days, found = values["participant_id"].tolist(), values["days"].tolist(), values[scale].tolist()
    for name, day, value in zip(names, days, found, strict=True):
        courses.setdefault(str(name), []).append(Visit(float(day), float(value)))
    return courses


def relapse_days(relapses: pd.DataFrame | None) -> Mapping[str, np.ndarray] | None:
    """Return the days of relapses by person, ascending; ``None`` if relapses were not recorded."""
    if relapses is None:
        return None
    known = relapses.dropna(subset="days").sort_values("days")
    days: dict[str, list[float]] = {}
    for name, day in zip(known["participant_id"].tolist(), known["days"].tolist(), strict=True):
        days.setdefault(str(name), []).append(float(day))
    return {name: np.array(ones) for name, ones in days.items()}


def make_relapses(onsets: Mapping[str, np.ndarray] | None, names: Iterable[str]) -> Mapping[str, list[Relapse] | None]:
    """Return relapses for each person; ``None`` for everybody if they were not recorded."""
    if onsets is None:
        return dict.fromkeys(names)
    return {name: [Relapse(float(day)) for day in onsets.get(name, ())] for name in names}


def find_histories(visits: pd.DataFrame, relapses: pd.DataFrame | None, plan: Plan, scale: str) -> dict[str, History]:
    """Return the events on a clinical scale of everybody with a value of it, by the definition of the plan."""
    courses = find_courses(visits, scale)
    onsets = make_relapses(relapse_days(relapses), courses)
    definition = plan_definition(plan, scale)
    return {name: find_events(course, onsets[name], definition) for name, course in courses.items()}
