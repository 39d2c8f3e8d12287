# SPDX-License-Identifier: Apache-2.0
"""The deformation is found, inverted and measured as the mathematics says."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.imaging.deformation import Level, deform, invert, jacobian_determinant
from bids_msvol.imaging.registration import sample_field
from tests.imaging.phantoms import mesh, smooth_displacement

SHAPE = (48, 48, 48)


def channels() -> np.ndarray:
    """Return a phantom of three tissues (x, y, z, 3): nested ellipsoids with a bump, so that no motion goes unseen."""
    x, y, z = (axis - 23.5 for axis in mesh(SHAPE))
    outer = (x / 17) ** 2 + (y / 15) ** 2 + (z / 16) ** 2 < 1 + 0.25 * np.sin(0.5 * x) * np.cos(0.4 * y)
    inner = ((x - 1) / 10) ** 2 + ((y + 2) / 8) ** 2 + (z / 9) ** 2 < 1 + 0.3 * np.sin(0.6 * y) * np.cos(0.5 * z)
    core = ((x - 2) / 4) ** 2 + (y / 4) ** 2 + ((z + 1) / 5) ** 2 < 1
    parts = np.stack([core, inner & ~core, outer & ~inner], axis=-1).astype(np.float32)
    return np.asarray(ndimage.gaussian_filter(parts, (0.7, 0.7, 0.7, 0)))


def warp(maps: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return ``maps(x + vectors(x))`` on a grid of 1 mm, by scipy."""
    points = mesh(SHAPE) + np.moveaxis(vectors, -1, 0)
    return np.stack(
        [ndimage.map_coordinates(maps[..., k], points, order=1, mode="nearest") for k in range(maps.shape[-1])], axis=-1
    ).astype(np.float32)


@pytest.fixture(scope="module")
def registered() -> tuple[np.ndarray, nib.Nifti1Image, np.ndarray, np.ndarray]:
    """Return the true displacement, the one found, fixed and moving maps."""
    moving = channels()
    truth = smooth_displacement(SHAPE, 4.0, 8.0)
    fixed = warp(moving, truth)
    found = deform(fixed, moving, np.eye(4), levels=(Level(4.0, 20), Level(2.0, 20), Level(1.0, 10)))
    return truth, found, fixed, moving


def test_known_displacement_is_recovered(
    registered: tuple[np.ndarray, nib.Nifti1Image, np.ndarray, np.ndarray],
) -> None:
    """Borders moved by up to 4 mm are brought back: the maps agree, and so do the vectors across each border.

    Along a border nothing can be seen, so nothing is asked.
    """
    truth, found, fixed, moving = registered
    before = np.abs(fixed - moving).mean()
    after = np.abs(fixed - warp(moving, np.asarray(found.dataobj))).mean()
    assert after < 0.2 * before
    for filled in np.moveaxis(fixed.cumsum(axis=-1), -1, 0):
        gradient = np.stack(np.gradient(filled), axis=-1)
        steepness = np.linalg.norm(gradient, axis=-1)
        border = steepness > 0.2
        across = gradient[border] / steepness[border][:, None]
        error = np.abs(((np.asarray(found.dataobj) - truth)[border] * across).sum(axis=1))
        moved = np.abs((truth[border] * across).sum(axis=1))
        assert np.median(error) < 0.2 * np.median(moved)


def test_deformation_does_not_fold(registered: tuple[np.ndarray, nib.Nifti1Image, np.ndarray, np.ndarray]) -> None:
    """The map found is invertible everywhere."""
    assert jacobian_determinant(registered[1]).min() > 0.1


def test_level_grids_stay_in_place() -> None:
    """A shift found on coarse grids only, of an image off the world's origin, has the right length and direction."""
    moving = channels()
    fixed = np.roll(moving, 3, axis=0)
    affine = nib.affines.from_matvec(np.eye(3), [-20.0, 30.0, 5.0])
    found = deform(fixed, moving, affine, levels=(Level(4.0, 40, total_sigma=0.3), Level(2.0, 20, total_sigma=0.3)))
    assert nib.affines.voxel_sizes(found.affine) == pytest.approx([2.0] * 3)
    inside = nib.affines.apply_affine(affine, np.argwhere(fixed[..., :2].sum(axis=-1) > 0.5)).astype(np.float32)
    assert np.median(sample_field(found, inside), axis=0) == pytest.approx([-3.0, 0.0, 0.0], abs=0.4)


