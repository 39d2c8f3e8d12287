# SPDX-License-Identifier: Apache-2.0
"""Two runs of the program on one image: the tables must be the same, byte for byte."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.claim import Findings, Options, Table
from benchmarks.reference import HEALTHY_SOURCE
from benchmarks.speed import SUBJECT, THREADS, time_session


def run(options: Options) -> Findings:
    """Run the program twice from nothing, then once with another number of threads."""
    first, second = (_tables(options, THREADS) for _ in range(2))
    rows = [_row("tables that differ between two runs", first, second)]
    if not options.quick:
        rows.append(_row(f"tables that differ between {THREADS} threads and 1", first, _tables(options, 1)))
    return Findings(
        claim=f"The program run twice, each time with empty output and work folders: its {len(first)} tables.",
        data=f"{SUBJECT} of the {HEALTHY_SOURCE}",
        tables=(Table(("figure", "value", "target", "verdict"), tuple(rows)),),
        peers="registration with ANTs at its defaults gives other results in every run, even with one seed "
        "(issue 1464 of ANTs, issue 297 of ANTsPy).",
    )


def _tables(options: Options, threads: int) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="bids_msvol-") as name:
        folder = Path(name)
        time_session(options, folder, threads)
        root = folder / "out"
        # Logs tell when and how long, which may differ.
        tables = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.tsv"))}
        return {name: content for name, content in tables.items() if not {"log", "logs"} & set(Path(name).parts)}


def _row(figure: str, first: dict[str, bytes], second: dict[str, bytes]) -> tuple[str, ...]:
    different = sum(first.get(name) != second.get(name) for name in {*first, *second})
    return figure, str(different), "0", "miss" if different or not first else "pass"
