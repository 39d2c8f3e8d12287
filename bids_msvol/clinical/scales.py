# SPDX-License-Identifier: Apache-2.0
"""Clinical scales and the rules that say which change on them counts: EDSS, SDMT, 9HPT, T25FW."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import get_args

from bids_msvol.clinical.edss import EdssRule, check_edss, describe_edss_rule, edss_change

SHARE = 0.2
"""A change by a fifth of the baseline counts on the timed tests and, where that is less than 4 points, on the SDMT."""

SDMT_POINTS = 4.0
"""A change of the Symbol Digit Modalities Test (SDMT) by this many points counts."""

SDMT_HIGHEST = 110.0
"""The written form has that many items."""

ROUNDING = 1e-9
"""Values are given in decimals: 50.4 s is 20 % more than 42 s, though not in binary arithmetic."""


@dataclass(frozen=True)
class Rule:
    """Which change on a scale counts.

    Attributes
    ----------
    scale
        Short name of the scale.
    higher_is_worse
        Whether a higher value is a worse one.
    check
        Raises ``ValueError`` for a value that the scale does not have.
    change
        Smallest change that counts, from the baseline value.
    sentence
        The rule in words, to follow ``worsening is a rise ...`` or ``a fall ...``.
    """

    scale: str
    higher_is_worse: bool
    check: Callable[[float], None]
    change: Callable[[float], float]
    sentence: str

    def worsened(self, baseline: float, value: float) -> bool:
        """Return whether a value is worse than the baseline by enough to count."""
        step = value - baseline if self.higher_is_worse else baseline - value
        # A fifth of 0 is 0: no change is never a change.
        return step > 0 and step >= self.change(baseline) - ROUNDING

    def improved(self, baseline: float, value: float) -> bool:
        """Return whether a value is better than the baseline by enough to count."""
        step = baseline - value if self.higher_is_worse else value - baseline
        return step > 0 and step >= self.change(baseline) - ROUNDING


def check_sdmt(value: float) -> None:
    """Check a number of correct answers of the SDMT.

    Raises
    ------
    ValueError
        If it is not between 0 and 110.
    """
    if not 0 <= value <= SDMT_HIGHEST:
        raise ValueError(f"{value:g} is not an SDMT score; the scores are 0 to {SDMT_HIGHEST:g}")


def check_seconds(value: float, test: str) -> None:
    """Check the time taken for a test.

    Raises
    ------
    ValueError
        If it is not a finite number above 0.
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{value:g} is not a time in seconds for the {test}; times are above 0")


def _sdmt_change(baseline: float) -> float:
    return min(SDMT_POINTS, SHARE * baseline)


def _share_change(baseline: float) -> float:
    return SHARE * baseline


def _edss(rule: EdssRule) -> Rule:
    return Rule("EDSS", True, check_edss, partial(edss_change, rule=rule), f"of at least {describe_edss_rule(rule)}")


def _timed(test: str) -> Rule:
    return Rule(
        test, True, partial(check_seconds, test=test), _share_change, f"by at least {SHARE:.0%} of the baseline"
    )


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **{name: _edss(name) for name in get_args(EdssRule)},
        "sdmt": Rule(
            "SDMT",
            False,
            check_sdmt,
            _sdmt_change,
            f"by at least {SDMT_POINTS:g} points or {SHARE:.0%} of the baseline, whichever is less",
        ),
        "nhpt": _timed("9HPT"),
        "t25fw": _timed("T25FW"),
    }
)
"""Rules by name: those of the EDSS, and one each for the SDMT (correct answers), the Nine-Hole Peg Test (9HPT, seconds)
and the Timed 25-Foot Walk (T25FW, seconds); the latter as in the R package msprog 1.0 (Montobbio et al. 2024, Multiple
Sclerosis Journal, doi 10.1177/13524585241243157)."""


def find_rule(name: str) -> Rule:
    """Return a rule by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in RULES:
        raise ValueError(f"there is no rule {name!r}; there are: {', '.join(RULES)}")
    return RULES[name]
