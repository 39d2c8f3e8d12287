# SPDX-License-Identifier: Apache-2.0
"""What is true of a simulated study, as tables: events, intervals with NEDA, exclusions, the size of each effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from bids_msvol.demo.cohort_anatomy import ANATOMY, CORD_MM2, NAMES
from bids_msvol.demo.cohort_course import Course
from bids_msvol.demo.cohort_shape import Arm, Shape
from bids_msvol.demo.cohort_volumes import correlation_matrix
from bids_msvol.group.regions import REGIONS
from bids_msvol.group.tables import StudyTables
from bids_msvol.structures import STRUCTURES, SUMS


@dataclass(frozen=True, eq=False)
class CohortTruth:
    """What is true, each as a table.

    Attributes
    ----------
    persons
        ``participant_id``, ``arm``.
    events
        Lasting changes of the EDSS: ``participant_id``, ``kind`` (PIRA, RAW, undefined, CDI), ``days``, ``confirmed``
        (whether a later visit can confirm it).
    intervals
        For each two consecutive sessions: ``participant_id``, ``session_id_from``, ``session_id_to``, ``relapses``, and
        as truth values, or ``None`` where nobody can know: ``no_relapse``, ``no_worsening``, ``no_lesion``, ``no_gd``,
        ``neda3``.
    exclusions
        Scans that must not be used: ``participant_id``, ``session_id``, ``reason`` (failed, steroids).
    effects
        ``arm``, ``quantity``, ``region``, ``value``, ``unit``.
    """

    persons: pd.DataFrame
    events: pd.DataFrame
    intervals: pd.DataFrame
    exclusions: pd.DataFrame
    effects: pd.DataFrame

    def tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield each table with its name."""
        for one in fields(self):
            yield one.name, getattr(self, one.name)

    def effect(self, arm: str, quantity: str, region: str) -> float:
        """Return the size of one effect; 0 if nothing of the kind is planted."""
        rows = self.effects
        found = rows.loc[(rows["arm"] == arm) & (rows["quantity"] == quantity) & (rows["region"] == region), "value"]
        return float(found.iloc[0]) if len(found) else 0.0


def make_truth(
    shape: Shape,
    arm: np.ndarray,
    ids: Sequence[str],
    tables: StudyTables,
    courses: Sequence[Course],
    excluded: Sequence[str],
) -> CohortTruth:
    """Put down what is true of a study.

    Parameters
    ----------
    shape
        What was planted.
    arm
        (person,) number of the arm.
    ids
        Names of everybody.
    tables
        What was measured; sessions by person and day.
    courses
        Clinical courses of everybody.
    excluded
        Why each session must not be used, or empty.
    """
    events = [
        (name, one.kind, one.day, one.confirmed)
        for name, course in zip(ids, courses, strict=True)
        for one in course.events
    ]
    unusable = pd.Series(excluded, dtype=object)
    rows = tables.sessions.loc[(unusable != "").to_numpy(), ["participant_id", "session_id"]]
    return CohortTruth(
        persons=pd.DataFrame({"participant_id": list(ids), "arm": [shape.arms[number].name for number in arm]}),
        events=pd.DataFrame(events, columns=["participant_id", "kind", "days", "confirmed"]),
        intervals=_intervals(tables.sessions, dict(zip(ids, courses, strict=True)), read=shape.read_lesions),
        exclusions=rows.assign(reason=unusable[unusable != ""].to_numpy()).reset_index(drop=True),
        effects=pd.DataFrame(
            [row for one in shape.arms for row in _effects(one, shape)],
            columns=["arm", "quantity", "region", "value", "unit"],
        ),
    )


def _intervals(sessions: pd.DataFrame, courses: Mapping[str, Course], *, read: bool) -> pd.DataFrame:
    """Judge each interval by what was planted, not by looking for it."""
    source = "clinic" if read else "images"
    names, labels, days = (sessions[name].tolist() for name in ("participant_id", "session_id", "days"))
    new = sessions[f"new_t2_{source}"].to_numpy() + (0.0 if read else sessions["enlarging_t2_images"].to_numpy())
    gd = sessions[f"gd_{source}"].to_numpy()
    rows = []
    for number in range(1, len(names)):
        if names[number] != names[number - 1]:
            continue
        start, end = days[number - 1], days[number]
        course = courses[names[number]]
        relapses = sum(start < one.day <= end for one in course.relapses)
        parts = (relapses == 0, _no_worsening(course, start, end), _none(new[number]), _none(gd[number]))
        neda = False if False in parts else None if None in parts else True
        rows.append((names[number], labels[number - 1], labels[number], relapses, *parts, neda))
    columns = ["participant_id", "session_id_from", "session_id_to", "relapses",
               "no_relapse", "no_worsening", "no_lesion", "no_gd", "neda3"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[4:], object))


def _no_worsening(course: Course, start: float, end: float) -> bool | None:
    if not course.edss or np.isnan(course.edss[0]):
        return None
    within = [one for one in course.events if start < one.day <= end and one.kind != "CDI"]
    if any(one.confirmed for one in within):
        return False
    return None if within else True


def _none(count: float) -> bool | None:
    return None if np.isnan(count) else bool(count == 0)


def _effects(arm: Arm, shape: Shape) -> Iterator[tuple[str, str, str, float, str]]:
    brain = arm.brain
    share = {item.name: item.share_pct for item in ANATOMY}
    for region, parts in _region_parts().items():
        whole = sum(share[name] for name in parts)
        difference = sum(share[name] * brain.differences_pct.get(name, 0.0) for name in parts) / whole
        rate = sum(
            share[item.name] * (item.age_pct + brain.rates_pct_per_year.get(item.name, 0.0))
            for item in ANATOMY
            if item.name in parts
        )
        yield arm.name, "difference", region, difference, "percent of the volume of healthy people"
        yield arm.name, "rate", region, rate / whole, "percent of the first volume a year"
        for quantity, planted, unit in (
            ("per_lesion", brain.per_lesion_pct_etiv, "percent of eTIV for each new lesion"),
            (
                "per_first_lesion",
                brain.per_first_lesion_pct_etiv,
                "percent of eTIV a year for each new lesion at first",
            ),
        ):
            yield arm.name, quantity, region, sum(planted.get(name, 0.0) for name in parts), unit
    matrix = correlation_matrix(brain.correlations)
    for one, other in brain.correlations:
        value = float(matrix[NAMES.index(one), NAMES.index(other)])
        yield arm.name, "correlation", f"{one} with {other}", value, "correlation between people"
    if shape.has_cord:
        for level in CORD_MM2:
            value = arm.cord.differences_pct.get(level, 0.0)
            yield arm.name, "cord_difference", level, value, "percent of the area of healthy people"
        yield arm.name, "cord_rate", "all levels", arm.cord.rate_pct_per_year, "percent of the first area a year"
        yield arm.name, "cord_with_brain", "all levels", arm.cord.with_brain, "correlation between people"
    if arm.clinic is not None:
        yield arm.name, "relapse_rate", "", arm.clinic.relapses_per_year, "relapses a year"


def _region_parts() -> dict[str, tuple[str, ...]]:
    """Return the structures, both sides together, of each region of the group level."""
    by_index = {item.index: item.name for item in STRUCTURES}
    sums = {one.name: tuple(by_index[index] for index in one.members) for one in SUMS}
    parts = {}
    for region in REGIONS.values():
        rows = [row for name in region.rows for row in sums.get(name, (name,))]
        parts[region.name] = tuple(item.name for item in ANATOMY if set(item.rows) <= set(rows))
    return parts
