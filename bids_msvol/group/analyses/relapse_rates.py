# SPDX-License-Identifier: Apache-2.0
"""Annualised relapse rates (ARR) before and after the baseline, and their ratios between groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.follow_up import (
    FEWEST_EVENTS_PER_COLUMN,
    FOLLOW_UP_SENTENCE,
    Adjusted,
    adjust,
    follow_up,
)
from bids_msvol.group.cells import as_count, as_float, interval_of, say_cell, say_chances
from bids_msvol.group.courses import relapse_days
from bids_msvol.group.covariates import choose_covariates
from bids_msvol.group.figures.survival import RatePoint, draw_rates
from bids_msvol.group.people import find_patients
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
from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.wording import say_count
from bids_msvol.stats.counts import CountModel, compare_rates, fit_negative_binomial, fit_quasi_poisson, poisson_rate
from bids_msvol.stats.design import INTERCEPT

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "relapse_rates"
TITLE = "Relapse rates"

COVARIATES = ("age", "sex")

QUASI, ADJUSTED, NEGATIVE, EXACT = (
    "quasi-Poisson",
    "quasi-Poisson, adjusted",
    "negative binomial",
    "exact Poisson",
)

PERIODS: Mapping[str, str] = {"before": "the year before the baseline", "after": "from the baseline on"}

ARR = Table(
    "Relapse rates",
    "arr.tsv",
    "Relapses, person-years and annualised relapse rate of each group, in the year before the baseline and after it.",
    (
        GROUP,
        Column("period", "When relapses were counted.", levels=PERIODS),
        Column("n_sub", "Number of persons with follow-up.", "integer"),
        Column("n_with_relapse", "Persons with at least one relapse.", "integer"),
        Column("relapses", "Number of relapses.", "integer"),
        number("person_years", "Years of follow-up of all persons.", "year"),
        number("arr", "Relapses by person-year.", "1/year"),
        number("ci_lo", "Lower end of the exact Poisson interval.", "1/year"),
        number("ci_hi", "Upper end of the exact Poisson interval.", "1/year"),
        number("qp_lo", "Lower end of the quasi-Poisson interval, which allows for dispersion.", "1/year"),
        number("qp_hi", "Upper end of the quasi-Poisson interval.", "1/year"),
        number("dispersion", "Pearson chi-square by its degrees of freedom; 1 for Poisson counts."),
        Column("warning", "Why the result must be read with care."),
    ),
)

RATIOS = Table(
    "Ratios of relapse rates",
    "arr_ratios.tsv",
    "Relapse rate of each group against the reference from the baseline on, by each model.",
    (
        Column("model", "Model of the counts, with log(person-years) as offset."),
        Column("group", "Group, or all for the test of all groups together."),
        Column("reference", "Group that it is compared with."),
        *COUNTS,
        Column("n_events", "Number of relapses.", "integer"),
        number("ratio", "Relapse rate of the group divided by that of the reference."),
        number("se", "Standard error of the logarithm of the ratio."),
        *INTERVAL,
        Column("test", "Test of the ratio against 1.", levels={"t": "t", "F": "F", "z": "normal", "exact": "exact"}),
        number("statistic", "Test statistic."),
        number("df_between", "First degrees of freedom of the F test."),
        number("df", "Degrees of freedom of t, or second of F; n/a where the normal distribution is used."),
        p_column(),
        Q,
        FAMILY,
        number("dispersion", "Pearson chi-square by its degrees of freedom."),
        number("extra_variance", "Variance of the negative binomial model is m + this times m squared."),
        *NOTES,
    ),
)

TABLES = (ARR, RATIOS)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Count relapses and compare their rates between groups.

    Raises
    ------
    CannotAnalyseError
        If relapses were not recorded, or nobody was followed.
    """
    onsets = relapse_days(study.relapses)
    if onsets is None:
        raise CannotAnalyseError("relapses were not recorded")
    people = follow_up(study)
    patients = find_patients(study)
    groups = patients.groups
    followed = people[people["years"] > 0.0]
    if followed.empty:
        raise CannotAnalyseError(
            "nobody has two sessions or visits of known days between which relapses could be counted"
        )
    followed = followed.assign(
        after=_count(followed, onsets, 0.0, followed["years"] * DAYS_PER_YEAR),
        before=_count(followed, onsets, -DAYS_PER_YEAR, pd.Series(0.0, followed.index)),
    )
    periods = ("before", "after") if followed["before"].sum() else ("after",)
    rates = tuple(_rate_row(followed, group, period, plan) for period in periods for group in groups)
    ratios = with_q(_ratio_rows(followed, groups, plan))
    adjusting = choose_covariates(followed, COVARIATES, patients.group).notes if patients.reference else ()
    return Analysis(
        name=NAME,
        title=TITLE,
        question="How often do relapses occur, and does their rate differ between groups?",
        methods=_methods(periods, len(groups)),
        findings=tuple(_findings(rates, ratios, plan.statistics.level)),
        limits=(*patients.limits, *adjusting, *_limits(len(people) - len(followed), periods)),
        tables=(
            ResultTable(ARR, rates, {"FollowUp": FOLLOW_UP_SENTENCE}),
            ResultTable(RATIOS, ratios, {"Formula": "log(relapses) = group (+ age + sex) + log(person-years)"}),
        ),
        figures=(_figure(rates, groups, periods, plan.statistics.level),),
    )


