# SPDX-License-Identifier: Apache-2.0
"""Write a simulated study: a BIDS dataset without images, the results that would be measured in it, and the truth."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bids_msvol import __version__
from bids_msvol.bids.atomic import write_json, write_text
from bids_msvol.bids.dataset import BIDS_VERSION
from bids_msvol.bids.tabular import Column, Table, write_table
from bids_msvol.demo.cohort_derivatives import write_derivatives
from bids_msvol.errors import CannotCreateError

if TYPE_CHECKING:
    from bids_msvol.demo.cohort_making import SimulatedCohort

RAW, TRUTH = "bids", "truth"
DERIVATIVES = Path("derivatives") / "bids_msvol"

PARTICIPANTS = Table(
    "Participants",
    "participants.tsv",
    "One row for each participant.",
    (
        Column("participant_id", "Participant, with its prefix sub-."),
        Column("sex", "Biological sex.", levels={"F": "female", "M": "male"}),
        Column("age", "Age at the first session.", "number", "year", 1),
        Column("group", "Diagnosis.", optional=True),
        Column("phenotype", "Form of the disease; HC for healthy controls.", optional=True),
        Column("treatment", "Treatment after the first session.", optional=True),
        Column("onset_age", "Age at the first symptoms.", "number", "year", 1, optional=True),
        Column("disease_duration", "Time since the first symptoms.", "number", "year", 1, optional=True),
        Column("n_prior_dmt", "Number of earlier treatments.", "integer", optional=True),
        Column("education_years", "Years at school and university.", "number", "year", 0, optional=True),
    ),
)

_EYES = {"od": "right eye", "os": "left eye"}

SESSIONS = Table(
    "Sessions",
    "sub-*/sub-*_sessions.tsv",
    "One row for each session of one participant.",
    (
        Column("session_id", "Session, with its prefix ses-."),
        Column("days", "Days since the first visit.", "number", "day", 0),
        Column("new_t2", "New or enlarging T2 lesions since the scan before, counted by a reader.", "integer",
               optional=True),
        Column("gd", "Lesions that take up gadolinium, counted by a reader.", "integer", optional=True),
        Column("t2_count", "All T2 lesions, counted by a reader.", "integer", optional=True),
        *(Column(f"rnfl_{eye}", f"Retinal nerve fibre layer, {name}.", "number", "um", 1, optional=True)
          for eye, name in _EYES.items()),
        *(Column(f"gcipl_{eye}", f"Ganglion cell and inner plexiform layer, {name}.", "number", "um", 1, optional=True)
          for eye, name in _EYES.items()),
        *(Column(f"on_{eye}", f"Whether there has been optic neuritis, {name}.", levels={"0": "no", "1": "yes"},
                 optional=True)
          for eye, name in _EYES.items()),
    ),
)  # fmt: skip

_PERSON = Column("participant_id", "Participant, with its prefix sub-.")

VISITS = Table(
    "Visits",
    "ms_visits.tsv",
    "One row for each clinical visit.",
    (
        _PERSON,
        Column("days", "Days since the first visit.", "number", "day", 0),
        Column("edss", "Expanded Disability Status Scale, 0 to 10.", "number", decimals=1, optional=True),
        Column("sdmt", "Symbol Digit Modalities Test, correct answers.", "number", decimals=0, optional=True),
        Column("nhpt", "Nine-Hole Peg Test, mean of both hands.", "number", "s", 1, optional=True),
        Column("t25fw", "Timed 25-Foot Walk.", "number", "s", 1, optional=True),
    ),
)

RELAPSES = Table(
    "Relapses",
    "ms_relapses.tsv",
    "One row for each relapse; whoever is not in it had none.",
    (
        _PERSON,
        Column("days", "Day of its onset, since the first visit.", "number", "day", 0),
        Column("end_days", "Day of its end.", "number", "day", 0),
        Column("steroids", "Whether intravenous steroids were given.", levels={"0": "no", "1": "yes"}),
    ),
)

TREATMENTS = Table(
    "Treatments",
    "ms_treatments.tsv",
    "One row for each treatment.",
    (
        _PERSON,
        Column("drug", "What was given."),
        Column("start_days", "Day of its start, since the first visit.", "number", "day", 0),
        Column("end_days", "Day of its end; n/a if it goes on.", "number", "day", 0),
    ),
)

_README = """# A simulated study: {name}

{description}

{persons} persons, {sessions} sessions, drawn by chance with the seed {seed}. No real person is in this dataset, and
there are no images. Nothing can be learned from it about the disease: it is for trying out an analysis, and for proving
a program, since what is true of it is known.

The clinical tables are as bids_msvol reads them. What it would have measured in the images is in
`../{derivatives}`, and what is true in `../{truth}`.
"""

_TRUTH_README = """# What is true of the simulated study: {name}

{description}

- `persons.tsv`: in which arm each person is. People of an arm have the same planted in them.
- `events.tsv`: every lasting change of the EDSS, and whether a later visit can confirm it.
- `intervals.tsv`: for each two consecutive sessions, whether there was activity; n/a where nobody can know.
- `exclusions.tsv`: scans that must not be used.
- `effects.tsv`: the size of every effect by arm and region. `difference`: of the first volume from healthy people of
  the same age. `rate`: yearly change without lesions. `per_lesion`: what each new lesion after the first scan costs.
  `per_first_lesion`: what each new lesion of the first scan costs every year. `correlation`: between people.
