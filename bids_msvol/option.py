# SPDX-License-Identifier: Apache-2.0
"""How a field of the configuration is given by a user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Option:
    """How a field of `Config` is given by a user.

    Attributes
    ----------
    help
        One sentence for ``--help`` and the documentation.
    parse
        Turns the raw value into the field's type; called with the value and the name of its source.
    flags
        Flags in hyphen spelling; a positional argument has none.
    metavar
        How the value is called in the help.
    many
        Whether the flag takes several values.
    switch
        Whether the flag takes no value.
    default
        The default in words, for the help.
    changes_results
        Whether another value gives other numbers; such fields make up the configuration hash.
    """

    help: str
    parse: Callable[[object, str], Any]
    flags: tuple[str, ...] = ()
    metavar: str = ""
    many: bool = False
    switch: bool = False
    default: str = ""
    changes_results: bool = False
