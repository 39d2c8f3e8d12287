# SPDX-License-Identifier: Apache-2.0
"""The transform between template and subject: found, applied, stored, and read by others as it was meant."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.imaging import registration
from bids_msvol.imaging.deformation import invert
from bids_msvol.imaging.registration import (
    TemplateTransform,
    follow_displacement,
    load_affine,
    register_affine,
    sample_field,
    save_transform,
    search_pose,
    to_ants,
)
from tests.imaging.phantoms import head_phantom, rigid, smooth_displacement

STRETCH = np.diag([1.1, 0.9, 1.05, 1.0])


@pytest.fixture(scope="module")
def transform() -> TemplateTransform:
    """An affine and a displacement that do not commute, on a grid off the origin."""
    affine = rigid((0.3, -0.2, 0.5), (12.0, -30.0, 8.0)) @ STRETCH
    grid = nib.affines.from_matvec(np.eye(3) * 2.0, [-40.0, -50.0, -30.0])
    inverse = nib.Nifti1Image(smooth_displacement((40, 44, 36), 6.0, 6.0, seed=2), grid)
    return TemplateTransform(affine, invert(inverse), inverse)


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Points of the template, well within the grid of the displacement."""
    return np.random.default_rng(0).uniform([-25, -35, -15], [25, 20, 25], (60, 3)).astype(np.float32)


def test_subject_and_template_are_each_other_s_inverse(transform: TemplateTransform, points: np.ndarray) -> None:
    """A point of the template is found again after the way to the subject and back."""
    there = transform.template_to_subject(points)
    assert np.linalg.norm(there - points, axis=1).min() > 1.0
    assert transform.subject_to_template(there) == pytest.approx(points, abs=0.1)


def test_displacement_comes_before_the_affine(transform: TemplateTransform, points: np.ndarray) -> None:
    """A template point lies at affine (x + forward(x)), as the documentation says."""
    assert transform.forward is not None
    expected = nib.affines.apply_affine(transform.affine, points + sample_field(transform.forward, points))
    assert transform.template_to_subject(points) == pytest.approx(expected, abs=1e-3)


def test_displacement_between_images_is_followed(transform: TemplateTransform, points: np.ndarray) -> None:
    """A point of the other image goes where the first image's same spot goes, and comes back from there."""
    there = transform.template_to_subject(points)
    grid = nib.affines.from_matvec(np.eye(3) * 2.0, there.min(axis=0) - 30.0)
    shape = tuple(int(length) for length in np.ceil((np.ptp(there, axis=0) + 60.0) / 2.0))
    between = nib.Nifti1Image(smooth_displacement(shape, 4.0, 8.0, seed=7), grid)
    found = follow_displacement(transform, between)
    moved = sample_field(between, there)
    assert np.linalg.norm(moved, axis=1).mean() > 1.0
    expected = transform.subject_to_template(there + moved)
    assert found.subject_to_template(there) == pytest.approx(expected, abs=0.1)
    assert found.template_to_subject(found.subject_to_template(there)) == pytest.approx(there, abs=0.15)
    assert np.array_equal(found.affine, transform.affine)


def test_affine_transform_cannot_follow(transform: TemplateTransform) -> None:
    """Without a grid for the displacement there is an error, not a transform that forgot it."""
    assert transform.inverse is not None
    with pytest.raises(ValueError, match="no grid"):
        follow_displacement(TemplateTransform(transform.affine), transform.inverse)


def through_ants(path: Path, points: np.ndarray) -> np.ndarray:
    """Map points with a stored transform as ITK does, in RAS."""
    import ants

    stored = ants.read_transform(str(path))
    lps = points.astype(float) * [-1, -1, 1]
    return np.array([stored.apply_to_point(list(point)) for point in lps]) * [-1, -1, 1]


@pytest.mark.parametrize("linear", [True, False], ids=["affine", "affine and displacement"])
def test_stored_transform_means_the_same_to_itk(
    transform: TemplateTransform, points: np.ndarray, tmp_path: Path, linear: bool
) -> None:
    """The file that resamples the subject into the template maps template points to the subject, and the other back."""
    chosen = TemplateTransform(transform.affine) if linear else transform
    to_template, to_subject = tmp_path / "from-T1w_to-MNI_xfm.h5", tmp_path / "from-MNI_to-T1w_xfm.h5"
    save_transform(chosen, to_template)
    save_transform(chosen, to_subject, inverse=True)
    expected = chosen.template_to_subject(points)
    assert through_ants(to_template, points) == pytest.approx(expected, abs=0.01)
    assert through_ants(to_subject, expected) == pytest.approx(chosen.subject_to_template(expected), abs=0.01)


