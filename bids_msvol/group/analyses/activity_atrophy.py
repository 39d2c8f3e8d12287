# SPDX-License-Identifier: Apache-2.0
"""Loss of brain volume in patient-years with disease activity against those without: NEDA-3, and relapses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.activity_atrophy_persons import MOST_PERMUTED, person_level_cells
from bids_msvol.group.analyses.activity_atrophy_ranks import pooled_cells
from bids_msvol.group.cells import (
    as_count,
    as_float,
    has_number,
    interval_of,
    say_cell,
    say_chance,
    say_chances,
    say_region,
)
from bids_msvol.group.checks import join_notes
from bids_msvol.group.figures.rates import RegionBars, draw_activity
from bids_msvol.group.grouping import EVERYBODY
from bids_msvol.group.people import Patients, find_patients, is_among, is_control, with_everybody
from bids_msvol.group.regions import REGIONS, region_label
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    GROUP,
    INTERVAL,
    NOTES,
    REGION,
    Analysis,
    CannotAnalyseError,
    Figure,
    Q,
    ResultTable,
    number,
    p_column,
    with_q,
)
from bids_msvol.group.wording import say_count, say_list, say_some

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "activity_atrophy"
TITLE = "Atrophy and disease activity"

LEAST_PER_SIDE = 5
"""Intervals with and without activity that a group must have; with fewer a rank test can hardly reject."""

_COLUMNS = (
    REGION,
    GROUP,
    *COUNTS,
    Column("n_quiet", "Intervals without activity.", "integer"),
    Column("n_active", "Intervals with activity.", "integer"),
    Column("n_sub_quiet", "Persons with an interval without activity.", "integer"),
    Column("n_sub_active", "Persons with an interval with activity; a person may be on both sides.", "integer"),
    Column("n_unknown", "Intervals with measured change in which activity is not known; left out.", "integer"),
    number("mean_quiet", "Mean annual change without activity.", "percent/year"),
    number("se_quiet", "Its standard error, as if intervals were independent."),
    number("mean_active", "Mean annual change with activity.", "percent/year"),
    number("se_active", "Its standard error, as if intervals were independent."),
    number("difference", "With activity less without, person-level model.", "percent/year"),
    number("se", "Standard error of the difference."),
    *INTERVAL,
    number("df", "Degrees of freedom of the difference (Satterthwaite)."),
    p_column("p", "Two-sided p value of the person-level test (primary)."),
    Q,
    Column("test", "Which person-level test p is from."),
    Column("n_exchanged", "Persons who take part in the permutation.", "integer"),
    p_column("p_mixed", "P value of the difference in the person-level model."),
    number("icc", "Share of the variance that lies between persons."),
    Column("singular", "Whether no variance between persons was found: yes or no."),
    number("hl_shift", "Hodges-Lehmann shift, with activity less without, intervals pooled.", "percent/year"),
    number("hl_ci_lo", "Lower end of its confidence interval, as if intervals were independent."),
    number("hl_ci_hi", "Upper end."),
    number("u", "Mann-Whitney U: pairs in which change with activity is higher."),
    number("rank_biserial", "Share of pairs in which it is higher less the share in which it is lower."),
    p_column("p_mw", "P value of the Mann-Whitney test of pooled intervals."),
    p_column("q_mw", "False discovery rate of p_mw within the family."),
    Column("mw_method", "Distribution that p_mw is from."),
    FAMILY,
    *NOTES,
)

TABLES: tuple[Table, ...] = (
    Table(
        "Atrophy with and without NEDA-3",
        "neda_mw.tsv",
        "One row for each region and group: annual change in patient-years without NEDA-3 (activity) against those "
        "with it.",
        _COLUMNS,
    ),
    Table(
        "Atrophy with and without relapse",
        "relapse_mw.tsv",
        "One row for each region and group: annual change in patient-years with relapse (activity) against those "
        "without.",
        _COLUMNS,
    ),
)


@dataclass(frozen=True)
class _Question:
    """Which intervals are compared: how both sides are called, and what is unknown."""

    name: str
    quiet: str
    active: str


_QUESTIONS = (
    _Question("NEDA-3", "with NEDA-3", "without NEDA-3"),
    _Question("Relapse", "without relapse", "with relapse"),
)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Compare annual change between years with and without activity; see `bids_msvol.group.result.Analysis`."""
    patients = find_patients(study)
    years = _years_of_patients(study, patients)
    if years.empty:
        raise CannotAnalyseError("no patient has two scans about a year apart")
    regions = [name for name in plan.regions.atrophy if name in study.volumes_mm3]
    change = study.change(years["from_row"].tolist(), years["to_row"].tolist(), regions, "pct")
    if plan.intervals.per_year:
        change = change.div(years["years"].to_numpy(), axis=0)
    if not np.isfinite(change.to_numpy(dtype=float)).any():
        raise CannotAnalyseError("no change of volume was measured over about a year")
    marks = (_not(years["neda3"]), _more_than_none(years["relapses"]))
    if not any((mark == 1.0).any() and (mark == 0.0).any() for mark in marks):
        raise CannotAnalyseError("neither NEDA-3 nor relapses are known to differ between years")
    tables, figures, findings = [], [], []
    for question, mark, table in zip(_QUESTIONS, marks, TABLES, strict=True):
        rows = _compare(question, change, mark, years["participant_id"], patients, plan)
        tables.append(ResultTable(table, rows, _sidecar(question, patients, plan)))
        findings += _findings(question, rows, plan)
        figures.append(_panel(question, change, mark, rows))
    shown = [panel for panel in figures if panel]
    return Analysis(
        name=NAME,
        title=TITLE,
        question="Is more brain volume lost in years with disease activity than in years without?",
        methods=_methods(study, patients, plan),
        findings=tuple(findings),
        limits=_limits(study, patients, years, marks),
        tables=tuple(tables),
        figures=(_figure(shown),) if shown else (),
    )


