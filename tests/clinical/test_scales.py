# SPDX-License-Identifier: Apache-2.0
"""Which change counts on SDMT, 9HPT and T25FW, and in which direction."""

from __future__ import annotations

import pytest

from bids_msvol.clinical.scales import RULES, find_rule
from tests.clinical.persons import events


def test_direction() -> None:
    """A rise is worse on the EDSS and on timed tests, a fall on the SDMT."""
    assert find_rule("seed").worsened(2.0, 3.0)
    assert find_rule("seed").improved(3.0, 2.0)
    assert find_rule("sdmt").worsened(50, 46)
    assert find_rule("sdmt").improved(46, 50)
    assert not find_rule("sdmt").improved(50, 46)


def test_sdmt_by_points_or_share() -> None:
    """4 points from a baseline of 20 on; below, a fifth, which is less."""
    rule = find_rule("sdmt")
    assert (rule.change(50), rule.change(20), rule.change(10)) == (4, 4, 2)
    assert not rule.worsened(50, 47)
    assert rule.worsened(10, 8)
    assert not rule.worsened(10, 9)


@pytest.mark.parametrize("name", ["nhpt", "t25fw"])
def test_timed_tests_by_a_fifth(name: str) -> None:
    """20 % counts, and also where 20 % is not exact in binary numbers; 19 % does not."""
    rule = find_rule(name)
    assert rule.worsened(42.0, 50.4)
    assert 50.4 - 42.0 < 0.2 * 42.0  # without allowance for rounding it would not
    assert not rule.worsened(10.0, 11.9)
    assert rule.improved(10.0, 8.0)


def test_no_change_is_none() -> None:
    """From an SDMT of 0 a fifth is 0, and yet nothing happens as long as the score stays 0."""
    rule = find_rule("sdmt")
    assert not rule.worsened(0, 0)
    assert not rule.improved(0, 0)
    assert rule.improved(0, 1)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("sdmt", 111, "111 is not an SDMT score"),
        ("sdmt", -1, "-1 is not an SDMT score"),
        ("nhpt", 0, "0 is not a time in seconds for the 9HPT"),
        ("t25fw", float("inf"), "inf is not a time in seconds for the T25FW"),
        ("trial", 0.5, "0.5 is not an EDSS score"),
    ],
)
def test_values_that_do_not_exist(name: str, value: float, problem: str) -> None:
    """Each scale refuses what it cannot show."""
    with pytest.raises(ValueError, match=problem):
        RULES[name].check(value)


def test_unknown_rule() -> None:
    """The message lists the rules."""
    with pytest.raises(ValueError, match="there are: seed, msbase, trial, sdmt, nhpt, t25fw"):
        find_rule("pasat")


def test_same_engine() -> None:
    """A confirmed fall of the SDMT is a worsening, its return an improvement; so with the sign turned for the 9HPT."""
    assert events({0: 50, 100: 45, 300: 44, 400: 50, 600: 51}, rule="sdmt") == [("PIRA", 100), ("CDI", 400)]
    assert events({0: 20, 100: 25, 300: 26, 400: 20, 600: 19}, rule="nhpt") == [("PIRA", 100), ("CDI", 400)]
