# SPDX-License-Identifier: Apache-2.0
"""Read the images of a session, and note which could not be read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bids_msvol.bids.cord_given import GivenCord, load_given_cord
from bids_msvol.bids.images import SMALLEST_EXTENT_MM, SMALLEST_NECK_MM, load_image
from bids_msvol.bids.lesion_masks import GivenMask, load_lesion_mask
from bids_msvol.bids.records import IgnoredScan, Scan, Session
from bids_msvol.errors import MSVolError

if TYPE_CHECKING:
    import nibabel as nib

_logger = logging.getLogger(__name__)

_OTHERS = {"flair": "FLAIR", "t2w": "T2w", "t1w_gd": "T1w after contrast agent", "cord": "image of the cord"}
"""Fields of a session besides the T1w, and how their images are called."""

_GIVEN = ("lesion_mask", "sct_table", "sct_mask", "cord_labels")
"""Fields with results of others."""


@dataclass(frozen=True, eq=False)
class SessionImages:
    """The images of a session, as stored.

    Attributes
    ----------
    t1w
        The image that is measured.
    contrasts
        ``FLAIR`` and ``T2w``, where there are any.
    t1w_gd
        T1w after contrast agent.
    cord
        Image of the cervical cord.
    lesion_mask
        Lesions as somebody else drew them.
    given_cord
        What others found out about the cord.
    """

    t1w: nib.Nifti1Image
    contrasts: Mapping[str, nib.Nifti1Image] = field(default_factory=dict)
    t1w_gd: nib.Nifti1Image | None = None
    cord: nib.Nifti1Image | None = None
    lesion_mask: GivenMask | None = None
    given_cord: GivenCord = field(default_factory=GivenCord)


def load_session_images(session: Session) -> tuple[Session, SessionImages]:
    """Read the images of a session.

    Returns
    -------
    session
        The same visit; a further contrast that cannot be read is among its ignored images instead.
    images
        What was read.

    Raises
    ------
    MSVolError
        If the T1w, or a mask, table or labels that were given, cannot be used.
    """
    t1w = load_image(session.t1w.path)
    others: dict[str, nib.Nifti1Image] = {}
    for name, words in _OTHERS.items():
        scan: Scan | None = getattr(session, name)
        if scan is None:
            continue
        try:
            others[name] = load_image(scan.path, SMALLEST_NECK_MM if name == "cord" else SMALLEST_EXTENT_MM)
        except MSVolError as error:
            _logger.error("%s: measured without the %s: %s", session.name, words, error)
            ignored = IgnoredScan(scan.relative_path, f"it cannot be read: it {error.problem}")
            without: dict[str, Any] = {name: None}
            session = replace(session, ignored=(*session.ignored, ignored), **without)
    contrasts = {_OTHERS[name]: others[name] for name in ("flair", "t2w") if name in others}
    mask = None
    if session.lesion_mask is not None:
        mask = load_lesion_mask(session.lesion_mask, {"T1w": t1w, **contrasts})
    return session, SessionImages(
        t1w, contrasts, others.get("t1w_gd"), others.get("cord"), mask, load_given_cord(session)
    )


def image_paths(session: Session) -> Iterator[tuple[str, Path]]:
    """Yield name and path of every image of a session that decides a result."""
    for name in ("t1w", *_OTHERS, *_GIVEN):
        scan: Scan | None = getattr(session, name)
        if scan is not None:
            yield name, scan.path
