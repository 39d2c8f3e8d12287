# SPDX-License-Identifier: Apache-2.0
"""Sample the anatomy of one person from the head atlas, which is an average, by smooth chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial, special

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import AIR, CSF
from bids_msvol.demo.randomfields import folded_field, smooth_noise

BORDER_SIGMA_MM = 4.0
"""Width of the chance that moves the borders of compact structures."""

BORDER_STRENGTH = 0.35
"""Its size, as a change of the log-probability."""

SHARPENING = 1.6
"""Power of the atlas's probabilities within folded tissue: the average is blurrier than any one brain."""

PROBABILITY_FLOOR = 0.5 / 255.0
"""A class is not placed where its probability is below this."""

SPECK_MM3 = 40.0
"""Pieces of a class smaller than this are given to their neighbours."""

THIN: dict[int, float] = {5: 1.8, 44: 1.8, 14: 1.3}
"""Factor on the probability of cavities so thin that an average hardly shows them."""


NECK_TOP_MM, NECK_BOTTOM_MM = -60.0, -75.0
"""Heights in template space between which the atlas runs out of people: there it mixes neck with nothing."""

NECK_AIR_WEIGHT = 0.3
"""Factor on the probability of air at the bottom, so that the neck goes on."""


@dataclass(frozen=True)
class FoldedTissue:
    """A brain part in which white matter, grey matter and fluid always follow one another.

    Attributes
    ----------
    white, gray
        Classes, left and right.
    wavelength_mm
        Distance from fold to fold.
    """

    white: tuple[int, int]
    gray: tuple[int, int]
    wavelength_mm: float

    @property
    def solid(self) -> tuple[int, ...]:
        """White and grey classes of both sides."""
        return (*self.white, *self.gray)


CEREBRUM = FoldedTissue(white=(2, 41), gray=(3, 42), wavelength_mm=12.0)
CEREBELLUM = FoldedTissue(white=(7, 46), gray=(8, 47), wavelength_mm=6.0)


def sample_anatomy(atlas: HeadAtlas, rng: np.random.Generator) -> nib.Nifti1Image:
    """Draw one person's label map.

    Compact structures take the places where they are most probable, with their borders moved by smooth chance. In
    cerebrum and cerebellum one folded field decides by rank: its lowest values become white matter, the next grey
    matter, the highest fluid, each in the share that the atlas gives at that point. So grey matter lies between white
    matter and fluid everywhere, gyri and sulci appear, and the volumes are those of the atlas on average.

    Parameters
    ----------
    atlas
        The atlas.
    rng
        Source of chance.

    Returns
    -------
    nibabel.Nifti1Image
        Class of every voxel, int16, on the grid of the atlas.
    """
    spacing = float(nib.affines.voxel_sizes(atlas.affine)[0])
    shape = atlas.maps.shape[1:]
    labels = np.full(shape, AIR, dtype=np.int16)
    score = np.full(shape, np.log(PROBABILITY_FLOOR), dtype=np.float32)
    moves = [smooth_noise(shape, spacing, BORDER_SIGMA_MM, rng) for _ in range(3)]
    mixed = {*CEREBRUM.solid, *CEREBELLUM.solid, CSF}
    for number, values in zip(atlas.classes, atlas.maps, strict=True):
        if number not in mixed:
            _compete(labels, score, number, values, _weights(number, atlas), moves, rng)
    near_cerebellum = _blurred(atlas, CEREBELLUM, spacing) > _blurred(atlas, CEREBRUM, spacing)
    for tissue, region in ((CEREBRUM, ~near_cerebellum), (CEREBELLUM, near_cerebellum)):
        folds = folded_field(shape, spacing, tissue.wavelength_mm, rng)
        _fold(labels, score, atlas, tissue, region, folds)
    _remove_specks(labels, round(SPECK_MM3 / spacing**3))
    return nib.Nifti1Image(labels, atlas.affine)


