# SPDX-License-Identifier: Apache-2.0
"""Lesions of a person from the images of the sessions to numbers, where the truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from bids_msvol.bids.lesion_masks import GivenMask
from bids_msvol.bids.records import Scan, Session
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.config import Config
from bids_msvol.errors import DataError
from bids_msvol.imaging.expectation import TissueExpectation
from bids_msvol.imaging.grids import world_points
from bids_msvol.imaging.lesions import LesionMap
from bids_msvol.imaging.normal_tissue import NORMAL_TISSUES
from bids_msvol.measurement import PersonMeasurement, SessionMeasurement
from bids_msvol.person import measure_person
from bids_msvol.person_lesions import compare_views
from bids_msvol.session import measure_session
from bids_msvol.session_lesions import Anatomy, LesionView, within_anatomy
from tests.fake_engine import FakeEngine, made_up_head
from tests.imaging.phantoms import rigid
from tests.imaging.toyhead import AFFINE, SHAPE, toy_labels
from tests.imaging.toyvisits import visit
from tests.toy_engine import ToyEngine

OLD_MM = ((-15.0, 20.0, 8.0), (13.0, -14.0, 12.0))
NEW_MM = (15.0, 18.0, 10.0)
RADIUS_MM = 3.6
HERE, MOVED, NUDGED = (
    rigid((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    rigid((0.02, -0.01, 0.03), (0.4, 0.3, -0.2)),
    rigid((0.01, 0.01, -0.02), (0.5, -0.6, 0.3)),
)
CONFIG = Config(bids_dir=Path("nowhere"), output_dir=Path("nowhere"), work_dir=Path("nowhere"), resolution_mm=1.0)


def balls(*centers_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Return balls in the white matter."""
    points = world_points(np.ones(SHAPE, dtype=bool), AFFINE).reshape(*SHAPE, 3)
    near = [np.linalg.norm(points - center, axis=-1) <= RADIUS_MM for center in centers_mm]
    return np.any(near, axis=0) & np.isin(np.asarray(toy_labels().dataobj), (2, 41))


def session(label: str) -> Session:
    """Return a visit whose images need not exist."""
    return Session("01", label, Scan(Path("T1w.nii.gz"), "T1w.nii.gz", "T1w", {}), "It is the only T1w.")


def images(
    motion: NDArray[np.float64], flair_motion: NDArray[np.float64], seed: int, lesions: NDArray[np.bool_]
) -> SessionImages:
    """Return T1w and FLAIR of a head with lesions, dark on the one and bright on the other."""
    dark, bright = (np.where(lesions, value, 1.0).astype(np.float32) for value in (0.7, 1.6))
    t1w = visit(motion, seed, factor=dark)
    return SessionImages(t1w, {"FLAIR": visit(flair_motion, seed + 50, contrast="FLAIR", factor=bright)})


@pytest.fixture(scope="module")
def person() -> PersonMeasurement:
    """Measure a person who gets a third lesion between two visits; the head also moves between T1w and FLAIR."""
    visits = [images(MOVED, NUDGED, 1, balls(*OLD_MM)), images(NUDGED, HERE, 2, balls(*OLD_MM, NEW_MM))]
    return measure_person([session("a"), session("b")], visits, CONFIG, ToyEngine())


@pytest.fixture(scope="module")
def alone() -> SessionMeasurement:
    """Measure one visit with two lesions."""
    return measure_session(session("a"), images(HERE, NUDGED, 1, balls(*OLD_MM)), CONFIG, ToyEngine())


def test_lesions_of_one_session(alone: SessionMeasurement) -> None:
    """Both lesions are found with their volume although the FLAIR was taken from another position."""
    assert alone.lesions is not None
    assert (alone.lesions.source, alone.lesions.given, alone.no_lesions) == ("FLAIR", False, "")
    assert alone.lesions.summary.count == 2
    assert alone.lesions.summary.volume_mm3 == pytest.approx(balls(*OLD_MM).sum(), rel=0.25)
    for record, center in zip(
        sorted(alone.lesions.records, key=lambda one: one.centroid_mm[0]), sorted(OLD_MM), strict=True
    ):
        assert record.centroid_mm == pytest.approx(center, abs=1.0)


def test_filling_gives_the_white_matter_back(alone: SessionMeasurement) -> None:
    """Dark lesions are measured as white matter when they are filled, less so when they are not; the T1w keeps them."""
    lesions = balls(*OLD_MM)
    visited = images(HERE, NUDGED, 1, lesions)
    plain = measure_session(session("a"), visited, replace(CONFIG, no_lesion_filling=True), ToyEngine())
    white = {name: np.isin(np.asarray(found.labels.dataobj), (2, 41)) for name, found in
             (("filled", alone), ("plain", plain))}  # fmt: skip
    assert white["filled"][lesions].mean() > white["plain"][lesions].mean() + 0.1
    t1w = np.asarray(alone.t1w.dataobj)
    assert np.median(t1w[lesions]) < 0.85 * np.median(t1w[white["filled"] & ~lesions])
    assert any("given the brightness of the normal" in sentence for sentence in alone.sentences)
    assert not any("given the brightness of the normal" in sentence for sentence in plain.sentences)


