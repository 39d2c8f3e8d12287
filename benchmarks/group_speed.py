# SPDX-License-Identifier: Apache-2.0
"""Time and memory of the whole group level, for a cohort of ten thousand people."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.claim import Findings, Options, Table, number, verdict
from benchmarks.processes import run_python

PERSONS, QUICK_PERSONS = 10_000, 200
MINUTES_TARGET, GB_TARGET = 5.0, 4.0


def run(options: Options) -> Findings:
    """Make a cohort of tables and run the group level on it, as a user would."""
    persons = QUICK_PERSONS if options.quick else PERSONS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "cohort"
        made = run_python(
            ["-m", "bids_msvol.demo.cohort", str(root), "--shape", "large", "--persons", str(persons)], threads=2
        )
        taken = run_python(
            ["-m", "bids_msvol", str(root / "bids"), str(root / "derivatives" / "bids_msvol"), "group"], threads=2
        )
        tables = list((root / "derivatives" / "bids_msvol" / "group").glob("*.tsv"))
        report = (root / "derivatives" / "bids_msvol" / "group.html").stat().st_size / 1e6
    minutes = taken.seconds / 60.0
    return Findings(
        claim=f"The whole group level of {persons} people with four sessions: reading, all analyses, tables, figures, "
        "report.",
        data=f"Simulated tables of {persons} people (`python -m bids_msvol.demo.cohort --shape large`), as the "
        "participant level writes them",
        tables=(
            Table(
                ("figure", "value", "target", "verdict"),
                (
                    _row("minutes", minutes, MINUTES_TARGET),
                    _row("peak memory, GB", taken.peak_gb, GB_TARGET),
                    ("tables written", str(len(tables)), "", ""),
                    ("size of the report, MB", number(report, 1), "", ""),
                    ("minutes to make the cohort", number(made.seconds / 60.0, 1), "", ""),
                ),
            ),
        ),
        notes=("The files were just written, so that reading them took no time of a disk.",),
    )  # fmt: skip


def _row(name: str, value: float, target: float) -> tuple[str, ...]:
    return name, number(value, 1), number(target, 0), verdict(value, target, "at most")
