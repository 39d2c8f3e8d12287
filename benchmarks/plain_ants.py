# SPDX-License-Identifier: Apache-2.0
"""What a user of ANTs would do by hand: N4, SyN at full resolution, Atropos.

As a program: ``python -m benchmarks.plain_ants T1W TISSUES``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

SYN_ITERATIONS = (100, 70, 50, 20)
"""Coarse to fine, the last at full resolution: the numbers of ANTs' own registration script."""

MRF = "[0.1,1x1x1]"
CLASSES = {1: "CSF", 2: "GM", 3: "WM"}
"""What Atropos' classes are on a T1w image, by brightness."""

EMPTY_SHARE = 0.4
"""Share of empty voxels from which a user sees that the skull was removed, and takes the template's brain alone."""


def segment_tissues(source: Path, target: Path) -> None:
    """Segment a T1w image into fluid, grey and white matter (1, 2, 3) inside the template's brain."""
    import ants
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_template

    image = ants.n4_bias_field_correction(ants.image_read(str(source)))
    with tempfile.TemporaryDirectory(prefix="bids_msvol-") as folder:
        paths = {name: Path(folder) / f"{name}.nii.gz" for name in ("template", "mask")}
        load_mni152_template(resolution=1).to_filename(paths["template"])
        load_mni152_brain_mask(resolution=1).to_filename(paths["mask"])
        template, brain = (ants.image_read(str(path)) for path in paths.values())
        if (image.numpy() <= 0).mean() > EMPTY_SHARE:
            template = template * brain
        found = ants.registration(
            fixed=image,
            moving=template,
            type_of_transform="SyN",
            reg_iterations=SYN_ITERATIONS,
            outprefix=f"{folder}/syn",
        )
        mask = ants.apply_transforms(image, brain, found["fwdtransforms"], interpolator="nearestNeighbor")
        tissues = ants.atropos(a=image, x=mask, i="kmeans[3]", m=MRF)
        ants.image_write(tissues["segmentation"], str(target))


if __name__ == "__main__":
    segment_tissues(Path(sys.argv[1]), Path(sys.argv[2]))
