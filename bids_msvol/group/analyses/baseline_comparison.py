# SPDX-License-Identifier: Apache-2.0
"""One variable of baseline_groups compared: all tests that readers expect, one of them primary."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special, stats

from bids_msvol.stats.contingency import check_independence, exact_odds_ratio, odds_ratio
from bids_msvol.stats.means import analyse_variance, compare_means, hedges_g, standardized_difference
from bids_msvol.stats.proportions import compare_proportions
from bids_msvol.stats.rank import mann_whitney
from bids_msvol.stats.rank_effect import kruskal_wallis, rank_biserial_interval

if TYPE_CHECKING:
    from bids_msvol.group.analyses.baseline_variables import Variable
    from bids_msvol.group.plan import Statistics

WELCH, STUDENT, MANN_WHITNEY = "Welch t", "Student t", "Mann-Whitney"
WELCH_ANOVA, ANOVA, KRUSKAL = "Welch analysis of variance", "Analysis of variance", "Kruskal-Wallis"
FISHER, CHI_SQUARE, PERMUTED = "Fisher exact", "Chi-square", "Chi-square, permutation"

ALL_GROUPS = "all groups"
"""The comparison of three groups or more at once."""

FEW = 5
"""Fewer people than this in a group are too few to see whether a test's assumptions hold."""

MOST_FOR_SHAPIRO = 5000
"""Above this the p value of the test of Shapiro and Wilk is not known well."""

Cells = dict[str, object]
Samples = Mapping[str, "pd.Series[Any]"]


def compare_pair(samples: Samples, variable: Variable, statistics: Statistics) -> list[Cells]:
    """Return one row for each test of a second group against a first.

    Parameters
    ----------
    samples
        Known values of the two groups by name, each by ``participant_id``; the first is the reference.
    variable
        What it is.
    statistics
        Level of intervals, seed, and whether Student's test is primary.
    """
    reference, group = samples
    counts = [len(values) for values in samples.values()]
    row: Cells = {
        "comparison": f"{group} against {reference}", "group": group, "reference": reference,
        "n_obs": sum(counts), "n_sub": sum(counts), "n_reference": counts[0], "n_group": counts[1],
    }  # fmt: skip
    if variable.scale == "category":
        return _compare_categories(samples, variable, statistics, row)
    first, second = (values.to_numpy(dtype=float) for values in samples.values())
    for name, values in (("mean_reference", first), ("mean_group", second)):
        row[name] = float(values.mean()) if len(values) else None
    row |= _balance(first, second, statistics.level)
    of_means = STUDENT if statistics.student else WELCH
    primary = of_means if variable.scale == "mean" else MANN_WHITNEY
    tests: dict[str, Callable[[], Cells]] = {
        WELCH: lambda: _means(samples, False, statistics),
        STUDENT: lambda: _means(samples, True, statistics),
        MANN_WHITNEY: lambda: _ranks(first, second, statistics),
    }
    return [_run(row, name, name == primary, test, samples) for name, test in tests.items()]


def compare_all(samples: Samples, variable: Variable, statistics: Statistics) -> list[Cells]:
    """Return one row for each test of whether three or more groups are alike; arguments as for `compare_pair`.

    Groups in which nobody has a value, such as healthy controls where EDSS is compared, are left out with a warning.
    """
    empty = [name for name, values in samples.items() if not len(values)]
    if empty and len(samples) - len(empty) > 1:
        rows = compare_all({name: samples[name] for name in samples if name not in empty}, variable, statistics)
        note = f"without {', '.join(empty)}, where nobody has a value"
        return [{**row, "warning": "; ".join(text for text in (note, str(row["warning"])) if text)} for row in rows]
    counts = [len(values) for values in samples.values()]
    row: Cells = {"comparison": ALL_GROUPS, "n_obs": sum(counts), "n_sub": sum(counts)}
    if variable.scale == "category":
        return _compare_categories(samples, variable, statistics, row)
    values = [one.to_numpy(dtype=float) for one in samples.values()]
    primary = KRUSKAL if variable.scale == "rank" else ANOVA if statistics.student else WELCH_ANOVA
    tests: dict[str, Callable[[], Cells]] = {
        WELCH_ANOVA: lambda: _variance(values, False),
        ANOVA: lambda: _variance(values, True),
        KRUSKAL: lambda: _kruskal(values),
    }
    return [_run(row, name, name == primary, test, samples) for name, test in tests.items()]


