# SPDX-License-Identifier: Apache-2.0
"""Annual rates of the brain and the cord by group: against zero, the reference group, and healthy adults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.atrophy_rates_groups import (
    GROUP_RATES,
    IMPOSSIBLE_GROWTH,
    STRUCTURE,
    group_rows,
    is_fluid,
)
from bids_msvol.group.analyses.atrophy_rates_healthy import (
    AGAINST_HEALTHY,
    BVL_CUTOFF,
    BY_RATE,
    BY_YEAR,
    OWN_SCATTER,
    SIMULATED,
    cutoff_rows,
    healthy_rows,
)
from bids_msvol.group.analyses.published_rates import HEALTHY_RATES
from bids_msvol.group.analyses.rate_means import CHOICE, LEAST_FREEDOM
from bids_msvol.group.analyses.rates import Rates, brain_rates, cord_rates, thickness_rates
from bids_msvol.group.cells import (
    as_count,
    as_float,
    has_number,
    interval_of,
    say_cell,
    say_chance,
    say_chances,
    say_region,
    structure_label,
)
from bids_msvol.group.covariates import choose_covariates
from bids_msvol.group.figures.rates import ForestRow, draw_rates_forest
from bids_msvol.group.grouping import EVERYBODY
from bids_msvol.group.people import say_unknown_group
from bids_msvol.group.result import (
    GROUP,
    Analysis,
    CannotAnalyseError,
    Figure,
    ResultTable,
    number,
    with_q,
)
from bids_msvol.group.wording import say_count, say_list, say_number, say_some

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "atrophy_rates"
TITLE = "Annual rates of atrophy"

WHOLE_CORD = "C1-C7"
"""Mean area of all levels."""

LEAST_DRAWN = 5
"""Persons of a group whose mean is drawn."""

TABLES: tuple[Table, ...] = (
    GROUP_RATES,
    Table(
        "Annual rate of each person",
        "person_rates.tsv",
        "One row for each person and structure with a rate.",
        (
            Column("participant_id", "Person."),
            GROUP,
            STRUCTURE,
            Column("kind", "brain, cord or thickness."),
            number("rate", "Annual rate."),
            Column("unit", "Its unit."),
            Column("n_scans", "Scans behind it.", "integer"),
            number("years", "Time between the first and the last of them.", "year"),
            number("noise_sd", "Standard deviation of the rate's error, from the scatter of scans; n/a if not known."),
            number("weight", "How much it counts in the mean of a group; 1 on average over all persons."),
        ),
    ),
    AGAINST_HEALTHY,
    BVL_CUTOFF,
)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Estimate annual rates by group; see `bids_msvol.group.result.Analysis`."""
    levels = [*plan.regions.cord_levels, "C2-C3", WHOLE_CORD]
    kinds = (brain_rates(study, ("WholeBrain", *plan.regions.atrophy)), cord_rates(study, levels))
    parts = [part for part in (*kinds, thickness_rates(study)) if part.rate.notna().to_numpy().any()]
    if not parts:
        raise CannotAnalyseError("no person has two scans at least half a year apart")
    followed = study.persons[pd.concat([part.rate for part in parts], axis=1).notna().any(axis=1)]
    covariates = choose_covariates(followed, ("age", "sex"), followed["group"])
    rows = group_rows(parts, covariates, study, plan)
    healthy = tuple(row for part in parts if part.kind != "thickness" for row in healthy_rows(part, study, plan))
    healthy = with_q(healthy)
    brain = next((part for part in parts if part.kind == "brain"), None)
    cutoff = () if brain is None else cutoff_rows(brain, study, plan)
    contents = (rows, tuple(row for part in parts for row in _person_rows(part, study)), healthy, cutoff)
    return Analysis(
        name=NAME,
        title=TITLE,
        question="How fast do the brain and the cord shrink in each group, and faster than in healthy adults?",
        methods=_methods(parts, covariates.text(), study),
        findings=(
            *_rate_findings(rows, plan),
            *_difference_findings(rows, study, plan),
            *_healthy_findings(healthy, plan),
            *_cutoff_findings(cutoff, plan),
        ),
        limits=_limits(parts, rows, covariates.notes if study.reference_group() else (), study),
        tables=tuple(
            ResultTable(table, content, _sidecar(parts, plan))
            for table, content in zip(TABLES, contents, strict=True)
            # A cut-off of brain volume is nothing for a study of the cord.
            if table is not BVL_CUTOFF or brain is not None
        ),
        figures=_figures(rows, healthy, study, plan),
    )


