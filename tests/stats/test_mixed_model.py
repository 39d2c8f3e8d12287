# SPDX-License-Identifier: Apache-2.0
"""The mixed model against closed forms, and what it refuses; see ``test_lmertest`` for comparison with R."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.mixed_model import MixedFit, fit_mixed, likelihood_ratio
from bids_msvol.stats.regression import fit_ols

PERSONS, TIMES = 12, 4
PERSON = np.repeat(np.arange(PERSONS), TIMES)
TIME = np.tile(np.arange(TIMES) - 1.5, PERSONS)
SECOND = (PERSON % 2).astype(float)
ONES = np.ones(PERSONS * TIMES)
COLUMNS = {"intercept": ONES, "time": TIME, "second": SECOND, "time:second": TIME * SECOND}


def split_plot(spread: float, seed: int = 1) -> np.ndarray:
    """Return the outcome of twelve persons in two groups at four times, drawn with a spread between persons."""
    rng = np.random.default_rng(seed)
    return 5.0 + 0.3 * TIME - SECOND + rng.normal(size=len(PERSON)) + spread * rng.normal(size=PERSONS)[PERSON]


def dense_log_likelihood(
    outcome: np.ndarray, columns: np.ndarray, groups: np.ndarray, ratio: float, sigma2: float, restricted: bool
) -> float:
    """Return the log likelihood from the full covariance matrix, at the best coefficients."""
    covariance = sigma2 * (np.eye(len(outcome)) + ratio * (groups[:, None] == groups))
    inverse = np.linalg.inv(covariance)
    products = columns.T @ inverse @ columns
    beta = np.linalg.solve(products, columns.T @ inverse @ outcome)
    left = outcome - columns @ beta
    value = np.linalg.slogdet(covariance)[1] + left @ inverse @ left + len(outcome) * np.log(2 * np.pi)
    if restricted:
        value += np.linalg.slogdet(products)[1] - columns.shape[1] * np.log(2 * np.pi)
    return float(-0.5 * value)


def test_balanced_groups_by_hand() -> None:
    """Four groups of three with means 12, 17, 11, 22: mean squares 77 and 4, worked by hand."""
    outcome = [10, 12, 14, 15, 17, 19, 9, 11, 13, 20, 22, 24]
    fit = fit_mixed(outcome, {"intercept": np.ones(12)}, np.repeat(list("abcd"), 3))
    assert fit.sigma2 == pytest.approx(4.0)
    assert fit.tau2 == pytest.approx((77.0 - 4.0) / 3.0)
    assert fit.icc == pytest.approx(73.0 / 85.0)
    mean = fit.coefficients["intercept"]
    assert (mean.value, mean.se, mean.df) == pytest.approx((15.5, np.sqrt(77.0 / 12.0), 3.0))
    # 3.182446 is the 97.5 % point of t with 3 degrees of freedom.
    assert (mean.low, mean.high) == pytest.approx((15.5 - 3.182446 * mean.se, 15.5 + 3.182446 * mean.se))
    assert (fit.n_obs, fit.n_groups, fit.singular) == (12, 4, False)
    # Each mean is shrunk to the grand mean by the share of its variance that is noise, 4 / 77.
    assert fit.random_intercepts == pytest.approx(np.array([-3.5, 1.5, -4.5, 6.5]) * (1 - 4.0 / 77.0))
    assert fit.group_labels == ("a", "b", "c", "d")


def test_split_plot_has_the_degrees_of_freedom_of_its_anova() -> None:
    """Effects between persons have 10 degrees of freedom, those within 34, with the mean squares of the textbook."""
    outcome = split_plot(2.0)
    fit = fit_mixed(outcome, COLUMNS, PERSON)
    found = fit.coefficients
    assert not fit.singular
    assert [found[name].df for name in COLUMNS] == pytest.approx([10.0, 34.0, 10.0, 34.0])
    means = outcome.reshape(PERSONS, TIMES).mean(axis=1)
    one, other = means[::2], means[1::2]
    between = (one.var(ddof=1) + other.var(ddof=1)) / 2.0
    assert found["second"].t == pytest.approx(stats.ttest_ind(other, one).statistic)
    assert found["second"].se == pytest.approx(np.sqrt(between / 3.0))
    assert fit.tau2 + fit.sigma2 / TIMES == pytest.approx(between)
    dummies = (PERSON[:, None] == np.arange(PERSONS)).astype(float)
    within = fit_ols(outcome, {**{f"p{i}": dummies[:, i] for i in range(PERSONS)}, "t": TIME, "ts": TIME * SECOND})
    assert fit.sigma2 == pytest.approx(within.sigma2)
    assert found["time:second"].p == pytest.approx(within.coefficients["ts"].p)


def test_joint_test_of_a_balanced_design_is_the_anova() -> None:
    """Three time points as factor: F with 2 and 22 degrees of freedom, as the two-way analysis of variance has it."""
    outcome = split_plot(1.0).reshape(PERSONS, TIMES)[:, :3]
    person, time = np.repeat(np.arange(PERSONS), 3), np.tile(np.arange(3), PERSONS)
    columns = {"intercept": np.ones(36), "t1": (time == 1).astype(float), "t2": (time == 2).astype(float)}
    found = fit_mixed(outcome.ravel(), columns, person).joint_test([{"t1": 1}, {"t2": 1}, {"t1": 1, "t2": -1}])
    effect = outcome - outcome.mean(axis=1, keepdims=True)
    explained = PERSONS * np.sum(effect.mean(axis=0) ** 2) / 2.0
    error = np.sum((effect - effect.mean(axis=0)) ** 2) / 22.0
    assert (found.f, found.df_between, found.df_within) == pytest.approx((explained / error, 2.0, 22.0))


def test_without_spread_between_groups_it_is_least_squares() -> None:
    """Changes between noisy scans: the fit is flagged, and equal to least squares with its degrees of freedom."""
    noise = np.random.default_rng(3).normal(size=(PERSONS, TIMES + 1))
    outcome = np.diff(noise, axis=1).ravel()
    fit, plain = fit_mixed(outcome, COLUMNS, PERSON), fit_ols(outcome, COLUMNS)
    assert (fit.singular, fit.tau2, fit.icc) == (True, 0.0, 0.0)
    assert fit.sigma2 == pytest.approx(plain.sigma2)
    for name, estimate in plain.coefficients.items():
        assert vars(fit.coefficients[name]) == pytest.approx(vars(estimate))
    assert fit.random_intercepts == pytest.approx(np.zeros(PERSONS))
    assert fit.residuals == pytest.approx(plain.residuals)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_likelihood_is_that_of_the_full_covariance_matrix(method: Any) -> None:
    """Unbalanced data: the reported likelihood is the dense one, and no neighbouring ratio has a higher one."""
    kept = np.random.default_rng(5).random(len(PERSON)) < 0.6
    outcome, groups = split_plot(1.0)[kept], PERSON[kept]
    columns = {name: column[kept] for name, column in COLUMNS.items()}
    fit = fit_mixed(outcome, columns, groups, method=method)
    matrix = np.column_stack(list(columns.values()))

    def dense(ratio: float, sigma2: float) -> float:
        return dense_log_likelihood(outcome, matrix, groups, ratio, sigma2, method == "REML")

    ratio = fit.tau2 / fit.sigma2
    best = dense(ratio, fit.sigma2)
    assert not fit.singular
    assert fit.log_likelihood == pytest.approx(best, abs=1e-9)
    for factor in (0.9, 1.1):
        assert dense(factor * ratio, fit.sigma2) < best
        assert dense(ratio, factor * fit.sigma2) < best


def test_the_lowest_of_two_minima_is_taken() -> None:
    """A likelihood with two maxima, one of them where there is no spread between groups."""
    outcome = np.array([-1.4, 6.2, 1.9, 1.3, 2.3, 1.3, 3.2, 0.7, 2.1])
    groups, ones = np.array([0, 1, 2, 2, 2, 2, 2, 2, 3]), np.ones((9, 1))

    def profiled(ratio: float) -> float:
        inverse = np.linalg.inv(np.eye(9) + ratio * (groups[:, None] == groups))
        left = outcome - np.sum(inverse @ outcome) / np.sum(inverse)
        return dense_log_likelihood(outcome, ones, groups, ratio, float(left @ inverse @ left) / 9, False)

    likelihoods = [profiled(ratio) for ratio in (0.0, 0.05, 7.864)]
    assert likelihoods[1] < likelihoods[0] < likelihoods[2]
    fit = fit_mixed(outcome, {"intercept": ones[:, 0]}, groups, method="ML")
    assert fit.log_likelihood == pytest.approx(likelihoods[2], abs=1e-6)
    assert not fit.singular


def test_units_and_order_do_not_matter() -> None:
    """In other units, with a far-off origin and shuffled rows, the tests are the same."""
    outcome = split_plot(0.7, seed=8)
    order = np.random.default_rng(0).permutation(len(outcome))
    columns = {**COLUMNS, "time": 1e6 * TIME, "time:second": 1e6 * TIME * SECOND}
    shuffled = {name: column[order] for name, column in columns.items()}
    labels = np.array([f"sub-{person:02d}" for person in PERSON])
    fit = fit_mixed(outcome, COLUMNS, PERSON)
    for scale in (1e-9, 1e9):
        other = fit_mixed(scale * outcome[order], shuffled, labels[order])
        assert other.icc == pytest.approx(fit.icc)
        for name, estimate in fit.coefficients.items():
            found = other.coefficients[name]
            assert (found.t, found.df, found.p) == pytest.approx((estimate.t, estimate.df, estimate.p), rel=1e-6)
    far = fit_mixed(outcome + 1e6, COLUMNS, PERSON)
    assert far.coefficients["time:second"].p == pytest.approx(fit.coefficients["time:second"].p, rel=1e-6)


def test_residuals_are_what_columns_and_intercepts_leave() -> None:
    """Outcome = columns @ beta + intercept of the person + residual, and the intercepts sum to zero."""
    outcome = split_plot(1.0)
    fit = fit_mixed(outcome, COLUMNS, [f"sub-{person:02d}" for person in PERSON])
    rebuilt = np.column_stack(list(COLUMNS.values())) @ fit.beta + fit.random_intercepts[PERSON] + fit.residuals
    assert rebuilt == pytest.approx(outcome)
    assert fit.random_intercepts.sum() == pytest.approx(0.0, abs=1e-9)
    assert np.ptp(fit.random_intercepts) > 1.0


def test_contrasts_by_name_and_by_weight_agree() -> None:
    """The slope of the second group, its interval at another level, and contrasts that the model has not."""
    fit = fit_mixed(split_plot(1.0), COLUMNS, PERSON, level=0.9)
    named = fit.contrast({"time": 1, "time:second": 1})
    assert named == fit.contrast([0, 1, 0, 1])
    assert named.value == pytest.approx(fit.beta[1] + fit.beta[3])
    assert named.high - named.value == pytest.approx(float(stats.t.ppf(0.95, named.df)) * named.se)
    with pytest.raises(ValueError, match="the model has no column 'tme'; it has intercept, time"):
        fit.contrast({"tme": 1})
    with pytest.raises(ValueError, match=r"has 4 weights, not an array of shape \(3,\)"):
        fit.contrast([1, 0, 0])
    with pytest.raises(ValueError, match="not all of them zero"):
        fit.contrast([0, 0, 0, 0])
    with pytest.raises(ValueError, match="at least one contrast"):
        fit.joint_test([])


def test_likelihood_ratio() -> None:
    """With no spread between groups the statistic is n log of the ratio of the sums of squares."""
    outcome = np.diff(np.random.default_rng(3).normal(size=(PERSONS, TIMES + 1)), axis=1).ravel() + 0.2 * TIME

    def fits(columns: dict[str, np.ndarray], method: Any = "ML") -> MixedFit:
        return fit_mixed(outcome, columns, PERSON, method=method)

    fewer = {name: COLUMNS[name] for name in ("intercept", "second")}
    full, reduced = fits(COLUMNS), fits(fewer)
    assert (full.singular, reduced.singular) == (True, True)
    found = likelihood_ratio(full, reduced)
    sums = [float(np.sum(fit_ols(outcome, columns).residuals ** 2)) for columns in (fewer, COLUMNS)]
    assert (found.chi2, found.df) == pytest.approx((len(outcome) * np.log(sums[0] / sums[1]), 2))
    assert found.p == pytest.approx(stats.chi2.sf(found.chi2, 2))
    with pytest.raises(ValueError, match="method='ML'"):
        likelihood_ratio(fits(COLUMNS, "REML"), reduced)
    with pytest.raises(ValueError, match="some of the columns"):
        likelihood_ratio(reduced, full)
    with pytest.raises(ValueError, match="the same observations"):
        likelihood_ratio(full, fit_mixed(outcome[4:], {n: c[4:] for n, c in fewer.items()}, PERSON[4:], method="ML"))


def test_a_false_spread_is_found_five_times_in_a_hundred() -> None:
    """A group column over persons without any effect: 400 small unbalanced data sets, about 5 % are called."""
    rng = np.random.default_rng(11)
    kept = rng.random(len(PERSON)) < 0.7
    columns = {"intercept": ONES[kept], "second": SECOND[kept]}
    called = 0
    for _ in range(400):
        outcome = rng.normal(size=len(PERSON)) + rng.normal(size=PERSONS)[PERSON]
        called += fit_mixed(outcome[kept], columns, PERSON[kept]).coefficients["second"].p < 0.05
    assert 8 <= called <= 34


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": np.zeros(48)}, "at least two groups; there is 1"),
        ({"groups": np.arange(48)}, "every group has a single observation"),
        ({"groups": [None, *PERSON[1:]]}, "'groups' has 1 missing labels"),
        ({"groups": SECOND}, "2 groups are too few: 2 columns or combinations of them differ only between groups"),
        ({"outcome": [np.nan, *split_plot(1.0)[1:]]}, "'outcome' has 1 values that are missing"),
        ({"outcome": 2.0 + 0.1 * TIME}, "the columns leave nothing of the outcome"),
        ({"outcome": 2.0 * TIME + np.sqrt(PERSON)}, "does not vary within groups beyond what the columns explain"),
        ({"columns": {**COLUMNS, "first": 1.0 - SECOND}}, "'first' follows from 'intercept', 'second'"),
        ({"method": "reml"}, "the method is REML or ML"),
        ({"level": 95.0}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"outcome": split_plot(1.0), "columns": COLUMNS, "groups": PERSON, **change}
    with pytest.raises(ValueError, match=message):
        fit_mixed(**given)


def test_too_few_observations_within_groups_are_refused() -> None:
    """One repeated observation cannot give both a slope within groups and an error."""
    columns = {"intercept": np.ones(6), "x": [0.0, 1.0, 3.0, 2.0, 5.0, 4.0]}
    with pytest.raises(ValueError, match="6 observations of 5 groups are too few: 1 columns"):
        fit_mixed([1.0, 3.0, 2.0, 5.0, 4.0, 7.0], columns, [0, 0, 1, 2, 3, 4])
