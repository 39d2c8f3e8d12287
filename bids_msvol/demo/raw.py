# SPDX-License-Identifier: Apache-2.0
"""Write the raw dataset: scans with their sidecars, tables of people and visits, and the files about the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_msvol import __version__
from bids_msvol.bids.atomic import clean_image, write_image, write_json, write_text
from bids_msvol.bids.dataset import BIDS_VERSION
from bids_msvol.bids.names import derivative_path, sessions_table_path, sidecar_path
from bids_msvol.bids.tabular import Column, Table, write_table
from bids_msvol.demo.clinical import Participant
from bids_msvol.demo.protocol import SCANNER
from bids_msvol.demo.protocol import Sequence as MRSequence

AUTHOR = "synthetic"
LICENSE = "CC0"

PARTICIPANTS = Table(
    "Participants",
    "participants.tsv",
    "One row for each participant.",
    (
        Column("participant_id", "Participant, with its prefix sub-."),
        Column("age", "Age at the first visit.", "integer", "year"),
        Column("sex", "Biological sex.", levels={"F": "female", "M": "male"}),
        Column("group", "Diagnosis.", levels={"MS": "multiple sclerosis", "HC": "healthy control"}),
    ),
)

VISITS = Table(
    "Visits",
    "sub-*/sub-*_sessions.tsv",
    "One row for each visit of one participant.",
    (
        Column("session_id", "Visit, with its prefix ses-."),
        Column("acq_time", "Date and time of the visit; only intervals have a meaning."),
        Column(
            "edss", "Expanded Disability Status Scale, 0 (none) to 10; n/a for healthy people.", "number", decimals=1
        ),
    ),
)

README = """# Synthetic people with multiple sclerosis

T1w and FLAIR images of {people}, all of them made by a program ({program}).
No real person is in this dataset. Each head is a random sample of an average atlas of the head, with its own folds,
size and shape, and goes on in a neck whose spinal cord has an exactly known area. People with multiple sclerosis have
lesions and lose tissue of brain and cord between the visits; at the second visit some lesions are new and one has
grown. The T1w shows the upper neck; sub-01 has a T2w of the whole neck as well (`acq-cspine`). What is true of every
head and neck is in `derivatives/truth`, to be compared with what a program measures.

The images are for trying out and testing programs; nothing can be learned from them about the disease.
"""

CHANGES = """1.0.0 2021-01-01
  - Made by {program}.
"""


def write_about(root: Path, people: int, seed: int, resolution_mm: float) -> None:
    """Write the files about the dataset as a whole.

    Parameters
    ----------
    root
        The dataset.
    people
        Number of participants.
    seed, resolution_mm
        With what it was made.
    """
    program = f"bids_msvol.demo {__version__}, seed {seed}, {resolution_mm:g} mm"
    write_json(
        root / "dataset_description.json",
        {
            "Name": "Synthetic people with multiple sclerosis",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "License": LICENSE,
            "Authors": [AUTHOR],
            "GeneratedBy": [{"Name": "bids_msvol.demo", "Version": __version__}],
        },
    )
    counted = "one person" if people == 1 else f"{people} people"
    write_text(root / "README", README.format(people=counted, program=program))
    write_text(root / "CHANGES", CHANGES.format(program=program))


def write_participants(root: Path, participants: Sequence[Participant]) -> None:
    """Write the table of participants and each one's table of visits."""
    write_table(
        root / PARTICIPANTS.file_name,
        PARTICIPANTS,
        (
            {"participant_id": f"sub-{person.label}", "age": person.age, "sex": person.sex, "group": person.group}
            for person in participants
        ),
    )
    for person in participants:
        write_table(
            sessions_table_path(root, person.label),
            VISITS,
            (
                {"session_id": f"ses-{visit.session}", "acq_time": visit.date.isoformat(), "edss": visit.edss}
                for visit in person.appointments
            ),
        )


def write_scan(root: Path, participant: str, session: str, sequence: MRSequence, image: nib.Nifti1Image) -> Path:
    """Write a scan, as 16-bit integers, and its sidecar.

    Returns
    -------
    Path
        The image.
    """
    path = derivative_path(root, participant, session, sequence.suffix, ".nii.gz", acq=sequence.acquisition_label)
    values = np.rint(np.asarray(image.dataobj)).astype(np.int16)
    write_image(path, clean_image(values, np.asarray(image.affine)))
    write_json(sidecar_path(path), {**SCANNER, **sequence.metadata})
    return path
