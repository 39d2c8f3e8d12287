# SPDX-License-Identifier: Apache-2.0
"""The tables of a paper, computed again from a study made of its printed numbers; and where the paper errs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.paper import DECIMALS, P_TOLERANCE, implied_r, same_share, table_rows
from bids_msvol.group.analyses import lesions_baseline, lesions_yearly
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Exclusions, Intervals, Regions
from bids_msvol.group.result import Analysis
from bids_msvol.group.study import Study
from tests.group import paper

Rows = Mapping[tuple[str, str], Mapping[str, Any]]

CONTRADICTED = {("Caudate", "CLAD"): 0.067, ("Caudate", "ALEM"): 0.011, ("Amygdala", "CLAD"): 0.095}
"""R2 that the printed p and n imply where the paper prints another: 0.20, 0.12 and 0.10."""


@pytest.fixture(scope="module")
def study() -> Study:
    return assemble(paper.make_paper(), paper.PLAN)


@pytest.fixture(scope="module")
def yearly(study: Study) -> Rows:
    return table_rows(lesions_yearly.analyse(study, paper.PLAN), "lme_newT2.tsv")


@pytest.fixture(scope="module")
def baseline(study: Study) -> Analysis:
    return lesions_baseline.analyse(study, paper.PLAN)


@pytest.fixture(scope="module")
def spans(baseline: Analysis) -> Rows:
    return table_rows(baseline, "ols_baselineT2_3y.tsv")


def test_counts_are_those_of_the_paper(study: Study, yearly: Rows, baseline: Analysis, spans: Rows) -> None:
    """33 + 19 persons, 59 + 36 patient-years, 9 + 7 over three years, 29 + 14 over one."""
    assert study.persons["group"].value_counts().to_dict() == {"CLAD": 33, "ALEM": 19}
    assert [yearly["Thalamus", group]["n_obs"] for group in paper.GROUPS] == [59, 36]
    assert [spans["Thalamus", group]["n_obs"] for group in ("ALL", *paper.GROUPS)] == [16, 9, 7]
    first = table_rows(baseline, "ols_baselineT2_1y.tsv")
    assert [first["Thalamus", group]["n_obs"] for group in paper.GROUPS] == [29, 14]


def test_lesions_of_the_study_have_the_printed_means(study: Study) -> None:
    """Means at each visit, new T2 and contrast-enhancing."""
    sessions = study.of_person(study.sessions, "group")
    for label, printed, total, count in paper.MEANS:
        assert round(total / count, 2) == pytest.approx(printed, abs=0.0051)
        group, kind, *when = label.split()
        visit = 0 if when == ["start"] else int(when[1])
        own = sessions[(sessions["group"] == group) & (sessions["session_id"] == f"ses-{visit}")]
        found = own[{"T2": "new_t2", "Gd": "gd"}[kind]]
        assert (found.sum(), found.count()) == (total, count)


def test_the_person_with_more_than_20_lesions_can_be_left_out() -> None:
    """14 persons become 13, as in the paper's analysis of the first year."""
    exclusions, regions = Exclusions(exclude_if=("new_t2>20",)), Regions(atrophy=("Thalamus",))
    plan = replace(paper.PLAN, exclusions=exclusions, regions=regions, intervals=Intervals(spans_years=(1.0,)))
    without = assemble(paper.make_paper(), plan, leave_out_flagged=True)
    rows = table_rows(lesions_baseline.analyse(without, plan), "ols_baselineT2_1y.tsv")
    assert [rows["Thalamus", group]["n_obs"] for group in paper.GROUPS] == [29, 13]


@pytest.mark.parametrize("region", paper.TABLE2)
def test_table_2(region: str, yearly: Rows) -> None:
    """Slopes to five decimals, p of CLAD to 1 %, the others within what the paper's own numbers allow."""
    printed, clad, alem = paper.TABLE2[region], yearly[region, "CLAD"], yearly[region, "ALEM"]
    assert clad["beta"] == pytest.approx(printed.clad, abs=DECIMALS)
    assert alem["beta"] == pytest.approx(printed.alem, abs=DECIMALS)
    assert clad["p"] == pytest.approx(printed.p_clad, rel=P_TOLERANCE)
    assert alem["p"] == pytest.approx(printed.p_alem, rel=0.15)
    assert alem["p_interaction"] == pytest.approx(printed.p_interaction, rel=0.16)
    assert (clad["singular"], clad["df"]) == ("yes", 91.0)


def test_nothing_in_table_2_stands_correction(yearly: Rows) -> None:
    """The smallest q values are far above 0.05, in CLAD and for the differences."""
    assert min(yearly[region, "CLAD"]["q_bh"] for region in paper.TABLE2) == pytest.approx(0.14, abs=0.01)
    assert min(yearly[region, "ALEM"]["q_interaction"] for region in paper.TABLE2) == pytest.approx(0.17, abs=0.02)


