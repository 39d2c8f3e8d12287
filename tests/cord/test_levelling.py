# SPDX-License-Identifier: Apache-2.0
"""Levels come out right from discs, labels and the junction, and are refused where they are not certain."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from bids_msvol.cord.centerline import cut_sections
from bids_msvol.cord.levelling import disc_points_mm, level_by_junction, level_by_labels, number_discs
from bids_msvol.cord.levels import LEVEL_TOPS_MM
from bids_msvol.cord.sections import Sections

TOPS = np.asarray(LEVEL_TOPS_MM)


def leaning_cord(tilt_deg: float = 25.0, length: int = 160) -> Sections:
    """Return sections of a straight cord whose lower end lies in front; its top is at (0, 0, 0)."""
    down = np.arange(float(length))[::-1]
    lean = np.radians(tilt_deg)
    line = np.column_stack([np.zeros(length), down * np.sin(lean), -down * np.cos(lean)])
    return cut_sections(line, np.eye(4))


def in_front_of(sections: Sections, arc_mm: float, ahead_mm: float = 12.0) -> NDArray[np.float64]:
    """Return the point that lies in front of the leaning cord at this arc."""
    return np.asarray(sections.centers_mm[-1] - arc_mm * sections.along[-1] + ahead_mm * sections.front[-1])


@pytest.mark.parametrize("scale", [0.9, 1.0, 1.13])
@pytest.mark.parametrize("first", [2, 3])
def test_discs_are_numbered_by_their_distance_from_the_junction(first: int, scale: float) -> None:
    levelling = number_discs(scale * TOPS[first:7] + 12.0, 12.0)
    assert levelling is not None
    assert levelling.source == "discs"
    np.testing.assert_allclose(levelling.table_mm, [0.0, *TOPS[first:7]])
    np.testing.assert_allclose(levelling.arc_mm, [12.0, *(scale * TOPS[first:7] + 12.0)])


def test_a_disc_that_was_missed_leaves_a_gap_in_the_numbers() -> None:
    levelling = number_discs(np.delete(TOPS[2:], 2), 0.0)
    assert levelling is not None
    np.testing.assert_allclose(levelling.table_mm[1:], np.delete(TOPS[2:], 2))


def test_two_discs_in_a_long_neck_are_the_topmost_ones() -> None:
    """Taken for the next ones of a short neck they would fit nearly as well, but then C2/C3 would have been missed."""
    levelling = number_discs(1.05 * TOPS[2:4], 0.0)
    assert levelling is not None
    np.testing.assert_allclose(levelling.table_mm[-2:], TOPS[2:4])


def test_a_junction_that_disagrees_is_no_anchor() -> None:
    """It lies 7 mm too high: the numbers are certain, the top of the neck goes by the discs."""
    levelling = number_discs(TOPS[2:] + 7.0, 0.0)
    assert levelling is not None
    np.testing.assert_allclose(levelling.table_mm, TOPS[2:])
    np.testing.assert_allclose(levelling.to_table_mm(np.asarray([61.0])), [54.0])


def test_discs_of_the_chest_are_no_anchors() -> None:
    levelling = number_discs(np.asarray([*TOPS[2:], 171.5, 194.5]), 0.0)
    assert levelling is not None
    assert levelling.table_mm.max() == TOPS[-1]


@pytest.mark.parametrize(
    ("discs", "why"),
    [
        (TOPS[2:4] + 10.0, "half-way between two numbers"),
        (0.8 * TOPS[2:], "too short a neck"),
        (1.25 * TOPS[2:], "too long a neck"),
        (np.add(TOPS[2:7], [0.0, 5.0, -5.0, 5.0, -5.0]), "no regular row"),
        (np.asarray([70.0, 140.0]), "discs missing one after the other"),
        (np.zeros(0), "nothing found"),
        (np.asarray([180.0, 205.0]), "only discs of the chest"),
    ],
)
def test_what_fits_no_neck_or_two_is_refused(discs: NDArray[np.float64], why: str) -> None:
    assert number_discs(discs, 0.0) is None, why


def test_the_numbers_are_right_in_necks_as_they_vary() -> None:
    """Of 200 necks with usual variation and one disc in ten missed, most are numbered, and hardly any wrongly."""
    rng = np.random.default_rng(5)
    refused = wrong = 0
    for _ in range(200):
        seen = np.flatnonzero(rng.random(6) > 0.1)
        arcs = rng.normal(1.0, 0.07) * TOPS[2:][seen] + rng.normal(0.0, 3.0) + rng.normal(0.0, 1.2, len(seen))
        levelling = number_discs(arcs, rng.normal(0.0, 2.0))
        if levelling is None:
            refused += 1
        else:
            wrong += not np.array_equal(levelling.table_mm[levelling.table_mm > 0], TOPS[2:][seen])
    assert refused < 30
    assert wrong <= 2


def test_the_junction_alone_counts_millimetres() -> None:
    levelling = level_by_junction(-8.0)
    assert levelling.source == "junction"
    np.testing.assert_allclose(levelling.to_table_mm(np.asarray([-8.0, 56.0])), [0.0, 64.0])


def test_labels_of_discs_are_projected_across_the_cord() -> None:
    """The cord leans by 25 degrees: the disc's back lies 5 mm above its place on the cord."""
    cord = leaning_cord()
    points = {3: in_front_of(cord, 20.0), 4: in_front_of(cord, 37.0), 6: in_front_of(cord, 75.0)}
    levelling = level_by_labels(points, cord, "discs")
    assert levelling.source == "labels"
    np.testing.assert_allclose(levelling.arc_mm, [20.0, 37.0, 75.0], atol=0.5)
    np.testing.assert_allclose(levelling.table_mm, TOPS[[2, 3, 5]])


