# SPDX-License-Identifier: Apache-2.0
"""Everything that was read for the group level, before anything is left out or derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.bids.lesion_space import LesionFiles

LESION_COUNTS = ("new_t2", "enlarging_t2", "gd", "t2_count")
"""Counts that may come from the clinical tables (``<name>_clinic``) and from the participant level
(``<name>_images``)."""

SCALES = ("edss", "sdmt", "nhpt", "t25fw", "pasat")
"""Clinical scales."""


@dataclass(frozen=True, eq=False)
class StudyTables:
    """What the tables of a study say.

    Attributes
    ----------
    persons
        By ``participant_id``: the columns of the participants table, NaN or ``None`` for what is missing.
    sessions
        One row a session, numbered: ``participant_id``, ``session_id``, ``days``, ``age``, the scales, ``rnfl_um``,
        ``gcipl_um``, the lesion counts with ``_clinic`` and ``_images``, ``lesion_volume_mm3``, ``etiv_mm3``,
        ``verdict`` (text), ``steroid_days_before``, ``exclude`` (truth), ``exclude_reason`` (text).
    volumes_mm3
        One row a session that has volumes, by the number of the session; columns are rows of the table of volumes.
    cord_mm2
        One row a session that has cord areas: ``C1`` to ``C7``, ``C2-C3``, ``C1-C7``.
    thickness_mm
        One row a session that has cortical thickness: ``lh``, ``rh``, ``mean`` and regions.
    change_mm3, change_pct
        Change measured from pairs of images, by the numbers of the sessions ``(from_row, to_row)``; ``None`` if there
        is none.
    visits
        ``participant_id``, ``days`` and the scales.
    relapses
        ``participant_id``, ``days``, ``steroids``; ``None`` if they were not recorded.
    treatments
        ``participant_id``, ``drug``, ``start_days``, ``end_days``; ``None`` if they were not recorded.
    lesion_files
        Lesion masks, by the number of the session.
    sources
        In words, where volumes, cord areas and lesions come from.
    notes
        What a reader should know.
    """

    persons: pd.DataFrame
    sessions: pd.DataFrame
    volumes_mm3: pd.DataFrame
    cord_mm2: pd.DataFrame
    thickness_mm: pd.DataFrame
    change_mm3: pd.DataFrame | None
    change_pct: pd.DataFrame | None
    visits: pd.DataFrame
    relapses: pd.DataFrame | None
    treatments: pd.DataFrame | None
    lesion_files: Mapping[int, LesionFiles] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
