# SPDX-License-Identifier: Apache-2.0
"""The table of groups at the first session: planted differences, oracles, groups of all numbers, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_msvol.bids.tabular import format_value
from bids_msvol.group.analyses.baseline_groups import NAME, TABLES, analyse
from bids_msvol.group.analyses.baseline_variables import take_baseline
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import ANALYSES, Groups, Plan, Statistics
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.study import Study
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import make_study, make_tables

BY = Plan(groups=Groups(by="group"))


def rows_of(analysis: Analysis, file_name: str) -> list[Mapping[str, Any]]:
    return [row for one in analysis.tables if one.table.file_name == file_name for row in one.rows]


def one_test(analysis: Analysis, variable: str, test: str, group: str = "B") -> Mapping[str, Any]:
    (row,) = [
        row
        for row in rows_of(analysis, "table1_tests.tsv")
        if (row["variable"], row["test"], row.get("group")) == (variable, test, group)
    ]
    return row


def first_values(study: Study, column: str, group: str) -> np.ndarray:
    first = study.sessions[study.sessions["years"] == 0.0].set_index("participant_id")[column]
    return first[study.persons.index[study.persons["group"] == group]].to_numpy()


def with_relapses_before(tables: StudyTables, days: Mapping[str, list[float]]) -> StudyTables:
    before = pd.DataFrame(
        [{"participant_id": name, "days": day, "steroids": False} for name, own in days.items() for day in own]
    )
    return replace(tables, relapses=pd.concat([tables.relapses, before], ignore_index=True))


def test_tables_have_all_that_rows_say() -> None:
    """Every cell has a column, every column can be written, and the name is in the plan."""
    analysis = analyse(make_study({"A": 12, "B": 10}), Plan())
    assert NAME in ANALYSES
    assert [one.table for one in analysis.tables] == list(TABLES)
    for one in analysis.tables:
        names = {column.name for column in one.table.columns}
        for row in one.rows:
            assert set(row) <= names
            assert all(format_value(row.get(column.name), column) for column in one.table.columns)


def test_tests_are_those_of_scipy() -> None:
    study = make_study({"A": 33, "B": 19})
    analysis = analyse(study, Plan())
    ages = [first_values(study, "age", group) for group in "AB"]
    edss = [first_values(study, "edss", group) for group in "AB"]
    sex = [study.persons.loc[study.persons["group"] == group, "sex"] for group in "AB"]
    table = [[(one == "F").sum(), (one == "M").sum()] for one in sex]
    assert one_test(analysis, "age", "Welch t")["p"] == pytest.approx(stats.ttest_ind(*ages, equal_var=False).pvalue)
    assert one_test(analysis, "age", "Student t")["p"] == pytest.approx(stats.ttest_ind(*ages).pvalue)
    ranks = stats.mannwhitneyu(*edss, method="asymptotic").pvalue
    assert one_test(analysis, "edss", "Mann-Whitney")["p"] == pytest.approx(ranks)
    assert one_test(analysis, "sex", "Fisher exact")["p"] == pytest.approx(stats.fisher_exact(table).pvalue)
    shares = [row[0] / sum(row) for row in table]
    assert one_test(analysis, "sex", "Fisher exact")["estimate"] == pytest.approx(100 * (shares[1] - shares[0]))


def test_the_primary_test_follows_the_kind_of_variable() -> None:
    """Means by Welch's test, or Student's if the plan says so; EDSS and counts by ranks; shares by Fisher's."""
    study = make_study({"A": 12, "B": 10})
    for student, of_means in ((False, "Welch t"), (True, "Student t")):
        analysis = analyse(study, Plan(statistics=Statistics(student=student)))
        primary = {
            row["variable"]: row["test"] for row in rows_of(analysis, "table1_tests.tsv") if row["primary"] == "yes"
        }
        assert {primary[name] for name in ("age", "disease_duration", "sdmt")} == {of_means}
        assert {primary[name] for name in ("edss", "new_t2", "n_prior_dmt")} == {"Mann-Whitney"}
        assert primary["sex"] == "Fisher exact"


def test_a_planted_difference_is_found_and_told() -> None:
    """Group B is 15 years older: the interval holds 15, q is small, and the first finding after the counts says it."""
    tables = make_tables({"A": 40, "B": 40})
    older = tables.persons["group"] == "B"
    tables.persons["age"] = tables.persons["age"] + 15.0 * older
    analysis = analyse(assemble(tables, Plan()), Plan())
    row = one_test(analysis, "age", "Welch t")
    assert row["ci_lo"] < 15.0 < row["ci_hi"]
    assert row["q_bh"] < 0.001
    assert row["smd"] > 0.8
    assert any(text.startswith("Age, B against A") for text in analysis.findings)


def test_q_counts_primary_tests_only() -> None:
    """The q values of the primary tests are those of Benjamini and Hochberg over them."""
    rows = rows_of(analyse(make_study({"A": 20, "B": 15}), Plan()), "table1_tests.tsv")
    primary = [row for row in rows if row["primary"] == "yes"]
    expected = stats.false_discovery_control([row["p"] for row in primary])
    assert [row["q_bh"] for row in primary] == pytest.approx(expected)


