# SPDX-License-Identifier: Apache-2.0
"""A synthetic neck: an elliptic cord of known size in a canal of fluid, in soft tissue, tilted and sampled as asked."""

from __future__ import annotations

from typing import Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

HALF_RL_MM, HALF_AP_MM = 6.3, 4.4
TRUE_AREA_MM2 = np.pi * HALF_RL_MM * HALF_AP_MM

BRIGHTNESS = {"T2w": (450.0, 1000.0, 200.0), "T1w": (800.0, 350.0, 500.0)}
"""Of cord, fluid and what is around."""


def neck(
    contrast: Literal["T2w", "T1w"] = "T2w",
    voxel_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    tilt_deg: float = 0.0,
    *,
    extent_mm: tuple[float, float, float] = (44.0, 60.0, 60.0),
    scale: float = 1.0,
    noise: float = 30.0,
    seed: int = 0,
) -> nib.Nifti1Image:
    """Draw a straight cord that leans forward by ``tilt_deg``; its area is that of the constants times ``scale``."""
    sizes = np.asarray(voxel_mm)
    shape = np.ceil(np.asarray(extent_mm) / sizes).astype(int)
    affine = nib.affines.from_matvec(np.diag(sizes), -(shape - 1) / 2 * sizes)
    angle = np.deg2rad(tilt_deg)
    turn = np.asarray([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    parts = np.maximum(np.ceil(sizes / 0.34), 1).astype(int)
    total = np.zeros(shape, dtype=np.float32)
    for offset in np.ndindex(*(int(count) for count in parts)):
        inner = (np.asarray(offset) + 0.5) / parts - 0.5
        axes = [(np.arange(n) + inner[k] - (n - 1) / 2) * sizes[k] for k, n in enumerate(shape)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ turn
        total += _signal(points, contrast, scale).astype(np.float32)
    total /= parts.prod()
    total += noise * np.random.default_rng(seed).standard_normal(total.shape, dtype=np.float32)
    return nib.Nifti1Image(total, affine)


def _signal(points: NDArray[np.float64], contrast: str, scale: float) -> NDArray[np.float64]:
    cord, fluid, around = BRIGHTNESS[contrast]
    grown = np.sqrt(scale)
    inside = np.hypot(points[..., 0] / (grown * HALF_RL_MM), points[..., 1] / (grown * HALF_AP_MM)) < 1
    canal = np.hypot(points[..., 0] / (HALF_RL_MM + 3.2), points[..., 1] / (HALF_AP_MM + 2.6)) < 1
    return np.where(inside, cord, np.where(canal, fluid, around))
