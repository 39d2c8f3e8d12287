# SPDX-License-Identifier: Apache-2.0
"""Quality: every limit is where it is said to be, and what cannot be true is not reported."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.atlas.labels import CLASSES
from bids_msvol.imaging.bias import BiasField, flat_field
from bids_msvol.imaging.change import Change, Method
from bids_msvol.imaging.mixture import Mixture
from bids_msvol.imaging.quality import (
    DISAGREEMENT_PCT,
    METRICS,
    PLAUSIBLE_MM3,
    diagnose,
    judge,
    judge_contrast,
    judge_pair,
    voxel_metrics,
    worst_verdict,
)
from bids_msvol.imaging.registration import TemplateTransform
from bids_msvol.imaging.tissues import TISSUES
from bids_msvol.measurement import QualityMetric
from bids_msvol.structures import STRUCTURES

SIDED = {structure.index: structure.name.removeprefix("Left-").removeprefix("Right-") for structure in STRUCTURES}
HEALTHY = {index: float(np.mean(PLAUSIBLE_MM3[name])) for index, name in SIDED.items()}
ETIV, BRAIN = 1.5e6, 1.2e6


def verdict_of(metrics: tuple[QualityMetric, ...], name: str) -> QualityMetric:
    """Return the metric of a name."""
    return next(metric for metric in metrics if metric.name == name)


@pytest.mark.parametrize("name", [name for name, limits in METRICS.items() if limits.warn is not None])
def test_limits_of_every_metric(name: str) -> None:
    """On the good side it passes, beyond the first limit it warns, beyond the second it fails, with a reason."""
    limits = METRICS[name]
    assert limits.warn is not None
    step = 1e-6 if limits.side == "above" else -1e-6
    cases = [(limits.warn - step, "pass"), (limits.warn, "pass"), (limits.warn + step, "warn")]
    if limits.fail is not None:
        cases += [(limits.fail, "warn"), (limits.fail + step, "fail")]
    for value, expected in cases:
        metric = verdict_of(judge({name: value}, HEALTHY, ETIV, BRAIN)[0], name)
        assert metric.verdict == expected, value
        assert bool(metric.reason) == (expected != "pass")
        assert limits.meaning in metric.reason or expected == "pass"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_metric_that_is_no_number_never_passes(value: float) -> None:
    """A metric that could not be computed is not taken for a good one."""
    assert verdict_of(judge({"snr_wm": value}, HEALTHY, ETIV, BRAIN)[0], "snr_wm").verdict == "fail"


def test_good_measurement_is_kept() -> None:
    """With all metrics in range every volume is reported as it was measured."""
    metrics, volumes, etiv = judge({"cnr_gm_wm": 3.0, "snr_wm": 20.0}, HEALTHY, ETIV, BRAIN)
    assert {metric.verdict for metric in metrics} == {"pass"}
    assert (volumes, etiv) == (HEALTHY, ETIV)


@pytest.mark.parametrize("index", [structure.index for structure in STRUCTURES])
@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_impossible_volume_is_withdrawn_alone(index: int, factor: float) -> None:
    """A structure too small or too large for an adult is reported missing, with the reason; the others stay."""
    low, high = PLAUSIBLE_MM3[SIDED[index]]
    impossible = low * factor if factor < 1 else high * factor
    metrics, volumes, etiv = judge({}, {**HEALTHY, index: impossible if low > 0 or factor > 1 else -1.0}, ETIV, BRAIN)
    assert [key for key, value in volumes.items() if value is None] == [index]
    assert etiv == ETIV
    assert metrics[0].verdict == "fail"
    assert "anatomically" in metrics[0].reason


@pytest.mark.parametrize(
    ("diagnostics", "etiv", "brain"),
    [({"prior_agreement": 0.1}, ETIV, BRAIN), ({}, 3e6, BRAIN), ({}, ETIV, 2e5)],
    ids=["metric", "intracranial volume", "brain"],
)
def test_failed_measurement_reports_no_volume(diagnostics: dict[str, float], etiv: float, brain: float) -> None:
    """If the whole cannot be believed, no part of it is."""
    metrics, volumes, kept = judge(diagnostics, HEALTHY, etiv, brain)
    assert set(volumes.values()) == {None}
    assert kept is None
    assert worst_verdict(metrics) == "fail"


def test_metrics_come_worst_first() -> None:
    """What a reader must see is on top."""
    warned = METRICS["voxel_longest_edge_mm"].warn
    assert warned is not None
    diagnostics = {"snr_wm": 20.0, "voxel_longest_edge_mm": warned + 1.0, "prior_agreement": 0.0}
    metrics, _, _ = judge(diagnostics, HEALTHY, ETIV, BRAIN)
    assert [metric.verdict for metric in metrics[:3]] == ["fail", "warn", "pass"]


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [((), "pass"), (("pass", "pass"), "pass"), (("pass", "warn"), "warn"), (("warn", "fail", "pass"), "fail")],
)
def test_worst_verdict(verdicts: tuple[Any, ...], worst: str) -> None:
    """The worst verdict decides."""
    assert worst_verdict(tuple(QualityMetric("x", 1.0, verdict) for verdict in verdicts)) == worst


def test_every_structure_has_a_plausible_range() -> None:
    """No structure is left unjudged, and each range is one."""
    assert set(SIDED.values()) | {"eTIV", "WholeBrain"} == set(PLAUSIBLE_MM3)
    assert all(0 <= low < high for low, high in PLAUSIBLE_MM3.values())


def test_voxel_metrics_tell_input_and_working_grid() -> None:
    """The longest edge of the input counts, whatever its direction."""
    original = nib.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.diag([1.0, -3.5, 0.9, 1.0]))
    working = nib.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    found = voxel_metrics(original, working)
    assert found == pytest.approx({"voxel_longest_edge_mm": 3.5, "working_voxel_size_mm": 2.0})


def segmentation(brain_from: int = 5, seen_from: int = 0) -> Any:
    """Return what `diagnose` looks at, of a block of white matter from a slice on, with known contrast and field."""
    shape, voxel = (20, 20, 20), (6.0, 6.0, 6.0)
    seen = np.ones(shape, dtype=bool)
    seen[..., :seen_from] = False
    brain = np.zeros(shape, dtype=bool)
    brain[5:15, 5:15, brain_from:15] = True
    mask = np.ones(shape, dtype=bool)
    posteriors = np.zeros((mask.sum(), len(CLASSES)), np.float32)
    posteriors[:, CLASSES.index(0)] = ~brain.ravel()
    posteriors[:, CLASSES.index(2)] = brain.ravel()
    means, owner = [], []
    for index, tissue in enumerate(TISSUES):
        means += [{"cerebral white matter": 100.0, "cortex": 70.0}.get(tissue.name, 50.0)] * tissue.components
        owner += [index] * tissue.components
    shares = np.array([1.0 / TISSUES[index].components for index in owner])
    mixture = Mixture(np.array(means), np.full(len(means), 25.0), shares, np.array(owner), np.zeros((0, 2), int))
    coefficients = np.zeros(flat_field(shape, voxel).coefficients.shape)
    coefficients[1, 0, 0] = 0.3
    field = nib.Nifti1Image(np.zeros((10, 10, 10, 3), np.float32) + np.float32([3.0, 4.0, 0.0]), np.eye(4))
    return SimpleNamespace(
        seen=seen,
        mask=mask,
        classes=CLASSES,
        posteriors=posteriors,
        model=SimpleNamespace(mixture=mixture, bias=BiasField(coefficients, shape)),
        transform=TemplateTransform(np.diag([1.1, 1.0, 1.0, 1.0]), field, field),
        prior_agreement=0.9,
    )


def test_diagnostics_of_a_known_segmentation() -> None:
    """Contrast, noise, field, scale, displacement and folding are those that were put in."""
    found = diagnose(segmentation())
    assert found["cnr_gm_wm"] == pytest.approx(30.0 / np.hypot(5.0, 5.0))
    assert found["snr_wm"] == pytest.approx(20.0)
    ends = [np.cos(np.pi * (2 * position + 1) / 40) for position in (5, 14)]
    assert found["bias_range_pct"] == pytest.approx(100 * (np.exp(0.3 * (ends[0] - ends[1])) - 1), rel=0.02)
    assert found["affine_scale"] == pytest.approx(1.1)
    assert found["mean_displacement_mm"] == pytest.approx(5.0)
    assert found["jacobian_min"] == pytest.approx(1.0)
    assert found["brain_cut_pct"] == 0.0


def test_brain_at_the_border_counts_as_cut() -> None:
    """A brain that touches the end of the image is noticed, and how much of it."""
    found = diagnose(segmentation(brain_from=0))
    assert found["brain_cut_pct"] == pytest.approx(100 * 100 / (6 * 1500 ** (2 / 3)), rel=1e-3)


def test_brain_at_the_end_of_the_field_of_view_counts_as_cut() -> None:
    """On a grid larger than what the session saw, the border of what it saw decides."""
    found = diagnose(segmentation(brain_from=5, seen_from=5))
    assert found["brain_cut_pct"] == pytest.approx(100 * 100 / (6 * 1000 ** (2 / 3)), rel=1e-3)
    assert diagnose(segmentation(brain_from=5, seen_from=4))["brain_cut_pct"] == 0.0


def changes(name: str = "WholeBrain", **percent: float | None) -> list[Change]:
    """Return the change of a sum by method, of a litre."""
    methods: dict[str, Method] = {"segmentation": "segmentation", "jacobian": "jacobian", "boundary": "boundary"}
    return [
        Change(None, name, methods[method], None if value is None else 1e4 * value, value)
        for method, value in percent.items()
    ]


def test_good_pair_is_kept() -> None:
    """Sessions that match, scanned alike, whose methods agree: nothing is flagged and every number stays."""
    given = changes(segmentation=-0.5, jacobian=-0.6, boundary=-0.7)
    metrics, kept = judge_pair(given, 0.95, ())
    assert {metric.verdict for metric in metrics} == {"pass"}
    assert kept == tuple(given)
    assert {metric.name: metric.value for metric in metrics} == {
        "alignment": 0.95, "protocol_differences": 0.0, "wholebrain_disagreement_pct": pytest.approx(0.2),
    }  # fmt: skip


@pytest.mark.parametrize("similarity", [0.39, np.nan])
def test_pair_that_does_not_match_has_no_change(similarity: float) -> None:
    """If the sessions do not look alike, each change keeps its name and method but no value."""
    metrics, kept = judge_pair(changes(segmentation=-0.5, boundary=-0.7), similarity, ())
    assert (metrics[0].name, metrics[0].verdict) == ("alignment", "fail")
    assert kept == tuple(changes(segmentation=None, boundary=None))


def test_doubtful_match_is_flagged_and_kept() -> None:
    """Between the limits the reader is warned and sees the numbers."""
    given = changes(segmentation=-0.5)
    metrics, kept = judge_pair(given, 0.6, ())
    assert verdict_of(metrics, "alignment").verdict == "warn"
    assert kept == tuple(given)


def test_other_protocol_is_flagged() -> None:
    """All differences stand in the reason, their number is the value."""
    metrics, kept = judge_pair(changes(segmentation=-0.5), 0.95, ("another scanner model (A, then B)", "other voxels"))
    metric = verdict_of(metrics, "protocol_differences")
    assert (metric.value, metric.verdict) == (2.0, "warn")
    assert metric.reason == "another scanner model (A, then B); other voxels"
    assert kept[0].change_pct == -0.5


@pytest.mark.parametrize("name", list(DISAGREEMENT_PCT))
def test_disagreement_of_methods_is_flagged(name: str) -> None:
    """The span of the methods counts: up to the limit it passes, beyond it warns and says by how much."""
    limit = DISAGREEMENT_PCT[name]
    for spread, expected in ((limit - 0.01, "pass"), (limit + 0.01, "warn")):
        given = changes(name, segmentation=1.0, jacobian=1.0 + spread / 2, boundary=1.0 + spread)
        metric = verdict_of(judge_pair(given, 0.95, ())[0], f"{name.lower()}_disagreement_pct")
        assert metric.value == pytest.approx(spread)
        assert metric.verdict == expected
        assert (f"{spread:.2f} %" in metric.reason) is (expected == "warn")


def test_one_method_cannot_disagree() -> None:
    """Where only one method has a number there is nothing to compare."""
    metrics, _ = judge_pair(changes(segmentation=1.0, boundary=None), 0.95, ())
    assert [metric.name for metric in metrics] == ["alignment", "protocol_differences"]


@pytest.mark.parametrize(
    ("name", "ventricle", "covered", "usable", "words"),
    [
        ("FLAIR", 0.2, 1.0, True, ""),
        ("FLAIR", 0.85, 1.0, True, "ventricles are not dark"),
        ("FLAIR", 1.1, 1.0, False, "ventricles are not dark"),
        ("T2w", 2.2, 1.0, True, ""),
        ("T2w", 0.9, 1.0, False, "ventricles are not bright"),
        ("FLAIR", 0.2, 0.4, False, "covers only part of the brain"),
    ],
)
def test_contrast_that_shows_no_lesions(name: str, ventricle: float, covered: float, usable: bool, words: str) -> None:
    """An image that is not what its name says, or that covers half the brain, makes no lesions; volumes are kept."""
    shape = (20, 20, 20)
    normalised = np.ones(shape, np.float32)
    ventricles = np.zeros(shape, bool)
    ventricles[8:12, 8:12, 2:4] = True
    normalised[ventricles] = ventricle
    normalised[:, :, round(20 * covered) :] = np.nan
    metrics, believed = judge_contrast(name, normalised, np.ones(shape, bool), ventricles)
    assert believed is usable
    reasons = "; ".join(metric.reason for metric in metrics)
    assert words in reasons
    assert ("no lesions are claimed" in reasons) is not usable
    assert {metric.verdict for metric in metrics} <= {"pass", "warn"}
