# SPDX-License-Identifier: Apache-2.0
"""From tables to a study: exclusions, groups, intervals, spans and NEDA."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Activity, Exclusions, Intervals, Plan
from tests.group.cohorts import make_study, make_tables


def test_intervals_join_consecutive_sessions() -> None:
    """Three intervals of a year for each person with four yearly scans, and none across persons."""
    study = make_study({"A": 5, "B": 4})
    assert len(study.intervals) == 9 * 3
    assert study.intervals["is_year"].all()
    from_ids = study.sessions.loc[study.intervals["from_row"], "participant_id"].to_numpy()
    to_ids = study.sessions.loc[study.intervals["to_row"], "participant_id"].to_numpy()
    assert (from_ids == to_ids).all()
    assert set(study.intervals["year"]) == {1, 2, 3}


def test_change_is_the_difference_of_volumes() -> None:
    """Without measured change: later minus earlier, in points of per cent of the intracranial volume, or per cent."""
    study = make_study({"A": 3})
    one = study.intervals.iloc[0]
    points = study.change([one["from_row"]], [one["to_row"]], ["Thalamus"], "pct_etiv").iloc[0, 0]
    percent = study.change([one["from_row"]], [one["to_row"]], ["Thalamus"], "pct").iloc[0, 0]
    before, after = (study.volumes_mm3.loc[one[row], "Thalamus"] for row in ("from_row", "to_row"))
    etiv = study.sessions.loc[one["from_row"], "etiv_mm3"]
    assert points == pytest.approx(100 * (after - before) / etiv)
    assert percent == pytest.approx(100 * (after / before - 1))


def test_spans_begin_at_the_first_session() -> None:
    """A person whose first scan cannot be used has no change since the baseline."""
    tables = make_tables({"A": 3})
    tables.sessions.loc[0, "exclude"] = True
    study = assemble(tables, Plan())
    spans = study.spans(3.0, 180.0)
    assert spans["participant_id"].tolist() == ["sub-002", "sub-003"]
    assert spans["years"].to_numpy() == pytest.approx([3.0, 3.0], abs=0.01)


def test_flow_counts_every_exclusion() -> None:
    """Each reason is counted once, in order, and what remains adds up."""
    tables = make_tables({"A": 4})
    tables.sessions.loc[0, ["exclude", "exclude_reason"]] = [True, "wrong protocol"]
    tables.sessions.loc[1, "verdict"] = "fail"
    tables.sessions.loc[2, "steroid_days_before"] = 20.0
    study = assemble(tables, Plan())
    assert [(step.reason, step.scans) for step in study.flow] == [
        ("in the tables", 16),
        ("column exclude: wrong protocol", 1),
        ("failed quality", 1),
        ("scanned less than 56 days after steroids", 1),
        ("remaining", 13),
    ]
    assert len(study.volumes_mm3) == 13


def test_flow_counts_who_was_not_measured() -> None:
    """People without a session and scans without a measurement are counted as what they are."""
    tables = make_tables({"A": 4}, cord=False)
    persons = pd.concat([tables.persons, tables.persons.iloc[:1].set_axis(["sub-999"])]).rename_axis("participant_id")
    study = assemble(replace(tables, persons=persons, volumes_mm3=tables.volumes_mm3.iloc[4:]), Plan())
    assert [(step.reason, step.persons, step.scans) for step in study.flow] == [
        ("in the tables", 5, 16),
        ("without any session", 1, 0),
        ("without volumes and cord areas", 1, 4),
        ("remaining", 3, 12),
    ]


def test_flagged_scans_are_left_out_only_when_asked() -> None:
    """Conditions of the plan leave all in at first; the second run is without what meets them."""
    tables = make_tables({"A": 4})
    tables.sessions["new_t2_clinic"] = 0.0
    tables.sessions.loc[0, "new_t2_clinic"] = 25.0
    plan = Plan(exclusions=Exclusions(exclude_if=("new_t2>20",)))
    assert len(assemble(tables, plan).volumes_mm3) == 16
    assert len(assemble(tables, plan, leave_out_flagged=True).volumes_mm3) == 15


def test_neda_needs_every_component() -> None:
    """A relapse is activity; without any record of relapses NEDA is not known unless something else fails."""
    tables = make_tables({"A": 1}, years=(0.0, 1.0))
    tables.sessions[["new_t2_clinic", "gd_clinic"]] = 0.0
    tables.sessions["edss"] = 2.0
    visits = tables.sessions[["participant_id", "days", "edss", "sdmt", "nhpt", "t25fw", "pasat"]]
    assert tables.relapses is not None
    none = replace(tables, visits=visits, relapses=tables.relapses.iloc[:0])
    assert assemble(none, Plan()).intervals.loc[0, "neda3"] is True
    one = tables.relapses.iloc[:0].assign(days=[])
    one.loc[0] = ["sub-001", 100.0, False]
    assert assemble(replace(none, relapses=one), Plan()).intervals.loc[0, "neda3"] is False
    assert assemble(replace(none, relapses=None), Plan()).intervals.loc[0, "neda3"] is None


def test_lesion_lag_takes_the_counts_of_the_start() -> None:
    """The plan chooses which scan's lesions go with a change; NEDA always looks at the end."""
    tables = make_tables({"A": 2})
    end = assemble(tables, Plan()).intervals
    start = assemble(tables, Plan(activity=Activity(lesion_lag="start"))).intervals
    new = tables.sessions["new_t2_clinic"]
    assert end["new_t2"].tolist() == new.loc[end["to_row"]].tolist()
    assert start["new_t2"].tolist() == new.loc[start["from_row"]].tolist()
    assert end["no_new_t2"].tolist() == start["no_new_t2"].tolist()


