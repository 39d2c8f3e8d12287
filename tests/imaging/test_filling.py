# SPDX-License-Identifier: Apache-2.0
"""Filling: lesions look like the white matter around them, and nothing else is touched."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.imaging.filling import fill_lesions

SHAPE = (48, 48, 48)
NOISE = 3.0


def planted() -> tuple[nib.Nifti1Image, np.ndarray, np.ndarray, np.ndarray]:
    """White matter that gets brighter to one side, in fluid, with a dark lesion: image, lesion, white, truth."""
    rng = np.random.default_rng(0)
    x, y, z = np.indices(SHAPE)
    white = (x - 24) ** 2 + (y - 24) ** 2 + (z - 24) ** 2 < 20**2
    lesion = (x - 20) ** 2 + (y - 26) ** 2 + (z - 24) ** 2 < 5**2
    truth = np.where(white, 100.0 + 0.3 * x, 20.0)
    signal = ndimage.gaussian_filter(np.where(lesion, 60.0, truth), 0.5)
    data = signal + NOISE * rng.standard_normal(SHAPE)
    return nib.Nifti1Image(data.astype(np.float32), np.eye(4)), lesion, white.astype(np.float32), truth


def test_planted_lesion_gets_the_brightness_around_it() -> None:
    """A lesion at 60 in white matter of about 110 is filled to within 2 % of what it would have been."""
    image, lesion, white, truth = planted()
    filled = np.asarray(fill_lesions(image, lesion, white, seed=1).dataobj)
    assert np.asarray(image.dataobj)[lesion].mean() < 75
    assert filled[lesion].mean() == pytest.approx(truth[lesion].mean(), rel=0.02)


def test_filling_follows_the_field_within_a_lesion() -> None:
    """The brighter side of a lesion is filled brighter: the mean is a local one."""
    image, lesion, white, _ = planted()
    filled = np.asarray(fill_lesions(image, lesion, white, seed=1).dataobj)
    left = lesion & (np.indices(SHAPE)[0] < 19)
    right = lesion & (np.indices(SHAPE)[0] > 21)
    assert filled[right].mean() > filled[left].mean() + 0.5


def test_filling_has_the_noise_of_white_matter() -> None:
    """The filled voxels spread as the normal ones do, so that no program sees a flat patch."""
    image, lesion, white, truth = planted()
    filled = np.asarray(fill_lesions(image, lesion, white, seed=1).dataobj)
    assert (filled - truth)[lesion].std() == pytest.approx(NOISE, rel=0.25)


def test_nothing_else_changes() -> None:
    """Beyond one voxel around the lesion the image is the same bit for bit."""
    image, lesion, white, _ = planted()
    filled = np.asarray(fill_lesions(image, lesion, white, seed=1).dataobj)
    away = ~ndimage.binary_dilation(lesion)
    assert np.array_equal(filled[away], np.asarray(image.dataobj)[away])


def test_only_where_white_matter_is_expected() -> None:
    """The half of a lesion that lies where grey matter or fluid is expected stays as it was."""
    image, lesion, white, _ = planted()
    white[:20] = 0.0
    filled = np.asarray(fill_lesions(image, lesion, white, seed=1).dataobj)
    other = lesion & (np.indices(SHAPE)[0] < 20)
    assert np.array_equal(filled[other], np.asarray(image.dataobj)[other])
    assert filled[lesion & ~other].mean() > 100


def test_the_seed_decides() -> None:
    """One seed gives one image, another seed another noise."""
    image, lesion, white, _ = planted()
    once, again, other = (np.asarray(fill_lesions(image, lesion, white, seed=seed).dataobj) for seed in (1, 1, 2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_no_lesion_no_change() -> None:
    """Without lesions the image comes back as it was, and the input is never written to."""
    image, lesion, white, _ = planted()
    before = np.asarray(image.dataobj).copy()
    filled = fill_lesions(image, np.zeros_like(lesion), white, seed=1)
    fill_lesions(image, lesion, white, seed=1)
    assert np.array_equal(np.asarray(filled.dataobj), before)
    assert np.array_equal(np.asarray(image.dataobj), before)
