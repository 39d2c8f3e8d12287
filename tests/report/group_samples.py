# SPDX-License-Identifier: Apache-2.0
"""Made-up results of the group level, for tests of what is written and reported."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.figures.drawing import footer, group_colors, group_markers, new_figure
from bids_msvol.group.regions import region_label
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    GROUP,
    INTERVAL,
    NOTES,
    REGION,
    Analysis,
    Figure,
    Q,
    ResultTable,
    number,
    p_column,
    with_q,
)  # fmt: skip
from bids_msvol.group.results import GroupResults, NotDone
from bids_msvol.group.study import FlowStep
from bids_msvol.structures import STRUCTURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

REGIONS = ("WholeBrain", "Cortex", "DeepGray", "Thalamus", "Caudate", "Hippocampus", "LateralVentricle")

SLOPES = Table(
    "Change of volume for each new lesion",
    "lme_newT2.tsv",
    "One row for each region and group.",
    (
        REGION, GROUP, *COUNTS, number("beta", "Change for each new lesion.", "percent"), number("se", "Its error."),
        *INTERVAL, number("df", "Degrees of freedom."), p_column(), Q,
        p_column("p_interaction", "Whether groups differ."), p_column("q_interaction", "The same, corrected."),
        Column("singular", "Whether the variance of people is 0.", levels={"yes": "It is.", "no": "It is not."}),
        FAMILY, *NOTES,
    ),
)  # fmt: skip
PEOPLE = Table(
    "The groups at the first scan",
    "table1.tsv",
    "One row for each characteristic and group.",
    (Column("characteristic", "What is compared."), GROUP, COUNTS[1], Column("value", "Mean (SD), or number (%).")),
)
EDGES = Table(
    "Connections between structures",
    "scn_edges.tsv",
    "One row for each two structures.",
    (
        Column("roi_a", "One structure."), Column("roi_b", "The other."), number("r", "Partial correlation."),
        *INTERVAL, p_column(), Q, FAMILY, *NOTES,
    ),
)  # fmt: skip


def make_results(
    groups: Mapping[str, tuple[int, int]] | None = None, *, exclude_if: tuple[str, ...] = (), n_points: int = 60
) -> GroupResults:
    """Return the results of three analyses.

    Parameters
    ----------
    groups
        Persons and scans by group.
    exclude_if
        Conditions; with any, each analysis is there twice.
    n_points
        Points of a group in the scatter figure.
    """
    counts = groups or {"cladribine": (33, 92), "alemtuzumab": (19, 55)}
    analyses = (_people(counts), _slopes(counts, n_points), _edges())
    persons, scans = (sum(values) for values in zip(*counts.values(), strict=True))
    return GroupResults(
        dataset_name="Made-up cohort",
        version="0.0.1",
        analyses=analyses,
        without_flagged=(_people(counts), _slopes(counts, n_points, shift=0.004)) if exclude_if else (),
        not_done=(NotDone("cord_levels", "Area of the cord", "no scan has areas of the cord"),),
        flow=(
            FlowStep("with any session", persons + 3, scans + 9),
            FlowStep("failed quality", 1, 4),
            FlowStep("scanned less than 56 days after steroids", 1, 5),
            FlowStep("remaining", persons + 1, scans),
        ),
        groups=counts,
        notes=("Lesions were counted in the clinic.", "Change is the difference of the volumes of two scans."),
        clinical_findings=("sub-007: a relapse lies after the last visit.", "sub-011: EDSS 0.5 does not exist."),
        settings={"analyses": ("baseline_groups", "lesions_yearly"), "statistics.level": 0.95, "statistics.seed": 1},
        definition="An increase of the EDSS by 1.0 (1.5 from 0; 0.5 from above 5.0), confirmed after 168 days.",
        exclude_if=exclude_if,
    )


def _people(counts: Mapping[str, tuple[int, int]]) -> Analysis:
    rows = tuple(
        {"characteristic": name, "group": group, "n_sub": persons, "value": value}
        for name, value in (("Age, years", "36.2 (8.9)"), ("Women", "24 (73 %)"), ("EDSS", "3.0 [2.0 to 4.0]"))
        for group, (persons, _) in counts.items()
    )
    return Analysis(
        name="baseline_groups",
        title="Who was in the groups",
        question="Did the groups differ before treatment?",
        methods=("Age was compared with Welch's t test.",),
        findings=("Age did not differ between the groups by more than chance (0.4 years, 95 % CI -4.1 to 4.9).",),
        limits=("Nobody was randomised.",),
        tables=(ResultTable(PEOPLE, rows, {"Tests": "Welch's t"}),),
    )


def _slopes(counts: Mapping[str, tuple[int, int]], n_points: int, shift: float = 0.0) -> Analysis:
    rng = np.random.default_rng(3)
    rows: list[dict[str, Any]] = []
    for region, group in product(REGIONS, counts):
        beta, se = float(rng.normal(-0.006 + shift, 0.006)), 0.004
        rows.append(
            {
                "roi": region, "group": group, "n_obs": counts[group][1], "n_sub": counts[group][0], "beta": beta,
                "se": se, "ci_lo": beta - 1.99 * se, "ci_hi": beta + 1.99 * se, "df": 91.0,
                "p": float(np.exp(-abs(beta) / se * 2.0)), "p_interaction": 0.04 + 0.1 * REGIONS.index(region),
                "q_interaction": 0.4, "singular": "yes", "family": f"slopes in {group}",
                "assumptions": "Residuals: skewness 0.3, no point decides.", "warning": "",
            }
        )  # fmt: skip
    rows[3] |= {"p": None, "beta": None, "ci_lo": None, "ci_hi": None, "warning": "All lesion counts are 0."}
    return Analysis(
        name="lesions_yearly",
        title="New lesions and loss of volume in the same year",
        question="Is more volume lost in years with more new lesions, and does that differ between treatments?",
        methods=(
            "Annual change was related to the number of new lesions with a mixed model (random intercept, REML).",
            "Degrees of freedom are Satterthwaite's; q values are those of Benjamini and Hochberg (1995).",
        ),
        findings=(
            "The thalamus lost 0.0099 points of % eTIV for each new lesion under the first treatment "
            "(95 % CI -0.0183 to -0.00149; p = 0.021, q = 0.14; 59 intervals of 33 persons).",
            "No slope differed between treatments after correction (exploratory: smallest p = 0.043, q = 0.16).",
        ),
        limits=("Most years have no new lesion, so that few persons decide the slopes.",),
        tables=(ResultTable(SLOPES, with_q(rows), {"Formula": "dV ~ x * group + (1 | person)", "Seed": np.int64(1)}),),
        figures=(
            Figure(
                "lesions_yearly_scatter",
                "Annual change of the thalamus by new lesions, with regression lines.",
                "Points fall slightly to the right in both groups.",
                partial(draw_scatter, tuple(counts), n_points),
            ),
            Figure(
                "lesions_yearly_forest",
                "Change for each new lesion, with 95 % confidence intervals.",
                "Most intervals include 0.",
                partial(draw_forest, tuple(counts), tuple(rows)),
            ),
        ),
    )


def _edges() -> Analysis:
    names = [one.name for one in STRUCTURES if one.name.startswith("Left-")][:11]
    rng = np.random.default_rng(4)
    rows = [
        {
            "roi_a": first, "roi_b": second, "r": (r := float(rng.uniform(0.0, 0.7))), "ci_lo": r - 0.25,
            "ci_hi": min(0.99, r + 0.25), "p": float(np.exp(-12.0 * r)), "family": "all connections",
        }
        for first, second in combinations(names, 2)
    ]  # fmt: skip
    return Analysis(
        name="covariance_network",
        title="Structural covariance",
        question="Which structures vary together from person to person?",
        methods=("Partial correlations were corrected for age, sex and intracranial volume.",),
        findings=("55 connections were tested.",),
        limits=(),
        tables=(ResultTable(EDGES, with_q(rows)),),
    )


def draw_scatter(groups: tuple[str, ...], n_points: int) -> MatplotlibFigure:
    """Draw a panel of points for each group."""
    figure, axes = new_figure(1, len(groups), sharey=True)
    rng = np.random.default_rng(5)
    for panel, group in zip(axes, groups, strict=True):
        lesions = rng.poisson(1.0, n_points)
        change = -0.01 * lesions + rng.normal(0.0, 0.03, n_points)
        color, marker = group_colors(groups)[group], group_markers(groups)[group]
        panel.plot(lesions, change, marker, color=color, markersize=4, alpha=0.7)
        panel.plot([0, lesions.max()], [0.0, -0.01 * lesions.max()], color=color)
        panel.set(title=f"{group} (n = {n_points})", xlabel="new T2 lesions")
    axes[0].set_ylabel("change, % of eTIV per year")
    footer(figure, "simple regression, not the mixed model")
    return figure


def draw_forest(groups: tuple[str, ...], rows: tuple[Mapping[str, Any], ...]) -> MatplotlibFigure:
    """Draw a forest of slopes."""
    figure, (panel,) = new_figure(panel_inches=(6.4, 3.4))
    for order, group in enumerate(groups):
        for row in rows:
            if row["group"] == group and row["beta"] is not None:
                place = REGIONS.index(row["roi"]) + 0.2 * order
                panel.plot([row["ci_lo"], row["ci_hi"]], [place, place], color=group_colors(groups)[group])
                panel.plot(row["beta"], place, group_markers(groups)[group], color=group_colors(groups)[group])
    panel.set_yticks(range(len(REGIONS)), [region_label(name) for name in REGIONS])
    panel.axvline(0.0, color="#6f6f6f", linewidth=0.8)
    panel.set(xlabel="change for each new lesion, % of eTIV")
    return figure
