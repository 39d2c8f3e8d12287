# SPDX-License-Identifier: Apache-2.0
"""Between the mean image and a session, the scanner's brightness is taken out and the change of shape is found."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.labels import CLASSES
from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.imaging import followup
from bids_msvol.imaging.followup import (
    RIM_MM,
    deep_white,
    deform_to_session,
    follow_session,
    match_brightness,
    near_brain,
    volumes_by_jacobian_mm3,
    white_brightness,
)
from bids_msvol.imaging.registration import TemplateTransform, sample_field
from tests.imaging.phantoms import mesh, smooth_displacement

SHAPE = (48, 48, 48)
AFFINE = nib.affines.from_matvec(np.eye(3), [-20.0, 7.0, 30.0])
WHITE = 500.0


def radius(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.float64]:
    """Distance of each voxel from the middle, in voxels."""
    return np.sqrt(sum((axis - (length - 1) / 2) ** 2 for axis, length in zip(mesh(shape), shape, strict=True)))


def brain() -> NDArray[np.float32]:
    """Return the brightness of nested bumpy ellipsoids: fluid, cortex, white matter and a dark core."""
    x, y, z = (axis - 23.5 for axis in mesh(SHAPE))
    image = np.full(SHAPE, 0.2)
    image[(x / 17) ** 2 + (y / 15) ** 2 + (z / 16) ** 2 < 1 + 0.25 * np.sin(0.5 * x) * np.cos(0.4 * y)] = 0.6
    image[((x - 1) / 12) ** 2 + ((y + 2) / 10) ** 2 + (z / 11) ** 2 < 1 + 0.3 * np.sin(0.6 * y) * np.cos(0.5 * z)] = 1.0
    image[((x - 2) / 5) ** 2 + (y / 5) ** 2 + ((z + 1) / 6) ** 2 < 1] = 0.2
    return (WHITE * ndimage.gaussian_filter(image, 0.7)).astype(np.float32)


def warp(image: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``image(x + vectors(x))`` on a grid of 1 mm."""
    points = mesh(SHAPE) + np.moveaxis(vectors, -1, 0)
    return np.asarray(ndimage.map_coordinates(image, points, order=3, mode="nearest"), dtype=np.float32)


def test_tissue_that_moves_is_not_taken_for_brightness() -> None:
    """White matter brightens outwards and shrinks inwards, so that every place shows brighter tissue than before.

    Matched to the mean image as it is, the session is darkened for it; matched in turn with the shape, a quarter as
    much is left, and the gain of the scanner is still taken out.
    """
    mean = brain() * (1.0 + 0.01 * np.minimum(radius(), 24.0)).astype(np.float32)
    outwards = np.stack(np.broadcast_arrays(*(0.03 * (axis - 23.5) for axis in mesh(SHAPE))), axis=-1)
    still = warp(mean, outwards.astype(np.float32))
    x, y, z = (axis - 23.5 for axis in mesh(SHAPE))
    deep = ((x - 1) / 9) ** 2 + ((y + 2) / 7) ** 2 + (z / 8) ** 2 < 1
    deep &= ((x - 2) / 7) ** 2 + (y / 7) ** 2 + ((z + 1) / 8) ** 2 > 1
    images = [nib.Nifti1Image(data, AFFINE) for data in (mean, 1.2 * still)]
    once = match_brightness(images[1], images[0], deep)
    in_turn, displacement = follow_session(*images, deep, NEAR, 1.2 * WHITE)
    around = (radius() > 10) & (radius() < 14)
    wrong = [np.median(np.asarray(image.dataobj)[around] / still[around]) - 1.0 for image in (once, in_turn)]
    assert wrong[0] < -0.0015
    assert abs(wrong[1]) < 0.3 * abs(wrong[0])
    inwards = np.argwhere(around) - 23.5
    inwards /= np.linalg.norm(inwards, axis=1)[:, None]
    moved, true = ((part * inwards).sum(axis=1).mean() for part in (sampled(displacement, around), outwards[around]))
    assert moved == pytest.approx(true, rel=0.05)