- `planted.json`: everything that was asked for.
"""


def write_cohort(cohort: SimulatedCohort, root: Path) -> None:
    """Write a simulated study into a folder, which appears when it is complete.

    Parameters
    ----------
    cohort
        The study.
    root
        Folder to make; it must not exist, or be empty. It gets ``bids``, ``derivatives/bids_msvol`` and ``truth``.

    Raises
    ------
    CannotCreateError
        If the folder is not empty or cannot be written.
    """
    if root.exists() and not root.is_dir():
        raise CannotCreateError("is a file", remedy="Choose another folder", subject=root)
    if root.exists() and any(root.iterdir()):
        raise CannotCreateError("exists and is not empty", remedy="Choose another folder, or remove it", subject=root)
    unfinished = root.with_name(f"{root.name}.tmp-{uuid.uuid4().hex}")
    try:
        write_clinical(cohort, unfinished / RAW)
        write_derivatives(cohort, unfinished / RAW, unfinished / DERIVATIVES)
        write_truth(cohort, unfinished / TRUTH)
        if root.exists():
            root.rmdir()
        unfinished.rename(root)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_clinical(cohort: SimulatedCohort, root: Path) -> None:
    """Write the BIDS dataset: the clinical tables, without images."""
    tables = cohort.tables
    said = {
        "name": cohort.shape.name,
        "description": cohort.shape.description,
        "persons": len(tables.persons),
        "sessions": len(tables.sessions),
        "seed": cohort.seed,
        "derivatives": DERIVATIVES.as_posix(),
        "truth": TRUTH,
    }
    write_json(
        root / "dataset_description.json",
        {
            "Name": f"A simulated study of multiple sclerosis ({cohort.shape.name})",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["synthetic"],
            "GeneratedBy": [{"Name": "bids_msvol.demo.cohort", "Version": __version__}],
        },
    )
    write_text(root / "README", _README.format(**said))
    # Several rows for a participant are an error in this folder to the BIDS validator.
    write_text(root / ".bidsignore", "phenotype/ms_*\n")
    write_table(root / PARTICIPANTS.file_name, PARTICIPANTS, _records(tables.persons.reset_index()))
    _write_sessions(cohort, root)
    folder = root / "phenotype"
    write_table(folder / VISITS.file_name, VISITS, _records(tables.visits))
    if tables.relapses is not None:
        relapses = tables.relapses.assign(
            end_days=cohort.relapse_ends, steroids=tables.relapses["steroids"].astype(int)
        )
        write_table(folder / RELAPSES.file_name, RELAPSES, _records(relapses))
    if tables.treatments is not None:
        write_table(folder / TREATMENTS.file_name, TREATMENTS, _records(tables.treatments))


def _write_sessions(cohort: SimulatedCohort, root: Path) -> None:
    eyes = cohort.eyes.astype({name: int for name in cohort.eyes if str(name).startswith("on_")})
    counts = {f"{name}_clinic": name for name in ("new_t2", "gd", "t2_count")}
    sessions = cohort.tables.sessions[["participant_id", "session_id", "days", *counts]].rename(columns=counts)
    sessions = sessions.join(eyes)
    # The columns are those of the whole study, so that everybody's table has the same.
    known = [column for column in SESSIONS.columns if column.name in sessions and sessions[column.name].notna().any()]
    table = Table(SESSIONS.title, SESSIONS.file_name, SESSIONS.description, tuple(map(_kept, known)))
    for name, rows in sessions.groupby("participant_id", sort=False):
        write_table(root / str(name) / f"{name}_sessions.tsv", table, _records(rows))


def _kept(column: Column) -> Column:
    return Column(
        column.name, column.description, column.kind, column.unit, column.decimals, column.significant, column.levels
    )


def write_truth(cohort: SimulatedCohort, root: Path) -> None:
    """Write what is true."""
    said = {"name": cohort.shape.name, "description": cohort.shape.description}
    write_text(root / "README.md", _TRUTH_README.format(**said))
    for name, table in cohort.truth.tables():
        text = table.map(_truth_cell).to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n")
        write_text(root / f"{name}.tsv", text)
    planted = {
        "generator": {"name": "bids_msvol.demo.cohort", "version": __version__},
        "seed": cohort.seed,
        "persons": len(cohort.tables.persons),
        **_plain(asdict(cohort.shape)),
    }
    write_json(root / "planted.json", planted)


def _truth_cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _plain(content: Any) -> Any:
    """Return content whose keys are texts, as JSON needs them."""
    if isinstance(content, Mapping):
        return {" with ".join(key) if isinstance(key, tuple) else str(key): _plain(one) for key, one in content.items()}
    return [_plain(one) for one in content] if isinstance(content, list | tuple) else content


def _records(frame: pd.DataFrame) -> Sequence[Mapping[str, object]]:
    records: list[dict[Hashable, Any]] = frame.to_dict("records")
    return [{str(key): value for key, value in record.items()} for record in records]
