# SPDX-License-Identifier: Apache-2.0
"""The EDSS has twenty scores, and three rules say which change counts."""

from __future__ import annotations

import pytest

from bids_msvol.clinical.edss import EDSS_CHANGES, EDSS_SCORES, EdssRule, check_edss, describe_edss_rule, edss_change


def test_the_scores() -> None:
    """0, then 1.0 to 10 in steps of one half: there is no 0.5."""
    assert len(EDSS_SCORES) == 20
    assert EDSS_SCORES[:4] == (0.0, 1.0, 1.5, 2.0)
    assert EDSS_SCORES[-1] == 10.0
    for score in EDSS_SCORES:
        check_edss(score)


@pytest.mark.parametrize("value", [0.5, 2.25, -1.0, 10.5, float("nan")])
def test_other_values_are_refused(value: float) -> None:
    """A value off the grid is named in the message."""
    with pytest.raises(ValueError, match=f"^{value:g} is not an EDSS score"):
        check_edss(value)
    with pytest.raises(ValueError, match="is not an EDSS score"):
        edss_change(value)


@pytest.mark.parametrize(
    ("rule", "at_0", "at_1", "at_5", "at_5_5", "at_6"),
    [("seed", 1.5, 1.0, 1.0, 0.5, 0.5), ("msbase", 1.5, 1.0, 1.0, 1.0, 0.5), ("trial", 1.0, 1.0, 1.0, 1.0, 0.5)],
)
def test_the_rules(rule: EdssRule, at_0: float, at_1: float, at_5: float, at_5_5: float, at_6: float) -> None:
    """The rules agree but at 0 and at 5.5."""
    changes = [edss_change(score, rule) for score in (0.0, 1.0, 5.0, 5.5, 6.0, 9.5)]
    assert changes == [at_0, at_1, at_5, at_5_5, at_6, 0.5]


def test_every_rule_covers_the_scale() -> None:
    """There is a change for each score, and it never grows with the score."""
    for rule in EDSS_CHANGES:
        changes = [edss_change(score, rule) for score in EDSS_SCORES]
        assert changes == sorted(changes, reverse=True)


def test_unknown_rule() -> None:
    """The message lists the rules."""
    with pytest.raises(ValueError, match="'mine'; there are: seed, msbase, trial"):
        edss_change(2.0, "mine")  # type: ignore[arg-type]


def test_rules_in_words() -> None:
    """The words say where each step holds."""
    assert describe_edss_rule("seed") == (
        "1.5 from a baseline of 0, 1.0 from a baseline of 1.0 to 5.0, 0.5 from a baseline of 5.5 and above"
    )
    assert describe_edss_rule("trial") == "1.0 from a baseline of 0 to 5.5, 0.5 from a baseline of 6.0 and above"
