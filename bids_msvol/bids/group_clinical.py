# SPDX-License-Identifier: Apache-2.0
"""The clinical tables of a cohort as the frames that the group level works on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from bids_msvol.group.tables import LESION_COUNTS, SCALES

if TYPE_CHECKING:
    from bids_msvol.bids.clinical_records import ClinicalSession, Cohort

PERSON_TEXTS = ("sex", "group", "phenotype", "treatment", "site")
PERSON_NUMBERS = ("age", "onset_age", "disease_duration", "n_prior_dmt", "education_years")


def person_frame(cohort: Cohort, ids: Sequence[str]) -> pd.DataFrame:
    """Return one row for each participant of a list, those without a row in the table with nothing known."""
    known = {person.participant_id: person for person in cohort.persons}
    rows = [known.get(name) for name in ids]
    texts = {name: pd.Series([getattr(row, name, None) for row in rows], dtype=object) for name in PERSON_TEXTS}
    numbers = {name: [_number(getattr(row, name, None)) for row in rows] for name in PERSON_NUMBERS}
    return pd.DataFrame({**texts, **numbers}).set_index(pd.Index(list(ids), name="participant_id", dtype=object))


def session_values(session: ClinicalSession | None) -> dict[str, object]:
    """Return the clinical columns of a session; NaN, false and empty text where there is nothing."""
    values: dict[str, object] = {
        "days": _number(session.days if session else None),
        "age": _number(session.age if session else None),
        **{scale: _number(session.on_scale(scale) if session else None) for scale in SCALES},
        **{f"{name}_clinic": _number(getattr(session, name, None)) for name in LESION_COUNTS},
        "rnfl_um": _eyes(session, "rnfl"),
        "gcipl_um": _eyes(session, "gcipl"),
        "steroid_days_before": _number(session.steroid_days_before if session else None),
        "exclude": bool(session is not None and session.exclude),
        "exclude_reason": (session.exclude_reason or "") if session else "",
    }
    return values


def visit_frame(cohort: Cohort) -> pd.DataFrame:
    """Return all clinical visits whose day is known."""
    rows = [
        {
            "participant_id": visit.participant_id,
            "days": visit.days,
            **{scale: _number(visit.on_scale(scale)) for scale in SCALES},
        }
        for visit in cohort.visits
        if visit.days is not None
    ]
    return pd.DataFrame(rows, columns=["participant_id", "days", *SCALES]).astype(
        dict.fromkeys(("days", *SCALES), float)
    )


def relapse_frame(cohort: Cohort) -> pd.DataFrame | None:
    """Return all relapses; ``None`` if they were not recorded."""
    if cohort.relapses is None:
        return None
    rows = [(one.participant_id, _number(one.days), bool(one.steroids)) for one in cohort.relapses]
    return pd.DataFrame(rows, columns=["participant_id", "days", "steroids"]).astype({"days": float, "steroids": bool})


def treatment_frame(cohort: Cohort) -> pd.DataFrame | None:
    """Return all treatments; ``None`` if they were not recorded."""
    if cohort.treatments is None:
        return None
    rows = [(one.participant_id, one.drug, _number(one.start_days), _number(one.end_days)) for one in cohort.treatments]
    columns = ["participant_id", "drug", "start_days", "end_days"]
    return pd.DataFrame(rows, columns=columns).astype({"start_days": float, "end_days": float})


def _eyes(session: ClinicalSession | None, name: str) -> float:
    """Return the mean thickness of the eyes that had no optic neuritis: it thins them whatever the brain does."""
    if session is None:
        return math.nan
    sides = [
        float(value)
        for side in ("od", "os")
        if (value := getattr(session, f"{name}_{side}")) is not None and not getattr(session, f"on_{side}")
    ]
    return sum(sides) / len(sides) if sides else math.nan


def _number(value: float | int | None) -> float:
    return math.nan if value is None else float(value)
