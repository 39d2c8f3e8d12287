# SPDX-License-Identifier: Apache-2.0
"""Volumes between groups: planted losses found, none where there are none, and whatever cannot be tested said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_msvol.bids.tabular import format_value
from bids_msvol.group.analyses.group_volumes import TABLES, analyse
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Plan, Regions, Statistics
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.stats.multiplicity import benjamini_hochberg
from tests.group.cohorts import make_study, make_tables

GROUPS = {"HC": 30, "MS": 35, "NMOSD": 25}


def rows_of(found: Analysis, table: int = 0, **wanted: object) -> list[dict[str, Any]]:
    return [dict(row) for row in found.tables[table].rows if all(row.get(name) == wanted[name] for name in wanted)]


def test_a_planted_loss_is_found_in_one_group_only() -> None:
    """All volumes of MS are 7 % smaller: differences of that size against controls, none for the other group."""
    found = analyse(make_study(GROUPS, volume_factor={"MS": 0.93}), Plan())
    (brain,) = rows_of(found, roi="WholeBrain", comparison="MS - HC")
    assert brain["pct_ci_lo"] < -7.0 < brain["pct_ci_hi"]
    assert brain["q_bh"] < 0.001
    assert brain["hedges_g"] < -2.0
    assert (brain["n_reference"], brain["n_group"], brain["n_sub"]) == (30, 35, 65)
    assert all(brain[f"p_{name}"] < 0.05 for name in ("covariate", "residual", "proportion", "none", "hc3"))
    assert all(row["q_bh"] > 0.05 for row in rows_of(found, comparison="NMOSD - HC"))
    stand = sum(row["q_bh"] <= 0.05 for row in rows_of(found, comparison="MS - HC"))
    assert stand > 10
    assert any(f"MS (n = 35) differed in {stand} of 15 regions" in said for said in found.findings)
    assert any("NMOSD (n = 25) differed in 0 of 15 regions" in said for said in found.findings)


def test_without_covariates_it_is_students_t() -> None:
    """Age, sex and head size not known: two groups are compared by Student's t, means are plain means."""
    tables = make_tables({"A": 12, "B": 14}, years=(0.0,))
    tables.persons["age"] = np.nan
    tables.persons["sex"] = None
    tables.sessions["etiv_mm3"] = np.nan
    study = assemble(tables, Plan())
    found = analyse(study, Plan())
    (pair,) = rows_of(found, roi="Thalamus", comparison="B - A")
    volumes = study.volumes_mm3["Thalamus"].to_numpy()
    known = stats.ttest_ind(volumes[12:], volumes[:12])
    assert (pair["statistic"], pair["p"]) == pytest.approx((known.statistic, known.pvalue))
    # Delta method by hand: the ratio of two independent means with one variance.
    ratio = volumes[12:].mean() / volumes[:12].mean()
    spread = np.sqrt((11 * volumes[:12].var(ddof=1) + 13 * volumes[12:].var(ddof=1)) / 24)
    half = stats.t.ppf(0.975, 24) * spread * np.sqrt(1 / 14 + ratio**2 / 12) / volumes[:12].mean()
    assert pair["pct"] == pytest.approx(100 * (ratio - 1))
    assert pair["pct_ci_hi"] == pytest.approx(100 * (ratio - 1 + half))
    assert pair.get("p_covariate") is None
    (mean,) = rows_of(found, 1, roi="Thalamus", group="A")
    assert mean["adjusted_mean"] == pytest.approx(volumes[:12].mean()) == pytest.approx(mean["mean_raw"])
    assert any("nothing could be adjusted for head size" in said for said in found.limits)


def test_q_values_are_over_the_regions_of_a_comparison() -> None:
    found = analyse(make_study(GROUPS), Plan())
    for comparison in ("all groups", "MS - HC", "NMOSD - HC", "NMOSD - MS"):
        rows = rows_of(found, comparison=comparison)
        assert len(rows) == 15
        assert [row["q_bh"] for row in rows] == pytest.approx(benjamini_hochberg([row["p"] for row in rows]))
        assert len({row["family"] for row in rows}) == 1


def test_the_way_to_account_for_head_size_is_the_plans() -> None:
    """The p value is that of the plan's way, and the column of that way says the same."""
    study = make_study({"HC": 25, "MS": 25})
    seen = set()
    for method in ("covariate", "residual", "proportion", "none"):
        found = analyse(study, Plan(statistics=Statistics(head_size=method)))  # type: ignore[arg-type]
        (pair,) = rows_of(found, roi="Cortex", comparison="MS - HC")
        assert pair["p"] == pair[f"p_{method}"]
        assert pair["df"] == (45 if method == "covariate" else 46)
        seen.add(round(pair["p"], 6))
    assert len(seen) == 4


