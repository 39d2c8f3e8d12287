# SPDX-License-Identifier: Apache-2.0
"""Facts that the choice of images needs: the grid of a scan, the dates of the visits, what a filter lets through."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bids_msvol.bids.choose import Geometry
from bids_msvol.bids.records import Scan
from bids_msvol.filters import FilterValue

logger = logging.getLogger(__name__)

_SECONDS_PER_DAY = 86400.0


def passes(scan: Scan, query: Mapping[str, FilterValue]) -> bool:
    """Say whether a scan has the entities that a filter asks for.

    ``None`` asks for a scan without the entity, ``"*"`` for one with it; numbers match whatever their leading zeros.
    """
    own = {**scan.entities, "suffix": scan.suffix}
    for entity, wanted in query.items():
        label = own.get(entity)
        if wanted is None:
            if label is not None:
                return False
        elif label is None:
            return False
        elif wanted != "*":
            allowed = (wanted,) if isinstance(wanted, str) else wanted
            if not any(_same(label, value) for value in allowed):
                return False
    return True


def _same(label: str, value: str) -> bool:
    if label == value:
        return True
    return label.isdigit() and value.isdigit() and int(label) == int(value)


def read_geometry(path: Path) -> Geometry | None:
    """Read an image's grid from its header; ``None`` if that is not possible."""
    import nibabel as nib
    import numpy as np

    try:
        image: Any = nib.load(path)
        shape = tuple(int(length) for length in image.shape[:3])
        edges = tuple(float(edge) for edge in nib.affines.voxel_sizes(image.affine))
        world_axes = nib.orientations.io_orientation(image.affine)[:, 0]
    except Exception:  # whatever a damaged header raises; the check before the measurement says what is wrong
        return None
    if len(shape) != 3 or not np.isfinite(world_axes).all():
        return None
    extent = [0.0, 0.0, 0.0]
    for length, edge, axis in zip(shape, edges, world_axes, strict=True):
        extent[int(axis)] = length * edge
    return Geometry((shape[0], shape[1], shape[2]), (edges[0], edges[1], edges[2]), (extent[0], extent[1], extent[2]))


def read_days(root: Path, subject: str) -> dict[str, float]:
    """Read the days since a person's first session from ``sub-XX_sessions.tsv``.

    ``acq_time`` is used where all its values are dates (shifted dates keep their intervals), else ``days``.

    Parameters
    ----------
    root
        The dataset.
    subject
        Label without ``sub-``.

    Returns
    -------
    dict of str to float
        Days by session label without ``ses-``; empty if unknown.
    """
    path = root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, csv.Error) as error:
        logger.warning("%s cannot be read (%s); the days between sessions are unknown.", path, error)
        return {}
    for column, parse in (("acq_time", _parse_time), ("days", float)):
        values = {
            (row.get("session_id") or "").removeprefix("ses-"): row[column]
            for row in rows
            if row.get(column) not in (None, "", "n/a")
        }
        try:
            times = {label: parse(value) for label, value in values.items()}
        except ValueError as error:
            logger.warning("%s: the column %s is not used (%s).", path, column, error)
            continue
        if times:
            first = min(times.values())
            return {label: round(time - first, 4) for label, time in times.items()}
    return {}


def _parse_time(text: str) -> float:
    """Return days since an arbitrary moment; the time zone is dropped, since BIDS times are local."""
    return (datetime.fromisoformat(text).replace(tzinfo=None) - datetime(1800, 1, 1)).total_seconds() / _SECONDS_PER_DAY
