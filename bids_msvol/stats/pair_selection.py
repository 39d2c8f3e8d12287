# SPDX-License-Identifier: Apache-2.0
"""Order statistics of all pairs without making the pairs, so that thousands of people take little memory and time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

HALVINGS = 70
"""More than the digits of a number in binary; without a bound, a rank at zero would be halved a thousand times."""

DECIMALS = 12
"""No clinical value has more."""


def nth_difference(first: NDArray[np.float64], second: NDArray[np.float64], number: int) -> float:
    """Return the difference of that rank (1 is the least) among all values of ``second`` less all of ``first``."""
    one, other = np.sort(first), np.sort(second)
    return _nth(
        lambda limit: int(np.searchsorted(other, one + limit, side="right").sum()),
        float(other[0] - one[-1]),
        float(other[-1] - one[0]),
        number,
    )


def nth_walsh_average(values: NDArray[np.float64], number: int) -> float:
    """Return the mean of that rank (1 is the least) among the means of all pairs, each value with itself included."""
    ordered = np.sort(values)

    def count(limit: float) -> int:
        twice = int(np.searchsorted(ordered, 2.0 * limit - ordered, side="right").sum())
        return (twice + int(np.searchsorted(ordered, limit, side="right"))) // 2

    return _nth(count, float(ordered[0]), float(ordered[-1]), number)


def _nth(count: Callable[[float], int], low: float, high: float, number: int) -> float:
    """Return the least limit that so many pairs do not exceed, by halving to the last digit."""
    if count(low) >= number:
        return low
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2.0
        if not low < middle < high:
            break
        low, high = (low, middle) if count(middle) >= number else (middle, high)
    # Halving ends next to the number: what differs from a short decimal by rounding alone is that decimal.
    rounded = round(high, DECIMALS) + 0.0
    return rounded if abs(rounded - high) <= 4.0 * np.spacing(max(abs(high), 1.0)) else high
