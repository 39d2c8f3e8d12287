# SPDX-License-Identifier: Apache-2.0
"""Volumes of all structures of simulated people at all their scans, for whole studies at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bids_msvol.demo.cohort_anatomy import (
    ANATOMY,
    CORD_AGE_PCT,
    CORD_ETIV_POWER,
    CORD_LENGTHS_MM,
    CORD_LEVEL_SPREAD,
    CORD_MEN_PCT,
    CORD_MM2,
    CORD_NOISE_PCT,
    CORD_SPREAD,
    FLUID,
    FLUID_CORRELATION,
    NAMES,
    OPPOSED_CORRELATION,
    PAIR_CORRELATIONS,
    REFERENCE_AGE,
    SIDES_CORRELATION,
    TISSUE_CORRELATION,
)
from bids_msvol.demo.cohort_shape import Brain, Cord
from bids_msvol.structures import STRUCTURES, SUMS

REFERENCE_ETIV_MM3 = 1.5e6

SHARED_RATE = 0.5
"""Share of the variance of people's rates of change that all structures of a person have in common."""

SMALLEST_SHARE = 0.05
"""No volume falls below this share of the first one, whatever is planted."""

FLUID_RATE_FACTOR = 4.0


@dataclass(frozen=True, eq=False)
class People:
    """What volumes depend on, one entry a person.

    Attributes
    ----------
    arm
        (person,) number of the arm.
    age
        At the first scan, years.
    is_man
        Whether male.
    etiv_mm3
        Intracranial volume.
    """

    arm: NDArray[np.int64]
    age: NDArray[np.float64]
    is_man: NDArray[np.bool_]
    etiv_mm3: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scans:
    """What changes from scan to scan, one entry a scan.

    Attributes
    ----------
    person
        (scan,) number of the person.
    years
        Since the first visit.
    lesions
        New or enlarging lesions since the first scan.
    first_lesions
        Those of the first scan.
    """

    person: NDArray[np.int64]
    years: NDArray[np.float64]
    lesions: NDArray[np.float64]
    first_lesions: NDArray[np.float64]


def correlation_matrix(own: Mapping[tuple[str, str], float]) -> NDArray[np.float64]:
    """Return correlations of the structures of `ANATOMY` between people.

    Parameters
    ----------
    own
        Pairs that differ from healthy people.

    Raises
    ------
    ValueError
        If no people can be correlated like that.
    """
    count = len(NAMES)
    matrix = np.full((count, count), TISSUE_CORRELATION)
    fluid = np.array([name in FLUID for name in NAMES])
    matrix[np.ix_(fluid, fluid)] = FLUID_CORRELATION
    matrix[np.ix_(fluid, ~fluid)] = matrix[np.ix_(~fluid, fluid)] = OPPOSED_CORRELATION
    for (one, other), value in {**PAIR_CORRELATIONS, **own}.items():
        row, column = NAMES.index(one), NAMES.index(other)
        matrix[row, column] = matrix[column, row] = value
    np.fill_diagonal(matrix, 1.0)
    if np.linalg.eigvalsh(matrix)[0] <= 0.0:
        raise ValueError(f"no people can be correlated like this: {dict(own)}")
    return matrix


