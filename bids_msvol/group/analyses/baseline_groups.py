# SPDX-License-Identifier: Apache-2.0
"""The groups at the first session: description, comparison, and what is missing."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.baseline_comparison import (
    ALL_GROUPS,
    Cells,
    compare_all,
    compare_pair,
    leave_untested,
)
from bids_msvol.group.analyses.baseline_missing import MISSING_DATA, count_missing
from bids_msvol.group.analyses.baseline_variables import (
    LABELS_OF_GROUPS,
    OF_DISEASE,
    Baseline,
    Variable,
    take_baseline,
)
from bids_msvol.group.analyses.baseline_words import (
    IMBALANCE,
    say_findings,
    say_limits,
    say_methods,
)
from bids_msvol.group.cells import as_count, as_float, has_number
from bids_msvol.group.figures.balance import Difference, draw_balance
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    GROUP,
    INTERVAL,
    NOTES,
    Analysis,
    CannotAnalyseError,
    Figure,
    Q,
    ResultTable,
    number,
    p_column,
    with_q,
)
from bids_msvol.stats.proportions import proportion

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "baseline_groups"
TITLE = "The groups at the first session"
EVERYBODY = "all"

PRIMARY_LEVELS = {
    "yes": "Chosen before the data were seen; its p value has a q value with those of all other primary tests.",
    "no": "For comparison with older papers, which chose otherwise.",
}

VARIABLE = (
    Column("variable", "Variable."),
    Column("label", "How a reader calls it."),
    Column("unit", "Its unit; n/a for none."),
)

TABLE1 = Table(
    "The groups at the first session",
    "table1.tsv",
    "One row for each variable (for text: each value) and group; 'all' is all groups together.",
    (
        *VARIABLE,
        Column("level", "Value that is counted, for text."),
        GROUP,
        Column("n", "Persons with a value.", "integer"),
        Column("missing", "Persons without.", "integer"),
        number("mean", "Mean."),
        number("sd", "Standard deviation."),
        number("median", "Median."),
        number("q1", "Lower quartile."),
        number("q3", "Upper quartile."),
        number("min", "Least value."),
        number("max", "Greatest value."),
        Column("count", "Persons with this value.", "integer"),
        number("percent", "Of those with any value.", "percent"),
        number("percent_lo", "Lower end of its confidence interval (Wilson).", "percent"),
        number("percent_hi", "Upper end.", "percent"),
    ),
)

TABLE1_TESTS = Table(
    "Differences between the groups at the first session",
    "table1_tests.tsv",
    "One row for each variable, comparison and test.",
    (
        *VARIABLE,
        Column("comparison", "Who is compared."),
        Column("group", "Group that is compared; n/a for all together."),
        Column("reference", "With whom."),
        Column("test", "Statistical test, two-sided."),
        Column("primary", "Whether it is the test chosen for this kind of variable.", levels=PRIMARY_LEVELS),
        *COUNTS,
        Column("n_reference", "Persons in the reference group.", "integer"),
        Column("n_group", "Persons in the other.", "integer"),
        number("mean_reference", "Mean in the reference group."),
        number("mean_group", "Mean in the other."),
        Column("measure", "What the estimate is; the group less the reference."),
        number("estimate", "Estimate, in the unit of the variable."),
        *INTERVAL,
        number("statistic", "t, U, H, F or chi-square."),
        number("df", "Degrees of freedom."),
        number("df_within", "Those below the line of an F test."),
        p_column(),
        Q,
        FAMILY,
        Column("effect_measure", "Kind of effect size."),
        number("effect", "Effect size."),
        number("effect_lo", "Lower end of its confidence interval."),
        number("effect_hi", "Upper end."),
        number("auc", "Chance that somebody of the group has a higher value than somebody of the reference."),
        number("smd", "Difference in units of the root mean square of the two standard deviations."),
        number("smd_lo", "Lower end of its confidence interval."),
        number("smd_hi", "Upper end."),
        *NOTES,
    ),
)

TABLES = (TABLE1, TABLE1_TESTS, MISSING_DATA)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Describe and compare the groups at the first session."""
    baseline = take_baseline(study)
    groups = study.groups()
    known = baseline.values[baseline.values["group"].notna()]
    if known.empty or not baseline.variables:
        raise CannotAnalyseError("nothing is known of the participants at their first session")
    tests = _tests(baseline, known, groups, plan)
    tables = [ResultTable(TABLE1, _describe(baseline, known, groups, plan.statistics.level))]
    figures: list[Figure] = []
    if len(groups) > 1:
        sidecar = {
            "Level": plan.statistics.level,
            "Permutations": plan.statistics.permutations,
            "Seed": plan.statistics.seed,
        }
        tables.append(ResultTable(TABLE1_TESTS, tests, sidecar))
        figures += _figure(tests, groups, plan.statistics.level)
    missing = count_missing(study)
    tables.append(missing)
    return Analysis(
        name=NAME,
        title=TITLE,
        question="Who was studied, and how do the groups differ before anything else is compared?"
        if len(groups) > 1
        else "Who was studied?",
        methods=say_methods(baseline, groups, plan),
        findings=say_findings(tests, known, groups, plan.statistics.level),
        limits=say_limits(study, baseline, tests, groups),
        tables=tuple(tables),
        figures=tuple(figures),
    )


