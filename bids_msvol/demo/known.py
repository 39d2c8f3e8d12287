# SPDX-License-Identifier: Apache-2.0
"""Read the truth of the synthetic people back from disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bids_msvol.bids.names import derivative_path
from bids_msvol.bids.tables import VOLUMES
from bids_msvol.bids.tabular import Table, read_table
from bids_msvol.demo.truth import FOLDER, LESIONS
from bids_msvol.demo.truth_cord import CORD_TRUTH
from bids_msvol.errors import DataError, NoInputError

if TYPE_CHECKING:
    import nibabel as nib
    import pandas as pd

_REMEDY = "Make the dataset anew with python -m bids_msvol.demo"


@dataclass(frozen=True)
class KnownLesion:
    """One planted lesion at one session.

    Attributes
    ----------
    number
        The same at all sessions of the person.
    region
        Where it was planted.
    status
        What became of it since the first visit: ``first``, ``stable``, ``enlarging`` or ``new``.
    volume_mm3
        True volume.
    n_voxels
        Voxels that show it on the grid of the T1w.
    """

    number: int
    region: str
    status: str
    volume_mm3: float
    n_voxels: int


@dataclass(frozen=True, eq=False)
class KnownSession:
    """What is true of one session.

    Attributes
    ----------
    label
        Label without ``ses-``.
    volumes
        The table of true volumes.
    lesions
        The lesions present, by number.
    lesion_path
        Image of the lesions by number, on the grid of the session's T1w file.
    cord
        The table of true areas of the cord; ``None`` if the truth has none.
    """

    label: str
    volumes: pd.DataFrame
    lesions: tuple[KnownLesion, ...]
    lesion_path: Path
    cord: pd.DataFrame | None

    def area_mm2(self, level: str) -> float | None:
        """Return the true mean area of a stretch of the cord, ``None`` if it is not known."""
        if self.cord is None:
            return None
        areas = self.cord.loc[self.cord["level"] == level, "csa_mm2"].dropna()
        return float(areas.iloc[0]) if len(areas) else None

    def load_lesions(self) -> nib.Nifti1Image:
        """Load the image of the lesions.

        Raises
        ------
        NoInputError
            If it does not exist.
        DataError
            If it is damaged.
        """
        import nibabel as nib

        try:
            return cast("nib.Nifti1Image", nib.load(self.lesion_path))
        except FileNotFoundError as error:
            raise NoInputError("does not exist", remedy=_REMEDY, subject=self.lesion_path) from error
        except nib.filebasedimages.ImageFileError as error:
            raise DataError("is not an image", remedy=_REMEDY, subject=self.lesion_path) from error


@dataclass(frozen=True, eq=False)
class KnownPerson:
    """What is true of one person: label without ``sub-``, and the sessions in order of label."""

    label: str
    sessions: tuple[KnownSession, ...]


def load_known(dataset: Path) -> tuple[KnownPerson, ...]:
    """Read the truth of all people of a dataset that `bids_msvol.demo` made.

    Parameters
    ----------
    dataset
        The raw dataset, with the truth below it.

    Returns
    -------
    tuple of KnownPerson
        In order of label.

    Raises
    ------
    NoInputError
        If the folder holds no truth, or a part of it is missing.
    DataError
        If a file of it is damaged.
    """
    truth = dataset / FOLDER
    people = [_load_person(truth, path) for path in sorted(truth.glob("sub-*")) if path.is_dir()]
    if not people:
        raise NoInputError(
            f"holds no truth ({FOLDER.as_posix()}/sub-*)",
            remedy="Give a dataset made by python -m bids_msvol.demo",
            subject=dataset,
        )
    return tuple(people)


def _load_person(truth: Path, folder: Path) -> KnownPerson:
    label = folder.name.removeprefix("sub-")
    visits = sorted(path.name.removeprefix("ses-") for path in folder.glob("ses-*") if path.is_dir())
    return KnownPerson(label, tuple(_load_session(truth, label, visit) for visit in visits))


def _load_session(truth: Path, participant: str, session: str) -> KnownSession:
    lesion_path = derivative_path(truth, participant, session, "dseg", ".nii.gz", seg="lesions")
    table = _read(derivative_path(truth, participant, session, "dseg", ".tsv", seg="lesions"), LESIONS)
    cord = derivative_path(truth, participant, session, "morph", ".tsv", seg="cord")
    return KnownSession(
        label=session,
        volumes=_read(derivative_path(truth, participant, session, "morph", ".tsv", seg="structures"), VOLUMES),
        lesions=tuple(
            KnownLesion(int(row["index"]), row["region"], row["status"], float(row["volume_mm3"]), int(row["n_voxels"]))
            for row in table.to_dict("records")
        ),
        lesion_path=lesion_path,
        # A head without a brainstem has no neck.
        cord=_read(cord, CORD_TRUTH) if cord.exists() else None,
    )


def _read(path: Path, table: Table) -> pd.DataFrame:
    try:
        return read_table(path, table)
    except (NoInputError, DataError) as error:
        # The reader of tables takes them for results of a run.
        raise type(error)(error.problem, remedy=_REMEDY, subject=path) from error
