# SPDX-License-Identifier: Apache-2.0
"""New lesions and the change of volumes over the same year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bids_msvol.group.analyses.lesions_yearly import TABLES, analyse
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Activity, Groups, Intervals, Plan, Regions
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.tables import StudyTables
from bids_msvol.group.wording import say_number
from bids_msvol.stats.mixed_model import fit_mixed
from tests.group.cohorts import make_study, make_tables

FEW = Plan(regions=Regions(atrophy=("Thalamus", "Putamen")))


def rows_of(analysis: Analysis, file_name: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    table = next(table for table in analysis.tables if table.table.file_name == file_name)
    names = {column.name for column in table.table.columns}
    assert all(set(row) <= names for row in table.rows)
    return {(str(row["roi"]), str(row["group"])): row for row in table.rows}


def with_effect(tables: StudyTables, effects: Mapping[str, float], *, lag: int = 0) -> StudyTables:
    """Let every new lesion take points of per cent of the intracranial volume from the left thalamus, by group."""
    sessions, volumes = tables.sessions, tables.volumes_mm3.copy()
    group = tables.persons.loc[sessions["participant_id"], "group"].map(effects).to_numpy()
    lesions = sessions["new_t2_clinic"].fillna(0.0)
    by_person = lesions.groupby(sessions["participant_id"])
    cumulative = by_person.cumsum() - by_person.transform("first") if not lag else by_person.cumsum() - lesions
    volumes["Left-Thalamus"] += group * cumulative * sessions["etiv_mm3"] / 100.0
    return replace(tables, volumes_mm3=volumes)


def test_planted_slopes_and_difference_are_found() -> None:
    """Slopes of -0.01 and 0 within three standard errors, their difference beyond doubt, q values over regions."""
    study = assemble(with_effect(make_tables({"A": 60, "B": 60}), {"A": -0.01, "B": 0.0}), FEW)
    analysis = analyse(study, FEW)
    rows = rows_of(analysis, "lme_newT2.tsv")
    for group, truth in (("A", -0.01), ("B", 0.0)):
        row = rows["Thalamus", group]
        assert abs(row["beta"] - truth) < 3.0 * row["se"]
        assert row["ci_lo"] < row["beta"] < row["ci_hi"]
        assert (row["n_obs"], row["n_sub"]) == (180, 60)
    assert rows["Thalamus", "B"]["p_interaction"] < 1e-6
    assert rows["Thalamus", "B"]["difference"] == pytest.approx(
        rows["Thalamus", "B"]["beta"] - rows["Thalamus", "A"]["beta"]
    )
    assert rows["Thalamus", "B"]["q_interaction"] == pytest.approx(2.0 * rows["Thalamus", "B"]["p_interaction"])
    assert "p_interaction" not in rows["Thalamus", "A"]
    assert "thalamus" in analysis.findings[0]
    assert analysis.figures[1].name == "lesions_yearly_newT2_Thalamus"


def test_slopes_are_contrasts_of_one_model() -> None:
    """The numbers are those of the mixed model with lesions, group and their interaction."""
    study = make_study({"A": 20, "B": 15})
    rows = rows_of(analyse(study, FEW), "lme_newT2.tsv")
    years = study.intervals
    change = study.change(years["from_row"].tolist(), years["to_row"].tolist(), ["Putamen"], "pct_etiv")["Putamen"]
    second = (study.of_person(years, "group")["group"] == "B").to_numpy(dtype=float)
    x = years["new_t2"].to_numpy()
    columns = {"intercept": np.ones(len(x)), "x": x, "second": second, "x:second": x * second}
    fit = fit_mixed(change.to_numpy() / years["years"].to_numpy(), columns, years["participant_id"])
    found = rows["Putamen", "B"]
    expected, difference = fit.contrast({"x": 1, "x:second": 1}), fit.contrast({"x:second": 1})
    assert (found["beta"], found["p"], found["df"]) == pytest.approx((expected.value, expected.p, expected.df))
    assert (found["difference"], found["p_interaction"]) == pytest.approx((difference.value, difference.p))
    assert found["icc"] == pytest.approx(fit.icc, abs=1e-12)


def test_lesions_at_the_start_of_the_year() -> None:
    """With the other lag, the counts are those of the earlier scan, and the methods say so."""
    plan = replace(FEW, activity=Activity(lesion_lag="start"))
    study = assemble(with_effect(make_tables({"A": 60, "B": 60}), {"A": -0.01, "B": -0.01}, lag=1), plan)
    analysis = analyse(study, plan)
    row = rows_of(analysis, "lme_newT2.tsv")["Thalamus", "A"]
    assert abs(row["beta"] + 0.01) < 3.0 * row["se"]
    assert row["p"] < 1e-6
    assert "counted at its start" in analysis.methods[0]


def test_a_group_without_lesions_has_no_slope_and_harms_no_other() -> None:
    """Its row says why; the others are fitted; the reference may be that group."""
    tables = make_tables({"A": 12, "B": 15, "C": 15})
    free = tables.persons.index[tables.persons["group"] == "A"]
    tables.sessions.loc[tables.sessions["participant_id"].isin(free), ["new_t2_clinic", "gd_clinic"]] = 0.0
    rows = rows_of(analyse(assemble(tables, FEW), FEW), "lme_newT2.tsv")
    assert "beta" not in rows["Thalamus", "A"]
    assert "is 0 in all 36 observations" in str(rows["Thalamus", "A"]["warning"])
    assert np.isfinite(rows["Thalamus", "B"]["beta"])
    assert "no slope in A" in str(rows["Thalamus", "B"]["warning"])
    assert "p_interaction" not in rows["Thalamus", "B"]
    assert str(rows["Thalamus", "A"]["joint_test"]).startswith("F(1, ")


def test_three_groups_have_a_joint_test() -> None:
    """One F test for each region, on two degrees of freedom, and every group against the first."""
    rows = rows_of(analyse(make_study({"A": 12, "B": 15, "C": 15}), FEW), "lme_newT2.tsv")
    assert str(rows["Putamen", "A"]["joint_test"]).startswith("F(2, ")
    assert rows["Putamen", "A"]["q_joint"] >= rows["Putamen", "A"]["p_joint"]
    assert all("p_interaction" in rows["Putamen", group] for group in "BC")


def test_one_group_has_slopes_only() -> None:
    """No interaction, no comparison in the methods."""
    analysis = analyse(make_study({"A": 20}), FEW)
    row = rows_of(analysis, "lme_newT2.tsv")["Thalamus", "all"]
    assert np.isfinite(row["beta"])
    assert "p_interaction" not in row
    assert not any("Welch" in sentence for sentence in analysis.methods)


def test_missing_values_are_left_out_and_counted() -> None:
    """A missing count costs one interval; a missing volume the two that it belongs to; an unknown group the person."""
    tables = make_tables({"A": 12, "B": 12})
    tables.sessions.loc[1, "new_t2_clinic"] = np.nan
    tables.volumes_mm3.loc[5, "Left-Thalamus"] = np.nan
    tables.persons.loc["sub-024", "group"] = None
    analysis = analyse(assemble(tables, FEW), FEW)
    rows = rows_of(analysis, "lme_newT2.tsv")
    assert (rows["Thalamus", "A"]["n_obs"], rows["Thalamus", "A"]["n_excluded"]) == (33, 3)
    assert (rows["Putamen", "A"]["n_obs"], rows["Putamen", "A"]["n_excluded"]) == (35, 1)
    assert (rows["Putamen", "B"]["n_obs"], rows["Putamen", "B"]["n_sub"]) == (33, 11)
    assert any("1 person of unknown group left out" in sentence for sentence in analysis.limits)


def test_a_region_that_was_not_measured_is_a_row() -> None:
    """Its row is there, with the reason."""
    plan = Plan(regions=Regions(atrophy=("Thalamus", "No-Such-Region")))
    row = rows_of(analyse(make_study({"A": 10, "B": 10}), plan), "lme_newT2.tsv")["No-Such-Region", "A"]
    assert row["n_obs"] == 0
    assert "not tested: no observation" in str(row["warning"])


def test_one_interval_a_person_is_least_squares() -> None:
    """Nothing tells persons from errors apart: the estimator says so."""
    row = rows_of(analyse(make_study({"A": 15, "B": 15}, years=(0.0, 1.0)), FEW), "lme_newT2.tsv")["Thalamus", "B"]
    assert str(row["estimator"]).startswith("least squares")
    assert row["p"] == row["p_ols"]


def test_controls_take_no_part() -> None:
    """They have no lesions; the first group of patients is the reference."""
    analysis = analyse(make_study({"HC": 10, "A": 12, "B": 12}), FEW)
    rows = rows_of(analysis, "lme_newT2.tsv")
    assert {group for _, group in rows} == {"A", "B"}
    assert "p_interaction" in rows["Thalamus", "B"]
    assert any("10 healthy controls" in sentence for sentence in analysis.limits)


def test_one_person_who_decides_is_named() -> None:
    """A far lesion count with a far change is warned of by name."""
    tables = make_tables({"A": 12, "B": 12})
    tables.sessions.loc[1, "new_t2_clinic"] = 60.0
    tables.volumes_mm3.loc[1, "Left-Thalamus"] *= 0.8
    row = rows_of(analyse(assemble(tables, FEW), FEW), "lme_newT2.tsv")["Thalamus", "A"]
    assert "decided by sub-001" in str(row["warning"])
    assert row["without"] == "sub-001"
    kept = tables.sessions["participant_id"] != "sub-001"
    rest = replace(tables, sessions=tables.sessions[kept], volumes_mm3=tables.volumes_mm3[kept])
    alone = rows_of(analyse(assemble(rest, FEW), FEW), "lme_newT2.tsv")["Thalamus", "A"]
    assert (row["beta_without"], row["p_without"]) == pytest.approx((alone["beta"], alone["p"]))


def test_a_slope_that_stands_without_its_weightiest_person_is_not_decided_by_it() -> None:
    """Cook's distance above 1 alone is no decision: the slope of the others has the same conclusion."""
    tables = with_effect(make_tables({"A": 60, "B": 60}), {"A": -0.05, "B": 0.0})
    tables.sessions.loc[1, "new_t2_clinic"] = 60.0
    tables.volumes_mm3.loc[1, "Left-Thalamus"] *= 0.9
    row = rows_of(analyse(assemble(tables, FEW), FEW), "lme_newT2.tsv")["Thalamus", "A"]
    assert row["p_without"] < 0.001
    assert f"rests much on sub-001 (without: {say_number(row['beta_without'])}, p < 0.001)" in str(row["warning"])
    assert "decided by" not in str(row["warning"])


