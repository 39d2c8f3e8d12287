# SPDX-License-Identifier: Apache-2.0
"""Progression and atrophy: classes, planted rates, scales, OCT, events, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_msvol.clinical.course import Relapse, Visit
from bids_msvol.clinical.definitions import find_definition
from bids_msvol.clinical.events import find_events
from bids_msvol.group.analyses.class_rates import classify
from bids_msvol.group.analyses.progression import analyse
from bids_msvol.group.analyses.rates import brain_rates
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Plan
from bids_msvol.group.result import Analysis, CannotAnalyseError
from tests.group.cohorts import make_study
from tests.group.progressing import make_progressing, make_progressing_tables

CLASSES = {"stable": 25, "PIRA": 12, "RAW": 6, "undefined": 4}


def _table(analysis: Analysis, number: int) -> pd.DataFrame:
    return pd.DataFrame(analysis.tables[number].rows)


def _history(values: list[float], relapses: list[float] | None) -> str:
    visits = [Visit(365.0 * year, value) for year, value in enumerate(values)]
    onsets = None if relapses is None else [Relapse(day) for day in relapses]
    return classify(find_events(visits, onsets, find_definition("default")))


def test_classes_follow_the_events() -> None:
    """PIRA before RAW before undefined; open ends, one visit and no visit are unknown."""
    assert _history([2, 2, 2, 2], []) == "stable"
    assert _history([2, 3, 3, 3], []) == "PIRA"
    assert _history([2, 3, 3, 3], [340.0]) == "RAW"
    assert _history([2, 3, 3, 4, 4], [340.0]) == "PIRA"
    assert _history([2, 3, 3, 3], None) == "undefined"
    assert _history([2, 2, 2, 3], []) == "unknown"
    assert _history([2], []) == "unknown"
    assert classify(None) == "unknown"


def test_planted_rates_by_class_are_recovered() -> None:
    """Adjusted means and the difference of PIRA from stable, with its effect size of the right sign."""
    study = make_progressing(CLASSES, loss_pct_per_year={"stable": 0.4, "PIRA": 0.8, "RAW": 0.4, "undefined": 0.4})
    analysis = analyse(study, Plan())
    rows = _table(analysis, 0).set_index(["roi", "term"])
    assert rows.loc[("WholeBrain", "mean stable"), "n_sub"] == 25
    assert rows.loc[("WholeBrain", "mean PIRA"), "estimate"] == pytest.approx(-0.81, abs=0.03)
    pair = rows.loc[("Thalamus", "PIRA - stable")]
    assert pair["ci_lo"] < -0.41 < pair["ci_hi"]
    assert pair["hedges_g"] < 0
    assert pair["g_lo"] < pair["hedges_g"] < pair["g_hi"]
    assert pair["q_bh"] < 0.001
    assert rows.loc[("Thalamus", "undefined - RAW"), "q_bh"] > 0.05
    assert rows.loc[("Thalamus", "omnibus"), "df_between"] == 3
    assert "PIRA against stable" in analysis.findings[0]


def test_without_covariates_the_omnibus_test_is_anova() -> None:
    """Against scipy, where age, sex and duration are not known."""
    tables = make_progressing_tables(CLASSES)
    persons = tables.persons.assign(age=np.nan, sex=None, disease_duration=np.nan)
    study = assemble(replace(tables, persons=persons), Plan())
    row = _table(analyse(study, Plan()), 0).set_index(["roi", "term"]).loc[("Cortex", "omnibus")]
    rate = brain_rates(study, ("Cortex",)).rate["Cortex"].to_numpy()
    kind = np.repeat(list(CLASSES), list(CLASSES.values()))
    oracle = stats.f_oneway(*(rate[kind == name] for name in CLASSES))
    assert row["f"] == pytest.approx(oracle.statistic)
    assert row["p"] == pytest.approx(oracle.pvalue)
    assert row["covariates"] == "none"


def test_every_combination_has_a_row() -> None:
    """Classes with too few persons keep their rows, with the reason."""
    rows = _table(analyse(make_progressing({"stable": 12, "PIRA": 6, "RAW": 1}), Plan()), 0)
    assert (rows.groupby("roi").size() == 1 + 4 + 6).all()
    few = rows[(rows["roi"] == "Cortex") & (rows["term"] == "RAW - stable")].iloc[0]
    assert np.isnan(few["p"])
    assert "fewer than 3" in few["warning"]


def test_only_stable_people_cannot_be_compared_but_the_rest_is_done() -> None:
    """The finding says so; the other tables are there."""
    analysis = analyse(make_progressing({"stable": 15}), Plan())
    assert "could not be compared" in analysis.findings[0]
    assert not any("p" in row for row in analysis.tables[0].rows)
    assert all("not tested" in str(row["warning"]) for row in analysis.tables[0].rows)
    scales = _table(analysis, 1)
    assert scales.loc[scales["scale"] == "EDSS", "warning"].str.contains("does not vary").all()
    assert scales.loc[scales["scale"] == "SDMT", "p"].notna().all()


def test_change_of_edss_goes_with_atrophy() -> None:
    """Spearman against scipy, with the slope of all visits."""
    study = make_progressing(CLASSES, loss_pct_per_year={"stable": 0.4, "PIRA": 0.8, "RAW": 0.8, "undefined": 0.8})
    rows = _table(analyse(study, Plan()), 1).set_index(["scale", "roi"])
    edss = study.sessions.pivot_table(index="participant_id", columns="years", values="edss")
    slope = [np.polyfit(edss.columns, line, 1)[0] for line in edss.to_numpy()]
    slope = np.round(slope, 9)
    rate = brain_rates(study, ("WholeBrain",)).rate["WholeBrain"]
    oracle = stats.spearmanr(slope, rate)
    found = rows.loc[("EDSS", "WholeBrain")]
    assert found["rho"] == pytest.approx(oracle.statistic, abs=1e-9)
    assert found["rho"] < -0.6
    assert found["beta"] < 0
    assert rows.loc[("SDMT", "WholeBrain"), "rho"] > 0.5


def test_retina_goes_with_the_thalamus() -> None:
    """A planted relation at the same session is found by the mixed model, per standard deviation."""
    study = make_progressing(CLASSES, oct_per_ml=2.0)
    rows = _table(analyse(study, Plan()), 2)
    rnfl = rows[(rows["measure"] == "RNFL") & (rows["relation"] == "same session")].set_index("roi")
    assert rnfl.loc["Thalamus", "q_bh"] < 0.01
    assert rnfl.loc["Thalamus", "estimate"] > 0
    assert rnfl.loc["Thalamus", "model"] == "mixed model"
    missing = rows[rows["measure"] == "GCIPL"]
    assert missing["warning"].tolist() == ["not tested: the measure was not recorded"]


def test_events_are_listed_with_open_ends() -> None:
    """One row an event; the worsening of the last visit is marked open."""
    tables = make_progressing_tables({"stable": 3, "PIRA": 2})
    visits = tables.visits.copy()
    last = visits["participant_id"].eq("sub-001") & (visits["days"] == visits["days"].max())
    visits.loc[last, "edss"] = 4.0
    rows = _table(analyse(assemble(replace(tables, visits=visits), Plan()), Plan()), 3).set_index("participant_id")
    assert rows.loc["sub-001", "confirmed"] == "open"
    assert rows.loc[["sub-004", "sub-005"], "association"].tolist() == ["PIRA", "PIRA"]
    assert rows.loc["sub-004", "confirmation_value"] == 3.0


def test_controls_are_not_classed() -> None:
    """Healthy people have no class and no rate here."""
    tables = make_progressing_tables({"stable": 10, "PIRA": 6})
    persons = tables.persons.copy()
    persons.loc[persons.index[:4], "group"] = "HC"
    rows = _table(analyse(assemble(replace(tables, persons=persons), Plan()), Plan()), 0)
    assert rows.set_index(["roi", "term"]).loc[("Cortex", "mean stable"), "n_sub"] == 6


def test_nothing_to_relate_is_said() -> None:
    """No second scan; or neither scales nor OCT."""
    with pytest.raises(CannotAnalyseError, match="half a year"):
        analyse(make_progressing({"stable": 4}, years=(0.0,)), Plan())
    with pytest.raises(CannotAnalyseError, match="no repeated values"):
        analyse(make_study({"A": 6}, clinical=False), Plan())


def test_figures_are_drawn_with_their_numbers() -> None:
    """Panels of classes with n, as text."""
    analysis = analyse(make_progressing(CLASSES), Plan())
    courses, rates = (to_svg(figure.draw()) for figure in analysis.figures)
    assert "PIRA (n = 12)" in courses
    assert "n = 25" in rates
