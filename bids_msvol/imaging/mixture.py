# SPDX-License-Identifier: Apache-2.0
"""Gaussian mixture of tissue brightness under spatial priors, fitted by expectation-maximisation with a bias field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_msvol.imaging.bias import BiasField, fit_bias

VARIANCE_FLOOR = 1e-4
"""Smallest variance of a tissue, as a share of the squared brightness range."""

TIE_VOXELS = 60.0
"""A tissue's mean is drawn towards its parent's as if by this many voxels: small nuclei need it, large tissues do not."""


@dataclass(frozen=True)
class Tissue:
    """One tissue of the model.

    Attributes
    ----------
    name
        For messages.
    members
        Class numbers of the atlas that share this brightness.
    components
        Number of Gaussians.
    parent
        Broad tissue whose mean the small tissues lean on.
    in_bias
        Whether the bias field is estimated from it.
    """

    name: str
    members: tuple[int, ...]
    parent: str
    components: int = 1
    in_bias: bool = False


@dataclass(frozen=True, eq=False)
class Mixture:
    """Brightness of each Gaussian and which tissue it belongs to.

    Attributes
    ----------
    means, variances, shares
        (component,); ``shares`` sum to one within a tissue.
    owner
        (component,) index of the tissue.
    """

    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    shares: NDArray[np.float64]
    owner: NDArray[np.intp]

    def likelihood(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Likelihood (n, tissue) of brightness values (n,)."""
        result = np.zeros((len(values), int(self.owner.max()) + 1), dtype=np.float32)
        for component in range(len(self.means)):
            result[:, self.owner[component]] += self._density(values, component)
        return result

    def _density(self, values: NDArray[np.float32], component: int) -> NDArray[np.float32]:
        variance = self.variances[component]
        scale = np.float32(self.shares[component] / np.sqrt(2.0 * np.pi * variance))
        exponent = (values - np.float32(self.means[component])) ** 2 * np.float32(-0.5 / variance)
        return np.asarray(scale * np.exp(exponent), dtype=np.float32)

    def tissue_means(self) -> NDArray[np.float64]:
        """Mean brightness (tissue,) of each tissue over its Gaussians."""
        return np.bincount(self.owner, self.means * self.shares)

    def tissue_variances(self) -> NDArray[np.float64]:
        """Variance (tissue,) of each tissue over its Gaussians."""
        second = np.bincount(self.owner, (self.variances + self.means**2) * self.shares)
        return np.asarray(second - self.tissue_means() ** 2)


def start_mixture(tissues: Sequence[Tissue], values: NDArray[np.float32], priors: NDArray[np.float32]) -> Mixture:
    """Start from the mean and variance that the priors alone give; several Gaussians of a tissue are spread by quantile."""
    means, variances, shares, owner = [], [], [], []
    spread = float(values.max() - values.min())
    order = np.argsort(values)
    for index, tissue in enumerate(tissues):
        # Voxels of which the priors are sure say most.
        weight = (priors[order, index] ** 2).astype(np.float64)
        cumulative = np.cumsum(weight) / weight.sum()
        sorted_values = values[order].astype(np.float64)
        for component in range(tissue.components):
            middle = (component + 0.5) / tissue.components
            center = float(np.interp(middle, cumulative, sorted_values))
            low, high = np.interp([max(middle - 0.34 / tissue.components, 0), min(middle + 0.34 / tissue.components, 1)], cumulative, sorted_values)
            means.append(center)
            variances.append(max(((high - low) / 2) ** 2, VARIANCE_FLOOR * spread**2))
            shares.append(1.0 / tissue.components)
            owner.append(index)
    return Mixture(np.array(means), np.array(variances), np.array(shares), np.array(owner))


