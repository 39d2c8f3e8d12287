# SPDX-License-Identifier: Apache-2.0
"""Each person's annual rate of change: of volumes, cord areas, cortical thickness and clinical scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.wording import say_list

if TYPE_CHECKING:
    from bids_msvol.group.study import Study

LEAST_YEARS = 0.5
"""A rate over a shorter time is mostly measurement error: an error of 0.3 % becomes 1 % a year over four months."""

LEAST_KNOWN = 0.8
"""A covariate that fewer of the persons have is not adjusted for, since it would cost too many of them."""

THICKNESS = "CorticalThickness"
"""Name of the mean cortical thickness of both sides among the regions."""

MOST_SHAPIRO = 5000
"""Observations up to which the p value of Shapiro and Wilk's test is accurate."""

ROUNDING = 1e-10
"""Spread, relative to the largest value or one, that is rounding."""

MOST_NAMED = 6
"""Regions that a sentence names."""

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
    """

    kind: Kind
    unit: str
    method: str
    rate: pd.DataFrame
    scans: pd.DataFrame
    years: pd.DataFrame
    error_ss: pd.DataFrame
    error_df: pd.DataFrame


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
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
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
    slope, count, span, error_ss : (person, column) tables
        Slope a year (NaN with fewer than two values or less than half a year between first and last), number of values,
        years between the first and the last, squared distance from the line.
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
    parts = (slope, count, span, error)
    known = [part.reindex(index) for part in parts]
    return known[0], known[1].fillna(0.0), known[2], known[3]


def person_covariates(study: Study) -> pd.DataFrame:
    """Return by person: ``age``, ``sex[M]`` (1 for men) and ``disease_duration``, as numbers; NaN for not known."""
    persons = study.persons
    return pd.DataFrame(
        {
            "age": persons["age"].astype(float),
            "sex[M]": persons["sex"].map({"F": 0.0, "M": 1.0}).astype(float),
            "disease_duration": persons["disease_duration"].astype(float),
        },
        index=persons.index,
    )


def usable_covariates(frame: pd.DataFrame) -> list[str]:
    """Return the columns that can be adjusted for: known for most of the rows, and not the same for all."""
    known = frame.notna().mean()
    return [name for name in map(str, frame) if known[name] >= LEAST_KNOWN and frame[name].nunique() > 1]


def say_covariates(names: Sequence[str]) -> str:
    """Return how a reader calls covariates: ``age, sex``; ``none``."""
    words = {"sex[M]": "sex", "disease_duration": "disease duration"}
    return ", ".join(words.get(name, name) for name in names) or "none"


def say_some(words: Sequence[str]) -> str:
    """Return words as a list, of many only the first and how many more there are."""
    left = len(words) - MOST_NAMED
    return say_list(words) if left < 2 else say_list([*words[:MOST_NAMED], f"{left} more"])


def check_normal(residuals: NDArray[np.float64]) -> str:
    """Say how residuals are spread: the test of Shapiro and Wilk, and the furthest in standard deviations."""
    spread = float(np.std(residuals, ddof=1)) if len(residuals) > 2 else 0.0
    if not spread > ROUNDING * float(np.max(np.abs(residuals), initial=1.0)):
        return "residuals not checked: too few, or all the same"
    far = float(np.max(np.abs(residuals - residuals.mean()))) / spread
    furthest = f"furthest residual {far:.1f} SD"
    if len(residuals) > MOST_SHAPIRO:
        return furthest
    return f"Shapiro-Wilk p = {float(stats.shapiro(residuals).pvalue):.2g}, {furthest}"


def _log_rates(study: Study, values: pd.DataFrame, kind: Kind) -> Rates:
    positive = values.astype(float).where(values > 0.0)
    logs = pd.DataFrame(100.0 * np.log(positive.to_numpy()), values.index, values.columns)
    what = "volume" if kind == "brain" else "area"
    return _slopes(study, logs, kind, "percent/year", f"slope of the logarithm of the {what} over years, times 100")


def _slopes(study: Study, values: pd.DataFrame, kind: Kind, unit: str, method: str) -> Rates:
    """Fit lines to what was measured in sessions of known day."""
    rows = study.sessions.loc[values.index, ["participant_id", "years"]].dropna()
    slope, count, span, error = fit_slopes(
        values.loc[rows.index], rows["participant_id"], rows["years"], study.persons.index
    )
    degrees = (count - 2.0).clip(lower=0.0).where(slope.notna(), 0.0)
    return Rates(kind, unit, method, slope, count, span, error.fillna(0.0), degrees)


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
    columns: dict[str, tuple[pd.Series[float], pd.Series[float], pd.Series[float]]] = {}
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
        columns[name] = ((total / length).where(length >= LEAST_YEARS), count, length)
    rate, number_of, length = (
        pd.DataFrame({name: parts[part] for name, parts in columns.items()}, columns=names).reindex(study.persons.index)
        for part in range(3)
    )
    none = pd.DataFrame(0.0, rate.index, rate.columns)
    method = "logarithm of the change measured from images between the first and the last scan, times 100, over years"
    return Rates("brain", "percent/year", method, rate, number_of.fillna(0.0), length, none, none)


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
