# SPDX-License-Identifier: Apache-2.0
"""What the clinical tables of a cohort hold: people, sessions, visits, relapses, treatments, and where values stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from bids_msvol.clinical import course

SAME_DAY = 0.5
"""Two times are of the same day if they differ by less; days may have fractions."""


@dataclass(frozen=True)
class Source:
    """Where a value stands: a file relative to its folder, a row (the header is row 1) and a column as named there."""

    file: str
    row: int
    column: str


@dataclass(frozen=True)
class Cell:
    """A value and where it stands; ``value`` is a number, a text or a truth value."""

    value: Any
    source: Source


@dataclass(frozen=True)
class Repeated:
    """A value that was given twice for one person and moment: the one that is used, and the other, equal or not."""

    participant_id: str
    name: str
    used: Cell
    other: Cell


@dataclass(frozen=True, kw_only=True)
class Record:
    """Something about one participant."""

    participant_id: str
    """With its prefix ``sub-``."""
    sources: Mapping[str, Source] = field(default_factory=dict, repr=False)
    """Where each value stands, by the name of the attribute."""


@dataclass(frozen=True, kw_only=True)
class Person(Record):
    """One participant; ``None`` for what is missing. Ages and durations in years."""

    sex: str | None = None
    age: float | None = None
    group: str | None = None
    phenotype: str | None = None
    treatment: str | None = None
    site: str | None = None
    onset_age: float | None = None
    disease_duration: float | None = None
    n_prior_dmt: int | None = None
    education_years: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measured(Record):
    """What is measured in the clinic; ``nhpt*`` and ``t25fw`` in seconds, ``sdmt`` and ``pasat`` correct answers."""

    days: float | None = None
    session_id: str | None = None
    edss: float | None = None
    fs_pyramidal: float | None = None
    fs_cerebellar: float | None = None
    fs_brainstem: float | None = None
    fs_sensory: float | None = None
    fs_bowel_bladder: float | None = None
    fs_visual: float | None = None
    fs_cerebral: float | None = None
    fs_ambulation: float | None = None
    sdmt: float | None = None
    nhpt: float | None = None
    nhpt_dom: float | None = None
    nhpt_ndom: float | None = None
    t25fw: float | None = None
    pasat: float | None = None

    def on_scale(self, name: str) -> float | None:
        """Return the value on a scale; ``nhpt`` is the mean of both hands unless it was given as one number."""
        if name == "nhpt" and self.nhpt is None and self.nhpt_dom is not None and self.nhpt_ndom is not None:
            return (self.nhpt_dom + self.nhpt_ndom) / 2
        value: float | None = getattr(self, name)
        return value


@dataclass(frozen=True, kw_only=True)
class ClinicalVisit(Measured):
    """Everything measured in the clinic on one day, from all tables; ``session_id`` if it is the day of a session."""


@dataclass(frozen=True, kw_only=True)
class ClinicalSession(Measured):
    """One imaging session, with its prefix ``ses-``; lesions are numbers, ``rnfl`` and ``gcipl`` thickness in um."""

    age: float | None = None
    new_t2: int | None = None
    enlarging_t2: int | None = None
    gd: int | None = None
    t2_count: int | None = None
    rnfl_od: float | None = None
    rnfl_os: float | None = None
    gcipl_od: float | None = None
    gcipl_os: float | None = None
    on_od: bool | None = None
    on_os: bool | None = None
    steroid_days_before: float | None = None
    exclude: bool | None = None
    exclude_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Relapse(Record):
    """One relapse: day of its onset and of its end, and whether it was treated with steroids."""

    days: float | None = None
    end_days: float | None = None
    steroids: bool | None = None
    severity: str | None = None


@dataclass(frozen=True, kw_only=True)
class Treatment(Record):
    """One treatment; without an end it goes on, or its end is not known."""

    drug: str | None = None
    start_days: float | None = None
    end_days: float | None = None


MEASURES = frozenset(Measured.__dataclass_fields__) - {"participant_id", "sources", "days", "session_id"}
"""Columns of what is measured in the clinic."""

AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class Cohort:
    """All clinical data of a dataset.

    Attributes
    ----------
    persons, sessions, visits
        By participant, sessions and visits by day; sessions whose day is not known come last.
    relapses, treatments
        ``None`` if there is no such table, which is not the same as none. With it, whoever is not in it has none.
    repeated
        Values that were given more than once.
    assumed_day_zero
        Participants whose sessions have only dates and whose events have days: day 0 was taken to be the date of the
        first session.
    unused
        Columns that were not used.
    """

    persons: tuple[Person, ...]
    sessions: tuple[ClinicalSession, ...] = ()
    visits: tuple[ClinicalVisit, ...] = ()
    relapses: tuple[Relapse, ...] | None = None
    treatments: tuple[Treatment, ...] | None = None
    repeated: tuple[Repeated, ...] = ()
    assumed_day_zero: tuple[str, ...] = ()
    unused: tuple[Source, ...] = ()

    def person(self, participant_id: str) -> Person | None:
        """Return a person, or ``None`` if there is none of that name."""
        return self._person_by_id.get(participant_id)

    def sessions_of(self, participant_id: str) -> tuple[ClinicalSession, ...]:
        """Return a person's sessions by day."""
        return self._sessions_by_id.get(participant_id, ())

    def visits_of(self, participant_id: str) -> tuple[ClinicalVisit, ...]:
        """Return a person's visits by day."""
        return self._visits_by_id.get(participant_id, ())

    def relapses_of(self, participant_id: str) -> tuple[Relapse, ...] | None:
        """Return a person's relapses; ``None`` if relapses were not recorded."""
        return None if self.relapses is None else self._relapses_by_id.get(participant_id, ())

    def treatments_of(self, participant_id: str) -> tuple[Treatment, ...] | None:
        """Return a person's treatments; ``None`` if treatments were not recorded."""
        return None if self.treatments is None else self._treatments_by_id.get(participant_id, ())

    def course_of(
        self, participant_id: str, scale: str = "edss"
    ) -> tuple[tuple[course.Visit, ...], tuple[course.Relapse, ...] | None]:
        """Return the visits with a value on a scale, and the relapses, as the search for events takes them."""
        values = [(visit.days, visit.on_scale(scale)) for visit in self.visits_of(participant_id)]
        visits = tuple(course.Visit(day, value) for day, value in values if day is not None and value is not None)
        relapses = self.relapses_of(participant_id)
        if relapses is None:
            return visits, None
        return visits, tuple(course.Relapse(one.days) for one in relapses if one.days is not None)

    # A cohort may have ten thousand people: the records of each are looked up, not searched.
    @cached_property
    def _person_by_id(self) -> Mapping[str, Person]:
        return {person.participant_id: person for person in self.persons}

    @cached_property
    def _sessions_by_id(self) -> Mapping[str, tuple[ClinicalSession, ...]]:
        return _by_person(self.sessions)

    @cached_property
    def _visits_by_id(self) -> Mapping[str, tuple[ClinicalVisit, ...]]:
        return _by_person(self.visits)

    @cached_property
    def _relapses_by_id(self) -> Mapping[str, tuple[Relapse, ...]]:
        return _by_person(self.relapses or ())

    @cached_property
    def _treatments_by_id(self) -> Mapping[str, tuple[Treatment, ...]]:
        return _by_person(self.treatments or ())


def _by_person(records: Iterable[AnyRecord]) -> dict[str, tuple[AnyRecord, ...]]:
    grouped: dict[str, list[AnyRecord]] = {}
    for record in records:
        grouped.setdefault(record.participant_id, []).append(record)
    return {name: tuple(ones) for name, ones in grouped.items()}
