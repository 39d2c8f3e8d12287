# SPDX-License-Identifier: Apache-2.0
"""Cox regression of the time to an event, with a check of its assumption of proportional hazards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bids_msvol.stats.design import check_vector, make_design
from bids_msvol.stats.estimates import CONFIDENCE, Contrast, Estimate, estimate_contrast
from bids_msvol.stats.survival import ChiSquare, KaplanMeier, check_times, chi_square, kaplan_meier

STEPS = 50
"""Of Newton's iteration; it takes about six where there is a maximum."""

SETTLED = 1e-9
"""Change of the log likelihood below which the iteration ends."""

LARGEST_EFFECT = 15.0
"""A coefficient this large, of a column scaled to a standard deviation of one, runs away: there is no maximum."""


@dataclass(frozen=True, eq=False)
class CoxModel:
    """A fitted proportional hazards model.

    Attributes
    ----------
    names
        Of the columns.
    beta
        (column,) logarithms of hazard ratios.
    covariance
        (column, column).
    log_likelihoods
        Partial log likelihood without and with the columns.
    n, n_events
        Numbers of persons and of events.
    event_times
        (event,) ascending.
    event_shares
        (event,) share of persons with an event before that time, by the Kaplan-Meier curve.
    residuals
        (event, column) Schoenfeld residuals: the person's value less that expected among those at risk.
    information
        (event, column, column) variance of the columns among those at risk at each event.
    """

    names: tuple[str, ...]
    beta: NDArray[np.float64]
    covariance: NDArray[np.float64]
    log_likelihoods: tuple[float, float]
    n: int
    n_events: int
    event_times: NDArray[np.float64]
    event_shares: NDArray[np.float64]
    residuals: NDArray[np.float64]
    information: NDArray[np.float64]

    def estimate(self, contrast: Contrast, level: float = CONFIDENCE) -> Estimate:
        """Return the logarithm of a hazard ratio with its Wald test (normal distribution)."""
        return estimate_contrast(contrast, self.names, self.beta, self.covariance, math.inf, level)

    def likelihood_ratio(self) -> ChiSquare:
        """Return the likelihood ratio test of all columns together."""
        return chi_square(2.0 * (self.log_likelihoods[1] - self.log_likelihoods[0]), len(self.names))

    def proportionality(self, names: Sequence[str] | None = None) -> ChiSquare:
        """Test whether effects stay the same over time.

        Parameters
        ----------
        names
            Columns that are tested together; all if not given.

        Raises
        ------
        ValueError
            If all events happened at one time.

        Notes
        -----
        The score test for an effect that changes with the share of events so far, by the Kaplan-Meier curve (Grambsch
        and Therneau 1994, Biometrika 81:515-526), as in R's ``cox.zph`` from version 3 of its package survival on. Its
        numerator is the covariance of Schoenfeld residuals with that share.
        """
        places = [self.names.index(name) for name in names or self.names]
        when = self.event_shares - self.event_shares.mean()
        if np.ptp(when) == 0.0:
            raise ValueError("all events happened at one time")
        score = (when @ self.residuals)[places]
        crossed = np.tensordot(when, self.information, axes=1)[places]
        squared = np.tensordot(when**2, self.information, axes=1)[np.ix_(places, places)]
        variance = squared - crossed @ self.covariance @ crossed.T
        return chi_square(float(score @ np.linalg.solve(variance, score)), len(places))


