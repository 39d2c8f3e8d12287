# SPDX-License-Identifier: Apache-2.0
"""Measure an image with the program, and compare the result with labels that are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_msvol.atlas import HeadAtlas
from bids_msvol.bids.records import Scan, Session
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.config import DEFAULT_SEED, Config
from bids_msvol.engines.atlas_engine import AtlasEngine
from bids_msvol.imaging.grids import resample_to_grid, voxel_volume_mm3
from bids_msvol.measurement import SessionMeasurement
from bids_msvol.session import measure_session
from bids_msvol.structures import ETIV_NAME, STRUCTURES, SUMS

DICE_TARGETS: Mapping[str, float] = {
    "Thalamus": 0.88, "Putamen": 0.88, "Lateral-Ventricle": 0.88, "Brain-Stem": 0.88, "Caudate": 0.86,
    "Cerebral-White-Matter": 0.86, "Cerebellum": 0.92, "Pallidum": 0.80, "Hippocampus": 0.80, "Cerebral-Cortex": 0.80,
    "Amygdala": 0.74, "Accumbens-area": 0.65,
}  # fmt: skip
"""Least overlap with the reference that is asked for."""

LARGEST_INDEX = max(structure.index for structure in STRUCTURES)


def base_name(structure: str) -> str:
    """Return a structure's name without its side."""
    return structure.removeprefix("Left-").removeprefix("Right-")


def scored_regions() -> dict[str, tuple[tuple[int, ...], ...]]:
    """Return what is compared: by name, the numbers that make up each of its sides; the cerebellum as a whole too."""
    regions: dict[str, tuple[tuple[int, ...], ...]] = {}
    for structure in STRUCTURES:
        name = base_name(structure.name)
        regions[name] = (*regions.get(name, ()), (structure.index,))
    regions["Cerebellum"] = (next(total.members for total in SUMS if total.name == "Cerebellum"),)
    return regions


def measure(
    image: nib.Nifti1Image, *, atlas: HeadAtlas, resolution_mm: float = 1.0, seed: int = DEFAULT_SEED
) -> SessionMeasurement:
    """Measure an image as the program does at its participant level."""
    scan = Scan(Path("T1w.nii.gz"), "T1w.nii.gz", "T1w", {})
    session = Session("benchmark", None, scan, "It is the image of the benchmark.")
    config = Config(bids_dir=Path(), output_dir=Path(), resolution_mm=resolution_mm, random_seed=seed)
    return measure_session(session, SessionImages(image), config, AtlasEngine(atlas))


def confusion(reference: nib.Nifti1Image, measured: nib.Nifti1Image) -> NDArray[np.int64]:
    """Count voxels by reference label (row) and measured label (column), on the grid of ``measured``.

    Parameters
    ----------
    reference, measured
        Label images; the reference is brought to the other's grid by its nearest label.
    """
    x, y, z = measured.shape
    on_grid = resample_to_grid(reference, (x, y, z), measured.affine, order=0)
    truth = np.asarray(on_grid.dataobj).astype(np.int64)
    found = np.asarray(measured.dataobj).astype(np.int64)
    size = LARGEST_INDEX + 1
    truth[truth >= size] = 0
    return np.bincount((truth * size + found).ravel(), minlength=size * size).reshape(size, size)


def dice(counts: NDArray[np.int64], members: Iterable[int]) -> float | None:
    """Return the Dice overlap of a region in a confusion table; ``None`` if neither side has it."""
    chosen = list(members)
    total = counts[chosen].sum() + counts[:, chosen].sum()
    return float(2.0 * counts[np.ix_(chosen, chosen)].sum() / total) if total else None


def dice_by_name(counts: NDArray[np.int64]) -> dict[str, float | None]:
    """Return the Dice of every region that the reference has, mean over its sides."""
    result: dict[str, float | None] = {}
    for name, sides in scored_regions().items():
        present = [dice(counts, members) for members in sides if counts[list(members)].sum()]
        result[name] = float(np.mean([value for value in present if value is not None])) if present else None
    return result


def label_volumes_mm3(labels: nib.Nifti1Image) -> dict[int, float]:
    """Return the volume of every structure in a label image."""
    counts = np.bincount(np.asarray(labels.dataobj).astype(np.int64).ravel(), minlength=LARGEST_INDEX + 1)
    voxel = voxel_volume_mm3(labels.affine)
    return {structure.index: float(counts[structure.index]) * voxel for structure in STRUCTURES}


def named_volumes_mm3(
    volumes: Mapping[int, float | None], etiv_mm3: float | None
) -> dict[str, tuple[float | None, ...]]:
    """Return volumes by name: a value for each side of a structure, one for each sum and for the eTIV."""
    result = {
        name: tuple(volumes[members[0]] for members in sides)
        for name, sides in scored_regions().items()
        if all(len(members) == 1 for members in sides)
    }
    for total in SUMS:
        parts = [volumes[index] for index in total.members]
        known = [part for part in parts if part is not None]
        result[total.name] = (sum(known) if len(known) == len(parts) else None,)
    result[ETIV_NAME] = (etiv_mm3,)
    return result


def relative_errors_pct(
    found: Mapping[str, tuple[float | None, ...]], truth: Mapping[str, tuple[float | None, ...]]
) -> dict[str, list[float]]:
    """Return by name the errors of the sides that both have, in per cent of the truth."""
    return {
        name: [
            100.0 * (value / true - 1.0)
            for value, true in zip(sides, truth[name], strict=True)
            if value is not None and true
        ]
        for name, sides in found.items()
    }
