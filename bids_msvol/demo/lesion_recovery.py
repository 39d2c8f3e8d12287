# SPDX-License-Identifier: Apache-2.0
"""Lesion by lesion: which of the planted ones a session's results hold, and which lesions they hold that are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import spatial

from bids_msvol.imaging.grids import world_points
from bids_msvol.imaging.registration import load_affine

if TYPE_CHECKING:
    from bids_msvol.bids.load import SessionOutputs
    from bids_msvol.demo.known import KnownLesion, KnownSession

LEAST_TRUE_MM3 = 10.0
"""A smaller planted lesion is not asked for: the program lists none of that size."""

NOT_MEASURED = "this session was not measured"


@dataclass(frozen=True, eq=False)
class Contacts:
    """Where planted and found lesions of a session meet.

    Attributes
    ----------
    found_by_true
        Numbers of the found lesions that each planted one meets, by its number; nothing for one that meets none.
    covered
        Share of each planted lesion's voxels that lie in found lesions.
    points_mm
        Voxels (n, 3) of all planted lesions, in the RAS world of the results.
    numbers
        (n,) number of the planted lesion at each of them.
    """

    found_by_true: Mapping[int, frozenset[int]]
    covered: Mapping[int, float]
    points_mm: NDArray[np.float32]
    numbers: NDArray[np.int64]

    def true_of(self, found: int) -> frozenset[int]:
        """Return the planted lesions that a found one meets."""
        return frozenset(true for true, others in self.found_by_true.items() if found in others)

    def true_near(self, point_mm: tuple[float, float, float], reach_mm: float) -> frozenset[int]:
        """Return the planted lesion nearest to a point in the world of the results, if it is within reach."""
        if len(self.points_mm) == 0:
            return frozenset()
        distance_mm, nearest = spatial.KDTree(self.points_mm).query(point_mm)
        return frozenset({int(self.numbers[nearest])}) if distance_mm <= reach_mm else frozenset()


@dataclass(frozen=True)
class LesionMatch:
    """A planted lesion of one session, and what the results say of it.

    Attributes
    ----------
    known
        What is true.
    found
        Numbers of the found lesions that it meets; ``None`` if lesions were not measured.
    found_mm3
        Volume of these; ``None`` if unknown.
    covered_pct
        Share of its voxels that lie in them; ``None`` if unknown.
    shared_with
        Other planted lesions that meet the same found ones, whose volume is then that of all of them.
    """

    known: KnownLesion
    found: tuple[int, ...] | None
    found_mm3: float | None
    covered_pct: float | None
    shared_with: tuple[int, ...]

    @property
    def counts(self) -> bool:
        """Whether it is large enough to be asked for."""
        return self.known.volume_mm3 >= LEAST_TRUE_MM3 and self.known.n_voxels > 0

    @property
    def is_found(self) -> bool | None:
        """Whether any found lesion meets it; ``None`` if lesions were not measured."""
        return None if self.found is None else bool(self.found)


@dataclass(frozen=True)
class FalseLesion:
    """A found lesion that meets no planted one.

    Attributes
    ----------
    number
        Its number in the results.
    region
        Where the results say it lies.
    volume_mm3
        Its volume.
    center_mm
        Its centre in the RAS world of the results.
    """

    number: int
    region: str
    volume_mm3: float
    center_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class LesionRecovery:
    """The lesions of one session, planted and found.

    Attributes
    ----------
    session
        Label without ``ses-``.
    true_count, true_mm3
        Planted lesions of any size.
    found_count, found_mm3
        As the results give them; ``None`` if they were not measured.
    matches
        Each planted lesion.
    false
        Found lesions that meet no planted one; ``None`` if they were not measured.
    contacts
        Where they meet; ``None`` if they were not measured.
    reason
        Why something about them was not measured, as the results say; empty if all was.
    """

    session: str
    true_count: int
    true_mm3: float
    found_count: int | None
    found_mm3: float | None
    matches: tuple[LesionMatch, ...]
    false: tuple[FalseLesion, ...] | None
    contacts: Contacts | None
    reason: str

    @property
    def asked(self) -> tuple[LesionMatch, ...]:
        """The planted lesions large enough to be asked for."""
        return tuple(match for match in self.matches if match.counts)

    @property
    def n_found(self) -> int | None:
        """How many of these were found."""
        return None if self.contacts is None else sum(match.is_found is True for match in self.asked)

    @property
    def n_missed(self) -> int | None:
        """How many of them were not."""
        return None if self.contacts is None else sum(match.is_found is False for match in self.asked)

    @property
    def n_small(self) -> int:
        """How many planted lesions are too small to be asked for."""
        return len(self.matches) - len(self.asked)

    @property
    def n_false(self) -> int | None:
        """How many found lesions meet no planted one."""
        return None if self.false is None else len(self.false)

    @property
    def difference_pct(self) -> float | None:
        """Found minus true volume, in per cent of the true one."""
        return percent_difference(self.true_mm3, self.found_mm3)

    def match(self, number: int) -> LesionMatch | None:
        """Return a planted lesion by its number, ``None`` if it is not there at this session."""
        return next((match for match in self.matches if match.known.number == number), None)


def compare_lesions(known: KnownSession, outputs: SessionOutputs | None) -> LesionRecovery:
    """Hold the planted lesions of a session against those found.

    Parameters
    ----------
    known
        What is true.
    outputs
        The results; ``None`` if the session was not measured.
    """
    found_count = None if outputs is None else outputs.lesion_value("count")
    found_mm3 = None if outputs is None else outputs.lesion_value("volume_mm3")
    image = None if outputs is None else outputs.load_lesions()
    contacts, false, volumes = None, None, dict[int, float]()
    if outputs is not None and outputs.lesions is not None and image is not None:
        moved = outputs.files.scan_transform.exists()
        to_scan = load_affine(outputs.files.scan_transform) if moved else np.eye(4)
        contacts = find_contacts(known.load_lesions(), image, to_scan)
        rows = outputs.lesions.to_dict("records")
        volumes = {int(row["index"]): float(row["volume_mm3"]) for row in rows}
        false = tuple(
            FalseLesion(int(row["index"]), row["region"], row["volume_mm3"], (row["x_mm"], row["y_mm"], row["z_mm"]))
            for row in rows
            if not contacts.true_of(int(row["index"]))
        )
    return LesionRecovery(
        session=known.label,
        true_count=len(known.lesions),
        true_mm3=sum(lesion.volume_mm3 for lesion in known.lesions),
        found_count=None if found_count is None else int(found_count),
        found_mm3=found_mm3,
        matches=tuple(_match(lesion, contacts, volumes) for lesion in known.lesions),
        false=false,
        contacts=contacts,
        reason=_reason(outputs),
    )


def find_contacts(true: nib.Nifti1Image, found: nib.Nifti1Image, to_scan: NDArray[np.float64]) -> Contacts:
    """Find which planted and found lesions share a voxel.

    Voxels are looked up from either image in the other, since the smaller ones of a finer grid can lie between the
    centres of a coarser one.

    Parameters
    ----------
    true
        Planted lesions by number, on the grid of the T1w file.
    found
        Found lesions by number, in the space of the results.
    to_scan
        (4, 4) from the RAS world of the results to that of the T1w file, mm.
    """
    true_numbers, true_mm = _voxels(true)
    found_numbers, found_mm = _voxels(found)
    from_scan = np.linalg.inv(to_scan)
    points_mm = nib.affines.apply_affine(from_scan, true_mm).astype(np.float32)
    found_at_true = _values_at(found, points_mm)
    true_at_found = _values_at(true, nib.affines.apply_affine(to_scan, found_mm))
    pairs = {
        *zip(true_numbers.tolist(), found_at_true.tolist(), strict=True),
        *zip(true_at_found.tolist(), found_numbers.tolist(), strict=True),
    }
    wanted = np.unique(true_numbers).tolist()
    return Contacts(
        found_by_true={one: frozenset(other for own, other in pairs if own == one and other > 0) for one in wanted},
        covered={one: float(np.mean(found_at_true[true_numbers == one] > 0)) for one in wanted},
        points_mm=points_mm,
        numbers=true_numbers,
    )


def percent_difference(reference: float | None, value: float | None) -> float | None:
    """Return value minus reference in per cent of the reference; ``None`` if one is missing or the reference is 0."""
    return None if value is None or not reference else 100.0 * (value - reference) / reference


def _voxels(image: nib.Nifti1Image) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Numbers above 0 of an image, and the world coordinates of their voxels."""
    data = np.asarray(image.dataobj)
    mask = data > 0
    return data[mask].astype(np.int64), world_points(mask, np.asarray(image.affine))


