# SPDX-License-Identifier: Apache-2.0
"""Check the clinical tables of a cohort: what is wrong, what is doubtful, and how complete they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from bids_msvol.bids.clinical_columns import COLUMNS, ONLY_SESSION, PHENOTYPES
from bids_msvol.bids.clinical_records import (
    MEASURES,
    SAME_DAY,
    ClinicalSession,
    ClinicalVisit,
    Cohort,
    Measured,
    Person,
    Record,
    Repeated,
    Source,
)
from bids_msvol.clinical.course import Visit
from bids_msvol.clinical.definitions import ProgressionDefinition, find_definition
from bids_msvol.clinical.edss import EDSS_SCORES
from bids_msvol.clinical.events import find_events
from bids_msvol.clinical.scales import find_rule

Severity = Literal["error", "warning", "note"]
"""``error``: a value cannot be true or used. ``warning``: it may be wrong, or costs results. ``note``: good to know."""

HIGHEST_LESION_COUNT = 20
"""More new, enlarging or enhancing lesions than this at one session are rare enough to look at the images again."""

LESION_COUNTS = ("new_t2", "enlarging_t2", "gd", "t2_count")

HIGHEST_FS: Mapping[str, float] = {
    "fs_pyramidal": 6, "fs_cerebellar": 5, "fs_brainstem": 5, "fs_sensory": 6, "fs_bowel_bladder": 6, "fs_visual": 6,
    "fs_cerebral": 5,
}  # fmt: skip
"""Highest scores of the functional systems (Kurtzke 1983, Neurology 33:1444-1452). The score of ambulation is not one
of them, and its range differs between forms."""

_RULES = {"edss": "seed", "sdmt": "sdmt", "nhpt": "nhpt", "nhpt_dom": "nhpt", "nhpt_ndom": "nhpt", "t25fw": "t25fw"}


@dataclass(frozen=True)
class Finding:
    """Something about the tables that a user should know.

    Attributes
    ----------
    severity
        How bad it is.
    file, row, column
        Where it stands, the header being row 1; ``None`` where it is about a whole file or column.
    message
        What it is, as one sentence without a full stop.
    remedy
        What to do, likewise.
    """

    severity: Severity
    file: str | None
    row: int | None
    column: str | None
    message: str
    remedy: str


def check_cohort(cohort: Cohort, definition: ProgressionDefinition | None = None) -> tuple[Finding, ...]:
    """Check the clinical tables of a cohort.

    Parameters
    ----------
    cohort
        What was read.
    definition
        By which a worsening at the end of follow-up is judged; the program's own unless given.

    Returns
    -------
    tuple of Finding
        Errors first, then warnings and notes; in each by file, row and column.
    """
    found = {
        *_unknown_people(cohort),
        *_values(cohort),
        *_repeated(cohort.repeated),
        *_same_day(cohort),
        *_times(cohort),
        *_relapses(cohort),
        *_unconfirmed(cohort, definition or find_definition("default")),
        *_columns(cohort),
        *_completeness(cohort),
    }
    ranks = get_args(Severity)

    def order(one: Finding) -> tuple[int, str, int, str, str]:
        return ranks.index(one.severity), one.file or "", one.row or 0, one.column or "", one.message

    return tuple(sorted(found, key=order))


def findings_text(findings: Sequence[Finding]) -> str:
    """Write findings as text for people, with a line that counts them in front."""
    counts = Counter(finding.severity for finding in findings)
    parts = [f"{counts[one]} {one}{'' if counts[one] == 1 else 's'}" for one in get_args(Severity)]
    lines = [f"Clinical tables: {', '.join(parts)}."]
    for finding in findings:
        places = (finding.file, finding.row and f"row {finding.row}", finding.column and f"column {finding.column}")
        where = ", ".join(str(place) for place in places if place)
        lines += ["", f"{finding.severity.upper()}  {where}" if where else finding.severity.upper()]
        lines += [f"  {finding.message}.", f"  {finding.remedy}."]
    return "\n".join(lines) + "\n"


def _at(severity: Severity, source: Source | None, message: str, remedy: str) -> Finding:
    if source is None:
        return Finding(severity, None, None, None, message, remedy)
    return Finding(severity, source.file, source.row, source.column, message, remedy)


def _row(record: Record) -> Source | None:
    """Return where the row of a record is."""
    first = next(iter(record.sources.values()), None)
    return record.sources.get("participant_id") or record.sources.get("session_id") or first


def _unknown_people(cohort: Cohort) -> Iterator[Finding]:
    known = {person.participant_id for person in cohort.persons}
    for record in (*cohort.visits, *(cohort.relapses or ()), *(cohort.treatments or ())):
        if record.participant_id not in known:
            yield _at(
                "error",
                _row(record),
                f"{record.participant_id} is neither in participants.tsv nor a folder of the dataset",
                "Correct the name, or add the person to participants.tsv",
            )
    for person in cohort.persons:
        if not person.sources:
            yield Finding(
                "warning",
                "participants.tsv",
                None,
                "participant_id",
                f"{person.participant_id} has a folder and no row, so sex, age and group are not known",
                "Add a row",
            )


def _values(cohort: Cohort) -> Iterator[Finding]:
    """Check values one by one: scales, counts, phenotypes."""
    for record in (*cohort.sessions, *cohort.visits):
        yield from _scales(record)
    for session in cohort.sessions:
        for name in LESION_COUNTS:
            count = getattr(session, name)
            if count is None:
                continue
            source = session.sources[name]
            if count < 0:
                message = f"{count} is no number of lesions"
                yield _at("error", source, message, "Correct it, or write n/a if lesions were not counted")
            elif count > HIGHEST_LESION_COUNT and name != "t2_count":
                message = f"{count} lesions at one session are more than {HIGHEST_LESION_COUNT}, which is rare"
                remedy = "Look at the images again; a count of all lesions belongs in t2_count"
                yield _at("warning", source, message, remedy)
    for person in cohort.persons:
        if person.phenotype is not None and person.phenotype not in PHENOTYPES:
            message = f"{person.phenotype!r} is not a phenotype that is known here"
            yield _at("warning", person.sources["phenotype"], message, f"Use {', '.join(PHENOTYPES)}, or n/a")


def _scales(record: Measured) -> Iterator[Finding]:
    for name, rule in _RULES.items():
        value = getattr(record, name)
        if value is None:
            continue
        try:
            find_rule(rule).check(value)
        except ValueError as error:
            yield _at("error", record.sources[name], str(error), "Correct it, or write n/a")
    for name, highest in HIGHEST_FS.items():
        value = getattr(record, name)
        if value is not None and not (0 <= value <= highest and value == int(value)):
            message = f"{value:g} is not a score of this functional system; the scores are 0 to {highest:g}"
            yield _at("error", record.sources[name], message, "Correct it, or write n/a")


def _repeated(repeated: Iterable[Repeated]) -> Iterator[Finding]:
    for one in repeated:
        used, other = one.used, one.other
        place = f"{used.source.file}, row {used.source.row}, column {used.source.column}"
        who = f"{one.name} of {one.participant_id}"
        same_file = used.source.file == other.source.file
        if used.value != other.value:
            error = same_file and used.source.row != other.source.row
            yield _at(
                "error" if error else "warning",
                other.source,
                f"{who} is {_text(other.value)} here and {_text(used.value)} for the same session or day in {place}, "
                "which is used",
                "Correct one of them or remove it",
            )
        elif same_file:
            yield _at(
                "note", other.source, f"{who} is {_text(other.value)}, as it is in {place} for the same day", "Keep one"
            )


def _same_day(cohort: Cohort) -> Iterator[Finding]:
    """Find two sessions of one day, and two relapses that began on one day."""
    for person in cohort.persons:
        who = person.participant_id
        # A session in which nothing was measured in the clinic is no visit.
        visits = {one.session_id or one.days: one for one in (*cohort.sessions_of(who), *cohort.visits_of(who))}
        dated = [(one.days, one) for one in visits.values() if one.days is not None]
        dated.sort(key=lambda pair: pair[0])
        for (day, one), (next_day, other) in pairwise(dated):
            if next_day - day < SAME_DAY:
                yield _one_day(one, other)
        onsets: set[float] = set()
        for relapse in cohort.relapses_of(who) or ():
            if relapse.days in onsets:
                message = f"another relapse of {who} begins on day {relapse.days:g} as well"
                yield _at("warning", relapse.sources["days"], message, "Remove one of them if they are the same")
            onsets |= set() if relapse.days is None else {relapse.days}


def _one_day(one: Measured, other: Measured) -> Finding:
    who = f"{one.session_id} and {other.session_id} of {one.participant_id} are of the same day"
    for name in sorted(MEASURES):
        first, second = getattr(one, name), getattr(other, name)
        if first != second and None not in (first, second):
            message = f"{who}, and {name} is {first:g} in one and {second:g} in the other"
            return _at("error", other.sources[name], message, "Correct the days or the values")
    return _at("note", other.sources.get("days"), who, "Check that this is so")


def _times(cohort: Cohort) -> Iterator[Finding]:
    """Check that there are days, and that time runs forward."""
    for person in cohort.persons:
        sessions = cohort.sessions_of(person.participant_id)
        events = (*cohort.visits_of(person.participant_id), *(cohort.relapses_of(person.participant_id) or ()))
        for session in sessions:
            # A single session with nothing to relate it to needs no day.
            if session.days is None and (len(sessions) > 1 or events):
                label = "the only session" if session.session_id == ONLY_SESSION else session.session_id
                yield _at(
                    "warning" if len(sessions) > 1 else "note",
                    _row(session) or Source(f"{person.participant_id}/{person.participant_id}_sessions.tsv", 1, "days"),
                    f"{label} of {person.participant_id} has neither days nor acq_time, so no interval to "
                    "or from it is known",
                    "Add days or acq_time to the table of sessions; shifted dates will do",
                )
        yield from _backward(sessions)
    for name in cohort.assumed_day_zero:
        yield Finding(
            "warning", f"{name}/{name}_sessions.tsv", None, "acq_time",
            f"the sessions of {name} have dates, other tables have days; day 0 was taken to be the first session",
            "Add the column days to the table of sessions",
        )  # fmt: skip
    spans: list[tuple[Record, str, str]] = [(one, "days", "relapse") for one in cohort.relapses or ()]
    spans += [(one, "start_days", "treatment") for one in cohort.treatments or ()]
    for record, start_name, what in spans:
        start, end = getattr(record, start_name), getattr(record, "end_days", None)
        if start is None:
            yield _at(
                "error" if what == "relapse" else "warning",
                _row(record),
                f"a {what} of {record.participant_id} has no day on which it began, so it is not used",
                f"Fill in {start_name}",
            )
        elif end is not None and end < start:
            yield _at(
                "error",
                record.sources["end_days"],
                f"a {what} of {record.participant_id} ends on day {end:g}, before it begins on day {start:g}",
                "Correct one of the days",
            )
    for visit in cohort.visits:
        if visit.days is None and visit.session_id is None:
            yield _at(
                "error",
                _row(visit),
                f"a visit of {visit.participant_id} has neither a day nor a session, so it is not used",
                "Fill in days or session_id",
            )


def _backward(sessions: Iterable[ClinicalSession]) -> Iterator[Finding]:
    """Find sessions of one series of labels, such as M6 and M12, whose days run backward."""
    series: dict[str, list[tuple[list[int], float, ClinicalSession]]] = {}
    for session in sessions:
        numbers = [int(part) for part in re.findall(r"\d+", session.session_id or "")]
        if session.days is not None and numbers:
            stem = re.sub(r"\d+", "0", session.session_id or "")
            series.setdefault(stem, []).append((numbers, session.days, session))
    for members in series.values():
        for (_, day, one), (_, next_day, other) in pairwise(sorted(members, key=lambda member: member[0])):
            if next_day < day:
                who = f"from {one.session_id} to {other.session_id} of {one.participant_id}"
                message = f"{who} are {next_day - day:g} days: the later label has the earlier day"
                yield _at("warning", other.sources["days"], message, "Check the days or dates of both sessions")


def _relapses(cohort: Cohort) -> Iterator[Finding]:
    """Check that relapses lie in the follow-up, and that steroids are known."""
    relapses = cohort.relapses or ()
    for relapse in relapses:
        name = relapse.participant_id
        known = [one.days for one in (*cohort.visits_of(name), *cohort.sessions_of(name)) if one.days is not None]
        if relapse.days is None or (known and min(known) <= relapse.days <= max(known)):
            continue
        who = f"a relapse of {relapse.participant_id} on day {relapse.days:g}"
        source = relapse.sources["days"]
        if not known:
            yield _at("warning", source, f"{who} cannot be placed: no visit or session has a day", "Add days to them")
        elif relapse.days < min(known):
            yield _at(
                "note", source, f"{who} is before the follow-up, which begins on day {min(known):g}",
                "Check the day if it should be in the follow-up",
            )  # fmt: skip
        else:
            yield _at(
                "warning", source, f"{who} is after the follow-up, which ends on day {max(known):g}",
                "Check the day, or add the visits that are lacking",
            )  # fmt: skip
    if relapses and all(relapse.steroids is None for relapse in relapses):
        yield _at(
            "note", Source(relapses[0].sources["participant_id"].file, 1, "steroids"),
            "whether relapses were treated with steroids is not known; steroids shrink the brain for some weeks",
            "Add the column with 0 and 1",
        )  # fmt: skip


def _unconfirmed(cohort: Cohort, definition: ProgressionDefinition) -> Iterator[Finding]:
    """Find worsening of the EDSS at the end of follow-up that no visit can confirm."""
    if find_rule(definition.rule).scale != "EDSS":
        return
    for person in cohort.persons:
        visits, relapses = cohort.course_of(person.participant_id)
        valid: tuple[Visit, ...] = tuple(visit for visit in visits if visit.value in EDSS_SCORES)
        event = find_events(valid, relapses, definition).unconfirmed
        if event is not None:
            visit = next(one for one in cohort.visits_of(person.participant_id) if one.days == event.day)
            yield _at(
                "warning",
                visit.sources["edss"],
                f"the EDSS of {person.participant_id} rises from {event.baseline_value:g} to {event.value:g} on day "
                f"{event.day:g}, and no later visit can confirm it, so it is not known whether this is progression",
                "Add a later visit if there is one",
            )


def _columns(cohort: Cohort) -> Iterator[Finding]:
    """Tell which columns were not used; a value of a session that names none deserves a warning."""
    others: dict[str, list[str]] = {}
    for source in cohort.unused:
        table = re.sub(r"^sub-[^/]+/sub-[^_/]+_", "", source.file)
        if table == "participants.tsv" and source.column in COLUMNS["sessions"]:
            yield _at(
                "warning",
                source,
                f"{source.column} does not say of which session it is, so it is not used",
                f"Call it {source.column}_ and the label of the session, such as {source.column}_M12",
            )
        elif source.column not in others.setdefault(table, []):
            others[table].append(source.column)
    for table, names in others.items():
        yield Finding(
            "note", table, 1, None, f"columns that are not used: {', '.join(names)}",
            "If one of them is needed, say in the map of columns what it is",
        )  # fmt: skip


def _completeness(cohort: Cohort) -> Iterator[Finding]:
    """Tell how many people, sessions and visits have a value, for every column that has any."""
    tables: tuple[tuple[str, type[Record], Sequence[Record]], ...] = (
        ("people", Person, cohort.persons),
        ("sessions", ClinicalSession, cohort.sessions),
        ("visits", ClinicalVisit, cohort.visits),
    )
    for what, kind, records in tables:
        names = [name for name in kind.__dataclass_fields__ if name not in ("participant_id", "session_id", "sources")]
        for name in names:
            present = sum(getattr(record, name) is not None for record in records)
            if present:
                share = f"{100 * present / len(records):.0f} %"
                remedy = "Nothing needs to be done" if present == len(records) else "Fill in what is known"
                message = f"{name}: {present} of {len(records)} {what} have a value ({share})"
                yield Finding("note", None, None, name, message, remedy)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
