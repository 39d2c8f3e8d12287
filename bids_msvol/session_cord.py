# SPDX-License-Identifier: Apache-2.0
"""The cervical cord of one session: on each image that shows it, as others measured it, and what tells its levels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.bids.disc_labels import GivenLabels
from bids_msvol.bids.given import SCT
from bids_msvol.bids.images import load_mask_image
from bids_msvol.bids.records import Scan, Session
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.config import Config, participant_work_dir
from bids_msvol.cord.discs import find_discs
from bids_msvol.cord.find import CordNotFoundError
from bids_msvol.cord.from_mask import measure_mask
from bids_msvol.cord.levelling import level_by_junction, level_by_labels, number_discs
from bids_msvol.cord.levels import Levelling, average_cord
from bids_msvol.cord.measure import CordScan, OutlinedCord, cord_mask, measure_levels, outline_scan
from bids_msvol.cord.records import CordSection, CordSource, SessionCord, list_sections
from bids_msvol.cord.sections import Sections, arc_of_mm, downward_arc_mm
from bids_msvol.engines.sct import SctResult
from bids_msvol.engines.sct_files import run_sct
from bids_msvol.errors import DataError
from bids_msvol.imaging.grids import to_canonical
from bids_msvol.imaging.quality import worst_first, worst_verdict
from bids_msvol.measurement import QualityMetric, SessionMeasurement

_logger = logging.getLogger(__name__)

BRIGHT_CORD = ("T1w",)
"""Contrasts in which the cord is brighter than the fluid around it."""

LEAST_OVERLAP_MM, SAME_LINE_MM = 20.0, 5.0
"""The junction found on the T1w of the head is used in an image of the cord if the centrelines of both run so near to
each other over this length: then the person has not moved between them."""

HOW_TOLD = {
    "labels": "labels that were given",
    "discs": "the discs in front of the cord, numbered by their distance from the pontomedullary junction",
    "junction": "the distance from the pontomedullary junction along the centreline (Bédard 2022)",
    "sct": "Spinal Cord Toolbox",
}
"""What told the levels, for the methods text."""


def add_cord(
    measured: SessionMeasurement,
    images: SessionImages,
    junction_mm: NDArray[np.float64] | None,
    unseen: str,
    config: Config,
) -> SessionMeasurement:
    """Measure the cord of a session on every image that shows it, and add it to the measurement.

    What was given by Spinal Cord Toolbox stands first, then the image of the cord, then the T1w of the head.

    Parameters
    ----------
    measured
        The session so far.
    images
        Its images, as stored.
    junction_mm
        (3,) the pontomedullary junction, in the world of the T1w file; ``None`` if it was not found.
    unseen
        Why not.
    config
        Who outlines the cord.

    Raises
    ------
    MSVolError
        If labels or a mask that were given do not fit, or Spinal Cord Toolbox was asked for and is not there or fails.
    """
    session, reasons = measured.session, dict[CordSource, str]()
    cords: list[SessionCord] = []
    head: OutlinedCord | None = None
    labels = images.given_cord.labels
    if labels is not None:
        _logger.info("labels of %s were read as %s", labels.path.name, labels.read_as)
    # They belong to the image of the cord where there is one.
    head_labels = labels if session.cord is None else None
    if junction_mm is None:
        reasons["head-T1w"] = f"the pontomedullary junction was not found on the T1w of the head: {unseen}"
    else:
        try:
            head = outline_scan(CordScan(images.t1w, True, junction_mm, whole_head=True))
            cords.append(_measure(head, session.t1w, images.t1w, "head-T1w", head_labels, junction_mm, ""))
        except CordNotFoundError as error:
            reasons["head-T1w"] = str(error)
    carried, unknown = junction_mm, unseen
    if session.cord is not None and images.cord is not None:
        source = cast(CordSource, f"cord-{session.cord.suffix}")
        try:
            own = outline_scan(CordScan(images.cord, session.cord.suffix in BRIGHT_CORD, None, whole_head=False))
            carried, unknown = carry_junction(head, own, junction_mm)
            cords.insert(0, _measure(own, session.cord, images.cord, source, labels, carried, unknown))
        except CordNotFoundError as error:
            reasons[source] = str(error)
    given = _given(session, images, carried, unknown, config)
    cords = [*given, *cords]
    quality = tuple(_at_most_warn(metric) for metric in (cords[0].quality if cords else ()))
    judged = worst_first((*measured.quality, *quality))
    return replace(
        measured,
        cords=tuple(cords),
        no_cord=reasons,
        quality=judged,
        verdict=worst_verdict(judged),
        sentences=(*measured.sentences, *_sentences(session.cord_choice, cords)),
    )


def tell_levels(
    image: nib.Nifti1Image,
    sections: Sections,
    labels: GivenLabels | None,
    junction_mm: NDArray[np.float64] | None,
    unknown: str,
) -> tuple[Levelling | None, str]:
    """Tell the levels by the best that is known.

    Parameters
    ----------
    image
        What shows the cord, axes right, anterior, superior.
    sections
        Of the cord.
    labels
        What was given.
    junction_mm
        (3,) the pontomedullary junction, in the world of the image.
    unknown
        Why it is not known.

    Returns
    -------
    levelling
        ``None`` if nothing tells the levels.
    reason
        Why not.

    Raises
    ------
    DataError
        If the labels that were given do not fit the cord.
    """
    if labels is not None:
        try:
            return level_by_labels(labels.points_mm, sections, labels.kind), ""
        except ValueError as error:
            remedy = "Look at the labels over the image, or leave them out of the folder"
            raise DataError(f"cannot tell the levels: {error}", remedy=remedy, subject=labels.path) from error
    if junction_mm is None:
        return None, f"no labels were given, and {unknown}"
    below = arc_of_mm(sections, junction_mm)
    return number_discs(find_discs(image, sections).arc_mm, below) or level_by_junction(below), ""


def carry_junction(
    head: OutlinedCord | None, own: OutlinedCord, junction_mm: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64] | None, str]:
    """Return the junction of the head for an image of the cord of the same visit, or why it cannot be used there.

    Both images lie in the world of the scanner; whether the person has moved is seen from the cord itself.
    """
    if junction_mm is None:
        return None, "the pontomedullary junction was not found on the T1w of the head"
    if head is None:
        return None, "the T1w of the head does not show the cord, so that nobody can tell whether the person has moved"
    line, other = (cord.sections.centers_mm[cord.seen] for cord in (head, own))
    other = other[np.argsort(other[:, 2])]
    within = (line[:, 2] >= other[0, 2]) & (line[:, 2] <= other[-1, 2])
    if not within.any() or np.ptp(line[within, 2]) < LEAST_OVERLAP_MM:
        return None, "the T1w of the head shows too little of the same cord to tell the levels"
    away = np.hypot(*(line[within, axis] - np.interp(line[within, 2], other[:, 2], other[:, axis]) for axis in (0, 1)))
    distance = float(np.median(away))
    if distance > SAME_LINE_MM:
        return None, f"the cord lies elsewhere than on the T1w of the head, by {distance:.0f} mm"
    return junction_mm, ""


def from_table(result: SctResult, origin: str) -> SessionCord:
    """Return what a table of Spinal Cord Toolbox says.

    Parameters
    ----------
    result
        The table.
    origin
        Its path inside the folder that was given.
    """
    sections = tuple(
        CordSection(
            center_mm=None,
            distance_mm=None,
            average_mm=one.below_junction_mm,
            level=one.level,
            csa_mm2=one.csa_mm2,
            ap_diameter_mm=one.ap_diameter_mm,
            rl_diameter_mm=one.rl_diameter_mm,
            eccentricity=one.eccentricity,
            tilt_deg=None,
            believed=True,
        )
        for one in result.slices[::-1]
    )
    return SessionCord("sct", origin, "sct", result.levels, sections)


def from_mask(
    mask: nib.Nifti1Image,
    image: nib.Nifti1Image,
    origin: str,
    labels: GivenLabels | None,
    junction_mm: NDArray[np.float64] | None,
    unknown: str,
) -> SessionCord:
    """Measure a mask of the cord.

    Parameters
    ----------
    mask
        Values from 0 to 1.
    image
        The image it was drawn on, in which discs are looked for.
    origin
        Its path inside the folder that was given.
    labels, junction_mm
        What tells the levels, where known.
    unknown
        Why the junction is not known.

    Raises
    ------
    DataError
        If the mask is empty or too short.
    """
    try:
        found = measure_mask(mask)
    except ValueError as error:
        raise DataError(str(error), remedy="Look at the mask, or leave it out of the folder", subject=origin) from error
    levelling, _ = tell_levels(to_canonical(image), found.sections, labels, junction_mm, unknown)
    arc = downward_arc_mm(found.sections)
    everywhere = np.ones(len(arc), dtype=bool)
    levels = average_cord(found.shape, arc, levelling, everywhere)
    sections = list_sections(found.sections, found.shape, levelling, everywhere, everywhere)
    told = "" if levelling is None else levelling.source
    return SessionCord("sct-mask", origin, told, levels, sections, None, mask)


def _measure(
    outlined: OutlinedCord,
    scan: Scan,
    stored: nib.Nifti1Image,
    source: CordSource,
    labels: GivenLabels | None,
    junction_mm: NDArray[np.float64] | None,
    unknown: str,
) -> SessionCord:
    """Tell the levels of an outlined cord and measure them."""
    levelling, reason = tell_levels(outlined.image, outlined.sections, labels, junction_mm, unknown)
    below = None if junction_mm is None else arc_of_mm(outlined.sections, junction_mm)
    measured = measure_levels(outlined, levelling, below, reason)
    own = measured.outlined
    return SessionCord(
        source,
        scan.relative_path,
        measured.level_source or "",
        measured.levels,
        list_sections(own.sections, own.shape, levelling, own.seen, own.trusted),
        measured,
        cord_mask(own, stored),
    )


def _given(
    session: Session, images: SessionImages, junction_mm: NDArray[np.float64] | None, unknown: str, config: Config
) -> list[SessionCord]:
    """What Spinal Cord Toolbox said of the session: its table, and its mask, given or made now."""
    cords = []
    if images.given_cord.table is not None and session.sct_table is not None:
        cords.append(from_table(images.given_cord.table, session.sct_table.relative_path))
    mask, origin = images.given_cord.mask, session.sct_mask.relative_path if session.sct_mask else ""
    scan, stored = (session.cord, images.cord) if session.cord is not None else (session.t1w, images.t1w)
    if mask is None and config.cord_engine == SCT:
        work = participant_work_dir(config, session.subject) / SCT
        mask, origin = load_mask_image(run_sct(scan.path, scan.suffix, work)), scan.relative_path
    if mask is not None:
        image = stored if stored is not None else images.t1w
        cords.append(from_mask(mask, image, origin, images.given_cord.labels, junction_mm, unknown))
    return cords


def _sentences(choice: str, cords: Sequence[SessionCord]) -> tuple[str, ...]:
    """Methods text of what was measured."""
    ours = [cord for cord in cords if cord.measured is not None]
    others = [cord.origin for cord in cords if cord.measured is None]
    how = dict.fromkeys(HOW_TOLD[cord.levels_by] for cord in cords if cord.levels_by)
    sentences = []
    if ours:
        sentences += [choice] if choice else []
        sentences.append(
            "The cervical cord was found as an ellipse that differs from everything around it, from slice to slice by "
            "dynamic programming, and outlined across its centreline by the closed line of steepest edges (Timp 2004), "
            "corrected for the size of the voxels. Areas are those of the outlines, seen along the cord."
        )
    if others:
        sentences.append(
            f"Areas of the cord were taken from results of Spinal Cord Toolbox (De Leener 2017): {', '.join(others)}."
        )
    if how:
        sentences.append(f"Levels of the cord were told by {' and by '.join(how)}.")
    return tuple(sentences)


def _at_most_warn(metric: QualityMetric) -> QualityMetric:
    """The cord does not concern the brain's numbers: what fails withholds the cord alone."""
    if metric.verdict != "fail":
        return metric
    return replace(metric, verdict="warn", reason=f"{metric.reason}; no areas of the cord are given")
