# SPDX-License-Identifier: Apache-2.0
"""Simulated studies: the tables that the group level reads, without files, and what is true of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.demo.cohort_clinic import draw_eyes, draw_tests
from bids_msvol.demo.cohort_course import Course, plan_course, plan_relapses, plan_visits
from bids_msvol.demo.cohort_people import (
    PlannedScan,
    draw_new_lesions,
    draw_people,
    plan_scans,
    scan_days,
    shares_of,
    size_arms,
)
from bids_msvol.demo.cohort_shape import Arm, Shape
from bids_msvol.demo.cohort_shapes import SHAPES
from bids_msvol.demo.cohort_truth import CohortTruth, make_truth
from bids_msvol.demo.cohort_volumes import People, Scans, add_up_lesions, draw_sizes, make_cord, make_volumes
from bids_msvol.errors import UsageError
from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.tables import StudyTables

if TYPE_CHECKING:
    from collections.abc import Sequence

MM3_DECIMALS, MM2_DECIMALS = 1, 2
"""Digits to which volumes and areas are rounded: those of the tables of the participant level."""

FAILED_ERROR = 0.25
"""Standard deviation of the error, as a share, of every volume of a scan that failed."""

LESION_MM3 = 110.0
"""Mean volume of a T2 lesion."""

STEROIDS_BEFORE_DAYS = (20, 45)
"""How long before a scan the steroids were given because of which it must not be used."""


@dataclass(frozen=True, eq=False)
class SimulatedCohort:
    """A simulated study.

    Attributes
    ----------
    shape
        What was planted, with the number of persons in each arm.
    seed
        Seed of all chance.
    tables
        What the group level reads.
    eyes
        By the number of the session: thickness in um and optic neuritis of each eye, by the names of the table of
        sessions; no columns where eyes were not measured.
    relapse_ends
        Day of the end of each relapse, in the order of ``tables.relapses``.
    truth
        What is true.
    """

    shape: Shape
    seed: int
    tables: StudyTables
    eyes: pd.DataFrame
    relapse_ends: NDArray[np.float64]
    truth: CohortTruth


@dataclass
class _Drafts:
    """Everybody's scans, visits and relapses, person after person."""

    person: list[int] = field(default_factory=list)
    year: list[int] = field(default_factory=list)
    days: list[float] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    new: list[int] = field(default_factory=list)
    courses: list[Course] = field(default_factory=list)