def test_the_label_of_the_junction_is_used_and_those_below_the_neck_are_not() -> None:
    cord = leaning_cord()
    points = {50: in_front_of(cord, -15.0), 3: in_front_of(cord, 50.0), 9: in_front_of(cord, 155.0)}
    points |= {49: in_front_of(cord, -12.0), 60: in_front_of(cord, 159.0)}
    levelling = level_by_labels(points, cord, "discs")
    np.testing.assert_allclose(levelling.arc_mm, [-15.0, 50.0], atol=0.5)
    np.testing.assert_allclose(levelling.table_mm, [0.0, TOPS[2]])


def test_labels_of_bodies_are_in_the_middle_of_levels() -> None:
    cord = leaning_cord()
    levelling = level_by_labels({3: in_front_of(cord, 30.0, 0.0), 7: in_front_of(cord, 96.0, 0.0)}, cord, "bodies")
    np.testing.assert_allclose(levelling.table_mm, [(64.0 + 82.5) / 2, (133.0 + 150.0) / 2])
    np.testing.assert_allclose(levelling.arc_mm, [30.0, 96.0], atol=0.5)


def test_labels_far_beyond_the_cord_are_used_only_if_there_are_no_others() -> None:
    cord = leaning_cord()
    far = {50: in_front_of(cord, -60.0)}
    np.testing.assert_allclose(level_by_labels(far, cord, "discs").table_mm, [0.0])
    both = level_by_labels({**far, 3: in_front_of(cord, 5.0)}, cord, "discs")
    np.testing.assert_allclose(both.table_mm, [TOPS[2]])


def test_labels_that_cannot_be_right_are_refused() -> None:
    cord = leaning_cord()
    with pytest.raises(ValueError, match="label 3 is 60 mm away"):
        level_by_labels({3: in_front_of(cord, 30.0, 60.0)}, cord, "discs")
    with pytest.raises(ValueError, match="not in order"):
        level_by_labels({3: in_front_of(cord, 50.0), 4: in_front_of(cord, 30.0)}, cord, "discs")
    with pytest.raises(ValueError, match="no label of the neck"):
        level_by_labels({9: in_front_of(cord, 30.0)}, cord, "discs")


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_borders_of_a_labelled_cord_are_where_its_discs_are(axes: tuple[int, int, int]) -> None:
    """However the array lies, and although the borders are oblique; levels below C7 and a gap are passed over."""
    x, y, z = np.meshgrid(np.arange(40), np.arange(50), np.arange(90), indexing="ij")
    height = z + 0.3 * (y - 25.0)
    level = np.select([height > 70.5, height > 55.5, height > 38.5, height > 36.5, height > 20.5], [2, 3, 4, 0, 8], 9)
    levels = np.where(np.hypot(x - 20, y - 25) < 6, level, 0)
    affine = nib.affines.from_matvec(np.diag([0.5, 1.0, 2.0]), [3.0, -7.0, 11.0])
    permuted = affine[:, [*axes, 3]]
    points = disc_points_mm(levels.transpose(axes), permuted)
    assert sorted(points) == [3, 4]
    np.testing.assert_allclose(points[3], nib.affines.apply_affine(affine, [20.0, 25.0, 70.5]), atol=0.5)
    np.testing.assert_allclose(points[4], nib.affines.apply_affine(affine, [20.0, 25.0, 55.5]), atol=0.5)


def test_a_volume_without_levels_has_no_borders() -> None:
    assert disc_points_mm(np.zeros((5, 5, 5), np.int16), np.eye(4)) == {}
