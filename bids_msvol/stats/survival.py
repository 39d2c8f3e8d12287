# SPDX-License-Identifier: Apache-2.0
"""Time to an event: Kaplan-Meier curves and the log-rank test."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bids_msvol.stats.design import check_labels, check_vector
from bids_msvol.stats.estimates import CONFIDENCE, check_level


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """The share of persons without event, by time.

    Attributes
    ----------
    times
        (step,) ascending: each time at which someone had an event or left.
    at_risk, events
        (step,) numbers just before, and at, each time.
    survival, low, high
        (step,) share without event from that time on, and its confidence interval; the interval is NaN before the first
        event and where the share is 0.
    n, n_events
        Numbers of persons and of events.
    median, median_low, median_high
        First time at which the share is at most one half, and its interval; NaN where it is not reached.
    """

    times: NDArray[np.float64]
    at_risk: NDArray[np.int64]
    events: NDArray[np.int64]
    survival: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: int
    n_events: int
    median: float
    median_low: float
    median_high: float

    def at(self, time: float) -> tuple[float, float, float]:
        """Return the share without event at a time, and its interval; NaN after the last time, unless none is left."""
        step = int(np.searchsorted(self.times, time, side="right")) - 1
        if step < 0:
            return 1.0, math.nan, math.nan
        if time > self.times[-1] and self.survival[-1] > 0.0:
            return math.nan, math.nan, math.nan
        return float(self.survival[step]), float(self.low[step]), float(self.high[step])

    def number_at_risk(self, time: float) -> int:
        """Return how many were still followed just before a time."""
        step = int(np.searchsorted(self.times, time, side="left"))
        return int(self.at_risk[step]) if step < len(self.times) else 0

    def until(self, fewest: int) -> KaplanMeier:
        """Return the curve up to the last time at which at least so many are at risk; it may have no steps.

        ``n`` and ``n_events`` stay those of everybody.
        """
        kept = self.at_risk >= fewest
        times, survival, low, high = self.times[kept], self.survival[kept], self.low[kept], self.high[kept]
        return replace(
            self,
            times=times,
            at_risk=self.at_risk[kept],
            events=self.events[kept],
            survival=survival,
            low=low,
            high=high,
            median=_first_half(times, survival),
            median_low=_first_half(times, low),
            median_high=_first_half(times, high),
        )


@dataclass(frozen=True)
class LogRank:
    """The log-rank test of two or more groups.

    Attributes
    ----------
    groups
        Their labels.
    observed, expected
        Events in each group, and those expected if all had the same risk.
    chi2, df, p
        Statistic, degrees of freedom and p value.
    """

    groups: tuple[str, ...]
    observed: tuple[float, ...]
    expected: tuple[float, ...]
    chi2: float
    df: int
    p: float


@dataclass(frozen=True)
class ChiSquare:
    """A chi-square test: statistic, degrees of freedom, p value."""

    chi2: float
    df: int
    p: float


def kaplan_meier(times: ArrayLike, events: ArrayLike, level: float = CONFIDENCE) -> KaplanMeier:
    """Estimate the share of persons without event over time.

    Parameters
    ----------
    times
        (person,) time to the event or to the end of follow-up, at least 0. Who leaves at the time of an event is at
        risk of it.
    events
        (person,) whether there was an event.
    level
        Of the intervals, which are built on the scale of log(-log) (Kalbfleisch and Prentice 1980).

    Raises
    ------
    ValueError
        If there is nobody, or values are missing or impossible.
    """
    check_level(level)
    when, happened = check_times(times, events)
    steps, position = np.unique(when, return_inverse=True)
    deaths = np.bincount(position, weights=happened).astype(np.int64)
    leaving = np.bincount(position)
    at_risk = (leaving[::-1].cumsum()[::-1]).astype(np.int64)
    survival = np.asarray(np.cumprod(1.0 - deaths / at_risk), dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Greenwood's variance of log S, carried over to log(-log S).
        variance = np.cumsum(deaths / (at_risk * (at_risk - deaths).astype(float)))
        half = float(special.ndtri(0.5 + level / 2.0)) * np.sqrt(variance) / np.abs(np.log(survival))
        low, high = survival ** np.exp(half), survival ** np.exp(-half)
    unknown = (survival <= 0.0) | (survival >= 1.0)
    low[unknown] = high[unknown] = np.nan
    return KaplanMeier(
        times=steps,
        at_risk=at_risk,
        events=deaths,
        survival=survival,
        low=low,
        high=high,
        n=len(when),
        n_events=int(happened.sum()),
        median=_first_half(steps, survival),
        median_low=_first_half(steps, low),
        median_high=_first_half(steps, high),
    )


def log_rank(times: ArrayLike, events: ArrayLike, groups: ArrayLike) -> LogRank:
    """Test whether groups have the same risk at all times.

    Parameters
    ----------
    times, events
        As for `kaplan_meier`.
    groups
        (person,) labels.

    Raises
    ------
    ValueError
        If there are fewer than two groups or no events, or a group is never at risk when an event happens.
    """
    when, happened = check_times(times, events)
    labels, codes = check_labels("groups", groups, len(when))
    if len(labels) < 2:
        raise ValueError("there is one group only")
    if not happened.any():
        raise ValueError("there are no events")
    steps, position = np.unique(when, return_inverse=True)
    shape = (len(steps), len(labels))
    leaving, deaths = np.zeros(shape), np.zeros(shape)
    np.add.at(leaving, (position, codes), 1.0)
    np.add.at(deaths, (position, codes), happened)
    at_risk = leaving[::-1].cumsum(axis=0)[::-1]
    kept = deaths.sum(axis=1) > 0.0
    at_risk, deaths = at_risk[kept], deaths[kept]
    total, count = at_risk.sum(axis=1), deaths.sum(axis=1)
    share = at_risk / total[:, None]
    expected = (share * count[:, None]).sum(axis=0)
    factor = np.divide(count * (total - count), total - 1.0, out=np.zeros_like(total), where=total > 1.0)
    covariance = np.diag((factor[:, None] * share).sum(axis=0)) - (share * factor[:, None]).T @ share
    observed = deaths.sum(axis=0)
    if (np.diag(covariance) <= 0.0).any():
        raise ValueError("a group was never at risk together with others when an event happened")
    difference = (observed - expected)[:-1]
    chi2 = float(difference @ np.linalg.solve(covariance[:-1, :-1], difference))
    test = chi_square(chi2, len(labels) - 1)
    return LogRank(tuple(labels), tuple(observed.tolist()), tuple(expected.tolist()), test.chi2, test.df, test.p)


def check_times(times: ArrayLike, events: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times and events (person,) as numbers.

    Raises
    ------
    ValueError
        If there is nobody, or values are missing or impossible.
    """
    when = check_vector("times", times)
    happened = check_vector("events", events, len(when))
    if not len(when):
        raise ValueError("there is nobody")
    if (when < 0.0).any():
        raise ValueError("'times' holds negative times")
    if not np.isin(happened, (0.0, 1.0)).all():
        raise ValueError("'events' holds something other than true and false")
    return when, happened


def chi_square(chi2: float, df: int) -> ChiSquare:
    """Return a statistic with its p value; rounding below 0 is taken as 0."""
    return ChiSquare(max(chi2, 0.0), df, float(special.chdtrc(df, max(chi2, 0.0))))


def _first_half(times: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    """Return the first time at which a share is at most one half; between two times where it is one half, their mean.

    The convention is that of R's ``survfit``.
    """
    with np.errstate(invalid="ignore"):
        below = np.flatnonzero(share <= 0.5 + 1e-12)
        lower = np.flatnonzero(share < 0.5 - 1e-12)
    if not len(below):
        return math.nan
    if abs(share[below[0]] - 0.5) <= 1e-12 and len(lower):
        return float((times[below[0]] + times[lower[0]]) / 2.0)
    return float(times[below[0]])
