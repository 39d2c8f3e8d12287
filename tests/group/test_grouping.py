# SPDX-License-Identifier: Apache-2.0
"""Who is compared with whom, whatever capitals a table was written in; and what the plan may ask for."""

from __future__ import annotations

import pandas as pd
import pytest

from bids_msvol.errors import UsageError
from bids_msvol.group.grouping import find_controls, make_groups
from bids_msvol.group.plan import Groups


def people(*groups: str | None) -> pd.DataFrame:
    index = pd.Index([f"sub-{number}" for number in range(len(groups))])
    empty = pd.Series(None, index=index, dtype=object)
    return pd.DataFrame(
        {"group": pd.Series(list(groups), index, dtype=object), "phenotype": empty, "treatment": empty, "site": empty}
    )


@pytest.mark.parametrize("label", ["HC", "hc", "Healthy", "CONTROLS", "con"])
def test_controls_in_any_capitals(label: str) -> None:
    """Healthy controls are no patients because of a capital; they are the reference."""
    persons = people("A", label, None)
    assert find_controls(persons, Groups()).tolist() == [False, True, False]
    groups, column = make_groups(persons, persons.index, Groups())
    assert (column, list(groups.cat.categories)) == ("group", [label, "A"])


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Groups(by="site"), r"groups\.by: nobody has a value in the column 'site'"),
        (Groups(by="shoe"), r"groups\.by: there is no column 'shoe'"),
        (Groups(reference="C"), r"groups\.reference: there is no group 'C'"),
        (Groups(order=("C",)), r"groups\.order: there is no group 'C'"),
    ],
)
def test_groups_that_cannot_be_made(plan: Groups, said: str) -> None:
    """The message names the entry of the plan that does not fit."""
    persons = people("A", "B")
    with pytest.raises(UsageError, match=said):
        make_groups(persons, persons.index, plan)
