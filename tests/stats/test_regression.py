# SPDX-License-Identifier: Apache-2.0
"""Least squares against R 4.2.2's ``lm``, influence against fits without each observation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.regression import LinearFit, compare_slopes, fit_ols, influence, simple_regression

MS = np.repeat([0.0, 1.0, 0.0], [5, 6, 4])
NMO = np.repeat([0.0, 1.0], [11, 4])
AGE = np.array([30, 42, 51, 38, 60, 33, 45, 52, 29, 61, 40, 36, 48, 55, 41], dtype=float)
VOLUME = np.array([8.1, 7.6, 7.2, 7.9, 6.9, 7.5, 6.8, 6.6, 7.7, 5.9, 7.0, 7.7, 7.3, 6.8, 7.4])
COLUMNS = {"intercept": np.ones(15), "ms": MS, "nmo": NMO, "age": AGE}

LESIONS = np.array([0, 1, 1, 2, 2, 3, 3, 4, 5], dtype=float)
CHANGE = np.array([-0.01, -0.03, 0.01, -0.05, -0.02, -0.08, -0.03, -0.11, -0.20])


def without(index: int) -> LinearFit:
    return fit_ols(np.delete(VOLUME, index), {name: np.delete(column, index) for name, column in COLUMNS.items()})


def test_coefficients_are_those_of_r() -> None:
    """``summary(lm(volume ~ ms + nmo + age))``: estimates, errors, p values, interval, R2."""
    fit = fit_ols(VOLUME, COLUMNS)
    found = fit.coefficients
    assert [e.value for e in found.values()] == pytest.approx(
        [9.6642315770249, -0.6649849328828, -0.2015523696466, -0.0480595379417]
    )
    assert [e.se for e in found.values()] == pytest.approx(
        [0.13369203719704, 0.06532347799220, 0.07235137944001, 0.00282119363142]
    )
    assert [e.p for e in found.values()] == pytest.approx(
        [4.41296354940e-16, 6.18483092829e-07, 1.77209433903e-02, 2.96610003822e-09], rel=1e-8
    )
    assert (found["ms"].low, found["ms"].high) == pytest.approx((-0.8087609385493, -0.5212089272164))
    assert (found["ms"].df, fit.n_obs) == (11, 15)
    assert fit.r_squared == pytest.approx(0.972145113851)
    assert fit.sigma2 == pytest.approx(0.127835358 / 11)


def test_two_columns_together_are_those_of_r() -> None:
    """``drop1``: the groups take 1.279 of the sum of squares, 0.128 is left; so does partial eta squared."""
    fit = fit_ols(VOLUME, COLUMNS)
    joint = fit.joint_test([{"ms": 1}, {"nmo": 1}])
    assert (joint.f, joint.df_between, joint.df_within) == pytest.approx((55.02720, 2, 11), rel=1e-6)
    assert joint.p == pytest.approx(1.8675e-06, rel=1e-4)
    assert joint.partial_eta_squared == pytest.approx(1.278985675 / (1.278985675 + 0.127835358))
    assert fit.partial_eta_squared["age"] == pytest.approx(3.372497976 / 3.500333333)
    with pytest.raises(ValueError, match="at least one contrast"):
        fit.joint_test([])


def test_hc3_is_the_sandwich() -> None:
    """Standard errors from residuals over 1 - h, as worked out in R; the estimates stay."""
    fit = fit_ols(VOLUME, COLUMNS, errors="HC3")
    assert [e.se for e in fit.coefficients.values()] == pytest.approx(
        [0.21274995806228, 0.08411187024957, 0.08203943299406, 0.00466465795902]
    )
    assert fit.beta == pytest.approx(fit_ols(VOLUME, COLUMNS).beta)
    assert fit.partial_eta_squared == fit_ols(VOLUME, COLUMNS).partial_eta_squared
    with pytest.raises(ValueError, match="HC3 has no answer: 1 observations decide a coefficient alone"):
        fit_ols(VOLUME, {**COLUMNS, "one": (AGE == 60).astype(float)}, errors="HC3")


def test_influence_is_what_leaving_out_does() -> None:
    """Coefficients, residual and Cook's distance of each observation from the fit that lacks it."""
    fit = fit_ols(VOLUME, COLUMNS)
    found = influence(fit)
    for index in range(15):
        rest = without(index)
        row = fit.matrix[index]
        assert found.beta_without[index] == pytest.approx(rest.beta)
        error = VOLUME[index] - row @ rest.beta
        assert found.studentised[index] == pytest.approx(error / np.sqrt(rest.sigma2 * (1 + row @ rest.unscaled @ row)))
        moved = fit.fitted - fit.matrix @ rest.beta
        assert found.cooks_distance[index] == pytest.approx(moved @ moved / (4 * fit.sigma2))
    assert found.hat[:3] == pytest.approx([0.338096977445, 0.203314765775, 0.231668340791])
    assert found.hat.sum() == pytest.approx(4.0)