def find_shape(name: str) -> Shape:
    """Return a study by its name.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    if name not in SHAPES:
        raise UsageError(f"there is no study {name!r}", remedy=f"Use {', '.join(SHAPES)}", subject="--shape")
    return SHAPES[name]


def make_cohort(
    shape: str | Shape = "treatment", persons: int | None = None, seed: int = 1, years: int | None = None
) -> SimulatedCohort:
    """Simulate a study.

    Parameters
    ----------
    shape
        Name of a study in `bids_msvol.demo.cohort_shapes`, or one of another form.
    persons
        Number of persons in all, in the proportions of the study; its own number if not given.
    seed
        Seed of all chance.
    years
        Years from the first to the last scan; those of the study if not given.

    Raises
    ------
    UsageError
        If there is no such study or a number is out of range.
    """
    wanted = find_shape(shape) if isinstance(shape, str) else shape
    if persons is not None and persons < len(wanted.arms):
        raise UsageError(
            f"{persons} persons are too few", remedy=f"Give at least {len(wanted.arms)}", subject="--persons"
        )
    if years is not None and not 0 <= years <= 30:
        raise UsageError(f"{years} years are out of range", remedy="Give 0 to 30", subject="--years")
    if seed < 0:
        raise UsageError("a seed cannot be negative", remedy="Give 0 or more", subject="--seed")
    wanted = size_arms(wanted, persons)
    wanted = wanted if years is None else replace(wanted, years=years)
    # Chance of its own for each part, so that one does not depend on what another needed.
    chance = [np.random.default_rng([seed, part]) for part in range(7)]
    people = draw_people(wanted, chance[0])
    drafts = _plan(wanted, people, chance[1], chance[2])
    ids = _identifiers(len(people.arm))
    persons_table = _persons_table(wanted, people, ids, chance[3])
    person = np.array(drafts.person)
    new = np.array(drafts.new, dtype=np.int64)
    since, first = add_up_lesions(person, new.astype(np.float64))
    scans = Scans(person, np.array(drafts.days) / DAYS_PER_YEAR, since, first)
    sizes = draw_sizes([arm.brain for arm in wanted.arms], people, chance[4])
    volumes, cord = _images(wanted, people, sizes, scans, np.array(drafts.excluded) == "failed", chance[4])
    visits = draw_tests(wanted, people, sizes, drafts.courses, ids, chance[5])
    eyes, layers = draw_eyes(wanted, people, scans, chance[6])
    sessions = _sessions_table(wanted, people, drafts, ids, scans, new, chance[3]).assign(**layers)
    sessions = _with_visits(sessions, visits)
    relapses = [(ids[number], one) for number, course in enumerate(drafts.courses) for one in course.relapses]
    tables = StudyTables(
        persons=persons_table,
        sessions=sessions,
        volumes_mm3=volumes,
        cord_mm2=cord,
        thickness_mm=pd.DataFrame(columns=["lh", "rh", "mean"], dtype=float),
        change_mm3=None,
        change_pct=None,
        visits=visits,
        relapses=pd.DataFrame(
            {
                "participant_id": [name for name, _ in relapses],
                "days": np.array([one.day for _, one in relapses], dtype=np.float64),
                "steroids": np.array([one.steroids for _, one in relapses], dtype=bool),
            }
        ),
        treatments=_treatments_table(wanted, people, ids),
        sources=("Simulated by bids_msvol.demo.cohort.",),
        notes=(f"The data are simulated ({wanted.name}, seed {seed}).",),
    )
    truth = make_truth(wanted, people.arm, ids, tables, drafts.courses, drafts.excluded)
    ends = np.array([one.end_day for _, one in relapses], dtype=np.float64)
    return SimulatedCohort(wanted, seed, tables, eyes, ends, truth)


def _plan(shape: Shape, people: People, scan_rng: np.random.Generator, rng: np.random.Generator) -> _Drafts:
    """Plan everybody's visits, scans, relapses and lesions."""
    drafts = _Drafts()
    plans = plan_scans(shape, shape.years, scan_rng)
    with_many = _person_with_many(shape, people, plans)
    for number, planned in enumerate(plans):
        arm = shape.arms[people.arm[number]]
        visits = plan_visits(shape.years, rng)
        days = scan_days(planned, visits, scan_rng)
        reasons = [scan.excluded if arm.clinic or not scan.excluded else "failed" for scan in planned]
        if arm.clinic is None:
            drafts.courses.append(Course(days, [float("nan")] * len(days), []))
        else:
            drafts.courses.append(_plan_clinic(arm, shape.years, visits, days, reasons, rng))
        new = [0] * len(planned)
        if arm.lesions is not None:
            new = draw_new_lesions(arm.lesions, planned, rng, many=number == with_many)
        drafts.person += [number] * len(planned)
        drafts.year += [scan.year for scan in planned]
        drafts.days += days
        drafts.excluded += reasons
        drafts.new += new
    return drafts


def _plan_clinic(
    arm: Arm, years: int, visits: list[float], days: list[float], reasons: list[str], rng: np.random.Generator
) -> Course:
    assert arm.clinic is not None
    relapses = plan_relapses(arm.clinic, years, rng)
    treated = []
    for day, reason in zip(days, reasons, strict=True):
        if reason == "steroids":
            relapse = day - float(rng.integers(*STEROIDS_BEFORE_DAYS))
            # Whatever else happened around that time is this relapse.
            relapses = sorted([*(one for one in relapses if abs(one - relapse) > STEROIDS_BEFORE_DAYS[1]), relapse])
            treated.append(relapse)
    course = plan_course(arm.clinic, visits, relapses, days, rng)
    course.relapses = [replace(one, steroids=one.steroids or one.day in treated) for one in course.relapses]
    return course


def _person_with_many(shape: Shape, people: People, plans: Sequence[list[PlannedScan]]) -> int:
    """Return the number of the one person with many lesions: the first of the last arm; -1 if there is none."""
    if not shape.planted_exclusions:
        return -1
    last = np.flatnonzero(people.arm == len(shape.arms) - 1)
    return int(next((number for number in last if plans[number][0].year == 0), -1))


def _identifiers(count: int) -> list[str]:
    width = max(3, len(str(count)))
    return [f"sub-{number:0{width}d}" for number in range(1, count + 1)]


def _persons_table(shape: Shape, people: People, ids: list[str], rng: np.random.Generator) -> pd.DataFrame:
    arms = [shape.arms[number] for number in people.arm]
    ill = np.array([arm.clinic is not None for arm in arms])
    low, high = (np.array([arm.duration[part] for arm in arms]) for part in (0, 1))
    longest = np.maximum(np.minimum(high, people.age - 14.0), low)
    duration = np.where(ill, rng.uniform(low, longest).round(1), np.nan)
    return pd.DataFrame(
        {
            "sex": np.where(people.is_man, "M", "F"),
            "age": people.age,
            "group": pd.Series([arm.group or None for arm in arms], dtype=object).to_numpy(),
            "phenotype": pd.Series([arm.phenotype or None for arm in arms], dtype=object).to_numpy(),
            "treatment": pd.Series([arm.treatment or None for arm in arms], dtype=object).to_numpy(),
            "site": None,
            "onset_age": (people.age - duration).round(1),
            "disease_duration": duration,
            "n_prior_dmt": np.where(ill, rng.integers(0, 4, len(arms)), np.nan),
            "education_years": rng.integers(9, 19, len(arms)).astype(float),
        },
        index=pd.Index(ids, name="participant_id"),
    )


