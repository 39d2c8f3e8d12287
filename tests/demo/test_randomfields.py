# SPDX-License-Identifier: Apache-2.0
"""Random fields have the scale asked for, in millimetres."""

from __future__ import annotations

import numpy as np
import pytest

from bids_msvol.demo.randomfields import folded_field, smooth_noise


@pytest.mark.parametrize("voxel_size_mm", [1.0, 2.0])
def test_folds_have_the_wavelength_asked_for(voxel_size_mm: float) -> None:
    """The field is most strongly anticorrelated about half a wavelength away."""
    field = folded_field((72, 72, 72), voxel_size_mm, 16.0, np.random.default_rng(0))
    shifts = np.arange(1, round(16.0 / voxel_size_mm) + 1)
    correlation = [np.mean(field * np.roll(field, shift, axis=0)) for shift in shifts]
    # In three dimensions the minimum of sin(kr) / kr lies at 0.715 wavelengths.
    assert shifts[np.argmin(correlation)] * voxel_size_mm == pytest.approx(0.715 * 16.0, abs=2.0)
    assert field.mean() == pytest.approx(0.0, abs=1e-5)
    assert field.std() == pytest.approx(1.0, abs=1e-5)


def test_smooth_noise_has_the_width_asked_for() -> None:
    """The correlation falls as that of white noise smoothed by a Gaussian does."""
    field = smooth_noise((80, 80, 80), 2.0, 6.0, np.random.default_rng(1))
    correlation = np.mean(field * np.roll(field, 3, axis=1))
    assert correlation == pytest.approx(np.exp(-(6.0**2) / (4.0 * 6.0**2)), abs=0.08)
    assert field.std() == pytest.approx(1.0, abs=1e-5)