def _count(people: pd.DataFrame, onsets: Mapping[str, np.ndarray], first: float, last: pd.Series[float]) -> list[int]:
    """Return the number of relapses after one day and up to another, both counted from the baseline."""
    counts = []
    for name, start, end in zip(people.index, people["start_day"].tolist(), last.tolist(), strict=True):
        days = onsets.get(str(name), np.empty(0))
        counts.append(int(((days > start + first) & (days <= start + end)).sum()))
    return counts


def _rate_row(people: pd.DataFrame, group: str, period: str, plan: Plan) -> dict[str, object]:
    rows = people[people["group"] == group]
    counts = rows[period].to_numpy(dtype=float)
    years = rows["years"].to_numpy(dtype=float) if period == "after" else np.ones(len(rows))
    row: dict[str, object] = {
        "group": group,
        "period": period,
        "n_sub": len(rows),
        "n_with_relapse": int((counts > 0).sum()),
        "relapses": int(counts.sum()),
        "person_years": float(years.sum()),
    }
    if not len(rows):
        return {**row, "warning": "nobody was followed"}
    rate = poisson_rate(int(counts.sum()), float(years.sum()), plan.statistics.level)
    row |= {"arr": rate.rate, "ci_lo": rate.low, "ci_hi": rate.high}
    try:
        model = fit_quasi_poisson(counts, {INTERCEPT: np.ones(len(counts))}, years)
        found = model.estimate({INTERCEPT: 1.0}, plan.statistics.level)
    except ValueError as error:
        return {**row, "warning": f"no quasi-Poisson interval: {error}"}
    return {**row, "qp_lo": math.exp(found.low), "qp_hi": _exp(found.high), "dispersion": model.dispersion}


def _ratio_rows(people: pd.DataFrame, groups: Sequence[str], plan: Plan) -> Iterator[dict[str, object]]:
    if len(groups) < 2:
        return
    reference = groups[0]
    totals = {str(group): int(count) for group, count in people.groupby("group")["after"].sum().items()}
    eventful = [group for group in groups if totals.get(group, 0) > 0]
    for model, covariates in ((QUASI, ()), (ADJUSTED, COVARIATES), (NEGATIVE, ())):
        shared: dict[str, object] = {"model": model, "reference": reference, "family": f"relapse rates, {model}"}
        if reference not in eventful:
            yield from (
                {**shared, "group": group, "warning": f"not estimated: no relapses in {reference}"}
                for group in groups[1:]
            )
            continue
        chosen = adjust(people, eventful, covariates)
        for group in groups[1:]:
            if group not in eventful:
                yield {**shared, "group": group, "warning": f"not estimated: no relapses in {group}"}
        yield from _model_rows(chosen, eventful, model, shared, plan)
    for group in groups[1:]:
        yield _exact_row(people, reference, group, plan)


