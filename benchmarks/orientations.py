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

OBLIQUE_RAD = (0.05, -0.08, 0.12)
"""Turns about z, y and x of the oblique scan, rad."""


def run(options: Options) -> Findings:
    """Store one head in every orientation, bring each to the working grid, measure some."""
    label, image = healthy_heads(options)[0]
    atlas = options.load_atlas()
    measured: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bids_msvol-") as folder:
        path = Path(folder) / "image.nii"
        working = _working_images(all_orientations(image), path, options)
        oblique = _working_images(all_orientations(turn_scanner(image)), path, options)
        for index in MEASURED[: 2 if options.quick else None]:
            loaded = _store_and_load(all_orientations(image)[index], path)
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
                    _row("the same for an oblique scan", oblique),
                    _row(f"different tables of volumes among {len(measured)} that were measured to the end", measured),
                ),
            ),
        ),
        notes=(
            "The measurement takes nothing but the working image (voxels and affine), so identical working images have "
            "identical volumes; a few orientations are measured to the end to show it.",
        ),
    )


def turn_scanner(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return an image as if its slices had been laid obliquely: only the affine differs."""
    turn = nib.affines.from_matvec(nib.eulerangles.euler2mat(*OBLIQUE_RAD))
    return nib.Nifti1Image(np.asarray(image.dataobj), turn @ image.affine)


def _store_and_load(image: nib.Nifti1Image, path: Path) -> nib.Nifti1Image:
    nib.save(image, path)
    return load_image(path)


def _working_images(images: list[nib.Nifti1Image], path: Path, options: Options) -> list[str]:
    """Return a digest of what each stored image becomes on the working grid."""
    return [image_digest(conform(_store_and_load(image, path), options.resolution_mm)) for image in images]


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