def fit_mixture(
    tissues: Sequence[Tissue],
    log_values: NDArray[np.float32],
    priors: NDArray[np.float32],
    indices: NDArray[np.integer],
    bias: BiasField,
    mixture: Mixture | None = None,
    *,
    iterations: int = 30,
    tolerance: float = 1e-4,
) -> tuple[Mixture, BiasField]:
    """Fit tissue brightness and bias field by expectation-maximisation.

    Parameters
    ----------
    tissues
        The model.
    log_values
        Log brightness (n,) of the image.
    priors
        (n, tissue) prior probabilities.
    indices
        Voxels (n, 3) on the grid of ``bias``.
    bias
        Start of the bias field.
    mixture
        Start of the mixture; from the priors if not given.
    iterations, tolerance
        Stop after so many rounds, or when the mean log likelihood gains less than ``tolerance``.

    References
    ----------
    Van Leemput et al. 1999, IEEE Transactions on Medical Imaging 18:885-908; Puonti et al. 2016, NeuroImage 143:235-249.
    """
    log_bias = bias.log_at(indices)
    values = np.exp(log_values - log_bias)
    mixture = mixture if mixture is not None else start_mixture(tissues, values, priors)
    floor = VARIANCE_FLOOR * float(np.percentile(values, 99.0)) ** 2
    previous = -np.inf
    for iteration in range(iterations):
        responsibilities, log_likelihood = _expect(mixture, values, priors)
        mixture = _maximise(tissues, mixture, values, responsibilities, floor)
        if log_likelihood - previous < tolerance and iteration > 5:
            break
        previous = log_likelihood
        bias = _update_bias(tissues, mixture, responsibilities, log_values, indices, bias)
        values = np.exp(log_values - bias.log_at(indices))
    return mixture, bias


def _expect(
    mixture: Mixture, values: NDArray[np.float32], priors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float]:
    densities = np.stack([mixture._density(values, component) for component in range(len(mixture.means))], axis=1)
    densities *= priors[:, mixture.owner]
    total = densities.sum(axis=1, keepdims=True) + np.float32(1e-30)
    return densities / total, float(np.log(total).mean())


def _maximise(
    tissues: Sequence[Tissue],
    mixture: Mixture,
    values: NDArray[np.float32],
    responsibilities: NDArray[np.float32],
    floor: float,
) -> Mixture:
    count = responsibilities.sum(axis=0, dtype=np.float64) + 1e-6
    first = responsibilities.T.astype(np.float64) @ values.astype(np.float64)
    second = responsibilities.T.astype(np.float64) @ (values.astype(np.float64) ** 2)
    parents = [tissues[owner].parent for owner in mixture.owner]
    means, variances = first / count, np.empty_like(count)
    for parent in set(parents):
        group = np.array([name == parent for name in parents])
        if any(tissues[owner].components > 1 for owner in mixture.owner[group]):
            continue
        center = first[group].sum() / count[group].sum()
        means[group] = (first[group] + TIE_VOXELS * center) / (count[group] + TIE_VOXELS)
    for parent in set(parents):
        group = np.array([name == parent for name in parents])
        scatter = np.maximum(second[group] - 2 * means[group] * first[group] + means[group] ** 2 * count[group], 0.0)
        pooled = scatter.sum() / count[group].sum()
        tie = TIE_VOXELS if not any(tissues[owner].components > 1 for owner in mixture.owner[group]) else 1.0
        variances[group] = (scatter + tie * pooled) / (count[group] + tie)
    per_tissue = np.bincount(mixture.owner, count)
    return replace(mixture, means=means, variances=np.maximum(variances, floor), shares=count / per_tissue[mixture.owner])


def _update_bias(
    tissues: Sequence[Tissue],
    mixture: Mixture,
    responsibilities: NDArray[np.float32],
    log_values: NDArray[np.float32],
    indices: NDArray[np.integer],
    bias: BiasField,
) -> BiasField:
    used = np.array([tissues[owner].in_bias for owner in mixture.owner])
    # The variance of the log is the relative variance.
    precision = (mixture.means[used] ** 2 / mixture.variances[used]).astype(np.float32)
    weighted = responsibilities[:, used] * precision
    weight = weighted.sum(axis=1)
    expected = (weighted @ np.log(np.maximum(mixture.means[used], 1e-6)).astype(np.float32)) / (weight + np.float32(1e-12))
    present = weight > 1e-3 * float(weight.max())
    return fit_bias(bias, indices[present], log_values[present] - expected[present], weight[present])