def _model_rows(
    chosen: Adjusted, groups: Sequence[str], name: str, shared: Mapping[str, object], plan: Plan
) -> Iterator[dict[str, object]]:
    """Yield the comparisons of one model."""
    rows = chosen.rows
    fit = fit_negative_binomial if name == NEGATIVE else fit_quasi_poisson
    notes = "; ".join(chosen.notes)
    columns = {INTERCEPT: np.ones(len(rows)), **chosen.columns}
    try:
        model = fit(rows["after"].to_numpy(), columns, rows["years"].to_numpy())
    except ValueError as error:
        for group in groups[1:]:
            yield {**shared, "group": group, "warning": f"not estimated: {error}"}
        return
    shared = {
        **shared,
        "n_obs": model.n_obs,
        "n_sub": model.n_obs,
        "n_events": model.n_events,
        "dispersion": model.dispersion,
        "extra_variance": model.extra_variance if name == NEGATIVE else math.nan,
        "assumptions": "; ".join(part for part in (_say_dispersion(model, name), notes) if part),
        "warning": _say_few(model),
    }
    wanted = [column for column in model.names if column.startswith("group[")]
    for group in groups[1:]:
        if f"group[{group}]" not in wanted:
            yield {**shared, "group": group, "warning": f"not estimated: nobody of {group} has all values"}
            continue
        found = model.estimate({f"group[{group}]": 1.0}, plan.statistics.level)
        yield {
            **shared,
            "group": group,
            "ratio": math.exp(found.value),
            "se": found.se,
            "ci_lo": math.exp(found.low),
            "ci_hi": _exp(found.high),
            "test": "z" if math.isinf(found.df) else "t",
            "statistic": found.t,
            "df": math.nan if math.isinf(found.df) else found.df,
            "p": found.p,
        }
    if len(wanted) > 1:
        joint = model.joint_test([{column: 1.0} for column in wanted])
        yield {
            **shared,
            "group": "all",
            "family": f"{shared['family']}, all groups together",
            "test": "F",
            "statistic": joint.f,
            "df_between": joint.df_between,
            "df": math.nan if math.isinf(joint.df_within) else joint.df_within,
            "p": joint.p,
        }


def _exact_row(people: pd.DataFrame, reference: str, group: str, plan: Plan) -> dict[str, object]:
    one, other = (people[people["group"] == name] for name in (reference, group))
    row: dict[str, object] = {
        "model": EXACT,
        "group": group,
        "reference": reference,
        "n_obs": len(one) + len(other),
        "n_sub": len(one) + len(other),
        "n_events": int(one["after"].sum() + other["after"].sum()),
        "family": f"relapse rates, {EXACT}",
        "test": "exact",
    }
    try:
        found = compare_rates(
            (int(one["after"].sum()), float(one["years"].sum())),
            (int(other["after"].sum()), float(other["years"].sum())),
            plan.statistics.level,
        )
    except ValueError as error:
        return {**row, "warning": f"not tested: {error}"}
    caution = "takes relapses as independent: p is too small where some persons relapse more than others"
    return {**row, "ratio": found.ratio, "ci_lo": found.low, "ci_hi": found.high, "p": found.p, "warning": caution}


def _say_dispersion(model: CountModel, name: str) -> str:
    if name == NEGATIVE:
        return f"extra variance {model.extra_variance:.2f}" + ("" if model.extra_variance else " (equals Poisson)")
    return f"dispersion {model.dispersion:.2f}"


def _say_few(model: CountModel) -> str:
    columns = len(model.names) - 1
    if model.n_events < FEWEST_EVENTS_PER_COLUMN * columns:
        return f"{say_count(model.n_events, 'relapse')} for {say_count(columns, 'coefficient')}: unsteady"
    return ""


