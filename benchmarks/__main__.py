# SPDX-License-Identifier: Apache-2.0
"""Run benchmarks: ``python -m benchmarks [NAME ...] [--data DIR] [--quick] [--write]``."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.claim import MissingDataError, Options
from benchmarks.record import make_record, publish, store, to_markdown

CLAIMS: dict[str, str] = {
    "real_labels": "overlap with FreeSurfer's labels on real brains",
    "synthetic_heads": "overlap and volume error on heads drawn from label maps that the atlas has not seen",
    "repeatability": "the same real head moved, with new noise and a new brightness field",
    "orientations": "the 48 ways to store one image",
    "real_heads": "volumes of six healthy adults against the ranges of adults, and pictures",
    "injected_change": "known change put into real heads, and none: what is recovered",
    "real_lesions": "lesions of four patients against the masks of experts",
    "synthetic_lesions": "lesion load of synthetic heads, from none to 50 mL",
    "lesion_activity": "new, enlarging and stable lesions of synthetic people, and people in whom nothing changed",
    "real_activity": "lesion activity of a real patient, and of images given twice",
    "cord_synthetic": "areas of synthetic cords of known size",
    "cord_images": "the cord on real images: manual masks, rescans, discs",
    "cord_heads": "the cord on T1w images of heads, and the same head moved",
    "mixed_model": "agreement with lmerTest, type-I error, and time of the mixed model",
    "edss_events": "EDSS events against those that msprog finds",
    "paper": "the tables of a published study, regenerated from its summary statistics",
    "simulated_cohorts": "the group level on cohorts whose truth is known: false positives, bias, what is found",
    "cord_cohort": "cord areas of 25 healthy people and 21 with multiple sclerosis, from real tables",
    "stats_files": "volumes and totals in files of FreeSurfer, FastSurfer and SAMSEG",
    "group_speed": "time and memory of the group level for ten thousand people",
    "person_speed": "time and memory of everything for a person with two sessions",
    "speed": "time and memory of a whole session, and of the plain recipe with ANTs",
    "determinism": "two runs, the same tables",
}
"""Each is a module of this package with a function ``run``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks asked for; one that lacks its data says so and is skipped."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    parsed = parser.parse_args(given)
    if parsed.names == ["publish"]:
        print(f"filled: {', '.join(publish()) or 'nothing'}")
        return 0
    unknown = [name for name in parsed.names if name not in CLAIMS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(CLAIMS)}, and publish alone")
    options = Options(parsed.data, parsed.quick, parsed.resolution, parsed.atlas, parsed.pictures)
    for name in parsed.names or CLAIMS:
        print(f"\n## {name}: {CLAIMS[name]}\n", flush=True)
        start = time.monotonic()
        try:
            findings = importlib.import_module(f"benchmarks.{name}").run(options)
        except MissingDataError as error:
            print(f"skipped: {error}")
            continue
        record = make_record(name, findings, _command(name, given), time.monotonic() - start)
        print(to_markdown(record), flush=True)
        if parsed.write:
            store(record)
    return 0


def _command(name: str, given: Sequence[str]) -> str:
    """Return the command that repeats one benchmark, without the folders of this machine."""
    kept = [word for word in given if word in ("--quick",) or word.startswith("--resolution")]
    if "--resolution" in given:
        kept.append(given[given.index("--resolution") + 1])
    if any(word.startswith("--atlas") for word in given):
        kept += ["--atlas", "ATLAS.npz"]
    return shlex.join(["python", "-m", "benchmarks", name, "--data", "DATA", *kept])


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:16s} {text}" for name, text in CLAIMS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Measure how good and how fast the program is.\n\nbenchmarks (all, if none is named):\n{listed}\n"
        "  publish          put the stored figures into the table that the reports print",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folder = os.environ.get("BIDS_MSVOL_DATA")
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure")
    parser.add_argument("--data", type=Path, default=Path(folder) if folder else None,
                        help="folder of the reference data (default: $BIDS_MSVOL_DATA)")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="fewer cases, to see that it works")
    parser.add_argument("--write", action="store_true", help="store the figures and put them into docs/benchmarks.md")
    parser.add_argument("--resolution", type=float, default=1.0, metavar="MM", help="working voxel (default: 1)")
    parser.add_argument("--atlas", type=Path, metavar="FILE", help="atlas to use in place of the shipped one")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where to draw pictures (real_heads)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
