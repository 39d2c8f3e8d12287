# SPDX-License-Identifier: Apache-2.0
"""Structural covariance: a planted connection found, chance named as chance, and whatever cannot be done said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bids_msvol.bids.tabular import format_value
from bids_msvol.group.analyses import covariance_network
from bids_msvol.group.analyses.covariance_network import TABLES, analyse
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.figures.network import place_nodes
from bids_msvol.group.plan import Plan, Regions, Statistics
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.study import Study
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import make_tables

FAST = Plan(statistics=Statistics(permutations=300))


def network_tables(groups: Mapping[str, int], *, joined: str = "") -> StudyTables:
    """Volumes that share a common factor; in the group ``joined`` the two caudates go together all but fully."""
    tables = make_tables(groups, years=(0.0,), cord=False, clinical=False)
    rng = np.random.default_rng(9)
    volumes = tables.volumes_mm3.copy()
    factor = np.exp(rng.normal(0.0, 0.07, len(volumes)))
    for name in Plan().regions.network:
        volumes[name] *= factor
    here = (tables.persons["group"] == joined).to_numpy()
    volumes.loc[here, "Right-Caudate"] = 1.01 * volumes.loc[here, "Left-Caudate"] + rng.normal(0.0, 20.0, here.sum())
    return replace(tables, volumes_mm3=volumes)


def network_study(groups: Mapping[str, int], **options: Any) -> Study:
    return assemble(network_tables(groups, **options), Plan())


def rows_of(found: Analysis, table: int, **wanted: object) -> list[dict[str, Any]]:
    return [dict(row) for row in found.tables[table].rows if all(row.get(name) == wanted[name] for name in wanted)]


def test_a_planted_connection_is_found() -> None:
    """The caudates of MS: the only edge that differs after correction, by both tests; not in the other group."""
    found = analyse(network_study({"HC": 45, "MS": 50, "NMOSD": 45}, joined="MS"), FAST)
    (edge,) = rows_of(found, 0, node_1="Left-Caudate", node_2="Right-Caudate", group="MS")
    assert edge["r_group"] > 0.95 > 0.8 > edge["r_reference"]
    assert edge["p_fwer"] < 0.01
    assert edge["q_bh"] < 0.01
    assert edge["ci_lo"] > 0.5
    assert edge["df_group"] == 50 - 2 - 3
    assert sum(row["p_fwer"] <= 0.05 for row in rows_of(found, 0, group="MS")) == 1
    assert not any(row["p_fwer"] <= 0.05 for row in rows_of(found, 0, group="NMOSD"))
    (together,) = rows_of(found, 2, statistic="largest_spread")
    assert together["p"] < 0.01
    assert any("Left Caudate with Right Caudate" in said for said in found.findings)


def test_counts_stand_beside_those_of_chance() -> None:
    """Classes of the table of edges add up to the counts; each count has what chance alone gives beside it."""
    found = analyse(network_study({"HC": 30, "MS": 45}), FAST)
    edges = rows_of(found, 0, group="MS")
    assert len(edges) == 91
    for kind in ("shared", "additional", "missing"):
        (row,) = rows_of(found, 2, statistic=kind)
        assert row["observed"] == sum(edge["class"] == kind for edge in edges)
        assert row["null_lo"] <= row["expected"] <= row["null_hi"]
        assert row.get("p") is None
    (asymmetry,) = rows_of(found, 2, statistic="asymmetry")
    by_kind = {row["statistic"]: row for row in found.tables[2].rows}
    assert asymmetry["observed"] == by_kind["additional"]["observed"] - by_kind["missing"]["observed"]
    # The larger group finds more edges by chance alone.
    assert asymmetry["expected"] > 0
    assert 0 < asymmetry["p"] <= 1
    said = f"{by_kind['additional']['observed']:.0f} additional and {by_kind['missing']['observed']:.0f} missing"
    assert said in found.findings[2]
    assert f"{by_kind['additional']['expected']:.1f} (95 %" in found.findings[2]
    assert "edges differed after correction" in found.findings[0]


def test_nodes_and_densities() -> None:
    """Strength is the sum of |r| of the node's edges; at every density there is a row with a p value."""
    found = analyse(network_study({"HC": 30, "MS": 35}), FAST)
    (node,) = rows_of(found, 1, node="Left-Thalamus")
    edges = [row for row in rows_of(found, 0) if "Left-Thalamus" in (row["node_1"], row["node_2"])]
    assert len(edges) == 13
    assert node["strength_group"] == pytest.approx(sum(abs(row["r_group"]) for row in edges))
    assert node["difference"] == pytest.approx(node["strength_group"] - node["strength_reference"])
    assert node["p"] <= node["p_fwer"]
    swept = rows_of(found, 2, statistic="differing")
    assert [row["density"] for row in swept] == list(covariance_network.DENSITIES)
    assert all(0 < row["p"] <= 1 for row in swept)


def test_the_same_seed_gives_the_same_results() -> None:
    study = network_study({"HC": 25, "MS": 25})
    assert analyse(study, FAST).tables[2].rows == analyse(study, FAST).tables[2].rows


def test_one_group_has_a_network_and_no_tests() -> None:
    found = analyse(network_study({"A": 40}), FAST)
    assert len(found.tables[0].rows) == 91
    assert not found.tables[1].rows
    assert not found.tables[2].rows
    assert all(row.get("p") is None for row in found.tables[0].rows)
    assert "edges were found" in found.findings[0]
    assert "permut" not in " ".join(found.methods)


