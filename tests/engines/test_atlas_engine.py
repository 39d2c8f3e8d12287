# SPDX-License-Identifier: Apache-2.0
"""The engine chooses what to align with, and hands on what the segmentation found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.atlas.head import TEMPLATE_SPACE
from bids_msvol.atlas.labels import BRAIN, CLASSES, SOFT_TISSUE
from bids_msvol.engines import atlas_engine
from bids_msvol.engines.atlas_engine import HELD, POINT_SPACING_MM, AtlasEngine
from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.imaging.registration import TemplateTransform
from bids_msvol.imaging.structures import Segmentation
from bids_msvol.report.citations import find_cited
from tests.imaging.toyhead import SHAPE, toy_atlas, toy_labels

AFFINE = np.diag([1.0, 1.1, 1.0, 1.0])


@dataclass
class Calls:
    """What the engine passed on."""

    template: nib.Nifti1Image | None = None
    mask: nib.Nifti1Image | None = None
    seed: int | None = None
    segmented: dict[str, Any] = field(default_factory=dict)
    holds: list[float] = field(default_factory=list)
    bias_range_pct: float = 40.0


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace registration and segmentation by notes of how they were called."""
    noted = Calls()

    def register(subject: Any, template: Any, mask: Any, *, seed: int) -> TemplateTransform:
        noted.template, noted.mask, noted.seed = template, mask, seed
        return TemplateTransform(AFFINE)

    def found(image: nib.Nifti1Image, transform: TemplateTransform, seen: Any) -> Segmentation:
        mask = np.ones(image.shape, bool)
        model: Any = None
        posteriors = np.zeros((mask.size, len(CLASSES)), np.float32)
        return Segmentation(
            mask if seen is None else seen, mask, CLASSES, posteriors, model, transform, image, prior_agreement=0.8
        )

    def segment(
        image: nib.Nifti1Image, atlas: Any, affine: Any, *, skull_stripped: bool, seen: Any, hold: float = 0.0
    ) -> Segmentation:
        noted.segmented = {"atlas": atlas, "affine": affine, "skull_stripped": skull_stripped, "seen": seen}
        noted.holds.append(hold)
        return found(image, TemplateTransform(affine), seen)

    def segment_together(
        images: Any, atlas: Any, transforms: Any, *, skull_stripped: bool, seen: Any, hold: float
    ) -> Iterator[Segmentation]:
        noted.segmented = {"atlas": atlas, "skull_stripped": skull_stripped, "seen": seen}
        noted.holds.append(hold)
        yield from (found(*one) for one in zip(images, transforms, seen, strict=True))

    monkeypatch.setattr(atlas_engine, "register_affine", register)
    monkeypatch.setattr(atlas_engine, "segment", segment)
    monkeypatch.setattr(atlas_engine, "segment_together", segment_together)

    def diagnose(found: Segmentation) -> dict[str, float]:
        return {"prior_agreement": found.prior_agreement, "bias_range_pct": noted.bias_range_pct}

    monkeypatch.setattr(atlas_engine, "diagnose", diagnose)
    return noted


def image(*, skull_stripped: bool) -> nib.Nifti1Image:
    """Return the toy head, with noise in the air, or its brain on zeros."""
    labels = np.asarray(toy_labels().dataobj)
    data = (labels > 0).astype(np.float32)
    data += np.abs(np.random.default_rng(0).normal(0, 0.02, data.shape)).astype(np.float32)
    if skull_stripped:
        data *= np.isin(labels, BRAIN)
    return nib.Nifti1Image(100 * data, toy_labels().affine)


@pytest.mark.parametrize("skull_stripped", [True, False])
def test_template_is_of_the_image_s_kind(calls: Calls, skull_stripped: bool) -> None:
    """A brain without skull is aligned with a brain, a head with a head; the segmentation is told which."""
    found = AtlasEngine(toy_atlas())(image(skull_stripped=skull_stripped), seed=3)
    assert found.skull_stripped is skull_stripped
    assert found.diagnostics["skull_present"] == float(not skull_stripped)
    assert calls.segmented["skull_stripped"] is skull_stripped
    assert calls.template is not None
    skin = float(np.asarray(calls.template.dataobj)[np.asarray(toy_labels().dataobj) == SOFT_TISSUE].mean())
    assert (skin < 0.1) is skull_stripped
    assert ("brain-only" in found.sentences[0]) is skull_stripped


@pytest.mark.parametrize(("bias_range_pct", "holds"), [(149.0, [0.0, 0.0]), (151.0, [0.0, 0.01, 0.01])])
def test_field_that_runs_away_is_held(calls: Calls, bias_range_pct: float, holds: list[float]) -> None:
    """Where the brightness field is beyond belief the image is segmented again with the field held; so are visits."""
    calls.bias_range_pct = bias_range_pct
    engine = AtlasEngine(toy_atlas())
    base = engine(image(skull_stripped=False), seed=3)
    grid = nib.affines.from_matvec(np.eye(3) * 2.0, [-40.0, -40.0, -40.0])
    still = nib.Nifti1Image(np.zeros((40, 40, 40, 3), np.float32), grid)
    base = replace(base, to_template=TemplateTransform(AFFINE, still, still))
    list(engine.follow([image(skull_stripped=False)], base, [still], [np.ones(SHAPE, bool)]))
    assert calls.holds == holds
    assert any("held at one" in sentence for sentence in base.sentences) is (len(holds) == 3)


