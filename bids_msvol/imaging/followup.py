# SPDX-License-Identifier: Apache-2.0
"""How one session differs from the person's mean image: brightness first, then shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.engines.structure_engine import StructurePosteriors
from bids_msvol.imaging.bias import fit_bias, flat_field
from bids_msvol.imaging.deformation import Level, deform, invert, jacobian_determinant
from bids_msvol.imaging.grids import sample_cubic, sample_trilinear, voxel_volume_mm3, world_points
from bids_msvol.imaging.registration import sample_field
from bids_msvol.structures import STRUCTURES

DEEP_MM = 2.0
"""White matter this far from any other tissue takes part in matching the brightness. Nearer to an edge, and all through
the cortex, brightness tells of the tissue: where sulci widen, the cortex darkens, and a field that follows it hides up
to a third of the change."""

FIELD_STIFFNESS = 0.003
"""Weight of the bending energy of the field in which two sessions differ, per voxel of data. A field that bends more
easily carries the noise of deep white matter, enlarged, to the cortex; ten times this and it no longer follows."""

FIELD_ROUNDS = 3
"""Fits of the field, each with outliers of the one before counting less."""

OUTLIER = 4.0
"""Deviation, in robust standard deviations, from which a voxel has no say: lesions, vessels."""

RIM_MM = 6.0
"""How far around the brain the shape is compared: fluid and the inside of the skull."""

NOISE = 0.05
"""Difference of brightness, relative to white matter, that is hardly a reason to move anything: a third of the step
from the thalamus to the white matter beside it."""

ROUGH, FINE = (
    tuple(
        Level(size_mm, iterations, update_sigma=1.0, total_sigma=0.35, noise=NOISE, cubic=True)
        for size_mm, iterations in schedule
    )
    for schedule in (((4.0, 20), (2.0, 20)), ((1.0, 12),))
)
"""The sessions are aligned, so a few millimetres remain."""

BRIGHTEST = 1.3
"""Brightness, as a multiple of white matter's, above which all is alike: scalp and vessels."""

SURE_SHARE = 0.95
"""Probability from which a voxel is surely white matter."""

WHITE_MATTER = (2, 41, 7, 46, 16)
"""Cerebral and cerebellar white matter and brainstem, by FreeSurfer number."""

LEAST_DEEP_VOXELS = 3000
"""Fewest voxels of deep white matter from which a field is estimated."""


def follow_session(
    mean: nib.Nifti1Image,
    session: nib.Nifti1Image,
    deep: NDArray[np.bool_],
    near: NDArray[np.bool_],
    white_brightness: float,
) -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    """Match a session to the mean image in brightness, and find the displacement from it to the mean image.

    Where tissue shrinks, a place shows what lay further out before, which is brighter or darker by itself. A field
    fitted to that difference, and carried on to the cortex, moves the border of the white matter by a fifth of its way.
    So brightness is matched a second time, to the mean image as far as it has been deformed by then.

    Parameters
    ----------
    mean, session
        T1w on one grid along the world's axes.
    deep
        (x, y, z) voxels of white matter far from any edge.
    near
        (x, y, z) voxels whose shape is compared.
    white_brightness
        Brightness of white matter on the mean image.

    Returns
    -------
    matched : nibabel.Nifti1Image
        The session in the brightness of the mean image.
    displacement : nibabel.Nifti1Image
        See `deform_to_session`.
    """
    matched = match_brightness(session, mean, deep)
    rough = deform_to_session(mean, matched, near, white_brightness, ROUGH)
    matched = match_brightness(session, _moved(mean, rough, deep), deep)
    return matched, deform_to_session(mean, matched, near, white_brightness, FINE, start=rough)


