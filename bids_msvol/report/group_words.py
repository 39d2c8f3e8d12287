# SPDX-License-Identifier: Apache-2.0
"""Names, units and short names of the tables of the group level, as a reader says them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from bids_msvol.report.group_families import is_p, is_q

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "roi": "Region", "n_obs": "Obs.", "n_sub": "Persons", "n": "n", "n_excluded": "Left out", "df": "df",
        "beta": "Slope", "q_bh": "q", "r": "r", "rho": "rho", "z": "z", "t": "t", "f": "F", "r2": "R²",
        "se": "SE", "data_set": "Data", "hr": "Hazard ratio", "arr": "Relapse rate", "smd": "SMD", "p": "p",
        "q": "q", "n_pira": "n PIRA", "n_raw": "n RAW", "mean_raw": "Raw mean", "sd_raw": "Raw SD",
        "rate_mm2_per_year": "Rate", "pct_per_year": "Rate a year", "slope_mm2_per_point": "Slope a point",
        "theil_sen": "Theil-Sen slope", "hl_shift": "Hodges-Lehmann shift", "mw_method": "Mann-Whitney test",
        "survival_1y": "Without event, 1 year", "survival_2y": "Without event, 2 years", "df_between": "df between",
        "survival_3y": "Without event, 3 years", "survival": "Without event", "pct": "Difference",
        "p_fwe": "p, all places", "p_fwer": "p, all tests", "p_delong": "p DeLong",
    }
)  # fmt: skip
"""Headings of columns whose names do not say them."""

INTERVAL_LABELS: Mapping[str, str] = MappingProxyType({"null": "Range by chance", "qp": "Quasi-Poisson interval"})
"""Headings of intervals that stand alone."""

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "edss": "EDSS", "t2": "T2", "gd": "Gd", "neda": "NEDA", "neda3": "NEDA-3", "neda4": "NEDA-4", "ci": "CI",
        "auc": "AUC", "icc": "ICC", "etiv": "eTIV", "csa": "CSA", "sd": "SD", "pct": "%", "mm2": "mm²", "mm3": "mm³",
        "eta2": "η²", "dz": "Δz", "pira": "PIRA", "se": "SE", "arr": "ARR", "ols": "OLS", "hc3": "HC3", "um": "µm",
        "ml": "mL", "c2c3": "C2-C3", "c1c7": "C1-C7", "dmt": "DMT", "nhpt": "9HPT", "sdmt": "SDMT", "t25fw": "T25FW",
        "pasat": "PASAT", "rnfl": "RNFL", "gcipl": "GCIPL", "mri": "MRI", "ms": "MS",
    }
)  # fmt: skip
_UNITS: Mapping[str, str] = MappingProxyType(
    {"percent": "%", "year": "years", "day": "days", "1/year": "a year", "1/(100 year)": "in 100 years"}
)
_CODES: Mapping[str, str] = MappingProxyType(
    {
        "neda3": "NEDA-3", "neda4": "NEDA-4", "no_relapse": "No relapse", "no_worsening": "No worsening",
        "no_new_t2": "No new T2 lesion", "no_enlarging_t2": "No enlarging T2 lesion", "no_gd": "No enhancing lesion",
        "no_brain_loss": "No brain volume loss", "pira": "PIRA", "worsening": "Confirmed worsening",
        "relapse": "Relapse", "lesion": "New or enhancing lesion", "new_t2": "New T2 lesions",
        "enlarging_t2": "Enlarging T2 lesions", "t2_count": "T2 lesions", "gd": "Contrast-enhancing lesions",
        "edss": "EDSS", "sdmt": "SDMT", "nhpt": "9HPT", "t25fw": "T25FW", "pasat": "PASAT",
        "n_prior_dmt": "Previous DMT", "onset_age": "Age at onset", "etiv_residual": "At the mean eTIV",
        "largest_dz": "Largest Δz", "sum_dz": "Sum of Δz", "mean_r": "Mean r", "largest_spread": "Largest spread of z",
        "sum_spread": "Sum of spreads of z",
    }
)  # fmt: skip
"""Short names in the cells of tables."""

NAMED_BY_USERS = frozenset(
    {"group", "reference", "comparison", "other", "participant_id", "level", "stratum", "definition"}
)
"""Columns with names of the dataset, which are shown as they are."""

_CODE = re.compile(r"\b[a-z][a-z0-9]*(_[a-z0-9]+)+\b")
_POWERS = MappingProxyType({"2": "²", "3": "³"})
_POWER = re.compile(r"\bmm\^?([23])\b")
_MICRO = re.compile(r"\bum\b")
_LEVELS_OF_CORD = re.compile(r"\b(C[1-7]) (C[1-7])\b")


def label_of(name: str) -> str:
    """Return how a reader calls a column."""
    if name in LABELS:
        return LABELS[name]
    if is_p(name) or is_q(name):
        return f"{name[0]} {_say_words(name[2:])}"
    return _capital(_say_words(name))


def say_unit(unit: str) -> str:
    """Return a unit as a reader writes it.

    Examples
    --------
    >>> say_unit("mm^2/year"), say_unit("percent"), say_unit("um")
    ('mm² a year', '%', 'µm')
    """
    if unit in _UNITS:
        return _UNITS[unit]
    over, _, by = unit.partition("/")
    text = say_symbols(_UNITS.get(over, over))
    if not by:
        return text
    return f"{text} a year" if by == "year" else f"{text}/{say_symbols(by)}"


def say_symbols(text: str) -> str:
    """Return a text with the signs of units and with a hyphen between levels of the cord.

    Examples
    --------
    >>> say_symbols("mm^2, um, C2 C3")
    'mm², µm, C2-C3'
    """
    text = _POWER.sub(lambda match: f"mm{_POWERS[match[1]]}", text)
    return _LEVELS_OF_CORD.sub(r"\1-\2", _MICRO.sub("µm", text))


def say_code(value: str, column: str) -> str:
    """Return the value of a cell in plain words if it is a short name of this program.

    Examples
    --------
    >>> say_code("no_gd", "outcome"), say_code("lesion_volume", "variable"), say_code("arm_a", "group")
    ('No enhancing lesion', 'Lesion volume', 'arm_a')
    """
    if column in NAMED_BY_USERS:
        return value
    if value in _CODES:
        return _CODES[value]
    return _capital(_say_words(value)) if _CODE.fullmatch(value) else say_symbols(value)


def say_codes(text: str) -> str:
    """Return a text in which short names of this program are in plain words; names of the dataset are left alone.

    Examples
    --------
    >>> say_codes("all groups, etiv_residual")
    'all groups, at the mean eTIV'
    """
    return _CODE.sub(lambda match: _small(_CODES[match[0]]) if match[0] in _CODES else match[0], text)


def _small(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _say_words(name: str) -> str:
    return " ".join(_WORDS.get(word, word) for word in name.split("_"))


def _capital(text: str) -> str:
    is_fixed = text.startswith(("n ", "eTIV", "mm", "µm"))
    return text if is_fixed else text[:1].upper() + text[1:]
