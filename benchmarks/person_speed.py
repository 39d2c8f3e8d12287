# SPDX-License-Identifier: Apache-2.0
"""Time and memory of everything that is done for one person with two sessions."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.claim import Findings, Options, Table, number, verdict
from benchmarks.processes import run_python
from bids_msvol.demo.dataset import make_dataset

THREADS = 2
WALL_TARGET_MIN, PEAK_TARGET_GB = 12.0, 5.0


def run(options: Options) -> Findings:
    """Make a person of the demo and run the program on it."""
    with tempfile.TemporaryDirectory(prefix="bids_msvol-") as name:
        folder = Path(name)
        make_dataset(folder / "bids", participants=1, resolution_mm=options.resolution_mm)
        cost = run_python(
            [
                "-m", "bids_msvol", str(folder / "bids"), str(folder / "out"), "participant",
                "--work-dir", str(folder / "work"), "--nprocs", str(THREADS), "--omp-nthreads", str(THREADS),
                "--resolution", f"{options.resolution_mm:g}",
            ],
            threads=THREADS,
        )  # fmt: skip
    minutes = cost.seconds / 60.0
    rows = (
        ("wall time, min", number(minutes), number(WALL_TARGET_MIN), verdict(minutes, WALL_TARGET_MIN, "at most")),
        (
            "peak memory of all processes, GB", number(cost.peak_gb), number(PEAK_TARGET_GB),
            verdict(cost.peak_gb, PEAK_TARGET_GB, "at most"),
        ),
    )  # fmt: skip
    return Findings(
        claim=f"Wall time and memory of one person with two sessions, T1w and FLAIR each, with {THREADS} threads, from "
        "the BIDS dataset to all outputs and the report: alignment, lesions, filling, structures, change, activity.",
        data=f"one synthetic person at {options.resolution_mm:g} mm, with lesions",
        tables=(Table(("figure", "value", "target", "verdict"), rows),),
        peers="as their authors or users state: the longitudinal stream of FreeSurfer, 20 h and more for two sessions; "
        "SAMSEG longitudinal about 1 h.",
        notes=(),
    )
