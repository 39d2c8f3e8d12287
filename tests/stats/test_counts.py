# SPDX-License-Identifier: Apache-2.0
"""Rates and regression of counts against R 4.2.2 (``glm``, ``MASS::glm.nb``, ``poisson.test``) and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.counts import compare_rates, fit_negative_binomial, fit_quasi_poisson, poisson_rate
from tests.stats.event_data import AGE, COUNTS, EXPOSURE, GROUP


def columns(*, age: bool = True) -> dict[str, np.ndarray]:
    found = {"intercept": np.ones(len(GROUP)), "B": GROUP == "B", "C": GROUP == "C"}
    return {name: np.asarray(value, dtype=float) for name, value in ({**found, "age": AGE} if age else found).items()}


def test_exact_interval_is_that_of_r() -> None:
    """``poisson.test(7, 31.5)$conf.int``; without events the lower end is 0 and the upper the rule of 3.69."""
    found = poisson_rate(7, 31.5)
    assert (found.rate, found.low, found.high) == pytest.approx((7 / 31.5, 0.08934485878, 0.45786270990))
    none = poisson_rate(0, 10.0)
    assert (none.rate, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(-math.log(0.025) / 10.0)


def test_two_rates_by_the_exact_test_are_those_of_r() -> None:
    """``poisson.test(c(9, 4), c(20.5, 31.5))``; a group without events has an interval that reaches 0 or infinity."""
    found = compare_rates((4, 31.5), (9, 20.5))
    assert found.p == pytest.approx(0.043043, abs=1e-6)
    assert (found.ratio, found.low, found.high) == pytest.approx((3.457317073, 0.9649306192, 15.3637522656))
    none = compare_rates((5, 10.0), (0, 10.0))
    assert (none.ratio, none.low) == (0.0, 0.0)
    assert none.p == pytest.approx(2 * 0.5**5)
    assert compare_rates((0, 10.0), (5, 10.0)).high == math.inf
    with pytest.raises(ValueError, match="no events in either"):
        compare_rates((0, 10.0), (0, 10.0))


def test_quasi_poisson_is_that_of_r() -> None:
    """``summary(glm(y ~ g + age + offset(log(expo)), quasipoisson, epsilon = 1e-14))``."""
    model = fit_quasi_poisson(COUNTS, columns(), EXPOSURE)
    assert model.beta == pytest.approx([-1.372904250, 0.372129316, -0.084268731, 0.009860514], abs=1e-8)
    # R weighs with the means of its last but one step.
    assert np.sqrt(np.diag(model.covariance)) == pytest.approx([0.5466628, 0.2906440, 0.3942474, 0.0118333], rel=1e-5)
    assert model.dispersion == pytest.approx(1.172351, rel=1e-5)
    assert (model.df, model.n_obs, model.n_events) == (56.0, 60, int(COUNTS.sum()))
    found = model.estimate({"B": 1.0})
    assert found.t == pytest.approx(1.28036, rel=1e-5)
    assert found.p == pytest.approx(2 * stats.t.sf(found.t, 56))


def test_one_group_alone_has_its_rate() -> None:
    """The intercept alone is the logarithm of events by exposure, with variance dispersion / events."""
    model = fit_quasi_poisson(COUNTS, {"intercept": np.ones(len(COUNTS))}, EXPOSURE)
    found = model.estimate({"intercept": 1.0})
    assert math.exp(found.value) == pytest.approx(COUNTS.sum() / EXPOSURE.sum())
    assert found.se == pytest.approx(math.sqrt(model.dispersion / COUNTS.sum()))


def test_the_joint_test_of_one_column_is_the_square_of_its_t() -> None:
    model = fit_quasi_poisson(COUNTS, columns(), EXPOSURE)
    joint, single = model.joint_test([{"B": 1.0}]), model.estimate({"B": 1.0})
    assert (joint.f, joint.p) == pytest.approx((single.t**2, single.p))
    both = model.joint_test([{"B": 1.0}, {"C": 1.0}])
    assert (both.df_between, both.df_within) == (2.0, 56.0)


def test_negative_binomial_is_that_of_mass() -> None:
    """``glm.nb(y ~ g + age + offset(log(expo)), control = glm.control(epsilon = 1e-12))``, ``1 / theta``, logLik."""
    model = fit_negative_binomial(COUNTS, columns(), EXPOSURE)
    assert model.beta == pytest.approx([-1.40604089, 0.36594399, -0.08493591, 0.01058618], abs=1e-6)
    errors = [0.54481769, 0.28938586, 0.38730198, 0.01184250]
    assert np.sqrt(np.diag(model.covariance)) == pytest.approx(errors, rel=1e-6)
    assert model.extra_variance == pytest.approx(0.125093137, rel=1e-5)
    assert model.log_likelihood == pytest.approx(-81.70442516)
    assert math.isinf(model.df)
    joint = model.joint_test([{"B": 1.0}])
    assert joint.p == pytest.approx(model.estimate({"B": 1.0}).p)


def test_counts_that_vary_less_than_poisson_need_no_extra_variance() -> None:
    """Where there is none, the negative binomial model is the Poisson model."""
    counts = np.array([1, 2, 1, 2, 3, 3, 4, 3], dtype=float)
    design = {"intercept": np.ones(8), "x": np.repeat([0.0, 1.0], 4)}
    model = fit_negative_binomial(counts, design, np.ones(8))
    assert model.extra_variance == 0.0
    assert np.exp(model.beta) == pytest.approx([1.5, 13 / 6])
    # Poisson: the variance of a difference of logarithms is 1/events + 1/events.
    assert model.estimate({"x": 1.0}).se == pytest.approx(math.sqrt(1 / 6 + 1 / 13))


def test_the_negative_binomial_model_does_not_fail() -> None:
    """Small groups with very uneven rates, of which other programs cannot fit some: always a finite answer."""
    rng = np.random.default_rng(11)
    design = {"intercept": np.ones(52), "x": np.repeat([0.0, 1.0], [33, 19])}
    for _ in range(25):
        counts = rng.poisson(0.3 * rng.gamma(0.5, 2.0, 52)).astype(float)
        if counts[:33].any() and counts[33:].any():
            assert np.isfinite(fit_negative_binomial(counts, design, np.ones(52)).estimate({"x": 1.0}).p)


def test_a_group_without_events_has_no_estimate() -> None:
    """Its coefficient goes to minus infinity; a standard error of thousands is no answer."""
    counts = np.array([1, 0, 2, 1, 0, 0, 0, 0], dtype=float)
    design = {"intercept": np.ones(8), "x": np.repeat([0.0, 1.0], 4)}
    for fit in (fit_quasi_poisson, fit_negative_binomial):
        with pytest.raises(ValueError, match="no finite estimate"):
            fit(counts, design, np.ones(8))


@pytest.mark.parametrize(
    ("counts", "exposure", "message"),
    [
        ([0, 0, 0, 0], [1, 1, 1, 1], "there are no events"),
        ([1, 0.5, 0, 0], [1, 1, 1, 1], "other than counts"),
        ([1, -1, 0, 0], [1, 1, 1, 1], "other than counts"),
        ([1, 0, 0, 2], [1, 0, 1, 1], "not above 0"),
        ([1, np.nan, 0, 2], [1, 1, 1, 1], "missing"),
    ],
)
def test_impossible_data_are_refused(counts: list[float], exposure: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_quasi_poisson(counts, {"intercept": np.ones(4)}, exposure)


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="no exposure"):
        poisson_rate(1, 0.0)
    with pytest.raises(ValueError, match="at least 0"):
        poisson_rate(-1, 1.0)
