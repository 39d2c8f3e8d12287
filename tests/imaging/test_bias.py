# SPDX-License-Identifier: Apache-2.0
"""The brightness field is recovered from what it does to known tissue."""

from __future__ import annotations

import numpy as np
import pytest

from bids_msvol.imaging.bias import BiasField, fit_bias, flat_field

SHAPE = (48, 40, 44)
SPACING = (4.0, 4.0, 4.0)


def known_field() -> BiasField:
    """Return a field of some low cosines, about 40 % strong."""
    coefficients = np.zeros(flat_field(SHAPE, SPACING).coefficients.shape)
    coefficients[1, 0, 0], coefficients[0, 1, 1], coefficients[2, 0, 1], coefficients[0, 0, 2] = 0.2, -0.1, 0.08, 0.05
    return BiasField(coefficients, SHAPE)


def samples(count: int = 4000) -> np.ndarray:
    """Return random voxels."""
    return np.random.default_rng(0).integers(0, SHAPE, (count, 3))


def test_flat_field_has_cosines_down_to_the_cutoff() -> None:
    """The number of cosines grows with the field of view, not with the number of voxels."""
    assert (
        flat_field((192, 160, 176), (1.0, 1.0, 1.0)).coefficients.shape == flat_field(SHAPE, SPACING).coefficients.shape
    )
    assert flat_field(SHAPE, SPACING, cutoff_mm=30.0).coefficients.shape > flat_field(SHAPE, SPACING).coefficients.shape
    assert not flat_field(SHAPE, SPACING).log_field().any()


def test_field_on_the_grid_is_the_field_at_its_voxels() -> None:
    """Both ways to evaluate the field agree."""
    field = known_field()
    indices = samples()
    assert field.log_field()[tuple(indices.T)] == pytest.approx(field.log_at(indices), abs=1e-5)


def test_known_field_is_recovered_through_noise() -> None:
    """From noisy log ratios the field comes back within a hundredth everywhere that was seen, its mean being zero."""
    truth, indices = known_field(), samples()
    noise = np.random.default_rng(1).normal(0.0, 0.05, len(indices)).astype(np.float32)
    weight = np.full(len(indices), 1.0 / 0.05**2, dtype=np.float32)
    found = fit_bias(flat_field(SHAPE, SPACING), indices, truth.log_at(indices) + 0.7 + noise, weight)
    difference = found.log_at(indices) - (truth.log_at(indices) - truth.log_at(indices).mean())
    assert np.sqrt(np.mean(difference**2)) < 0.01
    assert found.log_at(indices).mean() == pytest.approx(0.0, abs=1e-4)


def test_voxels_without_weight_do_not_count() -> None:
    """Wild values of voxels that the model does not trust change nothing."""
    truth, indices = known_field(), samples()
    ratio = truth.log_at(indices)
    weight = np.ones(len(indices), dtype=np.float32)
    spoilt, light = ratio.copy(), weight.copy()
    spoilt[::2], light[::2] = 3.0, 0.0
    clean = fit_bias(flat_field(SHAPE, SPACING), indices[1::2], ratio[1::2], weight[1::2])
    found = fit_bias(flat_field(SHAPE, SPACING), indices, spoilt, light)
    assert found.log_at(indices) == pytest.approx(clean.log_at(indices), abs=1e-3)


def test_stiff_field_is_flat() -> None:
    """Bending costs: with all the weight on stiffness nothing is left of the field."""
    indices = samples()
    found = fit_bias(
        flat_field(SHAPE, SPACING),
        indices,
        known_field().log_at(indices),
        np.ones(len(indices), np.float32),
        stiffness=1e6,
    )
    assert np.abs(found.log_at(indices)).max() < 0.01
