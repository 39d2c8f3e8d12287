# SPDX-License-Identifier: Apache-2.0
"""How bright normal tissue is on T1w and a T2-weighted contrast: a model that lesions, as outliers, do not move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_msvol.imaging.bias import BiasField, fit_bias, flat_field


@dataclass(frozen=True)
class NormalTissue:
    """Classes of the atlas that look alike on T1w and T2-weighted images.

    Attributes
    ----------
    members
        Class numbers.
    lesion_weight
        How readily a lesion is believed where this tissue is expected, relative to cerebral white matter.
    in_bias
        Whether the brightness field is estimated from it.
    fluid
        Whether it is fluid.
    """

    members: tuple[int, ...]
    lesion_weight: float = 0.0
    in_bias: bool = False
    fluid: bool = False


NORMAL_TISSUES: tuple[NormalTissue, ...] = (
    NormalTissue((2, 41), lesion_weight=1.0, in_bias=True),
    NormalTissue((16, 7, 46), lesion_weight=0.7, in_bias=True),
    NormalTissue((28, 60), lesion_weight=0.2),
    NormalTissue((3, 42, 17, 53, 18, 54), in_bias=True),
    NormalTissue((8, 47), in_bias=True),
    NormalTissue((11, 50, 12, 51, 26, 58)),
    NormalTissue((10, 49)),
    NormalTissue((13, 52)),
    NormalTissue((4, 43, 5, 44), fluid=True),
    NormalTissue((14, 15, 24), fluid=True),
)
"""Cerebral white matter comes first: its brightness is the unit. Then brainstem and cerebellar white matter, ventral
diencephalon, cortex, cerebellar cortex, striatum, thalamus, pallidum, lateral ventricles, other fluid. Grey matter has
no lesions here: what FLAIR shows in the cortex cannot be told from its own brightness. Neither have the ventricles,
where the choroid plexus is bright."""

WHITE, BRAINSTEM_WHITE = 0, 1
"""Positions in ``NORMAL_TISSUES`` of cerebral white matter, and of brainstem and cerebellar white matter."""

FLUID_DISTANCE = 2.0
"""White matter is at least so many standard deviations away from fluid. Lesions beside the ventricles would else count
as bright fluid."""

FIT_VOXELS = 60000
"""Voxels from which brightness and field are estimated."""

FIT_ROUNDS = 14
"""Rounds of expectation-maximisation; brightness is stable to 0.2 % after ten."""

FIELD_HOLD = 0.1
"""Every voxel asks for a field of one with this weight, relative to the mean weight of its brightness: where nothing
looks like normal tissue, as in front of an atrophied brain, the field would else grow without limit."""

OUTLIER_DISTANCE = 3.0
"""Mahalanobis distance at which a voxel is as likely an outlier as a member of its tissue (Van Leemput 2001)."""

LEAST_DEVIATION = 0.02
"""Smallest standard deviation of a tissue relative to white matter's brightness."""

HOLD_VOXELS = 5.0
"""A tissue's brightness is held where it was as if by this many voxels: slices may miss a tissue altogether."""


@dataclass(frozen=True, eq=False)
class NormalModel:
    """Brightness of the normal tissues, white matter at 1: (tissue, channel) and (tissue, channel, channel)."""

    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    def distance(self, values: NDArray[np.float32], tissue: int) -> NDArray[np.float32]:
        """Squared Mahalanobis distance (n,)."""
        whitening = np.linalg.cholesky(np.linalg.inv(self.covariances[tissue])).astype(np.float32)
        white = (values - self.means[tissue].astype(np.float32)) @ whitening
        white *= white
        return np.asarray(white.sum(axis=1), dtype=np.float32)

    def scale(self, tissue: int) -> float:
        """Density at the mean."""
        channels = self.means.shape[1]
        return float(1.0 / np.sqrt((2.0 * np.pi) ** channels * np.linalg.det(self.covariances[tissue])))


def fluids() -> list[int]:
    """Positions of the fluids in ``NORMAL_TISSUES``."""
    return [index for index, tissue in enumerate(NORMAL_TISSUES) if tissue.fluid]


