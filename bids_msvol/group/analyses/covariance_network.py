# SPDX-License-Identifier: Apache-2.0
"""Structural covariance: which volumes go together across persons, and whether that differs between groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.analyses.covariance_network_tables import (
    ADDITIONAL,
    DENSITIES,
    EDGES,
    MISSING,
    NODES,
    SHARED,
    TESTS,
    Networks,
    edge_rows,
    matrix_of,
    node_rows,
    omnibus_rows,
    statistic_rows,
)
from bids_msvol.group.analyses.head_size import Scans, first_scans, group_columns
from bids_msvol.group.cells import as_float, has_number, interval_of, say_cell, say_chance, say_chances
from bids_msvol.group.covariates import LABELS, covariate_columns, say_not_adjusted
from bids_msvol.group.figures.network import (
    ADDITIONAL_COLOR,
    MISSING_COLOR,
    SHARED_COLOR,
    CirclePanel,
    Line,
    MatrixPanel,
    draw_circles,
    draw_matrices,
)
from bids_msvol.group.regions import region_label
from bids_msvol.group.result import Analysis, CannotAnalyseError, Figure, ResultTable, with_q
from bids_msvol.group.wording import say_count, say_list, threshold
from bids_msvol.stats.networks import (
    PairTest,
    compare_all,
    compare_pair,
    correlate,
    edge_nodes,
    residualise,
)

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "covariance_network"
TITLE = "Structural covariance"

LEAST_KNOWN = 0.8
"""A node measured in a smaller share of the scans is left out, rather than the persons who lack it."""

LEAST_NODES = 3
"""Fewer make no network."""

LEAST_FREEDOM = 5
"""Degrees of freedom (persons less three less covariates) below which a group's correlations say nothing."""

FEW_PERSONS = 30
"""Persons of a group below which networks are not reliable (Carmon et al. 2019, arXiv:1911.12755)."""

LARGEST_WORK = 100_000_000
"""Persons and ten times edges, times permutations: above it fewer permutations are drawn, to end within seconds."""

FEWEST_PERMUTATIONS = 1000
"""Never fewer than this for the sake of speed: p of 0.05 is then known to within 0.014."""

TABLES = (EDGES, NODES, TESTS)

Floats = NDArray[np.float64]


def analyse(study: Study, plan: Plan) -> Analysis:
    """Find the networks of all groups and compare them with that of the reference."""
    if study.volumes_mm3.empty:
        raise CannotAnalyseError("no scan has volumes that may be used")
    scans = first_scans(study, study.volumes_mm3.index)
    data = _gather(study, plan, scans)
    reference, *others = data.groups
    permutations = _permutations(data, plan)
    pairs = {group: _compare(data, reference, group, permutations, plan) for group in others}
    omnibus = None
    if len(data.residuals) > 2:
        rng = np.random.default_rng(plan.statistics.seed)
        omnibus = compare_all(list(data.residuals.values()), data.covariates, permutations=permutations, rng=rng)
    level = plan.statistics.level
    edges = with_q([row for group in others or [reference] for row in edge_rows(data, group, pairs.get(group), level)])
    nodes = with_q([row for group in others for row in node_rows(data, group, pairs[group], level)])
    tests = with_q(
        [row for group in others for row in statistic_rows(data, group, pairs[group], level)]
        + omnibus_rows(data, omnibus, level)
    )
    sidecar = {
        "Model": f"volume ~ group + {scans.covariates.text()}, residuals of all persons together",
        "CovariateColumns": data.covariates,
        "EdgeTest": "t of the partial correlation with n - 2 - covariates degrees of freedom",
        "DifferenceTest": "Fisher's z with variance 1 / (n - 3 - covariates) of each group",
        "Permutations": permutations,
        "Seed": plan.statistics.seed,
        "Families": "edges of one comparison; nodes of one comparison; one statistic over comparisons",
        "ConfidenceLevel": level,
    }
    return Analysis(
        name=NAME,
        title=TITLE,
        question=(
            "Which regions have volumes that go together across persons, and do patients differ in that from the "
            "reference group?"
            if others
            else "Which regions have volumes that go together across persons?"
        ),
        methods=_methods(data, scans, permutations, bool(others), threshold(level)),
        findings=_findings(data, edges, tests, level),
        limits=data.limits,
        tables=(
            ResultTable(EDGES, edges, sidecar),
            ResultTable(NODES, nodes, sidecar),
            ResultTable(TESTS, tests, sidecar),
        ),
        figures=_figures(data, edges, tests, level),
    )


