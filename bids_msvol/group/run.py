# SPDX-License-Identifier: Apache-2.0
"""Run the analyses of a plan, each apart from the others."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from bids_msvol.group.plan import ANALYSES
from bids_msvol.group.result import CannotAnalyseError
from bids_msvol.group.results import NotDone

if TYPE_CHECKING:
    from bids_msvol.bids.tabular import Table
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.result import Analysis
    from bids_msvol.group.study import Study

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """What became of the analyses.

    Attributes
    ----------
    analyses
        The results, in the order of the plan.
    not_done
        What the data did not allow, and why.
    crashes
        Tracebacks of analyses that failed for an unforeseen reason; they are in ``not_done`` as well.
    """

    analyses: tuple[Analysis, ...]
    not_done: tuple[NotDone, ...]
    crashes: tuple[str, ...]


def run_analyses(study: Study, plan: Plan) -> Done:
    """Run every analysis of a plan; one that cannot be done, or fails, does not stop the others."""
    analyses, not_done, crashes = [], [], []
    for name in plan.analyses:
        module = analysis_module(name)
        _logger.info("%s", module.TITLE)
        try:
            analyses.append(module.analyse(study, plan))
        except CannotAnalyseError as error:
            not_done.append(NotDone(name, module.TITLE, str(error)))
        except Exception as error:
            _logger.error("%s failed: %s: %s", module.TITLE, type(error).__name__, error)
            not_done.append(NotDone(name, module.TITLE, f"Unforeseen {type(error).__name__}: {error}"))
            crashes.append(f"{name}\n{traceback.format_exc()}")
    return Done(tuple(analyses), tuple(not_done), tuple(crashes))


def analysis_module(name: str) -> ModuleType:
    """Return the module of an analysis, which is called like it."""
    return import_module(f"bids_msvol.group.analyses.{name}")


def all_tables() -> Iterator[Table]:
    """Yield every table of every analysis, for the documentation."""
    for name in ANALYSES:
        yield from analysis_module(name).TABLES
