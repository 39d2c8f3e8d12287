# SPDX-License-Identifier: Apache-2.0
"""The events of time_to_event: when each patient first had one, or until when there was none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.group.analyses.neda_counts import as_states
from bids_msvol.group.analyses.time_to_event_waves import place_intervals, to_wave, visit_months
from bids_msvol.group.courses import relapse_days
from bids_msvol.group.study import DAYS_PER_YEAR

if TYPE_CHECKING:
    from bids_msvol.clinical.events import Event, History
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study


@dataclass(frozen=True, eq=False)
class Endpoint:
    """Times to one kind of event.

    Attributes
    ----------
    name, label
        Name in tables, and for readers.
    rule
        What the event is and where who has none is censored, as a sentence.
    times
        By ``participant_id``: ``years`` since the baseline, above 0, and ``event`` (truth). What is found at visits or
        scans has the time of the planned visit, so that all of one wave of visits, those with an event and those
        without, have one time.
    n_left_out
        Patients who could not be followed for it.
    missing
        Why nobody could be followed, or empty.
    months
        Between the planned visits at which it is found; ``None`` if events have dates of their own.
    """

    name: str
    label: str
    rule: str
    times: pd.DataFrame
    n_left_out: int
    missing: str = ""
    months: int | None = None


def find_endpoints(study: Study, plan: Plan, people: pd.DataFrame) -> tuple[Endpoint, ...]:
    """Return all endpoints.

    Parameters
    ----------
    people
        As `bids_msvol.group.analyses.follow_up.follow_up` gives them.
    """
    confirmed = "censored at the last visit that a later one could confirm, or before a worsening left open"
    months = visit_months(study, people)
    return (
        _of_history(
            study, people, months, lambda event: event.kind == "CDW", "worsening", "confirmed EDSS worsening",
            f"first visit of a confirmed EDSS worsening after the baseline; {confirmed}",
        ),
        _of_history(
            study, people, months, lambda event: event.association == "PIRA", "pira", "PIRA",
            f"first visit of a confirmed EDSS worsening that is a PIRA; others do not end follow-up; {confirmed}",
            needs_relapses=True,
        ),
        _of_relapses(study, people),
        _of_intervals(
            study, people, _imaging_states(study, plan), "lesion", "new T2 or Gd lesion",
            "end of the first interval with a new or enlarging T2 or a Gd-enhancing lesion; censored at the start of "
            "the first interval in which this is not known; without a first scan at the baseline left out",
        ),
        _of_intervals(
            study, people, as_states(study.intervals["neda3"]), "neda3", "loss of NEDA-3",
            "end of the first interval without NEDA-3; censored at the start of the first in which this is not known; "
            "without a first scan at the baseline left out",
        ),
    )  # fmt: skip


def _of_history(
    study: Study,
    people: pd.DataFrame,
    months: int,
    counts: Callable[[Event], bool],
    name: str,
    label: str,
    rule: str,
    *,
    needs_relapses: bool = False,
) -> Endpoint:
    if needs_relapses and study.relapses is None:
        return _without(people, name, label, rule, "relapses were not recorded")

    def times() -> Iterator[tuple[str, float, bool]]:
        for person, start in zip(people.index, people["start_day"].tolist(), strict=True):
            history = study.histories.get(str(person))
            if history is None or np.isnan(start):
                continue
            first = next((event.day for event in history.events if counts(event) and event.day > start), None)
            last = _last_day(history)
            if first is not None:
                yield str(person), first - start, True
            elif last is not None and last > start:
                yield str(person), last - start, False

    found = [(person, float(to_wave(np.array(days), months)), event) for person, days, event in times()]
    missing = "no patient has EDSS visits of which one could be confirmed"
    return _collect(people, found, name, label, rule, missing, months)


def _last_day(history: History) -> float | None:
    """Return the last visit at which it is known that there was no event."""
    ends = [history.last_confirmable_day, history.stopped_day]
    if history.unconfirmed is not None:
        # At that visit it is not known: it would be wrong to count it with those without event.
        ends.append(max((day for day in history.visit_days if day < history.unconfirmed.day), default=None))
    return None if history.last_confirmable_day is None else min(end for end in ends if end is not None)


def _of_relapses(study: Study, people: pd.DataFrame) -> Endpoint:
    rule = "first relapse after the baseline; censored at the last session or visit"
    onsets = relapse_days(study.relapses)
    if onsets is None:
        return _without(people, "relapse", "relapse", rule, "relapses were not recorded")

    def times(onsets: Mapping[str, np.ndarray]) -> Iterator[tuple[str, float, bool]]:
        days = zip(people.index, people["start_day"].tolist(), people["end_day"].tolist(), strict=True)
        for person, start, end in days:
            if not end > start:
                continue
            after = [day for day in onsets.get(str(person), ()) if start < day <= end]
            yield str(person), ((after[0] if after else end) - start) / DAYS_PER_YEAR, bool(after)

    missing = "nobody has two sessions or visits of known days"
    return _collect(people, list(times(onsets)), "relapse", "relapse", rule, missing, None)


def _imaging_states(study: Study, plan: Plan) -> np.ndarray:
    """Return for each interval 1 for no lesion activity, 0 for some, NaN if not known."""
    parts = np.column_stack([as_states(study.intervals[name]) for name in ("no_new_t2", "no_enlarging_t2", "no_gd")])
    required = plan.activity.gd_required
    if required == "no" or (required == "auto" and not study.intervals["gd_end"].notna().any()):
        parts[:, 2] = np.where(np.isnan(parts[:, 2]), 1.0, parts[:, 2])
    return np.where((parts == 0.0).any(axis=1), 0.0, np.where(np.isnan(parts).any(axis=1), np.nan, 1.0))


def _of_intervals(study: Study, people: pd.DataFrame, states: np.ndarray, name: str, label: str, rule: str) -> Endpoint:
    own = study.intervals["participant_id"].isin(people.index)
    frame = study.intervals.assign(state=states)[own].sort_values(["participant_id", "start_day"])
    placed, months = place_intervals(frame, people["start_day"])
    frame = frame.join(placed)

    def times() -> Iterator[tuple[str, float, bool]]:
        last: dict[str, float] = {}
        closed: dict[str, bool] = {}
        columns = (frame[column].tolist() for column in ("participant_id", "wave", "from_baseline", "state"))
        for person, wave, from_baseline, state in zip(*columns, strict=True):
            if person not in closed and (np.isnan(state) or (person not in last and not from_baseline)):
                closed[person] = False
            if person not in closed:
                last[person] = wave
                if state == 0.0:
                    closed[person] = True
        for person, wave in last.items():
            yield str(person), wave, closed.get(person, False)

    missing = "it is not known for the first interval, from the baseline on, of any patient"
    return _collect(people, list(times()), name, label, rule, missing, months)


def _collect(
    people: pd.DataFrame,
    found: Sequence[tuple[str, float, bool]],
    name: str,
    label: str,
    rule: str,
    missing: str,
    months: int | None,
) -> Endpoint:
    frame = pd.DataFrame(
        {"years": [years for _, years, _ in found], "event": [event for _, _, event in found]},
        index=pd.Index([person for person, _, _ in found], name="participant_id", dtype=object),
    )
    return Endpoint(name, label, rule, frame, len(people) - len(frame), "" if found else missing, months)


def _without(people: pd.DataFrame, name: str, label: str, rule: str, missing: str) -> Endpoint:
    empty = pd.DataFrame({"years": [], "event": []}, index=pd.Index([], name="participant_id", dtype=object))
    return Endpoint(name, label, rule, empty, len(people), missing)
