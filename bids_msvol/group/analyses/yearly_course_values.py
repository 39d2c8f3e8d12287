# SPDX-License-Identifier: Apache-2.0
"""The values of yearly_course: relapses, new lesions and EDSS of each person in each year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bids_msvol.group.analyses.baseline_variables import baseline_rows, relapses_before
from bids_msvol.group.people import is_control
from bids_msvol.group.result import CannotAnalyseError
from bids_msvol.group.study import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

VARIABLES: Mapping[str, str] = MappingProxyType(
    {"relapses": "Relapses", "new_t2": "New T2 lesions", "gd": "Gadolinium-enhancing lesions", "edss": "EDSS"}
)
"""Labels of the variables, in the order of the tables."""


@dataclass(frozen=True, eq=False)
class YearlyValues:
    """What happened to each person in each year; year 0 is the first session and the year before it.

    Attributes
    ----------
    groups
        (person,) names.
    relapses
        (person, year) number; NaN in years that were not followed to their end.
    person_years
        (person, year) time in which they could happen; NaN likewise.
    new_t2
        (person, year) lesions that are new since the scan a year before, scans in between included; of year 0: those
        of the first session.
    gd
        (person, year) lesions that take up gadolinium in the scan of that year.
    edss
        (person, year) at the session or visit nearest to the end of the year.
    is_long
        (person, year) whether new lesions were counted over more than a year, the scan before being missing.
    notes
        What a reader should know: sentences.
    """

    groups: NDArray[np.object_]
    relapses: NDArray[np.float64]
    person_years: NDArray[np.float64]
    new_t2: NDArray[np.float64]
    gd: NDArray[np.float64]
    edss: NDArray[np.float64]
    is_long: NDArray[np.bool_]
    notes: tuple[str, ...]

    def of(self, variable: str) -> NDArray[np.float64]:
        """Return the values (person, year) of a variable by its name."""
        return np.asarray(getattr(self, variable), dtype=np.float64)


def take_years(study: Study, plan: Plan) -> YearlyValues:
    """Sort what is known by person and year.

    A session belongs to the year that ends nearest to it, if the length of a year so made is one that the plan allows;
    of several with a value the nearest is taken. Relapses are counted between the sessions of two years; where there is
    none, from or to the day that ends the year.

    Raises
    ------
    CannotAnalyseError
        If nobody was followed for a year, or nothing was recorded.
    """
    rows = baseline_rows(study)
    known = study.persons.index[study.persons["group"].notna()].intersection(rows.index)
    people = pd.Index(known)
    first_day = pd.Series(study.sessions.loc[rows.loc[people], "days"].to_numpy(dtype=float), people).fillna(0.0)
    columns = ["participant_id", "days", "edss", "new_t2", "gd", "has_scan"]
    sessions = _since_first(study.sessions.loc[study.sessions["years"] >= 0.0, columns], people, first_day)
    visits = _since_first(study.visits[["participant_id", "days", "edss"]], people, first_day)
    visits = visits[visits["since"] > 0.0]
    any_value = bool(sessions[["edss", "new_t2", "gd"]].notna().any(axis=None)) or study.relapses is not None
    if not any_value:
        raise CannotAnalyseError("neither relapses nor lesion counts nor EDSS were recorded")
    tolerance = plan.intervals.year_days
    seen = _nearest(sessions, len(people), None, tolerance)
    years = seen.shape[1]
    if years < 2:
        raise CannotAnalyseError("nobody has a session about a year or more after the first")
    edss = pd.concat([sessions[["person", "since", "edss"]], visits[["person", "since", "edss"]]], ignore_index=True)
    new_t2, is_long = _new_lesions(sessions, len(people), years, tolerance)
    before, note = relapses_before(study, rows)
    contact = pd.concat([sessions, visits]).groupby("person")["since"].max().reindex(range(len(people))).to_numpy()
    follow_up = _count_relapses(study, people, first_day, _at(sessions, "since", seen), contact, tolerance[0])
    relapses, person_years = follow_up
    relapses[:, 0] = before.reindex(people).to_numpy(dtype=float)
    person_years[:, 0] = np.where(np.isnan(relapses[:, 0]), np.nan, 1.0)
    return YearlyValues(
        groups=study.persons.loc[people, "group"].astype(object).to_numpy(),
        relapses=relapses,
        person_years=person_years,
        new_t2=new_t2,
        gd=_at(sessions, "gd", _nearest(sessions, len(people), "gd", tolerance, years)),
        edss=_at(edss, "edss", _nearest(edss, len(people), "edss", tolerance, years)),
        is_long=is_long,
        notes=(note,) if note else (),
    )


def _since_first(rows: pd.DataFrame, people: pd.Index[Any], first_day: pd.Series[float]) -> pd.DataFrame:
    """Return rows of these people with ``person`` (number) and ``since`` (days since the first session), in order."""
    kept = rows[rows["participant_id"].isin(people)]
    since = kept["days"].to_numpy(dtype=float) - first_day.loc[kept["participant_id"]].to_numpy(dtype=float)
    # A person with a single session without a day has that as the first.
    since = np.where(np.isnan(since) & ("has_scan" in kept), 0.0, since)
    kept = kept.assign(person=people.get_indexer(pd.Index(kept["participant_id"])), since=since)
    return kept.dropna(subset=["since"]).sort_values(["person", "since"], kind="stable").reset_index(drop=True)


def _nearest(
    rows: pd.DataFrame, people: int, column: str | None, tolerance: tuple[float, float], years: int | None = None
) -> NDArray[np.intp]:
    """Return (person, year) the row nearest to the end of each year with a value in the column; -1 for none."""
    known = rows if column is None else rows[rows[column].notna()]
    since = known["since"].to_numpy(dtype=float)
    year = np.floor(since / DAYS_PER_YEAR + 0.5).astype(int)
    off = since - year * DAYS_PER_YEAR
    low, high = (bound - DAYS_PER_YEAR for bound in tolerance)
    fits = np.where(year == 0, since == 0.0, (off >= low) & (off <= high))
    count = years if years is not None else (int(year[fits].max()) + 1 if fits.any() else 0)
    fits &= year < count
    place = np.flatnonzero(fits)
    # The nearest is written last; of two as near, the earlier row.
    place = place[np.lexsort((-place, -np.abs(off[place])))]
    found = np.full((people, count), -1, dtype=np.intp)
    found[known["person"].to_numpy()[place], year[place]] = known.index.to_numpy()[place]
    return found


def _at(rows: pd.DataFrame, column: str, places: NDArray[np.intp]) -> NDArray[np.float64]:
    values = np.append(rows[column].to_numpy(dtype=float), np.nan)
    return np.asarray(values[places], dtype=np.float64)


def _new_lesions(
    sessions: pd.DataFrame, people: int, years: int, tolerance: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return new lesions (person, year), and whether they were counted over more than that year."""
    places = _nearest(sessions, people, "new_t2", tolerance, years)
    counts = sessions["new_t2"].to_numpy(dtype=float)
    # A scan in between that was not read leaves a gap; a visit without a scan does not.
    gaps = np.isnan(counts) & sessions["has_scan"].to_numpy(dtype=bool)
    total = np.concatenate([[0.0], np.nancumsum(counts)])
    unread = np.concatenate([[0], np.cumsum(gaps)])
    result = np.full(places.shape, np.nan)
    is_long = np.zeros(places.shape, dtype=bool)
    start = sessions.groupby("person").head(1).set_index("person").index
    first = pd.Series(np.flatnonzero(~sessions["person"].duplicated()), start).reindex(range(people)).to_numpy()
    last = np.where(np.isnan(first), 0, first).astype(np.intp)
    for year in range(years):
        place = places[:, year]
        there = place >= 0
        if year == 0:
            result[there, 0] = counts[place[there]]
            continue
        sums = total[place + 1] - total[last + 1]
        clear = unread[place + 1] == unread[last + 1]
        result[there & clear, year] = sums[there & clear]
        is_long[:, year] = there & clear & (_year_of(sessions, last) < year - 1)
        last = np.where(there, place, last)
    return result, is_long


