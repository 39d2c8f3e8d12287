# SPDX-License-Identifier: Apache-2.0
"""Change between pairs of scans, measured from images where it was, else the difference of two volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.group.study import DAYS_PER_YEAR

if TYPE_CHECKING:
    from bids_msvol.group.study import ChangeUnit, Study


def change_between(
    study: Study, from_rows: Sequence[int], to_rows: Sequence[int], regions: list[str], unit: ChangeUnit
) -> pd.DataFrame:
    """Return the change between pairs of sessions; see `bids_msvol.group.study.Study.change`."""
    earlier = study.volumes_mm3.reindex(pd.Index(from_rows))[regions].to_numpy()
    # Nothing can be said in per cent of nothing.
    earlier = np.where(earlier == 0.0, np.nan, earlier)
    measured = study.measured_change_mm3
    if measured is None:
        change = study.volumes_mm3.reindex(pd.Index(to_rows))[regions].to_numpy() - earlier
        percent = 100.0 * change / earlier
    else:
        pairs = pd.MultiIndex.from_arrays([np.asarray(from_rows), np.asarray(to_rows)])
        assert study.measured_change_pct is not None
        change = measured.reindex(pairs)[regions].to_numpy()
        percent = study.measured_change_pct.reindex(pairs)[regions].to_numpy()
    if unit == "pct":
        return pd.DataFrame(percent, columns=regions)
    etiv = study.sessions["etiv_mm3"].reindex(pd.Index(from_rows)).to_numpy()
    return pd.DataFrame(100.0 * change / etiv[:, np.newaxis], columns=regions)


def find_spans(study: Study, years: float, tolerance_days: float) -> pd.DataFrame:
    """Return pairs of scans so many years apart; see `bids_msvol.group.study.Study.spans`.

    The first scan must be the person's first session: later ones are no baseline.
    """
    scans = study.sessions.loc[study.volumes_mm3.index, ["participant_id", "years"]].dropna()
    scans = scans.rename_axis("row").reset_index()
    first = scans[scans["years"] == 0.0].drop_duplicates("participant_id")
    later = scans[scans["years"] > 0.0]
    later = later.assign(gap_days=(later["years"] - years).abs() * DAYS_PER_YEAR)
    later = later[later["gap_days"] <= tolerance_days].sort_values(["participant_id", "gap_days", "years"])
    pairs = first.merge(later.drop_duplicates("participant_id"), on="participant_id", suffixes=("_from", "_to"))
    return pd.DataFrame(
        {
            "participant_id": pairs["participant_id"],
            "from_row": pairs["row_from"],
            "to_row": pairs["row_to"],
            "years": pairs["years_to"],
        }
    )
