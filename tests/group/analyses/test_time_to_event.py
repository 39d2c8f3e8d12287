# SPDX-License-Identifier: Apache-2.0
"""Times to first events: censoring by hand, planted hazards found, and reasons where nothing can be said."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_msvol.group.analyses.endpoints import find_endpoints
from bids_msvol.group.analyses.follow_up import follow_up
from bids_msvol.group.analyses.time_to_event import MOST_STEPS, analyse
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
