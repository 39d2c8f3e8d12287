# SPDX-License-Identifier: Apache-2.0
"""Time to the first worsening, PIRA, relapse, lesion and loss of NEDA-3: Kaplan-Meier, log-rank and Cox by group."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.clinical.definitions import describe
from bids_msvol.group.analyses.endpoints import Endpoint, find_endpoints
from bids_msvol.group.analyses.event_tables import KM, LANDMARKS, SUMMARY, TESTS
from bids_msvol.group.analyses.follow_up import (
    FEWEST_EVENTS_PER_COLUMN,
    adjust,
    follow_up,
    patient_groups,
    say_left_out,
)
from bids_msvol.group.courses import plan_definition
from bids_msvol.group.figures.survival import Curve, draw_curves
from bids_msvol.group.result import Analysis, CannotAnalyseError, Figure, ResultTable, with_q
from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.wording import say_count, say_interval, say_number, say_p
from bids_msvol.stats.cox import CoxModel, fit_cox
from bids_msvol.stats.survival import KaplanMeier, kaplan_meier, log_rank

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "time_to_event"
TITLE = "Time to the first event"

COVARIATES = ("age", "sex", "edss")

MOST_STEPS = 400
"""Steps of one curve that are written and drawn; more cannot be told apart on a page."""

LOG_RANK, COX, COX_ADJUSTED = "log-rank", "Cox", "Cox, adjusted"

PROPORTIONAL_BELOW = 0.05
"""Below this p value the assumption of proportional hazards is called into question."""

TABLES = (KM, SUMMARY, TESTS)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Estimate and compare times to first events.

    Raises
    ------
    CannotAnalyseError
        If nobody could be followed for any event.
    """
    people = follow_up(study)
    groups = patient_groups(study, people)
    endpoints = find_endpoints(study, plan, people)
    if all(endpoint.missing for endpoint in endpoints):
        reasons = "; ".join(f"{endpoint.label}: {endpoint.missing}" for endpoint in endpoints)
        raise CannotAnalyseError(f"no patient could be followed for any event ({reasons})")
    level = plan.statistics.level
    joined = {one.name: one.times.join(people[["group", "age", "sex", "edss"]]) for one in endpoints}
    curves = {one.name: _curves(joined[one.name], groups, level) for one in endpoints}
    gap = plan.intervals.visit_gap_days
    summaries = tuple(row for one in endpoints for row in _summary_rows(one, people, groups, curves[one.name], gap))
    tests = with_q(row for one in endpoints for row in _test_rows(one, joined[one.name], groups, level))
    return Analysis(
        name=NAME,
        title=TITLE,
        question="How long does it take to the first event, and does that differ between groups?",
        methods=_methods(endpoints, plan, len(groups)),
        findings=tuple(_findings(endpoints, summaries, tests, level)),
        limits=(*say_left_out(study, people), *_limits(endpoints)),
        tables=(
            ResultTable(KM, tuple(_km_rows(curves)), {"MostSteps": MOST_STEPS}),
            ResultTable(SUMMARY, summaries, {"Events": {one.name: one.rule for one in endpoints}}),
            ResultTable(TESTS, tests, {"Formula": "hazard = group (+ age + sex + EDSS)", "Ties": "Efron"}),
        ),
        figures=tuple(_figure(one, curves[one.name], groups, tests, level) for one in endpoints if curves[one.name]),
    )


def _curves(times: pd.DataFrame, groups: Sequence[str], level: float) -> dict[str, KaplanMeier]:
    found = {}
    for group in groups:
        rows = times[times["group"] == group]
        if len(rows):
            found[group] = kaplan_meier(rows["years"].to_numpy(dtype=float), rows["event"].to_numpy(dtype=float), level)
    return found


def _steps(curve: KaplanMeier) -> np.ndarray:
    """Return the numbers of the steps that are shown: those with events and the last, thinned if there are too many."""
    shown = np.union1d(np.flatnonzero(curve.events), [len(curve.times) - 1])
    if len(shown) > MOST_STEPS:
        shown = shown[np.unique(np.linspace(0, len(shown) - 1, MOST_STEPS).round().astype(int))]
    return np.asarray(shown)


