# SPDX-License-Identifier: Apache-2.0
"""Discs in front of the cord: finding them in an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.cord.levels import LEVEL_TOPS_MM
from bids_msvol.cord.sections import Sections, across, downward_arc_mm
from bids_msvol.imaging.grids import sample_trilinear

THICKEST_SLICE_MM = 4.0
"""Discs are 4 to 6 mm high; they are lost between axial slices that are thicker than this."""

STEP_MM = 0.5
"""Distance between samples in the straightened image."""

DEPTH_MM = (10.0, 21.0)
"""What is looked at in front of the middle of the cord: vertebral bodies begin 8 mm ahead, behind a vein at their
back, and are 14 to 18 mm deep."""

SIDE_MM = 4.0
"""What is averaged to each side: the discs are flat there, and further out they bend upward."""

SURROUNDINGS_MM = 15.0
"""Width of the weights with which brightness is divided by its mean along the spine: it falls away from the coil."""

CONTRAST_RANGE = (-1.0, 1.5)
"""Contrast beyond this, relative to the surroundings, is of vessels and of the air, not of discs."""

DEPTH_BLUR_MM = 2.0
"""Smoothing from back to front, where a disc does not change."""

HALF_WINDOW_MM = 8.5
"""A disc is judged with half of the vertebra above it and half of the one below."""

CORE_MM = 4.0
"""Half the height of what must be in view around the middle of a disc."""

TILTS_DEG = np.arange(-24.0, 17.0, 4.0)
"""Tilts of the discs against the plane across the cord; below zero, their front lies lower than their back."""

USUAL_TILT_DEG, TILT_COST = -6.0, 0.05
"""Discs of the neck slope down to the front; 20 degrees off cost this likeness, squared."""

LEAST_LIKENESS = 0.35
"""Likeness to a disc, 1 at best, from which another disc makes a row of them better."""

FAINTEST = 0.25
"""Likeness from which something between two discs may be a disc."""

SPACING_MM = float(np.mean(np.diff(LEVEL_TOPS_MM[2:])))
"""Mean distance between the discs from C2/C3 down, in the average neck."""

SPACING_SD_MM, SPACING_COST = 2.0, 0.1
"""Levels differ in height within a neck; one standard deviation off costs this likeness, squared."""

SCALES, SCALE_SD, SCALE_COST = np.linspace(0.8, 1.25, 10), 0.1, 0.02
"""Necks are short or long; one standard deviation off costs this likeness, squared, for each disc."""

GAP_COST = 0.5
"""Cost of a disc that is not seen between two that are."""

LEAST_TOTAL = 0.9
"""Least sum, over a row of discs, of likeness above ``LEAST_LIKENESS``, less costs: two that are very clear, or more.
0.9 to 2 in real necks; noise as coarse as discs passes once in about 20 times, finer noise does not."""

LEAST_CONFIDENCE = 0.75
"""Least mean correlation of the discs with one another: 0.8 to 0.98 in real necks, and mostly
less than 0.7 beside them."""

RIVAL = 0.7
"""A row of discs is refused if another one, elsewhere and clear enough by itself, is worth more than this share."""

SAME_MM = 4.0
"""Two rows of discs are the same if their discs are at most this far apart in the mean."""

LEAST_SEEN, LEAST_CORE_SEEN = 0.5, 0.7
"""Shares of the vicinity of a disc, and of its core, that must be in view."""


@dataclass(frozen=True, eq=False)
class FoundDiscs:
    """Discs that were found in an image, or why none were.

    Attributes
    ----------
    arc_mm
        (k,) where their backs lie, across the cord, on the centreline: downward from its highest point, increasing;
        empty if they were not found.
    confidence
        Mean correlation of each disc and its vicinity with the mean of the others, 0 to 1.
    appearance
        ``bright`` or ``dark`` against the vertebrae, ``rimmed``: bright between dark end plates; ``None`` if not found.
    reason
        Why they were not found, in plain words.
    """

    arc_mm: NDArray[np.float64]
    confidence: float = 0.0
    appearance: str | None = None
    reason: str | None = None


def find_discs(image: nib.Nifti1Image, sections: Sections) -> FoundDiscs:
    """Find the intervertebral discs in front of the cord, without their numbers.

    The image is straightened along the cord. Each height is compared with patterns of a disc between two vertebrae,
    bright, dark, and bright between dark end plates, at several tilts; the best row of them, at distances that necks
    have, is found by dynamic programming. What is believed is a row whose discs look alike, since the tissue of one
    person's discs does, and that no other row comes near to.

    Parameters
    ----------
    image
        Axes right, anterior, superior (``to_canonical``); any contrast.
    sections
        The cord in it.
    """
    height = float(nib.affines.voxel_sizes(image.affine)[2])
    if height > THICKEST_SLICE_MM:
        return _refused(f"the axial slices are {height:.1f} mm thick, and discs are 5 mm high")
    strip = _straighten(image, sections)
    if np.isfinite(strip).any(axis=1).sum() * STEP_MM < SPACING_MM + 2.0 * CORE_MM:
        return _refused("too little of what lies in front of the cord is in the image to see two discs")
    tilted = _tilt(_contrast(strip))
    rows = [row for name, pattern in _patterns().items() if (row := _best_row(name, tilted, pattern)) is not None]
    best = max(rows, key=_worth, default=None)
    if best is None or len(best.places) < 2 or best.total < LEAST_TOTAL:
        return _refused("no row of discs is seen in front of the cord")
    believable = [row for row in rows if row.total >= LEAST_TOTAL and row.confidence >= LEAST_CONFIDENCE]
    if best not in believable:
        return _refused("what could be discs in front of the cord does not look alike")
    if any(_worth(row) > RIVAL * _worth(best) and _apart_mm(row, best) > SAME_MM for row in believable):
        return _refused("discs and vertebrae in front of the cord cannot be told apart")
    return FoundDiscs(best.places * STEP_MM, best.confidence, best.name)


@dataclass(frozen=True, eq=False)
class _Row:
    """A row of what may be discs: the name of their pattern, samples (k,) from the top, likeness, and confidence."""

    name: str
    places: NDArray[np.float64]
    total: float
    confidence: float


def _refused(reason: str) -> FoundDiscs:
    return FoundDiscs(np.zeros(0), reason=reason)


def _straighten(image: nib.Nifti1Image, sections: Sections) -> NDArray[np.float64]:
    """Return (n, depth) brightness in front of the cord, from the top down; NaN where nothing was measured."""
    arcs = downward_arc_mm(sections)[::-1]
    samples = np.arange(0.0, arcs[-1] + STEP_MM / 2, STEP_MM)
    right, front = across(sections)
    center, right, front = (
        np.stack([np.interp(samples, arcs, values[::-1, axis]) for axis in range(3)], axis=1)
        for values in (sections.centers_mm, right, front)
    )
    depths, sides = _depths_mm(), np.arange(-SIDE_MM, SIDE_MM + 0.5)
    points = (
        center[:, None, None] + depths[:, None, None] * front[:, None, None] + sides[:, None] * right[:, None, None]
    )
    voxels = nib.affines.apply_affine(np.linalg.inv(image.affine), points)
    inside = ((voxels >= -0.5) & (voxels <= np.asarray(image.shape) - 0.5)).all(axis=-1)
    data = np.asarray(image.dataobj, dtype=np.float32)
    values = sample_trilinear(data, voxels.reshape(-1, 3).astype(np.float32)).reshape(inside.shape)
    # Faces are removed by setting voxels to 0.
    seen = inside & (values > 0)
    count = seen.sum(axis=2)
    mean = np.where(seen, values, 0.0).sum(axis=2) / np.maximum(count, 1)
    return np.where(count > len(sides) / 2, mean, np.nan)


def _depths_mm() -> NDArray[np.float64]:
    return np.asarray(np.arange(DEPTH_MM[0], DEPTH_MM[1] + STEP_MM / 2, STEP_MM))


def _contrast(strip: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return brightness relative to the surroundings at the same depth, smoothed from back to front."""
    seen = np.isfinite(strip)
    local = _weighted_mean(strip, SURROUNDINGS_MM, axis=0)
    relative = np.clip(strip / np.where(local > 0, local, 1.0) - 1.0, *CONTRAST_RANGE)
    return np.where(seen, _weighted_mean(relative, DEPTH_BLUR_MM, axis=1), np.nan)


