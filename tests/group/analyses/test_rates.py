# SPDX-License-Identifier: Apache-2.0
"""Annual rates of persons: slopes, measured change, chains, what is too short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_msvol.group.analyses.rates import (
    brain_rates,
    cord_rates,
    fit_slopes,
    scale_slopes,
    thickness_rates,
)
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Plan
from bids_msvol.group.study import Study
from tests.group.cohorts import make_study, make_tables


def test_slopes_are_those_of_polyfit() -> None:
    """Each person and column alone, with missing values, against numpy's least squares."""
    rng = np.random.default_rng(5)
    persons = pd.Series(np.repeat(["a", "b", "c"], [4, 3, 2]))
    years = pd.Series([0.0, 0.9, 2.1, 3.0, 0.1, 1.0, 2.4, 0.0, 1.7])
    values = pd.DataFrame(rng.normal(size=(9, 2)), columns=["x", "y"])
    values.loc[1, "y"] = np.nan
    slope, count, span, error, spread = fit_slopes(values, persons, years, pd.Index(["a", "b", "c", "d"]))
    for name in ("a", "b", "c"):
        for column in values:
            use = (persons == name) & values[column].notna()
            line = np.polyfit(years[use], values.loc[use, column], 1)
            assert slope.loc[name, column] == pytest.approx(line[0])
            assert count.loc[name, column] == use.sum()
            assert span.loc[name, column] == pytest.approx(np.ptp(years[use]))
            assert spread.loc[name, column] == pytest.approx(float(np.sum((years[use] - years[use].mean()) ** 2)))
            rest = values.loc[use, column] - np.polyval(line, years[use])
            assert error.loc[name, column] == pytest.approx(float(np.sum(rest**2)), abs=1e-12)
    assert np.isnan(slope.loc["d", "x"])
    assert count.loc["d", "x"] == 0


def test_planted_rates_are_recovered() -> None:
    """Half a per cent a year of brain and cord; ventricles grow four times as fast."""
    study = make_study({"A": 40}, noise_pct=0.05)
    brain = brain_rates(study, ("WholeBrain", "Thalamus", "LateralVentricle"))
    means = brain.rate.mean()
    assert means["WholeBrain"] == pytest.approx(-0.5, abs=0.01)
    assert means["Thalamus"] == pytest.approx(-0.5, abs=0.02)
    assert means["LateralVentricle"] == pytest.approx(100 * np.log(1.06) / 3, abs=0.05)
    assert cord_rates(study, ("C2-C3",)).rate["C2-C3"].mean() == pytest.approx(-0.5, abs=0.2)


def test_error_around_the_line_is_that_of_the_scans() -> None:
    """The pooled residual standard deviation is the planted error of one volume of one structure."""
    brain = brain_rates(make_study({"A": 200}, noise_pct=0.3), ("BrainStem",))
    variance = brain.error_ss["BrainStem"].sum() / brain.error_df["BrainStem"].sum()
    assert np.sqrt(variance) == pytest.approx(0.3, rel=0.08)


def test_short_and_single_follow_up_has_no_rate() -> None:
    """One scan, or scans four months apart, give no rate, and nothing is invented."""
    assert brain_rates(make_study({"A": 3}, years=(0.0,)), ("Thalamus",)).rate["Thalamus"].isna().all()
    near = brain_rates(make_study({"A": 3}, years=(0.0, 0.33)), ("Thalamus",))
    assert near.rate["Thalamus"].isna().all()
    assert (near.scans["Thalamus"] == 2).all()


def _with_measured(study: Study, pairs: list[tuple[int, int]], percent: list[float]) -> Study:
    index = pd.MultiIndex.from_tuples(pairs)
    frame = pd.DataFrame({"Thalamus": percent}, index=index)
    return replace(study, measured_change_pct=frame, measured_change_mm3=frame)


def test_measured_change_counts_from_first_to_last() -> None:
    """The pair furthest apart is used, not the shorter ones."""
    study = _with_measured(make_study({"A": 2}), [(0, 1), (0, 3), (4, 5)], [-9.0, -3.0, -1.0])
    rates = brain_rates(study, ("Thalamus",))
    assert rates.rate["Thalamus"].to_numpy() == pytest.approx([100 * np.log(0.97) / 3.0, 100 * np.log(0.99)], rel=2e-3)
    assert "measured from images" in rates.method


def test_consecutive_measured_changes_are_put_together() -> None:
    """With consecutive pairs only, all of them make one rate; a gap leaves the longest pair."""
    study = _with_measured(
        make_study({"A": 2}), [(0, 1), (1, 2), (2, 3), (4, 5), (6, 7)], [-1.0, -2.0, -3.0, -1.0, -4.0]
    )
    rates = brain_rates(study, ("Thalamus",))
    whole = 100 * np.log(0.99 * 0.98 * 0.97) / 3.0
    assert rates.rate["Thalamus"].iloc[0] == pytest.approx(whole, rel=2e-3)
    assert rates.scans["Thalamus"].tolist() == [4.0, 2.0]
    assert rates.years["Thalamus"].iloc[1] == pytest.approx(1.0, abs=0.01)


def test_thickness_has_rates_in_millimetres() -> None:
    """The mean of both sides, in mm a year."""
    tables = make_tables({"A": 2})
    years = tables.sessions["days"] / 365.25
    thickness = pd.DataFrame({"lh": 2.5, "rh": 2.5, "mean": 2.5 - 0.01 * years})
    rates = thickness_rates(assemble(replace(tables, thickness_mm=thickness), Plan()))
    assert rates.rate["CorticalThickness"].to_numpy() == pytest.approx(-0.01)
    assert rates.unit == "mm/year"
    assert thickness_rates(make_study({"A": 2})).rate.isna().to_numpy().all()


def test_scales_come_from_visits_else_from_sessions() -> None:
    """Visits between scans count; a person without visits is judged by the sessions."""
    study = make_study({"A": 2})
    ids = study.persons.index
    visits = pd.DataFrame({"participant_id": [ids[0]] * 3, "days": [0.0, 365.25, 730.5], "edss": [2.0, 3.0, 4.0]})
    sessions = study.sessions.assign(edss=study.sessions["days"] / 365.25 * 0.5)
    slopes = scale_slopes(replace(study, visits=visits, sessions=sessions), "edss")
    assert slopes.to_numpy() == pytest.approx([1.0, 0.5])
