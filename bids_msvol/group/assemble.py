# SPDX-License-Identifier: Apache-2.0
"""From what was read to what is analysed: exclusions, groups, regions, clinical values at each scan, events, NEDA."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bids_msvol.errors import UsageError
from bids_msvol.group.baseline import find_baselines
from bids_msvol.group.clinical_values import with_scales
from bids_msvol.group.courses import find_histories, relapse_days
from bids_msvol.group.exclusions import count_flow, find_exclusions, without_persons
from bids_msvol.group.grouping import find_controls, make_groups
from bids_msvol.group.intervals import add_neda, make_intervals
from bids_msvol.group.lesion_counts import choose_counts
from bids_msvol.group.regions import REGIONS
from bids_msvol.group.study import DAYS_PER_YEAR, Study
from bids_msvol.group.wording import say_list

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
    if leave_out_flagged:
        tables = without_persons(tables, plan)
        if tables.persons.empty:
            raise UsageError(
                f"everybody meets {' or '.join(plan.exclusions.exclude_if)}, so nobody is left",
                remedy="Give conditions that leave somebody",
                subject="exclusions.exclude_if",
            )
    sessions = tables.sessions.sort_values(["participant_id", "days", "session_id"], kind="stable")
    reasons = find_exclusions(tables, plan, leave_out_flagged=leave_out_flagged).reindex(sessions.index)
    flow = count_flow(tables, reasons)
    sessions, baseline_days, baseline_notes = find_baselines(sessions, tables, plan)
    reasons = reasons.reindex(sessions.index).fillna("")
    every_volume = _with_regions(tables.volumes_mm3)
    usable = reasons.index[reasons == ""]
    volumes, cord, thickness = (
        frame.loc[frame.index.intersection(usable, sort=False)]
        for frame in (every_volume, tables.cord_mm2, tables.thickness_mm)
    )
    sessions, lesion_source = choose_counts(sessions, plan.activity.lesion_source)
    sessions, notes = _with_times(sessions, baseline_days, tables)
    sessions = with_scales(sessions, tables.visits, plan.intervals.visit_gap_days)
    measured = volumes.index.union(cord.index)
    sessions = sessions.assign(has_scan=sessions.index.isin(measured), excluded_because=reasons)
    persons, etiv_notes = _with_etiv(tables.persons, sessions)
    sessions = sessions.assign(
        etiv_mm3=persons["etiv_mm3"].reindex(sessions["participant_id"]).set_axis(sessions.index)
    )
    group, group_name = make_groups(persons, pd.Index(sessions.loc[measured, "participant_id"]), plan.groups)
    persons = persons.assign(group=group, is_control=find_controls(tables.persons, plan.groups))
    changes, change_source, change_notes = _choose_change(tables, every_volume, usable, plan)
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
        flow=flow,
        group_name=group_name,
        lesion_source=lesion_source,
        change_source=change_source,
        notes=(*tables.notes, *baseline_notes, *notes, *etiv_notes, *change_notes, *_say_unknown_rows(tables, plan)),
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


def _with_times(
    sessions: pd.DataFrame, baseline_days: pd.Series[float], tables: StudyTables
) -> tuple[pd.DataFrame, list[str]]:
    """Add years since the baseline, and ages."""
    persons = tables.persons.reindex(sessions["participant_id"]).set_axis(sessions.index)
    day_zero = baseline_days.reindex(sessions["participant_id"]).set_axis(sessions.index)
    years = (sessions["days"] - day_zero) / DAYS_PER_YEAR
    # Ages of participants are those at the first session of all.
    very_first = sessions.groupby("participant_id")["days"].transform("min")
    since = (sessions["days"] - very_first) / DAYS_PER_YEAR
    only = sessions.groupby("participant_id")["session_id"].transform("size") == 1
    since = since.where(since.notna() | ~only, 0.0)
    years = years.where(years.notna() | ~only, 0.0)
    undated = int((years.isna() & sessions["days"].isna()).sum())
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
    tables: StudyTables, volumes: pd.DataFrame, usable: pd.Index[Any], plan: Plan
) -> tuple[tuple[pd.DataFrame | None, pd.DataFrame | None], str, list[str]]:
    """Return change in mm3 and per cent, where it comes from, and who has none."""
    wanted = plan.intervals.change
    if tables.change_mm3 is None or tables.change_pct is None or wanted == "volumes":
        if wanted == "images":
            raise UsageError(
                "no change was measured from pairs of images",
                remedy="Give auto or volumes, for the difference of two volumes",
                subject="intervals.change",
            )
        return (None, None), "Change is the difference of the volumes of two scans.", []
    every_pair = _with_regions(tables.change_mm3)
    pairs = every_pair.index
    allowed = np.isin(pairs.get_level_values(0), usable) & np.isin(pairs.get_level_values(1), usable)
    change_pct = _percent(every_pair[allowed], tables.change_pct[allowed], volumes)
    return (
        (every_pair[allowed], change_pct),
        "Change was measured from pairs of images.",
        _say_unmeasured(tables, every_pair),
    )


def _say_unmeasured(tables: StudyTables, change: pd.DataFrame) -> list[str]:
    """Tell of people with several scans and no change, which is not made up for by differences of volumes."""
    people = tables.sessions["participant_id"]
    scans = people[tables.volumes_mm3.index].value_counts()
    several = set(scans.index[scans > 1])
    lacking = sorted(several - set(people[change.index.get_level_values(1)]))
    if not lacking:
        return []
    return [
        f"For {len(lacking)} of {len(several)} persons with several scans (first: {lacking[0]}) no change was measured "
        "from pairs of images, so they have none; intervals.change = volumes in the plan takes the difference of two "
        "volumes for everybody."
    ]


def _say_unknown_rows(tables: StudyTables, plan: Plan) -> list[str]:
    """Tell of regions of the network that no table of volumes has: a slip, or another program's names."""
    unknown = [name for name in plan.regions.network if name not in tables.volumes_mm3]
    if tables.volumes_mm3.empty or not unknown:
        return []
    return [f"No table of volumes has {say_list(unknown)}, named in regions.network."]


def _percent(change_mm3: pd.DataFrame, change_pct: pd.DataFrame, volumes: pd.DataFrame) -> pd.DataFrame:
    """Return per cent as measured, and for regions that are sums from their change and their earlier volume."""
    earlier = volumes.reindex(change_mm3.index.get_level_values(0), columns=change_mm3.columns).to_numpy()
    earlier = np.where(earlier == 0.0, np.nan, earlier)
    computed = pd.DataFrame(100.0 * change_mm3.to_numpy() / earlier, change_mm3.index, change_mm3.columns)
    known = change_pct.reindex(columns=change_mm3.columns)
    return known.fillna(computed)


def _with_neda(study: Study, plan: Plan) -> Study:
    intervals = study.intervals
    change = study.change(intervals["from_row"].tolist(), intervals["to_row"].tolist(), ["WholeBrain"], "pct")
    per_year = change["WholeBrain"].to_numpy() / intervals["years"].to_numpy()
    onsets = relapse_days(study.relapses)
    return replace(study, intervals=add_neda(intervals, study.histories, onsets, per_year, plan))
