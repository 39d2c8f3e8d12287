# SPDX-License-Identifier: Apache-2.0
"""Our mixed model finds what lmerTest finds in 100 data sets, half of which have no spread between groups."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bids_msvol.stats.estimates import Estimate
from bids_msvol.stats.mixed_model import MixedFit, fit_mixed
from tests.stats import mixed_data
from tests.stats.mixed_data import DATA_SETS, DataSet

FOLDER = Path(__file__).parent
SCRIPT = FOLDER / "make_lmertest_expected.R"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "lmertest_expected.json").read_text(encoding="utf-8"))

RELATIVE = 1e-5
"""Agreement of estimates, standard errors and degrees of freedom; of estimates in relation to their standard errors."""

P_RELATIVE = 1e-3


@cache
def data_sets() -> list[DataSet]:
    return mixed_data.make_data_sets()


@cache
def fitted(index: int) -> MixedFit:
    data = data_sets()[index]
    return fit_mixed(data.outcome, data.columns, data.groups)


def numbers(estimates: dict[str, Estimate], what: str) -> np.ndarray:
    return np.array([getattr(estimate, what) for estimate in estimates.values()])


def test_the_data_are_those_that_lmertest_saw() -> None:
    """Drawn again, each data set has the size and the mean that R read."""
    assert len(EXPECTED["sets"]) == len(data_sets()) == DATA_SETS == 100
    for data, expected in zip(data_sets(), EXPECTED["sets"], strict=True):
        assert len(data.outcome) == expected["n"]
        assert data.outcome.mean() == pytest.approx(expected["mean"], rel=1e-9)


def test_half_of_the_data_sets_are_singular() -> None:
    """Every kind of data is there, with and without spread between groups where both can be."""
    assert sum(expected["singular"] for expected in EXPECTED["sets"]) == 50
    kinds = Counter(
        (data.kind, expected["singular"]) for data, expected in zip(data_sets(), EXPECTED["sets"], strict=True)
    )
    assert min(kinds.values()) >= 5
    assert len(kinds) == 9


@pytest.mark.parametrize("index", range(DATA_SETS))
def test_coefficients(index: int) -> None:
    """Estimates, standard errors, degrees of freedom and p values of every column, and the variances."""
    expected, found = EXPECTED["sets"][index], fitted(index).coefficients
    # An estimate may be near zero: what counts is its error beside the standard error.
    errors = (numbers(found, "value") - expected["estimate"]) / expected["se"]
    assert errors == pytest.approx(0.0, abs=RELATIVE)
    assert numbers(found, "se") == pytest.approx(expected["se"], rel=RELATIVE)
    assert numbers(found, "df") == pytest.approx(expected["df"], rel=RELATIVE)
    assert numbers(found, "p") == pytest.approx(expected["p"], rel=P_RELATIVE)


@pytest.mark.parametrize("index", range(DATA_SETS))
def test_variances_and_likelihood(index: int) -> None:
    """Both standard deviations, the singular flag and the restricted likelihood."""
    expected, fit = EXPECTED["sets"][index], fitted(index)
    assert fit.singular == expected["singular"]
    assert np.sqrt(fit.sigma2) == pytest.approx(expected["sigma"], rel=RELATIVE)
    assert np.sqrt(fit.tau2 / fit.sigma2) == pytest.approx(expected["theta"], rel=RELATIVE, abs=RELATIVE)
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], abs=1e-5)


@pytest.mark.parametrize("index", range(DATA_SETS))
def test_contrasts(index: int) -> None:
    """The sum of two coefficients, and all columns but the first tested together."""
    expected, fit = EXPECTED["sets"][index], fitted(index)
    count = len(fit.names)
    sum_of_two = fit.contrast(np.eye(count)[1] + np.eye(count)[-1])
    assert [sum_of_two.se, sum_of_two.df] == pytest.approx(expected["contrast"][1:3], rel=RELATIVE)
    assert sum_of_two.value == pytest.approx(expected["contrast"][0], abs=RELATIVE * sum_of_two.se)
    assert sum_of_two.p == pytest.approx(expected["contrast"][3], rel=P_RELATIVE)
    joint = fit.joint_test([{name: 1.0} for name in fit.names[1:]])
    assert [joint.f, joint.df_between, joint.df_within] == pytest.approx(expected["joint"][:3], rel=RELATIVE)
    assert joint.p == pytest.approx(expected["joint"][3], rel=P_RELATIVE)


@pytest.mark.parametrize("index", range(DATA_SETS))
def test_maximum_likelihood(index: int) -> None:
    """Fitted by maximum likelihood: likelihood, standard deviations, and the last coefficient."""
    likelihood, sigma, theta, value, se, df = EXPECTED["sets"][index]["ml"]
    data = data_sets()[index]
    fit = fit_mixed(data.outcome, data.columns, data.groups, method="ML")
    last = fit.contrast({fit.names[-1]: 1.0})
    assert fit.log_likelihood == pytest.approx(likelihood, abs=1e-5)
    assert [np.sqrt(fit.sigma2), last.se, last.df] == pytest.approx([sigma, se, df], rel=RELATIVE)
    assert np.sqrt(fit.tau2 / fit.sigma2) == pytest.approx(theta, rel=RELATIVE, abs=RELATIVE)
    assert last.value == pytest.approx(value, abs=RELATIVE * se)


def test_lmertest_still_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R, where it is installed with lmerTest, finds the committed numbers in one data set of each kind."""
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("Rscript is not on PATH, so lmerTest was not run")
    mixed_data.write_csv(range(5))
    data = tmp_path / "data.csv"
    data.write_text(capsys.readouterr().out, encoding="utf-8")
    environment = {**os.environ, "LANGUAGE": "en"}
    done = subprocess.run(
        [program, str(SCRIPT), str(data)], env=environment, capture_output=True, text=True, check=False
    )
    if "no package called" in done.stderr:
        pytest.skip(f"R lacks a package, so lmerTest was not run: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    for found, expected in zip(json.loads(done.stdout)["sets"], EXPECTED["sets"], strict=False):
        assert found["singular"] == expected["singular"]
        for name in ("se", "df", "contrast", "joint", "ml", "sigma", "log_likelihood"):
            assert found[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6), name