def _person_rows(part: Rates, study: Study) -> list[dict[str, object]]:
    groups = study.persons["group"].astype(object)
    rows: list[dict[str, object]] = []
    for name in part.rate:
        rate = part.rate[name].dropna()
        who = rate.index
        group = groups[who].where(groups[who].notna(), None).tolist()
        columns = (part.scans[name], part.years[name], part.noise(str(name)), part.weights(str(name)))
        cells = zip(who.tolist(), group, rate.tolist(), *(column[who].tolist() for column in columns), strict=True)
        for person, label, value, count, span, noise, weight in cells:
            row = {"participant_id": person, "group": label, "roi": name, "kind": part.kind, "rate": value}
            rows.append(row | {"unit": part.unit, "n_scans": count, "years": span, "noise_sd": noise, "weight": weight})
    return rows


def _methods(parts: list[Rates], adjusted: str, study: Study) -> tuple[str, ...]:
    how = "; ".join(f"{part.kind}: {part.method}" for part in parts)
    reference = study.reference_group()
    compared = (
        f" Groups were compared with {reference} by Welch's test (primary) and by analysis of covariance adjusted for "
        f"{adjusted}."
        if reference
        else ""
    )
    change = f" {study.change_source}" if any(part.kind == "brain" for part in parts) else ""
    methods = [
        f"Each person's annual rate ({how}) took scans half a year apart or more.{change}",
        f"Rates of a group are means with {CHOICE} (a mixed model with slopes of the persons; all scatter counts as "
        f"error where there are fewer than {LEAST_FREEDOM:g} degrees of freedom), with intervals from the persons' "
        "distances from the mean (HC2, degrees of freedom of Bell and McCaffrey) and tests against no change. Beside "
        "them stand the mean in which each person counts the same, and a mixed model of all volumes, areas or "
        "thicknesses with a random intercept of the person, whose interval takes the rate for the same in all persons "
        f"and is too narrow where it is not.{compared} P values were corrected over the structures of a kind within "
        "each group (Benjamini-Hochberg), those of the cord at C2-C3 over the groups.",
        "Rates were compared with published rates of healthy adults at the same age, where a source covers it.",
    ]
    if change:
        methods.append(
            "How many healthy adults a cut-off of brain volume loss fails was counted in this study's own healthy "
            "controls, and computed from published rates (De Stefano 2016) and the scatter of this study's yearly "
            "changes; with the error of simulated repeats of one image it is a lower bound."
        )
    return (*methods, *_say_noise(parts))


def _say_noise(parts: list[Rates]) -> list[str]:
    """Say how large the error of one person's rate is, or that it cannot be told."""
    said = []
    for part in parts:
        name = next((one for one in ("WholeBrain", "C2-C3", *part.rate) if one in part.rate), None)
        if name is None:
            continue
        where = f"cord {name}" if part.kind == "cord" else structure_label(name).lower()
        sizes = part.noise(name).dropna()
        unit = "mm" if part.unit == "mm/year" else "%"
        if len(sizes):
            said.append(
                f"The error of one person's rate, from the scatter of scans around persons' lines, had a standard "
                f"deviation of {say_number(float(sizes.median()), 2)} {unit} a year in the {where} (median of "
                f"{say_count(len(sizes), 'person')}; from {say_number(float(sizes.min()), 2)} to "
                f"{say_number(float(sizes.max()), 2)})."
            )
        else:
            said.append(
                f"The error of one person's rate in the {where} cannot be told: too few persons have three scans or "
                "more of one kind of measurement."
            )
    return said


def _rate_findings(rows: tuple[dict[str, object], ...], plan: Plan) -> list[str]:
    findings = []
    for name, noun in (("WholeBrain", "Whole brain"), ("C2-C3", "Cord area at C2-C3")):
        said = [
            f"{row['group']} {say_cell(row, 'rate')} % a year ({interval_of(row, plan.statistics.level)}, "
            f"n = {row['n_sub']}, {say_chances(row)})"
            for row in rows
            if row["roi"] == name and has_number(row) and not (row["group"] == EVERYBODY and _several(rows))
        ]
        if said:
            findings.append(f"{noun}: {'; '.join(said)}.")
    return findings


def _several(rows: tuple[dict[str, object], ...]) -> bool:
    return any(row["group"] != EVERYBODY for row in rows)