def test_stored_transform_resamples_an_image(transform: TemplateTransform, tmp_path: Path) -> None:
    """With ANTs' own resampling, what lies at a template point's image in the subject appears at that point."""
    import ants

    center = np.float32([[3.0, -4.0, 6.0]])
    there = transform.template_to_subject(center)[0]
    subject_affine = nib.affines.from_matvec(np.diag([-1.5, 1.5, 1.5]), there + np.array([30.0, -30.0, -30.0]))
    data = np.zeros((41, 41, 41), np.float32)
    data[20, 20, 20] = 1.0
    subject = nib.Nifti1Image(ndimage.gaussian_filter(data, 0.8), subject_affine)
    assert transform.forward is not None
    template = nib.Nifti1Image(np.zeros(transform.forward.shape[:3], np.float32), transform.forward.affine)
    save_transform(transform, tmp_path / "xfm.h5")
    moved = ants.apply_transforms(to_ants(template), to_ants(subject), [str(tmp_path / "xfm.h5")])
    found = nib.affines.apply_affine(template.affine, ndimage.center_of_mass(moved.numpy()))
    assert found == pytest.approx(center[0], abs=0.3)


def test_stored_movement_is_read_back(tmp_path: Path) -> None:
    """The matrix that was written as an ITK transform comes back, and not its inverse."""
    movement = rigid((0.1, -0.2, 0.3), (40.0, 5.0, -6.0))
    save_transform(TemplateTransform(movement), tmp_path / "xfm.h5")
    assert load_affine(tmp_path / "xfm.h5") == pytest.approx(movement, abs=1e-5)


def test_image_keeps_its_place_in_ants() -> None:
    """A voxel of an oblique image has the same world position for ANTs, whose axes point left and posterior."""
    affine = rigid((0.2, 0.1, -0.3), (10.0, -20.0, 30.0)) @ np.diag([1.0, 1.2, 2.0, 1.0])
    image = nib.Nifti1Image(np.random.default_rng(1).random((6, 7, 8)).astype(np.float32), affine)
    converted = to_ants(image)
    assert converted.numpy() == pytest.approx(np.asarray(image.dataobj))
    import ants

    point = ants.transform_index_to_physical_point(converted, [3, 4, 5])
    assert np.array(point) * [-1, -1, 1] == pytest.approx(nib.affines.apply_affine(affine, [3, 4, 5]), abs=1e-4)


def moved_head(template: nib.Nifti1Image, motion: np.ndarray) -> nib.Nifti1Image:
    """Return the phantom after a motion in world mm, on its own grid."""
    matrix, offset = nib.affines.to_matvec(np.linalg.inv(motion @ template.affine) @ template.affine)
    data = ndimage.affine_transform(np.asarray(template.dataobj), matrix, offset, order=1)
    return nib.Nifti1Image(data.astype(np.float32), template.affine)


def corner_error_mm(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error at points 60 mm from the centre."""
    corners = np.array([[x, y, z] for x in (-60, 60) for y in (-60, 60) for z in (-60, 60)])
    return float(
        np.linalg.norm(
            nib.affines.apply_affine(found, corners) - nib.affines.apply_affine(expected, corners), axis=1
        ).max()
    )


@pytest.mark.parametrize(
    ("angles", "shift"),
    [
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((0.3, 0.05, -0.1), (4.0, 22.0, -12.0)),
        ((-0.2, -0.1, 0.1), (-6.0, -8.0, 18.0)),
    ],
    ids=["in place", "nodding", "looking up"],
)
def test_pose_of_a_phantom_is_found(angles: tuple[float, float, float], shift: tuple[float, float, float]) -> None:
    """A head tilted by up to 17 degrees and shifted by up to 25 mm is found to within a voxel or so of the search."""
    template = head_phantom()
    motion = rigid(angles, shift)
    assert corner_error_mm(search_pose(moved_head(template, motion), template), motion) < 10.0


def test_affine_of_a_phantom_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tilt, shift and stretch are found to within half a voxel at the corners of a head-sized box."""
    monkeypatch.setattr(registration, "AFFINE_VOXEL_SIZE_MM", 5.0)
    template = head_phantom()
    motion = rigid((0.2, 0.05, -0.05), (5.0, 12.0, -9.0)) @ np.diag([1.06, 0.96, 1.03, 1.0])
    subject = moved_head(template, motion)
    inside = ndimage.binary_dilation(np.asarray(template.dataobj) > 20, iterations=2).astype(np.float32)
    mask = nib.Nifti1Image(inside, template.affine)
    assert corner_error_mm(register_affine(subject, template, mask, seed=1).affine, motion) < 2.5
