# SPDX-License-Identifier: Apache-2.0
"""Atrophy and progression: rates of people with PIRA, RAW and stable disability; EDSS, SDMT and OCT against rates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.clinical.definitions import describe, find_definition
from bids_msvol.group.analyses.progression_classes import (
    CLASS_RATES,
    CLASSES,
    CORD,
    LEAST_IN_SENTENCE,
    PRIMARY_REGIONS,
    ClassData,
    class_rows,
    classify,
    place_label,
)
from bids_msvol.group.analyses.progression_oct import OCT, oct_rows
from bids_msvol.group.analyses.progression_scales import SCALE_RATES, scale_rows
from bids_msvol.group.analyses.progression_words import (
    say_class_findings,
    say_oct_findings,
    say_primary_regions,
    say_scale_findings,
)
from bids_msvol.group.analyses.rates import Rates, brain_rates, cord_rates, scale_slopes, thickness_rates
from bids_msvol.group.cells import THICKNESS, as_count, as_float
from bids_msvol.group.covariates import choose_covariates
from bids_msvol.group.figures.rates import ClassDots, Trajectories, draw_class_rates, draw_trajectories
from bids_msvol.group.people import Patients, find_patients, is_control
from bids_msvol.group.regions import region_label
from bids_msvol.group.result import (
    Analysis,
    CannotAnalyseError,
    Figure,
    ResultTable,
    number,
)
from bids_msvol.group.wording import say_count, say_list

if TYPE_CHECKING:
    from bids_msvol.clinical.events import Event
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "progression"
TITLE = "Atrophy and progression"

TRAJECTORY_REGIONS = ("WholeBrain", "DeepGray")
"""Regions whose course is drawn."""

TABLES: tuple[Table, ...] = (
    CLASS_RATES,
    SCALE_RATES,
    OCT,
    Table(
        "EDSS events",
        "events.tsv",
        "One row for each confirmed change of EDSS, and each worsening at the end of follow-up that no visit can "
        "confirm.",
        (
            Column("participant_id", "Person."),
            Column("kind", "CDW: confirmed worsening; CDI: confirmed improvement."),
            Column("association", "Of a worsening: PIRA, RAW or undefined; n/a if relapses were not recorded."),
            number("day", "Day of the visit at which it was first seen."),
            number("value", "EDSS then."),
            number("baseline_day", "Day of the visit it was compared with."),
            number("baseline_value", "EDSS it was compared with."),
            number("confirmation_day", "Day of the visit that confirmed it."),
            number("confirmation_value", "EDSS then."),
            number("pira_confirmation_day", "Day of the visit that confirmed it as PIRA."),
            number("sustained_days", "Days from its onset to the last visit that holds it."),
            Column("sustained_to_end", "Whether that is the last visit of all: yes or no."),
            Column("confirmed", "yes; or open: at the end of follow-up, no visit can confirm it."),
        ),
    ),
)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Relate annual rates to progression; see `bids_msvol.group.result.Analysis`."""
    brain = brain_rates(study, (*PRIMARY_REGIONS, *plan.regions.atrophy))
    who = find_patients(study)
    patients = study.persons.index[~is_control(study)]
    data = _gather(study, brain, patients)
    if not data.rates.notna().to_numpy().any():
        raise CannotAnalyseError("no patient has two scans at least half a year apart")
    slopes = {scale: scale_slopes(study, scale).reindex(patients) for scale in ("edss", "sdmt")}
    has_oct = study.sessions[["rnfl_um", "gcipl_um"]].notna().to_numpy().any()
    if not (data.classes != "unknown").any() and not has_oct and not any(s.notna().any() for s in slopes.values()):
        raise CannotAnalyseError("there are no repeated values of EDSS or SDMT, and no OCT")
    rows = class_rows(data, plan)
    head = data.rates.drop(columns=CORD, errors="ignore")
    groups = who.group.loc[patients] if len(who.groups) > 1 else None
    scales = scale_rows(head, data.units, slopes, data.people, data.covariates, groups, plan)
    oct_table = oct_rows(study, head, data.people, data.covariates, plan)
    level = plan.statistics.level
    definition = describe(find_definition(plan.activity.definition, unconfirmed_last=plan.activity.unconfirmed_last))
    contents = (rows, scales, oct_table, _event_rows(study))
    sidecar = _sidecar(plan, who, definition)
    return Analysis(
        name=NAME,
        title=TITLE,
        question="Do regions of the brain shrink faster in people who progress without relapses, and with their EDSS, "
        "SDMT and retina?",
        methods=_methods(study, who, brain, definition, data, plan),
        findings=(
            *say_class_findings(rows, level),
            *say_scale_findings(scales, level),
            *say_oct_findings(oct_table, level),
        ),
        limits=_limits(data, study, who),
        tables=tuple(ResultTable(table, rows, sidecar) for table, rows in zip(TABLES, contents, strict=True)),
        figures=_figures(study, data, rows, level),
    )


