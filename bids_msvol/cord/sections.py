# SPDX-License-Identifier: Apache-2.0
"""Cross-sections of the cord: where they lie, the outline in each, and what is read off the outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True, eq=False)
class Sections:
    """Planes across the cord, one for each axial slice of the image, from the lowest to the highest.

    Attributes
    ----------
    centers_mm
        (n, 3) points of the centreline, in the world of the image.
    along
        (n, 3) unit vectors along the cord, upward.
    right, front
        (n, 3) unit vectors in the planes. The planes lie across the cord, or, where slices are much thicker than their
        voxels are wide, along the slices: there nothing is known between them.
    """

    centers_mm: NDArray[np.float64]
    along: NDArray[np.float64]
    right: NDArray[np.float64]
    front: NDArray[np.float64]

    @property
    def arc_mm(self) -> NDArray[np.float64]:
        """(n,) length of the centreline from its lowest point."""
        steps = np.linalg.norm(np.diff(self.centers_mm, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def spacing_mm(self) -> float:
        """Typical distance from one section to the next."""
        return float(np.median(np.diff(self.arc_mm))) if len(self.centers_mm) > 1 else 1.0

    @property
    def tilt_deg(self) -> NDArray[np.float64]:
        """(n,) angle between the cord and the normal of the plane."""
        normal = np.cross(self.right, self.front)
        return np.asarray(np.degrees(np.arccos(np.clip(np.abs((normal * self.along).sum(axis=1)), 0.0, 1.0))))


@dataclass(frozen=True, eq=False)
class CordShape:
    """Size and shape of the cord in each section, seen along the cord.

    Attributes
    ----------
    csa_mm2
        (n,) cross-sectional area.
    ap_diameter_mm, rl_diameter_mm
        (n,) front to back and side to side: axes of the ellipse with the same second moments.
    eccentricity
        (n,) of that ellipse, 0 for a circle.
    """

    csa_mm2: NDArray[np.float64]
    ap_diameter_mm: NDArray[np.float64]
    rl_diameter_mm: NDArray[np.float64]
    eccentricity: NDArray[np.float64]


def outline_points(sections: Sections, radii_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the outlines as points in the world.

    Parameters
    ----------
    sections
        The n planes.
    radii_mm
        (n, m) distance of the outline from the centre at m equal angles, from ``right`` to ``front``.

    Returns
    -------
    numpy.ndarray
        (n, m, 3), mm.
    """
    angles = directions(radii_mm.shape[1])
    inside = radii_mm[..., None] * angles
    return np.asarray(
        sections.centers_mm[:, None]
        + inside[..., :1] * sections.right[:, None]
        + inside[..., 1:] * sections.front[:, None]
    )


def downward_arc_mm(sections: Sections) -> NDArray[np.float64]:
    """Return positions (n,) along the centreline, downward from its highest point."""
    arc = sections.arc_mm
    return np.asarray(arc[-1] - arc)


def arc_of_mm(sections: Sections, point_mm: NDArray[np.float64]) -> float:
    """Return the downward position along the centreline nearest to a point; it goes on straight at its ends."""
    nearest = int(np.argmin(np.linalg.norm(sections.centers_mm - point_mm, axis=1)))
    beyond = float((point_mm - sections.centers_mm[nearest]) @ sections.along[nearest])
    return float(downward_arc_mm(sections)[nearest]) - beyond


def directions(count: int) -> NDArray[np.float64]:
    """Unit vectors (count, 2) at equal angles."""
    angles = 2.0 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def radius_at(
    radii_mm: NDArray[np.float64],
    position: NDArray[np.float64],
    right_mm: NDArray[np.float64],
    front_mm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the radius of the outline in the direction of points.

    Parameters
    ----------
    radii_mm
        (n, m) outlines, as for `outline_points`.
    position, right_mm, front_mm
        Of the points, any shape: fractional number of the plane (the outline of the end goes on beyond it), and place.
    """
    angle = (np.arctan2(front_mm, right_mm) % (2 * np.pi)) / (2 * np.pi) * radii_mm.shape[1]
    around = np.pad(radii_mm, ((0, 0), (0, 1)), mode="wrap")
    planes = np.clip(position, 0, len(radii_mm) - 1)
    return np.asarray(ndimage.map_coordinates(around, [planes, angle], order=1, mode="nearest"))


def measure_outlines(sections: Sections, radii_mm: NDArray[np.float64]) -> CordShape:
    """Measure outlines as they look along the cord, so that oblique planes do not enlarge them.

    Area and second moments are those of the polygon (Green's theorem), so no voxel is counted.

    Parameters
    ----------
    sections, radii_mm
        As for `outline_points`.
    """
    points = outline_points(sections, radii_mm) - sections.centers_mm[:, None]
    right, front = across(sections)
    x = (points * right[:, None]).sum(axis=2)
    y = (points * front[:, None]).sum(axis=2)
    x2, y2 = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    cross = x * y2 - x2 * y
    area = cross.sum(axis=1) / 2.0
    center_x = ((x + x2) * cross).sum(axis=1) / (6.0 * area)
    center_y = ((y + y2) * cross).sum(axis=1) / (6.0 * area)
    var_x = ((x**2 + x * x2 + x2**2) * cross).sum(axis=1) / (12.0 * area) - center_x**2
    var_y = ((y**2 + y * y2 + y2**2) * cross).sum(axis=1) / (12.0 * area) - center_y**2
    both = (x * y2 + 2.0 * x * y + 2.0 * x2 * y2 + x2 * y) * cross
    covariance = both.sum(axis=1) / (24.0 * area) - center_x * center_y
    return shape_from_moments(area, var_x, var_y, covariance)


def shape_from_moments(
    area_mm2: NDArray[np.float64],
    var_right: NDArray[np.float64],
    var_front: NDArray[np.float64],
    covariance: NDArray[np.float64],
) -> CordShape:
    """Turn area and second central moments (n,), in mm2, into the measures of the cord."""
    middle, half = (var_right + var_front) / 2.0, np.hypot((var_right - var_front) / 2.0, covariance)
    flat = np.maximum(middle - half, 0.0) / np.maximum(middle + half, 1e-12)
    return CordShape(
        csa_mm2=area_mm2,
        ap_diameter_mm=4.0 * np.sqrt(np.maximum(var_front, 0.0)),
        rl_diameter_mm=4.0 * np.sqrt(np.maximum(var_right, 0.0)),
        eccentricity=np.sqrt(1.0 - flat),
    )


def across(sections: Sections) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return unit vectors (n, 3) to the right and to the front in the planes perpendicular to the cord."""
    right = sections.right - (sections.right * sections.along).sum(axis=1)[:, None] * sections.along
    right /= np.linalg.norm(right, axis=1)[:, None]
    return right, np.cross(sections.along, right)
