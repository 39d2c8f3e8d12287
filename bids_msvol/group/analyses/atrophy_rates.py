# SPDX-License-Identifier: Apache-2.0
"""Annual rates of the brain and the cord by group: against zero, the reference group, and healthy adults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.group_rates import GROUP_RATES, STRUCTURE, group_rows
from bids_msvol.group.analyses.healthy_tables import AGAINST_HEALTHY, BVL_CUTOFF, cutoff_rows, healthy_rows
from bids_msvol.group.analyses.rates import (
    Rates,
    brain_rates,
    cord_rates,
    say_some,
    thickness_rates,
)
from bids_msvol.group.figures.rates import ForestRow, draw_rates_forest
from bids_msvol.group.regions import REGIONS, region_label
from bids_msvol.group.result import (
    GROUP,
    Analysis,
    CannotAnalyseError,
    Figure,
    ResultTable,
    number,
    with_q,
)
from bids_msvol.group.wording import say_count, say_interval, say_number, say_p

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "atrophy_rates"
TITLE = "Annual rates of atrophy"

WHOLE_CORD = "C1-C7"
"""Mean area of all levels."""

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
    rows = group_rows(parts, study, plan)
    healthy = tuple(row for part in parts if part.kind != "thickness" for row in healthy_rows(part, study, plan))
    healthy = with_q(healthy)
    cutoff = cutoff_rows(parts[0] if parts[0].kind == "brain" else None, study, plan)
    contents = (rows, tuple(row for part in parts for row in _person_rows(part, study)), healthy, cutoff)
    return Analysis(
        name=NAME,
        title=TITLE,
        question="How fast do the brain and the cord shrink in each group, and faster than in healthy adults?",
        methods=_methods(parts, study),
        findings=(
            *_rate_findings(rows, plan),
            *_difference_findings(rows, study),
            *_healthy_findings(healthy, plan),
            *_cutoff_findings(cutoff, plan),
        ),
        limits=_limits(parts, study),
        tables=tuple(
            ResultTable(table, content, _sidecar(parts, plan)) for table, content in zip(TABLES, contents, strict=True)
        ),
        figures=(_figure(rows, healthy, study),),
    )


def _person_rows(part: Rates, study: Study) -> list[dict[str, object]]:
    groups = study.persons["group"].astype(object)
    rows: list[dict[str, object]] = []
    for name in part.rate:
        rate = part.rate[name].dropna()
        who = rate.index
        group = groups[who].where(groups[who].notna(), None).tolist()
        scans, years = part.scans[name][who].tolist(), part.years[name][who].tolist()
        for person, label, value, count, span in zip(who.tolist(), group, rate.tolist(), scans, years, strict=True):
            row = {"participant_id": person, "group": label, "roi": name, "kind": part.kind, "rate": value}
            rows.append(row | {"unit": part.unit, "n_scans": count, "years": span})
    return rows


def _methods(parts: list[Rates], study: Study) -> tuple[str, ...]:
    how = "; ".join(f"{part.kind}: {part.method}" for part in parts)
    reference = study.reference_group()
    compared = (
        f" Groups were compared with {reference} by Welch's test (primary) and by analysis of covariance adjusted for "
        "age and sex."
        if reference
        else ""
    )
    return (
        f"Each person's annual rate was the slope over all usable scans ({how}); {study.change_source} Scans less than "
        "half a year apart gave no rate.",
        "Rates of a group are means of persons, each counting the same, with t intervals and tests against no change; "
        "a mixed model of all scans with a random intercept of the person stands beside, whose interval takes the rate "
        f"for the same in all persons and is too narrow where it is not.{compared} P values were corrected over the "
        "structures of a kind within each group (Benjamini-Hochberg).",
        "Rates were compared with published rates of healthy adults at the same age, where a source covers it. The "
        "share of healthy adults that a cut-off of brain volume loss fails was computed from the published mean and "
        "standard deviation (De Stefano 2016) and the measurement error of this program.",
    )


def _rate_findings(rows: tuple[dict[str, object], ...], plan: Plan) -> list[str]:
    findings = []
    for name, noun in (("WholeBrain", "Whole brain"), ("C2-C3", "Cord area at C2-C3")):
        said = [
            f"{row['group']} {say_number(_float(row, 'rate'))} % a year "
            f"({say_interval(_float(row, 'ci_lo'), _float(row, 'ci_hi'), plan.statistics.level)}, n = {row['n_sub']}, "
            f"{say_p(_float(row, 'p'))})"
            for row in rows
            if row["roi"] == name and isinstance(row.get("p"), float) and not (row["group"] == "all" and _several(rows))
        ]
        if said:
            findings.append(f"{noun}: {'; '.join(said)}.")
    return findings


def _several(rows: tuple[dict[str, object], ...]) -> bool:
    return any(row["group"] != "all" for row in rows)


def _difference_findings(rows: tuple[dict[str, object], ...], study: Study) -> list[str]:
    tested = [row for row in rows if isinstance(row.get("p_welch"), float)]
    if not tested:
        return []
    first = min(tested, key=lambda row: _float(row, "p_welch"))
    held = [f"{_label(row)} ({row['group']})" for row in tested if _float(row, "q_welch") < 0.05]
    stand = f"{len(held)} ({say_some(held)})" if held else "none"
    unit = "mm a year" if first["unit"] == "mm/year" else "% a year"
    return [
        f"Against {study.reference_group()}, the clearest difference of rates was in {_label(first)} of "
        f"{first['group']}: {say_number(_float(first, 'difference'))} {unit} "
        f"({say_interval(_float(first, 'diff_lo'), _float(first, 'diff_hi'))}; Welch, "
        f"{say_p(_float(first, 'p_welch'))}, {say_p(_float(first, 'q_welch'), 'q')}; adjusted for age and sex "
        f"{say_p(_float(first, 'p_ancova'))}). After correction {stand} of {len(tested)} comparisons "
        "stand (q < 0.05); uncorrected p values are exploratory."
    ]


def _healthy_findings(rows: tuple[dict[str, object], ...], plan: Plan) -> list[str]:
    wanted = [
        row
        for row in rows
        if isinstance(row.get("p"), float) and row["roi"] == "WholeBrain" and row.get("share_beyond")
    ]
    return [
        f"Whole brain, {row['group']}: {say_number(_float(row, 'difference'))} % a year against healthy adults "
        f"({say_interval(_float(row, 'ci_lo'), _float(row, 'ci_hi'), plan.statistics.level)}, {say_p(_float(row, 'p'))}"
        f", {say_p(_float(row, 'q_bh'), 'q')}; {row['source']}); {say_number(_float(row, 'share_beyond'), 2)} % of "
        f"{say_count(int(_float(row, 'n_sub')), 'person')} lost more than 95 % of healthy adults do. Methods differ."
        for row in wanted
        if "De Stefano" in str(row["source"]) and (row["group"] != "all" or not _several(rows))
    ][:2]


def _cutoff_findings(rows: tuple[dict[str, object], ...], plan: Plan) -> list[str]:
    year = [row for row in rows if row["years"] == 1.0]
    said = "; ".join(f"{say_number(_float(row, 'share_failing'), 2)} % with {row['error']}" for row in year)
    return [
        f"Of healthy adults measured a year apart, this share would fail the cut-off of NEDA-4 "
        f"({plan.activity.bvl_cutoff_pct_per_year:g} % a year): {said}."
    ]


def _label(row: Mapping[str, object]) -> str:
    name = str(row["roi"])
    return f"cord {name}" if row["kind"] == "cord" else region_label(name).lower()


def _float(row: Mapping[str, object], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, float | int) else float("nan")


def _limits(parts: list[Rates], study: Study) -> tuple[str, ...]:
    lacking = max(int(((part.scans > 0) & part.rate.isna()).any(axis=1).sum()) for part in parts)
    unknown = int(study.persons["group"].isna().sum())
    none = (f"{say_count(unknown, 'person')} without a group count in 'all' only.",) if unknown else ()
    return (
        f"{say_count(lacking, 'person')} with a measurement had no rate: a single scan, or scans less than half a year "
        "apart.",
        *none,
        "Published rates of healthy adults were measured by other methods: SIENA measures the shift of the brain's "
        "edge, not a difference of segmentations. A difference from them may be one of methods. The spread of rates "
        "here holds measurement error, so more than 5 % of healthy people would lie beyond the published limit.",
    )


def _sidecar(parts: list[Rates], plan: Plan) -> dict[str, object]:
    return {
        "Rates": {part.kind: part.method for part in parts},
        "MixedModel": "100 ln(value) ~ years + (1 | participant_id), REML, Satterthwaite; value itself for thickness",
        "Families": "structures of one kind within one group",
        "ConfidenceLevel": plan.statistics.level,
    }


def _figure(rows: tuple[dict[str, object], ...], healthy: tuple[dict[str, object], ...], study: Study) -> Figure:
    shown = [row for row in rows if row["group"] != "all" or not _several(rows)]
    forest = tuple(
        ForestRow(
            panel={"thickness": "Cortical thickness (mm a year)", "cord": "Cord area (% a year)"}.get(
                str(row["kind"]), "Fluid (% a year)" if _fluid(str(row["roi"])) else "Brain (% a year)"
            ),
            label=str(row["roi"]) if row["kind"] == "cord" else region_label(str(row["roi"])),
            group=str(row["group"]),
            count=int(_float(row, "n_sub")),
            mean=_float(row, "rate"),
            low=_float(row, "ci_lo"),
            high=_float(row, "ci_hi"),
            healthy=_healthy_band(str(row["roi"]), healthy),
        )
        for row in shown
        if row["kind"] != "thickness" or row["n_sub"]
    )
    groups = tuple(study.groups()) if _several(rows) else ("all",)
    return Figure(
        "atrophy_rates",
        "Mean annual rate of each structure by group with its 95 % confidence interval. Grey bands span the published "
        "mean rates of healthy adults of the same ages, from the lowest to the highest of the sources; methods differ.",
        "Forest plot of annual rates by structure and group, with grey bands where rates of healthy adults are known.",
        partial(draw_rates_forest, forest, groups),
    )


def _fluid(name: str) -> bool:
    return name in REGIONS and REGIONS[name].is_fluid


def _healthy_band(name: str, healthy: tuple[dict[str, object], ...]) -> tuple[float, float] | None:
    """Return the range over the sources of the mean healthy rate at the ages of everybody."""
    means = [_float(row, "healthy") for row in healthy if row["roi"] == name and row["group"] == "all"]
    known = [mean for mean in means if math.isfinite(mean)]
    return (min(known), max(known)) if known else None
