# SPDX-License-Identifier: Apache-2.0
"""Lesions planted in a small head are found, and nothing else is."""

from __future__ import annotations

from functools import cache

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.atlas.labels import CLASSES, INTRACRANIAL
from bids_msvol.demo.protocol import FLAIR, T1W
from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.imaging.expectation import TissueExpectation, expect_tissues
from bids_msvol.imaging.lesions import LesionMap, segment_lesions
from bids_msvol.imaging.registration import TemplateTransform
from bids_msvol.synthesis import Acquisition, acquire_image, tissue_signal
from tests.imaging.toyhead import AFFINE, SHAPE, toy_atlas, toy_labels

CENTERS_MM = ((-15.0, 20.0, 8.0), (13.0, -14.0, 12.0), (-7.5, 5.0, 16.0))
"""In the white matter: left in front, right behind, and above the left ventricle."""

RADIUS_MM = 3.6

T2W_BRIGHTNESS = {
    number: 2.6 if number in (4, 43, 24) else 1.35 if number in (3, 42, 8, 47) else value
    for number, value in FLAIR.acquisition.brightness.items()
}


@cache
def labels() -> np.ndarray:
    """Return the anatomy."""
    return np.asarray(toy_labels().dataobj)


def ball(center_mm: tuple[float, float, float], radius_mm: float = RADIUS_MM) -> np.ndarray:
    """Return the voxels around a point."""
    points = nib.affines.apply_affine(AFFINE, np.moveaxis(np.indices(SHAPE), 0, -1))
    return np.linalg.norm(points - center_mm, axis=-1) < radius_mm


@cache
def planted() -> np.ndarray:
    """Return the voxels of the lesions, all in white matter."""
    return sum(ball(center) for center in CENTERS_MM).astype(bool) & np.isin(labels(), (2, 41))


def draw(brightness: dict[int, float], factor: np.ndarray, seed: int, *, bias: float = 0.0) -> nib.Nifti1Image:
    """Draw the head with the signal multiplied by ``factor``."""
    acquisition = Acquisition(brightness, noise=0.03, bias=bias)
    rng = np.random.default_rng(seed)
    signal = (tissue_signal(labels(), acquisition, rng) * factor).astype(np.float32)
    return acquire_image(nib.Nifti1Image(signal, AFFINE), acquisition, rng)


def structures() -> StructurePosteriors:
    """Return what an engine would, with the atlas in place."""
    mask = np.isin(labels(), INTRACRANIAL)
    image = nib.Nifti1Image(np.zeros(SHAPE, np.float32), AFFINE)
    nothing = np.zeros((int(mask.sum()), len(CLASSES)), np.float32)
    return StructurePosteriors(mask, CLASSES, nothing, image, TemplateTransform(np.eye(4)), "toy", False, {}, ())


def t1w(lesions: np.ndarray) -> nib.Nifti1Image:
    """Return a T1w image with dark lesions."""
    return draw(T1W.acquisition.brightness, np.where(lesions, 0.7, 1.0), 1)


def flair(lesions: np.ndarray) -> nib.Nifti1Image:
    """Return a FLAIR image with bright lesions and a strong brightness field."""
    return draw(FLAIR.acquisition.brightness, np.where(lesions, 1.6, 1.0), 2, bias=0.4)


@cache
def expected() -> TissueExpectation:
    """Return what the toy atlas expects."""
    return expect_tissues(structures(), toy_atlas())


