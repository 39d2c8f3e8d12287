# SPDX-License-Identifier: Apache-2.0
"""``python -m bids_msvol``."""

from __future__ import annotations

import sys

from bids_msvol.cli import main

if __name__ == "__main__":
    sys.exit(main())
