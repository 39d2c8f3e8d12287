# SPDX-License-Identifier: Apache-2.0
"""Cord areas by level: planted differences, rates and slopes are found; what cannot be tested is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_msvol.group.analyses import atrophy_rates, cord_levels
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Plan, Regions
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.tables import StudyTables
from bids_msvol.stats.ancova import fit_ancova
from tests.group.cohorts import make_study, make_tables

PLAN = Plan(regions=Regions(cord_levels=("C4", "C2-C3")))


def _table(analysis: Analysis, name: str) -> list[Mapping[str, Any]]:
    table = next(one for one in analysis.tables if one.table.file_name == name)
    names = {column.name for column in table.table.columns}
    assert all(set(row) <= names for row in table.rows)
    return list(table.rows)


def _only(rows: list[Mapping[str, Any]], **wanted: object) -> Mapping[str, Any]:
    found = [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


def _phenotypes(counts: Mapping[str, int], **options: Any) -> StudyTables:
    return make_tables(counts, column="phenotype", **options)


@pytest.fixture(scope="module")
def cohort() -> Analysis:
    """Controls, RRMS that is 5 % thinner and SPMS that is 15 % thinner; patients shrink faster."""
    tables = _phenotypes(
        {"HC": 40, "RRMS": 50, "SPMS": 30},
        volume_factor={"RRMS": 0.95, "SPMS": 0.85},
        loss_pct_per_year={"HC": 0.2, "RRMS": 1.2, "SPMS": 0.8},
    )
    return cord_levels.analyse(assemble(tables, PLAN), PLAN)


def test_planted_differences_are_found(cohort: Analysis) -> None:
    """Within the interval at every level, in mm2 and in per cent; RRMS is the mean of its halves."""
    rows = _table(cohort, "cord_levels.tsv")
    for level in PLAN.regions.cord_levels:
        row = _only(rows, level=level, comparison="SPMS - HC", normalisation="raw")
        assert row["pct_lo"] < -15.0 < row["pct_hi"]
        assert row["ci_lo"] < row["difference_mm2"] < row["ci_hi"] < 0.0
        assert row["q_bh"] < 0.001
        assert (row["n_upper"], row["n_lower"], row["n_obs"], row["model"]) == (30, 40, 280, "mixed model")
        step = _only(rows, level=level, comparison="SPMS - RRMS", normalisation="raw")
        assert step["n_lower"] == 50
        assert step["pct_lo"] < -10.5 < step["pct_hi"]
        assert _only(rows, level=level, comparison="all groups", normalisation="raw")["p"] < 0.001


def test_planted_rates_are_found(cohort: Analysis) -> None:
    """Per cent a year of each group, and the difference, which both tests see."""
    rows = _table(cohort, "cord_rates.tsv")
    for group, planted in (("HC", -0.2), ("early RRMS", -1.2), ("late RRMS", -1.2), ("SPMS", -0.8)):
        row = _only(rows, level="C2-C3", kind="rate", group=group)
        assert row["pct_lo"] - 0.1 < planted < row["pct_hi"] + 0.1
    row = _only(rows, level="C2-C3", kind="difference", group="late RRMS - HC")
    assert row["pct_lo"] < -1.0 < row["pct_hi"]
    assert row["p"] < 0.001
    assert row["years_median"] == pytest.approx(3.0, abs=0.01)
    assert _only(rows, level="C2-C3", kind="duration", group="per 10 years of disease duration")["p"] > 0.001


def test_no_difference_is_made_of_nothing() -> None:
    """Equal groups: no q below 0.05, and the sentence says that none stands."""
    analysis = cord_levels.analyse(make_study({"A": 25, "B": 25}, PLAN, seed=5), PLAN)
    rows = _table(analysis, "cord_levels.tsv")
    assert min(row["q_bh"] for row in rows if row.get("p") is not None) > 0.05
    assert any("No difference between groups at a level stands" in text for text in analysis.findings)


def test_one_session_each_is_analysis_of_covariance() -> None:
    """The numbers are those of ``fit_ancova`` with the same covariates; there are no rates, and that is said."""
    study = make_study({"A": 20, "B": 25, "C": 22}, PLAN, years=(0.0,), volume_factor={"B": 0.9})
    analysis = cord_levels.analyse(study, PLAN)
    row = _only(_table(analysis, "cord_levels.tsv"), level="C4", comparison="B - A", normalisation="raw")
    covariates = {"age": study.persons["age"], "sex": (study.persons["sex"] == "M").astype(float)}
    expected = fit_ancova(study.cord_mm2["C4"], study.persons["group"].astype(str), covariates)
    difference = expected.differences[0].difference
    assert (row["difference_mm2"], row["se"], row["df"]) == pytest.approx((difference.value, difference.se, 62))
    assert row["model"] == "ANCOVA"
    mean = _only(_table(analysis, "cord_means.tsv"), level="C4", group="B", normalisation="raw")
    assert mean["mean_mm2"] == pytest.approx(expected.adjusted_means["B"].value)
    rates = _table(analysis, "cord_rates.tsv")
    assert all(row.get("p") is None and row["warning"] for row in rates)
    assert any("Too few persons have two sessions" in text for text in analysis.limits)
    assert [figure.name for figure in analysis.figures] == ["cord_profile"]


def test_head_size_is_taken_out() -> None:
    """Areas that grow with the head: what head size explains is gone, the group difference of the heads with it."""
    tables = make_tables({"A": 40, "B": 40}, years=(0.0,))
    second = (tables.persons["group"] == "B").to_numpy()
    etiv = tables.sessions["etiv_mm3"] + 3e5 * second
    noise = np.random.default_rng(99).normal(0.0, 1.0, 80)
    areas = tables.cord_mm2.assign(C4=70.0 + 4e-5 * (etiv - 1.5e6) + noise)
    tables = replace(tables, sessions=tables.sessions.assign(etiv_mm3=etiv), cord_mm2=areas)
    rows = _table(cord_levels.analyse(assemble(tables, PLAN), PLAN), "cord_levels.tsv")
    raw = _only(rows, level="C4", comparison="B - A", normalisation="raw")
    freed = _only(rows, level="C4", comparison="B - A", normalisation="etiv_residual")
    assert raw["difference_mm2"] == pytest.approx(12.0, abs=4.0)
    assert freed["difference_mm2"] == pytest.approx(0.0, abs=1.5)


def test_coverage_and_missing_values_are_counted() -> None:
    """A level seen in few: the n of that level, a limit, and a row that says why a group is not compared."""
    tables = make_tables({"A": 15, "B": 15, "C": 12})
    areas = tables.cord_mm2.copy()
    areas.loc[areas.index[8:60], "C4"] = np.nan
    areas.loc[areas.index[64:120], "C4"] = np.nan
    areas["C2"] = np.nan
    persons = tables.persons.copy()
    persons.loc[persons.index[[20, 40]], "age"] = np.nan
    plan = Plan(regions=Regions(cord_levels=("C2", "C4", "C2-C3")))
    study = assemble(replace(tables, cord_mm2=areas, persons=persons), plan)
    analysis = cord_levels.analyse(study, plan)
    rows = _table(analysis, "cord_levels.tsv")
    assert _only(rows, level="C4", comparison="B - A", normalisation="raw")["warning"].startswith("fewer than 3")
    assert _only(rows, level="C2-C3", comparison="B - A", normalisation="raw")["n_upper"] == 14
    empty = [row for row in rows if row["level"] == "C2"]
    assert len(empty) == 8
    assert all(row["warning"] and row.get("p") is None for row in empty)
    mean = _only(_table(analysis, "cord_means.tsv"), level="C4", group="A", normalisation="raw")
    assert (mean["n_sub"], mean["coverage_pct"]) == (2, pytest.approx(100 * 2 / 15))
    told = " ".join(analysis.limits)
    assert "Nobody has an area at C2" in told
    assert "C4 in A (2 persons, 13 %)" in told
    assert "2 persons left out of adjusted comparisons: age" in told


def test_edss_is_related_to_area() -> None:
    """A planted slope of -2 mm2 per point is found, in patients only."""
    tables = _phenotypes({"HC": 20, "RRMS": 60}, years=(0.0, 1.0))
    healthy = tables.sessions["participant_id"].map(tables.persons["phenotype"]) == "HC"
    edss = tables.sessions["edss"]
    areas = tables.cord_mm2.assign(**{"C2-C3": 75.0 - 2.0 * edss + np.random.default_rng(2).normal(0, 3, len(edss))})
    sessions = tables.sessions.assign(edss=edss.where(~healthy, 0.0))
    study = assemble(replace(tables, sessions=sessions, cord_mm2=areas), PLAN)
    row = _only(_table(cord_levels.analyse(study, PLAN), "cord_edss.tsv"), level="C2-C3", group="all patients")
    assert row["slope_lo"] < -2.0 < row["slope_hi"] < 0.0
    assert row["rho"] < -0.3
    assert (row["n_sub"], row["df"]) == (60, 56)


def test_sites_that_are_the_groups_are_not_adjusted_for() -> None:
    """The comparison is made without site, and that is said."""
    tables = make_tables({"A": 15, "B": 15})
    tables = replace(tables, persons=tables.persons.assign(site=tables.persons["group"]))
    analysis = cord_levels.analyse(assemble(tables, PLAN), PLAN)
    row = _only(_table(analysis, "cord_levels.tsv"), level="C4", comparison="B - A", normalisation="raw")
    assert any("Site is not adjusted for" in sentence for sentence in analysis.limits)
    assert row["p"] is not None


def test_one_group_has_means_rates_and_edss() -> None:
    """Nothing to compare, but no failure."""
    analysis = cord_levels.analyse(make_study({"MS": 20}, PLAN), PLAN)
    assert _table(analysis, "cord_levels.tsv") == []
    assert _only(_table(analysis, "cord_rates.tsv"), level="C4", group="all")["p"] < 0.05
    assert len(_table(analysis, "cord_means.tsv")) == 4


def test_without_cord_areas_there_is_no_analysis() -> None:
    """Nobody measured, two persons, or only levels that nobody has: one sentence says what is missing."""
    with pytest.raises(CannotAnalyseError, match="no session has a cord area"):
        cord_levels.analyse(make_study({"A": 5, "B": 5}, cord=False), PLAN)
    with pytest.raises(CannotAnalyseError, match="three persons"):
        cord_levels.analyse(make_study({"A": 2}), PLAN)
    nowhere = Plan(regions=Regions(cord_levels=("T1",)))
    with pytest.raises(CannotAnalyseError, match="three persons"):
        cord_levels.analyse(make_study({"A": 5, "B": 5}), nowhere)


def test_unknown_days_and_covariates_do_no_harm() -> None:
    """Sessions without day but the first are left out; without age and sex nothing is adjusted for."""
    tables = make_tables({"A": 12, "B": 12})
    sessions = tables.sessions.assign(days=tables.sessions["days"].where(tables.sessions["session_id"] == "ses-00"))
    persons = tables.persons.assign(age=np.nan, sex=pd.Series(None, index=tables.persons.index, dtype=object))
    analysis = cord_levels.analyse(assemble(replace(tables, sessions=sessions, persons=persons), PLAN), PLAN)
    row = _only(_table(analysis, "cord_levels.tsv"), level="C4", comparison="B - A", normalisation="raw")
    assert (row["model"], row["n_obs"], row["df"]) == ("ANCOVA", 24, 22)
    assert any("adjusted for nothing" in text for text in analysis.methods)


def test_figures_are_drawn_with_text_and_counts(cohort: Analysis) -> None:
    """The groups and their n stand in the figures as text, the same each time."""
    assert [figure.name for figure in cohort.figures] == ["cord_profile", "cord_rates"]
    for figure in cohort.figures:
        text = to_svg(figure.draw())
        assert "SPMS" in text
        assert ">30<" in text
    assert to_svg(cohort.figures[1].draw()) == text


def test_findings_give_effect_before_p(cohort: Analysis) -> None:
    """The comparisons that count clinically first, as per cent with interval; then all groups; rates; EDSS."""
    assert 4 <= len(cohort.findings) <= 6
    first = cohort.findings[0]
    assert first.index("SPMS - HC") < first.index("late RRMS - early RRMS")
    assert first.index("95 % CI") < first.index("p < 0.001") < first.index("q < 0.001")
    assert "partial eta squared" in cohort.findings[1]
    assert any("fastest loss among groups known to shrink" in text for text in cohort.findings)


def test_null_comparisons_are_said_and_no_change_is_called_fastest() -> None:
    """CIS like controls is told with its numbers; where no group shrinks, none is the fastest."""
    loss = dict.fromkeys(("HC", "CIS", "RRMS"), 0.0)
    tables = _phenotypes({"HC": 15, "CIS": 15, "RRMS": 24}, loss_pct_per_year=loss, years=(0.0, 1.0), seed=3)
    analysis = cord_levels.analyse(assemble(tables, PLAN), PLAN)
    assert "CIS - HC" in analysis.findings[0]
    assert "early RRMS - CIS" in analysis.findings[0]
    rates = [row for row in _table(analysis, "cord_rates.tsv") if row["kind"] == "rate" and row["level"] == "C2-C3"]
    assert all(row["pct_hi"] > 0.0 for row in rates)
    told = " ".join(analysis.findings)
    assert "fastest" not in told
    assert "No group is known to shrink" in told


def test_c2_c3_is_a_family_of_its_own(cohort: Analysis) -> None:
    """Its q is over the comparisons; that of the levels does not hold it."""
    rows = [row for row in _table(cohort, "cord_levels.tsv") if row["normalisation"] == "raw"]
    primary = [row for row in rows if row["level"] == "C2-C3" and row["comparison"] != "all groups"]
    assert len({row["family"] for row in primary}) == 1
    expected = stats.false_discovery_control([row["p"] for row in primary])
    assert [row["q_bh"] for row in primary] == pytest.approx(list(expected))
    level = _only(rows, level="C4", comparison="SPMS - HC")
    assert level["q_bh"] == level["p"]


def test_rates_are_those_of_atrophy_rates() -> None:
    """One question, one answer: persons, rate, interval and difference at C2-C3 agree between the chapters."""
    tables = make_tables({"HC": 12, "MS": 15}, loss_pct_per_year={"HC": 0.2, "MS": 1.0})
    sessions = tables.sessions
    sessions.loc[sessions["session_id"] == "ses-03", "days"] += np.random.default_rng(1).integers(0, 700, 27)
    study = assemble(tables, PLAN)
    whole = next(one for one in atrophy_rates.analyse(study, PLAN).tables if one.table.file_name == "atrophy_rates.tsv")
    cord = _table(cord_levels.analyse(study, PLAN), "cord_rates.tsv")
    for group in ("HC", "MS"):
        row = _only(cord, level="C2-C3", kind="rate", group=group)
        other = _only(list(whole.rows), roi="C2-C3", group=group)
        assert row["n_followed"] == other["n_sub"]
        assert (row["pct_per_year"], row["pct_lo"], row["pct_hi"], row["plain_mean"]) == pytest.approx(
            (other["rate"], other["ci_lo"], other["ci_hi"], other["plain_mean"])
        )
    row = _only(cord, level="C2-C3", kind="difference", group="MS - HC")
    other = _only(list(whole.rows), roi="C2-C3", group="MS")
    assert (row["pct_per_year"], row["p"]) == pytest.approx((other["difference"], other["p_welch"]))


def test_slopes_that_vary_widen_the_interval() -> None:
    """With slopes of the persons, the test is Welch's of these."""
    tables = make_tables({"A": 20, "B": 20})
    own = np.random.default_rng(7).normal(0.0, 2.0, 40).repeat(4)
    years = np.tile(np.arange(4.0), 40)
    areas = tables.cord_mm2.assign(C4=tables.cord_mm2["C4"] + own * years)
    study = assemble(replace(tables, cord_mm2=areas), PLAN)
    rows = _table(cord_levels.analyse(study, PLAN), "cord_rates.tsv")
    row = _only(rows, level="C4", kind="difference", group="B - A")
    at = study.sessions["years"].to_numpy().reshape(40, 4)
    logs = 100.0 * np.log(areas["C4"].to_numpy().reshape(40, 4))
    slopes = [np.polyfit(when, person, 1)[0] for when, person in zip(at, logs, strict=True)]
    expected = stats.ttest_ind(slopes[20:], slopes[:20], equal_var=False)
    assert (row["p"], row["df"]) == pytest.approx((expected.pvalue, expected.df))
    assert row["noise_sd"] > 0.0


def test_welch_is_that_of_scipy() -> None:
    """One session each and nothing to adjust for: the adjusted means are the areas themselves."""
    tables = make_tables({"A": 20, "B": 25}, years=(0.0,), volume_factor={"B": 0.95})
    persons = tables.persons.assign(age=np.nan, sex=None)
    analysis = cord_levels.analyse(assemble(replace(tables, persons=persons), PLAN), PLAN)
    row = _only(_table(analysis, "cord_levels.tsv"), level="C4", comparison="B - A", normalisation="raw")
    areas = tables.cord_mm2["C4"].to_numpy()
    assert row["p_welch"] == pytest.approx(stats.ttest_ind(areas[:20], areas[20:], equal_var=False).pvalue)
