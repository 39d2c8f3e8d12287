# SPDX-License-Identifier: Apache-2.0
"""The regressions of lesions_baseline: slope, difference between groups, and what each rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bids_msvol.group.analyses.lesion_influence import (
    DIFFERENCE_RESTS,
    RESTS,
    Rest,
    choose_rest,
    find_weightiest,
    without_person,
)
from bids_msvol.group.analyses.lesion_regression import (
    LesionKind,
    Line,
    fit_line,
    group_columns,
    line_checks,
    line_warnings,
    slope_difference,
    variance_check,
)
from bids_msvol.group.people import Patients
from bids_msvol.group.result import estimate_cells
from bids_msvol.stats.regression import compare_slopes, fit_ols
from bids_msvol.stats.robust import spearman, theil_sen

EVERYBODY = "ALL"
"""The row of all groups together."""

ALL_DATA = "all"

MOST_FLAGGED = 5
"""Persons of one regression that are listed and left out in turn: those with the largest Cook's distances. The number
flagged is given in full."""

NOTABLE_UP_TO = 100
"""Persons up to which a Cook's distance above 4/n is followed up; with more, one above 1."""

THEIL_SEN_UP_TO = 500
"""Observations up to which the slopes of all pairs are computed; their number grows with the square."""


@dataclass(frozen=True, eq=False)
class SpanSample:
    """The observations of one region, one kind of lesion and one span.

    Attributes
    ----------
    lines
        The regression of each group and of all together.
    n_excluded
        By group.
    """

    lines: Mapping[str, Line]
    n_excluded: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class SpanResult:
    """What was found for one kind of lesion and one span."""

    kind: LesionKind
    span: float
    samples: Mapping[str, SpanSample]
    rows: tuple[dict[str, object], ...]


def region_rows(
    region: str, sample: SpanSample, kind: LesionKind, patients: Patients, level: float
) -> list[dict[str, object]]:
    """Return the rows of one region: each group and all together, and again without each influential person."""
    rows = []
    pooled = _pooled_cells(sample, patients)
    for name, line in sample.lines.items():
        fixed: dict[str, object] = {"lesions": kind.many, "roi": region, "group": name}
        warnings, checks = line_warnings(line, kind.many), line_checks(line)
        row: dict[str, object] = {
            **fixed, "data": ALL_DATA, "n_excluded": sample.n_excluded[name],
            "family": f"slope in {name}, all regions", "_difference": f"difference of {name}, all regions",
            "_joint": "all regions", **_line_cells(line), **_robust_cells(line, level), **pooled.get(name, {}),
            RESTS: _slope_rest(line, name, kind.many, level),
        }  # fmt: skip
        if name == EVERYBODY:
            row |= _adjusted_cells(sample, patients)
        elif patients.reference not in (None, name):
            row[DIFFERENCE_RESTS] = _difference_rest(sample, name, str(patients.reference), kind.many, level)
        if patients.reference is not None and name not in (EVERYBODY, patients.reference):
            text, _ = variance_check(line, sample.lines[patients.reference], patients.reference)
            checks += [text] if text else []
            if sample.lines[patients.reference].fit is None:
                warnings.append(f"no slope in {patients.reference} to compare with")
        rows.append(row | {"assumptions": "; ".join(checks), "warning": "; ".join(warnings)})
        for position in flagged(line):
            rest = without(line, position, kind.many, level)
            rows.append(
                {
                    **fixed, "data": f"without {line.persons[position]}", "n_excluded": sample.n_excluded[name] + 1,
                    "family": "sensitivity, not corrected", **_line_cells(rest),
                    "assumptions": "; ".join(line_checks(rest)),
                    "warning": "; ".join(line_warnings(rest, kind.many)),
                }
            )  # fmt: skip
    return rows


def _slope_rest(line: Line, group: str, many: str, level: float) -> Rest | None:
    """Return the slope without the person who has most influence."""
    weightiest = find_weightiest(line)
    if weightiest is None:
        return None
    slope = without_person(line, weightiest[0], many, level).slope
    value, p = (math.nan, math.nan) if slope is None else (slope.value, slope.p)
    return Rest(weightiest[0], group, weightiest[1], value, p)


def _difference_rest(sample: SpanSample, group: str, reference: str, many: str, level: float) -> Rest | None:
    """Return the difference of two slopes without the person of either group on whom it rests most."""
    rests = []
    for name, other in ((group, reference), (reference, group)):
        weightiest = find_weightiest(sample.lines[name])
        fit = sample.lines[other].fit
        if weightiest is None or fit is None:
            continue
        rest = without_person(sample.lines[name], weightiest[0], many, level).fit
        value = p = math.nan
        if rest is not None:
            found = compare_slopes(fit, rest, "x") if name == group else compare_slopes(rest, fit, "x")
            value, p = found.value, found.p
        rests.append(Rest(weightiest[0], name, weightiest[1], value, p))
    return choose_rest(rests)