def _values_at(image: nib.Nifti1Image, points_mm: NDArray[np.floating]) -> NDArray[np.int64]:
    """Values at the voxels nearest to world points; 0 outside."""
    data = np.asarray(image.dataobj)
    nearest = np.rint(nib.affines.apply_affine(np.linalg.inv(image.affine), points_mm)).astype(np.int64)
    inside = np.all((nearest >= 0) & (nearest < data.shape), axis=1)
    values = np.zeros(len(nearest), dtype=np.int64)
    values[inside] = data[tuple(nearest[inside].T)]
    return values


def _match(lesion: KnownLesion, contacts: Contacts | None, volumes_mm3: Mapping[int, float]) -> LesionMatch:
    if contacts is None:
        return LesionMatch(lesion, None, None, None, ())
    found = sorted(contacts.found_by_true.get(lesion.number, ()))
    others = frozenset[int]().union(*(contacts.true_of(number) for number in found)) - {lesion.number}
    # A number of the image that its table lacks has no volume, and then neither have they together.
    volume = sum(volumes_mm3[number] for number in found) if volumes_mm3.keys() >= set(found) else None
    covered = contacts.covered.get(lesion.number)
    return LesionMatch(
        known=lesion,
        found=tuple(found),
        found_mm3=volume if found else None,
        covered_pct=None if covered is None else 100.0 * covered,
        shared_with=tuple(sorted(others)),
    )


def _reason(outputs: SessionOutputs | None) -> str:
    if outputs is None:
        return NOT_MEASURED
    return "; ".join(str(reason) for reason in outputs.lesion_summary["reason"] if reason)
