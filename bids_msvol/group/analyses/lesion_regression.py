# SPDX-License-Identifier: Apache-2.0
"""What lesions_yearly and lesions_baseline share: kinds of lesions, changes, and a straight line with its checks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.group.cells import say_region
from bids_msvol.group.checks import FEW_PERSONS, equal_spread_p, say_shape
from bids_msvol.group.wording import say_count, say_p, say_some
from bids_msvol.stats.regression import Influence, LinearFit, influence, simple_regression

if TYPE_CHECKING:
    from bids_msvol.group.study import Study
    from bids_msvol.stats.estimates import Estimate

LEAST_OBSERVATIONS = 3
"""A line through fewer leaves nothing to judge it by."""

MOST_NAMED = 4
"""Results that a sentence names; the others are counted."""

FEW_WITH_LESIONS = 5
"""Fewer persons with lesions make a slope rest on very few: a warning says so."""

UNEQUAL = 0.05
"""P value of the Brown-Forsythe test below which variances of groups count as different."""


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
    """Return why a slope must be read with care: no line, few persons, or few with lesions."""
    if line.fit is None or line.influence is None:
        return [f"not tested: {line.failure}"]
    found = []
    persons, bearing = len(set(line.persons)), len(set(line.persons[line.x > 0.0]))
    if persons < FEW_PERSONS:
        found.append(f"only {persons} persons")
    if bearing < FEW_WITH_LESIONS:
        found.append(f"only {say_count(bearing, 'person')} with {many}")
    return found


def line_checks(line: Line) -> list[str]:
    """Return what was checked of the residuals of a line, with its result."""
    if line.fit is None or line.influence is None:
        return []
    shape = f"residuals: {say_shape(line.fit.residuals)}"
    largest = float(np.max(line.influence.cooks_distance))
    return [shape, f"largest Cook's distance {largest:.2f}, hat value {float(np.max(line.influence.hat)):.2f}"]


def variance_check(line: Line, reference: Line, reference_name: str) -> tuple[str, bool]:
    """Compare the residuals' spread with that of the reference group.

    Returns
    -------
    text : str
        The ratio of the standard deviations and the p value; empty if there is nothing to compare.
    unequal : bool
        Whether the variances differ.
    """
    if line.fit is None or reference.fit is None or not reference.sigma > 0.0:
        return "", False
    p = equal_spread_p([line.fit.residuals, reference.fit.residuals])
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


def spread_of(lines: Iterable[Line]) -> float:
    """Return the residual standard deviation of all groups together; NaN if no group has a line."""
    fits = [line.fit for line in lines if line.fit is not None]
    freedom = sum(fit.df for fit in fits)
    return math.sqrt(sum(fit.sigma2 * fit.df for fit in fits) / freedom) if freedom else math.nan


def say_survivors(rows: Sequence[Mapping[str, Any]], p: str, q: str, what: str, alpha: float, *, note: str = "") -> str:
    """Say what is below the threshold after correction, over the regions of each group, and what only before it.

    Parameters
    ----------
    rows
        Those tested.
    p, q, note
        Names of cells; the last says on whom a result rests.
    what
        Begins the sentence.
    alpha
        The threshold.
    """
    after = [row for row in rows if float(row[q]) < alpha]
    before = sorted((row for row in rows if float(row[p]) < alpha <= float(row[q])), key=lambda row: float(row[p]))
    smallest = min(float(row[q]) for row in rows)
    groups = len({row["group"] for row in rows})
    regions = len({row["roi"] for row in rows})
    over = f"the {say_count(regions, 'region')}{' of each group' if groups > 1 else ''}"
    stands = (
        f"stood correction over {over} (q < {alpha:g}) in "
        f"{_name(sorted(after, key=lambda row: float(row[q])), q, 'q', note)}"
        if after
        else f"did not stand correction over {over} ({say_count(len(rows), 'test')}, smallest {say_p(smallest, 'q')})"
    )
    only = f"p < {alpha:g} before correction only (exploratory)"
    exploratory = f"; {only}: {_name(before, p, 'p', note)}" if before else ""
    return f"{what} {stands}{exploratory}."


def _name(rows: Sequence[Mapping[str, Any]], column: str, symbol: str, note: str) -> str:
    named = []
    for row in rows:
        rests = f", {row[note]}" if row.get(note) else ""
        where = "all groups together" if row["group"] == "ALL" else row["group"]
        named.append(f"{say_region(row)} in {where} ({say_p(row[column], symbol)}){rests}")
    return say_some(named, MOST_NAMED)
