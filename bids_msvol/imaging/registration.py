# SPDX-License-Identifier: Apache-2.0
"""Alignment of a head with the template: a search for the pose, an affine (ANTs), and the transform that results."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.deformation import invert
from bids_msvol.imaging.grids import conform, sample_trilinear, world_points

if TYPE_CHECKING:
    import ants

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""ITK's world axes point left and posterior, NIfTI's right and anterior."""

SEARCH_VOXEL_SIZE_MM = 6.0
"""Voxel size of the search for the starting pose."""

USUAL_SCALE = 0.93
"""Length of a head relative to MNI152 space, which is larger than most heads: where the search for the size begins."""

AFFINE_VOXEL_SIZE_MM = 2.0
"""Finest voxel size of the affine registration."""

LEVER_MM = 100.0
"""How far apart the points lie by which a stored transform is read."""

HISTOGRAM_BINS = 24
"""Bins of the joint histogram in the pose search."""


@dataclass(frozen=True, eq=False)
class TemplateTransform:
    """Where each point of the template lies in a subject, and back.

    A template point ``x`` lies at ``affine @ (x + forward(x))`` in the subject; a subject point ``p`` lies at
    ``q + inverse(q)`` in the template, with ``q = affine^-1 @ p``. All in RAS world millimetres.

    Attributes
    ----------
    affine
        (4, 4), template to subject.
    forward, inverse
        Displacement in mm, (x, y, z, 3), on a grid in template space. ``None`` for an affine transform.
    """

    affine: NDArray[np.float64]
    forward: nib.Nifti1Image | None = None
    inverse: nib.Nifti1Image | None = None

    def subject_to_template(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map points (n, 3) in subject millimetres to template millimetres."""
        aligned = _apply_affine(_inverse(self.affine), points)
        return aligned if self.inverse is None else aligned + sample_field(self.inverse, aligned)

    def template_to_subject(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map points (n, 3) in template millimetres to subject millimetres."""
        displaced = points if self.forward is None else points + sample_field(self.forward, points)
        return _apply_affine(self.affine, displaced)


def follow_displacement(transform: TemplateTransform, displacement: nib.Nifti1Image) -> TemplateTransform:
    """Return the transform of another image of the person, which differs from the first one by a displacement.

    Parameters
    ----------
    transform
        Between the template and the first image; not merely affine.
    displacement
        ``v`` in mm, (x, y, z, 3): a point ``p`` of the other image shows what is at ``p + v(p)`` in the first one.

    Raises
    ------
    ValueError
        If the transform is merely affine.
    """
    if transform.inverse is None:
        raise ValueError("an affine transform has no grid on which to follow a displacement")
    shape = transform.inverse.shape[:3]
    aligned = world_points(np.ones(shape, dtype=bool), transform.inverse.affine)
    points = _apply_affine(transform.affine, aligned)
    target = transform.subject_to_template(points + sample_field(displacement, points))
    inverse = nib.Nifti1Image((target - aligned).reshape(*shape, 3), transform.inverse.affine)
    return TemplateTransform(transform.affine, invert(inverse), inverse)


def register_affine(
    subject: nib.Nifti1Image, template: nib.Nifti1Image, template_mask: nib.Nifti1Image, *, seed: int
) -> TemplateTransform:
    """Find the affine that carries the template's head onto the subject's, by mutual information.

    A coarse search over position and head tilt precedes ANTs' rigid and affine optimisation, so that images with much
    neck, cropped images and tilted heads start from the right place.

    Parameters
    ----------
    subject
        T1w image, any grid.
    template
        Image of the same kind (whole head, or brain only).
    template_mask
        Where the similarity is measured, on the template's grid.
    seed
        Seed of ANTs.
    """
    start = search_pose(subject, template)
    fixed, moving = conform(template, AFFINE_VOXEL_SIZE_MM), conform(subject, AFFINE_VOXEL_SIZE_MM)
    mask = conform(template_mask, AFFINE_VOXEL_SIZE_MM)
    affine = start
    for kind, iterations in (("Rigid", (60, 40, 0)), ("Affine", (60, 60, 30))):
        affine = _ants_linear(fixed, moving, mask, affine, kind, iterations, seed)
    return TemplateTransform(affine)


def search_pose(subject: nib.Nifti1Image, template: nib.Nifti1Image) -> NDArray[np.float64]:
    """Find a starting pose and size (template to subject) by exhaustive search at low resolution.

    Returns
    -------
    numpy.ndarray
        (4, 4) matrix in world mm.
    """
    fixed = conform(template, SEARCH_VOXEL_SIZE_MM)
    moving = conform(subject, SEARCH_VOXEL_SIZE_MM)
    fixed_data, moving_data = _quantise(fixed), _quantise(moving)
    inside = ndimage.binary_dilation(fixed_data > 0, iterations=2)
    indices = np.argwhere(inside)
    points = nib.affines.apply_affine(fixed.affine, indices)
    values = fixed_data[inside]
    center = points.mean(axis=0)
    weights = np.asarray(moving.dataobj)
    mass_center = nib.affines.apply_affine(moving.affine, ndimage.center_of_mass(weights))

    def score(parameters: Sequence[float]) -> float:
        matrix = _similarity(parameters, center, mass_center)
        return _mutual_information(
            values, moving_data, nib.affines.apply_affine(np.linalg.inv(moving.affine) @ matrix, points)
        )

    candidates = [
        (tilt, 0.0, 0.0, 0.0, y, z, float(np.log(USUAL_SCALE)))
        for tilt, y, z in itertools.product(
            (-0.35, 0.0, 0.35), (-30.0, 0.0, 30.0), (-40.0, -20.0, 0.0, 20.0, 40.0, 60.0)
        )
    ]
    best = sorted(candidates, key=score, reverse=True)[:3]
    refined = max((_pattern_search(score, candidate) for candidate in best), key=lambda found: found[1])
    return _similarity(refined[0], center, mass_center)


def save_transform(transform: TemplateTransform, path: Path, *, inverse: bool = False) -> None:
    """Write a transform as an ITK composite (``.h5``), as ``antsApplyTransforms`` reads it.

    Parameters
    ----------
    transform
        What to write.
    path
        Target, overwritten.
    inverse
        ``False`` writes the transform that resamples the subject's image into template space (``from-T1w_to-MNI...``);
        ``True`` the one that resamples template images into the subject (``from-MNI..._to-T1w``).
    """
    import ants

    matrix = _inverse(transform.affine) if inverse else transform.affine
    linear = _ants_affine(matrix)
    field = transform.inverse if inverse else transform.forward
    parts = [linear]
    if field is not None:
        warp = ants.transform_from_displacement_field(_field_to_ants(field))
        # In the order in which a point passes through them.
        parts = [linear, warp] if inverse else [warp, linear]
    ants.write_transform(ants.compose_ants_transforms(parts), str(path))


def load_affine(path: Path) -> NDArray[np.float64]:
    """Read an affine transform that `save_transform` wrote, not its inverse.

    Returns
    -------
    numpy.ndarray
        (4, 4) matrix in RAS world mm: where a point of the target lies in the image that is resampled.
    """
    import ants

    transform = ants.read_transform(str(path))
    # ITK may keep several transforms in one file; where four points go tells the whole of them. The points come back in
    # single precision, so they are taken far apart.
    points = LEVER_MM * np.eye(4, 3, k=-1)
    origin, *ends = (np.asarray(transform.apply_to_point(point.tolist()), dtype=np.float64) for point in points)
    matrix = nib.affines.from_matvec(np.stack([(end - origin) / LEVER_MM for end in ends], axis=1), origin)
    return np.asarray(LPS_FROM_RAS @ matrix @ LPS_FROM_RAS, dtype=np.float64)


def to_ants(image: nib.Nifti1Image) -> ants.ANTsImage:
    """Convert a NIfTI image in memory to an ANTs image (float32)."""
    import ants

    affine = LPS_FROM_RAS @ image.affine
    spacing = np.asarray(nib.affines.voxel_sizes(affine))
    return ants.from_numpy(
        np.asarray(image.dataobj, dtype=np.float32),
        origin=tuple(float(value) for value in affine[:3, 3]),
        spacing=tuple(float(value) for value in spacing),
        direction=affine[:3, :3] / spacing,
    )


def _field_to_ants(field: nib.Nifti1Image) -> ants.ANTsImage:
    import ants

    affine = LPS_FROM_RAS @ field.affine
    spacing = np.asarray(nib.affines.voxel_sizes(affine))
    vectors = np.asarray(field.dataobj, dtype=np.float32) * np.asarray([-1.0, -1.0, 1.0], dtype=np.float32)
    return ants.from_numpy(
        vectors,
        origin=tuple(float(value) for value in affine[:3, 3]),
        spacing=tuple(float(value) for value in spacing),
        direction=affine[:3, :3] / spacing,
        has_components=True,
    )


def _ants_affine(ras_matrix: NDArray[np.float64]) -> ants.ANTsTransform:
    import ants

    matrix = LPS_FROM_RAS @ ras_matrix @ LPS_FROM_RAS
    return ants.create_ants_transform(
        transform_type="AffineTransform", dimension=3, matrix=matrix[:3, :3], translation=matrix[:3, 3]
    )


def _write_itk_affine(ras_matrix: NDArray[np.float64], path: Path) -> None:
    import ants

    ants.write_transform(_ants_affine(ras_matrix), str(path))


def _read_itk_affine(path: str) -> NDArray[np.float64]:
    import ants

    transform = ants.read_transform(path)
    parameters = np.asarray(transform.parameters, dtype=np.float64)
    center = np.asarray(transform.fixed_parameters, dtype=np.float64)[:3]
    linear = parameters[:9].reshape(3, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = parameters[9:12] + center - linear @ center
    return np.asarray(LPS_FROM_RAS @ matrix @ LPS_FROM_RAS, dtype=np.float64)


def _ants_linear(
    fixed: nib.Nifti1Image,
    moving: nib.Nifti1Image,
    mask: nib.Nifti1Image,
    start: NDArray[np.float64],
    kind: str,
    iterations: tuple[int, ...],
    seed: int,
) -> NDArray[np.float64]:
    import ants

    # ANTs' metric draws its samples at random, and its sums depend on the number of threads.
    ants.config.set_ants_deterministic(on=True, seed_value=seed)
    with tempfile.TemporaryDirectory(prefix="bids_msvol-affine-") as folder:
        initial = Path(folder) / "initial.mat"
        _write_itk_affine(start, initial)
        result = ants.registration(
            to_ants(fixed),
            to_ants(moving),
            type_of_transform=kind,
            initial_transform=[str(initial)],
            mask=to_ants(mask).threshold_image(0.5, 2.0),
            aff_metric="mattes",
            aff_sampling=32,
            aff_random_sampling_rate=0.5,
            aff_iterations=iterations,
            aff_shrink_factors=(4, 2, 1),
            aff_smoothing_sigmas=(2, 1, 0),
            outprefix=str(Path(folder) / "linear"),
        )
        return _read_itk_affine(result["fwdtransforms"][0])


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _apply_affine(matrix: NDArray[np.float64], points: NDArray[np.float32]) -> NDArray[np.float32]:
    moved = points @ matrix[:3, :3].T.astype(np.float32) + matrix[:3, 3].astype(np.float32)
    return np.asarray(moved, dtype=np.float32)


def sample_field(field: nib.Nifti1Image, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Displacement (n, 3) at world points (n, 3)."""
    vectors = np.asarray(field.dataobj)
    return sample_trilinear(vectors, _apply_affine(np.linalg.inv(field.affine), points))


def _quantise(image: nib.Nifti1Image) -> NDArray[np.int64]:
    data = np.asarray(image.dataobj)
    low, high = np.percentile(data, 1.0), np.percentile(data, 99.5)
    scaled = np.clip((data - low) / max(high - low, np.finfo(np.float32).tiny), 0.0, 1.0)
    return np.asarray(np.minimum(scaled * HISTOGRAM_BINS, HISTOGRAM_BINS - 1), dtype=np.int64)


def _mutual_information(
    fixed_bins: NDArray[np.int64], moving: NDArray[np.int64], coordinates: NDArray[np.float64]
) -> float:
    nearest = np.round(coordinates).astype(np.int64)
    inside = np.all((nearest >= 0) & (nearest < moving.shape), axis=1)
    moving_bins = np.zeros(len(nearest), dtype=np.int64)
    moving_bins[inside] = moving[tuple(nearest[inside].T)]
    joint = np.bincount(fixed_bins * HISTOGRAM_BINS + moving_bins, minlength=HISTOGRAM_BINS**2).astype(np.float64)
    joint /= joint.sum()
    table = joint.reshape(HISTOGRAM_BINS, HISTOGRAM_BINS)
    independent = np.outer(table.sum(axis=1), table.sum(axis=0))
    present = table > 0
    return float(np.sum(table[present] * np.log(table[present] / independent[present])))


def _similarity(
    parameters: Sequence[float], center: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    rotation = nib.eulerangles.euler2mat(*parameters[2::-1])
    matrix = np.eye(4)
    linear = float(np.exp(parameters[6])) * rotation
    matrix[:3, :3] = linear
    matrix[:3, 3] = target + np.asarray(parameters[3:6]) - linear @ center
    return matrix


def _pattern_search(
    score: Callable[[Sequence[float]], float], start: tuple[float, ...]
) -> tuple[tuple[float, ...], float]:
    """Coordinate-wise search with shrinking steps: derivative-free, deterministic, good enough for a start."""
    best, value = start, score(start)
    for angle, shift, growth in ((0.15, 10.0, 0.06), (0.08, 5.0, 0.03), (0.04, 2.5, 0.015)):
        steps = (angle, angle, angle, shift, shift, shift, growth)
        improved = True
        while improved:
            improved = False
            for axis, step in itertools.product(range(7), (1.0, -1.0)):
                trial = list(best)
                trial[axis] += step * steps[axis]
                trial_value = score(trial)
                if trial_value > value + 1e-6:
                    best, value, improved = tuple(trial), trial_value, True
    return best, value
