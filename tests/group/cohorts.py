# SPDX-License-Identifier: Apache-2.0
"""Small made-up studies for the tests of the group level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Plan
from bids_msvol.group.study import DAYS_PER_YEAR, Study
from bids_msvol.group.tables import StudyTables
from bids_msvol.structures import STRUCTURES, SUMS

LEVELS = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C2-C3", "C1-C7")

SESSION_COLUMNS: Mapping[str, Any] = {
    "age": np.nan, "edss": np.nan, "sdmt": np.nan, "nhpt": np.nan, "t25fw": np.nan, "pasat": np.nan,
    "rnfl_um": np.nan, "gcipl_um": np.nan,
    "new_t2_clinic": np.nan, "enlarging_t2_clinic": np.nan, "gd_clinic": np.nan, "t2_count_clinic": np.nan,
    "new_t2_images": np.nan, "enlarging_t2_images": np.nan, "gd_images": np.nan, "t2_count_images": np.nan,
    "lesion_volume_mm3": np.nan, "etiv_mm3": np.nan, "verdict": "pass", "steroid_days_before": np.nan,
    "exclude": False, "exclude_reason": "",
}  # fmt: skip
"""What a session has unless a test says otherwise."""


def make_tables(
    groups: Mapping[str, int],
    *,
    years: Sequence[float] = (0.0, 1.0, 2.0, 3.0),
    seed: int = 1,
    loss_pct_per_year: Mapping[str, float] | None = None,
    noise_pct: float = 0.3,
    volume_factor: Mapping[str, float] | None = None,
    column: str = "group",
    clinical: bool = True,
    cord: bool = True,
) -> StudyTables:
    """Return tables of people in groups, scanned at the same times.

    Parameters
    ----------
    groups
        Number of persons in each.
    years
        Times of the scans.
    seed
        Of all chance.
    loss_pct_per_year
        Loss of every brain structure by group (default 0.5); ventricles grow by four times as much.
    noise_pct
        Standard deviation of the error of one volume.
    volume_factor
        What all brain volumes of a group are multiplied with.
    column
        Column of the participants that holds the group.
    clinical
        Whether there are EDSS, SDMT, lesions and relapses.
    cord
        Whether there are cord areas.
    """
    rng = np.random.default_rng(seed)
    labels = [name for name, count in groups.items() for _ in range(count)]
    ids = [f"sub-{number:03d}" for number in range(1, len(labels) + 1)]
    count, visits = len(ids), len(years)
    etiv = rng.normal(1.5e6, 1.2e5, count)
    persons = pd.DataFrame(
        {
            "sex": rng.choice(["F", "M"], count, p=[0.7, 0.3]),
            "age": rng.uniform(20.0, 60.0, count).round(1),
            "group": None, "phenotype": None, "treatment": None, "site": None,
            "onset_age": np.nan,
            "disease_duration": rng.uniform(1.0, 15.0, count).round(1),
            "n_prior_dmt": rng.integers(0, 4, count).astype(float),
            "education_years": np.nan,
        },
        index=pd.Index(ids, name="participant_id"),
    )  # fmt: skip
    persons[column] = labels
    person = np.repeat(np.arange(count), visits)
    time = np.tile(np.asarray(years), count)
    sessions = pd.DataFrame(
        {
            "participant_id": np.asarray(ids)[person],
            "session_id": [f"ses-{number:02d}" for number in np.tile(np.arange(visits), count)],
            "days": (time * DAYS_PER_YEAR).round(),
        }
    ).assign(**SESSION_COLUMNS)
    sessions["etiv_mm3"] = etiv[person]
    loss = np.array([(loss_pct_per_year or {}).get(label, 0.5) for label in labels])[person]
    factor = np.array([(volume_factor or {}).get(label, 1.0) for label in labels])[person]
    volumes = {}
    for structure in STRUCTURES:
        fluid = structure.tissue == "CSF"
        share = 0.002 + 0.02 * ((structure.index * 7919) % 13) / 13
        own = etiv * share * np.exp(rng.normal(0.0, 0.08, count))
        trend = (1.0 + 4.0 * loss * time / 100.0) if fluid else (1.0 - loss * time / 100.0) * factor
        volumes[structure.name] = own[person] * trend * (1.0 + rng.normal(0.0, noise_pct / 100.0, len(person)))
    frame = pd.DataFrame(volumes)
    names = {structure.index: structure.name for structure in STRUCTURES}
    frame = frame.assign(**{one.name: frame[[names[number] for number in one.members]].sum(axis=1) for one in SUMS})
    areas = pd.DataFrame(columns=list(LEVELS), dtype=float)
    if cord:
        own = rng.normal(70.0, 6.0, count)[person]
        areas = pd.DataFrame(
            {
                level: own * (1.0 - 0.02 * order) * (1.0 - loss * time / 100.0) * factor + rng.normal(0, 0.7, len(own))
                for order, level in enumerate(LEVELS)
            }
        )
    relapses = None
    if clinical:
        edss = np.clip(np.round(2.0 * rng.normal(3.0, 1.2, count)) / 2.0, 1.0, 6.5)[person]
        sessions["edss"] = np.clip(edss + 0.5 * rng.integers(0, 2, len(person)), 0.0, 10.0)
        sessions["sdmt"] = np.round(rng.normal(50.0, 8.0, count)[person] + rng.normal(0.0, 3.0, len(person)))
        sessions["new_t2_clinic"] = rng.negative_binomial(0.5, 0.4, len(person)).astype(float)
        sessions["gd_clinic"] = rng.binomial(sessions["new_t2_clinic"].astype(int), 0.3).astype(float)
        number = rng.poisson(0.3 * max(years), count)
        relapses = pd.DataFrame(
            {
                "participant_id": np.repeat(ids, number),
                "days": rng.uniform(0.0, max(years) * DAYS_PER_YEAR, number.sum()).round(),
                "steroids": False,
            }
        )
    scales = ["participant_id", "days", "edss", "sdmt", "nhpt", "t25fw", "pasat"]
    return StudyTables(
        persons=persons,
        sessions=sessions,
        volumes_mm3=frame,
        cord_mm2=areas,
        thickness_mm=pd.DataFrame(columns=["lh", "rh", "mean"], dtype=float),
        change_mm3=None,
        change_pct=None,
        visits=sessions[scales].dropna(subset=["edss"]),
        relapses=relapses,
        treatments=None,
    )


def make_study(groups: Mapping[str, int], plan: Plan | None = None, **options: Any) -> Study:
    """Return the study that `make_tables` makes the tables of."""
    return assemble(make_tables(groups, **options), plan or Plan())
