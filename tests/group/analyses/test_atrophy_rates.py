# SPDX-License-Identifier: Apache-2.0
"""Rates by group: planted loss, tests against scipy, healthy adults, the cut-off, few people, no data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_msvol.group.analyses.atrophy_rates import analyse
from bids_msvol.group.analyses.atrophy_rates_healthy import BY_RATE, BY_YEAR, OWN_SCATTER, SIMULATED
from bids_msvol.group.analyses.published_rates import HEALTHY_RATES, error_sd, healthy_rates_of, share_failing
from bids_msvol.group.analyses.rates import brain_rates, cord_rates
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Activity, Plan, Statistics
from bids_msvol.group.result import Analysis, CannotAnalyseError
from tests.group.cohorts import make_study, make_tables

GROUPS = {"HC": 20, "MS": 30}
LOSS = {"HC": 0.27, "MS": 0.6}


def _table(analysis: Analysis, number: int) -> pd.DataFrame:
    return pd.DataFrame(analysis.tables[number].rows)


def test_planted_rates_and_their_difference_are_recovered() -> None:
    """Means of both groups, and MS against healthy controls by both tests."""
    rows = _table(analyse(make_study(GROUPS, loss_pct_per_year=LOSS), Plan()), 0).set_index(["group", "roi"])
    ms = rows.loc[("MS", "WholeBrain")]
    assert rows.loc[("HC", "WholeBrain"), "rate"] == pytest.approx(-0.27, abs=0.02)
    assert ms["rate"] == pytest.approx(-0.605, abs=0.02)
    assert ms["mixed_rate"] == pytest.approx(ms["rate"], abs=1e-6)
    assert ms["diff_lo"] < -0.33 < ms["diff_hi"]
    assert ms["adj_lo"] < -0.33 < ms["adj_hi"]
    assert ms["q_welch"] < 0.001
    assert ms["reference"] == "HC"
    assert rows.loc[("MS", "LateralVentricle"), "rate"] > 1.5
    assert {"C1", "C7", "C2-C3", "C1-C7"} <= set(rows.index.get_level_values("roi"))


def test_tests_are_those_of_scipy() -> None:
    """One-sample t, Welch's t and their intervals on the persons' rates."""
    study = make_study(GROUPS, loss_pct_per_year={"HC": 0.5, "MS": 0.5})
    row = _table(analyse(study, Plan()), 0).set_index(["group", "roi"]).loc[("MS", "Caudate")]
    rate = brain_rates(study, ("Caudate",)).rate["Caudate"]
    ms, hc = (rate[study.persons["group"] == name].to_numpy() for name in ("MS", "HC"))
    one = stats.ttest_1samp(ms, 0.0)
    interval = one.confidence_interval(0.95)
    assert (row["p"], row["ci_lo"], row["ci_hi"]) == pytest.approx((one.pvalue, interval.low, interval.high))
    two = stats.ttest_ind(ms, hc, equal_var=False)
    interval = two.confidence_interval(0.95)
    assert (row["p_welch"], row["diff_df"]) == pytest.approx((two.pvalue, two.df))
    assert (row["diff_lo"], row["diff_hi"]) == pytest.approx((interval.low, interval.high))


def test_one_group_has_no_comparison() -> None:
    """Everybody, named all, against zero only."""
    rows = _table(analyse(make_study({"A": 12}), Plan()), 0)
    assert set(rows["group"]) == {"all"}
    assert "p_welch" not in rows


def test_a_group_of_one_keeps_its_row() -> None:
    """A mean without interval, and the reason."""
    row = _table(analyse(make_study({"HC": 8, "MS": 1}), Plan()), 0).set_index(["group", "roi"])
    assert np.isnan(row.loc[("MS", "Thalamus"), "p"])
    assert "no comparison" in row.loc[("MS", "Thalamus"), "warning"]
    assert np.isfinite(row.loc[("MS", "Thalamus"), "rate"])


def test_two_groups_of_one_are_described_only() -> None:
    """Nothing can be tested between them, and nothing breaks."""
    analysis = analyse(make_study({"A": 1, "B": 1}), Plan())
    rows = _table(analysis, 0).set_index(["group", "roi"])
    assert np.isfinite(rows.loc[("B", "Thalamus"), "rate"])
    assert "p_welch" not in rows


def test_missing_scans_are_counted() -> None:
    """Who has a single usable scan has no rate, and is counted."""
    tables = make_tables({"A": 6})
    single = tables.sessions["participant_id"].eq("sub-001") & (tables.sessions["days"] > 0)
    tables.sessions.loc[single, "exclude"] = True
    analysis = analyse(assemble(tables, Plan()), Plan())
    row = _table(analysis, 0).iloc[0]
    assert (row["n_sub"], row["n_without"], row["n_obs"]) == (5, 1, 20)
    assert analysis.limits[0].startswith("1 person with a measurement")
    persons = _table(analysis, 1)
    assert "sub-001" not in set(persons["participant_id"])
    assert persons.loc[0, "n_scans"] == 4


def test_healthy_sources_at_their_ages_only() -> None:
    """Straight lines between the printed ages, nothing beyond them; a mean without ages holds for all."""
    opfer = next(rate for rate in HEALTHY_RATES if "Opfer" in rate.source)
    assert opfer.expected([50.0, 75.0]) == pytest.approx([-0.225, -0.61])
    assert np.isnan(opfer.expected([30.0, 80.0, np.nan])).all()
    assert opfer.limit([45.0])[0] == -0.52
    siena = healthy_rates_of("WholeBrain")[0]
    assert siena.expected([np.nan, 20.0]).tolist() == [-0.27, -0.27]
    # The paper's own 95 % cut-off is -0.52 % a year.
    assert siena.limit([40.0])[0] == pytest.approx(-0.52, abs=0.005)


def test_rates_against_healthy_adults() -> None:
    """Healthy controls are like De Stefano's, MS is not; hand-worked standard error."""
    analysis = analyse(make_study(GROUPS, loss_pct_per_year=LOSS), Plan())
    rows = _table(analysis, 2)
    rows = rows[rows["source"].str.contains("De Stefano")].set_index("group")
    assert rows.loc["HC", "p"] > 0.05
    assert rows.loc["MS", "p"] < 0.001
    assert rows.loc["MS", "share_beyond"] > 90
    assert rows.loc["HC", "n_beyond"] == 0
    main = _table(analysis, 0).set_index(["group", "roi"]).loc[("MS", "WholeBrain")]
    assert rows.loc["MS", "se"] == pytest.approx(np.hypot(main["se"], 0.15 / np.sqrt(35)))
    ages = _table(analysis, 2)
    opfer = ages[ages["source"].str.contains("Opfer") & (ages["group"] == "all")].iloc[0]
    assert opfer["n_sub"] + opfer["n_left_out"] == 50
    assert opfer["n_left_out"] > 0