def match_brightness(image: nib.Nifti1Image, reference: nib.Nifti1Image, deep: NDArray[np.bool_]) -> nib.Nifti1Image:
    """Take out of an image the smooth brightness in which it differs from an aligned reference.

    Parameters
    ----------
    image, reference
        T1w on one grid.
    deep
        (x, y, z) voxels where both show the same tissue, far from any edge.

    Raises
    ------
    ValueError
        If there is no such voxel.

    References
    ----------
    Lewis and Fox 2004, NeuroImage 23:75-83 (differential bias correction).
    """
    own, other = np.asarray(image.dataobj), np.asarray(reference.dataobj)
    used = deep & (own > 0) & (other > 0)
    if not used.any():
        raise ValueError("the images show no white matter in common")
    indices = np.argwhere(used)
    ratio = np.log(own[used] / other[used]).astype(np.float32)
    field = flat_field((own.shape[0], own.shape[1], own.shape[2]), nib.affines.voxel_sizes(image.affine))
    weight = np.ones(len(ratio), dtype=np.float32)
    level = float(np.median(ratio))
    for _ in range(FIELD_ROUNDS):
        field = fit_bias(field, indices, ratio - np.float32(level), weight, FIELD_STIFFNESS)
        residual = ratio - field.log_at(indices)
        middle = float(np.median(residual))
        spread = 1.4826 * float(np.median(np.abs(residual - middle))) + 1e-6
        weight = np.clip(1.0 - ((residual - middle) / (OUTLIER * spread)) ** 2, 0.0, None) ** 2
        level = float(np.average(residual, weights=weight))
    return nib.Nifti1Image((own * np.exp(-field.log_field() - np.float32(level))).astype(np.float32), image.affine)


def deform_to_session(
    mean: nib.Nifti1Image,
    session: nib.Nifti1Image,
    near: NDArray[np.bool_],
    white_brightness: float,
    levels: Sequence[Level] = (*ROUGH, *FINE),
    start: nib.Nifti1Image | None = None,
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
    start
        Displacement to start from.

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
    return deform(scaled[0], scaled[1], affine, levels=usable, start=start, weight=weight)


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


def deep_white(found: StructurePosteriors) -> NDArray[np.bool_]:
    """Voxels (x, y, z) of white matter, with brainstem and cerebellum, far from other tissue.

    Where there is none, as in a small or coarse image, all that is surely white matter.
    """
    columns = [found.classes.index(number) for number in WHITE_MATTER]
    white = np.zeros(found.mask.shape, dtype=bool)
    white[found.mask] = found.posteriors[:, columns].sum(axis=1) > SURE_SHARE
    spacing_mm = nib.affines.voxel_sizes(found.corrected.affine)
    deep = np.asarray(ndimage.distance_transform_edt(white, spacing_mm) > DEEP_MM)
    return deep if np.count_nonzero(deep) >= LEAST_DEEP_VOXELS else white


def near_brain(found: StructurePosteriors) -> NDArray[np.bool_]:
    """Voxels (x, y, z) of the brain and a rim around it."""
    spacing_mm = nib.affines.voxel_sizes(found.corrected.affine)
    return np.asarray(ndimage.distance_transform_edt(_brain_probability(found) < 0.5, spacing_mm) <= RIM_MM)


def white_brightness(found: StructurePosteriors) -> float:
    """Median brightness of cerebral white matter on the corrected image."""
    share = found.posteriors[:, [found.classes.index(2), found.classes.index(41)]].sum(axis=1)
    return float(np.median(np.asarray(found.corrected.dataobj)[found.mask][share > SURE_SHARE]))


def _moved(image: nib.Nifti1Image, displacement: nib.Nifti1Image, where: NDArray[np.bool_]) -> nib.Nifti1Image:
    """The image with what lies at ``x + v(x)`` in place of what lies at ``x``, in some of its voxels."""
    data = np.array(image.dataobj, dtype=np.float32)
    points = world_points(where, image.affine)
    moved = nib.affines.apply_affine(np.linalg.inv(image.affine), points + sample_field(displacement, points))
    data[where] = sample_cubic(ndimage.spline_filter(data, 3, np.float32), moved.astype(np.float32).T)
    return nib.Nifti1Image(data, image.affine)


def _brain_probability(found: StructurePosteriors) -> NDArray[np.float32]:
    columns = [found.classes.index(item.index) for item in STRUCTURES if item.tissue != "CSF"]
    result = np.zeros(found.mask.shape, dtype=np.float32)
    result[found.mask] = found.posteriors[:, columns].sum(axis=1)
    return result
