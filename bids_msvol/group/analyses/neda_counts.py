# SPDX-License-Identifier: Apache-2.0
"""NEDA of persons by year and over all of follow-up (disease_activity, time_to_event), from their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan

COMPONENTS: Mapping[str, str] = MappingProxyType(
    {
        "no_relapse": "Relapse",
        "no_worsening": "Confirmed EDSS worsening",
        "no_new_t2": "New T2 lesion",
        "no_enlarging_t2": "Enlarging T2 lesion",
        "no_gd": "Gd-enhancing lesion",
        "no_brain_loss": "Brain volume loss",
    }
)
"""What may end NEDA, by the column that says that it did not."""

STATES: Mapping[str, str] = MappingProxyType({"neda3": "NEDA-3", "neda4": "NEDA-4"})

ALL_YEARS = "all"
"""What stands for the year where all of follow-up is meant."""


def as_states(values: pd.Series[bool]) -> np.ndarray:
    """Return truth values as numbers: 1 holds, 0 fails, NaN not known."""
    return np.array([np.nan if value is None or value != value else float(value) for value in values.tolist()])


def by_year(intervals: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Join the intervals of each year of each person.

    Parameters
    ----------
    intervals
        As in `bids_msvol.group.study.Study`.

    Returns
    -------
    pandas.DataFrame
        ``participant_id``, ``year``, ``years`` (length), ``is_year`` (whether that counts as a year), and all
        components and states as numbers: 1 if it holds in all intervals, 0 if it fails in one, else NaN.
    """
    joined = _join(intervals, ["participant_id", "year"])
    shortest, longest = plan.intervals.year_days
    return joined.assign(is_year=(joined["years"] * 365.25).between(shortest, longest))


def by_person(intervals: pd.DataFrame) -> pd.DataFrame:
    """Join all intervals of each person; columns as `by_year`, without ``year`` and ``is_year``."""
    return _join(intervals, ["participant_id"])


def _join(intervals: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    names = [*COMPONENTS, *STATES]
    states = pd.DataFrame({name: as_states(intervals[name]) for name in names}, index=intervals.index)
    frame = pd.concat([intervals[[*keys, "years"]], states], axis=1)
    grouped = frame.groupby(list(keys), sort=True)
    lowest = grouped[names].min()
    unknown = frame[names].isna().groupby([frame[key] for key in keys], sort=True).any()
    # A failure stands whatever is unknown; what holds must be known everywhere.
    joined = lowest.where((lowest == 0.0) | ~unknown)
    return joined.assign(years=grouped["years"].sum()).reset_index()
