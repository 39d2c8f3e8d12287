# SPDX-License-Identifier: Apache-2.0
"""The rows and tables of covariance_network: edges, nodes and statistics, with what chance alone gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.result import COUNTS, FAMILY, INTERVAL, NOTES, Q, number, p_column
from bids_msvol.group.wording import threshold
from bids_msvol.stats.multiplicity import benjamini_hochberg
from bids_msvol.stats.networks import (
    OmnibusTest,
    PairTest,
    correlate,
    correlation_p,
    edge_nodes,
    fisher_difference,
    two_sided_p,
    upper_p,
)

DENSITIES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
"""Shares of all edges that each network keeps in the sweep: the range in which published networks lie."""

Floats = NDArray[np.float64]

SHARED, ADDITIONAL, MISSING, NEITHER = "shared", "additional", "missing", "neither"

STATISTICS = {
    "largest_dz": "Largest |difference of Fisher's z| over all edges",
    "sum_dz": "Sum of |difference of Fisher's z| over all edges",
    "mean_r": "Mean |r| over all edges, group less reference",
    SHARED: "Edges found in both groups",
    ADDITIONAL: "Edges found in the group and not in the reference",
    MISSING: "Edges found in the reference and not in the group",
    "asymmetry": "Additional less missing edges",
    "differing": "Edges that only the group has where both keep as many; as many are only in the reference",
    "largest_spread": "Largest weighted sum of squares of Fisher's z between the groups over all edges",
    "sum_spread": "Sum of these over all edges",
}

_PAIR = (
    Column("comparison", "Which groups are compared."),
    Column("reference", "The group that is compared with."),
    Column("group", "The group that is compared."),
    *COUNTS,
    Column("n_reference", "Persons of the reference.", "integer"),
    Column("n_group", "Persons of the group.", "integer"),
)

EDGES = Table(
    "Edges of the networks",
    "scn_edges.tsv",
    "One pair of regions in a group and in the reference.",
    (
        Column("node_1", "Region."),
        Column("node_2", "Region."),
        *_PAIR,
        number("r_reference", "Partial correlation in the reference."),
        number("df_reference", "Its degrees of freedom."),
        p_column("q_reference", "False discovery rate of the correlation over all edges of the reference."),
        number("r_group", "Partial correlation in the group."),
        number("df_group", "Its degrees of freedom."),
        p_column("q_group", "False discovery rate of the correlation over all edges of the group."),
        Column(
            "class",
            "In which of the two the edge is found (q below one less the level of confidence): a description, not a "
            "test.",
            levels={
                SHARED: "In both.",
                ADDITIONAL: "In the group only.",
                MISSING: "In the reference only.",
                NEITHER: "In none.",
            },
        ),
        number("dz", "Difference of Fisher's z, group less reference."),
        *INTERVAL,
        p_column(description="P value of the difference by Fisher's z, not corrected."),
        Q,
        FAMILY,
        p_column("p_fwer", "P value by permutation of persons, corrected for all edges (largest difference)."),
        NOTES[1],
    ),
)

NODES = Table(
    "Nodes of the networks",
    "scn_nodes.tsv",
    "One region in a group and in the reference.",
    (
        Column("node", "Region."),
        *_PAIR,
        number("strength_reference", "Sum of |r| over the edges of the node in the reference."),
        number("strength_group", "The same in the group."),
        number("difference", "Group less reference."),
        number("null_lo", "Lower end of the interval of the difference under the null hypothesis."),
        number("null_hi", "Upper end."),
        p_column(description="P value of the difference by permutation of persons, not corrected."),
        Q,
        FAMILY,
        p_column("p_fwer", "P value corrected for all nodes (largest difference)."),
        NOTES[1],
    ),
)

TESTS = Table(
    "Tests of the networks",
    "scn_tests.tsv",
    "One statistic of a group against the reference, or of all groups, with what chance alone would give.",
    (
        *_PAIR,
        Column("statistic", "What is compared.", levels=STATISTICS),
        number("density", "Share of all edges that each network keeps; n/a where edges are found by their q."),
        Column("n_nodes", "Number of nodes.", "integer"),
        Column("n_edges", "Number of edges.", "integer"),
        number("observed", "Value in the data."),
        number("expected", "Mean over permutations: what groups without any difference give."),
        number("null_lo", "Lower end of the interval of the permutations."),
        number("null_hi", "Upper end."),
        Column("test", "How p was found."),
        p_column(),
        Q,
        FAMILY,
        Column("permutations", "Number of permutations.", "integer"),
        *NOTES,
    ),
)

TABLES = (EDGES, NODES, TESTS)


@dataclass(frozen=True, eq=False)
class Networks:
    """What all comparisons start from: residuals (person, node) of each group that can be used."""

    nodes: tuple[str, ...]
    groups: tuple[str, ...]
    sizes: Mapping[str, int]
    residuals: Mapping[str, Floats]
    covariates: int
    warnings: Mapping[str, str]
    limits: tuple[str, ...]


def _base(data: Networks, group: str) -> dict[str, object]:
    """Cells that all rows of a comparison share; with one group there is nothing that it is compared with."""
    reference = data.groups[0]
    if group == reference:
        size = data.sizes[group]
        return {"group": group, "n_obs": size, "n_sub": size, "n_group": size, "warning": data.warnings[group]}
    counts = (data.sizes[reference], data.sizes[group])
    return {
        "comparison": f"{group} - {reference}", "reference": reference, "group": group, "n_obs": sum(counts),
        "n_sub": sum(counts), "n_reference": counts[0], "n_group": counts[1],
        "warning": "; ".join(filter(None, [data.warnings[reference], data.warnings[group]])),
    }  # fmt: skip


def edge_rows(data: Networks, group: str, test: PairTest | None, level: float) -> list[dict[str, object]]:
    """Return the rows of all edges in a group and in the reference; without a test where there is none."""
    base = {**_base(data, group), "family": f"edges of {group} against {data.groups[0]}"}
    cells: dict[str, Sequence[object]] = {}
    found: dict[str, NDArray[np.bool_]] = {}
    for role, name in (("reference", data.groups[0]), ("group", group)):
        if name not in data.residuals or (role == "reference" and group == name):
            continue
        r, df = correlate(data.residuals[name]), len(data.residuals[name]) - 2 - data.covariates
        q = benjamini_hochberg(correlation_p(r, df))
        found[role] = q < threshold(level)
        cells |= {f"r_{role}": r.tolist(), f"df_{role}": [df] * len(r), f"q_{role}": q.tolist()}
    if len(found) == 2:
        kinds = {(True, True): SHARED, (False, True): ADDITIONAL, (True, False): MISSING, (False, False): NEITHER}
        cells["class"] = [kinds[pair] for pair in zip(*(found[role].tolist() for role in found), strict=True)]
    if test is not None:
        dz, low, high, p = fisher_difference(
            test.r_first, test.r_second, data.sizes[data.groups[0]], data.sizes[group], data.covariates, level
        )
        cells |= {"dz": dz.tolist(), "ci_lo": low.tolist(), "ci_hi": high.tolist(), "p": p.tolist()}
        cells["p_fwer"] = test.edge_p.tolist()
    ends = zip(*edge_nodes(len(data.nodes)), strict=True)
    return [
        {**base, "node_1": data.nodes[one], "node_2": data.nodes[other]}
        | {name: values[number] for name, values in cells.items()}
        for number, (one, other) in enumerate(ends)
    ]


def node_rows(data: Networks, group: str, test: PairTest | None, level: float) -> list[dict[str, object]]:
    """Return the rows of all nodes in a group and in the reference."""
    base = {**_base(data, group), "family": f"nodes of {group} against {data.groups[0]}"}
    if test is None:
        return [{**base, "node": node} for node in data.nodes]
    strengths = [_strengths(r, len(data.nodes)) for r in (test.r_first, test.r_second)]
    null = test.null.strength
    low, high = np.quantile(null, _tails(level), axis=0)
    return [
        {
            **base, "node": node, "strength_reference": float(strengths[0][number]),
            "strength_group": float(strengths[1][number]), "difference": float(test.observed.strength[0, number]),
            "null_lo": float(low[number]), "null_hi": float(high[number]),
            "p": two_sided_p(float(test.observed.strength[0, number]), null[:, number]),
            "p_fwer": float(test.node_p[number]),
        }
        for number, node in enumerate(data.nodes)
    ]  # fmt: skip


def _strengths(r: Floats, nodes: int) -> Floats:
    matrix = matrix_of(np.abs(r), nodes)
    return np.asarray(matrix.sum(axis=0))


def matrix_of(edges: Floats, nodes: int) -> Floats:
    """Values of edges as a symmetric matrix (node, node) with zeros on the diagonal."""
    matrix = np.zeros((nodes, nodes))
    matrix[edge_nodes(nodes)] = edges
    return np.asarray(matrix + matrix.T)


def _tails(level: float) -> list[float]:
    return [(1.0 - level) / 2.0, (1.0 + level) / 2.0]


def statistic_rows(data: Networks, group: str, test: PairTest | None, level: float) -> list[dict[str, object]]:
    """Return the rows of all statistics of a group against the reference, with what chance alone gives."""
    base = {**_base(data, group), "n_nodes": len(data.nodes), "n_edges": len(edge_nodes(len(data.nodes))[0])}
    names: list[tuple[str, int | None]] = [
        (name, None) for name in ("largest_dz", "sum_dz", "mean_r", SHARED, ADDITIONAL, MISSING, "asymmetry")
    ]
    names += [("differing", number) for number in range(len(DENSITIES))]
    rows: list[dict[str, object]] = []
    for name, number_of in names:
        row = {**base, "statistic": name, "density": None if number_of is None else DENSITIES[number_of]}
        row["family"] = f"{name} over comparisons" + ("" if number_of is None else " and densities")
        if test is not None:
            null, values = (getattr(part, name) for part in (test.null, test.observed))
            if number_of is not None:
                null, values = null[:, number_of], values[:, number_of]
            row |= _null_cells(float(values[0]), null, level)
            row["assumptions"] = _spread(data, group)
            if name in ("mean_r", "asymmetry"):
                row |= {"test": "permutation, two-sided", "p": two_sided_p(float(values[0]), null)}
            elif name in ("largest_dz", "sum_dz", "differing"):
                row |= {"test": "permutation", "p": float(upper_p(float(values[0]), null))}
            else:
                row["test"] = "none: a description"
        rows.append(row)
    return rows


def _null_cells(observed: float, null: Floats, level: float) -> dict[str, object]:
    low, high = np.quantile(null, _tails(level))
    return {
        "observed": observed, "expected": float(null.mean()), "null_lo": float(low), "null_hi": float(high),
        "permutations": len(null),
    }  # fmt: skip


def _spread(data: Networks, group: str) -> str:
    """Say how the spread of the residuals differs between the groups before it is made equal."""
    ratios = data.residuals[group].std(axis=0) / data.residuals[data.groups[0]].std(axis=0)
    return (
        f"exchangeable residuals: standard deviation {np.median(ratios):.2f} times that of the reference "
        f"({ratios.min():.2f} to {ratios.max():.2f} over nodes), made equal before permutation"
    )


def omnibus_rows(data: Networks, test: OmnibusTest | None, level: float) -> list[dict[str, object]]:
    """Return the rows of the tests of all groups together; none if there are fewer than three groups."""
    if len(data.groups) < 3:
        return []
    used = [len(values) for values in data.residuals.values()]
    base: dict[str, object] = {
        "comparison": "all groups", "n_obs": sum(used), "n_sub": sum(used), "n_nodes": len(data.nodes),
        "n_edges": len(edge_nodes(len(data.nodes))[0]),
        "warning": "; ".join(filter(None, data.warnings.values())),
    }  # fmt: skip
    rows = []
    for name in ("largest_spread", "sum_spread"):
        row = {**base, "statistic": name, "family": f"{name}, all groups together"}
        if test is not None:
            largest = name == "largest_spread"
            observed = test.spread.max() if largest else test.spread.sum()
            row |= _null_cells(float(observed), test.null_largest if largest else test.null_sum, level)
            row |= {"test": "permutation", "p": test.p_largest if largest else test.p_sum}
        rows.append(row)
    return rows
