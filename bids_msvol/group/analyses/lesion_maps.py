# SPDX-License-Identifier: Apache-2.0
"""Where lesions lie: how often each place of the template is lesion in each group, and where groups differ."""

from __future__ import annotations

import re
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.cells import as_count, as_float, say_chance
from bids_msvol.group.figures.lesion_maps import draw_lesion_maps
from bids_msvol.group.people import say_unknown_group
from bids_msvol.group.result import (
    FAMILY,
    GROUP,
    Analysis,
    CannotAnalyseError,
    Figure,
    Q,
    ResultImage,
    ResultTable,
    number,
    p_column,
    with_q,
)
from bids_msvol.group.wording import say_count, say_list, say_number, threshold

if TYPE_CHECKING:
    import nibabel as nib
    from scipy import sparse

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study
    from bids_msvol.stats.sparse_maps import MapTest

NAME = "lesion_maps"
TITLE = "Where lesions lie"

GRID_MM = 2.0
"""Voxel of the maps: finer than the alignment of different heads with one another."""

FREQUENT = 0.1
"""Share of persons from which a place counts as a common place of lesions."""

LEAST_GROUP = 5
"""Smaller groups are mapped, but not compared."""

_PLACE = tuple(number(f"{axis}_mm", f"{axis} of that place in the template.", "mm") for axis in "xyz")

MAPS = Table(
    "Lesion maps",
    "lesion_maps.tsv",
    "One row for each group: the map `lesion_frequency_<group>.nii.gz` in numbers.",
    (
        GROUP,
        Column("n_sub", "Persons with a lesion mask, the first of each.", "integer"),
        Column("n_without", "Persons of them without any lesion in the template's space.", "integer"),
        number("mean_volume_mm3", "Mean volume of lesions in the template's space.", "mm^3"),
        number("peak_frequency", "Largest share of persons with a lesion at one place."),
        *_PLACE,
        number("frequent_mm3", f"Volume in which at least {100 * FREQUENT:.0f} % of persons have a lesion.", "mm^3"),
    ),
)

TESTS = Table(
    "Lesion maps compared",
    "lesion_map_tests.tsv",
    "One row for each pair of groups: the place where they differ most.",
    (
        GROUP,
        Column("other", "The group it is compared with."),
        Column("n_sub", "Persons in both.", "integer"),
        Column("n_places", "Places that were tested: voxels that are lesion in enough persons.", "integer"),
        number("difference", "Difference of frequency at the place where it is clearest, group less other."),
        *_PLACE,
        Column("test", "Name of the test."),
        number("z", "Difference of proportions over its standard error under no difference."),
        p_column("p_fwe", "Permutation p value corrected for all places."),
        Q,
        FAMILY,
        number("significant_mm3", "Volume in which p_fwe is below one less the level of confidence.", "mm^3"),
        Column("warning", "Why the result must be read with care."),
    ),
)

