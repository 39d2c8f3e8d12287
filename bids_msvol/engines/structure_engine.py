# SPDX-License-Identifier: Apache-2.0
"""The one interface of every segmentation engine: an image in, structure posteriors out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.imaging.registration import TemplateTransform


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

    def __call__(self, t1w: nib.Nifti1Image, *, seed: int) -> StructurePosteriors:
        """Segment a conformed T1w image (RAS, isotropic)."""
        ...
