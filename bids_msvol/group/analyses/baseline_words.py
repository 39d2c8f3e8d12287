# SPDX-License-Identifier: Apache-2.0
"""What baseline_groups says of the groups at the first session: methods, findings and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scipy import special

from bids_msvol.group.analyses.baseline_comparison import ALL_GROUPS, balance_error
from bids_msvol.group.cells import as_count, as_float, has_number, interval_of, say_cell, say_chances
from bids_msvol.group.people import say_unknown_group, say_unscanned
from bids_msvol.group.wording import say_count, say_list, threshold

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.analyses.baseline_variables import Baseline
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

IMBALANCE = 0.25
"""Standardized difference above which adjustment does not mend a lack of balance (Rubin 2001, Health Services and
Outcomes Research Methodology 2:169-188). The 0.1 that is often quoted is for groups of thousands: between groups of
thirty most differences exceed it by chance."""

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
            "Effect sizes are Hedges g, the rank-biserial correlation (interval of DeLong) and the conditional odds "
            "ratio (interval by inversion of Fisher's test), between all groups eta squared, epsilon squared and "
            "Cramer's V; balance is shown by standardized differences with confidence intervals. What healthy controls "
            "do not have, such as lesions and EDSS, is compared between patients only. Other tests are in the table "
            "for comparison with older papers. q values are those of Benjamini and Hochberg over the primary tests."
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
    done = [row for row in tests if row["primary"] == "yes" and has_number(row) and wanted in (None, row["comparison"])]
    if not done:
        return tuple(texts)
    below = threshold(level)
    order = sorted(done, key=lambda row: as_float(row, "p"))
    stand = [row for row in order if as_float(row, "q_bh") < below]
    only = [row for row in order if row not in stand and as_float(row, "p") < below]
    texts.append(
        f"Of {say_count(len(done), 'variable')} compared{' between all groups' if wanted else ''}, {len(stand)} "
        f"differed with q below {below:g}, {len(only)} more with p below {below:g} without correction (exploratory)."
    )
    texts += [_say(row, level) for row in (*stand, *only)[:MOST_FINDINGS]]
    return tuple(texts)


def _by_chance(rows: Sequence[Mapping[str, object]]) -> float:
    """Return in how many rows the standardized difference would exceed the limit between groups that do not differ."""
    errors = [balance_error(as_count(row, "n_reference"), as_count(row, "n_group")) for row in rows]
    return sum(2.0 * float(special.ndtr(-IMBALANCE / error)) for error in errors if error > 0.0)


def _say(row: Mapping[str, object], level: float) -> str:
    """Return the result of one test as a sentence."""
    test = f"{row['test']}, {say_chances(row)}, n = {row['n_obs']}"
    effect = f"{row['effect_measure']} {say_cell(row, 'effect')}" if row.get("effect_measure") else ""
    if not has_number(row, "estimate"):
        return f"{row['label']}, {row['comparison']}: {effect + '; ' if effect else ''}{test}."
    if math.isinf(as_float(row, "effect_hi")):
        # An odds ratio where nobody, or everybody, of a group has it.
        value = "infinite" if math.isinf(as_float(row, "effect")) else say_cell(row, "effect")
        effect = f"odds ratio {value}, {100 * level:.0f} % CI from {say_cell(row, 'effect_lo')}"
    else:
        effect += f", {interval_of(row, level, 'effect_lo', 'effect_hi')}"
    value = say_cell(row, "estimate")
    interval = interval_of(row, level) if has_number(row, "ci_lo") else "interval not bounded"
    unit = f" {row['unit']}" if row["unit"] else ""
    means = ""
    if has_number(row, "mean_group"):
        both = (say_cell(row, name) for name in ("mean_group", "mean_reference"))
        means = f"mean {' against '.join(both)}{unit}; "
    of_ranks = str(row["measure"]).startswith("Hodges")
    if row["effect_measure"] == "odds ratio":
        shown = f"difference in per cent of {str(row['measure']).split()[-1]} {value}, {interval}"
    else:
        shown = f"{'shift' if of_ranks else 'difference'} {value}{unit}, {interval}"
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
        compared = [row for row in tests if row["primary"] == "yes" and has_number(row, "smd")]
        if compared:
            large = sum(abs(as_float(row, "smd")) > IMBALANCE for row in compared)
            what = say_count(len(compared), "comparison")
            texts.append(
                f"The standardized difference exceeds {IMBALANCE:g} in {large} of {what} of a variable between two "
                f"groups; in groups of this size chance alone would give {_by_chance(compared):.0f}."
            )
    untested = {str(row["label"]) for row in tests if row["primary"] == "yes" and not has_number(row)}
    if untested:
        texts.append(f"Not tested in every comparison, for the reason in the table: {say_list(sorted(untested))}.")
    if baseline.absent:
        texts.append(f"Not recorded: {say_list([variable.label for variable in baseline.absent])}.")
    texts += say_unknown_group(study.persons["group"])
    texts += say_unscanned(study, study.persons.index[study.persons["group"].notna()])
    undated = int((~study.persons.index.isin(study.sessions.loc[study.sessions["years"] >= 0, "participant_id"])).sum())
    if undated:
        texts.append(f"{say_count(undated, 'person')} had no dated session: what depends on it is missing.")
    return tuple(texts)
