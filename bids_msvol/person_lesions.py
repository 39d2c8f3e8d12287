# SPDX-License-Identifier: Apache-2.0
"""The lesions of a person: compared between sessions, told as one story, numbered through all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.imaging.activity import ActivityMap, LesionChange, compare_lesions
from bids_msvol.imaging.consensus import reconcile_sessions
from bids_msvol.imaging.expectation import TissueExpectation
from bids_msvol.imaging.instances import track
from bids_msvol.imaging.lesion_table import LesionRecord, find_lesions, summarise
from bids_msvol.measurement import PairActivity, SessionLesions
from bids_msvol.session_lesions import Anatomy, LesionView


def compare_views(
    views: Sequence[LesionView],
    anatomy: Sequence[Anatomy],
    expected: TissueExpectation,
    pairs: Sequence[tuple[int, int]],
) -> tuple[dict[tuple[int, int], ActivityMap], dict[tuple[int, int], str]]:
    """Compare the lesions of pairs of sessions.

    Parameters
    ----------
    views, anatomy
        What each session shows, and its structures.
    expected
        What the atlas expects.
    pairs
        Positions of earlier and later session.

    Returns
    -------
    activity
        The comparisons.
    reasons
        Why the other pairs could not be compared.
    """
    white = expected.white_matter()
    activity: dict[tuple[int, int], ActivityMap] = {}
    reasons: dict[tuple[int, int], str] = {}
    for first, last in pairs:
        before, after = views[first].lesions, views[last].lesions
        if before is None or after is None:
            reasons[first, last] = views[first if before is None else last].reason
            continue
        try:
            activity[first, last] = compare_lesions(
                before,
                after,
                white_matter=white,
                fluid_before=anatomy[first].fluid,
                fluid_after=anatomy[last].fluid,
                affine=views[first].t1w.affine,
            )
        except ValueError as error:
            reasons[first, last] = str(error)
    return activity, reasons


def describe_lesions(
    views: Sequence[LesionView],
    anatomy: Sequence[Anatomy],
    activity: Mapping[tuple[int, int], ActivityMap],
) -> tuple[tuple[SessionLesions | None, ...], dict[tuple[int, int], PairActivity]]:
    """Number the lesions of a person through all sessions, and say what became of them.

    Parameters
    ----------
    views, anatomy
        What each session shows, and its structures.
    activity
        Comparisons of sessions by position, those of neighbours among them.

    Returns
    -------
    lesions
        Of each session; ``None`` where nothing shows them.
    pairs
        What became of the lesions between two sessions.
    """
    masks = _reconciled(views, activity)
    tables: list[tuple[tuple[LesionRecord, ...], NDArray[np.int16]] | None] = []
    for view, own, mask in zip(views, anatomy, masks, strict=True):
        if view.lesions is None or mask is None:
            tables.append(None)
            continue
        tables.append(find_lesions(replace(view.lesions, mask=mask), own.labels, view.t1w))
    shape = views[0].t1w.shape
    empty = np.zeros(shape, dtype=np.int32)
    tracks = track([empty if table is None else table[1].astype(np.int32) for table in tables])
    numbers, sessions = [], list[SessionLesions | None]()
    for view, table, ids in zip(views, tables, tracks.ids, strict=True):
        if table is None or view.lesions is None:
            numbers.append(empty)
            sessions.append(None)
            continue
        records, in_table = table
        named = _renumbered(in_table, ids)
        numbers.append(named)
        affine = view.t1w.affine
        sessions.append(
            SessionLesions(
                source=view.source,
                given=view.given,
                mask=nib.Nifti1Image((named > 0).astype(np.uint8), affine),
                probability=nib.Nifti1Image(view.lesions.probability, affine),
                numbers=nib.Nifti1Image(named.astype(np.int16), affine),
                records=tuple(sorted((replace(one, id=ids[one.id]) for one in records), key=lambda one: one.id)),
                summary=summarise(records),
            )
        )
    pairs = {
        (first, last): _with_ids(result, numbers[first], numbers[last], views[0].t1w)
        for (first, last), result in activity.items()
    }
    return tuple(sessions), pairs


def _reconciled(
    views: Sequence[LesionView], activity: Mapping[tuple[int, int], ActivityMap]
) -> list[NDArray[np.bool_] | None]:
    """Lesions of each session, told from the neighbours with which it was compared; given masks stay as they are."""
    masks = [None if view.lesions is None else view.lesions.mask for view in views]
    start = 0
    while start < len(views):
        end = start
        while (end, end + 1) in activity and not views[end].given and not views[end + 1].given:
            end += 1
        if end > start:
            steps = [activity[position, position + 1] for position in range(start, end)]
            own = [mask for mask in masks[start : end + 1] if mask is not None]
            one_story = reconcile_sessions(own, [step.gain for step in steps], [step.loss for step in steps])
            for position, mask in enumerate(one_story, start):
                lesions = views[position].lesions
                masks[position] = mask if lesions is None else mask & lesions.seen
        start = end + 1
    return masks


def _renumbered(numbers: NDArray[np.int16], ids: Mapping[int, int]) -> NDArray[np.int32]:
    lookup = np.zeros(int(numbers.max()) + 1, dtype=np.int32)
    for number, own in ids.items():
        lookup[number] = own
    return np.asarray(lookup[numbers])


def _with_ids(
    activity: ActivityMap, before: NDArray[np.int32], after: NDArray[np.int32], grid: nib.Nifti1Image
) -> PairActivity:
    """Name the lesions of a comparison by the person's ids, and say where each change lies."""
    placed = []
    for record in activity.records:
        here = [
            np.isin(numbers, own)
            for numbers, own in (
                (activity.lesions_before, record.ids_before),
                (activity.lesions_after, record.ids_after),
            )
        ]
        changed = here[0] ^ here[1]
        where = np.argwhere(changed if record.status != "stable" and changed.any() else here[0] | here[1])
        center = nib.affines.apply_affine(grid.affine, where.mean(axis=0))
        named = replace(record, ids_before=_ids_at(before, here[0]), ids_after=_ids_at(after, here[1]))
        placed.append((named, (float(center[0]), float(center[1]), float(center[2]))))
    order = sorted(placed, key=_importance)
    return PairActivity(
        contrast=activity.contrast,
        changes=tuple(record for record, _ in order),
        centroids_mm=tuple(center for _, center in order),
        atrophied_lesion_volume_mm3=activity.atrophied_lesion_volume_mm3,
        sentences=activity.sentences,
    )


def _ids_at(numbers: NDArray[np.int32], place: NDArray[np.bool_]) -> tuple[int, ...]:
    found = np.unique(numbers[place])
    return tuple(int(number) for number in found if number > 0)


def _importance(item: tuple[LesionChange, tuple[float, float, float]]) -> tuple[int, int, float]:
    record = item[0]
    order = ("new", "enlarging", "merged", "split", "shrinking", "resolved", "stable")
    volume_mm3 = max(record.volume_after_mm3, record.volume_before_mm3)
    return order.index(record.status), record.confidence != "high", -volume_mm3
