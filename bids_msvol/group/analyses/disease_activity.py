# SPDX-License-Identifier: Apache-2.0
"""No evidence of disease activity (NEDA-3, NEDA-4) by year and group, its components, and worsening on other scales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.clinical.definitions import describe
from bids_msvol.group.analyses.disease_activity_scales import SCALE_EVENTS, SCALE_LABELS, say_scales, scale_events
from bids_msvol.group.analyses.disease_activity_tables import NEDA, NEDA_TESTS, PATIENT_YEARS
from bids_msvol.group.analyses.follow_up import follow_up
from bids_msvol.group.analyses.neda_counts import ALL_YEARS, COMPONENTS, STATES, as_states, by_person, by_year
from bids_msvol.group.cells import as_count, as_float, interval_of, say_chances
from bids_msvol.group.courses import plan_definition
from bids_msvol.group.figures.activity import NedaBar, Share, draw_components, draw_neda
from bids_msvol.group.people import find_patients
from bids_msvol.group.result import Analysis, CannotAnalyseError, Figure, ResultTable, with_q
from bids_msvol.group.wording import say_count, say_list, say_some, threshold
from bids_msvol.stats.proportions import compare_proportions, permute_shares, proportion

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "disease_activity"
TITLE = "Disease activity"
TABLES = (PATIENT_YEARS, NEDA, NEDA_TESTS, SCALE_EVENTS)

FEWEST_JUDGED = 10
"""Below this many persons in a group a share says little."""

NEW_OR_ENLARGING = "New (or enlarging) T2 lesion"
"""What the count of new lesions stands for where enlarging ones were not counted apart."""

PRIMARY = "NEDA-3 in year 1"
OTHERS = "other tests of disease activity"


def analyse(study: Study, plan: Plan) -> Analysis:
    """Judge disease activity in every interval, year and person, and compare the groups.

    Raises
    ------
    CannotAnalyseError
        If no patient has two sessions of known days, or nothing of NEDA was recorded.
    """
    people = follow_up(study)
    patients = find_patients(study)
    groups = patients.groups
    intervals = study.intervals[study.intervals["participant_id"].isin(people.index)]
    if intervals.empty:
        raise CannotAnalyseError("no patient has two sessions of known days, so there is no interval to judge")
    if not any(np.isfinite(as_states(intervals[name])).any() for name in COMPONENTS):
        raise CannotAnalyseError(
            "no interval has relapses, EDSS visits, lesion counts or brain volumes from which activity could be judged"
        )
    parts = _parts(intervals)
    yearly, overall = by_year(intervals, plan), by_person(intervals)
    for frame in (yearly, overall):
        frame["group"] = people["group"].reindex(frame["participant_id"]).to_numpy()
    counts = tuple(_count_rows(yearly, overall, groups, parts, plan))
    tests = with_q(_test_rows(yearly, overall, groups, parts, plan))
    scales = scale_events(study, plan, people, groups)
    return Analysis(
        name=NAME,
        title=TITLE,
        question="How many patients had no evidence of disease activity, in each year and over all of follow-up?",
        methods=_methods(study, plan, len(groups)),
        findings=tuple(filter(None, [*_findings(counts, tests, plan.statistics.level), say_scales(scales)])),
        limits=(*patients.limits, *_limits(intervals, yearly, overall, study, people)),
        tables=(
            ResultTable(PATIENT_YEARS, _patient_years(study, intervals, people), {"LesionSource": study.lesion_source}),
            ResultTable(NEDA, counts, {"Definition": describe(plan_definition(plan))}),
            ResultTable(
                NEDA_TESTS, tests, {"Seed": plan.statistics.seed, "Permutations": plan.statistics.permutations}
            ),
            scales,
        ),
        figures=_figures(counts, groups, parts, plan.statistics.level),
    )


def _parts(intervals: pd.DataFrame) -> dict[str, str]:
    """Return the components that stand for themselves: without enlarging lesions, where new ones stand for both."""
    if intervals["enlarging_t2_end"].notna().any():
        return dict(COMPONENTS)
    together = {**COMPONENTS, "no_new_t2": NEW_OR_ENLARGING}
    return {name: label for name, label in together.items() if name != "no_enlarging_t2"}


def _patient_years(study: Study, intervals: pd.DataFrame, people: pd.DataFrame) -> tuple[dict[str, object], ...]:
    frame = intervals.assign(
        group=people["group"].reindex(intervals["participant_id"]).to_numpy(),
        days=intervals["end_day"] - intervals["start_day"],
        is_year=intervals["is_year"].astype(int),
    )
    for end in ("from", "to"):
        sessions = study.sessions.loc[intervals[f"{end}_row"]]
        frame[f"scan_{end}"] = sessions["has_scan"].astype(int).to_numpy()
        frame[f"excluded_{end}"] = sessions["excluded_because"].fillna("").to_numpy()
        frame[f"edss_gap_{end}"] = sessions["edss_gap_days"].to_numpy(dtype=float)
    for name in (*COMPONENTS, *STATES):
        frame[name] = as_states(intervals[name])
    names = [column.name for column in PATIENT_YEARS.columns]
    records = frame[names].astype(object).where(frame[names].notna(), None).to_dict("records")
    return tuple({str(name): value for name, value in record.items()} for record in records)


def _count_rows(
    yearly: pd.DataFrame, overall: pd.DataFrame, groups: Sequence[str], parts: Mapping[str, str], plan: Plan
) -> Iterator[dict[str, object]]:
    for group in groups:
        own = yearly[yearly["group"] == group]
        for year in sorted(yearly["year"].unique()):
            rows = own[own["year"] == year]
            counted = rows[rows["is_year"]]
            yield {"n_other_length": len(rows) - len(counted), **_count_row(group, str(year), counted, parts, plan)}
        yield _count_row(group, ALL_YEARS, overall[overall["group"] == group], parts, plan)


def _count_row(group: str, year: str, rows: pd.DataFrame, parts: Mapping[str, str], plan: Plan) -> dict[str, object]:
    row: dict[str, object] = {
        "group": group,
        "year": year,
        "n_sub": len(rows),
        "person_years": float(rows["years"].sum()),
    }
    for state in STATES:
        known = rows[state].dropna()
        share = proportion(int(known.sum()), len(known), plan.statistics.level)
        row |= {
            f"n_judged_{state}": share.n,
            f"n_unknown_{state}": len(rows) - share.n,
            f"n_{state}": share.count,
            f"share_{state}": share.share,
            f"ci_lo_{state}": share.low,
            f"ci_hi_{state}": share.high,
        }
    for name in parts:
        known = rows[name].dropna()
        row |= {f"n_judged_{name}": len(known), f"n_failed_{name}": int((known == 0.0).sum())}
    judged = as_count(row, "n_judged_neda3")
    row["warning"] = f"{say_count(judged, 'person')} judged" if judged < FEWEST_JUDGED else ""
    return row


def _test_rows(
    yearly: pd.DataFrame, overall: pd.DataFrame, groups: Sequence[str], parts: Mapping[str, str], plan: Plan
) -> Iterator[dict[str, object]]:
    years = yearly[yearly["is_year"]]
    first = years[years["year"] == 1]
    for group in groups[1:]:
        for outcome in (*STATES, *parts):
            family = PRIMARY if outcome == "neda3" else OTHERS
            yield _fisher_row(first, outcome, "1", groups[0], group, family, plan)
        for outcome in STATES:
            yield _fisher_row(overall, outcome, ALL_YEARS, groups[0], group, OTHERS, plan)
            yield _permutation_row(years, outcome, groups[0], group, plan)


def _fisher_row(
    frame: pd.DataFrame, outcome: str, year: str, reference: str, group: str, family: str, plan: Plan
) -> dict[str, object]:
    known = frame.dropna(subset=outcome)
    one, other = (known.loc[known["group"] == name, outcome] for name in (reference, group))
    row: dict[str, object] = {
        "outcome": outcome, "year": year, "group": group, "reference": reference,
        "n_obs": len(one) + len(other), "n_sub": len(one) + len(other),
        "n_unknown": int(frame["group"].isin([reference, group]).sum()) - len(one) - len(other),
        "test": "Fisher", "family": family,
    }  # fmt: skip
    if not len(one) or not len(other):
        return {**row, "warning": "not tested: a group has nobody who could be judged"}
    found = compare_proportions((int(one.sum()), len(one)), (int(other.sum()), len(other)), plan.statistics.level)
    row |= {
        "share_reference": float(one.mean()), "share": float(other.mean()), "difference": found.difference,
        "ci_lo": found.low, "ci_hi": found.high, "odds_ratio": found.odds_ratio,
    }  # fmt: skip
    if one.sum() + other.sum() in (0.0, len(one) + len(other)):
        return {**row, "warning": "not tested: the outcome is the same for everybody"}
    few = min(len(one), len(other)) < FEWEST_JUDGED
    smallest = f"a group of {min(len(one), len(other))}" if few else ""
    return {**row, "p": found.p, "assumptions": "persons are independent; exact", "warning": smallest}


def _permutation_row(years: pd.DataFrame, outcome: str, reference: str, group: str, plan: Plan) -> dict[str, object]:
    known = years[years["group"].isin([reference, group])].dropna(subset=outcome)
    persons = known.groupby("participant_id").agg(
        hits=(outcome, "sum"), rows=(outcome, "size"), group=("group", "first")
    )
    row: dict[str, object] = {
        "outcome": outcome, "year": "every", "group": group, "reference": reference, "n_obs": len(known),
        "n_sub": len(persons), "n_unknown": int(years["group"].isin([reference, group]).sum()) - len(known),
        "test": "permutation", "family": OTHERS,
    }  # fmt: skip
    marked = (persons["group"] == group).to_numpy()
    if marked.all() or not marked.any():
        return {**row, "warning": "not tested: a group has no year that could be judged"}
    if known[outcome].nunique() < 2:
        return {**row, "warning": "not tested: the outcome is the same in every year"}
    found = permute_shares(
        persons["hits"].to_numpy(dtype=float),
        persons["rows"].to_numpy(dtype=float),
        marked,
        permutations=plan.statistics.permutations,
        seed=plan.statistics.seed,
    )
    shares = known.groupby("group")[outcome].mean()
    smallest = int(min(marked.sum(), (~marked).sum()))
    return {
        **row,
        "share_reference": float(shares[reference]),
        "share": float(shares[group]),
        "difference": found.difference,
        "p": found.p,
        "assumptions": "persons exchangeable with all their years",
        "warning": f"a group of {smallest}" if smallest < FEWEST_JUDGED else "",
    }


def _methods(study: Study, plan: Plan, groups: int) -> tuple[str, ...]:
    shortest, longest = plan.intervals.year_days
    cutoff = plan.activity.bvl_cutoff_pct_per_year
    gd = (
        bool(study.intervals["gd_end"].notna().any())
        if plan.activity.gd_required == "auto"
        else (plan.activity.gd_required == "yes")
    )
    sentences = [
        "NEDA-3 of an interval between two sessions is no relapse, no confirmed EDSS worsening that begins in it, and "
        "no new or enlarging T2 and no Gd-enhancing lesion at its end; NEDA-4 is NEDA-3 with a loss of whole-brain "
        f"volume below {cutoff:g} % per year. A part that was not recorded leaves NEDA unknown, unless another part "
        f"fails; gadolinium is {'required' if gd else 'not required'}. {study.lesion_source}",
        f"Definition of worsening: {describe(plan_definition(plan))}",
        "The intervals whose middles lie in the same year since the baseline are taken together; that year counts if "
        f"they are {shortest:g} to {longest:g} days long in all. Shares have Wilson intervals.",
        f"Worsening on the {say_list([name for scale, name in SCALE_LABELS.items() if scale != 'edss'])} was confirmed "
        "in the same way, with the rule of each scale.",
    ]
    if groups > 1:
        sentences.append(
            "Groups were compared with the reference by Fisher's exact test of persons (primary: NEDA-3 in year 1; "
            "intervals of differences by Newcombe's method), and over all years by exchanging persons, each with all "
            f"years, between groups ({plan.statistics.permutations} permutations)."
        )
    return tuple(sentences)


def _findings(
    counts: Sequence[Mapping[str, object]], tests: Sequence[Mapping[str, object]], level: float
) -> Iterator[str]:
    for state, name in STATES.items():
        for year, when in (("1", "in year 1"), (ALL_YEARS, "over all of follow-up")):
            rows = [row for row in counts if row["year"] == year and row[f"n_judged_{state}"]]
            parts = [_say_share(row, state, level, brief=len(rows) > 2) for row in rows[:4]]
            if parts and (state == "neda3" or year == "1"):
                yield f"{name} {when}: {'; '.join(parts)}."
    for row in [row for row in tests if row["family"] == PRIMARY and "p" in row][:2]:
        yield (
            f"NEDA-3 in year 1, {row['group']} less {row['reference']}: {100 * as_float(row, 'difference'):.0f} "
            f"percentage points ({_percent(row, '', level)}; Fisher's exact test, {say_chances(row)}; "
            f"n = {row['n_sub']})."
        )
    others = [row for row in tests if row["family"] == OTHERS and "p" in row]
    below = threshold(level)
    standing = [row for row in others if as_float(row, "q_bh") < below]
    if others:
        names = [f"{_label(row)} ({row['group']})" for row in standing]
        yield (
            f"Of {len(others)} further tests of NEDA and its components (exploratory), {len(standing)} "
            f"had q below {below:g}{': ' + say_some(names, 4) if names else ''}."
        )


def _say_share(row: Mapping[str, object], state: str, level: float, *, brief: bool) -> str:
    """Return the share of a group, with its numbers where few groups leave room for them."""
    counts = f"; {row[f'n_{state}']} of {row[f'n_judged_{state}']}, {row[f'n_unknown_{state}']} unknown"
    share = f"{row['group']} {100 * as_float(row, f'share_{state}'):.0f} %"
    return f"{share} ({_percent(row, f'_{state}', level)}{'' if brief else counts})"


def _label(row: Mapping[str, object]) -> str:
    outcome = str(row["outcome"])
    when = {"1": "in year 1", ALL_YEARS: "over all of follow-up"}.get(str(row["year"]), "in every year")
    return f"{STATES.get(outcome) or COMPONENTS[outcome].lower()} {when}"


def _percent(row: Mapping[str, object], suffix: str, level: float) -> str:
    return interval_of(row, level, f"ci_lo{suffix}", f"ci_hi{suffix}", factor=100.0, digits=2)


def _limits(
    intervals: pd.DataFrame, yearly: pd.DataFrame, overall: pd.DataFrame, study: Study, people: pd.DataFrame
) -> Iterator[str]:
    unknown = int(overall["neda3"].isna().sum())
    if unknown:
        yield (
            f"NEDA-3 over all of follow-up is not known for {unknown} of {say_count(len(overall), 'patient')}; a "
            "worsening at the last visit, which none can confirm, is one reason."
        )
    lacking = [label for name, label in COMPONENTS.items() if not np.isfinite(as_states(intervals[name])).any()]
    if lacking:
        yield f"Never recorded: {say_list([label.lower() for label in lacking])}."
    other = int((~yearly["is_year"]).sum())
    if other:
        yield f"{say_count(other, 'year')} of persons too short or too long, and left out of the yearly shares."
    alone = len(people) - len(overall)
    if alone:
        yield f"{say_count(alone, 'patient')} without two sessions of known days left out."
    yield (
        "Over all of follow-up, NEDA is lost more often the longer a person is followed, and groups may differ in "
        "that; the yearly shares of later years are those of persons who stayed."
    )
    if np.isfinite(as_states(intervals["no_brain_loss"])).any():
        yield (
            "The cut-off of brain volume loss was set with SIENA; with a less precise measure more persons without "
            f"disease fall below it. {study.change_source}"
        )


def _figures(
    counts: Sequence[Mapping[str, object]], groups: Sequence[str], parts: Mapping[str, str], level: float
) -> tuple[Figure, ...]:
    bars = tuple(
        NedaBar(
            str(row["group"]), str(row["year"]), STATES[state], as_count(row, f"n_{state}"),
            as_count(row, f"n_judged_{state}"), as_count(row, f"n_unknown_{state}"),
            as_float(row, f"share_{state}"), as_float(row, f"ci_lo_{state}"), as_float(row, f"ci_hi_{state}"),
        )
        for row in counts
        for state in STATES
    )  # fmt: skip
    shares = tuple(
        Share(
            label,
            str(row["group"]),
            proportion(as_count(row, f"n_failed_{name}"), as_count(row, f"n_judged_{name}"), level),
        )
        for row in counts
        for name, label in parts.items()
        if row["year"] == ALL_YEARS
    )
    return (
        Figure(
            "neda",
            "Persons with and without NEDA by year and over all of follow-up; those not judged are shown. Points: "
            f"share of those judged, with Wilson {100 * level:.0f} % intervals.",
            f"Stacked bars of NEDA-3 and NEDA-4 for {len(groups)} groups, with a point and its interval on each.",
            partial(draw_neda, bars, tuple(groups)),
        ),
        Figure(
            "neda_components",
            "Share of persons with each kind of activity over all of follow-up, with Wilson "
            f"{100 * level:.0f} % intervals.",
            "Points with intervals for each component of NEDA and each group.",
            partial(draw_components, shares, tuple(groups)),
        ),
    )
