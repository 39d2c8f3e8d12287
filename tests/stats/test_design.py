# SPDX-License-Identifier: Apache-2.0
"""Columns that cannot be fitted are refused by name, and labels become columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_msvol.stats.design import check_labels, make_design, treatment_columns

ONES = np.ones(6)
X = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
Z = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])


def test_basis_and_triangle_make_the_columns() -> None:
    """The basis is orthonormal and gives the columns back, however different their units."""
    design = make_design({"intercept": ONES, "etiv": 1.5e6 + X, "z": 1e-9 * Z})
    assert design.names == ("intercept", "etiv", "z")
    assert design.basis.T @ design.basis == pytest.approx(np.eye(3))
    assert np.abs(design.basis @ design.triangle / design.matrix.max(axis=0)) == pytest.approx(
        design.matrix / design.matrix.max(axis=0)
    )


def test_dependent_columns_are_named_with_their_sources() -> None:
    """The message names what follows from what, and leaves out columns that have no part in it."""
    with pytest.raises(ValueError, match=r"'other' follows from 'intercept', 'z'$"):
        make_design({"intercept": ONES, "x": X, "z": Z, "other": 1.0 - Z})
    with pytest.raises(ValueError, match=r"'a' is zero throughout; 'b' follows from 'x'$"):
        make_design({"intercept": ONES, "a": 0 * X, "x": X, "b": 3.0 * X})


def test_a_column_that_only_looks_dependent_is_kept() -> None:
    """A year is nearly constant beside the intercept, but not quite."""
    assert make_design({"intercept": ONES, "year": 2020.0 + X / 100.0}).names == ("intercept", "year")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "at least one column"),
        ({"a": ONES, "b": [1.0, np.nan, 3.0, np.inf, 5.0, 6.0]}, "'b' has 2 values that are missing or infinite"),
        ({"a": ONES, "b": X[:5]}, r"'b' must be of shape \(6,\), not of shape \(5,\)"),
        ({"sex": ["F", "M", "F", "M", "M", "F"]}, "'sex' holds something that is not a number"),
        ({"a": ONES[:2], "b": X[:2]}, r"2 observations are too few for 2 columns \(a, b\)"),
    ],
)
def test_unusable_columns_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_design(columns)  # type: ignore[arg-type]


def test_labels_are_coded_against_a_reference() -> None:
    """Each label but the reference has a column of zeros and ones."""
    coded = treatment_columns("site", ["B", "A", "C", "A"], reference="B")
    assert {name: list(column) for name, column in coded.items()} == {"site[A]": [0, 1, 0, 1], "site[C]": [0, 0, 1, 0]}
    assert list(treatment_columns("sex", ["M", "F"])) == ["sex[M]"]
    with pytest.raises(ValueError, match="no observation of 'sex' is 'X'; there are F, M"):
        treatment_columns("sex", ["M", "F"], reference="X")


@pytest.mark.parametrize("missing", [None, float("nan"), "", "n/a", pd.NA])
def test_missing_labels_are_refused(missing: object) -> None:
    """A label that is not there never becomes a group of its own."""
    with pytest.raises(ValueError, match="'group' has 1 missing labels"):
        check_labels("group", ["a", missing, "b"], 3)


def test_numbers_serve_as_labels() -> None:
    labels, codes = check_labels("person", [7, 3, 7], 3)
    assert labels == ["3", "7"]
    assert list(codes) == [1, 0, 1]
