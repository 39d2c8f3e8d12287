# SPDX-License-Identifier: Apache-2.0
"""Change of volume between two sessions of a person, in three ways that fail for different reasons.

``segmentation``: difference of the volumes of two segmentations that share the person's deformation of the atlas.
``jacobian``: how the deformation from the person's mean image to each session stretches the structure.
``boundary``: how far the edge of brain and ventricles has moved, from brightness alone, without any deformation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from bids_msvol.imaging.grids import voxel_volume_mm3
from bids_msvol.structures import STRUCTURES, SUMS

Method = Literal["segmentation", "jacobian", "boundary"]

BOUNDARY_REACH = 2
"""Voxels on both sides of an edge within which it may have moved."""

BRIGHTNESS_BINS = 64
"""Steps of brightness between which the share of tissue is interpolated."""

BOUNDARY_SUMS = ("WholeBrain", "Ventricles")
"""Sums bounded by fluid, for which an edge between two brightnesses exists."""

LEAST_COVERAGE = 0.99
"""Share of a structure that both sessions must see; what is cut off cannot be compared."""


@dataclass(frozen=True)
class Change:
    """Change of one structure or sum between two sessions, by one method.

    Attributes
    ----------
    index
        FreeSurfer number; ``None`` for a sum.
    name
        Name of the structure or sum.
    method
        How it was measured.
    change_mm3
        Later minus earlier volume; ``None`` where it cannot be measured.
    change_pct
        The same in per cent of the earlier volume.
    """

    index: int | None
    name: str
    method: Method
    change_mm3: float | None
    change_pct: float | None


@dataclass(frozen=True, eq=False)
class Edge:
    """The surroundings of an edge between tissue and fluid, and what brightness says there.

    Attributes
    ----------
    region
        (x, y, z) voxels where the edge may lie.
    brightness, share
        (bin,) Mean share of a voxel that lies inside, on the person's mean image, by brightness.
    """

    region: NDArray[np.bool_]
    brightness: NDArray[np.float64]
    share: NDArray[np.float64]


def find_edges(
    mean: nib.Nifti1Image, posteriors: NDArray[np.float32], mask: NDArray[np.bool_], classes: Sequence[int]
) -> Mapping[str, Edge]:
    """Find the edges of brain and ventricles on the person's mean image.

    Parameters
    ----------
    mean
        Bias-corrected mean T1w.
    posteriors, mask, classes
        Its structures: (voxel, class), (x, y, z).
    """
    members = {item.name: item.members for item in SUMS}
    known = np.zeros(mask.shape, dtype=bool)
    known[mask] = _share(posteriors, classes, [item.index for item in STRUCTURES]) > 0.9
    reach = ndimage.iterate_structure(ndimage.generate_binary_structure(3, 1), BOUNDARY_REACH)
    edges = {}
    for name in BOUNDARY_SUMS:
        share = np.zeros(mask.shape, dtype=np.float32)
        share[mask] = _share(posteriors, classes, members[name])
        inside = share > 0.5
        # Where the brain meets dura or bone, brightness does not tell one from the other.
        region = ndimage.binary_dilation(inside, reach) & ~ndimage.binary_erosion(inside, reach) & known
        edges[name] = Edge(region, *_expected_share(np.asarray(mean.dataobj)[region], share[region]))
    return edges


def boundary_change_mm3(before: nib.Nifti1Image, after: nib.Nifti1Image, edge: Edge, seen: NDArray[np.bool_]) -> float:
    """Volume that an edge has swept over between two aligned images of matched brightness.

    The boundary shift integral, with the share of tissue that each brightness stands for in place of a window: in
    narrow sulci no voxel is as dark as fluid, so that a window between two fixed tissues misses part of the change.

    References
    ----------
    Freeborough and Fox 1997, IEEE Transactions on Medical Imaging 16:623-629; Leung et al. 2010, NeuroImage 50:516-523.
    """
    region = edge.region & seen
    inside = [
        np.interp(np.asarray(image.dataobj)[region], edge.brightness, edge.share).sum() for image in (before, after)
    ]
    return float(inside[1] - inside[0]) * voxel_volume_mm3(before.affine)


def _expected_share(
    values: NDArray[np.float32], share: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean share by brightness, made monotone: brighter voxels never mean less tissue (or never more)."""
    borders = np.unique(np.quantile(values, np.linspace(0.0, 1.0, BRIGHTNESS_BINS + 1)))
    position = np.clip(np.searchsorted(borders, values, side="right") - 1, 0, len(borders) - 2)
    count = np.bincount(position)
    filled = count > 0
    middle = np.bincount(position, values.astype(np.float64))[filled] / count[filled]
    mean = np.bincount(position, share.astype(np.float64))[filled] / count[filled]
    rising = np.corrcoef(middle, mean)[0, 1] >= 0
    fitted = optimize.isotonic_regression(mean, weights=count[filled], increasing=bool(rising)).x
    return middle, np.asarray(fitted)


def compare_volumes(
    before: Mapping[int, float], after: Mapping[int, float], method: Method, covered: Mapping[int, bool]
) -> list[Change]:
    """Change of every structure and sum.

    Parameters
    ----------
    before, after
        Volume by FreeSurfer number, mm3.
    method
        How they were measured.
    covered
        By FreeSurfer number, whether both sessions see the structure.
    """
    items = [(item.index, item.name, (item.index,)) for item in STRUCTURES]
    rows = [*items, *((None, item.name, item.members) for item in SUMS)]
    found = []
    for index, name, members in rows:
        usable = all(covered[number] for number in members)
        first, last = (sum(volumes[number] for number in members) for volumes in (before, after))
        found.append(_change(index, name, method, first, last - first) if usable else _missing(index, name, method))
    return found


def compare_boundaries(
    before: nib.Nifti1Image,
    after: nib.Nifti1Image,
    edges: Mapping[str, Edge],
    seen: NDArray[np.bool_],
    before_mm3: Mapping[int, float],
    covered: Mapping[int, bool],
) -> list[Change]:
    """Change of brain and ventricles by the boundary method; per cent of the volumes given."""
    found = []
    for item in SUMS:
        if item.name in edges:
            if not all(covered[number] for number in item.members):
                found.append(_missing(None, item.name, "boundary"))
                continue
            volume = sum(before_mm3[number] for number in item.members)
            change = boundary_change_mm3(before, after, edges[item.name], seen)
            found.append(_change(None, item.name, "boundary", volume, change))
    return found


def coverage(
    posteriors: NDArray[np.float32], mask: NDArray[np.bool_], classes: Sequence[int], seen: NDArray[np.bool_]
) -> Mapping[int, bool]:
    """Say of each structure whether almost all of it lies where ``seen`` is true."""
    visible = seen[mask]
    inside, whole = posteriors[visible].sum(axis=0, dtype=np.float64), posteriors.sum(axis=0, dtype=np.float64)
    share = inside / np.maximum(whole, 1e-9)
    return {item.index: bool(share[classes.index(item.index)] >= LEAST_COVERAGE) for item in STRUCTURES}


def _share(posteriors: NDArray[np.float32], classes: Sequence[int], members: Sequence[int]) -> NDArray[np.float32]:
    return np.asarray(posteriors[:, [classes.index(number) for number in members]].sum(axis=1))


def _change(index: int | None, name: str, method: Method, volume_mm3: float, change_mm3: float) -> Change:
    return Change(index, name, method, change_mm3, 100.0 * change_mm3 / volume_mm3 if volume_mm3 > 0 else None)


def _missing(index: int | None, name: str, method: Method) -> Change:
    return Change(index, name, method, None, None)
