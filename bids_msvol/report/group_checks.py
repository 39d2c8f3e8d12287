# SPDX-License-Identifier: Apache-2.0
"""What was noticed in the clinical tables, for the page: what must be looked at first, and like things together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from bids_msvol.bids.clinical_checks import Severity

MAX_PLACES = 3
"""Places that are named where the same was found at several."""

MAX_KINDS = 100
"""Kinds of findings that a page holds."""

WORDS = {"error": "Error", "warning": "Warning", "note": "Note"}
"""How each severity is written."""

_HEAD = re.compile(rf"({'|'.join(name.upper() for name in get_args(Severity))})\b\s*(.*)")
_COUNTS = "Clinical tables: "
# Names of people and sessions, and numbers: in what they differ, two findings are still of one kind.
_OWN = re.compile(r"\b(?:sub|ses)-\w+|\d+(?:\.\d+)?")
_NAME = re.compile(r"(sub|ses)-|\w+:")


@dataclass(frozen=True)
class Check:
    """One thing that was noticed.

    Attributes
    ----------
    severity
        ``error``, ``warning`` or ``note``.
    message
        What it is.
    remedy
        What to do; may be empty.
    place
        File, row and column; may be empty.
    """

    severity: str
    message: str
    remedy: str
    place: str


@dataclass(frozen=True)
class CheckGroup:
    """Findings of one kind.

    Attributes
    ----------
    word
        The severity, to be printed.
    message, remedy
        Of the first of them.
    count
        How many there are.
    places
        The first places.
    """

    word: str
    message: str
    remedy: str
    count: int
    places: tuple[str, ...]

    @property
    def more(self) -> int:
        """How many have a place that is not named."""
        return self.count - len(self.places)


def read_checks(lines: Iterable[str]) -> Iterator[Check]:
    """Yield what the validation report says (`bids_msvol.bids.clinical_checks.findings_text`).

    A line that is no part of a finding is a warning of its own, so that nothing is lost.
    """
    head: re.Match[str] | None = None
    said: list[str] = []
    for line in (*lines, ""):
        begins = _HEAD.fullmatch(line)
        inside = head is not None and line.startswith("  ")
        if inside:
            said.append(_sentence(line))
            continue
        if head is not None and said:
            yield Check(head[1].lower(), said[0], " ".join(said[1:]), head[2].strip())
        head, said = begins, []
        if begins is None and line.strip() and not line.startswith(_COUNTS):
            yield Check("warning", _sentence(line), "", "")


def group_checks(checks: Iterable[Check], severities: Sequence[str]) -> tuple[CheckGroup, ...]:
    """Return findings of these severities by kind, the worst first."""
    kinds: dict[tuple[str, str, str], list[Check]] = {}
    for check in checks:
        kinds.setdefault((check.severity, _OWN.sub("#", check.message), check.remedy), []).append(check)
    found = [
        CheckGroup(
            word=WORDS[severity],
            message=members[0].message,
            remedy=remedy,
            count=len(members),
            places=tuple(place for place in dict.fromkeys(one.place for one in members) if place)[:MAX_PLACES],
        )
        for (severity, _, remedy), members in kinds.items()
        if severity in severities
    ]
    order = [WORDS[name] for name in get_args(Severity)]
    return tuple(sorted(found, key=lambda one: order.index(one.word)))


def _sentence(line: str) -> str:
    text = line.strip()
    return text if _NAME.match(text) else text[:1].upper() + text[1:]