def test_checks_of_assumptions_speak() -> None:
    """A group that ages faster and varies more gets a warning of both; a clean study gets none."""
    tables = make_tables({"A": 40, "B": 40}, years=(0.0,))
    clean = analyse(assemble(tables, Plan()), Plan(regions=Regions(volumes=("Thalamus",))))
    assert rows_of(clean)[0]["warning"] == ""
    assert "same slope on age" in rows_of(clean)[0]["assumptions"]
    rng = np.random.default_rng(0)
    second = (tables.persons["group"] == "B").to_numpy()
    age = tables.persons["age"].to_numpy()
    volumes = 8000.0 + rng.normal(0.0, 50.0, 80) + second * (rng.normal(0.0, 300.0, 80) - 15.0 * (age - 40.0))
    odd = tables.volumes_mm3.assign(**{"Left-Thalamus": volumes / 2, "Right-Thalamus": volumes / 2})
    found = analyse(assemble(replace(tables, volumes_mm3=odd), Plan()), Plan(regions=Regions(volumes=("Thalamus",))))
    warning = rows_of(found)[0]["warning"]
    assert "slope on age differs" in warning
    assert "variances differ" in warning


def test_what_cannot_be_tested_is_a_row_that_says_why() -> None:
    """A group of two persons, a region never measured, and one with gaps."""
    tables = make_tables({"A": 20, "B": 20, "C": 2}, years=(0.0,))
    volumes = tables.volumes_mm3.drop(columns=["Left-Amygdala"])
    volumes.loc[[0, 1, 25], "Left-Caudate"] = np.nan
    found = analyse(assemble(replace(tables, volumes_mm3=volumes), Plan()), Plan())
    (small,) = rows_of(found, roi="Putamen", comparison="C - A")
    assert small.get("p") is None
    assert "2 persons of C: left out" in small["warning"]
    lacking = rows_of(found, roi="Amygdala")
    assert len(lacking) == 4
    assert all(row.get("p") is None and row["warning"] for row in lacking)
    (gaps,) = rows_of(found, roi="Caudate", comparison="B - A")
    assert (gaps["n_reference"], gaps["n_group"]) == (18, 19)
    assert gaps["p"] is not None


def test_thickness_is_compared_without_head_size() -> None:
    tables = make_tables({"A": 20, "B": 20}, years=(0.0, 1.0))
    rng = np.random.default_rng(1)
    mean = 2.5 + rng.normal(0.0, 0.05, 80) - 0.3 * (np.repeat(tables.persons["group"].to_numpy(), 2) == "B")
    thickness = pd.DataFrame({"lh": mean, "rh": mean, "mean": mean}, index=tables.sessions.index)
    found = analyse(assemble(replace(tables, thickness_mm=thickness), Plan()), Plan())
    (pair,) = rows_of(found, roi="CorticalThickness", comparison="B - A")
    assert pair["unit"] == "mm"
    assert pair["ci_lo"] < -0.3 < pair["ci_hi"]
    assert pair["p"] == pair["p_none"]
    assert pair["df"] == 36


def test_one_group_or_no_volumes_cannot_be_analysed() -> None:
    with pytest.raises(CannotAnalyseError, match="one group only"):
        analyse(make_study({"A": 20}), Plan())
    tables = make_tables({"A": 5, "B": 5})
    tables.sessions["exclude"] = True
    with pytest.raises(CannotAnalyseError, match="no scan has volumes"):
        analyse(assemble(tables, Plan()), Plan())
    with pytest.raises(CannotAnalyseError, match="no region could be compared"):
        analyse(make_study({"A": 20, "B": 2}), Plan())


@pytest.mark.parametrize("groups", [{"A": 12, "B": 12}, {f"G{number}": 8 for number in range(6)}])
def test_tables_and_figures_are_whole(groups: dict[str, int]) -> None:
    """Every cell belongs to a column and can be written; the figure shows every region and the numbers of persons."""
    found = analyse(make_study(groups, years=(0.0,)), Plan())
    for declared, result in zip(TABLES, found.tables, strict=True):
        assert result.table is declared
        columns = {column.name: column for column in declared.columns}
        for row in result.rows:
            assert set(row) <= set(columns)
            assert all(format_value(row.get(name), column) for name, column in columns.items())
    svg = to_svg(found.figures[0].draw())
    assert all(word in svg for word in ("Thalamus", "Lateral ventricle", "n = ", "standard deviations"))
    assert svg.count("against") == len(groups) - 1