def test_cutoff_fails_healthy_people_by_its_error() -> None:
    """The shares of the reference: 19 % without error, 32 % at a total SD of 0.27, 45 % at 1.0."""
    assert share_failing(0.4, 0.0, 1.0, -0.27, 0.15) == pytest.approx(0.193, abs=0.001)
    assert share_failing(0.4, np.sqrt(0.27**2 - 0.15**2), 1.0, -0.27, 0.15) == pytest.approx(0.315, abs=0.001)
    assert share_failing(0.4, 1.0, 1.0, -0.27, 0.0) == pytest.approx(0.448, abs=0.001)
    assert share_failing(0.4, 0.5, 2.0, -0.27, 0.15) == share_failing(0.4, 0.25, 1.0, -0.27, 0.15)
    rng = np.random.default_rng(0)
    assert error_sd(float(np.median(np.abs(rng.normal(0.0, 0.3, 200_000))))) == pytest.approx(0.3, rel=0.01)


def test_cutoff_of_the_plan_and_scatter_of_the_study() -> None:
    """The table takes the plan's cut-off, and the study's own planted error: two scans' worth."""
    study = make_study({"A": 150}, noise_pct=2.0)
    plan = Plan(activity=Activity(bvl_cutoff_pct_per_year=0.5))
    analysis = analyse(study, plan)
    rows = _table(analysis, 3)
    assert (rows["cutoff"] == 0.5).all()
    own = rows[rows["basis"] == OWN_SCATTER].iloc[0]
    rates = brain_rates(study, ("WholeBrain",))
    spread = np.sqrt(2.0 * rates.error_ss["WholeBrain"].sum() / rates.error_df["WholeBrain"].sum())
    assert own["error_sd"] == pytest.approx(spread)
    assert own["specificity"] == pytest.approx(100.0 - own["share_failing"])
    assert "0.5 % a year" in analysis.findings[-1]
    assert "No healthy control of this study can be judged" in analysis.findings[-1]