def _years_of_patients(study: Study, patients: Patients) -> pd.DataFrame:
    """Return the intervals of about a year of patients; where there are groups, of those whose group is known."""
    years = study.intervals[study.intervals["is_year"]]
    # Healthy controls cannot relapse: their years are no years without activity.
    takes_part = ~is_control(study)
    if len(patients.groups) > 1:
        takes_part &= patients.group.notna()
    return years[takes_part.loc[years["participant_id"]].to_numpy()].reset_index(drop=True)


def _not(values: pd.Series[bool]) -> NDArray[np.float64]:
    """Return 1 for false, 0 for true, NaN for not known."""
    return np.asarray(values.map({True: 0.0, False: 1.0}), dtype=float)


def _more_than_none(counts: pd.Series[float]) -> NDArray[np.float64]:
    return np.where(counts.isna(), np.nan, (counts > 0.0).astype(np.float64))


def _compare(
    question: _Question,
    change: pd.DataFrame,
    mark: NDArray[np.float64],
    who: pd.Series[str],
    patients: Patients,
    plan: Plan,
) -> tuple[dict[str, object], ...]:
    persons = who.to_numpy(dtype=str)
    groups = patients.of(who) if len(patients.groups) > 1 else np.full(len(who), EVERYBODY, dtype=object)
    rows = []
    for group in with_everybody(patients.groups):
        for region in change:
            values = change[region].to_numpy(dtype=float)
            measured = is_among(groups, group) & np.isfinite(values)
            use = measured & np.isfinite(mark)
            row: dict[str, object] = {
                "roi": region,
                "group": group,
                "n_unknown": int(np.count_nonzero(measured & ~use)),
                "family": f"{question.name}, {group}, all regions",
            }
            least = 2 if group == EVERYBODY else LEAST_PER_SIDE
            rows.append(row | _test(values[use], mark[use] == 1.0, persons[use], groups[use], least, plan))
    return with_q(with_q(rows, "p_mw", "q_mw"))


