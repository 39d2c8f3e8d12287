# SPDX-License-Identifier: Apache-2.0
"""Turn what a user typed, or wrote in a configuration file, into typed values; say exactly what is wrong if it fails.

Every ``parse_`` function takes the raw value and the name of the option it came from, and raises ``UsageError``.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bids_msvol.errors import NoInputError, UsageError

_LABEL = re.compile(r"[0-9A-Za-z+]+")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)
_BYTES_PER_GB = 1e9
_SMALLEST_BARE_MB = 1024
"""A bare ``--mem`` below this may mean MB to one user and GB to another: it is refused."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or list them all."""
    names = sorted(known)
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1)
    return f"did you mean {lowered[close[0]]}?" if close else f"known: {', '.join(names)}"


def parse_path(raw: object, option: str) -> Path:
    """Return an absolute path; ``~`` is expanded, symbolic links are kept (git-annex)."""
    if not isinstance(raw, str | Path) or not str(raw):
        raise UsageError(f"{raw!r} is not a path", remedy="Give the path of a file or folder", subject=option)
    try:
        return Path(raw).expanduser().absolute()
    except RuntimeError as error:
        raise UsageError(f"{raw} cannot be expanded", remedy="Write the path in full", subject=option) from error


def parse_optional_path(raw: object, option: str) -> Path | None:
    """Return an absolute path."""
    return parse_path(raw, option)


def parse_levels(raw: object, option: str) -> tuple[str, ...]:
    """Return the analysis levels as a tuple of distinct words; which words exist is checked by the command line."""
    return tuple(dict.fromkeys(_words(raw, option)))


def parse_participant_labels(raw: object, option: str) -> tuple[str, ...]:
    """Return participant labels without ``sub-``; an entry may be a text file with one label a line."""
    return _parse_labels(raw, option, prefix="sub-")


def parse_session_labels(raw: object, option: str) -> tuple[str, ...]:
    """Return session labels without ``ses-``; an entry may be a text file with one label a line."""
    return _parse_labels(raw, option, prefix="ses-")


def parse_choice(raw: object, option: str, *, choices: Sequence[str]) -> str:
    """Return one of ``choices``."""
    if raw not in choices:
        raise UsageError(f"{raw!r} is not a choice", remedy=f"Give one of {', '.join(choices)}", subject=option)
    return str(raw)


def parse_switch(raw: object, option: str) -> bool:
    """Return a boolean, which is what a flag without value gives."""
    if not isinstance(raw, bool):
        raise UsageError(f"{raw!r} is not a switch", remedy="Give true or false", subject=option)
    return raw


def parse_count(raw: object, option: str) -> int:
    """Return a whole number of at least 1."""
    return _integer(raw, option, minimum=1)


def parse_natural(raw: object, option: str) -> int:
    """Return a whole number of at least 0."""
    return _integer(raw, option, minimum=0)


def parse_positive(raw: object, option: str) -> float:
    """Return a finite number above 0."""
    try:
        value = float(raw) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else math.nan
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{raw!r} is not a number above 0", remedy="Give a number such as 1.5", subject=option)
    return value


def parse_days(raw: object, option: str) -> float:
    """Return a number of days of at least 0."""
    return 0.0 if raw in (0, "0") else parse_positive(raw, option)


def parse_conditions(raw: object, option: str) -> tuple[str, ...]:
    """Return conditions as a tuple of distinct texts; what they say is checked by the group level."""
    return tuple(dict.fromkeys(_words(raw, option)))


def parse_resolution_mm(raw: object, option: str) -> float:
    """Return the edge of the working voxel in mm, between 0.5 and 4."""
    value = parse_positive(raw, option)
    if not 0.5 <= value <= 4.0:
        raise UsageError(f"{value:g} mm is out of range", remedy="Give a value from 0.5 to 4 (mm)", subject=option)
    return value


