# SPDX-License-Identifier: Apache-2.0
"""Clinical scales in disease_activity: who worsened on the EDSS, SDMT, 9HPT and T25FW, by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.clinical.definitions import describe
from bids_msvol.clinical.events import History
from bids_msvol.group.cells import as_count
from bids_msvol.group.courses import find_histories, plan_definition
from bids_msvol.group.result import FAMILY, GROUP, NOTES, Q, ResultTable, number, p_column, with_q
from bids_msvol.group.study import DAYS_PER_YEAR
from bids_msvol.group.wording import say_count
from bids_msvol.stats.proportions import compare_proportions, proportion

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

SCALE_LABELS: Mapping[str, str] = MappingProxyType({"edss": "EDSS", "sdmt": "SDMT", "nhpt": "9HPT", "t25fw": "T25FW"})
"""Scales for which there is a rule of what change counts."""

SCALE_EVENTS = Table(
    "Worsening on clinical scales",
    "scale_events.tsv",
    "Persons with confirmed worsening and improvement on each scale, by group.",
    (
        Column("scale", "Clinical scale.", levels=SCALE_LABELS),
        GROUP,
        Column("n_sub", "Persons with visits of which one can be confirmed: those who are counted.", "integer"),
        Column("n_not_confirmable", "Persons with values, but no visit that a later one can confirm.", "integer"),
        Column("n_unconfirmed", "Persons whose only worsening is at the end and cannot be confirmed.", "integer"),
        number("person_years", "Years from the first to the last value.", "year"),
        Column("n_worsened", "Persons with confirmed worsening.", "integer"),
        number("share", "Share of those counted with confirmed worsening."),
        number("ci_lo", "Lower end of Wilson's interval."),
        number("ci_hi", "Upper end of Wilson's interval."),
        Column("n_events", "Number of confirmed worsenings.", "integer"),
        Column("n_improved", "Persons with confirmed improvement.", "integer"),
        Column("reference", "Group that it is compared with."),
        number("difference", "Share less that of the reference."),
        number("difference_lo", "Lower end of Newcombe's interval."),
        number("difference_hi", "Upper end of Newcombe's interval."),
        p_column(description="Fisher's exact test against the reference, two-sided, not corrected."),
        Q,
        FAMILY,
        *NOTES,
    ),
)


def scale_events(study: Study, plan: Plan, people: pd.DataFrame, groups: Sequence[str]) -> ResultTable:
    """Count persons who worsened on each scale that was taken, and compare the groups.

    Parameters
    ----------
    people
        As `bids_msvol.group.analyses.follow_up.follow_up` gives them.
    groups
        Those shown, the reference first.
    """
    rows: list[dict[str, object]] = []
    definitions: dict[str, str] = {}
    for scale in SCALE_LABELS:
        histories = study.histories if scale == "edss" else find_histories(study.visits, study.relapses, plan, scale)
        patients = [str(name) for name in people.index if str(name) in histories]
        if not patients:
            rows.append({"scale": scale, "group": "all", "n_sub": 0, "warning": "no values"})
            continue
        definitions[SCALE_LABELS[scale]] = describe(plan_definition(plan, scale))
        label = dict(zip(people.index.astype(str), people["group"], strict=True))
        members = {group: [histories[name] for name in patients if label[name] == group] for group in groups}
        counted = [_count(scale, group, members[group], plan) for group in groups]
        rows += _compare(counted, plan)
    return ResultTable(SCALE_EVENTS, with_q(rows), {"Definitions": definitions})


def _count(scale: str, group: str, histories: Sequence[History], plan: Plan) -> dict[str, object]:
    confirmable = [history for history in histories if history.last_confirmable_day is not None or history.events]
    events = [[event for event in history.events if event.kind == "CDW"] for history in confirmable]
    worsened = sum(1 for found in events if found)
    share = proportion(worsened, len(confirmable), plan.statistics.level)
    days = sum(history.visit_days[-1] - history.visit_days[0] for history in confirmable)
    return {
        "scale": scale,
        "group": group,
        "n_sub": len(confirmable),
        "n_not_confirmable": len(histories) - len(confirmable),
        "n_unconfirmed": sum(
            1 for one, found in zip(confirmable, events, strict=True) if not found and one.unconfirmed is not None
        ),
        "person_years": days / DAYS_PER_YEAR,
        "n_worsened": worsened,
        "share": share.share,
        "ci_lo": share.low,
        "ci_hi": share.high,
        "n_events": sum(len(found) for found in events),
        "n_improved": sum(1 for one in confirmable if any(event.kind == "CDI" for event in one.events)),
        "warning": "" if confirmable else "no visit that a later one can confirm",
    }


def _compare(rows: Sequence[dict[str, object]], plan: Plan) -> Iterator[dict[str, object]]:
    reference, *others = rows
    yield reference
    for row in others:
        pair = [(as_count(one, "n_worsened"), as_count(one, "n_sub")) for one in (reference, row)]
        shared = {**row, "reference": reference["group"], "family": "worsening on clinical scales"}
        if not pair[0][1] or not pair[1][1]:
            yield {**shared, "warning": "not compared: a group has nobody with a visit that can be confirmed"}
            continue
        if not pair[0][0] + pair[1][0]:
            yield {**shared, "warning": "not compared: nobody worsened"}
            continue
        found = compare_proportions(pair[0], pair[1], plan.statistics.level)
        yield {
            **shared,
            "difference": found.difference,
            "difference_lo": found.low,
            "difference_hi": found.high,
            "p": found.p,
            "assumptions": "persons are independent; length of follow-up is not allowed for",
        }


def say_scales(table: ResultTable) -> str:
    """Say how many persons worsened on the performance scales."""
    parts = [
        f"{SCALE_LABELS[str(row['scale'])]} {row['n_worsened']} of {say_count(as_count(row, 'n_sub'), 'person')} in "
        f"{row['group']}"
        for row in table.rows
        if row["scale"] != "edss" and row["n_sub"]
    ]
    return f"Confirmed worsening on performance scales: {'; '.join(parts[:6])}." if parts else ""
