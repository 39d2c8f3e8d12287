# SPDX-License-Identifier: Apache-2.0
"""The classes of the head atlas: the measured structures, what surrounds them, and how they group into tissues."""

from __future__ import annotations

from bids_msvol.structures import STRUCTURES

AIR = 0
SOFT_TISSUE = 507
CORD = 512
VEINS_AND_DURA = 514
CORTICAL_BONE = 515
MARROW = 516
SPINAL_FLUID = 520
"""Fluid below the lower end of the brainstem: outside the skull, so not part of the intracranial volume."""

CSF = 24
BRAIN_STEM = 16

EXTRA_CLASSES: dict[int, str] = {
    AIR: "Air",
    SOFT_TISSUE: "Soft-Tissue",
    CORD: "Spinal-Cord",
    VEINS_AND_DURA: "Veins-and-Dura",
    CORTICAL_BONE: "Cortical-Bone",
    MARROW: "Marrow",
    SPINAL_FLUID: "Spinal-Fluid",
}
"""Classes of the atlas that are not measured structures."""

CLASSES: tuple[int, ...] = (*EXTRA_CLASSES, *(structure.index for structure in STRUCTURES))
"""Order of the maps in the atlas."""

_LEFT_RIGHT = {2: 41, 3: 42, 4: 43, 5: 44, 7: 46, 8: 47, 10: 49, 11: 50, 12: 51, 13: 52, 17: 53, 18: 54, 26: 58, 28: 60}

MIRROR: dict[int, int] = {**_LEFT_RIGHT, **{right: left for left, right in _LEFT_RIGHT.items()}}
"""The class on the other side; unpaired classes are not in it."""

INTRACRANIAL: tuple[int, ...] = tuple(structure.index for structure in STRUCTURES)
"""Brain, ventricles and the fluid around the brain: what the intracranial volume counts."""

BRAIN: tuple[int, ...] = tuple(structure.index for structure in STRUCTURES if structure.tissue != "CSF")
