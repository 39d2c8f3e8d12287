# SPDX-License-Identifier: Apache-2.0
"""How the reports put numbers, structures and verdicts into words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bids_msvol.structures import ETIV_NAME, SUMS

if TYPE_CHECKING:
    from bids_msvol.bids.load import SessionOutputs
    from bids_msvol.measurement import Verdict

MISSING = "n/a"
"""Shown for every number that could not be measured, as in the tables."""

NOT_APPLICABLE = "\N{EN DASH}"
"""Shown where a number cannot exist, such as new lesions at a first session."""

MM3_PER_ML = 1000.0
MINUS = "\N{MINUS SIGN}"
"""As wide as a digit, unlike a hyphen."""

VERDICT_WORDS: Mapping[Verdict, str] = {"pass": "pass", "warn": "warning", "fail": "failed"}
"""The word beside each flag, so that no meaning hangs on a colour."""

_PLAIN_NAMES: Mapping[str, str] = {
    "WholeBrain": "Whole brain",
    "TotalGray": "Total grey matter",
    "TotalWhite": "Total white matter",
    "DeepGray": "Deep grey matter",
    "Cerebellum": "Cerebellum",
    "Ventricles": "Ventricles",
    ETIV_NAME: "Intracranial volume (eTIV)",
    "Cerebral-White-Matter": "Cerebral white matter",
    "Cerebral-Cortex": "Cerebral cortex",
    "Lateral-Ventricle": "Lateral ventricle",
    "Inf-Lat-Vent": "Inferior lateral ventricle",
    "Cerebellum-White-Matter": "Cerebellar white matter",
    "Cerebellum-Cortex": "Cerebellar cortex",
    "3rd-Ventricle": "Third ventricle",
    "4th-Ventricle": "Fourth ventricle",
    "Brain-Stem": "Brainstem",
    "CSF": "Fluid around the brain (CSF)",
    "Accumbens-area": "Nucleus accumbens",
    "VentralDC": "Ventral diencephalon",
}

SUM_DESCRIPTIONS: Mapping[str, str] = {total.name: total.description for total in SUMS}
"""What is in each sum, by its name in the tables."""


def split_side(name: str) -> tuple[str | None, str]:
    """Split a FreeSurfer name into its side (``Left``, ``Right`` or ``None``) and the rest."""
    for side in ("Left", "Right"):
        if name.startswith(f"{side}-"):
            return side, name.removeprefix(f"{side}-")
    return None, name


def describe_structure(name: str) -> str:
    """Return the name of a structure or sum as a reader says it, without its side.

    Examples
    --------
    >>> describe_structure("Left-Inf-Lat-Vent")
    'Inferior lateral ventricle'
    >>> describe_structure("Right-Thalamus")
    'Thalamus'
    """
    base = split_side(name)[1]
    return _PLAIN_NAMES.get(base, base.replace("-", " "))


def format_ml(volume_mm3: float | None) -> str:
    """Return a volume in mL: three decimals below 10 mL, two below 100 and one above; ``n/a`` where it is missing.

    Examples
    --------
    >>> format_ml(6531.2), format_ml(1102345.0), format_ml(None)
    ('6.531', '1102.3', 'n/a')
    """
    if volume_mm3 is None or math.isnan(volume_mm3):
        return MISSING
    volume_ml = volume_mm3 / MM3_PER_ML
    decimals = 3 if abs(volume_ml) < 10 else 2 if abs(volume_ml) < 100 else 1
    return _signed(f"{volume_ml:.{decimals}f}")


def format_percent(value: float | None, decimals: int = 2) -> str:
    """Return a percentage without its sign, or ``n/a``."""
    return MISSING if value is None or math.isnan(value) else _signed(f"{value:.{decimals}f}")


def format_change(value: float | None, decimals: int = 2) -> str:
    """Return a change with its sign, ``n/a`` where it is missing.

    Examples
    --------
    >>> format_change(0.514), format_change(-0.001), format_change(None)
    ('+0.51', '0.00', 'n/a')
    """
    text = format_percent(value, decimals)
    return f"+{text}" if value is not None and value > 0 and any(digit in "123456789" for digit in text) else text


def format_number(value: float | None) -> str:
    """Return a number with four significant digits and no exponent for everyday sizes, or ``n/a``.

    Examples
    --------
    >>> format_number(0.12345), format_number(1534221.0), format_number(float("nan"))
    ('0.1235', '1534221', 'n/a')
    """
    if value is None or math.isnan(value):
        return MISSING
    if abs(value) >= 1000 or value == round(value):
        return _signed(f"{value:.0f}")
    return _signed(f"{value:.4g}")


def format_count(value: float | None) -> str:
    """Return a whole number, or ``n/a``.

    Examples
    --------
    >>> format_count(12.0), format_count(None)
    ('12', 'n/a')
    """
    return MISSING if value is None or math.isnan(value) else f"{value:.0f}"


def count_words(count: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count_words(1, "new lesion"), count_words(0, "new lesion"), count_words(2, "candidate", "candidates")
    ('1 new lesion', '0 new lesions', '2 candidates')
    """
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def name_session(session: SessionOutputs) -> str:
    """Return how the report calls a session: its label, or "the only session" in a dataset without sessions."""
    return f"Session {session.label}" if session.label is not None else "The only session"


def describe_day(days: float | None) -> str:
    """Return when a session took place.

    Examples
    --------
    >>> describe_day(0), describe_day(1), describe_day(203.0), describe_day(None)
    ('day 0', 'day 1', 'day 203', 'date not known')
    """
    return "date not known" if days is None else f"day {days:.0f}"


def join_words(words: Sequence[str]) -> str:
    """Join words with commas and a final "and".

    Examples
    --------
    >>> join_words(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _signed(text: str) -> str:
    # A true minus sign lines up with digits; "-0.00" means nothing to a reader.
    if text.startswith("-"):
        return MINUS + text[1:] if any(digit in "123456789" for digit in text) else text[1:]
    return text
