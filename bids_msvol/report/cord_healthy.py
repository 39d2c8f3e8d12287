# SPDX-License-Identifier: Apache-2.0
"""Published areas of the cervical cord of healthy adults, as data, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HEALTHY_SD = 1.96
"""Half width of the healthy range in standard deviations: 95 of 100 adults, if they are spread normally."""


@dataclass(frozen=True)
class HealthyLevel:
    """Area of one level in healthy adults.

    Attributes
    ----------
    level
        ``C1`` to ``C7``.
    mean_mm2, sd_mm2
        Mean and standard deviation between people.
    people
        How many; ``None`` where only the number of all is known.
    """

    level: str
    mean_mm2: float
    sd_mm2: float
    people: int | None = None

    @property
    def low_mm2(self) -> float:
        """Lower end of the range of 95 of 100."""
        return self.mean_mm2 - HEALTHY_SD * self.sd_mm2

    @property
    def high_mm2(self) -> float:
        """Upper end of it."""
        return self.mean_mm2 + HEALTHY_SD * self.sd_mm2


@dataclass(frozen=True)
class HealthyAreas:
    """Published areas of healthy adults by level.

    Attributes
    ----------
    people
        How many adults.
    images
        On what images, and whose.
    levels
        The areas.
    citations
        Keys of `REFERENCES`.
    """

    people: int
    images: str
    levels: tuple[HealthyLevel, ...]
    citations: tuple[str, ...]


HEALTHY: Mapping[str, HealthyAreas] = {
    "cord-T2w": HealthyAreas(
        203,
        "T2w of the cord, data set spine-generic",
        (
            HealthyLevel("C1", 74.0, 7.3),
            HealthyLevel("C2", 71.7, 6.9),
            HealthyLevel("C3", 72.5, 7.1),
            HealthyLevel("C4", 77.3, 7.5),
            HealthyLevel("C5", 76.4, 7.7),
            HealthyLevel("C6", 69.1, 7.8),
            HealthyLevel("C7", 56.8, 7.2),
        ),
        ("Cohen-Adad 2021", "Valošek 2024"),
    ),
    "head-T1w": HealthyAreas(
        25,
        "T1w of the head, healthy adults of the data set VUIIS-MS",
        (
            HealthyLevel("C1", 73.4, 7.7, 25),
            HealthyLevel("C2", 69.2, 7.4, 25),
            HealthyLevel("C3", 69.1, 7.0, 24),
            HealthyLevel("C4", 70.7, 6.3, 18),
            HealthyLevel("C5", 66.8, 6.2, 8),
        ),
        ("Valošek 2024",),
    ),
}
"""Areas by kind of image, worked out from the tables by slice that Spinal Cord Toolbox publishes
(PAM50-normalized-metrics, MIT licence): the mean of a level is that of its slices, of a person that of all sessions. On
the T1w of the head, sessions count in which half of the slices or more have an area, as this program asks of its own
levels."""
