# SPDX-License-Identifier: Apache-2.0
"""Lesion maps as slices of the template, coloured by how many persons have a lesion there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_msvol.group.figures.drawing import GREY, new_figure

if TYPE_CHECKING:
    import nibabel as nib
    from matplotlib.figure import Figure

SLICES_MM = (-12.0, 2.0, 14.0, 24.0, 34.0, 44.0)
"""Heights of the slices: from the brainstem's top to the centrum semiovale, where lesions lie."""

LEAST_SHOWN = 0.02
"""Rarer places are left uncoloured."""


def draw_lesion_maps(frequencies: Mapping[str, NDArray[np.float64]], grid: nib.Nifti1Image) -> Figure:
    """Draw one row of slices for each group.

    Parameters
    ----------
    frequencies
        (x, y, z) share of persons by group, on the grid of the template.
    grid
        The template's T1w.
    """
    figure, axes = new_figure(len(frequencies), len(SLICES_MM), panel_inches=(1.35, 1.6))
    anatomy = np.asarray(grid.dataobj, dtype=np.float32)
    highest = max(0.1, max(float(one.max()) for one in frequencies.values()))
    heights = [round((height - grid.affine[2, 3]) / grid.affine[2, 2]) for height in SLICES_MM]
    picture = None
    for number, (group, shares) in enumerate(frequencies.items()):
        for column, (height, level) in enumerate(zip(SLICES_MM, heights, strict=True)):
            panel = axes[number * len(SLICES_MM) + column]
            # Shown as radiologists do: the person's left on the right.
            background = np.flipud(anatomy[:, :, level]).T
            shown = np.flipud(shares[:, :, level]).T
            panel.imshow(background, cmap="gray", origin="lower", vmin=0.0, vmax=float(anatomy.max()) * 1.1)
            picture = panel.imshow(
                np.where(shown < LEAST_SHOWN, np.nan, shown), cmap="inferno", origin="lower", vmin=0.0, vmax=highest
            )
            panel.set_xticks([])
            panel.set_yticks([])
            for spine in panel.spines.values():
                spine.set_visible(False)
            if number == 0:
                panel.set_title(f"z = {height:.0f} mm", fontsize=8, color=GREY)
            if column == 0:
                panel.set_ylabel(group)
    if picture is not None:
        figure.colorbar(picture, ax=axes, shrink=0.7, label="share of persons", pad=0.01)
    return figure
