# SPDX-License-Identifier: Apache-2.0
"""What the rest of the program knows of a dataset: subjects, sessions and scans, without any BIDS library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Scan:
    """One image of the input dataset.

    Attributes
    ----------
    path
        Absolute path of the NIfTI file, symbolic links not followed.
    relative_path
        Path from the root of the dataset, with forward slashes (for BIDS URIs and reports).
    suffix
        BIDS suffix, such as ``T1w`` or ``FLAIR``.
    entities
        BIDS entities of the file name, long names (``subject``, ``session``, ``acquisition``, ``run`` ...).
    metadata
        The sidecar JSON after inheritance.
    """

    path: Path
    relative_path: str
    suffix: str
    entities: Mapping[str, str]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IgnoredScan:
    """An anatomical image that was seen and not used, with the reason in plain words."""

    relative_path: str
    reason: str


@dataclass(frozen=True)
class Session:
    """The scans of one visit.

    Attributes
    ----------
    subject, label
        Labels without their ``sub-`` and ``ses-`` prefixes; ``label`` is ``None`` in a dataset without sessions.
    t1w
        The T1-weighted image chosen for volumetry.
    choice
        One sentence: why this T1w and not another.
    flair, t2w, t1w_gd
        Further contrasts of the visit, where present.
    cord, cord_choice
        Image of the cervical cord, and one sentence why this one; without any, the cord is measured on the T1w alone.
    lesion_mask
        Lesions as somebody else drew them, given with ``--derivatives lesions=PATH``; its ``relative_path`` is that
        from PATH.
    sct_table, sct_mask
        Table and mask of the cord by Spinal Cord Toolbox, given with ``--derivatives sct=PATH``.
    cord_labels
        Discs or vertebrae, given with ``--derivatives labels=PATH``.
    days
        Days since the person's first session, from ``sessions.tsv`` (``acq_time`` or ``days``); ``None`` if unknown.
    ignored
        Images of the visit that were not used.
    """

    subject: str
    label: str | None
    t1w: Scan
    choice: str
    flair: Scan | None = None
    t2w: Scan | None = None
    t1w_gd: Scan | None = None
    cord: Scan | None = None
    cord_choice: str = ""
    lesion_mask: Scan | None = None
    sct_table: Scan | None = None
    sct_mask: Scan | None = None
    cord_labels: Scan | None = None
    days: float | None = None
    ignored: tuple[IgnoredScan, ...] = ()

    @property
    def name(self) -> str:
        """``sub-01_ses-02`` or ``sub-01``: how logs and messages call the session."""
        return f"sub-{self.subject}" + (f"_ses-{self.label}" if self.label is not None else "")


@dataclass(frozen=True)
class Subject:
    """One participant and the sessions selected for processing, in order of time where known, else of label."""

    label: str
    sessions: tuple[Session, ...]
    skipped: tuple[IgnoredScan, ...] = ()
    """Sessions or files that could not be used at all (no T1w in a session, for instance)."""
