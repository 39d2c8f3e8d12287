# SPDX-License-Identifier: Apache-2.0
"""What can be planted in a simulated study: the words in which `bids_msvol.demo.cohort_shapes` speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Certain = Literal["", "PIRA", "RAW"]


@dataclass(frozen=True)
class Clinic:
    """The clinical course of the people of an arm.

    Attributes
    ----------
    edss
        Mean and standard deviation at the first visit.
    edss_range
        Lowest and highest value at the first visit.
    relapses_before, relapses_per_year
        Mean number in the year before the first visit, and in each year after it.
    frailty
        Shape of the gamma distribution of each person's own rate around the mean; smaller is more uneven.
    steroids
        Share of relapses that are treated with intravenous steroids.
    lasting
        Share of relapses shortly before a visit that leave a lasting rise of the EDSS (relapse-associated worsening).
    passing
        Share of such relapses that leave a rise that is gone at the next visit.
    pira_per_year, improvement_per_year
        Rate of lasting rises away from relapses, and of lasting falls.
    certain
        Everybody has exactly one worsening, of this kind; the rates above are not used then.
    sdmt_per_year
        Change of the SDMT, correct answers.
    """

    edss: tuple[float, float] = (3.0, 1.1)
    edss_range: tuple[float, float] = (1.0, 6.0)
    relapses_before: float = 0.8
    relapses_per_year: float = 0.25
    frailty: float = 1.0
    steroids: float = 0.7
    lasting: float = 0.25
    passing: float = 0.4
    pira_per_year: float = 0.05
    improvement_per_year: float = 0.02
    certain: Certain = ""
    sdmt_per_year: float = -0.3


@dataclass(frozen=True)
class Lesions:
    """Lesions of the people of an arm.

    Attributes
    ----------
    at_first
        Mean number of new or enlarging T2 lesions that the first scan shows against an older one.
    per_year
        Mean number that each year adds; the last one holds for all further years.
    uneven, uneven_at_first
        Sizes of the negative binomial distributions; smaller is more uneven.
    enhancing
        Share of them that take up gadolinium.
    enlarging
        Share of them that are old lesions that have grown.
    all_at_first
        Mean number of all T2 lesions of the first scan.
    not_given
        Share of scans without contrast agent.
    """

    at_first: float = 2.0
    per_year: tuple[float, ...] = (0.5,)
    uneven: float = 0.35
    uneven_at_first: float = 2.0
    enhancing: float = 0.38
    enlarging: float = 0.15
    all_at_first: float = 18.0
    not_given: float = 0.0


@dataclass(frozen=True)
class Brain:
    """How the brains of an arm differ from those of healthy people of the same age and sex.

    All keys are names of `bids_msvol.demo.cohort_anatomy.ANATOMY`, both sides together.

    Attributes
    ----------
    differences_pct
        At the first scan, in % of the volume.
    rates_pct_per_year
        Change beyond that of ageing, in % of the first volume.
    rate_spread_pct
        Standard deviation of the rate between people, for a tissue; four times as much for a ventricle.
    per_lesion_pct_etiv
        Effect of each new or enlarging lesion after the first scan, % of the intracranial volume, lasting.
    per_first_lesion_pct_etiv
        Effect of each new or enlarging lesion of the first scan on every year after it.
    correlations
        Correlations between people that differ from those of healthy people, the two sides taken together.
    """

    differences_pct: Mapping[str, float] = field(default_factory=dict)
    rates_pct_per_year: Mapping[str, float] = field(default_factory=dict)
    rate_spread_pct: float = 0.25
    per_lesion_pct_etiv: Mapping[str, float] = field(default_factory=dict)
    per_first_lesion_pct_etiv: Mapping[str, float] = field(default_factory=dict)
    correlations: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Cord:
    """How the cords of an arm differ from those of healthy people of the same age, sex and head size.

    Attributes
    ----------
    differences_pct
        By level, in % of the area.
    rate_pct_per_year
        Change of all levels; healthy people have that of ageing.
    with_brain
        Correlation of the size of the cord with that of the whole brain, head size and age taken out.
    """

    differences_pct: Mapping[str, float] = field(default_factory=dict)
    rate_pct_per_year: float = -0.15
    with_brain: float = 0.4


@dataclass(frozen=True)
class Arm:
    """People in whom the same is planted.

    Attributes
    ----------
    name
        How the truth calls them.
    persons
        How many there are unless the user wants another number.
    group, phenotype, treatment
        What the participants table says; empty for nothing.
    women
        Share of women.
    age, age_range
        Mean and standard deviation, and lowest and highest.
    duration
        Lowest and highest duration of the disease, years.
    clinic, lesions
        ``None`` for healthy people.
    brain, cord
        See there.
    scans
        How many people have which scans: ``1101`` means all but the third. Empty: ``Shape.missing_scans`` at random.
    """

    name: str
    persons: int
    group: str = ""
    phenotype: str = ""
    treatment: str = ""
    women: float = 0.70
    age: tuple[float, float] = (39.0, 9.0)
    age_range: tuple[float, float] = (18.0, 68.0)
    duration: tuple[float, float] = (1.0, 15.0)
    clinic: Clinic | None = None
    lesions: Lesions | None = None
    brain: Brain = Brain()
    cord: Cord = Cord()
    scans: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """A study.

    Attributes
    ----------
    name
        How it is asked for.
    description
        What it is for and what is planted, in a sentence or two.
    arms
        Who takes part.
    years
        Time from the first to the last scan; there is one scan a year.
    has_cord, has_eyes, has_tests
        Whether the cord, the retina, and walking, hands and the SDMT were measured.
    read_lesions
        Whether a reader counted lesions, in the clinical tables; if not, the participant level did.
    missing_scans
        Share of scans after the first that were not made.
    poor_scans
        Share of scans that must not be used: half of them failed, half were made soon after steroids.
    planted_exclusions
        Whether there are, in each arm that has the places of scans given, one failed scan and one soon after steroids
        at places that are marked as missing, and one person of the last arm with more than 20 lesions.
    """

    name: str
    description: str
    arms: tuple[Arm, ...]
    years: int = 0
    has_cord: bool = False
    has_eyes: bool = False
    has_tests: bool = True
    read_lesions: bool = True
    missing_scans: float = 0.0
    poor_scans: float = 0.0
    planted_exclusions: bool = False


def without_effects(shape: Shape, *, same_course: bool = True) -> Shape:
    """Return a study of the same form in which nothing is planted.

    Groups do not differ in their brains and cords, and lesions have no effect. Numbers of lesions, ages and sexes stay
    as they are, since they are no outcome.

    Parameters
    ----------
    shape
        The study.
    same_course
        Whether the clinical course of the first arm of patients is that of all, so that groups do not differ in
        relapses and events either. If not, EDSS and events stay, and go with nothing.
    """
    model = next((arm.clinic for arm in shape.arms if arm.clinic is not None), None)
    return replace(
        shape,
        arms=tuple(
            replace(
                arm, brain=Brain(), cord=Cord(), clinic=model if same_course and arm.clinic is not None else arm.clinic
            )
            for arm in shape.arms
        ),
    )
