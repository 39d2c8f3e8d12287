# SPDX-License-Identifier: Apache-2.0
"""One story of a person's lesions from masks of single sessions and the changes between neighbouring sessions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def reconcile_sessions(
    masks: Sequence[NDArray[np.bool_]],
    gains: Sequence[NDArray[np.bool_]],
    losses: Sequence[NDArray[np.bool_]],
) -> list[NDArray[np.bool_]]:
    """Return the lesions of each session so that they differ between sessions only where the images do.

    Where nothing was gained or lost, a voxel is lesion in all sessions or in none: in all if at least half of the masks
    say so. Elsewhere it changes when the images changed.

    Parameters
    ----------
    masks
        (x, y, z) lesions of each session, in the order of time, each found without the others.
    gains, losses
        (x, y, z) for each session but the first, voxels that became lesion since the one before, and that ceased to be.
    """
    state: NDArray[np.bool_] = np.asarray(2 * np.sum(masks, axis=0, dtype=np.int16) >= len(masks))
    # The earliest change tells what a voxel was at first.
    for gain, loss in zip(reversed(gains), reversed(losses), strict=True):
        state = (state | loss) & ~gain
    result = [state]
    for gain, loss in zip(gains, losses, strict=True):
        state = (state | gain) & ~loss
        result.append(state)
    return result
