# SPDX-License-Identifier: Apache-2.0
"""The intervals between consecutive sessions: lesions, relapses, disability and NEDA in each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.clinical.course import Relapse
from bids_msvol.clinical.neda import ImagingActivity, Neda, assess_neda
from bids_msvol.group.baseline import ADDED
from bids_msvol.group.study import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bids_msvol.clinical.events import History
    from bids_msvol.group.plan import Plan

NEDA_COLUMNS = (
    "no_relapse", "no_worsening", "no_new_t2", "no_enlarging_t2", "no_gd", "no_brain_loss", "neda3", "neda4",
)  # fmt: skip

COUNTS = ("new_t2", "enlarging_t2", "gd")


def make_intervals(sessions: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return the intervals of each person, from scan to scan; see `bids_msvol.group.study.Study`.

    A session without scan and without lesion counts is a clinical visit and cuts no interval. A scan sooner than a year
    counts as does not end one, if a later scan still does: its lesions are added to those of that scan. So half-yearly
    scans make yearly intervals. Counts of lesions are those of the interval's end or start, as the plan says.
    """
    seen = sessions["has_scan"] | (sessions["excluded_because"] != "") | sessions[list(COUNTS)].notna().any(axis=1)
    chosen = seen if seen.any() else sessions["session_id"] != ADDED
    scans = sessions[(sessions["years"] >= 0.0) & chosen].rename_axis("row").reset_index()
    firsts, lasts = _cut(scans["participant_id"].to_numpy(), scans["days"].to_numpy(dtype=float), plan)
    start, end = scans.iloc[firsts].reset_index(drop=True), scans.iloc[lasts].reset_index(drop=True)
    days = end["days"] - start["days"]
    shortest, longest = plan.intervals.year_days
    within = {name: _add_up(scans[name].to_numpy(dtype=float), firsts, lasts) for name in COUNTS}
    return pd.DataFrame(
        {
            "participant_id": start["participant_id"],
            "from_row": start["row"],
            "to_row": end["row"],
            "session_id_from": start["session_id"],
            "session_id_to": end["session_id"],
            "start_day": start["days"],
            "end_day": end["days"],
            "years": days / DAYS_PER_YEAR,
            # The middle decides: half-yearly scans of 1.0 and 1.5 years are in the second year.
            "year": np.floor((start["years"] + end["years"]) / 2.0).astype(int) + 1,
            "is_year": days.between(shortest, longest),
            "edss_from": start["edss"],
            "edss_to": end["edss"],
            **{name: within[name] if plan.activity.lesion_lag == "end" else start[name] for name in COUNTS},
            # NEDA is about what appeared within the interval, whatever counts are related to the change.
            **{f"{name}_end": within[name] for name in COUNTS},
        }
    )


def _cut(persons: NDArray[np.object_], days: NDArray[np.float64], plan: Plan) -> tuple[list[int], list[int]]:
    """Return the first and last scan of each interval, by their numbers; scans are by person and day."""
    shortest, longest = plan.intervals.year_days
    firsts: list[int] = []
    lasts: list[int] = []
    start = 0
    while start < len(days) - 1:
        end = start + 1
        if persons[end] == persons[start]:
            while (
                days[end] - days[start] < shortest
                and end + 1 < len(days)
                and persons[end + 1] == persons[start]
                and days[end + 1] - days[start] <= longest
            ):
                end += 1
            if days[end] > days[start]:
                firsts.append(start)
                lasts.append(end)
        start = end
    return firsts, lasts


def _add_up(counts: NDArray[np.float64], firsts: list[int], lasts: list[int]) -> NDArray[np.float64]:
    """Return the sum of the counts after the first up to the last scan of each interval; NaN if one is missing."""
    return np.array([counts[first + 1 : last + 1].sum() for first, last in zip(firsts, lasts, strict=True)])


def add_neda(
    intervals: pd.DataFrame,
    histories: Mapping[str, History],
    relapse_days: Mapping[str, np.ndarray] | None,
    brain_pct_per_year: np.ndarray,
    plan: Plan,
) -> pd.DataFrame:
    """Return intervals with relapses counted and every component of NEDA.

    Parameters
    ----------
    intervals
        As `make_intervals` gives them.
    histories
        EDSS events by person.
    relapse_days
        Onsets by person, ascending; ``None`` if relapses were not recorded.
    brain_pct_per_year
        (interval,) change of brain volume, NaN where not measured.
    plan
        Thresholds.
    """
    activity = plan.activity
    enlarging_apart = intervals["enlarging_t2_end"].notna().any()
    gd_required = activity.gd_required == "yes" or (
        activity.gd_required == "auto" and bool(intervals["gd_end"].notna().any())
    )
    rows: list[Neda] = []
    relapses: list[float] = []
    for position, one in enumerate(intervals.itertuples(index=False)):
        name = str(one.participant_id)
        onsets = None if relapse_days is None else relapse_days.get(name, np.empty(0))
        new, enlarging = _count(one.new_t2_end), _count(one.enlarging_t2_end)
        loss = float(brain_pct_per_year[position])
        rows.append(
            assess_neda(
                float(one.start_day),  # type: ignore[arg-type]
                float(one.end_day),  # type: ignore[arg-type]
                relapses=None if onsets is None else [Relapse(float(day)) for day in onsets],
                history=histories.get(name),
                # New lesions counted without enlarging ones stand for both.
                imaging=ImagingActivity(new, enlarging if enlarging_apart else new, _count(one.gd_end)),
                brain_change_pct_per_year=None if math.isnan(loss) else loss,
                bvl_cutoff=activity.bvl_cutoff_pct_per_year,
                gd_required=gd_required,
                visit_gap_days=plan.intervals.visit_gap_days,
            )
        )
        within = None if onsets is None else (onsets > one.start_day) & (onsets <= one.end_day)
        relapses.append(math.nan if within is None else float(within.sum()))
    columns = {name: pd.Series([getattr(row, name) for row in rows], dtype=object) for name in NEDA_COLUMNS}
    return intervals.assign(relapses=relapses, brain_pct_per_year=brain_pct_per_year, **columns)


def _count(value: object) -> int | None:
    number = float(value)  # type: ignore[arg-type]
    return None if math.isnan(number) else int(number)
