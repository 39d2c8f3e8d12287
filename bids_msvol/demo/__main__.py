# SPDX-License-Identifier: Apache-2.0
"""``python -m bids_msvol.demo DIR``: make a BIDS dataset of synthetic people."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from bids_msvol.errors import MSVolError


def main(argv: Sequence[str] | None = None) -> int:
    """Make the dataset that the command line asks for.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m bids_msvol.demo",
        description="Make a BIDS dataset of synthetic people with multiple sclerosis whose anatomy is known.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder to make; must not exist, or be empty")
    parser.add_argument("--participants", metavar="N", type=int, default=2, help="how many people (default: 2)")
    parser.add_argument("--resolution", metavar="MM", type=float, default=1.0, help="voxel size (default: 1 mm)")
    parser.add_argument("--seed", metavar="S", type=int, default=1, help="seed of all chance (default: 1)")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    from bids_msvol.demo.dataset import make_dataset

    try:
        make_dataset(
            arguments.folder.expanduser().absolute(),
            participants=arguments.participants,
            resolution_mm=arguments.resolution,
            seed=arguments.seed,
        )
    except MSVolError as error:
        print(f"bids_msvol.demo: {error}", file=sys.stderr)
        return int(error.exit_code)
    print(f"Made {arguments.folder}; what is true of it is in {arguments.folder / 'derivatives' / 'truth'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
