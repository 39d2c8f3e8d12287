# SPDX-License-Identifier: Apache-2.0
"""The columns of a model: checked, named, coded from labels, and refused when some follow from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

INTERCEPT = "intercept"
"""Name of the column of ones."""

DEPENDENT = 1e-7
"""Share of a column's length below which what the others leave of it counts as rounding (as in R's ``lm``)."""

PERFECT = 1e-12
"""Share of the outcome's length that rounding leaves of a fit without error."""

MISSING_LABELS = ("", "n/a", "nan", "None", "<NA>", "NaT")
"""How numpy, pandas and BIDS write a label that is not there."""


@dataclass(frozen=True, eq=False)
class Design:
    """The columns of a model, none of which follows from the others.

    Attributes
    ----------
    names
        One for each column.
    matrix
        (observation, column).
    basis
        (observation, column), orthonormal, spans the columns.
    triangle
        (column, column), upper; ``basis @ triangle`` is ``matrix``.
    """

    names: tuple[str, ...]
    matrix: NDArray[np.float64]
    basis: NDArray[np.float64]
    triangle: NDArray[np.float64]


def make_design(columns: Mapping[str, ArrayLike]) -> Design:
    """Put columns together.

    Parameters
    ----------
    columns
        Values (observation,) by name, in the order of the coefficients. A column of ones is not added: give one as
        ``intercept``.

    Raises
    ------
    ValueError
        If there are no columns, they differ in length, hold anything but finite numbers, are not fewer than the
        observations, or follow from one another; the message names the column.
    """
    if not columns:
        raise ValueError("a model needs at least one column")
    first = next(iter(columns))
    count = np.size(columns[first])
    vectors = [check_vector(name, values, count) for name, values in columns.items()]
    names = tuple(columns)
    matrix = np.column_stack(vectors)
    if count <= len(names):
        raise ValueError(f"{count} observations are too few for {len(names)} columns ({', '.join(names)})")
    dependent = _dependent_columns(names, matrix)
    if dependent:
        raise ValueError("the columns are not independent: " + "; ".join(dependent))
    basis, triangle = np.linalg.qr(matrix)
    return Design(names, matrix, basis, triangle)


def check_vector(name: str, values: ArrayLike, count: int | None = None) -> NDArray[np.float64]:
    """Return values as an array (observation,) of finite numbers.

    Raises
    ------
    ValueError
        If they are not one-dimensional, not ``count`` of them, not numbers, or not all finite.
    """
    try:
        vector = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name!r} holds something that is not a number") from error
    if vector.ndim != 1 or (count is not None and len(vector) != count):
        wanted = "one-dimensional" if count is None else f"of shape ({count},)"
        raise ValueError(f"{name!r} must be {wanted}, not of shape {vector.shape}")
    bad = int(np.count_nonzero(~np.isfinite(vector)))
    if bad:
        raise ValueError(f"{name!r} has {bad} values that are missing or infinite; leave those observations out")
    return vector


def check_labels(name: str, labels: ArrayLike, count: int) -> tuple[list[str], NDArray[np.intp]]:
    """Return the distinct labels, sorted, and the number (observation,) of each observation's label among them.

    Raises
    ------
    ValueError
        If there are not ``count`` of them, or one is missing (``None``, NaN, ``n/a`` or empty).
    """
    given = np.asarray(labels, dtype=object)
    if given.shape != (count,):
        raise ValueError(f"{name!r} must be of shape ({count},), not {given.shape}")
    texts = given.astype(str)
    missing = int(np.isin(texts, MISSING_LABELS).sum())
    if missing:
        raise ValueError(f"{name!r} has {missing} missing labels; leave those observations out")
    distinct, codes = np.unique(texts, return_inverse=True)
    return [str(label) for label in distinct], np.asarray(codes, dtype=np.intp)


def treatment_columns(name: str, labels: ArrayLike, reference: str | None = None) -> dict[str, NDArray[np.float64]]:
    """Code labels as columns of zeros and ones, one for each label but the reference.

    Parameters
    ----------
    name
        Prefix of the column names, which are ``name[label]``.
    labels
        (observation,) such as ``F`` and ``M``.
    reference
        Label that all columns leave at zero; the first in alphabetical order if not given.

    Raises
    ------
    ValueError
        If a label is missing, or no observation has the reference.
    """
    distinct, codes = check_labels(name, labels, np.size(np.asarray(labels, dtype=object)))
    chosen = distinct[0] if reference is None else reference
    if chosen not in distinct:
        raise ValueError(f"no observation of {name!r} is {chosen!r}; there are {', '.join(distinct)}")
    return {
        f"{name}[{label}]": (codes == code).astype(np.float64) for code, label in enumerate(distinct) if label != chosen
    }


def _dependent_columns(names: Sequence[str], matrix: NDArray[np.float64]) -> list[str]:
    """Say of each column that follows from those before it, from which."""
    found: list[str] = []
    kept: list[int] = []
    directions = np.empty((len(matrix), 0))
    for index, name in enumerate(names):
        column = matrix[:, index]
        length = float(np.linalg.norm(column))
        if length == 0.0:
            found.append(f"{name!r} is zero throughout")
            continue
        rest = column / length
        for _ in range(2):  # The second round takes away what rounding left.
            rest = rest - directions @ (directions.T @ rest)
        left = float(np.linalg.norm(rest))
        if left > DEPENDENT:
            kept.append(index)
            directions = np.column_stack([directions, rest / left])
            continue
        scaled = matrix[:, kept] / np.linalg.norm(matrix[:, kept], axis=0)
        shares = np.linalg.lstsq(scaled, column / length, rcond=None)[0]
        sources = [repr(names[other]) for other, share in zip(kept, shares, strict=True) if abs(share) > 1e-6]
        found.append(f"{name!r} follows from {', '.join(sources)}")
    return found
