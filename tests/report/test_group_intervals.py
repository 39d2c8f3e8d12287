# SPDX-License-Identifier: Apache-2.0
"""Every interval of the report stands beside its own estimate, in the tables of all analyses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.demo.cohort_making import make_cohort
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Plan
from bids_msvol.group.result import ResultTable, number
from bids_msvol.group.run import all_tables, run_analyses
from bids_msvol.report.group_columns import merge_columns
from bids_msvol.report.group_families import number_or_none
from bids_msvol.report.group_intervals import find_intervals
from bids_msvol.report.group_tables import place_table

STUDIES = {
    "treatment": (
        "yearly_course", "disease_activity", "relapse_rates", "time_to_event", "definitions_compared",
        "lesions_yearly",
    ),
    "networks": ("baseline_groups", "group_volumes", "covariance_network"),
    "cord": ("cord_levels",),
    "disability": ("brain_cord",),
    "progression": ("progression",),
}  # fmt: skip
"""The simulated studies, and analyses that are soon done and have tables of each kind between them."""

PERSONS, PERMUTATIONS = 36, 50
"""So few that nothing is waited for: intervals hold their estimates whatever the data are."""

ROUNDING = 1e-9
"""Ends of exact intervals can be equal to their estimates."""


def _results() -> Iterator[ResultTable]:
    for shape, names in STUDIES.items():
        plan = Plan(analyses=names)
        plan = replace(plan, statistics=replace(plan.statistics, permutations=PERMUTATIONS))
        study = assemble(make_cohort(shape, persons=PERSONS).tables, plan)
        done = run_analyses(study, plan)
        assert not done.crashes, done.crashes
        yield from (table for analysis in done.analyses for table in analysis.tables)


def _owners(columns: Sequence[Column]) -> dict[str, str]:
    return {one.low.name: one.owner.name if one.owner else "" for one in find_intervals(columns)}


def test_intervals_of_five_studies_hold_their_estimates() -> None:
    """In no table of five simulated studies does an interval stand behind a number that it does not hold."""
    checked: dict[str, int] = {}
    for result in _results():
        for shown in merge_columns(result.table.columns):
            names = [shown.name, *(other.name for other in shown.others)][-3:]
            if shown.kind not in ("interval", "share interval"):
                continue
            for row in result.rows:
                value, low, high = (number_or_none(row.get(name)) for name in names)
                if value is None or low is None or high is None:
                    continue
                slack = ROUNDING * max(1.0, abs(value))
                assert low - slack <= value <= high + slack, (result.table.file_name, names, row)
                checked[result.table.file_name] = checked.get(result.table.file_name, 0) + 1
    assert len(checked) > 20
    assert checked["oct.tsv"] > 1
    assert checked["brain_cord_r_difference.tsv"] > 1


def test_no_count_is_an_estimate_or_an_end() -> None:
    """In all tables of the program, joined columns are numbers, and no interval takes a count."""
    for table in all_tables():
        for one in find_intervals(table.columns):
            kinds = {one.low.kind, one.high.kind, one.owner.kind if one.owner else "number"}
            assert kinds == {"number"}, table.file_name
            names = {one.low.name, one.high.name, one.owner.name if one.owner else ""}
            assert not any(name.startswith("n_") for name in names), table.file_name


def test_every_estimate_of_an_interval_is_shown() -> None:
    """What an interval belongs to leads its column; it is neither dropped nor named after another column."""
    for table in all_tables():
        joined = {
            other.name: (shown.name, *(one.name for one in shown.others))
            for shown in merge_columns(table.columns)
            for other in shown.others
        }
        for one in find_intervals(table.columns):
            if one.owner is not None and one.low.name in joined:
                assert one.owner.name in joined[one.low.name], table.file_name


@pytest.mark.parametrize(
    ("file_name", "low", "owner"),
    [
        ("oct.tsv", "ci_lo", "estimate"),
        ("brain_cord_r_difference.tsv", "ci_lo", "difference"),
        ("yearly_course_tests.tsv", "ci_lo", "estimate"),
        ("yearly_course_tests.tsv", "mean_lo", "mean_change"),
        ("yearly_course.tsv", "ci_lo", ""),
        ("arr.tsv", "qp_lo", ""),
        ("scn_nodes.tsv", "null_lo", ""),
        ("ancova_means.tsv", "ci_lo", "adjusted_mean"),
        ("cord_levels.tsv", "pct_lo", "difference_pct"),
    ],
)
def test_owners_of_tables_that_are_easily_mistaken(file_name: str, low: str, owner: str) -> None:
    """The predictor's standard deviation, counts of lower groups and null hypotheses have no interval."""
    table = next(table for table in all_tables() if table.file_name == file_name)
    assert _owners(table.columns)[low] == owner


def test_an_end_can_name_its_estimate() -> None:
    """What a column says of itself comes before what its name says."""
    columns = (
        number("difference", "D."), number("share", "S."),
        Column("ci_lo", "Low.", "number", interval_of="difference"), number("ci_hi", "High."),
    )  # fmt: skip
    assert _owners(columns) == {"ci_lo": "difference"}
    assert _owners((*columns[:2], number("ci_lo", "Low."), columns[3])) == {"ci_lo": "share"}


def test_an_interval_without_an_estimate_has_its_own_column() -> None:
    """Nothing is guessed: beside a number of unknown name stands the interval alone."""
    columns = (Column("roi", "Region."), number("oddity", "O."), number("ci_lo", "Low."), number("ci_hi", "High."))
    row = {"roi": "Thalamus", "oddity": 9.0, "ci_lo": 1.0, "ci_hi": 2.0}
    shown = place_table(ResultTable(Table("T", "t.tsv", "R.", columns), (row,)), 1)
    assert [header.label for header in shown.headers] == ["Region", "Oddity", "95 % CI"]
    assert [cell.text for cell in shown.rows[0].cells] == ["Thalamus", "9.00", "1.00 to 2.00"]
