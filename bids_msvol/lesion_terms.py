# SPDX-License-Identifier: Apache-2.0
"""The words in which lesions are described, for those who measure, write and report them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

Region = Literal["periventricular", "juxtacortical", "infratentorial", "deep_white_matter"]

REGIONS: tuple[Region, ...] = ("periventricular", "juxtacortical", "infratentorial", "deep_white_matter")
"""In the order in which they are asked for: a lesion that touches ventricle and cortex is periventricular, as in most
scoring systems; only ``infratentorial`` goes before."""

LESION_CONTRASTS = ("FLAIR", "T2w")
"""Contrasts in which lesions are bright, the better one first."""

Status = Literal["new", "enlarging", "stable", "shrinking", "resolved", "merged", "split"]
"""What became of a lesion between two sessions."""

Confidence = Literal["high", "candidate"]
"""How sure that is."""

ENHANCING_SIZES_MM3: Mapping[str, tuple[float, float]] = {
    "<70": (0.0, 70.0),
    "70-500": (70.0, 500.0),
    ">500": (500.0, math.inf),
}
"""Sizes of enhancing lesions at which detection is known to differ (Coronado et al. 2021): name, lower bound (within),
upper bound (beyond)."""