def test_a_group_that_is_too_small_is_said_so_in_every_row() -> None:
    found = analyse(network_study({"HC": 30, "MS": 30, "NMOSD": 6}), FAST)
    small = rows_of(found, 2, group="NMOSD")
    assert len(small) == len(rows_of(found, 2, group="MS"))
    assert all(row.get("p") is None and "6 persons of NMOSD: too few" in row["warning"] for row in small)
    assert len(rows_of(found, 0, group="NMOSD")) == 91
    assert any("NMOSD could not be compared" in said for said in found.findings)
    assert all(row["p"] is not None for row in rows_of(found, 2, statistic="sum_dz", group="MS"))


def test_few_persons_and_sites_are_warned_of() -> None:
    tables = network_tables({"HC": 20, "MS": 40})
    tables.persons["site"] = ["x", "y"] * 30
    found = analyse(assemble(tables, Plan()), FAST)
    assert "20 persons of HC: networks of fewer than 30" in rows_of(found, 2, statistic="sum_dz")[0]["warning"]
    assert any("2 sites are pooled" in said and "were taken out" in said for said in found.limits)
    assert found.tables[0].sidecar["CovariateColumns"] == 4


def test_nodes_that_are_not_measured_are_left_out() -> None:
    """One node is absent, one known in half of the scans, one the same in everybody; one person lacks another."""
    tables = network_tables({"HC": 30, "MS": 30})
    volumes = tables.volumes_mm3.drop(columns="Left-Pallidum")
    volumes.loc[volumes.index[::2], "Left-Amygdala"] = np.nan
    volumes["Right-Amygdala"] = 1000.0
    volumes.loc[3, "Left-Caudate"] = np.nan
    found = analyse(assemble(replace(tables, volumes_mm3=volumes), Plan()), FAST)
    (row,) = rows_of(found, 2, statistic="sum_dz")
    assert (row["n_nodes"], row["n_edges"], row["n_sub"]) == (11, 55, 59)
    said = " ".join(found.limits)
    assert "Left Amygdala, Right Amygdala and Left Pallidum" in said or "Left Pallidum, Left Amygdala" in said
    assert "1 person without all regions" in said


def test_what_cannot_be_analysed_is_refused() -> None:
    with pytest.raises(CannotAnalyseError, match="no group has the 10 persons"):
        analyse(network_study({"HC": 7, "MS": 7}), FAST)
    tables = network_tables({"HC": 20, "MS": 20})
    with pytest.raises(CannotAnalyseError, match="there are volumes of 2"):
        analyse(assemble(tables, Plan()), Plan(regions=Regions(network=("Left-Thalamus", "Right-Thalamus"))))
    tables.sessions["exclude"] = True
    with pytest.raises(CannotAnalyseError, match="no scan has volumes"):
        analyse(assemble(tables, Plan()), FAST)


def test_work_is_limited_for_many_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer permutations are drawn than asked for, never fewer than the least, and the tables say how many."""
    monkeypatch.setattr(covariance_network, "LARGEST_WORK", 10)
    monkeypatch.setattr(covariance_network, "FEWEST_PERMUTATIONS", 40)
    found = analyse(network_study({"HC": 25, "MS": 25}), FAST)
    assert {row["permutations"] for row in found.tables[2].rows} == {40}
    assert "40 random allotments" in " ".join(found.methods)


@pytest.mark.parametrize("groups", [{"A": 30}, {"A": 25, "B": 25}, {f"G{number}": 20 for number in range(5)}])
def test_tables_and_figures_are_whole(groups: dict[str, int]) -> None:
    """Every cell belongs to a column and can be written; figures show every node and the numbers of persons."""
    found = analyse(network_study(groups), Plan(statistics=Statistics(permutations=50)))
    for declared, result in zip(TABLES, found.tables, strict=True):
        assert result.table is declared
        columns = {column.name: column for column in declared.columns}
        for row in result.rows:
            assert set(row) <= set(columns)
            assert all(format_value(row.get(name), column) for name, column in columns.items())
    circles, matrices = (to_svg(figure.draw()) for figure in found.figures)
    assert all(word in circles for word in ("Thalamus", "Hippocampus", "Left", "Right", "(n = "))
    assert circles.count("against") == len(groups) - 1
    assert matrices.count("(n = ") == len(groups)
    assert "L Thalamus" in matrices


def test_sides_are_mirrored() -> None:
    """Left nodes are on the left, right ones at the same height opposite, others at the bottom, all apart."""
    nodes = ["Left-Thalamus", "Right-Thalamus", "Left-Caudate", "Right-Caudate", "Brain-Stem", "Right-Putamen"]
    angles = np.radians(place_nodes(nodes))
    x, y = np.cos(angles), np.sin(angles)
    assert (x[[0, 2]] < 0).all()
    assert x[[1, 3, 5]] == pytest.approx(np.abs(x[[1, 3, 5]]))
    assert y[[0, 2]] == pytest.approx(y[[1, 3]])
    assert (x[4], y[4]) == pytest.approx((0.0, -1.0))
    for names in (nodes, ["DeepGray", "Cortex", "Cerebellum"]):
        placed = place_nodes(names)
        gaps = np.diff(np.sort(placed % 360.0))
        assert gaps.min() > 5.0
