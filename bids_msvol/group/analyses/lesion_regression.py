# SPDX-License-Identifier: Apache-2.0
"""What the analyses of lesions and atrophy share: who takes part, changes, and a straight line with its checks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bids_msvol.group.regions import region_label
from bids_msvol.group.wording import say_count, say_list, say_p
from bids_msvol.stats.regression import COOK_SEVERE, Influence, LinearFit, influence, simple_regression

if TYPE_CHECKING:
    from bids_msvol.group.study import Study
    from bids_msvol.stats.estimates import Estimate

LEAST_OBSERVATIONS = 3
"""A line through fewer leaves nothing to judge it by."""

MOST_NAMED = 4
"""Results below p = 0.05 that a sentence names; the others are counted."""

ALPHA = 0.05

FEW_PERSONS = 10
FEW_WITH_LESIONS = 5
"""Fewer persons, and fewer persons with lesions, make a slope rest on very few: a warning says so."""

SHAPIRO_UP_TO = 5000
"""Observations up to which scipy vouches for the p value of the Shapiro-Wilk test."""

UNEQUAL = 0.05
"""P value of the Brown-Forsythe test below which variances of groups count as different."""


DECIDED_BY = "decided by "
"""How a warning begins that names the person on whom a slope rests."""


@dataclass(frozen=True)
class LesionKind:
    """A kind of lesion count.

    Attributes
    ----------
    column
        Of the sessions and intervals.
    short
        In the names of files.
    one, many
        In sentences.
    """

    column: str
    short: str
    one: str
    many: str


NEW_T2 = LesionKind("new_t2", "newT2", "new T2 lesion", "new T2 lesions")
GADOLINIUM = LesionKind("gd", "Gd", "contrast-enhancing lesion", "contrast-enhancing lesions")


@dataclass(frozen=True)
class Patients:
    """Who takes part.

    Attributes
    ----------
    group
        By ``participant_id``: the group, missing for controls and for those whose group is not known.
    groups
        Groups with at least one patient, in the order of the study.
    limits
        Sentences on who does not take part.
    """

    group: pd.Series[Any]
    groups: tuple[str, ...]
    limits: tuple[str, ...]

    @property
    def reference(self) -> str | None:
        """The group that others are compared with; ``None`` if there is one group only."""
        return self.groups[0] if len(self.groups) > 1 else None

    def of(self, names: pd.Series[Any]) -> NDArray[np.object_]:
        """Return the group of each participant named, ``None`` where missing."""
        labels = self.group.reindex(names).astype(object)
        return np.asarray(labels.where(labels.notna(), None), dtype=object)


def find_patients(study: Study) -> Patients:
    """Return who takes part: healthy controls have no lesions to relate to anything."""
    control = study.persons["is_control"].fillna(False).astype(bool)
    group = study.persons["group"].astype(object)
    unknown = int((group.isna() & ~control).sum())
    group = group.where(group.notna() & ~control, None)
    present = set(group.dropna())
    limits = []
    if control.any():
        limits.append(
            f"{say_count(int(control.sum()), 'healthy control')} took no part: lesions are those of patients."
        )
    if unknown:
        limits.append(f"{say_count(unknown, 'person')} of unknown group took no part.")
    return Patients(group, tuple(name for name in study.groups() if name in present), tuple(limits))


def find_changes(study: Study, pairs: pd.DataFrame, regions: Sequence[str]) -> pd.DataFrame:
    """Return changes between pairs of sessions in points of per cent of intracranial volume; NaN if not measured."""
    source = study.volumes_mm3 if study.measured_change_mm3 is None else study.measured_change_mm3
    known = [name for name in regions if name in source and name in study.volumes_mm3]
    change = study.change(pairs["from_row"].tolist(), pairs["to_row"].tolist(), known, "pct_etiv")
    return change.reindex(columns=list(regions)).astype(float)


@dataclass(frozen=True, eq=False)
class Line:
    """A straight line through the observations of one group.

    Attributes
    ----------
    x, y
        (observation,).
    persons
        (observation,) labels.
    fit
        ``None`` if there is none.
    influence
        Of each observation.
    failure
        Why there is no line.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    persons: NDArray[np.object_]
    fit: LinearFit | None
    influence: Influence | None
    failure: str = ""

    @property
    def slope(self) -> Estimate | None:
        """The slope with its t test."""
        return None if self.fit is None else self.fit.contrast({"x": 1.0})

    @property
    def r(self) -> float:
        """Pearson's correlation."""
        slope = self.slope
        if self.fit is None or slope is None:
            return math.nan
        return math.copysign(math.sqrt(max(0.0, self.fit.r_squared)), slope.value)

    @property
    def sigma(self) -> float:
        """Standard deviation of what the line leaves."""
        return math.nan if self.fit is None else math.sqrt(self.fit.sigma2)

    @property
    def p_hc3(self) -> float:
        """P value of the slope without the assumption of equal variances."""
        if self.fit is None:
            return math.nan
        try:
            return simple_regression(self.y, self.x, errors="HC3").contrast({"x": 1.0}).p
        except ValueError:
            return math.nan

    def note(self) -> str:
        """Return ``R = -0.35, p = 0.006``, or why there is no line."""
        slope = self.slope
        return self.failure if slope is None else f"R = {self.r:.2f}, {say_p(slope.p)}"