def test_own_controls_are_counted_before_simulated_repeats() -> None:
    """Controls who fail, counted by rate and by first year, with Wilson's interval; simulations last, named a bound."""
    study = make_study({"HC": 40, "MS": 20}, loss_pct_per_year={"HC": 0.4, "MS": 0.6}, noise_pct=1.0)
    analysis = analyse(study, Plan())
    rows = _table(analysis, 3)
    assert rows["basis"].tolist()[:3] == [BY_RATE, BY_YEAR, OWN_SCATTER]
    control = study.persons["is_control"]
    rate = brain_rates(study, ("WholeBrain",)).rate["WholeBrain"][control]
    failing = int((np.expm1(rate / 100.0) * 100.0 <= -0.4).sum())
    by_rate = rows.iloc[0]
    assert (by_rate["n_sub"], by_rate["n_failing"]) == (40, failing)
    interval = stats.binomtest(failing, 40).proportion_ci(method="wilson")
    assert (by_rate["share_lo"], by_rate["share_hi"]) == pytest.approx((100 * interval.low, 100 * interval.high))
    first = study.intervals[study.intervals["year"] == 1].set_index("participant_id")["brain_pct_per_year"]
    assert rows.iloc[1]["n_failing"] == int((first[control[control].index] <= -0.4).sum())
    simulated = rows[rows["basis"].str.startswith(SIMULATED)]
    assert simulated.index.min() > rows.index[rows["basis"] == OWN_SCATTER].max()
    said = analysis.findings[-1]
    order = [said.index(part) for part in ("own healthy controls", "scatter of this study", "a lower bound")]
    assert order == sorted(order)
    assert f"{failing} of 40" in said


def test_scatter_of_measured_change_is_that_of_yearly_changes() -> None:
    """Where change was measured from images, persons' yearly changes scatter around their mean."""
    study = make_study({"A": 30})
    scatter = np.random.default_rng(3).normal(-0.3, 0.5, len(study.intervals))
    pairs = pd.MultiIndex.from_frame(study.intervals[["from_row", "to_row"]])
    measured = pd.DataFrame({"WholeBrain": scatter}, index=pairs)
    study = replace(
        study,
        measured_change_pct=measured,
        measured_change_mm3=measured,
        intervals=study.intervals.assign(brain_pct_per_year=scatter),
    )
    analysis = analyse(study, Plan())
    own = _table(analysis, 3).set_index("basis").loc[OWN_SCATTER].iloc[0]
    by_person = pd.Series(scatter).groupby(study.intervals["participant_id"].to_numpy())
    assert own["error_sd"] == pytest.approx(np.sqrt(by_person.var().mean()))
    assert "measured from images" in analysis.methods[0]
    assert "slope over all" not in analysis.methods[0]


def test_no_repeated_scan_is_said() -> None:
    """A single scan each."""
    with pytest.raises(CannotAnalyseError, match="half a year"):
        analyse(make_study({"A": 5}, years=(0.0,)), Plan())


