# SPDX-License-Identifier: Apache-2.0
"""Measure the sessions of one person: which functions of `bids_msvol.imaging` run, in which order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from bids_msvol.bids.records import Session
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.config import Config
from bids_msvol.engines.atlas_engine import AtlasEngine
from bids_msvol.engines.structure_engine import StructureEngine, StructurePosteriors
from bids_msvol.imaging.alignment import PersonSpace, align_sessions, mean_image, resample_session
from bids_msvol.imaging.change import compare_boundaries, compare_volumes, coverage, find_edges
from bids_msvol.imaging.expectation import TissueExpectation
from bids_msvol.imaging.followup import (
    deep_white,
    follow_session,
    match_brightness,
    near_brain,
    volumes_by_jacobian_mm3,
    white_brightness,
)
from bids_msvol.imaging.grids import conform
from bids_msvol.imaging.quality import judge_pair, voxel_metrics, worst_verdict
from bids_msvol.measurement import PairActivity, PairMeasurement, PersonMeasurement, SessionMeasurement
from bids_msvol.person_cord import add_cords, compare_person_cords
from bids_msvol.person_lesions import compare_views, describe_lesions
from bids_msvol.protocols import protocol_differences
from bids_msvol.session import add_lesions, describe_session, measure_session, structure_sums_mm3
from bids_msvol.session_lesions import (
    Anatomy,
    LesionView,
    fill_views,
    find_enhancing,
    view_lesions,
    with_lesions_again,
    within_anatomy,
)


@dataclass(frozen=True, eq=False)
class Aligned:
    """The sessions of a person on one grid, halfway between them.

    Attributes
    ----------
    space
        Grid and movements.
    images
        T1w of each session, resampled once.
    seen
        For each session the voxels inside its field of view.
    affine
        (4, 4) from the template to the space.
    """

    space: PersonSpace
    images: tuple[nib.Nifti1Image, ...]
    seen: tuple[NDArray[np.bool_], ...]
    affine: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DeformedSession:
    """One session of several, as it differs from the person's mean image.

    Attributes
    ----------
    matched
        T1w, matched in brightness to the mean image.
    displacement
        From the session to the mean image, mm.
    volumes_mm3
        Volumes by FreeSurfer number after the deformation of the mean image to the session.
    """

    matched: nib.Nifti1Image
    displacement: nib.Nifti1Image
    volumes_mm3: Mapping[int, float]


def measure_person(
    sessions: Sequence[Session],
    images: Sequence[SessionImages],
    config: Config,
    engine: StructureEngine | None = None,
) -> PersonMeasurement:
    """Measure the structures and lesions of every session of a person, and their change.

    A person with one session is measured on that session's own grid; with more, all sessions are brought into the space
    halfway between them, resampled once and alike.

    Parameters
    ----------
    sessions
        The visits, in order of time.
    images
        Images of each.
    config
        Working voxel size, lesion filling and seed.
    engine
        Segmentation engine; the atlas engine if not given.

    Raises
    ------
    DataError
        If a lesion mask that was given lies outside the head.
    """
    engine = engine if engine is not None else AtlasEngine()
    if len(sessions) == 1:
        alone = measure_session(sessions[0], images[0], config, engine)
        return PersonMeasurement(tuple(add_cords([alone], images, config)))
    whole = align_person([one.t1w for one in images], engine, config)
    base = segment_mean(whole, engine, config)
    expected = engine.expect(base)
    deep = deep_white(base)
    views = [view_session(whole, position, one, base, deep, expected, config) for position, one in enumerate(images)]
    aligned = fill_person(whole, views, expected, config)
    if aligned is not whole:
        base = segment_mean(aligned, engine, config)
    measured, pairs, anatomy = measure_structures(sessions, images, whole, aligned, base, engine, config)
    del base  # its posteriors are the largest thing in memory
    views = [within_anatomy(view, one) for view, one in zip(views, anatomy, strict=True)]
    compared = _pairs(len(sessions))
    activity, reasons = compare_views(views, anatomy, expected, compared)
    lesions, became = describe_lesions(views, anatomy, activity)
    for position, view in enumerate(views):
        enhancement = find_enhancing(sessions[position], view, anatomy[position], expected)
        measured[position] = add_lesions(measured[position], view, lesions[position], enhancement, config)
    pairs = [
        _with_activity(pair, became.get(which), reasons.get(which, ""), [measured[position] for position in which])
        for which, pair in zip(compared, pairs, strict=True)
    ]
    measured = add_cords(measured, images, config)
    return PersonMeasurement(tuple(measured), tuple(compare_person_cords(pairs, measured)))


def with_sessions(measured: PersonMeasurement, sessions: Sequence[Session]) -> PersonMeasurement:
    """Return a measurement of the same images as that of these visits."""
    own = {old.session.name: new for old, new in zip(measured.sessions, sessions, strict=True)}
    return PersonMeasurement(
        tuple(replace(one, session=own[one.session.name]) for one in measured.sessions),
        tuple(
            replace(
                pair,
                before=own[pair.before.name],
                after=own[pair.after.name],
                days=_days(own[pair.before.name], own[pair.after.name]),
            )
            for pair in measured.pairs
        ),
    )


def align_person(images: Sequence[nib.Nifti1Image], engine: StructureEngine, config: Config) -> Aligned:
    """Bring the sessions of a person into the space halfway between them.

    Parameters
    ----------
    images
        T1w of each session, as stored.
    engine
        Aligns the template with each.
    config
        Working voxel size and seed.
    """
    affines = [engine.align(conform(image, config.resolution_mm), seed=config.random_seed) for image in images]
    space = align_sessions(images, affines, engine.brain_points(), config.resolution_mm)
    resampled = [resample_session(image, space, move) for image, move in zip(images, space.to_sessions, strict=True)]
    to_space = [np.linalg.inv(move) @ affine for move, affine in zip(space.to_sessions, affines, strict=True)]
    mean = linalg.expm(np.mean([linalg.logm(affine).real for affine in to_space], axis=0))
    return Aligned(space, tuple(image for image, _ in resampled), tuple(seen for _, seen in resampled), mean)


def segment_mean(aligned: Aligned, engine: StructureEngine, config: Config) -> StructurePosteriors:
    """Segment the mean of a person's aligned sessions."""
    mean = mean_image(aligned.images, aligned.seen)
    seen = np.logical_or.reduce(aligned.seen)
    return engine(mean, seed=config.random_seed, affine=aligned.affine, seen=seen)


