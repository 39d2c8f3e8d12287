# SPDX-License-Identifier: Apache-2.0
"""Cord beside brain: planted correlations, their difference, loss and discrimination are found; gaps are said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_msvol.group.analyses import brain_cord
from bids_msvol.group.analyses.brain_cord_rows import MEASURES, THREE_STRATA, TWO_STRATA, permutations_for
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Plan, Statistics
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import make_study, make_tables

PLAN = Plan(statistics=Statistics(permutations=199))
MILD, MIDDLE, SEVERE = (bounds.label for bounds in THREE_STRATA)


def _table(analysis: Analysis, name: str) -> list[Mapping[str, Any]]:
    table = next(one for one in analysis.tables if one.table.file_name == name)
    names = {column.name for column in table.table.columns}
    assert all(set(row) <= names for row in table.rows)
    return list(table.rows)


def _only(rows: list[Mapping[str, Any]], **wanted: object) -> Mapping[str, Any]:
    found = [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


def _tables(counts: Mapping[str, int], seed: int = 1) -> StudyTables:
    """Patients whose cord follows the brain if mild, and not if severe; it loses 3 mm2 with each point of EDSS."""
    tables = make_tables(counts, years=(0.0, 1.0), seed=seed)
    rng = np.random.default_rng(100 + seed)
    names = tables.persons.index
    edss = pd.Series(rng.choice([1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0], len(names)), index=names)
    healthy = tables.persons["group"] == "HC"
    of_session = tables.sessions["participant_id"]
    points = of_session.map(edss.mask(healthy, 0.0)).astype(float)
    share = tables.volumes_mm3["WholeBrain"] / tables.sessions["etiv_mm3"]
    z = stats.zscore(share)
    weight = np.where(points <= 1.5, 0.9, np.where(points < 4.0, 0.5, 0.0))
    own = of_session.map(pd.Series(rng.normal(size=len(names)), index=names)).to_numpy(dtype=float)
    area = 75.0 + 4.0 * (weight * z + np.sqrt(1 - weight**2) * own) - 3.0 * points
    return replace(
        tables,
        sessions=tables.sessions.assign(edss=points.mask(of_session.map(healthy))),
        cord_mm2=tables.cord_mm2.assign(**{"C2-C3": area}),
    )


@pytest.fixture(scope="module")
def cohort() -> Analysis:
    """Thirty controls and 180 patients."""
    return brain_cord.analyse(assemble(_tables({"HC": 30, "MS": 180}), PLAN), PLAN)


def test_correlations_are_those_of_scipy(cohort: Analysis) -> None:
    """First sessions of patients in the stratum, in per cent of the intracranial volume."""
    study = assemble(_tables({"HC": 30, "MS": 180}), PLAN)
    patient = study.sessions["participant_id"].map(study.persons["group"]) == "MS"
    first = study.sessions[patient & study.sessions["edss"].between(2.0, 3.5)].drop_duplicates("participant_id")
    brain = study.percent_etiv(["Thalamus"]).loc[first.index, "Thalamus"]
    expected = stats.pearsonr(study.cord_mm2.loc[first.index, "C2-C3"], brain)
    row = _only(_table(cohort, "brain_cord_r.tsv"), roi="Thalamus", stratum=MIDDLE)
    assert (row["r"], row["p"], row["n_sub"]) == pytest.approx((expected.statistic, expected.pvalue, len(first)))


def test_planted_correlations_and_their_difference_are_found(cohort: Analysis) -> None:
    """High if mild, none if severe; Fisher's z and the permutation agree that they differ."""
    rows = _table(cohort, "brain_cord_r.tsv")
    mild, severe = (_only(rows, roi="WholeBrain", stratum=label) for label in (MILD, SEVERE))
    assert mild["r"] > 0.6
    assert severe["ci_lo"] < 0.0 < severe["ci_hi"]
    row = _only(_table(cohort, "brain_cord_r_difference.tsv"), roi="WholeBrain", comparison=f"{SEVERE} - {MILD}")
    assert row["difference"] == pytest.approx(severe["r"] - mild["r"])
    assert row["ci_hi"] < 0.0
    assert row["p_fisher"] < 0.01
    assert row["p"] == pytest.approx(1 / 200, abs=0.01)
    assert row["p_adjusted"] < 0.02


def test_every_measure_and_stratum_has_a_row(cohort: Analysis) -> None:
    """Five regions: in all patients, three and two strata; four pairs; the cord besides in loss and ROC."""
    assert len(_table(cohort, "brain_cord_r.tsv")) == 6 * len(MEASURES)
    assert len(_table(cohort, "brain_cord_r_difference.tsv")) == 4 * len(MEASURES)
    assert len(_table(cohort, "brain_cord_loss.tsv")) == 5 * (len(MEASURES) + 1)
    assert len(_table(cohort, "roc.tsv")) == 2 * (len(MEASURES) + 1)
    assert TWO_STRATA[0].highest < TWO_STRATA[1].lowest


def test_planted_loss_is_found(cohort: Analysis) -> None:
    """The cord loses with EDSS against controls; the brain, planted alike, does not."""
    rows = _table(cohort, "brain_cord_loss.tsv")
    cord = [_only(rows, roi="C2-C3", scheme="three strata", stratum=label) for label in (MILD, MIDDLE, SEVERE)]
    sizes = [row["difference_pct"] for row in cord]
    assert sizes == sorted(sizes, reverse=True)
    assert cord[2]["ci_lo"] < -100 * 3.0 * 5.0 / 75.0 < cord[2]["ci_hi"]
    assert cord[2]["reference"] == "controls"
    assert cord[2]["n_reference"] == 30
    assert abs(_only(rows, roi="WholeBrain", scheme="three strata", stratum=SEVERE)["difference_pct"]) < 1.5


