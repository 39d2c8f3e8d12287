# SPDX-License-Identifier: Apache-2.0
"""The same people at two times compared by ranks: Wilcoxon's signed rank test, exact with ties, and the shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bids_msvol.stats.design import check_vector
from bids_msvol.stats.estimates import CONFIDENCE, check_level
from bids_msvol.stats.pair_selection import nth_walsh_average

EXACT_UP_TO = 200
"""People who changed up to whom all signs are counted; beyond, the normal approximation is as good."""


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's signed rank test.

    Attributes
    ----------
    n, n_changed
        People, and those whose value changed: the others are left out of the test, as Wilcoxon did.
    w
        Sum of the ranks of the positive changes.
    p
        Two-sided.
    method
        All signs of the observed changes, or the normal approximation corrected for ties and continuity.
    shift, low, high
        Hodges-Lehmann estimate (median of the means of all pairs of changes, unchanged people among them) and its
        confidence interval, infinite with too few people for the level.
    rank_biserial
        Share of the rank sum that is positive, less the share that is negative; -1 to 1.
    """

    n: int
    n_changed: int
    w: float
    p: float
    method: Literal["exact", "asymptotic"]
    shift: float
    low: float
    high: float
    rank_biserial: float


def signed_rank(differences: ArrayLike, *, level: float = CONFIDENCE) -> SignedRank:
    """Test whether changes are symmetric about zero.

    Parameters
    ----------
    differences
        (person,) later less earlier value.
    level
        Of the confidence interval.

    Raises
    ------
    ValueError
        If a value is missing or nobody changed.

    Notes
    -----
    Wilcoxon 1945, Biometrics Bulletin 1:80-83. The exact distribution is that of all signs given the sizes of the
    changes, so that it holds with ties too. The interval is that without ties and keeps its level with them; where many
    people did not change it may hold zero while p is below the level (Hollander, Wolfe and Chicken 2014, Nonparametric
    Statistical Methods, section 3.3).
    """
    check_level(level)
    values = check_vector("differences", differences)
    changed = values[values != 0.0]
    if not len(changed):
        raise ValueError("nobody changed")
    ranks = stats.rankdata(np.abs(changed))
    w = float(ranks[changed > 0.0].sum())
    total = float(ranks.sum())
    exact = len(changed) <= EXACT_UP_TO
    if exact:
        # Tied ranks are halves: doubled, all are whole.
        p = _exact_p(np.rint(2.0 * ranks).astype(int), round(2.0 * w))
    else:
        distance = max(0.0, abs(w - total / 2.0) - 0.5)
        p = 2.0 * float(special.ndtr(-distance / (0.5 * np.sqrt(float(ranks @ ranks)))))
    shift, low, high = _shift(values, level)
    return SignedRank(
        n=len(values),
        n_changed=len(changed),
        w=w,
        p=min(1.0, p),
        method="exact" if exact else "asymptotic",
        shift=shift,
        low=low,
        high=high,
        rank_biserial=2.0 * w / total - 1.0,
    )


def _exact_p(ranks: NDArray[np.int_], w: int) -> float:
    """Share of all signs for which the sum of the ranks of one sign is as far from the middle."""
    distribution = _sums(ranks)
    total = int(ranks.sum())
    sums = np.arange(total + 1)
    as_far = np.abs(2 * sums - total) >= abs(2 * w - total)
    return float(distribution[as_far].sum())


def _sums(ranks: NDArray[np.int_]) -> NDArray[np.float64]:
    """Probability (total + 1,) of each sum of whole ranks, each of which counts or not with even chance."""
    distribution = np.zeros(int(ranks.sum()) + 1)
    distribution[0] = 1.0
    top = 0
    for rank in ranks.tolist():
        shifted = distribution[: top + 1].copy()
        distribution[: top + 1] *= 0.5
        distribution[rank : top + rank + 1] += 0.5 * shifted
        top += rank
    return distribution


def _shift(values: NDArray[np.float64], level: float) -> tuple[float, float, float]:
    count = len(values)
    pairs = count * (count + 1) // 2
    middle = [nth_walsh_average(values, number) for number in {(pairs + 1) // 2, pairs // 2 + 1}]
    tail = (1.0 - level) / 2.0
    if count <= EXACT_UP_TO:
        bound = int(np.searchsorted(np.cumsum(_sums(np.arange(1, count + 1))), tail, side="right"))
    else:
        deviation = np.sqrt(count * (count + 1.0) * (2.0 * count + 1.0) / 24.0)
        bound = int(np.ceil(pairs / 2.0 - 0.5 + float(special.ndtri(tail)) * deviation))
    shift = float(np.mean(middle))
    if bound < 1:
        return shift, -np.inf, np.inf
    return shift, nth_walsh_average(values, bound), nth_walsh_average(values, pairs + 1 - bound)
