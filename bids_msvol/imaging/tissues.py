# SPDX-License-Identifier: Apache-2.0
"""The tissues of the brightness model: which classes of the atlas look alike, which touch, which are registered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bids_msvol.atlas.head import HeadAtlas
from bids_msvol.atlas.labels import (
    AIR,
    CORD,
    CORTICAL_BONE,
    CSF,
    MARROW,
    SOFT_TISSUE,
    SPINAL_FLUID,
    VEINS_AND_DURA,
)
from bids_msvol.imaging.mixture import Tissue

TISSUES: tuple[Tissue, ...] = (
    Tissue("cerebral white matter", (2, 41), "white", in_bias=True),
    Tissue("cerebellar white matter", (7, 46), "white", in_bias=True),
    Tissue("brainstem", (16, 28, 60, CORD), "white", in_bias=True),
    Tissue("cortex", (3, 42), "gray", in_bias=True),
    Tissue("cerebellar cortex", (8, 47), "gray", in_bias=True),
    Tissue("hippocampus and amygdala", (17, 53, 18, 54), "gray", in_bias=True),
    Tissue("caudate and accumbens", (11, 50, 26, 58), "gray", in_bias=True),
    Tissue("putamen", (12, 51), "gray", in_bias=True),
    Tissue("thalamus", (10, 49), "deep", components=2, in_bias=True),
    Tissue("pallidum", (13, 52), "white", in_bias=True),
    Tissue("ventricles", (4, 43, 5, 44, 14, 15), "fluid"),
    Tissue("fluid", (CSF, SPINAL_FLUID), "fluid"),
    Tissue("veins and dura", (VEINS_AND_DURA,), "veins", components=2),
    Tissue("bone and air", (CORTICAL_BONE, AIR), "bone", components=2),
    Tissue("soft tissue and marrow", (SOFT_TISSUE, MARROW), "soft", components=3),
)
"""Which classes share a brightness: those that look alike and lie far enough apart for the priors to separate them."""

GROUPS: tuple[tuple[str, ...], ...] = (
    ("cortex", "hippocampus and amygdala"),
    ("cerebral white matter", "pallidum"),
    ("ventricles",),
    ("fluid",),
    ("caudate and accumbens", "putamen"),
    ("thalamus",),
    ("cerebellar cortex",),
    ("cerebellar white matter", "brainstem"),
    ("veins and dura", "bone and air", "soft tissue and marrow"),
)
"""Channels of the deformable registration, as tissues. The pallidum is as bright as white matter on many scanners."""

OUTSIDE = 8
"""Position in ``GROUPS`` of what is not inside the skull."""

MIXED: tuple[tuple[str, str], ...] = (
    ("cerebral white matter", "cortex"),
    ("cortex", "fluid"),
    ("cerebral white matter", "ventricles"),
    ("caudate and accumbens", "ventricles"),
    ("thalamus", "ventricles"),
    ("hippocampus and amygdala", "ventricles"),
    ("hippocampus and amygdala", "fluid"),
    ("cerebral white matter", "hippocampus and amygdala"),
    ("cerebral white matter", "caudate and accumbens"),
    ("cerebral white matter", "putamen"),
    ("cerebellar white matter", "cerebellar cortex"),
    ("cerebellar cortex", "fluid"),
    ("cerebellar cortex", "ventricles"),
    ("brainstem", "fluid"),
    ("brainstem", "ventricles"),
)
"""Tissues that share voxels along their borders, where the difference in brightness is worth the effort."""


def registration_groups() -> tuple[tuple[int, ...], ...]:
    """Return the channels of the deformable registration as class numbers; the atlas is built with the same."""
    return tuple(
        tuple(number for tissue in TISSUES if tissue.name in group for number in tissue.members) for group in GROUPS
    )


def tissue_maps(atlas: HeadAtlas) -> NDArray[np.float32]:
    """Atlas summed over the classes of each tissue: (x, y, z, tissue), 0..1."""
    result = np.empty((*atlas.maps.shape[1:], len(TISSUES)), dtype=np.float32)
    for channel, tissue in enumerate(TISSUES):
        result[..., channel] = np.asarray(atlas.probability(tissue.members).dataobj)
    return result


def tissue_indices(names: Sequence[str]) -> list[int]:
    """Positions in ``TISSUES`` of tissues by name."""
    order = [tissue.name for tissue in TISSUES]
    return [order.index(name) for name in names]