def posteriors(probability: dict[int, NDArray[np.float32]], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (voxel, class) from maps by class number; the rest is class 0."""
    result = np.zeros((int(mask.sum()), len(CLASSES)), dtype=np.float32)
    for number, values in probability.items():
        result[:, CLASSES.index(number)] = values[mask]
    result[:, CLASSES.index(0)] += 1.0 - result.sum(axis=1)
    return result


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_smooth_difference_of_brightness_is_taken_out(gain: float) -> None:
    """A gain and a field that rises by a fifth across the head are gone, also beyond the white matter around."""
    shape, affine = (40, 40, 40), np.diag([4.0, 4.0, 4.0, 1.0])
    texture = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(shape), 2.0)
    reference = (WHITE * np.exp(0.1 * texture / texture.std())).astype(np.float32)
    x, y, z = (axis / 39.0 - 0.5 for axis in mesh(shape))
    field = 0.1 * np.sin(np.pi * x) + 0.05 * np.cos(np.pi * (y + z))
    noise = np.random.default_rng(1).normal(1.0, 0.02, shape)
    image = (gain * reference * noise * np.exp(field)).astype(np.float32)
    deep, whole = radius(shape) < 13, radius(shape) < 16
    found = match_brightness(nib.Nifti1Image(image, affine), nib.Nifti1Image(reference, affine), deep)
    left = ndimage.gaussian_filter(np.log(np.asarray(found.dataobj) / reference), 2.0)[whole]
    assert np.abs(left).mean() < 0.1 * np.abs(field - np.median(field[whole]))[whole].mean()
    assert np.median(left) == pytest.approx(0.0, abs=0.003)
    assert found.get_data_dtype() == np.float32


def test_change_of_tissue_is_kept() -> None:
    """Where tissue turned to fluid the difference stays; the brightness around it is not bent towards it."""
    shape, affine = (40, 40, 40), np.diag([4.0, 4.0, 4.0, 1.0])
    rng = np.random.default_rng(0)
    reference = rng.normal(WHITE, 3.0, shape).astype(np.float32)
    image = rng.normal(WHITE, 3.0, shape).astype(np.float32)
    lost = radius(shape) < 4
    image[lost] *= np.float32(0.3)
    everywhere = np.ones(shape, bool)
    found = match_brightness(nib.Nifti1Image(image, affine), nib.Nifti1Image(reference, affine), everywhere)
    ratio = np.asarray(found.dataobj) / reference
    assert np.median(ratio[lost]) == pytest.approx(0.3, rel=0.02)
    assert np.median(ratio[ndimage.binary_dilation(lost, iterations=2) & ~lost]) == pytest.approx(1.0, abs=0.01)


def test_cortex_that_darkens_does_not_bend_the_field() -> None:
    """What happens outside the deep white matter, however widespread, is not taken for the scanner's doing."""
    shape, affine = (40, 40, 40), np.diag([4.0, 4.0, 4.0, 1.0])
    rng = np.random.default_rng(0)
    reference = rng.normal(WHITE, 10.0, shape).astype(np.float32)
    image = rng.normal(WHITE, 10.0, shape).astype(np.float32)
    cortex = (radius(shape) > 13) & (radius(shape) < 16)
    image[cortex] *= np.float32(0.95)
    found = match_brightness(nib.Nifti1Image(image, affine), nib.Nifti1Image(reference, affine), radius(shape) < 12)
    assert np.mean(np.asarray(found.dataobj)[cortex] / reference[cortex]) == pytest.approx(0.95, abs=0.01)


def test_images_without_white_matter_in_common_are_refused() -> None:
    """Nothing can be matched where the two show nothing in common."""
    image = nib.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4))
    with pytest.raises(ValueError, match="no white matter in common"):
        match_brightness(image, image, np.zeros((8, 8, 8), bool))


@pytest.fixture(scope="module")
def change() -> tuple[NDArray[np.float32], NDArray[np.float32], nib.Nifti1Image]:
    """Return the mean image, the true displacement and the one found, looking at an off-centre box around the brain."""
    mean = brain()
    truth = smooth_displacement(SHAPE, 1.5, 7.0, seed=4)
    return mean, truth, find(mean, warp(mean, truth), NEAR)


NEAR = (mesh(SHAPE)[0] > 3) & (mesh(SHAPE)[1] > 5) & (radius() < 23)


def find(mean: NDArray[np.float32], session: NDArray[np.float32], near: NDArray[np.bool_]) -> nib.Nifti1Image:
    """Return the displacement found between two images on the grid of the tests."""
    return deform_to_session(nib.Nifti1Image(mean, AFFINE), nib.Nifti1Image(session, AFFINE), near, WHITE)


