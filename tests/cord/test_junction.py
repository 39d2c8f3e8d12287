# SPDX-License-Identifier: Apache-2.0
"""The pontomedullary junction on brainstems made of a cylinder and a block, whose groove is known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from bids_msvol.atlas import load_atlas
from bids_msvol.atlas.head import TYPICAL_T1W_INTENSITY
from bids_msvol.atlas.labels import BRAIN_STEM
from bids_msvol.cord.junction import TEMPLATE_AXIS_MM, TEMPLATE_JUNCTION_MM, Junction, find_junction
from bids_msvol.imaging.registration import TemplateTransform
from tests.imaging.phantoms import rigid

SHAPE = (64, 90, 100)
TILTED = rigid((0.25, -0.08, 0.06), (0.0, 0.0, 0.0))
"""Head nodding by 14 degrees, and a little turned and leaning."""

PONS_MM, PONS_RADIUS_MM = (-4.0, 10.247), 11.0
"""Centre (front, up) from the groove, and radius: this circle crosses the front of the medulla at the groove."""

THICKNESS_MM = 13.0
"""Of the medulla, from front to back."""


@dataclass(frozen=True)
class Brainstem:
    """A brainstem in the template, moved into an image by ``to_image``.

    Attributes
    ----------
    offset_mm
        Where the groove lies from where the atlas expects it: right, front, up.
    to_image
        (4, 4) rigid.
    pons
        Whether there is one.
    """

    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    to_image: NDArray[np.float64] | None = None
    pons: bool = True

    @property
    def transform(self) -> TemplateTransform:
        return TemplateTransform(np.eye(4) if self.to_image is None else self.to_image)

    @property
    def directions(self) -> NDArray[np.float64]:
        """Rows: right, front and up along the medulla, in the image."""
        higher, lower = np.asarray(TEMPLATE_AXIS_MM)
        up = (higher - lower) / np.linalg.norm(higher - lower)
        rows = np.stack([np.array([1.0, 0.0, 0.0]), np.cross(up, [1.0, 0.0, 0.0]), up])
        return np.asarray(rows @ self.transform.affine[:3, :3].T)

    @property
    def groove_mm(self) -> NDArray[np.float64]:
        expected = nib.affines.apply_affine(self.transform.affine, np.asarray(TEMPLATE_JUNCTION_MM))
        return np.asarray(expected + np.asarray(self.offset_mm) @ self.directions)

    def share(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of each voxel (x, y, z) of an affine that is brainstem."""
        right, front, up = self.from_groove(grid)
        medulla = np.maximum(np.abs(front + THICKNESS_MM / 2) - THICKNESS_MM / 2, -up - 40.0)
        pons = np.hypot(front - PONS_MM[0], up - PONS_MM[1]) - PONS_RADIUS_MM
        beyond = np.minimum(medulla, pons) if self.pons else medulla
        return np.clip(0.5 - np.maximum(beyond, np.abs(right) - 9.0), 0.0, 1.0)

    def from_groove(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Position (3, x, y, z) of each voxel from the groove: right, front, up."""
        voxels = np.stack(np.meshgrid(*(np.arange(length) for length in SHAPE), indexing="ij"), axis=-1)
        offsets = nib.affines.apply_affine(grid, voxels) - self.groove_mm
        return np.moveaxis(offsets @ self.directions.T, -1, 0)


def grid_around(point_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the affine of a grid of 1 mm with a place near its centre, which lies between voxels."""
    return nib.affines.from_matvec(np.eye(3), np.round(point_mm) - np.asarray(SHAPE) // 2 + 0.3)


def scan(
    brainstem: Brainstem, *, fluid: float = 0.15, noise: float = 0.0, added: NDArray[np.float64] | float = 0.0
) -> tuple[nib.Nifti1Image, NDArray[np.float32]]:
    """Return the image of a brainstem, and its probability."""
    grid = grid_around(nib.affines.apply_affine(brainstem.transform.affine, np.asarray(TEMPLATE_JUNCTION_MM)))
    share = brainstem.share(grid)
    image = 100.0 * (fluid + (1.0 - fluid) * share + added)
    image += 100.0 * noise * np.random.default_rng(3).standard_normal(SHAPE)
    return nib.Nifti1Image(image.astype(np.float32), grid), share.astype(np.float32)


def find(brainstem: Brainstem, **scanning: float) -> Junction:
    image, probability = scan(brainstem, **scanning)
    return find_junction(image, probability, brainstem.transform)


def error_mm(found: Junction, brainstem: Brainstem) -> NDArray[np.float64]:
    """Return how far the point found lies from the groove: right, front, up."""
    return brainstem.directions @ (found.point_mm - brainstem.groove_mm)


@pytest.mark.parametrize("offset_mm", [(0.0, 0.0, 0.0), (0.7, 1.3, 2.37), (-1.2, -2.1, -3.63), (0.0, 0.0, 6.0)])
@pytest.mark.parametrize("to_image", [None, TILTED], ids=["straight", "tilted"])
def test_a_groove_is_found_between_voxels(
    offset_mm: tuple[float, float, float], to_image: NDArray[np.float64] | None
) -> None:
    brainstem = Brainstem(offset_mm, to_image)
    found = find(brainstem)
    assert found.refined
    assert found.reason is None
    np.testing.assert_allclose(error_mm(found, brainstem), 0.0, atol=0.4)
    assert found.distance_mm == pytest.approx(np.linalg.norm(offset_mm), abs=0.5)


def test_a_shift_of_a_fraction_of_a_voxel_is_seen() -> None:
    """What remains of the error is the same everywhere, so that two scans of a person agree."""
    errors = [
        error_mm(found, brainstem)
        for brainstem in (Brainstem((0.0, 0.15 * step, 0.37 * step), TILTED) for step in range(4))
        for found in (find(brainstem),)
    ]
    assert np.ptp(errors, axis=0).max() < 0.2


def test_noise_moves_it_little() -> None:
    brainstem = Brainstem((0.0, 1.0, 2.0), TILTED)
    found = find(brainstem, noise=0.1)
    assert found.refined
    np.testing.assert_allclose(error_mm(found, brainstem), 0.0, atol=0.5)


def test_it_is_found_without_skull_and_fluid() -> None:
    brainstem = Brainstem((0.0, 1.0, 2.0))
    found = find(brainstem, fluid=0.0)
    assert found.refined
    np.testing.assert_allclose(error_mm(found, brainstem), 0.0, atol=0.4)


def test_it_does_not_hang_on_the_guess() -> None:
    """A worse registration gives the same place."""
    brainstem = Brainstem((0.0, 0.5, 1.0), TILTED)
    image, probability = scan(brainstem)
    guesses = [rigid((0.0, 0.0, 0.0), shift) for shift in ((0.0, 0.0, 0.0), (1.0, 2.0, 3.0), (-1.0, -2.0, -3.0))]
    found = [
        find_junction(image, probability, TemplateTransform(guess @ brainstem.transform.affine)) for guess in guesses
    ]
    assert np.ptp([junction.point_mm for junction in found], axis=0).max() < 0.05
    assert np.ptp([junction.depth_mm for junction in found]) < 0.05


def test_its_depth_is_that_of_the_pons_and_medulla() -> None:
    """A line from the medulla 14 mm below touches the round pons: trigonometry tells how far from it the groove is."""
    end_mm = np.array([0.0, -14.0])
    to_pons = np.asarray(PONS_MM) - end_mm
    distance = np.hypot(*to_pons)
    steepness = np.arctan2(to_pons[1], to_pons[0]) - np.arcsin(PONS_RADIUS_MM / distance)
    expected = 14.0 * np.cos(steepness)
    assert find(Brainstem()).depth_mm == pytest.approx(expected, abs=0.4)


def test_a_bright_artery_does_not_move_it() -> None:
    """A vertebral artery, as bright as blood that flows in, crosses in the groove itself."""
    brainstem = Brainstem((0.0, 0.0, 1.0))
    image, probability = scan(brainstem)
    _, front, up = brainstem.from_groove(image.affine)
    artery = np.clip(0.5 - np.hypot(front - 2.2, up + 1.2) + 1.5, 0.0, 1.0) * (1.0 - probability)
    with_artery, _ = scan(brainstem, added=1.5 * artery)
    clean = find_junction(image, probability, brainstem.transform)
    found = find_junction(with_artery, probability, brainstem.transform)
    assert found.refined
    assert np.linalg.norm(found.point_mm - clean.point_mm) < 0.5


def test_the_blind_hole_does_not_move_it() -> None:
    """In the midline a narrow hole leads from the groove backward and upward."""
    brainstem = Brainstem()
    image, probability = scan(brainstem)
    right, front, up = brainstem.from_groove(image.affine)
    hole = (np.abs(right) < 0.9) & (front > -4.0) & (np.abs(up + 0.5 * front) < 1.0)
    with_hole, _ = scan(brainstem, added=-0.8 * hole * probability)
    clean = find_junction(image, probability, brainstem.transform)
    found = find_junction(with_hole, probability, brainstem.transform)
    assert found.refined
    assert np.linalg.norm(found.point_mm - clean.point_mm) < 0.7


def test_the_axis_is_in_the_middle_at_the_same_height() -> None:
    brainstem = Brainstem((0.7, 1.3, 2.37), TILTED)
    found = find(brainstem)
    right, front, up = brainstem.directions @ (found.axis_point_mm - found.point_mm)
    assert up == pytest.approx(0.0, abs=0.01)
    assert front == pytest.approx(-THICKNESS_MM / 2, abs=0.4)
    assert right == pytest.approx(0.0, abs=0.2)
    np.testing.assert_allclose([found.right, found.along], brainstem.directions[[0, 2]], atol=0.03)


def test_a_brainstem_without_groove_is_left_to_the_atlas() -> None:
    brainstem = Brainstem(pons=False, to_image=TILTED)
    found = find(brainstem, noise=0.05)
    assert not found.refined
    assert found.reason == "no groove is seen at the front of the brainstem"
    assert found.distance_mm == 0.0
    np.testing.assert_allclose(found.point_mm, brainstem.groove_mm, atol=1e-4)
    right, front, up = brainstem.directions @ (found.axis_point_mm - found.point_mm)
    assert (right, up) == pytest.approx((0.0, 0.0), abs=1e-3)
    assert -12.0 < front < -6.0


def test_a_groove_far_from_the_guess_is_not_believed() -> None:
    found = find(Brainstem((0.0, 0.0, 9.8)))
    assert not found.refined
    assert found.reason == "the groove lies 10 mm from where the atlas expects it"


def test_a_dent_is_no_groove() -> None:
    """A pons that comes forward by hardly more than a voxel could be noise."""
    brainstem = Brainstem(pons=False)
    image, probability = scan(brainstem)
    _, front, up = brainstem.from_groove(image.affine)
    step = np.clip(0.5 - np.maximum(front - 1.8, -up), 0.0, 1.0) * (front > -3.0) * (1.0 - probability)
    with_step, _ = scan(brainstem, added=0.85 * step)
    found = find_junction(with_step, probability, brainstem.transform)
    assert not found.refined
    assert found.reason is not None
    assert found.reason.endswith("deep, which is too shallow")


def test_a_line_that_runs_to_the_skull_base_is_not_believed() -> None:
    """Where slices are thick, no fluid is seen between the pons and the bone marrow in front of it."""
    brainstem = Brainstem()
    image, probability = scan(brainstem)
    _, front, up = brainstem.from_groove(image.affine)
    bridge = (up > 1.0 - 0.3 * front) & (front > 0) & (front < 10.0)
    with_bridge, _ = scan(brainstem, added=0.8 * bridge * (1.0 - probability))
    found = find_junction(with_bridge, probability, brainstem.transform)
    assert not found.refined
    assert found.reason is not None
    assert found.reason.endswith("deep, which is too deep")


def test_a_line_is_not_drawn_where_no_border_is_seen() -> None:
    """A ridge of bone marrow touches the pons: the next border is 6 mm above the groove."""
    brainstem = Brainstem()
    image, probability = scan(brainstem)
    _, front, up = brainstem.from_groove(image.affine)
    marrow = (np.abs(up + 0.7 * front - 5.0) < 3.0) & (front > 0)
    with_marrow, _ = scan(brainstem, added=0.8 * marrow * (1.0 - probability))
    found = find_junction(with_marrow, probability, brainstem.transform)
    assert not found.refined
    assert found.reason is not None
    assert found.reason.startswith("the front of the brainstem is seen only from")


@pytest.mark.parametrize(
    ("lowest_mm", "reason"),
    [
        (-2.0, "the front of the brainstem is seen only from 16 mm above to 2 mm below where the junction should be"),
        (5.0, "the place where the junction is expected lies outside the image"),
    ],
)
def test_a_field_of_view_that_ends_too_high_is_told(lowest_mm: float, reason: str) -> None:
    brainstem = Brainstem()
    image, probability = scan(brainstem)
    first = round((np.linalg.inv(image.affine) @ [*brainstem.groove_mm, 1.0])[2] + lowest_mm)
    found = find_junction(image.slicer[:, :, first:], probability[:, :, first:], brainstem.transform)
    assert not found.refined
    assert found.reason == reason
    np.testing.assert_allclose(found.point_mm, brainstem.groove_mm, atol=1e-4)


def test_a_field_of_view_that_ends_below_the_groove_suffices() -> None:
    brainstem = Brainstem()
    image, probability = scan(brainstem)
    first = round((np.linalg.inv(image.affine) @ [*brainstem.groove_mm, 1.0])[2] - 8.0)
    found = find_junction(image.slicer[:, :, first:], probability[:, :, first:], brainstem.transform)
    assert found.refined
    np.testing.assert_allclose(error_mm(found, brainstem), 0.0, atol=0.4)


def test_an_image_without_brainstem_is_told() -> None:
    brainstem = Brainstem()
    image, probability = scan(brainstem)
    found = find_junction(image, np.zeros_like(probability), brainstem.transform)
    assert found.reason == "no brainstem is seen where the junction is expected"


def test_bright_fluid_is_told() -> None:
    found = find(Brainstem(), fluid=0.8)
    assert found.reason == "no fluid that is darker than the brainstem is seen in front of it"


def test_the_guess_is_that_of_the_shipped_atlas() -> None:
    """In the image that the atlas expects, the groove lies within a voxel of the guess."""
    atlas = load_atlas()
    image = atlas.expected_image(TYPICAL_T1W_INTENSITY)
    probability = np.asarray(atlas.probability([BRAIN_STEM]).dataobj)
    found = find_junction(image, probability, TemplateTransform(np.eye(4)))
    assert found.refined
    assert found.distance_mm < 1.0
    assert found.point_mm[0] == pytest.approx(0.0, abs=0.1)
