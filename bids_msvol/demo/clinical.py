# SPDX-License-Identifier: Apache-2.0
"""Who the synthetic people are: age, sex, group, head size, visits and disability."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

FIRST_VISIT = datetime(2021, 3, 1, 9, 30)
"""The earliest first visit; BIDS asks only that intervals are true."""

ETIV_MEAN_MM3 = {"F": 1.40e6, "M": 1.56e6}
ETIV_SPREAD_MM3 = 0.10e6
"""Intracranial volumes of adults."""

DAYS_PER_YEAR = 365.25

NECK_SCANNED = 1
"""Number of the participant, with multiple sclerosis, who has a scan of the neck at every visit. The others show what
the T1w of the head alone tells of the cord."""


@dataclass(frozen=True)
class Appointment:
    """One planned visit.

    Attributes
    ----------
    session
        Label without ``ses-``.
    date
        When.
    days
        Days since the first visit.
    edss
        Expanded Disability Status Scale, 0 to 10 in steps of 0.5; ``None`` for healthy people.
    """

    session: str
    date: datetime
    days: int
    edss: float | None


@dataclass(frozen=True)
class Participant:
    """One synthetic participant.

    Attributes
    ----------
    label
        Label without ``sub-``.
    age
        Years at the first visit.
    sex
        As BIDS writes it.
    group
        ``MS`` for multiple sclerosis, ``HC`` for a healthy control.
    etiv_mm3
        Intracranial volume.
    appointments
        Visits in order of time: two with multiple sclerosis, one without.
    has_neck_scan
        Whether there is a scan of the neck at every visit.
    """

    label: str
    age: int
    sex: Literal["F", "M"]
    group: Literal["MS", "HC"]
    etiv_mm3: float
    appointments: tuple[Appointment, ...]
    has_neck_scan: bool


def draw_participant(number: int, rng: np.random.Generator) -> Participant:
    """Draw the participant with a number, from 1: odd numbers have multiple sclerosis, even ones are healthy.

    Parameters
    ----------
    number
        Position in the dataset; it alone decides the group.
    rng
        Source of chance.
    """
    has_ms = number % 2 == 1
    # Three of four people with multiple sclerosis are women.
    sex: Literal["F", "M"] = "F" if rng.random() < (0.75 if has_ms else 0.5) else "M"
    etiv = ETIV_MEAN_MM3[sex] + ETIV_SPREAD_MM3 * float(np.clip(rng.standard_normal(), -2.0, 2.0))
    start = FIRST_VISIT + timedelta(days=int(rng.integers(0, 365)))
    edss = float(rng.integers(2, 9)) / 2.0
    days = int(rng.integers(350, 381))
    appointments = [Appointment("01", start, 0, edss if has_ms else None)]
    if has_ms:
        worsening = float(rng.integers(0, 3)) / 2.0
        appointments.append(Appointment("02", start + timedelta(days=days), days, edss + worsening))
    return Participant(
        label=f"{number:02d}",
        age=int(rng.integers(24, 56)),
        sex=sex,
        group="MS" if has_ms else "HC",
        etiv_mm3=etiv,
        appointments=tuple(appointments),
        has_neck_scan=number == NECK_SCANNED,
    )
