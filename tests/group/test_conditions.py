# SPDX-License-Identifier: Apache-2.0
"""Conditions by which scans and people are set apart."""

from __future__ import annotations

import numpy as np
import pytest

from bids_msvol.errors import UsageError
from bids_msvol.group.assemble import assemble
from bids_msvol.group.conditions import meets, parse_condition
from bids_msvol.group.plan import Exclusions, Plan
from tests.group.cohorts import make_tables


def test_age_of_session_or_person() -> None:
    """The age at the session counts where it is known, else that of the person."""
    tables = make_tables({"A": 2}, years=(0.0, 5.0))
    tables.persons["age"] = [38.0, 60.0]
    tables.sessions["age"] = [np.nan, 43.0, np.nan, np.nan]
    found = meets(parse_condition("age>40"), tables.sessions, tables.persons)
    assert found.tolist() == [False, True, True, True]


def test_a_person_is_set_apart_by_age() -> None:
    """If no session has an age of its own, it is the person who is left out, with all clinical data."""
    tables = make_tables({"A": 4})
    tables.persons["age"] = [30.0, 60.0, 31.0, 61.0]
    plan = Plan(exclusions=Exclusions(exclude_if=("age>50",)))
    assert list(assemble(tables, plan, leave_out_flagged=True).persons.index) == ["sub-001", "sub-003"]


def test_a_condition_that_everybody_meets() -> None:
    """It is refused by name."""
    plan = Plan(exclusions=Exclusions(exclude_if=("age>0",)))
    with pytest.raises(UsageError, match="everybody meets age>0"):
        assemble(make_tables({"A": 4}), plan, leave_out_flagged=True)
