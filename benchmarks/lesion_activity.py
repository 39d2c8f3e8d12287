# SPDX-License-Identifier: Apache-2.0
"""New, enlarging and stable lesions of synthetic people, and false changes when nothing changed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.claim import Findings, Options, Table, number, verdict
from bids_msvol.atlas.labels import INTRACRANIAL
from bids_msvol.demo.lesions import Course, Lesion, Region, place_lesions
from bids_msvol.demo.person import Person, Visit, make_person, make_visit
from bids_msvol.demo.protocol import FLAIR
from bids_msvol.demo.scanner import draw_head, place_scan, sample_labels, scan
from bids_msvol.imaging.activity import ActivityMap, LesionChange, compare_lesions
from bids_msvol.imaging.bias import fit_bias, flat_field
from bids_msvol.imaging.coregistration import resample
from bids_msvol.imaging.instances import CONNECTED
from bids_msvol.imaging.lesions import LesionMap
from bids_msvol.structures import STRUCTURES

PEOPLE, QUICK_PEOPLE = 4, 1
ETIV_MM3 = 1.45e6
YEARS = 2.0

COURSES: tuple[tuple[Region, Course, int], ...] = (
    ("periventricular", "enlarging", 4),
    ("deep", "enlarging", 3),
    ("juxtacortical", "enlarging", 2),
    ("periventricular", "stable", 5),
    ("deep", "stable", 4),
    ("juxtacortical", "stable", 4),
    ("infratentorial", "stable", 2),
    ("periventricular", "new", 5),
    ("deep", "new", 5),
    ("juxtacortical", "new", 5),
    ("infratentorial", "new", 2),
)
"""Lesions wanted of each kind; fewer where there is no room."""

NEW_VOLUME_MM3 = (10.0, 600.0)
"""New lesions are cut to volumes spread evenly, on a logarithmic scale, between these."""

SLICES_MM: Mapping[str, tuple[int, int]] = {"1 mm": (1, 1), "slices of 4, then 3 mm": (4, 3)}
"""Slice thickness of the two sessions."""

TURN_ERROR_DEG, SHIFT_ERROR_MM = 0.15, 0.15
"""Standard deviation, for each axis, of the error that is left after the sessions are aligned."""

BINS_MM3 = ((0.0, 30.0), (30.0, 70.0), (70.0, 200.0), (200.0, np.inf))
"""Volumes within which detection is reported."""

SENSITIVITY_TARGET, FALSE_DISCOVERY_TARGET = 0.75, 0.20

WHITE, FLUID = (
    tuple(structure.index for structure in STRUCTURES if structure.tissue == tissue) for tissue in ("WM", "CSF")
)
CORTEX = (3, 42, 8, 47)

BIAS_CUTOFF_MM = 50.0
SOFTNESS = 0.7
"""Gaussian width, in voxels, that turns true labels into probabilities."""


@dataclasses.dataclass(frozen=True, eq=False)
class Scanned:
    """A session on the person's grid.

    Attributes
    ----------
    lesions
        What a simple rule makes of the FLAIR.
    white, fluid
        (x, y, z) probability.
    truth
        (x, y, z) number of the true lesion.
    affine
        Voxel to world.
    """

    lesions: LesionMap
    white: NDArray[np.float32]
    fluid: NDArray[np.float32]
    truth: NDArray[np.int16]
    affine: NDArray[np.float64]


@dataclasses.dataclass
class Tally:
    """Counts of one kind of pair."""

    found: Counter[tuple[Course, tuple[float, float]]] = dataclasses.field(default_factory=Counter)
    wanted: Counter[tuple[Course, tuple[float, float]]] = dataclasses.field(default_factory=Counter)
    true_changes: Counter[str] = dataclasses.field(default_factory=Counter)
    false_changes: Counter[str] = dataclasses.field(default_factory=Counter)
    volume_errors: list[float] = dataclasses.field(default_factory=list)


def run(options: Options) -> Findings:
    """Draw people with known courses of lesions, scan them twice or at two visits, and compare."""
    atlas = options.load_atlas()
    tallies = {name: Tally() for name in (*SLICES_MM, *(f"nothing changed, {name}" for name in SLICES_MM))}
    for count in range(QUICK_PEOPLE if options.quick else PEOPLE):
        rng = np.random.default_rng([30, count])
        person = make_person(atlas, rng, etiv_mm3=ETIV_MM3, with_lesions=False)
        lesions = tuple(_cut(lesion, rng) for lesion in place_lesions(person.labels, rng, COURSES))
        person = dataclasses.replace(person, lesions=lesions)
        healthy = draw_head(person.labels, FLAIR, rng)
        visits = [make_visit(person, rng, years=years) for years in (0.0, 0.0, YEARS)]
        for name, slices in SLICES_MM.items():
            early = _scanned(healthy, person, visits[0], slices[0], rng)
            for key, visit in ((f"nothing changed, {name}", visits[1]), (name, visits[2])):
                late = _scanned(healthy, person, visit, slices[1], rng)
                _score(tallies[key], lesions, early, late, changed=key == name)
                print(f"person {count + 1}, {key}: {_summary(tallies[key])}", flush=True)
    return Findings(
        claim="Share of new and enlarging lesions that are reported as such (sensitivity), and share of the reported "
        "changes that are none (false discovery), lesion by lesion.",
        data=f"{QUICK_PEOPLE if options.quick else PEOPLE} synthetic people with up to 41 lesions each, {YEARS:g} "
        "years apart, and the same people scanned twice",
        tables=(_by_size(tallies), _false(tallies)),
        peers="subtraction: sensitivity 0.83 and false discovery 0.14 at a year (Ganiler 2014); with deformation "
        "features 0.74 and 0.12 (Salem 2018); LST-long 0.80 and 0.20 (Schmidt 2019); all on real patients.",
        notes=(
            f"The heads are aligned to within {TURN_ERROR_DEG:g} degrees and {SHIFT_ERROR_MM:g} mm (standard "
            "deviation for each axis); tissue probabilities are the true labels, blurred, and lesion maps come from "
            "a brightness threshold: the figures are those of the comparison alone. The people lose tissue between "
            "the visits. Real lesions have fainter borders and real images more artefacts.",
        ),
    )


def _cut(lesion: Lesion, rng: np.random.Generator) -> Lesion:
    """Give a new lesion a volume of ``NEW_VOLUME_MM3``, if it has so many voxels."""
    if lesion.course != "new":
        return lesion
    voxels = round(float(np.exp(rng.uniform(*np.log(NEW_VOLUME_MM3)))))
    return dataclasses.replace(lesion, follow_up=lesion.follow_up[:voxels])


def _scanned(
    healthy: NDArray[np.float32], person: Person, visit: Visit, slices_mm: int, rng: np.random.Generator
) -> Scanned:
    """Scan a head and bring the image to the person's grid, with an error of alignment."""
    image = scan(healthy, person, visit, place_scan(person.labels, visit.to_head, 1.0), FLAIR, rng)
    image = _thicken(image, slices_mm)
    still = dataclasses.replace(visit.to_head, affine=person.affine)
    placement = place_scan(person.labels, still, 1.0)
    labels = np.asarray(sample_labels(np.asarray(person.labels.dataobj).astype(np.int16), placement).dataobj)
    inside = np.isin(labels, INTRACRANIAL)
    turn = nib.eulerangles.euler2mat(*np.deg2rad(TURN_ERROR_DEG * rng.standard_normal(3)))
    error = nib.affines.from_matvec(turn, SHIFT_ERROR_MM * rng.standard_normal(3))
    pose = visit.to_head.affine @ np.linalg.inv(person.affine) @ error
    aligned = resample(image, nib.Nifti1Image(labels, placement.affine), pose)
    white, gray, fluid = (_soft(np.isin(labels, members)) for members in (WHITE, CORTEX, FLUID))
    normalised = _normalised(np.asarray(aligned.dataobj), white, inside)
    truth = np.asarray(sample_labels(visit.lesion_numbers, placement).dataobj)
    return Scanned(_rule(normalised, white, gray, placement.affine), white, fluid, truth, placement.affine)


