# SPDX-License-Identifier: Apache-2.0
"""A study made from the printed numbers of a paper on lesions and atrophy, so that its tables can be computed again.

Pogoda-Wesołowska et al. 2025, Frontiers in Neuroscience 19:1661539: 33 and 19 people with multiple sclerosis under
cladribine (CLAD) and alemtuzumab (ALEM), with scans at the start and after 1, 2 and 3 years. Nobody's data are here:
numbers of lesions are invented within what the paper says of them, and volumes follow from the printed slopes and p
values, with residuals that are orthogonal to the lesions and have the size that the p values imply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from bids_msvol.group.plan import Groups, Plan
from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.tables import StudyTables
from tests.group.cohorts import LEVELS, SESSION_COLUMNS
from tests.stats.mixed_data import ALEM_PATTERNS, CLAD_PATTERNS

PLAN = Plan(groups=Groups(by="treatment", order=("CLAD", "ALEM")))
"""Cladribine is the paper's first group."""

GROUPS = ("CLAD", "ALEM")
PATTERNS = {"CLAD": CLAD_PATTERNS, "ALEM": ALEM_PATTERNS}


@dataclass(frozen=True)
class YearRow:
    """A row of Table 2: slope and p value of each group, p value of the interaction."""

    clad: float
    p_clad: float
    alem: float
    p_alem: float
    p_interaction: float


@dataclass(frozen=True)
class SpanRow:
    """A row of Table 3: slope, p value and R squared of all, of CLAD and of ALEM."""

    all: tuple[float, float, float]
    clad: tuple[float, float, float]
    alem: tuple[float, float, float]


TABLE2: Mapping[str, YearRow] = {
    "TotalWhite": YearRow(-0.31265, 0.32629, 0.01221, 0.97045, 0.47945),
    "WholeBrain": YearRow(-0.27485, 0.09142, 0.13103, 0.43633, 0.08278),
    "Cerebellum": YearRow(-0.05115, 0.05479, 0.03703, 0.16803, 0.02158),
    "Cortex": YearRow(0.05540, 0.76623, 0.08571, 0.65597, 0.91070),
    "DeepGray": YearRow(-0.01470, 0.04721, 0.00698, 0.35835, 0.04057),
    "TotalGray": YearRow(-0.00031, 0.99870, 0.11913, 0.54249, 0.66279),
    "Thalamus": YearRow(-0.00989, 0.02153, 0.00247, 0.57166, 0.04325),
    "Caudate": YearRow(-0.00035, 0.91061, 0.00080, 0.80028, 0.79481),
    "Hippocampus": YearRow(0.00132, 0.53023, 0.00490, 0.02681, 0.21086),
    "Amygdala": YearRow(-0.00253, 0.05816, 0.00065, 0.61017, 0.08110),
    "LateralVentricle": YearRow(0.03447, 0.06179, -0.00035, 0.98547, 0.18813),
}
"""Yearly change on the number of new T2 lesions: 59 intervals under CLAD, 36 under ALEM."""

TABLE3: Mapping[str, SpanRow] = {
    "LateralVentricle": SpanRow((0.00438, 0.82258, 0.01), (0.10487, 0.00001, 0.94), (0.00541, 0.88568, 0.01)),
    "Thalamus": SpanRow((-0.00278, 0.40848, 0.05), (-0.02001, 0.09193, 0.35), (-0.00267, 0.62083, 0.05)),
    "Amygdala": SpanRow((-0.00095, 0.17049, 0.13), (-0.00184, 0.42036, 0.10), (-0.00002, 0.97881, 0.01)),
    "DeepGray": SpanRow((-0.01038, 0.05557, 0.24), (-0.03957, 0.01543, 0.59), (-0.00599, 0.48624, 0.10)),
    "WholeBrain": SpanRow((-0.10578, 0.22282, 0.10), (-0.88808, 0.00136, 0.79), (-0.03463, 0.77891, 0.02)),
    "TotalWhite": SpanRow((-0.09039, 0.55211, 0.03), (-0.37000, 0.38031, 0.11), (0.10083, 0.66677, 0.04)),
    "Cerebellum": SpanRow((-0.03284, 0.07939, 0.20), (-0.19689, 0.00228, 0.76), (-0.02627, 0.31612, 0.20)),
    "TotalGray": SpanRow((-0.01952, 0.84888, 0.01), (-0.51992, 0.07922, 0.38), (-0.13693, 0.29892, 0.21)),
    "CerebellarCortex": SpanRow((-0.02680, 0.11749, 0.17), (-0.18598, 0.00263, 0.75), (-0.02070, 0.35813, 0.17)),
    "Caudate": SpanRow((-0.002721, 0.57354, 0.12), (0.00347, 0.50229, 0.20), (-0.00294, 0.82353, 0.12)),
    "Hippocampus": SpanRow((-0.001791, 0.19232, 0.12), (-0.00122, 0.50402, 0.07), (0.00012, 0.95359, 0.01)),
}
"""Change over three years on the number of new T2 lesions at the start: 16 persons, 9 and 7 of them in the groups."""