def _exp(value: float) -> float:
    return math.exp(value) if value < 700.0 else math.inf


def _methods(periods: Sequence[str], groups: int) -> tuple[str, ...]:
    sentences = [
        f"{FOLLOW_UP_SENTENCE} The annualised relapse rate is the number of relapses that began after the first and up "
        "to the last day of follow-up, divided by person-years, with exact Poisson and quasi-Poisson intervals."
    ]
    if "before" in periods:
        sentences.append(
            "The rate before the baseline is that of the 365.25 days up to it, counting one year for each person."
        )
    if groups > 1:
        sentences.append(
            "Rates were compared by quasi-Poisson regression of each person's relapses on the group with "
            "log(person-years) as offset (t and F tests on the residual degrees of freedom; primary), again adjusted "
            "for age and sex, and by negative binomial regression (variance m + a m^2; normal approximation). The "
            "exact test of Poisson rates is given for groups without relapses, of which no model can say anything."
        )
    return tuple(sentences)


def _findings(
    rates: Sequence[Mapping[str, object]], ratios: Sequence[Mapping[str, object]], level: float
) -> Iterator[str]:
    said = [row for row in rates if row["period"] == "after" and "arr" in row]
    # With more groups than two the numbers would make the sentence a table.
    parts = [
        f"{row['group']} {say_cell(row, 'arr')} ({_interval(row, level)}"
        + (
            f"; {row['relapses']} relapses in {say_cell(row, 'person_years')} person-years, n = {row['n_sub']})"
            if len(said) < 3
            else ")"
        )
        for row in said[:4]
    ]
    if parts:
        yield f"Annualised relapse rate: {'; '.join(parts)}."
    for model in (QUASI, ADJUSTED):
        rows = [row for row in ratios if row["model"] == model]
        for row in [row for row in rows if "ratio" in row][:2]:
            label = "Relapse rate ratio" if model == QUASI else "Adjusted for age and sex, the relapse rate ratio"
            yield (
                f"{label} of {row['group']} to {row['reference']} {'was ' if model != QUASI else ''}"
                f"{say_cell(row, 'ratio')} ({_interval(row, level)}; t({as_float(row, 'df'):.0f}) = "
                f"{as_float(row, 'statistic'):.2f}, {say_chances(row)}; "
                f"n = {row['n_sub']}, dispersion {say_cell(row, 'dispersion')})."
            )
        untested = [row for row in rows if "ratio" not in row and row["group"] != "all"]
        if untested and model == QUASI:
            reasons = [f"{row['group']} ({row['warning']})" for row in untested]
            yield f"Not compared: {'; '.join(reasons)}."


def _interval(row: Mapping[str, object], level: float) -> str:
    return interval_of(row, level)


def _limits(left_out: int, periods: Sequence[str]) -> Iterator[str]:
    if left_out:
        yield f"{say_count(left_out, 'patient')} without two sessions or visits of known days left out."
    yield "A person without a recorded relapse counts as one without relapses: those that were missed lower the rate."
    if "before" in periods:
        yield (
            "Treatment is begun when the disease is active: part of the fall of the rate after the baseline is "
            "regression to the mean."
        )


def _figure(
    rates: Sequence[Mapping[str, object]], groups: Sequence[str], periods: Sequence[str], level: float
) -> Figure:
    points = tuple(
        RatePoint(
            str(row["group"]), str(row["period"]), as_float(row, "arr"), as_float(row, "ci_lo"), as_float(row, "ci_hi"),
            as_count(row, "n_sub"), as_count(row, "relapses"),
        )
        for row in rates
        if "arr" in row
    )  # fmt: skip
    when = "in the year before the baseline and after it" if "before" in periods else "from the baseline on"
    return Figure(
        "relapse_rates",
        f"Annualised relapse rate {when}, with exact Poisson {100 * level:.0f} % confidence intervals.",
        f"Relapse rates of {len(groups)} groups as points with intervals.",
        partial(draw_rates, points, tuple(groups)),
    )