def leave_untested(rows: Sequence[Cells], samples: Samples) -> list[Cells]:
    """Return the primary rows without their results, if the values follow from the groups or the groups from them.

    Else the rows are returned as they are. Then a test would tell nothing but how the groups were made.
    """
    values = {name: {str(value) for value in one} for name, one in samples.items() if len(one)}
    apart = sum(map(len, values.values())) == len(set().union(*values.values()))
    single = all(len(found) == 1 for found in values.values())
    same = len(set().union(*values.values())) < 2
    if len(values) < 2 or same or not (apart or single):
        return list(rows)
    kept = ("comparison", "group", "reference", "n_obs", "n_sub", "n_reference", "n_group", "test", "primary")
    note = "not tested: one follows from the other, by the way the groups were made"
    return [
        {**{name: row[name] for name in kept if name in row}, "warning": note}
        for row in rows
        if row["primary"] == "yes"
    ]


def _run(row: Cells, test: str, primary: bool, run: Callable[[], Cells], samples: Samples) -> Cells:
    """Return the row of a test; one that cannot be done says why."""
    result = {**row, "test": test, "primary": "yes" if primary else "no"}
    empty = [name for name, values in samples.items() if not len(values)]
    warnings = [f"only {len(values)} in {name}" for name, values in samples.items() if 0 < len(values) < FEW]
    if empty:
        return {**result, "warning": f"not tested: nobody in {', '.join(empty)} has a value"}
    try:
        found = run()
    except ValueError as error:
        return {**result, "warning": "; ".join([f"not tested: {error}", *warnings])}
    texts = [*warnings, str(found.pop("warning", ""))]
    return {**result, **found, "warning": "; ".join(text for text in texts if text)}


def _means(samples: Samples, equal: bool, statistics: Statistics) -> Cells:
    first, second = (values.to_numpy(dtype=float) for values in samples.values())
    level = statistics.level
    found = compare_means(first, second, equal_variances=equal, level=level)
    g, low, high = hedges_g(first, second, level=level)
    return {
        "measure": "difference of means", "estimate": found.value, "ci_lo": found.low, "ci_hi": found.high,
        "statistic": found.t, "df": found.df, "p": found.p,
        "effect_measure": "Hedges g", "effect": g, "effect_lo": low, "effect_hi": high,
        "assumptions": _spread(samples),
        "warning": _decisive(samples, found.p, equal, 1.0 - level),
    }  # fmt: skip


def _ranks(first: np.ndarray, second: np.ndarray, statistics: Statistics) -> Cells:
    found = mann_whitney(first, second, level=statistics.level)
    _, low, high = rank_biserial_interval(first, second, level=statistics.level)
    how = "normal approximation, corrected for ties and continuity" if found.continuity else "exact distribution"
    pairs = float(special.binom(len(first) + len(second), len(first)))
    short = found.method == "exact" and 2.0 / pairs > 1.0 - statistics.level
    return {
        "measure": "Hodges-Lehmann shift", "estimate": found.shift, "ci_lo": found.low, "ci_hi": found.high,
        "statistic": found.u, "p": found.p,
        "effect_measure": "rank-biserial", "effect": found.rank_biserial, "effect_lo": low, "effect_hi": high,
        "auc": (found.rank_biserial + 1.0) / 2.0,
        "assumptions": f"{how}; {'ties' if found.ties else 'no ties'}",
        "warning": f"with so few the test cannot give p below {2.0 / pairs:.2g}" if short else "",
    }  # fmt: skip


def _variance(values: Sequence[np.ndarray], equal: bool) -> Cells:
    found = analyse_variance(values, equal_variances=equal)
    deviations = [float(one.std(ddof=1)) for one in values]
    together = np.concatenate(list(values))
    between = sum(len(one) * (one.mean() - together.mean()) ** 2 for one in values)
    return {
        "statistic": found.f, "df": found.df_between, "df_within": found.df_within, "p": found.p,
        # The share of the variance that lies between groups describes the data, whichever test is done.
        "effect_measure": "eta squared", "effect": float(between / ((together - together.mean()) ** 2).sum()),
        "assumptions": f"SD from {min(deviations):.3g} to {max(deviations):.3g}",
    }  # fmt: skip


def _kruskal(values: Sequence[np.ndarray]) -> Cells:
    h, df, p, epsilon2 = kruskal_wallis(values)
    together = np.concatenate(list(values))
    ties = len(np.unique(together)) < len(together)
    return {
        "statistic": h, "df": float(df), "p": p, "effect_measure": "epsilon squared", "effect": epsilon2,
        "assumptions": f"chi-square distribution; {'corrected for ties' if ties else 'no ties'}",
    }  # fmt: skip


