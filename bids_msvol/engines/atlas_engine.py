# SPDX-License-Identifier: Apache-2.0
"""The default engine: the head atlas and a brightness model, no training on images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.atlas.head import TEMPLATE_SPACE, TYPICAL_T1W_INTENSITY, HeadAtlas, coarsen_atlas, load_atlas
from bids_msvol.atlas.labels import BRAIN
from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.imaging.brain import is_skull_stripped
from bids_msvol.imaging.expectation import TissueExpectation, expect_tissues
from bids_msvol.imaging.quality import diagnose
from bids_msvol.imaging.registration import follow_displacement, register_affine
from bids_msvol.imaging.structures import Segmentation, segment, segment_together

CAVITY_MARGIN_MM = 16.0
"""How far around the cavity the affine registration looks: skull and scalp, neither face nor neck."""

BRAIN_MARGIN_MM = 4.0
"""The same around a brain without skull."""

RUNAWAY_PCT = 150.0
"""Range of the brightness field over the brain from which the image is segmented again with the field held."""

FIELD_HOLD = 0.01
"""Then voxels without tissue ask for a field of one with this weight, relative to tissue. In a synthetic head with very
wide sulci the brain came out 0.3 % too large with it, and 11 to 21 % without. It is not used on every head, since it
also damps strong fields of real coils."""

HELD = "bias_held"
"""Diagnostic that is 1 where the field was held."""

POINT_SPACING_MM = 2.0
"""Distance of the points at which a person's sessions are compared to align them."""


@dataclass(frozen=True)
class AtlasEngine:
    """Deform the atlas onto the image and fit tissue brightness, in turn.

    Attributes
    ----------
    atlas
        The atlas; the shipped one if ``None``.
    """

    atlas: HeadAtlas | None = None

    def brain_points(self) -> NDArray[np.float64]:
        """Return points of the template's brain; see `StructureEngine`."""
        return (self.atlas if self.atlas is not None else load_atlas()).brain_points(POINT_SPACING_MM)

    def align(self, t1w: nib.Nifti1Image, *, seed: int) -> NDArray[np.float64]:
        """Align the template with a T1w image; see `StructureEngine`."""
        atlas = self._atlas_for(t1w)
        spacing_mm = float(nib.affines.voxel_sizes(atlas.affine)[0])
        skull_stripped = is_skull_stripped(t1w)
        template = atlas.expected_image(TYPICAL_T1W_INTENSITY, BRAIN if skull_stripped else None)
        margin_mm = BRAIN_MARGIN_MM if skull_stripped else CAVITY_MARGIN_MM
        beyond = np.asarray(atlas.intracranial_mask().dataobj) == 0
        near = (ndimage.distance_transform_edt(beyond, spacing_mm) <= margin_mm).astype(np.float32)
        return register_affine(t1w, template, nib.Nifti1Image(near, template.affine), seed=seed).affine

    def __call__(
        self,
        t1w: nib.Nifti1Image,
        *,
        seed: int,
        affine: NDArray[np.float64] | None = None,
        seen: NDArray[np.bool_] | None = None,
    ) -> StructurePosteriors:
        """Segment a conformed T1w image; see `StructureEngine`."""
        skull_stripped = is_skull_stripped(t1w)
        affine = self.align(t1w, seed=seed) if affine is None else affine
        atlas = self._atlas_for(t1w)
        found = segment(t1w, atlas, affine, skull_stripped=skull_stripped, seen=seen)
        held = diagnose(found)["bias_range_pct"] > RUNAWAY_PCT
        if held:
            found = segment(t1w, atlas, affine, skull_stripped=skull_stripped, seen=seen, hold=FIELD_HOLD)
        return _posteriors(found, skull_stripped, _sentences(skull_stripped, held), held)

    def expect(self, structures: StructurePosteriors) -> TissueExpectation:
        """Sample the deformed atlas; see `StructureEngine`."""
        return expect_tissues(structures, self._atlas_for(structures.corrected))

    def follow(
        self,
        images: Sequence[nib.Nifti1Image],
        base: StructurePosteriors,
        displacements: Sequence[nib.Nifti1Image],
        seen: Sequence[NDArray[np.bool_]],
    ) -> Iterator[StructurePosteriors]:
        """Segment the sessions of a person with the deformation of their mean image; see `StructureEngine`."""
        transforms = [follow_displacement(base.to_template, displacement) for displacement in displacements]
        atlas = self._atlas_for(images[0])
        held = bool(base.diagnostics[HELD])
        for found in segment_together(
            images,
            atlas,
            transforms,
            skull_stripped=base.skull_stripped,
            seen=seen,
            hold=FIELD_HOLD if held else 0.0,
        ):
            yield _posteriors(found, base.skull_stripped, base.sentences, held)
            del found  # its posteriors are large, and the next session's are to come

    def _atlas_for(self, t1w: nib.Nifti1Image) -> HeadAtlas:
        atlas = self.atlas if self.atlas is not None else load_atlas()
        return coarsen_atlas(atlas, float(min(nib.affines.voxel_sizes(t1w.affine))))


def _posteriors(
    found: Segmentation, skull_stripped: bool, sentences: tuple[str, ...], held: bool
) -> StructurePosteriors:
    return StructurePosteriors(
        mask=found.mask,
        classes=found.classes,
        posteriors=found.posteriors,
        corrected=found.corrected,
        to_template=found.transform,
        template_space=TEMPLATE_SPACE,
        skull_stripped=skull_stripped,
        diagnostics={**diagnose(found), "skull_present": float(not skull_stripped), HELD: float(held)},
        sentences=sentences,
    )


def _sentences(skull_stripped: bool, held: bool) -> tuple[str, ...]:
    holding = ", the field held at one where there was no tissue" if held else ""
    target = "brain-only template, the input having been skull-stripped" if skull_stripped else "whole-head template"
    return (
        f"The image was aligned with a {target} in MNI152 space (Fonov 2009), drawn from the probabilistic head "
        "atlas of the program, by an exhaustive search for the pose and an affine transform that maximises mutual "
        "information (ANTs; Avants 2011).",
        "Tissue brightness and a smooth multiplicative bias field were estimated together by expectation-maximisation "
        "of a Gaussian mixture under the priors of the atlas, with voxels that two tissues share (Van Leemput 1999; "
        f"Van Leemput 2003; Ashburner 2005){holding}.",
        "The atlas was deformed onto the image by a diffeomorphic registration of nine tissue probability maps "
        "(Vercauteren 2009), in alternation with the brightness model.",
        "Each voxel received the posterior probability of every structure from its brightness, the deformed priors and "
        "its neighbours; the priors were learned from the whole-head label maps published with SynthSeg (Billot 2023) "
        "and follow the naming of FreeSurfer (Fischl 2002).",
    )
