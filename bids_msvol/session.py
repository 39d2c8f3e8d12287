# SPDX-License-Identifier: Apache-2.0
"""Measure one session: which functions of `bids_msvol.imaging` run, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import nibabel as nib
import numpy as np

from bids_msvol.bids.records import Session
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.config import Config
from bids_msvol.engines.atlas_engine import AtlasEngine
from bids_msvol.engines.structure_engine import StructureEngine, StructurePosteriors
from bids_msvol.imaging.brain import brain_mask
from bids_msvol.imaging.gadolinium import EnhancementMap
from bids_msvol.imaging.grids import conform, voxel_volume_mm3
from bids_msvol.imaging.quality import judge, voxel_metrics, worst_first, worst_verdict
from bids_msvol.imaging.volumes import most_likely_labels, structure_volumes_mm3, tissue_probabilities
from bids_msvol.measurement import SessionLesions, SessionMeasurement
from bids_msvol.person_lesions import describe_lesions
from bids_msvol.session_lesions import (
    Anatomy,
    LesionView,
    fill_views,
    find_enhancing,
    view_lesions,
    with_lesions_again,
    within_anatomy,
)
from bids_msvol.structures import STRUCTURES, SUMS

BARRIERS = ("cnr_gm_wm", "bias_range_pct", "prior_agreement", "jacobian_min", "mean_displacement_mm")
"""Quality metrics of the structures whose failure leaves no lesions to be believed: they rest on the deformed atlas and
on the corrected T1w."""


def measure_session(
    session: Session, images: SessionImages, config: Config, engine: StructureEngine | None = None
) -> SessionMeasurement:
    """Measure the structures and lesions of one visit, without any other.

    Parameters
    ----------
    session
        The visit.
    images
        Its images.
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
    t1w = conform(images.t1w, config.resolution_mm)
    found = engine(t1w, seed=config.random_seed)
    expected = engine.expect(found)
    view = view_lesions(images, found.corrected, np.eye(4), found, expected, config.random_seed)
    filled = None if config.no_lesion_filling else fill_views([t1w], [view], expected, config.random_seed)
    if filled is not None:
        found = engine(filled[0], seed=config.random_seed, affine=found.to_template.affine)
    conforming = (
        f"The T1w image was brought to isotropic voxels of {config.resolution_mm:g} mm along its own axes; one that "
        "had them already was not resampled."
    )
    diagnostics = {**found.diagnostics, **voxel_metrics(images.t1w, t1w)}
    measured = describe_session(session, found, diagnostics, None, (conforming, *found.sentences))
    if filled is not None:
        measured = replace(measured, t1w=with_lesions_again(measured.t1w, filled[0], t1w))
    anatomy = Anatomy.of(measured)
    view = within_anatomy(view, anatomy)
    (lesions,), _ = describe_lesions([view], [anatomy], {})
    return add_lesions(measured, view, lesions, find_enhancing(session, view, anatomy, expected), config)


def add_lesions(
    measured: SessionMeasurement,
    view: LesionView,
    lesions: SessionLesions | None,
    enhancement: EnhancementMap | None,
    config: Config,
) -> SessionMeasurement:
    """Add what is known of the lesions to the measurement of a session.

    Parameters
    ----------
    measured
        Its structures.
    view
        What its further images show.
    lesions, enhancement
        Its lesions, and those that take up contrast agent.
    config
        Whether lesions were filled.
    """
    barred = [metric.reason for metric in measured.quality if metric.verdict == "fail" and metric.name in BARRIERS]
    if barred and lesions is not None and not lesions.given:
        lesions, view = None, replace(view, reason=f"the structures could not be measured: {'; '.join(barred)}")
    filling = (
        "Lesions were given the brightness of the normal white matter around them before structures were measured "
        "(Chard 2010; Battaglini 2012)."
    )
    filled = lesions is not None and lesions.records and not config.no_lesion_filling
    quality = worst_first((*measured.quality, *view.quality))
    return replace(
        measured,
        quality=quality,
        verdict=worst_verdict(quality),
        contrasts=view.contrasts,
        lesions=lesions,
        no_lesions=view.reason,
        enhancement=enhancement,
        sentences=(
            *measured.sentences,
            *view.sentences,
            *((filling,) if filled else ()),
            *(() if enhancement is None else enhancement.sentences),
        ),
    )


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
    volumes = structure_sums_mm3(found)
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


def structure_sums_mm3(found: StructurePosteriors) -> dict[int, float]:
    """Volume of each structure by FreeSurfer number."""
    return structure_volumes_mm3(found.posteriors, found.classes, voxel_volume_mm3(found.corrected.affine))