def _gather(study: Study, plan: Plan, scans: Scans) -> Networks:
    limits = list(scans.limits)
    table = scans.covariates.complete(scans.table)
    wanted = study.volumes_mm3.reindex(columns=list(plan.regions.network)).loc[table["row"].to_numpy()]
    known = wanted.notna().mean()
    sizes = table["group"].value_counts()
    large = [group for group in scans.groups if sizes.get(group, 0) > LEAST_FREEDOM]
    varies = wanted.groupby(table["group"].to_numpy()).nunique().reindex(large).min() > 1
    nodes = [
        name for name in plan.regions.network if float(known[name]) >= LEAST_KNOWN and len(large) and bool(varies[name])
    ]
    skipped = [region_label(name) for name in plan.regions.network if name not in nodes]
    if skipped:
        limits.append(f"Not measured in enough scans, and left out of the network: {say_list(skipped)}.")
    if len(nodes) < LEAST_NODES:
        raise CannotAnalyseError(f"a network needs {LEAST_NODES} regions, and there are volumes of {len(nodes)}")
    complete = wanted[nodes].notna().all(axis=1).to_numpy()
    if not complete.all():
        limits.append(f"{say_count(int((~complete).sum()), 'person')} without all regions left out.")
    table, values = table[complete], wanted.loc[complete, nodes].to_numpy(dtype=float)
    counts = {group: int((table["group"] == group).sum()) for group in scans.groups}
    # Groups that are left out may take a site with them; the columns are those of the persons who stay.
    width = len(covariate_columns(table, scans.covariates.names, group_columns(table))[0])
    usable = [group for group in scans.groups if counts[group] - 3 - width >= LEAST_FREEDOM]
    if not usable:
        raise CannotAnalyseError(
            f"no group has the {LEAST_FREEDOM + 3 + width} persons with all regions that a network needs"
        )
    kept = table["group"].isin(usable).to_numpy()
    table, values = table[kept], values[kept]
    base = group_columns(table)
    columns, left_out = covariate_columns(table, scans.covariates.names, base)
    if left_out:
        limits.append(f"In the network, {say_not_adjusted(left_out)}.")
    left = residualise(values, {**base, **columns})
    residuals = {group: left[(table["group"] == group).to_numpy()] for group in usable}
    warnings = dict.fromkeys(scans.groups, "")
    for group in scans.groups:
        said = f"{say_count(counts[group], 'person')} of {group}"
        if group not in usable:
            warnings[group] = f"{said}: too few for a network"
            limits.append(f"{said} are too few for a network.")
        elif counts[group] < FEW_PERSONS:
            warnings[group] = f"{said}: networks of fewer than {FEW_PERSONS} are not reliable"
    few = [f"{group} (n = {counts[group]})" for group in usable if counts[group] < FEW_PERSONS]
    if few:
        limits.append(f"Networks of fewer than {FEW_PERSONS} persons are not reliable: {say_list(few)}.")
    if table["site"].nunique() > 1:
        freed = "means of the sites were" if "site" in scans.covariates.names else "nothing was"
        limits.append(
            f"Scans of {table['site'].nunique()} sites are pooled, which by itself can make or hide covariance; "
            f"{freed} taken out for it."
        )
    limits.append("Volumes that go together across persons need not belong to regions that are connected by fibres.")
    if len(scans.groups) > 1:
        limits.append(
            "An edge that is found in one group only is not a difference between groups: that two tests end "
            "differently says little, and groups of different size find different numbers of edges."
        )
    return Networks(
        tuple(str(name) for name in nodes), scans.groups, counts, residuals, len(columns), warnings, tuple(limits)
    )


