# SPDX-License-Identifier: Apache-2.0
"""What is measured in the clinic besides the EDSS: SDMT, hands, walking, and the layers of the retina."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.demo.cohort_anatomy import NAMES
from bids_msvol.demo.cohort_course import DAYS_PER_YEAR, Course
from bids_msvol.demo.cohort_shape import Shape
from bids_msvol.demo.cohort_volumes import People, Scans

SDMT_MEAN, SDMT_SPREAD, SDMT_WITH_THALAMUS, SDMT_NOISE = 54.0, 7.0, 0.5, 2.0
"""Correct answers of the SDMT: mean and spread between people at an EDSS of 2, correlation with the size of the
thalamus, and spread from visit to visit."""

SDMT_PER_EDSS, HANDS_PER_EDSS, WALK_PER_EDSS = -1.5, 0.06, 0.15
"""What a point of the EDSS costs: correct answers, and shares of the times for the pegs and the walk."""

LAYERS_UM: Mapping[str, tuple[float, float, float, float]] = {
    "rnfl": (96.0, 8.0, -14.0, 1.0), "gcipl": (78.0, 5.0, -11.0, 0.7),
}  # fmt: skip
"""Mean and spread of healthy people, what optic neuritis costs, and the error of a scan, in um."""

NEURITIS = 0.25
"""Share of eyes of people with MS that have had optic neuritis."""

LAYER_LOSS = 0.35
"""Loss of the layers, % a year, for each % a year that the cord loses."""


def draw_tests(
    shape: Shape,
    people: People,
    sizes: NDArray[np.float64],
    courses: Sequence[Course],
    ids: Sequence[str],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the table of visits: EDSS and tests.

    Parameters
    ----------
    shape
        What is planted.
    people
        Everybody.
    sizes
        (person, structure) as `bids_msvol.demo.cohort_volumes.draw_sizes` gives them.
    courses
        Visits of everybody; an EDSS of NaN for healthy people.
    ids
        Names of everybody.
    rng
        Source of chance.
    """
    person = np.repeat(np.arange(len(courses)), [len(course.days) for course in courses])
    days = np.array([day for course in courses for day in course.days])
    edss = np.array([value for course in courses for value in course.edss])
    beyond = np.where(np.isnan(edss), -1.0, edss - 2.0)
    clinics = [shape.arms[number].clinic for number in people.arm]
    slope = np.array([clinic.sdmt_per_year if clinic else 0.0 for clinic in clinics])
    thalamus = sizes[:, NAMES.index("Thalamus")]
    own = rng.standard_normal((3, len(people.arm)))
    error = rng.standard_normal((3, len(days)))
    ability = SDMT_WITH_THALAMUS * thalamus + np.sqrt(1.0 - SDMT_WITH_THALAMUS**2) * own[0]
    sdmt = SDMT_MEAN + SDMT_SPREAD * ability[person] + slope[person] * days / DAYS_PER_YEAR
    sdmt = sdmt + SDMT_PER_EDSS * beyond + SDMT_NOISE * error[0]
    hands = 20.0 * np.exp(0.10 * own[1][person] + HANDS_PER_EDSS * beyond + 0.04 * error[1])
    walk = 4.8 * np.exp(0.12 * own[2][person] + WALK_PER_EDSS * beyond + 0.05 * error[2])
    tested = np.full(len(days), shape.has_tests)
    visits = pd.DataFrame(
        {
            "participant_id": np.array(ids)[person],
            "days": days,
            "edss": edss,
            "sdmt": np.where(tested, np.clip(sdmt.round(), 0.0, 110.0), np.nan),
            "nhpt": np.where(tested, hands.round(1), np.nan),
            "t25fw": np.where(tested, walk.round(1), np.nan),
            "pasat": np.nan,
        }
    )
    return visits[visits[["edss", "sdmt"]].notna().any(axis=1)].reset_index(drop=True)


def draw_eyes(
    shape: Shape, people: People, scans: Scans, rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, NDArray[np.float64]]]:
    """Return the layers of each eye at each scan, and the means of the eyes without optic neuritis.

    Returns
    -------
    eyes : pandas.DataFrame
        One row a scan: ``rnfl_od``, ..., ``on_os``; no columns where eyes are not measured.
    means : dict of str to numpy.ndarray
        ``rnfl_um`` and ``gcipl_um``.
    """
    count = len(scans.person)
    if not shape.has_eyes:
        return pd.DataFrame(index=range(count)), {f"{layer}_um": np.full(count, np.nan) for layer in LAYERS_UM}
    ill = np.array([arm.clinic is not None for arm in shape.arms])[people.arm]
    loss = np.array([LAYER_LOSS * arm.cord.rate_pct_per_year for arm in shape.arms])[people.arm]
    neuritis = (rng.random((2, len(people.arm))) < NEURITIS) & ill
    columns: dict[str, NDArray[np.float64] | NDArray[np.bool_]] = {}
    means: dict[str, NDArray[np.float64]] = {}
    for layer, (mean, spread, cost, noise) in LAYERS_UM.items():
        person = rng.standard_normal(len(people.arm))
        measured = []
        for eye, name in enumerate(("od", "os")):
            standard = np.sqrt(0.8) * person + np.sqrt(0.2) * rng.standard_normal(len(people.arm))
            first = mean + spread * standard + cost * neuritis[eye] - 2.0 * ill
            true = first[scans.person] * (1.0 + loss[scans.person] / 100.0 * scans.years)
            measured.append((true + noise * rng.standard_normal(count)).round(1))
            columns[f"{layer}_{name}"] = measured[-1]
        used = ~neuritis[:, scans.person]
        total, number = (np.stack(measured) * used).sum(axis=0), used.sum(axis=0)
        means[f"{layer}_um"] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    for eye, name in enumerate(("od", "os")):
        columns[f"on_{name}"] = neuritis[eye][scans.person]
    return pd.DataFrame(columns), means