FIGURES: tuple[tuple[str, str, float, int, float], ...] = (
    ("1", "CLAD", -0.24, 59, 0.0645), ("1", "ALEM", 0.25, 36, 0.135),
    ("3", "CLAD", -0.35, 59, 0.00633), ("3", "ALEM", 0.08, 36, 0.651),
    ("4", "CLAD", -0.85, 9, 0.00363), ("4", "ALEM", -0.17, 7, 0.712),
    ("5", "CLAD", -0.59, 9, 0.0919), ("5", "ALEM", -0.23, 7, 0.621),
    ("6", "CLAD", 0.97, 9, 1.27e-05), ("6", "ALEM", 0.07, 7, 0.886),
)  # fmt: skip
"""Figure, group, R, n and p as printed. Figure 2 repeats the text of Figure 1."""

FIGURE_P: Mapping[str, tuple[float, float]] = {"Cerebellum": (0.0645, 0.135), "Thalamus": (0.00633, 0.651)}
"""P values of the simple regressions in Figures 1 and 3, CLAD and ALEM: they tell the spread in each group."""

VENTRICLE_P = 1.27e-5
"""P value in Figure 6 that Table 3 prints as 0.00001."""

PERCENTAGES: tuple[tuple[float, int, int], ...] = (
    (84.8, 28, 33), (24.2, 8, 33), (12.5, 4, 32), (46.2, 6, 13), (89.5, 17, 19), (21.0, 4, 19), (11.1, 2, 18),
    (23.0, 3, 13),
)  # fmt: skip
"""Share of persons with relapses as printed, and the counts that give it."""

MEANS: tuple[tuple[str, float, int, int], ...] = (
    ("CLAD T2 year 1", 0.56, 18, 32), ("CLAD T2 year 3", 0.85, 11, 13), ("ALEM T2 year 1", 0.26, 5, 19),
    ("ALEM T2 year 2", 0.17, 3, 18), ("ALEM T2 year 3", 0.92, 11, 12), ("CLAD Gd year 1", 0.22, 7, 32),
    ("CLAD Gd year 3", 0.23, 3, 13), ("ALEM Gd year 1", 0.11, 2, 19), ("ALEM Gd year 2", 0.11, 2, 18),
    ("ALEM Gd year 3", 0.50, 6, 12), ("CLAD T2 start", 3.39, 112, 33), ("ALEM T2 start", 6.26, 119, 19),
    ("CLAD Gd start", 1.27, 42, 33), ("ALEM Gd start", 2.89, 55, 19),
)  # fmt: skip
"""Mean numbers of lesions as printed, and the sum and the number of persons that give them."""

BASELINE_SPAN = {"CLAD": (0, 1, 1, 2, 3, 3, 4, 5, 2), "ALEM": (0, 2, 3, 5, 9, 21, 7)}
"""New T2 lesions at the start of those with a scan after three years; one person has more than 20."""

BASELINE_OTHERS = {
    "CLAD": (1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 7),
    "ALEM": (2, 3, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10),
}
"""Of the others, so that the means are those printed (112 / 33 and 119 / 19)."""