def draw_sizes(brains: Sequence[Brain], people: People, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw how each structure of each person differs from the average, in standard deviations.

    Returns
    -------
    numpy.ndarray
        (person, structure), both sides together.
    """
    standard = rng.standard_normal((len(people.arm), len(NAMES)))
    for number, brain in enumerate(brains):
        chosen = people.arm == number
        standard[chosen] = standard[chosen] @ np.linalg.cholesky(correlation_matrix(brain.correlations)).T
    return standard


def make_volumes(
    brains: Sequence[Brain],
    people: People,
    sizes: NDArray[np.float64],
    scans: Scans,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """Make the measured volumes: V(t) = V(0) + s t + beta n(t) + gamma n(0) t + error.

    Parameters
    ----------
    brains
        What is planted, by number of the arm.
    people, scans
        Who was scanned when.
    sizes
        As `draw_sizes` gives them.
    rng
        Source of chance.

    Returns
    -------
    dict of str to numpy.ndarray
        (scan,) mm3 by name of the row, sums included; all structures add up to the intracranial volume.
    """
    etiv = people.etiv_mm3[scans.person]
    shared = rng.standard_normal(len(people.arm))
    volumes: dict[str, NDArray[np.float64]] = {}
    for number, item in enumerate(ANATOMY):
        own = rng.standard_normal(len(people.arm))
        standard = np.sqrt(SHARED_RATE) * shared + np.sqrt(1.0 - SHARED_RATE) * own
        # Ventricles grow where tissue is lost.
        spread = _of_arms([brain.rate_spread_pct for brain in brains], people)
        spread *= -FLUID_RATE_FACTOR if item.name in FLUID else 1.0
        rate = item.age_pct + _planted(brains, "rates_pct_per_year", item.name, people) + spread * standard
        per_lesion = _planted(brains, "per_lesion_pct_etiv", item.name, people)[scans.person]
        per_first = _planted(brains, "per_first_lesion_pct_etiv", item.name, people)[scans.person]
        toll = etiv / 100.0 * (per_lesion * scans.lesions + per_first * scans.first_lesions * scans.years)
        difference = _planted(brains, "differences_pct", item.name, people)
        sides = len(item.rows)
        for row in item.rows:
            side = rng.standard_normal(len(people.arm))
            within = SIDES_CORRELATION if sides == 2 else 1.0
            standard = np.sqrt(within) * sizes[:, number] + np.sqrt(1.0 - within) * side
            typical = people.etiv_mm3 * item.share_pct / 100.0 / sides * (1.0 + difference / 100.0)
            first = typical * np.exp(item.spread * standard + item.age_pct / 100.0 * (people.age - REFERENCE_AGE))
            change = first[scans.person] * rate[scans.person] / 100.0 * scans.years + toll / sides
            true = np.maximum(first[scans.person] + change, SMALLEST_SHARE * first[scans.person])
            volumes[row] = true * (1.0 + item.noise_pct / 100.0 * rng.standard_normal(len(true)))
    brain_and_ventricles = np.sum(list(volumes.values()), axis=0)
    volumes["CSF"] = etiv - brain_and_ventricles
    names = {item.index: item.name for item in STRUCTURES}
    ordered = {item.name: volumes[item.name] for item in STRUCTURES}
    sums = {one.name: np.sum([volumes[names[index]] for index in one.members], axis=0) for one in SUMS}
    return {**ordered, **sums}


def make_cord(
    cords: Sequence[Cord], people: People, sizes: NDArray[np.float64], scans: Scans, rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Make the measured areas of the cord, in mm2, by level; see `make_volumes`.

    The size of the cord goes with that of the whole brain, head size taken out, as each arm says.
    """
    brain = np.array([item.share_pct * item.spread * (item.name not in FLUID) for item in ANATOMY])
    together = sizes @ brain
    together = together / max(float(together.std()), 1e-9)
    share = _of_arms([cord.with_brain for cord in cords], people)
    whole = share * together + np.sqrt(1.0 - share**2) * rng.standard_normal(len(people.arm))
    rate = _of_arms([cord.rate_pct_per_year for cord in cords], people)
    typical = (
        (1.0 + CORD_AGE_PCT / 100.0 * (people.age - REFERENCE_AGE))
        * (1.0 + CORD_MEN_PCT / 100.0 * (people.is_man - 0.5))
        * (people.etiv_mm3 / REFERENCE_ETIV_MM3) ** CORD_ETIV_POWER
    )
    areas: dict[str, NDArray[np.float64]] = {}
    for level, area in CORD_MM2.items():
        difference = _of_arms([cord.differences_pct.get(level, 0.0) for cord in cords], people)
        own = CORD_SPREAD * whole + CORD_LEVEL_SPREAD * rng.standard_normal(len(people.arm))
        first = area * typical * np.exp(own) * (1.0 + difference / 100.0)
        true = first[scans.person] * (1.0 + rate[scans.person] / 100.0 * scans.years)
        areas[level] = true * (1.0 + CORD_NOISE_PCT / 100.0 * rng.standard_normal(len(true)))
    lengths = np.array(list(CORD_LENGTHS_MM.values()))
    stacked = np.stack([areas[level] for level in CORD_LENGTHS_MM])
    # Ten millimetres on each side of the disc.
    return {**areas, "C2-C3": (areas["C2"] + areas["C3"]) / 2.0, "C1-C7": lengths @ stacked / lengths.sum()}


def add_up_lesions(person: NDArray[np.int64], new: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return for each scan the lesions since the person's first scan, and those of the first scan.

    Parameters
    ----------
    person
        (scan,) number of the person; scans by person and time.
    new
        New or enlarging lesions since the scan before.
    """
    starts = np.flatnonzero(np.diff(person, prepend=-1))
    since, first = np.zeros_like(new), np.zeros_like(new)
    for start, end in pairwise([*starts.tolist(), len(person)]):
        first[start:end] = new[start]
        since[start:end] = np.cumsum(new[start:end]) - new[start]
    return since, first


def _planted(brains: Sequence[Brain], attribute: str, name: str, people: People) -> NDArray[np.float64]:
    return _of_arms([getattr(brain, attribute).get(name, 0.0) for brain in brains], people)


def _of_arms(values: Sequence[float], people: People) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)[people.arm]