def fit_line(
    y: NDArray[np.float64], x: NDArray[np.float64], persons: NDArray[np.object_], many: str, level: float
) -> Line:
    """Fit a line, or say why there is none.

    Parameters
    ----------
    y, x
        (observation,), none missing.
    persons
        (observation,) labels.
    many
        What x counts, such as ``new T2 lesions``.
    level
        Of the confidence interval.
    """
    count = len(y)
    failure = ""
    if count == 0:
        failure = "no observation with both volumes and lesion counts"
    elif count < LEAST_OBSERVATIONS:
        failure = f"only {say_count(count, 'observation')}"
    elif np.ptp(x) == 0.0:
        failure = f"the number of {many} is {x[0]:g} in all {count} observations"
    if not failure:
        try:
            fit = simple_regression(y, x, level=level)
            return Line(x, y, persons, fit, influence(fit))
        except ValueError as error:
            failure = str(error)
    return Line(x, y, persons, None, None, failure)


def line_warnings(line: Line, many: str) -> list[str]:
    """Return why a slope must be read with care: few persons, few with lesions, or one observation that decides."""
    if line.fit is None or line.influence is None:
        return [f"not tested: {line.failure}"]
    found = []
    persons, bearing = len(set(line.persons)), len(set(line.persons[line.x > 0.0]))
    if persons < FEW_PERSONS:
        found.append(f"few persons ({persons})")
    if bearing < FEW_WITH_LESIONS:
        found.append(f"only {say_count(bearing, 'person')} with {many}")
    severe = np.flatnonzero(line.influence.severe)
    if len(severe):
        worst = severe[np.argmax(line.influence.cooks_distance[severe])]
        distance = line.influence.cooks_distance[worst]
        size = f"{distance:.1f}" if math.isfinite(distance) else "infinite"
        more = f" and {len(severe) - 1} more" if len(severe) > 1 else ""
        found.append(f"{DECIDED_BY}{line.persons[worst]} (Cook's distance {size}, above {COOK_SEVERE:g}){more}")
    return found


def line_checks(line: Line) -> list[str]:
    """Return what was checked of the residuals of a line, with its result."""
    if line.fit is None or line.influence is None:
        return []
    residuals = line.fit.residuals
    if len(residuals) <= SHAPIRO_UP_TO:
        shape = f"residuals normal: Shapiro-Wilk {say_p(float(stats.shapiro(residuals).pvalue))}"
    else:
        shape = f"skewness of residuals {float(stats.skew(residuals)):.2f}"
    largest = float(np.max(line.influence.cooks_distance))
    return [shape, f"largest Cook's distance {largest:.2f}, hat value {float(np.max(line.influence.hat)):.2f}"]


