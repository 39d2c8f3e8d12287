# SPDX-License-Identifier: Apache-2.0
"""Everything that the group level reads: the clinical tables and what was measured, brought together by session."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from bids_msvol.bids.clinical import read_cohort
from bids_msvol.bids.clinical_checks import Finding, check_cohort
from bids_msvol.bids.cord_tables import SOURCES
from bids_msvol.bids.given import FASTSURFER, FREESURFER, SAMSEG, SCT, VOLUME_ENGINES
from bids_msvol.bids.group_clinical import person_frame, relapse_frame, session_values, treatment_frame, visit_frame
from bids_msvol.bids.group_engines import read_sct_folder, read_stats_folder
from bids_msvol.bids.group_measured import (
    IMAGE_COUNTS,
    Key,
    Measured,
    choose_cord,
    drop_impossible,
    read_measured,
    session_keys,
)
from bids_msvol.bids.tabular import MISSING
from bids_msvol.clinical.definitions import find_definition
from bids_msvol.errors import NothingSelectedError, UsageError
from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.tables import StudyTables
from bids_msvol.structures import ETIV_NAME

if TYPE_CHECKING:
    from bids_msvol.bids.clinical_records import ClinicalSession, Cohort
    from bids_msvol.config import Config

PROGRAMS = {FREESURFER: "FreeSurfer", FASTSURFER: "FastSurfer", SAMSEG: "SAMSEG"}


@dataclass(frozen=True, eq=False)
class GroupInput:
    """What was read for the group level.

    Attributes
    ----------
    tables
        The data.
    findings
        What is wrong or doubtful in the clinical tables.
    problems
        Files that could not be used, as sentences.
    """

    tables: StudyTables
    findings: tuple[Finding, ...]
    problems: tuple[str, ...]


def read_group_input(config: Config, definition: str) -> GroupInput:
    """Read the clinical tables and the measurements of a cohort.

    Volumes come from a folder of FreeSurfer, FastSurfer or SAMSEG if one is given, else from the participant level of
    this program in the output folder; the two are not mixed. Cord areas come from Spinal Cord Toolbox if a folder of
    its tables is given.

    Parameters
    ----------
    config
        The run.
    definition
        Name of the definition of progression, for the checks of the clinical tables.

    Raises
    ------
    UsageError
        If volumes of several programs are given.
    NothingSelectedError
        If there is nobody.
    MSVolError
        If a clinical table cannot be used.
    """
    engines = [name for name in VOLUME_ENGINES if name in config.derivatives]
    if len(engines) > 1:
        raise UsageError(
            f"volumes of {' and '.join(engines)} are given", remedy="Give those of one program", subject="--derivatives"
        )
    cohort = read_cohort(config.bids_dir, config.clinical_dir, config.clinical_map)
    findings = check_cohort(cohort, find_definition(definition))
    found = read_measured(config.output_dir, with_volumes=not engines, with_cord=SCT not in config.derivatives)
    sources = ["Volumes were measured by the participant level."] if found.volumes else []
    if engines:
        programs = read_stats_folder(found, config.derivatives[engines[0]], _sessions_by_person(cohort, found))
        sources = [f"Volumes were measured by {'; '.join(programs)}."]
        if len(programs) > 1:
            sources.append("Volumes of different versions or streams do not compare: better analyse those of one.")
    if SCT in config.derivatives:
        read_sct_folder(found, config.derivatives[SCT])
    tables = _bring_together(cohort, found, config, sources)
    return GroupInput(tables, findings, tuple(str(error) for error in found.problems))


def _bring_together(cohort: Cohort, found: Measured, config: Config, sources: list[str]) -> StudyTables:
    clinical, unplaced = _clinical_sessions(cohort, found)
    _check_labels(config, {*clinical, *session_keys(found), *((one.participant_id, "") for one in cohort.persons)})
    keys = sorted(key for key in {*clinical, *session_keys(found)} if _is_wanted(key, config))
    ids = sorted(
        {
            *(name for name, _ in keys),
            *(person.participant_id for person in cohort.persons if _is_wanted((person.participant_id, ""), config)),
        }
    )
    if not ids:
        raise NothingSelectedError(
            "no participant to analyse",
            remedy="Check the labels, and that the participant level ran or --derivatives names results",
            subject=config.output_dir,
        )
    impossible = drop_impossible(found)
    rows = [_session_row(key, clinical.get(key), found.sessions.get(key, {})) for key in keys]
    numbers = {key: number for number, key in enumerate(keys)}
    cord, cord_source, other_cord = choose_cord(found)
    if cord_source:
        sources.append(f"Cord areas: {SOURCES[cord_source]}.")
    notes = [*sources, *impossible]
    if unplaced:
        notes.append(
            f"What participants.tsv says of a session of {unplaced} persons is not used: they have several, and it "
            "does not say which."
        )
    if other_cord:
        notes.append(
            f"{other_cord} sessions have cord areas only from other images; areas of different images are not mixed."
        )
    if borrowed := _borrow_days(rows, found, keys):
        notes.append(
            f"Days of {borrowed} persons come from the dates of their images: their day 0 is the first image, and must "
            "be so in the other tables."
        )
    if borrowed := _days_from_ages(rows):
        notes.append(
            f"Days of {borrowed} persons come from their ages at the sessions, and are as rough as these: nothing else "
            "says when the sessions were."
        )
    if assumed := [name for name in cohort.assumed_day_zero if name in ids]:
        notes.append(
            f"Of {len(assumed)} persons (first: {assumed[0]}) sessions have dates and other tables have days: day 0 "
            "was taken to be the date of the first session."
        )
    visits, relapses, treatments = visit_frame(cohort), relapse_frame(cohort), treatment_frame(cohort)
    return StudyTables(
        persons=person_frame(cohort, ids),
        sessions=pd.DataFrame(rows, columns=list(_session_row(("", ""), None, {}))),
        volumes_mm3=_frame(found.volumes, numbers).drop(columns=ETIV_NAME, errors="ignore"),
        cord_mm2=_frame(cord, numbers),
        thickness_mm=_frame(found.thickness, numbers, ("lh", "rh", "mean")),
        change_mm3=_pairs(found.change_mm3, numbers),
        change_pct=_pairs(found.change_pct, numbers),
        visits=visits[visits["participant_id"].isin(ids)],
        relapses=None if relapses is None else relapses[relapses["participant_id"].isin(ids)],
        treatments=treatments,
        lesion_files={numbers[key]: one for key, one in found.lesions.items() if key in numbers},
        sources=tuple(sources),
        notes=tuple(notes),
    )


def _clinical_sessions(cohort: Cohort, found: Measured) -> tuple[dict[Key, ClinicalSession], int]:
    """Return the clinical data of each session, and of how many people they name no session of several.

    Where the dataset has no sessions, what it says is about the only one that was measured, however that is called.
    """
    measured: dict[str, list[str]] = {}
    for name, label in session_keys(found):
        measured.setdefault(name, []).append(label)
    clinical: dict[Key, ClinicalSession] = {}
    unplaced = 0
    for one in cohort.sessions:
        labels = [one.session_id or MISSING]
        if labels == [MISSING]:
            labels = measured.get(one.participant_id, labels)
        if len(labels) == 1:
            clinical[one.participant_id, labels[0]] = one
        else:
            unplaced += 1
    return clinical, unplaced


def _check_labels(config: Config, known: Set[Key]) -> None:
    """Refuse labels that nobody has: fewer people than were asked for must not go unnoticed."""
    if not known:
        return
    people = {name.removeprefix("sub-") for name, _ in known}
    wanted = set(config.participant_labels) or people
    sessions = {label.removeprefix("ses-") for name, label in known if name.removeprefix("sub-") in wanted}
    for labels, present, prefix, what in (
        (config.participant_labels, people, "sub-", "tables and results"),
        (config.session_labels, sessions - {"", MISSING}, "ses-", "sessions of these participants"),
    ):
        missing = [f"{prefix}{label}" for label in labels if label not in present]
        if missing:
            given = sorted(f"{prefix}{label}" for label in present)
            raise NothingSelectedError(
                f"{_listed(missing)} not found among the {what}",
                remedy=f"Give labels among {_listed(given)}"
                if given
                else "Leave the option out: there are no sessions",
                subject="--participant-label" if prefix == "sub-" else "--session-label",
            )


def _listed(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _session_row(key: Key, session: ClinicalSession | None, measured: Mapping[str, object]) -> dict[str, object]:
    values = {"participant_id": key[0], "session_id": key[1], **session_values(session)}
    counted = {name: measured.get(name, math.nan) for name in IMAGE_COUNTS if name != "days"}
    return {**values, **counted, "verdict": measured.get("verdict", MISSING)}


def _borrow_days(rows: Sequence[dict[str, object]], found: Measured, keys: Sequence[Key]) -> int:
    """Give sessions of people without any clinical day the days that their images have; return how many people."""
    dated = {row["participant_id"] for row in rows if not math.isnan(float(row["days"]))}  # type: ignore[arg-type]
    borrowed = set()
    for row, key in zip(rows, keys, strict=True):
        days = found.sessions.get(key, {}).get("days")
        if row["participant_id"] not in dated and days is not None:
            row["days"] = days
            borrowed.add(key[0])
    return len(borrowed)


def _days_from_ages(rows: Sequence[dict[str, object]]) -> int:
    """Give people with several sessions and no day at all the days that their ages tell; return how many people."""
    of_person: dict[object, list[dict[str, object]]] = {}
    for row in rows:
        of_person.setdefault(row["participant_id"], []).append(row)
    borrowed = 0
    for sessions in of_person.values():
        ages = [float(row["age"]) for row in sessions]  # type: ignore[arg-type]
        dated = any(not math.isnan(float(row["days"])) for row in sessions)  # type: ignore[arg-type]
        if len(sessions) < 2 or dated or any(math.isnan(age) for age in ages):
            continue
        borrowed += 1
        for row, age in zip(sessions, ages, strict=True):
            row["days"] = round((age - min(ages)) * DAYS_PER_YEAR)
    return borrowed


def _frame(
    values: Mapping[Key, Mapping[str, float]], numbers: Mapping[Key, int], columns: Sequence[str] = ()
) -> pd.DataFrame:
    known = {numbers[key]: row for key, row in values.items() if key in numbers}
    frame = pd.DataFrame.from_dict(known, orient="index", dtype=float)
    return frame.sort_index() if len(frame.columns) else pd.DataFrame(columns=list(columns), dtype=float)


def _pairs(values: Mapping[tuple[Key, Key], Mapping[str, float]], numbers: Mapping[Key, int]) -> pd.DataFrame | None:
    known = {
        (numbers[first], numbers[second]): row
        for (first, second), row in values.items()
        if first in numbers and second in numbers
    }
    if not known:
        return None
    index = pd.MultiIndex.from_tuples(list(known), names=["from_row", "to_row"])
    return pd.DataFrame(list(known.values()), index=index, dtype=float).sort_index()


def _sessions_by_person(cohort: Cohort, found: Measured) -> dict[str, list[str | None]]:
    sessions: dict[str, dict[str | None, None]] = {}
    # Clinical data that name no session do not say whether there is one: the folders do.
    named = ((one.participant_id, one.session_id) for one in cohort.sessions if one.session_id not in (None, MISSING))
    keys = [*named, *session_keys(found)]
    for name, session in keys:
        label = None if session == MISSING else session.removeprefix("ses-")
        sessions.setdefault(name.removeprefix("sub-"), {})[label] = None
    return {subject: list(labels) for subject, labels in sessions.items()}


def _is_wanted(key: Key, config: Config) -> bool:
    subject, session = key[0].removeprefix("sub-"), key[1].removeprefix("ses-")
    if config.participant_labels and subject not in config.participant_labels:
        return False
    return not (config.session_labels and session and session not in config.session_labels)
