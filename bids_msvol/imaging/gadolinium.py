# SPDX-License-Identifier: Apache-2.0
"""Lesions that take up gadolinium: brighter on T1w after contrast than before, and neither vessel nor meninges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.difference import difference_z, down_to_half
from bids_msvol.imaging.grids import voxel_volume_mm3
from bids_msvol.imaging.instances import CONNECTED
from bids_msvol.imaging.lesions import LesionMap
from bids_msvol.lesion_terms import ENHANCING_SIZES_MM3
from bids_msvol.structures import STRUCTURES

Confidence = Literal["high", "low"]

WHITE = (2, 41)
CORTEX = (3, 42)
VENTRICLES = (4, 5, 14, 15, 43, 44)
BRAIN = tuple(structure.index for structure in STRUCTURES if structure.tissue != "CSF")

SEED_Z, GROW_Z = 5.0, 3.0
"""Enhancement begins where the difference is this many standard deviations, and reaches as far as the lower number."""

LEAST_STEP = 0.10
"""Least enhancement, as a share of normal white matter: blood in normal tissue makes some per cent."""

LEAST_VOLUME_MM3 = 15.0
"""Smallest enhancing lesion that is reported."""

SURE_VOLUME_MM3 = 70.0
"""Volume below which even networks trained on a thousand patients are unreliable (Coronado et al. 2021)."""

SURE_STEP = 0.2
"""Mean enhancement from which confidence can be high: the vein in the middle of a lesion makes less."""

NEAR_LESION_MM = 2.0
"""Enhancement lies in a lesion or this close to it."""

SURFACE_MM = 3.0
"""Depth below the surface of the brain to which meninges, and the veins that enter it, reach."""

VENTRICLE_MM = 1.0
"""Distance from the ventricles to which choroid plexus and the veins of their wall reach."""

LEAST_SHARE_WITHIN = 0.5
"""Least share of an enhancing piece that lies where a lesion may enhance: the rest of a vessel lies elsewhere."""

LEAST_SHARE_IN_WHITE = 0.8
"""Least share of a piece within cerebral white matter where no lesion is known: a ring, or any piece if there is no
lesion map."""

LEAST_SHARE_IN_LESION = 0.1
"""Least share of a piece within a lesion from which it counts as that lesion's."""

VESSEL_LENGTH_MM, VESSEL_RATIO = 8.0, 2.5
"""A piece at least this long, and so many times longer than wide, is a vessel."""

RING_SHARE = 0.1
"""Share of its volume that a piece encloses if it is a ring."""

BACKGROUND_RADIUS_MM = 5.0
"""Without an image before contrast, what is brighter than its surroundings on this scale is taken for enhancing."""

CONTRAST_RANGE = (0.6, 1.7)
"""Ratio of the contrasts of the two images that a difference of protocol can explain."""


@dataclass(frozen=True)
class Enhancement:
    """One enhancing lesion.

    Attributes
    ----------
    id
        Its number in ``EnhancementMap.instances``.
    volume_mm3
        Volume of what enhances; the dark centre of a ring does not count.
    centroid_mm
        World coordinates of its centre.
    mean_enhancement
        Mean gain of brightness, as a share of normal white matter.
    in_lesion
        Whether it lies in a lesion of the lesion map or next to it.
    ring
        Whether it encloses a centre that does not enhance.
    confidence
        ``high`` if there is an image before contrast, a lesion, and enough volume and enhancement; else ``low``.
    """

    id: int
    volume_mm3: float
    centroid_mm: tuple[float, float, float]
    mean_enhancement: float
    in_lesion: bool
    ring: bool
    confidence: Confidence


@dataclass(frozen=True, eq=False)
class EnhancementMap:
    """Enhancing lesions of a session.

    Attributes
    ----------
    records
        One for each.
    instances
        (x, y, z) int32, their numbers; 0 elsewhere.
    sentences
        Methods text.
    """

    records: tuple[Enhancement, ...]
    instances: NDArray[np.int32]
    sentences: tuple[str, ...]

    def counts(self) -> Mapping[str, int]:
        """Count the records in each of ``ENHANCING_SIZES_MM3``."""
        return {
            name: sum(low <= record.volume_mm3 < high for record in self.records)
            for name, (low, high) in ENHANCING_SIZES_MM3.items()
        }


