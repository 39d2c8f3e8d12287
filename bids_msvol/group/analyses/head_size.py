# SPDX-License-Identifier: Apache-2.0
"""The first usable scan of each person with what volumes are adjusted for, and volumes in heads of different size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.group.wording import say_count, say_list
from bids_msvol.stats.design import INTERCEPT, make_design, treatment_columns
from bids_msvol.stats.regression import fit_ols

if TYPE_CHECKING:
    from bids_msvol.group.plan import HeadSize
    from bids_msvol.group.study import Study

Floats = NDArray[np.float64]

LABELS = {"etiv_ml": "intracranial volume", "age": "age", "sex": "sex", "site": "site"}
"""What volumes may be adjusted for, in words, in the order in which they are taken in while persons are enough."""

LEAST_KNOWN = 0.5
"""A covariate known for fewer persons of any group than this share is left out: it would cost more than it mends."""

LEAST_FREEDOM = 10
"""Degrees of freedom that covariates must leave."""

LEAST_CONTROLS = 20
"""Controls from whom the slope of a volume on head size is learnt; from fewer it would be too uncertain."""

ML = 1000.0
"""Cubic millimetres in a millilitre."""


@dataclass(frozen=True, eq=False)
class Scans:
    """The first usable scan of each person of a known group.

    Attributes
    ----------
    table
        One row a person, by ``participant_id``: ``row`` (number of the session), ``group`` (text), ``age`` (at the
        scan), ``sex``, ``site``, ``etiv_ml``, ``is_control``.
    groups
        Groups with a scan, in the order of the study.
    covariates
        Columns that volumes are adjusted for: those of ``LABELS`` that the data allow.
    limits
        Who and what was left out, as sentences.
    """

    table: pd.DataFrame
    groups: tuple[str, ...]
    covariates: tuple[str, ...]
    limits: tuple[str, ...]

    def complete(self, covariates: Sequence[str]) -> pd.Series[bool]:
        """Return who has all of these covariates."""
        known: pd.Series[bool] = self.table[list(covariates)].notna().all(axis=1)
        return known

    def saying(self, covariates: Sequence[str]) -> str:
        """Return covariates in words, ``age, sex and intracranial volume``."""
        return say_list([LABELS[name] for name in covariates]) or "nothing"


def first_scans(study: Study, measured: pd.Index[Any]) -> Scans:
    """Find the first scan of each person among the sessions that were measured, and what to adjust for.

    Parameters
    ----------
    study
        The study.
    measured
        Numbers of the sessions that may be used.
    """
    sessions = study.sessions[study.sessions.index.isin(measured)]
    # Sessions are in the order of time, those without a day last.
    first = sessions.drop_duplicates("participant_id").rename_axis("row").reset_index().set_index("participant_id")
    persons = study.persons.loc[first.index]
    table = pd.DataFrame(
        {
            "row": first["row"],
            "group": persons["group"].astype(object),
            "age": first["age"].astype(float),
            "sex": persons["sex"].astype(object),
            "site": persons["site"].astype(object),
            "etiv_ml": persons["etiv_mm3"].astype(float) / ML,
            "is_control": persons["is_control"],
        }
    )
    unknown = int(table["group"].isna().sum())
    table = table[table["group"].notna()]
    limits = []
    if unknown:
        limits.append(f"{say_count(unknown, 'person')} with a scan but of unknown group {_were(unknown)} left out.")
    groups = tuple(name for name in study.groups() if (table["group"] == name).any())
    covariates, left_out = _choose(table)
    scans = Scans(table, groups, covariates, (*limits, *left_out))
    lacking = int((~scans.complete(covariates)).sum())
    if lacking:
        limits.append(
            f"{say_count(lacking, 'person')} {_were(lacking)} left out because {scans.saying(covariates)} "
            "were not all known."
        )
    return Scans(table, groups, covariates, (*limits, *left_out))


def covariate_columns(table: pd.DataFrame, covariates: Sequence[str]) -> dict[str, Floats]:
    """Return covariates as columns of a model; what does not vary among these persons is left out."""
    columns: dict[str, Floats] = {}
    for name in covariates:
        if table[name].nunique() < 2:
            continue
        if name in ("sex", "site"):
            columns.update(treatment_columns(name, table[name].to_numpy(dtype=object)))
        else:
            # Centred, so that the intercept is a volume that exists.
            values = table[name].to_numpy(dtype=float)
            columns[name] = values - values.mean()
    return columns


def group_columns(table: pd.DataFrame) -> dict[str, Floats]:
    """Return an intercept and the groups as columns of a model."""
    return {INTERCEPT: np.ones(len(table)), **treatment_columns("group", table["group"].to_numpy(dtype=object))}


def same_head(volumes: Floats, table: pd.DataFrame, method: HeadSize, reference: str) -> Floats:
    """Return volumes as they are compared in heads of different size.

    Parameters
    ----------
    volumes
        (person,) in mm^3.
    table
        The same persons, as in `Scans.table`.
    method
        ``residual``: less the slope on intracranial volume times its distance from the mean (Sanfilipo et al. 2004,
        NeuroImage 22:1732-1743); ``proportion``: the share of the intracranial volume, times its mean, so that this
        too is a volume; else as they are.
    reference
        The reference group.

    Returns
    -------
    (person,) array
        In mm^3.
    """
    etiv = table["etiv_ml"].to_numpy(dtype=float)
    if method == "proportion":
        return np.asarray(volumes / etiv * etiv.mean())
    if method == "residual":
        return np.asarray(volumes - head_slope(volumes, table, reference) * (etiv - etiv.mean()))
    return volumes


def head_slope(volumes: Floats, table: pd.DataFrame, reference: str) -> float:
    """Return how much a volume grows with intracranial volume, in mm^3 per mL; see ``learns_from_controls``."""
    etiv = table["etiv_ml"].to_numpy(dtype=float)
    if learns_from_controls(table, reference):
        chosen = (table["group"] == reference).to_numpy()
        columns = {INTERCEPT: np.ones(int(chosen.sum())), "etiv": etiv[chosen]}
        return float(fit_ols(volumes[chosen], columns).beta[1])
    return float(fit_ols(volumes, {**group_columns(table), "etiv": etiv}).beta[-1])


def learns_from_controls(table: pd.DataFrame, reference: str) -> bool:
    """Tell whether the slope on head size comes from the reference group alone.

    It does if that group is enough controls, whom no disease changed; else it comes from all persons, as the common
    slope within the groups.
    """
    chosen = table[table["group"] == reference]
    return len(chosen) >= LEAST_CONTROLS and bool(chosen["is_control"].all())


def _choose(table: pd.DataFrame) -> tuple[tuple[str, ...], list[str]]:
    """Choose covariates one after the other; say which cannot be used and why."""
    chosen: list[str] = []
    limits: list[str] = []
    for name in LABELS:
        known = table[name].notna()
        if not known.any() or (name == "site" and table[name].nunique() < 2):
            if name != "site":
                limits.append(f"{LABELS[name].capitalize()} is not known: nothing is adjusted for it.")
            continue
        shares = known.groupby(table["group"]).mean()
        if shares.min() < LEAST_KNOWN:
            limits.append(f"{LABELS[name].capitalize()} is not adjusted for: most of {shares.idxmin()} have none.")
            continue
        trial = [*chosen, name]
        people = table[table[trial].notna().all(axis=1)]
        columns = covariate_columns(people, trial)
        if table.loc[people.index, name].nunique() < 2:
            limits.append(f"{LABELS[name].capitalize()} does not vary and is not adjusted for.")
            continue
        try:
            width = len(make_design({**group_columns(people), **columns}).names)
        except ValueError:
            limits.append(
                f"{LABELS[name].capitalize()} is not adjusted for: it cannot be told apart from groups and other "
                "covariates."
            )
            continue
        if len(people) - width < LEAST_FREEDOM:
            limits.append(f"{LABELS[name].capitalize()} is not adjusted for: there are too few persons.")
            continue
        chosen = trial
    return tuple(chosen), limits


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
