# SPDX-License-Identifier: Apache-2.0
"""Tables of counts: independence of groups and categories, odds ratio, and the same people at two times."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from bids_msvol.stats.estimates import CONFIDENCE, check_level

FARTHEST = 25.0
"""Logarithm of the largest odds ratio that is looked for: no study of people comes near it."""

GRID_POINTS = 2001
"""Odds ratios tried before the ends of an interval are sought between two of them."""


@dataclass(frozen=True)
class Independence:
    """A test of independence in a table of counts.

    Attributes
    ----------
    chi2, df
        Pearson's statistic, without correction for continuity, and its degrees of freedom.
    p
        From the chi-square distribution.
    p_permuted
        Share of tables with the same margins that are as far from independence, from tables drawn at random.
    least_expected
        Smallest count expected under independence.
    cramers_v
        Effect size, from 0 to 1.
    draws
        Number of tables drawn.
    """

    chi2: float
    df: int
    p: float
    p_permuted: float
    least_expected: float
    cramers_v: float
    draws: int


@dataclass(frozen=True)
class OddsRatio:
    """Odds in one group over those in another.

    Attributes
    ----------
    value, low, high
        Estimate and confidence interval.
    corrected
        Whether a cell was zero, and a half was added to each.
    """

    value: float
    low: float
    high: float
    corrected: bool


@dataclass(frozen=True)
class PairedShares:
    """A share of the same people at two times.

    Attributes
    ----------
    gained, lost
        People for whom it holds only at the second time, and only at the first.
    difference, low, high
        Share at the second time less that at the first, and its confidence interval.
    p
        Exact McNemar test, two-sided; 1 where nobody changed.
    """

    gained: int
    lost: int
    difference: float
    low: float
    high: float
    p: float


def check_independence(table: ArrayLike, *, draws: int, seed: int) -> Independence:
    """Test whether groups (rows) have the same shares of categories (columns).

    Parameters
    ----------
    table
        (group, category) numbers of people; empty rows and columns are left out.
    draws
        Tables with the same margins to draw; the one observed counts as one more.
    seed
        Of the random numbers.

    Raises
    ------
    ValueError
        If fewer than two groups or two categories have anybody.
    """
    counts = np.asarray(table, dtype=np.int64)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if len(counts) < 2:
        raise ValueError("fewer than two groups have anybody")
    if counts.shape[1] < 2:
        raise ValueError("everybody has the same value")
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    expected = np.outer(rows, columns) / counts.sum()
    df = (len(rows) - 1) * (len(columns) - 1)

    def statistic(tables: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(((tables - expected) ** 2 / expected).sum(axis=(-2, -1)), dtype=np.float64)

    chi2 = float(statistic(counts))
    generator = np.random.default_rng(seed)
    drawn = statistic(np.asarray(stats.random_table(rows, columns).rvs(draws, random_state=generator)))
    return Independence(
        chi2=chi2,
        df=df,
        p=float(special.chdtrc(df, chi2)),
        # Sums in another order differ in the last digits, which must not count as less far.
        p_permuted=float((1 + np.count_nonzero(drawn >= chi2 * (1 - 1e-9))) / (1 + draws)),
        least_expected=float(expected.min()),
        cramers_v=float(np.sqrt(chi2 / (counts.sum() * (min(counts.shape) - 1)))),
        draws=draws,
    )


def odds_ratio(first: tuple[int, int], second: tuple[int, int], *, level: float = CONFIDENCE) -> OddsRatio:
    """Return the odds in the second group over those in the first, each given as count and number.

    The interval is Woolf's (1955, Annals of Human Genetics 19:251-253). Where a cell is zero a half is added to each
    (Haldane 1956, Annals of Human Genetics 20:309-311).

    Raises
    ------
    ValueError
        If a group is empty.
    """
    check_level(level)
    cells = np.array([second[0], second[1] - second[0], first[0], first[1] - first[0]], dtype=float)
    if not (first[1] and second[1]):
        raise ValueError("a group is empty")
    corrected = not cells.all()
    if corrected:
        cells += 0.5
    logarithm = float(np.log(cells[0] * cells[3] / (cells[1] * cells[2])))
    half = float(special.ndtri(0.5 + level / 2.0)) * float(np.sqrt((1.0 / cells).sum()))
    value, low, high = (float(np.exp(logarithm + side * half)) for side in (0.0, -1.0, 1.0))
    return OddsRatio(value, low, high, corrected)


def exact_odds_ratio(first: tuple[int, int], second: tuple[int, int], *, level: float = CONFIDENCE) -> OddsRatio:
    """Return the odds in the second group over those in the first, with the interval that belongs to Fisher's test.

    The estimate is the conditional maximum likelihood estimate; the interval holds the odds ratios that Fisher's exact
    test, two-sided by the sum of all probabilities up to that of the table, does not reject (Fay 2010, Biostatistics
    11:373-374). So it leaves out 1 whenever that test rejects at the level.

    Parameters
    ----------
    first, second
        Count and number of each group.
    level
        Of the confidence interval.

    Raises
    ------
    ValueError
        If a group is empty, or all or none of both groups have it.
    """
    check_level(level)
    if not (first[1] and second[1]):
        raise ValueError("a group is empty")
    total = first[0] + second[0]
    if total in (0, first[1] + second[1]):
        raise ValueError("everybody has the same value")
    low, high = max(0, total - first[1]), min(second[1], total)
    counts = np.arange(low, high + 1, dtype=np.float64)
    weights = _log_choose(second[1], counts) + _log_choose(first[1], total - counts)
    seen = second[0] - low

    def p_value(logarithm: float) -> float:
        """Return the p value of Fisher's test of this odds ratio."""
        chances = weights + logarithm * counts
        chances = np.exp(chances - chances.max())
        # Probabilities that are equal but for rounding count as equal.
        return float(chances[chances <= chances[seen] * (1.0 + 1e-7)].sum() / chances.sum())

    def mean_count(logarithm: float) -> float:
        chances = weights + logarithm * counts
        chances = np.exp(chances - chances.max())
        return float(chances @ counts / chances.sum())

    edge = 1.0 - level
    value = 0.0 if second[0] == low else math.inf
    if low < second[0] < high:
        value = math.exp(optimize.brentq(lambda one: mean_count(one) - second[0], -FARTHEST, FARTHEST))
    grid = np.linspace(-FARTHEST, FARTHEST, GRID_POINTS)
    kept = np.array([p_value(float(one)) >= edge for one in grid])
    ends = [0.0, math.inf]
    places = np.flatnonzero(kept)
    for end, (place, beside, open_end) in enumerate(
        ((places[0], places[0] - 1, second[0] == low), (places[-1], places[-1] + 1, second[0] == high))
    ):
        if not open_end:
            ends[end] = math.exp(_step(p_value, float(grid[place]), float(grid[beside]), edge))
    return OddsRatio(value, ends[0], ends[1], False)


