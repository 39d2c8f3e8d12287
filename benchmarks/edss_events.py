# SPDX-License-Identifier: Apache-2.0
"""Events of disability against those that the R package msprog finds in the same people."""

from __future__ import annotations

import csv
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.claim import Findings, Options, Table, number, verdict
from bids_msvol.clinical.course import Relapse, Visit
from bids_msvol.clinical.definitions import describe, find_definition
from bids_msvol.clinical.events import Event, find_events

DATA = "clinical/msprog"

EXPECTED: Mapping[str, tuple[str, str]] = {
    "msprog_fixed_first": ("expected_fixed_first.csv", "168"),
    "msprog_roving_all": ("expected_rov_mult.csv", "84"),
    "msprog_kappos": ("expected_kappos.csv", "84"),
}
"""What msprog found, by definition: the file, and the days of confirmation in the names of its columns."""

PEOPLE_TIMED = 1000
SECONDS_TARGET = 5.0
"""A group of 1000 people may take so long."""


@dataclass(frozen=True)
class Person:
    """The visits and relapses of one person."""

    visits: tuple[Visit, ...]
    relapses: tuple[Relapse, ...]


@dataclass(frozen=True)
class Comparison:
    """How one definition compares with msprog.

    Attributes
    ----------
    people
        Number of people.
    expected, found
        Number of events by msprog, and by the program.
    missing, extra
        Events, by person, type, day, PIRA or RAW, that only msprog has, and that only the program has.
    other_details
        Events that both have, with another baseline, confirmation or duration.
    seconds
        Time taken by the program.
    """

    people: int
    expected: int
    found: int
    missing: int
    extra: int
    other_details: int
    seconds: float


def run(options: Options) -> Findings:
    """Search all people under each definition and compare every event."""
    folder = options.need(DATA)
    compared = {name: compare(folder, name) for name in EXPECTED}
    rows = [
        (
            name,
            str(result.people),
            str(result.expected),
            str(result.found),
            str(result.missing),
            str(result.extra),
            str(result.other_details),
            "0",
            verdict(result.missing + result.extra + result.other_details, 0, "at most"),
        )
        for name, result in compared.items()
    ]
    slowest = max(result.seconds / result.people for result in compared.values()) * PEOPLE_TIMED
    speed = (f"seconds for {PEOPLE_TIMED} people", number(slowest), f"at most {SECONDS_TARGET:g}",
             verdict(slowest, SECONDS_TARGET, "at most"))  # fmt: skip
    header = ("definition", "people", "events of msprog", "events found", "missing", "extra", "with other details",
              "target", "verdict")  # fmt: skip
    return Findings(
        claim="Confirmed worsening (PIRA, RAW, undefined) and improvement on the EDSS, event by event, against msprog.",
        data="400 random EDSS trajectories with relapses, and what the R package msprog 1.0 (Montobbio et al. 2024, "
        "MIT) finds in them",
        tables=(Table(header, tuple(rows)), Table(("figure", "value", "target", "verdict"), (speed,))),
        peers="msprog itself takes 3 to 4 s for 1000 people, its Python twin pymsprog 2 to 3 s.",
        notes=(
            "An event is the same if type, day, and PIRA or RAW agree. The details are day and value of the baseline, "
            "day and value of the first confirmation, the first confirmation as PIRA, and for how long it lasted.",
            *(f"{name}: {describe(find_definition(name))}" for name in EXPECTED),
        ),
    )


def compare(folder: Path, name: str) -> Comparison:
    """Compare the events of all people under one definition."""
    people, expected = read_people(folder), read_expected(folder, name)
    definition = find_definition(name)
    start = time.perf_counter()
    found = {
        identifier: [_details(event) for event in find_events(person.visits, person.relapses, definition).events]
        for identifier, person in people.items()
    }
    seconds = time.perf_counter() - start
    wanted = Counter((person, *event[:3]) for person, events in expected.items() for event in events)
    got = Counter((person, *event[:3]) for person, events in found.items() for event in events)
    both = (wanted & got).total()
    alike = sum((Counter(expected[person]) & Counter(found[person])).total() for person in found)
    return Comparison(
        people=len(people),
        expected=wanted.total(),
        found=got.total(),
        missing=wanted.total() - both,
        extra=got.total() - both,
        other_details=both - alike,
        seconds=seconds,
    )


def read_people(folder: Path) -> dict[str, Person]:
    """Read the visits and relapses of all people."""
    visits: defaultdict[str, list[Visit]] = defaultdict(list)
    relapses: defaultdict[str, list[Relapse]] = defaultdict(list)
    for row in _rows(folder / "visits.csv"):
        visits[row["id"]].append(Visit(float(row["day"]), float(row["EDSS"])))
    for row in _rows(folder / "relapses.csv"):
        relapses[row["id"]].append(Relapse(float(row["day"])))
    return {person: Person(tuple(seen), tuple(relapses[person])) for person, seen in visits.items()}


def read_expected(folder: Path, name: str) -> dict[str, list[tuple[object, ...]]]:
    """Read the events of msprog: type, PIRA or RAW, day, then the details."""
    file_name, days = EXPECTED[name]
    events: defaultdict[str, list[tuple[object, ...]]] = defaultdict(list)
    columns = ("value", "bl_date", "bl_value", f"conf{days}_date", f"conf{days}_value", f"PIRA_conf{days}_date",
               "sust_days")  # fmt: skip
    for row in _rows(folder / file_name):
        # People without event have one row with no type.
        if row["event_type"]:
            details = tuple(float(row[column]) if row[column] else None for column in columns)
            association = row["CDW_type"] or None
            events[row["id"]].append(
                (row["event_type"], association, float(row["date"]), *details, row["sust_last"] == "True")
            )
    return events


def _details(event: Event) -> tuple[object, ...]:
    return (
        event.kind,
        event.association,
        event.day,
        event.value,
        event.baseline_day,
        event.baseline_value,
        event.confirmation_day,
        event.confirmation_value,
        event.pira_confirmation_day,
        event.sustained_days,
        event.sustained_to_end,
    )


def _rows(path: Path) -> Sequence[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
