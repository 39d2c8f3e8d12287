# SPDX-License-Identifier: Apache-2.0
"""All checks made before and while data are read; each is written in a module of its own subject."""

from __future__ import annotations

from bids_msvol.bids.files import check_fetched
from bids_msvol.bids.folders import check_disk_space, check_output_dir
from bids_msvol.bids.images import load_image
from bids_msvol.bids.validator import ValidationIssue, ValidationResult, run_validator, validate_dataset

__all__ = [
    "ValidationIssue",
    "ValidationResult",
    "check_disk_space",
    "check_fetched",
    "check_output_dir",
    "load_image",
    "run_validator",
    "validate_dataset",
]
