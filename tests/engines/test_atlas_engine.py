# SPDX-License-Identifier: Apache-2.0
"""The engine chooses what to align with, and hands on what the segmentation found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.atlas.head import TEMPLATE_SPACE
from bids_msvol.atlas.labels import BRAIN, CLASSES, SOFT_TISSUE
from bids_msvol.engines import atlas_engine
from bids_msvol.engines.atlas_engine import AtlasEngine
from bids_msvol.imaging.registration import TemplateTransform
from bids_msvol.imaging.structures import Segmentation
from bids_msvol.report.references import find_cited
from tests.imaging.toyhead import toy_atlas, toy_labels

AFFINE = np.diag([1.0, 1.1, 1.0, 1.0])


@dataclass
class Calls:
    """What the engine passed on."""

    template: nib.Nifti1Image | None = None
    mask: nib.Nifti1Image | None = None
    seed: int | None = None
    segmented: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace registration and segmentation by notes of how they were called."""
    noted = Calls()

    def register(subject: Any, template: Any, mask: Any, *, seed: int) -> TemplateTransform:
        noted.template, noted.mask, noted.seed = template, mask, seed
        return TemplateTransform(AFFINE)

    def segment(image: nib.Nifti1Image, atlas: Any, affine: Any, *, skull_stripped: bool) -> Segmentation:
        noted.segmented = {"atlas": atlas, "affine": affine, "skull_stripped": skull_stripped}
        mask = np.ones(image.shape, bool)
        model: Any = None
        return Segmentation(
            mask, CLASSES, np.zeros((mask.size, len(CLASSES)), np.float32), model, TemplateTransform(affine), image, 0.8
        )

    monkeypatch.setattr(atlas_engine, "register_affine", register)
    monkeypatch.setattr(atlas_engine, "segment", segment)
    monkeypatch.setattr(atlas_engine, "diagnose", lambda found: {"prior_agreement": found.prior_agreement})
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


def test_alignment_looks_at_the_cavity_and_its_surroundings(calls: Calls) -> None:
    """The mask of the registration covers the cavity and the skull, but not the whole head."""
    AtlasEngine(toy_atlas())(image(skull_stripped=False), seed=3)
    assert calls.mask is not None
    mask = np.asarray(calls.mask.dataobj) > 0
    cavity = np.asarray(toy_atlas().intracranial_mask().dataobj) > 0
    assert mask[cavity].all()
    assert cavity.sum() < mask.sum() < mask.size


def test_results_are_handed_on(calls: Calls) -> None:
    """Seed, atlas, affine and findings go through unchanged."""
    found = AtlasEngine(toy_atlas())(image(skull_stripped=False), seed=11)
    assert calls.seed == 11
    assert calls.segmented["atlas"] is toy_atlas()
    assert np.array_equal(calls.segmented["affine"], AFFINE)
    assert np.array_equal(found.to_template.affine, AFFINE)
    assert found.classes == CLASSES
    assert found.template_space == TEMPLATE_SPACE
    assert found.diagnostics == {"prior_agreement": 0.8, "skull_present": 1.0}


def test_every_step_is_told_with_its_source(calls: Calls) -> None:
    """The methods text cites publications that the report can list in full."""
    found = AtlasEngine(toy_atlas())(image(skull_stripped=False), seed=1)
    keys = {reference.key for reference in find_cited(found.sentences)}
    sources = {"Avants 2011", "Van Leemput 1999", "Ashburner 2005", "Vercauteren 2009", "Billot 2023", "Fonov 2009"}
    assert sources <= keys
