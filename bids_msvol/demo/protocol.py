# SPDX-License-Identifier: Apache-2.0
"""The protocol of the synthetic scanner: contrast, quality and what the sidecars say of each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bids_msvol.atlas.labels import (
    CORD,
    CORTICAL_BONE,
    MARROW,
    MIRROR,
    SOFT_TISSUE,
    SPINAL_FLUID,
    VEINS_AND_DURA,
)
from bids_msvol.synthesis import Acquisition

SCANNER: Mapping[str, object] = {
    "Manufacturer": "Synthetic",
    "ManufacturersModelName": "bids_msvol demo",
    "MagneticFieldStrength": 3,
    "BodyPart": "HEAD",
}
"""Sidecar fields that all images share."""


@dataclass(frozen=True)
class Sequence:
    """One sequence of the protocol.

    Attributes
    ----------
    suffix
        BIDS suffix of its images.
    acquisition
        Contrast and quality.
    fat, skin
        Brightness of subcutaneous fat and of skin; the rest of the soft tissue is muscle, ``brightness`` of its class.
    disc
        Brightness of the core of a healthy disc between two vertebrae.
    lesion
        Which brightness of a lesion the sequence shows.
    metadata
        Sidecar fields; times in seconds, angles in degrees.
    acquisition_label
        Label of ``acq-`` in the names of its images, if any.
    """

    suffix: Literal["T1w", "FLAIR", "T2w"]
    acquisition: Acquisition
    fat: float
    skin: float
    disc: float
    lesion: Literal["t1w_brightness", "flair_brightness"]
    metadata: Mapping[str, object]
    acquisition_label: str | None = None


def _both_sides(left: Mapping[int, float]) -> dict[int, float]:
    return {**left, **{MIRROR[number]: value for number, value in left.items() if number in MIRROR}}


T1W = Sequence(
    suffix="T1w",
    acquisition=Acquisition(
        brightness=_both_sides({
            0: 0.01, SOFT_TISSUE: 0.42, CORD: 0.88, VEINS_AND_DURA: 0.32, CORTICAL_BONE: 0.08, MARROW: 0.80,
            SPINAL_FLUID: 0.15, 24: 0.15, 4: 0.14, 5: 0.16, 14: 0.15, 15: 0.15,
            2: 1.0, 3: 0.63, 7: 0.96, 8: 0.62, 10: 0.80, 11: 0.69, 12: 0.74, 13: 0.89, 16: 0.91, 17: 0.63, 18: 0.64,
            26: 0.68, 28: 0.88,
        }),
        spread=0.025,
        noise=0.025,
        bias=0.22,
        blur_mm=0.3,
    ),
    fat=0.95,
    skin=0.45,
    disc=0.52,
    lesion="t1w_brightness",
    metadata={
        "SequenceName": "MPRAGE", "MRAcquisitionType": "3D", "ScanningSequence": "GR", "RepetitionTime": 2.3,
        "EchoTime": 0.003, "InversionTime": 0.9, "FlipAngle": 9,
    },
)  # fmt: skip

FLAIR = Sequence(
    suffix="FLAIR",
    acquisition=Acquisition(
        brightness=_both_sides({
            0: 0.01, SOFT_TISSUE: 0.45, CORD: 0.95, VEINS_AND_DURA: 0.35, CORTICAL_BONE: 0.08, MARROW: 0.50,
            SPINAL_FLUID: 0.15, 24: 0.14, 4: 0.12, 5: 0.16, 14: 0.14, 15: 0.15,
            2: 1.0, 3: 1.14, 7: 1.02, 8: 1.12, 10: 1.08, 11: 1.13, 12: 1.10, 13: 0.96, 16: 1.04, 17: 1.20, 18: 1.20,
            26: 1.15, 28: 1.04,
        }),
        spread=0.03,
        noise=0.04,
        bias=0.22,
        blur_mm=0.45,
    ),
    fat=0.60,
    skin=0.50,
    disc=0.60,
    lesion="flair_brightness",
    metadata={
        "SequenceName": "SPACE FLAIR", "MRAcquisitionType": "3D", "ScanningSequence": "SE", "RepetitionTime": 5.0,
        "EchoTime": 0.39, "InversionTime": 1.65, "FlipAngle": 120,
    },
)  # fmt: skip

CERVICAL_T2W = Sequence(
    suffix="T2w",
    acquisition=Acquisition(
        brightness=_both_sides({
            0: 0.02, SOFT_TISSUE: 0.45, CORD: 1.02, VEINS_AND_DURA: 0.25, CORTICAL_BONE: 0.15, MARROW: 0.80,
            SPINAL_FLUID: 2.6, 24: 2.6, 4: 2.7, 5: 2.6, 14: 2.6, 15: 2.5,
            2: 1.0, 3: 1.35, 7: 1.05, 8: 1.35, 10: 1.20, 11: 1.20, 12: 1.15, 13: 0.90, 16: 1.04, 17: 1.40, 18: 1.40,
            26: 1.25, 28: 1.05,
        }),
        spread=0.035,
        noise=0.06,
        bias=0.30,
        blur_mm=0.4,
    ),
    fat=1.70,
    skin=0.60,
    disc=1.25,
    lesion="flair_brightness",
    metadata={
        "BodyPart": "CSPINE", "SequenceName": "SPACE T2", "MRAcquisitionType": "3D", "ScanningSequence": "SE",
        "RepetitionTime": 1.5, "EchoTime": 0.12, "FlipAngle": 120,
    },
    acquisition_label="cspine",
)  # fmt: skip
"""A scan of the neck alone, which a session may have beside those of the head."""

PROTOCOL: tuple[Sequence, ...] = (T1W, FLAIR)
"""The sequences of every session, in order."""
