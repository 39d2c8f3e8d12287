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
from bids_msvol.group.study import DAYS_PER_YEAR

if TYPE_CHECKING:
    from bids_msvol.clinical.events import History
    from bids_msvol.group.plan import Plan

NEDA_COLUMNS = (
    "no_relapse", "no_worsening", "no_new_t2", "no_enlarging_t2", "no_gd", "no_brain_loss", "neda3", "neda4",
)  # fmt: skip

COUNTS = ("new_t2", "enlarging_t2", "gd")


def make_intervals(sessions: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return one row for each two consecutive sessions of known days; see `bids_msvol.group.study.Study`.

    Counts of lesions are those at the end or the start of the interval, as the plan says.
    """
    dated = sessions[sessions["years"] >= 0.0].rename_axis("row").reset_index()
    same = dated["participant_id"].to_numpy()[1:] == dated["participant_id"].to_numpy()[:-1]
    start = dated.iloc[:-1][same].reset_index(drop=True)
    end = dated.iloc[1:][same].reset_index(drop=True)
    days = end["days"] - start["days"]
    shortest, longest = plan.intervals.year_days
    counted = end if plan.activity.lesion_lag == "end" else start
    intervals = pd.DataFrame(
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
            **{name: counted[name] for name in COUNTS},
            # NEDA is about what appeared within the interval, whatever counts are related to the change.
            **{f"{name}_end": end[name] for name in COUNTS},
        }
    )
    return intervals[intervals["years"] > 0.0].reset_index(drop=True)


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
