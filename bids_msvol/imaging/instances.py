# SPDX-License-Identifier: Apache-2.0
"""Lesions as numbered pieces: counted in a mask, linked between two sessions, followed through all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

CONNECTED = np.ones((3, 3, 3), dtype=bool)
"""Voxels that share a corner belong together."""


def number_pieces(mask: NDArray[np.bool_], least_voxels: int) -> NDArray[np.int32]:
    """Number the pieces of a mask from 1, in the order of the array; small ones are left out."""
    pieces, count = ndimage.label(mask, CONNECTED)
    large = np.bincount(pieces.ravel(), minlength=count + 1) >= least_voxels
    large[0] = False
    lookup = np.zeros(count + 1, dtype=np.int32)
    lookup[large] = np.arange(1, np.count_nonzero(large) + 1)
    return np.asarray(lookup[pieces])


def link_pieces(before: NDArray[np.int32], after: NDArray[np.int32]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Group the lesions of two sessions that share voxels: numbers before and after of each group."""
    count_before, count_after = int(before.max()), int(after.max())
    shared = (before > 0) & (after > 0)
    rows, columns = before[shared] - 1, after[shared] - 1 + count_before
    size = count_before + count_after
    graph = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    count, owner = sparse.csgraph.connected_components(graph, directed=False)
    groups: list[tuple[list[int], list[int]]] = [([], []) for _ in range(count)]
    for node, group in enumerate(owner):
        is_after = node >= count_before
        groups[group][is_after].append(node - count_before * is_after + 1)
    return [(tuple(first), tuple(second)) for first, second in groups]


@dataclass(frozen=True)
class Relation:
    """A merge or a split in the history of a person's lesions.

    Attributes
    ----------
    session
        Position of the session in which it shows.
    kind
        What happened.
    lesion
        Person-wide id of the lesion that goes on.
    others
        Ids that end in it (merge), or that begin in it (split).
    """

    session: int
    kind: Literal["merge", "split"]
    lesion: int
    others: tuple[int, ...]


@dataclass(frozen=True)
class Tracks:
    """Lesions of a person through all sessions.

    Attributes
    ----------
    ids
        For each session, the person-wide id of each of its lesion numbers. Ids start at 1 and are never used again
        for a lesion elsewhere.
    relations
        Merges and splits, in the order of the sessions.
    """

    ids: tuple[Mapping[int, int], ...]
    relations: tuple[Relation, ...]


def track(sessions: Sequence[NDArray[np.int32]]) -> Tracks:
    """Give lesions ids that they keep through all sessions of a person.

    A lesion carries on the id of the earlier lesion with which it shares most voxels; a lesion that returns to its old
    place gets its old id. Of several that share with the same one, that which shares most keeps the id.

    Parameters
    ----------
    sessions
        Lesion numbers (x, y, z) of each session in the order of time, on one grid; 0 where there is none.
    """
    known = np.zeros(sessions[0].shape, dtype=np.int32) if sessions else np.zeros(0, dtype=np.int32)
    last = 0
    all_ids: list[Mapping[int, int]] = []
    relations: list[Relation] = []
    current: set[int] = set()
    for position, numbers in enumerate(sessions):
        shared = _shared_voxels(numbers, known)
        ids: dict[int, int] = {}
        for _, number, old in sorted((-count, number, old) for (number, old), count in shared.items()):
            if number not in ids and old not in ids.values():
                ids[number] = old
        for number in np.unique(numbers[numbers > 0]).tolist():
            if number not in ids:
                last += 1
                ids[number] = last
        relations += _relations(position, ids, list(shared), current)
        all_ids.append(ids)
        current = set(ids.values())
        lookup = np.zeros(int(numbers.max()) + 1, dtype=np.int32)
        lookup[list(ids)] = list(ids.values())
        known = np.where(numbers > 0, lookup[numbers], known)
    return Tracks(tuple(all_ids), tuple(relations))


def _shared_voxels(numbers: NDArray[np.int32], known: NDArray[np.int32]) -> dict[tuple[int, int], int]:
    """Count the voxels that each lesion shares with each known one."""
    both = (numbers > 0) & (known > 0)
    pairs, counts = np.unique(np.stack([numbers[both], known[both]]), axis=1, return_counts=True)
    return {(int(number), int(old)): int(count) for (number, old), count in zip(pairs.T, counts, strict=True)}


def _relations(
    position: int, ids: Mapping[int, int], shared: Sequence[tuple[int, int]], previous: set[int]
) -> list[Relation]:
    """Find what merged and what split since the previous session, whose ids are given."""
    relations = []
    for number, lesion in sorted(ids.items(), key=lambda item: item[1]):
        ended = sorted(old for other, old in shared if other == number and old != lesion and old in previous)
        ended = [old for old in ended if old not in ids.values()]
        if ended and lesion in previous:
            relations.append(Relation(position, "merge", lesion, tuple(ended)))
        begun = sorted(ids[other] for other, old in shared if old == lesion and other != number)
        begun = [other for other in begun if other not in previous]
        if begun and lesion in previous:
            relations.append(Relation(position, "split", lesion, tuple(begun)))
    return relations
