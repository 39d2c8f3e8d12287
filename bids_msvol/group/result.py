# SPDX-License-Identifier: Apache-2.0
"""What an analysis gives: tables, figures, and what to say of them; and the columns that all tests share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bids_msvol.bids.tabular import Column, Table

if TYPE_CHECKING:
    import nibabel as nib
    from matplotlib.figure import Figure as MatplotlibFigure

    from bids_msvol.stats.estimates import Estimate

SIGNIFICANT = 6
"""Significant digits of estimates in tables."""

P_DIGITS = 4
"""Significant digits of p values in tables."""


class CannotAnalyseError(Exception):
    """The data do not allow an analysis; the message says what is missing, as a sentence without a full stop."""


@dataclass(frozen=True)
class ResultTable:
    """A table of results.

    Attributes
    ----------
    table
        Its columns; ``file_name`` is the name of the file in the folder ``group``.
    rows
        Values by column name.
    sidecar
        What else the JSON file says: formula, estimator, degrees of freedom, families of tests, definitions.
    """

    table: Table
    rows: tuple[Mapping[str, object], ...]
    sidecar: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A figure, drawn when it is written.

    Attributes
    ----------
    name
        Stem of its files, letters, digits and underscores.
    caption
        What it shows, with the number of observations, in sentences.
    alt
        What is seen, for readers who do not see it.
    draw
        Makes it.
    """

    name: str
    caption: str
    alt: str
    draw: Callable[[], MatplotlibFigure]


@dataclass(frozen=True)
class ResultImage:
    """An image, made when it is written.

    Attributes
    ----------
    name
        Stem of its file.
    description
        What its values are.
    make
        Makes it.
    """

    name: str
    description: str
    make: Callable[[], nib.Nifti1Image]


@dataclass(frozen=True)
class Analysis:
    """The results of one analysis.

    Attributes
    ----------
    name
        Its name in the plan.
    title
        Heading in the report.
    question
        What was asked, one sentence.
    methods
        How it was done: sentences that can stand in a paper.
    findings
        What was found, effect size first: sentences that can stand in a paper.
    limits
        What the design or the data cannot carry: sentences.
    tables, figures, images
        In the order of the report.
    """

    name: str
    title: str
    question: str
    methods: tuple[str, ...]
    findings: tuple[str, ...]
    limits: tuple[str, ...]
    tables: tuple[ResultTable, ...]
    figures: tuple[Figure, ...] = ()
    images: tuple[ResultImage, ...] = ()


def number(name: str, description: str, unit: str = "") -> Column:
    """Return a column of numbers of any size."""
    return Column(name, description, "number", unit, significant=SIGNIFICANT)


def p_column(name: str = "p", description: str = "Two-sided p value, not corrected for the number of tests.") -> Column:
    """Return a column of p or q values."""
    return Column(name, description, "number", significant=P_DIGITS)


REGION = Column("roi", "Region of the brain.")
GROUP = Column("group", "Group of people.")
COUNTS = (
    Column("n_obs", "Number of observations.", "integer"),
    Column("n_sub", "Number of persons.", "integer"),
)
INTERVAL = (
    number("ci_lo", "Lower end of the confidence interval."),
    number("ci_hi", "Upper end of the confidence interval."),
)
Q = p_column("q_bh", "False discovery rate of Benjamini and Hochberg within the family.")
FAMILY = Column("family", "The tests that p was corrected for together.")
NOTES = (
    Column("assumptions", "What was checked of the test's assumptions, with its result."),
    Column("warning", "Why the result must be read with care."),
)


def estimate_cells(estimate: Estimate) -> dict[str, object]:
    """Return an estimate as cells ``se``, ``ci_lo``, ``ci_hi``, ``df`` and ``p``; its value has another name each."""
    return {
        "se": estimate.se,
        "ci_lo": estimate.low,
        "ci_hi": estimate.high,
        "df": estimate.df,
        "p": estimate.p,
    }


def with_q(
    rows: Iterable[Mapping[str, object]], p: str = "p", q: str = "q_bh", family: str = "family"
) -> tuple[dict[str, object], ...]:
    """Return rows with q values added, within each family; rows without a p value get none."""
    from bids_msvol.stats.multiplicity import correct_within

    content = [dict(row) for row in rows]
    tested = [row for row in content if _is_number(row.get(p))]
    if tested:
        values = correct_within([float(row[p]) for row in tested], [str(row[family]) for row in tested])  # type: ignore[arg-type]
        for row, value in zip(tested, values, strict=True):
            row[q] = float(value)
    return tuple(content)


def join_sentences(sentences: Sequence[str]) -> str:
    """Return sentences as one text."""
    return " ".join(sentence for sentence in sentences if sentence)


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
