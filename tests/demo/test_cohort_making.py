# SPDX-License-Identifier: Apache-2.0
"""Simulated studies as the group level reads them: what is planted is what it finds, in the form that was asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_msvol.demo.cohort_making import SimulatedCohort, make_cohort
from bids_msvol.demo.cohort_people import MANY_LESIONS
from bids_msvol.demo.cohort_shape import Brain, Cord, without_effects
from bids_msvol.demo.cohort_shapes import SHAPES
from bids_msvol.errors import UsageError
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Plan
from bids_msvol.group.study import Study
from tests.group.cohorts import make_tables

KEYS = ["participant_id", "session_id_from", "session_id_to"]
FOLLOWED = [name for name, shape in SHAPES.items() if shape.years]


def _study(cohort: SimulatedCohort) -> Study:
    return assemble(cohort.tables, Plan())


@pytest.mark.parametrize("name", FOLLOWED)
def test_neda_and_events_are_recovered(name: str) -> None:
    """Every NEDA label, every part of it and every event is found as planted; what nobody can know stays unknown."""
    cohort = make_cohort(name, persons=300, seed=11)
    study = _study(cohort)
    both = study.intervals.merge(cohort.truth.intervals, on=KEYS, suffixes=("", "_truth"))
    assert len(both) == len(study.intervals) == len(cohort.truth.intervals)
    for column in ("no_relapse", "no_worsening", "no_gd", "neda3"):
        assert both[column].tolist() == both[f"{column}_truth"].tolist(), column
    assert (both["relapses"] == both["relapses_truth"]).all()
    assert {True, False, None} == set(both["neda3_truth"].tolist())
    found = {(person, event.association or event.kind, event.day)
             for person, history in study.histories.items() for event in history.events}  # fmt: skip
    events = cohort.truth.events
    confirmed = events[events["confirmed"]]
    assert found == set(zip(confirmed["participant_id"], confirmed["kind"], confirmed["days"], strict=True))
    assert {"PIRA", "RAW"} <= set(confirmed["kind"])


def test_treatment_has_the_form_of_the_published_study() -> None:
    """33 and 19 persons, 59 and 36 usable years, 9 and 7 spans of three years; exclusions are those planted."""
    cohort = make_cohort(seed=12)
    study = _study(cohort)
    group = study.persons["group"]
    assert group.value_counts().to_dict() == {"CLAD": 33, "ALEM": 19}
    years = study.intervals[study.intervals["is_year"]]
    usable = study.volumes_mm3.index
    years = years[years["from_row"].isin(usable) & years["to_row"].isin(usable)]
    assert years["participant_id"].map(group).value_counts().to_dict() == {"CLAD": 59, "ALEM": 36}
    spans = study.spans(3.0, 180.0)["participant_id"].map(group)
    assert spans.value_counts().to_dict() == {"CLAD": 9, "ALEM": 7}
    planted = cohort.truth.exclusions.set_index(["participant_id", "session_id"])["reason"]
    assert sorted(planted) == ["failed", "failed", "steroids", "steroids"]
    found = study.sessions.set_index(["participant_id", "session_id"])["excluded_because"]
    words = {"failed": "failed quality", "steroids": "scanned less than 56 days after steroids"}
    assert found[found != ""].to_dict() == planted.map(words).to_dict()
    assert (study.sessions["new_t2"] > 20).sum() == 1
    assert study.sessions["new_t2"].max() == MANY_LESIONS


@pytest.mark.parametrize("seed", range(13, 15))
def test_only_planted_scans_are_excluded(seed: int) -> None:
    """No relapse that was treated spoils a scan by chance."""
    cohort = make_cohort("large", persons=400, seed=seed)
    sessions = _study(cohort).sessions
    assert (sessions["excluded_because"] != "").sum() == len(cohort.truth.exclusions) > 0


def test_same_seed_same_study() -> None:
    """A study is a function of its arguments; another seed gives another one."""
    one, same, other = (make_cohort("progression", persons=60, seed=seed).tables for seed in (21, 21, 22))
    for name in ("persons", "sessions", "volumes_mm3", "cord_mm2", "visits", "relapses"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(same, name))
    assert not one.volumes_mm3.equals(other.volumes_mm3)


@pytest.mark.parametrize("name", SHAPES)
def test_tables_have_the_columns_of_the_group_level(name: str) -> None:
    """The tables are like those that the tests of the group level are made with."""
    tables, expected = make_cohort(name, persons=20, seed=1).tables, make_tables({"A": 3, "B": 3})
    for part in ("persons", "sessions", "cord_mm2", "visits", "relapses"):
        assert set(getattr(tables, part).columns) == set(getattr(expected, part).columns), part
    assert list(tables.volumes_mm3.columns) == list(expected.volumes_mm3.columns)
    assert tables.persons.index.name == "participant_id"
    for column in tables.sessions:
        if column not in ("participant_id", "session_id", "verdict", "exclude", "exclude_reason"):
            assert tables.sessions[column].dtype == np.float64, column


def test_persons_and_years_are_those_asked_for() -> None:
    """Arms keep their proportions; the places of scans are dealt out again."""
    cohort = make_cohort("treatment", persons=520, seed=2, years=5)
    assert cohort.truth.persons["arm"].value_counts().to_dict() == {"CLAD": 330, "ALEM": 190}
    assert cohort.tables.sessions["session_id"].max() == "ses-M60"
    assert len(make_cohort("networks", persons=7, seed=2).tables.persons) == 7


def test_without_effects_nothing_differs() -> None:
    """The null study has the arms, ages and lesions of the planted one, and no effect."""
    null = without_effects(SHAPES["treatment"])
    assert {arm.brain for arm in null.arms if arm.brain != Brain()} == set()
    assert all(arm.cord == Cord() for arm in null.arms)
    assert len({arm.clinic for arm in null.arms}) == 1
    assert [arm.lesions for arm in null.arms] == [arm.lesions for arm in SHAPES["treatment"].arms]
    effects = make_cohort(null, seed=1).truth.effects
    assert (effects.loc[effects["quantity"] == "per_lesion", "value"] == 0.0).all()


@pytest.mark.parametrize("options", [{"shape": "none"}, {"persons": 1}, {"years": -1}, {"seed": -1}])
def test_wrong_wishes_are_refused(options: dict[str, object]) -> None:
    """Unknown studies and numbers out of range are named."""
    with pytest.raises(UsageError):
        make_cohort(**options)  # type: ignore[arg-type]
