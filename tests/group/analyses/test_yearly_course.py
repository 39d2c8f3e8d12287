# SPDX-License-Identifier: Apache-2.0
"""The course year by year: planted relapses and lesions, denominators, missing scans, and tests against oracles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_msvol.bids.tabular import format_value
from bids_msvol.group.analyses.yearly_course import NAME, TABLES, analyse, rate_interval
from bids_msvol.group.analyses.yearly_course_values import take_years
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import ANALYSES, Plan
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import make_study, make_tables


def cells(analysis: Analysis, table: int, **wanted: object) -> Mapping[str, Any]:
    (row,) = [row for row in analysis.tables[table].rows if all(row[name] == value for name, value in wanted.items())]
    return row


def with_relapses(tables: StudyTables, days: Mapping[str, list[float]]) -> StudyTables:
    """Return tables whose only relapses are these."""
    rows = [{"participant_id": name, "days": day, "steroids": False} for name, own in days.items() for day in own]
    return replace(tables, relapses=pd.DataFrame(rows, columns=["participant_id", "days", "steroids"]))


def test_tables_have_all_that_rows_say() -> None:
    analysis = analyse(make_study({"A": 8, "B": 7}), Plan())
    assert NAME in ANALYSES
    assert [one.table for one in analysis.tables] == list(TABLES)
    for one in analysis.tables:
        names = {column.name for column in one.table.columns}
        for row in one.rows:
            assert set(row) <= names
            assert all(format_value(row.get(column.name), column) for column in one.table.columns)


def test_planted_relapses_are_counted_in_their_year() -> None:
    """Before, on the first day, at the end of year 1 and a day later, and one too long ago."""
    tables = with_relapses(make_tables({"A": 5}), {"sub-001": [-20.0, -400.0, 0.0, 365.0, 366.0], "sub-002": [800.0]})
    values = take_years(assemble(tables, Plan()), Plan())
    assert values.relapses[0].tolist() == [2.0, 1.0, 1.0, 0.0]
    assert values.relapses[1].tolist() == [0.0, 0.0, 0.0, 1.0]
    row = cells(analyse(assemble(tables, Plan()), Plan()), 0, year=1, variable="relapses")
    assert (row["n"], row["count"], row["percent"]) == (5, 1, 20.0)
    assert row["arr"] == pytest.approx(1.0 / (5 * 365.0 / 365.25), rel=1e-6)
    assert row["percent_hi"] == pytest.approx(62.4, abs=0.1)


def test_years_that_were_not_followed_are_missing_not_free_of_relapses() -> None:
    """A person seen for one year has no year 2, even without a relapse; a visit without a scan is a follow-up."""
    tables = with_relapses(make_tables({"A": 4}), {"sub-003": [-10.0]})
    sessions = tables.sessions
    kept = ~((sessions["participant_id"].isin(["sub-001", "sub-002"])) & (sessions["days"] > 500))
    visits = tables.visits[~((tables.visits["participant_id"] == "sub-001") & (tables.visits["days"] > 500))]
    tables = replace(
        tables,
        sessions=sessions[kept],
        volumes_mm3=tables.volumes_mm3[kept],
        cord_mm2=tables.cord_mm2[kept],
        visits=visits,
    )
    values = take_years(assemble(tables, Plan()), Plan())
    assert np.isnan(values.relapses[0]).tolist() == [False, False, True, True]
    assert not np.isnan(values.relapses[1]).any()
    assert np.isnan(values.new_t2[1]).tolist() == [False, False, True, True]
    assert not np.isnan(values.edss[1]).any()


def test_new_lesions_of_scans_within_a_year_are_added() -> None:
    """Scans twice a year: those of the middle and the end; gadolinium only at the end."""
    tables = make_tables({"A": 2}, years=(0.0, 0.5, 1.0, 1.5, 2.0))
    tables.sessions["new_t2_clinic"] = [1.0, 2.0, 3.0, 4.0, 5.0] * 2
    tables.sessions["gd_clinic"] = [0.0, 7.0, 1.0, 7.0, 2.0] * 2
    values = take_years(assemble(tables, Plan()), Plan())
    assert values.new_t2[0].tolist() == [1.0, 5.0, 9.0]
    assert values.gd[0].tolist() == [0.0, 1.0, 2.0]
    assert not values.is_long.any()


def test_a_scan_that_was_not_read_leaves_a_gap_and_a_missing_one_a_longer_count() -> None:
    """Person 1: the scan of year 1 has no count, so year 1 and 2 have none. Person 2: no scan of year 1 at all."""
    tables = make_tables({"A": 2})
    tables.sessions["new_t2_clinic"] = 1.0
    tables.sessions.loc[1, "new_t2_clinic"] = np.nan
    kept = tables.sessions.index != 5
    tables = replace(
        tables, sessions=tables.sessions[kept], volumes_mm3=tables.volumes_mm3[kept], cord_mm2=tables.cord_mm2[kept]
    )
    values = take_years(assemble(tables, Plan()), Plan())
    assert np.isnan(values.new_t2[0]).tolist() == [False, True, True, False]
    assert np.isnan(values.new_t2[1]).tolist() == [False, True, False, False]
    assert values.is_long[1].tolist() == [False, False, True, False]


def test_sessions_far_from_the_end_of_a_year_belong_to_none() -> None:
    tables = make_tables({"A": 3}, years=(0.0, 0.6, 2.0))
    values = take_years(assemble(replace(tables, visits=tables.visits.iloc[:0]), Plan()), Plan())
    assert np.isnan(values.edss[0]).tolist() == [False, True, False]


def test_change_is_tested_in_those_known_in_both_years() -> None:
    """EDSS by all signs of the changes (scipy's permutation), relapses by McNemar's test worked by hand."""
    tables = make_tables({"A": 9})
    before = {f"sub-{number:03d}": [-100.0] for number in range(1, 8)}
    tables = with_relapses(tables, before | {"sub-008": [100.0]})
    edss = tables.sessions["edss"].to_numpy(copy=True).reshape(9, 4)
    edss[:, 1] = edss[:, 0] + np.array([0.5, 1.0, 1.5, -0.5, 0.0, 1.0, 2.0, 0.5, np.nan])
    tables.sessions["edss"] = edss.ravel()
    analysis = analyse(assemble(replace(tables, visits=tables.visits.iloc[:0]), Plan()), Plan())
    row = cells(analysis, 1, year=1, variable="relapses")
    assert (row["n_sub"], row["n_higher"], row["n_lower"]) == (9, 1, 7)
    assert row["p"] == pytest.approx(2 * 9 / 2**8)
    assert row["estimate"] == pytest.approx(-6 / 9)
    row = cells(analysis, 1, year=1, variable="edss")
    change = np.array([0.5, 1.0, 1.5, -0.5, 1.0, 2.0, 0.5])
    ranks = stats.rankdata(np.abs(change))
    signs = np.array(np.meshgrid(*[[0, 1]] * 7)).reshape(7, -1).T
    sums = signs @ ranks
    expected = np.mean(np.abs(sums - 14) >= abs(ranks[change > 0].sum() - 14))
    assert (row["n_sub"], row["n_higher"], row["n_lower"]) == (8, 6, 1)
    assert row["p"] == pytest.approx(expected)


def test_q_is_within_a_variable() -> None:
    rows = [row for row in analyse(make_study({"A": 9, "B": 8}), Plan()).tables[1].rows if row["variable"] == "edss"]
    assert [row["q_bh"] for row in rows] == pytest.approx(stats.false_discovery_control([row["p"] for row in rows]))


def test_without_relapses_before_their_change_is_a_row_with_a_reason() -> None:
    analysis = analyse(make_study({"A": 6}), Plan())
    row = cells(analysis, 1, year=1, variable="relapses")
    assert "nobody has a value of year 0" in row["warning"]
    assert "p" not in row
    assert cells(analysis, 0, year=0, variable="relapses")["n"] == 0
    assert cells(analysis, 0, year=1, variable="relapses")["n"] == 6


def test_interval_of_a_rate() -> None:
    """Nothing seen: Poisson's 3.69 / n; equal counts: not narrower than Poisson; scattered ones are wider."""
    low, high = rate_interval(np.zeros(10), np.ones(10), 0.95)
    assert (low, high) == (0.0, pytest.approx(0.3689, abs=1e-4))
    even = rate_interval(np.ones(10), np.ones(10), 0.95)
    assert even[1] == pytest.approx(np.exp(stats.t.ppf(0.975, 9) / np.sqrt(10)))
    assert rate_interval(np.array([10.0] + [0.0] * 9), np.ones(10), 0.95)[1] > even[1]


def test_figures_are_drawn_for_one_and_many_groups() -> None:
    for groups in ({"A": 5}, {f"G{number}": 4 for number in range(8)}):
        (figure,) = analyse(make_study(groups), Plan()).figures
        svg = to_svg(figure.draw())
        assert "Year of follow-up" in svg
        assert "New T2 lesions" in svg


def test_it_needs_clinical_data_and_a_year() -> None:
    with pytest.raises(CannotAnalyseError, match="neither relapses"):
        analyse(make_study({"A": 5}, clinical=False), Plan())
    with pytest.raises(CannotAnalyseError, match="about a year"):
        analyse(make_study({"A": 5}, years=(0.0,)), Plan())