def test_alignment_looks_at_the_cavity_and_its_surroundings(calls: Calls) -> None:
    """The mask of the registration covers the cavity and the skull, but not the whole head."""
    found = AtlasEngine(toy_atlas()).align(image(skull_stripped=False), seed=3)
    assert np.array_equal(found, AFFINE)
    assert calls.seed == 3
    assert calls.mask is not None
    mask = np.asarray(calls.mask.dataobj) > 0
    cavity = np.asarray(toy_atlas().intracranial_mask().dataobj) > 0
    assert mask[cavity].all()
    assert cavity.sum() < mask.sum() < mask.size


def test_results_are_handed_on(calls: Calls) -> None:
    """Seed, atlas, affine, field of view and findings go through unchanged."""
    seen = np.zeros(SHAPE, bool)
    found = AtlasEngine(toy_atlas())(image(skull_stripped=False), seed=11, seen=seen)
    assert calls.seed == 11
    assert calls.segmented["atlas"] is toy_atlas()
    assert calls.segmented["seen"] is seen
    assert np.array_equal(calls.segmented["affine"], AFFINE)
    assert np.array_equal(found.to_template.affine, AFFINE)
    assert found.classes == CLASSES
    assert found.template_space == TEMPLATE_SPACE
    assert found.diagnostics == {"prior_agreement": 0.8, "bias_range_pct": 40.0, "skull_present": 1.0, "bias_held": 0.0}


def test_known_alignment_is_not_searched_again(calls: Calls) -> None:
    """An affine that is given is used, without a registration."""
    known = np.diag([1.0, 1.0, 0.9, 1.0])
    AtlasEngine(toy_atlas())(image(skull_stripped=False), seed=11, affine=known)
    assert calls.seed is None
    assert calls.segmented["affine"] is known


def test_points_for_alignment_lie_in_the_cavity() -> None:
    """Sessions are compared where the brain and its fluid are, at the distance that is said."""
    points = AtlasEngine(toy_atlas()).brain_points()
    voxels = nib.affines.apply_affine(np.linalg.inv(toy_atlas().affine), points).round().astype(int)
    assert (np.asarray(toy_atlas().intracranial_mask().dataobj)[tuple(voxels.T)] == 1).all()
    assert np.diff(np.unique(points[:, 0])) == pytest.approx(POINT_SPACING_MM)


def test_sessions_follow_the_mean_image(calls: Calls) -> None:
    """Each session goes through the mean's transform after its own displacement; no registration takes place."""
    t1w = image(skull_stripped=True)
    grid = nib.affines.from_matvec(np.eye(3) * 2.0, [-40.0, -40.0, -40.0])
    still = nib.Nifti1Image(np.zeros((40, 40, 40, 3), np.float32), grid)
    shifts = np.float32([[2.0, 0.0, -1.0], [0.0, -3.0, 0.0]])
    displacements = [nib.Nifti1Image(np.full((40, 40, 40, 3), shift), grid) for shift in shifts]
    base = StructurePosteriors(
        mask=np.ones(SHAPE, bool),
        classes=CLASSES,
        posteriors=np.zeros((0, len(CLASSES)), np.float32),
        corrected=t1w,
        to_template=TemplateTransform(AFFINE, still, still),
        template_space=TEMPLATE_SPACE,
        skull_stripped=True,
        diagnostics={HELD: 0.0},
        sentences=("The mean was segmented.",),
    )
    seen = [np.zeros(SHAPE, bool), np.ones(SHAPE, bool)]
    found = list(AtlasEngine(toy_atlas()).follow([t1w, t1w], base, displacements, seen))
    assert calls.seed is None
    assert calls.segmented["atlas"] is toy_atlas()
    assert calls.segmented["skull_stripped"] is True
    assert calls.segmented["seen"] is seen
    points = np.float32([[0.0, 0.0, 0.0], [5.0, -6.0, 7.0]])
    for one, shift in zip(found, shifts, strict=True):
        expected = base.to_template.subject_to_template(points + shift)
        assert one.to_template.subject_to_template(points) == pytest.approx(expected, abs=1e-3)
        assert one.sentences == base.sentences
        assert one.skull_stripped is True
        assert {name: one.diagnostics[name] for name in ("skull_present", HELD)} == {"skull_present": 0.0, HELD: 0.0}


def test_every_step_is_told_with_its_source(calls: Calls) -> None:
    """The methods text cites publications that the report can list in full."""
    found = AtlasEngine(toy_atlas())(image(skull_stripped=False), seed=1)
    keys = {reference.key for reference in find_cited(found.sentences)}
    sources = {"Avants 2011", "Van Leemput 1999", "Ashburner 2005", "Vercauteren 2009", "Billot 2023", "Fonov 2009"}
    assert sources <= keys
