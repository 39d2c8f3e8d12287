# SPDX-License-Identifier: Apache-2.0
"""Lesion activity between two sessions: what is new, grows, shrinks or vanishes, judged from the pair of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.appearance import SessionPair, find_changes
from bids_msvol.imaging.grids import voxel_volume_mm3
from bids_msvol.imaging.instances import link_pieces, number_pieces
from bids_msvol.imaging.lesions import LesionMap
from bids_msvol.lesion_terms import LESION_CONTRASTS, Confidence, Status

Scalar = TypeVar("Scalar", bound=np.generic)

LEAST_VOLUME_MM3 = 12.0
"""Smallest lesion and smallest change that is reported."""

LEAST_GROWTH = 0.3
"""Smallest change of a lesion's volume that counts, as a share of the smaller of the two volumes."""

LARGE_CHANGE_MM3 = 100.0
"""A change of this size is itself a lesion: it counts however large the lesion is that it adjoins."""

SWALLOWED_SHARE = 0.1
"""A lesion is new if less than this share of it was lesion before: it took in what lay beside it."""

SURE_VOLUME_MM3, SURE_Z = 25.0, 4.5
"""Volume and mean z from which a new or vanished lesion is reported with high confidence, if the lesion map of the
session agrees."""

SURE_RIM_MM3, SURE_RIM_Z = 40.0, 3.5
"""The same for what a lesion gains or loses."""

SURE_PROBABILITY = 0.3
"""Mean lesion probability of a changed region from which the lesion map agrees."""

FRINGE_MM = 2.5
"""What a lesion map adds within this distance of a significant change belongs to the change: maps draw their lines
where a single image suggests."""


@dataclass(frozen=True)
class LesionChange:
    """What became of a lesion between two sessions.

    Attributes
    ----------
    id
        Number of the record, from 1.
    status
        What became of it. Lesions that merge or split share one record.
    confidence
        ``high`` if size, significance and the lesion map agree, else ``candidate``.
    volume_before_mm3, volume_after_mm3
        Its volume; 0 where it does not exist.
    gain_mm3, loss_mm3
        Volume that became lesion, and that ceased to be.
    mean_z
        Mean of the z map over what changed, or over the lesion where nothing did.
    grew
        Whether it gained so much that it would be new or enlarging if it had neither merged nor split.
    ids_before, ids_after
        Its numbers in ``ActivityMap.lesions_before`` and ``ActivityMap.lesions_after``.
    """

    id: int
    status: Status
    confidence: Confidence
    volume_before_mm3: float
    volume_after_mm3: float
    gain_mm3: float
    loss_mm3: float
    mean_z: float
    grew: bool
    ids_before: tuple[int, ...]
    ids_after: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ActivityMap:
    """Lesion activity between two sessions on their common grid.

    Attributes
    ----------
    records
        One for each lesion, or for each group that merged or split.
    z
        (x, y, z) float32: difference over its standard deviation, NaN where not both sessions were seen.
    new
        (x, y, z) voxels of new lesions.
    gain, loss
        (x, y, z) voxels that became lesion, and that ceased to be.
    lesions_before, lesions_after
        (x, y, z) int32: lesions numbered from 1, after the two lesion maps were reconciled with the differences.
    atrophied_lesion_volume_mm3
        Volume of lesion at the earlier session that is fluid at the later one.
    contrast
        The contrast that was compared.
    sentences
        Methods text.
    """

    records: tuple[LesionChange, ...]
    z: NDArray[np.float32]
    new: NDArray[np.bool_]
    gain: NDArray[np.bool_]
    loss: NDArray[np.bool_]
    lesions_before: NDArray[np.int32]
    lesions_after: NDArray[np.int32]
    atrophied_lesion_volume_mm3: float
    contrast: str
    sentences: tuple[str, ...]

    def counts(self) -> Mapping[tuple[Status, Confidence], int]:
        """Count the records by status and confidence."""
        return Counter((record.status, record.confidence) for record in self.records)


