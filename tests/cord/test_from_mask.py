# SPDX-License-Identifier: Apache-2.0
"""Masks of cords of known size come out with that size, however the cord leans and the voxels are cut."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from bids_msvol.cord.from_mask import measure_mask

AP_MM, RL_MM = 8.0, 13.0
AREA_MM2 = np.pi * AP_MM * RL_MM / 4.0
LEANS = [(0.0, 0.0), (30.0, 0.0), (0.0, 30.0), (30.0, 30.0), (20.0, -10.0)]
VOXELS = [(1.0, 1.0, 1.0), (0.6, 0.6, 3.0), (0.8, 1.0, 1.5)]


def direction(lean_ap: float, lean_rl: float) -> NDArray[np.float64]:
    """Return the unit vector of a cord that leans by these angles in the sagittal and the coronal plane."""
    along = np.asarray([np.tan(np.radians(lean_rl)), np.tan(np.radians(lean_ap)), 1.0])
    return along / np.linalg.norm(along)


def cylinder(
    lean: tuple[float, float] = (0.0, 0.0),
    voxel: tuple[float, float, float] = (1.0, 1.0, 1.0),
    *,
    soft: bool = False,
    extent_mm: tuple[float, float, float] = (56.0, 56.0, 36.0),
) -> nib.Nifti1Image:
    """Draw a straight elliptic cord through a point that lies on no voxel."""
    along = direction(*lean)
    right = np.asarray([1.0, 0.0, 0.0]) - along[0] * along
    right /= np.linalg.norm(right)
    front = np.cross(along, right)
    size = np.asarray(voxel)
    shape = np.ceil(np.asarray(extent_mm) / size).astype(int)
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = -(shape - 1) / 2.0 * size + 0.13 * size
    steps = (np.arange(4) - 1.5) / 4.0 if soft else np.zeros(1)
    shares = np.zeros(shape, np.float32)
    for step in itertools.product(steps, repeat=3):
        axes = [affine[i, 3] + size[i] * (np.arange(shape[i]) + step[i]) for i in range(3)]
        x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
        side = x * right[0] + y * right[1] + z * right[2]
        depth = x * front[0] + y * front[1] + z * front[2]
        shares += (2.0 * side / RL_MM) ** 2 + (2.0 * depth / AP_MM) ** 2 <= 1.0
    return nib.Nifti1Image(shares / len(steps) ** 3, affine)


def changed(mask: nib.Nifti1Image, data: NDArray[np.generic]) -> nib.Nifti1Image:
    """Return a mask with other voxels."""
    return nib.Nifti1Image(data, mask.affine)


@pytest.mark.parametrize("voxel", VOXELS)
@pytest.mark.parametrize("lean", LEANS)
def test_soft_mask_has_the_true_size_in_every_slice(
    lean: tuple[float, float], voxel: tuple[float, float, float]
) -> None:
    """Area and diameters of a leaning cord are within 1 % of the truth, slice by slice, and so is the lean."""
    measured = measure_mask(cylinder(lean, voxel, soft=True))
    shape = measured.shape
    assert not measured.incomplete
    np.testing.assert_allclose(shape.csa_mm2, AREA_MM2, rtol=0.01)
    np.testing.assert_allclose(shape.ap_diameter_mm, AP_MM, rtol=0.01)
    np.testing.assert_allclose(shape.rl_diameter_mm, RL_MM, rtol=0.01)
    np.testing.assert_allclose(shape.eccentricity, np.sqrt(1.0 - (AP_MM / RL_MM) ** 2), rtol=0.01)
    np.testing.assert_allclose(measured.sections.tilt_deg, np.degrees(np.arccos(direction(*lean)[2])), atol=0.15)


@pytest.mark.parametrize("voxel", VOXELS)
@pytest.mark.parametrize("lean", LEANS[3:])
def test_binary_mask_has_the_true_size_on_average(lean: tuple[float, float], voxel: tuple[float, float, float]) -> None:
    """Where each slice cuts the cord elsewhere, the steps of voxels even out to below 1 %; no slice is off by 5 %."""
    shape = measure_mask(cylinder(lean, voxel)).shape
    assert shape.csa_mm2.mean() == pytest.approx(AREA_MM2, rel=0.01)
    np.testing.assert_allclose(shape.csa_mm2, AREA_MM2, rtol=0.05)
    assert shape.ap_diameter_mm.mean() == pytest.approx(AP_MM, rel=0.01)
    assert shape.rl_diameter_mm.mean() == pytest.approx(RL_MM, rel=0.015)


@pytest.mark.parametrize("codes", ["LPI", "PSR", "ASL"])
def test_orientation_of_the_array_does_not_matter(codes: str) -> None:
    """However the array is stored, the same slices come out in the same order, from the lowest up."""
    mask = cylinder((20.0, -10.0), (0.8, 1.0, 1.5))
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(("R", "A", "S")), nib.orientations.axcodes2ornt(codes)
    )
    expected, found = measure_mask(mask), measure_mask(mask.as_reoriented(turn))
    np.testing.assert_array_equal(found.slices, expected.slices)
    np.testing.assert_allclose(found.shape.csa_mm2, expected.shape.csa_mm2)
    np.testing.assert_allclose(found.sections.centers_mm, expected.sections.centers_mm, atol=1e-3)
    assert found.sections.centers_mm[0, 2] < found.sections.centers_mm[-1, 2]


def test_turned_image_changes_nothing() -> None:
    """Slices that lie aslant in the scanner measure the same cord."""
    turn, _ = np.linalg.qr(np.asarray([[1.0, 0.1, 0.2], [-0.1, 1.0, 0.3], [-0.2, -0.3, 1.0]]))
    turn *= np.sign(np.diag(turn))
    straight = cylinder((15.0, 5.0))
    affine = nib.affines.from_matvec(turn, [4.0, -7.0, 2.0]) @ straight.affine
    found = measure_mask(nib.Nifti1Image(np.asarray(straight.dataobj), affine))
    expected = measure_mask(straight)
    np.testing.assert_allclose(found.shape.csa_mm2, expected.shape.csa_mm2, rtol=1e-3)
    np.testing.assert_allclose(found.shape.ap_diameter_mm, expected.shape.ap_diameter_mm, rtol=1e-3)
    np.testing.assert_allclose(found.sections.along, expected.sections.along @ turn.T, atol=1e-3)


def test_curved_line_keeps_its_ends() -> None:
    """On a bent cord the line follows the middle of the cord up to its ends, and so does its direction."""
    heights = np.arange(80.0)
    middle = 30.0 + (heights - 40.0) ** 2 / 240.0
    y, x = np.arange(60.0)[None, :, None], np.arange(40.0)[:, None, None]
    cosine = np.cos(np.arctan((heights - 40.0) / 120.0))
    mask = ((x - 20.3) / 6.5) ** 2 + ((y - middle) * cosine / 4.0) ** 2 <= 1.0
    measured = measure_mask(nib.Nifti1Image(mask.astype(np.uint8), np.eye(4)))
    np.testing.assert_allclose(measured.sections.centers_mm[:, 1], middle, atol=0.2)
    np.testing.assert_allclose(measured.sections.tilt_deg, np.degrees(np.arccos(cosine)), atol=1.5)
    assert measured.shape.csa_mm2[[0, -1]] == pytest.approx(np.pi * 26.0, rel=0.05)


def test_gaps_are_skipped() -> None:
    """Slices without mask are not counted, and their neighbours measure what they did."""
    mask = cylinder((20.0, 0.0))
    data = np.asarray(mask.dataobj).copy()
    data[:, :, 10:14] = 0
    data[:, :, 25] = 0
    whole, broken = measure_mask(mask), measure_mask(changed(mask, data))
    kept = np.setdiff1d(whole.slices, [10, 11, 12, 13, 25])
    np.testing.assert_array_equal(broken.slices, kept)
    np.testing.assert_allclose(broken.shape.csa_mm2, whole.shape.csa_mm2[kept], rtol=0.01)


def test_cut_ends_are_left_out() -> None:
    """A mask that is cut off aslant has slices that show a part of the cord; they are named and not measured."""
    mask = cylinder(soft=True)
    data = np.asarray(mask.dataobj).copy()
    depth, height = np.meshgrid(np.arange(data.shape[1]), np.arange(data.shape[2]), indexing="ij")
    data *= (np.abs(height - data.shape[2] / 2.0) + 0.5 * np.abs(depth - data.shape[1] / 2.0) < 12.0)[None]
    measured = measure_mask(changed(mask, data))
    assert len(measured.incomplete) >= 2
    assert set(measured.incomplete) | set(measured.slices.tolist()) == set(np.flatnonzero(data.any(axis=(0, 1))))
    np.testing.assert_allclose(measured.shape.csa_mm2, AREA_MM2, rtol=0.15)
    assert np.median(measured.shape.csa_mm2) == pytest.approx(AREA_MM2, rel=0.01)


def test_specks_do_not_count() -> None:
    """Single voxels far from the cord change neither its diameters nor its slices."""
    mask = cylinder()
    data = np.asarray(mask.dataobj).copy()
    data[2, 50, 18] = data[50, 3, 5:7] = 1
    np.testing.assert_array_equal(measure_mask(changed(mask, data)).shape.csa_mm2, measure_mask(mask).shape.csa_mm2)


def test_slice_drawn_in_the_wrong_place_does_not_bend_the_line() -> None:
    """A slice whose outline is displaced keeps its own area; the direction of the cord is unchanged."""
    mask = cylinder(soft=True)
    data = np.asarray(mask.dataobj).copy()
    data[:, :, 12] = np.roll(data[:, :, 12], 5, axis=1)
    measured = measure_mask(changed(mask, data))
    assert measured.sections.tilt_deg.max() < 0.5
    np.testing.assert_allclose(measured.shape.csa_mm2, AREA_MM2, rtol=0.01)


def test_labels_count_as_cord_and_missing_numbers_do_not() -> None:
    """Vertebral levels in the voxels are cord; NaN around it is nothing."""
    mask = cylinder()
    data = np.asarray(mask.dataobj, dtype=np.float32).copy()
    data[:, :, 18:] *= 3.0
    data[data == 0] = np.nan
    np.testing.assert_allclose(measure_mask(changed(mask, data)).shape.csa_mm2, measure_mask(mask).shape.csa_mm2)


@pytest.mark.parametrize(("count", "message"), [(0, "empty"), (2, "covers 2 axial slices; at least 3")])
def test_masks_that_cannot_be_measured_are_refused(count: int, message: str) -> None:
    """Nothing, or too few slices to tell a direction, is an error."""
    data = np.zeros((20, 20, 12), np.uint8)
    data[5:15, 5:15, 4 : 4 + count] = 1
    with pytest.raises(ValueError, match=message):
        measure_mask(nib.Nifti1Image(data, np.eye(4)))
    with pytest.raises(ValueError, match="4 dimensions"):
        measure_mask(nib.Nifti1Image(data[..., None], np.eye(4)))


def product_of_cosines_mm2(mask: nib.Nifti1Image) -> NDArray[np.float64]:
    """Area as `sct_process_segmentation` documents it: pixels times the cosines of the two angles of the centreline."""
    data = np.asarray(mask.dataobj)
    sizes = nib.affines.voxel_sizes(mask.affine)
    areas = data.sum(axis=(0, 1)) * sizes[0] * sizes[1]
    height = np.arange(data.shape[2]) * sizes[2]
    across = [np.arange(data.shape[axis]) * sizes[axis] for axis in (0, 1)]
    x = (data * across[0][:, None, None]).sum(axis=(0, 1)) / data.sum(axis=(0, 1))
    y = (data * across[1][None, :, None]).sum(axis=(0, 1)) / data.sum(axis=(0, 1))
    angles = [np.arctan(np.polyfit(height, middle, 1)[0]) for middle in (x, y)]
    return np.asarray(areas * np.cos(angles[0]) * np.cos(angles[1]))


@pytest.mark.parametrize(
    ("lean", "ratio"),
    [((0.0, 0.0), 1.0), ((30.0, 0.0), 1.0), ((0.0, 20.0), 1.0), ((10.0, 10.0), 0.9995), ((30.0, 30.0), 0.9682)],
)
def test_difference_to_the_spinal_cord_toolbox(lean: tuple[float, float], ratio: float) -> None:
    """Theirs is ours while the cord leans in one plane, and too small by a known share if it leans in both."""
    mask = cylinder(lean, soft=True)
    np.testing.assert_allclose(product_of_cosines_mm2(mask) / measure_mask(mask).shape.csa_mm2, ratio, atol=0.002)
