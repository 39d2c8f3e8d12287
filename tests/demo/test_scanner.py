# SPDX-License-Identifier: Apache-2.0
"""Scans show the anatomy where the head lies, and the soft tissue, lesions and voxel size asked for."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.atlas.labels import AIR, SOFT_TISSUE
from bids_msvol.demo.lesions import Lesion
from bids_msvol.demo.person import Person, Visit
from bids_msvol.demo.protocol import FLAIR, T1W
from bids_msvol.demo.scanner import AIR_ABOVE_MM, FIELD_OF_VIEW_MM, SCALE, draw_head, place_scan, sample_labels, scan
from bids_msvol.imaging.registration import TemplateTransform
from tests.demo.heads import ball_head


@pytest.fixture(scope="module")
def labels() -> nib.Nifti1Image:
    return ball_head(4.0)


def _centre_mm(image: nib.Nifti1Image, number: int) -> np.ndarray:
    voxel = ndimage.center_of_mass(np.asarray(image.dataobj) == number)
    return nib.affines.apply_affine(image.affine, voxel)


def test_structures_lie_where_the_pose_takes_them(labels: nib.Nifti1Image) -> None:
    """The centre of a structure is moved by the pose, and by a motion after the grid was laid."""
    turned = nib.eulerangles.euler2mat(0.1, -0.05, 0.08)
    pose = nib.affines.from_matvec(turned, [6.0, -9.0, 4.0])
    motion = nib.affines.from_matvec(np.eye(3), [3.0, 0.0, -5.0])
    placed = sample_labels(np.asarray(labels.dataobj), place_scan(labels, TemplateTransform(pose), 2.0))
    moved = sample_labels(np.asarray(labels.dataobj), place_scan(labels, TemplateTransform(pose), 2.0, motion))
    assert np.array_equal(placed.affine, moved.affine)
    for number in (2, 42):
        centre = _centre_mm(labels, number)
        assert _centre_mm(placed, number) == pytest.approx(nib.affines.apply_affine(pose, centre), abs=0.4)
        assert _centre_mm(moved, number) == pytest.approx(nib.affines.apply_affine(motion @ pose, centre), abs=0.4)


def test_displacement_is_applied(labels: nib.Nifti1Image) -> None:
    """A displacement from the head to the atlas moves structures the other way."""
    field = np.zeros((*labels.shape, 3), dtype=np.float32)
    field[..., 1] = 7.0
    to_head = TemplateTransform(np.eye(4), inverse=nib.Nifti1Image(field, labels.affine))
    placement = place_scan(labels, to_head, 1.7)
    image = sample_labels(np.asarray(labels.dataobj), placement)
    assert _centre_mm(image, 2) == pytest.approx(_centre_mm(labels, 2) - [0.0, 7.0, 0.0], abs=0.4)


@pytest.mark.parametrize("resolution_mm", [2.0, 3.0])
def test_field_of_view(labels: nib.Nifti1Image, resolution_mm: float) -> None:
    """The grid has the field of view and voxel size asked for, with the vertex below its upper end."""
    placement = place_scan(labels, TemplateTransform(np.eye(4)), resolution_mm)
    shape = np.asarray(placement.coordinates.shape[1:])
    assert shape * resolution_mm == pytest.approx(FIELD_OF_VIEW_MM, abs=resolution_mm)
    assert nib.affines.voxel_sizes(placement.affine) == pytest.approx(resolution_mm)
    head = np.argwhere(np.asarray(sample_labels(np.asarray(labels.dataobj), placement).dataobj) != AIR)
    above_mm = (shape[2] - 1 - head[:, 2].max()) * resolution_mm
    assert above_mm == pytest.approx(AIR_ABOVE_MM, abs=8.0)


def test_soft_tissue_has_skin_fat_and_muscle() -> None:
    """From outside inwards the soft tissue is as bright as skin, then as fat, then mostly as muscle."""
    data = np.full((40, 40, 40), SOFT_TISSUE, dtype=np.int16)
    data[:, :, -5:] = AIR
    signal = draw_head(nib.Nifti1Image(data, np.eye(4)), T1W, np.random.default_rng(0))
    muscle = T1W.acquisition.brightness[SOFT_TISSUE]
    assert signal[:, :, 34].mean() == pytest.approx(T1W.skin, rel=0.1)
    assert signal[:, :, 30].mean() == pytest.approx(T1W.fat, rel=0.1)
    assert np.median(signal[:, :, :20]) == pytest.approx(muscle, rel=0.15)


def test_lesions_are_drawn_with_their_brightness() -> None:
    """In the middle of a large lesion, T1w and FLAIR have the lesion's share of the white matter's signal."""
    data = np.full((60, 60, 60), 2, dtype=np.int16)
    data[:, :, -3:] = AIR
    image = nib.Nifti1Image(data, np.diag([3.0, 3.0, 3.0, 1.0]))
    numbers = np.zeros(data.shape, dtype=np.int16)
    numbers[20:40, 20:40, 20:40] = 1
    lesion = Lesion(1, "deep", "stable", 0.6, 1.7, np.flatnonzero(numbers), np.flatnonzero(numbers))
    nothing = nib.Nifti1Image(np.zeros((2, 2, 2, 3), dtype=np.float32), image.affine)
    person = Person(image, (lesion,), np.eye(4), nothing, nothing, np.zeros(data.shape, dtype=np.float32))
    visit = Visit(TemplateTransform(np.eye(4)), numbers, {}, 1.0, {})
    placement = place_scan(image, visit.to_head, 3.0)
    where = np.asarray(sample_labels(numbers, placement).dataobj) > 0
    inner = ndimage.binary_erosion(where, iterations=3)
    white = (np.asarray(sample_labels(data, placement).dataobj) == 2) & ~ndimage.binary_dilation(where, iterations=3)
    near = white & ndimage.binary_dilation(where, iterations=6)
    for sequence, share in ((T1W, 0.6), (FLAIR, 1.7)):
        rng = np.random.default_rng(1)
        drawn = np.asarray(scan(draw_head(image, sequence, rng), person, visit, placement, sequence, rng).dataobj)
        assert drawn[near].mean() == pytest.approx(SCALE, rel=0.3)
        assert drawn[inner].mean() / drawn[near].mean() == pytest.approx(share, rel=0.1)
