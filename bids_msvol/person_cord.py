# SPDX-License-Identifier: Apache-2.0
"""The cervical cord of a person's sessions: the junction that they share, each session, and change between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.atlas.labels import BRAIN_STEM
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.config import Config
from bids_msvol.cord.change import CordChange, align_along, compare_cords, compare_levels
from bids_msvol.cord.junction import find_junction
from bids_msvol.cord.measure import MeasuredCord
from bids_msvol.cord.records import CordSource
from bids_msvol.measurement import PairMeasurement, SessionMeasurement
from bids_msvol.session_cord import add_cord

THICKEST_MM = 4.5
"""Longest edge of voxels in which the groove at the junction is looked for: blurred further, it seems to lie lower."""


@dataclass(frozen=True, eq=False)
class Landmark:
    """The pontomedullary junction (3,) of a person in the world that the sessions share, or why it is not known."""

    center_mm: NDArray[np.float64] | None
    reason: str = ""


def add_cords(
    measured: Sequence[SessionMeasurement], images: Sequence[SessionImages], config: Config
) -> list[SessionMeasurement]:
    """Measure the cord of each session on every image that shows it.

    The pontomedullary junction is found in each session and averaged over a person's sessions, whose heads are aligned;
    levels are told by labels that were given, by discs numbered from the junction, or by the distance from it.

    Parameters
    ----------
    measured
        The sessions so far.
    images
        Their images, as stored.
    config
        Who outlines the cord.

    Returns
    -------
    list of SessionMeasurement
        With cords, their quality metrics and methods.

    Raises
    ------
    MSVolError
        If Spinal Cord Toolbox was asked for and is not there or fails.
    """
    landmark = find_landmark(measured, images)
    result = []
    for one, own in zip(measured, images, strict=True):
        junction = landmark.center_mm
        if junction is not None and one.to_scan is not None:
            junction = nib.affines.apply_affine(one.to_scan, junction)
        result.append(add_cord(one, own, junction, landmark.reason, config))
    return result


def compare_person_cords(
    pairs: Sequence[PairMeasurement], measured: Sequence[SessionMeasurement]
) -> list[PairMeasurement]:
    """Add the change of the cord to each pair of sessions that have it on the same kind of image."""
    visits = {one.session.name: one for one in measured}
    return [replace(pair, cord=_compare(visits[pair.before.name], visits[pair.after.name])) for pair in pairs]


def find_landmark(measured: Sequence[SessionMeasurement], images: Sequence[SessionImages]) -> Landmark:
    """Find the pontomedullary junction of a person: the mean of the sessions in which it is seen."""
    clear, reasons = [], []
    for one, own in zip(measured, images, strict=True):
        edge = float(max(nib.affines.voxel_sizes(own.t1w.affine)))
        if edge > THICKEST_MM:
            reasons.append(f"the slices are {edge:.1f} mm thick")
            continue
        brainstem = (np.asarray(one.labels.dataobj) == BRAIN_STEM).astype(np.float32)
        junction = find_junction(one.t1w, brainstem, one.to_template)
        if junction.refined:
            clear.append(junction.axis_point_mm)
        else:
            reasons.append(junction.reason or "")
    return Landmark(np.mean(clear, axis=0)) if clear else Landmark(None, reasons[0])


def _compare(before: SessionMeasurement, after: SessionMeasurement) -> tuple[CordChange, ...]:
    later = {cord.source: cord for cord in after.cords}
    changes: list[CordChange] = []
    for cord in before.cords:
        other = later.get(cord.source)
        if other is None:
            continue
        if cord.measured is None or other.measured is None:
            changes += compare_levels(cord.source, cord.levels, other.levels)
        elif "fail" not in (cord.measured.verdict, other.measured.verdict):
            changes += _compare_images(cord.source, cord.measured, other.measured)
    return tuple(changes)


def _compare_images(source: CordSource, before: MeasuredCord, after: MeasuredCord) -> tuple[CordChange, ...]:
    junctions = None
    # Between the head and an image of the cord the person may move by more than the images of the cord differ.
    if source == "head-T1w" and before.junction_arc_mm is not None and after.junction_arc_mm is not None:
        junctions = (before.junction_arc_mm, after.junction_arc_mm)
    offset = align_along(before.outlined, after.outlined, junctions)
    return () if offset is None else compare_cords(source, before, after, offset.offset_mm)
