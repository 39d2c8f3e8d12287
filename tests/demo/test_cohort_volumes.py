# SPDX-License-Identifier: Apache-2.0
"""Volumes and areas of simulated people: they add up, are possible, and hold what is planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bids_msvol.demo.cohort_anatomy import ANATOMY, FLUID, NAMES
from bids_msvol.demo.cohort_making import make_cohort
from bids_msvol.demo.cohort_shape import Arm, Brain, Clinic, Cord, Lesions, Shape
from bids_msvol.demo.cohort_shapes import SHAPES
from bids_msvol.demo.cohort_volumes import People, Scans, add_up_lesions, correlation_matrix, draw_sizes, make_volumes
from bids_msvol.imaging.quality import PLAUSIBLE_MM3
from bids_msvol.structures import STRUCTURES, SUMS

TWO_ARMS = Shape(
    "two arms",
    "For tests.",
    (
        Arm("HC", 1500, group="HC", phenotype="HC"),
        Arm(
            "MS",
            1500,
            group="MS",
            phenotype="RRMS",
            clinic=Clinic(),
            lesions=Lesions(2.0, (1.0,), uneven=2.0),
            brain=Brain(
                {"Thalamus": -10.0},
                {"Thalamus": -1.0, "Lateral-Ventricle": 3.0},
                per_lesion_pct_etiv={"Thalamus": -0.01},
                per_first_lesion_pct_etiv={"Putamen": -0.004},
                correlations={("Thalamus", "Hippocampus"): 0.8},
            ),
            cord=Cord({"C2": -8.0}, -2.0, 0.7),
        ),
    ),
    years=2,
    has_cord=True,
)


@pytest.fixture(scope="module")
def two_arms():
    return make_cohort(TWO_ARMS, seed=3)


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "large"])
def test_volumes_add_up_and_are_possible(name: str) -> None:
    """Structures add up to the intracranial volume, sums to their members, and no volume is beyond what adults have."""
    cohort = make_cohort(name, seed=4)
    usable = cohort.tables.sessions["verdict"] != "fail"
    volumes, sessions = cohort.tables.volumes_mm3[usable], cohort.tables.sessions[usable]
    names = {item.index: item.name for item in STRUCTURES}
    np.testing.assert_allclose(volumes[list(names.values())].sum(axis=1), sessions["etiv_mm3"], atol=3.0)
    for one in SUMS:
        members = volumes[[names[index] for index in one.members]].sum(axis=1)
        np.testing.assert_allclose(volumes[one.name], members, atol=3.0)
    for column in volumes:
        low, high = PLAUSIBLE_MM3.get(str(column).removeprefix("Left-").removeprefix("Right-"), (0.0, 2e6))
        assert volumes[column].min() > low
        assert volumes[column].max() < high
    assert sessions.groupby("participant_id")["etiv_mm3"].nunique().max() == 1


def test_healthy_brains_are_as_large_as_planned() -> None:
    """The mean share of each structure at the age of 40 is that of the table of anatomy."""
    healthy = make_cohort(Shape("healthy", "", (Arm("HC", 2000, phenotype="HC", age=(40.0, 0.001)),)), seed=5)
    volumes = healthy.tables.volumes_mm3
    for item in ANATOMY:
        share = 100.0 * volumes[list(item.rows)].sum(axis=1) / healthy.tables.sessions["etiv_mm3"]
        assert float(np.exp(np.log(share).mean())) == pytest.approx(item.share_pct, rel=0.03)


def test_planted_slopes_are_recovered(two_arms) -> None:
    """Regression on changes without measurement error in the mean finds rate and toll of lesions within 3 errors."""
    sessions, volumes = two_arms.tables.sessions, two_arms.tables.volumes_mm3
    person = sessions["participant_id"].to_numpy()
    pairs = np.flatnonzero(person[1:] == person[:-1])
    ill = np.isin(person[pairs], two_arms.truth.persons.query("arm == 'MS'")["participant_id"])
    etiv = sessions["etiv_mm3"].to_numpy()
    years = np.diff(sessions["days"].to_numpy())[pairs] / 365.25
    new = sessions["new_t2_clinic"].to_numpy()[pairs + 1]
    thalamus = (volumes["Left-Thalamus"] + volumes["Right-Thalamus"]).to_numpy()
    change = 100.0 * (thalamus[pairs + 1] - thalamus[pairs]) / etiv[pairs]
    design = np.column_stack([years, np.nan_to_num(new)])[ill]
    beta, residual, _, _ = np.linalg.lstsq(design, change[ill], rcond=None)
    errors = np.sqrt(residual[0] / (ill.sum() - 2) * np.diag(np.linalg.inv(design.T @ design)))
    planted = two_arms.truth.effect("MS", "per_lesion", "Thalamus")
    assert planted == -0.01
    assert abs(beta[1] - planted) < 3.0 * errors[1]
    # 0.97 % of eTIV at 40, a tenth smaller, loses 0.35 % + 1 % of it each year.
    assert beta[0] == pytest.approx(-0.97 * 0.9 * 0.0135, abs=0.0015)
    assert two_arms.truth.effect("MS", "rate", "Thalamus") == pytest.approx(-1.35)


def test_cord_and_correlations_are_recovered(two_arms) -> None:
    """Difference by level, correlation of structures and of the cord with the brain are those planted."""
    tables = two_arms.tables
    first = tables.sessions["days"] == 0.0
    arm = two_arms.truth.persons["arm"].to_numpy()
    cord, volumes = tables.cord_mm2[first].to_numpy(), tables.volumes_mm3[first]
    levels = list(tables.cord_mm2.columns)
    ratio = np.log(cord[arm == "MS"]).mean(axis=0) - np.log(cord[arm == "HC"]).mean(axis=0)
    assert ratio[levels.index("C2")] == pytest.approx(np.log(0.92), abs=0.01)
    assert ratio[levels.index("C5")] == pytest.approx(0.0, abs=0.01)
    share = np.log(volumes[["Left-Thalamus", "Left-Hippocampus", "WholeBrain"]].to_numpy()).T
    share = share - np.log(tables.sessions.loc[first, "etiv_mm3"].to_numpy())
    age = tables.persons["age"].to_numpy()
    share = np.array([one - np.polyval(np.polyfit(age, one, 1), age) for one in share])
    correlation = {name: np.corrcoef(share[:, arm == name])[0, 1] for name in ("HC", "MS")}
    # One side each, and with the error of the scan: 0.9 of what both sides have.
    assert correlation["HC"] == pytest.approx(0.35 * 0.9, abs=0.06)
    assert correlation["MS"] == pytest.approx(0.80 * 0.9, abs=0.07)
    size = np.log(cord[:, levels.index("C1-C7")])
    men, etiv = tables.persons["sex"] == "M", np.log(tables.sessions.loc[first, "etiv_mm3"].to_numpy())
    design = np.column_stack([np.ones(len(age)), age, men, etiv])
    size = size - design @ np.linalg.lstsq(design, size, rcond=None)[0]
    assert np.corrcoef(size[arm == "MS"], share[2][arm == "MS"])[0, 1] == pytest.approx(0.7, abs=0.06)
    assert np.corrcoef(size[arm == "HC"], share[2][arm == "HC"])[0, 1] == pytest.approx(0.4, abs=0.08)


def test_correlations_that_cannot_be_are_refused() -> None:
    """Two structures that both go with a third cannot be opposed."""
    impossible = {("Thalamus", "Caudate"): 0.95, ("Thalamus", "Amygdala"): 0.95, ("Caudate", "Amygdala"): -0.9}
    with pytest.raises(ValueError, match="no people"):
        correlation_matrix(impossible)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_is_planted_names_structures(shape: Shape) -> None:
    """A misspelt structure would plant nothing: all names exist, and all correlations are possible."""
    for arm in shape.arms:
        brain = arm.brain
        for planted in (brain.differences_pct, brain.rates_pct_per_year, brain.per_lesion_pct_etiv):
            assert set(planted) <= set(NAMES)
        assert set(brain.per_first_lesion_pct_etiv) <= set(NAMES)
        assert np.linalg.eigvalsh(correlation_matrix(brain.correlations))[0] > 0.0


def test_lesions_add_up_from_the_first_scan_of_each_person() -> None:
    """Hand-worked: two persons, the lesions of the first scan apart."""
    since, first = add_up_lesions(np.array([0, 0, 0, 1, 1]), np.array([3.0, 1.0, 2.0, 0.0, 4.0]))
    assert since.tolist() == [0.0, 1.0, 3.0, 0.0, 4.0]
    assert first.tolist() == [3.0, 3.0, 3.0, 0.0, 0.0]


def test_ventricles_grow_where_tissue_is_lost() -> None:
    """Between people, fast loss of tissue goes with fast growth of the ventricles."""
    count = 800
    rng = np.random.default_rng(2)
    people = People(np.zeros(count, int), np.full(count, 40.0), np.zeros(count, bool), np.full(count, 1.5e6))
    sizes = draw_sizes([Brain()], people, rng)
    years = np.tile([0.0, 20.0], count)
    person = np.repeat(np.arange(count), 2)
    scans = Scans(person, years, np.zeros(2 * count), np.zeros(2 * count))
    volumes = make_volumes([replace(Brain(), rate_spread_pct=0.5)], people, sizes, scans, rng)
    tissue, fluid = (np.diff(np.log(volumes[name]).reshape(-1, 2)).ravel() for name in ("TotalGray", "Ventricles"))
    assert "Lateral-Ventricle" in FLUID
    assert np.corrcoef(tissue, fluid)[0, 1] < -0.2
