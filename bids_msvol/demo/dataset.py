# SPDX-License-Identifier: Apache-2.0
"""Make the whole dataset, person by person."""

from __future__ import annotations

import logging
import shutil
import uuid
from pathlib import Path

import numpy as np

from bids_msvol.atlas.head import HeadAtlas, coarsen_atlas, load_atlas
from bids_msvol.demo.clinical import DAYS_PER_YEAR, Appointment, Participant, draw_participant
from bids_msvol.demo.cord_scan import cervical_voxel_mm, place_cervical_scan
from bids_msvol.demo.person import Visit, make_person, make_visit, random_pose
from bids_msvol.demo.protocol import CERVICAL_T2W, PROTOCOL
from bids_msvol.demo.raw import write_about, write_participants, write_scan
from bids_msvol.demo.scanner import draw_head, place_scan, scan
from bids_msvol.demo.truth import FOLDER, write_about_truth, write_change_truth, write_visit_truth
from bids_msvol.demo.truth_cord import write_cord_change, write_visit_cord
from bids_msvol.errors import CannotCreateError, UsageError

logger = logging.getLogger(__name__)

FINEST_MM, COARSEST_MM = 0.5, 8.0
"""Voxel sizes that can be asked for."""

MOTION_SPREAD = 0.2
"""How far the head moves between the sequences of a session, as a share of how differently it lies on another day."""


def make_dataset(
    root: Path,
    *,
    participants: int = 2,
    resolution_mm: float = 1.0,
    seed: int = 1,
    atlas: HeadAtlas | None = None,
) -> None:
    """Make a BIDS dataset of synthetic people, with the truth under ``derivatives/truth``.

    A person depends on the seed and the person's number only, not on how many there are. The folder appears when it is
    complete.

    Parameters
    ----------
    root
        Folder to make; it must not exist, or be empty.
    participants
        How many people.
    resolution_mm
        Voxel size of the scans.
    seed
        Seed of all chance.
    atlas
        The head atlas that people are sampled from; the one in the package if not given.

    Raises
    ------
    UsageError
        If a number is out of range.
    CannotCreateError
        If the folder is not empty or cannot be written.
    """
    _check(root, participants, resolution_mm, seed)
    unfinished = root.with_name(f"{root.name}.tmp-{uuid.uuid4().hex}")
    try:
        _fill(unfinished, coarsen_atlas(atlas or load_atlas(), resolution_mm), participants, resolution_mm, seed)
        if root.exists():
            root.rmdir()
        unfinished.rename(root)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _check(root: Path, participants: int, resolution_mm: float, seed: int) -> None:
    if participants < 1:
        raise UsageError("there must be at least one participant", remedy="Give 1 or more", subject="--participants")
    if not FINEST_MM <= resolution_mm <= COARSEST_MM:
        raise UsageError(
            f"{resolution_mm:g} mm is out of range",
            remedy=f"Give a voxel size between {FINEST_MM:g} and {COARSEST_MM:g} mm",
            subject="--resolution",
        )
    if seed < 0:
        raise UsageError("a seed cannot be negative", remedy="Give 0 or more", subject="--seed")
    if root.exists() and not root.is_dir():
        raise CannotCreateError("is a file", remedy="Choose another folder", subject=root)
    if root.exists() and any(root.iterdir()):
        raise CannotCreateError("exists and is not empty", remedy="Choose another folder, or remove it", subject=root)


def _fill(root: Path, atlas: HeadAtlas, participants: int, resolution_mm: float, seed: int) -> None:
    write_about(root, participants, seed, resolution_mm)
    write_about_truth(root / FOLDER)
    people = []
    for number in range(1, participants + 1):
        rng = np.random.default_rng([seed, number])
        participant = draw_participant(number, rng)
        logger.info("sub-%s (%d of %d): anatomy", participant.label, number, participants)
        _make_participant(root, atlas, participant, resolution_mm, rng)
        people.append(participant)
    write_participants(root, people)


def _make_participant(
    root: Path, atlas: HeadAtlas, participant: Participant, resolution_mm: float, rng: np.random.Generator
) -> None:
    person = make_person(atlas, rng, etiv_mm3=participant.etiv_mm3, with_lesions=participant.group == "MS")
    healthy = [draw_head(person.labels, sequence, rng) for sequence in PROTOCOL]
    # Chance of its own, so that the other scans do not depend on whether there is one of the neck.
    neck_rng = rng.spawn(1)[0]
    scans_neck = participant.has_neck_scan and person.neck is not None
    neck_signal = draw_head(person.labels, CERVICAL_T2W, neck_rng) if scans_neck else None
    visits: list[tuple[Appointment, Visit]] = []
    for appointment in participant.appointments:
        logger.info("sub-%s: scans of ses-%s", participant.label, appointment.session)
        visit = make_visit(person, rng, years=appointment.days / DAYS_PER_YEAR)
        for number, (sequence, signal) in enumerate(zip(PROTOCOL, healthy, strict=True)):
            motion = random_pose(rng, MOTION_SPREAD) if number > 0 else None
            placement = place_scan(person.labels, visit.to_head, resolution_mm, motion)
            image = scan(signal, person, visit, placement, sequence, rng)
            write_scan(root, participant.label, appointment.session, sequence, image)
            if number == 0:
                write_visit_truth(root / FOLDER, participant.label, appointment, person, visit, placement)
        if neck_signal is not None:
            motion = random_pose(neck_rng, MOTION_SPREAD)
            placement = place_cervical_scan(person, visit, cervical_voxel_mm(resolution_mm), motion)
            image = scan(neck_signal, person, visit, placement, CERVICAL_T2W, neck_rng)
            write_scan(root, participant.label, appointment.session, CERVICAL_T2W, image)
        if visit.neck is not None:
            write_visit_cord(root / FOLDER, participant.label, appointment.session, visit.neck)
        visits.append((appointment, visit))
    write_change_truth(root / FOLDER, participant.label, visits)
    write_cord_change(root / FOLDER, participant.label, visits)
