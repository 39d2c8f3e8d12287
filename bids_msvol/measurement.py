# SPDX-License-Identifier: Apache-2.0
"""What a measurement consists of: the records that pass from the imaging to the outputs and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bids_msvol.bids.records import Session
from bids_msvol.structures import Tissue

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np
    from numpy.typing import NDArray

    from bids_msvol.imaging.change import Change
    from bids_msvol.imaging.registration import TemplateTransform

Verdict = Literal["pass", "warn", "fail"]

DAYS_PER_YEAR = 365.25


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
    to_scan
        (4, 4) rigid movement from the working grid's world to that of the T1w file, where a person with several
        sessions has a space of their own; ``None`` where both are the same.
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
    to_scan: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class PairMeasurement:
    """What changed between two sessions of a person.

    Attributes
    ----------
    before, after
        The visits.
    days
        Days between them, ``None`` if unknown.
    changes
        Change of every structure by every method; withheld where the pair failed.
    quality
        Quality metrics of the pair, worst first.
    verdict
        The worst verdict of ``quality``.
    """

    before: Session
    after: Session
    days: float | None
    changes: tuple[Change, ...]
    quality: tuple[QualityMetric, ...]
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class PersonMeasurement:
    """Everything measured in the sessions of a person.

    Attributes
    ----------
    sessions
        Each session, in the order given.
    pairs
        Each session with the next, and the first with each later one.
    """

    sessions: tuple[SessionMeasurement, ...]
    pairs: tuple[PairMeasurement, ...] = ()


def per_year(change_pct: float | None, days: float | None) -> float | None:
    """Per cent per year, ``None`` if the change or the time is unknown or the time is zero."""
    if change_pct is None or days is None or days == 0:
        return None
    return change_pct * DAYS_PER_YEAR / days
