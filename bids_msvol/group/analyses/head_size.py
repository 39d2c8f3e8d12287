# SPDX-License-Identifier: Apache-2.0
"""First scans and head size (group_volumes, covariance_network): what volumes are adjusted for, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.group.covariates import Covariates, choose_covariates
from bids_msvol.group.people import say_unknown_group
from bids_msvol.group.wording import say_count
from bids_msvol.stats.design import INTERCEPT, treatment_columns
from bids_msvol.stats.regression import fit_ols

if TYPE_CHECKING:
    from bids_msvol.group.plan import HeadSize
    from bids_msvol.group.study import Study

Floats = NDArray[np.float64]

COVARIATES = ("etiv_ml", "age", "sex", "site")
"""What volumes may be adjusted for, in the order in which they are taken in while persons are enough."""

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
        What volumes are adjusted for: those of ``COVARIATES`` that the data allow.
    limits
        Who and what was left out, as sentences.
    """

    table: pd.DataFrame
    groups: tuple[str, ...]
    covariates: Covariates
    limits: tuple[str, ...]


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
    unknown = say_unknown_group(table["group"])
    table = table[table["group"].notna()]
    later = int((first.loc[table.index, "years"] > 0.0).sum())
    said = f"The first usable scan of {later} of {say_count(len(table), 'person')} is later than the baseline."
    unknown = (*unknown, *((said,) if later else ()))
    groups = tuple(name for name in study.groups() if (table["group"] == name).any())
    covariates = choose_covariates(table, COVARIATES, table["group"])
    return Scans(table, groups, covariates, (*unknown, *covariates.notes))


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
