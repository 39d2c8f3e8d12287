# SPDX-License-Identifier: Apache-2.0
"""Data sets that lmerTest and our mixed model both fit: ``python -m tests.stats.mixed_data > data.csv``.

They are drawn from the raw bits of PCG64, which numpy promises never to change, so that the numbers that lmerTest found
stay true whatever numpy is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

SEED = 8000
DATA_SETS = 100

CLAD_PATTERNS = ("1111",) * 8 + ("1101",) + ("1110",) * 8 + ("0111",) * 2 + ("1100",) * 12 + ("0011",) * 2
ALEM_PATTERNS = ("1111",) * 6 + ("1101",) + ("1110",) * 5 + ("1100",) * 2 + ("0111",) * 2 + ("0011",) + ("1000",) * 2
"""Which of four yearly scans each of 33 + 19 persons has, so that 29, 18, 12 and 14, 13, 9 have both of a year."""

NEW_LESIONS = {"CLAD": (0.56, 0.05, 0.85), "ALEM": (0.26, 0.17, 0.92)}
"""Mean number of new lesions in each year."""


class Draws:
    """Random numbers from the raw bits of PCG64."""

    def __init__(self, seed: int) -> None:
        self.bits = np.random.PCG64(seed)

    def uniform(self, count: int) -> np.ndarray:
        return (np.asarray(self.bits.random_raw(count), dtype=np.uint64) >> np.uint64(11)) * 2.0**-53 + 2.0**-54

    def normal(self, count: int) -> np.ndarray:
        return special.ndtri(self.uniform(count))

    def lesions(self, year: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Draw skewed counts: most persons none, a few many (geometric where there are any)."""
        mean = np.array(list(NEW_LESIONS.values()))[second.astype(int), year]
        u, v = self.uniform(len(year)), self.uniform(len(year))
        return np.where(u < 0.35, np.floor(np.log(v) / np.log(1.0 - 1.0 / (1.0 + mean / 0.35))), 0.0)


@dataclass(frozen=True, eq=False)
class DataSet:
    """One data set: an outcome, named columns, and who each row belongs to."""

    kind: str
    outcome: np.ndarray
    columns: dict[str, np.ndarray]
    groups: np.ndarray


def make_data_sets() -> list[DataSet]:
    """Return all data sets, always the same."""
    makers: Sequence[Callable[[Draws, int], DataSet]] = (_scan_noise, _trial, _balanced, _cohort, _ragged)
    return [makers[index % len(makers)](Draws(SEED + index), index // len(makers)) for index in range(DATA_SETS)]


def patient_years() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return person, year (0 to 2), and whether treated with the second drug (0 or 1), of 95 patient-years."""
    rows = [
        (person, year, float(drug == "ALEM"))
        for drug, patterns, first in (("CLAD", CLAD_PATTERNS, 0), ("ALEM", ALEM_PATTERNS, len(CLAD_PATTERNS)))
        for person, pattern in enumerate(patterns, first)
        for year in range(3)
        if pattern[year : year + 2] == "11"
    ]
    person, year, second = (np.array(column) for column in zip(*rows, strict=True))
    return person, year, second


def _interaction(x: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    return {"intercept": np.ones(len(x)), "x": x, "second": second, "x:second": x * second}


def _scan_noise(draws: Draws, _: int) -> DataSet:
    """Yearly changes whose errors share a scan: the correlation within persons is negative, the fit singular."""
    person, year, second = patient_years()
    x = draws.lesions(year, second)
    error = draws.normal(4 * 52).reshape(52, 4)
    change = 0.02 * (error[person, year + 1] - error[person, year]) - 0.01 * x - 0.005
    return DataSet("scan noise", change, _interaction(x, second), person)


def _trial(draws: Draws, index: int) -> DataSet:
    """Yearly changes with none, little or much difference between persons."""
    person, year, second = patient_years()
    x = draws.lesions(year, second)
    spread = (0.0, 0.0, 0.3, 1.0)[index % 4]
    change = 0.025 * (draws.normal(len(x)) + spread * draws.normal(52)[person]) - 0.012 * x * (1 - second)
    return DataSet("trial", change, _interaction(x, second), person)


def _balanced(draws: Draws, index: int) -> DataSet:
    """Two groups of ten persons, each seen in four years; volumes in mm3."""
    person, time = np.repeat(np.arange(20), 4), np.tile(np.arange(4.0), 20)
    second = (person >= 10).astype(float)
    spread = (0.0, 0.0, 0.1, 3.0)[index % 4]
    volume = 7000.0 + 250.0 * (draws.normal(80) + spread * draws.normal(20)[person]) - 60.0 * time
    columns = {"intercept": np.ones(80), "time": time, "second": second, "time:second": time * second}
    return DataSet("balanced", volume, columns, person)


def _cohort(draws: Draws, index: int) -> DataSet:
    """150 persons with one to four visits, six covariates in their own units."""
    persons = 150
    visits = 1 + np.floor(4.0 * draws.uniform(persons)).astype(int)
    person = np.repeat(np.arange(persons), visits)
    time = np.concatenate([np.arange(float(count)) for count in visits]) + 0.1 * draws.normal(len(person))
    age, sex = 40.0 + 11.0 * draws.normal(persons), (draws.uniform(persons) < 0.7).astype(float)
    etiv, ms = 1.5e6 + 1.3e5 * draws.normal(persons), (draws.uniform(persons) < 0.6).astype(float)
    spread = (0.0, 0.0, 0.2, 0.0, 8.0)[index % 5]
    volume = 100.0 * (draws.normal(len(person)) + spread * draws.normal(persons)[person])
    volume += 8000.0 + 0.003 * (etiv - 1.5e6)[person] - 12.0 * (age[person] - 40.0) - (20.0 + 30.0 * ms[person]) * time
    columns = {
        "intercept": np.ones(len(person)), "time": time, "ms": ms[person], "time:ms": time * ms[person],
        "age": age[person], "sex": sex[person], "etiv": etiv[person],
    }  # fmt: skip
    return DataSet("cohort", volume, columns, person)


def _ragged(draws: Draws, index: int) -> DataSet:
    """Few groups of very different size, several with a single observation; rows in no order."""
    sizes = np.array([1, 1, 1, 2, 2, 3, 5, 9, 14, 1, 2, 4])
    group = np.repeat(np.arange(len(sizes)), sizes)[np.argsort(draws.uniform(int(sizes.sum())))]
    x, z = draws.normal(len(group)), draws.normal(len(sizes))[group]
    spread = (0.0, 0.0, 0.5, 2.0)[index % 4]
    outcome = 3.0 + draws.normal(len(group)) + spread * draws.normal(len(sizes))[group] + 0.4 * x
    return DataSet("ragged", outcome, {"intercept": np.ones(len(group)), "x": x, "z": z}, group)


def write_csv(wanted: Sequence[int] = range(DATA_SETS)) -> None:
    """Print data sets: data set, group, outcome, and the columns as ``c1``, ``c2``, ... in their order."""
    data_sets = make_data_sets()
    width = max(len(data.columns) for data in data_sets)
    print(",".join(["set", "group", "y", *(f"c{number + 1}" for number in range(width))]))
    for index, data in ((index, data_sets[index]) for index in wanted):
        for row, group in enumerate(data.groups):
            values = [data.outcome[row], *(column[row] for column in data.columns.values())]
            texts = [format(float(value), ".17g") for value in values] + ["NA"] * (width - len(data.columns))
            print(",".join([str(index), str(group), *texts]))


if __name__ == "__main__":
    write_csv()
