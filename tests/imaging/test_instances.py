# SPDX-License-Identifier: Apache-2.0
"""Lesions are counted, linked between sessions, and keep their ids over all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_msvol.imaging.instances import link_pieces, number_pieces, track


def line(*parts: tuple[int, int, int]) -> NDArray[np.int32]:
    """Return lesions along a line as (first, last, number)."""
    numbers = np.zeros((20, 1, 1), dtype=np.int32)
    for first, last, number in parts:
        numbers[first : last + 1] = number
    return numbers


def test_ids_are_kept_over_sessions() -> None:
    """A lesion keeps its id under another number, a new one gets a new id, one that returns gets its old one."""
    tracks = track([line((0, 2, 1), (5, 7, 2)), line((5, 8, 1), (12, 13, 2)), line((0, 1, 1), (12, 14, 2))])
    assert tracks.ids == ({1: 1, 2: 2}, {1: 2, 2: 3}, {1: 1, 2: 3})
    assert tracks.relations == ()


def test_merges_and_splits_are_recorded() -> None:
    """The larger share keeps the id in a merge and in a split; what ends and begins is on record."""
    apart, joined = line((0, 5, 1), (8, 10, 2)), line((0, 10, 1))
    tracks = track([apart, joined, line((0, 3, 1), (5, 10, 2))])
    assert tracks.ids == ({1: 1, 2: 2}, {1: 1}, {2: 1, 1: 3})
    assert [(found.session, found.kind, found.lesion, found.others) for found in tracks.relations] == [
        (1, "merge", 1, (2,)),
        (2, "split", 1, (3,)),
    ]


def test_sessions_without_lesions_can_be_tracked() -> None:
    """No lesions give no ids, and ids go on across such a session."""
    assert track([]).ids == ()
    assert track([line((0, 2, 4)), line(), line((1, 2, 7))]).ids == ({4: 1}, {}, {7: 1})


def test_pieces_are_numbered_without_gaps_and_small_ones_left_out() -> None:
    """Voxels that share a corner are one piece; a piece that is too small has no number."""
    mask = np.zeros((8, 4, 4), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    mask[3, 0, 0] = True
    mask[5:8, 0, 0] = True
    numbers = number_pieces(mask, 2)
    assert numbers[0, 0, 0] == numbers[1, 1, 1] == 1
    assert numbers[3, 0, 0] == 0
    assert np.unique(numbers).tolist() == [0, 1, 2]


def test_pieces_that_share_voxels_are_linked() -> None:
    """Each group lists the numbers before and after: kept, merged, vanished, new."""
    before = line((0, 2, 1), (4, 5, 2), (7, 8, 3), (11, 12, 4))
    after = line((0, 3, 1), (4, 8, 2), (15, 16, 3))
    assert sorted(link_pieces(before, after)) == [((), (3,)), ((1,), (1,)), ((2, 3), (2,)), ((4,), ())]
