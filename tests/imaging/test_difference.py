# SPDX-License-Identifier: Apache-2.0
"""Differences of two images: what position, field and sharpness make of them is not taken for change."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.imaging.difference import difference_z, down_to_half, is_shift, same_sharpness
from tests.imaging.phantoms import mesh, soft_sphere

SHAPE = (48, 48, 48)
NOISE = 0.02


def test_error_of_position_is_expected_at_edges_only() -> None:
    """Where both images have the same edge, a small shift is not significant; a spot in even tissue is."""
    first = np.where(mesh(SHAPE)[0] < 24, 1.0, 0.3).astype(np.float32)
    first = ndimage.gaussian_filter(first, 0.7)
    second = ndimage.shift(first, (0.4, 0.0, 0.0), order=3, mode="nearest")
    second[10:13, 20:23, 20:23] += 0.4
    rng = np.random.default_rng(0)
    noisy = [(image + NOISE * rng.standard_normal(SHAPE)).astype(np.float32) for image in (first, second)]
    z, difference = difference_z(
        noisy[0], noisy[1], normal=mesh(SHAPE)[0] < 20, seen=np.ones(SHAPE, dtype=bool), spacing_mm=np.ones(3)
    )
    assert float(difference[24].mean()) > 0.08
    assert float(np.abs(z[20:]).max()) < 8.0
    assert float(z[11, 21, 21]) > 10.0
    assert float(z[:8].std()) == pytest.approx(1.0, abs=0.2)


def test_smooth_part_of_the_difference_is_removed() -> None:
    """A difference that changes slowly over the image leaves no trend in z."""
    x = mesh(SHAPE)[0]
    noise = NOISE * np.random.default_rng(0).standard_normal((2, *SHAPE))
    first, second = (noise + np.stack([np.ones(SHAPE), 1.0 + 0.3 * x / 47.0])).astype(np.float32)
    everywhere = np.ones(SHAPE, dtype=bool)
    z, _ = difference_z(first, second, normal=everywhere, seen=everywhere, spacing_mm=np.ones(3))
    assert abs(float(z[8:16].mean())) < 1.0
    assert abs(float(z[32:40].mean())) < 1.0


def test_thinner_slices_are_blurred_as_the_thicker_are() -> None:
    """The sharper of two images, whichever it is, gets the other's blur; contrast does not matter."""
    rng = np.random.default_rng(0)
    sharp = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.0).astype(np.float32)
    thick = ndimage.gaussian_filter1d(sharp, 1.5, axis=2)
    seen = np.ones(SHAPE, dtype=bool)
    first, second = same_sharpness(sharp, 3.0 * thick, seen, np.ones(3))
    np.testing.assert_array_equal(second, 3.0 * thick)
    inner = (slice(6, -6),) * 3
    assert np.std((first - thick)[inner]) < 0.2 * np.std((sharp - thick)[inner])
    back = same_sharpness(3.0 * thick, sharp, seen, np.ones(3))
    np.testing.assert_array_equal(back[1], first)


def test_equally_sharp_images_are_left_alone() -> None:
    """Two noisy images of one thing are passed on as they are."""
    first, second = np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)
    same = same_sharpness(first, second, np.ones(SHAPE, dtype=bool), np.ones(3))
    assert same[0] is first
    assert same[1] is second


def test_change_ends_at_half_its_height() -> None:
    """A blurred ball is cut back to the size that it had."""
    ball = soft_sphere(SHAPE, (24.0, 24.0, 24.0), 5.0, 2)
    blurry = ndimage.gaussian_filter(ball, 0.8)
    half = down_to_half(blurry > 0.05, blurry)
    assert np.count_nonzero(half) == pytest.approx(float(ball.sum()), rel=0.12)


def test_movement_is_told_from_appearance() -> None:
    """A ball that moved by a voxel is a shift; one that appeared, grew, or moved far is none."""
    seen = np.ones(SHAPE, dtype=bool)
    ball = ndimage.gaussian_filter(soft_sphere(SHAPE, (24.0, 24.0, 24.0), 4.0, 2), 0.7)

    def explained(first: np.ndarray, second: np.ndarray) -> bool:
        difference = (second - first).astype(np.float32)
        mean = ((first + second) / 2.0).astype(np.float32)
        return is_shift(difference > 0.2, mean, difference, seen, np.ones(3))

    assert explained(ball, ndimage.shift(ball, (1.0, 0.0, 0.0)))
    assert not explained(np.zeros_like(ball), ball)
    assert not explained(ball, ndimage.gaussian_filter(soft_sphere(SHAPE, (24.0, 24.0, 24.0), 6.0, 2), 0.7))
    assert not explained(ball, ndimage.shift(ball, (5.0, 0.0, 0.0)))
