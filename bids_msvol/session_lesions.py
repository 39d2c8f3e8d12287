# SPDX-License-Identifier: Apache-2.0
"""The lesions of one session: its further images on the T1w, what they show, and lesions filled before volumetry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.bids.lesion_masks import GivenMask
from bids_msvol.bids.records import Session
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.errors import DataError
from bids_msvol.imaging.coregistration import register_rigid, resample
from bids_msvol.imaging.expectation import TissueExpectation
from bids_msvol.imaging.filling import fill_lesions
from bids_msvol.imaging.followup import deep_white, match_brightness
from bids_msvol.imaging.gadolinium import EnhancementMap, find_enhancement
from bids_msvol.imaging.lesion_table import CEREBRAL_WHITE
from bids_msvol.imaging.lesions import LESION_PROBABILITY, LesionMap, segment_lesions
from bids_msvol.imaging.quality import judge_contrast
from bids_msvol.measurement import QualityMetric, SessionMeasurement

LEAST_SHARE_INSIDE = 0.8
"""Share of a given mask that must lie inside the skull; with less it belongs to another image."""

BEYOND_MM = 2.0
"""Distance from the measured structures up to which there are lesions."""

LEAST_WHITE_SEEN = 0.3
"""Share of the white matter that an image after contrast agent must show to be of use."""

LATERAL_VENTRICLES = (4, 43)


@dataclass(frozen=True, eq=False)
class LesionView:
    """What the further images of one session show, on the working grid.

    Attributes
    ----------
    t1w
        Bias-corrected T1w.
    contrasts
        FLAIR and T2w, NaN outside their field of view.
    t1w_gd
        T1w after contrast agent, likewise, matched to ``t1w`` in brightness.
    lesions
        ``None`` where nothing shows them.
    source
        ``FLAIR``, ``T2w`` or the path of the mask that was given.
    given
        Whether a mask was given.
    reason
        Why there are no lesions; empty where there are.
    quality
        Verdicts on the contrast.
    sentences
        Methods text.
    """

    t1w: nib.Nifti1Image
    contrasts: Mapping[str, nib.Nifti1Image]
    t1w_gd: nib.Nifti1Image | None
    lesions: LesionMap | None
    source: str
    given: bool
    reason: str
    quality: tuple[QualityMetric, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What the comparison of lesions needs of a session's structures.

    Attributes
    ----------
    labels
        (x, y, z) int16 FreeSurfer number of the most likely structure, 0 where none is measured.
    fluid
        (x, y, z) probability of fluid.
    """

    labels: NDArray[np.int16]
    fluid: NDArray[np.float32]

    @staticmethod
    def of(measured: SessionMeasurement) -> Anatomy:
        """Take it from what was measured."""
        return Anatomy(np.asarray(measured.labels.dataobj), np.asarray(measured.tissue_probabilities["CSF"].dataobj))


def view_lesions(
    images: SessionImages,
    t1w: nib.Nifti1Image,
    to_scan: NDArray[np.float64],
    structures: StructurePosteriors,
    expected: TissueExpectation,
    seed: int,
) -> LesionView:
    """Bring the further images of a session onto its T1w and find its lesions.

    Parameters
    ----------
    images
        As stored.
    t1w
        Bias-corrected T1w on the working grid.
    to_scan
        (4, 4) movement from the working grid's world to that of the T1w file.
    structures, expected
        What the engine found on that grid, and what the atlas expects there.
    seed
        Seed of all chance.

    Raises
    ------
    DataError
        If the mask that was given lies outside the head.
    """
    motions = {"T1w": to_scan}
    contrasts = {}
    for name, image in images.contrasts.items():
        motions[name] = register_rigid(image, t1w, structures.mask, seed=seed)
        contrasts[name] = resample(image, t1w, motions[name])
    sentences = [_aligning(tuple(contrasts))] if contrasts else []
    found, reason, quality = _segment(t1w, contrasts, structures, expected)
    source = next(iter(found.normalised), "") if found is not None else ""
    if images.lesion_mask is not None:
        found = _as_given(images.lesion_mask, t1w, motions[images.lesion_mask.drawn_on], expected, found)
        source, reason = images.lesion_mask.name, ""
        sentences.append(f"The lesions are those of a mask that was given, {source}.")
    elif found is not None:
        sentences += found.sentences
    enhanced = None
    if images.t1w_gd is not None:
        motion = register_rigid(images.t1w_gd, t1w, structures.mask, seed=seed)
        resampled = resample(images.t1w_gd, t1w, motion)
        deep = deep_white(structures)
        if np.isfinite(np.asarray(resampled.dataobj)[deep]).mean() >= LEAST_WHITE_SEEN:
            enhanced = match_brightness(resampled, t1w, deep)
    return LesionView(
        t1w=t1w,
        contrasts={} if found is None else found.normalised,
        t1w_gd=enhanced,
        lesions=found,
        source=source,
        given=images.lesion_mask is not None,
        reason=reason,
        quality=quality,
        sentences=tuple(sentences),
    )


def within_anatomy(view: LesionView, anatomy: Anatomy) -> LesionView:
    """Leave out lesions beyond the structures that are measured, such as the cord; given masks stay as they are."""
    if view.lesions is None or view.given:
        return view
    spacing_mm = nib.affines.voxel_sizes(view.t1w.affine)
    near = ndimage.distance_transform_edt(anatomy.labels == 0, spacing_mm) <= BEYOND_MM
    kept = replace(
        view.lesions,
        probability=np.where(near, view.lesions.probability, np.float32(0.0)),
        mask=view.lesions.mask & near,
        seen=view.lesions.seen & near,
    )
    return replace(view, lesions=kept)


