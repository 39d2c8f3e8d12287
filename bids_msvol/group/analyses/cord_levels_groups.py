# SPDX-License-Identifier: Apache-2.0
"""The groups of cord_levels: phenotypes, with early and late RRMS apart, or the groups of the study."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from bids_msvol.group.wording import say_count

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

EARLY_YEARS = 5.0
"""RRMS is early up to this disease duration at the first cord area: the limit of Rocca et al. 2019, Neurology
93:e1852-e1866."""

LEAST_KNOWN = 0.5
"""Phenotypes make the groups if they are known of at least this share of people with cord areas; RRMS is split if the
duration is known of this share of those who have it. Otherwise most people would be left out."""

CONTROLS, CIS, RRMS, SPMS, PPMS = "HC", "CIS", "RRMS", "SPMS", "PPMS"
EARLY, LATE = "early RRMS", "late RRMS"

ORDER = (CONTROLS, "RIS", CIS, EARLY, LATE, RRMS, SPMS, PPMS)
"""Phenotypes in the order in which they are shown; others follow."""

MOST_PAIRED = 5
"""All pairs of groups that are not phenotypes are compared up to so many groups; above, each with the reference."""


@dataclass(frozen=True)
class Comparison:
    """Two sets of groups that are compared; several groups on a side stand for their mean, weighted by persons.

    Attributes
    ----------
    name
        Such as ``late RRMS - early RRMS``.
    lower
        Groups that are subtracted.
    upper
        Groups from which they are.
    """

    name: str
    lower: tuple[str, ...]
    upper: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CordGroups:
    """Who is in which group.

    Attributes
    ----------
    of_person
        Group by ``participant_id``, ``None`` if not known; of persons with cord areas.
    order
        Groups in which there is anybody, as they are shown; the first is the reference.
    patients
        Those that are not healthy controls.
    by_phenotype
        Whether phenotypes make the groups.
    comparisons
        What is compared, apart from all groups together.
    notes
        How the groups were made, and who is in none.
    """

    of_person: pd.Series[Any]
    order: tuple[str, ...]
    patients: frozenset[str]
    by_phenotype: bool
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]

    @property
    def reference(self) -> str | None:
        """The group that others are compared with; ``None`` if there is one group only."""
        return self.order[0] if len(self.order) > 1 else None


def make_cord_groups(study: Study, plan: Plan) -> CordGroups:
    """Make the groups of persons with cord areas.

    Phenotypes make them if at least two occur, unless the plan names another column.
    """
    measured = study.sessions.loc[study.cord_mm2.dropna(how="all").index]
    persons = study.persons.loc[study.persons.index.isin(measured["participant_id"])]
    wanted = plan.groups.by in ("auto", "phenotype")
    labels, notes = _phenotypes(persons, _durations(persons, measured)) if wanted else (None, [])
    by_phenotype = labels is not None
    if labels is None:
        labels = persons["group"].astype(object)
        ordered = list(study.groups())
        notes = [f"The groups are those of the column {study.group_name}."] if len(ordered) > 1 else []
    else:
        found = sorted(set(labels.dropna()))
        ordered = [name for name in ORDER if name in found] + [name for name in found if name not in ORDER]
    labels = labels.where(labels.notna(), None)
    present = set(labels.dropna())
    order = tuple(name for name in ordered if name in present)
    unknown = int(labels.isna().sum())
    if unknown:
        notes.append(f"{say_count(unknown, 'person')} with cord areas could not be put into a group and are left out.")
    healthy = set(labels[persons["is_control"]].dropna()) - set(labels[~persons["is_control"]].dropna())
    return CordGroups(
        of_person=labels,
        order=order,
        patients=frozenset(present - healthy),
        by_phenotype=by_phenotype,
        comparisons=_comparisons(order, by_phenotype=by_phenotype),
        notes=tuple(notes),
    )


def _durations(persons: pd.DataFrame, measured: pd.DataFrame) -> pd.Series[Any]:
    """Return the disease duration of each person at the first cord area, in years."""
    first = measured.drop_duplicates("participant_id").set_index("participant_id")["disease_duration"].astype(float)
    return first.reindex(persons.index).fillna(persons["disease_duration"].astype(float))


def _phenotypes(persons: pd.DataFrame, durations: pd.Series[Any]) -> tuple[pd.Series[Any] | None, list[str]]:
    """Return the phenotype of each person with RRMS split, and what to say of it; ``None`` if they make no groups."""
    labels = persons["phenotype"].astype(object).where(persons["phenotype"].notna(), None)
    labels = labels.mask(persons["is_control"].astype(bool), CONTROLS)
    if labels.nunique() < 2 or labels.notna().mean() < LEAST_KNOWN:
        return None, []
    relapsing = labels == RRMS
    if not relapsing.any():
        return labels, ["The groups are the phenotypes."]
    if durations[relapsing].notna().mean() < LEAST_KNOWN:
        return labels, [
            "The groups are the phenotypes; the disease duration of RRMS is not known well enough to split it."
        ]
    labels = labels.mask(relapsing & (durations <= EARLY_YEARS), EARLY).mask(
        relapsing & (durations > EARLY_YEARS), LATE
    )
    lost = int((relapsing & durations.isna()).sum())
    labels = labels.mask(relapsing & durations.isna(), None)
    notes = [f"The groups are the phenotypes; RRMS is early up to {EARLY_YEARS:g} years of disease duration."]
    if lost:
        notes.append(f"{say_count(lost, 'person')} with RRMS of unknown duration are neither early nor late.")
    return labels, notes


def _comparisons(order: tuple[str, ...], *, by_phenotype: bool) -> tuple[Comparison, ...]:
    if len(order) < 2:
        return ()
    pairs: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((order[0],), (other,)) for other in order[1:]]
    if by_phenotype:
        relapsing = tuple(name for name in (EARLY, LATE, RRMS) if name in order)
        steps: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
            ((CIS,), (EARLY,)),
            ((EARLY,), (LATE,)),
            (relapsing, (SPMS,)),
            (relapsing, (PPMS,)),
            ((PPMS,), (SPMS,)),
        ]
        pairs += [(low, high) for low, high in steps if low and {*low, *high} <= set(order)]
    elif len(order) <= MOST_PAIRED:
        pairs += [((one,), (other,)) for one, other in combinations(order[1:], 2)]
    named = {f"{_side(high)} - {_side(low)}": (low, high) for low, high in pairs}
    return tuple(Comparison(name, low, high) for name, (low, high) in named.items())


def _side(groups: tuple[str, ...]) -> str:
    return groups[0] if len(groups) == 1 else RRMS