def _gather(study: Study, brain: Rates, patients: pd.Index[str]) -> ClassData:
    cortex, cord = thickness_rates(study), cord_rates(study, (CORD,))
    more = [one.rate.reindex(patients).dropna(axis=1, how="all") for one in (cortex, cord)]
    rates = pd.concat([brain.rate.reindex(patients), *more], axis=1)
    units = {str(name): cortex.unit if name == THICKNESS else brain.unit for name in rates}
    classes = pd.Series([classify(study.histories.get(str(name))) for name in patients], patients, dtype=object)
    people = study.persons.loc[patients]
    covariates = choose_covariates(people[rates.notna().any(axis=1)], ("age", "sex", "disease_duration"))
    return ClassData(rates, units, classes, people, covariates)


def _event_rows(study: Study) -> tuple[dict[str, object], ...]:
    rows = []
    for person, history in study.histories.items():
        open_end = [] if history.unconfirmed is None else [history.unconfirmed]
        rows += [_event_row(person, event) for event in history.events]
        rows += [_event_row(person, event) | {"confirmed": "open"} for event in open_end]
    return tuple(rows)


def _event_row(person: str, event: Event) -> dict[str, object]:
    return {
        "participant_id": person,
        **{name: getattr(event, name) for name in event.__dataclass_fields__},
        "sustained_to_end": "yes" if event.sustained_to_end else "no",
        "confirmed": "open" if event.confirmation_day is None else "yes",
    }


def _methods(
    study: Study, who: Patients, brain: Rates, definition: str, data: ClassData, plan: Plan
) -> tuple[str, ...]:
    counts = {name: int((data.classes == name).sum()) for name in (*CLASSES, "unknown")}
    cord = (
        f" That of the area of the cord at {CORD} was the slope of its logarithm, and is a family of its own."
        if CORD in data.rates
        else ""
    )
    held = (
        f" Both hold {study.group_name} ({say_list(who.groups)}) constant, the correlation as a partial one of ranks."
        if len(who.groups) > 1
        else ""
    )
    return (
        f"Each person's annual rate was the {brain.method}; scans less than half a year apart gave none.{cord}",
        f"Confirmed events of EDSS were found by the definition '{plan.activity.definition}'. {definition} A person "
        "with any PIRA was counted as PIRA, else with any RAW as RAW, else with any other worsening as undefined; "
        "stable was who had none and was followed long enough for one to be confirmed "
        f"({', '.join(f'{name} {count}' for name, count in counts.items())}).",
        f"Rates were compared by analysis of covariance adjusted for {data.covariates.text()}; the omnibus test and "
        "PIRA against stable are primary. Pairs of classes were tested with standard errors that hold where classes "
        f"differ in variance (HC3). Effect sizes are Hedges' g. Primary regions, in this order, are "
        f"{say_primary_regions()}; these and the further regions are families of their own, corrected after Benjamini "
        f"and Hochberg. Of a class with fewer than {LEAST_IN_SENTENCE} persons the table tells, no sentence.",
        "Change of EDSS and SDMT a year (least squares over all visits) and rates were related by Spearman's "
        f"correlation and by a linear model with the same covariates.{held} OCT thickness and volumes relative to the "
        "intracranial volume at the same session were related by a mixed model with a random intercept of the person, "
        "with age and disease duration at that session.",
    )


def _limits(data: ClassData, study: Study, who: Patients) -> tuple[str, ...]:
    controls = int(is_control(study).sum())
    unknown_group = int(who.group.loc[data.rates.index].isna().sum()) if len(who.groups) > 1 else 0
    without = {
        "without a class (no EDSS, follow-up too short for an event to be confirmed, or a worsening left open)": int(
            (data.classes == "unknown").sum()
        ),
        "without a rate": int(data.rates.isna().all(axis=1).sum()),
    }
    left_out = [f"{say_count(count, 'person')} {why}" for why, count in without.items() if count]
    relapses = ("Relapses were not recorded: every worsening counts as undefined.",) if study.relapses is None else ()
    return (
        *(f"{say_count(controls, 'healthy control')} took no part.",) * bool(controls),
        *(f"Left out: {say_list(left_out)}.",) * bool(left_out),
        *(f"{say_count(unknown_group, 'person')} of unknown group left out where groups are held constant.",)
        * bool(unknown_group),
        *data.covariates.notes,
        *relapses,
        "Whoever is followed longer has more chances of an event, and the time of rates and of events is the same: "
        "which comes first is not asked. Classes are compared with all groups taken together.",
    )