def _thicken(image: nib.Nifti1Image, slices_mm: int) -> nib.Nifti1Image:
    """Average over so many slices of 1 mm."""
    data = np.asarray(image.dataobj)
    whole = data.shape[2] // slices_mm * slices_mm
    mean = data[:, :, :whole].reshape(*data.shape[:2], -1, slices_mm).mean(axis=3, dtype=np.float32)
    grid = image.affine @ nib.affines.from_matvec(np.diag([1.0, 1.0, slices_mm]), [0.0, 0.0, (slices_mm - 1) / 2.0])
    return nib.Nifti1Image(mean, grid)


def _soft(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), SOFTNESS), dtype=np.float32)


def _normalised(
    image: NDArray[np.float32], white: NDArray[np.float32], inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Divide by white matter's brightness and the smooth field fitted to it; NaN outside the skull."""
    values = np.where(inside & (image > 0), image, np.nan)
    normal = (white > 0.9) & np.isfinite(values)
    median = float(np.median(values[normal]))
    normal &= np.abs(np.where(normal, values, 0.0) / median - 1.0) < 0.3
    indices = np.argwhere(normal)[::3]
    ratio = np.log(values[tuple(indices.T)] / median).astype(np.float32)
    flat = flat_field((image.shape[0], image.shape[1], image.shape[2]), (1.0, 1.0, 1.0), BIAS_CUTOFF_MM)
    field = fit_bias(flat, indices, ratio, np.ones(len(indices), dtype=np.float32))
    return np.asarray(values * np.exp(-field.log_field()) / median, dtype=np.float32)


def _rule(
    values: NDArray[np.float32], white: NDArray[np.float32], gray: NDArray[np.float32], affine: NDArray[np.float64]
) -> LesionMap:
    """Map what is clearly brighter than cortex in and beside white matter."""
    seen = np.isfinite(values)
    cortex = values[seen & (gray > 0.9)]
    middle, spread = float(np.median(cortex)), 1.4826 * float(np.median(np.abs(cortex - np.median(cortex))))
    odds = np.exp(np.clip((np.nan_to_num(values) - middle - 2.0 * spread) / (0.5 * spread), -30.0, 30.0))
    near = ndimage.distance_transform_edt(white <= 0.5) <= 1.5
    probability = ndimage.gaussian_filter((odds / (1.0 + odds) * near).astype(np.float32), 0.5)
    return LesionMap(
        probability=probability,
        mask=probability > 0.5,
        seen=seen,
        normalised={"FLAIR": nib.Nifti1Image(values, affine)},
        sentences=(),
    )


def _score(tally: Tally, lesions: Sequence[Lesion], early: Scanned, late: Scanned, *, changed: bool) -> None:
    """Compare two sessions and add what is right and wrong to the tally."""
    found = compare_lesions(
        early.lesions,
        late.lesions,
        white_matter=np.maximum(early.white, late.white),
        fluid_before=early.fluid,
        fluid_after=late.fluid,
        affine=early.affine,
    )
    moving = [lesion.number for lesion in lesions if changed and lesion.course != "stable"]
    true_change = ndimage.binary_dilation(np.isin(late.truth, moving), CONNECTED)
    for record in found.records:
        if record.status != "stable":
            right = bool((_place(found, record) & true_change).any())
            (tally.true_changes if right else tally.false_changes)[record.confidence] += 1
    for lesion in lesions if changed else ():
        place = late.truth == lesion.number
        volume = float(np.count_nonzero(place))
        bin_ = next((bin_ for bin_ in BINS_MM3 if bin_[0] <= volume < bin_[1]), BINS_MM3[0])
        tally.wanted[lesion.course, bin_] += 1
        hits = [record for record in found.records if (np.isin(found.lesions_after, record.ids_after) & place).any()]
        grew = any(record.grew for record in hits)
        tally.found[lesion.course, bin_] += grew != (lesion.course == "stable")
        if lesion.course == "new" and len(hits) == 1 and hits[0].status == "new" and volume >= BINS_MM3[1][0]:
            tally.volume_errors.append(100.0 * (hits[0].volume_after_mm3 / volume - 1.0))


def _place(found: ActivityMap, record: LesionChange) -> NDArray[np.bool_]:
    """Voxels of a record before and after."""
    before, after = np.isin(found.lesions_before, record.ids_before), np.isin(found.lesions_after, record.ids_after)
    return np.asarray(before | after)


def _summary(tally: Tally) -> str:
    right, wrong = sum(tally.true_changes.values()), sum(tally.false_changes.values())
    return f"{sum(tally.found.values())} of {sum(tally.wanted.values())} right, changes {right} true, {wrong} false"


def _by_size(tallies: Mapping[str, Tally]) -> Table:
    rows = []
    names: dict[Course, str] = {"new": "new, found", "enlarging": "enlarging, found", "stable": "stable, left alone"}
    for key in SLICES_MM:
        tally = tallies[key]
        for course, text in names.items():
            for bin_ in (*BINS_MM3, (0.0, np.inf)):
                parts = BINS_MM3 if bin_ == (0.0, np.inf) else (bin_,)
                wanted = sum(tally.wanted[course, part] for part in parts)
                share = sum(tally.found[course, part] for part in parts) / wanted if wanted else None
                size = "all" if len(parts) > 1 else f"{bin_[0]:g} to {bin_[1]:g}"
                judged = verdict(share, SENSITIVITY_TARGET if wanted else None, "at least")
                rows.append((key, text, size, str(wanted), number(share), number(SENSITIVITY_TARGET), judged))
    header = ("sessions", "lesions", "volume mm3", "number", "share", "target", "verdict")
    errors = {key: np.median(tallies[key].volume_errors) for key in SLICES_MM if tallies[key].volume_errors}
    caption = "; ".join(f"{key}: median volume error of new lesions {value:+.0f} %" for key, value in errors.items())
    return Table(header, tuple(rows), caption)


def _false(tallies: Mapping[str, Tally]) -> Table:
    rows = []
    for key, tally in tallies.items():
        for confidence in ("high", "candidate"):
            right, wrong = tally.true_changes[confidence], tally.false_changes[confidence]
            share = wrong / (right + wrong) if right + wrong else None
            target = FALSE_DISCOVERY_TARGET if key in SLICES_MM and share is not None else None
            rows.append((
                key, confidence, str(right), str(wrong), number(share), number(target),
                verdict(share, target, "at most") if key in SLICES_MM else verdict(float(wrong), 0.0, "at most"),
            ))  # fmt: skip
    header = ("sessions", "confidence", "true changes", "false changes", "false discovery", "target", "verdict")
    return Table(header, tuple(rows))
