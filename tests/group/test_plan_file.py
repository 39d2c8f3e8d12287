# SPDX-License-Identifier: Apache-2.0
"""Analysis plans: read, written, and refused with the name of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_msvol.errors import NoInputError, UsageError
from bids_msvol.group.plan import ANALYSES, Activity, Exclusions, Plan
from bids_msvol.group.plan_file import plan_settings, plan_to_toml, read_plan


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_round_trip(tmp_path: Path) -> None:
    """What is written reads back as the same plan, also with values that are not defaults."""
    plan = Plan(
        analyses=("baseline_groups", "cord_levels"),
        exclusions=Exclusions(exclude_if=('site="B"', "new_t2>20")),
        activity=Activity(definition="kappos2020", bvl_cutoff_pct_per_year=0.5),
    )
    assert read_plan(written(tmp_path, plan_to_toml(plan))) == plan
    assert read_plan(written(tmp_path, "")) == Plan()


def test_part_of_a_plan_keeps_the_other_defaults(tmp_path: Path) -> None:
    """A plan says only what it changes; whole numbers stand for numbers."""
    plan = read_plan(written(tmp_path, "[intervals]\nyear_days = [300, 430]\n"))
    assert plan.intervals.year_days == (300.0, 430.0)
    assert plan.analyses == ANALYSES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("analyses = ['cord_level']", "cord_levels"),
        ("[intervall]\n", "intervals"),
        ("[statistics]\nlevel = 'high'", "not a number"),
        ("[statistics]\npermutations = 2.5", "not a whole number"),
        ("[statistics]\nhead_size = 'ratio'", "proportion"),
        ("[statistics]\nstudent = 1", "true or false"),
        ("[intervals]\nyear_days = [1]", "a list of 2"),
        ("[intervals]\nyear_days = [460, 270]", "shorter before the longer"),
        ("[activity]\ndefinition = 'kapos2020'", "kappos2020"),
        ("[exclusions]\nexclude_if = ['new_t2 20']", "not a condition"),
        ("statistics = 3", "no section"),
        ("analyses = ['cord_levels', 'cord_levels']", "'cord_levels' is there twice"),
        ("[groups]\norder = ['A', 'B', 'A']", "'A' is there twice"),
        ("[intervals]\nspans_years = [1, 1.0]", "1.0 is there twice"),
        ("[regions]\natrophy = ['Thalamus', 'Thalamus']", "'Thalamus' is there twice"),
        ("[regions]\ncord_levels = ['C99']", "'C99' is not known"),
        ("[intervals]\nvisit_gap_days = -1", "visit_gap_days: -1 is below 0"),
        ("[intervals]\nspan_tolerance_days = -1", "span_tolerance_days: -1 is below 0"),
        ("[exclusions]\nsteroid_washout_days = -1", "steroid_washout_days: -1 is below 0"),
        ("[statistics]\nlevel = nan", "not a number"),
        ("analyses = [", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    """Every mistake is refused with what to write instead."""
    with pytest.raises(UsageError, match=said):
        read_plan(written(tmp_path, text))


def test_no_such_file(tmp_path: Path) -> None:
    """A plan that is not there is no empty plan."""
    with pytest.raises(NoInputError):
        read_plan(tmp_path / "none.toml")


def test_settings_are_flat() -> None:
    """Every choice has one name for sidecars and the report."""
    settings = plan_settings(Plan())
    assert settings["statistics.level"] == 0.95
    assert settings["analyses"] == ANALYSES
