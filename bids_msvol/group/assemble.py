# SPDX-License-Identifier: Apache-2.0
"""From what was read to what is analysed: exclusions, groups, regions, clinical values at each scan, events, NEDA."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bids_msvol.group.clinical_values import with_scales
from bids_msvol.group.courses import find_histories, relapse_days
from bids_msvol.group.exclusions import count_flow, find_exclusions, treatment_start
from bids_msvol.group.grouping import find_controls, make_groups
from bids_msvol.group.intervals import add_neda, make_intervals
from bids_msvol.group.lesion_counts import choose_counts
from bids_msvol.group.regions import REGIONS
from bids_msvol.group.study import DAYS_PER_YEAR, Study

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.tables import StudyTables

LARGEST_ETIV_CV_PCT = 1.0
"""Intracranial volume does not change. If it varies more between a person's sessions, volumes relative to it are not
to be trusted."""


def assemble(tables: StudyTables, plan: Plan, *, leave_out_flagged: bool = False) -> Study:
    """Assemble a study.

    Parameters
    ----------
    tables
        What was read.
    plan
        The choices.
    leave_out_flagged
        Whether what meets ``exclude_if`` is left out.

    Raises
    ------
    UsageError
        If the plan names a column, group, condition or definition that does not exist.
    """
    sessions = tables.sessions.sort_values(["participant_id", "days", "session_id"], kind="stable")
    reasons = find_exclusions(tables, plan, leave_out_flagged=leave_out_flagged).reindex(sessions.index)
    volumes = _with_regions(tables.volumes_mm3)
    usable = reasons.index[reasons == ""]
    volumes, cord, thickness = (
        frame.loc[frame.index.intersection(usable, sort=False)]
        for frame in (volumes, tables.cord_mm2, tables.thickness_mm)
    )
    sessions, lesion_source = choose_counts(sessions, plan.activity.lesion_source)
    sessions, notes = _with_times(sessions, tables, plan)
    sessions = with_scales(sessions, tables.visits, plan.intervals.visit_gap_days)
    measured = volumes.index.union(cord.index)
    sessions = sessions.assign(has_scan=sessions.index.isin(measured), excluded_because=reasons)
    persons, etiv_notes = _with_etiv(tables.persons, sessions)
    sessions = sessions.assign(
        etiv_mm3=persons["etiv_mm3"].reindex(sessions["participant_id"]).set_axis(sessions.index)
    )
    group, group_name = make_groups(persons, pd.Index(sessions.loc[measured, "participant_id"]), plan.groups)
    persons = persons.assign(group=group, is_control=find_controls(tables.persons, plan.groups))
    changes, change_source = _choose_change(tables, usable, plan)
    histories = find_histories(tables.visits, tables.relapses, plan, "edss")
    study = Study(
        persons=persons,
        sessions=sessions,
        volumes_mm3=volumes,
        cord_mm2=cord,
        thickness_mm=thickness,
        intervals=make_intervals(sessions, plan),
        measured_change_mm3=changes[0],
        measured_change_pct=changes[1],
        visits=tables.visits,
        relapses=tables.relapses,
        histories=histories,
        flow=count_flow(persons, sessions, reasons),
        group_name=group_name,
        lesion_source=lesion_source,
        change_source=change_source,
        notes=(*tables.notes, *notes, *etiv_notes),
        lesion_files=tables.lesion_files,
    )
    return _with_neda(study, plan)


def _with_regions(volumes: pd.DataFrame) -> pd.DataFrame:
    sums = {
        region.name: volumes[list(region.rows)].sum(axis=1, skipna=False)
        for region in REGIONS.values()
        if region.name not in volumes and set(region.rows) <= set(volumes.columns)
    }
    lacking = [name for name in REGIONS if name not in sums and name not in volumes]
    return volumes.assign(**sums, **dict.fromkeys(lacking, np.nan))


def _with_times(sessions: pd.DataFrame, tables: StudyTables, plan: Plan) -> tuple[pd.DataFrame, list[str]]:
    """Add years since the first session (since the new baseline, where the plan asks for one), and ages."""
    counted = sessions
    if plan.intervals.rebaseline_days >= 0:
        start = treatment_start(tables).reindex(sessions["participant_id"]).set_axis(sessions.index)
        counted = sessions[~(sessions["days"] < start + plan.intervals.rebaseline_days)]
    first = counted.groupby("participant_id")["days"].min()
    persons = tables.persons.reindex(sessions["participant_id"]).set_axis(sessions.index)
    day_zero = first.reindex(sessions["participant_id"]).set_axis(sessions.index)
    years = (sessions["days"] - day_zero) / DAYS_PER_YEAR
    # Ages of participants are those at the first session of all.
    very_first = sessions.groupby("participant_id")["days"].transform("min")
    since = (sessions["days"] - very_first) / DAYS_PER_YEAR
    only = sessions.groupby("participant_id")["session_id"].transform("size") == 1
    since = since.where(since.notna() | ~only, 0.0)
    years = years.where(years.notna() | ~only, 0.0)
    undated = int(years.isna().sum())
    notes = [f"{undated} sessions have no day and are left out of everything about time."] if undated else []
    return (
        sessions.assign(
            years=years,
            year=years.round(),
            age=sessions["age"].astype(float).fillna(persons["age"].astype(float) + since),
            disease_duration=persons["disease_duration"].astype(float) + since,
        ),
        notes,
    )


def _with_etiv(persons: pd.DataFrame, sessions: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Add each person's intracranial volume: one value, since it does not change."""
    by_person = sessions.loc[sessions["has_scan"]].groupby("participant_id")["etiv_mm3"]
    spread = 100.0 * by_person.std() / by_person.mean()
    unsteady = spread.index[spread > LARGEST_ETIV_CV_PCT]
    notes = []
    if len(unsteady):
        notes.append(
            f"The intracranial volume of {len(unsteady)} persons varies by more than {LARGEST_ETIV_CV_PCT:g} % between "
            f"sessions (first: {unsteady[0]}); the median is used."
        )
    return persons.assign(etiv_mm3=by_person.median().reindex(persons.index)), notes


