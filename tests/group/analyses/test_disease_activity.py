# SPDX-License-Identifier: Apache-2.0
"""NEDA by interval, year and person: planted activity recovered, unknown kept apart, groups compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_msvol.group.analyses.disease_activity import analyse
from bids_msvol.group.analyses.neda_counts import as_states, by_person
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Plan
from bids_msvol.group.result import CannotAnalyseError
from tests.group.cohorts import make_study, make_tables
from tests.group.event_cohorts import make_event_tables


def rows_of(analysis, name):  # type: ignore[no-untyped-def]
    return next(table.rows for table in analysis.tables if table.table.file_name == name)


def quiet_tables(groups, years=(0.0, 1.0, 2.0, 3.0)):  # type: ignore[no-untyped-def]
    """Return a study in which nothing happens: no lesions, no relapses, EDSS 2 throughout, no loss of volume."""
    losses = dict.fromkeys(groups, 0.0)
    tables = make_tables(groups, years=years, loss_pct_per_year=losses, noise_pct=0.01)
    sessions = tables.sessions.assign(edss=2.0, new_t2_clinic=0.0, gd_clinic=0.0, sdmt=50.0)
    visits = sessions[["participant_id", "days", "edss", "sdmt", "nhpt", "t25fw", "pasat"]]
    return replace(tables, sessions=sessions, visits=visits, relapses=tables.relapses.iloc[:0])


def test_where_nothing_happens_everybody_has_neda() -> None:
    analysis = analyse(assemble(quiet_tables({"A": 5, "B": 5}), Plan()), Plan())
    for row in rows_of(analysis, "neda.tsv"):
        assert row["n_neda3"] == row["n_neda4"] == row["n_judged_neda3"] == row["n_sub"] == 5
        assert row["n_failed_no_relapse"] == 0
    assert all(
        "same for everybody" in row["warning"] or "every year" in row["warning"]
        for row in rows_of(analysis, "neda_tests.tsv")
    )


def test_planted_activity_is_recovered() -> None:
    """One lesion in year 2, a relapse in year 3, a worsening in year 1, each in another person of A."""
    tables = quiet_tables({"A": 5, "B": 5})
    sessions = tables.sessions.copy()
    sessions.loc[2, "new_t2_clinic"] = 1.0
    sessions.loc[[9, 10, 11], "edss"] = 3.0
    visits = sessions[["participant_id", "days", "edss", "sdmt", "nhpt", "t25fw", "pasat"]]
    relapses = pd.DataFrame({"participant_id": ["sub-002"], "days": [1000.0], "steroids": [False]})
    study = assemble(replace(tables, sessions=sessions, visits=visits, relapses=relapses), Plan())
    rows = {(row["group"], row["year"]): row for row in rows_of(analyse(study, Plan()), "neda.tsv")}
    assert [rows["A", year]["n_neda3"] for year in ("1", "2", "3", "all")] == [4, 4, 4, 2]
    assert rows["A", "1"]["n_failed_no_worsening"] == 1
    assert rows["A", "2"]["n_failed_no_new_t2"] == 1
    assert rows["A", "3"]["n_failed_no_relapse"] == 1
    assert rows["B", "all"]["n_neda3"] == 5
    assert "n_judged_no_enlarging_t2" not in rows["A", "1"]


def test_unknown_is_neither_kept_nor_lost() -> None:
    """Without lesion counts in year 1 NEDA is unknown then, and over all of follow-up, unless something else fails."""
    tables = quiet_tables({"A": 5, "B": 5})
    sessions = tables.sessions.copy()
    sessions.loc[[1, 5], "new_t2_clinic"] = np.nan
    sessions.loc[6, "new_t2_clinic"] = 2.0
    analysis = analyse(assemble(replace(tables, sessions=sessions), Plan()), Plan())
    rows = {(row["group"], row["year"]): row for row in rows_of(analysis, "neda.tsv")}
    year = rows["A", "1"]
    assert (year["n_judged_neda3"], year["n_unknown_neda3"], year["n_neda3"]) == (3, 2, 3)
    overall = rows["A", "all"]
    assert (overall["n_judged_neda3"], overall["n_unknown_neda3"], overall["n_neda3"]) == (4, 1, 3)
    assert any("not known for 1 of 10 patients" in text for text in analysis.limits)


def test_half_years_are_joined_and_long_intervals_left_out() -> None:
    """Sessions each half year: two intervals make a year. A gap of two years is no year."""
    tables = quiet_tables({"A": 4}, years=(0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0))
    sessions = tables.sessions.copy()
    sessions.loc[sessions["session_id"] == "ses-01", "new_t2_clinic"] = [1.0, 0.0, 0.0, 0.0]
    study = assemble(replace(tables, sessions=sessions), Plan())
    rows = {row["year"]: row for row in rows_of(analyse(study, Plan()), "neda.tsv")}
    assert list(rows) == ["1", "2", "3", "all"]
    assert [rows[year]["n_sub"] for year in ("1", "2", "3")] == [4, 4, 4]
    assert [rows[year]["n_neda3"] for year in ("1", "2", "3")] == [3, 4, 4]
    gap = analyse(assemble(quiet_tables({"A": 4}, years=(0.0, 2.0)), Plan()), Plan())
    first = rows_of(gap, "neda.tsv")[0]
    assert (first["n_sub"], first["n_other_length"]) == (0, 4)


def test_states_join_by_the_logic_of_three_values() -> None:
    frame = pd.DataFrame({"participant_id": ["a", "a", "b", "b", "c"], "years": 1.0})
    states = {"neda3": [True, None, False, None, True]}
    names = ("no_relapse", "no_worsening", "no_new_t2", "no_enlarging_t2", "no_gd", "no_brain_loss", "neda4")
    whole = frame.assign(**{name: pd.Series([None] * 5, dtype=object) for name in names})
    joined = by_person(whole.assign(neda3=pd.Series(states["neda3"], dtype=object)))
    assert np.isnan(joined["neda3"][0])
    assert joined["neda3"].tolist()[1:] == [0.0, 1.0]
    assert joined["years"].tolist() == [2.0, 2.0, 1.0]
    assert as_states(pd.Series([True, None, False], dtype=object)).tolist()[::2] == [1.0, 0.0]


def test_groups_that_differ_are_told_apart() -> None:
    """All of B have a lesion in year 1, none of A: Fisher's exact test by hand, and the permutation agrees."""
    tables = quiet_tables({"A": 10, "B": 10})
    sessions = tables.sessions.copy()
    sessions.loc[(sessions.index >= 40) & (sessions["session_id"] == "ses-01"), "new_t2_clinic"] = 1.0
    analysis = analyse(assemble(replace(tables, sessions=sessions), Plan()), Plan())
    rows = {(row["outcome"], row["year"], row["test"]): row for row in rows_of(analysis, "neda_tests.tsv")}
    primary = rows["neda3", "1", "Fisher"]
    assert primary["difference"] == -1.0
    assert primary["p"] == pytest.approx(2 / 184756)
    assert primary["q_bh"] == primary["p"]
    every = rows["neda3", "every", "permutation"]
    assert (every["n_obs"], every["n_sub"]) == (60, 20)
    assert every["difference"] == pytest.approx(-1 / 3)
    assert every["p"] < 0.01
    assert "p" not in rows["no_relapse", "1", "Fisher"]
    assert any("p < 0.001" in text for text in analysis.findings)


