# SPDX-License-Identifier: Apache-2.0
"""The BIDS filter file: which images may be chosen for each contrast.

The file has the shape that NiPreps programs share, ``{"t1w": {"session": "01", "acquisition": null, "run": "*"}}``:
``null`` asks for images without the entity, ``"*"`` for images with it, whatever its value.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from bids_msvol.errors import NoInputError, UsageError
from bids_msvol.values import parse_path, suggest

_logger = logging.getLogger(__name__)

FilterValue: TypeAlias = str | tuple[str, ...] | None
"""``None``: the entity must be absent; ``"*"``: present; otherwise the value, or one of the values, to have."""

Filters: TypeAlias = Mapping[str, Mapping[str, FilterValue]]

QUERIES = ("t1w", "flair", "t2w", "cord")
"""The contrasts that can be filtered."""

OTHER_QUERIES = frozenset(
    ("asl", "bold", "dwi", "fmap", "megre", "mese", "perf", "pet", "pdw", "roi", "sbref", "t2star", "t2starw")
)
"""Keys of other programs' filter files: allowed, so that one file serves several programs, and without effect here."""

ENTITIES = frozenset(
    (
        "subject", "session", "acquisition", "ceagent", "reconstruction", "run", "echo", "inv", "part", "chunk",
        "direction", "flip", "mt", "space", "suffix",
    )
)  # fmt: skip
"""Entities, by their names in pybids, that a filter may name."""

_ALWAYS_TRUE = {"datatype": frozenset(("anat",)), "extension": frozenset((".nii", ".nii.gz", "nii", "nii.gz"))}
"""What filter files of other programs often ask for, and what every image that is looked at here has anyway."""

_PREFIXES = {"subject": "sub-", "session": "ses-"}


def parse_filters(raw: object, option: str) -> dict[str, dict[str, FilterValue]]:
    """Return the filters of a JSON file, or of a table in a configuration file (where ``""`` stands for ``null``).

    Keys of other programs are left out, with an info line.

    Raises
    ------
    NoInputError
        If the file does not exist.
    UsageError
        If it is not JSON, or names an unknown contrast or entity.
    """
    content, where = (raw, option) if isinstance(raw, Mapping) else _read(parse_path(raw, option))
    if not isinstance(content, Mapping):
        raise UsageError("is not a table of filters", remedy='Write it like {"t1w": {"run": "1"}}', subject=where)
    filters: dict[str, dict[str, FilterValue]] = {}
    for key, query in content.items():
        name = str(key).lower()
        if name in OTHER_QUERIES:
            _logger.info("%s: the filter for %s has no effect here", where, key)
            continue
        if name not in QUERIES:
            raise UsageError(f"unknown contrast {key!r}", remedy=_sentence(suggest(name, QUERIES)), subject=where)
        if not isinstance(query, Mapping):
            raise UsageError(f"{key} is not a table", remedy='Write it like {"t1w": {"run": "1"}}', subject=where)
        filters[name] = {
            str(entity): _value(name, str(entity), value, where)
            for entity, value in query.items()
            if not _is_always_true(str(entity), value)
        }
    return filters


def _read(path: Path) -> tuple[object, str]:
    try:
        return json.loads(path.read_text(encoding="utf-8")), str(path)
    except OSError as error:
        raise NoInputError(
            "cannot be read", remedy="Check the path given with --bids-filter-file", subject=path
        ) from error
    except ValueError as error:
        raise UsageError(f"is not valid JSON ({error})", remedy="Mend the file", subject=path) from error


def _value(query: str, entity: str, value: object, where: str) -> FilterValue:
    if entity not in ENTITIES:
        raise UsageError(
            f"unknown entity {entity!r} in {query}", remedy=_sentence(suggest(entity, ENTITIES)), subject=where
        )
    if value is None or value == "":
        return None
    if isinstance(value, list | tuple) and value and all(_is_label(item) for item in value):
        return tuple(str(item).removeprefix(_PREFIXES.get(entity, "\0")) for item in value)
    if _is_label(value):
        return str(value).removeprefix(_PREFIXES.get(entity, "\0"))
    raise UsageError(
        f"{value!r} cannot be the value of {entity} in {query}",
        remedy='Give a text, a list of texts, null (the entity is absent) or "*" (it is present)',
        subject=where,
    )


def _is_always_true(entity: str, value: object) -> bool:
    values = value if isinstance(value, list | tuple) else [value]
    return all(item == "*" or item in _ALWAYS_TRUE.get(entity, ()) for item in values) and entity in _ALWAYS_TRUE


def _is_label(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _sentence(text: str) -> str:
    return (text[0].upper() + text[1:]).removesuffix("?")