def find_enhancement(
    t1w_gd: nib.Nifti1Image,
    t1w: nib.Nifti1Image | None,
    *,
    lesions: LesionMap | None,
    labels: NDArray[np.int16],
    cavity: NDArray[np.bool_],
) -> EnhancementMap:
    """Find lesions that enhance.

    Parameters
    ----------
    t1w_gd
        T1w after gadolinium on the grid of the T1w, normal white matter 1; NaN where nothing was seen.
    t1w
        T1w before, likewise. Without it, what is brighter than its surroundings is reported with low confidence.
    lesions
        Lesion map of the session. Without it, what lies in cerebral white matter is reported with low confidence.
    labels
        (x, y, z) FreeSurfer number of the structure at each voxel.
    cavity
        (x, y, z) inside of the skull.

    Raises
    ------
    ValueError
        If no normal white matter is seen in the images.

    References
    ----------
    Sizes: Coronado et al. 2021, Multiple Sclerosis Journal 27:519-527.
    """
    spacing_mm = nib.affines.voxel_sizes(t1w_gd.affine)
    enhanced = np.asarray(t1w_gd.dataobj, dtype=np.float32)
    plain = None if t1w is None else np.asarray(t1w.dataobj, dtype=np.float32)
    seen = cavity & np.isfinite(enhanced)
    if plain is not None:
        seen &= np.isfinite(plain)
    known = np.zeros_like(seen) if lesions is None else lesions.mask
    white = np.isin(labels, WHITE)
    normal = ndimage.binary_erosion(seen & white & ~known, CONNECTED)
    if not normal.any():
        raise ValueError("no normal white matter is seen in the images after gadolinium")
    enhanced = np.where(seen, enhanced, np.float32(1.0))
    if plain is None:
        before = _surroundings(enhanced, spacing_mm)
    else:
        before = _with_contrast_of(np.where(seen, plain, np.float32(1.0)), enhanced, normal, seen, labels)
    z, step = difference_z(before, enhanced, normal=normal, seen=seen, spacing_mm=spacing_mm)
    allowed = seen & _places(labels, known, spacing_mm)
    near = _within(known, NEAR_LESION_MM, spacing_mm)
    pieces = _pieces(z, step, seen)
    records: list[Enhancement] = []
    instances = np.zeros(seen.shape, dtype=np.int32)
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        # A hole is seen only with room around it.
        box = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in box)
        piece = down_to_half(pieces[box] == number, step[box])
        in_lesion = _share(piece, near[box]) >= LEAST_SHARE_IN_LESION
        in_white = _share(piece, white[box]) >= LEAST_SHARE_IN_WHITE
        ring = _is_ring(piece)
        placed = in_lesion or (in_white and (ring or lesions is None))
        if (
            not placed
            or _share(piece, allowed[box]) < LEAST_SHARE_WITHIN
            or (not ring and _is_vessel(piece, spacing_mm))
        ):
            continue
        kept = piece & allowed[box]
        volume_mm3 = float(np.count_nonzero(kept)) * voxel_volume_mm3(t1w_gd.affine)
        if volume_mm3 < LEAST_VOLUME_MM3:
            continue
        middle = np.argwhere(kept).mean(axis=0) + [part.start for part in box]
        x, y, height = nib.affines.apply_affine(t1w_gd.affine, middle).tolist()
        mean = float(step[box][kept].mean())
        sure = t1w is not None and in_lesion and volume_mm3 >= SURE_VOLUME_MM3 and mean >= SURE_STEP
        records.append(
            Enhancement(
                id=len(records) + 1,
                volume_mm3=volume_mm3,
                centroid_mm=(x, y, height),
                mean_enhancement=mean,
                in_lesion=in_lesion,
                ring=ring,
                confidence="high" if sure else "low",
            )
        )
        instances[box][kept] = len(records)
    return EnhancementMap(tuple(records), instances, _sentences(t1w is not None, lesions is not None))