def sampled(displacement: nib.Nifti1Image, where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the displacement in voxels of the grid of the tests."""
    points = nib.affines.apply_affine(AFFINE, np.argwhere(where)).astype(np.float32)
    return sample_field(displacement, points)


def borders(image: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return the voxels of the brain where tissues meet, and for each the direction (n, 3) across."""
    gradient = np.stack(np.gradient(image), axis=-1)
    steepness = np.linalg.norm(gradient, axis=-1)
    border = (steepness > 0.1 * WHITE) & (radius() < 19)
    return border, gradient[border] / steepness[border][:, None]


def test_known_change_of_shape_is_found(
    change: tuple[NDArray[np.float32], NDArray[np.float32], nib.Nifti1Image],
) -> None:
    """Borders that moved by up to 1.5 mm are found where they are, to a quarter of their way; along them nothing shows.

    The world, not the box that was looked at, says where the displacement is.
    """
    mean, truth, found = change
    border, across = borders(warp(mean, truth))
    moved = (truth[border] * across).sum(axis=1)
    error = (sampled(found, border) * across).sum(axis=1) - moved
    assert np.median(np.abs(moved)) > 0.15
    assert np.median(np.abs(error)) < 0.25 * np.median(np.abs(moved))


def test_same_shape_is_left_as_it_is() -> None:
    """Without a difference nothing moves but by rounding."""
    mean = brain()
    assert np.abs(np.asarray(find(mean, mean, NEAR).dataobj)).max() < 1e-2


def test_noise_hardly_moves_anything() -> None:
    """Noise of a thirtieth of white matter moves the borders of two images of one head by some 0.1 mm, to and fro."""
    rng = np.random.default_rng(2)
    mean = brain()
    noisy = [mean + rng.normal(0.0, WHITE / 30, SHAPE).astype(np.float32) for _ in range(2)]
    border, across = borders(mean)
    moved = (sampled(find(noisy[0], noisy[1], NEAR), border) * across).sum(axis=1)
    assert np.abs(moved).mean() < 0.12
    assert abs(moved.mean()) < 0.01


def test_what_lies_far_from_the_brain_does_not_pull() -> None:
    """A difference two coarse voxels off the region of interest, or between two bright scalps, moves nothing."""
    mean = brain()
    near = radius() < 20
    session = mean.copy()
    session[radius() > 28] = 3.0 * WHITE
    bright = [mean.copy(), mean.copy()]
    for data, scalp in zip(bright, (2.0, 3.0), strict=True):
        data[:8] = scalp * WHITE
    assert np.abs(np.asarray(find(mean, session, near).dataobj)).max() < 1e-2
    assert np.abs(np.asarray(find(*bright, NEAR).dataobj)).max() < 1e-2


def test_volumes_follow_the_deformation() -> None:
    """A structure where the session shows the mean image compressed by 1 / 1.1 along x has so much less volume.

    Another one, where nothing moved, keeps its volume.
    """
    mask = np.ones(SHAPE, bool)
    x = mesh(SHAPE)[0]
    vectors = np.zeros((*SHAPE, 3), np.float32)
    vectors[..., 0] = 0.1 * np.maximum(x - 24.0, 0.0)
    maps = {}
    for number, (low, high) in {10: (5, 15), 49: (32, 42)}.items():
        maps[number] = np.zeros(SHAPE, np.float32)
        maps[number][low:high, 10:30, 10:30] = 0.5
    spacing = np.diag([2.0, 2.0, 2.0, 1.0])
    displacement = nib.Nifti1Image(2.0 * vectors, AFFINE @ spacing)
    volumes = volumes_by_jacobian_mm3(posteriors(maps, mask), mask, CLASSES, AFFINE @ spacing, displacement)
    before = 0.5 * 10 * 20 * 20 * 8.0
    assert volumes[10] == pytest.approx(before, rel=1e-3)
    assert volumes[49] == pytest.approx(before / 1.1, rel=1e-3)
    assert volumes[2] == 0.0


def head(spacing_mm: float) -> StructurePosteriors:
    """Return a head: white matter in the middle, 0.9 of cortex around it, fluid outside."""
    mask = radius() < 20
    white, cortex = (radius() < 8).astype(np.float32), ((radius() >= 8) & (radius() < 12)).astype(np.float32)
    fluid = (mask & (radius() >= 12)).astype(np.float32)
    maps = {2: 0.5 * white, 41: 0.5 * white, 3: 0.9 * cortex, 24: fluid + np.float32(0.1) * cortex}
    brightness = np.where(white > 0, WHITE, 100.0).astype(np.float32)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    return StructurePosteriors(
        mask=mask,
        classes=CLASSES,
        posteriors=posteriors(maps, mask),
        corrected=nib.Nifti1Image(brightness, affine),
        to_template=TemplateTransform(np.eye(4)),
        template_space="made up",
        skull_stripped=False,
        diagnostics={},
        sentences=(),
    )


def test_deep_white_matter_keeps_its_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is surely white matter and 2 mm from anything else counts, unless there is too little of it."""
    monkeypatch.setattr(followup, "LEAST_DEEP_VOXELS", 100)
    deep = deep_white(head(1.0))
    assert deep[radius() < 5.5].all()
    assert not deep[radius() > 6.5].any()
    monkeypatch.setattr(followup, "LEAST_DEEP_VOXELS", 10**6)
    assert np.array_equal(deep_white(head(1.0)), radius() < 8)


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0])
def test_rim_around_the_brain_has_its_width_in_mm(spacing_mm: float) -> None:
    """The region of interest ends at the same distance from the brain whatever the voxels."""
    near = near_brain(head(spacing_mm))
    distance = radius() - radius()[radius() < 12].max()
    assert near[distance * spacing_mm < RIM_MM - 1.5 * spacing_mm].all()
    assert not near[distance * spacing_mm > RIM_MM + 0.5 * spacing_mm].any()


def test_white_brightness_is_that_of_white_matter() -> None:
    """Neither cortex nor fluid has a part in it."""
    assert white_brightness(head(1.0)) == WHITE
