# SPDX-License-Identifier: Apache-2.0
"""What others found out about the cord of a session: results of Spinal Cord Toolbox, and labels of discs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bids_msvol.bids.disc_labels import GivenLabels, find_label_file, load_labels
from bids_msvol.bids.given import LABELS, SCT
from bids_msvol.bids.images import load_mask_image
from bids_msvol.bids.names import parse_name
from bids_msvol.bids.records import Scan, Session
from bids_msvol.engines.sct import SctResult, read_sct_table
from bids_msvol.engines.sct_files import find_sct_files

if TYPE_CHECKING:
    import nibabel as nib


@dataclass(frozen=True, eq=False)
class GivenCord:
    """What was given for a session.

    Attributes
    ----------
    table
        What a table of Spinal Cord Toolbox says.
    mask
        A mask of the cord, as stored, values from 0 to 1.
    labels
        Discs or vertebrae.
    """

    table: SctResult | None = None
    mask: nib.Nifti1Image | None = None
    labels: GivenLabels | None = None


def with_given_cord(session: Session, folders: Mapping[str, Path], *, only_session: bool) -> Session:
    """Find what was given for the cord of a session.

    Parameters
    ----------
    session
        The visit.
    folders
        Those of ``--derivatives``, by name.
    only_session
        Whether the person has no other session: then a file without ``ses-`` is the session's.

    Raises
    ------
    DataError
        If it is not certain which file is meant.
    """
    image = session.cord or session.t1w
    stem = image.path.name.partition(".")[0]
    if (folder := folders.get(SCT)) is not None:
        found = find_sct_files(folder, session.subject, session.label, only_session=only_session, image_stem=stem)
        session = replace(session, sct_table=_scan(found.table, folder), sct_mask=_scan(found.mask, folder))
        if found.labelled is not None:
            session = replace(session, cord_labels=_scan(found.labelled, folder))
    if (folder := folders.get(LABELS)) is not None:
        labels = find_label_file(folder, session.subject, session.label, stem)
        session = replace(session, cord_labels=_scan(labels, folder))
    return session


def load_given_cord(session: Session) -> GivenCord:
    """Read what was given for the cord of a session.

    Raises
    ------
    MSVolError
        If a file cannot be used.
    """
    stem = (session.cord or session.t1w).path.name.partition(".")[0]
    table = None
    if session.sct_table is not None:
        table = read_sct_table(session.sct_table.path, session.subject, session.label, image_stem=stem)
    mask = None if session.sct_mask is None else load_mask_image(session.sct_mask.path)
    labels = None if session.cord_labels is None else load_labels(session.cord_labels.path)
    return GivenCord(table, mask, labels)


def _scan(path: Path | None, folder: Path) -> Scan | None:
    if path is None:
        return None
    entities, suffix, _ = parse_name(path.name)
    return Scan(path, path.relative_to(folder).as_posix(), suffix, entities)
