# SPDX-License-Identifier: Apache-2.0
"""Groups compared with covariates: R's numbers, and closed forms without covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from bids_msvol.stats.ancova import fit_ancova
from bids_msvol.stats.design import treatment_columns
from tests.stats.test_regression import AGE, VOLUME

GROUPS = ["HC"] * 5 + ["MS"] * 6 + ["NMO"] * 4


def test_groups_at_the_mean_age_are_those_of_r() -> None:
    """``predict(lm(volume ~ group + age))`` at the mean age, and ``drop1`` for the groups together."""
    found = fit_ancova(VOLUME, GROUPS, {"age": AGE})
    assert dict(found.counts) == {"HC": 5, "MS": 6, "NMO": 4}
    means = found.adjusted_means
    assert [means[label].value for label in ("HC", "MS", "NMO")] == pytest.approx(
        [7.54640793839, 6.88142300551, 7.34485556875]
    )
    assert [means[label].se for label in ("HC", "MS", "NMO")] == pytest.approx(
        [0.0482122466082, 0.0440588197892, 0.0539655660932]
    )
    assert (found.omnibus.f, found.omnibus.p) == pytest.approx((55.02720, 1.8675e-06), rel=1e-4)


def test_every_pair_is_compared() -> None:
    """Differences are those of the adjusted means, with the covariance of the model."""
    found = fit_ancova(VOLUME, GROUPS, {"age": AGE})
    pairs = [(pair.first, pair.second) for pair in found.differences]
    assert pairs == [("HC", "MS"), ("HC", "NMO"), ("MS", "NMO")]
    for pair in found.differences:
        means = found.adjusted_means
        assert pair.difference.value == pytest.approx(means[pair.second].value - means[pair.first].value)
        assert pair.difference.df == 11
    assert found.differences[0].difference.se == pytest.approx(0.06532347799220)
    # The third pair does not depend on which group is the reference.
    other = fit_ancova(VOLUME, GROUPS, {"age": AGE}, reference="MS")
    assert [(pair.first, pair.second) for pair in other.differences] == [("MS", "HC"), ("MS", "NMO"), ("HC", "NMO")]
    assert vars(other.differences[1].difference) == pytest.approx(vars(found.differences[2].difference))
    assert other.omnibus.f == pytest.approx(found.omnibus.f)


def test_two_groups_without_covariates_are_a_t_test() -> None:
    """Student's t, the group means, and Hedges' g with the interval of the noncentral t."""
    one, other = VOLUME[:5], VOLUME[5:11]
    found = fit_ancova(VOLUME[:11], GROUPS[:11])
    known = stats.ttest_ind(other, one)
    (pair,) = found.differences
    assert (pair.difference.t, pair.difference.p) == pytest.approx((known.statistic, known.pvalue))
    assert found.adjusted_means["MS"].value == pytest.approx(other.mean())
    assert found.omnibus.f == pytest.approx(known.statistic**2)
    pooled = np.sqrt((4 * one.var(ddof=1) + 5 * other.var(ddof=1)) / 9)
    d = (other.mean() - one.mean()) / pooled
    # The usual approximation of the correction for nine degrees of freedom.
    assert pair.effect_size == pytest.approx(d * (1 - 3 / (4 * 9 - 1)), rel=1e-3)
    for limit, share in ((pair.effect_low, 0.975), (pair.effect_high, 0.025)):
        noncentrality = limit / np.sqrt(1 / 5 + 1 / 6)
        assert stats.nct.cdf(known.statistic, 9, noncentrality) == pytest.approx(share, abs=1e-6)


def test_labelled_covariates_count_at_their_shares() -> None:
    """With sex among the covariates, means are adjusted to the share of each sex in all observations."""
    sex = ["F", "M", "F", "F", "M", "F", "F", "M", "F", "M", "F", "F", "M", "M", "F"]
    coded = treatment_columns("sex", sex)
    found = fit_ancova(VOLUME, GROUPS, {"age": AGE, **coded})
    beta = dict(zip(found.fit.names, found.fit.beta, strict=True))
    expected = beta["intercept"] + beta["group[NMO]"] + beta["age"] * AGE.mean() + beta["sex[M]"] * 6 / 15
    assert found.adjusted_means["NMO"].value == pytest.approx(expected)


def test_hc3_changes_errors_but_not_effect_sizes() -> None:
    """Standard errors differ with unequal variances; differences and their sizes stay."""
    plain, robust = (fit_ancova(VOLUME, GROUPS, {"age": AGE}, errors=errors) for errors in ("equal", "HC3"))
    assert robust.differences[0].difference.se == pytest.approx(0.08411187024957)
    assert robust.differences[0].difference.value == pytest.approx(plain.differences[0].difference.value)
    assert robust.differences[0].effect_size == plain.differences[0].effect_size
    assert robust.omnibus.f != pytest.approx(plain.omnibus.f, rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": ["HC"] * 15}, "only one group, 'HC'"),
        ({"groups": [None, *GROUPS[1:]]}, "'groups' has 1 missing labels"),
        ({"covariates": {"intercept": AGE}}, "a covariate may not be called 'intercept'"),
        ({"covariates": {"group[MS]": AGE}}, r"a covariate may not be called 'group\[MS\]'"),
        ({"covariates": {"site": np.array([float(g == "MS") for g in GROUPS])}}, r"'site' follows from 'group\[MS\]'"),
        ({"reference": "SPMS"}, "no observation of 'group' is 'SPMS'; there are HC, MS, NMO"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"outcome": VOLUME, "groups": GROUPS, **change}
    with pytest.raises(ValueError, match=message):
        fit_ancova(**given)
