# SPDX-License-Identifier: Apache-2.0
"""Years with and without activity: planted difference, null, unknown NEDA, few or many people, nothing to compare."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_msvol.group.analyses.activity_atrophy import MOST_PERMUTED, analyse
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Plan, Statistics
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.study import Study
from tests.group.cohorts import make_study, make_tables

PLAN = Plan(statistics=Statistics(permutations=400))


def _rows(analysis: Analysis, table: int = 0) -> pd.DataFrame:
    return pd.DataFrame(analysis.tables[table].rows).set_index(["group", "roi"])


def _planted(shift_pct: float = -1.0) -> Study:
    """Return a study in which the thalamus loses more in years with a relapse."""
    tables = make_tables({"A": 25, "B": 15}, noise_pct=0.2)
    assert tables.relapses is not None
    volumes = tables.volumes_mm3.copy()
    sessions = tables.sessions
    for person, days in tables.relapses[["participant_id", "days"]].itertuples(index=False):
        later = (sessions["participant_id"] == person) & (sessions["days"] >= days)
        volumes.loc[later, ["Left-Thalamus", "Right-Thalamus"]] *= 1.0 + shift_pct / 100.0
    return assemble(replace(tables, volumes_mm3=volumes), PLAN)


def test_planted_loss_in_years_with_relapse_is_found() -> None:
    """One per cent more loss of the thalamus by each relapse, and of no other region."""
    analysis = analyse(_planted(), PLAN)
    rows = _rows(analysis, 1)
    thalamus = rows.loc[("all", "Thalamus")]
    assert thalamus["ci_lo"] < -1.0 < thalamus["ci_hi"] + 0.15
    assert thalamus["q_bh"] < 0.05
    assert thalamus["test"] == "permutation of persons"
    assert rows.loc[("all", "Hippocampus"), "q_bh"] > 0.05
    assert "thalamus" in " ".join(analysis.findings)


def test_pooled_test_is_that_of_scipy() -> None:
    """U, p and the means against scipy and numpy on the same intervals."""
    study = _planted()
    row = _rows(analyse(study, PLAN), 1).loc[("all", "Putamen")]
    intervals = study.intervals
    change = study.change(intervals["from_row"].tolist(), intervals["to_row"].tolist(), ["Putamen"], "pct")["Putamen"]
    rate = change.to_numpy() / intervals["years"].to_numpy()
    active = (intervals["relapses"] > 0).to_numpy()
    oracle = stats.mannwhitneyu(rate[active], rate[~active], method="asymptotic")
    assert row["u"] == oracle.statistic
    assert row["p_mw"] == pytest.approx(oracle.pvalue)
    assert row["mean_active"] == pytest.approx(rate[active].mean())
    assert row["se_active"] == pytest.approx(stats.sem(rate[active]))
    assert row["n_obs"] == len(intervals)


def test_without_difference_nothing_stands() -> None:
    """Null: no region after correction, in either question, and the sentence says so."""
    analysis = analyse(make_study({"A": 30, "B": 20}), PLAN)
    assert (_rows(analysis)["q_bh"].dropna() > 0.05).all()
    assert "none stands" in analysis.findings[0]


def test_unknown_neda_is_counted_and_left_out() -> None:
    """Without EDSS and lesions only years with a relapse are known to be active."""
    tables = make_tables({"A": 30})
    tables.sessions[["new_t2_clinic", "gd_clinic", "edss"]] = np.nan
    study = assemble(replace(tables, visits=tables.visits.iloc[:0]), PLAN)
    analysis = analyse(study, PLAN)
    neda = _rows(analysis).loc[("all", "Thalamus")]
    assert neda["n_quiet"] == 0
    assert neda["n_unknown"] + neda["n_active"] == 90
    assert "not tested" in neda["warning"]
    assert "could not be compared" in analysis.findings[0]
    assert f"NEDA-3 is not known in {neda['n_unknown']}" in analysis.limits[0]
    assert _rows(analysis, 1).loc[("all", "Thalamus"), "p"] > 0.0


def test_small_groups_have_rows_without_a_test() -> None:
    """A group with few intervals on one side keeps its row, with the reason."""
    rows = _rows(analyse(make_study({"A": 30, "B": 2}), PLAN), 1)
    small = rows.loc[("B", "Thalamus")]
    assert math.isnan(small["p"])
    assert "fewer than 5 intervals" in small["warning"]
    assert rows.loc[("A", "Thalamus"), "p"] > 0.0


def test_one_group_is_called_all() -> None:
    """With one group there are no rows but those of everybody."""
    assert set(_rows(analyse(make_study({"A": 20}), PLAN)).index.get_level_values("group")) == {"all"}


def test_one_interval_a_person_needs_no_mixed_model() -> None:
    """Two scans each: least squares stands in, and the row says so."""
    row = _rows(analyse(make_study({"A": 40}, years=(0.0, 1.0)), PLAN)).loc[("all", "Thalamus")]
    assert "least squares" in row["warning"]
    assert row["df"] == 38


def test_many_persons_are_compared_by_the_mixed_model() -> None:
    """Beyond the number that is permuted."""
    study = make_study({"A": MOST_PERMUTED + 1}, cord=False)
    row = _rows(analyse(study, PLAN)).loc[("all", "Thalamus")]
    assert row["test"] == "mixed model"
    assert row["p"] == row["p_mixed"]


def test_nothing_to_compare_is_said() -> None:
    """No second scan, or nothing known of activity."""
    with pytest.raises(CannotAnalyseError, match="two scans about a year apart"):
        analyse(make_study({"A": 5}, years=(0.0,)), PLAN)
    with pytest.raises(CannotAnalyseError, match="neither NEDA-3 nor relapses"):
        analyse(make_study({"A": 5}, clinical=False), PLAN)


def test_figure_names_regions_and_numbers() -> None:
    """Text stays text, with n of both sides."""
    study = make_study({"A": 20})
    figure = analyse(study, PLAN).figures[0]
    svg = to_svg(figure.draw())
    assert "Thalamus" in svg
    assert f"n = {int((study.intervals['relapses'] > 0).sum())}" in svg
