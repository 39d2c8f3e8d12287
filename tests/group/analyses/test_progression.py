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
from bids_msvol.group.analyses.progression import analyse
from bids_msvol.group.analyses.progression_classes import classify
from bids_msvol.group.analyses.progression_words import say_scale_findings
from bids_msvol.group.analyses.rates import brain_rates, cord_rates, scale_slopes
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Plan, Regions, Statistics
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.stats.mixed_model import fit_mixed
from tests.group.cohorts import make_study
from tests.group.progressing import make_progressing, make_progressing_tables

CLASSES = {"stable": 25, "PIRA": 12, "RAW": 6, "undefined": 4}
FEW = Plan(regions=Regions(atrophy=("Thalamus",)))
LOSS = {"stable": 0.4, "PIRA": 0.8, "RAW": 0.4, "undefined": 0.4}


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
    assert "PIRA against stable -0.4" in analysis.findings[0]


def test_the_whole_brain_is_told_first_and_the_others_in_their_order() -> None:
    """Even where other regions differ more: the order was fixed beforehand; persons of each class are named."""
    findings = analyse(make_progressing(CLASSES, loss_pct_per_year=LOSS), FEW).findings
    assert findings[0].startswith("Whole brain: stable -0.398 % a year (n = 25)")
    assert all(f"(n = {CLASSES[name]})" in findings[0] for name in ("stable", "PIRA", "RAW"))
    assert "undefined: 4 persons, too few to compare" in findings[0]
    assert "all classes together" not in findings[0]
    order = [findings[1].index(name) for name in ("deep grey matter", "cortex", "amygdala", "ventricles")]
    assert order == sorted(order)
    assert findings[2].startswith("After correction these stand (q < 0.05 within each of 6 families of tests")
    assert "PIRA against stable in whole brain" in findings[2]


def test_what_does_not_stand_is_said_first() -> None:
    """Classes that lose alike: the first sentence is that nothing stands, the second the whole brain."""
    findings = analyse(make_progressing({"stable": 25, "PIRA": 12, "RAW": 6}, seed=7), FEW).findings
    assert findings[0].startswith("No difference between classes of progression stands after correction")
    assert findings[1].startswith("Whole brain: ")
    assert not any("these stand" in sentence for sentence in findings)


def test_a_class_of_few_is_in_the_table_and_in_no_sentence() -> None:
    """Four persons with PIRA who lose far more: tested in the table, too few for a sentence or a p in the figure."""
    analysis = analyse(make_progressing({"stable": 20, "PIRA": 4, "RAW": 8}, loss_pct_per_year=LOSS), FEW)
    assert _table(analysis, 0).set_index(["roi", "term"]).loc[("WholeBrain", "PIRA - stable"), "p"] < 0.05
    text = " ".join(analysis.findings)
    assert "PIRA: 4 persons, too few to compare" in text
    assert "PIRA against stable" not in text
    assert "RAW against stable" in text
    assert "PIRA against stable" not in to_svg(analysis.figures[1].draw())


def test_order_of_planted_rates_of_the_cord_is_recovered() -> None:
    """C2-C3 loses 1.8, 0.9 and 0.4 % a year with PIRA, RAW and stable EDSS: in the table, a sentence and the figure."""
    classes = {"stable": 25, "PIRA": 14, "RAW": 12}
    study = make_progressing(classes, loss_pct_per_year={"stable": 0.4, "PIRA": 1.8, "RAW": 0.9})
    analysis = analyse(study, FEW)
    rows = _table(analysis, 0).set_index(["roi", "term"])
    found = {name: rows.loc[("C2-C3", f"mean {name}"), "estimate"] for name in classes}
    assert found["PIRA"] < found["RAW"] < found["stable"] < 0.0
    # The logarithm falls faster than a straight line through the first area.
    planted = {"stable": -0.403, "PIRA": -1.87, "RAW": -0.917}
    assert found == pytest.approx(planted, abs=0.2)
    assert rows.loc[("C2-C3", "PIRA - stable"), "q_bh"] < 0.001
    assert rows.loc[("C2-C3", "omnibus"), "family"] == "omnibus, cord"
    oracle = cord_rates(study, ("C2-C3",)).rate["C2-C3"].iloc[:25]
    assert rows.loc[("C2-C3", "mean stable"), "raw_mean"] == pytest.approx(oracle.mean())
    assert any(sentence.startswith("Cord area at C2-C3: stable") for sentence in analysis.findings)
    assert "Cord area at C2-C3 (n = 51)" in to_svg(analysis.figures[1].draw())
    assert "C2-C3" not in set(_table(analysis, 1)["roi"]) | set(_table(analysis, 2)["roi"])


