# SPDX-License-Identifier: Apache-2.0
"""The brightness model finds the means, the spread, the field and the partial volumes that an image was made with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.imaging import mixture as mixture_module
from bids_msvol.imaging.bias import BiasField, flat_field
from bids_msvol.imaging.mixture import Mixture, Tissue, fit_mixture, start_mixture
from tests.imaging.phantoms import soft_sphere

WHITE = Tissue("white", (2,), "white", in_bias=True)
GRAY = Tissue("gray", (3,), "gray", in_bias=True)
FLUID = Tissue("fluid", (24,), "fluid")
SHAPE = (40, 40, 40)


def draw(
    shares: np.ndarray, means: tuple[float, ...], deviation: float, bias: BiasField | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return log brightness and indices of voxels that hold tissues in the given shares (n, tissue)."""
    indices = np.argwhere(np.ones(SHAPE, dtype=bool))[: len(shares)]
    values = shares @ np.array(means) + np.random.default_rng(0).normal(0, deviation, len(shares))
    field = bias.log_at(indices) if bias is not None else 0.0
    return (np.log(np.maximum(values, 1.0)) + field).astype(np.float32), indices


def uncertain(shares: np.ndarray, certainty: float = 0.7) -> np.ndarray:
    """Return priors that know the place of each tissue only roughly."""
    return (certainty * shares + (1 - certainty) / shares.shape[1]).astype(np.float32)


@pytest.fixture
def pure() -> np.ndarray:
    """Shares of voxels that hold one of three tissues each."""
    owner = np.random.default_rng(1).integers(0, 3, 12000)
    return np.eye(3)[owner]


def test_known_means_and_variances_are_recovered(pure: np.ndarray) -> None:
    """Three tissues with uncertain priors: means within 1 %, spread within 5 %."""
    log_values, indices = draw(pure, (100.0, 65.0, 20.0), 6.0)
    mixture, _ = fit_mixture(
        (WHITE, GRAY, FLUID), (), log_values, uncertain(pure), indices, flat_field(SHAPE, (1, 1, 1))
    )
    assert mixture.tissue_means() == pytest.approx([100.0, 65.0, 20.0], rel=0.01)
    assert np.sqrt(mixture.tissue_variances()) == pytest.approx([6.0, 6.0, 6.0], rel=0.05)
    assert mixture.shares == pytest.approx([1.0, 1.0, 1.0])


def test_field_is_told_from_tissue(pure: np.ndarray) -> None:
    """A brightness field of 40 % is found together with the tissues."""
    voxel = (5.0, 5.0, 5.0)
    coefficients = np.zeros(flat_field(SHAPE, voxel).coefficients.shape)
    coefficients[1, 0, 0], coefficients[0, 1, 0] = 0.15, -0.1
    truth = BiasField(coefficients, SHAPE)
    chosen = np.random.default_rng(2).permutation(np.prod(SHAPE))[: len(pure)]
    indices = np.argwhere(np.ones(SHAPE, dtype=bool))[chosen]
    log_values, _ = draw(pure, (100.0, 65.0, 20.0), 4.0)
    log_values = log_values + truth.log_at(indices)
    mixture, bias = fit_mixture(
        (WHITE, GRAY, FLUID), (), log_values, uncertain(pure), indices, flat_field(SHAPE, voxel)
    )
    expected = truth.log_at(indices) - truth.log_at(indices).mean()
    assert np.sqrt(np.mean((bias.log_at(indices) - bias.log_at(indices).mean() - expected) ** 2)) < 0.01
    assert mixture.tissue_means()[1] / mixture.tissue_means()[0] == pytest.approx(0.65, abs=0.01)


