# SPDX-License-Identifier: Apache-2.0
"""``python -m bids_msvol.demo.recovered DATASET OUT PAGE``: the known truth beside what the program found."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from bids_msvol.bids.atomic import write_text
from bids_msvol.bids.tables import METHODS
from bids_msvol.demo.activity_recovery import CONFIDENCES, KINDS
from bids_msvol.demo.lesion_recovery import LEAST_TRUE_MM3, LesionMatch, LesionRecovery
from bids_msvol.demo.recovery import PersonRecovery, compare_people
from bids_msvol.demo.recovery_text import OPTIMISM, describe_people
from bids_msvol.errors import MSVolError
from bids_msvol.report.section import render
from bids_msvol.report.wording import describe_structure

SIZE_BOUNDS_MM3 = (LEAST_TRUE_MM3, 50.0, 150.0)
"""Lower bounds of the classes of size by which planted lesions are counted."""


@dataclass(frozen=True)
class Group:
    """Planted lesions of a kind.

    Attributes
    ----------
    name
        The region or the class of size.
    counts
        For each session, how many were found (``None`` if lesions were not measured) and how many there are.
    """

    name: str
    counts: tuple[tuple[int | None, int], ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, write the page and print the summary.

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
        prog="python -m bids_msvol.demo.recovered",
        description="Show the known truth of the synthetic people beside what the program found.",
    )
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="dataset made by python -m bids_msvol.demo")
    parser.add_argument("output_dir", metavar="OUT", type=Path, help="results of measuring it")
    parser.add_argument("page", metavar="PAGE", type=Path, help="HTML file to write")
    arguments = parser.parse_args(argv)
    dataset, output_dir, page = (
        path.expanduser().absolute() for path in (arguments.dataset, arguments.output_dir, arguments.page)
    )
    try:
        people = compare_people(dataset, output_dir)
        write_text(page, render_page(people, page.parent))
    except MSVolError as error:
        print(f"bids_msvol.demo.recovered: {error}", file=sys.stderr)
        return int(error.exit_code)
    print(describe_people(people))
    return 0


def render_page(people: Sequence[PersonRecovery], folder: Path) -> str:
    """Return the page as HTML that needs nothing but itself.

    Parameters
    ----------
    people
        The people compared.
    folder
        Where the page will lie: the links to the reports start there.
    """
    return render(
        "recovered.html.j2",
        people=people,
        links={one.label: quote(os.path.relpath(one.report, folder)) for one in people if one.report is not None},
        by_region={one.label: count_by_region(one.lesions) for one in people},
        by_size={one.label: count_by_size(one.lesions) for one in people},
        optimism=OPTIMISM,
        methods=METHODS,
        kinds=KINDS,
        confidences=CONFIDENCES,
        least_mm3=LEAST_TRUE_MM3,
        describe_structure=describe_structure,
    )


def count_by_region(lesions: Sequence[LesionRecovery]) -> tuple[Group, ...]:
    """Count the planted lesions of each session, and those found, by the region in which they were planted."""
    regions = dict.fromkeys(match.known.region for session in lesions for match in session.asked)
    return tuple(_count(region, lesions, lambda match: match.known.region) for region in regions)


def count_by_size(lesions: Sequence[LesionRecovery]) -> tuple[Group, ...]:
    """Count the planted lesions of each session, and those found, by class of their true volume."""
    names = [_size_class(bound) for bound in SIZE_BOUNDS_MM3]
    return tuple(_count(name, lesions, lambda match: _size_class(match.known.volume_mm3)) for name in names)


def _size_class(volume_mm3: float) -> str:
    for low, high in pairwise(SIZE_BOUNDS_MM3):
        if volume_mm3 < high:
            return f"{low:g} to {high:g} mm³"
    return f"{SIZE_BOUNDS_MM3[-1]:g} mm³ and more"


def _count(name: str, lesions: Sequence[LesionRecovery], kind: Callable[[LesionMatch], str]) -> Group:
    counts = []
    for session in lesions:
        own = [match for match in session.asked if kind(match) == name]
        n_found = None if session.contacts is None else sum(match.is_found is True for match in own)
        counts.append((n_found, len(own)))
    return Group(name, tuple(counts))


if __name__ == "__main__":
    sys.exit(main())
