# SPDX-License-Identifier: Apache-2.0
"""Write what is true of the synthetic people, as BIDS derivatives beside their scans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_msvol import __version__
from bids_msvol.bids.atomic import clean_image, write_image, write_json, write_text
from bids_msvol.bids.dataset import BIDS_VERSION, RAW_LINK
from bids_msvol.bids.names import build_name, derivative_path, sidecar_path
from bids_msvol.bids.tables import LABELS, VOLUMES
from bids_msvol.bids.tabular import MM3_DECIMALS, PERCENT_DECIMALS, Column, Table, write_table
from bids_msvol.demo.clinical import DAYS_PER_YEAR, Appointment
from bids_msvol.demo.lesions import Lesion
from bids_msvol.demo.person import Person, Visit
from bids_msvol.demo.scanner import Placement, sample_labels
from bids_msvol.structures import ETIV_NAME, STRUCTURES, SUMS

FOLDER = Path("derivatives") / "truth"
"""Where the truth lies in the dataset."""

LESIONS = Table(
    "Planted lesions",
    "*_seg-lesions_dseg.tsv",
    "One row for each lesion of one session.",
    (
        Column("index", "Voxel value; the same lesion has the same number at all visits.", "integer"),
        Column("name", "Name of the lesion."),
        Column(
            "region",
            "Where it lies.",
            levels={
                "periventricular": "touches a lateral ventricle",
                "juxtacortical": "touches the cerebral cortex",
                "infratentorial": "in the brainstem or the cerebellum",
                "deep": "in the cerebral white matter, away from ventricle and cortex",
            },
        ),
        Column(
            "status",
            "What became of it since the first visit.",
            levels={
                "first": "this is the first visit",
                "stable": "the same",
                "enlarging": "grown",
                "new": "was not there",
            },
        ),
        Column("volume_mm3", "True volume.", "number", "mm^3", MM3_DECIMALS),
        Column("n_voxels", "Number of voxels with its index in the image.", "integer"),
        Column("t1w_brightness", "T1w signal as a multiple of normal white matter's.", "number", decimals=3),
        Column("flair_brightness", "FLAIR signal as a multiple of normal white matter's.", "number", decimals=3),
    ),
)

CHANGE = Table(
    "Planted change",
    "sub-*_seg-structures_desc-change_morph.tsv",
    "One row for each structure, sum and pair of visits.",
    (
        Column("session_id_from", "The earlier visit."),
        Column("session_id_to", "The later visit."),
        Column("days", "Days between them.", "integer", "day"),
        Column("index", "Number in FreeSurfer's colour table; n/a for sums and the intracranial volume.", "integer"),
        Column("name", "FreeSurfer's name of the structure, or the name of a sum."),
        Column("method", "Always truth.", levels={"truth": "the volumes of the two visits are known"}),
        Column("change_mm3", "Change of the volume.", "number", "mm^3", MM3_DECIMALS),
        Column("change_pct", "Change in per cent of the earlier volume.", "number", "percent", PERCENT_DECIMALS),
        Column(
            "change_pct_per_year",
            f"The same divided by the years ({DAYS_PER_YEAR} days) between the visits.",
            "number",
            "percent per year",
            PERCENT_DECIMALS,
        ),
    ),
)

_IGNORED = "*_morph.*\n"

_README = """# What is true of the synthetic people

- `*_seg-structures_dseg.nii.gz`: the structure at each voxel of the session's T1w.
- `*_seg-structures_morph.tsv`: the true volume of each structure, of the anatomy itself, not counted from voxels.
- `*_seg-lesions_dseg.nii.gz`, `.tsv`: the lesions by number, with place, volume and what became of them.
- `*_label-L_mask.nii.gz`: all lesions of the session.
- `sub-*_seg-structures_desc-change_morph.tsv`: the true change between visits.
- `*_seg-cord_morph.tsv`: the true area of the cervical cord at each level, of the cord itself, not counted from voxels.
- `sub-*_seg-cord_desc-change_morph.tsv`: its true change between visits.