def test_the_flag_of_the_reference_reaches_the_difference() -> None:
    """A reference with one person who bears lesions has no slope without, and so there is no difference."""
    tables = make_tables({"A": 12, "B": 12})
    first = tables.persons.index[tables.persons["group"] == "A"]
    tables.sessions.loc[tables.sessions["participant_id"].isin(first), "new_t2_clinic"] = 0.0
    tables.sessions.loc[1, "new_t2_clinic"] = 3.0
    rows = rows_of(analyse(assemble(tables, FEW), FEW), "lme_newT2.tsv")
    person = tables.sessions.loc[1, "participant_id"]
    assert f"decided by {person} (without: none can be estimated)" in str(rows["Thalamus", "A"]["warning"])
    other = rows["Thalamus", "B"]
    assert f"difference decided by {person} of A (without: none can be estimated)" in str(other["warning"])
    assert other["difference_without"] == person
    assert np.isnan(other["p_interaction_without"])


def test_unequal_variances_are_warned_of() -> None:
    """Where the groups' spread differs, the difference is to be read from the separate lines."""
    tables = make_tables({"A": 40, "B": 40})
    noise = np.random.default_rng(3).normal(0.0, 300.0, len(tables.volumes_mm3))
    second = (tables.persons.loc[tables.sessions["participant_id"], "group"] == "B").to_numpy()
    volumes = tables.volumes_mm3.assign(**{"Left-Thalamus": tables.volumes_mm3["Left-Thalamus"] + noise * second})
    analysis = analyse(assemble(replace(tables, volumes_mm3=volumes), FEW), FEW)
    assert "p_welch holds" in str(rows_of(analysis, "lme_newT2.tsv")["Thalamus", "B"]["warning"])
    assert any("does not keep its level" in sentence for sentence in analysis.limits)


