# SPDX-License-Identifier: Apache-2.0
"""The whole segmentation, on a small head whose anatomy is known."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.atlas.labels import CLASSES, INTRACRANIAL
from bids_msvol.demo.protocol import T1W
from bids_msvol.imaging.structures import Segmentation, segment, segment_together
from bids_msvol.imaging.tissues import GROUPS, MIXED, OUTSIDE, TISSUES, tissue_maps
from bids_msvol.imaging.volumes import most_likely_labels, structure_volumes_mm3
from bids_msvol.structures import STRUCTURES
from bids_msvol.synthesis import Acquisition, draw_image
from tests.imaging.phantoms import mesh, rigid, smooth_displacement
from tests.imaging.toyhead import AFFINE, SHAPE, toy_atlas, toy_labels

ACQUISITION = Acquisition(T1W.acquisition.brightness, noise=0.02, bias=0.5)
LARGE = (2, 41, 3, 42, 8, 47)
SMALL = (4, 43, 10, 49, 11, 50, 12, 51, 17, 53, 16)


@dataclass(frozen=True, eq=False)
class Solved:
    """A head with its truth and what was found."""

    labels: np.ndarray
    image: nib.Nifti1Image
    found: Segmentation

    @property
    def found_labels(self) -> np.ndarray:
        """Most likely structures."""
        return most_likely_labels(self.found.posteriors, self.found.classes, self.found.mask)


def solve(*, skull_stripped: bool) -> Solved:
    """Deform the head by up to 4 mm, move it, draw and segment it."""
    vectors = np.moveaxis(smooth_displacement(SHAPE, 4.0, 14.0, seed=3), -1, 0)
    labels = ndimage.map_coordinates(np.asarray(toy_labels().dataobj), mesh(SHAPE) + vectors, order=0, mode="nearest")
    motion = rigid((0.05, -0.1, 0.15), (20.0, -7.0, 4.0))
    subject = nib.Nifti1Image(labels, motion @ AFFINE)
    image = draw_image(subject, ACQUISITION, np.random.default_rng(5))
    if skull_stripped:
        inside = ndimage.binary_dilation(np.isin(labels, [s.index for s in STRUCTURES if s.index != 24]), iterations=1)
        image = nib.Nifti1Image(np.asarray(image.dataobj) * inside, image.affine)
    found = segment(image, toy_atlas(), motion, skull_stripped=skull_stripped)
    return Solved(labels, image, found)


@pytest.fixture(scope="module")
def whole() -> Solved:
    """A whole head."""
    return solve(skull_stripped=False)


@pytest.fixture(scope="module")
def stripped() -> Solved:
    """The same without its skull."""
    return solve(skull_stripped=True)


def overlap(solved: Solved, number: int) -> float:
    """Return the Dice overlap of a structure."""
    true, found = solved.labels == number, solved.found_labels == number
    return float(2.0 * (true & found).sum() / (true.sum() + found.sum()))


def test_every_class_belongs_to_one_tissue_and_every_tissue_to_one_channel() -> None:
    """The model leaves nothing out and counts nothing twice."""
    assert sorted(number for tissue in TISSUES for number in tissue.members) == sorted(CLASSES)
    names = [tissue.name for tissue in TISSUES]
    assert sorted(name for group in GROUPS for name in group) == sorted(names)
    assert {name for pair in MIXED for name in pair} <= set(names)
    assert len({frozenset(pair) for pair in MIXED}) == len(MIXED)
    outside = {number for tissue in TISSUES if tissue.name in GROUPS[OUTSIDE] for number in tissue.members}
    assert not outside & set(INTRACRANIAL)


def test_tissue_maps_add_up_to_one() -> None:
    """Summing classes to tissues loses no probability but rounding."""
    maps = tissue_maps(toy_atlas())
    assert maps.shape == (*SHAPE, len(TISSUES))
    assert maps.sum(axis=-1) == pytest.approx(1.0, abs=len(CLASSES) * 0.5 / 255)


def test_posteriors_are_probabilities(whole: Solved) -> None:
    """In every voxel looked at they are positive and add up to one."""
    assert whole.found.posteriors.shape == (whole.found.mask.sum(), len(CLASSES))
    assert whole.found.posteriors.min() >= 0.0
    assert whole.found.posteriors.sum(axis=1) == pytest.approx(1.0, abs=1e-4)


def test_whole_cavity_is_looked_at(whole: Solved) -> None:
    """No voxel inside the skull is left out."""
    assert whole.found.mask[np.isin(whole.labels, INTRACRANIAL)].mean() > 0.999


def test_structures_are_found(whole: Solved) -> None:
    """Large structures overlap with the truth by 0.9, small ones by 0.8, on their own side."""
    assert {number: round(overlap(whole, number), 2) for number in LARGE if overlap(whole, number) < 0.9} == {}
    assert {number: round(overlap(whole, number), 2) for number in SMALL if overlap(whole, number) < 0.8} == {}


def test_volumes_are_right(whole: Solved) -> None:
    """The brain is measured within 2 %, white matter, cortex and the cavity of so small a head within 5 %."""
    volumes = structure_volumes_mm3(whole.found.posteriors, whole.found.classes, 1.0)

    def error(numbers: tuple[int, ...]) -> float:
        return float(sum(volumes[number] for number in numbers) / np.isin(whole.labels, numbers).sum() - 1.0)

    assert abs(error(INTRACRANIAL)) < 0.05
    assert abs(error(tuple(s.index for s in STRUCTURES if s.tissue != "CSF"))) < 0.02
    assert abs(error((2, 41))) < 0.05
    assert abs(error((3, 42))) < 0.05


def test_brightness_field_is_removed(whole: Solved) -> None:
    """After correction the white matter is even: most of the field that was put in is gone."""
    white = ndimage.binary_erosion(np.isin(whole.labels, (2, 41)), iterations=2)
    weight = ndimage.uniform_filter(white.astype(float), 9)[white]
    spread = {}
    for name, image in (("before", whole.image), ("after", whole.found.corrected)):
        smooth = ndimage.uniform_filter(np.where(white, image.dataobj, 0.0), 9)[white] / weight
        spread[name] = float(smooth.std() / smooth.mean())
    assert spread["after"] < 0.4 * spread["before"]


def test_deformation_leads_to_the_template(whole: Solved) -> None:
    """The centre of each deep structure of the subject is mapped to its centre in the template."""
    truth = np.asarray(toy_labels().dataobj)
    for number in (10, 49, 12, 51, 4, 43):
        center = nib.affines.apply_affine(whole.image.affine, ndimage.center_of_mass(whole.labels == number))
        expected = nib.affines.apply_affine(AFFINE, ndimage.center_of_mass(truth == number))
        found = whole.found.transform.subject_to_template(np.float32([center]))[0]
        assert np.linalg.norm(found - expected) < 1.5, number


def test_agreement_tells_a_good_fit(whole: Solved) -> None:
    """The deformed atlas and the image agree on most of the tissue."""
    assert 0.7 < whole.found.prior_agreement <= 1.0


def test_without_skull_nothing_is_found_in_the_void(stripped: Solved) -> None:
    """Only voxels with signal are looked at, and the brain is found as well as with its skull."""
    assert not stripped.found.mask[np.asarray(stripped.image.dataobj) == 0].any()
    assert {number: round(overlap(stripped, number), 2) for number in LARGE if overlap(stripped, number) < 0.88} == {}
    assert {number: round(overlap(stripped, number), 2) for number in SMALL if overlap(stripped, number) < 0.75} == {}


@pytest.fixture(scope="module")
def together(whole: Solved) -> tuple[Solved, Solved]:
    """The head and a noisier image of it, segmented together with the deformation that is known."""
    noise = np.random.default_rng(6).normal(0.0, 10.0, SHAPE).astype(np.float32)
    images = (whole.image, nib.Nifti1Image(np.abs(np.asarray(whole.image.dataobj) + noise), whole.image.affine))
    everything = np.ones(SHAPE, dtype=bool)
    found = segment_together(images, toy_atlas(), [whole.found.transform] * 2, seen=[everything] * 2)
    first, second = (Solved(whole.labels, image, one) for image, one in zip(images, found, strict=True))
    return first, second


def test_known_deformation_is_enough(whole: Solved, together: tuple[Solved, Solved]) -> None:
    """With a deformation found before, every image is segmented as well as the one that it was found on."""
    for one in together:
        assert one.found.transform is whole.found.transform
        assert {number: round(overlap(one, number), 2) for number in LARGE if overlap(one, number) < 0.9} == {}
        assert {number: round(overlap(one, number), 2) for number in SMALL if overlap(one, number) < 0.8} == {}
        assert 0.7 < one.found.prior_agreement <= 1.0


def test_images_of_one_head_are_measured_alike(together: tuple[Solved, Solved]) -> None:
    """One brightness model serves both images, so that noise changes the large structures by less than 1 %."""
    first, second = (structure_volumes_mm3(one.found.posteriors, one.found.classes, 1.0) for one in together)
    assert together[0].found.model.mixture is together[1].found.model.mixture
    assert {number: second[number] for number in LARGE} == pytest.approx({n: first[n] for n in LARGE}, rel=0.01)


def test_what_was_not_seen_is_not_looked_at(whole: Solved, together: tuple[Solved, Solved]) -> None:
    """A session without the lower head is segmented in what is left as if nothing were missing."""
    everything = np.ones(SHAPE, dtype=bool)
    seen = everything.copy()
    seen[:, :, :40] = False
    first, second = (one.image for one in together)
    cut = nib.Nifti1Image(np.asarray(second.dataobj) * seen, second.affine)
    transforms = [whole.found.transform] * 2
    uncut, found = segment_together([first, cut], toy_atlas(), transforms, seen=[everything, seen])
    assert np.array_equal(found.seen, seen)
    assert np.array_equal(uncut.mask, together[0].found.mask)
    assert np.array_equal(found.mask, together[1].found.mask & seen)
    labels = most_likely_labels(found.posteriors, found.classes, found.mask)
    brain = np.isin(together[1].found_labels, LARGE) & seen
    assert (labels == together[1].found_labels)[brain].mean() > 0.98
