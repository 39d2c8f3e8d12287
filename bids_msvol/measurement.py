# SPDX-License-Identifier: Apache-2.0
"""What one session's measurement consists of: the records that pass from the imaging to the outputs and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bids_msvol.bids.records import Session
from bids_msvol.structures import Tissue

if TYPE_CHECKING:
    import nibabel as nib

    from bids_msvol.imaging.registration import TemplateTransform

Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class QualityMetric:
    """One quality metric of a session.

    Attributes
    ----------
    name
        Identifier in the quality table, ``snake_case`` with its unit.
    value
        The number, or ``None`` where it could not be computed.
    verdict
        ``pass``, ``warn`` or ``fail``.
    reason
        Why it is not ``pass``, in plain words; empty when it is.
    """

    name: str
    value: float | None
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, eq=False)
class SessionMeasurement:
    """Everything measured in one session.

    Attributes
    ----------
    session
        The scans it was measured from.
    t1w
        Bias-corrected T1w on the working grid, in the scanner's world coordinates (``space-T1w``), float32.
    brain_mask
        1 inside the brain (without extra-cerebral fluid), uint8, same grid.
    labels
        FreeSurfer numbers (most probable structure), int16, same grid.
    tissue_probabilities
        ``GM``, ``WM`` and ``CSF`` probability, float32 in 0..1, same grid.
    volumes_mm3
        Volume by FreeSurfer number, from the sum of the posteriors (partial volume counted); ``None`` where the
        measurement failed.
    etiv_mm3
        Estimated total intracranial volume; ``None`` where it failed.
    to_template, template_space
        Transform from the session's T1w to the template, and the template's BIDS name.
    quality
        The quality metrics, worst first.
    verdict
        The worst verdict of ``quality``.
    skull_stripped
        Whether the input had no skull left.
    sentences
        The methods text, a sentence for each step that ran, in order.
    """

    session: Session
    t1w: nib.Nifti1Image
    brain_mask: nib.Nifti1Image
    labels: nib.Nifti1Image
    tissue_probabilities: Mapping[Tissue, nib.Nifti1Image]
    volumes_mm3: Mapping[int, float | None]
    etiv_mm3: float | None
    to_template: TemplateTransform
    template_space: str
    quality: tuple[QualityMetric, ...]
    verdict: Verdict
    skull_stripped: bool
    sentences: tuple[str, ...]
