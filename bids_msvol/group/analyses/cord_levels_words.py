# SPDX-License-Identifier: Apache-2.0
"""What cord_levels says: how it was tested, what was found, and what the data cannot carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bids_msvol.group.analyses.atrophy_rates_groups import PRIMARY_LEVEL
from bids_msvol.group.analyses.cord_levels_groups import CIS, CONTROLS, EARLY, LATE, PPMS, SPMS
from bids_msvol.group.analyses.cord_levels_rates import LEAST_FOLLOWED
from bids_msvol.group.analyses.cord_levels_rows import HEAD_FREE, OMNIBUS, PATIENTS, RAW, Setting
from bids_msvol.group.analyses.cord_models import LEAST_PERSONS
from bids_msvol.group.analyses.rate_means import CHOICE
from bids_msvol.group.cells import as_count, as_float, has_number, interval_of, say_cell, say_chances
from bids_msvol.group.checks import FEW_PERSONS
from bids_msvol.group.wording import say_count, say_list, say_p, say_some

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.study import Study

KEY_COMPARISONS = (
    f"{SPMS} - {CONTROLS}",
    f"{PPMS} - {CONTROLS}",
    f"{LATE} - {EARLY}",
    f"{CIS} - {CONTROLS}",
    f"{EARLY} - {CIS}",
)
"""What a neurologist asks first; said also where nothing is found."""

MOST_KEY = 5
"""Comparisons said first where the groups are not phenotypes."""

Q_LIMIT = 0.05

LOW_COVERAGE_PCT = 80.0
"""A level seen in fewer persons of a group is named."""

Rows = Sequence[Mapping[str, object]]


def say_methods(setting: Setting, kinds: Sequence[str], compared: Rows) -> tuple[str, ...]:
    """Return how it was done."""
    models = sorted({str(row["model"]) for row in compared if row.get("model")})
    adjusted = setting.covariates.text()
    means = {
        "mixed model": "a linear mixed model with a random intercept for each person (REML, Satterthwaite's degrees of "
        "freedom), with years since the first session",
        "ANCOVA": "analysis of covariance of one session for each person",
    }
    used = (
        " and, at levels where nobody had two sessions, ".join(means[name] for name in reversed(models)) or "no model"
    )
    sentences = [
        *setting.groups.notes,
        f"Cord areas at each level were compared between groups by {used}, adjusted for {adjusted}; differences are "
        "also given in per cent, with intervals by the delta method.",
        f"The area at {PRIMARY_LEVEL} is the primary outcome, corrected over its comparisons (Benjamini-Hochberg); the "
        "levels are secondary, each comparison corrected over all of them.",
        "The change of a person was the slope of the logarithm of the area over years, from scans half a year apart or "
        f"more; that of a group is the mean with {CHOICE} (see Annual rates of atrophy: the same persons, rates and "
        f"weights). A group needed {LEAST_FOLLOWED} persons with a rate; differences are Welch's.",
        "In patients, area was related to EDSS at the first session with both by Spearman's partial correlation and "
        f"linear regression, adjusted for {adjusted}.",
    ]
    if HEAD_FREE in kinds:
        sentences.insert(
            -2,
            "All comparisons were repeated with areas at the mean intracranial volume (residual method, slope common "
            "to all groups).",
        )
    return tuple(sentences)


def say_findings(setting: Setting, compared: Rows, rates: Rows, edss: Rows) -> tuple[str, ...]:
    """Return what was found, the primary level first."""
    level = PRIMARY_LEVEL if PRIMARY_LEVEL in setting.levels else setting.levels[0]
    raw = [row for row in compared if row["normalisation"] == RAW and has_number(row)]
    here = [row for row in raw if row["level"] == level]
    pairs = {str(row["comparison"]): row for row in here if row["comparison"] != OMNIBUS}
    first = [one.name for one in setting.groups.comparisons if one.lower == setting.groups.order[:1]]
    key = [name for name in KEY_COMPARISONS if name in pairs]
    key = key or [name for name in (*first, *pairs) if name in pairs][:MOST_KEY]
    found = _say_differences([pairs[name] for name in dict.fromkeys(key)], level, setting)
    found += [_say_omnibus(row) for row in here if row["comparison"] == OMNIBUS and len(setting.groups.order) > 2]
    secondary = [row for row in raw if row["comparison"] != OMNIBUS and row["level"] != PRIMARY_LEVEL]
    found += _say_survivors(secondary, setting)
    found += _say_rates(rates, level, setting)
    found += [
        f"In patients, area at {row['level']} and EDSS: Spearman's partial rho = {say_cell(row, 'rho')} "
        f"({interval_of(row, setting.confidence)}), {say_chances(row)}, n = {row['n_sub']}; "
        f"{say_cell(row, 'slope_mm2_per_point')} mm2 per point."
        for row in edss
        if row["level"] == level and row["group"] == PATIENTS and has_number(row)
    ]
    return tuple(found) or ("Nothing could be tested.",)


def _say_omnibus(row: Mapping[str, object]) -> str:
    return (
        f"{row['level']} area, all groups: partial eta squared {say_cell(row, 'partial_eta2')}, "
        f"F({as_float(row, 'df_between'):.0f}, {as_float(row, 'df'):.1f}) = {say_cell(row, 'f')}, {say_chances(row)}, "
        f"n = {row['n_sub']}."
    )


def _say_differences(rows: Rows, level: str, setting: Setting) -> list[str]:
    """Return the comparisons in one sentence, each in per cent with its interval, then p and q."""
    told = [
        f"{row['comparison']} {say_cell(row, 'difference_pct')} % "
        f"({interval_of(row, setting.confidence, 'pct_lo', 'pct_hi')}; {say_cell(row, 'difference_mm2')} mm2; "
        f"{say_chances(row)}; n = {row['n_upper']} and {row['n_lower']})"
        for row in rows
    ]
    return [f"{level} area: {'; '.join(told)}."] if told else []


def _say_survivors(rows: Rows, setting: Setting) -> list[str]:
    """Return which differences stand after correction, and which levels are only nominal."""
    if not rows:
        return []
    standing = _by_comparison([row for row in rows if as_float(row, "q_bh") < Q_LIMIT], setting)
    nominal = _by_comparison([row for row in rows if as_float(row, "p") < Q_LIMIT <= as_float(row, "q_bh")], setting)
    if standing:
        said = f"After correction over levels (q < {Q_LIMIT:g}) these differences stand: {standing}."
    else:
        least = min(as_float(row, "q_bh") for row in rows)
        said = (
            f"No difference between groups at a level stands after correction over levels (lowest {say_p(least, 'q')})."
        )
    return [f"{said} Exploratory, p below {Q_LIMIT:g} only without correction: {nominal}." if nominal else said]


def _by_comparison(rows: Rows, setting: Setting) -> str:
    """Return each comparison with its levels and the range of its differences."""
    told = []
    for name in dict.fromkeys(str(row["comparison"]) for row in rows):
        mine = [row for row in rows if row["comparison"] == name]
        sizes = sorted((as_float(row, "difference_pct") for row in mine), key=abs)
        ends = list(dict.fromkeys(f"{size:.1f}" for size in (sizes[0], sizes[-1])))
        levels = [str(row["level"]) for row in mine]
        every = [level for level in setting.levels if level != PRIMARY_LEVEL]
        where = f"all {len(levels)} levels" if len(levels) == len(every) > 1 else say_list(levels)
        told.append(f"{name} at {where} ({' to '.join(ends)} %)")
    return "; ".join(told)


def _say_rates(rates: Rows, level: str, setting: Setting) -> list[str]:
    """Return the change of each group, the fastest first if one is known to shrink, and one difference of change."""
    here = [row for row in rates if row["level"] == level and has_number(row)]
    groups = sorted((row for row in here if row["kind"] == "rate"), key=lambda row: as_float(row, "pct_per_year"))
    if not groups:
        return []
    shrinking = [row for row in groups if as_float(row, "pct_hi") < 0.0]
    if shrinking and len(groups) > 1:
        said = f"{level} area, fastest loss among groups known to shrink: {_say_rate(shrinking[0], setting)}"
        rest = [row for row in groups if row is not shrinking[0]]
        said += f"; {'; '.join(_say_rate(row, setting) for row in rest[:MOST_KEY])}."
    else:
        said = f"{level} area, change a year: {'; '.join(_say_rate(row, setting) for row in groups[: MOST_KEY + 1])}."
        if not shrinking:
            said += " No group is known to shrink: every interval holds 0 or lies above it."
    wanted = (f"{LATE} - {EARLY}", f"{groups[0]['group']} - {setting.groups.reference}")
    differences = [row for row in here if row["kind"] == "difference" and row["group"] in wanted]
    for row in sorted(differences, key=lambda row: wanted.index(str(row["group"])))[:1]:
        said += f" Difference of change, {_say_rate(row, setting)}."
    return [said]


def _say_rate(row: Mapping[str, object], setting: Setting) -> str:
    interval = interval_of(row, setting.confidence, "pct_lo", "pct_hi")
    return (
        f"{row['group']} {say_cell(row, 'pct_per_year')} % a year ({interval}; {say_chances(row)}; "
        f"n = {row['n_followed']})"
    )


def find_limits(setting: Setting, means: Rows, rates: Rows, rows: pd.DataFrame, study: Study) -> tuple[str, ...]:
    """Return what the data cannot carry."""
    limits = list(setting.covariates.notes)
    unseen = [level for level in setting.levels if not rows[level].notna().any()]
    if unseen:
        limits.append(f"Nobody has an area at {say_list(unseen)}.")
    raw = [row for row in means if row["normalisation"] == RAW and row["level"] not in unseen]
    partial_cover = [
        f"{row['level']} in {row['group']} ({row['n_sub']} persons, {as_float(row, 'coverage_pct'):.0f} %)"
        for row in raw
        if as_float(row, "coverage_pct") < LOW_COVERAGE_PCT
    ]
    if partial_cover:
        limits.append(
            f"Not everybody was seen at every level, so levels are compared in different people: "
            f"{say_some(partial_cover)}."
        )
    small = sorted({str(row["group"]) for row in raw if 0 < as_count(row, "n_sub") < FEW_PERSONS})
    if small:
        limits.append(f"Fewer than {FEW_PERSONS} persons have one of the levels in {say_list(small)}.")
    if rows["etiv_mm3"].isna().all():
        limits.append("The intracranial volume is not known: areas are not free of head size.")
    elif rows["etiv_mm3"].isna().any():
        lost = rows.loc[rows["etiv_mm3"].isna(), "participant_id"].nunique()
        limits.append(f"{say_count(lost, 'person')} without intracranial volume left out where areas are free of it.")
    if not any(row["kind"] == "rate" and has_number(row) for row in rates):
        limits.append("Too few persons have two sessions half a year apart for a rate of change.")
    growing = [
        f"{row['level']} in {row['group']} ({say_cell(row, 'pct_per_year')} % a year)"
        for row in rates
        if "do not grow" in str(row.get("warning", ""))
    ]
    if growing:
        limits.append(
            f"Healthy cords seem to grow, which is error of measurement or chance: {say_some(growing)}. Differences "
            "from them are as doubtful."
        )
    undated = study.sessions.loc[study.cord_mm2.dropna(how="all").index, "years"].isna().sum()
    if undated:
        limits.append(f"{say_count(int(undated), 'session')} with cord areas have no day.")
    limits.append(f"A group with fewer than {LEAST_PERSONS} persons at a level is not compared there.")
    return tuple(limits)