def test_an_outlier_far_out_is_flagged() -> None:
    """Twenty lesions where others have a few: severe; the slope without it is the slope of the others."""
    x, y = np.append(LESIONS, 21.0), np.append(CHANGE, 0.0)
    found = influence(simple_regression(y, x))
    assert list(np.flatnonzero(found.severe)) == [9]
    assert list(np.flatnonzero(found.notable)) == [9]
    assert found.beta_without[9] == pytest.approx(simple_regression(CHANGE, LESIONS).beta)
    # The limit of the milder flag is 4/n.
    plain = influence(simple_regression(CHANGE, LESIONS))
    assert list(plain.notable) == list(plain.cooks_distance > 4 / 9)
    assert 0 < plain.notable.sum() < 9


def test_an_observation_that_decides_a_coefficient_alone() -> None:
    """It has no residual and no fit without it; its distance is infinite and flagged."""
    fit = fit_ols(VOLUME, {**COLUMNS, "one": (AGE == 60).astype(float)})
    found = influence(fit)
    alone = int(np.flatnonzero(AGE == 60)[0])
    assert found.cooks_distance[alone] == np.inf
    assert (found.severe[alone], found.notable[alone]) == (True, True)
    assert np.isnan([found.studentised[alone], *found.beta_without[alone]]).all()
    assert np.isfinite(np.delete(found.studentised, alone)).all()


def test_an_observation_that_all_misfit_is_due_to() -> None:
    """The others lie on a line: without it there is no error to compare its residual with."""
    found = influence(simple_regression([1.0, 2.0, 3.0, 4.0, 9.0], [1.0, 2.0, 3.0, 4.0, 5.0]))
    assert np.isnan(found.studentised[4])
    assert found.beta_without[4] == pytest.approx([0.0, 1.0], abs=1e-9)


def test_simple_regression_is_that_of_scipy() -> None:
    """Slope, its error and p, and R2 as the square of the correlation."""
    fit, known = simple_regression(CHANGE, LESIONS), stats.linregress(LESIONS, CHANGE)
    slope = fit.coefficients["x"]
    assert (slope.value, slope.se, slope.p) == pytest.approx((known.slope, known.stderr, known.pvalue))
    assert fit.r_squared == pytest.approx(known.rvalue**2)


def test_r_squared_without_a_constant_is_about_zero() -> None:
    """Columns that sum to one count as a constant, a slope through the origin does not."""
    groups = fit_ols(VOLUME, {"hc": 1 - MS - NMO, "ms": MS, "nmo": NMO})
    coded = fit_ols(VOLUME, {"intercept": np.ones(15), "ms": MS, "nmo": NMO})
    assert groups.r_squared == pytest.approx(coded.r_squared)
    origin = fit_ols([1.0, 2.0, 3.5], {"x": [1.0, 2.0, 3.0]})
    assert origin.r_squared == pytest.approx(1 - np.sum(origin.residuals**2) / (1 + 4 + 12.25))


def test_slopes_of_groups_with_unequal_variances() -> None:
    """Difference over the root of the summed squared errors, with the degrees of freedom of Welch, worked out."""
    rng = np.random.default_rng(4)
    x = rng.poisson(1.0, 40).astype(float)
    y = -0.01 * x + rng.normal(size=40) * np.where(np.arange(40) < 25, 0.02, 0.05)
    first, second = simple_regression(y[:25], x[:25]), simple_regression(y[25:], x[25:])
    found = compare_slopes(first, second, "x")
    one, other = stats.linregress(x[:25], y[:25]), stats.linregress(x[25:], y[25:])
    a, b = one.stderr**2, other.stderr**2
    assert found.value == pytest.approx(other.slope - one.slope)
    assert found.t == pytest.approx((other.slope - one.slope) / np.sqrt(a + b))
    assert found.df == pytest.approx((a + b) ** 2 / (a**2 / 23 + b**2 / 13))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.t), found.df))
    assert 13 < found.df < 36
    with pytest.raises(ValueError, match="different levels"):
        compare_slopes(first, simple_regression(y[25:], x[25:], level=0.9), "x")


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (fit_ols, (VOLUME * 0 + 3.0, COLUMNS), "leave nothing of the outcome"),
        (fit_ols, ([*VOLUME[1:], np.nan], COLUMNS), "'outcome' has 1 values that are missing"),
    ],
)
def test_what_cannot_be_fitted_is_refused(function: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_unknown_errors_are_refused() -> None:
    with pytest.raises(ValueError, match="'equal' or 'HC3', not 'HC4'"):
        fit_ols(VOLUME, COLUMNS, errors="HC4")  # type: ignore[arg-type]