def fit_cox(times: ArrayLike, events: ArrayLike, columns: Mapping[str, ArrayLike]) -> CoxModel:
    """Regress the risk of an event on columns.

    Parameters
    ----------
    times, events
        As for `kaplan_meier`.
    columns
        Values (person,) by name, without a column of ones.

    Raises
    ------
    ValueError
        If values are missing, columns follow from one another or do not vary, there are no events, or there is no
        finite estimate, since all events fall to one side of a column.

    Notes
    -----
    Ties are treated as Efron does (1977, Journal of the American Statistical Association 72:557-565).
    """
    when, happened = check_times(times, events)
    if not happened.any():
        raise ValueError("there are no events")
    given = {name: check_vector(name, values, len(when)) for name, values in columns.items()}
    constant = [name for name, values in given.items() if np.ptp(values) == 0.0]
    if constant:
        raise ValueError(f"{constant[0]!r} is the same for everybody")
    scales = np.array([values.std() for values in given.values()])
    design = make_design({name: (values - values.mean()) / values.std() for name, values in given.items()})
    order = np.lexsort((1.0 - happened, when))
    risk = _Risk.of(when[order], happened[order] > 0.0, design.matrix[order])
    beta = np.zeros(len(given))
    value, score, by_event, residuals = risk.evaluate(beta)
    start = value
    for _ in range(STEPS):
        try:
            step = np.linalg.solve(by_event.sum(axis=0), score)
        except np.linalg.LinAlgError:
            break
        proposed = beta + step
        while (found := risk.evaluate(proposed))[0] < value - SETTLED and np.abs(step).max() > SETTLED:
            step = step / 2.0
            proposed = beta + step
        settled = abs(found[0] - value) <= SETTLED
        beta, (value, score, by_event, residuals) = proposed, found
        information = by_event.sum(axis=0)
        if np.abs(beta).max() > LARGEST_EFFECT:
            break
        if settled and np.linalg.cond(information) < 1e10 and np.linalg.eigvalsh(information).min() > 1e-6:
            covariance = np.linalg.inv(information)
            return CoxModel(
                names=design.names,
                beta=beta / scales,
                covariance=np.asarray(covariance / np.outer(scales, scales), dtype=np.float64),
                log_likelihoods=(start, value),
                n=len(when),
                n_events=int(happened.sum()),
                event_times=risk.event_times,
                event_shares=_shares_before(risk.event_times, kaplan_meier(when, happened)),
                residuals=residuals * scales,
                information=by_event * np.outer(scales, scales),
            )
    raise ValueError("there is no finite estimate: all events fall to one side of a column")


def _shares_before(times: NDArray[np.float64], curve: KaplanMeier) -> NDArray[np.float64]:
    return 1.0 - np.concatenate([[1.0], curve.survival])[np.searchsorted(curve.times, times, side="left")]


@dataclass(frozen=True, eq=False)
class _Risk:
    """Persons in the order of their times, and for each event who was at risk and how far its ties have gone.

    Attributes
    ----------
    columns
        (person, column), scaled.
    is_event
        (person,).
    event_times
        (event,).
    first, last
        (event,) numbers of the first person at that time, and one beyond the last with an event at it.
    gone
        (event,) share of the tied events taken as gone: 0, 1/d, 2/d ...
    """

    columns: NDArray[np.float64]
    is_event: NDArray[np.bool_]
    event_times: NDArray[np.float64]
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    gone: NDArray[np.float64]

    @classmethod
    def of(cls, times: NDArray[np.float64], is_event: NDArray[np.bool_], columns: NDArray[np.float64]) -> _Risk:
        event_times = times[is_event]
        _, start, inverse, ties = np.unique(event_times, return_index=True, return_inverse=True, return_counts=True)
        gone = (np.arange(len(event_times)) - start[inverse]) / ties[inverse]
        first = np.searchsorted(times, event_times, side="left")
        return cls(columns, is_event, event_times, first, first + ties[inverse], gone)

    def evaluate(
        self, beta: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the log likelihood, its slope, its information by event, and Schoenfeld residuals (event, column)."""
        predictor = self.columns @ beta
        weight = np.exp(predictor - predictor.max())
        moments = (
            weight,
            weight[:, None] * self.columns,
            weight[:, None, None] * self.columns[:, :, None] * self.columns[:, None, :],
        )
        zero, one, two = (self._at_events(moment) for moment in moments)
        lost = not (zero > 0.0).all()
        # A step so far that the others' weights vanish beside one is refused, and halved.
        zero = np.maximum(zero, np.finfo(np.float64).tiny)
        mean = one / zero[:, None]
        own = self.columns[self.is_event]
        value = -np.inf if lost else float(predictor[self.is_event].sum() - (np.log(zero) + predictor.max()).sum())
        by_event = two / zero[:, None, None] - mean[:, :, None] * mean[:, None, :]
        # All tied events share the mean of the means, as in R.
        _, inverse, ties = np.unique(self.event_times, return_inverse=True, return_counts=True)
        shared = np.zeros((len(ties), mean.shape[1]))
        np.add.at(shared, inverse, mean)
        residuals = own - (shared / ties[:, None])[inverse]
        return value, (own - mean).sum(axis=0), by_event, residuals

    def _at_events(self, moment: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over those at risk at each event, less the share of the tied events taken as gone."""
        from_end = moment[::-1].cumsum(axis=0)[::-1]
        running = np.concatenate([np.zeros((1, *moment.shape[1:])), moment.cumsum(axis=0)])
        tied = running[self.last] - running[self.first]
        gone = self.gone.reshape(-1, *(1,) * (moment.ndim - 1))
        return np.asarray(from_end[self.first] - gone * tied, dtype=np.float64)