def _km_rows(curves: Mapping[str, Mapping[str, KaplanMeier]]) -> Iterator[dict[str, object]]:
    for endpoint, groups in curves.items():
        for group, curve in groups.items():
            for step in _steps(curve).tolist():
                yield {
                    "endpoint": endpoint,
                    "group": group,
                    "years": float(curve.times[step]),
                    "n_at_risk": int(curve.at_risk[step]),
                    "n_events": int(curve.events[step]),
                    "survival": float(curve.survival[step]),
                    "ci_lo": float(curve.low[step]),
                    "ci_hi": float(curve.high[step]),
                }


def _summary_rows(
    endpoint: Endpoint,
    people: pd.DataFrame,
    groups: Sequence[str],
    curves: Mapping[str, KaplanMeier],
    gap_days: float,
) -> Iterator[dict[str, object]]:
    years = endpoint.times["years"]
    label = people["group"].reindex(endpoint.times.index)
    for group in groups:
        total = int((people["group"] == group).sum())
        curve = curves.get(group)
        row: dict[str, object] = {"endpoint": endpoint.name, "group": group}
        if curve is None:
            missing = endpoint.missing or "nobody of the group could be followed"
            yield {**row, "n_sub": 0, "n_left_out": total, "warning": missing}
            continue
        row |= {
            "n_sub": curve.n,
            "n_left_out": total - curve.n,
            "n_events": curve.n_events,
            "person_years": float(years[label == group].sum()),
            "median_years": curve.median,
            "median_lo": curve.median_low,
            "median_hi": curve.median_high,
            "warning": "" if curve.n_events else "no events",
        }
        for year in LANDMARKS:
            share, low, high = _at(curve, year, gap_days / DAYS_PER_YEAR if endpoint.at_visits else 0.0)
            name = f"survival_{year:.0f}y"
            row |= {name: share, f"{name}_lo": low, f"{name}_hi": high}
        yield row


def _at(curve: KaplanMeier, year: float, gap_years: float) -> tuple[float, float, float]:
    """Return the share without event after the visits of an anniversary, which may come a little early or late."""
    last = float(curve.times[-1])
    near = year - gap_years <= last <= year + gap_years
    return curve.at(last if near else year + gap_years)


def _test_rows(
    endpoint: Endpoint, times: pd.DataFrame, groups: Sequence[str], level: float
) -> Iterator[dict[str, object]]:
    if len(groups) < 2:
        return
    shared: dict[str, object] = {"endpoint": endpoint.name, "reference": groups[0]}
    known = times[times["group"].isin(list(groups))]
    present = [group for group in groups if (known["group"] == group).any()]
    log_rank_row: dict[str, object] = {
        **shared, "test": LOG_RANK, "group": "all", "n_obs": len(known), "n_sub": len(known),
        "n_events": int(known["event"].sum()), "family": "first events, log-rank",
    }  # fmt: skip
    try:
        found = log_rank(known["years"].to_numpy(dtype=float), known["event"].to_numpy(dtype=float), known["group"])
        tested = {"statistic": found.chi2, "df": found.df, "p": found.p}
        absent = [group for group in groups if group not in present]
        yield {**log_rank_row, **tested, "warning": f"without {', '.join(absent)}: nobody followed" if absent else ""}
    except ValueError as error:
        yield {**log_rank_row, "warning": f"not tested: {endpoint.missing or error}"}
    for test, covariates in ((COX, ()), (COX_ADJUSTED, COVARIATES)):
        family = f"first events, {test}"
        yield from _cox_rows({**shared, "test": test, "family": family}, endpoint, known, groups, covariates, level)