def _describe(
    baseline: Baseline, known: pd.DataFrame, groups: Sequence[str], level: float
) -> tuple[dict[str, object], ...]:
    wanted = [(EVERYBODY, known)] if len(groups) > 1 else []
    wanted += [(group, known[known["group"] == group]) for group in groups]
    rows: list[dict[str, object]] = []
    for variable in baseline.variables:
        column = known[variable.name].dropna()
        levels = sorted({str(value) for value in column}) if variable.scale == "category" else [""]
        for value in levels:
            for group, people in wanted:
                values = people[variable.name].dropna()
                applies = people[~people["is_control"]] if variable.name in OF_DISEASE else people
                row: dict[str, object] = {
                    **_name(variable), "level": value, "group": group,
                    "n": len(values), "missing": len(applies) - len(values),
                }  # fmt: skip
                if variable.scale == "category":
                    count = int((values.astype(str) == value).sum())
                    part = proportion(count, len(values), level)
                    row |= {
                        "count": count, "percent": 100.0 * part.share,
                        "percent_lo": 100.0 * part.low, "percent_hi": 100.0 * part.high,
                    }  # fmt: skip
                elif len(values):
                    row |= _numbers(values.to_numpy(dtype=float))
                rows.append(row)
    return tuple(rows)


def _numbers(values: np.ndarray) -> dict[str, object]:
    q1, median, q3 = np.percentile(values, [25.0, 50.0, 75.0])
    return {
        "mean": float(values.mean()), "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "median": float(median), "q1": float(q1), "q3": float(q3),
        "min": float(values.min()), "max": float(values.max()),
    }  # fmt: skip


def _name(variable: Variable) -> dict[str, object]:
    return {"variable": variable.name, "label": variable.label, "unit": variable.unit}


def _tests(baseline: Baseline, known: pd.DataFrame, groups: Sequence[str], plan: Plan) -> tuple[dict[str, object], ...]:
    """Return the rows of the tests; each other group against the reference, and all groups where there are three."""
    rows: list[Cells] = []
    for variable in baseline.variables if len(groups) > 1 else ():
        is_label = variable.name in LABELS_OF_GROUPS
        among = known[~known["is_control"]] if is_label else known
        samples = {group: among.loc[among["group"] == group, variable.name].dropna() for group in groups}
        found = []
        if len(groups) > 2:
            found = compare_all(samples, variable, plan.statistics)
            found = leave_untested(found, samples) if is_label else found
        # Healthy controls have no EDSS: where the reference has no values, the next group that has some is it.
        reference = next((group for group in groups if len(samples[group])), groups[0])
        for group in groups:
            if group != reference:
                pair = {reference: samples[reference], group: samples[group]}
                cells = compare_pair(pair, variable, plan.statistics)
                found += leave_untested(cells, pair) if is_label else cells
        for row in found:
            kind = "all groups" if row["comparison"] == ALL_GROUPS else "pairs"
            which = "primary tests" if row["primary"] == "yes" else f"{row['test']} where not primary"
            rows.append({**_name(variable), **row, "family": f"first session, {kind}, {which}"})
    return with_q(rows)


def _figure(tests: Sequence[dict[str, object]], groups: Sequence[str], level: float) -> list[Figure]:
    """Return the standardized differences of every variable, each group against the reference."""
    reference = groups[0]
    points = [
        Difference(
            str(row["label"]) + (f" ({str(row['measure']).split()[-1]})" if row["test"] == "Fisher exact" else ""),
            str(row["group"]),
            as_float(row, "smd"),
            as_float(row, "smd_lo"),
            as_float(row, "smd_hi"),
            as_count(row, "n_obs"),
        )
        for row in tests
        if row["primary"] == "yes" and row.get("reference") == reference and has_number(row, "smd")
    ]
    if not points:
        return []
    most = max(points, key=lambda point: abs(point.smd))
    return [
        Figure(
            "baseline_balance",
            f"Standardized differences at the first session, each group less {reference}, with {100 * level:.0f} % "
            f"confidence intervals; dashed: {IMBALANCE} on either side, beyond which groups are out of balance if it "
            "is not chance. n: persons with a value in both groups.",
            f"One line for each variable; the farthest from zero is {most.label} in {most.group} ({most.smd:.2f}).",
            functools.partial(draw_balance, tuple(points), tuple(groups), IMBALANCE, level),
        )
    ]
