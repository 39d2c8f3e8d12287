# SPDX-License-Identifier: Apache-2.0
"""The tables of disease_activity and their columns."""

from __future__ import annotations

from collections.abc import Iterator

from bids_msvol.bids.tabular import DAYS_BETWEEN, PAIR_COLUMNS, Column, Table
from bids_msvol.group.analyses.neda_counts import COMPONENTS, STATES
from bids_msvol.group.result import COUNTS, FAMILY, GROUP, INTERVAL, NOTES, Q, number, p_column

TRUTH = {"1": "There was none.", "0": "There was some.", "n/a": "Not known."}


def _truth(name: str, label: str) -> Column:
    return Column(name, f"{label}: 1 if there was none, 0 if there was, n/a if not known.", "integer", levels=TRUTH)


def _ends(name: str, description: str, **options: str) -> tuple[Column, Column]:
    return tuple(  # type: ignore[return-value]
        Column(f"{name}_{end}", f"{description}, at the {label} session.", **options)  # type: ignore[arg-type]
        for end, label in (("from", "earlier"), ("to", "later"))
    )


PATIENT_YEARS = Table(
    "Intervals",
    "patient_years.tsv",
    "One row for each interval between two consecutive sessions of a patient.",
    (
        Column("participant_id", "The person."),
        GROUP,
        *PAIR_COLUMNS,
        DAYS_BETWEEN,
        number("years", "Length of the interval.", "year"),
        Column("year", "Year since the baseline in which the middle of the interval lies, from 1.", "integer"),
        Column("is_year", "Whether its length counts as a year.", "integer", levels={"1": "yes", "0": "no"}),
        *_ends("scan", "Whether there are volumes or cord areas that may be used", kind="integer"),
        *_ends("excluded", "Why the scan is left out; n/a if it is not"),
        number("new_t2_end", "New T2 lesions at its end."),
        number("enlarging_t2_end", "Enlarging T2 lesions at its end."),
        number("gd_end", "Gd-enhancing lesions at its end."),
        number("relapses", "Relapses that began after its first and up to its last day."),
        number("edss_from", "EDSS at its start."),
        number("edss_to", "EDSS at its end."),
        number("edss_gap_from", "Days from the session at its start to the visit that the EDSS comes from.", "day"),
        number("edss_gap_to", "Days from the session at its end to the visit that the EDSS comes from.", "day"),
        number("brain_pct_per_year", "Change of whole-brain volume.", "percent/year"),
        *(_truth(name, label) for name, label in COMPONENTS.items()),
        *(
            Column(name, f"{label}: 1 if it holds, 0 if it fails, n/a if not known.", "integer")
            for name, label in STATES.items()
        ),
    ),
)


def _state_columns() -> Iterator[Column]:
    for state, label in STATES.items():
        yield Column(f"n_judged_{state}", f"Persons whose {label} is known.", "integer")
        yield Column(f"n_unknown_{state}", f"Persons whose {label} is not known.", "integer")
        yield Column(f"n_{state}", f"Persons with {label}.", "integer")
        yield number(f"share_{state}", f"Share of those judged with {label}.")
        yield number(f"ci_lo_{state}", "Lower end of Wilson's interval.")
        yield number(f"ci_hi_{state}", "Upper end of Wilson's interval.")


NEDA = Table(
    "NEDA",
    "neda.tsv",
    "Persons with and without evidence of disease activity, by group and year, and over all of follow-up.",
    (
        GROUP,
        Column("year", "Year since the baseline; all for all of follow-up."),
        Column("n_sub", "Persons with sessions at both ends.", "integer"),
        Column("n_other_length", "Persons whose intervals in that year are too short or too long in all.", "integer"),
        number("person_years", "Years of follow-up of these persons in that time.", "year"),
        *_state_columns(),
        *(
            column
            for name, label in COMPONENTS.items()
            for column in (
                Column(f"n_judged_{name}", f"Persons of whom it is known: {label}.", "integer", optional=True),
                Column(f"n_failed_{name}", f"Persons with it: {label}.", "integer", optional=True),
            )
        ),
        Column("warning", "Why the result must be read with care."),
    ),
)

NEDA_TESTS = Table(
    "NEDA between groups",
    "neda_tests.tsv",
    "NEDA and its components compared between groups: persons in year 1 and over all of follow-up, and all years.",
    (
        Column("outcome", "What is compared; its share is that of persons or years in which it holds."),
        Column(
            "year",
            "Year since the baseline.",
            levels={"1": "year 1", "all": "all of follow-up, by person", "every": "every year, by person-year"},
        ),
        GROUP,
        Column("reference", "Group that it is compared with."),
        *COUNTS,
        Column("n_unknown", "Persons or person-years that could not be judged.", "integer"),
        number("share_reference", "Share in the reference."),
        number("share", "Share in the group."),
        number("difference", "Share less that of the reference."),
        *INTERVAL,
        number("odds_ratio", "Odds in the group divided by those in the reference."),
        Column(
            "test", "Which test.", levels={"Fisher": "Fisher's exact test", "permutation": "persons exchange groups"}
        ),
        p_column(),
        Q,
        FAMILY,
        *NOTES,
    ),
)
