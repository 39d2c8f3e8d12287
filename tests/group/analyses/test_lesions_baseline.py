# SPDX-License-Identifier: Apache-2.0
"""Lesions at the first scan and the change of volumes since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bids_msvol.group.analyses.lesions_baseline import TABLES, analyse, span_name
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Intervals, Plan, Regions
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import make_study, make_tables

FEW = Plan(regions=Regions(atrophy=("Thalamus", "Putamen")))


def rows_of(analysis: Analysis, file_name: str, data: str = "all") -> dict[tuple[str, str], Mapping[str, Any]]:
    table = next(table for table in analysis.tables if table.table.file_name == file_name)
    names = {column.name for column in table.table.columns}
    assert all(set(row) <= names for row in table.rows)
    return {(str(row["roi"]), str(row["group"])): row for row in table.rows if row["data"] == data}


def with_effect(tables: StudyTables, effects: Mapping[str, float]) -> StudyTables:
    """Let every lesion of the first scan take points of per cent of eTIV a year from the left thalamus, by group."""
    sessions, volumes = tables.sessions, tables.volumes_mm3.copy()
    first = sessions.groupby("participant_id")["new_t2_clinic"].transform("first")
    group = tables.persons.loc[sessions["participant_id"], "group"].map(effects).to_numpy()
    volumes["Left-Thalamus"] += group * first * sessions["days"] / 365.25 * sessions["etiv_mm3"] / 100.0
    return replace(tables, volumes_mm3=volumes)


def test_planted_slopes_are_found_over_both_spans() -> None:
    """-0.01 a year is -0.01 and -0.03, within three standard errors; the groups differ."""
    study = assemble(with_effect(make_tables({"A": 40, "B": 40}), {"A": -0.01, "B": 0.0}), FEW)
    analysis = analyse(study, FEW)
    for span, years in (("1y", 1.0), ("3y", 3.0)):
        rows = rows_of(analysis, f"ols_baselineT2_{span}.tsv")
        for group, slope in (("A", -0.01), ("B", 0.0)):
            row = rows["Thalamus", group]
            assert abs(row["beta"] - years * slope) < 3.0 * row["se"]
            assert row["n_obs"] == row["n_sub"] == 40
        assert rows["Thalamus", "B"]["p_difference"] < 1e-4
        assert rows["Thalamus", "ALL"]["n_obs"] == 80
    assert "thalamus" in analysis.findings[0]


def test_numbers_are_those_of_scipy() -> None:
    """Slope, p and R2 by `linregress`, rank correlation by `spearmanr`, slope of all pairs by `theilslopes`."""
    study = make_study({"A": 14, "B": 12})
    row = rows_of(analyse(study, FEW), "ols_baselineT2_3y.tsv")["Putamen", "A"]
    spans = study.spans(3.0, 180.0)
    spans = spans[(study.of_person(spans, "group")["group"] == "A").to_numpy()]
    change = study.change(spans["from_row"].tolist(), spans["to_row"].tolist(), ["Putamen"], "pct_etiv")["Putamen"]
    y = change.to_numpy() * 3.0 / spans["years"].to_numpy()
    x = study.sessions.loc[spans["from_row"], "new_t2"].to_numpy()
    known = stats.linregress(x, y)
    assert (row["beta"], row["p"], row["r2"]) == pytest.approx((known.slope, known.pvalue, known.rvalue**2))
    assert (row["t"], row["df"]) == pytest.approx((known.slope / known.stderr, 12))
    assert row["rho"] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert row["theil_sen"] == pytest.approx(stats.theilslopes(y, x).slope)


def test_an_influential_person_is_named_and_left_out_in_turn() -> None:
    """The row without the person is the regression without the person; it is no further test."""
    tables = make_tables({"A": 12, "B": 12})
    tables.sessions.loc[0, "new_t2_clinic"] = 30.0
    tables.volumes_mm3.loc[12 - 9, "Left-Thalamus"] *= 0.7
    analysis = analyse(assemble(tables, FEW), FEW)
    whole = rows_of(analysis, "ols_baselineT2_3y.tsv")["Thalamus", "A"]
    rest = rows_of(analysis, "ols_baselineT2_3y.tsv", "without sub-001")["Thalamus", "A"]
    assert "decided by sub-001" in str(whole["warning"])
    assert (rest["n_obs"], rest["n_excluded"]) == (11, 1)
    assert "q_bh" not in rest
    assert abs(rest["beta"]) < abs(whole["beta"])
    table = next(table for table in analysis.tables if table.table.file_name == "ols_baseline_influence.tsv")
    listed: list[Mapping[str, Any]] = [
        row
        for row in table.rows
        if (row["participant_id"], row["roi"], row["group"], row["span"]) == ("sub-001", "Thalamus", "A", 3.0)
        and row["lesions"] == "new T2 lesions"
    ]
    assert listed[0]["beta_without"] == pytest.approx(rest["beta"])
    assert listed[0]["severe"] == "yes"
    assert any("sub-001" in sentence for sentence in analysis.limits)
    assert "Without sub-001" in analysis.findings[3]
    assert all(len(sentence) < 240 for sentence in analysis.findings[::2])


def test_all_lesions_stand_in_for_new_ones_that_nobody_knows() -> None:
    """The participant level has no new lesions at the first scan: the total number is used, and said."""
    tables = make_tables({"A": 10, "B": 10}, clinical=False)
    tables.sessions["t2_count_images"] = np.random.default_rng(1).integers(1, 30, len(tables.sessions)).astype(float)
    analysis = analyse(assemble(tables, FEW), FEW)
    row = rows_of(analysis, "ols_baselineT2_1y.tsv")["Thalamus", "A"]
    assert row["lesions"] == "T2 lesions"
    assert any("All T2 lesions of the first session" in sentence for sentence in analysis.methods)


def test_families_are_regions_of_one_group() -> None:
    """q is at least p, and for two regions at most twice."""
    for row in rows_of(analyse(make_study({"A": 15, "B": 15}), FEW), "ols_baselineT2_1y.tsv").values():
        assert row["p"] <= row["q_bh"] <= 2.0 * row["p"] + 1e-12


def test_lesions_that_do_not_vary_give_no_slope() -> None:
    """The row says why, and the other group and its comparison do not break."""
    tables = make_tables({"A": 10, "B": 10})
    first = tables.persons.index[tables.persons["group"] == "A"]
    tables.sessions.loc[tables.sessions["participant_id"].isin(first), "new_t2_clinic"] = 2.0
    rows = rows_of(analyse(assemble(tables, FEW), FEW), "ols_baselineT2_1y.tsv")
    assert "is 2 in all 10 observations" in str(rows["Thalamus", "A"]["warning"])
    assert "p" not in rows["Thalamus", "A"]
    assert "p_difference" not in rows["Thalamus", "B"]
    assert np.isfinite(rows["Thalamus", "B"]["p"])


def test_a_missing_first_scan_or_count_is_no_baseline() -> None:
    """Without the first scan a person has no span; without the count the person is counted as left out."""
    tables = make_tables({"A": 10, "B": 10})
    tables.sessions.loc[0, "exclude"] = True
    tables.sessions.loc[4, "new_t2_clinic"] = np.nan
    row = rows_of(analyse(assemble(tables, FEW), FEW), "ols_baselineT2_3y.tsv")["Thalamus", "A"]
    assert (row["n_obs"], row["n_excluded"]) == (8, 1)


def test_one_group_has_no_row_of_all() -> None:
    """One group is everybody."""
    rows = rows_of(analyse(make_study({"A": 12}), FEW), "ols_baselineT2_1y.tsv")
    assert {group for _, group in rows} == {"all"}


def test_three_groups_have_a_joint_test() -> None:
    """An F test of all slopes with the reference; every other group against it."""
    rows = rows_of(analyse(make_study({"A": 12, "B": 12, "C": 12}), FEW), "ols_baselineT2_1y.tsv")
    assert rows["Thalamus", "A"]["joint_test"].startswith("F(2, 30)")
    assert all("p_difference" in rows["Thalamus", group] for group in "BC")


def test_change_is_scaled_to_the_span() -> None:
    """A scan after 3.3 years stands for 3 years, unless the plan wants change as it is."""
    tables = with_effect(make_tables({"A": 30, "B": 30}, years=(0.0, 3.3)), {"A": -0.1, "B": -0.1})
    for plan, truth in ((FEW, -0.3), (replace(FEW, intervals=Intervals(per_year=False)), -0.33)):
        row = rows_of(analyse(assemble(tables, plan), plan), "ols_baselineT2_3y.tsv")["Thalamus", "ALL"]
        assert row["beta"] == pytest.approx(truth, abs=0.01)


def test_spans_without_anybody_are_said() -> None:
    """Data of one year have no change over three."""
    analysis = analyse(make_study({"A": 10, "B": 10}, years=(0.0, 1.0)), FEW)
    assert not any("3y" in table.table.file_name for table in analysis.tables)
    assert any("Change over 3 years could not be related to new T2 lesions" in sentence for sentence in analysis.limits)


def test_nothing_to_analyse() -> None:
    """Without lesions, and without later scans, the message says what is missing."""
    with pytest.raises(CannotAnalyseError, match="no lesions were counted"):
        analyse(make_study({"A": 5, "B": 5}, clinical=False), FEW)
    with pytest.raises(CannotAnalyseError, match="1 or 3 years later"):
        analyse(make_study({"A": 5, "B": 5}, years=(0.0,)), FEW)


def test_names_of_files() -> None:
    """Spans are part of the names; the plan's usual ones are declared."""
    assert span_name(3.0) == "3y"
    assert span_name(1.5) == "1p5y"
    assert {"ols_baselineT2_1y.tsv", "ols_baselineT2_3y.tsv", "ols_baselineGd_1y.tsv", "ols_baselineGd_3y.tsv"} <= {
        table.file_name for table in TABLES
    }
