# SPDX-License-Identifier: Apache-2.0
"""P values corrected for their number within stated families: false discovery rate and family-wise error."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bids_msvol.stats.design import check_labels

Correction = Literal["bh", "holm"]


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return q values: the least false discovery rate at which each test would be called.

    Parameters
    ----------
    p_values
        (test,), or any shape, one family. NaN, for a test that could not be done, stays NaN and is not counted.

    Raises
    ------
    ValueError
        If one is not between 0 and 1.

    References
    ----------
    Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57:289-300.
    """
    values, done = _check_p_values(p_values)
    result = np.full(values.shape, np.nan)
    if done.any():
        result[done] = stats.false_discovery_control(values[done], method="bh")
    return result


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p values corrected for the chance of any false positive in the family (Holm 1979, Scand J Stat 6:65-70).

    Parameters
    ----------
    p_values
        As for ``benjamini_hochberg``.

    Raises
    ------
    ValueError
        If one is not between 0 and 1.
    """
    values, done = _check_p_values(p_values)
    result = np.full(values.shape, np.nan)
    family = values[done]
    order = np.argsort(family, kind="stable")
    steps = family[order] * np.arange(len(family), 0, -1)
    corrected = np.empty(len(family))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    result[done] = corrected
    return result


def correct_within(p_values: ArrayLike, families: ArrayLike, method: Correction = "bh") -> NDArray[np.float64]:
    """Correct p values within each family apart from the others.

    Parameters
    ----------
    p_values
        (test,); NaN as for ``benjamini_hochberg``.
    families
        (test,) label of the family that each test belongs to.
    method
        ``bh`` for q values, ``holm`` for p values.

    Raises
    ------
    ValueError
        If a p value is not between 0 and 1, or a label is missing.
    """
    corrections = {"bh": benjamini_hochberg, "holm": holm}
    if method not in corrections:
        raise ValueError(f"the correction is 'bh' or 'holm', not {method!r}")
    values = _check_p_values(p_values)[0]
    labels, codes = check_labels("families", families, len(values))
    result = np.full(values.shape, np.nan)
    for code in range(len(labels)):
        result[codes == code] = corrections[method](values[codes == code])
    return result


def _check_p_values(p_values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return p values as an array, and which of them are there."""
    values = np.asarray(p_values, dtype=np.float64)
    done = ~np.isnan(values)
    if np.any((values[done] < 0.0) | (values[done] > 1.0)):
        raise ValueError("a p value lies between 0 and 1")
    return values, done
