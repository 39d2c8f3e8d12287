# SPDX-License-Identifier: Apache-2.0
"""Made-up studies with visits every six months, disability that gets worse, and relapses at a planted rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import make_tables


def make_event_tables(
    groups: Mapping[str, int],
    *,
    years: int = 4,
    worsening_per_year: Mapping[str, float] | None = None,
    relapse_rate: Mapping[str, float] | None = None,
    dispersion_shape: float = 2.0,
    seed: int = 1,
    **options: Any,
) -> StudyTables:
    """Return tables with yearly sessions and visits every half year.

    Parameters
    ----------
    groups
        Number of persons in each.
    years
        Of follow-up.
    worsening_per_year
        Hazard of a lasting rise of the EDSS by 1, by group (default 0.15).
    relapse_rate
        Relapses by year, by group (default 0.4), from a year before the first session on.
    dispersion_shape
        Of the gamma distribution of the rates of persons.
    """
    tables = make_tables(groups, years=tuple(float(year) for year in range(years + 1)), seed=seed, **options)
    rng = np.random.default_rng(seed + 1000)
    column = options.get("column", "group")
    labels = tables.persons[column]
    visits, relapses = [], []
    for name, label in labels.items():
        base = rng.choice([1.0, 1.5, 2.0, 2.5, 3.0, 4.0])
        hazard = (worsening_per_year or {}).get(str(label), 0.15)
        onset = rng.exponential(1.0 / hazard) if hazard else np.inf
        days = np.round(np.arange(0, years + 0.25, 0.5) * DAYS_PER_YEAR)
        values = base + 1.0 * (days / DAYS_PER_YEAR >= onset)
        visits.append(pd.DataFrame({"participant_id": name, "days": days, "edss": values}))
        rate = (relapse_rate or {}).get(str(label), 0.4)
        own = rate * rng.gamma(dispersion_shape, 1.0 / dispersion_shape)
        number = rng.poisson(own * (years + 1))
        when = np.round(rng.uniform(-1.0, float(years), number) * DAYS_PER_YEAR)
        relapses.append(pd.DataFrame({"participant_id": name, "days": when, "steroids": False}))
    table = pd.concat(visits, ignore_index=True).assign(sdmt=np.nan, nhpt=np.nan, t25fw=np.nan, pasat=np.nan)
    # Sessions take the EDSS of the visit on the same day.
    sessions = tables.sessions.drop(columns="edss").merge(
        table[["participant_id", "days", "edss"]], on=["participant_id", "days"], how="left"
    )
    sessions.index = tables.sessions.index
    return replace(tables, sessions=sessions, visits=table, relapses=pd.concat(relapses, ignore_index=True))