def fill_views(
    images: Sequence[nib.Nifti1Image], views: Sequence[LesionView], expected: TissueExpectation, seed: int
) -> tuple[nib.Nifti1Image, ...] | None:
    """Fill the lesions of all sessions in every session alike.

    Parameters
    ----------
    images
        T1w of each session on the working grid.
    views
        What each session shows.
    expected
        What the atlas expects.
    seed
        Seed of the noise, the same for all sessions.

    Returns
    -------
    tuple of nibabel.Nifti1Image or None
        The filled images; ``None`` if there is nothing to fill.
    """
    masks = [view.lesions.mask for view in views if view.lesions is not None]
    if not masks or not np.any(masks):
        return None
    union = np.logical_or.reduce(masks)
    white = expected.white_matter()
    return tuple(fill_lesions(image, union, white, seed=seed) for image in images)


def with_lesions_again(
    corrected: nib.Nifti1Image, filled: nib.Nifti1Image, original: nib.Nifti1Image
) -> nib.Nifti1Image:
    """Put the lesions back into an image that was corrected after they had been filled.

    Parameters
    ----------
    corrected
        Corrected image.
    filled, original
        What it was made from, and the same before filling.
    """
    own, before, after = (np.asarray(image.dataobj) for image in (corrected, original, filled))
    differ = (before != after) & (after > 0)
    result = np.array(own, dtype=np.float32)
    result[differ] = before[differ] * (own[differ] / after[differ])
    return nib.Nifti1Image(result, corrected.affine)


def find_enhancing(
    session: Session, view: LesionView, anatomy: Anatomy, expected: TissueExpectation
) -> EnhancementMap | None:
    """Find lesions that take up contrast agent, if there is an image after it.

    Parameters
    ----------
    session
        The visit.
    view
        What its further images show.
    anatomy
        Its structures.
    expected
        What the atlas expects.
    """
    only_after = "ceagent" in session.t1w.entities
    if view.t1w_gd is None and not only_after:
        return None
    white = np.isin(anatomy.labels, CEREBRAL_WHITE)
    if view.lesions is not None:
        white &= ~view.lesions.mask
    unit = np.float32(np.median(np.asarray(view.t1w.dataobj)[white]))
    plain, enhanced = (
        None if image is None else nib.Nifti1Image(np.asarray(image.dataobj) / unit, image.affine)
        for image in (view.t1w, view.t1w_gd)
    )
    if only_after:
        plain, enhanced = None, plain
    assert enhanced is not None
    return find_enhancement(
        enhanced, plain, lesions=view.lesions, labels=anatomy.labels, cavity=expected.inside_skull()
    )


def _segment(
    t1w: nib.Nifti1Image,
    contrasts: Mapping[str, nib.Nifti1Image],
    structures: StructurePosteriors,
    expected: TissueExpectation,
) -> tuple[LesionMap | None, str, tuple[QualityMetric, ...]]:
    """Find the lesions; if there are none to be believed, say why."""
    if not contrasts:
        return None, "there is no FLAIR and no T2w image", ()
    try:
        found = segment_lesions(t1w, contrasts, expected)
    except ValueError as error:
        return None, str(error), ()
    name, shown = next(iter(found.normalised.items()))
    share = structures.posteriors[:, [structures.classes.index(number) for number in LATERAL_VENTRICLES]].sum(axis=1)
    sure = np.zeros(structures.mask.shape, dtype=bool)
    sure[structures.mask] = share > 0.95
    # The outermost layer shares its voxels with the wall.
    sure = ndimage.binary_erosion(sure)
    quality, usable = judge_contrast(name, np.asarray(shown.dataobj), expected.inside_skull(), sure)
    if usable:
        return found, "", quality
    return None, "; ".join(metric.reason for metric in quality if metric.reason), quality


def _as_given(
    given: GivenMask,
    t1w: nib.Nifti1Image,
    motion: NDArray[np.float64],
    expected: TissueExpectation,
    found: LesionMap | None,
) -> LesionMap:
    """Put the mask that was given in the place of what was found."""
    moved = np.asarray(resample(given.image, t1w, motion).dataobj)
    covered = np.isfinite(moved)
    probability = np.clip(np.nan_to_num(moved), 0.0, 1.0).astype(np.float32)
    mask, inside = probability > LESION_PROBABILITY, expected.inside_skull()
    if np.asarray(given.image.dataobj).any() and float(inside[mask].mean() if mask.any() else 0.0) < LEAST_SHARE_INSIDE:
        raise DataError(
            "lies outside the head for the most part when its header is believed, so it was drawn on another image",
            remedy="Give it the header of the image that it was drawn on, or leave it out",
            subject=given.name,
        )
    return LesionMap(
        probability=probability,
        mask=mask,
        seen=inside & covered if found is None else found.seen,
        normalised={} if found is None else found.normalised,
        sentences=(),
    )


def _aligning(names: Sequence[str]) -> str:
    return (
        f"The {' and '.join(names)} image{'s were' if len(names) > 1 else ' was'} aligned rigidly with the T1w by "
        "mutual information (Mattes 2003) and resampled once, by cubic B-splines."
    )