def compare_lesions(
    before: LesionMap,
    after: LesionMap,
    *,
    white_matter: NDArray[np.float32],
    fluid_before: NDArray[np.float32],
    fluid_after: NDArray[np.float32],
    affine: NDArray[np.float64],
) -> ActivityMap:
    """Compare the lesions of two sessions that lie on one grid.

    What changed is found in the difference of the images. A voxel that is lesion in one of the two lesion maps only
    counts as lesion in both sessions unless the difference says otherwise.

    Parameters
    ----------
    before, after
        Lesion maps of the earlier and the later session.
    white_matter
        (x, y, z) prior probability of white matter, lesions included.
    fluid_before, fluid_after
        (x, y, z) probability of fluid in each session.
    affine
        (4, 4) of the common grid; voxels of about 1 mm.

    Raises
    ------
    ValueError
        If the sessions have no contrast in common in which lesions are bright, or no voxel that both saw.

    References
    ----------
    Subtraction with robust normalisation: Ganiler et al. 2014, Neuroradiology 56:363-374. Growth by a share of the
    volume and high confidence counted apart: McKinley et al. 2020, NeuroImage: Clinical 25:102104. Atrophied lesion
    volume: Dwyer et al. 2018, Journal of Neuroimaging 28:490-495.
    """
    contrast = _shared_contrast(before, after)
    images = [np.asarray(session.normalised[contrast].dataobj, dtype=np.float32) for session in (before, after)]
    both = before.seen & after.seen & np.isfinite(images[0]) & np.isfinite(images[1])
    if not both.any():
        raise ValueError("the two sessions have no voxel in common")
    box = ndimage.find_objects(both.astype(np.int8))[0]
    pair = SessionPair(
        images=(_filled(images[0][box], both[box]), _filled(images[1][box], both[box])),
        masks=((before.mask & both)[box], (after.mask & both)[box]),
        probabilities=(before.probability[box], after.probability[box]),
        fluids=(fluid_before[box], fluid_after[box]),
        white=white_matter[box],
        seen=both[box],
        spacing_mm=nib.affines.voxel_sizes(affine),
    )
    found = _judge(pair, voxel_volume_mm3(affine))
    z = np.full(both.shape, np.nan, dtype=np.float32)
    z[box] = np.where(pair.seen, found.z, np.nan)
    lesions_before, lesions_after = (_placed(part, box, both.shape) for part in (found.before, found.after))
    gain, loss = (_placed(part, box, both.shape) for part in (found.gain, found.loss))
    new_ids = [number for record in found.records if record.status == "new" for number in record.ids_after]
    return ActivityMap(
        records=found.records,
        z=z,
        new=np.isin(lesions_after, new_ids),
        gain=gain,
        loss=loss,
        lesions_before=lesions_before,
        lesions_after=lesions_after,
        atrophied_lesion_volume_mm3=found.atrophied_mm3,
        contrast=contrast,
        sentences=_sentences(contrast),
    )


@dataclass(frozen=True, eq=False)
class _Findings:
    """The answer on the cropped grid."""

    records: tuple[LesionChange, ...]
    z: NDArray[np.float32]
    gain: NDArray[np.bool_]
    loss: NDArray[np.bool_]
    before: NDArray[np.int32]
    after: NDArray[np.int32]
    atrophied_mm3: float


def _judge(pair: SessionPair, voxel_mm3: float) -> _Findings:
    least_voxels = int(np.ceil(LEAST_VOLUME_MM3 / voxel_mm3))
    changes = find_changes(pair, least_voxels)
    before = number_pieces(_reconciled(pair.masks, changes.appeared, changes.vanished, pair.spacing_mm), least_voxels)
    after = number_pieces(
        _reconciled(pair.masks[::-1], changes.vanished, changes.appeared, pair.spacing_mm), least_voxels
    )
    records = tuple(
        _record(number, group, pair, changes.z, before, after, voxel_mm3)
        for number, group in enumerate(link_pieces(before, after), start=1)
    )
    gain, loss = (after > 0) & (before == 0), (before > 0) & (after == 0)
    atrophied = pair.masks[0] & (pair.fluids[0] < 0.5) & (pair.fluids[1] >= 0.5)
    return _Findings(records, changes.z, gain, loss, before, after, float(np.count_nonzero(atrophied)) * voxel_mm3)


def _shared_contrast(before: LesionMap, after: LesionMap) -> str:
    for name in LESION_CONTRASTS:
        if name in before.normalised and name in after.normalised:
            return name
    raise ValueError(f"the two sessions share none of the contrasts {', '.join(LESION_CONTRASTS)}")