def _choose_change(
    tables: StudyTables, usable: pd.Index[Any], plan: Plan
) -> tuple[tuple[pd.DataFrame | None, pd.DataFrame | None], str]:
    wanted = plan.intervals.change
    if tables.change_mm3 is None or tables.change_pct is None or wanted == "volumes":
        return (None, None), "Change is the difference of the volumes of two scans."
    kept = [
        _with_regions(frame) if frame is tables.change_mm3 else frame
        for frame in (tables.change_mm3, tables.change_pct)
    ]
    allowed = np.isin(kept[0].index.get_level_values(0), usable) & np.isin(kept[0].index.get_level_values(1), usable)
    change_mm3 = kept[0][allowed]
    change_pct = _percent(change_mm3, kept[1][allowed], _with_regions(tables.volumes_mm3))
    return (change_mm3, change_pct), "Change was measured from pairs of images."


def _percent(change_mm3: pd.DataFrame, change_pct: pd.DataFrame, volumes: pd.DataFrame) -> pd.DataFrame:
    """Return per cent as measured, and for regions that are sums from their change and their earlier volume."""
    earlier = volumes.reindex(change_mm3.index.get_level_values(0))[list(change_mm3.columns)].to_numpy()
    computed = pd.DataFrame(100.0 * change_mm3.to_numpy() / earlier, change_mm3.index, change_mm3.columns)
    known = change_pct.reindex(columns=change_mm3.columns)
    return known.fillna(computed)


def _with_neda(study: Study, plan: Plan) -> Study:
    intervals = study.intervals
    change = study.change(intervals["from_row"].tolist(), intervals["to_row"].tolist(), ["WholeBrain"], "pct")
    per_year = change["WholeBrain"].to_numpy() / intervals["years"].to_numpy()
    onsets = relapse_days(study.relapses)
    return replace(study, intervals=add_neda(intervals, study.histories, onsets, per_year, plan))
