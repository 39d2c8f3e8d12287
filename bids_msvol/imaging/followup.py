# SPDX-License-Identifier: Apache-2.0
"""How one session differs from the person's mean image: brightness first, then shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.imaging.deformation import Level, deform, invert, jacobian_determinant
from bids_msvol.imaging.grids import sample_trilinear, voxel_volume_mm3, world_points
from bids_msvol.structures import STRUCTURES

BRIGHTNESS_SIGMA_MM = 8.0
"""Width of the Gaussian that averages the ratio of two images: shorter than the field of an array of coils, longer than
a gyrus."""

FLAT_SHARE = 0.6
"""Share of the brain, where brightness varies least from voxel to voxel, that takes part in matching: where an edge has
moved, the ratio of two images tells of the tissue and not of the scanner."""

RIM_MM = 6.0
"""How far around the brain the shape is compared: fluid and the inside of the skull."""

NOISE = 0.1
"""Difference of brightness, relative to white matter, that is hardly a reason to move anything: a third of the step
from grey to white matter."""

LEVELS: tuple[Level, ...] = tuple(
    Level(size_mm, iterations, update_sigma=1.5, total_sigma=0.6, noise=NOISE)
    for size_mm, iterations in ((4.0, 20), (2.0, 20), (1.0, 12))
)
"""The sessions are aligned, so a few millimetres remain."""

BRIGHTEST = 1.3
"""Brightness, as a multiple of white matter's, above which all is alike: scalp and vessels."""

SOLID_SHARE = 0.95
"""Probability of brain tissue from which a voxel takes part in matching the brightness."""


def match_brightness(image: nib.Nifti1Image, reference: nib.Nifti1Image, solid: NDArray[np.bool_]) -> nib.Nifti1Image:
    """Take out of an image the smooth brightness in which it differs from an aligned reference.

    Parameters
    ----------
    image, reference
        T1w on one grid.
    solid
        (x, y, z) voxels where both show the same tissue.

    References
    ----------
    Lewis and Fox 2004, NeuroImage 23:75-83 (differential bias correction).
    """
    own, other = np.asarray(image.dataobj), np.asarray(reference.dataobj)
    used = solid & (own > 0) & (other > 0)
    slope = ndimage.gaussian_gradient_magnitude(other, 1.0)
    used &= slope <= np.quantile(slope[used], FLAT_SHARE)
    ratio = np.zeros(own.shape, dtype=np.float32)
    ratio[used] = np.log(own[used] / other[used])
    middle = np.float32(np.median(ratio[used]))
    # A change of tissue is no change of the scanner.
    used &= np.abs(ratio - middle) < 4.0 * 1.4826 * np.median(np.abs(ratio[used] - middle)) + 1e-6
    sigma = BRIGHTNESS_SIGMA_MM / np.asarray(nib.affines.voxel_sizes(image.affine))
    weight = ndimage.gaussian_filter(used.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(np.where(used, ratio - middle, np.float32(0.0)), sigma)
    field = middle + smooth / (weight + np.float32(1e-3))
    return nib.Nifti1Image((own * np.exp(-field)).astype(np.float32), image.affine)


def deform_to_session(
    mean: nib.Nifti1Image,
    session: nib.Nifti1Image,
    near: NDArray[np.bool_],
    white_brightness: float,
    levels: Sequence[Level] = LEVELS,
) -> nib.Nifti1Image:
    """Find ``v`` for which the session shows at ``x`` what the mean image shows at ``x + v(x)``.

    Parameters
    ----------
    mean, session
        T1w on one grid along the world's axes, matched in brightness.
    near
        (x, y, z) voxels to compare.
    white_brightness
        Brightness of white matter.
    levels
        Resolutions, coarse to fine; those finer than the grid are left out.

    Returns
    -------
    nibabel.Nifti1Image
        Displacement in mm (x, y, z, 3) on a grid around ``near``.
    """
    box = ndimage.find_objects(near.astype(np.int8))[0]
    affine = mean.affine @ nib.affines.from_matvec(np.eye(3), [part.start for part in box])
    spacing = float(nib.affines.voxel_sizes(affine)[0])
    weight = near[box].astype(np.float32)
    scaled = [
        np.minimum(np.asarray(image.dataobj)[box] / np.float32(white_brightness), np.float32(BRIGHTEST))[..., None]
        for image in (session, mean)
    ]
    usable = [level for level in levels if level.voxel_size_mm > 0.75 * spacing]
    return deform(scaled[0], scaled[1], affine, levels=usable, weight=weight)


def volumes_by_jacobian_mm3(
    posteriors: NDArray[np.float32],
    mask: NDArray[np.bool_],
    classes: Sequence[int],
    affine: NDArray[np.float64],
    displacement: nib.Nifti1Image,
) -> Mapping[int, float]:
    """Volume of each structure of the mean image after the deformation to a session.

    Parameters
    ----------
    posteriors, mask, classes
        Structures of the mean image: (voxel, class), (x, y, z).
    affine
        Of its grid.
    displacement
        From `deform_to_session`.
    """
    forward = invert(displacement)
    determinant = jacobian_determinant(forward)
    points = world_points(mask, affine)
    inverse = np.linalg.inv(forward.affine).astype(np.float32)
    growth = sample_trilinear(determinant, points @ inverse[:3, :3].T + inverse[:3, 3])
    sums = growth.astype(np.float64) @ posteriors * voxel_volume_mm3(affine)
    return {structure.index: float(sums[classes.index(structure.index)]) for structure in STRUCTURES}


def solid_brain(found: StructurePosteriors) -> NDArray[np.bool_]:
    """Voxels (x, y, z) that are surely brain tissue."""
    return _brain_probability(found) > SOLID_SHARE


def near_brain(found: StructurePosteriors) -> NDArray[np.bool_]:
    """Voxels (x, y, z) of the brain and a rim around it."""
    spacing_mm = nib.affines.voxel_sizes(found.corrected.affine)
    return np.asarray(ndimage.distance_transform_edt(_brain_probability(found) < 0.5, spacing_mm) <= RIM_MM)


def white_brightness(found: StructurePosteriors) -> float:
    """Median brightness of cerebral white matter on the corrected image."""
    share = found.posteriors[:, [found.classes.index(2), found.classes.index(41)]].sum(axis=1)
    return float(np.median(np.asarray(found.corrected.dataobj)[found.mask][share > SOLID_SHARE]))


def _brain_probability(found: StructurePosteriors) -> NDArray[np.float32]:
    columns = [found.classes.index(item.index) for item in STRUCTURES if item.tissue != "CSF"]
    result = np.zeros(found.mask.shape, dtype=np.float32)
    result[found.mask] = found.posteriors[:, columns].sum(axis=1)
    return result
