# SPDX-License-Identifier: Apache-2.0
"""A made-up study in which some people progress: EDSS, SDMT, relapses and OCT planted, built on `cohorts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Plan
from bids_msvol.group.study import DAYS_PER_YEAR, Study
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import make_tables


def make_progressing_tables(
    classes: Mapping[str, int],
    *,
    loss_pct_per_year: Mapping[str, float] | None = None,
    years: Sequence[float] = (0.0, 1.0, 2.0, 3.0, 4.0),
    seed: int = 3,
    noise_pct: float = 0.3,
    oct_per_ml: float = 0.0,
) -> StudyTables:
    """Return tables of people whose class of progression is known: ``stable``, ``PIRA``, ``RAW``, ``undefined``.

    All have EDSS 2.0 for two years; then all but the stable have 3.0. A relapse begins 30 days before the change in
    RAW, and 10 days after it as well as 60 days before each later visit in undefined. They are in one group, ``MS``.

    Parameters
    ----------
    classes
        Number of persons in each.
    loss_pct_per_year, years, seed, noise_pct
        As for `make_tables`, by class.
    oct_per_ml
        Micrometres of RNFL for each millilitre of the thalamus.
    """
    tables = make_tables(
        classes, years=years, seed=seed, loss_pct_per_year=loss_pct_per_year, noise_pct=noise_pct, column="phenotype"
    )
    rng = np.random.default_rng(seed + 100)
    kinds = tables.persons["phenotype"]
    sessions = tables.sessions.copy()
    kind = kinds.loc[sessions["participant_id"]].to_numpy()
    late = (sessions["days"] > 1.5 * DAYS_PER_YEAR).to_numpy()
    sessions["edss"] = np.where(late & (kind != "stable"), 3.0, 2.0)
    time = sessions["days"].to_numpy() / DAYS_PER_YEAR
    sessions["sdmt"] = np.round(50.0 - 2.0 * time * (kind != "stable") + rng.normal(0.0, 1.0, len(time)))
    thalamus = tables.volumes_mm3[["Left-Thalamus", "Right-Thalamus"]].sum(axis=1) / 1000.0
    sessions["rnfl_um"] = 90.0 + oct_per_ml * (thalamus - thalamus.mean()) + rng.normal(0.0, 2.0, len(time))
    onset = 2.0 * DAYS_PER_YEAR
    rows = [(name, onset - 30.0) for name in kinds.index[kinds == "RAW"]]
    for name in kinds.index[kinds == "undefined"]:
        rows += [(name, onset + 10.0)] + [(name, year * DAYS_PER_YEAR - 60.0) for year in years if year > 2.0]
    scales = ["participant_id", "days", "edss", "sdmt", "nhpt", "t25fw", "pasat"]
    return replace(
        tables,
        persons=tables.persons.assign(group="MS", phenotype="RRMS"),
        sessions=sessions,
        visits=sessions[scales],
        relapses=pd.DataFrame(rows, columns=["participant_id", "days"]).assign(steroids=False),
    )


def make_progressing(classes: Mapping[str, int], plan: Plan | None = None, **options: object) -> Study:
    """Return the study that `make_progressing_tables` makes the tables of."""
    return assemble(make_progressing_tables(classes, **options), plan or Plan())  # type: ignore[arg-type]