YEAR_LESIONS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    "CLAD": ((1, 1, 2, 2, 3, 3, 4), (), (1, 2, 3, 5)),
    "ALEM": ((5,), (3,), (5, 4, 2)),
}
"""New T2 lesions in years whose change is known, each in another person; 0 in all other such years."""

LEVELS_PCT: Mapping[str, float] = {
    "TotalWhite": 32.0, "WholeBrain": 74.0, "Cerebellum": 9.5, "Cortex": 30.0, "DeepGray": 3.8, "TotalGray": 43.0,
    "Thalamus": 1.0, "Caudate": 0.5, "Hippocampus": 0.55, "Amygdala": 0.24, "LateralVentricle": 2.0,
    "CerebellarCortex": 7.0,
}  # fmt: skip
"""Volume at the start, % of eTIV: no result depends on it."""

OTHER_SD_PCT = 0.2
"""Standard deviation of yearly changes of regions that Table 2 lacks."""

ATTEMPTS = 100
"""How often residuals are drawn before a region is given up."""

DRIFT_PCT_PER_YEAR = -0.002
"""Change in a year without lesions, as a share of the volume at the start: no result depends on it."""


def make_paper(seed: int = 1) -> StudyTables:
    """Return the tables of the study; ``seed`` draws the residuals, which leave all printed slopes as they are."""
    rng = np.random.default_rng(seed)
    people = [(group, pattern) for group in GROUPS for pattern in PATTERNS[group]]
    ids = [f"sub-{number:02d}" for number in range(1, len(people) + 1)]
    sessions, rows = _make_sessions(people, ids)
    etiv = rng.normal(1.5e6, 1.3e5, len(people))
    sessions["etiv_mm3"] = etiv[sessions["person"]]
    scans = sessions.index[sessions["has_volumes"]]
    volumes = pd.DataFrame(index=scans)
    for region in LEVELS_PCT:
        percent = _make_course(region, people, sessions, rows, rng)
        # Volumes keep all digits, since the smallest slopes are a hundred-thousandth of a per cent.
        volumes[region] = percent.loc[scans] / 100.0 * sessions.loc[scans, "etiv_mm3"]
    return StudyTables(
        persons=_make_persons(people, ids),
        sessions=sessions.drop(columns=["person", "visit", "has_volumes"]),
        volumes_mm3=volumes,
        cord_mm2=pd.DataFrame(columns=list(LEVELS), dtype=float),
        thickness_mm=pd.DataFrame(columns=["lh", "rh", "mean"], dtype=float),
        change_mm3=None,
        change_pct=None,
        visits=pd.DataFrame(columns=["participant_id", "days", "edss", "sdmt", "nhpt", "t25fw", "pasat"]),
        relapses=None,
        treatments=None,
    )


def _make_persons(people: list[tuple[str, str]], ids: list[str]) -> pd.DataFrame:
    """Ages and sexes with the printed means: 24 of 33 and all 19 are women."""
    number = dict.fromkeys(GROUPS, 0)
    rows = []
    for group, _ in people:
        count, own = len(PATTERNS[group]), number[group]
        mean = {"CLAD": 37.6, "ALEM": 33.3}[group]
        rows.append(
            {
                "sex": "M" if group == "CLAD" and own % 33 >= 24 else "F",
                "age": mean + (own - (count - 1) / 2.0) * 0.9,
                "group": None, "phenotype": "RRMS", "treatment": group, "site": None, "onset_age": np.nan,
                "disease_duration": {"CLAD": 8.77, "ALEM": 7.19}[group], "n_prior_dmt": np.nan,
                "education_years": np.nan,
            }
        )  # fmt: skip
        number[group] += 1
    return pd.DataFrame(rows, index=pd.Index(ids, name="participant_id"))


