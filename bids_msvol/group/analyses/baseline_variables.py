# SPDX-License-Identifier: Apache-2.0
"""What is known of each person at the first session (baseline_groups, yearly_course): variables and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from bids_msvol.group.people import is_control
from bids_msvol.group.study import DAYS_PER_YEAR

if TYPE_CHECKING:
    from bids_msvol.group.study import Study

Scale = Literal["mean", "rank", "category"]
"""Which test is primary: of means, of ranks (grades, counts, and what has a long tail), or of shares."""

MM3_PER_ML = 1000.0

YEAR_BEFORE_DAYS = DAYS_PER_YEAR
"""Relapses so long before the first session are those of the year before it."""

MOST_LEVELS = 40
"""A text column with more values than this is no category."""


@dataclass(frozen=True)
class Variable:
    """One variable of the table.

    Attributes
    ----------
    name
        In the tables of results.
    label
        For readers, without the unit.
    unit
        Empty for none.
    scale
        Decides on the primary test, before the data are seen.
    """

    name: str
    label: str
    unit: str
    scale: Scale


NUMERIC = (
    Variable("age", "Age", "years", "mean"),
    Variable("onset_age", "Age at onset", "years", "mean"),
    Variable("disease_duration", "Disease duration", "years", "mean"),
    Variable("education_years", "Education", "years", "mean"),
    Variable("n_prior_dmt", "Previous disease-modifying therapies", "", "rank"),
    Variable("relapses_year_before", "Relapses in the year before", "", "rank"),
    Variable("edss", "EDSS", "", "rank"),
    Variable("new_t2", "New T2 lesions", "", "rank"),
    Variable("gd", "Gadolinium-enhancing lesions", "", "rank"),
    Variable("t2_count", "T2 lesions", "", "rank"),
    Variable("lesion_volume_ml", "Lesion volume", "mL", "rank"),
    Variable("sdmt", "SDMT", "points", "mean"),
    Variable("pasat", "PASAT", "points", "mean"),
    Variable("nhpt", "Nine-hole peg test", "s", "rank"),
    Variable("t25fw", "Timed 25-foot walk", "s", "rank"),
    Variable("rnfl_um", "Retinal nerve fibre layer", "um", "mean"),
    Variable("gcipl_um", "Ganglion cell-inner plexiform layer", "um", "mean"),
    Variable("etiv_ml", "Intracranial volume (eTIV)", "mL", "mean"),
    Variable("whole_brain_pct_etiv", "Whole brain", "% of eTIV", "mean"),
    Variable("cord_c2c3_mm2", "Cord area C2-C3", "mm^2", "mean"),
)
"""Numbers, in the order of the table."""

CATEGORIES = (
    Variable("sex", "Sex", "", "category"),
    Variable("phenotype", "Phenotype", "", "category"),
    Variable("treatment", "Treatment", "", "category"),
    Variable("site", "Site", "", "category"),
)
"""Text, in the order of the table; sex stands before all others."""

OF_DISEASE = frozenset(
    ("onset_age", "disease_duration", "n_prior_dmt", "relapses_year_before", "edss", "new_t2", "gd", "t2_count",
     "lesion_volume_ml")
)  # fmt: skip
"""What healthy controls do not have: nothing is said or compared of theirs, whatever the tables hold."""

LABELS_OF_GROUPS = frozenset(("group", "phenotype", "treatment"))
"""Text that says much the same as the groups; where one follows from the other, a test would only tell how groups were
made."""

FROM_SESSION = ("edss", "new_t2", "gd", "t2_count", "sdmt", "pasat", "nhpt", "t25fw", "rnfl_um", "gcipl_um")


@dataclass(frozen=True, eq=False)
class Baseline:
    """Everybody at the first session.

    Attributes
    ----------
    values
        By ``participant_id``: ``group``, ``is_control`` and a column for each variable, NaN or ``None`` for what is not
        known, and for what healthy controls do not have.
    variables
        Those of which anybody has a value, in the order of the table.
    absent
        Those of which nobody has a value.
    notes
        How values were taken, where that is not plain: sentences.
    """

    values: pd.DataFrame
    variables: tuple[Variable, ...]
    absent: tuple[Variable, ...]
    notes: tuple[str, ...]


def baseline_rows(study: Study) -> pd.Series[Any]:
    """Return the number of the first session of each person, by ``participant_id``; undated people have none.

    It is the first session that counts: after a new baseline, where the plan asks for one.
    """
    dated = study.sessions[study.sessions["years"] >= 0.0].sort_values(["participant_id", "years"], kind="stable")
    first = dated.drop_duplicates("participant_id")
    return pd.Series(first.index, index=pd.Index(first["participant_id"]))


def relapses_before(study: Study, rows: pd.Series[Any]) -> tuple[pd.Series[float], str]:
    """Return the relapses in the year before the first session by person, and a note where they are not known.

    They are known if relapses were recorded and any of anybody began before the first session. Healthy controls have
    none to count, and people without a dated session no year before it: both are missing.
    """
    counts = pd.Series(np.nan, index=study.persons.index, dtype=float)
    if study.relapses is None:
        return counts, "Relapses were not recorded."
    onsets = study.relapses.dropna(subset=["days"])
    onsets = onsets[onsets["participant_id"].isin(rows.index)]
    first = study.sessions.loc[rows.loc[onsets["participant_id"]], "days"].to_numpy(dtype=float)
    since = onsets["days"].to_numpy(dtype=float) - first
    if not (since < 0.0).any():
        return counts, "No relapse before anybody's first session is recorded: those before are taken as not recorded."
    within = onsets["participant_id"][(since <= 0.0) & (since >= -YEAR_BEFORE_DAYS)]
    patients = rows.index.intersection(study.persons.index[~is_control(study)])
    counts[patients] = 0.0
    found = within[within.isin(patients)].value_counts()
    counts[found.index] = found.astype(float)
    return counts, ""


def take_baseline(study: Study) -> Baseline:
    """Return what is known of everybody at the first session.

    Age at onset and disease duration follow from one another and the age: where one is not given it is computed.
    """
    rows = baseline_rows(study)
    persons = study.persons
    first = study.sessions.loc[rows].set_axis(rows.index)[
        [*FROM_SESSION, "age", "disease_duration", "lesion_volume_mm3"]
    ]
    values = first.astype(float).reindex(persons.index)
    notes = []
    for name in ("age", "disease_duration"):
        values[name] = values[name].fillna(persons[name].astype(float))
    onset = persons["onset_age"].astype(float)
    computed = (values["age"] - values["disease_duration"]).where(onset.isna())
    values["disease_duration"] = values["disease_duration"].fillna(values["age"] - onset)
    values["onset_age"] = onset.fillna(computed)
    control = is_control(study)
    if computed[~control].notna().any():
        count = int(computed[~control].notna().sum())
        notes.append(f"Age at onset is age less disease duration where it was not given ({count}).")
    values["relapses_year_before"], note = relapses_before(study, rows)
    notes += [note] if note else []
    values["lesion_volume_ml"] = values.pop("lesion_volume_mm3") / MM3_PER_ML
    values["etiv_ml"] = persons["etiv_mm3"].astype(float) / MM3_PER_ML
    brain = study.volumes_mm3["WholeBrain"].reindex(rows).set_axis(rows.index).reindex(persons.index)
    values["whole_brain_pct_etiv"] = 100.0 * brain.astype(float) / persons["etiv_mm3"].astype(float)
    if "C2-C3" in study.cord_mm2:
        cord = study.cord_mm2["C2-C3"].reindex(rows).set_axis(rows.index)
        values["cord_c2c3_mm2"] = cord.astype(float).reindex(persons.index)
    for name in ("education_years", "n_prior_dmt"):
        values[name] = persons[name].astype(float)
    for variable in CATEGORIES:
        if variable.name in persons:
            column = persons[variable.name].astype(object)
            values[variable.name] = column.where(column.notna(), None)
    values["group"] = persons["group"]
    values["is_control"] = control
    values.loc[control, sorted(OF_DISEASE)] = np.nan
    order = (CATEGORIES[0], *NUMERIC, *(one for one in CATEGORIES[1:] if one.name != study.group_name))
    known = tuple(one for one in order if one.name in values and _is_of_use(values[one.name], one))
    return Baseline(values, known, tuple(one for one in order if one not in known), tuple(notes))


def _is_of_use(values: pd.Series[Any], variable: Variable) -> bool:
    return bool(values.notna().any()) and (variable.scale != "category" or values.nunique() <= MOST_LEVELS)
