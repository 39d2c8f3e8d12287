# SPDX-License-Identifier: Apache-2.0
"""The same visits under many definitions: counts that are known, and no person lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bids_msvol.clinical.definitions import DEFINITIONS
from bids_msvol.group.analyses.definitions_compared import _say_range, analyse, make_variants
from bids_msvol.group.assemble import assemble
from bids_msvol.group.figures.drawing import to_svg
from bids_msvol.group.plan import Activity, Plan
from bids_msvol.group.result import CannotAnalyseError
from tests.group.cohorts import make_study, make_tables
from tests.group.event_cohorts import make_event_tables


def table_of(analysis):  # type: ignore[no-untyped-def]
    return {(row["definition"], row["group"]): row for row in analysis.tables[0].rows}


def test_every_definition_is_there_once() -> None:
    """All names but test runs, and three times three times two variations but the plan's own."""
    published = [name for name in DEFINITIONS if not name.startswith("msprog_")]
    variants = make_variants(Plan())
    assert len({variant.label for variant in variants}) == len(variants) == len(published) + 18 - 1
    assert len({replace(variant.definition, name="") for variant in variants}) >= len(variants) - 1
    other = make_variants(Plan(activity=Activity(definition="kappos2020")))
    assert other[0].definition.name == "kappos2020"
    assert "default" in {variant.label for variant in other}


def test_thresholds_decide_as_they_should() -> None:
    """From 5.5 to 6.0 is a worsening for the seed rule alone; from 0 to 1.0 for that of trials alone."""
    tables = make_tables({"A": 2})
    visits = tables.visits.assign(edss=[5.5, 6.0, 6.0, 6.0, 0.0, 1.0, 1.0, 1.0])
    relapses = tables.relapses.iloc[:0]
    found = analyse(assemble(replace(tables, visits=visits, relapses=relapses), Plan()), Plan())
    rows = table_of(found)
    assert [rows[f"24 weeks, {rule}, fixed", "all"]["n_worsened"] for rule in ("seed", "msbase", "trial")] == [1, 0, 1]
    assert rows["24 weeks, trial, fixed", "all"]["n_changed"] == 2
    own = rows["default (this study)", "all"]
    assert (own["n_events"], own["n_pira"], own["n_changed"]) == (1, 1, 0)
    assert own["rate"] == pytest.approx(100 / (2 * 1096 / 365.25))
    texts = {row["definition"]: str(row["description"]) for row in found.tables[1].rows}
    assert set(texts) == {definition for definition, _ in rows}
    assert "5.5" in texts["default (this study)"]


def test_how_many_definitions_share_a_rate_is_said() -> None:
    """The ends of the range name one definition only where one has that rate."""
    rows = [
        {"definition": name, "n_events": count, "rate": float(count)}
        for name, count in (("a", 4), ("b", 5), ("c", 5), ("d", 7))
    ]
    assert _say_range(rows) == "Under 4 definitions the rate ranges from 4.00 (a) to 7.00 (d); 2 give 5.00."
    assert _say_range(rows[:3]) == "Under 3 definitions the rate ranges from 4.00 (a) to 5.00 (2 definitions)."
    assert _say_range(rows[1:3]) == "All 2 definitions find the same number of worsenings."


def test_the_plans_own_row_agrees_with_the_study() -> None:
    """As many worsenings as in the histories of the study, in all and in each group; groups compared by persons."""
    study = assemble(make_event_tables({"A": 40, "B": 40}, worsening_per_year={"A": 0.05, "B": 0.5}), Plan())
    rows = table_of(analyse(study, Plan()))
    events = [event for history in study.histories.values() for event in history.events if event.kind == "CDW"]
    own = rows["default (this study)", "all"]
    assert own["n_events"] == len(events)
    assert own["n_pira"] == sum(event.association == "PIRA" for event in events)
    assert own["n_pira"] + own["n_raw"] + own["n_undefined"] == own["n_events"]
    parts = [rows["default (this study)", group] for group in ("A", "B")]
    assert sum(part["n_events"] for part in parts) == own["n_events"]
    assert parts[1]["difference_lo"] > 0.0
    assert parts[1]["reference"] == "A"
    assert "p" not in parts[1]


def test_without_relapses_pira_is_not_known() -> None:
    tables = make_event_tables({"A": 10})
    analysis = analyse(assemble(replace(tables, relapses=None), Plan()), Plan())
    rows = analysis.tables[0].rows
    assert all("n_pira" not in row and "relapses were not recorded" in row["warning"] for row in rows)
    assert "Worsenings per 100 person-years" in to_svg(analysis.figures[0].draw())


def test_no_visits_cannot_be_analysed() -> None:
    with pytest.raises(CannotAnalyseError, match="two EDSS visits"):
        analyse(make_study({"A": 5}, clinical=False), Plan())


def test_where_nobody_worsens_it_is_said() -> None:
    analysis = analyse(make_study({"A": 20, "B": 20}), Plan())
    assert analysis.findings == ("No definition of 22 finds a confirmed worsening in any of 40 patients.",)
    assert all(row["n_events"] == 0 for row in analysis.tables[0].rows)
