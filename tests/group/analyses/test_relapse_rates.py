# SPDX-License-Identifier: Apache-2.0
"""Relapse rates: counted by hand, planted ratios found, and every comparison that cannot be made still a row."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from bids_msvol.group.analyses.relapse_rates import TABLES, analyse
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Plan
from bids_msvol.group.result import CannotAnalyseError
from tests.group.cohorts import make_study, make_tables
from tests.group.event_cohorts import make_event_tables


def rows_of(analysis, name):  # type: ignore[no-untyped-def]
    return next(table.rows for table in analysis.tables if table.table.file_name == name)


def with_relapses(groups, relapses):  # type: ignore[no-untyped-def]
    tables = make_tables(groups)
    frame = pd.DataFrame(relapses, columns=["participant_id", "days"]).assign(steroids=False)
    return assemble(replace(tables, relapses=frame), Plan())


def test_relapses_are_counted_within_follow_up() -> None:
    """The baseline day belongs to the year before; the last day to follow-up; what comes later counts nowhere."""
    days = [-366, -365, 0, 1, 1096, 1097]
    study = with_relapses({"A": 2}, [("sub-001", float(day)) for day in days])
    before, after = rows_of(analyse(study, Plan()), "arr.tsv")
    assert (before["period"], before["relapses"], before["person_years"]) == ("before", 2, 2.0)
    assert (after["relapses"], after["n_with_relapse"], after["n_sub"]) == (2, 1, 2)
    assert after["person_years"] == pytest.approx(2 * 1096 / 365.25)
    assert after["arr"] == pytest.approx(2 / (2 * 1096 / 365.25))


def test_a_planted_ratio_is_found() -> None:
    """True ratio 3: the interval holds it and not 1, in all three models; adjusted ones say what they adjust for."""
    tables = make_event_tables({"A": 120, "B": 120}, relapse_rate={"A": 0.2, "B": 0.6}, seed=3)
    rows = rows_of(analyse(assemble(tables, Plan()), Plan()), "arr_ratios.tsv")
    models = {row["model"]: row for row in rows}
    for name in ("quasi-Poisson", "quasi-Poisson, adjusted", "negative binomial"):
        assert 1.5 < models[name]["ci_lo"] < 3.0 < models[name]["ci_hi"] < 6.0
        assert models[name]["n_sub"] == 240
    assert models["quasi-Poisson"]["df"] == 238.0
    assert models["quasi-Poisson, adjusted"]["df"] == 236.0
    assert math.isnan(models["negative binomial"]["df"])
    assert models["quasi-Poisson"]["dispersion"] > 1.2


def test_a_group_without_relapses_is_compared_exactly() -> None:
    """Regression cannot say anything of it; the row stays, with the reason, and the exact test stands in."""
    study = with_relapses({"A": 6, "B": 6}, [(f"sub-00{number}", 100.0 + number) for number in range(1, 7)])
    rows = rows_of(analyse(study, Plan()), "arr_ratios.tsv")
    models = {row["model"]: row for row in rows}
    assert "no relapses in B" in models["quasi-Poisson"]["warning"]
    assert models["exact Poisson"]["ratio"] == 0.0
    assert models["exact Poisson"]["p"] == pytest.approx(2 * 0.5**6)
    reverse = with_relapses({"A": 6, "B": 6}, [("sub-012", 50.0)])
    assert "no relapses in A" in rows_of(analyse(reverse, Plan()), "arr_ratios.tsv")[0]["warning"]


def test_three_groups_get_a_joint_test() -> None:
    tables = make_event_tables({"A": 20, "B": 20, "C": 20})
    rows = rows_of(analyse(assemble(tables, Plan()), Plan()), "arr_ratios.tsv")
    joint = next(row for row in rows if row["group"] == "all" and row["model"] == "quasi-Poisson")
    assert (joint["df_between"], joint["df"]) == (2.0, 57.0)
    pairs = [row for row in rows if row["model"] == "quasi-Poisson" and row["group"] != "all"]
    assert all(row["q_bh"] >= row["p"] for row in pairs)
    assert {row["reference"] for row in rows} == {"A"}


def test_one_group_has_rates_and_no_ratios() -> None:
    analysis = analyse(make_study({"A": 8}), Plan())
    assert rows_of(analysis, "arr_ratios.tsv") == ()
    assert len(analysis.figures) == 1
    assert "A " in analysis.findings[0] or "all " in analysis.findings[0]


def test_controls_and_unknown_groups_take_no_part() -> None:
    """Healthy controls do not become the reference of relapse rates; who has no group is counted in the limits."""
    tables = make_tables({"HC": 5, "A": 6, "B": 6})
    tables.persons.loc["sub-017", "group"] = None
    analysis = analyse(assemble(tables, Plan()), Plan())
    rates = rows_of(analysis, "arr.tsv")
    assert {row["group"]: row["n_sub"] for row in rates if row["period"] == "after"} == {"A": 6, "B": 5}
    assert any("5 healthy controls" in text for text in analysis.limits)
    assert any("1 person of unknown group" in text for text in analysis.limits)


def test_nothing_recorded_is_not_nothing_happened() -> None:
    with pytest.raises(CannotAnalyseError, match="relapses were not recorded"):
        analyse(make_study({"A": 5}, clinical=False), Plan())
    with pytest.raises(CannotAnalyseError, match="nobody has two sessions"):
        analyse(make_study({"A": 5}, years=(0.0,)), Plan())


def test_without_any_relapse_every_row_says_so() -> None:
    study = with_relapses({"A": 5, "B": 5}, [])
    analysis = analyse(study, Plan())
    assert all(row["relapses"] == 0 and row["warning"] for row in rows_of(analysis, "arr.tsv"))
    assert all(row["warning"] and "p" not in row for row in rows_of(analysis, "arr_ratios.tsv"))


def test_rows_have_no_other_columns_and_the_figure_is_text() -> None:
    analysis = analyse(assemble(make_event_tables({"A": 10, "B": 10}), Plan()), Plan())
    for result in analysis.tables:
        names = {column.name for column in result.table.columns}
        assert all(set(row) <= names for row in result.rows)
    assert tuple(result.table for result in analysis.tables) == TABLES
    assert "Relapses per person-year" in to_svg(analysis.figures[0].draw())
