# SPDX-License-Identifier: Apache-2.0
"""The sessions of a person are brought together where the head is, halfway, and whatever their order."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.imaging.alignment import PersonSpace, align_sessions, mean_image, resample_session
from bids_msvol.imaging.grids import conform, world_points
from tests.imaging.phantoms import mesh, rigid
from tests.imaging.toyhead import toy_atlas
from tests.imaging.toyvisits import visit

MOTIONS = (
    rigid((0.05, -0.03, 0.08), (3.0, 2.0, -2.0)),
    rigid((-0.04, 0.05, -0.06), (-2.0, 1.5, 2.5)),
    rigid((0.02, 0.06, 0.01), (1.0, -2.5, 1.0)),
)
"""Where the template's head lies in each session."""

STARTS = tuple(
    rigid(angles, shift) @ motion @ np.diag([1.04, 0.97, 1.02, 1.0])
    for motion, angles, shift in zip(
        MOTIONS,
        ((0.03, -0.02, 0.02), (-0.02, 0.03, 0.01), (0.01, 0.02, -0.03)),
        ((1.5, -1.0, 1.0), (-1.0, 1.0, -1.5), (1.0, 1.0, 1.0)),
        strict=True,
    )
)
"""What a registration of each session for itself might give: two millimetres and two degrees off, and a stretch."""

VOXEL_MM = 2.0
POINTS = toy_atlas().brain_points(2.0)


@pytest.fixture(scope="module")
def images() -> list[nib.Nifti1Image]:
    """Three visits, each with its own noise, brightness field and grid."""
    return [conform(visit(motion, seed), VOXEL_MM) for seed, motion in enumerate(MOTIONS)]


@pytest.fixture(scope="module")
def pair(images: list[nib.Nifti1Image]) -> PersonSpace:
    """The space of the first two visits."""
    return solve(images[:2])


def solve(images: Sequence[nib.Nifti1Image], order: Sequence[int] = (0, 1, 2)) -> PersonSpace:
    """Align visits in an order."""
    chosen = order[: len(images)]
    return align_sessions([images[i] for i in chosen], [STARTS[i] for i in chosen], POINTS, VOXEL_MM)


def error_mm(space: PersonSpace, first: int = 0, last: int = 1) -> float:
    """Mean error, in the brain, of the way from one visit to another."""
    found = space.to_sessions[last] @ np.linalg.inv(space.to_sessions[first])
    there = nib.affines.apply_affine(MOTIONS[first], POINTS)
    true = nib.affines.apply_affine(MOTIONS[last], POINTS)
    return float(np.linalg.norm(nib.affines.apply_affine(found, there) - true, axis=1).mean())


def largest_mm(first: np.ndarray, last: np.ndarray) -> float:
    """Longest distance, in the brain, between what two movements do."""
    moved = [nib.affines.apply_affine(matrix, POINTS) for matrix in (first, last)]
    return float(np.linalg.norm(moved[0] - moved[1], axis=1).max())


def test_known_movement_is_found(pair: PersonSpace) -> None:
    """From starts two millimetres off, the heads are brought together to within a tenth of a voxel."""
    start = np.linalg.norm(nib.affines.apply_affine(STARTS[1], POINTS) - nib.affines.apply_affine(MOTIONS[1], POINTS))
    assert start / np.sqrt(len(POINTS)) > 1.5
    assert error_mm(pair) < 0.1 * VOXEL_MM
    assert min(pair.similarity) > 0.9


def test_movements_are_rigid(pair: PersonSpace) -> None:
    """The stretch of the starts is gone: a head keeps its size."""
    for move in pair.to_sessions:
        assert move[:3, :3] @ move[:3, :3].T == pytest.approx(np.eye(3), abs=1e-6)
        assert np.linalg.det(move[:3, :3]) > 0


def test_space_lies_halfway(pair: PersonSpace) -> None:
    """The way to one session is the way to the other, backwards: neither is treated better."""
    assert largest_mm(pair.to_sessions[0] @ pair.to_sessions[1], np.eye(4)) < 0.15
    assert largest_mm(pair.to_sessions[0], np.eye(4)) > 3.0


