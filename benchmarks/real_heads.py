# SPDX-License-Identifier: Apache-2.0
"""Volumes of healthy adults against the ranges of adults, with pictures to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.claim import Findings, Options, Table, number
from benchmarks.reference import HEALTHY_SOURCE, healthy_heads
from benchmarks.scores import measure, named_volumes_mm3
from bids_msvol.measurement import SessionMeasurement
from bids_msvol.structures import STRUCTURES

ADULT_RANGES_ML: dict[str, tuple[float, float]] = {
    "eTIV": (1100.0, 1950.0), "WholeBrain": (900.0, 1550.0), "Cerebral-Cortex": (170.0, 340.0),
    "Cerebral-White-Matter": (160.0, 330.0), "Cerebellum": (100.0, 190.0), "Thalamus": (5.0, 10.0),
    "Caudate": (2.3, 5.5), "Putamen": (3.3, 7.5), "Pallidum": (1.0, 2.6), "Hippocampus": (2.8, 5.6),
    "Amygdala": (0.9, 2.6), "Accumbens-area": (0.25, 1.1), "VentralDC": (2.8, 5.5), "Brain-Stem": (15.0, 30.0),
    "Lateral-Ventricle": (1.5, 30.0), "3rd-Ventricle": (0.3, 2.5), "4th-Ventricle": (0.7, 4.0), "CSF": (120.0, 480.0),
}  # fmt: skip
"""Rounded ranges of young and middle-aged adults, of one side where there are two: about three standard deviations on
either side of what FreeSurfer finds on average, and for the fluid around the brain what then remains of the cavity."""

SLICES = 7
"""Slices of each plane in a picture."""


def run(options: Options) -> Findings:
    """Measure the healthy heads; draw them if a folder for pictures is given."""
    heads = healthy_heads(options)[: 1 if options.quick else None]
    atlas = options.load_atlas()
    columns: dict[str, dict[str, tuple[float | None, ...]]] = {}
    verdicts = []
    for label, image in heads:
        found = measure(image, atlas=atlas, resolution_mm=options.resolution_mm)
        columns[label] = named_volumes_mm3(found.volumes_mm3, found.etiv_mm3)
        verdicts.append(found.verdict)
        print(f"{label}: {found.verdict}", flush=True)
        if options.pictures is not None:
            options.pictures.mkdir(parents=True, exist_ok=True)
            draw_overlays(found, options.pictures / f"{label}.png", label)
    rows = [_row(name, limits, columns) for name, limits in ADULT_RANGES_ML.items()]
    rows.append(("verdict of the quality table", *verdicts, "pass or warn", "miss" if "fail" in verdicts else "pass"))
    return Findings(
        claim="Volumes in mL, mean of left and right where a structure has two sides.",
        data=HEALTHY_SOURCE,
        tables=(Table(("structure", *columns, "adult range", "verdict"), tuple(rows)),),
        notes=(
            "The ranges are wide: they tell a failed measurement from a plausible one, not a good one from a better "
            "one. Each side must lie within the range.",
        ),
    )


def _row(
    name: str, limits_ml: tuple[float, float], columns: dict[str, dict[str, tuple[float | None, ...]]]
) -> tuple[str, ...]:
    low, high = limits_ml
    cells, inside = [], True
    for volumes in columns.values():
        sides = [None if value is None else value / 1000.0 for value in volumes[name]]
        known = [value for value in sides if value is not None]
        inside &= len(known) == len(sides) and all(low <= value <= high for value in known)
        cells.append(number(float(np.mean(known)) if known else None, 1 if high >= 50 else 2))
    return name, *cells, f"{low:g} to {high:g}", "pass" if inside else "miss"


def draw_overlays(found: SessionMeasurement, path: Path, title: str) -> None:
    """Draw slices in three planes: the mask's outline above, the structures in their colours below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.figure import Figure

    image = np.asarray(found.t1w.dataobj)
    mask = np.asarray(found.brain_mask.dataobj)
    labels = np.asarray(found.labels.dataobj)
    bright = float(np.percentile(image[mask > 0], 99.5)) if mask.any() else float(image.max())
    colors = ListedColormap([structure.color for structure in STRUCTURES])
    numbers = np.array([structure.index for structure in STRUCTURES])
    figure = Figure(figsize=(3.0 * SLICES, 18.0), facecolor="black", layout="tight")
    FigureCanvasAgg(figure)
    panels = figure.subplots(6, SLICES)
    for axis in range(3):
        present = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        first, last = (int(present[0]), int(present[-1])) if present.size else (0, image.shape[axis] - 1)
        for column, position in enumerate(np.linspace(first, last, SLICES + 2)[1:-1].astype(int)):
            gray, outline, named = (volume.take(position, axis=axis).T for volume in (image, mask, labels))
            order = np.where(named == 0, np.nan, np.searchsorted(numbers, named))
            for row in (2 * axis, 2 * axis + 1):
                panels[row, column].imshow(gray, cmap="gray", vmin=0, vmax=bright, origin="lower")
                panels[row, column].axis("off")
            if outline.any():
                panels[2 * axis, column].contour(outline, [0.5], colors="#ffd400", linewidths=0.8)
            norm = BoundaryNorm(np.arange(len(numbers) + 1) - 0.5, len(numbers))
            panels[2 * axis + 1, column].imshow(
                order, cmap=colors, norm=norm, alpha=0.55, origin="lower", interpolation="nearest"
            )
    figure.suptitle(title, color="white")
    figure.savefig(path, dpi=60)