def test_without_cord_there_is_none() -> None:
    """No area of the cord was measured: no row of it, and no word."""
    tables = make_progressing_tables({"stable": 12, "PIRA": 6})
    study = assemble(replace(tables, cord_mm2=tables.cord_mm2.iloc[:0]), FEW)
    analysis = analyse(study, FEW)
    assert "C2-C3" not in set(_table(analysis, 0)["roi"])
    assert "C2-C3" not in " ".join((*analysis.methods, *analysis.findings))


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


def _scale_row(scale: str, roi: str, rho: float, p: float = 0.001) -> dict[str, object]:
    cells = {"rho": rho, "ci_lo": rho - 0.1, "ci_hi": rho + 0.1, "p": p, "q_bh": p, "n_sub": 50}
    return {"scale": scale, "roi": roi, "rank_adjusted": "group", **cells}


@pytest.mark.parametrize(
    ("scale", "roi", "rho", "words"),
    [
        ("EDSS", "WholeBrain", -0.5, "EDSS worsened more where the whole brain shrank more, as expected"),
        ("EDSS", "WholeBrain", 0.5, "EDSS worsened more where the whole brain shrank less, against expectation"),
        ("EDSS", "Ventricles", -0.48, "EDSS worsened more where the ventricles grew less, against expectation"),
        ("EDSS", "Ventricles", 0.5, "EDSS worsened more where the ventricles grew more, as expected"),
        ("SDMT", "WholeBrain", 0.5, "SDMT worsened more where the whole brain shrank more, as expected"),
        ("SDMT", "Ventricles", -0.5, "SDMT worsened more where the ventricles grew more, as expected"),
        ("SDMT", "CorticalThickness", -0.5, "SDMT worsened more where the cortex thinned less, against expectation"),
    ],
)
def test_direction_of_a_relation_is_said_in_words(scale: str, roi: str, rho: float, words: str) -> None:
    """Which way each sign goes, worked out by hand, for a scale that rises and one that falls with worsening."""
    (sentence,) = say_scale_findings([_scale_row(scale, roi, rho)], 0.9)
    assert words in sentence
    assert "partial rank correlation" in sentence
    assert "90 % CI" in sentence


def test_no_direction_is_read_into_chance() -> None:
    """Without evidence of a relation, none is described; and that nothing stands is said."""
    (sentence,) = say_scale_findings([_scale_row("EDSS", "WholeBrain", -0.1, 0.6)], 0.95)
    assert "no clear relation" in sentence
    assert "nothing stands" in sentence
    assert "worsened" not in sentence


