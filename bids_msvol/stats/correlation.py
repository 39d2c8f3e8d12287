# SPDX-License-Identifier: Apache-2.0
"""Correlations: plain, with other variables held constant, and those of two groups compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bids_msvol.stats.design import INTERCEPT, check_vector, make_design
from bids_msvol.stats.estimates import CONFIDENCE, check_level

Kind = Literal["pearson", "spearman"]
"""Of the values, or of their ranks."""

FULL_CORRELATION = 1e-12
"""A correlation nearer to one than this is one, but for rounding."""

NOTHING_LEFT = 1e-9
"""Share of a variable's spread below which nothing of it is left once other variables are held constant."""

BATCH_VALUES = 2_000_000
"""Random numbers drawn at a time, to bound the memory."""


@dataclass(frozen=True)
class Correlation:
    """A correlation with its test against zero.

    Attributes
    ----------
    r, p
        Correlation and its two-sided p value, from the t distribution.
    df
        Degrees of freedom: observations less two, less the variables held constant.
    low, high
        Confidence interval by Fisher's transformation; NaN with too few observations, or if the correlation is full.
    n_obs, n_given
        Numbers of observations and of variables held constant.
    kind
        Whether of values or of ranks.
    """

    r: float
    p: float
    df: int
    low: float
    high: float
    n_obs: int
    n_given: int
    kind: Kind

    @property
    def z_variance(self) -> float:
        """Variance of Fisher's transform of it; infinite with too few observations.

        That of ranks is larger (Bonett and Wright 2000, Psychometrika 65:23-28).
        """
        degrees = self.n_obs - 3 - self.n_given
        factor = 1.0 + self.r**2 / 2.0 if self.kind == "spearman" else 1.0
        return factor / degrees if degrees > 0 else float("inf")


@dataclass(frozen=True)
class CorrelationDifference:
    """Correlations of two groups of people compared.

    Attributes
    ----------
    first, second
        The two.
    difference, low, high
        Second less first, with the interval of Zou 2007, Psychological Methods 12:399-413.
    z, p
        Test by Fisher's transformation, two-sided.
    p_permutation
        Two-sided p value of the same statistic when people are exchanged between the groups; NaN if none was asked for.
    permutations, seed
        How many were drawn, and from where.
    """

    first: Correlation
    second: Correlation
    difference: float
    low: float
    high: float
    z: float
    p: float
    p_permutation: float
    permutations: int
    seed: int


def pearson(first: ArrayLike, second: ArrayLike, *, level: float = CONFIDENCE) -> Correlation:
    """Correlate two variables; see ``partial_correlation``."""
    return partial_correlation(first, second, level=level)


def partial_correlation(
    first: ArrayLike,
    second: ArrayLike,
    given: Mapping[str, ArrayLike] | None = None,
    *,
    kind: Kind = "pearson",
    level: float = CONFIDENCE,
) -> Correlation:
    """Correlate two variables with others held constant.

    Parameters
    ----------
    first, second
        (observation,).
    given
        (observation,) variables to hold constant, by name.
    kind
        ``spearman`` replaces every variable, also those held constant, by its ranks.
    level
        Of the confidence interval.

    Raises
    ------
    ValueError
        If a value is missing, there are too few observations, a variable does not vary or follows from those held
        constant, or one of these follows from others.
    """
    check_level(level)
    one = check_vector("first", first)
    other = check_vector("second", second, len(one))
    held = {name: check_vector(name, values, len(one)) for name, values in (given or {}).items()}
    if kind == "spearman":
        one, other = stats.rankdata(one), stats.rankdata(other)
        held = {name: stats.rankdata(values) for name, values in held.items()}
    elif kind != "pearson":
        raise ValueError(f"a correlation is 'pearson' or 'spearman', not {kind!r}")
    if len(one) - 2 - len(held) < 1:
        raise ValueError(f"{len(one)} observations are too few for a correlation with {len(held)} others held constant")
    basis = make_design({INTERCEPT: np.ones(len(one)), **held}).basis
    return _correlate(_left(one, basis), _left(other, basis), len(held), kind, level)


