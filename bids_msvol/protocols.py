# SPDX-License-Identifier: Apache-2.0
"""Were two sessions scanned alike? What the sidecars and the voxels say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bids_msvol.bids.records import Session

COMPARED: dict[str, str] = {
    "Manufacturer": "scanner manufacturer",
    "ManufacturersModelName": "scanner model",
    "MagneticFieldStrength": "field strength",
    "MRAcquisitionType": "kind of acquisition",
    "ScanningSequence": "sequence",
    "RepetitionTime": "repetition time",
    "EchoTime": "echo time",
    "InversionTime": "inversion time",
    "FlipAngle": "flip angle",
}
"""Sidecar fields of the T1w that change its brightness or its geometry."""

TOLERANCE = 0.02
"""Numbers that differ by a smaller share are alike."""

VOXEL_TOLERANCE_MM = 0.05


def protocol_differences(
    before: Session, after: Session, before_voxel_mm: Sequence[float], after_voxel_mm: Sequence[float]
) -> tuple[str, ...]:
    """Say how the T1w images of two sessions were acquired differently.

    A field that one of the two sidecars lacks is not compared.

    Parameters
    ----------
    before, after
        The visits.
    before_voxel_mm, after_voxel_mm
        Voxel edges of their T1w.
    """
    found = []
    for field, name in COMPARED.items():
        first, last = before.t1w.metadata.get(field), after.t1w.metadata.get(field)
        if first is not None and last is not None and not _alike(first, last):
            found.append(f"another {name} ({first}, then {last})")
    edges = [sorted(voxel) for voxel in (before_voxel_mm, after_voxel_mm)]
    if any(abs(one - other) > VOXEL_TOLERANCE_MM for one, other in zip(*edges, strict=True)):
        sizes = [" x ".join(f"{edge:.2f}" for edge in voxel) for voxel in edges]
        found.append(f"other voxels ({sizes[0]} mm, then {sizes[1]} mm)")
    return tuple(found)


def _alike(first: Any, last: Any) -> bool:
    if isinstance(first, int | float) and isinstance(last, int | float):
        return abs(first - last) <= TOLERANCE * max(abs(first), abs(last))
    return str(first).strip().lower() == str(last).strip().lower()