def test_new_lesion_is_told_from_old_ones(person: PersonMeasurement) -> None:
    """The third lesion is new at the second visit, with high confidence; the others are stable and keep their ids."""
    first, second = (one.lesions for one in person.sessions)
    assert first is not None
    assert second is not None
    assert [record.id for record in first.records] == [1, 2]
    assert [record.id for record in second.records] == [1, 2, 3]
    for before, after in zip(first.records, second.records, strict=False):
        assert after.centroid_mm == pytest.approx(before.centroid_mm, abs=1.0)
    (pair,) = person.pairs
    assert pair.activity is not None
    assert [(change.status, change.confidence) for change in pair.activity.changes] == [
        ("new", "high"), ("stable", "high"), ("stable", "high"),
    ]  # fmt: skip
    assert pair.activity.changes[0].ids_after == (3,)
    assert pair.activity.count("new", "high") == 1
    to_scan = person.sessions[1].to_scan
    assert to_scan is not None
    center = nib.affines.apply_affine(np.linalg.inv(NUDGED) @ to_scan, pair.activity.centroids_mm[0])
    assert center == pytest.approx(NEW_MM, abs=1.0)


def test_stable_lesions_keep_their_volume(person: PersonMeasurement) -> None:
    """Where the images do not differ, neither do the masks: the two old lesions have one volume at both visits."""
    first, second = (one.lesions for one in person.sessions)
    assert first is not None
    assert second is not None
    volumes = [{record.id: record.volume_mm3 for record in lesions.records} for lesions in (first, second)]
    for index in (1, 2):
        assert volumes[1][index] == pytest.approx(volumes[0][index], rel=0.05)


def test_without_flair_and_t2w_no_lesions_are_claimed() -> None:
    """T1w alone gives structures, and says why it gives no lesions."""
    found = measure_session(session("a"), SessionImages(made_up_head()), CONFIG, FakeEngine())
    assert found.lesions is None
    assert found.no_lesions == "there is no FLAIR and no T2w image"
    assert found.contrasts == {}
    assert found.etiv_mm3 is not None


def test_given_mask_is_used_as_it_is() -> None:
    """A mask that was given makes the numbers, whatever the images show, and every text says so."""
    drawn = balls(OLD_MM[0])
    given = GivenMask(nib.Nifti1Image(drawn.astype(np.float32), AFFINE), "T1w", "sub-01/sub-01_label-L_mask.nii.gz")
    visited = replace(images(HERE, HERE, 1, balls(*OLD_MM)), lesion_mask=given)
    found = measure_session(session("a"), visited, CONFIG, ToyEngine())
    assert found.lesions is not None
    assert (found.lesions.source, found.lesions.given) == (given.name, True)
    assert found.lesions.summary.volume_mm3 == drawn.sum()
    assert np.array_equal(np.asarray(found.lesions.mask.dataobj) > 0, drawn)
    assert any(given.name in sentence for sentence in found.sentences)


def test_mask_beside_the_head_is_refused() -> None:
    """A mask that its header places outside the skull belongs to another image; its name is in the message."""
    head = made_up_head()
    corner = np.zeros(head.shape, np.float32)
    corner[:4, :4, :4] = 1.0
    given = GivenMask(nib.Nifti1Image(corner, head.affine), "T1w", "wrong.nii")
    with pytest.raises(DataError, match=r"wrong.nii: lies outside the head"):
        measure_session(session("a"), SessionImages(head, lesion_mask=given), CONFIG, FakeEngine())


def test_pairs_that_cannot_be_compared_say_why() -> None:
    """A session without FLAIR, and two sessions without a contrast in common, have no activity but a reason."""
    grid = nib.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4))
    nowhere = np.zeros((8, 8, 8), bool)
    expected = TissueExpectation(
        nowhere, np.zeros((0, len(NORMAL_TISSUES)), np.float32), *([np.zeros(0, np.float32)] * 4)
    )
    anatomy = [Anatomy(np.zeros((8, 8, 8), np.int16), np.zeros((8, 8, 8), np.float32))] * 3
    unseen = LesionView(grid, {}, None, None, "", False, "there is no FLAIR and no T2w image", (), ())
    shown = [
        replace(unseen, lesions=LesionMap(np.asarray(grid.dataobj), nowhere, ~nowhere, {name: grid}, ()), reason="")
        for name in ("FLAIR", "T2w")
    ]
    activity, reasons = compare_views([unseen, *shown], anatomy, expected, [(0, 1), (1, 2)])
    assert activity == {}
    assert reasons[0, 1] == "there is no FLAIR and no T2w image"
    assert "share none of the contrasts" in reasons[1, 2]


def test_lesions_beyond_the_brain_are_left_out() -> None:
    """What lies in the cord, below the measured structures, is no lesion of the brain; a given mask stays as it is."""
    grid = nib.Nifti1Image(np.ones((8, 8, 20), np.float32), np.eye(4))
    labels = np.zeros((8, 8, 20), np.int16)
    labels[:, :, 10:] = 16
    mask = np.zeros((8, 8, 20), bool)
    mask[4, 4, 2:16] = True
    lesions = LesionMap(mask.astype(np.float32), mask, np.ones_like(mask), {"FLAIR": grid}, ())
    view = LesionView(grid, {}, None, lesions, "FLAIR", False, "", (), ())
    anatomy = Anatomy(labels, np.zeros((8, 8, 20), np.float32))
    kept = within_anatomy(view, anatomy).lesions
    assert kept is not None
    assert np.flatnonzero(kept.mask[4, 4]).tolist() == list(range(8, 16))
    assert kept.probability[4, 4, 2] == 0.0
    assert within_anatomy(replace(view, given=True), anatomy).lesions is lesions
