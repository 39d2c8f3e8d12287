# SPDX-License-Identifier: Apache-2.0
"""The images behind the pictures of lesions: what they are drawn on, and their numbers, on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.errors import DataError, NoInputError
from bids_msvol.lesion_terms import LESION_CONTRASTS
from bids_msvol.report.slices import Volume, compute_window, load_canonical

if TYPE_CHECKING:
    import nibabel as nib

    from bids_msvol.bids.load import SessionOutputs

WINDOWS: Mapping[str, tuple[float, float]] = {"FLAIR": (0.3, 1.9), "T2w": (0.3, 3.2)}
"""Intensities shown as black and as white where normal white matter is 1: the same for every session, so that a lesion
does not seem to change because its picture was scaled. Fluid on T2w and the brightest lesions on FLAIR reach white."""

LESION_COLOR = "#00d5ff"
"""Colour of the line around a lesion."""
ENHANCING_COLOR = "#ffd400"
"""Colour of the line around what takes up contrast agent; told apart from the other without seeing red or green."""

SAME_PLACE_MM = 0.01
"""Grids whose affines differ by less than this are one grid; files hold them as rounded numbers."""


@dataclass(frozen=True, eq=False)
class LesionImages:
    """The images of one session.

    Attributes
    ----------
    contrast
        What is shown: ``FLAIR``, ``T2w`` or ``T1w``.
    shown
        Its intensities.
    window
        Intensities shown as black and as white.
    brain
        Nonzero inside the brain.
    lesions, enhancement
        Lesions by number, zero elsewhere; all zero where there are none or none could be measured.
    """

    contrast: str
    shown: Volume
    window: tuple[float, float]
    brain: Volume
    lesions: Volume
    enhancement: Volume


def load_lesion_images(session: SessionOutputs, contrast: str = "") -> LesionImages:
    """Load the images of a session.

    Parameters
    ----------
    session
        Its outputs.
    contrast
        What to show; if empty, what its lesions were found on, or else the best there is, at worst the T1w.

    Raises
    ------
    NoInputError
        If a file is not there.
    DataError
        If the images do not lie on one grid.
    """
    name, image = _load_shown(session, contrast)
    shown = load_canonical(image, np.float32)
    brain = load_canonical(session.load_brain_mask(), np.uint8)
    numbers = []
    for numbered in (session.load_lesions(), session.load_enhancement()):
        numbers.append(_nothing_on(shown) if numbered is None else load_canonical(numbered, np.int32))
    for other in (brain, *numbers):
        check_same_grid(shown, other, session)
    window = WINDOWS.get(name) or compute_window(shown, brain)
    return LesionImages(name, shown, window, brain, *numbers)


def check_same_grid(first: Volume, second: Volume, session: SessionOutputs) -> None:
    """Check that two volumes have the same voxels.

    Raises
    ------
    DataError
        If they do not; ``session`` is named in it.
    """
    same_shape = first.data.shape == second.data.shape
    if not same_shape or not np.allclose(first.affine, second.affine, atol=SAME_PLACE_MM):
        raise DataError(
            "the images of the lesions do not lie on one grid",
            remedy="Remove the outputs of the participant and run it again",
            subject=session.files.lesions.name,
        )


def _load_shown(session: SessionOutputs, contrast: str) -> tuple[str, nib.Nifti1Image]:
    source = str(session.lesion_summary["source"].iloc[0])
    for name in (contrast,) if contrast else dict.fromkeys((source, *LESION_CONTRASTS)):
        # The source may be the path of a mask that was given.
        image = session.load_contrast(name) if name in LESION_CONTRASTS else None
        if image is not None:
            return name, image
    if contrast:
        raise NoInputError(
            "does not exist", remedy="Run the participant level again", subject=f"{contrast} of session {session.label}"
        )
    return "T1w", session.load_t1w()


def _nothing_on(volume: Volume) -> Volume:
    return Volume(np.zeros(volume.data.shape, np.int32), volume.affine, volume.spacing)