def test_unequal_variances_undo_the_difference_of_the_thalamus(yearly: Rows) -> None:
    """The figures' p values imply spreads in a ratio of 1.5: the difference is then not below 0.05."""
    row = yearly["Thalamus", "ALEM"]
    assert row["sigma_g"] / yearly["Thalamus", "CLAD"]["sigma_g"] == pytest.approx(1.5, abs=0.05)
    assert row["p_interaction"] < 0.05 < row["p_welch"]


@pytest.mark.parametrize(("region", "figure"), [("Cerebellum", "1"), ("Thalamus", "3")])
def test_simple_regressions_are_those_of_the_figures(region: str, figure: str, yearly: Rows) -> None:
    """R to two decimals in CLAD, near it in ALEM, whose spread follows from the table."""
    for number, group, r, count, p in paper.FIGURES:
        if number == figure:
            row = yearly[region, group]
            assert row["n_obs"] == count
            assert row["r"] == pytest.approx(r, abs=0.0051)
            assert row["p_simple"] == pytest.approx(p, rel=1e-3 if group == "CLAD" else 0.12)


@pytest.mark.parametrize("region", paper.TABLE3)
def test_table_3(region: str, spans: Rows) -> None:
    """Slope, p and R2 of each group as printed, but where R2 contradicts p."""
    printed = paper.TABLE3[region]
    for group, (slope, p, share) in (("CLAD", printed.clad), ("ALEM", printed.alem)):
        row = spans[region, group]
        assert row["beta"] == pytest.approx(slope, abs=DECIMALS)
        assert row["p"] == pytest.approx(p, abs=DECIMALS)
        assert same_share(row["r2"], share) == ((region, group) not in CONTRADICTED)
    assert spans[region, "ALL"]["beta"] == pytest.approx(printed.all[0], abs=DECIMALS)


def test_r2_that_contradict_their_p() -> None:
    """What p and n imply, without any of our analyses."""
    for (region, group), share in CONTRADICTED.items():
        printed = paper.TABLE3[region]
        p, count = (printed.clad[1], 9) if group == "CLAD" else (printed.alem[1], 7)
        assert implied_r(p, count) ** 2 == pytest.approx(share, abs=6e-4)
    assert implied_r(paper.TABLE3["Caudate"].all[1], 16) ** 2 == pytest.approx(0.023, abs=5e-4)


def test_five_of_eleven_survive_in_table_3(spans: Rows) -> None:
    """Lateral ventricle, whole brain, cerebellum, its cortex and deep grey matter in CLAD; nothing in ALEM."""
    stand = {key for key, row in spans.items() if key[1] != "ALL" and row.get("q_bh", 1.0) < 0.05}
    names = ("LateralVentricle", "WholeBrain", "Cerebellum", "CerebellarCortex", "DeepGray")
    assert stand == {(name, "CLAD") for name in names}


def test_figures_agree_with_themselves() -> None:
    """R follows from n and p in all ten panels, to the two decimals printed."""
    for _, _, r, count, p in paper.FIGURES:
        assert implied_r(p, count) == pytest.approx(abs(r), abs=0.0051)


def test_figures_4_and_5_are_of_other_regions() -> None:
    """Figure 4 is no row of Table 3; Figure 5, called deep grey matter, is the thalamus."""
    p_of = {(figure, group): p for figure, group, _, _, p in paper.FIGURES}
    every = [row.clad[1] for row in paper.TABLE3.values()]
    assert min(abs(p / p_of["4", "CLAD"] - 1.0) for p in every) > 0.2
    for group, position in (("CLAD", "clad"), ("ALEM", "alem")):
        assert getattr(paper.TABLE3["Thalamus"], position)[1] == pytest.approx(p_of["5", group], abs=5e-4)
        assert getattr(paper.TABLE3["DeepGray"], position)[1] != pytest.approx(p_of["5", group], rel=0.1)


def test_percentages_are_counts_of_persons() -> None:
    """Shares of persons with relapses, to a tenth of a per cent or to the whole one."""
    for printed, part, whole in paper.PERCENTAGES:
        digits = 0.51 if printed == int(printed) else 0.0501
        assert 100.0 * part / whole == pytest.approx(printed, abs=digits)


def test_another_draw_gives_the_same_tables() -> None:
    """The residuals are free: the printed numbers do not hang on them."""
    other = assemble(paper.make_paper(seed=2), paper.PLAN)
    found = table_rows(lesions_yearly.analyse(other, paper.PLAN), "lme_newT2.tsv")
    for region, printed in paper.TABLE2.items():
        assert found[region, "CLAD"]["beta"] == pytest.approx(printed.clad, abs=DECIMALS)
        assert found[region, "CLAD"]["p"] == pytest.approx(printed.p_clad, rel=P_TOLERANCE)
