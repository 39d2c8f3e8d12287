# SPDX-License-Identifier: Apache-2.0
"""Cord areas of a real cohort, patients against controls, from tables of the Spinal Cord Toolbox."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd

from benchmarks.claim import Findings, Options, Table, number, verdict
from bids_msvol.engines.sct import read_sct_table
from bids_msvol.group.analyses import cord_levels
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Plan
from bids_msvol.group.result import Analysis
from bids_msvol.group.study import DAYS_PER_YEAR, Study
from bids_msvol.group.tables import SCALES, StudyTables

DATA = "cord-csa"

LEVELS = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C2-C3", "C1-C7")

COUNTED = {"controls": 25, "patients": 21, "sessions": 70, "persons with two sessions": 24}
"""Who is in the data."""

EXPECTED: Mapping[str, tuple[float, float | None]] = {
    "C1": (-3.2, 0.13), "C2": (-2.6, 0.18), "C3": (-4.0, 0.054), "C4": (-1.0, None), "C5": (-0.8, None),
}  # fmt: skip
"""Patients less controls, mm2, and its p value, by another program (random intercept, adjusted for age and sex)."""

EXPECTED_WITHIN_SD_MM2 = 0.94
"""Standard deviation of the areas of one person at C2-C3 in two sessions, by the same program."""

DIFFERENCE_TOLERANCE_MM2, P_TOLERANCE, SD_TOLERANCE_MM2 = 0.2, 0.02, 0.05
"""How near the figures must be: the others were printed with few digits, and adjusted for the age at each session."""

NO_COUNTS = ("new_t2", "enlarging_t2", "gd", "t2_count")


@dataclass(frozen=True)
class Repeats:
    """How the two sessions of persons agree: persons, standard deviation within them (mm2), and its share (%)."""

    persons: int
    sd_mm2: float
    cv_pct: float


def run(options: Options) -> Findings:
    """Read the cohort, compare the groups at each level, and set the figures beside those of another program."""
    folder, plan = options.need(DATA), Plan()
    study = assemble(read_cohort(folder), plan)
    analysis = cord_levels.analyse(study, plan)
    found = differences(analysis)
    # The other program averaged whatever slices of a level there were.
    whole = differences(cord_levels.analyse(assemble(read_cohort(folder, any_slice=True), plan), plan))
    repeats = agreement(study, "C2-C3")
    sd_verdict = verdict(abs(repeats.sd_mm2 - EXPECTED_WITHIN_SD_MM2), SD_TOLERANCE_MM2, "at most")
    spread = (
        f"SD within {repeats.persons} persons with two sessions, C2-C3 (mm2)",
        number(repeats.sd_mm2),
        number(EXPECTED_WITHIN_SD_MM2),
        sd_verdict,
    )
    return Findings(
        claim="Cord areas of patients and controls at each level, and their change, from tables of the Spinal Cord "
        "Toolbox: the group level on a real cohort, beside the figures of another program.",
        data="VUIIS-MS (PAM50-normalized-metrics, MIT): T1w images of 25 controls and 21 people with MS, 70 sessions",
        tables=(
            Table(
                ("level", "persons (HC, MS)", "MS - HC, mm2", "95 % interval", "df", "p", "q", "in per cent",
                 "other program", "verdict"),
                tuple(_level_row(row) for row in whole),
                "Patients less controls, of all slices seen, as the other program took them: mixed model with a random "
                "intercept, adjusted for age and sex",
            ),
            Table(
                ("level", "persons (HC, MS)", "MS - HC, mm2", "95 % interval", "df", "p", "q", "in per cent"),
                tuple(_level_row(row)[:-2] for row in found),
                "The same where at least half of the slices of a level were seen, as the program reads such tables",
            ),
            Table(
                ("level", "what", "persons with two sessions", "% a year", "95 % interval", "p"),
                tuple(_rate_row(row) for row in rows_of(analysis, "cord_rates.tsv") if row["kind"] != "duration"),
                "Change of area",
            ),
            Table(
                ("figure", "value", "other program", "verdict"),
                (*_count_rows(study), spread, ("its share of the mean (%)", number(repeats.cv_pct), "1.46", "–")),  # noqa: RUF001
            ),
        ),
        notes=(
            "The other program's model is adjusted for the age at each session; ours for the age at the first session "
            "and the years since then. Sessions without a difference in age were taken as being on the same day.",
            "The images are of the brain: levels below C3 are seen in part of the persons only, and at C4 and C5 the "
            "difference depends on how much of a level must be seen. Sessions are a few months apart, so that changes "
            "a year have wide intervals.",
        ),
    )  # fmt: skip


def differences(analysis: Analysis) -> list[Mapping[str, object]]:
    """Return the rows that compare patients with controls, of areas as measured."""
    rows = rows_of(analysis, "cord_levels.tsv")
    return [row for row in rows if row["comparison"] == "MS - HC" and row["normalisation"] == "raw"]


def read_cohort(folder: Path, *, any_slice: bool = False) -> StudyTables:
    """Read the participants, one row a session, and the area of each level in each session.

    With ``any_slice`` a level of which less than half was seen has an area too: the mean of what was seen.
    """
    with (folder / "participants.tsv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file, delimiter="\t"))
    sessions = pd.DataFrame(listed)[["participant_id", "session_id", "sex", "age", "pathology"]]
    sessions["age"] = pd.to_numeric(sessions["age"], errors="coerce")
    sessions = sessions.sort_values(["participant_id", "session_id"]).reset_index(drop=True)
    first_age = sessions.groupby("participant_id")["age"].transform("first")
    sessions["days"] = ((sessions["age"] - first_age) * DAYS_PER_YEAR).round()
    areas = {
        row: _read_areas(folder, str(subject), str(session), any_slice=any_slice)
        for row, subject, session in zip(
            sessions.index, sessions["participant_id"], sessions["session_id"], strict=True
        )
    }
    persons = sessions.drop_duplicates("participant_id").set_index("participant_id")[["sex", "age", "pathology"]]
    persons = persons.rename(columns={"pathology": "group"}).assign(
        phenotype=None, treatment=None, site=None, onset_age=np.nan, disease_duration=np.nan, n_prior_dmt=np.nan,
        education_years=np.nan,
    )  # fmt: skip
    counts = [f"{name}_{source}" for name in NO_COUNTS for source in ("clinic", "images")]
    unknown = [*SCALES, "rnfl_um", "gcipl_um", *counts, "lesion_volume_mm3", "etiv_mm3", "steroid_days_before"]
    sessions = sessions.drop(columns=["sex", "pathology"]).assign(
        **dict.fromkeys(unknown, np.nan), verdict="pass", exclude=False, exclude_reason=""
    )
    return StudyTables(
        persons=persons,
        sessions=sessions,
        volumes_mm3=pd.DataFrame(dtype=float),
        cord_mm2=pd.DataFrame.from_dict(areas, orient="index", columns=list(LEVELS)),
        thickness_mm=pd.DataFrame(dtype=float),
        change_mm3=None,
        change_pct=None,
        visits=pd.DataFrame(columns=["participant_id", "days", *SCALES]),
        relapses=None,
        treatments=None,
    )


def _read_areas(folder: Path, subject: str, session: str, *, any_slice: bool) -> list[float]:
    (path,) = folder.glob(f"{subject}_{session}_*.csv")
    result = read_sct_table(path)
    measured = {level.level: level.csa_mm2 for level in result.levels}
    if any_slice:
        seen = [(piece.level, piece.csa_mm2) for piece in result.slices if piece.level is not None]
        measured |= {level: fmean(area for at, area in seen if at == level) for level in {at for at, _ in seen}}
    known = [measured.get(level) for level in LEVELS]
    return [np.nan if area is None else float(area) for area in known]


def rows_of(analysis: Analysis, file_name: str) -> tuple[Mapping[str, object], ...]:
    """Return the rows of one table of an analysis."""
    return next(table.rows for table in analysis.tables if table.table.file_name == file_name)


def agreement(study: Study, level: str) -> Repeats:
    """Return how much the areas of persons with two sessions differ between them."""
    rows = study.sessions.loc[study.cord_mm2.index].assign(area=study.cord_mm2[level]).dropna(subset="area")
    by_person = rows.groupby("participant_id")["area"]
    twice = by_person.filter(lambda areas: len(areas) == 2)
    pairs = twice.to_numpy().reshape(-1, 2)
    sd = float(np.sqrt(np.mean((pairs[:, 1] - pairs[:, 0]) ** 2) / 2.0))
    shares = (pairs[:, 1] - pairs[:, 0]) / pairs.mean(axis=1)
    return Repeats(len(pairs), sd, 100.0 * float(np.sqrt(np.mean(shares**2) / 2.0)))


def _level_row(row: Mapping[str, object]) -> tuple[str, ...]:
    level = str(row["level"])
    value = _value(row, "difference_mm2")
    expected, expected_p = EXPECTED.get(level, (None, None))
    known = "–" if expected is None else f"{expected}" + (f", p = {expected_p}" if expected_p else "")  # noqa: RUF001
    judged = verdict(None, None, "at most")
    if expected is not None:
        near = abs(value - expected) <= DIFFERENCE_TOLERANCE_MM2
        near &= expected_p is None or abs(_value(row, "p") - expected_p) <= P_TOLERANCE
        judged = verdict(float(not near), 0.0, "at most")
    if not np.isfinite(value):
        return level, "n/a", "n/a", "n/a", "n/a", "n/a", "n/a", "n/a", known, judged
    return (
        level,
        f"{row['n_lower']}, {row['n_upper']}",
        number(value, sign=True),
        f"{number(_value(row, 'ci_lo'), sign=True)} to {number(_value(row, 'ci_hi'), sign=True)}",
        number(_value(row, "df"), 1),
        number(_value(row, "p"), 3),
        number(_value(row, "q_bh"), 3),
        number(_value(row, "difference_pct"), 1, sign=True),
        known,
        judged,
    )


def _rate_row(row: Mapping[str, object]) -> tuple[str, ...]:
    value = _value(row, "pct_per_year")
    followed = str(row["n_followed"]) if row.get("n_followed") is not None else "n/a"
    interval = f"{number(_value(row, 'pct_lo'), sign=True)} to {number(_value(row, 'pct_hi'), sign=True)}"
    return (
        str(row["level"]),
        str(row["group"]),
        followed,
        number(value, sign=True),
        interval if np.isfinite(value) else "n/a",
        number(_value(row, "p"), 3),
    )


def _count_rows(study: Study) -> list[tuple[str, ...]]:
    sizes = study.persons["group"].value_counts()
    per_person = study.sessions.loc[study.cord_mm2.index].groupby("participant_id").size()
    found = {
        "controls": int(sizes["HC"]),
        "patients": int(sizes["MS"]),
        "sessions": len(study.cord_mm2),
        "persons with two sessions": int((per_person == 2).sum()),
    }
    return [
        (name, str(value), str(COUNTED[name]), verdict(abs(value - COUNTED[name]), 0, "at most"))
        for name, value in found.items()
    ]


def _value(row: Mapping[str, object], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, float | int) else float("nan")
