# SPDX-License-Identifier: Apache-2.0
"""Lesions as others drew them: find the mask of a session, and see on which of the session's images it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bids_msvol.bids.given import LESION_MASKS
from bids_msvol.bids.images import load_mask_image
from bids_msvol.bids.names import parse_name, session_name
from bids_msvol.bids.records import Scan
from bids_msvol.errors import DataError

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np
    from numpy.typing import NDArray

LABELS = frozenset({"l", "lesion", "lesions", "wml", "wmh"})
"""Labels, in lower case, by which a mask says that it shows lesions."""

SUFFIXES = ("mask", "roi", "seg", "dseg", "probseg")
"""Suffixes of masks, the one that is used first in front."""

OWN_SPACES: Mapping[str, str] = {"t1w": "T1w", "flair": "FLAIR", "t2w": "T2w", "orig": "T1w", "individual": "T1w"}
"""Spaces of the person, in lower case, and the image that they mean; a mask in another space is not used."""

GRID_TOLERANCE = 0.5
"""Two grids are the same if their corners lie within this share of the shortest voxel edge."""


@dataclass(frozen=True, eq=False)
class GivenMask:
    """A mask that was given.

    Attributes
    ----------
    image
        Probability of lesion, float32.
    drawn_on
        The image of the session in whose world it lies: ``T1w``, ``FLAIR`` or ``T2w``.
    name
        Its path inside the folder that was given.
    """

    image: nib.Nifti1Image
    drawn_on: str
    name: str


def find_lesion_mask(folder: Path, subject: str, session: str | None, *, only_session: bool) -> Scan | None:
    """Find the mask of a session in a folder of masks.

    Looked for in ``sub-XX`` and at the top of the folder, by name: a suffix of ``SUFFIXES``; ``label-L``,
    ``label-lesion`` or ``desc-lesion``, or the suffix ``roi`` without label; a space of the person or none.

    Parameters
    ----------
    folder
        What was given with ``--derivatives lesions=PATH``.
    subject, session
        Labels without prefixes.
    only_session
        Whether the person has no other session: then a mask without ``ses-`` is the session's.

    Returns
    -------
    Scan or None
        The mask, its ``relative_path`` from the folder; ``None`` if there is none.

    Raises
    ------
    DataError
        If there are several of the same kind.
    """
    files = [*(folder / f"sub-{subject}").rglob("*.nii*"), *folder.glob(f"sub-{subject}_*.nii*")]
    found: dict[int, list[Scan]] = {}
    for path in sorted(files):
        entities, suffix, extension = parse_name(path.name)
        if extension not in (".nii", ".nii.gz") or entities.get("sub") != subject:
            continue
        own = entities.get("ses")
        if own != session and not (own is None and only_session):
            continue
        if _shows_lesions(entities, suffix):
            scan = Scan(path, path.relative_to(folder).as_posix(), suffix, entities)
            found.setdefault(SUFFIXES.index(suffix), []).append(scan)
    if not found:
        return None
    best = found[min(found)]
    if len(best) > 1:
        names = ", ".join(scan.relative_path for scan in best[:4])
        raise DataError(
            f"holds several lesion masks of {session_name(subject, session)}: {names}",
            remedy="Keep one for each session",
            subject=folder,
        )
    return best[0]


def load_lesion_mask(scan: Scan, images: Mapping[str, nib.Nifti1Image]) -> GivenMask:
    """Load a mask and see on which of the session's images it lies.

    It lies on the image that its ``space-`` names, else on the one whose grid it has, else in the world of the T1w.

    Parameters
    ----------
    scan
        The mask.
    images
        The session's images by suffix; at least ``T1w``.

    Raises
    ------
    NoInputError
        If the file does not exist or was not fetched.
    DataError
        If it cannot be used, or if it has as many voxels as an image of the session but its header places them
        elsewhere.
    """
    image = load_mask_image(scan.path)
    same = [name for name in ("FLAIR", "T2w", "T1w") if name in images and _same_grid(image, images[name])]
    named = OWN_SPACES.get(scan.entities.get("space", "").lower())
    if not same:
        alike = [name for name, other in images.items() if other.shape == image.shape]
        if alike:
            raise DataError(
                f"has as many voxels as the {alike[0]} image, {' x '.join(map(str, image.shape))}, but its header "
                f"places them elsewhere (by up to {_distance_mm(image, images[alike[0]]):.0f} mm), so it is not "
                "certain which voxel it means",
                remedy=f"Give it the header of the image that it was drawn on, after looking at one over the other, "
                f"or leave the mask out of the folder given as {LESION_MASKS}=",
                subject=scan.path,
            )
    drawn_on = named if named in images else next(iter(same), "T1w")
    return GivenMask(image, str(drawn_on), scan.relative_path)


def _shows_lesions(entities: Mapping[str, str], suffix: str) -> bool:
    space = entities.get("space")
    if suffix not in SUFFIXES or (space is not None and space.lower() not in OWN_SPACES):
        return False
    label = entities.get("label")
    if label is not None:
        return label.lower() in LABELS
    words = (entities.get(key, "").lower() for key in ("desc", "seg"))
    return suffix == "roi" or any("lesion" in word for word in words)


def _same_grid(one: nib.Nifti1Image, other: nib.Nifti1Image) -> bool:
    import nibabel as nib

    if one.shape != other.shape:
        return False
    edges: NDArray[np.float64] = nib.affines.voxel_sizes(other.affine)
    return _distance_mm(one, other) <= GRID_TOLERANCE * float(edges.min())


def _distance_mm(one: nib.Nifti1Image, other: nib.Nifti1Image) -> float:
    """Return the largest distance in the world between the same corner of two grids of the same shape."""
    import nibabel as nib
    import numpy as np

    corners: Sequence[tuple[int, ...]] = list(np.ndindex(2, 2, 2))
    voxels = np.asarray(corners) * (np.asarray(one.shape) - 1)
    places = [nib.affines.apply_affine(image.affine, voxels) for image in (one, other)]
    return float(np.linalg.norm(places[0] - places[1], axis=1).max())