def test_the_cord_tells_neighbours_apart(cohort: Analysis) -> None:
    """EDSS 3-3.5 from 2-2.5: the cord does, the brain does not, and the paired test says that they differ."""
    rows = _table(cohort, "roc.tsv")
    cord, brain = (_only(rows, roi=roi, adjustment="adjusted") for roi in ("C2-C3", "WholeBrain"))
    assert cord["ci_lo"] > 0.5
    assert cord["p"] < 0.05
    assert brain["ci_lo"] < 0.5 < brain["ci_hi"]
    assert brain["less_cord"] == pytest.approx(brain["auc"] - cord["auc"])
    assert brain["p_less_cord"] < 0.05
    assert cord.get("p_less_cord") is None


def test_without_controls_the_mildest_is_the_reference() -> None:
    """It has no row of its own, and that is said among the limits."""
    analysis = brain_cord.analyse(assemble(_tables({"A": 40, "B": 40}), PLAN), PLAN)
    rows = [row for row in _table(analysis, "brain_cord_loss.tsv") if row["scheme"] == "three strata"]
    assert {row["stratum"] for row in rows} == {MIDDLE, SEVERE}
    assert {row["reference"] for row in rows} == {MILD}
    assert any("no healthy controls" in text for text in analysis.limits)


def test_empty_strata_and_missing_measures_have_rows_with_warnings() -> None:
    """All patients mild, no thalamus, no intracranial volumes: nothing fails, every row says why."""
    tables = _tables({"MS": 20})
    volumes = tables.volumes_mm3.drop(columns=["Left-Thalamus"])
    sessions = tables.sessions.assign(edss=1.0, etiv_mm3=np.nan)
    study = assemble(replace(tables, sessions=sessions, volumes_mm3=volumes), PLAN)
    analysis = brain_cord.analyse(study, PLAN)
    rows = _table(analysis, "brain_cord_r.tsv")
    assert _only(rows, roi="Thalamus", stratum=MILD)["warning"].startswith("0 persons")
    assert _only(rows, roi="WholeBrain", stratum=SEVERE)["warning"].startswith("0 persons")
    assert _only(rows, roi="WholeBrain", stratum=MILD)["p"] is not None
    for name in ("brain_cord_r_difference.tsv", "brain_cord_loss.tsv", "roc.tsv"):
        assert all(row["warning"] and row.get("p") is None for row in _table(analysis, name))
    told = " ".join(analysis.limits)
    assert "not corrected for head size" in told
    assert "Not measured: Thalamus" in told
    assert "Too few patients have EDSS 2-2.5 or 3-3.5" in told
    assert [figure.name for figure in analysis.figures] == ["brain_cord"]
    assert "cm³" in to_svg(analysis.figures[0].draw())


def test_the_first_session_with_everything_is_taken() -> None:
    """Where the first session has no EDSS, the second one is used."""
    tables = _tables({"MS": 20})
    late = tables.sessions["session_id"] == "ses-01"
    sessions = tables.sessions.assign(edss=tables.sessions["edss"].where(late))
    visits = tables.visits.iloc[:0]
    setting = brain_cord.make_setting(assemble(replace(tables, sessions=sessions, visits=visits), PLAN), PLAN)
    assert set(setting.patients["session_id"]) == {"ses-01"}
    assert len(setting.patients) == 20


def test_too_little_data_is_refused() -> None:
    """No cord, or hardly any EDSS."""
    with pytest.raises(CannotAnalyseError, match="no areas of the cord"):
        brain_cord.analyse(replace(make_study({"A": 20}), cord_mm2=pd.DataFrame()), PLAN)
    with pytest.raises(CannotAnalyseError, match="0 patients"):
        brain_cord.analyse(make_study({"A": 20}, clinical=False), PLAN)


def test_large_studies_get_fewer_permutations() -> None:
    """But never fewer than 999 of those asked for."""
    asked = Statistics(permutations=5000)
    assert [permutations_for(count, asked) for count in (100, 5000, 100_000)] == [5000, 2000, 999]
    assert permutations_for(100_000, Statistics(permutations=50)) == 50


def test_figures_and_findings(cohort: Analysis) -> None:
    """Four figures with n as text; findings give the correlation with interval before p and q."""
    assert [figure.name for figure in cohort.figures] == ["brain_cord", "brain_cord_loss", "roc", "roc_areas"]
    for figure in cohort.figures:
        assert "n = " in to_svg(figure.draw())
    assert len(cohort.findings) <= 6
    first = cohort.findings[0][cohort.findings[0].index(MILD) :]
    assert first.index("95 % CI") < first.index("p < 0.001") < first.index("q < 0.001") < first.rindex("n = ")


def test_what_was_given_is_said_of_each_row(cohort: Analysis) -> None:
    """With intracranial volumes they are named; where some of few persons have them, they are not."""
    rows = [row for row in _table(cohort, "brain_cord_r.tsv") if row.get("partial_r") is not None]
    assert {row["given"] for row in rows} == {"age, sex, intracranial volume"}
    tables = _tables({"MS": 60})
    known = tables.sessions["participant_id"].isin(tables.persons.index[:10])
    sessions = tables.sessions.assign(etiv_mm3=tables.sessions["etiv_mm3"].where(known))
    analysis = brain_cord.analyse(assemble(replace(tables, sessions=sessions), PLAN), PLAN)
    rows = [row for row in _table(analysis, "brain_cord_r.tsv") if row.get("partial_r") is not None]
    assert {row["given"] for row in rows} == {"age, sex"}
    pairs = [row for row in _table(analysis, "brain_cord_r_difference.tsv") if row.get("p_adjusted") is not None]
    assert {row["given"] for row in pairs} == {"age, sex"}