def test_levels_find_the_planted_effect_of_lesions_seen_so_far() -> None:
    """The other view gives the same slope, whatever time does."""
    study = assemble(with_effect(make_tables({"A": 60, "B": 60}), {"A": -0.01, "B": 0.0}), FEW)
    table = next(table for table in analyse(study, FEW).tables if table.table.file_name == "lme_levels.tsv")
    rows: dict[Any, Mapping[str, Any]] = {(row["lesions"], row["roi"], row["group"]): row for row in table.rows}
    for group, truth in (("A", -0.01), ("B", 0.0)):
        row = rows["new_t2", "Thalamus", group]
        assert abs(row["beta"] - truth) < 3.0 * row["se"]
    assert rows["new_t2", "Thalamus", "A"]["covariates"] == "age, sex"
    assert rows["new_t2", "Thalamus", "B"]["p_interaction"] < 1e-6


def test_without_lesions_or_years_nothing_is_analysed() -> None:
    """The message says which is missing."""
    with pytest.raises(CannotAnalyseError, match="count of new lesions"):
        analyse(make_study({"A": 5, "B": 5}, clinical=False), FEW)
    with pytest.raises(CannotAnalyseError, match="a year apart"):
        analyse(make_study({"A": 5, "B": 5}, years=(0.0,)), FEW)


def test_change_is_not_divided_if_the_plan_says_so() -> None:
    """Slopes over 400 days are longer than those of a year by as much as the interval is."""
    study = make_study({"A": 10, "B": 10}, years=(0.0, 400.0 / 365.25, 800.0 / 365.25))
    whole = replace(FEW, intervals=Intervals(per_year=False))
    rate, total = (rows_of(analyse(study, plan), "lme_newT2.tsv")["Thalamus", "A"]["beta"] for plan in (FEW, whole))
    assert total / rate == pytest.approx(400.0 / 365.25)


def test_figures_are_drawn_for_many_groups() -> None:
    """Eight groups have eight panels; the panels without a group are hidden."""
    groups = Groups(by="group")
    study = make_study({f"G{number}": 6 for number in range(8)}, Plan(groups=groups), years=(0.0, 1.0, 2.0))
    analysis = analyse(study, FEW)
    assert analysis.figures[0].name == "lesions_yearly_newT2_slopes"
    scatter = next(figure for figure in analysis.figures if figure.name.endswith("Thalamus")).draw()
    assert sum(axis.get_visible() for axis in scatter.axes) == 8


def test_tables_are_declared() -> None:
    """The files of the reference, each column once."""
    assert [table.file_name for table in TABLES] == ["lme_newT2.tsv", "lme_Gd.tsv", "lme_levels.tsv"]
    for table in TABLES:
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
