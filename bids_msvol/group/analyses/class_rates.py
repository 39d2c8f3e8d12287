# SPDX-License-Identifier: Apache-2.0
"""Annual rates compared between classes of progression: stable, PIRA, RAW, undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.rates import check_normal, say_covariates, usable_covariates
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    INTERVAL,
    NOTES,
    REGION,
    Q,
    estimate_cells,
    number,
    p_column,
    with_q,
)
from bids_msvol.group.wording import say_count
from bids_msvol.stats.ancova import fit_ancova
from bids_msvol.stats.regression import influence

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.clinical.events import History
    from bids_msvol.group.plan import Plan

FIRST_REGIONS = ("Cortex", "DeepGray", "Amygdala", "Thalamus", "Ventricles", "WholeBrain")
"""Regions that are looked at first, a family of their own."""

CLASSES = ("stable", "PIRA", "RAW", "undefined")
"""What EDSS did over the whole follow-up; the first is the reference."""

LEAST_PER_CLASS = 3
"""Persons of a class that is compared; with fewer its spread is not known."""

CLASS_RATES = Table(
    "Rates of change by class of progression",
    "progression_rates.tsv",
    "One row for each region and test: all classes together, adjusted mean of each class, each pair of classes.",
    (
        REGION,
        Column("unit", "Unit of the rates."),
        Column("term", "What the row tells: omnibus, mean of a class, or second class less first."),
        *COUNTS,
        number("estimate", "Adjusted mean, or adjusted difference, in the unit of the rates."),
        number("se", "Its standard error."),
        *INTERVAL,
        number("f", "F statistic of the omnibus test."),
        number("df_between", "Degrees of freedom above the line of F."),
        number("df", "Degrees of freedom of the error."),
        p_column(),
        Q,
        Column("errors", "Standard errors behind p: equal, for one variance in all classes; HC3, if they may differ."),
        p_column("p_other", "P value with the other kind of standard errors."),
        number("partial_eta2", "Share of the variance not explained by covariates that the classes take."),
        number("hedges_g", "Difference in standard deviations of the error, corrected for small samples."),
        number("g_lo", "Lower end of its confidence interval."),
        number("g_hi", "Upper end."),
        number("raw_mean", "Mean of the class, not adjusted."),
        number("raw_sd", "Its standard deviation."),
        Column("covariates", "What was adjusted for."),
        FAMILY,
        *NOTES,
    ),
)


@dataclass(frozen=True, eq=False)
class ClassData:
    """Rates of persons and what they are compared by.

    Attributes
    ----------
    rates
        (person, region) annual rates.
    units
        Of the regions.
    classes
        (person,) one of `CLASSES`, or ``unknown``.
    covariates
        (person, covariate).
    """

    rates: pd.DataFrame
    units: Mapping[str, str]
    classes: pd.Series[str]
    covariates: pd.DataFrame


def classify(history: History | None) -> str:
    """Return the class of a person: PIRA, RAW, undefined, stable, or unknown.

    A person with any PIRA is PIRA; else any RAW makes RAW, else any other worsening makes undefined. Stable is who had
    no worsening, none left open at the end, and was followed long enough for one to be confirmed.
    """
    if history is None:
        return "unknown"
    kinds = {event.association or "undefined" for event in history.events if event.kind == "CDW"}
    for kind in ("PIRA", "RAW", "undefined"):
        if kind in kinds:
            return kind
    return "unknown" if history.unconfirmed is not None or history.last_confirmable_day is None else "stable"


def family_of(region: str) -> str:
    """Return the family of tests that a region belongs to."""
    return "first regions" if region in FIRST_REGIONS else "further regions"


def class_rows(data: ClassData, plan: Plan) -> tuple[dict[str, object], ...]:
    """Compare the rates of classes: for each region all together, adjusted means, and each pair."""
    rows: list[dict[str, object]] = []
    for region in data.rates:
        rows += _class_tests(str(region), data, plan)
    return with_q(rows)


def _class_tests(region: str, data: ClassData, plan: Plan) -> list[dict[str, object]]:
    known = data.rates[region].notna() & (data.classes != "unknown")
    covariates = usable_covariates(data.covariates[known])
    use = known & data.covariates[covariates].notna().all(axis=1)
    values, classes = data.rates.loc[use, region].astype(float), data.classes[use]
    counts = {name: int((classes == name).sum()) for name in CLASSES}
    compared = [name for name in CLASSES if counts[name] >= LEAST_PER_CLASS]
    base: dict[str, object] = {
        "roi": region,
        "unit": data.units[region],
        "covariates": say_covariates(covariates),
    }

    def row(term: str, count: int, **cells: object) -> dict[str, object]:
        # Terms are tests of different hypotheses: each is a family of its own over the regions.
        family = f"{term}, {family_of(region)}"
        return base | {"term": term, "n_obs": count, "n_sub": count, "family": family} | cells

    pairs = [(first, second) for place, first in enumerate(CLASSES) for second in CLASSES[place + 1 :]]
    raw = {
        name: {"raw_mean": float(part.mean()), "raw_sd": float(part.std(ddof=1))} if len(part) else {}
        for name in CLASSES
        for part in [values[classes == name]]
    }
    few = f"not tested: fewer than {LEAST_PER_CLASS} persons in a class"
    inside = classes.isin(compared)
    try:
        if len(compared) < 2:
            raise ValueError(f"fewer than two classes have {LEAST_PER_CLASS} persons")
        columns = {name: data.covariates.loc[use, name][inside].to_numpy() for name in covariates}
        columns = {name: column for name, column in columns.items() if np.ptp(column) > 0.0}
        args = (values[inside].to_numpy(), classes[inside].to_numpy(dtype=str), columns)
        found = fit_ancova(*args, reference=compared[0], level=plan.statistics.level)
        try:
            robust = fit_ancova(*args, reference=compared[0], errors="HC3", level=plan.statistics.level)
        except ValueError:
            robust = None
    except ValueError as error:
        warning = f"not tested: {error}"
        return [
            row("omnibus", int(inside.sum()), warning=warning),
            *(row(f"mean {name}", counts[name], warning=warning, **raw[name]) for name in CLASSES),
            *(row(f"{two} - {one}", counts[one] + counts[two], warning=warning) for one, two in pairs),
        ]
    severe = int(influence(found.fit).severe.sum())
    notes = {
        "assumptions": check_normal(found.fit.residuals) + "; SD " + _spreads(raw, compared),
        "warning": f"{say_count(severe, 'person')} with Cook's distance above 1" if severe else "",
    }
    rows = [
        row(
            "omnibus",
            found.fit.n_obs,
            f=found.omnibus.f,
            df_between=found.omnibus.df_between,
            df=found.omnibus.df_within,
            p=found.omnibus.p,
            errors="equal",
            p_other=robust.omnibus.p if robust else None,
            partial_eta2=found.omnibus.partial_eta_squared,
            **notes,
        )
    ]
    for name in CLASSES:
        if name not in compared:
            rows.append(row(f"mean {name}", counts[name], warning=few, **raw[name]))
            continue
        mean = found.adjusted_means[name]
        cells = {key: value for key, value in estimate_cells(mean).items() if key != "p"}
        rows.append(row(f"mean {name}", counts[name], estimate=mean.value, **cells, **raw[name]))
    # Classes differ in spread: pairs are tested with errors that allow for it, unless these have no answer.
    chosen, other = (robust, found) if robust else (found, None)
    differences = {frozenset((one.first, one.second)): one for one in chosen.differences}
    others = {frozenset((one.first, one.second)): one.difference.p for one in other.differences} if other else {}
    for first, second in pairs:
        count = counts[first] + counts[second]
        pair = differences.get(frozenset((first, second)))
        if pair is None:
            rows.append(row(f"{second} - {first}", count, warning=few))
            continue
        sign = 1.0 if pair.first == first else -1.0
        low, high = sorted((sign * pair.difference.low, sign * pair.difference.high))
        g_low, g_high = sorted((sign * pair.effect_low, sign * pair.effect_high))
        cells = estimate_cells(pair.difference) | {"ci_lo": low, "ci_hi": high, "errors": chosen.fit.errors}
        cells |= {"estimate": sign * pair.difference.value, "hedges_g": sign * pair.effect_size}
        cells |= {"g_lo": g_low, "g_hi": g_high, "p_other": others.get(frozenset((first, second)))}
        rows.append(row(f"{second} - {first}", count, **cells, **notes))
    return rows


def _spreads(raw: Mapping[str, Mapping[str, float]], compared: list[str]) -> str:
    return ", ".join(f"{name} {raw[name]['raw_sd']:.3g}" for name in compared)