def _sidecar(plan: Plan, who: Patients, definition: str) -> dict[str, object]:
    held = "group + " if len(who.groups) > 1 else ""
    return {
        "Definition": definition,
        "ClassModel": "rate ~ class + age + sex + disease_duration, least squares; pairs with HC3 errors",
        "ScaleModel": f"rate ~ change of scale + {held}age + sex + disease_duration, least squares",
        "PrimaryRegions": list(PRIMARY_REGIONS),
        "Families": "each term over the primary regions, over the further regions, and for the cord",
        "ConfidenceLevel": plan.statistics.level,
    }


def _figures(study: Study, data: ClassData, rows: tuple[dict[str, object], ...], level: float) -> tuple[Figure, ...]:
    shown = [name for name in CLASSES if (data.classes == name).any()]
    if not shown:
        return ()
    regions = [name for name in TRAJECTORY_REGIONS if name in data.rates and data.rates[name].notna().any()]
    courses = [_trajectories(study, data, region, name) for region in regions for name in shown]
    dots = [
        _dots(data, rows, region, shown)
        for region in (*PRIMARY_REGIONS, "Thalamus", THICKNESS, CORD)
        if region in data.rates and data.rates[region].notna().any()
    ]
    drawn = {name: [one.count() for one in courses if one.name == name] for name in shown}
    points = {name: [len(one.values[place]) for one in dots] for place, name in enumerate(shown)}
    interval = f"{100 * level:g} % confidence interval"
    return (
        Figure(
            "progression_trajectories",
            f"Change from the first scan in people with two scans or more by class of progression "
            f"({_say_drawn(drawn)}); thin lines are persons, the thick line and band are the mean and its {interval} "
            "at each year with three persons.",
            "Lines of change of brain volume over years, a panel for each class and region.",
            partial(draw_trajectories, tuple(courses), len(shown), level),
        ),
        Figure(
            "progression_rates",
            f"Annual rates by class of progression ({_say_drawn(points)}): dots are persons, markers and bars are "
            f"adjusted means with their {interval}; p is that of PIRA against stable, not corrected, and not given "
            f"where one of them has fewer than {LEAST_IN_SENTENCE} persons.",
            "Dots of annual rates of each region by class of progression, with adjusted means and intervals.",
            partial(draw_class_rates, tuple(dots), level),
        ),
    )


def _say_drawn(counts: dict[str, list[int]]) -> str:
    """Return ``stable n = 80, PIRA n = 44 to 45``: persons drawn in the panels of each class."""
    parts = []
    for name, drawn in counts.items():
        low, high = min(drawn, default=0), max(drawn, default=0)
        parts.append(f"{name} n = {low}" + (f" to {high}" if high > low else ""))
    return ", ".join(parts)


def _trajectories(study: Study, data: ClassData, region: str, name: str) -> Trajectories:
    scans = study.sessions.loc[study.volumes_mm3.index, ["participant_id", "years"]].dropna()
    scans = scans[scans["participant_id"].isin(data.classes.index[data.classes == name])]
    first = scans.reset_index(names="row").groupby("participant_id")["row"].first()
    start = first.reindex(scans["participant_id"]).to_numpy()
    since = scans["years"].to_numpy() - scans["years"].reindex(start).to_numpy()
    change = study.change(start.tolist(), scans.index.tolist(), [region], "pct")[region].to_numpy(dtype=float)
    change = np.where(since == 0.0, 0.0, change)
    persons = scans["participant_id"].to_numpy(dtype=str)
    # One scan makes no course.
    followed = np.isin(persons, persons[(since > 0.0) & np.isfinite(change)])
    return Trajectories(region_label(region), name, persons[followed], since[followed], change[followed])


def _dots(data: ClassData, rows: tuple[dict[str, object], ...], region: str, shown: list[str]) -> ClassDots:
    by_term = {str(row["term"]): row for row in rows if row["roi"] == region}
    means = [by_term[f"mean {name}"] for name in shown]
    fewest = min(as_count(by_term[f"mean {name}"], "n_sub") for name in ("PIRA", CLASSES[0]))
    return ClassDots(
        label=place_label(region),
        unit="mm a year" if data.units[region] == "mm/year" else "% a year",
        classes=tuple(shown),
        values=tuple(data.rates.loc[data.classes == name, region].dropna().to_numpy(dtype=float) for name in shown),
        means=tuple((as_float(row, "estimate"), as_float(row, "ci_lo"), as_float(row, "ci_hi")) for row in means),
        p=as_float(by_term["PIRA - stable"], "p") if fewest >= LEAST_IN_SENTENCE else float("nan"),
    )
