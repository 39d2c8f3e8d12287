# SPDX-License-Identifier: Apache-2.0
"""Survival against R 4.2.2's package survival 3.5.3, and textbook data; Cox regression too."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.cox import fit_cox
from bids_msvol.stats.survival import kaplan_meier, log_rank
from tests.stats.event_data import AGE, EVENT, GROUP, TIME

DESIGN = {"B": (GROUP == "B").astype(float), "C": (GROUP == "C").astype(float), "age": AGE}


def test_kaplan_meier_is_that_of_r() -> None:
    """``summary(survfit(Surv(time, ev) ~ 1, conf.type = "log-log"), times = c(.25, 1, 2, 3))`` with heavy ties."""
    curve = kaplan_meier(TIME, EVENT)
    expected = {
        0.25: (60, 0.9666666667, 0.8732247989, 0.9915577022),
        1.0: (45, 0.7288888889, 0.5957734214, 0.8244020275),
        2.0: (27, 0.5347156487, 0.3937784887, 0.6567118670),
        3.0: (15, 0.4011646589, 0.2596609736, 0.5386333004),
    }
    for time, (at_risk, *values) in expected.items():
        assert curve.number_at_risk(time) == at_risk
        assert curve.at(time) == pytest.approx(values)
    assert (curve.median, curve.median_low) == (2.75, 1.5)
    assert math.isnan(curve.median_high)
    of_b = kaplan_meier(TIME[GROUP == "B"], EVENT[GROUP == "B"])
    assert (of_b.n, of_b.n_events) == (24, 17)
    assert (of_b.median, of_b.median_low, of_b.median_high) == (1.25, 0.5, 2.75)


def test_kaplan_meier_by_hand() -> None:
    """Five persons: events at 1 and 3, one leaves at 2, two at 4; who leaves at the time of an event is at risk."""
    curve = kaplan_meier([1, 2, 3, 4, 4], [1, 0, 1, 0, 0])
    assert curve.survival.tolist() == pytest.approx([0.8, 0.8, 0.8 * 2 / 3, 0.8 * 2 / 3])
    assert curve.at(0.5)[0] == 1.0
    assert math.isnan(curve.at(4.5)[0])
    assert curve.number_at_risk(5.0) == 0
    tied = kaplan_meier([1, 1, 2], [1, 0, 0])
    assert tied.survival[0] == pytest.approx(2 / 3)


def test_a_curve_ends_where_too_few_are_at_risk() -> None:
    """Ten persons, one event a day: with at least 5 at risk it ends at day 6 and has a median; with 7, it has none."""
    curve = kaplan_meier(range(1, 11), [1] * 10)
    ended = curve.until(5)
    assert (ended.times[-1], ended.at_risk[-1], ended.n, ended.n_events) == (6.0, 5, 10, 10)
    assert ended.survival[-1] == pytest.approx(0.4)
    assert ended.median == curve.median
    assert math.isnan(ended.at(6.5)[0])
    assert math.isnan(curve.until(7).median)
    assert len(curve.until(11).times) == 0


def test_half_for_a_while_has_its_median_in_the_middle() -> None:
    """As R does: the share is one half from 2 to 3."""
    assert kaplan_meier([1, 2, 3, 4], [1, 1, 1, 1]).median == 2.5
    assert kaplan_meier([1, 2, 3, 4], [1, 1, 1, 1]).at(9.0)[0] == 0.0


def test_log_rank_is_that_of_r() -> None:
    """``survdiff(Surv(time, ev) ~ g)``."""
    found = log_rank(TIME, EVENT, GROUP)
    assert found.observed == (11.0, 17.0, 4.0)
    assert found.expected == pytest.approx((14.782703855, 10.091013666, 7.126282478))
    assert (found.chi2, found.df) == (pytest.approx(7.710045727), 2)
    assert found.p == pytest.approx(stats.chi2.sf(found.chi2, 2))


def test_log_rank_of_two_groups_is_that_of_scipy() -> None:
    chosen = GROUP != "C"
    sample = {
        name: stats.CensoredData.right_censored(TIME[name == GROUP], EVENT[name == GROUP] == 0) for name in ("A", "B")
    }
    theirs = stats.logrank(sample["A"], sample["B"])
    ours = log_rank(TIME[chosen], EVENT[chosen], GROUP[chosen])
    assert (ours.chi2, ours.p) == pytest.approx((theirs.statistic**2, theirs.pvalue))


def test_cox_is_that_of_r() -> None:
    """``coxph(Surv(time, ev) ~ g + age, ties = "efron")``: coefficients, errors, log likelihoods, residuals."""
    model = fit_cox(TIME, EVENT, DESIGN)
    assert model.beta == pytest.approx([0.869075594177, -0.285429717560, 0.004812270513], abs=1e-8)
    errors = [0.39443789093, 0.58555563301, 0.01582226269]
    assert np.sqrt(np.diag(model.covariance)) == pytest.approx(errors, rel=1e-7)
    assert model.log_likelihoods == pytest.approx((-114.4677769, -110.7193383))
    found = model.estimate({"B": 1.0})
    assert (found.t, found.p) == pytest.approx((2.2033268460, 0.02757172012))
    assert model.likelihood_ratio().chi2 == pytest.approx(2 * (114.4677769 - 110.7193383), abs=1e-6)
    assert model.residuals.sum(axis=0) == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    tied = np.flatnonzero(model.event_times == 0.25)
    assert sorted(model.residuals[tied, 2]) == pytest.approx([-20.194474468, 2.605525532])


def test_proportional_hazards_are_tested_as_in_r() -> None:
    """``cox.zph(fit)``: 2.895617 for the groups; ``terms = FALSE``: 1.911945, 0.144630, 0.639619; all 4.005713."""
    model = fit_cox(TIME, EVENT, DESIGN)
    assert model.proportionality(["B", "C"]).chi2 == pytest.approx(2.895617, abs=1e-6)
    singly = [model.proportionality([name]).chi2 for name in model.names]
    assert singly == pytest.approx([1.911945, 0.144630, 0.639619], abs=1e-6)
    assert (model.proportionality().chi2, model.proportionality().df) == (pytest.approx(4.005713, abs=1e-6), 3)


def test_cox_without_ties_has_the_score_test_of_log_rank() -> None:
    """Scaling a column scales its coefficient; order of rows does not matter."""
    rng = np.random.default_rng(5)
    times, events, x = rng.exponential(size=80), rng.random(80) < 0.7, rng.normal(size=80)
    one, scaled = fit_cox(times, events, {"x": x}), fit_cox(times[::-1], events[::-1], {"x": 1000 * x[::-1] + 7})
    assert scaled.beta * 1000 == pytest.approx(one.beta)
    assert scaled.estimate({"x": 1.0}).p == pytest.approx(one.estimate({"x": 1.0}).p)


def test_a_planted_hazard_ratio_is_found() -> None:
    """3000 persons, true ratio 2: within three standard errors; a ratio that turns round fails proportionality."""
    rng = np.random.default_rng(6)
    x = rng.integers(0, 2, 3000).astype(float)
    times = rng.exponential(1.0 / np.exp(math.log(2.0) * x))
    model = fit_cox(np.minimum(times, 2.0), times < 2.0, {"x": x})
    found = model.estimate({"x": 1.0})
    assert abs(found.value - math.log(2.0)) < 3 * found.se
    assert model.proportionality().p > 0.01
    crossing = np.where(x > 0, rng.weibull(3.0, 3000), rng.weibull(0.7, 3000))
    assert fit_cox(crossing, np.ones(3000), {"x": x}).proportionality().p < 1e-6


def test_what_has_no_estimate_says_why() -> None:
    times, x = np.arange(1.0, 9.0), np.repeat([0.0, 1.0], 4)
    with pytest.raises(ValueError, match="no finite estimate"):
        fit_cox(times, x, {"x": x})
    with pytest.raises(ValueError, match="no events"):
        fit_cox(times, np.zeros(8), {"x": x})
    with pytest.raises(ValueError, match="same for everybody"):
        fit_cox(times, np.ones(8), {"x": np.ones(8)})
    with pytest.raises(ValueError, match="one group only"):
        log_rank(times, np.ones(8), ["a"] * 8)
    with pytest.raises(ValueError, match="no events"):
        log_rank(times, np.zeros(8), x.astype(str))
    with pytest.raises(ValueError, match="never at risk together"):
        log_rank([1, 1, 5, 5], [0, 0, 1, 1], ["a", "a", "b", "b"])
    with pytest.raises(ValueError, match="all events happened at one time"):
        fit_cox([1, 1, 1, 2, 2, 2], [1, 1, 1, 0, 0, 0], {"x": [0, 1, 0, 1, 0, 1]}).proportionality()
    with pytest.raises(ValueError, match="nobody"):
        kaplan_meier([], [])
    with pytest.raises(ValueError, match="negative"):
        kaplan_meier([-1.0], [1])
    with pytest.raises(ValueError, match="true and false"):
        kaplan_meier([1.0], [2])
