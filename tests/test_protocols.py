# SPDX-License-Identifier: Apache-2.0
"""Two sessions that were scanned differently are told apart, and nothing is made up where the sidecars are silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bids_msvol.bids.records import Scan, Session
from bids_msvol.protocols import COMPARED, protocol_differences

PROTOCOL: dict[str, Any] = {
    "Manufacturer": "Siemens",
    "MagneticFieldStrength": 3,
    "EchoTime": 0.003,
    "FlipAngle": 9,
    "ScanningSequence": ["GR", "IR"],
}
VOXEL_MM = (1.0, 1.0, 1.0)


def differences(
    after: dict[str, Any], before: dict[str, Any] = PROTOCOL, after_voxel_mm: tuple[float, float, float] = VOXEL_MM
) -> tuple[str, ...]:
    """Compare two visits with these sidecars."""
    first, last = (
        Session("01", label, Scan(Path(f"{label}.nii.gz"), f"{label}.nii.gz", "T1w", {}, metadata), "the only one")
        for label, metadata in (("a", before), ("b", after))
    )
    return protocol_differences(first, last, VOXEL_MM, after_voxel_mm)


def test_same_protocol() -> None:
    """No difference is found where there is none, nor in fields that say nothing of the image."""
    assert differences({**PROTOCOL, "PatientName": "nobody"}) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Manufacturer", "Philips"),
        ("MagneticFieldStrength", 1.5),
        ("EchoTime", 0.004),
        ("FlipAngle", 12),
        ("ScanningSequence", ["GR"]),
    ],
)
def test_other_protocol(field: str, value: Any) -> None:
    """One difference is told in plain words, with both values."""
    (found,) = differences({**PROTOCOL, field: value})
    assert found == f"another {COMPARED[field]} ({PROTOCOL[field]}, then {value})"


@pytest.mark.parametrize(
    ("field", "value"), [("Manufacturer", " SIEMENS "), ("EchoTime", 0.00304), ("MagneticFieldStrength", 2.99)]
)
def test_other_spelling_is_no_difference(field: str, value: Any) -> None:
    """Case, blanks, and what scanners round, do not count."""
    assert differences({**PROTOCOL, field: value}) == ()


@pytest.mark.parametrize("field", list(PROTOCOL))
def test_silence_is_no_difference(field: str) -> None:
    """A field that only one sidecar has, or that is null, is not compared."""
    assert differences({key: value for key, value in PROTOCOL.items() if key != field}) == ()
    assert differences({**PROTOCOL, field: None}) == ()
    assert differences(PROTOCOL, {}) == ()


def test_zero_and_something_differ() -> None:
    """A relative tolerance does not let a value of zero equal any other."""
    assert len(differences({"FlipAngle": 1}, {"FlipAngle": 0})) == 1
    assert differences({"FlipAngle": 0}, {"FlipAngle": 0}) == ()


def test_voxels_are_compared_whatever_their_order() -> None:
    """Thicker slices are a difference; the same voxel stored along other axes, or rounded, is none."""
    assert differences(PROTOCOL, after_voxel_mm=(1.0, 3.0, 1.0)) == (
        "other voxels (1.00 x 1.00 x 1.00 mm, then 1.00 x 1.00 x 3.00 mm)",
    )
    assert differences(PROTOCOL, after_voxel_mm=(1.0, 1.04, 0.97)) == ()


def test_every_difference_is_told() -> None:
    """Several differences come together, in the order of the list."""
    found = differences({**PROTOCOL, "FlipAngle": 12, "Manufacturer": "GE"}, after_voxel_mm=(2.0, 2.0, 2.0))
    expected = ["another scanner manufacturer", "another flip angle", "other voxels"]
    assert [text.split(" (")[0] for text in found] == expected