def _test(
    values: NDArray[np.float64],
    active: NDArray[np.bool_],
    persons: NDArray[np.str_],
    groups: NDArray[np.object_],
    least: int,
    plan: Plan,
) -> dict[str, object]:
    sides = {"quiet": ~active, "active": active}
    codes = pd.factorize(persons)[0]
    row: dict[str, object] = {"n_obs": len(values), "n_sub": _different(codes)}
    for name, side in sides.items():
        count = int(side.sum())
        row |= {f"n_{name}": count, f"n_sub_{name}": _different(codes[side])}
        row[f"mean_{name}"] = float(values[side].mean()) if count else np.nan
        row[f"se_{name}"] = float(values[side].std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan
    fewest = min(int(active.sum()), int((~active).sum()))
    if fewest < least:
        return row | {"warning": f"not tested: fewer than {least} intervals on one side"}
    if np.ptp(values) == 0.0:
        return row | {"warning": "not tested: all values are the same"}
    row |= pooled_cells(values[~active], values[active], plan.statistics.level)
    warnings = [f"only {fewest} intervals on one side"] if fewest < LEAST_PER_SIDE else []
    if _different(codes[active]) < LEAST_PER_SIDE:
        warnings.append(f"activity in {say_count(_different(codes[active]), 'person')} only")
    cells, notes = person_level_cells(values, active, persons, groups, plan)
    return row | cells | {"warning": join_notes(*warnings, *notes)}


def _different(codes: NDArray[np.intp]) -> int:
    return int(np.count_nonzero(np.bincount(codes))) if len(codes) else 0


def _methods(study: Study, patients: Patients, plan: Plan) -> tuple[str, ...]:
    low, high = plan.intervals.year_days
    several = len(patients.groups) > 1
    partner = "another of the same group with as many years" if several else "another with as many years"
    fixed = f" and {study.group_name} as a fixed effect" if several else ""
    held = (
        f" Groups may differ in activity and in atrophy: with all together, {study.group_name} is therefore held "
        f"constant ({say_list(patients.groups)})."
    ) * several
    unit = "per cent a year" if plan.intervals.per_year else "per cent over the interval"
    return (
        f"Intervals of {low:g} to {high:g} days between consecutive scans counted as patient-years; change of each "
        f"region is in {unit} of the earlier volume. {study.change_source} Relapses and confirmed worsening that began "
        "in the interval, and new or enhancing lesions at its end, count as activity; years in which NEDA-3 is not "
        "known were left out.",
        "Primary is the test with persons as units: years of one person are alike, and pooling them as if they were "
        "independent can raise the type-I error of the rank test (to 8 % in simulations of 52 persons). "
        f"All marks of a person were exchanged with those of {partner} ({plan.statistics.permutations} permutations of "
        f"persons, statistic: rank sum; with more than {MOST_PERMUTED} persons, the mixed model instead). The "
        f"difference and its interval are from a linear mixed model with a random intercept of the person{fixed} "
        f"(REML, Satterthwaite).{held}",
        "Beside it stands the Mann-Whitney test of pooled intervals, as in earlier work, with the Hodges-Lehmann "
        f"shift{', groups taken together' if several else ''}. P values were corrected over regions within each "
        "question and group (Benjamini-Hochberg).",
    )


def _findings(question: _Question, rows: tuple[dict[str, object], ...], plan: Plan) -> list[str]:
    tested = [row for row in rows if row["group"] == EVERYBODY and has_number(row)]
    if not tested:
        return [f"Years {question.active} could not be compared with years {question.quiet}."]
    first = min(tested, key=lambda row: as_float(row, "p"))
    held = [say_region(row) for row in tested if as_float(row, "q_bh") < 0.05]
    after = (
        f"After correction over {len(tested)} regions, {say_some(held)} {'stand' if len(held) > 1 else 'stands'} "
        "(q < 0.05)."
        if held
        else f"After correction over {len(tested)} regions none stands (least {say_chance(first, 'q_bh', 'q')}); "
        "uncorrected p values are exploratory."
    )
    sentences = [
        f"Years {question.active} (n = {first['n_active']}, {say_count(as_count(first, 'n_sub_active'), 'person')}) "
        f"against years {question.quiet} (n = {first['n_quiet']}, "
        f"{say_count(as_count(first, 'n_sub_quiet'), 'person')}): the clearest difference was in {say_region(first)}, "
        f"{say_cell(first, 'difference')} % a year ({interval_of(first, plan.statistics.level)}; {first['test']}, "
        f"{say_chances(first)}). {after}"
    ]
    pooled = [row for row in tested if as_float(row, "p_mw") < 0.05 <= as_float(row, "p")]
    if pooled:
        named = say_some([f"{say_region(row)} ({say_chance(row, 'p_mw')})" for row in pooled])
        sentences.append(
            f"Pooled as if they were independent, years {question.active} and {question.quiet} also differ in {named} "
            "(Mann-Whitney, exploratory); with persons as units they do not."
        )
    return sentences


def _limits(
    study: Study, patients: Patients, years: pd.DataFrame, marks: tuple[NDArray[np.float64], ...]
) -> tuple[str, ...]:
    controls = int(is_control(study).sum())
    unknown_group = int((patients.group.isna() & ~is_control(study)).sum()) if len(patients.groups) > 1 else 0
    unknown = [int(np.isnan(mark).sum()) for mark in marks]
    counted = (
        f"Of {say_count(len(years), 'patient-year')}, NEDA-3 is not known in {unknown[0]} and relapses in "
        f"{unknown[1]}; these were left out.",
    )
    return (
        *(counted if any(unknown) else ()),
        *(f"{say_count(controls, 'healthy control')} took no part: they have no relapses.",) * bool(controls),
        *(f"{say_count(unknown_group, 'person')} of unknown group took no part.",) * bool(unknown_group),
        "Activity was not assigned at random: years and persons with activity may differ in age, treatment and disease "
        "duration, and inflammation that resolves makes volumes fall without loss of tissue.",
    )


def _sidecar(question: _Question, patients: Patients, plan: Plan) -> dict[str, object]:
    several = len(patients.groups) > 1
    return {
        "Compared": f"patient-years {question.active} (active) with those {question.quiet} (quiet)",
        "PrimaryTest": f"permutation of persons (whole-block exchange{', within groups' if several else ''}) up to "
        f"{MOST_PERMUTED} persons, else mixed model",
        "PersonLevelModel": f"change ~ active{' + group' if several else ''} + (1 | participant_id), REML, "
        f"Satterthwaite degrees of freedom{'; without group in the rows of one group' if several else ''}",
        "PooledTest": "Mann-Whitney U, exact without ties below 50 intervals a side, else normal approximation with "
        "continuity correction",
        "Permutations": plan.statistics.permutations,
        "Seed": plan.statistics.seed,
        "Family": "all regions within one question and group",
    }


def _panel(
    question: _Question, change: pd.DataFrame, mark: NDArray[np.float64], rows: tuple[dict[str, object], ...]
) -> tuple[_Question, tuple[RegionBars, ...]] | None:
    bars = []
    for row in rows:
        if row["group"] != EVERYBODY or not (row["n_active"] and row["n_quiet"]):
            continue
        region = str(row["roi"])
        values = change[region].to_numpy(dtype=float)
        sides = [values[(mark == side) & np.isfinite(values)] for side in (0.0, 1.0)]
        fluid = region in REGIONS and REGIONS[region].is_fluid
        bars.append(RegionBars(region_label(region), fluid, sides[0], sides[1], as_float(row, "p")))
    return (question, tuple(bars)) if bars else None


def _figure(panels: list[tuple[_Question, tuple[RegionBars, ...]]]) -> Figure:
    most = [max(bars, key=lambda one: len(one.quiet) + len(one.active)) for _, bars in panels]
    counts = "; ".join(
        f"{len(one.quiet)} years {question.quiet} and {len(one.active)} {question.active}"
        for (question, _), one in zip(panels, most, strict=True)
    )
    return Figure(
        "activity_atrophy",
        f"Annual change of each region: {counts}. Bars are means of patient-years with their standard error, dots are "
        "patient-years; p is that of the person-level test, not corrected.",
        "Bars of the mean annual change of each brain region side by side for years with and without activity, with "
        "dots for single years; the ventricle has its own axis.",
        partial(
            draw_activity,
            tuple((bars, f"years {question.quiet}", f"years {question.active}") for question, bars in panels),
        ),
    )
