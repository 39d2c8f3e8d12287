# SPDX-License-Identifier: Apache-2.0
"""Reports: one self-contained HTML page for each participant, made from the derivatives alone."""

from __future__ import annotations

from bids_msvol.report.document import write_report

__all__ = ["write_report"]
