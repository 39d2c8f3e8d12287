# SPDX-License-Identifier: Apache-2.0
"""The Mann-Whitney test with its shift, as cells of a table, for few and for very many rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from bids_msvol.stats.rank import mann_whitney

MOST_PAIRS = 250_000
"""Pairs of intervals up to which the shift is computed from all of them; with more, from as many quantiles."""


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
    if len(quiet) * len(active) <= MOST_PAIRS:
        found = mann_whitney(quiet, active, level=level)
        method = found.method if found.method == "exact" else "asymptotic, corrected for ties and continuity"
        cells = {"hl_shift": found.shift, "hl_ci_lo": found.low, "hl_ci_hi": found.high, "u": found.u}
        return cells | {"rank_biserial": found.rank_biserial, "p_mw": found.p, "mw_method": method}
    test = stats.mannwhitneyu(active, quiet, alternative="two-sided", method="asymptotic")
    pairs = len(quiet) * len(active)
    points = (np.arange(int(MOST_PAIRS**0.5)) + 0.5) / int(MOST_PAIRS**0.5)
    between = np.subtract.outer(np.quantile(active, points), np.quantile(quiet, points))
    half = float(special.ndtri(0.5 + level / 2.0)) * np.sqrt((len(quiet) + len(active) + 1.0) / (12.0 * pairs))
    low, shift, high = np.quantile(between, [0.5 - half, 0.5, 0.5 + half])
    return {
        "hl_shift": float(shift),
        "hl_ci_lo": float(low),
        "hl_ci_hi": float(high),
        "u": float(test.statistic),
        "rank_biserial": 2.0 * float(test.statistic) / pairs - 1.0,
        "p_mw": float(test.pvalue),
        "mw_method": "asymptotic, corrected for ties and continuity; shift from quantiles",
    }