def _difference_findings(rows: tuple[dict[str, object], ...], study: Study, plan: Plan) -> list[str]:
    tested = [row for row in rows if has_number(row, "p_welch")]
    if not tested:
        return []
    first = min(tested, key=lambda row: as_float(row, "p_welch"))
    held = [f"{_label(row)} ({row['group']})" for row in tested if as_float(row, "q_welch") < 0.05]
    stand = f"{len(held)} ({say_some(held)})" if held else "none"
    unit = "mm a year" if first["unit"] == "mm/year" else "% a year"
    return [
        f"Against {study.reference_group()}, the clearest difference of rates was in {_label(first)} of "
        f"{first['group']}: {say_cell(first, 'difference')} {unit} "
        f"({interval_of(first, plan.statistics.level, 'diff_lo', 'diff_hi')}; Welch, "
        f"{say_chances(first, 'p_welch', 'q_welch')}; adjusted {say_chance(first, 'p_ancova')}). After correction "
        f"{stand} of {len(tested)} comparisons stand (q < 0.05); uncorrected p values are exploratory."
    ]


def _healthy_findings(rows: tuple[dict[str, object], ...], plan: Plan) -> list[str]:
    wanted = [row for row in rows if has_number(row) and row["roi"] == "WholeBrain" and row.get("share_beyond")]
    return [
        f"Whole brain, {row['group']}: {say_cell(row, 'difference')} % a year against healthy adults "
        f"({interval_of(row, plan.statistics.level)}, {say_chances(row)}; {row['source']}); "
        f"{say_cell(row, 'share_beyond', 2)} % of {say_count(as_count(row, 'n_sub'), 'person')} lost more "
        "than 95 % of healthy adults do. Methods differ."
        for row in wanted
        if "De Stefano" in str(row["source"]) and (row["group"] != EVERYBODY or not _several(rows))
    ][:2]


def _cutoff_findings(rows: tuple[dict[str, object], ...], plan: Plan) -> list[str]:
    if not rows:
        return []
    level = plan.statistics.level
    ways = {
        BY_RATE: lambda row: f"by their rates over {say_cell(row, 'years', 2)} years on average",
        BY_YEAR: lambda row: f"by the change over their first year ({say_cell(row, 'years', 2)} years on average)",
    }
    counted = [
        f"{row['n_failing']} of {row['n_sub']} ({say_cell(row, 'share_failing', 2)} %, "
        f"{interval_of(row, level, 'share_lo', 'share_hi', digits=2)}) {ways[str(row['basis'])](row)}"
        for row in rows
        if row["basis"] in ways
    ]
    cutoff = f"the cut-off of NEDA-4 ({plan.activity.bvl_cutoff_pct_per_year:g} % a year)"
    said = (
        f"This study's own healthy controls failed {cutoff}: {' and '.join(counted)}."
        if counted
        else f"No healthy control of this study can be judged by {cutoff}."
    )
    year = [row for row in rows if row["years"] == 1.0 and has_number(row, "share_failing")]
    own = next((row for row in year if row["basis"] == OWN_SCATTER), None)
    if own is not None:
        said += (
            f" With the scatter of this study's yearly changes (SD {say_cell(own, 'error_sd', 2)} %) "
            f"{say_cell(own, 'share_failing', 2)} % of healthy adults would fail over a year, a specificity of "
            f"{say_cell(own, 'specificity', 2)} %."
        )
    else:
        said += " Too few persons have three scans to tell the scatter of yearly changes."
    simulated = [
        f"{say_cell(row, 'share_failing', 2)} %{str(row['basis']).removeprefix(SIMULATED)}"
        for row in year
        if str(row["basis"]).startswith(SIMULATED)
    ]
    return [f"{said} In {SIMULATED.replace(': ', ', ')}, it would be {say_list(simulated)}." if simulated else said]


def _label(row: Mapping[str, object]) -> str:
    return f"cord {row['roi']}" if row["kind"] == "cord" else say_region(row)


