# SPDX-License-Identifier: Apache-2.0
"""Lesions of several sessions are one story: they change where the images changed, and only there."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bids_msvol.imaging.consensus import reconcile_sessions

Mask = NDArray[np.bool_]


def mask(*values: int) -> Mask:
    """Return a mask of a few voxels."""
    return np.array(values, dtype=bool)[:, None, None]


def flat(masks: list[Mask]) -> list[list[int]]:
    """Return masks as lists."""
    return [part.ravel().astype(int).tolist() for part in masks]


def test_without_change_the_majority_decides() -> None:
    """What at least half of the masks call lesion is lesion in all sessions, the rest in none."""
    nothing = mask(0, 0, 0)
    masks = [mask(1, 1, 0), mask(1, 0, 0), mask(1, 0, 1)]
    assert flat(reconcile_sessions(masks, [nothing] * 2, [nothing] * 2)) == [[1, 0, 0]] * 3
    assert flat(reconcile_sessions(masks[:2], [nothing], [nothing])) == [[1, 1, 0]] * 2


def test_changes_are_kept_from_their_session_on() -> None:
    """What appears at the second of three sessions stays; what vanishes was there before; what returns returns."""
    gains = [mask(1, 0, 0), mask(0, 0, 1)]
    losses = [mask(0, 0, 1), mask(0, 1, 0)]
    masks = [mask(0, 0, 0)] * 3
    assert flat(reconcile_sessions(masks, gains, losses)) == [[0, 1, 1], [1, 1, 0], [1, 0, 1]]


def test_change_counts_whatever_the_masks_say() -> None:
    """A voxel that all masks call lesion, but that appeared, was none before."""
    assert flat(reconcile_sessions([mask(1), mask(1)], [mask(1)], [mask(0)])) == [[0], [1]]


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5), st.data())
def test_backwards_in_time_is_the_same_story(rows: list[list[bool]], data: st.DataObject) -> None:
    """With the sessions in reverse, gains and losses exchanged, each session has the same lesions."""
    masks = [mask(*row) for row in rows]
    steps = data.draw(st.lists(st.lists(st.integers(-1, 1), min_size=4, max_size=4), min_size=len(rows) - 1,
                               max_size=len(rows) - 1))  # fmt: skip
    # A voxel cannot appear twice without having vanished in between.
    for voxel in range(4):
        last = 0
        for step in steps:
            if step[voxel] == last:
                step[voxel] = 0
            last = step[voxel] or last
    gains = [mask(*(value == 1 for value in step)) for step in steps]
    losses = [mask(*(value == -1 for value in step)) for step in steps]
    forward = reconcile_sessions(masks, gains, losses)
    backward = reconcile_sessions(masks[::-1], losses[::-1], gains[::-1])
    assert flat(forward) == flat(backward[::-1])
