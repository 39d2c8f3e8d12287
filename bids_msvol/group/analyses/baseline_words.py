# SPDX-License-Identifier: Apache-2.0
"""What is said of the groups at the first session: methods, findings and limits in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bids_msvol.group.analyses.baseline_tests import ALL_GROUPS
from bids_msvol.group.analyses.number_cells import as_float, is_finite
from bids_msvol.group.wording import say_count, say_interval, say_list, say_number, say_p

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.analyses.baseline_variables import Baseline
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

IMBALANCE = 0.1
"""Standardized difference above which groups are usually called out of balance (Austin 2009, Statistics in Medicine
28:3083-3107)."""

MOST_FINDINGS = 4
"""Variables that sentences name; all are in the table."""


def say_methods(baseline: Baseline, groups: Sequence[str], plan: Plan) -> tuple[str, ...]:
    """Say how the groups were described and compared."""
    texts = ["The first session of each person was described by mean, SD, median and quartiles, or number and share."]
    if len(groups) > 1:
        student = plan.statistics.student
        of_means = "Student's t test" if student else "Welch's t test"
        of_all = "analysis of variance" if student else "Welch's analysis of variance"
        several = len(groups) > 2
        texts.append(
            "The test was chosen by the kind of variable, not by a test of normality: "
            + (f"{of_all} for means, Kruskal-Wallis test for EDSS, counts and what has a long tail, permutation "
               f"test of chi-square for shares; then each group against {groups[0]} by " if several else "")
            + f"{of_means} for means, Mann-Whitney test with Hodges-Lehmann shift for EDSS, counts and what has a long "
            "tail, Fisher's exact test for shares."
        )  # fmt: skip
        texts.append(
            "Effect sizes are Hedges g, the rank-biserial correlation (interval of DeLong) and the odds ratio; "
            "balance is shown by standardized differences. Other tests are in the table for comparison with older "
            "papers. q values are those of Benjamini and Hochberg over the primary tests."
        )
    return (*texts, *baseline.notes)


def say_findings(
    tests: Sequence[dict[str, object]], known: pd.DataFrame, groups: Sequence[str], level: float
) -> tuple[str, ...]:
    """Say who was studied, and which variables differ."""
    sizes = say_list([f"{int((known['group'] == group).sum())} in {group}" for group in groups])
    women, sexes = int((known["sex"] == "F").sum()), int(known["sex"].notna().sum())
    people = say_count(len(known), "person")
    texts = [f"{people} were described" + (f" ({sizes})." if len(groups) > 1 else ".")]
    if sexes:
        texts[0] = texts[0].removesuffix(".") + f"; {women} of {sexes} were women ({100 * women / sexes:.0f} %)."
    wanted = ALL_GROUPS if len(groups) > 2 else None
    done = [
        row
        for row in tests
        if row["primary"] == "yes" and is_finite(row.get("p")) and wanted in (None, row["comparison"])
    ]
    if not done:
        return tuple(texts)
    below = 1.0 - level
    order = sorted(done, key=lambda row: as_float(row, "p"))
    stand = [row for row in order if as_float(row, "q_bh") < below]
    only = [row for row in order if row not in stand and as_float(row, "p") < below]
    texts.append(
        f"Of {say_count(len(done), 'variable')} compared{' between all groups' if wanted else ''}, {len(stand)} "
        f"differed with q below {below:g}, {len(only)} more with p below {below:g} without correction (exploratory)."
    )
    texts += [_say(row, level) for row in (*stand, *only)[:MOST_FINDINGS]]
    return tuple(texts)


def _say(row: Mapping[str, object], level: float) -> str:
    """Return the result of one test as a sentence."""
    test = f"{row['test']}, {say_p(as_float(row, 'p'))}, {say_p(as_float(row, 'q_bh'), 'q')}, n = {row['n_obs']}"
    effect = f"{row['effect_measure']} {say_number(as_float(row, 'effect'))}" if row.get("effect_measure") else ""
    if not is_finite(row.get("estimate")):
        return f"{row['label']}, {row['comparison']}: {effect + '; ' if effect else ''}{test}."
    effect += f", {say_interval(as_float(row, 'effect_lo'), as_float(row, 'effect_hi'), level)}"
    value, low, high = (as_float(row, name) for name in ("estimate", "ci_lo", "ci_hi"))
    interval = say_interval(low, high, level) if math.isfinite(low) else "interval not bounded"
    unit = f" {row['unit']}" if row["unit"] else ""
    means = ""
    if is_finite(row.get("mean_group")):
        both = (say_number(as_float(row, name)) for name in ("mean_group", "mean_reference"))
        means = f"mean {' against '.join(both)}{unit}; "
    of_ranks = str(row["measure"]).startswith("Hodges")
    if row["effect_measure"] == "odds ratio":
        shown = f"difference in per cent of {str(row['measure']).split()[-1]} {say_number(value)}, {interval}"
    else:
        shown = f"{'shift' if of_ranks else 'difference'} {say_number(value)}{unit}, {interval}"
    # Where most values are the same the shift is 0, and the effect size says more.
    parts = (effect, shown) if of_ranks else (shown, effect)
    return f"{row['label']}, {row['comparison']}: {means}{'; '.join(parts)}; {test}."


def say_limits(
    study: Study, baseline: Baseline, tests: Sequence[dict[str, object]], groups: Sequence[str]
) -> tuple[str, ...]:
    """Say what the comparison cannot carry, and what is missing."""
    texts = []
    if len(groups) > 1:
        texts.append(
            "The groups were not made by chance. A p value at the first session says how surprising a difference is, "
            "not whether it matters: with few persons a large imbalance goes unnoticed, with many a trifling one does "
            "not. Judge balance by the standardized differences, and adjust for what bears on the outcome."
        )
        large = {
            str(row["label"]) for row in tests if is_finite(row.get("smd")) and abs(as_float(row, "smd")) > IMBALANCE
        }
        if large:
            count = len({str(row["label"]) for row in tests if is_finite(row.get("smd"))})
            texts.append(f"The standardized difference exceeds {IMBALANCE:g} in {len(large)} of {count} variables.")
    untested = {str(row["label"]) for row in tests if row["primary"] == "yes" and not is_finite(row.get("p"))}
    if untested:
        texts.append(f"Not tested in every comparison, for the reason in the table: {say_list(sorted(untested))}.")
    if baseline.absent:
        texts.append(f"Not recorded: {say_list([variable.label for variable in baseline.absent])}.")
    unknown = int(study.persons["group"].isna().sum())
    if unknown:
        texts.append(f"{say_count(unknown, 'person')} whose group is not known were left out.")
    undated = int((~study.persons.index.isin(study.sessions.loc[study.sessions["years"] >= 0, "participant_id"])).sum())
    if undated:
        texts.append(f"{say_count(undated, 'person')} had no dated session: what depends on it is missing.")
    return tuple(texts)
