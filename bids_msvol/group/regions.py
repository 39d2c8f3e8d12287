# SPDX-License-Identifier: Apache-2.0
"""The regions of the brain that the group level speaks of: sums of rows of the tables of volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Region:
    """One region, both sides together.

    Attributes
    ----------
    name
        Name in the tables of results.
    label
        How a reader calls it.
    rows
        Rows of the tables of volumes that are added.
    is_fluid
        Whether it grows where the brain is lost.
    """

    name: str
    label: str
    rows: tuple[str, ...]
    is_fluid: bool = False


def _both(name: str) -> tuple[str, str]:
    return f"Left-{name}", f"Right-{name}"


REGIONS: Mapping[str, Region] = MappingProxyType(
    {
        region.name: region
        for region in (
            Region("WholeBrain", "Whole brain", ("WholeBrain",)),
            Region("TotalGray", "Total grey matter", ("TotalGray",)),
            Region("TotalWhite", "Total white matter", ("TotalWhite",)),
            Region("Cortex", "Cortex", _both("Cerebral-Cortex")),
            Region("DeepGray", "Deep grey matter", ("DeepGray",)),
            Region("Thalamus", "Thalamus", _both("Thalamus")),
            Region("Caudate", "Caudate", _both("Caudate")),
            Region("Putamen", "Putamen", _both("Putamen")),
            Region("Pallidum", "Pallidum", _both("Pallidum")),
            Region("Hippocampus", "Hippocampus", _both("Hippocampus")),
            Region("Amygdala", "Amygdala", _both("Amygdala")),
            Region("Accumbens", "Accumbens", _both("Accumbens-area")),
            Region("Cerebellum", "Cerebellum", ("Cerebellum",)),
            Region("CerebellarCortex", "Cerebellar cortex", _both("Cerebellum-Cortex")),
            Region("BrainStem", "Brainstem", ("Brain-Stem",)),
            Region("LateralVentricle", "Lateral ventricle", _both("Lateral-Ventricle"), is_fluid=True),
            Region("Ventricles", "Ventricles", ("Ventricles",), is_fluid=True),
        )
    }
)
"""All regions by name, in the order of the tables."""


def region_label(name: str) -> str:
    """Return how a reader calls a region or a row of the tables of volumes."""
    return REGIONS[name].label if name in REGIONS else name.replace("-", " ")
