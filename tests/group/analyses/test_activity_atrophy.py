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
from bids_msvol.group.plan import Plan, Regions, Statistics
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.study import Study
from bids_msvol.stats.mixed_model import fit_mixed
from tests.group.cohorts import make_study, make_tables

PLAN = Plan(statistics=Statistics(permutations=400))
FEW = replace(PLAN, regions=Regions(atrophy=("WholeBrain", "Cortex", "Thalamus")))


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
    assert thalamus["test"] == "permutation of persons within groups"
    assert rows.loc[("A", "Thalamus"), "test"] == "permutation of persons"
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


def _confounded() -> Study:
    """Return a study of two groups: B relapses every year or so and shrinks fast, A seldom and slowly."""
    tables = make_tables({"A": 25, "B": 25}, loss_pct_per_year={"A": 0.2, "B": 1.0}, noise_pct=0.2)
    rng = np.random.default_rng(8)
    chance = np.where(tables.persons["group"] == "B", 0.6, 0.1)
    rows = [
        (name, round(365.25 * (year + 0.5)))
        for name, share in zip(tables.persons.index, chance, strict=True)
        for year in range(3)
        if rng.random() < share
    ]
    return assemble(
        replace(tables, relapses=pd.DataFrame(rows, columns=["participant_id", "days"]).assign(steroids=False)), PLAN
    )


def test_groups_that_differ_are_held_constant() -> None:
    """Within groups relapses have nothing to do with atrophy: the pooled test is misled, that within groups is not."""
    study = _confounded()
    analysis = analyse(study, FEW)
    row = _rows(analysis, 1).loc[("all", "WholeBrain")]
    assert row["p_mw"] < 0.001
    assert row["p"] > 0.05
    assert row["ci_lo"] < 0.0 < row["ci_hi"]
    text = " ".join(analysis.methods)
    assert "another of the same group" in text
    assert "group as a fixed effect" in text
    assert "held constant (A and B)" in text
    assert "+ group" in analysis.tables[1].sidecar["PersonLevelModel"]


def test_mixed_model_with_groups_is_that_of_its_formula() -> None:
    """The difference with groups as a fixed effect, fitted here from the intervals themselves."""
    study = _confounded()
    row = _rows(analyse(study, FEW), 1).loc[("all", "Cortex")]
    intervals = study.intervals
    change = study.change(intervals["from_row"].tolist(), intervals["to_row"].tolist(), ["Cortex"], "pct")["Cortex"]
    group = study.of_person(intervals, "group")["group"].astype(str)
    columns = {
        "(intercept)": np.ones(len(intervals)),
        "active": (intervals["relapses"] > 0).to_numpy(dtype=float),
        "b": (group == "B").to_numpy(dtype=float),
    }
    oracle = fit_mixed(
        change.to_numpy() / intervals["years"].to_numpy(), columns, intervals["participant_id"].to_numpy(dtype=str)
    ).contrast({"active": 1.0})
    assert (row["difference"], row["se"], row["p_mixed"]) == pytest.approx((oracle.value, oracle.se, oracle.p))


def test_one_group_says_nothing_of_groups() -> None:
    """No word of strata where there are none."""
    analysis = analyse(make_study({"A": 20}), FEW)
    assert "same group" not in " ".join(analysis.methods)
    assert "group" not in analysis.tables[0].sidecar["PersonLevelModel"]
    assert _rows(analysis).loc[("all", "Thalamus"), "test"] == "permutation of persons"


@pytest.mark.parametrize("groups", [{"HC": 12, "A": 25, "B": 15}, {"HC": 12, "A": 40}])
def test_healthy_controls_take_no_part(groups: dict[str, int]) -> None:
    """Controls with scans, EDSS and lesion counts change no number: all rows are those of the study without them."""
    tables = make_tables(groups)
    assert tables.relapses is not None
    healthy = tables.persons.index[tables.persons["group"] == "HC"]
    relapses = tables.relapses[~tables.relapses["participant_id"].isin(healthy)]
    study = assemble(replace(tables, relapses=relapses), FEW)
    without = assemble(
        replace(
            tables,
            persons=tables.persons.drop(healthy),
            relapses=relapses,
            sessions=tables.sessions[~tables.sessions["participant_id"].isin(healthy)].reset_index(drop=True),
            volumes_mm3=tables.volumes_mm3[12 * 4 :].reset_index(drop=True),
            cord_mm2=tables.cord_mm2[12 * 4 :].reset_index(drop=True),
            visits=tables.visits[~tables.visits["participant_id"].isin(healthy)],
        ),
        FEW,
    )
    assert study.persons["is_control"].sum() == 12
    found, oracle = analyse(study, FEW), analyse(without, FEW)
    for number in (0, 1):
        pd.testing.assert_frame_equal(_rows(found, number), _rows(oracle, number))
        assert _rows(found, number).loc[("all", "Thalamus"), "n_sub"] == 40
    assert found.findings == oracle.findings
    assert any("12 healthy controls took no part" in limit for limit in found.limits)
    assert not any("healthy" in limit for limit in oracle.limits)


def test_unknown_group_takes_no_part_where_groups_are_held_constant() -> None:
    """Three persons of whom it is not known which group they are of are counted and left out of all rows."""
    tables = make_tables({"A": 20, "B": 15})
    persons = tables.persons.copy()
    persons.loc[persons.index[:3], "group"] = None
    analysis = analyse(assemble(replace(tables, persons=persons), FEW), FEW)
    assert _rows(analysis, 1).loc[("all", "Thalamus"), "n_sub"] == 32
    assert any("3 persons of unknown group took no part" in limit for limit in analysis.limits)


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