def view_session(
    aligned: Aligned,
    position: int,
    images: SessionImages,
    base: StructurePosteriors,
    deep: NDArray[np.bool_],
    expected: TissueExpectation,
    config: Config,
) -> LesionView:
    """Bring the further images of one of several sessions onto the person's grid and find its lesions.

    Parameters
    ----------
    aligned
        The sessions on one grid.
    position
        Which of them.
    images
        Its images, as stored.
    base, deep, expected
        Structures of the mean image, its deep white matter, and what the atlas expects there.
    config
        Seed.
    """
    matched = match_brightness(aligned.images[position], base.corrected, deep & aligned.seen[position])
    return view_lesions(images, matched, aligned.space.to_sessions[position], base, expected, config.random_seed)


def fill_person(aligned: Aligned, views: Sequence[LesionView], expected: TissueExpectation, config: Config) -> Aligned:
    """Fill the lesions of all sessions in every session alike; the same object if there is nothing to fill."""
    if config.no_lesion_filling:
        return aligned
    filled = fill_views(aligned.images, views, expected, config.random_seed)
    return aligned if filled is None else replace(aligned, images=filled)


def deform_sessions(aligned: Aligned, base: StructurePosteriors) -> list[DeformedSession]:
    """Match each session to the mean image in brightness, and deform the mean image to it.

    Parameters
    ----------
    aligned
        The sessions on one grid.
    base
        Structures of the mean image.
    """
    deep, near, white = deep_white(base), near_brain(base), white_brightness(base)
    deformed = []
    for image, seen in zip(aligned.images, aligned.seen, strict=True):
        matched, displacement = follow_session(base.corrected, image, deep & seen, near & seen, white)
        stretched = volumes_by_jacobian_mm3(
            base.posteriors, base.mask, base.classes, base.corrected.affine, displacement
        )
        deformed.append(DeformedSession(matched, displacement, stretched))
    return deformed


def measure_structures(
    sessions: Sequence[Session],
    images: Sequence[SessionImages],
    whole: Aligned,
    aligned: Aligned,
    base: StructurePosteriors,
    engine: StructureEngine,
    config: Config,
) -> tuple[list[SessionMeasurement], list[PairMeasurement], list[Anatomy]]:
    """Measure the structures of every session from what is known of their mean image, and their change.

    Parameters
    ----------
    sessions, images
        The visits and their images, as stored.
    whole, aligned
        The sessions on one grid, as they are and with their lesions filled.
    base
        Structures of the mean of ``aligned``.
    engine, config
        As for `measure_person`.
    """
    deformed = deform_sessions(aligned, base)
    etiv_mm3 = sum(structure_sums_mm3(base).values())
    found = iter(
        engine.follow([one.matched for one in deformed], base, [one.displacement for one in deformed], aligned.seen)
    )
    measured, volumes, anatomy = [], [], []
    for position in range(len(sessions)):
        # The largest thing in memory; `enumerate` would keep it beside that of the next session.
        posteriors = next(found)
        one = _describe_followed(
            sessions[position], images[position].t1w, posteriors, etiv_mm3, aligned, position, config
        )
        plain = with_lesions_again(one.t1w, aligned.images[position], whole.images[position])
        measured.append(replace(one, t1w=plain))
        volumes.append(structure_sums_mm3(posteriors))
        anatomy.append(Anatomy.of(one))
        del posteriors
    pairs = compare_sessions(measured, volumes, deformed, base, aligned, [one.t1w for one in images])
    return measured, pairs, anatomy