def fit_normal(
    log_values: NDArray[np.float32],
    priors: NDArray[np.float32],
    indices: NDArray[np.integer],
    shape: Sequence[int],
    spacing_mm: Sequence[float],
) -> tuple[NormalModel, NDArray[np.float32]]:
    """Fit tissues and brightness fields; return the model and the values (n, channel) without field."""
    sure = priors[:, WHITE] >= 0.9 * float(priors[:, WHITE].max())
    log_values = log_values - np.median(log_values[sure], axis=0)
    thin = slice(None, None, max(1, len(log_values) // FIT_VOXELS))
    few, few_priors, few_indices = log_values[thin], priors[thin], indices[thin]
    fields: list[BiasField] = [flat_field((shape[0], shape[1], shape[2]), spacing_mm) for _ in range(1, few.shape[1])]
    values = np.exp(few)
    model = _start(values, few_priors)
    for round_number in range(FIT_ROUNDS):
        typical = _typical(values, few_priors, model)
        model = _maximise(values, typical, model)
        if round_number % 2 == 1 and round_number < FIT_ROUNDS - 3:
            for channel, field in enumerate(fields, 1):
                fields[channel - 1] = _update_field(field, few[:, channel], few_indices, typical, model, channel)
                values[:, channel] = np.exp(few[:, channel] - fields[channel - 1].log_at(few_indices))
    unit = model.means[WHITE]
    model = NormalModel(model.means / unit, model.covariances / np.outer(unit, unit))
    for channel, field in enumerate(fields, 1):
        log_values[:, channel] -= field.log_at(indices)
    return _apart_from_fluid(model), np.asarray(np.exp(log_values) / unit.astype(np.float32), dtype=np.float32)


def _start(values: NDArray[np.float32], priors: NDArray[np.float32]) -> NormalModel:
    """Median and spread between quartiles where the atlas is sure of a tissue."""
    channels = values.shape[1]
    means, covariances = np.empty((len(NORMAL_TISSUES), channels)), []
    for tissue in range(len(NORMAL_TISSUES)):
        sure = priors[:, tissue] >= 0.8 * float(priors[:, tissue].max())
        low, means[tissue], high = np.percentile(values[sure], (25.0, 50.0, 75.0), axis=0)
        covariances.append(np.diag(np.maximum((high - low) / 1.35, LEAST_DEVIATION) ** 2))
    return NormalModel(means, np.stack(covariances))


def _typical(values: NDArray[np.float32], priors: NDArray[np.float32], model: NormalModel) -> NDArray[np.float32]:
    """Probability (n, tissue) that a voxel belongs to a tissue and is no outlier of it."""
    membership = np.empty_like(priors)
    typicality = np.empty_like(priors)
    outlier = np.float32(np.exp(-0.5 * OUTLIER_DISTANCE**2))
    for tissue in range(priors.shape[1]):
        shape = np.exp(np.float32(-0.5) * model.distance(values, tissue))
        membership[:, tissue] = priors[:, tissue] * shape * np.float32(model.scale(tissue))
        typicality[:, tissue] = shape / (shape + outlier)
    membership /= membership.sum(axis=1, keepdims=True) + np.float32(1e-30)
    membership *= typicality
    return membership


def _maximise(values: NDArray[np.float32], weights: NDArray[np.float32], model: NormalModel) -> NormalModel:
    """Brightness of each tissue from its voxels; one that the image hardly shows keeps what it had."""
    means, covariances = model.means.copy(), model.covariances.copy()
    floor = LEAST_DEVIATION**2 * np.eye(values.shape[1])
    for tissue in range(weights.shape[1]):
        weight = weights[:, tissue].astype(np.float64)
        total = float(weight.sum()) + HOLD_VOXELS
        means[tissue] = (weight @ values + HOLD_VOXELS * means[tissue]) / total
        residual = values - means[tissue]
        scatter = (residual * weight[:, None]).T @ residual + HOLD_VOXELS * covariances[tissue]
        covariances[tissue] = scatter / total + floor
    return NormalModel(means, covariances)


def _update_field(
    field: BiasField,
    log_values: NDArray[np.float32],
    indices: NDArray[np.integer],
    weights: NDArray[np.float32],
    model: NormalModel,
    channel: int,
) -> BiasField:
    used = [tissue for tissue, normal in enumerate(NORMAL_TISSUES) if normal.in_bias]
    mean = model.means[used, channel]
    # The variance of the log is the relative variance.
    precision = weights[:, used] * (mean**2 / model.covariances[used, channel, channel]).astype(np.float32)
    total = precision.sum(axis=1)
    hold = np.float32(FIELD_HOLD * float(total.mean()))
    unexplained = total * log_values - precision @ np.log(mean).astype(np.float32)
    return fit_bias(field, indices, unexplained / (total + hold), total + hold)


def _apart_from_fluid(model: NormalModel) -> NormalModel:
    """Narrow the fluids until white matter is ``FLUID_DISTANCE`` standard deviations away on the contrast."""
    covariances = model.covariances.copy()
    for tissue in fluids():
        widest = max(abs(1.0 - model.means[tissue, 1]) / FLUID_DISTANCE, LEAST_DEVIATION)
        shrink = min(1.0, widest / float(np.sqrt(covariances[tissue, 1, 1])))
        covariances[tissue, 1, :] *= shrink
        covariances[tissue, :, 1] *= shrink
    return NormalModel(model.means, covariances)
