# SPDX-License-Identifier: Apache-2.0
"""Each person's annual rate of change (atrophy_rates, progression): volumes, cord, thickness and clinical scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from bids_msvol.group.analyses.rate_means import precision_weights, scan_error
from bids_msvol.group.cells import THICKNESS
from bids_msvol.group.study import DAYS_PER_YEAR

if TYPE_CHECKING:
    from bids_msvol.group.study import Study

LEAST_YEARS = 0.5
"""A rate over a shorter time is mostly measurement error: an error of 0.3 % becomes 1 % a year over four months."""

Kind = Literal["brain", "cord", "thickness"]


@dataclass(frozen=True, eq=False)
class Rates:
    """Annual rates of one kind of structure.

    Attributes
    ----------
    kind
        Of what.
    unit
        ``percent/year``, or ``mm/year`` for thickness.
    method
        How a rate was made, in words.
    rate
        (person, structure); NaN where a person has fewer than two scans, or they are less than half a year apart.
    scans
        (person, structure) number of scans behind it.
    years
        (person, structure) time between the first and the last of them.
    error_ss, error_df
        (person, structure) squared distance of the scans from the person's line, and its degrees of freedom; zero where
        there are two scans, and where change was measured from pairs of images.
    time_ss
        (person, structure) sum of squares of the scan times about their mean, in years squared: the error variance of a
        rate is that of one scan over it.
    """

    kind: Kind
    unit: str
    method: str
    rate: pd.DataFrame
    scans: pd.DataFrame
    years: pd.DataFrame
    error_ss: pd.DataFrame
    error_df: pd.DataFrame
    time_ss: pd.DataFrame

    def weights(self, structure: str) -> pd.Series[float]:
        """Return how much the rate of each person who has one counts; see `precision_weights`."""
        rate = self.rate[structure].dropna()
        squares = self.time_ss[structure].reindex(rate.index)
        error, degrees = (float(part[structure].sum()) for part in (self.error_ss, self.error_df))
        if rate.empty:
            return rate
        return pd.Series(precision_weights(rate, squares, error, degrees), index=rate.index)

    def noise(self, structure: str) -> pd.Series[float]:
        """Return the standard deviation of the error of each person's rate; NaN where too few scans tell."""
        scan = scan_error(self.error_ss[structure], self.error_df[structure])
        found: pd.Series[float] = (scan / self.time_ss[structure] ** 0.5).where(self.rate[structure].notna())
        return found


def brain_rates(study: Study, regions: Sequence[str]) -> Rates:
    """Return annual rates of volumes in per cent; see `Rates`.

    Without change measured from pairs of images a rate is the slope of the logarithm of the volume over time, by least
    squares, times 100. With it, it is the logarithm of the change from the first to the last scan, times 100, over
    the years between: the pair of scans furthest apart or, if that spans more, all consecutive pairs together.
    """
    names = [name for name in dict.fromkeys(regions) if name in study.volumes_mm3]
    if study.measured_change_pct is not None:
        return _measured_rates(study, names)
    return _log_rates(study, study.volumes_mm3[names], "brain")


def cord_rates(study: Study, levels: Sequence[str]) -> Rates:
    """Return annual rates of cord areas in per cent, from logarithms as for volumes."""
    names = [name for name in dict.fromkeys(levels) if name in study.cord_mm2]
    return _log_rates(study, study.cord_mm2[names], "cord")


def area_slopes(study: Study, levels: Sequence[str]) -> pd.DataFrame:
    """Return the slopes of cord areas themselves, in mm2 a year, of the same (person, level) as `cord_rates`."""
    names = [name for name in dict.fromkeys(levels) if name in study.cord_mm2]
    areas = study.cord_mm2[names].astype(float)
    return _slopes(study, areas.where(areas > 0.0), "cord", "mm2/year", "slope of the area over years").rate


def thickness_rates(study: Study) -> Rates:
    """Return annual rates of the mean cortical thickness, in mm, as ``CorticalThickness``."""
    have = study.thickness_mm[["mean"]] if "mean" in study.thickness_mm else pd.DataFrame({"mean": []}, dtype=float)
    values = have.rename(columns={"mean": THICKNESS})
    return _slopes(study, values, "thickness", "mm/year", "slope of the thickness over years, by least squares")


def scale_slopes(study: Study, scale: str) -> pd.Series[float]:
    """Return each person's change of a clinical scale a year, by least squares over all visits; NaN where unknown."""
    rows = _scale_values(study, scale)
    frame = rows[[scale]].set_axis([scale], axis=1)
    return fit_slopes(frame, rows["participant_id"], rows["days"] / DAYS_PER_YEAR, study.persons.index)[0][scale]


def session_slopes(study: Study, column: str) -> pd.Series[float]:
    """Return each person's change a year of a column of the sessions; NaN where unknown."""
    rows = study.sessions.dropna(subset=["years", column])
    return fit_slopes(rows[[column]], rows["participant_id"], rows["years"], study.persons.index)[0][column]


