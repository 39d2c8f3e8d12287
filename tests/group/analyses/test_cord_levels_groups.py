# SPDX-License-Identifier: Apache-2.0
"""Who is in which group of the cord's comparisons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bids_msvol.group.analyses.cord_levels_groups import EARLY, LATE, make_cord_groups
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Groups, Plan
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import make_study, make_tables

PHENOTYPES = {"HC": 6, "CIS": 5, "RRMS": 10, "SPMS": 5, "PPMS": 4}


def _tables() -> StudyTables:
    """Everybody by phenotype; half of RRMS early, one of them at five years on the day."""
    tables = make_tables(PHENOTYPES, column="phenotype", years=(0.0, 1.0))
    persons = tables.persons.copy()
    relapsing = persons.index[persons["phenotype"] == "RRMS"]
    persons.loc[relapsing, "disease_duration"] = [1.0, 2.0, 3.0, 4.0, 5.0, 5.1, 8.0, 9.0, 10.0, 11.0]
    return replace(tables, persons=persons)


def test_rrms_is_split_at_five_years_of_the_first_session() -> None:
    """Up to five years is early, although a later session lies beyond."""
    groups = make_cord_groups(assemble(_tables(), Plan()), Plan())
    assert groups.order == ("HC", "CIS", EARLY, LATE, "SPMS", "PPMS")
    assert groups.of_person.value_counts()[[EARLY, LATE]].tolist() == [5, 5]
    assert groups.patients == {"CIS", EARLY, LATE, "SPMS", "PPMS"}
    assert groups.by_phenotype


def test_the_steps_between_phenotypes_are_compared() -> None:
    """Each with controls, and the steps; the progressive ones with all RRMS together."""
    groups = make_cord_groups(assemble(_tables(), Plan()), Plan())
    assert [one.name for one in groups.comparisons] == [
        "CIS - HC", "early RRMS - HC", "late RRMS - HC", "SPMS - HC", "PPMS - HC", "early RRMS - CIS",
        "late RRMS - early RRMS", "SPMS - RRMS", "PPMS - RRMS", "SPMS - PPMS",
    ]  # fmt: skip
    assert next(one for one in groups.comparisons if one.name == "SPMS - RRMS").lower == (EARLY, LATE)


def test_unknown_durations() -> None:
    """A few without duration are in neither half and counted; if most lack it, RRMS stays whole."""
    tables = _tables()
    relapsing = tables.persons.index[tables.persons["phenotype"] == "RRMS"]
    for lost, expected in ((2, (EARLY, LATE)), (8, ("RRMS",))):
        persons = tables.persons.copy()
        persons.loc[relapsing[:lost], "disease_duration"] = np.nan
        groups = make_cord_groups(assemble(replace(tables, persons=persons), Plan()), Plan())
        assert groups.order == ("HC", "CIS", *expected, "SPMS", "PPMS")
        assert groups.of_person.isna().sum() == (lost if lost == 2 else 0)
    assert any("2 persons" in note for note in make_cord_groups(assemble(_without(2), Plan()), Plan()).notes)


def _without(count: int) -> StudyTables:
    tables = _tables()
    persons = tables.persons.copy()
    persons.loc[persons.index[persons["phenotype"] == "RRMS"][:count], "disease_duration"] = np.nan
    return replace(tables, persons=persons)


def test_study_groups_where_phenotypes_are_unknown_or_not_wanted() -> None:
    """Groups of the study are used as they are, all pairs compared; so they are if the plan names their column."""
    groups = make_cord_groups(make_study({"HC": 4, "MS": 4, "NMOSD": 4}), Plan())
    assert groups.order == ("HC", "MS", "NMOSD")
    assert [one.name for one in groups.comparisons] == ["MS - HC", "NMOSD - HC", "NMOSD - MS"]
    assert groups.patients == {"MS", "NMOSD"}
    tables = _tables()
    tables = replace(tables, persons=tables.persons.assign(site=["x", "y"] * 15))
    plan = Plan(groups=Groups(by="site"))
    assert make_cord_groups(assemble(tables, plan), plan).order == ("x", "y")


def test_one_group_has_no_reference() -> None:
    """Everybody together: nothing to compare."""
    groups = make_cord_groups(make_study({"MS": 5}), Plan())
    assert (groups.order, groups.reference, groups.comparisons) == (("all",), None, ())
