# SPDX-License-Identifier: Apache-2.0
"""The tables of a paper on lesions and atrophy, computed again from a study made of its printed numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scipy import special

from benchmarks.claim import Findings, Options, Table, number, verdict
from bids_msvol.group.analyses import lesions_baseline, lesions_yearly
from bids_msvol.group.assemble import assemble
from bids_msvol.group.regions import region_label
from bids_msvol.group.result import Analysis
from tests.group import paper

DECIMALS = 5e-6
"""Slopes and p values are printed with five decimals."""

P_TOLERANCE = 0.01
"""Largest share by which the p values of Table 2 that the made-up study fixes may differ."""

ROUNDING = 0.005
"""R squared and R are printed with two decimals."""

Rows = Mapping[tuple[str, str], Mapping[str, Any]]


def run(options: Options) -> Findings:
    """Analyse the made-up study and put our numbers beside the printed ones."""
    study = assemble(paper.make_paper(), paper.PLAN)
    yearly = table_rows(lesions_yearly.analyse(study, paper.PLAN), "lme_newT2.tsv")
    spans = table_rows(lesions_baseline.analyse(study, paper.PLAN), "ols_baselineT2_3y.tsv")
    return Findings(
        claim="The tables of Pogoda-Wesołowska et al. 2025 (Frontiers in Neuroscience 19:1661539) on new lesions and "
        "atrophy under cladribine (CLAD) and alemtuzumab (ALEM), computed by the analyses `lesions_yearly` and "
        "`lesions_baseline` from a study that is made of the printed numbers: paper / ours.",
        data="33 and 19 made-up persons with the scans, years and lesions that the paper counts; volumes follow from "
        "its slopes and from the p values of CLAD (Table 2) and of both groups (Table 3). The other figures are free: "
        "they agree as far as the paper agrees with itself",
        tables=(
            Table(
                ("region", "CLAD slope", "p", "ALEM slope", "p", "interaction p", "q", "Welch p", "verdict"),
                tuple(_year_row(region, row, yearly) for region, row in paper.TABLE2.items()),
                "Table 2, yearly change on new T2 lesions (mixed model, 59 and 36 patient-years); the verdict is on "
                "the slopes to five decimals and on the p value of CLAD to 1 %",
            ),
            Table(
                ("region", "group", "slope", "p", "R2", "q", "verdict"),
                tuple(row for region in paper.TABLE3 for row in _span_rows(region, spans)),
                "Table 3, change over three years on new T2 lesions at the start (simple regression, 9 and 7 persons); "
                "the verdict is on the slope, and in the groups on p and R2, printed R2 of 0.01 taken as at most 0.01",
            ),
            Table(
                ("figure", "group", "n", "R printed", "R that p and n imply", "verdict"),
                tuple(_figure_row(row) for row in paper.FIGURES),
                "Figures: R, n and p of each panel against one another",
            ),
        ),
        notes=(
            "A miss in Table 3 is an R2 that contradicts the p value printed beside it: that of the caudate, where p "
            "and n give 0.07 and 0.01 (0.02 for all), and, in the last digit, of the amygdala. P values of all "
            "16 persons follow from the groups and are not judged.",
            "Figure 4 (whole brain) agrees with no row of Table 3, and Figure 5 (deep grey matter) with the row of the "
            "thalamus; the text of Figure 2 repeats that of Figure 1.",
            "No difference between the groups and no slope of Table 2 stands correction over the regions (q). With "
            "variances that differ between groups, as the figures imply for the thalamus, its difference is no longer "
            "below 0.05 (Welch).",
        ),
    )


def table_rows(analysis: Analysis, file_name: str) -> Rows:
    """Return the rows of a table, those of everybody, by region and group."""
    table = next(table for table in analysis.tables if table.table.file_name == file_name)
    return {(str(row["roi"]), str(row["group"])): row for row in table.rows if row.get("data", "all") == "all"}


def implied_r(p: float, count: int) -> float:
    """Return the size of the correlation that a p value and a number of observations imply."""
    t = float(special.stdtrit(count - 2, p / 2.0))
    return math.sqrt(t**2 / (t**2 + count - 2))


def _year_row(region: str, row: paper.YearRow, found: Rows) -> tuple[str, ...]:
    clad, alem = found[region, "CLAD"], found[region, "ALEM"]
    slopes = max(abs(clad["beta"] - row.clad), abs(alem["beta"] - row.alem))
    good = slopes < DECIMALS and abs(clad["p"] / row.p_clad - 1.0) < P_TOLERANCE
    return (
        region_label(region),
        _both(row.clad, clad["beta"]),
        _both(row.p_clad, clad["p"]),
        _both(row.alem, alem["beta"]),
        _both(row.p_alem, alem["p"]),
        _both(row.p_interaction, alem["p_interaction"]),
        number(alem["q_interaction"]),
        number(alem["p_welch"], 3),
        verdict(float(good), 1.0, "at least"),
    )


def _span_rows(region: str, found: Rows) -> list[tuple[str, ...]]:
    printed = paper.TABLE3[region]
    rows = []
    for group, (slope, p, share) in (("ALL", printed.all), ("CLAD", printed.clad), ("ALEM", printed.alem)):
        own = found[region, group]
        good = abs(own["beta"] - slope) < DECIMALS
        if group != "ALL":
            good &= abs(own["p"] - p) < DECIMALS and same_share(own["r2"], share)
        rows.append(
            (region_label(region), group, _both(slope, own["beta"]), _both(p, own["p"]),
             f"{share:.2f} / {own['r2']:.3f}", number(own["q_bh"], 3), verdict(float(good), 1.0, "at least"))
        )  # fmt: skip
    return rows


def same_share(found: float, printed: float) -> bool:
    """Tell whether a share of variance is what was printed: the paper prints 0.01 for all that is smaller."""
    return abs(found - printed) <= ROUNDING or (printed == 0.01 and found < printed)


def _figure_row(row: tuple[str, str, float, int, float]) -> tuple[str, ...]:
    figure, group, r, count, p = row
    implied = implied_r(p, count)
    off = abs(implied - abs(r))
    return figure, group, str(count), f"{r:.2f}", f"{implied:.4f}", verdict(off, ROUNDING + 1e-4, "at most")


def _both(printed: float, ours: float) -> str:
    return f"{printed:.5f} / {ours:.5f}"
