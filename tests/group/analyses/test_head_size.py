# SPDX-License-Identifier: Apache-2.0
"""First scans, what is adjusted for, and volumes in heads of different size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bids_msvol.group.analyses.head_size import first_scans, head_slope, learns_from_controls, same_head
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Plan
from bids_msvol.group.study import Study
from tests.group.cohorts import make_tables


def people(**columns: Any) -> pd.DataFrame:
    """Fifty persons, half of them controls."""
    rng = np.random.default_rng(1)
    table = {
        "group": np.repeat(np.array(["HC", "MS"], dtype=object), 25),
        "etiv_ml": rng.normal(1500.0, 130.0, 50),
        "is_control": np.repeat([True, False], 25),
    }
    return pd.DataFrame({**table, **columns})


def study_with(groups: dict[str, int], **columns: Any) -> Study:
    tables = make_tables(groups, years=(0.0, 1.0))
    for name, values in columns.items():
        tables.persons[name] = values
    return assemble(tables, Plan())


def test_proportional_volumes_become_equal() -> None:
    """Volumes that are a fixed share of the head are all the same, as large as in the average head."""
    table = people()
    found = same_head(5.0 * table["etiv_ml"].to_numpy(), table, "proportion", "HC")
    assert found == pytest.approx(5.0 * table["etiv_ml"].mean())


def test_residuals_take_the_slope_of_controls() -> None:
    """Patients, whose volumes grow otherwise with the head, do not change the slope of enough controls."""
    table = people()
    etiv = table["etiv_ml"].to_numpy()
    rng = np.random.default_rng(2)
    volumes = 100.0 + 2.0 * etiv + rng.normal(0.0, 1e-6, 50)
    volumes[25:] = 9000.0 - 3.0 * etiv[25:]
    assert learns_from_controls(table, "HC")
    assert head_slope(volumes, table, "HC") == pytest.approx(2.0)
    found = same_head(volumes, table, "residual", "HC")
    assert found[:25] == pytest.approx(100.0 + 2.0 * etiv.mean())


def test_slope_of_all_is_that_within_groups() -> None:
    """Without controls: groups that differ in head size and volume do not make a slope by themselves."""
    table = people(is_control=False)
    table.loc[25:, "etiv_ml"] += 500.0
    assert not learns_from_controls(table, "HC")
    volumes = 2.0 * table["etiv_ml"].to_numpy() - 3000.0 * (table["group"] == "MS").to_numpy()
    volumes += np.random.default_rng(3).normal(0.0, 1e-6, 50)
    assert head_slope(volumes, table, "HC") == pytest.approx(2.0)
    assert not learns_from_controls(people().iloc[10:], "HC")


def test_other_methods_leave_volumes_as_they_are() -> None:
    table = people()
    volumes = np.arange(50.0)
    assert (same_head(volumes, table, "covariate", "HC") == volumes).all()
    assert (same_head(volumes, table, "none", "HC") == volumes).all()


def test_first_usable_scan_and_its_age() -> None:
    """A person whose first scan is left out is represented by the second, one year older."""
    tables = make_tables({"A": 10, "B": 10}, years=(0.0, 1.0))
    tables.sessions.loc[0, "exclude"] = True
    study = assemble(tables, Plan())
    table = first_scans(study, study.volumes_mm3.index).table
    assert table.loc["sub-001", "row"] == 1
    assert table.loc["sub-002", "row"] == 2
    assert table.loc["sub-001", "age"] == pytest.approx(tables.persons.loc["sub-001", "age"] + 1.0, abs=0.01)
    assert len(table) == 20


def test_covariates_that_the_data_do_not_allow_are_named() -> None:
    """Unknown, known for few of one group, constant, and the same as the groups: each is left out and said so."""
    groups = {"A": 15, "B": 15}
    study = study_with(groups)
    assert first_scans(study, study.volumes_mm3.index).covariates.names == ("etiv_ml", "age", "sex")
    cases: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
        ({"age": np.nan}, ("etiv_ml", "sex"), "Age is not adjusted for: it is not known"),
        ({"age": [40.0 + one for one in range(15)] + [np.nan] * 15}, ("etiv_ml", "sex"), "most of B have none"),
        ({"sex": "F"}, ("etiv_ml", "age"), "Sex is not adjusted for: it does not vary"),
        ({"site": ["x"] * 15 + ["y"] * 15}, ("etiv_ml", "age", "sex"), "Site is not adjusted for: it cannot be told"),
        ({"site": [f"s{one}" for one in range(30)]}, ("etiv_ml", "age", "sex"), "Site is not adjusted for"),
        ({"site": ["x", "y"] * 15}, ("etiv_ml", "age", "sex", "site"), ""),
    ]
    for columns, expected, said in cases:
        study = study_with(groups, **columns)
        scans = first_scans(study, study.volumes_mm3.index)
        assert scans.covariates.names == expected
        assert said in " ".join(scans.limits)


def test_persons_left_out_are_counted() -> None:
    """Two of unknown group, and one without an age."""
    study = study_with({"A": 15, "B": 15}, group=["A"] * 13 + [None, None] + ["B"] * 15)
    study.sessions.loc[study.sessions["participant_id"] == "sub-001", "age"] = np.nan
    scans = first_scans(study, study.volumes_mm3.index)
    assert len(scans.table) == 28
    assert len(scans.covariates.complete(scans.table)) == 27
    assert any("2 persons of unknown group left out" in said for said in scans.limits)
    assert any("1 person left out of adjusted comparisons: intracranial volume, age" in said for said in scans.limits)