def _sessions_table(
    shape: Shape,
    people: People,
    drafts: _Drafts,
    ids: list[str],
    scans: Scans,
    new: NDArray[np.int64],
    rng: np.random.Generator,
) -> pd.DataFrame:
    arms = [shape.arms[number].lesions for number in people.arm[scans.person]]
    known = np.array([one is not None for one in arms])
    given = rng.random(len(arms)) >= np.array([one.not_given if one else 1.0 for one in arms])
    enlarging = shares_of(new, np.array([one.enlarging if one else 0.0 for one in arms]), rng)
    enhancing = shares_of(new, np.array([one.enhancing if one else 0.0 for one in arms]), rng)
    older = rng.poisson(
        rng.gamma(2.0, 0.5, len(people.arm))
        * np.array([one.lesions.all_at_first if (one := shape.arms[number]).lesions else 0.0 for number in people.arm])
    )
    count = older[scans.person] + scans.first_lesions + scans.lesions
    read = known & shape.read_lesions
    is_first = np.diff(scans.person, prepend=-1) > 0
    followed = known & ~is_first
    size = LESION_MM3 * np.exp(0.4 * rng.standard_normal(len(people.arm)))[scans.person]
    absent = np.full(len(arms), np.nan)
    return pd.DataFrame(
        {
            "participant_id": np.array(ids)[scans.person],
            "session_id": [f"ses-M{12 * year:02d}" for year in drafts.year],
            "days": np.array(drafts.days),
            "age": absent, "edss": absent, "sdmt": absent, "nhpt": absent, "t25fw": absent, "pasat": absent,
            "rnfl_um": absent, "gcipl_um": absent,
            # A reader counts new and enlarging lesions together, also at the first scan, against an older one.
            "new_t2_clinic": np.where(read, new, np.nan),
            "enlarging_t2_clinic": absent,
            "gd_clinic": np.where(read & given, enhancing, np.nan),
            "t2_count_clinic": np.where(read, count, np.nan),
            "new_t2_images": np.where(followed, new - enlarging, np.nan),
            "enlarging_t2_images": np.where(followed, enlarging, np.nan),
            "gd_images": np.where(known & given, enhancing, np.nan),
            "t2_count_images": np.where(known, count, np.nan),
            "lesion_volume_mm3": np.where(known, (size * count).round(MM3_DECIMALS), np.nan),
            "etiv_mm3": people.etiv_mm3[scans.person],
            "verdict": np.where(np.array(drafts.excluded) == "failed", "fail", "pass").astype(object),
            "steroid_days_before": absent,
            "exclude": False,
            "exclude_reason": "",
        }
    )  # fmt: skip


def _images(
    shape: Shape,
    people: People,
    sizes: NDArray[np.float64],
    scans: Scans,
    failed: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of volumes and of the cord, rounded as they are written."""
    volumes = pd.DataFrame(make_volumes([arm.brain for arm in shape.arms], people, sizes, scans, rng))
    wrong = np.exp(FAILED_ERROR * rng.standard_normal((int(failed.sum()), volumes.shape[1])))
    volumes[failed] = volumes[failed] * wrong
    areas = make_cord([arm.cord for arm in shape.arms], people, sizes, scans, rng)
    cord = pd.DataFrame(areas if shape.has_cord else {level: np.empty(0) for level in areas})
    return volumes.round(MM3_DECIMALS), cord.round(MM2_DECIMALS)


def _with_visits(sessions: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Fill the scales of sessions on the day of a visit."""
    scales = ["edss", "sdmt", "nhpt", "t25fw", "pasat"]
    same_day = visits.drop_duplicates(["participant_id", "days"]).set_index(["participant_id", "days"])[scales]
    keys = pd.MultiIndex.from_frame(sessions[["participant_id", "days"]])
    found = same_day.reindex(keys).set_axis(sessions.index)
    return sessions.assign(**{name: found[name] for name in scales})


def _treatments_table(shape: Shape, people: People, ids: list[str]) -> pd.DataFrame | None:
    drugs = [shape.arms[number].treatment for number in people.arm]
    treated = [(name, drug) for name, drug in zip(ids, drugs, strict=True) if drug and drug != "NONE"]
    if not treated:
        return None
    return pd.DataFrame(
        {
            "participant_id": [name for name, _ in treated],
            "drug": [drug for _, drug in treated],
            "start_days": np.array([14.0 + number % 15 for number in range(len(treated))]),
            "end_days": np.full(len(treated), np.nan),
        }
    )
