# SPDX-License-Identifier: Apache-2.0
"""Clinical values for each session: its own, else those of the nearest visit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bids_msvol.group.tables import SCALES

if TYPE_CHECKING:
    from numpy.typing import NDArray


def with_scales(sessions: pd.DataFrame, visits: pd.DataFrame, gap_days: float) -> pd.DataFrame:
    """Fill clinical values that a session lacks from the nearest visit, the earlier of two; keep the gap of EDSS.

    Parameters
    ----------
    sessions, visits
        As in `bids_msvol.group.tables.StudyTables`.
    gap_days
        How far a visit may be from a session to speak for it.
    """
    columns: dict[str, Any] = {}
    for scale in SCALES:
        values = sessions[scale].to_numpy(dtype=float, copy=True)
        gaps = np.where(np.isnan(values), np.nan, 0.0)
        wanted = np.isnan(values) & sessions["days"].notna().to_numpy()
        known = visits[["participant_id", "days", scale]].dropna()
        if wanted.any() and len(known):
            found, distance = _nearest(sessions.loc[wanted, ["participant_id", "days"]], known, scale)
            near = np.abs(distance) <= gap_days
            values[wanted] = np.where(near, found, np.nan)
            gaps[wanted] = np.where(near, distance, np.nan)
        columns[scale] = values
        if scale == "edss":
            columns["edss_gap_days"] = gaps
    return sessions.assign(**columns)


def _nearest(
    sessions: pd.DataFrame, visits: pd.DataFrame, scale: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the value of each session's nearest visit, and how many days later than the session that is."""
    left = sessions.assign(position=np.arange(len(sessions)), days=sessions["days"].astype(float)).sort_values("days")
    right = visits.assign(visit_day=visits["days"], days=visits["days"].astype(float)).sort_values("days")
    both = [
        pd.merge_asof(left, right, on="days", by="participant_id", direction=side).sort_values("position")
        for side in ("backward", "forward")
    ]
    gaps = [(one["visit_day"] - one["days"]).to_numpy(dtype=float) for one in both]
    values = [one[scale].to_numpy(dtype=float) for one in both]
    later = np.isnan(gaps[0]) | (np.abs(gaps[1]) < np.abs(gaps[0]))
    return np.where(later, values[1], values[0]), np.where(later, gaps[1], gaps[0])
