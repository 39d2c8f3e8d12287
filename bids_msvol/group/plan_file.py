# SPDX-License-Identifier: Apache-2.0
"""Analysis plans as TOML files: what a user gives with ``--analysis-plan``, and what a run leaves beside results."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bids_msvol import __version__
from bids_msvol.clinical.definitions import DEFINITIONS
from bids_msvol.errors import NoInputError, UsageError
from bids_msvol.group.conditions import parse_condition
from bids_msvol.group.plan import ANALYSES, Plan
from bids_msvol.group.regions import REGIONS
from bids_msvol.values import suggest

CORD_LEVELS = (*(f"C{number}" for number in range(1, 8)), "C2-C3", "C1-C7")
"""Levels of the cord that an analysis may be about."""

_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}


def read_plan(path: Path) -> Plan:
    """Read an analysis plan; what it does not say keeps its default.

    Raises
    ------
    NoInputError
        If the file cannot be read.
    UsageError
        If it is not TOML, names something that does not exist, or gives a value that does not fit.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NoInputError(
            "cannot be read", remedy="Check the path given with --analysis-plan", subject=path
        ) from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise UsageError(f"is not valid TOML ({error})", remedy="Mend the file", subject=path) from error
    return check_plan(_fill(Plan(), content, path, ""), path)


def check_plan(plan: Plan, source: Path | str) -> Plan:
    """Return a plan whose values fit one another and name what exists.

    Raises
    ------
    UsageError
        If one does not.
    """

    def check(fits: bool, name: str, problem: str, remedy: str) -> None:
        if not fits:
            raise UsageError(f"{name}: {problem}", remedy=remedy, subject=source)

    for kind, known, names in (
        ("analyses", ANALYSES, plan.analyses),
        ("regions.atrophy", REGIONS, plan.regions.atrophy),
        ("regions.volumes", REGIONS, plan.regions.volumes),
        ("regions.cord_levels", CORD_LEVELS, plan.regions.cord_levels),
        ("activity.definition", DEFINITIONS, (plan.activity.definition,)),
    ):
        for name in names:
            hint = suggest(name, known).removesuffix("?") if name not in known else ""
            check(name in known, kind, f"{name!r} is not known", hint[:1].upper() + hint[1:])
    for kind, names in (
        ("analyses", plan.analyses),
        ("groups.order", plan.groups.order),
        ("intervals.spans_years", plan.intervals.spans_years),
        *((f"regions.{one.name}", getattr(plan.regions, one.name)) for one in fields(plan.regions)),
    ):
        twice = next((name for name in names if names.count(name) > 1), None)
        check(twice is None, kind, f"{twice!r} is there twice", "Keep one")
    numbers = plan.statistics
    check(0.5 <= numbers.level < 1.0, "statistics.level", f"{numbers.level:g} is no level", "Give one such as 0.95")
    check(numbers.permutations >= 99, "statistics.permutations", "too few to say anything", "Give 999 or more")
    check(numbers.seed >= 0, "statistics.seed", "a seed cannot be negative", "Give 0 or more")
    shortest, longest = plan.intervals.year_days
    check(0 < shortest < longest, "intervals.year_days", "not the shorter before the longer", "Give [270, 460]")
    check(min(plan.intervals.spans_years, default=1.0) > 0, "intervals.spans_years", "not above 0", "Give [1, 3]")
    for kind, days in (
        ("exclusions.steroid_washout_days", plan.exclusions.steroid_washout_days),
        ("intervals.span_tolerance_days", plan.intervals.span_tolerance_days),
        ("intervals.visit_gap_days", plan.intervals.visit_gap_days),
    ):
        check(days >= 0, kind, f"{days:g} is below 0", "Give a number of days, or 0")
    cutoff = plan.activity.bvl_cutoff_pct_per_year
    check(cutoff > 0, "activity.bvl_cutoff_pct_per_year", "is a loss in % per year, above 0", "Give one such as 0.4")
    for text in plan.exclusions.exclude_if:
        parse_condition(text, "exclusions.exclude_if")
    return plan


def plan_to_toml(plan: Plan) -> str:
    """Write a plan as TOML that `read_plan` turns back into an equal one."""
    lines = [f"# Analysis plan of bids_msvol {__version__}; every value may be left out."]
    parts = [item.name for item in fields(plan) if is_dataclass(getattr(plan, item.name))]
    lines += [f"{item.name} = {_toml(getattr(plan, item.name))}" for item in fields(plan) if item.name not in parts]
    for part in parts:
        section = getattr(plan, part)
        lines += ["", f"[{part}]"]
        lines += [f"{item.name} = {_toml(getattr(section, item.name))}" for item in fields(section)]
    return "\n".join(lines) + "\n"


def plan_settings(plan: Plan) -> dict[str, object]:
    """Return the plan as one flat mapping, such as ``{"statistics.level": 0.95}``."""
    flat: dict[str, object] = {}
    for item in fields(plan):
        value = getattr(plan, item.name)
        if is_dataclass(value):
            flat.update({f"{item.name}.{one.name}": getattr(value, one.name) for one in fields(value)})
        else:
            flat[item.name] = value
    return flat


def _fill(default: Any, content: Mapping[str, object], path: Path, prefix: str) -> Any:
    hints = get_type_hints(type(default))
    given: dict[str, Any] = {}
    for name, value in content.items():
        if name not in hints:
            hint = suggest(name, hints).removesuffix("?")
            raise UsageError(f"unknown entry {prefix + name!r}", remedy=hint[:1].upper() + hint[1:], subject=path)
        former = getattr(default, name)
        if is_dataclass(former):
            if not isinstance(value, Mapping):
                raise UsageError(f"{prefix}{name} is no section", remedy=f"Write [{prefix}{name}]", subject=path)
            given[name] = _fill(former, value, path, f"{prefix}{name}.")
        else:
            given[name] = _value(value, hints[name], f"{prefix}{name}", path)
    return replace(default, **given)


def _value(value: object, kind: Any, name: str, path: Path) -> Any:
    """Return a value of TOML as the type of its field."""
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        fixed = Ellipsis not in kinds
        if not isinstance(value, list) or (fixed and len(value) != len(kinds)):
            wanted = f"a list of {len(kinds)}" if fixed else "a list"
            raise UsageError(f"{name} is not {wanted}", remedy='Write it like ["a", "b"] or [1, 2]', subject=path)
        return tuple(_value(one, kinds[0], name, path) for one in value)
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if value not in choices:
            remedy = f"Give one of {', '.join(choices)}"
            raise UsageError(f"{name} is {value!r}, which is no choice", remedy=remedy, subject=path)
        return value
    whole = isinstance(value, int) and not isinstance(value, bool)
    fits = {
        bool: isinstance(value, bool),
        int: whole,
        float: (whole or isinstance(value, float)) and math.isfinite(float(value)),  # type: ignore[arg-type]
        str: isinstance(value, str),
    }[kind]
    if not fits:
        raise UsageError(f"{name} is {value!r}, not {_WORDS[kind]}", remedy=f"Give {_WORDS[kind]}", subject=path)
    return kind(value)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)
