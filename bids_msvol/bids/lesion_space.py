# SPDX-License-Identifier: Apache-2.0
"""Lesion masks of a cohort, found among the outputs of the participant level and carried into the template's space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.bids.images import load_mask_image
from bids_msvol.bids.names import SessionFiles, parse_name
from bids_msvol.errors import DataError

if TYPE_CHECKING:
    import nibabel as nib

HALF = 0.5
"""A voxel of the template is lesion if at least so much of it is."""


@dataclass(frozen=True)
class LesionFiles:
    """The lesion mask of a session and its way to the template.

    Attributes
    ----------
    mask
        Mask on the grid of the T1w.
    to_template
        ITK transform that resamples images of the T1w to the template.
    space
        BIDS name of the template.
    """

    mask: Path
    to_template: Path
    space: str


def find_lesion_files(root: Path, subject: str, session: str | None) -> LesionFiles | None:
    """Return the files of a session; ``None`` if lesions were not measured."""
    files = SessionFiles(root, subject, session)
    if not files.lesion_mask.is_file():
        return None
    for path in sorted(files.lesion_mask.parent.glob("*_from-T1w_to-*_xfm.h5")):
        space = parse_name(path.name)[0]["to"]
        if path == files.transform(space):
            return LesionFiles(files.lesion_mask, path, space)
    return None


def load_in_template(files: LesionFiles, grid: nib.Nifti1Image) -> NDArray[np.int64]:
    """Return which voxels of a grid in the template's space are lesion, as positions in the flattened grid.

    Raises
    ------
    NoInputError
        If the mask was not fetched.
    DataError
        If the mask or the transform is damaged.
    """
    import ants

    from bids_msvol.imaging.registration import to_ants

    mask = load_mask_image(files.mask)
    try:
        moved = ants.apply_transforms(
            fixed=to_ants(grid), moving=to_ants(mask), transformlist=[str(files.to_template)], interpolator="linear"
        )
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"cannot be used ({error})",
            remedy="Remove the file and run the participant again",
            subject=files.to_template,
        ) from error
    return np.flatnonzero(moved.numpy().ravel() >= HALF)
