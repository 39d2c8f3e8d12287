# SPDX-License-Identifier: Apache-2.0
"""The Mann-Whitney test beside that of activity_atrophy: all rows as if they were independent, as cells of a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_msvol.stats.rank import mann_whitney


def pooled_cells(quiet: NDArray[np.float64], active: NDArray[np.float64], level: float) -> dict[str, object]:
    """Compare two sides by the Mann-Whitney test, as if all rows were independent, and return the result as cells.

    Parameters
    ----------
    quiet, active
        (row,) values of each side, one at least.
    level
        Of the confidence interval of the shift, second side less first.

    Raises
    ------
    ValueError
        If all values are the same.
    """
    found = mann_whitney(quiet, active, level=level)
    method = found.method if found.method == "exact" else "asymptotic, corrected for ties and continuity"
    cells = {"hl_shift": found.shift, "hl_ci_lo": found.low, "hl_ci_hi": found.high, "u": found.u}
    return cells | {"rank_biserial": found.rank_biserial, "p_mw": found.p, "mw_method": method}
