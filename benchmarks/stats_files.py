# SPDX-License-Identifier: Apache-2.0
"""Stats files of other programs: whether all volumes are read, sums come out, and versions are told apart."""

from __future__ import annotations

from pathlib import Path

from benchmarks.claim import Findings, Options, Table, number, verdict
from bids_msvol.engines.fastsurfer import read_fastsurfer
from bids_msvol.engines.freesurfer import read_freesurfer
from bids_msvol.engines.samseg import read_samseg
from bids_msvol.engines.stats_result import StatsResult, stats_rows
from bids_msvol.structures import STRUCTURES

FREESURFER = ("sub-01", "sub-02", "subject1", "fs741")
LEAST_TOTALS = 1
"""Totals that a program must state for its sums to be checked at all."""


def run(options: Options) -> Findings:
    """Read every set of stats files and check it against itself."""
    folder = options.need("freesurfer")
    results = {name: _freesurfer(folder / name / "stats") for name in FREESURFER}
    results["fastsurfer"] = read_fastsurfer(folder / "fastsurfer" / "stats" / "aseg+DKT.stats")
    results["samseg"] = read_samseg(folder / "samseg" / "samseg.stats")
    return Findings(
        claim="Stats files of FreeSurfer, FastSurfer and SAMSEG: volumes read, totals that the programs state against "
        "the sums of what was read, and versions.",
        data="Real stats files: OpenNeuro ds000114 (CC0), examples of brainload (MIT), and public examples that are "
        "only read",
        tables=(
            Table(
                (
                    "files", "program", "version", "volumes of the file", "our structures", "totals checked",
                    "largest difference, %", "beyond tolerance", "verdict",
                ),
                tuple(_row(name, result) for name, result in results.items()),
            ),
        ),
        notes=(
            "Our structures: how many of the structures of our table of volumes have a value.",
            "SAMSEG states no total of what it measured, only structures and the intracranial volume.",
            "Tolerance: a total that the program made of the same voxels must come out to rounding; one made of "
            "surfaces or of its own voxel counts to the tolerance that is documented beside it.",
        ),
    )  # fmt: skip


def _freesurfer(stats: Path) -> StatsResult:
    def there(name: str) -> Path | None:
        return stats / name if (stats / name).exists() else None

    return read_freesurfer(
        stats / "aseg.stats",
        brainvol=there("brainvol.stats"),
        lh_aparc=there("lh.aparc.stats"),
        rh_aparc=there("rh.aparc.stats"),
    )


def _row(name: str, result: StatsResult) -> tuple[str, ...]:
    known = {str(row["name"]) for row in stats_rows(result) if row["volume_mm3"] is not None}
    ours = [item.name for item in STRUCTURES if item.name in known]
    beyond = [check for check in result.checks if not check.agrees]
    largest = max((abs(check.difference) for check in result.checks), default=float("nan"))
    judged = verdict(float(len(beyond)), 0.0, "at most") if len(result.checks) >= LEAST_TOTALS else "no totals"
    return (
        name,
        result.program,
        result.version or "not said",
        str(len(result.volumes_mm3)),
        f"{len(ours)} of {len(STRUCTURES)}",
        str(len(result.checks)),
        number(100.0 * largest, 3),
        str(len(beyond)),
        judged,
    )
