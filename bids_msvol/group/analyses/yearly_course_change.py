# SPDX-License-Identifier: Apache-2.0
"""Change in yearly_course: one group in one year compared with the same persons at the first session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from bids_msvol.group.wording import threshold
from bids_msvol.stats.contingency import compare_paired
from bids_msvol.stats.means import paired_mean
from bids_msvol.stats.signed_rank import signed_rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

MCNEMAR, SIGNED_RANK = "McNemar exact", "Wilcoxon signed rank"

FEW = 5
"""Fewer pairs than this say little, whatever p is."""


def compare_with_first(values: NDArray[np.float64], year: int, variable: str, level: float) -> dict[str, object]:
    """Return the cells of the test of a year against year 0.

    Parameters
    ----------
    values
        (person, year) of one group, NaN for what is not known.
    year
        Which is compared.
    variable
        ``relapses`` are compared as any or none, all others as they are.
    level
        Of confidence intervals.
    """
    both = ~np.isnan(values[:, [0, year]]).any(axis=1)
    before, after = values[both, 0], values[both, year]
    cells: dict[str, object] = {
        "test": MCNEMAR if variable == "relapses" else SIGNED_RANK,
        "n_obs": 2 * len(before),
        "n_sub": len(before),
    }
    if not len(before):
        return {**cells, "warning": f"not tested: {_why_nobody(values, year)}"}
    cells |= _mean_change(after - before, level)
    warnings = [f"only {len(before)} persons known in both years"] if len(before) < FEW else []
    least = threshold(level)
    if variable == "relapses":
        pair = compare_paired(before > 0, after > 0, level=level)
        changed = pair.gained + pair.lost
        cells |= {
            "n_higher": pair.gained, "n_lower": pair.lost, "measure": "difference of shares",
            "estimate": pair.difference, "ci_lo": pair.low, "ci_hi": pair.high, "p": pair.p,
            "effect_measure": "odds ratio of change", "effect": pair.gained / pair.lost if pair.lost else None,
            "assumptions": f"exact: binomial with {changed} who changed",
        }  # fmt: skip
    else:
        change = after - before
        changed = int(np.count_nonzero(change))
        cells |= {"n_higher": int((change > 0).sum()), "n_lower": int((change < 0).sum())}
        if not changed:
            return {**cells, "p": 1.0, "warning": "; ".join(["nobody changed", *warnings])}
        found = signed_rank(change, level=level)
        skewness = f"; skewness of the changes {float(stats.skew(change)):.2f}" if np.ptp(change) > 0.0 else ""
        how = "exact, given ties" if found.method == "exact" else "normal approximation, corrected for ties"
        cells |= {
            "measure": "Hodges-Lehmann shift", "estimate": found.shift, "ci_lo": found.low, "ci_hi": found.high,
            "p": found.p, "effect_measure": "matched rank-biserial", "effect": found.rank_biserial,
            "assumptions": f"{how}; {len(change) - changed} unchanged left out{skewness}",
        }  # fmt: skip
    if changed == 0:
        warnings.append("nobody changed")
    elif 0.5 ** (changed - 1) > least:
        warnings.append(f"with {changed} who changed the test cannot give p below {0.5 ** (changed - 1):.2g}")
    return {**cells, "warning": "; ".join(warnings)}


def _mean_change(change: NDArray[np.float64], level: float) -> dict[str, object]:
    """Return the mean change with the paired t test, which has no interval where all changes are the same."""
    try:
        found = paired_mean(change, level=level)
    except ValueError:
        return {"mean_change": float(change.mean())}
    return {"mean_change": found.value, "mean_lo": found.low, "mean_hi": found.high, "p_paired_t": found.p}


def _why_nobody(values: NDArray[np.float64], year: int) -> str:
    known = ~np.isnan(values[:, [0, year]])
    if not known[:, 0].any():
        return "nobody has a value of year 0"
    return f"nobody has a value of year {year}" if not known[:, 1].any() else "nobody has a value of both years"