def test_order_of_the_sessions_does_not_matter(images: list[nib.Nifti1Image], pair: PersonSpace) -> None:
    """Swapped input gives swapped movements, in the same space, on the same grid."""
    swapped = solve(images[:2], (1, 0))
    for found, expected in zip(swapped.to_sessions, reversed(pair.to_sessions), strict=True):
        assert largest_mm(found, expected) < 1e-3
    assert swapped.shape == pair.shape
    assert swapped.affine == pytest.approx(pair.affine, abs=1e-3)
    assert swapped.similarity == pytest.approx(pair.similarity[::-1], abs=1e-4)


def test_three_sessions_are_aligned_together(images: list[nib.Nifti1Image]) -> None:
    """Every pair among them matches."""
    space = solve(images)
    errors = {(first, last): error_mm(space, first, last) for first, last in ((0, 1), (0, 2), (1, 2))}
    assert max(errors.values()) < 0.1 * VOXEL_MM, errors


def test_what_has_changed_has_no_say(images: list[nib.Nifti1Image], pair: PersonSpace) -> None:
    """A large dark lesion that is new in one session does not pull the heads apart."""
    second = images[1]
    center = nib.affines.apply_affine(np.linalg.inv(second.affine) @ MOTIONS[1], [14.0, 12.0, 16.0])
    distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(mesh(second.shape), center, strict=True)))
    data = np.where(distance * VOXEL_MM < 7.0, 80.0, np.asarray(second.dataobj)).astype(np.float32)
    space = solve([images[0], nib.Nifti1Image(data, second.affine)])
    assert error_mm(space) < error_mm(pair) + 0.05
    assert space.similarity[0] < pair.similarity[0]


def test_session_without_the_neck_is_aligned(images: list[nib.Nifti1Image]) -> None:
    """What lies outside one field of view is left out of the comparison; the rest is found to a quarter of a voxel."""
    second = images[1]
    start = round(12.0 / VOXEL_MM)
    affine = second.affine @ nib.affines.from_matvec(np.eye(3), [0, 0, start])
    cut = nib.Nifti1Image(np.asarray(second.dataobj)[:, :, start:], affine)
    assert error_mm(solve([images[0], cut])) < 0.25 * VOXEL_MM


def test_grid_holds_every_field_of_view(images: list[nib.Nifti1Image], pair: PersonSpace) -> None:
    """No corner of any session is lost, and the voxels are isotropic along the axes of the space."""
    assert pair.affine[:3, :3] == pytest.approx(np.eye(3) * VOXEL_MM)
    for image, move in zip(images, pair.to_sessions, strict=False):
        corners = np.array(list(np.ndindex(2, 2, 2))) * (np.asarray(image.shape) - 1)
        voxels = nib.affines.apply_affine(np.linalg.inv(pair.affine) @ np.linalg.inv(move) @ image.affine, corners)
        assert (voxels > -0.5).all()
        assert (voxels < np.asarray(pair.shape) - 0.5).all()


def test_one_session_has_no_common_space(images: list[nib.Nifti1Image]) -> None:
    """Asking for it is an error, not a silent copy."""
    with pytest.raises(ValueError, match="needs no common space"):
        align_sessions(images[:1], STARTS[:1], POINTS, VOXEL_MM)


SLOPE = np.array([2.0, -3.0, 5.0])


def ramp(shape: tuple[int, int, int], affine: np.ndarray) -> nib.Nifti1Image:
    """Return an image whose brightness is linear in world coordinates."""
    points = nib.affines.apply_affine(affine, np.moveaxis(mesh(shape), 0, -1))
    return nib.Nifti1Image((1000.0 + points @ SLOPE).astype(np.float32), affine)


