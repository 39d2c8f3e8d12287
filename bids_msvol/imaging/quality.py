# SPDX-License-Identifier: Apache-2.0
"""Can the measurement be believed? Numbers about image and segmentation, each with a verdict and its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.deformation import jacobian_determinant
from bids_msvol.measurement import WORST_FIRST, QualityMetric, Verdict
from bids_msvol.structures import STRUCTURES

if TYPE_CHECKING:
    from bids_msvol.imaging.change import Change
    from bids_msvol.imaging.structures import Segmentation


@dataclass(frozen=True)
class Limits:
    """Where a metric stops being fine and where it stops being usable.

    Attributes
    ----------
    warn, fail
        Limits; ``None`` where there is none.
    side
        ``below``: smaller is worse; ``above``: larger is worse.
    meaning
        What it means for the reader when a limit is passed.
    """

    warn: float | None
    fail: float | None
    side: Literal["below", "above"]
    meaning: str


METRICS: Mapping[str, Limits] = {
    "cnr_gm_wm": Limits(1.8, 0.8, "below", "grey and white matter are hard to tell apart"),
    "snr_wm": Limits(10.0, 4.0, "below", "the image is noisy"),
    "bias_range_pct": Limits(150.0, 500.0, "above", "the brightness of the image varies strongly across the head"),
    "affine_scale": Limits(None, None, "above", ""),
    "prior_agreement": Limits(0.58, 0.48, "below", "the deformed atlas and the image disagree about the tissues"),
    "jacobian_min": Limits(0.05, 0.0, "below", "the deformation of the atlas is extreme"),
    "mean_displacement_mm": Limits(8.0, 14.0, "above", "the head had to be deformed far to match the atlas"),
    "brain_cut_pct": Limits(0.3, 3.0, "above", "part of the brain lies outside the image"),
    "skull_present": Limits(
        0.5,
        None,
        "below",
        "the skull was removed beforehand, so the intracranial volume counts only the fluid that was left",
    ),
    "alignment": Limits(0.7, 0.4, "below", "the sessions of the person hardly look alike after alignment"),
    "lesions_on_t2w": Limits(None, None, "above", ""),
    "contrast_covers_pct": Limits(95.0, 50.0, "below", "the image that shows lesions covers only part of the brain"),
    "flair_ventricle_brightness": Limits(
        0.75, 0.95, "above", "the ventricles are not dark on the FLAIR, so it is no FLAIR or does not match the T1w"
    ),
    "t2w_ventricle_brightness": Limits(
        1.5, 1.1, "below", "the ventricles are not bright on the T2w, so it is no T2w or does not match the T1w"
    ),
    "voxel_longest_edge_mm": Limits(1.6, None, "above", "thick slices: small structures are measured coarsely"),
    "working_voxel_size_mm": Limits(1.3, None, "above", "measured at reduced resolution, for a test"),
}
"""Limits chosen on real and synthesised heads; ``docs/methods.md`` tells how."""

PLAUSIBLE_MM3: Mapping[str, tuple[float, float]] = {
    "eTIV": (850e3, 2300e3),
    "WholeBrain": (650e3, 1900e3),
    "Cerebral-White-Matter": (100e3, 420e3),
    "Cerebral-Cortex": (110e3, 420e3),
    "Lateral-Ventricle": (0.8e3, 130e3),
    "Inf-Lat-Vent": (0.0, 20e3),
    "Cerebellum-White-Matter": (4e3, 32e3),
    "Cerebellum-Cortex": (22e3, 100e3),
    "Thalamus": (3e3, 12.5e3),
    "Caudate": (1.2e3, 8e3),
    "Putamen": (1.8e3, 9.5e3),
    "Pallidum": (0.5e3, 3.8e3),
    "3rd-Ventricle": (0.1e3, 9e3),
    "4th-Ventricle": (0.3e3, 8e3),
    "Brain-Stem": (9e3, 42e3),
    "Hippocampus": (1.2e3, 7.5e3),
    "Amygdala": (0.4e3, 3.8e3),
    "CSF": (60e3, 900e3),
    "Accumbens-area": (0.1e3, 1.6e3),
    "VentralDC": (1.8e3, 8e3),
}
"""Volumes of one side beyond which no adult has been reported, healthy or ill: outside, the measurement failed."""


DISAGREEMENT_PCT: Mapping[str, float] = {"WholeBrain": 0.5, "Ventricles": 3.0}
"""Difference between the methods that measure one change, in per cent of the volume, from which it is flagged."""


def diagnose(segmentation: Segmentation) -> dict[str, float]:
    """Numbers about contrast, noise, bias, registration and coverage of one segmentation."""
    from bids_msvol.imaging.tissues import TISSUES

    mixture = segmentation.model.mixture
    means, deviations = mixture.tissue_means(), np.sqrt(mixture.tissue_variances())
    names = [tissue.name for tissue in TISSUES]
    white, gray = names.index("cerebral white matter"), names.index("cortex")
    brain = _brain_share(segmentation)
    field = np.exp(segmentation.model.bias.log_at(np.argwhere(segmentation.mask)[brain > 0.5]))
    low, high = np.percentile(field, [1.0, 99.0])
    result = {
        "cnr_gm_wm": float(abs(means[white] - means[gray]) / np.hypot(deviations[white], deviations[gray])),
        "snr_wm": float(means[white] / deviations[white]),
        "bias_range_pct": float(100.0 * (high / low - 1.0)),
        "affine_scale": float(np.linalg.det(segmentation.transform.affine)),
        "prior_agreement": segmentation.prior_agreement,
        "brain_cut_pct": _cut_share(segmentation.seen, segmentation.mask, brain),
    }
    if segmentation.transform.inverse is not None:
        vectors = np.asarray(segmentation.transform.inverse.dataobj)
        determinant = jacobian_determinant(segmentation.transform.inverse)[2:-2, 2:-2, 2:-2]
        result["jacobian_min"] = float(determinant.min())
        result["mean_displacement_mm"] = float(np.sqrt((vectors**2).sum(axis=-1)).mean())
    return result


def judge(
    diagnostics: Mapping[str, float],
    volumes_mm3: Mapping[int, float],
    etiv_mm3: float,
    whole_brain_mm3: float,
) -> tuple[tuple[QualityMetric, ...], dict[int, float | None], float | None]:
    """Give every metric its verdict, and withdraw volumes that cannot be true.

    Parameters
    ----------
    diagnostics
        Numbers by metric name.
    volumes_mm3
        Volume by FreeSurfer number.
    etiv_mm3, whole_brain_mm3
        Intracranial and brain volume.

    Returns
    -------
    metrics
        Worst first.
    volumes
        As given, ``None`` where the measurement failed.
    etiv
        As given, ``None`` where it failed.
    """
    metrics = [judge_number(name, value, METRICS[name]) for name, value in diagnostics.items() if name in METRICS]
    metrics.append(_judge_volume("etiv_mm3", etiv_mm3, PLAUSIBLE_MM3["eTIV"]))
    metrics.append(_judge_volume("whole_brain_mm3", whole_brain_mm3, PLAUSIBLE_MM3["WholeBrain"]))
    all_failed = any(metric.verdict == "fail" for metric in metrics)
    kept: dict[int, float | None] = {}
    for structure in STRUCTURES:
        value = volumes_mm3[structure.index]
        base = structure.name.removeprefix("Left-").removeprefix("Right-")
        metric = _judge_volume(f"{structure.name.replace('-', '_').lower()}_mm3", value, PLAUSIBLE_MM3[base])
        kept[structure.index] = None if all_failed or metric.verdict == "fail" else value
        if metric.verdict != "pass":
            metrics.append(metric)
    return worst_first(metrics), kept, None if all_failed else etiv_mm3


def judge_contrast(
    name: str, normalised: NDArray[np.float32], cavity: NDArray[np.bool_], ventricles: NDArray[np.bool_]
) -> tuple[tuple[QualityMetric, ...], bool]:
    """Judge the image that shows lesions; it does not concern the volumes, so the worst verdict is ``warn``.

    Parameters
    ----------
    name
        ``FLAIR`` or ``T2w``.
    normalised
        (x, y, z) brightness, normal white matter 1, NaN where not seen.
    cavity, ventricles
        (x, y, z) inside of the skull; voxels that are surely lateral ventricle.

    Returns
    -------
    metrics
        The verdicts.
    usable
        Whether lesions can be believed.
    """
    seen = np.isfinite(normalised)
    values = {"contrast_covers_pct": 100.0 * float(seen[cavity].mean())}
    if (seen & ventricles).any():
        values[f"{name.lower()}_ventricle_brightness"] = float(np.median(normalised[seen & ventricles]))
    judged = [judge_number(metric, value, METRICS[metric]) for metric, value in values.items()]
    usable = all(metric.verdict != "fail" for metric in judged)
    withheld = [
        replace(metric, verdict="warn", reason=f"{metric.reason}; no lesions are claimed")
        if metric.verdict == "fail"
        else metric
        for metric in judged
    ]
    if name == "T2w":
        reason = "there is no FLAIR, so lesions were found on T2w, where many of those found are none"
        withheld.append(QualityMetric("lesions_on_t2w", 1.0, "warn", reason))
    return tuple(withheld), usable


def judge_pair(
    changes: Sequence[Change], similarity: float, protocol_differences: Sequence[str]
) -> tuple[tuple[QualityMetric, ...], tuple[Change, ...]]:
    """Judge a pair of sessions, and withhold its changes if the sessions do not match.

    Parameters
    ----------
    changes
        Change of every structure by every method.
    similarity
        Correlation of the two sessions' local brightness after alignment.
    protocol_differences
        How the two acquisitions differ, in plain words.

    Returns
    -------
    metrics
        Worst first.
    changes
        As given, without values where the pair failed.
    """
    metrics = [judge_number("alignment", similarity, METRICS["alignment"])]
    differing = float(len(protocol_differences))
    metrics.append(
        QualityMetric("protocol_differences", differing, "warn", "; ".join(protocol_differences))
        if protocol_differences
        else QualityMetric("protocol_differences", differing, "pass")
    )
    for name, limit_pct in DISAGREEMENT_PCT.items():
        values = [change.change_pct for change in changes if change.name == name and change.change_pct is not None]
        if len(values) > 1:
            spread = max(values) - min(values)
            reason = f"the methods disagree by {spread:.2f} %, more than {limit_pct:g} %" if spread > limit_pct else ""
            metrics.append(
                QualityMetric(f"{name.lower()}_disagreement_pct", spread, "warn" if reason else "pass", reason)
            )
    if any(metric.verdict == "fail" for metric in metrics):
        changes = [replace(change, change_mm3=None, change_pct=None) for change in changes]
    return worst_first(metrics), tuple(changes)


def worst_first(metrics: Sequence[QualityMetric]) -> tuple[QualityMetric, ...]:
    """Metrics in the order of their verdicts, else as they were."""
    return tuple(sorted(metrics, key=lambda metric: WORST_FIRST.index(metric.verdict)))


def worst_verdict(metrics: tuple[QualityMetric, ...]) -> Verdict:
    """The worst verdict of some metrics; ``pass`` if there are none."""
    found = {metric.verdict for metric in metrics}
    return "fail" if "fail" in found else "warn" if "warn" in found else "pass"


def judge_number(name: str, value: float, limits: Limits) -> QualityMetric:
    """Give a number its verdict; one that is not finite is beyond every limit."""
    for verdict, limit in (("fail", limits.fail), ("warn", limits.warn)):
        beyond = limit is not None and (value < limit if limits.side == "below" else value > limit)
        if beyond or not np.isfinite(value):
            reason = f"{limits.meaning}: {value:.3g}, the limit is {limit:g}" if limit is not None else limits.meaning
            return QualityMetric(name, value, "fail" if verdict == "fail" else "warn", reason)
    return QualityMetric(name, value, "pass")


def _judge_volume(name: str, value: float, plausible: tuple[float, float]) -> QualityMetric:
    low, high = plausible
    if low <= value <= high:
        return QualityMetric(name, value, "pass")
    reason = f"{value / 1000:.1f} mL is outside what is anatomically possible ({low / 1000:g} to {high / 1000:g} mL)"
    return QualityMetric(name, value, "fail", reason)


def _brain_share(segmentation: Segmentation) -> NDArray[np.float32]:
    columns = [segmentation.classes.index(structure.index) for structure in STRUCTURES if structure.tissue != "CSF"]
    return np.asarray(segmentation.posteriors[:, columns].sum(axis=1), dtype=np.float32)


def _cut_share(seen: NDArray[np.bool_], mask: NDArray[np.bool_], brain: NDArray[np.float32]) -> float:
    """Brain in the outermost voxels of the field of view, in percent of an estimate of the brain's surface."""
    volume = np.zeros(mask.shape, dtype=np.float32)
    volume[mask] = brain
    rim = seen & ~ndimage.binary_erosion(seen)
    surface = 6.0 * float(volume.sum()) ** (2.0 / 3.0)
    return float(100.0 * float(volume[rim].sum()) / max(surface, 1.0))


def voxel_metrics(original: nib.Nifti1Image, working: nib.Nifti1Image) -> dict[str, float]:
    """Longest voxel edge of the input, and the edge of the working voxels."""
    return {
        "voxel_longest_edge_mm": float(np.max(nib.affines.voxel_sizes(original.affine))),
        "working_voxel_size_mm": float(np.max(nib.affines.voxel_sizes(working.affine))),
    }