def _permutations(data: Networks, plan: Plan) -> int:
    persons = sum(len(values) for values in data.residuals.values())
    work = persons + 10 * len(edge_nodes(len(data.nodes))[0])
    wanted = plan.statistics.permutations
    return min(wanted, max(FEWEST_PERMUTATIONS, LARGEST_WORK // work))


def _compare(data: Networks, reference: str, group: str, permutations: int, plan: Plan) -> PairTest | None:
    if reference not in data.residuals or group not in data.residuals:
        return None
    rng = np.random.default_rng(plan.statistics.seed)
    first, second = data.residuals[reference], data.residuals[group]
    rate = threshold(plan.statistics.level)
    return compare_pair(first, second, data.covariates, DENSITIES, permutations=permutations, rng=rng, rate=rate)


def _methods(data: Networks, scans: Scans, permutations: int, compared: bool, alpha: float) -> tuple[str, ...]:
    adjusted = [*(("group",) if compared else ()), *(LABELS[name] for name in scans.covariates.names)]
    sentences = [
        f"Volumes of {len(data.nodes)} regions at the first usable scan were adjusted for "
        f"{say_list(adjusted) or 'nothing'} in one linear model of all persons; the residuals of each two regions "
        f"were correlated{' within each group' if compared else ''}.",
        f"An edge counts as found if its correlation has q < {alpha:g} (Benjamini-Hochberg over the "
        f"{len(edge_nodes(len(data.nodes))[0])} edges of the group; n - 2 - {data.covariates} degrees of freedom).",
    ]
    if compared:
        sentences += [
            f"Edges found in a group are called shared with, additional to, or missing against {data.groups[0]}; the "
            f"counts stand beside those that {permutations} random allotments of the persons to the two groups give.",
            "Differences were tested by the same permutations: each edge by the largest difference of Fisher's z over "
            "all edges, all edges by its sum, nodes by their strength (the sum of |r|) against the largest over all "
            "nodes, and additional less missing edges by its distance from the mean of the permutations.",
            "Beside them stand p values of each edge by Fisher's z with q over the edges, and comparisons at equal "
            "density, at which both groups have as many edges and additional and missing edges are equally many.",
        ]
    return tuple(sentences)


def _findings(
    data: Networks, edges: Sequence[Mapping[str, object]], tests: Sequence[Mapping[str, object]], level: float
) -> tuple[str, ...]:
    reference, *others = data.groups
    total = len(edge_nodes(len(data.nodes))[0])
    alpha = threshold(level)
    if not others:
        found = [row for row in edges if as_float(row, "q_group") < alpha]
        best = max(edges, key=lambda row: abs(as_float(row, "r_group")))
        return (
            f"{len(found)} of {total} edges were found (q < {alpha:g}, n = {data.sizes[reference]}); the "
            f"strongest is {_edge_label(best)} (r = {as_float(best, 'r_group'):.2f}, "
            f"{say_chance(best, 'q_group', 'q')}).",
        )
    sentences = []
    symbol = "q by Fisher's z"
    for group in others[:2] if len(others) > 2 else others:
        of = {str(row["statistic"]): row for row in tests if row.get("group") == group and row.get("density") is None}
        if not has_number(of["asymmetry"]):
            sentences.append(f"{group} could not be compared with {reference}: {of['asymmetry']['warning']}.")
            continue
        own = [row for row in edges if row["group"] == group]
        best = min(own, key=lambda row: (as_float(row, "p_fwer"), as_float(row, "p")))
        stand = sum(as_float(row, "p_fwer") < alpha for row in own)
        sentences += [
            f"Between {group} (n = {data.sizes[group]}) and {reference} (n = {data.sizes[reference]}) {stand} of "
            f"{total} edges differed after correction for all edges (p < {alpha:g}); over all edges together "
            f"{say_chance(of['sum_dz'])}.",
            f"The largest difference is {_edge_label(best)} (r = {as_float(best, 'r_group'):.2f} and "
            f"{as_float(best, 'r_reference'):.2f}, difference of z {say_cell(best, 'dz', 2)}, "
            f"{interval_of(best, level, digits=2)}, corrected {say_chance(best, 'p_fwer')}, "
            f"{say_chance(best, 'q_bh', symbol)}).",
            f"{group} had {_count(of[ADDITIONAL])} additional and {_count(of[MISSING])} missing edges against "
            f"{reference}, where chance alone gives {_expected(of[ADDITIONAL], level)} and "
            f"{_expected(of[MISSING], level)}; additional less missing edges: {_count(of['asymmetry'])}, permutation "
            f"{say_chances(of['asymmetry'])} over comparisons.",
        ]
    spread = [row for row in tests if row["statistic"] in ("largest_spread", "sum_spread") and has_number(row)]
    if spread:
        sentences.append(
            f"All {len(data.residuals)} groups together: largest difference of an edge {say_chance(spread[0])}, "
            f"all edges {say_chance(spread[1])} (permutation, n = {spread[0]['n_sub']})."
        )
    if len(others) > 2:
        lowest = [row for row in tests if row["statistic"] == "largest_dz" and as_float(row, "q_bh") < alpha]
        sentences.append(
            f"Of the {len(others)} groups, {len(lowest)} had an edge that differs from {reference} (q < "
            f"{alpha:g} over comparisons of the largest difference)."
        )
    return tuple(sentences)


def _count(row: Mapping[str, object]) -> str:
    return f"{as_float(row, 'observed'):.0f}"


def _expected(row: Mapping[str, object], level: float) -> str:
    """Say what chance alone gives, ``19.1 (95 % 5 to 44)``."""
    low, high = as_float(row, "null_lo"), as_float(row, "null_hi")
    return f"{as_float(row, 'expected'):.1f} ({100 * level:.0f} % {low:.0f} to {high:.0f})"


def _edge_label(row: Mapping[str, object]) -> str:
    return f"{region_label(str(row['node_1']))} with {region_label(str(row['node_2']))}"


def _figures(
    data: Networks, edges: Sequence[Mapping[str, object]], tests: Sequence[Mapping[str, object]], level: float
) -> tuple[Figure, ...]:
    reference, *others = data.groups
    of = {group: [row for row in edges if row["group"] == group] for group in others or [reference]}
    circles = [_circle(data, group, rows, tests, level) for group, rows in of.items() if group in data.residuals]
    compared = [f"{group} (n = {data.sizes[group]})" for group in others if group in data.residuals]
    against = f" against {reference} (n = {data.sizes[reference]})"
    alpha = threshold(level)
    caption = (
        f"Edges found (q < {alpha:g}) in {say_list(compared)}{against}. Shared: in both; additional: not in "
        f"{reference}; missing: in {reference} only; in brackets what chance alone gives. The kinds describe and do "
        "not test a difference."
        if compared
        else f"Edges found (q < {alpha:g}) in {reference} (n = {data.sizes[reference]})."
    )
    note = "Additional or missing is a description: see the permutation tests" if compared else f"Found: q < {alpha:g}"
    circle = Figure(
        "covariance_circles",
        caption,
        "Regions on a circle, left and right mirrored, and lines between those whose volumes go together.",
        partial(draw_circles, data.nodes, tuple(circles), note),
    )
    matrices = [_matrix_panel(data, group, of.get(group, []), alpha) for group in data.residuals]
    shown = say_list([f"{group} (n = {data.sizes[group]})" for group in data.residuals])
    differences = f"; above the diagonal the difference from {reference}, dots: corrected p < {alpha:g}"
    matrix = Figure(
        "covariance_matrices",
        f"Partial correlations between volumes in {shown}{differences if compared else ''}.",
        "A square for each group whose cells are coloured by the correlation of two regions.",
        partial(
            draw_matrices,
            data.nodes,
            tuple(matrices),
            f"Below the diagonal: r{differences if compared else ''}",
        ),
    )
    return (*((circle,) if circles else ()), *((matrix,) if matrices else ()))


def _circle(
    data: Networks,
    group: str,
    rows: Sequence[Mapping[str, object]],
    tests: Sequence[Mapping[str, object]],
    level: float,
) -> CirclePanel:
    ends = list(zip(*(part.tolist() for part in edge_nodes(len(data.nodes))), strict=True))
    reference = data.groups[0]
    title = f"{group} (n = {data.sizes[group]})"
    if "class" not in rows[0]:
        found = tuple(pair for pair, row in zip(ends, rows, strict=True) if as_float(row, "q_group") < threshold(level))
        return CirclePanel(title, (Line(f"found: {len(found)} of {len(rows)}", MISSING_COLOR, False, found),))
    lines = []
    for kind, color in ((SHARED, SHARED_COLOR), (MISSING, MISSING_COLOR), (ADDITIONAL, ADDITIONAL_COLOR)):
        chosen = tuple(pair for pair, row in zip(ends, rows, strict=True) if row["class"] == kind)
        test = next((row for row in tests if row.get("group") == group and row["statistic"] == kind), {})
        chance = f", chance {_expected(test, level)}" if test.get("expected") is not None else ""
        lines.append(Line(f"{kind}: {len(chosen)}{chance}", color, kind == MISSING, chosen))
    return CirclePanel(f"{title} against {reference} (n = {data.sizes[reference]})", tuple(lines))


def _matrix_panel(data: Networks, group: str, rows: Sequence[Mapping[str, object]], alpha: float) -> MatrixPanel:
    nodes = len(data.nodes)
    values = matrix_of(correlate(data.residuals[group]), nodes)
    np.fill_diagonal(values, np.nan)
    marked = np.zeros((nodes, nodes), dtype=bool)
    reference = data.groups[0]
    if group != reference and reference in data.residuals:
        above = np.triu_indices(nodes, 1)
        values[above] -= correlate(data.residuals[reference])
        marked[above] = [as_float(row, "p_fwer") < alpha for row in rows]
        return MatrixPanel(f"{group} (n = {data.sizes[group]})\nabove: less {reference}", values, marked)
    return MatrixPanel(f"{group} (n = {data.sizes[group]})", values, marked)
