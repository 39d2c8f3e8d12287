# SPDX-License-Identifier: Apache-2.0
"""Who is followed, from when to when; and the groups of patients that events are compared between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.wording import say_count
from bids_msvol.stats.design import treatment_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bids_msvol.group.study import Study

FOLLOW_UP_SENTENCE = (
    "Follow-up runs from the first session that counts (the baseline; where there is no session, from the first visit) "
    "to the last session or visit."
)

FEWEST_EVENTS_PER_COLUMN = 10
"""Below this many events for each column of a model its estimates are unsteady (Peduzzi et al. 1995, Journal of
Clinical Epidemiology 48:1503-1510)."""


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The rows and columns of a model that compares groups.

    Attributes
    ----------
    rows
        Those with all values.
    columns
        (row,) values by name: ``group[...]`` for each group but the reference, then the covariates.
    terms
        Names of the covariates that are in the model.
    notes
        What was left out, and why.
    """

    rows: pd.DataFrame
    columns: dict[str, NDArray[np.float64]]
    terms: tuple[str, ...]
    notes: tuple[str, ...]


def follow_up(study: Study) -> pd.DataFrame:
    """Return one row a patient, by ``participant_id``; healthy controls are not among them.

    Returns
    -------
    pandas.DataFrame
        ``group`` (text or ``None``), ``sex``, ``age`` (years, at the baseline), ``edss`` (at the baseline),
        ``start_day``, ``end_day`` (NaN where no day is known) and ``years`` between them.
    """
    persons = study.persons.loc[~study.persons["is_control"].astype(bool)]
    dated = study.sessions.loc[study.sessions["years"] >= 0.0]
    by_session = dated.groupby("participant_id", sort=False)
    visits = study.visits.dropna(subset="days").groupby("participant_id", sort=False)["days"]
    start = by_session["days"].min().reindex(persons.index)
    start = start.fillna(visits.min().reindex(persons.index))
    ends = pd.concat([by_session["days"].max().reindex(persons.index), visits.max().reindex(persons.index)], axis=1)
    first = dated.drop_duplicates("participant_id").set_index("participant_id").reindex(persons.index)
    end = ends.max(axis=1)
    return pd.DataFrame(
        {
            "group": persons["group"].astype(object).where(persons["group"].notna(), None),
            "sex": persons["sex"],
            "age": first["age"].astype(float).fillna(persons["age"].astype(float)),
            "edss": first["edss"].astype(float),
            "start_day": start.astype(float),
            "end_day": end.astype(float),
            "years": (end - start).astype(float) / DAYS_PER_YEAR,
        },
        index=persons.index,
    )


def patient_groups(study: Study, people: pd.DataFrame) -> tuple[str, ...]:
    """Return the groups that hold patients, the reference first."""
    return tuple(name for name in study.groups() if (people["group"] == name).any())


def say_left_out(study: Study, people: pd.DataFrame) -> tuple[str, ...]:
    """Say who takes no part in the comparison of groups."""
    controls = int(study.persons["is_control"].astype(bool).sum())
    unknown = int(people["group"].isna().sum())
    sentences = []
    if controls:
        sentences.append(f"{say_count(controls, 'healthy control')} left out: events of disease are those of patients.")
    if unknown:
        sentences.append(f"{say_count(unknown, 'person')} of unknown group left out of the comparison of groups.")
    return tuple(sentences)


def adjust(rows: pd.DataFrame, groups: Sequence[str], covariates: Sequence[str]) -> Adjusted:
    """Return the columns of a model of groups and covariates, for the rows that have all values.

    Parameters
    ----------
    rows
        ``group`` and the covariates; ``sex`` is text, F or M.
    groups
        Those that are compared, the reference first.
    covariates
        Names of columns. One without two values is left out, and said.
    """
    notes = []
    among = rows[rows["group"].isin(list(groups))]
    known = []
    for name in covariates:
        if among[name].dropna().nunique() > 1:
            known.append(name)
        else:
            notes.append(f"{name} left out: it has no two values")
    complete = among.dropna(subset=known)
    missing = len(among) - len(complete)
    if missing:
        notes.append(f"{say_count(missing, 'person')} without {' or '.join(known)} left out")
    labels = complete["group"].astype(str).to_numpy()
    columns: dict[str, Any] = {}
    if len(groups) > 1 and (labels == groups[0]).any():
        columns = treatment_columns("group", labels, groups[0])
    for name in known:
        values = complete[name]
        columns[name] = (values == "M").to_numpy(float) if name == "sex" else values.to_numpy(dtype=float)
    return Adjusted(complete, columns, tuple(known), tuple(notes))
