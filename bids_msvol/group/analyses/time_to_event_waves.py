# SPDX-License-Identifier: Apache-2.0
"""The planned visits of a study, on which events are put that are found at visits or scans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.group.study import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bids_msvol.group.study import Study

PLANNED_MONTHS = (1, 2, 3, 4, 6, 12, 24, 36, 48, 60)
"""Times between planned visits: parts and multiples of a year, so that every anniversary is a planned visit."""

MONTHS = 12
"""Of a year."""


def usual_months(days: NDArray[np.float64]) -> int:
    """Return the planned time between visits, in months: the one nearest in ratio to the median of the real times.

    Parameters
    ----------
    days
        (gap,) days between consecutive visits, above 0. Without any the answer is a year.
    """
    if not len(days):
        return MONTHS
    median = float(np.median(days)) * MONTHS / DAYS_PER_YEAR
    return min(PLANNED_MONTHS, key=lambda months: abs(np.log(median / months)))


def to_wave(days: NDArray[np.float64], months: int) -> NDArray[np.float64]:
    """Return the times of the planned visits nearest to days since the baseline, in years; the first is the earliest.

    Parameters
    ----------
    days
        Of any shape.
    months
        Between planned visits.
    """
    number = np.floor(days / DAYS_PER_YEAR * MONTHS / months + 0.5)
    # Whole numbers first, so that equal visits have equal times and anniversaries are whole years.
    return np.asarray(np.maximum(number, 1.0) * months / MONTHS, dtype=np.float64)


def visit_months(study: Study, people: pd.DataFrame) -> int:
    """Return the months between the planned EDSS visits of the patients, from the baseline on.

    Parameters
    ----------
    people
        As `bids_msvol.group.analyses.follow_up.follow_up` gives them.
    """
    starts = people["start_day"].to_dict()
    courses = [
        np.array([day for day in history.visit_days if day >= starts[name]])
        for name, history in study.histories.items()
        if name in starts
    ]
    return usual_months(np.concatenate([np.empty(0), *(np.diff(days) for days in courses)]))


def place_intervals(intervals: pd.DataFrame, starts: pd.Series[float]) -> tuple[pd.DataFrame, int]:
    """Return when the lesions of each interval between scans are found, by the plan of the study.

    Parameters
    ----------
    intervals
        As in `bids_msvol.group.study.Study`, by person and day.
    starts
        Day of the baseline, by ``participant_id``.

    Returns
    -------
    pandas.DataFrame
        By the number of the interval: ``wave``, the time of its end in years: its ``year`` if it counts as one, else
        the multiple of the usual interval that is nearest to its end; ``from_baseline``, whether it begins, by the same
        plan, at the baseline.
    int
        The usual interval, in months.
    """
    months = usual_months(intervals["years"].to_numpy(dtype=float) * DAYS_PER_YEAR)
    is_year = intervals["is_year"].to_numpy(dtype=bool)
    ends = (intervals["end_day"] - starts.reindex(intervals["participant_id"]).to_numpy()).to_numpy(dtype=float)
    length = np.where(is_year, 1.0, to_wave((intervals["end_day"] - intervals["start_day"]).to_numpy(float), months))
    wave = pd.Series(
        np.where(is_year, intervals["year"].to_numpy(dtype=float), to_wave(ends, months)), index=intervals.index
    )
    # A later interval never ends before an earlier one, however both were placed.
    wave = wave.groupby(intervals["participant_id"]).cummax()
    return pd.DataFrame({"wave": wave, "from_baseline": wave <= length + 0.5 * months / MONTHS}), months