def test_groups_are_held_constant_in_correlations_with_scales() -> None:
    """The partial correlation of ranks, worked out from the definition; who has no group is left out."""
    tables = make_progressing_tables(CLASSES, loss_pct_per_year=LOSS)
    groups = ["A", "B", "B"] * 16
    persons = tables.persons.assign(group=[None, None, *groups[2:47]])
    study = assemble(replace(tables, persons=persons), FEW)
    analysis = analyse(study, FEW)
    row = _table(analysis, 1).set_index(["scale", "roi"]).loc[("SDMT", "WholeBrain")]
    kept = study.persons.index[2:]
    one, other = (
        stats.rankdata(values.loc[kept])
        for values in (scale_slopes(study, "sdmt"), brain_rates(study, ("WholeBrain",)).rate["WholeBrain"])
    )
    side = np.array(groups[2:47]) == "B"
    for values in (one, other):
        values -= np.where(side, values[side].mean(), values[~side].mean())
    rho = float(one @ other / np.sqrt((one @ one) * (other @ other)))
    t = rho * np.sqrt((45 - 3) / (1.0 - rho**2))
    assert (row["n_sub"], row["rank_adjusted"]) == (45, "group")
    assert row["rho"] == pytest.approx(rho)
    assert row["p"] == pytest.approx(2.0 * stats.t.sf(abs(t), 42))
    assert row["covariates"].startswith("group, age")
    assert row["df"] == 45 - 6
    assert "partial" in " ".join(analysis.methods)
    assert any("2 persons of unknown group" in limit for limit in analysis.limits)


def test_age_and_duration_of_the_retina_are_those_of_its_session() -> None:
    """The estimate is that of the mixed model with both covariates at the session, fitted here."""
    study = make_progressing(CLASSES, oct_per_ml=2.0)
    rows = _table(analyse(study, FEW), 2).set_index(["measure", "relation", "roi"])
    sessions = study.sessions.loc[study.volumes_mm3.index]
    volume = study.percent_etiv(["Thalamus"])["Thalamus"]
    sex = study.of_person(sessions, "sex")["sex"]
    columns = {
        "(intercept)": np.ones(len(sessions)),
        "x": (volume / volume.std(ddof=1)).to_numpy(),
        "age": sessions["age"].to_numpy(dtype=float) - 40.0,
        "male": (sex == "M").to_numpy(dtype=float),
        "duration": sessions["disease_duration"].to_numpy(dtype=float) - 8.0,
    }
    persons = sessions["participant_id"].to_numpy(dtype=str)
    oracle = fit_mixed(sessions["rnfl_um"].to_numpy(dtype=float), columns, persons).contrast({"x": 1.0})
    found = rows.loc[("RNFL", "same session", "Thalamus")]
    assert (found["estimate"], found["se"]) == pytest.approx((oracle.value, oracle.se), rel=1e-4)


def test_intervals_are_of_the_level_of_the_plan() -> None:
    """No sentence and no figure speaks of 95 % where the plan asks for 80."""
    plan = replace(FEW, statistics=Statistics(level=0.8))
    analysis = analyse(make_progressing(CLASSES, loss_pct_per_year=LOSS, oct_per_ml=2.0), plan)
    texts = [*analysis.findings, *(figure.caption for figure in analysis.figures)]
    texts.append(to_svg(analysis.figures[1].draw()))
    assert not any("95 %" in text for text in texts)
    assert sum("80 % CI" in text for text in analysis.findings) >= 4
    assert "80 % confidence interval" in texts[-1]


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
    analysis = analyse(assemble(replace(tables, persons=persons), Plan()), Plan())
    assert _table(analysis, 0).set_index(["roi", "term"]).loc[("Cortex", "mean stable"), "n_sub"] == 6
    assert "4 healthy controls took no part." in analysis.limits


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


def test_captions_and_panels_count_who_is_drawn() -> None:
    """A person with one scan has no course and no rate, and is in no number of the figures."""
    tables = make_progressing_tables({"stable": 12, "PIRA": 6})
    late = (tables.sessions["participant_id"] == "sub-001") & (tables.sessions["days"] > 0)
    volumes = tables.volumes_mm3.copy()
    volumes.loc[late] = np.nan
    cord = tables.cord_mm2.copy()
    cord.loc[late] = np.nan
    analysis = analyse(assemble(replace(tables, volumes_mm3=volumes, cord_mm2=cord), FEW), FEW)
    assert all("stable n = 11, PIRA n = 6" in figure.caption for figure in analysis.figures)
    courses, rates = (to_svg(figure.draw()) for figure in analysis.figures)
    assert "stable (n = 11)" in courses
    assert "Whole brain (n = 17)" in rates