def test_relapses_before_the_first_session_are_counted() -> None:
    """Those of the last year count, the day itself too; earlier ones do not; the others have none."""
    tables = make_tables({"A": 3, "B": 3})
    tables = with_relapses_before(tables, {"sub-001": [-10.0, -300.0, -500.0], "sub-002": [0.0]})
    counts = take_baseline(assemble(tables, Plan())).values["relapses_year_before"]
    own_first_day = (tables.relapses["days"] == 0.0) & (tables.relapses["participant_id"] == "sub-002")
    assert counts["sub-001"] == 2.0
    assert counts["sub-002"] == own_first_day.sum()
    assert (counts[2:] == 0.0).all()


def test_relapses_never_recorded_before_are_missing_not_zero() -> None:
    baseline = take_baseline(make_study({"A": 5, "B": 5}))
    assert baseline.values["relapses_year_before"].isna().all()
    assert any("not recorded" in note for note in baseline.notes)


def test_one_group_is_described_and_not_compared() -> None:
    analysis = analyse(make_study({"A": 8}), Plan())
    assert [one.table.file_name for one in analysis.tables] == ["table1.tsv", "missing_data.tsv"]
    assert {row["group"] for row in rows_of(analysis, "table1.tsv")} == {"all"}
    assert not analysis.figures


def test_descriptions_by_hand() -> None:
    """Ages 20, 30, 40 and one missing."""
    tables = make_tables({"A": 4})
    tables.persons["age"] = [20.0, 30.0, 40.0, np.nan]
    (row,) = [
        row for row in rows_of(analyse(assemble(tables, Plan()), Plan()), "table1.tsv") if row["variable"] == "age"
    ]
    wanted = {"n": 3, "missing": 1, "mean": 30.0, "sd": 10.0, "median": 30.0, "q1": 25.0, "q3": 35.0}
    assert {name: row[name] for name in wanted} == wanted


def test_three_groups_have_a_test_of_all_and_pairs_with_the_reference() -> None:
    study = make_study({"A": 12, "B": 10, "C": 9})
    analysis = analyse(study, Plan())
    rows = [
        row for row in rows_of(analysis, "table1_tests.tsv") if row["variable"] == "edss" and row["primary"] == "yes"
    ]
    assert [row["comparison"] for row in rows] == ["all groups", "B against A", "C against A"]
    values = [first_values(study, "edss", group) for group in "ABC"]
    assert rows[0]["p"] == pytest.approx(stats.kruskal(*values).pvalue)
    assert rows[0]["test"] == "Kruskal-Wallis"


def test_a_group_without_values_is_told_and_patients_are_still_compared() -> None:
    """Healthy controls have no EDSS: they are a row that says so, and the patient groups are compared."""
    tables = make_tables({"HC": 6, "MS": 8, "NMOSD": 7})
    healthy = tables.sessions["participant_id"].isin(tables.persons.index[tables.persons["group"] == "HC"])
    tables.sessions.loc[healthy, "edss"] = np.nan
    study = assemble(replace(tables, visits=tables.visits.iloc[:0]), Plan())
    rows = [
        row
        for row in rows_of(analyse(study, Plan()), "table1_tests.tsv")
        if row["variable"] == "edss" and row["primary"] == "yes"
    ]
    assert [row["comparison"] for row in rows] == ["all groups", "HC against MS", "NMOSD against MS"]
    assert "nobody in HC" in rows[1]["warning"]
    assert "p" not in rows[1]
    assert "without HC" in rows[0]["warning"]
    assert 0.0 < rows[2]["p"] <= 1.0
    # The figure shows differences from the reference only.
    assert "EDSS" not in to_svg(analyse(study, Plan()).figures[0].draw())


def test_values_that_are_all_the_same_are_a_row_with_a_warning() -> None:
    tables = make_tables({"A": 5, "B": 5})
    tables.sessions["gd_clinic"] = 0.0
    row = one_test(analyse(assemble(tables, Plan()), Plan()), "gd", "Mann-Whitney")
    assert "all values are the same" in row["warning"]
    assert "p" not in row


def test_one_person_who_decides_is_named() -> None:
    """Without the outlier the ages of A and B differ plainly; with it Welch's test sees nothing."""
    tables = make_tables({"A": 8, "B": 8})
    tables.persons["age"] = [30.0, 31, 32, 33, 34, 35, 36, 90, 40, 41, 42, 43, 44, 45, 46, 47]
    assert "without sub-008" in one_test(analyse(assemble(tables, Plan()), Plan()), "age", "Welch t")["warning"]


def test_people_without_a_group_are_left_out_and_counted() -> None:
    tables = make_tables({"A": 6, "B": 6})
    tables.persons["group"] = tables.persons["group"].astype(object)
    tables.persons.loc["sub-001", "group"] = None
    analysis = analyse(assemble(tables, Plan()), Plan())
    assert any("1 person of unknown group left out" in text for text in analysis.limits)
    (row,) = [row for row in rows_of(analysis, "table1.tsv") if (row["variable"], row["group"]) == ("age", "A")]
    assert row["n"] == 5


