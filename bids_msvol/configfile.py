# SPDX-License-Identifier: Apache-2.0
"""Configurations as TOML files: what a user writes for ``--config-file``, and what a run leaves beside its results."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bids_msvol import __version__, values
from bids_msvol.config import Config, options
from bids_msvol.errors import NoInputError, UsageError


def read_config_file(path: Path) -> dict[str, object]:
    """Read a TOML configuration file into raw values by field name.

    Raises
    ------
    NoInputError
        If the file cannot be read.
    UsageError
        If it is not TOML, or names an unknown option.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NoInputError("cannot be read", remedy="Check the path given with --config-file", subject=path) from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise UsageError(f"is not valid TOML ({error})", remedy="Mend the file", subject=path) from error
    known = options()
    for name in content:
        if name not in known:
            hint = values.suggest(name, known).removesuffix("?")
            raise UsageError(f"unknown option {name!r}", remedy=hint[0].upper() + hint[1:], subject=path)
    return content


def to_toml(config: Config) -> str:
    """Write a configuration as TOML that `read_config_file` and `make_config` turn back into an equal one.

    A filter's ``null`` becomes ``""``, since TOML has no null. Fields that are ``None`` are left out.
    """
    lines = [f"# bids_msvol {__version__}"]
    tables: list[str] = []
    for name, option in options().items():
        value = getattr(config, name)
        if isinstance(value, Mapping):
            tables.extend(_toml_tables(name, value))
        elif value is not None:
            lines += [f"# {option.help}", f"{name} = {_toml_value(value)}"]
    return "\n".join([*lines, *tables]) + "\n"


def _toml_tables(name: str, table: Mapping[str, Any]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = ["", f"[{name}]"]
    lines += [f"{_toml_text(key)} = {_toml_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _toml_tables(f"{name}.{_toml_text(key)}", value)
    return lines


def _toml_value(value: object) -> str:
    if value is None:
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    return _toml_text(str(value))


def _toml_text(text: str) -> str:
    # A JSON string is a TOML basic string, but for the DEL character, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
