# SPDX-License-Identifier: Apache-2.0
"""What is checked of the assumptions of tests, said alike in every table: shape, spread, and single persons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bids_msvol.group.wording import say_p
from bids_msvol.stats.regression import COOK_SEVERE

SHAPIRO_UP_TO = 5000
"""Observations up to which the p value of the Shapiro-Wilk test is accurate (Royston 1995, Applied Statistics
44:547-551)."""

FEW_PERSONS = 10
"""Below so many persons a result carries a warning: it rests on the shape of a distribution that nobody can see."""

ROUNDING = 1e-10
"""Spread, relative to the largest value or one, that is rounding."""

DECIDED_BY = "decided by "
"""How a warning begins that names the person on whom a result rests."""


def shapiro_p(values: NDArray[np.float64]) -> float:
    """Return the p value of the test of Shapiro and Wilk; NaN for too few, too many, or values all the same."""
    if not _varies(values) or len(values) > SHAPIRO_UP_TO:
        return math.nan
    return float(stats.shapiro(values).pvalue)


def say_shape(values: NDArray[np.float64]) -> str:
    """Say how far values (observation,) are from a normal distribution.

    Returns
    -------
    str
        ``Shapiro-Wilk p = 0.21, skewness 0.10, furthest 2.1 SD``; without the test where it does not hold.
    """
    if not _varies(values):
        return "not checked: too few, or all the same"
    furthest = float(np.max(np.abs(values - values.mean()))) / float(np.std(values, ddof=1))
    shape = f"skewness {float(stats.skew(values)):.2f}, furthest {furthest:.1f} SD"
    p = shapiro_p(values)
    return shape if math.isnan(p) else f"Shapiro-Wilk {say_p(p)}, {shape}"


def equal_spread_p(parts: Sequence[NDArray[np.float64]]) -> float:
    """Return the p value of the test of equal variances of Brown and Forsythe 1974, JASA 69:364-367."""
    return float(stats.levene(*parts, center="median").pvalue)


def say_decisive(cooks: NDArray[np.float64], persons: Sequence[object] | NDArray[np.object_]) -> str:
    """Name the person with the largest Cook's distance, if it is above 1; empty if none is.

    Parameters
    ----------
    cooks
        (observation,) Cook's distances.
    persons
        (observation,) whose they are.
    """
    severe = np.flatnonzero(cooks > COOK_SEVERE)
    if not len(severe):
        return ""
    worst = int(severe[np.argmax(cooks[severe])])
    size = f"{cooks[worst]:.1f}" if math.isfinite(cooks[worst]) else "infinite"
    more = f" and {len(severe) - 1} more" if len(severe) > 1 else ""
    return f"{DECIDED_BY}{persons[worst]} (Cook's distance {size}, above {COOK_SEVERE:g}){more}"


def say_few(counts: Mapping[str, int], groups: Iterable[str]) -> list[str]:
    """Return a warning for each of these groups with few persons."""
    return [f"only {counts[name]} persons in {name}" for name in groups if counts[name] < FEW_PERSONS]


def join_notes(*notes: str) -> str:
    """Return checks or warnings as one cell; empty ones are left out."""
    return "; ".join(note for note in notes if note)


def _varies(values: NDArray[np.float64]) -> bool:
    spread = float(np.std(values, ddof=1)) if len(values) > 2 else 0.0
    return spread > ROUNDING * float(np.max(np.abs(values), initial=1.0))