def test_start_is_kept_when_nothing_is_left_to_move() -> None:
    """With no iterations the result is the start, sampled on the grid of the level."""
    start = nib.Nifti1Image(np.full((*SHAPE, 3), 2.0, np.float32), np.eye(4))
    maps = channels()
    found = deform(maps, maps, np.eye(4), levels=(Level(2.0, 0),), start=start)
    assert np.asarray(found.dataobj) == pytest.approx(2.0)
    assert found.shape == (24, 24, 24, 3)


def test_points_without_weight_do_not_pull() -> None:
    """A difference in a region of weight zero moves nothing."""
    moving = channels()
    fixed = moving.copy()
    fixed[:20] = 0.0
    weight = np.ones(SHAPE, np.float32)
    weight[:24] = 0.0
    levels = (Level(2.0, 10),)
    pulled = np.abs(np.asarray(deform(fixed, moving, np.eye(4), levels=levels).dataobj)).max()
    weighed = np.abs(np.asarray(deform(fixed, moving, np.eye(4), levels=levels, weight=weight).dataobj)).max()
    assert pulled > 1.0
    assert weighed < 0.05


def test_cubic_interpolation_finds_the_length_of_a_small_displacement() -> None:
    """A texture of few voxels, moved by a third of a voxel, is brought back by so much; linearly, by a tenth too much.

    Cubic B-splines also keep what is along an axis where nothing moved.
    """
    texture = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((40, 40, 40)), 1.2)
    texture = (texture / texture.std()).astype(np.float32)
    points = np.stack(np.broadcast_arrays(*mesh((40, 40, 40)))) + np.array([0.3, 0.2, 0.0])[:, None, None, None]
    fixed = ndimage.map_coordinates(texture, points, order=3, mode="mirror").astype(np.float32)
    length = {}
    for cubic in (False, True):
        level = Level(1.0, 60, update_sigma=2.0, total_sigma=0.0, noise=0.05, cubic=cubic)
        found = deform(fixed[..., None], texture[..., None], np.eye(4), levels=(level,))
        length[cubic] = np.asarray(found.dataobj)[8:-8, 8:-8, 8:-8].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(length[True], (0.3, 0.2, 0.0), atol=0.006)
    assert (length[False][:2] > (0.308, 0.213)).all()


def test_no_levels_and_no_start_is_an_error() -> None:
    """There is then nothing to return."""
    maps = channels()
    with pytest.raises(ValueError, match="no levels"):
        deform(maps, maps, np.eye(4), levels=())


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0])
def test_inverse_undoes_the_displacement(spacing_mm: float) -> None:
    """Going forth and back, in either order, ends within a tenth of a voxel of where it began."""
    vectors = smooth_displacement(SHAPE, 3.0 * spacing_mm, 7.0, seed=1)
    affine = nib.affines.from_matvec(np.eye(3) * spacing_mm, [-10.0, 4.0, 7.0])
    forth = nib.Nifti1Image(vectors, affine)
    back = invert(forth)
    points = nib.affines.apply_affine(affine, np.argwhere(np.ones(SHAPE, bool))).astype(np.float32)
    for first, second in ((forth, back), (back, forth)):
        moved = points + sample_field(first, points)
        returned = moved + sample_field(second, moved)
        assert np.linalg.norm(returned - points, axis=1).max() < 0.1 * spacing_mm


@pytest.mark.parametrize("spacing_mm", [1.0, 3.0])
def test_jacobian_of_a_known_scaling(spacing_mm: float) -> None:
    """A map that stretches x by 20 % and shrinks z by 10 % changes every volume by 1.2 times 0.9."""
    points = mesh((10, 11, 12)) * spacing_mm
    vectors = np.stack([0.2 * points[0], 0.0 * points[1], -0.1 * points[2]], axis=-1).astype(np.float32)
    field = nib.Nifti1Image(vectors, np.diag([spacing_mm] * 3 + [1.0]))
    assert jacobian_determinant(field) == pytest.approx(1.2 * 0.9, rel=1e-4)


def test_jacobian_of_a_shear_and_of_a_fold() -> None:
    """A shear keeps volumes; a mirror image has a negative determinant."""
    points = mesh((10, 11, 12))
    shear = np.stack([0.3 * points[1], 0 * points[1], 0.2 * points[0]], axis=-1).astype(np.float32)
    assert jacobian_determinant(nib.Nifti1Image(shear, np.eye(4))) == pytest.approx(1.0, rel=1e-4)
    fold = np.stack([-2.0 * points[0], 0 * points[1], 0 * points[2]], axis=-1).astype(np.float32)
    assert jacobian_determinant(nib.Nifti1Image(fold, np.eye(4))) == pytest.approx(-1.0, rel=1e-4)
