# SPDX-License-Identifier: Apache-2.0
"""How results are put into words: the same number is said in the same way wherever it stands."""

from __future__ import annotations

import math
from collections.abc import Sequence


def say_p(p: float, name: str = "p") -> str:
    """Return ``p = 0.021``, ``p < 0.001``; ``p not known`` for NaN.

    Examples
    --------
    >>> say_p(0.0213)
    'p = 0.021'
    >>> say_p(0.00002)
    'p < 0.001'
    """
    if math.isnan(p):
        return f"{name} not known"
    if p < 0.001:
        return f"{name} < 0.001"
    return f"{name} = {p:.3f}" if p < 0.0995 else f"{name} = {p:.2f}"


def threshold(level: float) -> float:
    """Return below which p and q values count, for a level of confidence; equal to it they do not.

    Examples
    --------
    >>> threshold(0.95)
    0.05
    """
    return round(1.0 - level, 12)


def say_number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, without exponent where it can be read without.

    Examples
    --------
    >>> say_number(-0.009891)
    '-0.00989'
    >>> say_number(1234.5)
    '1234'
    """
    if not math.isfinite(value):
        return "n/a"
    if value == 0.0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -6:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{max(0, digits - 1 - magnitude)}f}"
    return text


def say_interval(low: float, high: float, level: float = 0.95, digits: int = 3) -> str:
    """Return ``95 % CI -0.0183 to -0.00149``."""
    return f"{100 * level:.0f} % CI {say_number(low, digits)} to {say_number(high, digits)}"


def say_count(count: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 person``, ``3 persons``."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def say_list(words: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def say_some(words: Sequence[str], most: int = 6) -> str:
    """Return a list as `say_list` does, of a long one only the first and how many more there are.

    Examples
    --------
    >>> say_some(["a", "b", "c", "d"], most=2)
    'a, b and 2 more'
    """
    left = len(words) - most
    return say_list(words) if left < 2 else say_list([*words[:most], f"{left} more"])
