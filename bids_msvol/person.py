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
from bids_msvol.config import Config
from bids_msvol.engines.atlas_engine import AtlasEngine
from bids_msvol.engines.structure_engine import StructureEngine, StructurePosteriors
from bids_msvol.imaging.alignment import PersonSpace, align_sessions, mean_image, resample_session
from bids_msvol.imaging.brain import brain_mask
from bids_msvol.imaging.change import compare_boundaries, compare_volumes, coverage, find_edges
from bids_msvol.imaging.followup import (
    deform_to_session,
    match_brightness,
    near_brain,
    solid_brain,
    volumes_by_jacobian_mm3,
    white_brightness,
)
from bids_msvol.imaging.grids import conform, voxel_volume_mm3
from bids_msvol.imaging.quality import judge, judge_pair, voxel_metrics, worst_verdict
from bids_msvol.imaging.volumes import most_likely_labels, structure_volumes_mm3, tissue_probabilities
from bids_msvol.measurement import PairMeasurement, PersonMeasurement, SessionMeasurement
from bids_msvol.protocols import protocol_differences
from bids_msvol.structures import STRUCTURES, SUMS


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
    images: Sequence[nib.Nifti1Image],
    config: Config,
    engine: StructureEngine | None = None,
) -> PersonMeasurement:
    """Measure the structures of every session of a person, and their change.

    A person with one session is measured on that session's own grid; with more, all sessions are brought into the space
    halfway between them, resampled once and alike.

    Parameters
    ----------
    sessions
        The visits, in order of time.
    images
        T1w of each.
    config
        Working voxel size and seed.
    engine
        Segmentation engine; the atlas engine if not given.
    """
    engine = engine if engine is not None else AtlasEngine()
    if len(sessions) == 1:
        return PersonMeasurement((measure_session(sessions[0], images[0], config, engine),))
    aligned = align_person(images, engine, config)
    base = segment_mean(aligned, engine, config)
    deformed = [deform_session(aligned, position, base) for position in range(len(sessions))]
    found = engine.follow([one.matched for one in deformed], base, [one.displacement for one in deformed], aligned.seen)
    measured, volumes = [], []
    for position, posteriors in enumerate(found):
        measured.append(
            _describe_followed(sessions[position], images[position], posteriors, base, aligned, position, config)
        )
        volumes.append(_volumes_mm3(posteriors))
    return PersonMeasurement(
        tuple(measured), tuple(compare_sessions(measured, volumes, deformed, base, aligned, images))
    )


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


def measure_session(
    session: Session, image: nib.Nifti1Image, config: Config, engine: StructureEngine | None = None
) -> SessionMeasurement:
    """Measure the structures of one T1w image.

    Parameters
    ----------
    session
        The visit.
    image
        Its T1w.
    config
        Working voxel size and seed.
    engine
        Segmentation engine; the atlas engine if not given.
    """
    engine = engine if engine is not None else AtlasEngine()
    t1w = conform(image, config.resolution_mm)
    found = engine(t1w, seed=config.random_seed)
    conforming = (
        f"The T1w image was brought to isotropic voxels of {config.resolution_mm:g} mm along its own axes; one that "
        "had them already was not resampled."
    )
    diagnostics = {**found.diagnostics, **voxel_metrics(image, t1w)}
    return describe_session(session, found, diagnostics, None, (conforming, *found.sentences))


def describe_session(
    session: Session,
    found: StructurePosteriors,
    diagnostics: Mapping[str, float],
    etiv_mm3: float | None,
    sentences: Sequence[str],
) -> SessionMeasurement:
    """Turn posteriors into volumes, maps and a judgement.

    Parameters
    ----------
    session
        The visit.
    found
        What the engine found.
    diagnostics
        Numbers for the quality table.
    etiv_mm3
        Intracranial volume if it is known from elsewhere; else that of this session.
    sentences
        Methods text so far.
    """
    affine = found.corrected.affine
    volumes = _volumes_mm3(found)
    labels = most_likely_labels(found.posteriors, found.classes, found.mask)
    tissues = tissue_probabilities(found.posteriors, found.classes, found.mask)
    brain = brain_mask(tissues["GM"] + tissues["WM"])
    whole_brain = sum(volumes[index] for index in SUMS[0].members)
    etiv = etiv_mm3 if etiv_mm3 is not None else sum(volumes[structure.index] for structure in STRUCTURES)
    quality, believed, believed_etiv = judge(diagnostics, volumes, etiv, whole_brain)

    def on_grid(data: np.ndarray) -> nib.Nifti1Image:
        return nib.Nifti1Image(data, affine)

    counting = (
        "Volumes are sums of posterior probabilities, so that partial volume counts; the intracranial volume (eTIV) is "
        "the sum of brain, ventricles and the fluid around the brain down to the lower end of the brainstem."
    )
    return SessionMeasurement(
        session=session,
        t1w=found.corrected,
        brain_mask=on_grid(brain.astype(np.uint8)),
        labels=on_grid(labels),
        tissue_probabilities={tissue: on_grid(values) for tissue, values in tissues.items()},
        volumes_mm3=believed,
        etiv_mm3=believed_etiv,
        to_template=found.to_template,
        template_space=found.template_space,
        quality=quality,
        verdict=worst_verdict(quality),
        skull_stripped=found.skull_stripped,
        sentences=(*sentences, counting),
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


def deform_session(aligned: Aligned, position: int, base: StructurePosteriors) -> DeformedSession:
    """Match one session to the mean image in brightness, and deform the mean image to it.

    Parameters
    ----------
    aligned
        The sessions on one grid.
    position
        Which of them.
    base
        Structures of the mean image.
    """
    seen = aligned.seen[position]
    matched = match_brightness(aligned.images[position], base.corrected, solid_brain(base) & seen)
    displacement = deform_to_session(base.corrected, matched, near_brain(base) & seen, white_brightness(base))
    affine = base.corrected.affine
    stretched = volumes_by_jacobian_mm3(base.posteriors, base.mask, base.classes, affine, displacement)
    return DeformedSession(matched, displacement, stretched)


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
    count = len(measured)
    result = []
    for first, last in sorted({*itertools.pairwise(range(count)), *((0, later) for later in range(1, count))}):
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
    base: StructurePosteriors,
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
    etiv = sum(_volumes_mm3(base).values())
    measured = describe_session(session, found, diagnostics, etiv, (aligning, *found.sentences, sharing))
    return replace(measured, to_scan=aligned.space.to_sessions[position])


def _days(before: Session, after: Session) -> float | None:
    return None if before.days is None or after.days is None else after.days - before.days


def _volumes_mm3(found: StructurePosteriors) -> dict[int, float]:
    return structure_volumes_mm3(found.posteriors, found.classes, voxel_volume_mm3(found.corrected.affine))