def variance_check(line: Line, reference: Line, reference_name: str) -> tuple[str, bool]:
    """Compare the residuals' spread with that of the reference group (Brown and Forsythe 1974, JASA 69:364-367).

    Returns
    -------
    text : str
        The ratio of the standard deviations and the p value; empty if there is nothing to compare.
    unequal : bool
        Whether the variances differ.
    """
    if line.fit is None or reference.fit is None or not reference.sigma > 0.0:
        return "", False
    p = float(stats.levene(line.fit.residuals, reference.fit.residuals, center="median").pvalue)
    ratio = line.sigma / reference.sigma
    return f"residual SD {ratio:.2f} times that of {reference_name} (Brown-Forsythe {say_p(p)})", p < UNEQUAL


def group_columns(
    x: NDArray[np.float64], group: NDArray[np.object_], lines: Mapping[str, Line]
) -> dict[str, NDArray[np.float64]]:
    """Return columns of a model with an intercept of each group, and a slope of each group that has a line."""
    columns: dict[str, NDArray[np.float64]] = {}
    for name in lines:
        own = (group == name).astype(float)
        if own.any():
            columns[f"intercept[{name}]"] = own
    for name, line in lines.items():
        if line.fit is not None:
            columns[f"x[{name}]"] = x * (group == name)
    return columns


def slope_of(group: str) -> Mapping[str, float]:
    """Return the contrast that is the slope of a group, in a model of `group_columns`."""
    return MappingProxyType({f"x[{group}]": 1.0})


def slope_difference(group: str, reference: str) -> Mapping[str, float]:
    """Return the contrast that is the slope of a group less that of another."""
    return MappingProxyType({f"x[{group}]": 1.0, f"x[{reference}]": -1.0})


def deciding_person(row: Mapping[str, object]) -> str:
    """Return the person that a row's warning says decides its slope; empty if none does."""
    parts = str(row.get("warning", "")).split(DECIDED_BY)
    return parts[1].split(" ")[0] if len(parts) > 1 else ""


def spread_of(lines: Iterable[Line]) -> float:
    """Return the residual standard deviation of all groups together; NaN if no group has a line."""
    fits = [line.fit for line in lines if line.fit is not None]
    freedom = sum(fit.df for fit in fits)
    return math.sqrt(sum(fit.sigma2 * fit.df for fit in fits) / freedom) if freedom else math.nan


def say_survivors(rows: Sequence[Mapping[str, Any]], p: str, q: str, what: str) -> str:
    """Say what is below 0.05 after correction, and what only before it."""
    after = [row for row in rows if float(row[q]) < ALPHA]
    before = sorted((row for row in rows if float(row[p]) < ALPHA <= float(row[q])), key=lambda row: float(row[p]))
    smallest = min(float(row[q]) for row in rows)
    stands = (
        f"stood at q < {ALPHA:g} in {_name(sorted(after, key=lambda row: float(row[q])), q, 'q')}"
        if after
        else f"did not stand correction for {say_count(len(rows), 'test')} (smallest {say_p(smallest, 'q')})"
    )
    exploratory = f"; p < {ALPHA:g} before correction only (exploratory): {_name(before, p, 'p')}" if before else ""
    return f"{what} {stands}{exploratory}."


def _name(rows: Sequence[Mapping[str, Any]], column: str, symbol: str) -> str:
    named = []
    for row in rows[:MOST_NAMED]:
        alone = f"; {DECIDED_BY}{person}" if (person := deciding_person(row)) else ""
        place = f"{region_label(str(row['roi'])).lower()} in {row['group']}"
        named.append(f"{place} ({say_p(row[column], symbol)}{alone})")
    if len(rows) > MOST_NAMED:
        named.append(f"{len(rows) - MOST_NAMED} more")
    return say_list(named)