def test_scales_count_by_their_own_rules() -> None:
    """SDMT down by 4 and confirmed is a worsening; EDSS rules know nothing of it; 9HPT was not taken."""
    tables = quiet_tables({"A": 5, "B": 5})
    visits = tables.visits.copy()
    visits.loc[[1, 2, 3], "sdmt"] = 46.0
    visits.loc[[7], "sdmt"] = 30.0
    study = assemble(replace(tables, visits=visits), Plan())
    rows = {(row["scale"], row["group"]): row for row in rows_of(analyse(study, Plan()), "scale_events.tsv")}
    sdmt = rows["sdmt", "A"]
    assert (sdmt["n_sub"], sdmt["n_worsened"], sdmt["n_unconfirmed"]) == (5, 1, 1)
    assert rows["sdmt", "B"]["p"] == pytest.approx(1.0)
    assert rows["edss", "A"]["n_worsened"] == 0
    assert rows["nhpt", "all"]["warning"] == "no values"


def test_intervals_carry_what_was_excluded() -> None:
    tables = quiet_tables({"A": 3, "B": 3})
    tables.sessions.loc[1, ["exclude", "exclude_reason"]] = [True, "moved"]
    rows = rows_of(analyse(assemble(tables, Plan()), Plan()), "patient_years.tsv")
    assert len(rows) == 18
    assert (rows[0]["scan_from"], rows[0]["scan_to"]) == (1, 0)
    assert rows[0]["excluded_to"] == "column exclude: moved"
    assert rows[0]["neda4"] is None
    assert rows[0]["neda3"] == 1.0
    assert rows[0]["edss_gap_from"] == 0.0


def test_one_group_and_no_data() -> None:
    analysis = analyse(assemble(make_event_tables({"A": 8}), Plan()), Plan())
    assert rows_of(analysis, "neda_tests.tsv") == ()
    assert all("Persons" in to_svg(figure.draw()) for figure in analysis.figures)
    with pytest.raises(CannotAnalyseError, match="no patient has two sessions"):
        analyse(make_study({"A": 5}, years=(0.0,)), Plan())
    with pytest.raises(CannotAnalyseError, match="no patient has two sessions"):
        analyse(make_study({"HC": 5}), Plan())


def test_only_volumes_leave_neda_open() -> None:
    """Brain loss alone can end NEDA-4, but nothing can show that there was NEDA."""
    rows = rows_of(analyse(make_study({"A": 6, "B": 6}, clinical=False, noise_pct=0.01), Plan()), "neda.tsv")
    assert all(row["n_judged_neda3"] == 0 for row in rows)
    assert all(row["n_failed_no_brain_loss"] == 6 for row in rows)
    assert all(row["n_judged_neda4"] == 6 and row["n_neda4"] == 0 for row in rows)