def _cox_rows(
    shared: Mapping[str, object],
    endpoint: Endpoint,
    times: pd.DataFrame,
    groups: Sequence[str],
    covariates: Sequence[str],
    level: float,
) -> Iterator[dict[str, object]]:
    chosen = adjust(times, groups, covariates)
    events = chosen.rows.groupby("group")["event"].sum()
    eventful = [group for group in groups if events.get(group, 0) > 0]
    silent = [group for group in groups if group not in eventful]
    for group in silent:
        if group != groups[0]:
            yield {**shared, "group": group, "warning": f"not estimated: {endpoint.missing or f'no events in {group}'}"}
    others = [group for group in eventful if group != groups[0]]
    if groups[0] in silent:
        for group in others:
            yield {**shared, "group": group, "warning": f"not estimated: no events in {groups[0]}"}
        return
    if not others:
        return
    if silent:
        chosen = adjust(times, eventful, covariates)
    rows = chosen.rows
    try:
        years, happened = rows["years"].to_numpy(dtype=float), rows["event"].to_numpy(dtype=float)
        model = fit_cox(years, happened, chosen.columns)
    except ValueError as error:
        for group in others:
            yield {**shared, "group": group, "warning": f"not estimated: {error}"}
        return
    proportional, said = _check_proportional(model)
    few = model.n_events < FEWEST_EVENTS_PER_COLUMN * len(model.names)
    cautions = [
        f"{say_count(model.n_events, 'event')} for {say_count(len(model.names), 'coefficient')}: unsteady"
        if few
        else "",
        "hazard ratio changes over time: it is an average" if proportional < PROPORTIONAL_BELOW else "",
    ]
    for group in others:
        found = model.estimate({f"group[{group}]": 1.0}, level)
        yield {
            **shared,
            "group": group,
            "n_obs": model.n,
            "n_sub": model.n,
            "n_events": model.n_events,
            "hr": math.exp(found.value),
            "se": found.se,
            "ci_lo": math.exp(found.low),
            "ci_hi": math.exp(min(found.high, 700.0)),
            "statistic": found.t,
            "p": found.p,
            "p_proportional": proportional,
            "assumptions": "; ".join([said, *chosen.notes]),
            "warning": "; ".join(filter(None, cautions)),
        }


def _check_proportional(model: CoxModel) -> tuple[float, str]:
    """Return the p value of the test of proportional hazards of the groups, and what it says."""
    try:
        found = model.proportionality([name for name in model.names if name.startswith("group[")])
    except (ValueError, np.linalg.LinAlgError):
        return math.nan, "proportional hazards could not be tested"
    return found.p, f"proportional hazards: chi2({found.df}) = {found.chi2:.2f}, {say_p(found.p)}"


def _methods(endpoints: Sequence[Endpoint], plan: Plan, groups: int) -> tuple[str, ...]:
    events = "; ".join(f"{one.label}: {one.rule}" for one in endpoints)
    sentences = [
        f"Time runs from the first session that counts (baseline). Events: {events}.",
        f"Definition of worsening: {describe(plan_definition(plan))}",
        "Shares without event were estimated by Kaplan and Meier's method, with intervals on the log(-log) scale. The "
        f"share at an anniversary counts visits up to {plan.intervals.visit_gap_days:g} days after it (not for "
        "relapses, which have dates of their own).",
    ]
    if groups > 1:
        sentences.append(
            "Groups were compared by the log-rank test and by Cox regression (Efron's method for ties, Wald intervals; "
            "primary: unadjusted), again adjusted for age, sex and EDSS at the baseline. Proportional hazards were "
            "checked by the score test of a trend of Schoenfeld residuals with the Kaplan-Meier share."
        )
    return tuple(sentences)


