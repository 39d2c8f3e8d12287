# SPDX-License-Identifier: Apache-2.0
"""The one interface of every segmentation engine: an image in, structure posteriors out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.imaging.registration import TemplateTransform

if TYPE_CHECKING:
    from bids_msvol.imaging.expectation import TissueExpectation


@dataclass(frozen=True, eq=False)
class StructurePosteriors:
    """What an engine returns.

    Attributes
    ----------
    mask
        (x, y, z) voxels that the engine looked at.
    classes
        Class numbers (FreeSurfer's; others are not measured) in the order of ``posteriors``.
    posteriors
        (voxel of the mask in C order, class), float32, rows sum to one.
    corrected
        Bias-corrected image on the same grid.
    to_template
        Transform between the template and the image.
    template_space
        BIDS name of the template.
    skull_stripped
        Whether the input had no skull left.
    diagnostics
        Numbers for the quality table, by metric name.
    sentences
        Methods text, one sentence for each step.
    """

    mask: NDArray[np.bool_]
    classes: tuple[int, ...]
    posteriors: NDArray[np.float32]
    corrected: nib.Nifti1Image
    to_template: TemplateTransform
    template_space: str
    skull_stripped: bool
    diagnostics: Mapping[str, float]
    sentences: tuple[str, ...]


class StructureEngine(Protocol):
    """Anything that turns a T1w image into structure posteriors."""

    def brain_points(self) -> NDArray[np.float64]:
        """Return points (n, 3) of the template, mm, by which a person's sessions are aligned."""
        ...

    def align(self, t1w: nib.Nifti1Image, *, seed: int) -> NDArray[np.float64]:
        """Return the (4, 4) affine from the template to a conformed T1w image, world mm."""
        ...

    def __call__(
        self,
        t1w: nib.Nifti1Image,
        *,
        seed: int,
        affine: NDArray[np.float64] | None = None,
        seen: NDArray[np.bool_] | None = None,
    ) -> StructurePosteriors:
        """Segment a conformed T1w image (RAS, isotropic).

        Parameters
        ----------
        t1w
            The image.
        seed
            Seed of all chance.
        affine
            From the template to the image, if known.
        seen
            (x, y, z) voxels inside the field of view; all of them if not given.
        """
        ...

    def expect(self, structures: StructurePosteriors) -> TissueExpectation:
        """Return what normal tissue is expected where, given what the engine found."""
        ...

    def follow(
        self,
        images: Sequence[nib.Nifti1Image],
        base: StructurePosteriors,
        displacements: Sequence[nib.Nifti1Image],
        seen: Sequence[NDArray[np.bool_]],
    ) -> Iterator[StructurePosteriors]:
        """Segment the sessions of a person from what is known of their mean image, one after the other.

        Parameters
        ----------
        images
            T1w of each session, on the grid of the mean image and matched to it in brightness.
        base
            Structures of the mean image.
        displacements
            For each session ``v`` in mm: it shows at ``p`` what the mean image shows at ``p + v(p)``.
        seen
            For each session, (x, y, z) voxels inside its field of view.
        """
        ...
