# SPDX-License-Identifier: Apache-2.0
"""Published annual rates of healthy adults (atrophy_rates), with sources, and whom of them a cut-off fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

FIVE_PERCENT = 1.6448536269514722
"""Standard deviations below the mean beyond which five of 100 lie."""

MEDIAN_ABSOLUTE = 0.6744897501960817
"""Median absolute value of a normal variable of standard deviation one."""

_Knots = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class HealthyRate:
    """Annual rate of one structure in healthy adults, in per cent a year; loss is negative.

    Attributes
    ----------
    structure
        Region or level of the cord.
    source
        Publication, or data set and who computed it.
    method
        How change was measured.
    people
        How many.
    ages
        Youngest and oldest age it is used for; ``None`` where the source as read does not say.
    means
        Age and mean rate; straight lines in between. One pair of age NaN if it is one mean for all.
    limits
        Age and the rate beyond which five of 100 healthy people lie; empty where not known.
    sd
        Standard deviation between people; ``None`` where not known.
    se, se_df
        Standard error of the mean and its degrees of freedom; ``None`` where not known.
    """

    structure: str
    source: str
    method: str
    people: int
    ages: tuple[float, float] | None
    means: _Knots
    limits: _Knots = ()
    sd: float | None = None
    se: float | None = None
    se_df: float = np.inf

    def expected(self, ages: ArrayLike) -> NDArray[np.float64]:
        """Return the mean rate at each age; NaN beyond the ages of the source, or at an unknown age if it matters."""
        return self._at(self.means, ages)

    def limit(self, ages: ArrayLike) -> NDArray[np.float64]:
        """Return the rate beyond which five of 100 healthy people lie, at each age; NaN where not known."""
        if not self.limits:
            return np.full(np.shape(np.asarray(ages)), np.nan)
        return self._at(self.limits, ages)

    def _at(self, knots: _Knots, ages: ArrayLike) -> NDArray[np.float64]:
        wanted = np.asarray(ages, dtype=float)
        if len(knots) == 1:
            return np.full(wanted.shape, knots[0][1])
        found = np.interp(wanted, [age for age, _ in knots], [rate for _, rate in knots])
        return np.where((wanted >= knots[0][0]) & (wanted <= knots[-1][0]), found, np.nan)


_DE_STEFANO = "De Stefano et al. 2016, J Neurol Neurosurg Psychiatry 87:93-99"
_OPFER = "Opfer et al. 2018, Neurobiol Aging 65:1-6, doi 10.1016/j.neurobiolaging.2017.12.024"
_SCHIPPLING = "Schippling et al. 2017, J Neurol 264:520-528, doi 10.1007/s00415-016-8374-y"
_AZEVEDO = "Azevedo et al. 2018, Ann Neurol 83:223-234, doi 10.1002/ana.25150"
_PAM50 = "spinalcordtoolbox/PAM50-normalized-metrics (MIT licence), rate computed for this program with a mixed model"
_CURVES = "age curves of volumes of many people, each scanned once; ends of the curve, a straight line in between"
_CORD = "Spinal Cord Toolbox on T1w images of the head"
_ALL = float("nan")

HEALTHY_RATES: tuple[HealthyRate, ...] = (
    HealthyRate(
        "WholeBrain",
        _DE_STEFANO,
        "SIENA, mean follow-up of 6.3 years",
        35,
        None,
        ((_ALL, -0.27),),
        ((_ALL, -0.27 - FIVE_PERCENT * 0.15),),
        sd=0.15,
        se=0.15 / 35**0.5,
        se_df=34.0,
    ),
    HealthyRate(
        "WholeBrain",
        _OPFER,
        "SIENA",
        117,
        (45.0, 75.0),
        ((45.0, -0.15), (55.0, -0.30), (65.0, -0.46), (75.0, -0.61)),
        ((45.0, -0.52), (55.0, -0.77), (65.0, -1.05), (75.0, -1.45)),
    ),
    *(
        HealthyRate(name, _SCHIPPLING, _CURVES, 248, (35.0, 70.0), ((35.0, young), (70.0, old)))
        for name, young, old in (
            ("WholeBrain", -0.20, -0.52),
            ("TotalGray", -0.32, -0.55),
            ("TotalWhite", -0.02, -0.47),
            ("Thalamus", -0.25, -0.54),
        )
    ),
    HealthyRate(
        "Thalamus",
        _AZEVEDO,
        "FreeSurfer, longitudinal stream, volume relative to head size",
        81,
        None,
        ((_ALL, -0.28),),
        # Half the width of the interval that the paper prints, -0.58 to 0.02.
        se=0.30 / 1.959964,
    ),
    HealthyRate("C2-C3", f"Dallas Lifespan Brain Study in {_PAM50}", _CORD, 463, None, ((_ALL, -0.244),), se=0.026),
    HealthyRate(
        "C2-C3",
        f"Baltimore Longitudinal Study of Aging in {_PAM50}",
        _CORD,
        1032,
        None,
        ((_ALL, -0.227),),
        se=0.054,
    ),
)
"""What is known of healthy adults. Only sources whose numbers were read; none is of this program's own measurements."""


def healthy_rates_of(structure: str) -> tuple[HealthyRate, ...]:
    """Return what is known of a structure."""
    return tuple(rate for rate in HEALTHY_RATES if rate.structure == structure)


def error_sd(median_absolute_pct: float) -> float:
    """Return the standard deviation of an error whose median absolute value is known, if it is spread normally."""
    return median_absolute_pct / MEDIAN_ABSOLUTE


def share_failing(cutoff_pct_per_year: float, error_pct: float, years: float, mean: float, sd: float) -> float:
    """Return the share of healthy persons whose measured loss reaches a cut-off.

    Parameters
    ----------
    cutoff_pct_per_year
        Loss a year from which a person fails, positive.
    error_pct
        Standard deviation of the error of one measured change, in per cent.
    years
        Length of the interval.
    mean, sd
        Of the annual rate of healthy people; loss is negative.
    """
    total = np.hypot(sd, error_pct / years)
    return float(special.ndtr((-cutoff_pct_per_year - mean) / total))
