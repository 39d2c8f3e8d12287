# SPDX-License-Identifier: Apache-2.0
"""Atrophy and progression: rates of people with PIRA, RAW and stable disability; EDSS, SDMT and OCT against rates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.clinical.definitions import describe, find_definition
from bids_msvol.group.analyses.class_rates import (
    CLASS_RATES,
    CLASSES,
    FIRST_REGIONS,
    ClassData,
    class_rows,
    classify,
    family_of,
)
from bids_msvol.group.analyses.oct_volumes import OCT, oct_rows
from bids_msvol.group.analyses.rates import (
    THICKNESS,
    Rates,
    brain_rates,
    person_covariates,
    say_some,
    scale_slopes,
    thickness_rates,
)
from bids_msvol.group.analyses.scale_rates import SCALE_RATES, scale_rows
from bids_msvol.group.figures.rates import ClassDots, Trajectories, draw_class_rates, draw_trajectories
from bids_msvol.group.regions import region_label
from bids_msvol.group.result import (
    Analysis,
    CannotAnalyseError,
    Figure,
    ResultTable,
    number,
)
from bids_msvol.group.wording import say_count, say_interval, say_list, say_number, say_p

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
    brain = brain_rates(study, (*FIRST_REGIONS, *plan.regions.atrophy))
    cortex = thickness_rates(study)
    patients = study.persons.index[~study.persons["is_control"].astype(bool)]
    data = _gather(study, brain, cortex, patients)
    if not data.rates.notna().to_numpy().any():
        raise CannotAnalyseError("no patient has two scans at least half a year apart")
    slopes = {scale: scale_slopes(study, scale).reindex(patients) for scale in ("edss", "sdmt")}
    has_oct = study.sessions[["rnfl_um", "gcipl_um"]].notna().to_numpy().any()
    if not (data.classes != "unknown").any() and not has_oct and not any(s.notna().any() for s in slopes.values()):
        raise CannotAnalyseError("there are no repeated values of EDSS or SDMT, and no OCT")
    rows = class_rows(data, plan)
    scales = scale_rows(data.rates, data.units, slopes, data.covariates, plan)
    oct_table = oct_rows(study, data.rates, data.units, data.covariates, plan)
    definition = describe(find_definition(plan.activity.definition, unconfirmed_last=plan.activity.unconfirmed_last))
    contents = (rows, scales, oct_table, _event_rows(study))
    return Analysis(
        name=NAME,
        title=TITLE,
        question="Do regions of the brain shrink faster in people who progress without relapses, and with their EDSS, "
        "SDMT and retina?",
        methods=_methods(brain, definition, data, plan),
        findings=(*_class_findings(rows, data, plan), *_scale_findings(scales), *_oct_findings(oct_table)),
        limits=_limits(data, study),
        tables=tuple(
            ResultTable(table, rows, _sidecar(plan, definition)) for table, rows in zip(TABLES, contents, strict=True)
        ),
        figures=_figures(study, data, rows),
    )


def _gather(study: Study, brain: Rates, cortex: Rates, patients: pd.Index[str]) -> ClassData:
    rates = pd.concat([brain.rate, cortex.rate.dropna(axis=1, how="all")], axis=1).reindex(patients)
    units = {str(name): cortex.unit if name == THICKNESS else brain.unit for name in rates}
    classes = pd.Series([classify(study.histories.get(str(name))) for name in patients], patients, dtype=object)
    return ClassData(rates, units, classes, person_covariates(study).reindex(patients))


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


def _methods(brain: Rates, definition: str, data: ClassData, plan: Plan) -> tuple[str, ...]:
    counts = {name: int((data.classes == name).sum()) for name in (*CLASSES, "unknown")}
    return (
        f"Each person's annual rate was the {brain.method}; scans less than half a year apart gave none.",
        f"Confirmed events of EDSS were found by the definition '{plan.activity.definition}'. {definition} A person "
        "with any PIRA was counted as PIRA, else with any RAW as RAW, else with any other worsening as undefined; "
        "stable was who had none and was followed long enough for one to be confirmed "
        f"({', '.join(f'{name} {count}' for name, count in counts.items())}).",
        "Rates were compared by analysis of covariance adjusted for age, sex and disease duration where these were "
        "known; the omnibus test and PIRA against stable are primary. Pairs of classes were tested "
        "with standard errors that hold where classes differ in variance (HC3). Effect sizes are Hedges' g. First "
        f"regions ({say_list([region_label(name).lower() for name in FIRST_REGIONS])}) and further regions are "
        "families of their own, corrected after Benjamini and Hochberg.",
        "Change of EDSS and SDMT a year (least squares over all visits) and rates were related by Spearman's "
        "correlation and by a linear model with the same covariates; OCT thickness and volumes relative to the "
        "intracranial volume at the same session by a mixed model with a random intercept of the person.",
    )


def _class_findings(rows: tuple[dict[str, object], ...], data: ClassData, plan: Plan) -> list[str]:
    tested = [row for row in rows if row["term"] == "PIRA - stable" and isinstance(row.get("p"), float)]
    if not tested:
        counts = ", ".join(f"{name} {int((data.classes == name).sum())}" for name in CLASSES)
        return [f"PIRA and stable disability could not be compared: too few persons in a class ({counts})."]
    first = min(tested, key=lambda row: (family_of(str(row["roi"])) != "first regions", _float(row, "p")))
    unit = {"percent/year": "% a year", "mm/year": "mm a year"}[str(first["unit"])]
    held = [region_label(str(row["roi"])).lower() for row in tested if _float(row, "q_bh") < 0.05]
    omnibus = next(row for row in rows if row["term"] == "omnibus" and row["roi"] == first["roi"])
    stand = f"{say_some(held)} {'stand' if len(held) > 1 else 'stands'}" if held else "no region stands"
    return [
        f"People with PIRA against stable people: the clearest difference of the first regions was in "
        f"{region_label(str(first['roi'])).lower()}, {say_number(_float(first, 'estimate'))} {unit} "
        f"({say_interval(_float(first, 'ci_lo'), _float(first, 'ci_hi'), plan.statistics.level)}; Hedges' g "
        f"{say_number(_float(first, 'hedges_g'), 2)}, {say_p(_float(first, 'p'))}, "
        f"{say_p(_float(first, 'q_bh'), 'q')}; n = {first['n_obs']}, adjusted for {first['covariates']}); all classes "
        f"together F({_float(omnibus, 'df_between'):g}, {_float(omnibus, 'df'):g}) = "
        f"{say_number(_float(omnibus, 'f'))}, {say_p(_float(omnibus, 'p'))}.",
        f"After correction within first and further regions, {stand} (PIRA against stable, q < 0.05, "
        f"{len(tested)} regions); uncorrected p values are exploratory.",
    ]


def _scale_findings(rows: tuple[dict[str, object], ...]) -> list[str]:
    findings = []
    for scale in ("EDSS", "SDMT"):
        tested = [row for row in rows if row["scale"] == scale and isinstance(row.get("p"), float)]
        if not tested:
            continue
        first = min(tested, key=lambda row: _float(row, "p"))
        findings.append(
            f"Change of {scale} a year went most clearly with {region_label(str(first['roi'])).lower()}: Spearman's "
            f"rho {say_number(_float(first, 'rho'), 2)} ({say_interval(_float(first, 'ci_lo'), _float(first, 'ci_hi'))}"
            f"; {say_p(_float(first, 'p'))}, {say_p(_float(first, 'q_bh'), 'q')}; n = {first['n_sub']}; "
            f"exploratory over {len(tested)} regions)."
        )
    return findings


def _oct_findings(rows: tuple[dict[str, object], ...]) -> list[str]:
    tested = [row for row in rows if isinstance(row.get("p"), float)]
    if not tested:
        return []
    first = min(tested, key=lambda row: _float(row, "p"))
    return [
        f"OCT: the clearest relation was between {first['measure']} and {region_label(str(first['roi'])).lower()} "
        f"({first['relation']}): {say_number(_float(first, 'estimate'))} {first['unit']} for each standard deviation "
        f"({say_interval(_float(first, 'ci_lo'), _float(first, 'ci_hi'))}; {say_p(_float(first, 'p'))}, "
        f"{say_p(_float(first, 'q_bh'), 'q')}; {say_count(int(_float(first, 'n_sub')), 'person')}; exploratory over "
        f"{len(tested)} tests)."
    ]


def _float(row: Mapping[str, object], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, float | int) else float("nan")


def _limits(data: ClassData, study: Study) -> tuple[str, ...]:
    unknown = int((data.classes == "unknown").sum())
    no_rate = int(data.rates.isna().all(axis=1).sum())
    relapses = ("Relapses were not recorded: every worsening counts as undefined.",) if study.relapses is None else ()
    return (
        f"{say_count(unknown, 'person')} without a class (no EDSS, follow-up too short for an event to be confirmed, "
        f"or a worsening left open) and {say_count(no_rate, 'person')} without a rate were left out.",
        *relapses,
        "Whoever is followed longer has more chances of an event, and the time of rates and of events is the same: "
        "which comes first is not asked. Treatment groups are taken together.",
    )


def _sidecar(plan: Plan, definition: str) -> dict[str, object]:
    return {
        "Definition": definition,
        "ClassModel": "rate ~ class + age + sex + disease_duration, least squares; pairs with HC3 errors",
        "Families": "each term over the first regions, and over the further regions",
        "ConfidenceLevel": plan.statistics.level,
    }


def _figures(study: Study, data: ClassData, rows: tuple[dict[str, object], ...]) -> tuple[Figure, ...]:
    counts = {name: int((data.classes == name).sum()) for name in CLASSES}
    shown = [name for name in CLASSES if counts[name]]
    if not shown:
        return ()
    listed = ", ".join(f"{name} n = {counts[name]}" for name in shown)
    regions = [name for name in TRAJECTORY_REGIONS if name in data.rates and data.rates[name].notna().any()]
    courses = [_trajectories(study, data, region, name) for region in regions for name in shown]
    dots = [
        _dots(data, rows, region, shown)
        for region in (*FIRST_REGIONS, THICKNESS)
        if region in data.rates and data.rates[region].notna().any()
    ]
    return (
        Figure(
            "progression_trajectories",
            f"Change from the first scan in people by class of progression ({listed}); thin lines are persons, the "
            "thick line and band are the mean and its 95 % confidence interval at each year with three persons.",
            "Lines of change of brain volume over years, a panel for each class and region.",
            partial(draw_trajectories, tuple(courses), len(shown)),
        ),
        Figure(
            "progression_rates",
            f"Annual rates by class of progression ({listed}): dots are persons, markers and bars are adjusted means "
            "with 95 % confidence intervals; p is that of PIRA against stable, not corrected.",
            "Dots of annual rates of each region by class of progression, with adjusted means and intervals.",
            partial(draw_class_rates, tuple(dots)),
        ),
    )


def _trajectories(study: Study, data: ClassData, region: str, name: str) -> Trajectories:
    scans = study.sessions.loc[study.volumes_mm3.index, ["participant_id", "years"]].dropna()
    scans = scans[scans["participant_id"].isin(data.classes.index[data.classes == name])]
    first = scans.reset_index(names="row").groupby("participant_id")["row"].first()
    start = first.reindex(scans["participant_id"]).to_numpy()
    since = scans["years"].to_numpy() - scans["years"].reindex(start).to_numpy()
    change = study.change(start.tolist(), scans.index.tolist(), [region], "pct")[region].to_numpy(dtype=float)
    change = np.where(since == 0.0, 0.0, change)
    return Trajectories(region_label(region), name, scans["participant_id"].to_numpy(dtype=str), since, change)


def _dots(data: ClassData, rows: tuple[dict[str, object], ...], region: str, shown: list[str]) -> ClassDots:
    by_term = {str(row["term"]): row for row in rows if row["roi"] == region}
    means = [by_term[f"mean {name}"] for name in shown]
    return ClassDots(
        label="Cortical thickness" if region == THICKNESS else region_label(region),
        unit="mm a year" if data.units[region] == "mm/year" else "% a year",
        classes=tuple(shown),
        values=tuple(data.rates.loc[data.classes == name, region].dropna().to_numpy(dtype=float) for name in shown),
        means=tuple((_float(row, "estimate"), _float(row, "ci_lo"), _float(row, "ci_hi")) for row in means),
        p=_float(by_term.get("PIRA - stable", {}), "p"),
    )
