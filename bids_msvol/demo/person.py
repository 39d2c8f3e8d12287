# SPDX-License-Identifier: Apache-2.0
"""One synthetic person: an anatomy with its own size and shape, and what the disease makes of it at each visit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import INTRACRANIAL
from bids_msvol.demo.anatomy import sample_anatomy
from bids_msvol.demo.atrophy import field_grid, plan_atrophy
from bids_msvol.demo.lesions import Lesion, lesion_map, place_lesions
from bids_msvol.demo.neck import Neck, shrink_cord
from bids_msvol.demo.neck_sampling import make_neck, shape_stem, without_low_stem
from bids_msvol.demo.randomfields import smooth_noise
from bids_msvol.demo.volumes import voxel_volumes
from bids_msvol.imaging.deformation import invert
from bids_msvol.imaging.grids import resample_to_grid, world_points
from bids_msvol.imaging.registration import TemplateTransform, sample_field
from bids_msvol.structures import STRUCTURES

SHAPE_VOXEL_SIZE_MM = 4.0
"""Knots of the deformation that gives each head its own shape."""

SHAPE_SIGMA_MM = 20.0
SHAPE_STRENGTH_MM = 1.7
"""Width and standard deviation, along each axis, of that deformation."""

ASPECT_SPREAD = 0.02
"""Standard deviation of the head's length, width and height beyond what its volume asks for."""

POSE_SPREAD_DEG = 3.0
POSE_SPREAD_MM = 4.0
"""Standard deviation of how the head lies in the scanner."""

YEARLY_ATROPHY: Mapping[tuple[int, ...], float] = {
    (4, 43): 0.06,
    (14,): 0.05,
    (10, 49): -0.02,
    (3, 42): -0.012,
    (2, 41): -0.004,
}
"""Change per year, as a share of the volume, aimed at in people with multiple sclerosis: lateral and third ventricles,
thalamus, cerebral cortex, cerebral white matter. The fluid around the brain makes up for it. What a person reaches
differs by up to a tenth of it, since each has a shape of its own; `Visit.volumes_mm3` says what was reached."""

YEARLY_CORD_LOSS = 0.018
"""Share of the area of the cervical cord that people with multiple sclerosis lose each year (Casserly 2018); it is
reached exactly."""

THINNED_CORD = 0.93
"""Area of the cord of people with multiple sclerosis at the first visit, as a share of a healthy one's."""


@dataclass(frozen=True, eq=False)
class Person:
    """One head at the first visit, in the space of the atlas.

    Attributes
    ----------
    labels
        Class of every voxel, on the grid of the atlas.
    lesions
        White-matter lesions of all visits, on the same grid; none in healthy people.
    affine
        (4, 4), atlas space to the person's head, mm.
    to_atlas, to_person
        Displacements (x, y, z, 3) in mm that give the head its own shape: from a point of the head, the affine undone,
        to the atlas, and (to a tenth of a millimetre) back.
    voxel_volumes_mm3
        Volume of each intracranial voxel of ``labels`` in the head.
    neck
        The neck at the first visit, in the head before it is posed; none if the atlas has no brainstem.
    """

    labels: nib.Nifti1Image
    lesions: tuple[Lesion, ...]
    affine: NDArray[np.float64]
    to_atlas: nib.Nifti1Image
    to_person: nib.Nifti1Image
    voxel_volumes_mm3: NDArray[np.float32]
    neck: Neck | None = None


@dataclass(frozen=True, eq=False)
class Visit:
    """The state of a person's head at one visit.

    Attributes
    ----------
    to_head
        From atlas space to the head lying in the scanner, with the atrophy of the visit.
    lesion_numbers
        Number of the lesion at each voxel of the grid of ``Person.labels``.
    volumes_mm3
        True volume by FreeSurfer number.
    etiv_mm3
        True intracranial volume.
    lesion_volumes_mm3
        True volume of each lesion present, by number.
    neck
        The neck, in the head before it is posed.
    """

    to_head: TemplateTransform
    lesion_numbers: NDArray[np.int16]
    volumes_mm3: Mapping[int, float]
    etiv_mm3: float
    lesion_volumes_mm3: Mapping[int, float]
    neck: Neck | None = None


