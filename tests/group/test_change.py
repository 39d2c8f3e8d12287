# SPDX-License-Identifier: Apache-2.0
"""Where change comes from: pairs of images or two volumes, for everybody, and what cannot be a change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_msvol.errors import UsageError
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Intervals, Plan, Regions
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import make_tables

FROM_IMAGES = Plan(intervals=Intervals(change="images"))


def measured(tables: StudyTables) -> StudyTables:
    """Return tables in which the first person's change was measured, with a row that no table of volumes has."""
    pair = pd.MultiIndex.from_tuples([(0, 1)], names=["from_row", "to_row"])
    change = pd.DataFrame({"Left-Thalamus": [-80.0], "Right-Thalamus": [-60.0], "eTIV": [5.0]}, index=pair)
    return replace(tables, change_mm3=change, change_pct=change / 70.0)


def test_change_of_images_that_nobody_has() -> None:
    """It is refused: a difference of volumes in its place would go unnoticed."""
    with pytest.raises(UsageError, match=r"intervals\.change: no change was measured"):
        assemble(make_tables({"A": 3}), FROM_IMAGES)


def test_people_without_measured_change_are_told() -> None:
    """They have no change, since the two kinds are not mixed; the number is said."""
    study = assemble(measured(make_tables({"A": 3})), FROM_IMAGES)
    change = study.change([0, 4], [1, 5], ["Thalamus"], "pct_etiv")["Thalamus"].to_numpy()
    assert change[0] == pytest.approx(-14000.0 / study.sessions.loc[0, "etiv_mm3"])
    assert np.isnan(change[1])
    assert any("For 2 of 3 persons with several scans (first: sub-002)" in note for note in study.notes)
    study = assemble(measured(make_tables({"A": 3})), Plan(intervals=Intervals(change="volumes")))
    assert not any("no change was measured" in note for note in study.notes)


def test_nothing_in_per_cent_of_nothing() -> None:
    """A volume of 0 gives no infinite loss."""
    tables = make_tables({"A": 2})
    tables.volumes_mm3.loc[0, ["Left-Thalamus", "Right-Thalamus"]] = 0.0
    change = assemble(tables, Plan()).change([0, 1], [1, 2], ["Thalamus"], "pct")["Thalamus"].to_numpy()
    assert np.isnan(change[0])
    assert np.isfinite(change[1])


def test_rows_of_the_network_that_do_not_exist() -> None:
    """A slip in a name is told, and nothing is said where all are there."""
    tables = make_tables({"A": 2})
    study = assemble(tables, Plan(regions=Regions(network=("Left-Thalamus", "Left-Talamus"))))
    assert any("No table of volumes has Left-Talamus" in note for note in study.notes)
    assert not any("No table of volumes" in note for note in assemble(tables, Plan()).notes)