def _make_sessions(people: list[tuple[str, str]], ids: list[str]) -> tuple[pd.DataFrame, dict[tuple[int, int], int]]:
    """Return sessions with lesions, and the number of each session by person and visit."""
    visits = {position: _visits(pattern) for position, (_, pattern) in enumerate(people)}
    # Lesions were counted in a few sessions without a usable scan: 18 in the second year and 12 in the third of ALEM.
    alem = [position for position, (group, _) in enumerate(people) if group == "ALEM"]
    by_pattern = {
        pattern: [position for position in alem if people[position][1] == pattern] for pattern in set(ALEM_PATTERNS)
    }
    for position in (*by_pattern["1100"], by_pattern["1000"][0]):
        visits[position] = (0, 1, 2)
    visits[by_pattern["1000"][1]] = (0, 1)
    for position in by_pattern["1110"][:2]:
        visits[position] = (0, 1, 2, 3)
    rows, place = [], {}
    for position, own in visits.items():
        for visit in own:
            place[position, visit] = len(rows)
            rows.append(
                {
                    "participant_id": ids[position], "session_id": f"ses-{visit}", "days": visit * DAYS_PER_YEAR,
                    "person": position, "visit": visit, "has_volumes": people[position][1][visit] == "1",
                }
            )  # fmt: skip
    sessions = pd.DataFrame(rows).assign(**SESSION_COLUMNS)
    sessions["new_t2_clinic"] = 0.0
    for group in GROUPS:
        members = [position for position, (own, _) in enumerate(people) if own == group]
        spans = [position for position in members if people[position][1][0] + people[position][1][3] == "11"]
        others = [position for position in members if position not in spans]
        for position, count in zip((*spans, *others), (*BASELINE_SPAN[group], *BASELINE_OTHERS[group]), strict=True):
            sessions.loc[place[position, 0], "new_t2_clinic"] = float(count)
        for year, counts in enumerate(YEAR_LESIONS[group], 1):
            able = [position for position in members if people[position][1][year - 1 : year + 1] == "11"]
            # Spread over the list, so that not only those with all scans have lesions.
            step = max(1, len(able) // max(1, len(counts)))
            for position, count in zip(able[::step], counts, strict=False):
                sessions.loc[place[position, year], "new_t2_clinic"] = float(count)
    # Two lesions more in the first year of CLAD: in a person without a usable first scan.
    late = next(position for position, person in enumerate(people) if person == ("CLAD", "0111"))
    sessions.loc[place[late, 1], "new_t2_clinic"] = 2.0
    sessions["gd_clinic"] = _share_gadolinium(sessions, people)
    # One person of CLAD had no count after the first year: 18 lesions in 32 persons.
    missing = next(position for position, person in enumerate(people) if person == ("CLAD", "0011"))
    sessions.loc[place[missing, 1], ["new_t2_clinic", "gd_clinic"]] = np.nan
    return sessions, place


def _share_gadolinium(sessions: pd.DataFrame, people: list[tuple[str, str]]) -> NDArray[np.float64]:
    """Return contrast-enhancing lesions with the printed sums, dealt one by one to new T2 lesions."""
    sums = {("CLAD", 0): 42, ("CLAD", 1): 7, ("CLAD", 2): 0, ("CLAD", 3): 3,
            ("ALEM", 0): 55, ("ALEM", 1): 2, ("ALEM", 2): 2, ("ALEM", 3): 6}  # fmt: skip
    enhancing = np.zeros(len(sessions))
    new = sessions["new_t2_clinic"].to_numpy()
    group = np.array([people[position][0] for position in sessions["person"]])
    for (name, visit), total in sums.items():
        own = np.flatnonzero((group == name) & (sessions["visit"].to_numpy() == visit) & (new > 0))
        left = total
        while left:
            for place in own:
                if left and enhancing[place] < new[place]:
                    enhancing[place] += 1.0
                    left -= 1
    return enhancing


def _visits(pattern: str) -> tuple[int, ...]:
    """Return the visits up to the last scan: a visit without a usable scan is still one."""
    return tuple(range(max(2, pattern.rindex("1") + 1)))


def _make_course(
    region: str, people: list[tuple[str, str]], sessions: pd.DataFrame, rows: dict[tuple[int, int], int],
    rng: np.random.Generator,
) -> pd.Series:  # fmt: skip
    """Return volumes in per cent of eTIV by the number of the session.

    Residuals are drawn until the changes of three years are possible with the printed p values of single years. For
    the small structures that takes a person without the third scan whose volume differs much from the line.
    """
    lesions = sessions["new_t2_clinic"]
    for attempt in range(ATTEMPTS):
        spans = _span_changes(region, people, lesions, rows, rng, alone=attempt / 10.0)
        changes: dict[tuple[int, int], float] = {}
        for group in GROUPS:
            changes |= _year_changes(region, group, people, lesions, rows, spans, rng) or {}
        if len(changes) == sum(pattern[year : year + 2] == "11" for _, pattern in people for year in range(3)):
            return _add_up(region, people, sessions, rows, changes, spans, rng)
    raise ValueError(f"Tables 2 and 3 cannot both hold for {region}")


def _add_up(
    region: str, people: list[tuple[str, str]], sessions: pd.DataFrame, rows: dict[tuple[int, int], int],
    changes: dict[tuple[int, int], float], spans: dict[int, float], rng: np.random.Generator,
) -> pd.Series:  # fmt: skip
    """Return volumes whose differences are the changes."""
    course = pd.Series(np.nan, index=sessions.index)
    for position, (_, pattern) in enumerate(people):
        level = LEVELS_PCT[region] * (1.0 + 0.05 * rng.normal())
        for visit in range(4):
            if pattern[visit] != "1":
                continue
            if (position, visit) in changes:
                level += changes[position, visit]
            elif visit == 3 and position in spans:
                level = float(course[rows[position, 0]]) + spans[position]
            course[rows[position, visit]] = level
    if course.min() <= 0.0:
        raise ValueError(f"a volume of {region} is below zero")
    return course


def _year_changes(
    region: str, group: str, people: list[tuple[str, str]], lesions: pd.Series, rows: dict[tuple[int, int], int],
    spans: dict[int, float], rng: np.random.Generator,
) -> dict[tuple[int, int], float] | None:  # fmt: skip
    """Return yearly changes with the printed slope, whose sums over three years are given; ``None`` if impossible."""
    pairs = [
        (position, year)
        for position, (own, pattern) in enumerate(people)
        for year in (1, 2, 3)
        if own == group and pattern[year - 1 : year + 1] == "11"
    ]
    x = np.array([lesions[rows[pair]] for pair in pairs])
    slope, squares = 0.0, OTHER_SD_PCT**2 * len(pairs)
    if region in TABLE2:
        slope = TABLE2[region].clad if group == "CLAD" else TABLE2[region].alem
        squares = _residual_squares(region)[GROUPS.index(group)]
    owners = np.array([position for position, _ in pairs])
    complete = [position for position in dict.fromkeys(owners.tolist()) if people[position][1] == "1111"]
    drift = DRIFT_PCT_PER_YEAR * LEVELS_PCT[region]
    if spans:
        # The mean change of a year goes with that of three years, so that little is left to the residuals.
        drift = float(np.mean([spans[own] - slope * float(x[owners == own].sum()) for own in complete])) / 3.0
    line = drift + slope * x
    # What the residuals must do: nothing along the line, and a given sum for each person with all four scans.
    conditions, wanted = [np.ones(len(x)), x], [0.0, 0.0]
    for position in complete if spans else []:
        own = (owners == position).astype(float)
        conditions.append(own)
        wanted.append(spans[position] - float(own @ line))
    least = np.linalg.lstsq(np.array(conditions), np.array(wanted), rcond=None)[0]
    left = squares - float(least @ least)
    if left <= 0.0:
        return None
    # The rest sums to nothing in each person with several years: no variance between persons is to be found, as in
    # the paper.
    several = [(owners == own).astype(float) for own in dict.fromkeys(owners.tolist()) if (owners == own).sum() > 1]
    free = null_space(np.array([*conditions[:2], *several]))
    noise = free @ (free.T @ rng.normal(size=len(pairs)))
    rest = least + noise * np.sqrt(left / float(noise @ noise))
    of_persons = np.bincount(owners, rest)
    if float(of_persons @ of_persons) > squares:
        return None
    change = line + rest
    return dict(zip(pairs, change.tolist(), strict=True))


def null_space(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthonormal basis (column, dimension) of what a matrix maps to zero."""
    _, sizes, vectors = np.linalg.svd(matrix)
    return np.asarray(vectors[np.count_nonzero(sizes > 1e-10 * sizes[0]) :].T)


def _residual_squares(region: str) -> tuple[float, float]:
    """Return the residual sums of squares of both groups, so that the pooled model gives the printed p of CLAD.

    Where a figure prints the p values of the simple regressions, CLAD has the spread that its p implies, and ALEM the
    rest; elsewhere both have the same.
    """
    row = TABLE2[region]
    sxx = lesion_spread()["CLAD"]
    pooled = (row.clad / _t_of(row.p_clad, 91)) ** 2 * sxx
    if region not in FIGURE_P:
        return 57.0 * pooled, 34.0 * pooled
    first = 57.0 * (row.clad / _t_of(FIGURE_P[region][0], 57)) ** 2 * sxx
    return first, 91.0 * pooled - first


def lesion_spread() -> dict[str, float]:
    """Return the sum of squares of the yearly numbers of lesions about their mean, by group."""
    counts = {"CLAD": 59, "ALEM": 36}
    values = {group: np.concatenate([np.array(year, dtype=float) for year in YEAR_LESIONS[group]]) for group in GROUPS}
    return {group: float(own @ own - own.sum() ** 2 / counts[group]) for group, own in values.items()}


def _span_changes(
    region: str, people: list[tuple[str, str]], lesions: pd.Series, rows: dict[tuple[int, int], int],
    rng: np.random.Generator, *, alone: float,
) -> dict[int, float]:  # fmt: skip
    """Return changes over three years with the printed slopes and p values of each group, and the slope of all.

    ``alone`` says how much of the residuals falls to the person of each group without the scan after two years.
    """
    if region not in TABLE3:
        return {}
    row = TABLE3[region]
    members = {
        group: [n for n, (own, pattern) in enumerate(people) if own == group and pattern[0] + pattern[3] == "11"]
        for group in GROUPS
    }
    x = {group: np.array([lesions[rows[position, 0]] for position in members[group]]) for group in GROUPS}
    changes = {}
    for group, (slope, p, _) in zip(GROUPS, (row.clad, row.alem), strict=True):
        own = x[group] - x[group].mean()
        df = len(own) - 2
        free = null_space(np.array([np.ones(len(own)), own]))
        single = np.array([float(people[position][1] == "1101") for position in members[group]])
        noise = free @ (free.T @ (rng.normal(size=len(own)) + alone * single))
        exact = VENTRICLE_P if (region, group) == ("LateralVentricle", "CLAD") else p
        size = np.sqrt(df * (slope / _t_of(exact, df)) ** 2 * float(own @ own))
        changes[group] = slope * own + noise * size / np.linalg.norm(noise)
    # The difference of the group means follows from the slope of all.
    sizes = {group: len(x[group]) for group in GROUPS}
    within = {group: float((x[group] - x[group].mean()) @ (x[group] - x[group].mean())) for group in GROUPS}
    apart = float(x["ALEM"].mean() - x["CLAD"].mean())
    weight = sizes["CLAD"] * sizes["ALEM"] / (sizes["CLAD"] + sizes["ALEM"])
    total = sum(within.values()) + weight * apart**2
    gap = (row.all[0] * total - row.clad[0] * within["CLAD"] - row.alem[0] * within["ALEM"]) / (weight * apart)
    middle = 3.0 * DRIFT_PCT_PER_YEAR * LEVELS_PCT[region]
    means = {"CLAD": middle - gap / 2.0, "ALEM": middle + gap / 2.0}
    return {
        position: means[group] + value
        for group in GROUPS
        for position, value in zip(members[group], changes[group], strict=True)
    }


def _t_of(p: float, df: float) -> float:
    """Return the size of the t statistic with this two-sided p value."""
    return float(-special.stdtrit(df, p / 2.0))
