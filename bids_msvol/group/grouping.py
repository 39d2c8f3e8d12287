# SPDX-License-Identifier: Apache-2.0
"""Which column makes the groups, who is a healthy control, and in which order groups are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from bids_msvol.errors import UsageError

if TYPE_CHECKING:
    from bids_msvol.group.plan import Groups

CANDIDATES = ("treatment", "group", "phenotype")
"""Columns tried for ``auto``, in this order."""

EVERYBODY = "all"
"""The group of everybody where there is one group only."""


def make_groups(persons: pd.DataFrame, measured: pd.Index[Any], plan: Groups) -> tuple[pd.Series[Any], str]:
    """Return the group of each person as a categorical, the reference first, and the column that made them.

    Parameters
    ----------
    persons
        By ``participant_id``.
    measured
        Participants with volumes or cord areas: groups are made for those.
    plan
        What the user asked for.

    Raises
    ------
    UsageError
        If the plan names a column or a group that does not exist.
    """
    column = _choose_column(persons, measured, plan)
    if column == EVERYBODY:
        labels = pd.Series(EVERYBODY, index=persons.index, dtype=object)
    else:
        labels = persons[column].astype(object).where(persons[column].notna(), None)
        # Treatments are for patients: healthy controls, who have none, stay a group of their own.
        controls = find_controls(persons, plan)
        if column == "treatment" and controls.any():
            labels = labels.mask(controls & labels.isna(), "HC")
    known = sorted({str(label) for label in labels.dropna()})
    order = _order(known, plan)
    texts = labels.map(lambda one: one if one is None else str(one))
    return pd.Series(pd.Categorical(texts, order), persons.index), column


def find_controls(persons: pd.DataFrame, plan: Groups) -> pd.Series[bool]:
    """Return who is a healthy control, by any of the columns ``group`` and ``phenotype``; capitals do not matter."""
    found = pd.Series(False, index=persons.index)
    for column in ("group", "phenotype"):
        found |= persons[column].map(lambda label: _is_control(label, plan)).astype(bool)
    return found


def _choose_column(persons: pd.DataFrame, measured: pd.Index[Any], plan: Groups) -> str:
    if plan.by != "auto":
        if plan.by not in persons:
            raise UsageError(
                f"there is no column {plan.by!r} of participants",
                remedy=f"Use one of {', '.join(persons.columns)}",
                subject="groups.by",
            )
        if not persons[plan.by].notna().any():
            raise UsageError(
                f"nobody has a value in the column {plan.by!r} of participants",
                remedy="Fill it in, or name another column",
                subject="groups.by",
            )
        return plan.by
    among = persons.loc[persons.index.isin(measured)] if len(measured) else persons
    for column in CANDIDATES:
        if among[column].nunique() > 1:
            return column
    return EVERYBODY


def _order(known: list[str], plan: Groups) -> list[str]:
    for name, setting in (*((name, "groups.order") for name in plan.order), (plan.reference, "groups.reference")):
        if name and name not in known:
            raise UsageError(
                f"there is no group {name!r}", remedy=f"The groups are {', '.join(known)}", subject=setting
            )
    ordered = [*plan.order, *(name for name in known if name not in plan.order)]
    reference = plan.reference or next((name for name in ordered if _is_control(name, plan)), ordered[0])
    return [reference, *(name for name in ordered if name != reference)]


def _is_control(label: object, plan: Groups) -> bool:
    return isinstance(label, str) and label.casefold() in {name.casefold() for name in plan.controls}