def parse_memory_gb(raw: object, option: str) -> float:
    """Return an amount of memory in GB from text with a unit, such as ``8G``, ``7.5gb`` or ``16000MB``.

    A bare number of 1024 and more is MB; a smaller one is refused, since similar programs disagree about its unit.
    """
    match = _MEMORY.fullmatch(str(raw).strip())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{raw!r} is not an amount of memory", remedy="Write it like 8G or 16000MB", subject=option)
    amount, unit, binary = float(match[1]), match[2].upper(), bool(match[3])
    if binary and not unit:
        raise UsageError(f"{raw!r} is not an amount of memory", remedy="Write it like 8G or 8GiB", subject=option)
    if not unit and str(raw).strip().upper().endswith("B"):
        return amount / _BYTES_PER_GB
    if not unit:
        if amount < _SMALLEST_BARE_MB:
            raise UsageError(
                f"{raw} has no unit and could mean MB or GB", remedy=f"Write {raw}G or {raw}M", subject=option
            )
        unit = "M"
    base = 1024.0 if binary else 1000.0
    return float(amount * base ** " KMGT".index(unit) / _BYTES_PER_GB)


def parse_derivatives(raw: object, option: str) -> dict[str, Path]:
    """Return ``{name: folder}`` from ``NAME=PATH`` words, or from the table of a configuration file."""
    if isinstance(raw, Mapping):
        pairs = [(str(name), path) for name, path in raw.items()]
    else:
        words = _words(raw, option)
        for word in words:
            if not all(word.partition("=")):
                raise UsageError(
                    f"{word!r} is not NAME=PATH", remedy="Write it like lesions=/data/masks", subject=option
                )
        pairs = [(name, path) for name, _, path in (word.partition("=") for word in words)]
    folders: dict[str, Path] = {}
    for name, path in pairs:
        if name in folders:
            raise UsageError(f"{name} is given twice", remedy="Give each name once", subject=option)
        folders[name] = parse_path(path, option)
        if not folders[name].is_dir():
            raise NoInputError("no such folder", remedy=f"Check the path given with {option}", subject=folders[name])
    return folders


def _words(raw: object, option: str) -> list[str]:
    words = [raw] if isinstance(raw, str) else raw
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise UsageError(f"{raw!r} is not a list of words", remedy='Write it like ["01", "02"]', subject=option)
    return list(words)


def _integer(raw: object, option: str, *, minimum: int) -> int:
    try:
        value = int(raw) if isinstance(raw, str | int) and not isinstance(raw, bool) else minimum - 1
    except ValueError:
        value = minimum - 1
    if value < minimum:
        raise UsageError(
            f"{raw!r} is not a whole number of at least {minimum}",
            remedy=f"Give {max(minimum, 1)} or more",
            subject=option,
        )
    return value


def _parse_labels(raw: object, option: str, *, prefix: str) -> tuple[str, ...]:
    labels: list[str] = []
    for word in _words(raw, option):
        if _LABEL.fullmatch(word.removeprefix(prefix)):
            labels.append(word.removeprefix(prefix))
        else:
            labels.extend(_read_labels(word, option, prefix=prefix))
    return tuple(dict.fromkeys(labels))


def _read_labels(word: str, option: str, *, prefix: str) -> list[str]:
    path = parse_path(word, option)
    if not path.is_file():
        raise UsageError(
            f"{word!r} is neither a label (letters and digits) nor a text file of labels",
            remedy=f"Give labels like 01 or {prefix}01, or a file with one label a line",
            subject=option,
        )
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "cannot be read as text", remedy="Give a text file with one label a line", subject=path
        ) from error
    labels = []
    for number, line in enumerate(lines, start=1):
        label = line.strip().removeprefix(prefix)
        if not label or label.startswith("#"):
            continue
        if not _LABEL.fullmatch(label):
            raise UsageError(
                f"line {number} is not a label: {line.strip()!r}", remedy="Write one label a line", subject=path
            )
        labels.append(label)
    if not labels:
        raise UsageError("holds no label", remedy="Write one label a line", subject=path)
    return labels
