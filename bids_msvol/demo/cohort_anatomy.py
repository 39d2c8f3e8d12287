# SPDX-License-Identifier: Apache-2.0
"""The brain and the cord of healthy adults in numbers, from which simulated people are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bids_msvol.structures import STRUCTURES


@dataclass(frozen=True)
class Anatomy:
    """A structure, both sides together where it has sides.

    Attributes
    ----------
    name
        FreeSurfer's name without its side.
    rows
        Its rows in the tables of volumes.
    share_pct
        Volume at the age of 40, % of the intracranial volume.
    spread
        Standard deviation between people of the logarithm of the volume, head size and age taken out.
    age_pct
        Change with each year of age, between people and within them, in %.
    noise_pct
        Standard deviation of the error of one scan, of each row, in %.
    """

    name: str
    rows: tuple[str, ...]
    share_pct: float
    spread: float
    age_pct: float
    noise_pct: float


def _rows(name: str) -> tuple[str, ...]:
    return tuple(item.name for item in STRUCTURES if item.name.removeprefix("Left-").removeprefix("Right-") == name)


ANATOMY: tuple[Anatomy, ...] = tuple(
    Anatomy(name, _rows(name), *numbers)
    for name, numbers in {
        "Cerebral-White-Matter": (30.0, 0.06, -0.10, 0.6),
        "Cerebral-Cortex": (32.0, 0.05, -0.25, 0.6),
        "Lateral-Ventricle": (1.0, 0.33, 1.6, 1.0),
        "Inf-Lat-Vent": (0.04, 0.33, 1.5, 5.0),
        "Cerebellum-White-Matter": (1.95, 0.09, -0.10, 1.5),
        "Cerebellum-Cortex": (7.0, 0.08, -0.15, 1.0),
        "Thalamus": (0.97, 0.07, -0.35, 1.8),
        "Caudate": (0.47, 0.10, -0.25, 1.8),
        "Putamen": (0.65, 0.09, -0.35, 1.8),
        "Pallidum": (0.27, 0.09, -0.15, 2.5),
        "3rd-Ventricle": (0.07, 0.25, 1.4, 2.0),
        "4th-Ventricle": (0.12, 0.20, 0.2, 2.0),
        "Brain-Stem": (1.43, 0.08, -0.03, 0.8),
        "Hippocampus": (0.55, 0.08, -0.25, 1.8),
        "Amygdala": (0.23, 0.10, -0.20, 2.5),
        "Accumbens-area": (0.075, 0.13, -0.45, 4.0),
        "VentralDC": (0.55, 0.08, -0.05, 2.0),
    }.items()
)
"""Rounded from what is reported of adults segmented with FreeSurfer. The fluid around the brain (``CSF``) is what
remains of the intracranial volume. Errors are those of one T1w at 3 T; the thalamus of both sides then changes from
year to year with an error of 0.018 % of the intracranial volume."""

NAMES: tuple[str, ...] = tuple(item.name for item in ANATOMY)

FLUID: frozenset[str] = frozenset({"Lateral-Ventricle", "Inf-Lat-Vent", "3rd-Ventricle", "4th-Ventricle"})

SIDES_CORRELATION = 0.9
"""Correlation of the two sides of a structure."""

TISSUE_CORRELATION, FLUID_CORRELATION, OPPOSED_CORRELATION = 0.35, 0.6, -0.25
"""Correlation of two tissues, of two ventricles, and of a tissue with a ventricle, between healthy people."""

PAIR_CORRELATIONS: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("Caudate", "Putamen"): 0.85,
        ("Caudate", "Pallidum"): 0.80,
        ("Putamen", "Pallidum"): 0.85,
        ("Hippocampus", "Amygdala"): 0.80,
    }
)
"""Those of healthy people that are closer, the two sides taken together."""

REFERENCE_AGE = 40.0
"""Years, at which ``share_pct`` holds."""

ETIV_MM3: Mapping[str, tuple[float, float]] = MappingProxyType({"F": (1.43e6, 0.11e6), "M": (1.60e6, 0.12e6)})
"""Mean and standard deviation of the intracranial volume by sex."""

CORD_MM2: Mapping[str, float] = MappingProxyType(
    {"C1": 74.0, "C2": 71.0, "C3": 72.0, "C4": 77.0, "C5": 79.0, "C6": 73.0, "C7": 62.0}
)
"""Area of the cord by level in healthy women and men of 40."""

CORD_LENGTHS_MM: Mapping[str, float] = MappingProxyType(
    {"C1": 23.5, "C2": 15.5, "C3": 18.5, "C4": 18.5, "C5": 16.5, "C6": 15.5, "C7": 17.0}
)
"""Length of each level in the average cord; see `bids_msvol.cord.levels`."""

CORD_SPREAD, CORD_LEVEL_SPREAD = 0.075, 0.02
"""Standard deviations between people of the logarithm of the area: of the whole cord, and of each level beside it."""

CORD_AGE_PCT = -0.12
CORD_MEN_PCT = 4.5
CORD_ETIV_POWER = 0.3
"""Change of the area with each year of age, difference of men, power of the intracranial volume that it goes with."""

CORD_NOISE_PCT = 1.4
"""Standard deviation of the error of one level in one scan (repeated T1w of one person: 1.5 %)."""