def fit_slopes(
    values: pd.DataFrame, persons: pd.Series[str], years: pd.Series[float], index: pd.Index[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Fit a line to each person's values by least squares, each column alone.

    Parameters
    ----------
    values
        (observation, column); NaN is left out.
    persons, years
        (observation,) whose they are, and when.
    index
        The persons of the result.

    Returns
    -------
    slope, count, span, error_ss, time_ss : (person, column) tables
        Slope a year (NaN with fewer than two values or less than half a year between first and last), number of values,
        years between the first and the last, squared distance from the line, sum of squares of the times about their
        mean.
    """
    time = pd.DataFrame(
        np.where(values.notna(), years.to_numpy(dtype=float)[:, None], np.nan), values.index, values.columns
    )
    held = values.where(time.notna()).astype(float)
    codes = persons.to_numpy()
    by_time, by_value = time.groupby(codes), held.groupby(codes)
    from_time = time - by_time.transform("mean")
    from_value = held - by_value.transform("mean")
    count, span = by_time.count(), by_time.max() - by_time.min()
    spread = (from_time**2).groupby(codes).sum()
    slope = (from_time * from_value).groupby(codes).sum() / spread.where(span >= LEAST_YEARS)
    rest = from_value - slope.reindex(codes).to_numpy() * from_time
    error = (rest**2).groupby(codes).sum().where(slope.notna())
    parts = (slope, count, span, error, spread)
    known = [part.reindex(index) for part in parts]
    return known[0], known[1].fillna(0.0), known[2], known[3], known[4]


def _log_rates(study: Study, values: pd.DataFrame, kind: Kind) -> Rates:
    positive = values.astype(float).where(values > 0.0)
    logs = pd.DataFrame(100.0 * np.log(positive.to_numpy()), values.index, values.columns)
    what = "volume" if kind == "brain" else "area"
    return _slopes(study, logs, kind, "percent/year", f"slope of the logarithm of the {what} over years, times 100")


def _slopes(study: Study, values: pd.DataFrame, kind: Kind, unit: str, method: str) -> Rates:
    """Fit lines to what was measured in sessions of known day."""
    rows = study.sessions.loc[values.index, ["participant_id", "years"]].dropna()
    slope, count, span, error, spread = fit_slopes(
        values.loc[rows.index], rows["participant_id"], rows["years"], study.persons.index
    )
    degrees = (count - 2.0).clip(lower=0.0).where(slope.notna(), 0.0)
    return Rates(kind, unit, method, slope, count, span, error.fillna(0.0), degrees, spread)


def _measured_rates(study: Study, names: list[str]) -> Rates:
    """Return rates from changes measured between pairs of scans."""
    assert study.measured_change_pct is not None
    percent = study.measured_change_pct.reindex(columns=names)
    start, end = (percent.index.get_level_values(level) for level in (0, 1))
    sessions = study.sessions
    years = sessions["years"].reindex(end).to_numpy() - sessions["years"].reindex(start).to_numpy()
    persons = sessions["participant_id"].reindex(start).to_numpy()
    forward = years > 0.0
    gain = 100.0 * np.log1p(percent.to_numpy(dtype=float) / 100.0)
    following = _next_scans(study)
    adjacent = following.reindex(start).to_numpy() == np.asarray(end, dtype=float)
    begin = sessions["years"].reindex(start).to_numpy()
    columns: dict[str, tuple[pd.Series[float], ...]] = {}
    for position, name in enumerate(names):
        pairs = pd.DataFrame(
            {"person": persons, "years": years, "gain": gain[:, position], "begin": begin, "adjacent": adjacent}
        )[forward & np.isfinite(gain[:, position])]
        direct = pairs.sort_values("years", kind="stable").drop_duplicates("person", keep="last").set_index("person")
        chain = _chains(pairs[pairs["adjacent"]]).reindex(direct.index)
        # Rounding must not make a chain longer than the pair that spans the same scans.
        longer = chain["years"] > direct["years"] + 0.5 / DAYS_PER_YEAR
        length = direct["years"].where(~longer, chain["years"])
        total = direct["gain"].where(~longer, chain["gain"])
        count = chain["pairs"].where(longer, 1.0) + 1.0
        # Errors of consecutive pairs add up; one pair has the error of two scans.
        squares = length**2 / (2.0 * (count - 1.0))
        columns[name] = ((total / length).where(length >= LEAST_YEARS), count, length, squares)
    rate, number_of, length, squares_of = (
        pd.DataFrame({name: parts[part] for name, parts in columns.items()}, columns=names).reindex(study.persons.index)
        for part in range(4)
    )
    none = pd.DataFrame(0.0, rate.index, rate.columns)
    method = "logarithm of the change measured from images between the first and the last scan, times 100, over years"
    return Rates("brain", "percent/year", method, rate, number_of.fillna(0.0), length, none, none, squares_of)


def _next_scans(study: Study) -> pd.Series[float]:
    """Return for each session with volumes the number of the person's next one."""
    persons = study.sessions.loc[study.volumes_mm3.index, "participant_id"]
    rows = pd.Series(study.volumes_mm3.index.to_numpy(dtype=float), study.volumes_mm3.index)
    return rows.groupby(persons.to_numpy()).shift(-1)


def _chains(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return by person the sum of consecutive changes, where none is lacking between the first and the last."""
    by_person = pairs.assign(end=pairs["begin"] + pairs["years"]).groupby("person")
    chains = by_person.agg(
        gain=("gain", "sum"), years=("years", "sum"), pairs=("gain", "size"), begin=("begin", "min"), end=("end", "max")
    )
    whole = (chains["end"] - chains["begin"] - chains["years"]).abs() < 0.5 / DAYS_PER_YEAR
    return chains[whole]


def _scale_values(study: Study, scale: str) -> pd.DataFrame:
    """Return the values of a scale at visits; at sessions, for persons without any visit that has it."""
    columns = ["participant_id", "days", scale]
    visits = study.visits[columns].dropna() if scale in study.visits else study.sessions.iloc[:0][columns]
    sessions = study.sessions[columns].dropna()
    others = sessions[~sessions["participant_id"].isin(visits["participant_id"])]
    return visits if others.empty else pd.concat([visits, others], ignore_index=True)
