# SPDX-License-Identifier: Apache-2.0
"""Classes in progression: annual rates of people with stable disability, PIRA, RAW and undefined worsening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.cells import structure_label
from bids_msvol.group.checks import join_notes, say_decisive, say_shape
from bids_msvol.group.covariates import Covariates, covariate_columns, say_adjusted, say_not_adjusted
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    INTERVAL,
    NOTES,
    Q,
    estimate_cells,
    number,
    p_column,
    with_q,
)
from bids_msvol.stats.ancova import fit_ancova
from bids_msvol.stats.design import INTERCEPT, treatment_columns
from bids_msvol.stats.regression import influence

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.clinical.events import History
    from bids_msvol.group.plan import Plan

PRIMARY_REGIONS = ("WholeBrain", "DeepGray", "Cortex", "Amygdala", "Ventricles")
"""Regions that are looked at first, in this order, a family of their own."""

CORD = "C2-C3"
"""Level of the cord whose rates are compared beside those of the brain: the one most often measured."""

CLASSES = ("stable", "PIRA", "RAW", "undefined")
"""What EDSS did over the whole follow-up; the first is the reference."""

LEAST_PER_CLASS = 3
"""Persons of a class that is compared; with fewer its spread is not known."""

LEAST_IN_SENTENCE = 5
"""Persons of a class that a sentence speaks of; a table with its warnings may have fewer."""

CLASS_RATES = Table(
    "Rates of change by class of progression",
    "progression_rates.tsv",
    "One row for each region (and the area of the cord at C2-C3) and test: all classes together, adjusted mean of each "
    "class, each pair of classes. Primary regions are whole brain, deep grey matter, cortex, amygdala and ventricles.",
    (
        Column("roi", "Region of the brain, C2-C3 of the cord, or CorticalThickness."),
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
    people
        (person, covariate).
    covariates
        Those that are adjusted for.
    """

    rates: pd.DataFrame
    units: Mapping[str, str]
    classes: pd.Series[str]
    people: pd.DataFrame
    covariates: Covariates


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
    if region == CORD:
        return "cord"
    return "primary regions" if region in PRIMARY_REGIONS else "further regions"


def place_label(region: str) -> str:
    """Return how a reader calls a region, the cortical thickness, or the cord."""
    return f"Cord area at {CORD}" if region == CORD else structure_label(region)


def say_place(region: str) -> str:
    """Return the same within a sentence: ``whole brain``."""
    label = place_label(region)
    return label[0].lower() + label[1:]


def class_rows(data: ClassData, plan: Plan) -> tuple[dict[str, object], ...]:
    """Compare the rates of classes: for each region all together, adjusted means, and each pair."""
    rows: list[dict[str, object]] = []
    for region in data.rates:
        rows += _class_tests(str(region), data, plan)
    return with_q(rows)


def _class_tests(region: str, data: ClassData, plan: Plan) -> list[dict[str, object]]:
    use = data.rates[region].notna() & (data.classes != "unknown") & data.covariates.known(data.people)
    values, classes = data.rates.loc[use, region].astype(float), data.classes[use]
    counts = {name: int((classes == name).sum()) for name in CLASSES}
    compared = [name for name in CLASSES if counts[name] >= LEAST_PER_CLASS]
    inside = classes.isin(compared)
    labels = classes[inside].to_numpy(dtype=str)
    columns, left_out = _columns(data.people.loc[use][inside], labels, data.covariates.names)
    base: dict[str, object] = {
        "roi": region,
        "unit": data.units[region],
        "covariates": say_adjusted(data.covariates.names, left_out),
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
    try:
        if len(compared) < 2:
            raise ValueError(f"fewer than two classes have {LEAST_PER_CLASS} persons")
        args = (values[inside].to_numpy(), labels, columns)
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
    decisive = say_decisive(influence(found.fit).cooks_distance, classes.index[inside].to_numpy(dtype=object))
    notes = {
        "assumptions": f"residuals: {say_shape(found.fit.residuals)}; SD {_spreads(raw, compared)}",
        "warning": join_notes(decisive, say_not_adjusted(left_out)),
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


def _columns(
    people: pd.DataFrame, labels: NDArray[np.str_], names: Sequence[str]
) -> tuple[dict[str, NDArray[np.float64]], tuple[str, ...]]:
    if len(set(labels)) < 2:
        return {}, ()
    base = {INTERCEPT: np.ones(len(labels)), **treatment_columns("group", labels)}
    return covariate_columns(people, names, base)


def _spreads(raw: Mapping[str, Mapping[str, float]], compared: list[str]) -> str:
    return ", ".join(f"{name} {raw[name]['raw_sd']:.3g}" for name in compared)