def _log_choose(number: int, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(
        special.gammaln(number + 1.0) - special.gammaln(counts + 1.0) - special.gammaln(number - counts + 1.0)
    )


def _step(p_value: Callable[[float], float], inside: float, outside: float, edge: float) -> float:
    """Return where, between a place inside and one outside of an interval, it ends; p values may jump there."""
    while abs(outside - inside) > 1e-9:
        middle = (inside + outside) / 2.0
        inside, outside = (middle, outside) if p_value(middle) >= edge else (inside, middle)
    return inside


def compare_paired(before: ArrayLike, after: ArrayLike, *, level: float = CONFIDENCE) -> PairedShares:
    """Compare the same people at two times by the exact McNemar test.

    Parameters
    ----------
    before, after
        (person,) truth values.
    level
        Of the confidence interval.

    Raises
    ------
    ValueError
        If there is nobody, or the two differ in length.

    References
    ----------
    McNemar 1947, Psychometrika 12:153-157. The interval is that of Bonett and Price 2012, Journal of Educational and
    Behavioral Statistics 37:479-488.
    """
    check_level(level)
    first, second = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError("there is nobody to compare, or not the same people twice")
    gained, lost, total = int((second & ~first).sum()), int((first & ~second).sum()), len(first)
    p = min(1.0, 2.0 * float(stats.binom.cdf(min(gained, lost), gained + lost, 0.5)))
    more, fewer = (gained + 1) / (total + 2), (lost + 1) / (total + 2)
    half = float(special.ndtri(0.5 + level / 2.0)) * float(np.sqrt((more + fewer - (more - fewer) ** 2) / (total + 2)))
    low, high = max(-1.0, more - fewer - half), min(1.0, more - fewer + half)
    return PairedShares(gained, lost, (gained - lost) / total, low, high, p)
