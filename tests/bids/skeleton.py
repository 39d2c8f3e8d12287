# SPDX-License-Identifier: Apache-2.0
"""Small BIDS datasets made on the fly: real files with few voxels, described by a dict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from bids_msvol.config import Config

HEAD_SHAPE = (45, 55, 45)
HEAD_MM = 4.0


def head_image(
    shape: tuple[int, ...] = HEAD_SHAPE, edges_mm: tuple[float, float, float] = (HEAD_MM,) * 3, dtype: Any = np.int16
) -> nib.Nifti1Image:
    """Make an image with a bright ellipsoid in a dark field of view the size of a head."""
    grid = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape[:3]), indexing="ij")
    data = np.where(sum(axis**2 for axis in grid) < 0.6, 500, 10).astype(dtype)
    data = data.reshape(data.shape + (1,) * (len(shape) - 3)) * np.ones(shape, dtype)
    affine = np.diag([*edges_mm, 1.0])
    image = nib.Nifti1Image(data.astype(dtype), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    return image


def make_dataset(root: Path, files: Mapping[str, Any], *, description: Mapping[str, Any] | None = None) -> Path:
    """Write a dataset.

    Parameters
    ----------
    root
        Folder to make.
    files
        Content by path: ``None`` for a head image, an image, a dict for JSON, a string for text.
    description
        Fields of ``dataset_description.json`` besides the required ones.
    """
    files = {
        "dataset_description.json": {"Name": "made up", "BIDSVersion": "1.10.0", **(description or {})},
        "README.md": "A dataset that was made up for a test, with enough words in it.\n" * 3,
        **files,
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None or isinstance(content, nib.Nifti1Image):
            nib.save(content if content is not None else head_image(), path)
        elif isinstance(content, str):
            path.write_text(content)
        else:
            path.write_text(json.dumps(content))
    return root


def make_config(root: Path, **settings: Any) -> Config:
    """Make a configuration with input ``root/raw``, output ``root/out`` and work folder ``root/work``."""
    settings = {"bids_dir": root / "raw", "output_dir": root / "out", "work_dir": root / "work", **settings}
    return Config(**settings)
