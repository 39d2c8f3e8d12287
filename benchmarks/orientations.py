# SPDX-License-Identifier: Apache-2.0
"""The 48 ways to store one image: the volumes must not depend on them."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.claim import Findings, Options, Table
from benchmarks.reference import HEALTHY_SOURCE, healthy_heads
from benchmarks.scores import measure
from bids_msvol.bids.images import load_image
from bids_msvol.imaging.grids import conform
from bids_msvol.measurement import SessionMeasurement

MEASURED = (0, 29, 47)
"""Orientations that are measured from beginning to end; the others must arrive at the same working image."""


def run(options: Options) -> Findings:
    """Store one head in every orientation, bring each to the working grid, measure some."""
    label, image = healthy_heads(options)[0]
    atlas = options.load_atlas()
    working: list[str] = []
    measured: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bids_msvol-") as folder:
        for index, stored in enumerate(all_orientations(image)):
            path = Path(folder) / "image.nii.gz"
            nib.save(stored, path)
            loaded = load_image(path)
            working.append(image_digest(conform(loaded, options.resolution_mm)))
            if index in MEASURED[: 2 if options.quick else None]:
                measured.append(volumes_digest(measure(loaded, atlas=atlas, resolution_mm=options.resolution_mm)))
                print(f"orientation {index + 1} of 48 measured", flush=True)
    return Findings(
        claim="The same image, stored with its array axes in any order and direction, written and read again.",
        data=f"{label} of the {HEALTHY_SOURCE}",
        tables=(
            Table(
                ("figure", "value", "target", "verdict"),
                (
                    _row("different working images among the 48 orientations", working),
                    _row(f"different tables of volumes among {len(measured)} that were measured to the end", measured),
                ),
            ),
        ),
        notes=(
            "The measurement takes nothing but the working image (voxels and affine), so identical working images have "
            "identical volumes; a few orientations are measured to the end to show it.",
        ),
    )


def all_orientations(image: nib.Nifti1Image) -> list[nib.Nifti1Image]:
    """Return an image in the 48 orders and directions of its array axes; the world coordinates stay."""
    return [
        image.as_reoriented(np.column_stack([order, signs]))
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]


def image_digest(image: nib.Nifti1Image) -> str:
    """Return a digest of voxels and affine."""
    content = np.ascontiguousarray(image.dataobj).tobytes() + np.ascontiguousarray(image.affine).tobytes()
    return hashlib.sha256(content).hexdigest()


def volumes_digest(found: SessionMeasurement) -> str:
    """Return a digest of all volumes, to the last digit."""
    return hashlib.sha256(repr((sorted(found.volumes_mm3.items()), found.etiv_mm3)).encode()).hexdigest()


def _row(figure: str, digests: list[str]) -> tuple[str, ...]:
    different = len(set(digests))
    return figure, str(different), "1", "pass" if different == 1 else "miss"