def _weighted_mean(values: NDArray[np.float64], width_mm: float, axis: int) -> NDArray[np.float64]:
    """Gaussian mean of what is not NaN."""
    seen = np.isfinite(values)
    parts = (np.where(seen, values, 0.0), seen.astype(np.float64))
    total, weight = (ndimage.gaussian_filter1d(part, width_mm / STEP_MM, axis, mode="constant") for part in parts)
    return np.asarray(total / np.maximum(weight, 1e-9))


def _tilt(strip: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (tilt, n, depth): the strip sheared about the back of the discs until discs of each tilt are level."""
    count = len(strip)
    tilted = np.empty((len(TILTS_DEG), *strip.shape))
    for number, tilt in enumerate(TILTS_DEG):
        moves = np.tan(np.deg2rad(tilt)) * (_depths_mm() - DEPTH_MM[0]) / STEP_MM
        for column, move in enumerate(moves):
            tilted[number, :, column] = np.interp(
                np.arange(count) - move, np.arange(count), strip[:, column], left=np.nan, right=np.nan
            )
    return tilted


def _window_mm() -> NDArray[np.float64]:
    return np.asarray(np.arange(-HALF_WINDOW_MM, HALF_WINDOW_MM + STEP_MM / 2, STEP_MM))


def _patterns() -> Mapping[str, NDArray[np.float64]]:
    """Return what a disc between two vertebrae looks like, by name and height in mm."""

    def band(height_mm: float) -> NDArray[np.float64]:
        return np.asarray(0.5 * (1.0 + np.tanh((height_mm / 2.0 - np.abs(_window_mm())) / 0.6)))

    bright = {f"bright {height:g}": band(height) for height in (4.0, 5.5, 7.0)}
    dark = {f"dark {height:g}": -band(height) for height in (4.0, 5.5, 7.0)}
    rimmed = {f"rimmed {height:g}": 1.6 * band(height - 3.6) - band(height) for height in (6.0, 8.0)}
    return {**bright, **dark, **rimmed}


def _likeness(tilted: NDArray[np.float64], pattern: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate each vicinity with the pattern; (tilt, n), -1 where too little is in view.

    It is the correlation over all samples of the vicinity, times how much there is of contrast: what is faint beside
    the clearest of the image counts less.
    """
    seen = np.isfinite(tilted).astype(np.float64)
    values = np.where(seen > 0, tilted, 0.0)
    ones, core = np.ones(len(pattern)), (np.abs(_window_mm()) <= CORE_MM).astype(np.float64)

    def sums(array: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndimage.correlate1d(array, weights, axis=1, mode="constant"))

    count = np.maximum(sums(seen, ones), 1.0)
    mean, mean_pattern = sums(values, ones) / count, sums(seen, pattern) / count
    covariance = (sums(values, pattern) - count * mean * mean_pattern).sum(axis=2)
    spread = (sums(values**2, ones) - count * mean**2).sum(axis=2)
    spread_pattern = (sums(seen, pattern**2) - count * mean_pattern**2).sum(axis=2)
    enough = sums(seen, ones).sum(axis=2) >= LEAST_SEEN * len(pattern) * tilted.shape[2]
    enough &= sums(seen, core).sum(axis=2) >= LEAST_CORE_SEEN * core.sum() * tilted.shape[2]
    if not enough.any():
        return np.full(enough.shape, -1.0)
    contrast = np.sqrt(np.maximum(spread, 0.0))
    clearest = float(np.percentile(contrast[enough], 90)) + 1e-9
    scale = np.sqrt(np.maximum(spread_pattern, 1e-9)) * (contrast + clearest) / 2.0
    return np.where(enough, covariance / scale, -1.0)


def _best_row(name: str, tilted: NDArray[np.float64], pattern: NDArray[np.float64]) -> _Row | None:
    """Return the best row of one pattern, or ``None`` if nothing is like it."""
    by_tilt = _likeness(tilted, pattern) - TILT_COST * ((TILTS_DEG[:, None] - USUAL_TILT_DEG) / 20.0) ** 2
    likeness, tilts = by_tilt.max(axis=0), by_tilt.argmax(axis=0)
    peaks = np.flatnonzero((likeness == ndimage.maximum_filter1d(likeness, 7)) & (likeness > FAINTEST))
    if not len(peaks):
        return None
    total, row = max((_chain(peaks, likeness[peaks], scale) for scale in SCALES), key=lambda found: found[0])
    places = np.asarray([_summit(likeness, place) for place in row])
    return _Row(name.split()[0], places, total, _alike(tilted, row, tilts[row]))


def _chain(peaks: NDArray[np.intp], likeness: NDArray[np.float64], scale: float) -> tuple[float, NDArray[np.intp]]:
    """Return the worth of the best chain of peaks (k,), and the chain, by dynamic programming."""
    usual = SPACING_MM * scale
    worth, before = likeness - LEAST_LIKENESS, np.full(len(peaks), -1)
    for number in range(1, len(peaks)):
        distance = (peaks[number] - peaks[:number]) * STEP_MM
        steps = np.clip(np.rint(distance / usual), 1, 2)
        off = (distance - steps * usual) / SPACING_SD_MM
        cost = SPACING_COST * off**2 / steps + GAP_COST * (steps - 1) + SCALE_COST * ((scale - 1.0) / SCALE_SD) ** 2
        gains = worth[:number] - cost
        if gains.max() > 0:
            before[number] = int(np.argmax(gains))
            worth[number] += gains.max()
    chain = [int(np.argmax(worth))]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return float(worth.max()), peaks[chain[::-1]]


def _summit(values: NDArray[np.float64], place: int) -> float:
    """Return the top of the parabola through a peak and its neighbours, in samples."""
    if not 0 < place < len(values) - 1:
        return float(place)
    below, peak, above = values[place - 1 : place + 2]
    bend = below - 2.0 * peak + above
    return place + float(np.clip(0.5 * (below - above) / bend, -0.5, 0.5)) if bend < 0 else float(place)


def _alike(tilted: NDArray[np.float64], places: NDArray[np.intp], tilts: NDArray[np.intp]) -> float:
    """Return the mean correlation of each disc with the mean of the others, made the same above and below."""
    half = len(_window_mm()) // 2
    padded = np.pad(tilted, ((0, 0), (half, half), (0, 0)), constant_values=np.nan)
    vicinities = np.stack(
        [padded[tilt, place : place + 2 * half + 1] for place, tilt in zip(places, tilts, strict=True)]
    )
    if len(vicinities) < 2:
        return 0.0
    correlations = []
    for number, one in enumerate(vicinities):
        others = np.delete(vicinities, number, axis=0)
        both = np.concatenate([others, others[:, ::-1]])
        seen = np.isfinite(both)
        mean = np.where(seen, both, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        known = seen.any(axis=0) & np.isfinite(one)
        correlations.append(float(np.corrcoef(mean[known], one[known])[0, 1]))
    return float(np.mean(correlations))


def _worth(row: _Row) -> float:
    return row.total * row.confidence


def _apart_mm(one: _Row, other: _Row) -> float:
    """Return the mean distance, in mm, of the discs of one row from the nearest of another."""
    return STEP_MM * float(np.abs(one.places[:, None] - other.places).min(axis=1).mean())
