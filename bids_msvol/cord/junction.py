# SPDX-License-Identifier: Apache-2.0
"""The pontomedullary junction: the groove between pons and medulla, guessed from the atlas and found on the image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from bids_msvol.imaging.grids import sample_cubic, sample_trilinear, world_points
from bids_msvol.imaging.registration import TemplateTransform

TEMPLATE_JUNCTION_MM = (0.0, -28.7, -49.5)
"""The groove in MNI152NLin2009aSym. This module finds it at a height of -50.7 mm in the T1w of the template, and at
-48.8 mm in an image drawn from the atlas. Carried into the template, that of six healthy adults lies at -49.1 mm
(median), and that of one of them at -55 mm."""

TEMPLATE_AXIS_MM = ((0.0, -38.0, -49.0), (0.0, -43.5, -65.0))
"""Two points on the axis of the medulla in the template, at the junction and below: half-way from front to back."""

TILT_DEG = 35.0
"""By how much the rays that look for the front of the brainstem point downward. The groove opens in that direction:
the front of the medulla runs along the axis and the lower border of the pons nearly across it, so that neither a turn
of the axis nor a steep or shallow pons moves the deepest point much."""

START_MM = 8.0
"""How far behind the groove the rays begin: in the middle of the medulla, which is 11 to 14 mm thick there."""

RAY_MM = 26.0
"""Length of the rays: from the middle of the medulla to the front of the pons, and some fluid."""

ABOVE_MM, BELOW_MM = 16.0, 14.0
"""How far up and down the front of the brainstem is followed: the lower half of the pons, and most of the medulla."""

HALF_WIDTH_MM = 2.5
"""Half the thickness of the slab in which the brainstem is seen from the side. The blind hole at the junction is 1 to
2 mm wide and up to 4 mm deep: a thinner slab takes its bottom for the front of the brainstem."""

STEP_MM = 0.25
"""Distance of the samples along the rays, and from one ray to the next."""

SLAB_STEP_MM = 0.5
"""Distance of the samples through the slab."""

CROP_MM = 45.0
"""How far around the guess the image is looked at: the rays, and a second round about a groove that lies elsewhere."""

SURE, LIKELY = 0.9, 0.3
"""Probability of the brainstem where its brightness is read, and where its course is."""

VESSEL = (1.25, 1.55)
"""Brightness, relative to the brainstem, from which blood begins to count as fluid, and from which it does fully. The
basilar and vertebral arteries lie against pons and medulla, and flow makes them bright on many T1w images."""

HIGHEST_FLUID = 0.7
"""Brightness of the fluid, relative to the brainstem, above which no border is believed."""

GAP_MM = 1.5
"""Over such a stretch, the line is drawn between rays that meet the border if those between do not."""

SIDE_MM = 4.0
"""How far the front of the brainstem must be seen on both sides of the groove."""

LEAST_RISE_MM = 0.5
"""A place counts as a groove if the front of the brainstem comes forward by this much on both sides of it."""

DEPTH_MM = (1.5, 7.0)
"""How deep a groove must be, and may be. In six healthy adults and a patient it was 2.9 to 4.8 mm deep. A line that
seems to lie deeper has run from the pons to the skull base, as it does where thick slices leave no fluid between."""

FARTHEST_MM = 8.0
"""How far from the guess the groove may lie. In six healthy adults it was 0.6 to 3.7 mm away."""


@dataclass(frozen=True, eq=False)
class Junction:
    """Where pons and medulla meet.

    Attributes
    ----------
    point_mm
        (3,) the groove at the front of the brainstem, in the midsagittal plane, in the world of the image.
    axis_point_mm
        (3,) the centre of the brainstem at that height: where distances along the cord begin.
    along
        (3,) unit vector along the axis of the medulla, upward.
    right
        (3,) unit vector across the midsagittal plane.
    depth_mm
        How far the groove lies behind the plane that touches pons and medulla; zero where none is seen.
    distance_mm
        Distance of ``point_mm`` from where the atlas expects the groove.
    refined
        Whether the groove was found on the image; otherwise the points are what the atlas expects.
    reason
        Why it was not; ``None`` if it was.
    """

    point_mm: NDArray[np.float64]
    axis_point_mm: NDArray[np.float64]
    along: NDArray[np.float64]
    right: NDArray[np.float64]
    depth_mm: float
    distance_mm: float
    refined: bool
    reason: str | None


def find_junction(
    t1w: nib.Nifti1Image, brainstem_probability: NDArray[np.float32], to_template: TemplateTransform
) -> Junction:
    """Find the pontomedullary junction on a T1w image of the head.

    The front of the brainstem is traced in the midsagittal plane at half the brightness between brainstem and fluid,
    around the place where the atlas expects the junction. The groove is where that line lies deepest between the pons
    and the medulla. The junction as the origin of heights along the cord follows Bédard and Cohen-Adad (Frontiers in
    Neuroimaging, 2022); the search is our own.

    Parameters
    ----------
    t1w
        Bias-corrected image, isotropic voxels of about 1 mm; skull-stripped or not.
    brainstem_probability
        (x, y, z) probability of midbrain, pons and medulla on its grid.
    to_template
        Between the template and the image.

    Returns
    -------
    Junction
        What the atlas expects, with a reason, where no groove can be believed.
    """
    expected = _Frame.expected(to_template)
    try:
        view = _View.around(expected.origin_mm, t1w, brainstem_probability)
        frame = view.in_midplane(expected)
        # The second round is about the groove, so that the result does not hang on the guess.
        for _ in range(2):
            place, depth_mm = _deepest_groove(view.front_of_brainstem(frame))
            frame = frame.moved(*place)
    except _NotSeenError as problem:
        return _unrefined(expected, to_template, str(problem), 0.0)
    distance_mm = float(np.linalg.norm(frame.origin_mm - expected.origin_mm))
    if not DEPTH_MM[0] <= depth_mm <= DEPTH_MM[1]:
        much = "shallow" if depth_mm < DEPTH_MM[0] else "deep"
        reason = f"what looks like the groove is {depth_mm:.1f} mm deep, which is too {much}"
        return _unrefined(expected, to_template, reason, depth_mm)
    if distance_mm > FARTHEST_MM:
        reason = f"the groove lies {distance_mm:.0f} mm from where the atlas expects it"
        return _unrefined(expected, to_template, reason, depth_mm)
    return Junction(
        point_mm=frame.origin_mm,
        axis_point_mm=view.centre_behind(frame, _axis_point(frame, to_template)),
        along=frame.up,
        right=frame.right,
        depth_mm=depth_mm,
        distance_mm=distance_mm,
        refined=True,
        reason=None,
    )


class _NotSeenError(Exception):
    """The image does not show what is looked for; the message is the reason for the user."""


@dataclass(frozen=True, eq=False)
class _Frame:
    """A point of the brainstem and its directions there, in the world of the image.

    Attributes
    ----------
    origin_mm
        (3,) point of the midsagittal plane.
    right, up, front
        (3,) unit vectors: across that plane, along the axis of the medulla, and toward the face.
    """

    origin_mm: NDArray[np.float64]
    right: NDArray[np.float64]
    up: NDArray[np.float64]
    front: NDArray[np.float64]

    @staticmethod
    def expected(to_template: TemplateTransform) -> _Frame:
        """Return the frame at the groove, as the atlas expects it."""
        points = np.asarray([TEMPLATE_JUNCTION_MM, *TEMPLATE_AXIS_MM], dtype=np.float32)
        junction, higher, lower = to_template.template_to_subject(points).astype(np.float64)
        return _Frame.of(junction, to_template.affine[:3, 0], higher - lower)

    @staticmethod
    def of(origin_mm: NDArray[np.float64], right: NDArray[np.float64], up: NDArray[np.float64]) -> _Frame:
        """Return the frame with this direction across, and the direction nearest to ``up``."""
        right = right / np.linalg.norm(right)
        up = up - right * (up @ right)
        up = up / np.linalg.norm(up)
        return _Frame(origin_mm, right, up, np.asarray(np.cross(up, right), dtype=np.float64))

    def moved(self, front_mm: float, up_mm: float) -> _Frame:
        """Return the frame at another point of the midsagittal plane."""
        return replace(self, origin_mm=self.origin_mm + front_mm * self.front + up_mm * self.up)

    def points(
        self,
        right_mm: NDArray[np.float64] | float,
        front_mm: NDArray[np.float64] | float,
        up_mm: NDArray[np.float64] | float,
    ) -> NDArray[np.float64]:
        """Return the points (..., 3) of the world that lie so far from the origin in each direction."""
        offsets = np.stack(np.broadcast_arrays(right_mm, front_mm, up_mm), axis=-1)
        return np.asarray(self.origin_mm + offsets @ np.stack([self.right, self.front, self.up]))


@dataclass(frozen=True, eq=False)
class _View:
    """The image around the junction.

    Attributes
    ----------
    coefficients
        (x, y, z) cubic splines of the brightness relative to the brainstem.
    probability
        (x, y, z) of the brainstem.
    affine
        (4, 4) from the voxels of both to the world, mm.
    """

    coefficients: NDArray[np.float32]
    probability: NDArray[np.float32]
    affine: NDArray[np.float64]

    @staticmethod
    def around(point_mm: NDArray[np.float64], t1w: nib.Nifti1Image, probability: NDArray[np.float32]) -> _View:
        """Cut out what lies near a point."""
        center = nib.affines.apply_affine(np.linalg.inv(t1w.affine), point_mm)
        shape = np.asarray(t1w.shape[:3])
        if np.any(center < 0) or np.any(center > shape - 1):
            raise _NotSeenError("the place where the junction is expected lies outside the image")
        reach = CROP_MM / np.asarray(nib.affines.voxel_sizes(t1w.affine))
        first = np.maximum(np.floor(center - reach), 0).astype(int)
        last = np.minimum(np.ceil(center + reach) + 1, shape).astype(int)
        box = tuple(slice(*ends) for ends in zip(first.tolist(), last.tolist(), strict=True))
        brightness = np.asarray(t1w.dataobj)[box].astype(np.float32)
        nearby = np.asarray(probability)[box]
        sure = nearby > SURE
        level = float(np.median(brightness[sure])) if sure.any() else 0.0
        if level <= 0:
            raise _NotSeenError("no brainstem is seen where the junction is expected")
        coefficients = ndimage.spline_filter(brightness / level, output=np.float32)
        return _View(coefficients, nearby, t1w.affine @ nib.affines.from_matvec(np.eye(3), first))

    def in_midplane(self, frame: _Frame) -> _Frame:
        """Return the frame moved and turned sideways into the middle of the brainstem."""
        likely = self.probability > LIKELY
        offsets = world_points(likely, self.affine) - frame.origin_mm
        height, aside = offsets @ frame.up, offsets @ frame.right
        near = (height > -BELOW_MM) & (height < ABOVE_MM)
        if not near.any() or height[near].max() - height[near].min() < SIDE_MM:
            raise _NotSeenError("no brainstem is seen where the junction is expected")
        weights = np.sqrt(self.probability[likely][near])
        lean, shift = np.polyfit(height[near], aside[near], 1, w=weights)
        return _Frame.of(
            frame.origin_mm + shift * frame.right, frame.right - lean * frame.up, frame.up + lean * frame.right
        )

    def front_of_brainstem(self, frame: _Frame) -> NDArray[np.float64]:
        """Trace the front of the brainstem, (n, 2): mm to the front and upward, from below to above, a ray for each."""
        toward = _toward()
        heights = np.arange(-BELOW_MM, ABOVE_MM + STEP_MM, STEP_MM)
        along = np.arange(0.0, RAY_MM, STEP_MM)
        starts = np.stack([np.full_like(heights, -START_MM), heights - START_MM * toward[1] / toward[0]], axis=1)
        picture = self._slab(frame, starts[:, None] + along[:, None] * toward)
        ahead = picture[:, along > START_MM]
        fluid = float(np.percentile(ahead[np.isfinite(ahead)], 5.0)) if np.isfinite(ahead).any() else 1.0
        if fluid > HIGHEST_FLUID:
            raise _NotSeenError("no fluid that is darker than the brainstem is seen in front of it")
        length = _first_fall(picture, (1.0 + fluid) / 2.0) * STEP_MM
        seen = np.flatnonzero(np.isfinite(length))
        seen = max(np.split(seen, np.flatnonzero(np.diff(seen) * STEP_MM > GAP_MM) + 1), key=len)
        above, below = (heights[seen[[-1, 0]]] * (1, -1)) if seen.size else (0.0, 0.0)
        if min(above, below) < SIDE_MM:
            raise _NotSeenError(
                f"the front of the brainstem is seen only from {max(0.0, above):.0f} mm above to {max(0.0, below):.0f} "
                "mm below where the junction should be"
            )
        part = slice(seen[0], seen[-1] + 1)
        filled = np.interp(heights[part], heights[seen], length[seen])
        # A few rays that meet a vessel or noise first must not make a groove.
        smooth = ndimage.gaussian_filter1d(ndimage.median_filter(filled, 5, mode="nearest"), 2.0, mode="nearest")
        return np.asarray(starts[part] + smooth[:, None] * toward)

    def centre_behind(self, frame: _Frame, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the centre of the brainstem across its axis, behind the origin."""
        # The medulla is about 15 mm wide; beyond are the stalks of the cerebellum.
        aside, front = np.meshgrid(np.arange(-7.5, 7.6, 0.5), np.arange(-25.0, 0.1, 0.5))
        points = frame.points(aside, front, 0.0).reshape(-1, 3)
        weights = sample_trilinear(self.probability, self._voxels(points)).astype(np.float64)
        return np.average(points, axis=0, weights=weights) if weights.sum() > 0 else otherwise

    def _slab(self, frame: _Frame, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Brightness (...) at places (..., 2) of the midsagittal plane, mean through the slab; NaN outside."""
        aside = np.arange(-HALF_WIDTH_MM, HALF_WIDTH_MM + SLAB_STEP_MM, SLAB_STEP_MM, dtype=np.float64)
        points = frame.points(aside, places[..., 0, None], places[..., 1, None])
        voxels = self._voxels(points.reshape(-1, 3))
        values = sample_cubic(self.coefficients, np.ascontiguousarray(voxels.T)).astype(np.float64)
        tissue = np.clip((VESSEL[1] - values) / (VESSEL[1] - VESSEL[0]), 0.0, np.minimum(values, 1.0))
        inside = np.all((voxels >= 0) & (voxels <= np.asarray(self.coefficients.shape) - 1), axis=1)
        tissue[~inside] = np.nan
        return np.asarray(tissue.reshape(points.shape[:-1]).mean(axis=-1))

    def _voxels(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.asarray(nib.affines.apply_affine(np.linalg.inv(self.affine), points), dtype=np.float32)


def _toward() -> NDArray[np.float64]:
    """Direction of the rays: (to the front, upward)."""
    return np.array([np.cos(np.radians(TILT_DEG)), -np.sin(np.radians(TILT_DEG))])


def _first_fall(picture: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Position (n,) on each ray (n, m), in samples, where the brightness first falls through a level.

    NaN for a ray that begins below it, never falls, or leaves the image before.
    """
    falls = (picture[:, :-1] >= level) & (picture[:, 1:] < level)
    first = np.argmax(falls, axis=1)
    rays = np.arange(len(picture))
    before, after = picture[rays, first], picture[rays, first + 1]
    found = falls.any(axis=1) & (picture[:, 0] >= level)
    return np.where(found, first + (before - level) / np.where(found, before - after, 1.0), np.nan)


def _deepest_groove(contour: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the place (2,) between two samples where the front of the brainstem lies deepest, and how deep, in mm."""
    forward = contour @ _toward()
    side = round(SIDE_MM / STEP_MM)
    lowest, _ = signal.find_peaks(-forward, prominence=LEAST_RISE_MM)
    lowest = lowest[(lowest >= side) & (lowest < len(contour) - side)]
    if not lowest.size:
        raise _NotSeenError("no groove is seen at the front of the brainstem")
    depths_mm = [_depth_mm(contour, index) for index in lowest.tolist()]
    deepest = int(lowest[np.argmax(depths_mm)])
    reach = side // 3
    near = np.arange(-reach, reach + 1)
    square, slope, _ = np.polyfit(near, forward[deepest + near], 2)
    shift = float(np.clip(-slope / (2.0 * square), -reach, reach)) if square > 0 else 0.0
    samples = np.arange(len(contour))
    return np.array([np.interp(deepest + shift, samples, column) for column in contour.T]), max(depths_mm)


def _depth_mm(contour: NDArray[np.float64], index: int) -> float:
    """How far a sample lies behind the line that touches the contour (n, 2) both below and above it."""
    angles = np.radians(np.arange(-60.0, 60.1, 0.5))
    normals = np.stack([np.cos(angles), np.sin(angles)])
    below = (contour[: index + 1] @ normals).max(axis=0)
    above = (contour[index:] @ normals).max(axis=0)
    touching = np.argmin(np.abs(above - below))
    return float(above[touching] - contour[index] @ normals[:, touching])


def _axis_point(frame: _Frame, to_template: TemplateTransform) -> NDArray[np.float64]:
    """Return where the atlas expects the axis of the brainstem, at the height of the origin."""
    axis = to_template.template_to_subject(np.asarray(TEMPLATE_AXIS_MM[:1], dtype=np.float32))[0].astype(np.float64)
    return np.asarray(axis + frame.up * ((frame.origin_mm - axis) @ frame.up))


def _unrefined(expected: _Frame, to_template: TemplateTransform, reason: str, depth_mm: float) -> Junction:
    """Return what the atlas expects."""
    return Junction(
        point_mm=expected.origin_mm,
        axis_point_mm=_axis_point(expected, to_template),
        along=expected.up,
        right=expected.right,
        depth_mm=depth_mm,
        distance_mm=0.0,
        refined=False,
        reason=reason,
    )
