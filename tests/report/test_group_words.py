# SPDX-License-Identifier: Apache-2.0
"""Headings, units and short names in the report of the group level are those of readers."""

from __future__ import annotations

import pytest

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.result import ResultTable, number
from bids_msvol.group.run import all_tables
from bids_msvol.report.group_columns import header_of, merge_columns
from bids_msvol.report.group_tables import PageTable, place_table
from bids_msvol.report.group_words import label_of, say_code, say_symbols, say_unit


def _table(*columns: Column, **values: object) -> PageTable:
    return place_table(ResultTable(Table("T", "t.tsv", "R.", columns), (values,)), 1)


def test_raw_is_in_capitals_only_where_it_is_a_kind_of_worsening() -> None:
    assert label_of("n_raw") == "n RAW"
    headers = [header_of(one, 0.95).label for table in all_tables() for one in merge_columns(table.columns)]
    assert {label for label in headers if "RAW" in label} <= {"n RAW"}
    assert "Raw mean" in headers


@pytest.mark.parametrize(
    ("unit", "said"),
    [("mm^2", "mm²"), ("um", "µm"), ("um a year", "µm a year"), ("percent/year", "% a year"), ("1/year", "a year"),
     ("mm^2/year", "mm² a year"), ("% of eTIV", "% of eTIV"), ("1/(100 year)", "in 100 years"), ("", "")],
)  # fmt: skip
def test_units_are_those_of_readers(unit: str, said: str) -> None:
    assert say_unit(unit) == said


def test_symbols_leave_other_words_alone() -> None:
    assert say_symbols("C2 C3, C1 C7 in mm2; sum, maximum, C2-C3") == "C2-C3, C1-C7 in mm²; sum, maximum, C2-C3"


@pytest.mark.parametrize("code", ["etiv_residual", "neda4", "no_gd", "pira", "worsening", "lesion", "cord_c2c3_mm2"])
def test_short_names_of_the_program_become_words(code: str) -> None:
    said = say_code(code, "variable")
    assert said != code
    assert "_" not in said
    assert say_code(code, "group") == code


def test_the_meaning_that_a_column_declares_is_shown() -> None:
    """Of a code of the data, the page shows what the sidecar says of it, unless that is no more than a sentence."""
    column = Column("statistic", "S.", levels={"largest_dz": "Largest difference.", "sum_dz": "Sum of them. " * 9})
    assert _table(column, number("observed", "O."), statistic="largest_dz", observed=1.0).rows[0].cells[0].text == (
        "Largest difference"
    )
    assert (
        _table(column, number("observed", "O."), statistic="sum_dz", observed=1.0).rows[0].cells[0].text == "Sum of Δz"
    )


def test_a_unit_is_said_once() -> None:
    table = _table(number("difference_mm2", "D.", "mm^2"), number("person_years", "Y.", "year"), difference_mm2=1.0,
                   person_years=2.0)  # fmt: skip
    assert [(one.label, one.unit) for one in table.headers] == [("Difference", "mm²"), ("Person years", "")]
