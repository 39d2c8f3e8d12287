# SPDX-License-Identifier: Apache-2.0
"""What is said of the cord, level by level: how it was tested, what was found, and what the data cannot carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bids_msvol.group.analyses.cord_groups import EARLY, LATE
from bids_msvol.group.analyses.cord_models import FEW_PERSONS, LEAST_PERSONS
from bids_msvol.group.analyses.cord_tests import HEAD_FREE, LEAST_FOLLOWED, OMNIBUS, PATIENTS, RAW, Setting
from bids_msvol.group.wording import say_count, say_interval, say_list, say_number, say_p

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.group.study import Study

PRIMARY_LEVEL = "C2-C3"
"""The level that most studies report."""

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
        "Each comparison was corrected over all levels by the method of Benjamini and Hochberg.",
        "Change over time was estimated by a mixed model with a slope of time for each group and a random intercept "
        f"for each person; a group needed {LEAST_FOLLOWED} persons with two sessions. Where persons had three or more "
        "sessions and their own slopes varied more than the model allows, the standard error is that of the persons' "
        "slopes (Welch's for differences).",
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
    raw = [row for row in compared if row["normalisation"] == RAW and _known(row)]
    here = [row for row in raw if row["level"] == level]
    found = [_say_omnibus(row) for row in here if row["comparison"] == OMNIBUS and len(setting.groups.order) > 2]
    first = {one.name for one in setting.groups.comparisons if one.lower == setting.groups.order[:1]}
    against = sorted(
        (row for row in here if row["comparison"] in first), key=lambda row: -abs(_value(row, "difference_mm2"))
    )
    found += [_say_difference(row, setting) for row in against[:1]]
    found += _say_survivors([row for row in raw if row["comparison"] != OMNIBUS], setting)
    found += [_say_rate(row, setting) for row in _fastest(rates, level, setting)]
    found += [
        f"In patients, area at {row['level']} and EDSS: Spearman's partial rho = {_text(row, 'rho')} "
        f"({_interval(row, setting)}), {_chances(row)}, n = {row['n_sub']}; "
        f"{_text(row, 'slope_mm2_per_point')} mm2 per point."
        for row in edss
        if row["level"] == level and row["group"] == PATIENTS and _known(row)
    ]
    return tuple(found) or ("Nothing could be tested.",)


def _chances(row: Mapping[str, object]) -> str:
    return f"{say_p(_value(row, 'p'))}, {say_p(_value(row, 'q_bh'), 'q')}"


def _say_omnibus(row: Mapping[str, object]) -> str:
    return (
        f"{row['level']} area, all groups: partial eta squared {_text(row, 'partial_eta2')}, "
        f"F({_value(row, 'df_between'):.0f}, {_value(row, 'df'):.1f}) = {_text(row, 'f')}, {_chances(row)}, "
        f"n = {row['n_sub']}."
    )


def _say_difference(row: Mapping[str, object], setting: Setting) -> str:
    largest = "largest difference from the reference, " if len(setting.groups.order) > 2 else ""
    return (
        f"{row['level']} area, {largest}{row['comparison']}: {_text(row, 'difference_mm2')} mm2 "
        f"({_interval(row, setting)}; {_text(row, 'difference_pct')} %), {_chances(row)}, "
        f"n = {row['n_upper']} and {row['n_lower']}."
    )


def _say_survivors(rows: Rows, setting: Setting) -> list[str]:
    """Return which differences stand after correction, and which levels are only nominal."""
    if not rows:
        return []
    standing = _by_comparison([row for row in rows if _value(row, "q_bh") < Q_LIMIT], setting)
    nominal = _by_comparison([row for row in rows if _value(row, "p") < Q_LIMIT <= _value(row, "q_bh")], setting)
    if standing:
        said = [f"After correction over levels (q < {Q_LIMIT:g}) these differences stand: {standing}."]
    else:
        least = min(_value(row, "q_bh") for row in rows)
        said = [f"No difference between groups stands after correction over levels (lowest {say_p(least, 'q')})."]
    if nominal:
        said.append(f"Exploratory, p below {Q_LIMIT:g} only without correction: {nominal}.")
    return said


def _by_comparison(rows: Rows, setting: Setting) -> str:
    """Return each comparison with its levels and the range of its differences."""
    told = []
    for name in dict.fromkeys(str(row["comparison"]) for row in rows):
        mine = [row for row in rows if row["comparison"] == name]
        sizes = sorted((_value(row, "difference_pct") for row in mine), key=abs)
        ends = list(dict.fromkeys(f"{size:.1f}" for size in (sizes[0], sizes[-1])))
        levels = [str(row["level"]) for row in mine]
        where = f"all {len(levels)} levels" if len(levels) == len(setting.levels) > 1 else say_list(levels)
        told.append(f"{name} at {where} ({' to '.join(ends)} %)")
    return "; ".join(told)


def _fastest(rates: Rows, level: str, setting: Setting) -> list[Mapping[str, object]]:
    """Return the fastest change of a group, and how early and late RRMS, or it and the reference, differ."""
    here = [row for row in rates if row["level"] == level and _known(row)]
    groups = [row for row in here if row["kind"] == "rate"]
    chosen = sorted(groups, key=lambda row: _value(row, "pct_per_year"))[:1]
    fastest = chosen[0]["group"] if chosen else ""
    wanted = (f"{LATE} - {EARLY}", f"{fastest} - {setting.groups.reference}")
    differences = [row for row in here if row["kind"] == "difference" and row["group"] in wanted]
    return chosen + sorted(differences, key=lambda row: wanted.index(str(row["group"])))[:1]


def _say_rate(row: Mapping[str, object], setting: Setting) -> str:
    pct = f"{_text(row, 'pct_per_year')} % a year"
    interval = say_interval(_value(row, "pct_lo"), _value(row, "pct_hi"), setting.confidence)
    name = "fastest change, in "
    if row["kind"] == "difference":
        # The test is that of the difference in mm2.
        name, interval = "difference of change, ", f"{_interval(row, setting)}; {pct}"
        pct = f"{_text(row, 'rate_mm2_per_year')} mm2 a year"
    return (
        f"{row['level']} area, {name}{row['group']}: {pct} ({interval}), {_chances(row)}, "
        f"{row['n_followed']} persons followed."
    )


def find_limits(setting: Setting, means: Rows, rates: Rows, rows: pd.DataFrame, study: Study) -> tuple[str, ...]:
    """Return what the data cannot carry."""
    limits = list(setting.covariates.notes)
    unseen = [level for level in setting.levels if not rows[level].notna().any()]
    if unseen:
        limits.append(f"Nobody has an area at {say_list(unseen)}.")
    raw = [row for row in means if row["normalisation"] == RAW and row["level"] not in unseen]
    partial_cover = [
        f"{row['level']} in {row['group']} ({row['n_sub']} persons, {_value(row, 'coverage_pct'):.0f} %)"
        for row in raw
        if _value(row, "coverage_pct") < LOW_COVERAGE_PCT
    ]
    if partial_cover:
        limits.append(
            f"Not everybody was seen at every level, so levels are compared in different people: "
            f"{say_list(partial_cover[:6])}{' and others' if len(partial_cover) > 6 else ''}."
        )
    small = sorted({str(row["group"]) for row in raw if 0 < int(row["n_sub"]) < FEW_PERSONS})  # type: ignore[call-overload]
    if small:
        limits.append(f"Fewer than {FEW_PERSONS} persons have one of the levels in {say_list(small)}.")
    if rows["etiv_mm3"].isna().all():
        limits.append("The intracranial volume is not known: areas are not free of head size.")
    elif rows["etiv_mm3"].isna().any():
        lost = rows.loc[rows["etiv_mm3"].isna(), "participant_id"].nunique()
        limits.append(f"{say_count(lost, 'person')} without intracranial volume left out where areas are free of it.")
    if not any(row["kind"] == "rate" and _known(row) for row in rates):
        limits.append("Too few persons have two sessions for a rate of change.")
    elif rows.groupby("participant_id")["years"].nunique().max() > 2:
        limits.append(
            "The mixed model has one slope of time for a group; how change depends on disease duration as a number "
            "rests on it alone, and its interval is too narrow where persons' own slopes vary."
        )
    undated = study.sessions.loc[study.cord_mm2.dropna(how="all").index, "years"].isna().sum()
    if undated:
        limits.append(f"{say_count(int(undated), 'session')} with cord areas have no day.")
    limits.append(f"A group with fewer than {LEAST_PERSONS} persons at a level is not compared there.")
    return tuple(limits)


def _known(row: Mapping[str, object]) -> bool:
    return row.get("p") is not None


def _value(row: Mapping[str, object], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, float | int) else float("nan")


def _text(row: Mapping[str, object], name: str) -> str:
    return say_number(_value(row, name))


def _interval(row: Mapping[str, object], setting: Setting) -> str:
    return say_interval(_value(row, "ci_lo"), _value(row, "ci_hi"), setting.confidence)
