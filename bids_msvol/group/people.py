# SPDX-License-Identifier: Apache-2.0
"""Who takes part: patients, healthy controls, groups, and people whose group is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.grouping import EVERYBODY
from bids_msvol.group.wording import say_count

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.study import Study


@dataclass(frozen=True)
class Patients:
    """Who takes part where patients are compared.

    Attributes
    ----------
    group
        By ``participant_id``: the group, missing for controls and for those whose group is not known.
    groups
        Groups with at least one patient, in the order of the study. Where its reference has none, the largest of these
        groups stands first.
    limits
        Sentences on who does not take part.
    """

    group: pd.Series[Any]
    groups: tuple[str, ...]
    limits: tuple[str, ...]

    @property
    def reference(self) -> str | None:
        """The group that others are compared with; ``None`` if there is one group only."""
        return self.groups[0] if len(self.groups) > 1 else None

    def of(self, names: pd.Series[Any]) -> NDArray[np.object_]:
        """Return the group of each participant named, ``None`` where missing."""
        labels = self.group.reindex(names).astype(object)
        return np.asarray(labels.where(labels.notna(), None), dtype=object)


def is_control(study: Study) -> pd.Series[bool]:
    """Return who is a healthy control, by ``participant_id``."""
    found: pd.Series[bool] = study.persons["is_control"].fillna(False).astype(bool)
    return found


def find_patients(study: Study) -> Patients:
    """Return who takes part where patients are compared: healthy controls do not."""
    control = is_control(study)
    group = study.persons["group"].astype(object)
    limits = list(say_unknown_group(group[~control]))
    group = group.where(group.notna() & ~control, None)
    present = set(group.dropna())
    if control.any():
        said = say_count(int(control.sum()), "healthy control")
        limits.insert(0, f"{said} left out: lesions and events of disease are those of patients.")
    groups = [name for name in study.groups() if name in present]
    reference = study.reference_group()
    if len(groups) > 1 and reference not in groups:
        # The largest makes the most certain comparisons; the first by its name may be a handful.
        sizes = group.value_counts()
        largest = max(groups, key=lambda name: int(sizes[name]))
        groups = [largest, *(name for name in groups if name != largest)]
        limits.append(
            f"Groups are compared with {largest}, the largest group of patients (n = {sizes[largest]}): {reference}, "
            "the reference of the study, takes no part."
        )
    return Patients(group, tuple(groups), tuple(limits))


def say_unknown_group(groups: pd.Series[Any]) -> tuple[str, ...]:
    """Say of how many persons (person,) the group is missing; nothing if of none."""
    unknown = int(groups.isna().sum())
    return (f"{say_count(unknown, 'person')} of unknown group left out of groups and their comparison.",) * bool(
        unknown
    )


def say_unscanned(study: Study, persons: pd.Index[Any]) -> tuple[str, ...]:
    """Say how many of these persons have no usable scan at the baseline; nothing if all have one, or none."""
    scanned = study.sessions[(study.sessions["years"] == 0.0) & study.sessions["has_scan"]]["participant_id"]
    without = int((~persons.isin(scanned)).sum())
    if without in (0, len(persons)):
        return ()
    have = "has" if without == 1 else "have"
    return (f"{without} of {say_count(len(persons), 'person')} {have} no usable scan at the baseline.",)


def with_everybody(groups: tuple[str, ...]) -> tuple[str, ...]:
    """Return everybody together and each group; everybody alone if there is one group only."""
    return (EVERYBODY, *groups) if len(groups) > 1 else (EVERYBODY,)


def is_among(labels: Any, group: str) -> Any:
    """Return which of the labels (person or row,) belong to a group; all do to everybody.

    The kind of what is returned follows that of the labels: an array or a series of truth values.
    """
    return (labels == group) | (group == EVERYBODY)
