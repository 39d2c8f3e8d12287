# SPDX-License-Identifier: Apache-2.0
"""How the folders with results of others are called in ``--derivatives NAME=PATH``."""

from __future__ import annotations

LESION_MASKS = "lesions"
LABELS = "labels"
SCT = "sct"

KNOWN = (LESION_MASKS, LABELS, SCT)
"""All that are read."""
