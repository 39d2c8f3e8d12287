# SPDX-License-Identifier: Apache-2.0
"""Years with and without activity compared with persons as units: a permutation of persons, and a mixed model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.checks import say_shape
from bids_msvol.group.wording import say_count
from bids_msvol.stats.design import INTERCEPT, treatment_columns
from bids_msvol.stats.mixed_model import fit_mixed
from bids_msvol.stats.rank import permute_persons
from bids_msvol.stats.regression import fit_ols

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan

MOST_PERMUTED = 500
"""Persons up to whom they are permuted. With more, the mixed model, which then no longer leans on normal errors, is the
person-level test: memory and time of the permutation grow with their square."""

_ACTIVE = "active"
"""Name of the column of the model that marks intervals with activity."""


def person_level_cells(
    values: NDArray[np.float64],
    active: NDArray[np.bool_],
    persons: NDArray[np.str_],
    groups: NDArray[np.object_],
    plan: Plan,
) -> tuple[dict[str, object], list[str]]:
    """Compare intervals with and without activity by a permutation of persons, and by a model with persons as random.

    Where there is more than one group, persons are exchanged within groups, and the model has the groups as fixed.

    Parameters
    ----------
    values
        (interval,) change.
    active
        (interval,) whether there was activity.
    persons, groups
        (interval,) whose it is, and that person's group.
    plan
        The choices.

    Returns
    -------
    cells : dict
        Of the table.
    warnings : list
        For its last column.
    """
    row: dict[str, object] = {}
    warnings = []
    columns = {INTERCEPT: np.ones(len(values)), _ACTIVE: active.astype(float)} | treatment_columns("group", groups)
    within = len(columns) > 2
    count, level = len(np.unique(persons)), plan.statistics.level
    model = "least squares" if count == len(persons) else "mixed model"
    try:
        if count == len(persons):
            plain = fit_ols(values, columns, level=level)
            estimate, residuals = plain.contrast({_ACTIVE: 1.0}), plain.residuals
            warnings.append("one interval a person: least squares in place of the mixed model")
        else:
            mixed = fit_mixed(values, columns, persons, level=level)
            estimate, residuals = mixed.contrast({_ACTIVE: 1.0}), mixed.residuals
            row |= {"icc": mixed.icc, "singular": "yes" if mixed.singular else "no"}
        row |= {
            "difference": estimate.value,
            "se": estimate.se,
            "ci_lo": estimate.low,
            "ci_hi": estimate.high,
            "df": estimate.df,
            "p_mixed": estimate.p,
            "assumptions": f"residuals of the model: {say_shape(residuals)}",
        }
    except ValueError as error:
        warnings.append(f"no person-level model: {error}")
    if count <= MOST_PERMUTED:
        try:
            found = permute_persons(
                values,
                active,
                persons,
                strata=groups if within else None,
                permutations=plan.statistics.permutations,
                seed=plan.statistics.seed,
            )
        except ValueError as error:
            warnings.append(f"no permutation: {error}")
        else:
            if found.n_exchanged < found.n_persons:
                warnings.append(f"{say_count(found.n_persons - found.n_exchanged, 'person')} cannot be exchanged")
            test = f"permutation of persons{' within groups' if within else ''}"
            return row | {"p": found.p, "test": test, "n_exchanged": found.n_exchanged}, warnings
    test = f"{model}{' with groups' if within else ''}"
    return row | {"p": row.get("p_mixed"), "test": test}, warnings