def _adjusted_cells(sample: SpanSample, patients: Patients) -> dict[str, object]:
    """Return the slope of everybody with an intercept of each group: groups may differ in both lesions and change."""
    lines = {name: sample.lines[name] for name in patients.groups}
    x, y = (np.concatenate([getattr(line, name) for line in lines.values()]) for name in ("x", "y"))
    group = np.concatenate([np.full(len(line.x), name, dtype=object) for name, line in lines.items()])
    own = {f"intercept[{name}]": (group == name).astype(float) for name, line in lines.items() if len(line.x)}
    try:
        slope = fit_ols(y, {**own, "x": x}).contrast({"x": 1.0})
    except ValueError:
        return {}
    return {"beta_adjusted": slope.value, "p_adjusted": slope.p}


def flagged(line: Line) -> list[int]:
    """Return the observations with the largest Cook's distances, at most `MOST_FLAGGED`.

    Those above 4/n, or above 1 where there are so many persons that some are always above 4/n and decide nothing.
    """
    if line.influence is None:
        return []
    found = line.influence.notable if len(line.x) <= NOTABLE_UP_TO else line.influence.severe
    notable = np.flatnonzero(found)
    order = np.argsort(-line.influence.cooks_distance[notable], kind="stable")
    return [int(position) for position in notable[order][:MOST_FLAGGED]]


def without(line: Line, position: int, many: str, level: float) -> Line:
    """Return the line without one observation."""
    kept = np.arange(len(line.x)) != position
    return fit_line(line.y[kept], line.x[kept], line.persons[kept], many, level)


def _line_cells(line: Line) -> dict[str, object]:
    cells: dict[str, object] = {"n_obs": len(line.x), "n_sub": len(set(line.persons))}
    slope = line.slope
    if line.fit is None or line.influence is None or slope is None:
        return cells
    return cells | {
        "beta": slope.value, **estimate_cells(slope), "t": slope.t, "r": line.r, "r2": line.fit.r_squared,
        "sigma": line.sigma, "p_hc3": line.p_hc3, "n_flagged": int(line.influence.notable.sum()),
        "largest_cook": float(np.max(line.influence.cooks_distance)),
        "largest_hat": float(np.max(line.influence.hat)),
    }  # fmt: skip


def _robust_cells(line: Line, level: float) -> dict[str, object]:
    if line.fit is None:
        return {}
    ranks = spearman(line.x, line.y, level=level)
    cells: dict[str, object] = {"rho": ranks.rho, "p_spearman": ranks.p}
    if len(line.x) <= THEIL_SEN_UP_TO:
        robust = theil_sen(line.y, line.x, level=level)
        cells |= {"theil_sen": robust.slope, "theil_sen_lo": robust.low, "theil_sen_hi": robust.high}
    return cells


def _pooled_cells(sample: SpanSample, patients: Patients) -> dict[str, dict[str, object]]:
    """Return, by group, what compares it with the reference; with the reference, the joint test of all slopes."""
    lines = {name: sample.lines[name] for name in patients.groups}
    fitted = [name for name, line in lines.items() if line.fit is not None]
    reference = patients.reference
    if reference is None or len(fitted) < 2:
        return {}
    x, y = (np.concatenate([getattr(line, name) for line in lines.values()]) for name in ("x", "y"))
    group = np.concatenate([np.full(len(line.x), name, dtype=object) for name, line in lines.items()])
    cells: dict[str, dict[str, object]] = {name: {} for name in lines}
    try:
        pooled = fit_ols(y, group_columns(x, group, lines))
    except ValueError:
        pooled = None
    if pooled is not None and len(lines) > 2:
        test = pooled.joint_test([slope_difference(name, fitted[0]) for name in fitted[1:]])
        statistic = f"F({test.df_between:.0f}, {test.df_within:.0f}) = {test.f:.3g}"
        cells[reference] = {"joint_test": statistic, "p_joint": test.p}
    first = lines[reference].fit
    for name in fitted:
        own = lines[name].fit
        if name == reference or first is None or own is None:
            continue
        found = compare_slopes(first, own, "x")
        equal = math.nan if pooled is None else pooled.contrast(slope_difference(name, reference)).p
        cells[name] = {
            "difference": found.value, "difference_lo": found.low, "difference_hi": found.high,
            "difference_df": found.df, "p_difference": found.p, "p_interaction": equal,
        }  # fmt: skip
    return cells


def influence_rows(result: SpanResult, level: float) -> list[dict[str, object]]:
    """Return one row for each person with much influence."""
    rows: list[dict[str, object]] = []
    for region, sample in result.samples.items():
        for name, line in sample.lines.items():
            for position in flagged(line):
                assert line.influence is not None
                assert line.slope is not None
                found = line.influence
                rest = without(line, position, result.kind.many, level).slope
                rows.append(
                    {
                        "lesions": result.kind.many, "span": result.span, "roi": region, "group": name,
                        "participant_id": line.persons[position], "n_lesions": float(line.x[position]),
                        "change": float(line.y[position]), "hat": float(found.hat[position]),
                        "studentised": float(found.studentised[position]),
                        "cooks_distance": float(found.cooks_distance[position]),
                        "severe": "yes" if found.severe[position] else "no", "beta": line.slope.value,
                        "beta_without": math.nan if rest is None else rest.value,
                        "p_without": math.nan if rest is None else rest.p,
                    }
                )  # fmt: skip
    return rows
