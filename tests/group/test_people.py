# SPDX-License-Identifier: Apache-2.0
"""Who takes part: patients by group; healthy controls and people of unknown group are counted, not compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bids_msvol.group.assemble import assemble
from bids_msvol.group.people import (
    find_patients,
    is_among,
    is_control,
    say_unknown_group,
    say_unscanned,
    with_everybody,
)
from bids_msvol.group.plan import Plan
from tests.group.cohorts import make_study, make_tables


def test_patients_are_compared_and_all_others_counted() -> None:
    """Two controls, and one person of unknown group, take no part; the reference is a group of patients."""
    tables = make_tables({"HC": 2, "A": 4, "B": 3})
    groups = tables.persons["group"].astype(object)
    groups.iloc[-1] = None
    study = assemble(replace(tables, persons=tables.persons.assign(group=groups)), Plan())
    patients = find_patients(study)
    assert (patients.groups, patients.reference) == (("A", "B"), "A")
    assert int(is_control(study).sum()) == 2
    assert patients.group.notna().sum() == 6
    assert [text.split(" left out")[0] for text in patients.limits[:2]] == [
        "2 healthy controls",
        "1 person of unknown group",
    ]
    assert patients.of(pd.Series(study.persons.index[[0, 2, 8]])).tolist() == [None, "A", None]


def test_everybody_stands_beside_two_groups_or_more() -> None:
    """One group alone is everybody."""
    assert with_everybody(("A", "B")) == ("all", "A", "B")
    assert with_everybody(("A",)) == ("all",)
    labels = np.array(["A", "B", None], dtype=object)
    assert is_among(labels, "all").tolist() == [True, True, True]
    assert is_among(labels, "A").tolist() == [True, False, False]
    assert say_unknown_group(pd.Series(["A", "B"])) == ()


def test_the_largest_group_of_patients_stands_in_for_controls() -> None:
    """Where the reference of the study has no patients; a reference that has some stays."""
    patients = find_patients(make_study({"HC": 5, "A": 3, "B": 6, "C": 4}))
    assert patients.groups == ("B", "A", "C")
    assert patients.reference == "B"
    assert any("the largest group of patients (n = 6)" in text for text in patients.limits)
    assert find_patients(make_study({"A": 3, "B": 6})).groups == ("A", "B")


def test_persons_without_baseline_scan_are_counted() -> None:
    """Nothing is said if all have one, or nobody."""
    study = make_study({"A": 4})
    everybody = study.persons.index
    assert say_unscanned(study, everybody) == ()
    first = study.sessions["years"] == 0.0
    some = study.sessions.assign(has_scan=~(first & (study.sessions["participant_id"] == everybody[0])))
    (said,) = say_unscanned(replace(study, sessions=some), everybody)
    assert said == "1 of 4 persons has no usable scan at the baseline."
    assert say_unscanned(replace(study, sessions=study.sessions.assign(has_scan=~first)), everybody) == ()
