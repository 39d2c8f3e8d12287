# SPDX-License-Identifier: Apache-2.0
"""What comparisons are adjusted for: which covariates the data allow, why others are left out, and their coding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.wording import say_count, say_list
from bids_msvol.stats.design import INTERCEPT, make_design, treatment_columns

if TYPE_CHECKING:
    import pandas as pd

LABELS: Mapping[str, str] = {
    "etiv_ml": "intracranial volume",
    "age": "age",
    "sex": "sex",
    "site": "site",
    "disease_duration": "disease duration",
    "edss": "EDSS",
}
"""All covariates, by their column, in words."""

_TEXTS = ("sex", "site")
"""Those that are labels; the others are numbers."""

LEAST_KNOWN = 0.5
"""A covariate known for fewer persons of any group than this share is left out: it would cost more than it mends."""

LEAST_PERSONS = 3
"""Persons of a group that has a say in this: one or two of whom it is not known must not cost all others the
adjustment."""

LEAST_FREEDOM = 10
"""Degrees of freedom that covariates must leave."""

Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Covariates:
    """The covariates of an analysis.

    Attributes
    ----------
    names
        Columns of persons that are adjusted for.
    notes
        Which are not, and why; and whom those that are cost: sentences.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...]

    def known(self, rows: pd.DataFrame) -> pd.Series[bool]:
        """Return of which rows all covariates are known."""
        found: pd.Series[bool] = rows[list(self.names)].notna().all(axis=1)
        return found

    def complete(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of which all covariates are known."""
        return rows[self.known(rows)]

    def text(self) -> str:
        """Return ``age, sex and site``, or ``nothing``."""
        return say_list([LABELS[name] for name in self.names]) or "nothing"


def choose_covariates(people: pd.DataFrame, wanted: Sequence[str], groups: pd.Series[Any] | None = None) -> Covariates:
    """Choose covariates, one after the other, and say of the others why they are left out.

    One is used if it is known for half of every group, varies, can be told apart from the groups and the covariates
    before it, and leaves ten degrees of freedom.

    Parameters
    ----------
    people
        One row a person, with the covariates.
    wanted
        Names of `LABELS`, the most important first.
    groups
        (person,) the groups that are compared, missing for who is in none; ``None`` if none are.
    """
    people = people.assign(_group="all" if groups is None else groups.astype(object))
    people = people[people["_group"].notna()]
    chosen: tuple[str, ...] = ()
    notes = []
    for name in wanted:
        reason = _why_not(people, chosen, name)
        if reason is None:
            chosen = (*chosen, name)
        elif reason:
            notes.append(f"{LABELS[name][0].upper()}{LABELS[name][1:]} is not adjusted for: {reason}.")
    found = Covariates(chosen, tuple(notes))
    lacking = int((~found.known(people)).sum())
    if lacking:
        unknown = "not all known" if len(chosen) > 1 else "not known"
        notes.append(f"{say_count(lacking, 'person')} left out of adjusted comparisons: {found.text()} {unknown}.")
    return Covariates(chosen, tuple(notes))


def covariate_columns(
    rows: pd.DataFrame, names: Sequence[str], base: Mapping[str, NDArray[Any]]
) -> tuple[Columns, tuple[str, ...]]:
    """Return covariates as columns of a model, each about its mean, so that intercepts are values that exist.

    Parameters
    ----------
    rows
        With the covariates, none missing.
    names
        Covariates wanted.
    base
        (row,) columns that the model has without them.

    Returns
    -------
    columns : dict
        Of the covariates. What is the same in all rows has none.
    left_out : tuple
        Covariates that follow from what the model has already, or for which there are too few rows.
    """
    columns: Columns = {}
    left_out = []
    for name in names:
        if rows[name].nunique() < 2:
            continue
        if name in _TEXTS:
            coded = treatment_columns(name, rows[name].astype(str).to_numpy(dtype=object))
        else:
            coded = {name: rows[name].to_numpy(dtype=float)}
        tried = {**columns, **{key: values - values.mean() for key, values in coded.items()}}
        try:
            make_design({**base, **tried})
        except ValueError:
            left_out.append(name)
            continue
        columns = tried
    return columns, tuple(left_out)


def say_adjusted(names: Sequence[str], left_out: Sequence[str] = ()) -> str:
    """Return the covariates of a model for a cell of a table: ``age, sex``; ``none``."""
    return ", ".join(LABELS[name] for name in names if name not in left_out) or "none"


def say_not_adjusted(left_out: Sequence[str]) -> str:
    """Return the warning of a model without these covariates; empty if there are none."""
    names = ", ".join(LABELS[name] for name in left_out)
    return f"not adjusted for {names}: too few persons, or not to be told apart from the rest" if left_out else ""


def _why_not(people: pd.DataFrame, chosen: Sequence[str], name: str) -> str | None:
    """Return why a covariate cannot be used beside those chosen; ``None`` if it can, empty if that goes without saying.

    That a study has one site, or does not name its sites, needs no word.
    """
    known = people[name].notna()
    if people[name].nunique() < 2 and name == "site":
        return ""
    if not known.any():
        return "it is not known"
    sizes = people["_group"].value_counts()
    large = people["_group"].isin(sizes.index[sizes >= min(LEAST_PERSONS, sizes.max())])
    shares = known[large].groupby(people.loc[large, "_group"]).mean()
    if shares.min() < LEAST_KNOWN:
        return "most have none" if len(shares) == 1 else f"most of {shares.idxmin()} have none"
    people = people[people[[*chosen, name]].notna().all(axis=1)]
    if people[name].nunique() < 2:
        return "it does not vary"
    groups = treatment_columns("group", people["_group"].astype(str).to_numpy(dtype=object))
    base = {INTERCEPT: np.ones(len(people)), **groups}
    base |= covariate_columns(people, chosen, base)[0]
    width = people[name].nunique() - 1 if name in _TEXTS else 1
    if len(people) - len(base) - width < LEAST_FREEDOM:
        return "there are too few persons"
    _, left_out = covariate_columns(people, [name], base)
    return "it cannot be told apart from groups and other covariates" if left_out else None