def compare_correlations(
    first: ArrayLike,
    second: ArrayLike,
    in_second_group: ArrayLike,
    given: Mapping[str, ArrayLike] | None = None,
    *,
    permutations: int = 0,
    seed: int = 0,
    level: float = CONFIDENCE,
) -> CorrelationDifference:
    """Test whether a correlation differs between two groups of people.

    Parameters
    ----------
    first, second
        (person,) the two variables.
    in_second_group
        (person,) booleans.
    given
        (person,) variables to hold constant, by name; their slopes are those of both groups together.
    permutations
        How many exchanges of people between the groups to draw; 0 for none.
    seed
        Of the random numbers.
    level
        Of the confidence intervals.

    Raises
    ------
    ValueError
        As ``partial_correlation``, for either group.

    Notes
    -----
    People are exchanged after each variable was freed, in both groups together, of the variables held constant and of
    the groups' means, and then brought to the same spread in both groups: only the correlations are to be compared.
    The data as they are count as one permutation. The exchange assumes that the groups do not differ in anything else
    than the means, spreads and correlation.
    """
    check_level(level)
    one = check_vector("first", first)
    other = check_vector("second", second, len(one))
    flags = check_vector("in_second_group", in_second_group, len(one))
    if not np.isin(flags, (0.0, 1.0)).all():
        raise ValueError("'in_second_group' holds something other than true and false")
    held = dict(given or {})
    sizes = (int((flags == 0.0).sum()), int((flags == 1.0).sum()))
    if min(sizes) - 3 - len(held) < 1:
        raise ValueError(f"{sizes[0]} and {sizes[1]} persons are too few to compare correlations")
    basis = make_design({INTERCEPT: np.ones(len(one)), "second group": flags, **held}).basis
    one, other = _left(one, basis), _left(other, basis)
    parts = [
        _correlate(_centred(one[flags == side]), _centred(other[flags == side]), len(held), "pearson", level)
        for side in (0.0, 1.0)
    ]
    if any(np.isnan(part.low) for part in parts):
        raise ValueError("a correlation is full in one of the groups")
    before, after = parts
    z = float((np.arctanh(after.r) - np.arctanh(before.r)) / np.sqrt(before.z_variance + after.z_variance))
    difference = after.r - before.r
    return CorrelationDifference(
        first=before,
        second=after,
        difference=difference,
        low=difference - float(np.hypot(after.r - after.low, before.high - before.r)),
        high=difference + float(np.hypot(after.high - after.r, before.r - before.low)),
        z=z,
        p=2.0 * float(special.ndtr(-abs(z))),
        p_permutation=_exchange(one, other, flags, permutations, seed) if permutations else float("nan"),
        permutations=permutations,
        seed=seed,
    )


def _left(values: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what orthonormal columns leave of values; zeros where that is only rounding."""
    left = values - basis @ (basis.T @ values)
    spread = float(np.linalg.norm(values - values.mean()))
    # A variable of one value has a spread of rounding errors.
    nothing = np.linalg.norm(left) <= NOTHING_LEFT * max(spread, NOTHING_LEFT * float(np.linalg.norm(values)))
    return np.zeros(len(left)) if nothing or np.ptp(values) == 0.0 else left


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values - float(values.mean())


def _correlate(
    one: NDArray[np.float64], other: NDArray[np.float64], given: int, kind: Kind, level: float
) -> Correlation:
    """Correlate residuals."""
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if min(lengths) == 0.0:
        raise ValueError("one of the two variables does not vary, or follows from those held constant")
    r = float(np.clip(one @ other / (lengths[0] * lengths[1]), -1.0, 1.0))
    df = len(one) - 2 - given
    full = abs(r) > 1.0 - FULL_CORRELATION
    p = 0.0 if full else 2.0 * float(special.stdtr(df, -abs(r) * np.sqrt(df / (1.0 - r**2))))
    found = Correlation(r, p, df, float("nan"), float("nan"), len(one), given, kind)
    if full or not np.isfinite(found.z_variance):
        return found
    half = float(special.ndtri(0.5 + level / 2.0)) * np.sqrt(found.z_variance)
    low, high = (float(np.tanh(np.arctanh(r) + side * half)) for side in (-1.0, 1.0))
    return Correlation(r, p, df, low, high, len(one), given, kind)


def _exchange(
    one: NDArray[np.float64], other: NDArray[np.float64], flags: NDArray[np.float64], permutations: int, seed: int
) -> float:
    """Return the share of exchanges after which the transformed correlations differ as much as they do."""
    variables = []
    for values in (one, other):
        scaled = np.empty_like(values)
        for side in (0.0, 1.0):
            part = _centred(values[flags == side])
            scaled[flags == side] = part / part.std()
        variables.append(scaled)
    x, y = variables
    terms = np.column_stack([x, y, x * x, y * y, x * y])
    total = terms.sum(axis=0)
    count, chosen = len(x), int(flags.sum())

    def distance(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        one_side, other_side = _transformed(sums, chosen), _transformed(total - sums, count - chosen)
        return np.abs(one_side - other_side)

    limit = float(distance((flags @ terms)[None, :])[0]) - 1e-9
    generator = np.random.default_rng(seed)
    extreme, batch = 0, max(1, BATCH_VALUES // count)
    for start in range(0, permutations, batch):
        drawn = min(batch, permutations - start)
        picked = np.argpartition(generator.random((drawn, count)), chosen - 1, axis=1)[:, :chosen]
        members = np.zeros((drawn, count))
        np.put_along_axis(members, picked, 1.0, axis=1)
        extreme += int(np.count_nonzero(distance(members @ terms) >= limit))
    return (1 + extreme) / (1 + permutations)


def _transformed(sums: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return Fisher's transform of correlations from sums (draw, x y xx yy xy) over so many persons."""
    x, y, xx, yy, xy = sums.T / count
    spread = np.sqrt(np.maximum((xx - x * x) * (yy - y * y), 1e-300))
    limit = 1.0 - FULL_CORRELATION
    return np.array(np.arctanh(np.clip((xy - x * y) / spread, -limit, limit)), dtype=np.float64)
