# SPDX-License-Identifier: Apache-2.0
"""Which covariates are used, what is said of the others, and how they are coded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bids_msvol.group.covariates import (
    choose_covariates,
    covariate_columns,
    say_adjusted,
    say_not_adjusted,
)

WANTED = ("age", "sex", "site")


def people(**columns: Any) -> pd.DataFrame:
    """Return thirty persons of two groups, A and B, with what is given in place of the usual."""
    usual = {
        "group": ["A"] * 15 + ["B"] * 15,
        "age": np.linspace(20.0, 60.0, 30) % 17.0,
        "sex": ["F", "M", "F"] * 10,
        "site": ["x", "y"] * 15,
    }
    return pd.DataFrame(usual | columns, index=[f"sub-{number:03d}" for number in range(30)])


def test_all_that_the_data_allow_are_used() -> None:
    """In the order in which they are wanted, with nothing to say."""
    found = choose_covariates(people(), WANTED, people()["group"])
    assert (found.names, found.notes, found.text()) == (WANTED, (), "age, sex and site")


@pytest.mark.parametrize(
    ("columns", "names", "said"),
    [
        ({"age": [None] * 30}, ("sex", "site"), "Age is not adjusted for: it is not known."),
        ({"age": [None] * 8 + [4.0, 5.0] * 11}, ("sex", "site"), "Age is not adjusted for: most of A have none."),
        ({"sex": "F"}, ("age", "site"), "Sex is not adjusted for: it does not vary."),
        ({"site": ["x"] * 15 + ["y"] * 15}, ("age", "sex"), "Site is not adjusted for: it cannot be told apart"),
        (
            {"site": [f"s{one % 19}" for one in range(30)]},
            ("age", "sex"),
            "Site is not adjusted for: there are too few",
        ),
    ],
)
def test_what_the_data_do_not_allow_is_named(columns: dict[str, Any], names: tuple[str, ...], said: str) -> None:
    """Unknown, known of less than half of a group, constant, following from the groups, too many columns."""
    persons = people(**columns)
    found = choose_covariates(persons, WANTED, persons["group"])
    assert found.names == names
    assert found.notes[0].startswith(said)


def test_one_site_needs_no_word() -> None:
    """A study of one site, or that does not name its sites, is not told that nothing is adjusted for them."""
    for site in ("x", None):
        assert choose_covariates(people(site=site), WANTED).notes == ()


def test_small_groups_and_unknown_ones_have_no_say() -> None:
    """Two persons of a group without age do not cost all others the adjustment, nor does who is in no group."""
    persons = people(group=["A"] * 13 + ["B"] * 13 + ["C", "C", None, None])
    persons.loc[persons.index[-4:], "age"] = np.nan
    found = choose_covariates(persons, ("age",), persons["group"])
    assert found.names == ("age",)
    assert found.notes == ("2 persons left out of adjusted comparisons: age not known.",)
    assert len(found.complete(persons)) == 26


def test_columns_are_centred_and_each_row_is_kept() -> None:
    """Numbers and codes have mean zero, so that the intercept is the mean."""
    columns, left_out = covariate_columns(people(), WANTED, {"intercept": np.ones(30)})
    assert (list(columns), left_out) == (["age", "sex[M]", "site[y]"], ())
    assert all(values.mean() == pytest.approx(0.0, abs=1e-12) and len(values) == 30 for values in columns.values())


def test_what_follows_from_a_model_is_left_out() -> None:
    """A site for each group adds nothing to the groups; what does not vary has no column and needs no word."""
    persons = people(sex="F")
    base = {"intercept": np.ones(30), "second": (persons["group"] == "B").to_numpy(dtype=float)}
    columns, left_out = covariate_columns(persons.assign(site=persons["group"]), WANTED, base)
    assert (list(columns), left_out) == (["age"], ("site",))
    assert covariate_columns(persons.iloc[:0], WANTED, {}) == ({}, ())


def test_words() -> None:
    """Cells name what is adjusted for, and what of it a model had to leave out."""
    assert (say_adjusted(("etiv_ml", "age")), say_adjusted(())) == ("intracranial volume, age", "none")
    assert say_adjusted(("age", "edss"), ("age",)) == "EDSS"
    assert say_not_adjusted(("site",)).startswith("not adjusted for site")
    assert say_not_adjusted(()) == ""
