# SPDX-License-Identifier: Apache-2.0
"""Everything that one run of the group level found, as it is written and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from bids_msvol.bids.tabular import Column
from bids_msvol.group.result import Analysis, ResultTable
from bids_msvol.group.study import FlowStep
from bids_msvol.group.wording import say_list

DATA_SET = Column(
    "data_set",
    "Which data the row is about.",
    levels=MappingProxyType({"all": "All scans.", "excluded": "Without what meets a condition of exclude_if."}),
)
"""First column of every table if conditions were given."""


@dataclass(frozen=True)
class NotDone:
    """An analysis that was asked for and could not be done.

    Attributes
    ----------
    name, title
        Its name in the plan, and its heading.
    reason
        What is missing, a sentence without a full stop.
    """

    name: str
    title: str
    reason: str


@dataclass(frozen=True)
class GroupResults:
    """The results of the group level.

    Attributes
    ----------
    dataset_name, version
        Name of the dataset, and version of the program.
    analyses
        Of all scans, in the order of the report.
    without_flagged
        The same analyses without what meets a condition of ``exclude_if``; empty if no condition was given.
    not_done
        Analyses that the data do not allow.
    flow
        Who was left out, in order, after a first row with everybody; the last row is what remains.
    groups
        Persons and scans by group, in the order in which groups are shown.
    notes
        What a reader should know of how the data were taken.
    clinical_findings
        Lines of the validation report of the clinical tables.
    settings
        The plan, flattened.
    definition
        The definition of progression in full.
    exclude_if
        The conditions.
    """

    dataset_name: str
    version: str
    analyses: tuple[Analysis, ...]
    without_flagged: tuple[Analysis, ...]
    not_done: tuple[NotDone, ...]
    flow: tuple[FlowStep, ...]
    groups: Mapping[str, tuple[int, int]]
    notes: tuple[str, ...]
    clinical_findings: tuple[str, ...]
    settings: Mapping[str, object]
    definition: str
    exclude_if: tuple[str, ...]

    def sensitivity_of(self, analysis: Analysis) -> Analysis | None:
        """Return the same analysis without what meets a condition; ``None`` if there is none."""
        return next((other for other in self.without_flagged if other.name == analysis.name), None)

    def tables_of(self, analysis: Analysis) -> tuple[ResultTable, ...]:
        """Return the tables of an analysis as they are written: with both sets of data if conditions were given."""
        if not self.without_flagged:
            return analysis.tables
        other = self.sensitivity_of(analysis)
        second = {one.table.file_name: one for one in other.tables} if other else {}
        first = {one.table.file_name: one for one in analysis.tables}
        return tuple(self._both(first.get(name), second.get(name)) for name in dict.fromkeys((*first, *second)))

    def _both(self, first: ResultTable | None, second: ResultTable | None) -> ResultTable:
        known = [(name, one) for name, one in (("all", first), ("excluded", second)) if one is not None]
        model = known[0][1]
        sidecar = {
            **model.sidecar,
            "ExcludeIf": list(self.exclude_if),
            "DataSets": f"all: all scans; excluded: without what meets {say_list(self.exclude_if)}.",
        }
        if first is not None and second is not None and second.sidecar != first.sidecar:
            sidecar["WithoutFlagged"] = dict(second.sidecar)
        return ResultTable(
            table=replace(model.table, columns=(DATA_SET, *model.table.columns)),
            rows=tuple({DATA_SET.name: name, **row} for name, one in known for row in one.rows),
            sidecar=sidecar,
        )
