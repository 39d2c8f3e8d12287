# SPDX-License-Identifier: Apache-2.0
"""``python -m bids_msvol.demo.cohort DIR``: simulate a study, to try an analysis on before the data are in."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bids_msvol.errors import MSVolError


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate the study that the command line asks for.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    from bids_msvol.demo.cohort_shapes import SHAPES

    listed = "\n".join(
        f"  {name} ({sum(arm.persons for arm in shape.arms)} persons, {shape.years} years): {shape.description}"
        for name, shape in SHAPES.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m bids_msvol.demo.cohort",
        description="Simulate a study of multiple sclerosis: clinical tables as BIDS, the results that bids_msvol "
        "would have measured, and what is true. There are no images.\n\nstudies:\n" + listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder to make; must not exist, or be empty")
    parser.add_argument(
        "--shape", metavar="NAME", default=next(iter(SHAPES)), help="which study (default: %(default)s)"
    )
    parser.add_argument("--persons", metavar="N", type=int, help="how many persons (default: those of the study)")
    parser.add_argument("--years", metavar="Y", type=int, help="years of follow-up (default: those of the study)")
    parser.add_argument("--seed", metavar="S", type=int, default=1, help="seed of all chance (default: 1)")
    arguments = parser.parse_args(argv)

    from bids_msvol.demo.cohort_files import DERIVATIVES, RAW, TRUTH, write_cohort
    from bids_msvol.demo.cohort_making import make_cohort

    folder = arguments.folder.expanduser().absolute()
    try:
        cohort = make_cohort(arguments.shape, arguments.persons, arguments.seed, arguments.years)
        write_cohort(cohort, folder)
    except MSVolError as error:
        print(f"bids_msvol.demo.cohort: {error}", file=sys.stderr)
        return int(error.exit_code)
    counted = f"{len(cohort.tables.persons)} persons, {len(cohort.tables.sessions)} sessions"
    print(f"Made {folder / RAW} ({counted}) and {folder / DERIVATIVES}; what is true is in {folder / TRUTH}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