def _limits(
    parts: list[Rates], rows: tuple[dict[str, object], ...], adjusting: tuple[str, ...], study: Study
) -> tuple[str, ...]:
    lacking = "; ".join(
        f"{say_count(count, 'person')} with a measurement of {_MEASURED[part.kind]} had no rate"
        for part in parts
        if (count := int(((part.scans > 0).any(axis=1) & part.rate.isna().all(axis=1)).sum()))
    )
    growing = [
        f"{_label(row)} in {row['group']} ({say_cell(row, 'rate')} % a year)"
        for row in rows
        if "do not grow" in str(row.get("warning", ""))
    ]
    found = [f"{lacking}: a single scan, or scans less than half a year apart."] if lacking else []
    if growing:
        found.append(
            f"Healthy controls grow by more than {IMPOSSIBLE_GROWTH:g} % a year, which is error or chance, not "
            f"growth: {say_some(growing)}. Differences from them are as doubtful."
        )
    found += [*say_unknown_group(study.persons["group"]), *adjusting]
    kinds = [part.kind for part in parts]
    if "brain" in kinds:
        found.append(
            "Published rates of healthy brains were measured by other methods: SIENA measures the shift of the brain's "
            "edge, not a difference of segmentations. A difference from them may be one of methods. The spread of "
            "rates here holds measurement error, so more than 5 % of healthy people would lie beyond the published "
            "limit."
        )
    if "cord" in kinds:
        method = next(rate.method for rate in HEALTHY_RATES if rate.structure == "C2-C3")
        found.append(
            f"Published rates of healthy cords were measured with the {method}: where the areas of this study are from "
            "another program or other images, a difference from them may be one of methods."
        )
    return tuple(found)


_MEASURED = {"brain": "the brain", "cord": "the cord", "thickness": "cortical thickness"}


def _sidecar(parts: list[Rates], plan: Plan) -> dict[str, object]:
    return {
        "Rates": {part.kind: part.method for part in parts},
        "Mean": f"weighted: {CHOICE}",
        "MixedModel": "100 ln(value) ~ years + (1 | participant_id), REML, Satterthwaite; value itself for thickness",
        "Families": "structures of one kind within one group; cord at C2-C3: groups",
        "ConfidenceLevel": plan.statistics.level,
    }


def _figures(
    rows: tuple[dict[str, object], ...], healthy: tuple[dict[str, object], ...], study: Study, plan: Plan
) -> tuple[Figure, ...]:
    everybody = [row for row in rows if row["group"] != EVERYBODY or not _several(rows)]
    # The interval of two or three persons stretches the axis until nothing else can be read.
    shown = [row for row in everybody if as_count(row, "n_sub") >= LEAST_DRAWN]
    if not shown:
        return ()
    forest = tuple(
        ForestRow(
            panel={"thickness": "Cortical thickness (mm a year)", "cord": "Cord area (% a year)"}.get(
                str(row["kind"]), "Fluid (% a year)" if is_fluid(str(row["roi"])) else "Brain (% a year)"
            ),
            label=str(row["roi"]) if row["kind"] == "cord" else structure_label(str(row["roi"])),
            group=str(row["group"]),
            count=as_count(row, "n_sub"),
            mean=as_float(row, "rate"),
            low=as_float(row, "ci_lo"),
            high=as_float(row, "ci_hi"),
            healthy=_healthy_band(str(row["roi"]), healthy),
        )
        for row in shown
    )
    there = {row.group for row in forest}
    groups = tuple(name for name in study.groups() if name in there) if _several(rows) else (EVERYBODY,)
    few = len(everybody) - len(shown)
    left_out = (
        f" Groups with fewer than {LEAST_DRAWN} persons with a rate of a structure are not drawn there ({few} of "
        f"{len(everybody)} means)."
        if few
        else ""
    )
    interval = f"{100 * plan.statistics.level:g} % confidence interval"
    bands = any(row.healthy is not None for row in forest)
    known = " Grey bands span the published mean rates of healthy adults of the same ages, from the lowest to the "
    known += "highest of the sources; compare methods."
    return (
        Figure(
            "atrophy_rates",
            f"Mean annual rate of each structure by group, persons weighted by precision, with its {interval}."
            f"{known if bands else ''}{left_out}",
            "Forest plot of annual rates by structure and group, with grey bands where rates of healthy adults are "
            "known.",
            partial(draw_rates_forest, forest, groups, interval),
        ),
    )


def _healthy_band(name: str, healthy: tuple[dict[str, object], ...]) -> tuple[float, float] | None:
    """Return the range over the sources of the mean healthy rate at the ages of everybody."""
    means = [as_float(row, "healthy") for row in healthy if row["roi"] == name and row["group"] == EVERYBODY]
    known = [mean for mean in means if math.isfinite(mean)]
    return (min(known), max(known)) if known else None