@pytest.mark.parametrize(
    "edges_mm",
    [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (-1.0, 1.0, 2.5)],
    ids=["same voxels", "finer", "thick slices, stored from right to left"],
)
def test_resampling_puts_everything_in_its_place(edges_mm: tuple[float, float, float]) -> None:
    """Each voxel of the grid shows what the session has at the place to which the movement leads."""
    shape = tuple(round(40 / abs(edge)) for edge in edges_mm)
    center = np.diag(edges_mm) @ (np.asarray(shape) - 1) / 2
    oblique = rigid((0.1, -0.05, 0.2), (5.0, 9.0, -4.0))
    image = ramp(shape, oblique @ nib.affines.from_matvec(np.diag(edges_mm), -center))
    move = rigid((0.03, 0.08, -0.04), (4.0, 7.0, -6.0))
    space = PersonSpace((50, 50, 50), nib.affines.from_matvec(np.eye(3), [-24.5] * 3), (move,), (1.0,))
    found, seen = resample_session(image, space, move)
    points = nib.affines.apply_affine(move @ space.affine, np.argwhere(np.ones(space.shape)))
    voxels = nib.affines.apply_affine(np.linalg.inv(image.affine), points).reshape(*space.shape, 3)
    outside = np.maximum(-0.5 - voxels, voxels - (np.asarray(shape) - 0.5)).max(axis=-1)
    # Origins are rounded to a thousandth of a millimetre.
    sure = np.abs(outside) > 5e-3
    assert np.array_equal(seen[sure], outside[sure] < 0)
    assert 0.3 < seen.mean() < 0.9
    assert not np.asarray(found.dataobj)[~seen].any()
    # The ramp ends at the border of the image, and with it what can be foretold.
    margin = np.maximum(6.0 / np.abs(edges_mm), 5.0)
    deep = ((voxels > margin) & (voxels < np.asarray(shape) - margin)).all(axis=-1)
    assert deep.any()
    expected = (1000.0 + points @ SLOPE).reshape(space.shape)
    assert np.asarray(found.dataobj)[deep] == pytest.approx(expected[deep], abs=0.05)
    assert found.get_data_dtype() == np.float32


def test_session_already_in_its_place_is_left_as_it_is(images: list[nib.Nifti1Image]) -> None:
    """Without movement, on its own grid, no voxel changes and all are seen."""
    image = images[0]
    space = PersonSpace(image.shape, image.affine, (np.eye(4),), (1.0,))
    found, seen = resample_session(image, space, np.eye(4))
    assert seen.all()
    assert np.asarray(found.dataobj) == pytest.approx(np.asarray(image.dataobj), abs=0.05)


def test_mean_is_taken_after_scaling_and_of_what_is_seen() -> None:
    """Sessions four times as bright count no more; where one sees nothing the other stands alone, elsewhere is zero."""
    data = np.random.default_rng(0).uniform(100, 200, (12, 12, 12)).astype(np.float32)
    affine = nib.affines.from_matvec(np.eye(3), [1.0, 2.0, 3.0])
    seen = [np.ones(data.shape, bool) for _ in range(2)]
    seen[1][:4] = False
    seen[0][:2] = False
    images = [nib.Nifti1Image(scale * data * visible, affine) for scale, visible in zip((1, 4), seen, strict=True)]
    found = mean_image(images, seen)
    expected = 2.0 * data * (seen[0] | seen[1])
    assert np.asarray(found.dataobj) == pytest.approx(expected, rel=1e-5)
    assert np.array_equal(found.affine, affine)


def test_noise_shrinks_in_the_mean() -> None:
    """The mean of two noisy sessions is nearer to the truth than either."""
    rng = np.random.default_rng(1)
    truth = np.full((20, 20, 20), 100.0, np.float32)
    truth[5:15, 5:15, 5:15] = 300.0
    seen = [np.ones(truth.shape, bool)] * 2
    noisy = [nib.Nifti1Image(truth + rng.normal(0, 10, truth.shape).astype(np.float32), np.eye(4)) for _ in range(2)]
    found = np.asarray(mean_image(noisy, seen).dataobj)
    assert (found - truth).std() == pytest.approx(10 / np.sqrt(2), rel=0.05)


def test_points_are_where_the_grid_says(pair: PersonSpace) -> None:
    """The brain of every session lies inside the grid, whose corner is at its affine."""
    located = nib.affines.apply_affine(np.linalg.inv(pair.to_sessions[0]) @ MOTIONS[0], POINTS)
    grid = world_points(np.ones(pair.shape, bool), pair.affine)
    assert (located > grid.min(axis=0)).all()
    assert (located < grid.max(axis=0)).all()
