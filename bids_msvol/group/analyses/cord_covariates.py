# SPDX-License-Identifier: Apache-2.0
"""What comparisons of the cord are adjusted for: age, sex and site, as far as they are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bids_msvol.group.wording import say_count, say_list
from bids_msvol.stats.design import make_design, treatment_columns

if TYPE_CHECKING:
    import pandas as pd

COVARIATES = ("age", "sex", "site")

LEAST_KNOWN = 0.5
"""A covariate is used if it is known of at least this share of persons; otherwise more are lost than it is worth."""

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Covariates:
    """Which covariates are used.

    Attributes
    ----------
    names
        Of the columns of persons.
    notes
        Which are not used, and why; whom those that are used cost.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...]

    def complete(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of which all covariates are known."""
        return rows.dropna(subset=list(self.names)) if self.names else rows

    def text(self) -> str:
        """Return ``age, sex and site``."""
        return say_list(self.names) or "nothing"


def choose_covariates(persons: pd.DataFrame, wanted: tuple[str, ...] = COVARIATES) -> Covariates:
    """Choose those that are known of enough persons; sex and site only if there are two or more."""
    used, notes = [], []
    for name in wanted:
        known = persons[name].notna()
        if known.mean() < LEAST_KNOWN:
            if known.any() or name != "site":
                notes.append(f"{name.capitalize()} is known of {known.sum()} of {len(known)} persons and is not used.")
            continue
        if name != "age" and persons.loc[known, name].nunique() < 2:
            continue
        used.append(name)
        if not known.all():
            lost = say_count(int((~known).sum()), "person")
            notes.append(f"{lost} without {name} left out of adjusted comparisons.")
    return Covariates(tuple(used), tuple(notes))


def add_covariates(
    base: Columns, rows: pd.DataFrame, names: tuple[str, ...]
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Add the columns of covariates to those of a model, each about its mean.

    Parameters
    ----------
    base
        (row,) columns that the model has.
    rows
        With the covariates, none missing.
    names
        Covariates wanted.

    Returns
    -------
    columns : dict
        Those of the base and the covariates.
    left_out : list
        Covariates that follow from what the model has already, or for which there are too few rows.

    Raises
    ------
    ValueError
        If there are no rows.
    """
    if not len(rows):
        raise ValueError("nobody is left")
    columns: dict[str, NDArray[Any]] = dict(base)
    left_out = []
    for name in names:
        coded = (
            {name: rows[name].to_numpy(dtype=float)}
            if name == "age"
            else treatment_columns(name, rows[name].astype(str).to_numpy(dtype=object))
        )
        if not coded:
            continue
        tried = {**columns, **{key: values - values.mean() for key, values in coded.items()}}
        try:
            make_design(tried)
        except ValueError:
            left_out.append(name)
            continue
        columns = tried
    return columns, left_out