TABLES = (MAPS, TESTS)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Map the lesions of every group and compare the groups.

    Raises
    ------
    CannotAnalyseError
        If there are no lesion masks.
    """
    from bids_msvol.stats.sparse_maps import frequency, stack_maps

    masked = first_masks(study)
    persons = masked.dropna(subset="group").reset_index(drop=True)
    if persons.empty:
        raise CannotAnalyseError("there are no lesion masks of the participant level")
    space = study.lesion_files[persons["row"].iloc[0]].space
    grid = template_grid()
    from bids_msvol.bids.lesion_space import load_in_template

    marked = [load_in_template(study.lesion_files[row], grid) for row in persons["row"]]
    maps = stack_maps(marked, int(np.prod(grid.shape)))
    groups = [group for group in study.groups() if (persons["group"] == group).any()]
    frequencies = {group: frequency(maps[np.flatnonzero(persons["group"] == group)]) for group in groups}
    rows = [
        _describe(group, maps[np.flatnonzero(persons["group"] == group)], frequencies[group], grid) for group in groups
    ]
    compared = [_compare(persons, maps, frequencies, pair, grid, plan) for pair in combinations(groups, 2)]
    tests = with_q(compared, "p_fwe")
    return Analysis(
        name=NAME,
        title=TITLE,
        question="Where in the brain do lesions lie, and does that differ between groups?",
        methods=_methods(space, plan, compared=bool(tests)),
        findings=tuple(
            [_say_map(row, space) for row in rows] + [_say_test(row) for row in tests if row["z"] is not None]
        ),
        limits=(
            "Lesion masks of one session a person, the first; heads are aligned with the template to within a few "
            "millimetres, so that places are approximate.",
            *say_unknown_group(masked["group"]),
        ),
        tables=(ResultTable(MAPS, tuple(rows)), ResultTable(TESTS, tests)),
        figures=(
            Figure(
                "lesion_maps",
                "Share of persons with a lesion at each place, by group: "
                + say_list([f"{row['group']} n = {row['n_sub']}" for row in rows])
                + ". Axial slices of the template, seen from below (left of the person on the right).",
                "Slices of a brain, one row for each group, coloured where lesions are common.",
                partial(draw_lesion_maps, {name: one.reshape(grid.shape) for name, one in frequencies.items()}, grid),
            ),
        ),
        images=tuple(
            ResultImage(
                "lesion_frequency_" + re.sub(r"[^0-9A-Za-z]+", "-", group),
                f"Share of the persons of group {group} with a lesion at each place, in the space {space}.",
                partial(_image, one, grid),
            )
            for group, one in frequencies.items()
        ),
    )


def first_masks(study: Study) -> pd.DataFrame:
    """Return the first session with a lesion mask of each person: ``participant_id``, ``row``, ``group`` if known."""
    rows = study.sessions.loc[study.sessions.index.isin(list(study.lesion_files))]
    rows = rows[rows["excluded_because"] == ""].drop_duplicates("participant_id")[["participant_id"]]
    return study.of_person(rows.assign(row=rows.index), "group")


def template_grid() -> nib.Nifti1Image:
    """Return the T1w of the template on the grid of the maps."""
    from nilearn.datasets import load_mni152_template

    template: nib.Nifti1Image = load_mni152_template(resolution=int(GRID_MM))
    return template


def _describe(
    group: str, maps: sparse.csr_array, share: NDArray[np.float64], grid: nib.Nifti1Image
) -> dict[str, object]:
    peak = int(share.argmax())
    return {
        "group": group,
        "n_sub": maps.shape[0],
        "n_without": int((np.asarray(maps.sum(axis=1)).ravel() == 0).sum()),
        "mean_volume_mm3": float(maps.sum()) / maps.shape[0] * GRID_MM**3,
        "peak_frequency": float(share[peak]),
        **(_place(peak, grid) if share[peak] > 0.0 else {}),
        "frequent_mm3": float((share >= FREQUENT).sum()) * GRID_MM**3,
    }


def _compare(
    persons: pd.DataFrame,
    maps: sparse.csr_array,
    frequencies: dict[str, NDArray[np.float64]],
    pair: tuple[str, str],
    grid: nib.Nifti1Image,
    plan: Plan,
) -> dict[str, object]:
    from bids_msvol.stats.sparse_maps import compare_frequency

    other, group = pair
    chosen = np.flatnonzero(persons["group"].isin(pair))
    labels = (persons["group"].iloc[chosen] == group).to_numpy()
    row: dict[str, object] = {
        "group": group, "other": other, "n_sub": len(chosen), "n_places": 0, "difference": None, "z": None,
        "x_mm": None, "y_mm": None, "z_mm": None, "p_fwe": None, "significant_mm3": None,
        "test": "difference of proportions, labels permuted, largest absolute value", "warning": "",
        "family": "pairs of groups",
    }  # fmt: skip
    if min(labels.sum(), (~labels).sum()) < LEAST_GROUP:
        return {**row, "warning": f"a group has fewer than {LEAST_GROUP} persons: not tested"}
    statistics = plan.statistics
    test: MapTest = compare_frequency(maps[chosen], labels, permutations=statistics.permutations, seed=statistics.seed)
    if not len(test.places):
        return {**row, "warning": "no place is lesion in enough persons: not tested"}
    best = int(np.abs(test.z).argmax())
    place = int(test.places[best])
    return {
        **row,
        "n_places": len(test.places),
        "difference": float(frequencies[group][place] - frequencies[other][place]),
        **_place(place, grid),
        "z": float(test.z[best]),
        "p_fwe": float(test.p[best]),
        "significant_mm3": float((test.p < threshold(statistics.level)).sum()) * GRID_MM**3,
    }


def _place(position: int, grid: nib.Nifti1Image) -> dict[str, object]:
    index = np.unravel_index(position, grid.shape)
    world = grid.affine @ np.array([*index, 1.0])
    return {f"{axis}_mm": float(value) for axis, value in zip("xyz", world[:3], strict=True)}


def _image(share: NDArray[np.float64], grid: nib.Nifti1Image) -> nib.Nifti1Image:
    import nibabel as nib

    return nib.Nifti1Image(share.reshape(grid.shape).astype(np.float32), grid.affine)


def _methods(space: str, plan: Plan, *, compared: bool) -> tuple[str, ...]:
    sentences = [
        f"The lesion mask of each person's first session was resampled to the template {space} at {GRID_MM:g} mm; the "
        "frequency of a place is the share of the persons of a group in whom it is lesion.",
    ]
    if compared:
        sentences.append(
            "Groups were compared at every place that is lesion in at least 5 % (and three) of the persons, by the "
            f"difference of proportions over its standard error, with {plan.statistics.permutations} permutations of "
            "the group labels and the largest absolute value over all places as correction. The p values so corrected "
            "have q values (Benjamini-Hochberg) over the pairs of groups."
        )
    return tuple(sentences)


def _say_map(row: dict[str, object], space: str) -> str:
    if not row["peak_frequency"]:
        return f"In {row['group']} ({say_count(as_count(row, 'n_sub'), 'person')}) nobody had a lesion."
    place = ", ".join(f"{row[f'{axis}_mm']:.0f}" for axis in "xyz")
    return (
        f"In {row['group']} ({say_count(as_count(row, 'n_sub'), 'person')}) lesions were most frequent at {place} mm "
        f"({space}), in {100 * as_float(row, 'peak_frequency'):.0f} % of persons."
    )


def _say_test(row: dict[str, object]) -> str:
    place = ", ".join(f"{row[f'{axis}_mm']:.0f}" for axis in "xyz")
    points = say_number(100 * as_float(row, "difference"))
    return (
        f"The clearest difference between {row['group']} and {row['other']} was {points} percentage points at {place} "
        f"mm ({say_chance(row, 'p_fwe', 'corrected p')}, {say_chance(row, 'q_bh', 'q')} over pairs of groups, "
        f"{row['n_places']} places tested)."
    )