def test_missing_data_are_counted_by_group() -> None:
    """Three EDSS values taken away in A; education is missing throughout; excluded scans are told apart."""
    tables = make_tables({"A": 4, "B": 4})
    tables.sessions.loc[[0, 1, 5], "edss"] = np.nan
    tables.sessions.loc[3, "verdict"] = "fail"
    rows = rows_of(
        analyse(assemble(replace(tables, visits=tables.visits.iloc[:0]), Plan()), Plan()), "missing_data.tsv"
    )
    found = {(row["variable"], row["group"]): row for row in rows}
    assert [found["edss", group]["n_missing"] for group in ("all", "A", "B")] == [3, 3, 0]
    assert found["edss", "A"]["percent"] == pytest.approx(100 * 3 / 16)
    assert found["education_years", "all"]["percent"] == 100.0
    assert (found["volumes", "A"]["n_missing"], found["volumes", "A"]["n_excluded"]) == (1, 1)


def test_categories_with_several_values_are_compared() -> None:
    tables = make_tables({"A": 10, "B": 10})
    tables.persons["site"] = ["x", "y", "z", "x", "y"] * 4
    row = one_test(analyse(assemble(tables, Plan()), Plan()), "site", "Chi-square, permutation")
    assert row["p"] == 1.0
    assert row["effect"] == pytest.approx(0.0, abs=1e-9)


def test_figures_are_drawn_for_many_groups() -> None:
    for groups in ({"A": 5, "B": 5}, {f"G{number}": 4 for number in range(8)}):
        (figure,) = analyse(make_study(groups), Plan()).figures
        assert "Standardized difference from" in to_svg(figure.draw())


def test_without_anybody_there_is_nothing_to_analyse() -> None:
    study = make_study({"A": 4})
    persons = study.persons.assign(group=pd.Categorical([None] * 4, ["A"]))
    with pytest.raises(CannotAnalyseError):
        analyse(replace(study, persons=persons), Plan())


def test_what_makes_the_groups_is_not_tested() -> None:
    """A phenotype that follows from the group has a row without result; one that does not is tested."""
    tables = make_tables({"HC": 8, "A": 12, "B": 12})
    group = tables.persons["group"].astype(object)
    follows = replace(tables, persons=tables.persons.assign(phenotype=group.map({"HC": "HC", "A": "RR", "B": "SP"})))
    rows = rows_of(analyse(assemble(follows, BY), BY), "table1_tests.tsv")
    own = [row for row in rows if row["variable"] == "phenotype"]
    assert own
    assert not any("p" in row or np.isfinite(row.get("smd", np.nan)) for row in own)
    assert any("follows from the other" in str(row["warning"]) for row in own)
    mixed = group.map({"HC": "HC", "A": "RR", "B": "RR"})
    mixed.iloc[-4:] = "SP"
    varied = analyse(assemble(replace(tables, persons=tables.persons.assign(phenotype=mixed)), BY), BY)
    (row,) = [
        row
        for row in rows_of(varied, "table1_tests.tsv")
        if (row["variable"], row["test"], row.get("group")) == ("phenotype", "Fisher exact", "B")
    ]
    assert row["reference"] == "A"
    assert row["p"] < 1.0


def test_controls_have_nothing_of_the_disease() -> None:
    """Whatever the tables hold of it is neither described nor tested nor missing; age is compared."""
    analysis = analyse(make_study({"HC": 10, "A": 12, "B": 12}), BY)
    for variable in ("edss", "new_t2", "disease_duration"):
        (told,) = [
            row for row in rows_of(analysis, "table1.tsv") if (row["variable"], row["group"]) == (variable, "HC")
        ]
        assert (told["n"], told["missing"]) == (0, 0)
        tested = [row for row in rows_of(analysis, "table1_tests.tsv") if row["variable"] == variable]
        assert all("p" not in row for row in tested if "HC" in (row.get("group"), row.get("reference")))
        assert any("p" in row and row.get("group") == "B" for row in tested)
    assert any("p" in row and row.get("reference") == "HC" for row in rows_of(analysis, "table1_tests.tsv"))


def test_effect_sizes_and_chance_imbalance() -> None:
    """Welch's analysis of variance has eta squared; the balance of few persons is judged against chance."""
    study = make_study({"A": 12, "B": 12, "C": 12})
    analysis = analyse(study, Plan())
    rows = [row for row in rows_of(analysis, "table1_tests.tsv") if row["variable"] == "age"]
    both = {str(row["test"]): row["effect"] for row in rows if row["comparison"] == "all groups"}
    assert both["Welch analysis of variance"] == pytest.approx(both["Analysis of variance"])
    pair = one_test(analysis, "age", "Welch t")
    assert pair["smd_lo"] < pair["smd"] < pair["smd_hi"]
    assert pair["smd_hi"] - pair["smd"] == pytest.approx(1.959964 * np.sqrt(24 / 144 + pair["smd"] ** 2 / 48), rel=1e-5)
    (said,) = [text for text in analysis.limits if "exceeds 0.25" in text]
    assert "chance alone would give" in said
