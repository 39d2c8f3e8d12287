# SPDX-License-Identifier: Apache-2.0
"""Volumes of brain structures in multiple sclerosis, from a BIDS dataset to BIDS derivatives."""

from __future__ import annotations

__version__ = "0.1.0"
