# SPDX-License-Identifier: Apache-2.0
"""What a measurement consists of: the records that pass from the imaging to the outputs and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bids_msvol.bids.records import Session
from bids_msvol.lesion_terms import Confidence, Status
from bids_msvol.structures import Tissue

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np
    from numpy.typing import NDArray

    from bids_msvol.cord.change import CordChange
    from bids_msvol.cord.records import CordSource, SessionCord
    from bids_msvol.imaging.activity import LesionChange
    from bids_msvol.imaging.change import Change
    from bids_msvol.imaging.gadolinium import EnhancementMap
    from bids_msvol.imaging.lesion_table import LesionRecord, LesionSummary
    from bids_msvol.imaging.registration import TemplateTransform

Verdict = Literal["pass", "warn", "fail"]

WORST_FIRST: tuple[Verdict, ...] = ("fail", "warn", "pass")

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
class SessionLesions:
    """The lesions of a session.

    Attributes
    ----------
    source
        What they were found on (``FLAIR``, ``T2w``), or the path of the mask that was given.
    given
        Whether a mask was given.
    mask
        1 in lesions, uint8, on the working grid.
    probability
        Probability of lesion, float32.
    numbers
        (x, y, z) int16: id of the lesion at each voxel; a person's lesions keep their ids through all sessions.
    records
        Each lesion.
    summary
        All together.
    """

    source: str
    given: bool
    mask: nib.Nifti1Image
    probability: nib.Nifti1Image
    numbers: nib.Nifti1Image
    records: tuple[LesionRecord, ...]
    summary: LesionSummary


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
    contrasts
        ``FLAIR`` and ``T2w`` on the working grid, without brightness field, normal white matter 1, NaN outside their
        field of view.
    lesions
        T2 lesions; ``None`` where nothing shows them.
    no_lesions
        Why there are none measured; empty where there are.
    enhancement
        Lesions that take up contrast agent; ``None`` without an image after it.
    cords
        The cervical cord as each image of the session that shows it has it, the best image first.
    no_cord
        Why it was not measured on images that could show it, by kind of image.
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
    contrasts: Mapping[str, nib.Nifti1Image] = field(default_factory=dict)
    lesions: SessionLesions | None = None
    no_lesions: str = ""
    enhancement: EnhancementMap | None = None
    cords: tuple[SessionCord, ...] = ()
    no_cord: Mapping[CordSource, str] = field(default_factory=dict)
    to_scan: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class PairActivity:
    """What became of a person's lesions between two sessions.

    Attributes
    ----------
    contrast
        The contrast that was compared.
    changes
        Each lesion, by the person's ids, the most important change first.
    centroids_mm
        Centre of what changed (of the lesion where nothing did), RAS world of the working grid.
    atrophied_lesion_volume_mm3
        Volume of lesion at the earlier session that is fluid at the later one.
    sentences
        Methods text.
    """

    contrast: str
    changes: tuple[LesionChange, ...]
    centroids_mm: tuple[tuple[float, float, float], ...]
    atrophied_lesion_volume_mm3: float
    sentences: tuple[str, ...]

    def count(self, status: Status, confidence: Confidence) -> int:
        """Count the changes of a kind; lesions that grew while they merged or split count as enlarging."""
        return sum(
            (
                change.status == status
                or (status == "enlarging" and change.grew and change.status in ("merged", "split"))
            )
            and change.confidence == confidence
            for change in self.changes
        )


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
    activity
        What became of the lesions; ``None`` where the images of the two sessions cannot be compared.
    no_activity
        Why not; empty where they can.
    cord
        Change of the cord by level, where both sessions have it on the same kind of image.
    """

    before: Session
    after: Session
    days: float | None
    changes: tuple[Change, ...]
    quality: tuple[QualityMetric, ...]
    verdict: Verdict
    activity: PairActivity | None = None
    no_activity: str = ""
    cord: tuple[CordChange, ...] = ()

    def ids(self) -> dict[str, object]:
        """The columns that name the pair in a table."""
        return {"session_id_from": f"ses-{self.before.label}", "session_id_to": f"ses-{self.after.label}"}


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