@cache
def found() -> LesionMap:
    """Return the lesions found with T1w and FLAIR."""
    return segment_lesions(t1w(planted()), {"FLAIR": flair(planted())}, expected())


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Return the overlap of two masks."""
    return float(2.0 * (one & other).sum() / (one.sum() + other.sum()))


def test_planted_lesions_are_found() -> None:
    """Lesions of a few millimetres, dark on T1w and bright on FLAIR, are found with their outline and volume."""
    assert dice(found().mask, planted()) > 0.85
    assert found().mask.sum() == pytest.approx(planted().sum(), rel=0.2)


def test_healthy_head_has_no_lesions() -> None:
    """The same head without lesions gives an empty mask."""
    nothing = np.zeros(SHAPE, bool)
    healthy = segment_lesions(t1w(nothing), {"FLAIR": flair(nothing)}, expected())
    assert healthy.mask.sum() == 0
    assert healthy.seen.sum() > 50_000


def test_brightness_field_is_taken_out() -> None:
    """Normal white matter is 1 on the result, in front and behind, however the coil saw it."""
    data = np.asarray(found().normalised["FLAIR"].dataobj)
    white = np.isin(labels(), (2, 41)) & ~planted() & found().seen
    raw = np.asarray(flair(planted()).dataobj)
    front, back = np.indices(SHAPE)[1] > 55, np.indices(SHAPE)[1] < 40
    assert np.median(data[white]) == pytest.approx(1.0, abs=0.02)
    assert np.median(data[white & front]) == pytest.approx(np.median(data[white & back]), rel=0.02)
    assert np.median(raw[white & front]) != pytest.approx(np.median(raw[white & back]), rel=0.05)


def test_probability_says_what_the_mask_shows() -> None:
    """Every voxel of the mask is at least as likely a lesion as not; nothing is likely outside what was seen."""
    assert found().probability[found().mask].min() >= 0.5
    assert found().probability[~found().seen].max() == 0.0
    assert np.all(np.isnan(np.asarray(found().normalised["FLAIR"].dataobj)[~found().seen]))


def test_where_flair_does_not_reach_nothing_is_seen() -> None:
    """A FLAIR that ends within the brain finds the lesions that it covers and says where it did not look."""
    image = np.asarray(flair(planted()).dataobj).copy()
    image[:, :44] = np.nan
    partly = segment_lesions(t1w(planted()), {"FLAIR": nib.Nifti1Image(image, AFFINE)}, expected())
    covered = planted().copy()
    covered[:, :44] = False
    assert not partly.seen[:, :44].any()
    assert not partly.mask[:, :44].any()
    assert dice(partly.mask, covered) > 0.8


def test_choroid_plexus_is_no_lesion() -> None:
    """Something bright in the middle of a ventricle, where no white matter is expected, is not called a lesion."""
    plexus = ball((-4.0, 2.0, 9.0), 1.0)
    image = np.asarray(flair(planted()).dataobj).copy()
    image[plexus] = 1.3 * np.median(image[np.isin(labels(), (2, 41))])
    result = segment_lesions(t1w(planted()), {"FLAIR": nib.Nifti1Image(image, AFFINE)}, expected())
    assert not result.mask[plexus].any()
    assert dice(result.mask, planted()) > 0.85


def test_t2w_alone_finds_lesions_in_deep_white_matter() -> None:
    """Without FLAIR a lesion away from fluid is found, and the methods text says what is weaker."""
    lesion = ball(CENTERS_MM[0]) & np.isin(labels(), (2, 41))
    image = draw(T2W_BRIGHTNESS, np.where(lesion, 1.8, 1.0), 3)
    result = segment_lesions(t1w(lesion), {"T2w": image}, expected())
    assert dice(result.mask, lesion) > 0.6
    assert any("no FLAIR" in sentence for sentence in result.sentences)
    assert not any("no FLAIR" in sentence for sentence in found().sentences)


def test_flair_decides_where_there_are_both() -> None:
    """With FLAIR and T2w, FLAIR shows the lesions, and both come back normalised."""
    t2w = draw(T2W_BRIGHTNESS, np.ones(SHAPE), 4, bias=0.3)
    both = segment_lesions(t1w(planted()), {"T2w": t2w, "FLAIR": flair(planted())}, expected())
    assert np.array_equal(both.mask, found().mask)
    assert list(both.normalised) == ["FLAIR", "T2w"]
    white = np.isin(labels(), (2, 41)) & ~planted() & both.seen
    assert np.median(np.asarray(both.normalised["T2w"].dataobj)[white]) == pytest.approx(1.0, abs=0.02)


def test_no_contrast_is_an_error() -> None:
    """Without FLAIR and T2w, or with one that misses the brain, the function says so."""
    nothing = np.zeros(SHAPE, bool)
    with pytest.raises(ValueError, match="FLAIR, T2w"):
        segment_lesions(t1w(nothing), {}, expected())
    empty = nib.Nifti1Image(np.full(SHAPE, np.nan, np.float32), AFFINE)
    with pytest.raises(ValueError, match="FLAIR image covers none"):
        segment_lesions(t1w(nothing), {"FLAIR": empty}, expected())
