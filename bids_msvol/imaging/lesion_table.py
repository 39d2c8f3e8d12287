# SPDX-License-Identifier: Apache-2.0
"""From a lesion mask to a list of lesions: how large, where, how dark on T1w, and what that means for dissemination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.instances import CONNECTED
from bids_msvol.imaging.lesions import LesionMap
from bids_msvol.lesion_terms import REGIONS, Region

LEAST_VOLUME_MM3 = 10.0
"""Smallest lesion counted. Noise makes specks of a few voxels, and experts ask for about 3 mm in the longest axis
(McDonald 2017; Grahl 2019): a sphere 2.7 mm across holds 10 mm3. At 3 mm3, the other usual choice, a lesion is three
voxels of 1 mm, which chance connects."""

CONTACT_MM = 2.0
"""A lesion within this of ventricle or cortex touches it: atlas and images agree to a voxel or two."""

HYPOINTENSE_T1W = 0.85
"""Brightness on T1w, relative to normal white matter, below which a voxel counts as T1-hypointense: about midway
between white and grey matter on a usual T1w image."""

LATERAL_VENTRICLES = (4, 43, 5, 44)
CORTEX = (3, 42)
CEREBRAL_WHITE = (2, 41)
INFRATENTORIAL = (7, 46, 8, 47, 16, 15)

BRAIN_REGIONS_2017: Mapping[str, tuple[Region, ...]] = {
    "periventricular": ("periventricular",),
    "cortical or juxtacortical": ("juxtacortical",),
    "infratentorial": ("infratentorial",),
}
"""The regions of the brain that count for dissemination in space (Thompson et al. 2018, Lancet Neurology 17:162-173);
the fourth, the spinal cord, is not seen here, and neither are lesions within the cortex."""

LEAST_REGIONS_2017 = 2
"""Regions with a lesion from which lesions are disseminated in space."""


@dataclass(frozen=True)
class LesionRecord:
    """One lesion.

    Attributes
    ----------
    id
        Its value in the instance image, from 1, the largest lesion first.
    volume_mm3
        Number of its voxels times the volume of one.
    centroid_mm
        Centre of mass, RAS world.
    region
        Where it lies.
    t1_hypointense_fraction
        Share of its voxels darker than ``HYPOINTENSE_T1W`` of normal white matter on T1w.
    mean_contrast
        Mean brightness on the contrast that showed it, relative to normal white matter; ``None`` without one.
    """

    id: int
    volume_mm3: float
    centroid_mm: tuple[float, float, float]
    region: Region
    t1_hypointense_fraction: float
    mean_contrast: float | None


@dataclass(frozen=True)
class LesionSummary:
    """All lesions of a session.

    Attributes
    ----------
    count, volume_mm3
        Of all lesions.
    count_by_region, volume_mm3_by_region
        Of each region, zero where there is none.
    regions_2017
        Brain regions of the McDonald criteria with at least one lesion.
    disseminated_in_space
        Whether there are at least two. ``False`` does not exclude it: the cord is not seen here.
    """

    count: int
    volume_mm3: float
    count_by_region: Mapping[Region, int]
    volume_mm3_by_region: Mapping[Region, float]
    regions_2017: tuple[str, ...]
    disseminated_in_space: bool


def find_lesions(
    lesions: LesionMap,
    labels: NDArray[np.int16],
    t1w: nib.Nifti1Image,
    *,
    least_volume_mm3: float = LEAST_VOLUME_MM3,
) -> tuple[tuple[LesionRecord, ...], NDArray[np.int16]]:
    """List the lesions of a session.

    Parameters
    ----------
    lesions
        Where they are.
    labels
        (x, y, z) FreeSurfer number of the structure at each voxel, 0 outside. Inside lesions it is not used: there a
        T1w segmentation calls dark lesions grey matter or fluid.
    t1w
        Bias-corrected T1w on the same grid.
    least_volume_mm3
        Smallest lesion counted.

    Returns
    -------
    tuple of LesionRecord, numpy.ndarray
        The lesions, the largest first; (x, y, z) int16, the number of the lesion at each voxel.
    """
    spacing = np.asarray(nib.affines.voxel_sizes(t1w.affine))
    voxel_mm3 = float(np.prod(spacing))
    pieces, _ = ndimage.label(lesions.mask, CONNECTED)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    # Ties keep the order of the array, so that numbers are the same on every run.
    order = [int(piece) for piece in np.argsort(-sizes, kind="stable") if sizes[piece] * voxel_mm3 >= least_volume_mm3]
    order = [piece for piece in order if sizes[piece] > 0]
    lookup = np.zeros(len(sizes), dtype=np.int16)
    lookup[order] = np.arange(1, len(order) + 1)
    numbers = lookup[pieces]
    anatomy = np.where(lesions.mask, 0, labels)
    t1w_data = np.asarray(t1w.dataobj) / _normal_brightness(np.asarray(t1w.dataobj), anatomy)
    contrast = next((np.asarray(image.dataobj) for image in lesions.normalised.values()), None)
    margin = np.ceil(CONTACT_MM / spacing).astype(int)
    records = []
    for number, box in enumerate(ndimage.find_objects(numbers), 1):
        voxels = np.argwhere(numbers[box] == number) + [part.start for part in box]
        at = tuple(voxels.T)
        centroid = nib.affines.apply_affine(t1w.affine, voxels.mean(axis=0))
        records.append(
            LesionRecord(
                id=number,
                volume_mm3=len(voxels) * voxel_mm3,
                centroid_mm=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
                region=_region(numbers, anatomy, number, _widen(box, margin), spacing),
                t1_hypointense_fraction=float(np.mean(t1w_data[at] < HYPOINTENSE_T1W)),
                mean_contrast=None if contrast is None else _mean_of_seen(contrast[at]),
            )
        )
    return tuple(records), numbers


def summarise(records: Sequence[LesionRecord]) -> LesionSummary:
    """Count the lesions and add up their volumes, by region."""
    counts = {region: sum(record.region == region for record in records) for region in REGIONS}
    volumes = {region: sum(record.volume_mm3 for record in records if record.region == region) for region in REGIONS}
    touched = tuple(name for name, members in BRAIN_REGIONS_2017.items() if any(counts[member] for member in members))
    return LesionSummary(
        count=len(records),
        volume_mm3=sum(volumes.values()),
        count_by_region=counts,
        volume_mm3_by_region=volumes,
        regions_2017=touched,
        disseminated_in_space=len(touched) >= LEAST_REGIONS_2017,
    )


def _mean_of_seen(values: NDArray[np.float32]) -> float | None:
    seen = values[np.isfinite(values)]
    return float(seen.mean()) if len(seen) else None


def _normal_brightness(t1w: NDArray[np.float32], anatomy: NDArray[np.int16]) -> float:
    """Median T1w brightness of normal white matter."""
    return float(np.median(t1w[np.isin(anatomy, CEREBRAL_WHITE)]))


def _widen(box: tuple[slice, ...], margin: NDArray[np.int_]) -> tuple[slice, ...]:
    return tuple(
        slice(max(part.start - int(extra), 0), part.stop + int(extra)) for part, extra in zip(box, margin, strict=True)
    )


def _region(
    numbers: NDArray[np.int16],
    anatomy: NDArray[np.int16],
    number: int,
    box: tuple[slice, ...],
    spacing_mm: NDArray[np.float64],
) -> Region:
    """Region of one lesion from the structures around it; ``box`` reaches ``CONTACT_MM`` beyond it."""
    distance_mm = ndimage.distance_transform_edt(numbers[box] != number, spacing_mm)
    nearby = anatomy[box][(distance_mm > 0) & (distance_mm <= CONTACT_MM)]
    nearby = nearby[nearby > 0]
    if len(nearby) and np.isin(nearby, INFRATENTORIAL).mean() > 0.5:
        return "infratentorial"
    if np.isin(nearby, LATERAL_VENTRICLES).any():
        return "periventricular"
    return "juxtacortical" if np.isin(nearby, CORTEX).any() else "deep_white_matter"
