# SPDX-License-Identifier: Apache-2.0
"""Gaussian mixture of tissue brightness under spatial priors, fitted by expectation-maximisation with a bias field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bids_msvol.imaging.bias import BiasField, fit_bias

VARIANCE_FLOOR = 1e-3
"""Smallest variance of a tissue, as a share of the squared brightness range: clipped tissues have no spread."""

MIXED_WEIGHT = 2.0
"""How often two tissues share a voxel where the priors allow both."""

LEAST_MIXED_PRIOR = 2e-3
"""Prior below which a tissue is not expected to share a voxel."""

BIAS_VOXELS = 40000
"""Voxels from which the bias field is fitted."""

TIE_VOXELS = 60.0
"""A tissue's mean is drawn towards its parent's as if by this many voxels: small nuclei need it."""


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
    """Brightness of each Gaussian, which tissue it belongs to, and which tissues meet within a voxel.

    Attributes
    ----------
    means, variances, shares
        (component,); ``shares`` sum to one within a tissue.
    owner
        (component,) index of the tissue.
    pairs
        (pair, 2) tissues that share voxels.
    """

    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    shares: NDArray[np.float64]
    owner: NDArray[np.intp]
    pairs: NDArray[np.intp]

    def density(self, values: NDArray[np.float32], component: int) -> NDArray[np.float32]:
        """Density (n,) of one Gaussian, its share included."""
        variance = self.variances[component]
        scale = np.float32(self.shares[component] / np.sqrt(2.0 * np.pi * variance))
        exponent = (values - np.float32(self.means[component])) ** 2
        exponent *= np.float32(-0.5 / variance)
        np.exp(exponent, out=exponent)
        exponent *= scale
        return exponent

    def tissue_means(self) -> NDArray[np.float64]:
        """Mean brightness (tissue,) of each tissue over its Gaussians."""
        return np.asarray(np.bincount(self.owner, self.means * self.shares), dtype=np.float64)

    def tissue_variances(self) -> NDArray[np.float64]:
        """Variance (tissue,) of each tissue over its Gaussians."""
        second = np.bincount(self.owner, (self.variances + self.means**2) * self.shares)
        return np.asarray(second - self.tissue_means() ** 2)

    def evidence(self, values: NDArray[np.float32], priors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Evidence (n, tissue) of each tissue: pure voxels, and its part of the mixed ones.

        Parameters
        ----------
        values
            Brightness (n,).
        priors
            (n, tissue).

        Notes
        -----
        A voxel that two tissues share is as bright as its content is divided, any division being as likely as any other
        (Van Leemput et al. 2003, IEEE Transactions on Medical Imaging 22:105-119). Its evidence goes to both tissues in
        proportion to the division that its brightness suggests.
        """
        result = np.zeros(priors.shape, dtype=np.float32)
        for component in range(len(self.means)):
            result[:, self.owner[component]] += self.density(values, component)
        result *= priors
        for pair, (first, second) in enumerate(self.pairs):
            where, mixed, division = self.mixed_evidence(values, priors, pair)
            result[where, first] += mixed * division
            result[where, second] += mixed * (np.float32(1.0) - division)
        return result

    def mixed_evidence(
        self, values: NDArray[np.float32], priors: NDArray[np.float32], pair: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
        """Return the voxels (m,) where two tissues may meet, the evidence (m,) that they do, the share of the first."""
        first, second = self.pairs[pair]
        where = np.flatnonzero((priors[:, first] > LEAST_MIXED_PRIOR) & (priors[:, second] > LEAST_MIXED_PRIOR))
        one, other = priors[where, first], priors[where, second]
        means, variances = self.tissue_means(), self.tissue_variances()
        difference = float(means[first] - means[second]) or 1e-6
        deviation = float(np.sqrt(0.5 * (variances[first] + variances[second])))
        division = (values[where] - np.float32(means[second])) * np.float32(1.0 / difference)
        width = np.float32(abs(difference) / deviation)
        # The density of a uniform mixture, blurred by the noise.
        density = special.ndtr(division * width) - special.ndtr((division - np.float32(1.0)) * width)
        density *= np.float32(MIXED_WEIGHT / abs(difference)) * one * other / (one + other)
        return where, density, np.clip(division, 0.0, 1.0)


def start_mixture(
    tissues: Sequence[Tissue],
    mixed: Sequence[tuple[str, str]],
    values: NDArray[np.float32],
    priors: NDArray[np.float32],
) -> Mixture:
    """Start from the mean and variance that the priors alone give; Gaussians of one tissue are spread by quantile."""
    means, variances, shares, owner = [], [], [], []
    names = [tissue.name for tissue in tissues]
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
            low, high = np.interp(
                [max(middle - 0.34 / tissue.components, 0), min(middle + 0.34 / tissue.components, 1)],
                cumulative,
                sorted_values,
            )
            means.append(center)
            variances.append(max(((high - low) / 2) ** 2, VARIANCE_FLOOR * spread**2))
            shares.append(1.0 / tissue.components)
            owner.append(index)
    pairs = [[names.index(name) for name in pair] for pair in mixed]
    return Mixture(
        np.array(means), np.array(variances), np.array(shares), np.array(owner), np.array(pairs).reshape(-1, 2)
    )


def fit_mixture(
    tissues: Sequence[Tissue],
    mixed: Sequence[tuple[str, str]],
    log_values: NDArray[np.float32],
    priors: NDArray[np.float32],
    indices: NDArray[np.integer],
    bias: BiasField,
    mixture: Mixture | None = None,
    *,
    hold: float = 0.0,
    counts: Sequence[int] | None = None,
    iterations: int = 30,
    tolerance: float = 2e-4,
) -> tuple[Mixture, BiasField]:
    """Fit tissue brightness and bias field by expectation-maximisation.

    Parameters
    ----------
    tissues
        The model.
    mixed
        Names of tissues that meet within voxels; such voxels tell nothing about the pure tissues.
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
    hold
        Weight, relative to that of tissue, with which voxels without tissue of the field's ask for a field of one.
        Without it the field is free there, and may run away in front of a brain that has lost much.
    counts
        Number of voxels of each image, where there are several; the field is then estimated from every so many of each,
        so that their order does not matter.
    iterations, tolerance
        Stop after so many rounds, or when the mean log likelihood gains less than ``tolerance``.

    References
    ----------
    Van Leemput et al. 1999, IEEE Transactions on Medical Imaging 18:885-896 (bias) and 18:897-908 (classification).
    Puonti et al. 2016, NeuroImage 143:235-249.
    """
    values = np.exp(log_values - bias.log_at(indices))
    mixture = mixture if mixture is not None else start_mixture(tissues, mixed, values, priors)
    floor = VARIANCE_FLOOR * float(np.percentile(values, 99.0)) ** 2
    previous = -np.inf
    step = max(1, len(values) // BIAS_VOXELS)
    thin = np.concatenate([np.arange(count) % step == 0 for count in counts or (len(values),)])
    for iteration in range(iterations):
        responsibilities, log_likelihood = _expect(mixture, values, priors)
        mixture = _maximise(tissues, mixture, values, responsibilities, floor)
        if log_likelihood - previous < tolerance and iteration > 5:
            break
        previous = log_likelihood
        if iteration % 2 == 0:
            bias = _update_bias(tissues, mixture, responsibilities[thin], log_values[thin], indices[thin], bias, hold)
            values = np.exp(log_values - bias.log_at(indices))
    return mixture, bias


def _expect(
    mixture: Mixture, values: NDArray[np.float32], priors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float]:
    """Responsibility (n, component) of each Gaussian, and the mean log likelihood."""
    densities = np.empty((len(values), len(mixture.means)), dtype=np.float32)
    for component, owner in enumerate(mixture.owner):
        np.multiply(mixture.density(values, component), priors[:, owner], out=densities[:, component])
    total = densities.sum(axis=1) + np.float32(1e-30)
    for pair in range(len(mixture.pairs)):
        where, mixed, _ = mixture.mixed_evidence(values, priors, pair)
        total[where] += mixed
    densities /= total[:, None]
    return densities, float(np.log(total).mean())


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
    means, variances = first / count, np.empty_like(count)
    parents = np.array([tissues[owner].parent for owner in mixture.owner])
    single = np.array([tissues[owner].components == 1 for owner in mixture.owner])
    for parent in np.unique(parents):
        group = parents == parent
        center = first[group].sum() / count[group].sum()
        tied = group & single
        means[tied] = (first[tied] + TIE_VOXELS * center) / (count[tied] + TIE_VOXELS)
        scatter = np.maximum(second - 2 * means * first + means**2 * count, 0.0)
        pooled = scatter[group].sum() / count[group].sum()
        variances[group] = (scatter[group] + TIE_VOXELS * pooled) / (count[group] + TIE_VOXELS)
    per_tissue = np.bincount(mixture.owner, count)
    return replace(
        mixture, means=means, variances=np.maximum(variances, floor), shares=count / per_tissue[mixture.owner]
    )


def _update_bias(
    tissues: Sequence[Tissue],
    mixture: Mixture,
    responsibilities: NDArray[np.float32],
    log_values: NDArray[np.float32],
    indices: NDArray[np.integer],
    bias: BiasField,
    hold: float,
) -> BiasField:
    used = np.array([tissues[owner].in_bias for owner in mixture.owner])
    # The variance of the log is the relative variance.
    precision = (mixture.means[used] ** 2 / mixture.variances[used]).astype(np.float32)
    weighted = responsibilities[:, used] * precision
    weight = weighted.sum(axis=1)
    expected = (weighted @ np.log(np.maximum(mixture.means[used], 1e-6)).astype(np.float32)) / (
        weight + np.float32(1e-12)
    )
    present = weight > 1e-3 * float(weight.max())
    ratio = log_values - expected
    if hold > 0.0:
        level = np.float32(np.average(ratio[present], weights=weight[present]))
        held = np.float32(hold * float(weight[present].mean()))
        return fit_bias(bias, indices, np.where(present, ratio, level), np.where(present, weight, held))
    return fit_bias(bias, indices[present], ratio[present], weight[present])
