# SPDX-License-Identifier: Apache-2.0
"""Missing data in baseline_groups: how much of every variable is missing, as STROBE asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.people import is_among, with_everybody
from bids_msvol.group.result import GROUP, ResultTable, number

if TYPE_CHECKING:
    from bids_msvol.group.study import Study

OF_PERSONS = (
    "group", "sex", "age", "onset_age", "disease_duration", "phenotype", "treatment", "site", "n_prior_dmt",
    "education_years", "etiv_mm3",
)  # fmt: skip

OF_SESSIONS = (
    "days", "edss", "sdmt", "pasat", "nhpt", "t25fw", "rnfl_um", "gcipl_um", "new_t2", "enlarging_t2", "gd",
    "t2_count", "lesion_volume_mm3",
)  # fmt: skip

MISSING_DATA = Table(
    "Missing data",
    "missing_data.tsv",
    "One row for each variable and group: how many values there could be, and how many are missing.",
    (
        Column("variable", "Variable, as in the tables of the study."),
        Column(
            "of",
            "What has one value each.",
            levels={"persons": "One value a person.", "sessions": "One value a session."},
        ),
        Column("group", f"{GROUP.description} 'all' is everybody, also people whose group is not known."),
        Column("n", "Number of persons or sessions.", "integer"),
        Column("n_missing", "Of these, without a value.", "integer"),
        Column("n_excluded", "Of the missing: sessions whose scan was left out (see exclusions).", "integer"),
        number("percent", "Missing ones.", "percent"),
    ),
)


def count_missing(study: Study) -> ResultTable:
    """Return how much is missing of every variable, also of those that nobody has."""
    persons, sessions = study.persons, study.sessions
    of_sessions = {name: sessions[name].isna() for name in OF_SESSIONS if name in sessions}
    for name, frame in (
        ("volumes", study.volumes_mm3),
        ("cord_areas", study.cord_mm2),
        ("thickness", study.thickness_mm),
    ):
        there = frame.index[frame.notna().any(axis=1)]
        of_sessions[name] = pd.Series(~sessions.index.isin(there), sessions.index)
    excluded = sessions["excluded_because"].fillna("") != ""
    session_groups = persons["group"].reindex(sessions["participant_id"]).set_axis(sessions.index)
    rows: list[dict[str, object]] = []
    wanted = with_everybody(study.groups())
    for name in OF_PERSONS:
        if name in persons:
            rows += _count(name, "persons", persons[name].isna(), persons["group"], wanted)
    for name, missing in of_sessions.items():
        by_scan = excluded if name in ("volumes", "cord_areas", "thickness") else None
        rows += _count(name, "sessions", missing, session_groups, wanted, by_scan)
    return ResultTable(MISSING_DATA, tuple(rows))


def _count(
    name: str,
    of: str,
    missing: pd.Series[Any],
    groups: pd.Series[Any],
    wanted: tuple[str, ...],
    excluded: pd.Series[Any] | None = None,
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for group in wanted:
        among = is_among(groups, group).to_numpy(dtype=bool)
        count, without = int(among.sum()), int(missing.to_numpy(dtype=bool)[among].sum())
        row: dict[str, object] = {"variable": name, "of": of, "group": group, "n": count, "n_missing": without}
        if excluded is not None:
            row["n_excluded"] = int((missing & excluded).to_numpy(dtype=bool)[among].sum())
        rows.append({**row, "percent": 100.0 * without / count if count else None})
    return rows
