# SPDX-License-Identifier: Apache-2.0
"""The program's engine for the toy head."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.engines.atlas_engine import AtlasEngine
from tests.imaging.toyhead import toy_atlas, toy_labels


class ToyEngine(AtlasEngine):
    """The program's engine with the atlas of the toy head; only the first alignment is a mere shift."""

    def __init__(self) -> None:
        super().__init__(toy_atlas())

    def align(self, t1w: nib.Nifti1Image, *, seed: int) -> NDArray[np.float64]:
        """Put the bright part of the template on that of the image."""
        template = nib.Nifti1Image((np.asarray(toy_labels().dataobj) > 0).astype(np.float32), toy_labels().affine)
        centers = []
        for image in (template, t1w):
            data = np.asarray(image.dataobj)
            centers.append(nib.affines.apply_affine(image.affine, ndimage.center_of_mass(data > 0.2 * data.max())))
        return nib.affines.from_matvec(np.eye(3), centers[1] - centers[0])
