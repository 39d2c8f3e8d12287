# SPDX-License-Identifier: Apache-2.0
"""The chain from an image of the neck to areas, on cords whose size is known."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.cord.change import align_along, compare_cords
from bids_msvol.cord.find import CordNotFoundError, find_cord
from bids_msvol.cord.levels import Levelling
from bids_msvol.cord.measure import CordScan, cord_mask, measure_levels, outline_scan
from bids_msvol.cord.sections import arc_of_mm
from bids_msvol.cord.straight import straighten_cord
from tests.cord.phantoms import BRIGHTNESS, HALF_AP_MM, HALF_RL_MM, TRUE_AREA_MM2, neck


@pytest.mark.parametrize("contrast", ["T2w", "T1w"])
@pytest.mark.parametrize(
    ("voxel_mm", "tilt_deg"),
    [((0.5, 0.5, 0.5), 0.0), ((1.0, 1.0, 1.0), 0.0), ((1.0, 1.0, 1.0), 30.0), ((0.7, 0.7, 3.0), 15.0)],
)
def test_area_is_that_of_the_cord(contrast: str, voxel_mm: tuple[float, float, float], tilt_deg: float) -> None:
    """Within 2 % in small and large voxels, upright and leaning, in both contrasts; the diameters within 0.2 mm."""
    scan = CordScan(neck(contrast, voxel_mm, tilt_deg), contrast == "T1w", None, False)  # type: ignore[arg-type]
    cord = outline_scan(scan)
    assert cord.trusted.sum() > 0.7 * cord.seen.sum()
    found = cord.shape.csa_mm2[cord.trusted].mean()
    assert found == pytest.approx(TRUE_AREA_MM2, rel=0.02)
    assert cord.shape.ap_diameter_mm[cord.trusted].mean() == pytest.approx(2 * HALF_AP_MM, abs=0.2)
    assert cord.shape.rl_diameter_mm[cord.trusted].mean() == pytest.approx(2 * HALF_RL_MM, abs=0.2)


def test_orientation_of_the_array_does_not_matter() -> None:
    """The same image stored sagittally, front to back first, gives the same area and a mask on its own grid."""
    image = neck()
    stored = image.as_reoriented(nib.orientations.axcodes2ornt(("P", "S", "R")))
    one, other = (outline_scan(CordScan(each, False, None, False)) for each in (image, stored))
    np.testing.assert_allclose(one.shape.csa_mm2, other.shape.csa_mm2, rtol=1e-4)
    mask = cord_mask(other, stored)
    assert mask.shape == stored.shape
    np.testing.assert_allclose(mask.affine, stored.affine)
    # The mask of the reoriented image is the reoriented mask.
    straight = nib.as_closest_canonical(mask)
    overlap = np.asarray(straight.dataobj) * np.asarray(cord_mask(one, image).dataobj)
    assert overlap.sum() > 0.99 * np.asarray(mask.dataobj).sum()


def test_nothing_is_found_where_there_is_no_cord() -> None:
    """Noise and even tissue are declined in words, not outlined."""
    rng = np.random.default_rng(0)
    noise = nib.Nifti1Image(rng.normal(500, 30, (44, 60, 60)).astype(np.float32), np.eye(4))
    with pytest.raises(CordNotFoundError, match=r"cord"):
        outline_scan(CordScan(noise, False, None, False))
    with pytest.raises(CordNotFoundError, match="empty"):
        find_cord(nib.Nifti1Image(np.zeros((40, 40, 40), dtype=np.float32), np.eye(4)), bright=True)


def test_a_head_without_junction_and_a_slab_without_neck_are_declined() -> None:
    """Reasons are given in plain words."""
    with pytest.raises(CordNotFoundError, match="pontomedullary junction"):
        outline_scan(CordScan(neck("T1w"), True, None, True))
    with pytest.raises(CordNotFoundError, match="15 mm"):
        outline_scan(CordScan(neck(extent_mm=(44.0, 60.0, 10.0)), False, None, False))


def test_a_leak_is_not_believed() -> None:
    """Sections that a bright band crosses do not count, and their neighbours do."""
    image = neck("T1w", extent_mm=(44.0, 60.0, 80.0))
    data = np.asarray(image.dataobj).copy()
    data[:, :, 38:42] = 350.0
    cord = outline_scan(CordScan(nib.Nifti1Image(data, image.affine), True, None, False))
    assert not cord.trusted[39:41].any()
    assert cord.trusted[15:30].all()
    assert cord.shape.csa_mm2[cord.trusted].mean() == pytest.approx(TRUE_AREA_MM2, rel=0.03)


def test_levels_are_averaged_below_the_junction() -> None:
    """In a head the cord is measured below the junction, and the levels lie where the table has them."""
    image = neck("T1w", extent_mm=(44.0, 60.0, 130.0))
    junction = np.asarray([0.0, 0.0, 60.0])
    cord = outline_scan(CordScan(image, True, junction, True))
    below = arc_of_mm(cord.sections, junction)
    measured = measure_levels(cord, Levelling("junction", np.asarray([below]), np.asarray([0.0])), below)
    values = {level.level: level for level in measured.levels}
    assert values["C2-C3"].coverage == pytest.approx(1.0, abs=0.02)
    assert values["C2-C3"].csa_mm2 == pytest.approx(TRUE_AREA_MM2, rel=0.02)
    assert values["C2-C3"].length_mm == pytest.approx(20.0, abs=0.5)
    assert values["C7"].csa_mm2 is None
    whole = values["C1-C7"]
    assert whole.volume_mm3 == pytest.approx(whole.length_mm * whole.csa_mm2)  # type: ignore[operator]


def test_without_levels_all_that_is_visible_is_one_row() -> None:
    """And the reader is told why the levels are not known."""
    measured = measure_levels(outline_scan(CordScan(neck(), False, None, False)), None, unknown="nobody said")
    assert [level.level for level in measured.levels] == ["visible"]
    assert [(metric.verdict, metric.reason) for metric in measured.quality if metric.name == "cord_levels_known"] == [
        ("warn", "nobody said")
    ]


def test_change_is_that_of_the_same_stretch() -> None:
    """A cord 4 % thinner at the second session, which shows the neck 8 mm further down, has lost 4 %."""
    rng = np.random.default_rng(1)
    marks = rng.normal(0.0, 50.0, 140)
    first, second = (
        _marked(neck(scale=scale, noise=10.0, seed=k), marks[k * 8 :]) for k, scale in enumerate((1.0, 0.96))
    )
    cords = [measure_levels(outline_scan(CordScan(one, False, None, False)), None) for one in (first, second)]
    offset = align_along(cords[0].outlined, cords[1].outlined, None)
    assert offset is not None
    # The same marks lie 8 slices lower in the second array; positions count from the top.
    assert offset.offset_mm == pytest.approx(8.0, abs=0.5)
    (change,) = compare_cords("cord-T2w", cords[0], cords[1], offset.offset_mm)
    assert change.change_pct == pytest.approx(-4.0, abs=0.6)


def test_strangers_are_not_compared() -> None:
    """Two necks whose surroundings have nothing in common give no offset."""
    rng = np.random.default_rng(2)
    one, other = (
        outline_scan(CordScan(_marked(neck(seed=k), rng.normal(0.0, 50.0, 140)), False, None, False)) for k in range(2)
    )
    assert align_along(one, other, None) is None
    fallback = align_along(one, other, (3.0, 5.0))
    assert fallback is not None
    assert fallback.offset_mm == pytest.approx(2.0)


def test_the_straightened_cord_has_the_area_of_the_outline() -> None:
    """A leaning cord becomes upright: its middle stays in the middle, and the mask has its area."""
    cord = outline_scan(CordScan(neck(tilt_deg=25.0), False, None, False))
    image, mask = straighten_cord(cord)
    inside = np.asarray(mask.dataobj) > 0
    areas = inside.sum(axis=(0, 1)) * 0.25
    assert areas[areas > 0].mean() == pytest.approx(TRUE_AREA_MM2, rel=0.03)
    assert np.median(np.asarray(image.dataobj)[inside]) == pytest.approx(450.0, rel=0.05)
    middle = nib.affines.apply_affine(mask.affine, np.argwhere(inside)).mean(axis=0)
    np.testing.assert_allclose(middle[:2], 0.0, atol=0.3)


def _marked(image: nib.Nifti1Image, marks: np.ndarray) -> nib.Nifti1Image:
    """Give each slice outside the canal a brightness of its own."""
    data = np.asarray(image.dataobj).copy()
    y = np.abs(np.arange(data.shape[1]) * image.affine[1, 1] + image.affine[1, 3])
    data[:, y > 9.0] += marks[: data.shape[2]]
    return nib.Nifti1Image(data, image.affine)


@pytest.mark.parametrize("contrast", ["T2w", "T1w"])
def test_a_lesion_does_not_move_the_outline(contrast: str) -> None:
    """A lesion of the back of the cord, a third of the way to the brightness of fluid: within 3 %, and believed."""
    image = neck(contrast, (0.8, 0.8, 0.8))  # type: ignore[arg-type]
    data = np.asarray(image.dataobj).copy()
    points = nib.affines.apply_affine(image.affine, np.moveaxis(np.indices(data.shape), 0, -1))
    inside = np.hypot(points[..., 0] / HALF_RL_MM, points[..., 1] / HALF_AP_MM) < 1
    lesion = inside & (points[..., 1] < -1.0) & (np.abs(points[..., 2]) < 10.0)
    cord_brightness, fluid, _ = BRIGHTNESS[contrast]
    data[lesion] += (fluid - cord_brightness) / 3.0
    cord = outline_scan(CordScan(nib.Nifti1Image(data, image.affine), contrast == "T1w", None, False))
    there = np.abs(cord.sections.centers_mm[:, 2]) < 9.0
    assert cord.trusted[there].all()
    assert cord.shape.csa_mm2[there].mean() == pytest.approx(TRUE_AREA_MM2, rel=0.03)