def _filled(image: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Put normal white matter's brightness where nothing was seen, so that filters have a number there."""
    return np.where(seen, image, np.float32(1.0))


def _reconciled(
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    appeared: NDArray[np.bool_],
    vanished: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return the lesions of one session.

    They are its own mask, and that of the other session except near what differs significantly.

    Parameters
    ----------
    masks
        Lesion mask of this session and of the other.
    appeared, vanished
        Voxels that are lesion in the other session only, and in this one only.
    spacing_mm
        (3,) edges of a voxel.
    """
    own, other = masks
    borrowed = other & ~own
    if appeared.any():
        borrowed &= ndimage.distance_transform_edt(~appeared, spacing_mm) > FRINGE_MM
    return (own & ~appeared) | borrowed | vanished


def _record(
    number: int,
    group: tuple[tuple[int, ...], tuple[int, ...]],
    pair: SessionPair,
    z: NDArray[np.float32],
    before: NDArray[np.int32],
    after: NDArray[np.int32],
    voxel_mm3: float,
) -> LesionChange:
    here = [np.isin(before, group[0]), np.isin(after, group[1])]
    volumes = [float(np.count_nonzero(mask)) * voxel_mm3 for mask in here]
    gained, lost = here[1] & ~here[0], here[0] & ~here[1]
    gain_mm3, loss_mm3 = (float(np.count_nonzero(mask)) * voxel_mm3 for mask in (gained, lost))
    least_mm3 = min(max(LEAST_GROWTH * min(volumes), LEAST_VOLUME_MM3), LARGE_CHANGE_MM3)
    net_mm3 = gain_mm3 - loss_mm3
    status = _status(group, volumes, net_mm3, least_mm3)
    changed = gained if net_mm3 >= 0 else lost
    mean_z = float(z[changed if changed.any() else here[0] | here[1]].mean())
    if status == "stable":
        sure = all(bool((lesion & mask).any()) for lesion, mask in zip(here, pair.masks, strict=True))
    else:
        probability = pair.probabilities[1 if net_mm3 >= 0 else 0]
        agreed = changed.any() and float(probability[changed].mean()) >= SURE_PROBABILITY
        lone = status in ("new", "resolved")
        least_sure_mm3, least_sure_z = (SURE_VOLUME_MM3, SURE_Z) if lone else (SURE_RIM_MM3, SURE_RIM_Z)
        sure = bool(agreed) and abs(net_mm3) >= least_sure_mm3 and abs(mean_z) >= least_sure_z
    return LesionChange(
        id=number,
        status=status,
        confidence="high" if sure else "candidate",
        volume_before_mm3=volumes[0],
        volume_after_mm3=volumes[1],
        gain_mm3=gain_mm3,
        loss_mm3=loss_mm3,
        mean_z=mean_z,
        grew=net_mm3 >= least_mm3,
        ids_before=group[0],
        ids_after=group[1],
    )


def _status(
    group: tuple[tuple[int, ...], tuple[int, ...]], volumes_mm3: Sequence[float], net_mm3: float, least_mm3: float
) -> Status:
    """Name what became of a group of lesions with volumes before and after, of which ``net_mm3`` was gained.

    ``least_mm3`` is the least gain or loss that counts.
    """
    count_before, count_after = len(group[0]), len(group[1])
    before_mm3, after_mm3 = volumes_mm3
    if (before_mm3 < SWALLOWED_SHARE * after_mm3 and net_mm3 >= LARGE_CHANGE_MM3) or count_before == 0:
        return "new"
    if (after_mm3 < SWALLOWED_SHARE * before_mm3 and -net_mm3 >= LARGE_CHANGE_MM3) or count_after == 0:
        return "resolved"
    if count_before != count_after:
        return "merged" if count_before > count_after else "split"
    if abs(net_mm3) < least_mm3:
        return "stable"
    return "enlarging" if net_mm3 > 0 else "shrinking"


def _placed(values: NDArray[Scalar], box: tuple[slice, ...], shape: tuple[int, ...]) -> NDArray[Scalar]:
    """Put a cropped array back; zero around it."""
    whole = np.zeros(shape, dtype=values.dtype)
    whole[box] = values
    return whole


def _sentences(contrast: str) -> tuple[str, ...]:
    return (
        f"Change of lesions was judged from the difference of the {contrast} images of both sessions, matched in "
        "sharpness and in the contrast of lesions and freed of its smooth part, over its local standard deviation, "
        "which allows for small errors of position at edges (after Ganiler 2014).",
    )
