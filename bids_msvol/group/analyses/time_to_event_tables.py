# SPDX-License-Identifier: Apache-2.0
"""The tables of time_to_event and their columns."""

from __future__ import annotations

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.result import COUNTS, FAMILY, GROUP, INTERVAL, NOTES, Q, number, p_column
from bids_msvol.group.wording import say_count

LANDMARKS = (1.0, 2.0, 3.0)
"""Years at which shares without event are given."""

FEWEST_AT_RISK = 5
"""A curve ends, and no share is given, where fewer are at risk: its steps are the fate of single persons."""

LOG_RANK, COX, COX_ADJUSTED = "log-rank", "Cox", "Cox, adjusted"

ENDPOINT = Column("endpoint", "Which event.")

KM = Table(
    "Kaplan-Meier curves",
    "km.tsv",
    "Steps of the curves: one row for each time at which someone had an event, and one for the end of the curve, which "
    f"is the last time at which at least {FEWEST_AT_RISK} persons are at risk.",
    (
        ENDPOINT,
        GROUP,
        number("years", "Time since the baseline: of the planned visit, of relapses their dates.", "year"),
        Column("n_at_risk", "Persons followed up to that time without event.", "integer"),
        Column("n_events", "Events at that time.", "integer"),
        number("survival", "Share without event from that time on."),
        *INTERVAL,
    ),
)

SUMMARY = Table(
    "Time to the first event",
    "time_to_event.tsv",
    "Events, median time to the event, and shares without event after one, two and three years, for each group.",
    (
        ENDPOINT,
        GROUP,
        Column("n_sub", "Number of persons followed.", "integer"),
        Column("n_left_out", "Persons who could not be followed for it.", "integer"),
        Column("n_events", "Persons with the event.", "integer"),
        number("person_years", "Years up to the event or to the end of follow-up, at planned visits.", "year"),
        number(
            "followed_years",
            f"Last time at which at least {FEWEST_AT_RISK} persons are at risk: nothing is given beyond.",
            "year",
        ),
        number("median_years", "Time by which half have had the event; n/a if it is not reached.", "year"),
        number("median_lo", "Lower end of its confidence interval.", "year"),
        number("median_hi", "Upper end of its confidence interval; n/a if it is not reached.", "year"),
        *(
            column
            for year in LANDMARKS
            for column in (
                number(
                    f"survival_{year:.0f}y",
                    f"Share without event at {say_count(int(year), 'year')}; n/a if fewer than {FEWEST_AT_RISK} are "
                    "at risk then.",
                ),
                number(f"survival_{year:.0f}y_lo", "Lower end of its confidence interval."),
                number(f"survival_{year:.0f}y_hi", "Upper end of its confidence interval."),
            )
        ),
        Column("warning", "Why the result must be read with care."),
    ),
)

TESTS = Table(
    "Time to the first event between groups",
    "time_to_event_tests.tsv",
    "Log-rank test of all groups, and hazard ratios of each group against the reference.",
    (
        ENDPOINT,
        Column("test", "Log-rank test, or Cox regression without and with adjustment for age, sex and baseline EDSS."),
        Column("group", "Group, or all for a test of all groups together."),
        Column("reference", "Group that it is compared with."),
        *COUNTS,
        Column("n_events", "Persons with the event.", "integer"),
        number("hr", "Hazard of the group divided by that of the reference."),
        number("se", "Standard error of the logarithm of the hazard ratio."),
        *INTERVAL,
        number("statistic", "Chi-square of the log-rank test; z of Wald's test of a hazard ratio."),
        Column("df", "Degrees of freedom of chi-square.", "integer"),
        p_column(),
        Q,
        FAMILY,
        p_column("p_proportional", "P value of the test that the hazard ratios of the groups stay the same over time."),
        *NOTES,
    ),
)
