# SPDX-License-Identifier: Apache-2.0
"""Skull-stripped input is told from whole heads; the brain mask is one piece without holes."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.imaging.brain import brain_mask, is_skull_stripped
from tests.imaging.phantoms import mesh

SPACING_MM = 4.0
SHAPE = (56, 60, 56)


def head(radius_mm: float, background: float = 0.0, noise: float = 0.0) -> nib.Nifti1Image:
    """Return a ball of bright voxels on a background."""
    center = (np.array(SHAPE) - 1) / 2
    distance = np.sqrt(sum((axis - middle) ** 2 for axis, middle in zip(mesh(SHAPE), center, strict=True))) * SPACING_MM
    rng = np.random.default_rng(0)
    data = np.where(distance < radius_mm, 300.0 + 40.0 * rng.standard_normal(SHAPE), background)
    data = np.hypot(data + noise * rng.standard_normal(SHAPE), noise * rng.standard_normal(SHAPE)) if noise else data
    return nib.Nifti1Image(data.astype(np.float32), np.diag([SPACING_MM] * 3 + [1.0]))


@pytest.mark.parametrize(
    ("image", "stripped"),
    [
        (head(70.0), True),
        (head(70.0, background=-12.0), True),
        (head(70.0, background=5.0, noise=6.0), False),
        (head(105.0, background=5.0, noise=6.0), False),
        (head(105.0), False),
    ],
    ids=["brain on zeros", "brain on a constant", "brain-sized head with noise", "head with noise", "head on zeros"],
)
def test_skull_stripped(image: nib.Nifti1Image, stripped: bool) -> None:
    """Only a brain-sized object on a background of one value counts: a defaced head on zeros does not."""
    assert is_skull_stripped(image) is stripped


def test_thin_slab_of_a_head_is_not_a_stripped_brain() -> None:
    """Thick slices of part of a head on zeros hold no more signal than a brain, but they show the scalp."""
    image = head(95.0)
    data = np.asarray(image.dataobj).copy()
    data[:, :, :18] = 0.0
    data[:, :, 42:] = 0.0
    slab = nib.Nifti1Image(data[:, :, 18:42], image.affine)
    assert is_skull_stripped(slab)
    scalp = data * np.where(data > 0, 1.0 + 2.0 * (np.asarray(head(87.0).dataobj) == 0), 0.0)
    assert not is_skull_stripped(nib.Nifti1Image(scalp[:, :, 18:42].astype(np.float32), image.affine))


def test_undershoot_of_interpolation_is_background() -> None:
    """Values below zero around the brain, as windowed sinc leaves them, do not make the background uneven."""
    image = head(70.0)
    data = np.asarray(image.dataobj).copy()
    data[0, 0, 0] = -50.0
    assert is_skull_stripped(nib.Nifti1Image(data, image.affine))


def test_blurred_rim_does_not_hide_that_the_skull_was_removed() -> None:
    """Interpolation leaves faint voxels around the brain; they are background."""
    image = head(70.0)
    data = np.asarray(image.dataobj).copy()
    data[data == 0] = np.random.default_rng(1).uniform(0, 0.05, int((data == 0).sum()))
    assert is_skull_stripped(nib.Nifti1Image(data, image.affine))


def test_mask_is_the_largest_piece_with_its_ventricles() -> None:
    """A ventricle inside the brain is filled; an eye outside is dropped."""
    probability = np.zeros((20, 20, 20), dtype=np.float32)
    probability[4:14, 4:14, 4:14] = 0.9
    probability[8:10, 8:10, 8:10] = 0.05
    probability[16:19, 16:19, 16:19] = 0.9
    mask = brain_mask(probability)
    expected = np.zeros_like(mask)
    expected[4:14, 4:14, 4:14] = True
    assert np.array_equal(mask, expected)


def test_no_brain_gives_an_empty_mask() -> None:
    """Without any brain there is no mask, and no error."""
    assert not brain_mask(np.full((5, 5, 5), 0.1, dtype=np.float32)).any()
