# SPDX-License-Identifier: Apache-2.0
"""How the folders with results of others are called in ``--derivatives NAME=PATH``."""

from __future__ import annotations

LESION_MASKS = "lesions"
LABELS = "labels"
SCT = "sct"
FREESURFER = "freesurfer"
FASTSURFER = "fastsurfer"
SAMSEG = "samseg"

KNOWN = (LESION_MASKS, LABELS, SCT)
"""All that the participant level reads."""

VOLUME_ENGINES = (FREESURFER, FASTSURFER, SAMSEG)
"""Programs whose volumes the group level reads."""

KNOWN_OF_GROUP = (*VOLUME_ENGINES, SCT)
"""All that the group level reads."""
