# SPDX-License-Identifier: Apache-2.0
"""The structures that are measured: FreeSurfer names and numbers, display colours, and the sums made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tissue = Literal["GM", "WM", "CSF"]


@dataclass(frozen=True)
class Structure:
    """One measured structure.

    Attributes
    ----------
    index
        Number in FreeSurfer's colour table.
    name
        FreeSurfer's name.
    tissue
        The tissue map to which the structure contributes.
    color
        Display colour of the label table, ``#rrggbb``.
    """

    index: int
    name: str
    tissue: Tissue
    color: str


@dataclass(frozen=True)
class Sum:
    """A volume that is the sum of structures.

    Attributes
    ----------
    name
        Name in the tables.
    members
        FreeSurfer numbers of the structures added.
    description
        What is in it, as a reader would say it.
    """

    name: str
    members: tuple[int, ...]
    description: str


def _paired(left: int, right: int, name: str, tissue: Tissue, color: str) -> tuple[Structure, Structure]:
    return Structure(left, f"Left-{name}", tissue, color), Structure(right, f"Right-{name}", tissue, color)


STRUCTURES: tuple[Structure, ...] = tuple(
    sorted(
        (
            *_paired(2, 41, "Cerebral-White-Matter", "WM", "#e8e4d8"),
            *_paired(3, 42, "Cerebral-Cortex", "GM", "#c9616b"),
            *_paired(4, 43, "Lateral-Ventricle", "CSF", "#6d3fb2"),
            *_paired(5, 44, "Inf-Lat-Vent", "CSF", "#b83fb0"),
            *_paired(7, 46, "Cerebellum-White-Matter", "WM", "#d9c48a"),
            *_paired(8, 47, "Cerebellum-Cortex", "GM", "#e39430"),
            *_paired(10, 49, "Thalamus", "GM", "#1f8a4c"),
            *_paired(11, 50, "Caudate", "GM", "#4fb7e0"),
            *_paired(12, 51, "Putamen", "GM", "#e060a8"),
            *_paired(13, 52, "Pallidum", "GM", "#2a4fc0"),
            Structure(14, "3rd-Ventricle", "CSF", "#d02f2f"),
            Structure(15, "4th-Ventricle", "CSF", "#2f9fd0"),
            Structure(16, "Brain-Stem", "WM", "#7a9a8f"),
            *_paired(17, 53, "Hippocampus", "GM", "#ecd21e"),
            *_paired(18, 54, "Amygdala", "GM", "#55d6cf"),
            Structure(24, "CSF", "CSF", "#46548f"),
            *_paired(26, 58, "Accumbens-area", "GM", "#f08f1c"),
            *_paired(28, 60, "VentralDC", "GM", "#9c5a2b"),
        ),
        key=lambda structure: structure.index,
    )
)
"""Every label of ``*_seg-structures_dseg.nii.gz``. ``CSF`` is the extra-ventricular fluid inside the skull."""

_CORTEX = (3, 42)
_CEREBRAL_WHITE = (2, 41)
_DEEP_GRAY = (10, 11, 12, 13, 17, 18, 26, 49, 50, 51, 52, 53, 54, 58)
_CEREBELLUM = (7, 8, 46, 47)
_VENTRICLES = (4, 5, 14, 15, 43, 44)
_BRAIN = tuple(structure.index for structure in STRUCTURES if structure.tissue != "CSF")

SUMS: tuple[Sum, ...] = (
    Sum("WholeBrain", _BRAIN, "all grey and white matter with the brainstem, without ventricles and without fluid"),
    Sum(
        "TotalGray",
        tuple(
            structure.index for structure in STRUCTURES if structure.tissue == "GM" and structure.index not in (28, 60)
        ),
        "cerebral and cerebellar cortex and the deep grey structures",
    ),
    Sum(
        "TotalWhite",
        (*_CEREBRAL_WHITE, 7, 46),
        "cerebral and cerebellar white matter, without brainstem and ventral diencephalon",
    ),
    Sum(
        "DeepGray", _DEEP_GRAY, "thalamus, caudate, putamen, pallidum, hippocampus, amygdala and accumbens, both sides"
    ),
    Sum("Cerebellum", _CEREBELLUM, "cerebellar cortex and white matter, both sides"),
    Sum("Ventricles", _VENTRICLES, "lateral, inferior lateral, third and fourth ventricles"),
)
"""Sums written after the structures in every volume table. Their ``index`` is ``n/a``."""

ETIV_NAME = "eTIV"
"""Row of the volume tables that holds the estimated total intracranial volume."""


def structure_by_index(index: int) -> Structure:
    """Return the structure with FreeSurfer number ``index``.

    Raises
    ------
    KeyError
        If no measured structure has that number.
    """
    for structure in STRUCTURES:
        if structure.index == index:
            return structure
    raise KeyError(index)