def _findings(
    endpoints: Sequence[Endpoint],
    summaries: Sequence[Mapping[str, object]],
    tests: Sequence[Mapping[str, object]],
    level: float,
) -> Iterator[str]:
    labels = {one.name: one.label for one in endpoints}
    for name in ("worsening", "neda3"):
        rows = [row for row in summaries if row["endpoint"] == name and row["n_sub"]]
        parts = [f"{row['group']} {row['n_events']} of {row['n_sub']}{_landmark(row, level)}" for row in rows[:4]]
        if parts:
            yield f"Persons with {labels[name]}: {'; '.join(parts)}."
    for row in [row for row in tests if row["test"] == COX and row["endpoint"] == "worsening" and "hr" in row][:2]:
        yield (
            f"Hazard ratio of {labels[str(row['endpoint'])]}, {row['group']} to {row['reference']}: "
            f"{say_number(_float(row['hr']))} ({say_interval(_float(row['ci_lo']), _float(row['ci_hi']), level)}; "
            f"z = {_float(row['statistic']):.2f}, {say_p(_float(row['p']))}, {say_p(_float(row['q_bh']), 'q')}; "
            f"{row['n_events']} events in {row['n_sub']} persons)."
        )
    ranked = [row for row in tests if row["test"] == LOG_RANK and "p" in row]
    if ranked:
        parts = [
            f"{labels[str(row['endpoint'])]} chi2({row['df']}) = {_float(row['statistic']):.2f}, "
            f"{say_p(_float(row['p']))}, {say_p(_float(row['q_bh']), 'q')}"
            for row in ranked
        ]
        exploratory = " (exploratory: a family of several tests)" if len(ranked) > 1 else ""
        yield f"Log-rank tests{exploratory}: {'; '.join(parts)}."


def _landmark(row: Mapping[str, object], level: float) -> str:
    for year in reversed(LANDMARKS):
        name = f"survival_{year:.0f}y"
        share, low, high = (100 * _float(row[key]) for key in (name, f"{name}_lo", f"{name}_hi"))
        if math.isfinite(share) and math.isfinite(low):
            return (
                f" (without after {say_count(int(year), 'year')}: {share:.0f} %, {say_interval(low, high, level, 2)})"
            )
    return ""


def _float(value: object) -> float:
    return float(value)  # type: ignore[arg-type]


def _limits(endpoints: Sequence[Endpoint]) -> Iterator[str]:
    missing = [f"{one.label} ({one.missing})" for one in endpoints if one.missing]
    if missing:
        yield f"Not analysed: {'; '.join(missing)}."
    left_out = [f"{one.label} {one.n_left_out}" for one in endpoints if one.n_left_out and not one.missing]
    if left_out:
        yield f"Patients who could not be followed: {', '.join(left_out)}."
    yield (
        "An event is known from the visit or scan at which it was found; how close in time these are bounds how "
        "precise its time is. Groups that were seen more often have their events found sooner."
    )


def _figure(
    endpoint: Endpoint,
    curves: Mapping[str, KaplanMeier],
    groups: Sequence[str],
    tests: Sequence[Mapping[str, object]],
    level: float,
) -> Figure:
    drawn = []
    for group, curve in curves.items():
        shown = _steps(curve)
        # Those at risk are counted here, since the figure knows only some of the steps.
        ticks = tuple(range(math.ceil(curve.times[-1]) + 1))
        drawn.append(
            Curve(
                group,
                tuple(curve.times[shown].tolist()),
                tuple(curve.survival[shown].tolist()),
                tuple(curve.low[shown].tolist()),
                tuple(curve.high[shown].tolist()),
                curve.n,
                curve.n_events,
                {float(tick): curve.number_at_risk(float(tick)) for tick in ticks},
            )
        )
    ranked = [row for row in tests if row["endpoint"] == endpoint.name and row["test"] == LOG_RANK and "p" in row]
    text = f"log-rank {say_p(_float(ranked[0]['p']))} (uncorrected)" if ranked else ""
    n = _say_counts(curves)
    return Figure(
        f"km_{endpoint.name}",
        f"Kaplan-Meier curves of the time to {endpoint.label} with {100 * level:.0f} % intervals; {n}. Below: persons "
        "at risk.",
        f"Falling step curves of {len(curves)} groups: share without {endpoint.label} by years since the baseline.",
        partial(draw_curves, tuple(drawn), tuple(groups), endpoint.label, text),
    )


def _say_counts(curves: Mapping[str, KaplanMeier]) -> str:
    return ", ".join(f"{group} {say_count(curve.n_events, 'event')} of {curve.n}" for group, curve in curves.items())
