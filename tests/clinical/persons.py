# SPDX-License-Identifier: Apache-2.0
"""People in few numbers: visits, relapses, and what was found in them."""

from __future__ import annotations

from typing import Any

from bids_msvol.clinical.course import Relapse, Visit
from bids_msvol.clinical.definitions import find_definition
from bids_msvol.clinical.events import Event, History, find_events


def history(
    visits: dict[float, float], relapses: tuple[float, ...] | None = (), name: str = "default", **changes: Any
) -> History:
    """Search visits given as values by day, with relapses by day, under a definition with some fields changed."""
    listed = [Visit(day, value) for day, value in visits.items()]
    onsets = None if relapses is None else [Relapse(day) for day in relapses]
    return find_events(listed, onsets, find_definition(name, **changes))


def events(
    visits: dict[float, float], relapses: tuple[float, ...] | None = (), name: str = "default", **changes: Any
) -> list[tuple[str, float]]:
    """Return label and day of each event; a worsening is labelled by its association."""
    return [(label(event), event.day) for event in history(visits, relapses, name, **changes).events]


def label(event: Event) -> str:
    """Return ``CDI``, ``PIRA``, ``RAW``, ``undefined``, or ``CDW`` where relapses were not recorded."""
    return event.association or event.kind
