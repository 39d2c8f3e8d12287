# SPDX-License-Identifier: Apache-2.0
"""Follow-up of patients (disease_activity, relapse_rates, time_to_event, definitions_compared), and its models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.group.covariates import choose_covariates, covariate_columns, say_not_adjusted
from bids_msvol.group.people import is_control
from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.stats.design import INTERCEPT, treatment_columns

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
    notes
        What was left out, and why.
    """

    rows: pd.DataFrame
    columns: dict[str, NDArray[np.float64]]
    notes: tuple[str, ...]


def follow_up(study: Study) -> pd.DataFrame:
    """Return one row a patient, by ``participant_id``; healthy controls are not among them.

    Returns
    -------
    pandas.DataFrame
        ``group`` (text or ``None``), ``sex``, ``age`` (years, at the baseline), ``edss`` (at the baseline),
        ``start_day``, ``end_day`` (NaN where no day is known) and ``years`` between them.
    """
    persons = study.persons.loc[~is_control(study)]
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


def adjust(rows: pd.DataFrame, groups: Sequence[str], covariates: Sequence[str]) -> Adjusted:
    """Return the columns of a model of groups and covariates, for the rows that have all values.

    Parameters
    ----------
    rows
        ``group`` and the covariates.
    groups
        Those that are compared, the reference first.
    covariates
        Those wanted; see `bids_msvol.group.covariates.choose_covariates` for which of them are used.
    """
    among = rows[rows["group"].isin(list(groups))]
    chosen = choose_covariates(among, covariates, among["group"])
    complete = chosen.complete(among)
    labels = complete["group"].astype(str).to_numpy()
    columns: dict[str, NDArray[np.float64]] = {}
    if len(groups) > 1 and (labels == groups[0]).any():
        columns = treatment_columns("group", labels, groups[0])
    adjusting, left_out = covariate_columns(complete, chosen.names, {INTERCEPT: np.ones(len(labels)), **columns})
    notes = [note.removesuffix(".") for note in chosen.notes]
    return Adjusted(complete, columns | adjusting, tuple(filter(None, [*notes, say_not_adjusted(left_out)])))
