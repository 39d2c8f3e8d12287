# SPDX-License-Identifier: Apache-2.0
"""The Expanded Disability Status Scale (EDSS): which scores exist, and which change of score counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

EdssRule = Literal["seed", "msbase", "trial"]

EDSS_SCORES: tuple[float, ...] = (0.0, *(step / 2 for step in range(2, 21)))
"""0, 1.0, 1.5 and so on to 10: there is no 0.5 (Kurtzke 1983, Neurology 33:1444-1452)."""

EDSS_CHANGES: Mapping[EdssRule, tuple[tuple[float, float], ...]] = {
    "seed": ((0.0, 1.5), (5.0, 1.0), (10.0, 0.5)),
    "msbase": ((0.0, 1.5), (5.5, 1.0), (10.0, 0.5)),
    "trial": ((5.5, 1.0), (10.0, 0.5)),
}
"""For each rule, pairs of a baseline score and the change that counts from it: the first pair holds up to and with
its score, the second up to and with its own, and so on.

``seed`` is the rule of Beadnall et al. 2019 and of Müller et al. 2023 (JAMA Neurology 80:1232-1245), ``msbase`` that of
the R package MSoutcomes, ``trial`` that of the ocrelizumab trials (Journal of Neurology, Neurosurgery and Psychiatry
2017, 88:e1). They differ at 0 and at 5.5."""


def check_edss(value: float) -> None:
    """Check that a score exists.

    Raises
    ------
    ValueError
        If it does not.
    """
    if value not in EDSS_SCORES:
        raise ValueError(f"{value:g} is not an EDSS score; the scores are 0, 1.0, 1.5 and so on in steps of 0.5 to 10")


def edss_change(baseline: float, rule: EdssRule = "seed") -> float:
    """Return the smallest change of EDSS that counts, for worsening and for improvement.

    Parameters
    ----------
    baseline
        EDSS to compare with.
    rule
        Which rule; see ``EDSS_CHANGES``.

    Raises
    ------
    ValueError
        If the rule or the score does not exist.
    """
    if rule not in EDSS_CHANGES:
        raise ValueError(f"there is no EDSS rule {rule!r}; there are: {', '.join(get_args(EdssRule))}")
    check_edss(baseline)
    return next(change for highest, change in EDSS_CHANGES[rule] if baseline <= highest)


def describe_edss_rule(rule: EdssRule) -> str:
    """Say a rule in words, such as ``by at least 1.0 from a baseline of up to 5.5, 0.5 from 6.0 and above``."""
    parts: list[str] = []
    lowest = 0.0
    for highest, change in EDSS_CHANGES[rule]:
        if highest == EDSS_SCORES[-1]:
            reach = f"{lowest:.1f} and above"
        elif highest == lowest:
            reach = f"{lowest:g}"
        else:
            reach = f"{lowest:g} to {highest:.1f}" if lowest == 0 else f"{lowest:.1f} to {highest:.1f}"
        parts.append(f"{change:.1f} from a baseline of {reach}")
        lowest = next((score for score in EDSS_SCORES if score > highest), highest)
    return ", ".join(parts)