def _surroundings(enhanced: NDArray[np.float32], spacing_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Brightness expected without an image before contrast: white matter's, or that of bright surroundings."""
    size = tuple((2 * np.ceil(BACKGROUND_RADIUS_MM / spacing_mm) + 1).astype(int).tolist())
    return np.maximum(ndimage.grey_opening(enhanced, size=size), np.float32(1.0))


def _with_contrast_of(
    plain: NDArray[np.float32],
    enhanced: NDArray[np.float32],
    normal: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    labels: NDArray[np.int16],
) -> NDArray[np.float32]:
    """Give the image before contrast the other's difference between cortex and white matter."""
    cortex = seen & np.isin(labels, CORTEX)
    if not cortex.any():
        return plain
    first, second = (float(np.median(image[normal]) - np.median(image[cortex])) for image in (plain, enhanced))
    ratio = np.clip(second / first, *CONTRAST_RANGE) if first > 0 else 1.0
    white = np.float32(np.median(plain[normal]))
    return (plain - white) * np.float32(ratio) + white


def _places(labels: NDArray[np.int16], known: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a lesion may enhance: brain below its surface and off the ventricles, and any known lesion."""
    brain, ventricles = np.isin(labels, BRAIN), np.isin(labels, VENTRICLES)
    deep = ndimage.distance_transform_edt(brain | ventricles, spacing_mm) > SURFACE_MM
    return known | (brain & deep & ~_within(ventricles, VENTRICLE_MM, spacing_mm))


def _within(mask: NDArray[np.bool_], distance_mm: float, spacing_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Voxels of a mask and those at most so far from it."""
    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, spacing_mm) <= distance_mm)


def _pieces(z: NDArray[np.float32], step: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the connected pieces that enhance, from 1."""
    pieces, count = ndimage.label(seen & (z > GROW_Z) & (step > LEAST_STEP), CONNECTED)
    keep = np.zeros(count + 1, dtype=bool)
    keep[np.unique(pieces[z > SEED_Z])] = True
    keep[0] = False
    lookup = np.where(keep, np.cumsum(keep), 0)
    return np.asarray(lookup[pieces], dtype=np.int32)


def _share(piece: NDArray[np.bool_], region: NDArray[np.bool_]) -> float:
    """Share of a piece that lies in a region."""
    return float(np.count_nonzero(piece & region) / np.count_nonzero(piece))


def _is_vessel(piece: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> bool:
    """Tell whether a piece is long and thin, from the principal axes of its voxels."""
    points = np.argwhere(piece) * spacing_mm
    if len(points) < 4:
        return False
    # A uniform rod is as long as the square root of twelve times its standard deviation.
    extents = np.sqrt(12.0 * np.maximum(np.linalg.eigvalsh(np.cov(points.T)), 0.0)) + spacing_mm.min()
    return bool(extents[2] >= VESSEL_LENGTH_MM and extents[2] >= VESSEL_RATIO * extents[1])


def _is_ring(piece: NDArray[np.bool_]) -> bool:
    """Tell whether a piece encloses something in the slices along one axis; few rings are closed in space."""
    least = (1.0 + RING_SHARE) * np.count_nonzero(piece)
    for axis in range(3):
        filled = sum(np.count_nonzero(ndimage.binary_fill_holes(layer)) for layer in np.moveaxis(piece, axis, 0))
        if filled >= least:
            return True
    return False


def _sentences(has_plain: bool, has_lesions: bool) -> tuple[str, ...]:
    compared = (
        "from the difference of the T1w images after and before gadolinium, matched in contrast"
        if has_plain
        else "as what is brighter than white matter and its surroundings after gadolinium, no T1w image before it "
        "being there (low confidence)"
    )
    where = "in lesions or within 2 mm of one, or rings" if has_lesions else "without a lesion map (low confidence)"
    return (
        f"Enhancing lesions were found {compared}, over its local standard deviation; {where}. What lies at the "
        "surface of the brain or at the ventricles, or is long and thin, was taken for meninges, plexus or vessel.",
    )