@pytest.mark.parametrize("told", [True, False])
def test_order_of_the_images_does_not_matter(told: bool, pure: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images of unlike size, of which every seventh voxel tells of the field, give one model in either order.

    That is, to the rounding of sums in single precision. Told nothing of where one image ends, the model takes other
    voxels of the one that comes second.
    """
    monkeypatch.setattr(mixture_module, "BIAS_VOXELS", len(pure) // 7)
    log_values, indices = draw(pure, (100.0, 65.0, 20.0), 6.0)
    first = 5003
    fields = []
    for counts in ((first, len(pure) - first), (len(pure) - first, first)):
        order = np.roll(np.arange(len(pure)), 0 if counts[0] == first else len(pure) - first)
        _, bias = fit_mixture(
            (WHITE, GRAY, FLUID), (), log_values[order], uncertain(pure)[order], indices[order],
            flat_field(SHAPE, (5.0, 5.0, 5.0)), counts=counts if told else None,
        )  # fmt: skip
        fields.append(bias.log_at(indices))
    assert bool(np.abs(fields[0] - fields[1]).max() < 1e-3) is told


def test_tissue_of_two_brightnesses_gets_two_gaussians() -> None:
    """A tissue allowed two components, half of it bright and half dark, is described by both."""
    thalamus = Tissue("thalamus", (10,), "deep", components=2, in_bias=True)
    values = np.concatenate([np.full(2000, 60.0), np.full(2000, 90.0)]) + np.random.default_rng(3).normal(0, 3, 4000)
    values = np.random.default_rng(4).permutation(values)
    indices = np.argwhere(np.ones(SHAPE, dtype=bool))[:4000]
    mixture, _ = fit_mixture(
        (thalamus,), (), np.log(values).astype(np.float32), np.ones((4000, 1), np.float32), indices,
        flat_field(SHAPE, (1, 1, 1)), iterations=60, tolerance=1e-6,
    )  # fmt: skip
    assert sorted(mixture.means) == pytest.approx([60.0, 90.0], abs=1.5)
    assert mixture.shares.sum() == pytest.approx(1.0)
    assert mixture.tissue_means() == pytest.approx([75.0], abs=1.0)


def test_start_takes_the_brightness_from_the_priors(pure: np.ndarray) -> None:
    """Before any iteration the means lie near the truth already, in the order of the tissues."""
    log_values, _ = draw(pure, (100.0, 65.0, 20.0), 6.0)
    started = start_mixture((WHITE, GRAY, FLUID), (("white", "gray"),), np.exp(log_values), uncertain(pure, 0.9))
    assert started.tissue_means() == pytest.approx([100.0, 65.0, 20.0], abs=6.0)
    assert started.pairs.tolist() == [[0, 1]]


@pytest.mark.parametrize("radius", [7.0, 10.5])
def test_volume_of_a_sphere_with_partial_volume(radius: float) -> None:
    """The summed posterior of a sphere whose rim is shared with its surroundings is its volume, within 1 %."""
    inside = soft_sphere(SHAPE, (19.3, 20.1, 18.8), radius)
    prior = ndimage.gaussian_filter(inside, 1.0).ravel()
    shares = np.stack([inside.ravel(), 1 - inside.ravel()], axis=1)
    priors = np.clip(np.stack([prior, 1 - prior], axis=1), 1e-4, None).astype(np.float32)
    log_values, indices = draw(shares, (100.0, 60.0), 2.5)
    mixed = (("white", "gray"),)
    mixture, _ = fit_mixture((WHITE, GRAY), mixed, log_values, priors, indices, flat_field(SHAPE, (1, 1, 1)))
    evidence = mixture.evidence(np.exp(log_values), priors)
    posterior = evidence / evidence.sum(axis=1, keepdims=True)
    assert posterior[:, 0].sum() == pytest.approx(inside.sum(), rel=0.01)
    assert mixture.tissue_means() == pytest.approx([100.0, 60.0], abs=1.0)


def two_tissues() -> Mixture:
    """Return white and grey matter that share voxels."""
    return Mixture(np.array([100.0, 60.0]), np.array([9.0, 9.0]), np.ones(2), np.array([0, 1]), np.array([[0, 1]]))


def test_mixed_voxel_is_divided_as_its_brightness_says() -> None:
    """Where both priors allow it, a voxel a quarter of the way from grey to white is a quarter white."""
    values = np.float32([60.0, 70.0, 80.0, 90.0, 100.0])
    evidence = two_tissues().evidence(values, np.full((5, 2), 0.5, np.float32))
    share = evidence[:, 0] / evidence.sum(axis=1)
    assert share[1:4] == pytest.approx([0.25, 0.5, 0.75], abs=0.03)
    assert share[0] < 0.02
    assert share[4] > 0.98


def test_voxel_is_not_shared_where_the_prior_excludes_a_tissue() -> None:
    """Deep in the white matter an intermediate brightness stays white."""
    priors = np.float32([[0.9995, 0.0005]])
    evidence = two_tissues().evidence(np.float32([85.0]), priors)
    assert len(two_tissues().mixed_evidence(np.float32([85.0]), priors, 0)[0]) == 0
    assert evidence[0, 0] / evidence.sum() > 0.99


def test_density_is_a_density() -> None:
    """Over all brightnesses a Gaussian's density adds up to its share, and so does that of mixed voxels."""
    mixture = Mixture(
        np.array([50.0, 80.0]), np.array([16.0, 25.0]), np.array([0.3, 0.7]), np.array([0, 0]), np.zeros((0, 2), int)
    )
    values = np.linspace(0, 150, 6001).astype(np.float32)
    assert np.trapezoid(mixture.density(values, 0), values) == pytest.approx(0.3, rel=1e-3)
    assert mixture.tissue_means() == pytest.approx([71.0])
    assert mixture.tissue_variances() == pytest.approx([0.3 * 16 + 0.7 * 25 + 0.3 * 0.7 * 30**2])


def test_field_is_held_where_there_is_no_tissue() -> None:
    """Beside tissue whose field rises, the field without hold goes on rising, and with it stays within the tissue's."""
    shape = (60, 10, 10)
    x = np.indices(shape)[0]
    tissue = x < 25
    rng = np.random.default_rng(3)
    field = np.where(tissue, 0.02 * (x - 12), 0.0)
    values = np.where(tissue, 1.0, 0.02) * np.exp(field + rng.normal(0.0, 0.03, shape))
    shares = np.stack([tissue, ~tissue], axis=-1).astype(np.float32).reshape(-1, 2)
    indices = np.argwhere(np.ones(shape, bool))
    beyond = {}
    for hold in (0.0, 0.01):
        _, bias = fit_mixture(
            (WHITE, Tissue("air", (0,), "air")),
            (),
            np.log(values.ravel()).astype(np.float32),
            uncertain(shares),
            indices,
            flat_field(shape, (4.0, 4.0, 4.0)),
            hold=hold,
        )
        found = bias.log_field()
        beyond[hold] = float(np.abs(found[30:]).max())
        assert np.abs((found - found[tissue].mean() - field)[tissue]).mean() < 0.05
    assert beyond[0.01] < 0.7 * beyond[0.0]
    assert beyond[0.01] < 0.26
