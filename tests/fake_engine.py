# SPDX-License-Identifier: Apache-2.0
"""An engine for tests, which needs no atlas and no time, and heads that it can measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.imaging.expectation import TissueExpectation
from bids_msvol.imaging.normal_tissue import NORMAL_TISSUES, WHITE
from bids_msvol.imaging.quality import PLAUSIBLE_MM3
from bids_msvol.imaging.registration import TemplateTransform
from bids_msvol.structures import STRUCTURES
from tests.bids.skeleton import HEAD_SHAPE, head_image

SHARES = {
    structure.index: float(np.mean(PLAUSIBLE_MM3[structure.name.removeprefix("Left-").removeprefix("Right-")]))
    for structure in STRUCTURES
}
"""Size of each structure in an ordinary head."""

LEAST_BRIGHTNESS = 100.0
"""What is darker is no part of the head."""


def made_up_head(seed: int = 0, gain: float = 1.0, hole: tuple[slice, slice, slice] | None = None) -> nib.Nifti1Image:
    """Return a head with a texture of its own and noise by chance; a hole in it is as dark as the background."""
    image = head_image()
    inside = np.asarray(image.dataobj) > LEAST_BRIGHTNESS
    texture = ndimage.gaussian_filter(np.random.default_rng(99).standard_normal(HEAD_SHAPE), 1.5)
    data = np.where(inside, 500.0 * np.exp(0.1 * texture / texture.std()), 10.0)
    if hole is not None:
        data[hole] = 10.0
    data += np.random.default_rng(seed).normal(0.0, 4.0, HEAD_SHAPE)
    return nib.Nifti1Image((gain * np.maximum(data, 0.0)).astype(np.int16), image.affine)


class FakeEngine:
    """Cuts the bright part of an image into slabs, one for each structure, in the shares of an ordinary head.

    The template is the head as it lies. A session that follows keeps the slabs, less what is dark or not seen in it.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.seeds: list[int] = []
        self.diagnostics: Mapping[str, float] = {"cnr_gm_wm": 3.0, "snr_wm": 20.0}

    def brain_points(self) -> NDArray[np.float64]:
        """Return points of the head, two voxels apart."""
        image = head_image()
        inside = np.asarray(image.dataobj)[::2, ::2, ::2] > LEAST_BRIGHTNESS
        return np.asarray(nib.affines.apply_affine(image.affine, 2 * np.argwhere(inside)))

    def align(self, t1w: nib.Nifti1Image, *, seed: int) -> NDArray[np.float64]:
        """Return no movement."""
        self.calls.append("align")
        return np.eye(4)

    def __call__(
        self,
        t1w: nib.Nifti1Image,
        *,
        seed: int,
        affine: NDArray[np.float64] | None = None,
        seen: NDArray[np.bool_] | None = None,
    ) -> StructurePosteriors:
        """Find one slab after the other along the first axis."""
        self.calls.append("segment")
        self.seeds.append(seed)
        mask = np.asarray(t1w.dataobj) > LEAST_BRIGHTNESS
        count = int(mask.sum())
        ends = np.round(np.cumsum(list(SHARES.values())) / sum(SHARES.values()) * count)
        owner = np.searchsorted(ends, np.arange(count), side="right")
        return StructurePosteriors(
            mask=mask,
            classes=tuple(SHARES),
            posteriors=np.eye(len(SHARES), dtype=np.float32)[owner],
            corrected=t1w,
            to_template=TemplateTransform(np.eye(4)),
            template_space="MNI152NLin2009aSym",
            skull_stripped=False,
            diagnostics=self.diagnostics,
            sentences=("The engine looked at the image.",),
        )

    def expect(self, structures: StructurePosteriors) -> TissueExpectation:
        """Expect in each slab its own tissue."""
        white = [structures.classes.index(number) for number in (2, 41)]
        share = structures.posteriors[:, white].sum(axis=1)
        tissues = np.zeros((len(share), len(NORMAL_TISSUES)), dtype=np.float32)
        tissues[:, WHITE], tissues[:, WHITE + 3] = share, 1.0 - share
        nothing = np.zeros_like(share)
        return TissueExpectation(structures.mask, tissues, np.ones_like(share), nothing, nothing, nothing)

    def follow(
        self,
        images: Sequence[nib.Nifti1Image],
        base: StructurePosteriors,
        displacements: Sequence[nib.Nifti1Image],
        seen: Sequence[NDArray[np.bool_]],
    ) -> Iterator[StructurePosteriors]:
        """Keep the slabs where a session is bright."""
        for image, visible in zip(images, seen, strict=True):
            self.calls.append("follow")
            data = np.asarray(image.dataobj)
            kept = visible & (data > 0.5 * np.median(data[base.mask]))
            posteriors = base.posteriors[kept[base.mask]]
            yield replace(base, mask=base.mask & kept, posteriors=posteriors, corrected=image)
