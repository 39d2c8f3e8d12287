# SPDX-License-Identifier: Apache-2.0
"""Times to first events: censoring by hand, planted hazards found, and reasons where nothing can be said."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_msvol.clinical.events import Event, History
from bids_msvol.demo.cohort_making import make_cohort
from bids_msvol.group.analyses import disease_activity
from bids_msvol.group.analyses.follow_up import follow_up
from bids_msvol.group.analyses.time_to_event import MOST_STEPS, analyse
from bids_msvol.group.analyses.time_to_event_endpoints import find_endpoints
from bids_msvol.group.analyses.time_to_event_tables import FEWEST_AT_RISK
from bids_msvol.group.analyses.time_to_event_waves import place_intervals, to_wave, usual_months
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Plan
from bids_msvol.group.result import CannotAnalyseError
from tests.group.cohorts import make_study, make_tables
from tests.group.event_cohorts import make_event_tables


def rows_of(analysis, name):  # type: ignore[no-untyped-def]
    return next(table.rows for table in analysis.tables if table.table.file_name == name)


def endpoints_of(edss, new_t2=(0, 0, 0, 0), relapses=(), gd=(0, 0, 0, 0)):  # type: ignore[no-untyped-def]
    """Return the endpoints of one person seen on days 0, 365, 730 and 1096."""
    tables = make_tables({"A": 1})
    sessions = tables.sessions.assign(edss=edss, new_t2_clinic=new_t2, gd_clinic=gd)
    frame = pd.DataFrame({"participant_id": "sub-001", "days": list(relapses), "steroids": False})
    visits = sessions[["participant_id", "days", "edss", "sdmt", "nhpt", "t25fw", "pasat"]]
    study = assemble(replace(tables, sessions=sessions, visits=visits, relapses=frame), Plan())
    found = {one.name: one for one in find_endpoints(study, Plan(), follow_up(study))}
    return {
        name: None
        if one.times.empty
        else (round(one.times["years"].iloc[0] * 365.25), bool(one.times["event"].iloc[0]))
        for name, one in found.items()
    }


def test_worsening_is_dated_by_its_first_visit() -> None:
    """Up at day 365, confirmed at 730: event at 365. No relapse near: a PIRA."""
    found = endpoints_of([2.0, 3.0, 3.0, 3.0])
    assert found["worsening"] == found["pira"] == (365, True)
    assert found["neda3"] == (365, True)


def test_who_did_not_worsen_is_censored_at_the_last_confirmable_visit() -> None:
    """The last visit has none after it: follow-up for worsening ends at the one before; for relapses it does not."""
    found = endpoints_of([2.0, 2.0, 2.0, 2.0])
    assert found["worsening"] == (730, False)
    assert found["relapse"] == (1096, False)
    assert found["lesion"] == found["neda3"] == (1096, False)


def test_a_worsening_at_the_last_visit_is_open() -> None:
    """Not confirmed, not refuted: censored before it, and NEDA is known up to the interval in which it lies."""
    found = endpoints_of([2.0, 2.0, 2.0, 3.0])
    assert found["worsening"] == (730, False)
    assert found["neda3"] == (730, False)


def test_a_worsening_with_a_relapse_is_no_pira() -> None:
    """Relapse 20 days before the worsening: RAW. The person stays at risk of a PIRA."""
    found = endpoints_of([2.0, 3.0, 3.0, 3.0], relapses=[345.0])
    assert found["worsening"] == (365, True)
    assert found["pira"] == (730, False)
    assert found["relapse"] == (345, True)


def test_lesions_are_dated_by_the_scan_and_unknown_ends_follow_up() -> None:
    assert endpoints_of([2.0] * 4, new_t2=(5, 0, 2, 0))["lesion"] == (730, True)
    assert endpoints_of([2.0] * 4, gd=(1, 0, 0, 1))["lesion"] == (1096, True)
    assert endpoints_of([2.0] * 4, new_t2=(0, 0, np.nan, 3))["lesion"] == (365, False)
    assert endpoints_of([2.0] * 4, new_t2=(0, np.nan, 0, 3))["lesion"] is None


def test_a_planted_hazard_ratio_is_found() -> None:
    """True ratio 3; unadjusted and adjusted intervals hold it and not 1, and log-rank agrees."""
    tables = make_event_tables({"A": 100, "B": 100}, worsening_per_year={"A": 0.1, "B": 0.3}, seed=6)
    analysis = analyse(assemble(tables, Plan()), Plan())
    rows = {(row["endpoint"], row["test"]): row for row in rows_of(analysis, "time_to_event_tests.tsv")}
    for test in ("Cox", "Cox, adjusted"):
        row = rows["worsening", test]
        assert 1.2 < row["ci_lo"] < 3.0 < row["ci_hi"]
        assert row["q_bh"] >= row["p"]
        assert "proportional hazards: chi2(1)" in row["assumptions"]
    assert rows["worsening", "log-rank"]["p"] < 0.001
    assert rows["worsening", "log-rank"]["df"] == 1


def scattered(groups, *, years=(0.0, 1.0, 2.0), days=20.0, seed=4):  # type: ignore[no-untyped-def]
    """Return tables whose scans, and the visits with them, come so many days (standard deviation) early or late."""
    tables = make_tables(groups, years=years, seed=seed)
    late = np.random.default_rng(seed).normal(0.0, days, len(tables.sessions)).round()
    moved = tables.sessions["days"] + np.where(tables.sessions["days"] > 0, late, 0.0)
    sessions = tables.sessions.assign(days=moved)
    visits = sessions[["participant_id", "days", "edss", "sdmt", "nhpt", "t25fw", "pasat"]]
    return replace(tables, sessions=sessions, visits=visits)


def year_one_shares(study):  # type: ignore[no-untyped-def]
    """Return by group the share with NEDA-3 in year 1 by the analysis of disease activity, and by Kaplan-Meier."""
    neda = rows_of(disease_activity.analyse(study, Plan()), "neda.tsv")
    shares = {row["group"]: row["share_neda3"] for row in neda if row["year"] == "1"}
    times = rows_of(analyse(study, Plan()), "time_to_event.tsv")
    return shares, {row["group"]: row["survival_1y"] for row in times if row["endpoint"] == "neda3"}


@pytest.mark.parametrize("years", [(0.0, 1.0), (0.0, 1.0, 2.0)])
def test_scattered_scans_do_not_bend_the_curve(years) -> None:  # type: ignore[no-untyped-def]
    """Everybody is scanned at every year: loss of NEDA-3 at 1 year is one less the share of NEDA-3 in year 1.

    On their own days those without event leave between the events of the same wave, and the curve falls too far.
    """
    shares, survival = year_one_shares(assemble(scattered({"A": 90, "B": 60}, years=years), Plan()))
    assert set(shares) == {"A", "B"}
    assert all(0.2 < share < 0.9 for share in shares.values())
    assert survival == pytest.approx(shares)


@pytest.mark.parametrize("name", ["cord", "treatment"])
def test_simulated_studies_have_one_share_in_year_one(name) -> None:  # type: ignore[no-untyped-def]
    """As `neda.tsv` says, also where some have no scan at the baseline and where scans were missed."""
    shares, survival = year_one_shares(assemble(make_cohort(name).tables, Plan()))
    assert survival == pytest.approx(shares)


def test_one_wave_has_one_time_and_its_events_come_first() -> None:
    """Times of scans and visits are whole waves: 12 months for lesions, 6 for worsening; relapses keep their days."""
    study = assemble(make_cohort("cord").tables, Plan())
    found = {one.name: one for one in find_endpoints(study, Plan(), follow_up(study))}
    assert (found["lesion"].months, found["neda3"].months) == (12, 12)
    assert (found["worsening"].months, found["pira"].months, found["relapse"].months) == (6, 6, None)
    assert set(found["neda3"].times["years"]) == {1.0}
    assert set(found["worsening"].times["years"]) <= {0.5, 1.0, 1.5, 2.0}
    assert found["relapse"].times["years"].nunique() > 50
    text = " ".join(analyse(study, Plan()).methods)
    assert "EDSS worsening and PIRA on the nearest multiple of 6 months" in text
    assert "discrete waves" in text


def test_planned_visits_are_estimated_and_their_times_equal() -> None:
    """Half a year is 6 months however it scatters, 5 months are taken as 4 or 6; a year is exactly 1."""
    assert usual_months(np.array([163.0, 184.0, 190.0, 388.0])) == 6
    assert usual_months(np.array([91.0, 84.0, 95.0])) == 3
    assert usual_months(np.array([740.0])) == 24
    assert usual_months(np.empty(0)) == 12
    assert to_wave(np.array([10.0, 150.0, 274.0, 350.0, 380.0]), 6).tolist() == [0.5, 0.5, 1.0, 1.0, 1.0]
    assert to_wave(np.array([365.0, 730.0, 1096.0]), 4).tolist() == [1.0, 2.0, 3.0]


def test_intervals_of_other_lengths_are_placed_by_their_end() -> None:
    """Over two missed years the end counts, not the middle; who starts at year 1 does not start at the baseline."""
    intervals = pd.DataFrame(
        {
            "participant_id": ["a", "a", "b", "c", "c", "d"],
            "start_day": [0.0, 370.0, 20.0, 360.0, 720.0, 0.0],
            "end_day": [370.0, 1100.0, 380.0, 720.0, 1100.0, 180.0],
            "year": [1, 3, 1, 2, 3, 1],
            "is_year": [True, False, True, True, True, False],
        }
    )
    intervals["years"] = (intervals["end_day"] - intervals["start_day"]) / 365.25
    placed, months = place_intervals(intervals, pd.Series(0.0, index=list("abcd")))
    assert months == 12
    assert placed["wave"].tolist() == [1.0, 3.0, 1.0, 2.0, 3.0, 1.0]
    assert placed["from_baseline"].groupby(intervals["participant_id"]).first().tolist() == [True, True, False, True]


def test_a_worsening_left_open_ends_follow_up_at_the_visit_before() -> None:
    """At its own visit it is not known whether there was an event."""
    study = make_study({"A": 1})
    opened = Event("CDW", "PIRA", 730.0, 4.0, 0.0, 2.0, None, None, None, 0.0, True)
    history = History((), opened, (0.0, 365.0, 730.0, 1096.0), 730.0, None)
    found = find_endpoints(replace(study, histories={"sub-001": history}), Plan(), follow_up(study))
    assert found[0].times[["years", "event"]].to_numpy().tolist() == [[1.0, False]]


def test_nothing_is_said_where_fewer_than_five_are_at_risk() -> None:
    """Group B has four persons: no share, no curve, a reason. A is followed for one year: nothing at two."""
    analysis = analyse(assemble(scattered({"A": 30, "B": 4}, years=(0.0, 1.0)), Plan()), Plan())
    rows = {row["group"]: row for row in rows_of(analysis, "time_to_event.tsv") if row["endpoint"] == "neda3"}
    assert math.isnan(rows["B"]["survival_1y"])
    assert "4 persons followed" in rows["B"]["warning"]
    assert (rows["A"]["followed_years"], rows["A"]["survival_1y"] > 0.0) == (1.0, True)
    assert math.isnan(rows["A"]["survival_2y"])
    assert {row["group"] for row in rows_of(analysis, "km.tsv") if row["endpoint"] == "neda3"} == {"A"}
    assert min(row["n_at_risk"] for row in rows_of(analysis, "km.tsv")) >= FEWEST_AT_RISK
    figure = next(figure for figure in analysis.figures if figure.name == "km_neda3")
    assert "Not drawn, with fewer than 5 followed: B." in figure.caption


def test_figures_keep_the_legend_off_the_curves() -> None:
    """It stands right of the panel; of four groups no intervals are drawn, and the caption says so."""
    study = assemble(make_cohort("cord").tables, Plan())
    for made in analyse(study, Plan()).figures:
        assert "intervals of 4 curves would cover one another" in made.caption
        assert "95 %" not in made.caption
        figure = made.draw()
        to_svg(figure)
        panel = figure.axes[0]
        legend = panel.get_legend()
        assert legend is not None
        assert legend.get_window_extent().x0 >= panel.get_window_extent().x1
        assert not panel.collections


def test_shares_at_anniversaries_count_the_visits_of_the_anniversary() -> None:
    """Scans at day 1096 are those of year 3, though that is 3.0007 years."""
    analysis = analyse(make_study({"A": 20, "B": 20}), Plan())
    rows = {(row["endpoint"], row["group"]): row for row in rows_of(analysis, "time_to_event.tsv")}
    row = rows["neda3", "A"]
    assert row["survival_3y"] == pytest.approx(1.0 - row["n_events"] / 20)
    assert row["n_sub"] + row["n_left_out"] == 20


def test_without_events_every_test_is_a_row_with_a_reason() -> None:
    """Nobody worsens in this study: two Cox rows and one of log-rank say so."""
    rows = [
        row
        for row in rows_of(analyse(make_study({"A": 20, "B": 20}), Plan()), "time_to_event_tests.tsv")
        if row["endpoint"] == "worsening"
    ]
    assert [row["test"] for row in rows] == ["log-rank", "Cox", "Cox, adjusted"]
    assert all("p" not in row and "no events" in row["warning"] for row in rows)


def test_events_in_one_group_only_have_no_hazard_ratio() -> None:
    tables = make_event_tables({"A": 20, "B": 20, "C": 20}, worsening_per_year={"A": 0.2, "B": 0.0, "C": 0.2})
    rows = rows_of(analyse(assemble(tables, Plan()), Plan()), "time_to_event_tests.tsv")
    cox = {row["group"]: row for row in rows if row["endpoint"] == "worsening" and row["test"] == "Cox"}
    assert cox["B"]["warning"] == "not estimated: no events in B"
    assert cox["C"]["n_sub"] == 40
    assert math.isfinite(cox["C"]["hr"])


def test_relapses_not_recorded_leave_the_other_events() -> None:
    tables = make_event_tables({"A": 10, "B": 10})
    analysis = analyse(assemble(replace(tables, relapses=None), Plan()), Plan())
    rows = {row["endpoint"]: row for row in rows_of(analysis, "time_to_event.tsv") if row["group"] == "A"}
    assert rows["relapse"]["warning"] == rows["pira"]["warning"] == "relapses were not recorded"
    assert rows["worsening"]["n_sub"] == 10
    assert any("relapses were not recorded" in text for text in analysis.limits)


def test_one_group_has_curves_and_no_tests() -> None:
    analysis = analyse(assemble(make_event_tables({"A": 12}), Plan()), Plan())
    assert rows_of(analysis, "time_to_event_tests.tsv") == ()
    assert "At risk" in to_svg(analysis.figures[0].draw())


def test_large_curves_are_thinned_and_end_where_follow_up_ends() -> None:
    """Thousands of relapse days: at most so many rows a curve, the last with the lowest share."""
    tables = make_event_tables({"A": 900}, relapse_rate={"A": 1.0}, cord=False)
    analysis = analyse(assemble(tables, Plan()), Plan())
    rows = [row for row in rows_of(analysis, "km.tsv") if row["endpoint"] == "relapse"]
    assert 100 < len(rows) <= MOST_STEPS
    assert rows[-1]["survival"] == min(row["survival"] for row in rows)


def test_nobody_to_follow_cannot_be_analysed() -> None:
    with pytest.raises(CannotAnalyseError, match="no patient could be followed"):
        analyse(make_study({"A": 5}, clinical=False), Plan())