def compare_sessions(
    measured: Sequence[SessionMeasurement],
    volumes_mm3: Sequence[Mapping[int, float]],
    deformed: Sequence[DeformedSession],
    base: StructurePosteriors,
    aligned: Aligned,
    images: Sequence[nib.Nifti1Image],
) -> list[PairMeasurement]:
    """Measure the change from each session to the next, and from the first to each later one.

    Parameters
    ----------
    measured, volumes_mm3, deformed
        Each session, its volumes by FreeSurfer number, how it differs from the mean image.
    base
        Structures of the mean image.
    aligned
        The sessions on one grid.
    images
        T1w of each session, as stored.
    """
    edges = find_edges(base.corrected, base.posteriors, base.mask, base.classes)
    result = []
    for first, last in _pairs(len(measured)):
        seen = aligned.seen[first] & aligned.seen[last]
        covered = coverage(base.posteriors, base.mask, base.classes, seen)
        before, after = deformed[first], deformed[last]
        changes = (
            *compare_volumes(volumes_mm3[first], volumes_mm3[last], "segmentation", covered),
            *compare_volumes(before.volumes_mm3, after.volumes_mm3, "jacobian", covered),
            *compare_boundaries(before.matched, after.matched, edges, seen, volumes_mm3[first], covered),
        )
        visits = (measured[first].session, measured[last].session)
        protocol = protocol_differences(*visits, *(nib.affines.voxel_sizes(images[i].affine) for i in (first, last)))
        similarity = min(aligned.space.similarity[first], aligned.space.similarity[last])
        quality, believed = judge_pair(changes, similarity, protocol)
        result.append(PairMeasurement(*visits, _days(*visits), believed, quality, worst_verdict(quality)))
    return result


def _describe_followed(
    session: Session,
    image: nib.Nifti1Image,
    found: StructurePosteriors,
    etiv_mm3: float,
    aligned: Aligned,
    position: int,
    config: Config,
) -> SessionMeasurement:
    count = len(aligned.images)
    aligning = (
        f"The T1w images of the person's {count} sessions were aligned rigidly in the space halfway between them by a "
        "robust, symmetric registration of local brightness (Reuter 2010), and each was resampled once, by cubic "
        f"B-splines, to isotropic voxels of {config.resolution_mm:g} mm (Reuter 2012)."
    )
    sharing = (
        "The mean of the sessions was segmented first; each session was then matched to it in brightness (Lewis 2004), "
        "the deformation from the mean image to the session was found by demons of the brightness, and the session was "
        "segmented with the deformed priors of the mean. The intracranial volume is that of the mean image. Change was "
        "also measured from the stretch of that deformation, and from the movement of the edges of brain and "
        "ventricles (Freeborough 1997; Leung 2010)."
    )
    diagnostics = {
        **found.diagnostics,
        **voxel_metrics(image, aligned.images[position]),
        "alignment": aligned.space.similarity[position],
    }
    measured = describe_session(session, found, diagnostics, etiv_mm3, (aligning, *found.sentences, sharing))
    return replace(measured, to_scan=aligned.space.to_sessions[position])


def _pairs(count: int) -> list[tuple[int, int]]:
    """Each session with the next, and the first with each later one."""
    return sorted({*itertools.pairwise(range(count)), *((0, later) for later in range(1, count))})


def _with_activity(
    pair: PairMeasurement, activity: PairActivity | None, reason: str, visits: Sequence[SessionMeasurement]
) -> PairMeasurement:
    """Add what became of the lesions, unless those of either visit are not to be believed."""
    unbelieved = [visit.no_lesions for visit in visits if visit.lesions is None]
    if unbelieved:
        return replace(pair, no_activity=unbelieved[0])
    return replace(pair, activity=activity, no_activity=reason)


def _days(before: Session, after: Session) -> float | None:
    return None if before.days is None or after.days is None else after.days - before.days