def _compare_categories(samples: Samples, variable: Variable, statistics: Statistics, row: Cells) -> list[Cells]:
    levels = sorted({str(value) for values in samples.values() for value in values})
    pair = len(samples) == 2
    table = np.array([[int((values.astype(str) == level).sum()) for level in levels] for values in samples.values()])
    if not pair or len(levels) > 2:

        def chi_square(permuted: bool) -> Cells:
            found = check_independence(table, draws=statistics.permutations, seed=statistics.seed)
            return {
                "statistic": found.chi2, "df": float(found.df), "p": found.p_permuted if permuted else found.p,
                "effect_measure": "Cramer V", "effect": found.cramers_v,
                "assumptions": f"least expected count {found.least_expected:.1f}"
                + (f"; {found.draws} tables with the same margins" if permuted else ""),
                "warning": "" if permuted or found.least_expected >= FEW else "expected counts below 5",
            }  # fmt: skip

        return [
            _run(row, PERMUTED, True, lambda: chi_square(True), samples),
            _run(row, CHI_SQUARE, False, lambda: chi_square(False), samples),
        ]
    level = event_level(levels, variable)
    shares = [(int((values.astype(str) == level).sum()), len(values)) for values in samples.values()]
    binary = [np.repeat([1.0, 0.0], [count, total - count]) for count, total in shares]
    row |= _balance(binary[0], binary[1], statistics.level)

    def both(fisher: bool) -> Cells:
        found = check_independence(table, draws=1, seed=statistics.seed)
        difference = compare_proportions(shares[0], shares[1], level=statistics.level)
        of_test = exact_odds_ratio if fisher else odds_ratio
        odds = of_test(shares[0], shares[1], level=statistics.level)
        return {
            "measure": f"difference of per cent {level}", "estimate": 100.0 * difference.difference,
            "ci_lo": 100.0 * difference.low, "ci_hi": 100.0 * difference.high,
            "p": difference.p if fisher else found.p,
            **({} if fisher else {"statistic": found.chi2, "df": float(found.df)}),
            "effect_measure": "odds ratio", "effect": odds.value, "effect_lo": odds.low, "effect_hi": odds.high,
            "assumptions": f"least expected count {found.least_expected:.1f}; interval of the odds ratio "
            + ("by inversion of the test" if fisher else "by Woolf's method")
            + ", of the difference by Newcombe's",
            "warning": "; ".join(
                text
                for text, holds in (
                    ("expected counts below 5", not fisher and found.least_expected < FEW),
                    ("a cell is empty: odds ratio with a half added to each", odds.corrected),
                )
                if holds
            ),
        }  # fmt: skip

    return [
        _run(row, FISHER, True, lambda: both(True), samples),
        _run(row, CHI_SQUARE, False, lambda: both(False), samples),
    ]


def event_level(levels: Sequence[str], variable: Variable) -> str:
    """Return the value whose share is compared where there are two: women, or the first."""
    return "F" if variable.name == "sex" and "F" in levels else levels[0]


def _balance(first: np.ndarray, second: np.ndarray, level: float) -> Cells:
    """Return the standardized difference with its interval, that of large samples (Hedges and Olkin 1985)."""
    found = standardized_difference(first, second)
    half = float(special.ndtri(0.5 + level / 2.0)) * balance_error(len(first), len(second), found)
    return {"smd": found, "smd_lo": found - half, "smd_hi": found + half}


def balance_error(first: int, second: int, difference: float = 0.0) -> float:
    """Return the standard error of a standardized difference of groups of these sizes; NaN if one is empty."""
    if not (first and second):
        return math.nan
    return math.sqrt((first + second) / (first * second) + difference**2 / (2.0 * (first + second)))


def _spread(samples: Samples) -> str:
    """Say how the values of each group spread, and how far from a normal distribution they are."""
    parts = []
    for name, series in samples.items():
        values = series.to_numpy(dtype=float)
        text = f"{name}: SD {values.std(ddof=1):.3g}"
        if len(values) > 2 and np.ptp(values) > 0.0:
            text += f", skewness {float(stats.skew(values)):.2f}"
            if len(values) <= MOST_FOR_SHAPIRO:
                text += f", Shapiro-Wilk p = {float(stats.shapiro(values).pvalue):.2g}"
        parts.append(text)
    return "; ".join(parts) + " (not used to choose the test)"


def _decisive(samples: Samples, p: float, equal: bool, alpha: float) -> str:
    """Say which person decides on which side of the level p lies, of those farthest from the means."""
    for name, series in samples.items():
        if len(series) < 3:
            continue
        who = str((series - series.mean()).abs().idxmax())
        rest = [
            (values.drop(who) if group == name else values).to_numpy(dtype=float) for group, values in samples.items()
        ]
        try:
            without = compare_means(*rest, equal_variances=equal).p
        except ValueError:
            continue
        if (without < alpha) != (p < alpha):
            return f"one person decides: without {who} p = {without:.2g}"
    return ""