def test_clinical_values_come_from_the_nearest_visit() -> None:
    """A session without EDSS takes the nearest visit within the limit, the earlier of two, and says how far it is."""
    tables = make_tables({"A": 1}, years=(0.0, 1.0))
    tables.sessions["edss"] = np.nan
    visits = tables.visits.iloc[:0].copy()
    for row, (day, value) in enumerate([(-40.0, 2.0), (40.0, 3.0), (200.0, 5.0)]):
        visits.loc[row] = ["sub-001", day, value, np.nan, np.nan, np.nan, np.nan]
    sessions = assemble(replace(tables, visits=visits), Plan(intervals=Intervals(visit_gap_days=90.0))).sessions
    assert sessions["edss"].iloc[0] == 2.0
    assert sessions["edss_gap_days"].iloc[0] == -40.0
    assert np.isnan(sessions["edss"].iloc[1])


def test_reference_group_is_the_controls() -> None:
    """Healthy controls come first wherever they stand in the alphabet."""
    study = make_study({"Control": 2, "MS": 3, "AQP4": 2})
    assert study.groups() == ("Control", "AQP4", "MS")
    assert study.reference_group() == "Control"


def test_half_yearly_scans_make_yearly_intervals() -> None:
    """A scan too early to end a year adds its lesions to those of the next; the middle says which year it is."""
    tables = make_tables({"A": 1}, years=(0.0, 0.5, 1.0, 1.5, 2.0, 3.0))
    tables.sessions["new_t2_clinic"] = [9.0, 1.0, 2.0, np.nan, 4.0, 5.0]
    intervals = assemble(tables, Plan()).intervals
    assert intervals["year"].tolist() == [1, 2, 3]
    assert intervals["is_year"].all()
    assert intervals["new_t2"].to_numpy() == pytest.approx([3.0, np.nan, 5.0], nan_ok=True)


def test_clinical_visits_cut_no_interval() -> None:
    """A session without scan and without lesion counts leaves the year around it whole."""
    tables = make_tables({"A": 3}, years=(0.0, 0.5, 1.0))
    visit = tables.sessions["days"].between(100, 300)
    tables.sessions.loc[visit, ["new_t2_clinic", "gd_clinic"]] = np.nan
    kept = tables.volumes_mm3[~visit]
    intervals = assemble(replace(tables, volumes_mm3=kept, cord_mm2=tables.cord_mm2[~visit]), Plan()).intervals
    assert intervals["years"].to_numpy() == pytest.approx([1.0] * 3, abs=0.01)


def test_follow_up_begins_with_treatment() -> None:
    """Who was first scanned a year after the start has no baseline scan; without treatments the first scan is it."""
    tables = make_tables({"A": 4}, years=(0.0, 1.0, 2.0), column="treatment")
    late = tables.sessions["participant_id"].eq("sub-004") & tables.sessions["days"].eq(0.0)
    starts = {"participant_id": tables.persons.index, "drug": "A", "start_days": 20.0, "end_days": np.nan}
    without = replace(tables, sessions=tables.sessions[~late], treatments=pd.DataFrame(starts))
    study = assemble(without, Plan())
    assert study.spans(1.0, 180.0)["participant_id"].tolist() == ["sub-001", "sub-002", "sub-003"]
    own = study.sessions[study.sessions["participant_id"] == "sub-004"]
    assert own["session_id"].tolist() == ["baseline", "ses-01", "ses-02"]
    assert own["years"].to_numpy() == pytest.approx([0.0, 0.945, 1.945], abs=0.01)
    assert own["has_scan"].tolist() == [False, True, True]
    assert any("1 persons have no session around the start" in note for note in study.notes)
    assert study.flow[0].scans == 11
    first = assemble(without, Plan(intervals=Intervals(baseline="first_session")))
    assert len(first.spans(1.0, 180.0)) == 4


def test_conditions_on_people_leave_out_the_person() -> None:
    """Visits and relapses go with the person; a condition on scans leaves out scans only."""
    tables = make_tables({"A": 4})
    tables.persons["site"] = ["X", "X", "Y", "Y"]
    plan = Plan(exclusions=Exclusions(exclude_if=("site=Y",)))
    study = assemble(tables, plan, leave_out_flagged=True)
    assert list(study.persons.index) == ["sub-001", "sub-002"]
    assert set(study.visits["participant_id"]) == {"sub-001", "sub-002"}
    assert study.relapses is not None
    assert set(study.relapses["participant_id"]) <= {"sub-001", "sub-002"}