def _weights(number: int, atlas: HeadAtlas) -> NDArray[np.float32]:
    """Factor on a class's probability in each axial slice."""
    weights = np.full(atlas.maps.shape[3], THIN.get(number, 1.0), dtype=np.float32)
    if number == AIR:
        heights = atlas.affine[2, 2] * np.arange(len(weights)) + atlas.affine[2, 3]
        weights *= np.interp(heights, (NECK_BOTTOM_MM, NECK_TOP_MM), (NECK_AIR_WEIGHT, 1.0)).astype(np.float32)
    return weights


def _compete(
    labels: NDArray[np.int16],
    score: NDArray[np.float32],
    number: int,
    values: NDArray[np.uint8],
    weights: NDArray[np.float32],
    moves: Sequence[NDArray[np.float32]],
    rng: np.random.Generator,
) -> None:
    """Give a compact class the voxels where its log-probability, moved by its own mix of the fields, is the highest."""
    mix = rng.standard_normal(len(moves))
    mix *= BORDER_STRENGTH / np.linalg.norm(mix)
    box = _bounding_box(values > 0)
    if box is None:
        return
    probability = values[box] * (weights[box[2]] / np.float32(255.0))
    own = np.log(np.maximum(probability, np.float32(PROBABILITY_FLOOR / 2)))
    for share, move in zip(mix, moves, strict=True):
        own += np.float32(share) * move[box]
    won = (own > score[box]) & (values[box] > 0)
    score[box][won] = own[won]
    labels[box][won] = number


def _fold(
    labels: NDArray[np.int16],
    score: NDArray[np.float32],
    atlas: HeadAtlas,
    tissue: FoldedTissue,
    region: NDArray[np.bool_],
    folds: NDArray[np.float32],
) -> None:
    """Give a folded tissue the voxels where its parts together are the most probable, and divide them by rank."""
    white, gray = _summed(atlas, tissue.white), _summed(atlas, tissue.gray)
    fluid = np.where(region, _summed(atlas, (CSF,)), 0.0)
    total = np.log(np.maximum(white + gray + fluid, np.float32(PROBABILITY_FLOOR)))
    won = total > score
    score[won] = total[won]
    shares = np.stack([part[won] for part in (white, gray, fluid)]) ** np.float32(SHARPENING)
    shares /= shares.sum(axis=0)
    rank = special.ndtr(folds[won])
    right = (_summed(atlas, (tissue.white[1], tissue.gray[1])) > _summed(atlas, (tissue.white[0], tissue.gray[0])))[won]
    labels[won] = np.where(
        rank < shares[0],
        np.where(right, tissue.white[1], tissue.white[0]),
        np.where(rank < shares[0] + shares[1], np.where(right, tissue.gray[1], tissue.gray[0]), CSF),
    )


def _remove_specks(labels: NDArray[np.int16], smallest: int) -> None:
    """Give connected pieces of fewer than ``smallest`` voxels the class of the nearest voxel outside such pieces."""
    speck = np.zeros(labels.shape, dtype=bool)
    for number in np.unique(labels):
        box = _bounding_box(labels == number)
        if box is not None:
            pieces, _ = ndimage.label(labels[box] == number)
            small = np.bincount(pieces.ravel()) < smallest
            small[0] = False
            speck[box] |= small[pieces]
    around = ndimage.binary_dilation(speck) & ~speck
    if speck.any() and around.any():
        _, nearest = spatial.cKDTree(np.argwhere(around)).query(np.argwhere(speck))
        labels[speck] = labels[around][nearest]


def _summed(atlas: HeadAtlas, members: Sequence[int]) -> NDArray[np.float32]:
    return np.asarray(atlas.probability(members).dataobj, dtype=np.float32)


def _blurred(atlas: HeadAtlas, tissue: FoldedTissue, spacing: float) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(_summed(atlas, tissue.solid), BORDER_SIGMA_MM / spacing, truncate=3.0))


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    found = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if any(len(present) == 0 for present in found):
        return None
    x, y, z = (slice(int(present[0]), int(present[-1]) + 1) for present in found)
    return x, y, z