def _year_of(sessions: pd.DataFrame, places: NDArray[np.intp]) -> NDArray[np.int_]:
    since = sessions["since"].to_numpy(dtype=float)[places]
    return np.asarray(np.floor(since / DAYS_PER_YEAR + 0.5), dtype=np.int_)


def _count_relapses(
    study: Study,
    people: pd.Index[Any],
    first_day: pd.Series[float],
    seen: NDArray[np.float64],
    contact: NDArray[np.float64],
    shortest_days: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return relapses and time at risk (person, year) after the first session; NaN where the year was not followed."""
    relapses, time = np.full(seen.shape, np.nan), np.full(seen.shape, np.nan)
    if study.relapses is None:
        return relapses, time
    onsets = study.relapses.dropna(subset=["days"])
    onsets = onsets[onsets["participant_id"].isin(people)]
    person = people.get_indexer(pd.Index(onsets["participant_id"]))
    since = onsets["days"].to_numpy(dtype=float) - first_day.loc[onsets["participant_id"]].to_numpy(dtype=float)
    ends = np.where(np.isnan(seen), np.arange(seen.shape[1]) * DAYS_PER_YEAR, seen)
    controls = is_control(study).loc[people].to_numpy()
    for year in range(1, seen.shape[1]):
        start, end = ends[:, year - 1], np.minimum(ends[:, year], contact)
        followed = (end - start >= np.minimum(shortest_days, ends[:, year] - start)) & (end > start) & ~controls
        within = (since > start[person]) & (since <= end[person])
        number = np.bincount(person[within], minlength=len(people))
        relapses[followed, year] = number[followed]
        time[followed, year] = (end - start)[followed] / DAYS_PER_YEAR
    return relapses, time
