# SPDX-License-Identifier: Apache-2.0
"""Time to the first worsening, PIRA, relapse, lesion and loss of NEDA-3: Kaplan-Meier, log-rank and Cox by group."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.group.analyses.follow_up import (
    FEWEST_EVENTS_PER_COLUMN,
    adjust,
    follow_up,
)
from bids_msvol.group.analyses.time_to_event_endpoints import Endpoint, find_endpoints
from bids_msvol.group.analyses.time_to_event_tables import (
    COX,
    COX_ADJUSTED,
    FEWEST_AT_RISK,
    KM,
    LANDMARKS,
    LOG_RANK,
    SUMMARY,
    TESTS,
)
from bids_msvol.group.analyses.time_to_event_words import say_findings, say_limits, say_methods
from bids_msvol.group.cells import say_chance
from bids_msvol.group.covariates import choose_covariates
from bids_msvol.group.figures.survival import MOST_BANDS, Curve, draw_curves
from bids_msvol.group.people import find_patients
from bids_msvol.group.result import Analysis, CannotAnalyseError, Figure, ResultTable, with_q
from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.wording import say_count, say_list, say_p
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

ANNIVERSARY_YEARS = 1.0 / DAYS_PER_YEAR
"""How much sooner than an anniversary follow-up may end to reach it: 365 days are a year."""

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
    patients = find_patients(study)
    groups = patients.groups
    endpoints = find_endpoints(study, plan, people)
    if all(endpoint.missing for endpoint in endpoints):
        reasons = "; ".join(f"{endpoint.label}: {endpoint.missing}" for endpoint in endpoints)
        raise CannotAnalyseError(f"no patient could be followed for any event ({reasons})")
    level = plan.statistics.level
    joined = {one.name: one.times.join(people[["group", "age", "sex", "edss"]]) for one in endpoints}
    curves = {one.name: _curves(joined[one.name], groups, level) for one in endpoints}
    summaries = tuple(row for one in endpoints for row in _summary_rows(one, people, groups, curves[one.name]))
    adjusting = choose_covariates(people, COVARIATES, patients.group).notes if patients.reference else ()
    tests = with_q(row for one in endpoints for row in _test_rows(one, joined[one.name], groups, level))
    return Analysis(
        name=NAME,
        title=TITLE,
        question="How long does it take to the first event, and does that differ between groups?",
        methods=say_methods(endpoints, plan, len(groups)),
        findings=tuple(say_findings(endpoints, summaries, tests, level)),
        limits=(*patients.limits, *adjusting, *say_limits(endpoints)),
        tables=(
            ResultTable(KM, tuple(_km_rows(curves)), {"MostSteps": MOST_STEPS, "FewestAtRisk": FEWEST_AT_RISK}),
            ResultTable(
                SUMMARY,
                summaries,
                {
                    "Events": {one.name: one.rule for one in endpoints},
                    "MonthsBetweenPlannedVisits": {one.name: one.months for one in endpoints if one.months},
                    "FewestAtRisk": FEWEST_AT_RISK,
                },
            ),
            ResultTable(TESTS, tests, {"Formula": "hazard = group (+ age + sex + EDSS)", "Ties": "Efron"}),
        ),
        figures=tuple(
            _figure(one, curves[one.name], groups, tests, level) for one in endpoints if _drawn(curves[one.name])
        ),
    )


def _curves(times: pd.DataFrame, groups: Sequence[str], level: float) -> dict[str, KaplanMeier]:
    found = {}
    for group in groups:
        rows = times[times["group"] == group]
        if len(rows):
            found[group] = kaplan_meier(rows["years"].to_numpy(dtype=float), rows["event"].to_numpy(dtype=float), level)
    return found


def _drawn(curves: Mapping[str, KaplanMeier]) -> dict[str, KaplanMeier]:
    """Return the curves up to where enough are at risk, without those that never had enough."""
    ended = {group: curve.until(FEWEST_AT_RISK) for group, curve in curves.items()}
    return {group: curve for group, curve in ended.items() if len(curve.times)}


def _steps(curve: KaplanMeier) -> np.ndarray:
    """Return the numbers of the steps that are shown: those with events and the last, thinned if there are too many."""
    shown = np.union1d(np.flatnonzero(curve.events), [len(curve.times) - 1])
    if len(shown) > MOST_STEPS:
        shown = shown[np.unique(np.linspace(0, len(shown) - 1, MOST_STEPS).round().astype(int))]
    return np.asarray(shown)


def _km_rows(curves: Mapping[str, Mapping[str, KaplanMeier]]) -> Iterator[dict[str, object]]:
    for endpoint, groups in curves.items():
        for group, curve in _drawn(groups).items():
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
        shown = curve.until(FEWEST_AT_RISK)
        few = f"{say_count(curve.n, 'person')} followed: no shares" if curve.n < FEWEST_AT_RISK else ""
        row |= {
            "n_sub": curve.n,
            "n_left_out": total - curve.n,
            "n_events": curve.n_events,
            "person_years": float(years[label == group].sum()),
            "median_years": shown.median,
            "median_lo": shown.median_low,
            "median_hi": shown.median_high,
            "followed_years": float(shown.times[-1]) if len(shown.times) else math.nan,
            "warning": "; ".join(filter(None, [few, "" if curve.n_events else "no events"])),
        }
        for year in LANDMARKS:
            share, low, high = _at(shown, year)
            name = f"survival_{year:.0f}y"
            row |= {name: share, f"{name}_lo": low, f"{name}_hi": high}
        yield row


def _at(curve: KaplanMeier, year: float) -> tuple[float, float, float]:
    """Return the share without event at an anniversary, with its interval; NaN if the curve ends before it."""
    last = float(curve.times[-1]) if len(curve.times) else -math.inf
    return curve.at(min(year, last)) if last >= year - ANNIVERSARY_YEARS else (math.nan, math.nan, math.nan)


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
    waves = _say_waves(endpoint, len(np.unique(model.event_times)))
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
            "assumptions": "; ".join(filter(None, [said, waves, *chosen.notes])),
            "warning": "; ".join(filter(None, cautions)),
        }


def _say_waves(endpoint: Endpoint, times: int) -> str:
    if endpoint.months is None:
        return ""
    return f"events at {say_count(times, 'planned visit')}: the hazard ratio is one of discrete waves"


def _check_proportional(model: CoxModel) -> tuple[float, str]:
    """Return the p value of the test of proportional hazards of the groups, and what it says."""
    try:
        found = model.proportionality([name for name in model.names if name.startswith("group[")])
    except (ValueError, np.linalg.LinAlgError):
        return math.nan, "proportional hazards could not be tested"
    return found.p, f"proportional hazards: chi2({found.df}) = {found.chi2:.2f}, {say_p(found.p)}"


def _figure(
    endpoint: Endpoint,
    curves: Mapping[str, KaplanMeier],
    groups: Sequence[str],
    tests: Sequence[Mapping[str, object]],
    level: float,
) -> Figure:
    drawn = []
    for group, curve in _drawn(curves).items():
        shown = _steps(curve)
        # Those at risk are counted here, since the figure knows only some of the steps.
        ticks = tuple(range(math.ceil(curves[group].times[-1]) + 1))
        drawn.append(
            Curve(
                group,
                tuple(curve.times[shown].tolist()),
                tuple(curve.survival[shown].tolist()),
                tuple(curve.low[shown].tolist()),
                tuple(curve.high[shown].tolist()),
                curve.n,
                curve.n_events,
                {float(tick): curves[group].number_at_risk(float(tick)) for tick in ticks},
            )
        )
    ranked = [row for row in tests if row["endpoint"] == endpoint.name and row["test"] == LOG_RANK and "p" in row]
    text = f"log-rank {say_chance(ranked[0], 'p')} (uncorrected)" if ranked else ""
    banded = len(drawn) <= MOST_BANDS
    bands = f" with {100 * level:.0f} % intervals" if banded else ""
    short = [group for group in curves if group not in {curve.group for curve in drawn}]
    sentences = [
        f"Kaplan-Meier curves of the time to {endpoint.label}{bands}; {_say_counts(curves)}.",
        "" if banded else f"The intervals of {len(drawn)} curves would cover one another; they are in the table.",
        f"Steps are at planned visits, {say_count(endpoint.months, 'month')} apart." if endpoint.months else "",
        f"Not drawn, with fewer than {FEWEST_AT_RISK} followed: {say_list(short)}." if short else "",
        f"A curve ends where fewer than {FEWEST_AT_RISK} are at risk; the mark beside its end is the last share"
        f"{' with its interval' if banded else ''}. Below: persons at risk.",
    ]
    return Figure(
        f"km_{endpoint.name}",
        " ".join(filter(None, sentences)),
        f"Falling step curves of {len(drawn)} groups: share without {endpoint.label} by years since the baseline.",
        partial(draw_curves, tuple(drawn), tuple(groups), endpoint.label, text),
    )


def _say_counts(curves: Mapping[str, KaplanMeier]) -> str:
    return ", ".join(f"{group} {say_count(curve.n_events, 'event')} of {curve.n}" for group, curve in curves.items())