def test_cord_alone_is_enough() -> None:
    """Without volumes the rates of the cord are there, but no word of NEDA-4, of SIENA or of its table."""
    tables = make_tables({"HC": 6, "MS": 6})
    study = assemble(replace(tables, volumes_mm3=tables.volumes_mm3.iloc[:0]), Plan())
    analysis = analyse(study, Plan())
    assert set(_table(analysis, 0)["kind"]) == {"cord"}
    assert "bvl_cutoff.tsv" not in [one.table.file_name for one in analysis.tables]
    told = " ".join((*analysis.methods, *analysis.findings, *analysis.limits))
    assert "NEDA" not in told
    assert "SIENA" not in told
    assert "Spinal Cord Toolbox" in told
    healthy = _table(analysis, 2)
    assert healthy["warning"].str.startswith("compare methods").all()


def test_who_has_no_rate_is_counted_by_person() -> None:
    """One level missing in a person with rates of the others does not count; a single scan does."""
    tables = make_tables({"HC": 8, "MS": 8})
    areas = tables.cord_mm2.copy()
    areas.loc[areas.index[1:4], "C7"] = np.nan
    areas.loc[areas.index[5:8]] = np.nan
    study = assemble(replace(tables, cord_mm2=areas), Plan())
    assert analyse(study, Plan()).limits[0].startswith("1 person with a measurement of the cord had no rate:")


def test_precise_rates_count_more() -> None:
    """A person seen for half a year counts as little as the error of the rate says; the plain mean stands beside."""
    tables = make_tables({"HC": 6, "MS": 6}, years=(0.0, 2.0), noise_pct=0.1)
    sessions = tables.sessions
    last = sessions.index[1]
    sessions.loc[last, "days"] = 190.0
    areas = tables.cord_mm2.copy()
    areas.loc[last, "C2-C3"] = areas.loc[sessions.index[0], "C2-C3"] * 1.06
    study = assemble(replace(tables, cord_mm2=areas), Plan())
    analysis = analyse(study, Plan())
    row = _table(analysis, 0).set_index(["group", "roi"]).loc[("HC", "C2-C3")]
    rates = cord_rates(study, ("C2-C3",))
    rate = rates.rate["C2-C3"].iloc[:6].to_numpy()
    squares = rates.years["C2-C3"].iloc[:6].to_numpy() ** 2 / 2.0
    assert row["plain_mean"] == pytest.approx(rate.mean())
    assert row["rate"] == pytest.approx(np.average(rate, weights=squares))
    assert row["plain_mean"] > 1.0 > row["rate"]


def test_growing_controls_are_warned_of() -> None:
    """Healthy cords that grow by 2 % a year are an error, said in the row and among the limits."""
    analysis = analyse(make_study(GROUPS, loss_pct_per_year={"HC": -2.0, "MS": 0.5}), Plan())
    rows = _table(analysis, 0).set_index(["group", "roi"])
    assert "do not grow" in rows.loc[("HC", "C2-C3"), "warning"]
    assert "do not grow" not in rows.loc[("MS", "C2-C3"), "warning"]
    assert any("Healthy controls grow" in text for text in analysis.limits)


def test_small_groups_are_not_drawn_and_levels_are_said() -> None:
    """Four persons are in the table, not in the figure; another level of confidence stands in words and caption."""
    plan = Plan(statistics=Statistics(level=0.9))
    analysis = analyse(make_study({"HC": 12, "MS": 10, "CIS": 4}, plan), plan)
    svg = to_svg(analysis.figures[0].draw())
    assert "MS (n = 10)" in svg
    assert "CIS" not in svg
    assert "fewer than 5 persons" in analysis.figures[0].caption
    told = " ".join((*analysis.findings, analysis.figures[0].caption, svg))
    assert "90 % CI" in told
    assert "95 % CI" not in told
    assert "95 % confidence" not in told


def test_forest_names_groups_and_structures() -> None:
    """Text stays text, with n in the legend."""
    svg = to_svg(analyse(make_study(GROUPS), Plan()).figures[0].draw())
    assert "MS (n = 30)" in svg
    assert "Cerebellar cortex" in svg
