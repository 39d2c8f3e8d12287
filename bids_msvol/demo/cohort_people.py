# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a simulated study, who is scanned when, and with which lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bids_msvol.demo.cohort_anatomy import ETIV_MM3
from bids_msvol.demo.cohort_course import DAYS_PER_YEAR
from bids_msvol.demo.cohort_shape import Arm, Lesions, Shape
from bids_msvol.demo.cohort_volumes import People

SCAN_ON_VISIT, LARGEST_GAP_DAYS = 0.6, 20
"""Share of scans on the day of a visit, and how far the others are from it at most."""

MOST_AT_FIRST, MOST_PER_YEAR = 9, 12
"""No more new lesions than these, but in one person."""

MANY_LESIONS = 24
"""New lesions of the one person whom a condition such as ``new_t2>20`` leaves out."""


@dataclass(frozen=True)
class PlannedScan:
    """One scan.

    Attributes
    ----------
    year
        Which yearly scan it is, from 0.
    excluded
        Why it must not be used: ``failed``, ``steroids``, or empty.
    """

    year: int
    excluded: str = ""


def size_arms(shape: Shape, persons: int | None) -> Shape:
    """Return a study with so many persons in all, in the proportions of its arms; at least one in each.

    Places of scans that are given for certain numbers of people are dealt out again in proportion.
    """
    if persons is None:
        return shape
    total = sum(arm.persons for arm in shape.arms)
    exact = [arm.persons * persons / total for arm in shape.arms]
    counts = [max(1, int(value)) for value in exact]
    by_rest = sorted(range(len(exact)), key=lambda number: counts[number] - exact[number])
    for number in by_rest * (persons // len(by_rest) + 1):
        if sum(counts) >= persons:
            break
        counts[number] += 1
    arms = tuple(replace(arm, persons=count) for arm, count in zip(shape.arms, counts, strict=True))
    return replace(shape, arms=arms)


def draw_people(shape: Shape, rng: np.random.Generator) -> People:
    """Draw age, sex and intracranial volume of everybody."""
    arm = np.repeat(np.arange(len(shape.arms)), [one.persons for one in shape.arms])
    ages, men = [], []
    for one in shape.arms:
        ages.append(np.clip(rng.normal(*one.age, one.persons), *one.age_range).round(1))
        # As many women as the share says, not as chance will have it.
        women = round(one.women * one.persons)
        men.append(rng.permutation(np.arange(one.persons) >= women))
    is_man = np.concatenate(men)
    mean, spread = (np.where(is_man, ETIV_MM3["M"][part], ETIV_MM3["F"][part]) for part in (0, 1))
    etiv = mean + spread * np.clip(rng.standard_normal(len(arm)), -2.5, 2.5)
    return People(arm, np.concatenate(ages), is_man, etiv.round(1))


def plan_scans(shape: Shape, years: int, rng: np.random.Generator) -> list[list[PlannedScan]]:
    """Return the scans of everybody, by arm and person."""
    plans: list[list[PlannedScan]] = []
    for arm in shape.arms:
        if arm.scans:
            own = [_of_pattern(pattern, years) for pattern in _deal(arm)]
            plans += _with_exclusions(own, years) if shape.planted_exclusions else own
        else:
            plans += [_at_random(shape, years, rng) for _ in range(arm.persons)]
    return plans


def scan_days(planned: list[PlannedScan], visits: Sequence[float], rng: np.random.Generator) -> list[float]:
    """Return the day of each scan: at the visit of its year or near it; the first of all on day 0."""
    days = []
    for scan in planned:
        nominal = scan.year * DAYS_PER_YEAR
        visit = min(visits, key=lambda day: abs(day - nominal))
        gap = 0 if rng.random() < SCAN_ON_VISIT else int(rng.integers(-LARGEST_GAP_DAYS, LARGEST_GAP_DAYS + 1))
        days.append(visit + (gap if scan.year > 0 else 0))
    return days


def draw_new_lesions(
    lesions: Lesions, planned: list[PlannedScan], rng: np.random.Generator, *, many: bool
) -> list[int]:
    """Return new or enlarging lesions of each scan, against the scan before.

    Parameters
    ----------
    lesions
        Rates.
    planned
        The scans.
    rng
        Source of chance.
    many
        Whether the first scan has ``MANY_LESIONS``.
    """
    last = planned[-1].year
    means = [lesions.per_year[min(year, len(lesions.per_year) - 1)] for year in range(last)]
    sizes = [lesions.uneven_at_first, *[lesions.uneven] * last]
    drawn = [
        0 if mean <= 0 else int(rng.negative_binomial(size, size / (size + mean)))
        for mean, size in zip([lesions.at_first, *means], sizes, strict=True)
    ]
    first = MANY_LESIONS if many else min(drawn[0], MOST_AT_FIRST)
    yearly = [min(count, MOST_PER_YEAR) for count in drawn[1:]]
    return [first, *(sum(yearly[before.year : after.year]) for before, after in pairwise(planned))]


def shares_of(counts: NDArray[np.int64], share: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return how many of each count are of a kind."""
    return rng.binomial(counts, share).astype(np.int64)


def _deal(arm: Arm) -> list[str]:
    """Return the places of scans of each person; of more or fewer people than given, in proportion."""
    given = [pattern for pattern, count in arm.scans.items() for _ in range(count)]
    return [given[number * len(given) // arm.persons] for number in range(arm.persons)]


def _of_pattern(pattern: str, years: int) -> list[PlannedScan]:
    marks = pattern[: years + 1].ljust(years + 1, pattern[-1])
    found = [PlannedScan(year) for year, mark in enumerate(marks) if mark == "1"]
    return found or [PlannedScan(0)]


def _with_exclusions(plans: list[list[PlannedScan]], years: int) -> list[list[PlannedScan]]:
    """Add a failed scan and one soon after steroids, for the first two people who have no last scan."""
    reasons = ["failed", "steroids"]
    result = []
    for plan in plans:
        lacks_last = 0 < plan[-1].year < years
        result.append([*plan, PlannedScan(plan[-1].year + 1, reasons.pop())] if lacks_last and reasons else plan)
    return result


def _at_random(shape: Shape, years: int, rng: np.random.Generator) -> list[PlannedScan]:
    chance = rng.random((years + 1, 2)).tolist()
    scans = [PlannedScan(0)]
    for year in range(1, years + 1):
        if chance[year][0] >= shape.missing_scans:
            poor = chance[year][1]
            reason = "failed" if poor < shape.poor_scans / 2 else "steroids" if poor < shape.poor_scans else ""
            scans.append(PlannedScan(year, reason))
    return scans
