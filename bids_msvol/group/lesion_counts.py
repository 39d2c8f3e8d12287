# SPDX-License-Identifier: Apache-2.0
"""Whose lesion counts are used: those of the clinical tables or those of the participant level, never a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bids_msvol.group.tables import LESION_COUNTS

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import LesionSource

_WORDS = {
    "clinic": "Lesions were counted by readers (clinical tables).",
    "images": "Lesions were counted by the participant level.",
}


def choose_counts(sessions: pd.DataFrame, source: LesionSource) -> tuple[pd.DataFrame, str]:
    """Return sessions with lesion counts under their plain names, and in words who counted them.

    New lesions that were counted without enlarging ones are taken as new or enlarging ones: then ``enlarging_t2`` is
    missing throughout, and NEDA needs no count of its own for it.
    """
    if source == "auto":
        given = any(sessions[f"{name}_clinic"].notna().any() for name in LESION_COUNTS)
        source = "clinic" if given else "images"
    chosen = sessions.assign(**{name: sessions[f"{name}_{source}"].astype(float) for name in LESION_COUNTS})
    if not any(chosen[name].notna().any() for name in LESION_COUNTS):
        return chosen, "Lesions were not counted."
    return chosen, _WORDS[source]