def make_person(atlas: HeadAtlas, rng: np.random.Generator, *, etiv_mm3: float, with_lesions: bool) -> Person:
    """Draw a person.

    Parameters
    ----------
    atlas
        The head atlas.
    rng
        Source of chance.
    etiv_mm3
        Intracranial volume wanted; it is met exactly.
    with_lesions
        Whether the person has multiple sclerosis.
    """
    labels = sample_anatomy(atlas, rng)
    lesions = place_lesions(without_low_stem(labels), rng) if with_lesions else ()
    to_atlas, to_person = _random_shape(labels, rng)
    aspect = np.exp(ASPECT_SPREAD * rng.standard_normal(3))
    volumes = voxel_volumes(labels, to_atlas, to_person)
    inside = np.isin(np.asarray(labels.dataobj), INTRACRANIAL)
    size = (etiv_mm3 / (float(volumes[inside].sum(dtype=np.float64)) * float(np.prod(aspect)))) ** (1.0 / 3.0)
    affine = np.diag([*(size * aspect), 1.0])
    to_head = TemplateTransform(affine, forward=to_person, inverse=to_atlas)
    # Chance of its own, so that the head does not depend on the neck.
    neck = make_neck(atlas, to_head, rng.spawn(1)[0], thinning=THINNED_CORD if with_lesions else 1.0)
    if neck is not None:
        labels = shape_stem(labels, neck, to_head)
    return Person(labels, lesions, affine, to_atlas, to_person, volumes * np.float32(np.linalg.det(affine)), neck)


def make_visit(person: Person, rng: np.random.Generator, *, years: float) -> Visit:
    """Draw the state of a head some years after the first visit.

    Parameters
    ----------
    person
        The person.
    rng
        Source of chance for the pose in the scanner.
    years
        Time since the first visit; 0 for that visit itself. People with lesions lose tissue at ``YEARLY_ATROPHY``.
    """
    to_atlas, volumes, neck = person.to_atlas, person.voxel_volumes_mm3, person.neck
    if years > 0 and person.lesions:
        rates = {group: (1.0 + rate) ** years - 1.0 for group, rate in YEARLY_ATROPHY.items()}
        to_atlas = _after(person.to_atlas, plan_atrophy(person.labels, rates))
        volumes = voxel_volumes(person.labels, to_atlas, person.to_person) * np.float32(np.linalg.det(person.affine))
        neck = None if neck is None else shrink_cord(neck, (1.0 - YEARLY_CORD_LOSS) ** years)
    # Atrophy moves nothing by more than some tenths of a millimetre, so the way there can do without it.
    transform = TemplateTransform(random_pose(rng) @ person.affine, forward=person.to_person, inverse=to_atlas)
    labels = np.asarray(person.labels.dataobj)
    numbers = lesion_map(person.lesions, labels.shape, follow_up=years > 0)
    of_class = np.bincount(labels.ravel(), weights=volumes.ravel(), minlength=max(INTRACRANIAL) + 1)
    of_lesion = np.bincount(numbers.ravel(), weights=volumes.ravel(), minlength=len(person.lesions) + 1)
    return Visit(
        to_head=transform,
        lesion_numbers=numbers,
        volumes_mm3={structure.index: float(of_class[structure.index]) for structure in STRUCTURES},
        etiv_mm3=float(of_class[list(INTRACRANIAL)].sum()),
        lesion_volumes_mm3={number: float(of_lesion[number]) for number in np.unique(numbers).tolist() if number > 0},
        neck=neck,
    )


def random_pose(rng: np.random.Generator, spread: float = 1.0) -> NDArray[np.float64]:
    """Draw a rigid motion (4, 4), in mm; ``spread`` scales its usual size."""
    angles = np.deg2rad(spread * POSE_SPREAD_DEG * rng.standard_normal(3))
    shift = spread * POSE_SPREAD_MM * rng.standard_normal(3)
    return np.asarray(nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles), shift), dtype=np.float64)


def _random_shape(labels: nib.Nifti1Image, rng: np.random.Generator) -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    """Draw the displacement from a person to the atlas, on the grid of displacements, and its inverse, coarser."""
    factor = max(SHAPE_VOXEL_SIZE_MM / float(nib.affines.voxel_sizes(labels.affine)[0]), 1.0)
    coarse = labels.affine @ nib.affines.from_matvec(np.eye(3) * factor, np.zeros(3))
    shape = [int(np.ceil((length - 1) / factor)) + 1 for length in labels.shape]
    spacing = float(nib.affines.voxel_sizes(coarse)[0])
    knots = np.stack([SHAPE_STRENGTH_MM * smooth_noise(shape, spacing, SHAPE_SIGMA_MM, rng) for _ in range(3)], axis=-1)
    affine, fine_shape = field_grid(labels)
    fine = [
        np.asarray(resample_to_grid(nib.Nifti1Image(part, coarse), fine_shape, affine, order=3).dataobj)
        for part in np.moveaxis(knots, -1, 0)
    ]
    to_atlas = nib.Nifti1Image(np.stack(fine, axis=-1).astype(np.float32), affine)
    return to_atlas, invert(nib.Nifti1Image(knots, coarse))


def _after(first: nib.Nifti1Image, second: nib.Nifti1Image) -> nib.Nifti1Image:
    """Displacement of moving by ``first`` and from there by ``second``, on the grid of ``first``."""
    vectors = np.asarray(first.dataobj, dtype=np.float32)
    points = world_points(np.ones(vectors.shape[:3], dtype=bool), first.affine) + vectors.reshape(-1, 3)
    return nib.Nifti1Image(vectors + sample_field(second, points).reshape(vectors.shape), first.affine)
