# SPDX-License-Identifier: Apache-2.0
"""Images drawn from label maps have the contrast, noise, blur and bias asked for."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.synthesis import Acquisition, acquire_image, draw_image, smooth_field

SHAPE = (40, 44, 48)


@pytest.fixture
def halves() -> nib.Nifti1Image:
    """Class 2 on one side and 3 on the other, air around."""
    labels = np.zeros(SHAPE, dtype=np.int16)
    labels[4:20, 4:-4, 4:-4], labels[20:-4, 4:-4, 4:-4] = 2, 3
    return nib.Nifti1Image(labels, np.diag([1.0, 1.0, 1.0, 1.0]))


def test_means_are_the_brightness_asked_for(halves: nib.Nifti1Image) -> None:
    """Without bias and noise each class has its brightness times the scale, and a class left out is black."""
    clean = Acquisition({2: 1.0, 3: 0.6}, spread=0.0, noise=0.0, bias=0.0, blur_mm=0.0)
    image = np.asarray(draw_image(halves, clean, np.random.default_rng(0), scale=100.0).dataobj)
    labels = np.asarray(halves.dataobj)
    assert image.dtype == np.float32
    assert image[labels == 2] == pytest.approx(100.0)
    assert image[labels == 3] == pytest.approx(60.0)
    assert not image[labels == 0].any()


def test_noise_is_rician(halves: nib.Nifti1Image) -> None:
    """In tissue the noise has its standard deviation; in air the mean of a Rayleigh distribution."""
    noisy = Acquisition({2: 1.0, 3: 1.0}, spread=0.0, noise=0.04, bias=0.0, blur_mm=0.0)
    image = np.asarray(draw_image(halves, noisy, np.random.default_rng(1), scale=1.0).dataobj)
    labels = np.asarray(halves.dataobj)
    assert image[labels > 0].std() == pytest.approx(0.04, rel=0.05)
    assert image[labels == 0].mean() == pytest.approx(0.04 * np.sqrt(np.pi / 2.0), rel=0.05)


def test_texture_has_the_spread_asked_for(halves: nib.Nifti1Image) -> None:
    """The tissue's own variation is the share asked for."""
    textured = Acquisition({2: 1.0, 3: 1.0}, spread=0.05, noise=0.0, bias=0.0, blur_mm=0.0)
    image = np.asarray(draw_image(halves, textured, np.random.default_rng(2), scale=1.0).dataobj)
    assert image[np.asarray(halves.dataobj) > 0].std() == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("spacing", [1.0, 2.0])
def test_blur_is_in_millimetres(spacing: float) -> None:
    """A bright plane is spread to the width asked for, whatever the voxel size."""
    signal = np.zeros((61, 9, 9), dtype=np.float32)
    signal[30] = 1.0
    sharp = nib.Nifti1Image(signal, np.diag([spacing, spacing, spacing, 1.0]))
    blurred = acquire_image(
        sharp, Acquisition({}, noise=0.0, bias=0.0, blur_mm=3.0), np.random.default_rng(0), scale=1.0
    )
    profile = np.asarray(blurred.dataobj)[:, 4, 4]
    position = spacing * (np.arange(61) - 30)
    assert np.sqrt(np.sum(profile * position**2) / profile.sum()) == pytest.approx(3.0, rel=0.05)


def test_bias_is_smooth_and_has_its_peak() -> None:
    """The brightness field deviates by its peak at most, reaches it, and changes little from voxel to voxel."""
    field = smooth_field(SHAPE, 0.25, np.random.default_rng(3))
    assert field.shape == SHAPE
    assert np.abs(np.log(field)).max() == pytest.approx(np.log(1.25), rel=1e-4)
    assert max(np.abs(np.diff(np.log(field), axis=axis)).max() for axis in range(3)) < 0.05


def test_no_bias_is_flat() -> None:
    """A peak of zero gives one everywhere."""
    assert smooth_field(SHAPE, 0.0, np.random.default_rng(4)) == pytest.approx(1.0)


def test_reproducible(halves: nib.Nifti1Image) -> None:
    """The same seed draws the same image."""
    first, second, other = (
        np.asarray(draw_image(halves, Acquisition({2: 1.0}), np.random.default_rng(seed)).dataobj) for seed in (7, 7, 8)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