Lesions count as white matter, or brainstem, in the volumes of structures.
"""


def write_about_truth(truth: Path) -> None:
    """Write the files about the derivative dataset as a whole."""
    write_json(
        truth / "dataset_description.json",
        {
            "Name": "Truth of the synthetic people",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "License": "CC0",
            "Authors": ["synthetic"],
            "GeneratedBy": [
                {"Name": "truth", "Version": __version__, "Description": "Made with the scans by bids_msvol.demo"}
            ],
            "SourceDatasets": [{"URL": "../.."}],
            "DatasetLinks": {RAW_LINK: "../.."},
        },
    )
    write_text(truth / "README.md", _README)
    write_text(truth / ".bidsignore", _IGNORED)
    write_text(
        truth / "descriptions.tsv",
        "desc_id\tdescription\ndesc-change\tChange between the visits of a participant\n",
    )
    rows = ({"index": item.index, "name": item.name, "color": item.color, "tissue": item.tissue} for item in STRUCTURES)
    write_table(truth / LABELS.file_name, LABELS, rows)


def write_visit_truth(
    truth: Path, participant: str, appointment: Appointment, person: Person, visit: Visit, placement: Placement
) -> None:
    """Write the images and tables of one session.

    Parameters
    ----------
    truth
        The derivative dataset.
    participant, appointment
        Who and when.
    person, visit
        What is true.
    placement
        Where the voxels of the session's T1w lie.
    """
    session = appointment.session
    source = derivative_path(Path(), participant, session, "T1w", ".nii.gz").as_posix()
    origin = {"Sources": [f"bids:{RAW_LINK}:{source}"]}

    def path(suffix: str, extension: str, **entities: str) -> Path:
        return derivative_path(truth, participant, session, suffix, extension, **entities)

    classes = np.asarray(person.labels.dataobj)
    measured = np.where(np.isin(classes, [item.index for item in STRUCTURES]), classes, 0).astype(np.int16)
    dseg = path("dseg", ".nii.gz", seg="structures")
    _write_labels(dseg, sample_labels(measured, placement))
    write_json(sidecar_path(dseg), {"Description": "Structure at each voxel, by FreeSurfer number.", **origin})
    volumes = path("morph", ".tsv", seg="structures")
    write_table(volumes, VOLUMES, volume_rows(visit), **origin)

    numbers = sample_labels(visit.lesion_numbers, placement)
    mask = path("mask", ".nii.gz", label="L")
    present = (np.asarray(numbers.dataobj) > 0).astype(np.uint8)
    write_image(mask, clean_image(present, np.asarray(numbers.affine)))
    write_json(sidecar_path(mask), {"Description": "White-matter lesions.", "Type": "Lesion", **origin})
    instances = path("dseg", ".nii.gz", seg="lesions")
    _write_labels(instances, numbers)
    counts = np.bincount(np.asarray(numbers.dataobj).ravel(), minlength=len(person.lesions) + 1)
    rows = lesion_rows(person.lesions, visit, counts.tolist(), first=appointment.days == 0)
    write_table(path("dseg", ".tsv", seg="lesions"), LESIONS, rows, Description="Lesions, by number.", **origin)


def write_change_truth(truth: Path, participant: str, visits: list[tuple[Appointment, Visit]]) -> Path | None:
    """Write the change from each visit to the next; nothing for a participant with one visit.

    Returns
    -------
    Path or None
        The table.
    """
    if len(visits) < 2:
        return None
    entities = {"sub": participant, "seg": "structures", "desc": "change"}
    path = truth / f"sub-{participant}" / build_name("morph", ".tsv", entities)
    rows = [row for before, after in pairwise(visits) for row in change_rows(before, after)]
    write_table(path, CHANGE, rows)
    return path


def volume_rows(visit: Visit) -> list[dict[str, object]]:
    """Return the true volumes: structures, then sums, then the intracranial volume."""
    return [
        {"index": index, "name": name, "volume_mm3": value, "volume_pct_etiv": 100.0 * value / visit.etiv_mm3}
        for index, name, value in _named_volumes(visit)
    ]


def lesion_rows(
    lesions: tuple[Lesion, ...], visit: Visit, n_voxels: list[int], *, first: bool
) -> Iterator[Mapping[str, object]]:
    """Yield a row for each lesion present at a visit.

    Parameters
    ----------
    lesions
        All lesions of the person.
    visit
        The visit.
    n_voxels
        Voxels of each lesion in the image, by number.
    first
        Whether it is the first visit.
    """
    for lesion in lesions:
        if lesion.number in visit.lesion_volumes_mm3:
            yield {
                "index": lesion.number,
                "name": f"lesion-{lesion.number:02d}",
                "region": lesion.region,
                "status": "first" if first else lesion.course,
                "volume_mm3": visit.lesion_volumes_mm3[lesion.number],
                "n_voxels": n_voxels[lesion.number],
                "t1w_brightness": lesion.t1w_brightness,
                "flair_brightness": lesion.flair_brightness,
            }


def change_rows(before: tuple[Appointment, Visit], after: tuple[Appointment, Visit]) -> Iterator[Mapping[str, object]]:
    """Yield the change of each structure, sum and the intracranial volume from one visit to a later one."""
    days = after[0].days - before[0].days
    for (index, name, old), (_, _, new) in zip(_named_volumes(before[1]), _named_volumes(after[1]), strict=True):
        percent = 100.0 * (new - old) / old if old > 0 else None
        yield {
            "session_id_from": f"ses-{before[0].session}",
            "session_id_to": f"ses-{after[0].session}",
            "days": days,
            "index": index,
            "name": name,
            "method": "truth",
            "change_mm3": new - old,
            "change_pct": percent,
            "change_pct_per_year": percent * DAYS_PER_YEAR / days if percent is not None else None,
        }


def _named_volumes(visit: Visit) -> list[tuple[int | None, str, float]]:
    volumes: list[tuple[int | None, str, float]] = [
        (item.index, item.name, visit.volumes_mm3[item.index]) for item in STRUCTURES
    ]
    volumes += [(None, item.name, sum(visit.volumes_mm3[index] for index in item.members)) for item in SUMS]
    return [*volumes, (None, ETIV_NAME, visit.etiv_mm3)]


def _write_labels(path: Path, labels: nib.Nifti1Image) -> None:
    write_image(path, clean_image(np.asarray(labels.dataobj), np.asarray(labels.affine)))
