# SPDX-License-Identifier: Apache-2.0
"""Cells of tables of results read as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping


def as_float(row: Mapping[str, object], name: str) -> float:
    """Return a cell as a number; NaN if it is empty."""
    value = row.get(name)
    return float(value) if isinstance(value, float | int) else math.nan


def is_finite(value: object) -> bool:
    """Whether a cell holds a number."""
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
