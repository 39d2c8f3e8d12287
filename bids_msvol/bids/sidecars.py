# SPDX-License-Identifier: Apache-2.0
"""Sidecar metadata of single files, with BIDS' inheritance, read for the files that are used and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bids_msvol.bids.names import parse_name
from bids_msvol.errors import DataError


def load_sidecar(image: Path, root: Path) -> dict[str, Any]:
    """Merge all JSON files that apply to an image.

    A JSON file applies if it has the image's suffix, has no entity that the image has not, and lies in the image's
    folder or in one between it and the root of the dataset. Deeper files override, and in one folder those with more
    entities.

    Parameters
    ----------
    image
        A file of the dataset.
    root
        The dataset.

    Raises
    ------
    DataError
        If a JSON file that applies cannot be read.
    """
    entities, suffix, _ = parse_name(image.name)
    metadata: dict[str, Any] = {}
    for folder in _folders(image, root):
        applying = []
        for path in folder.glob(f"*{suffix}.json"):
            own, own_suffix, _ = parse_name(path.name)
            if own_suffix == suffix and own.items() <= entities.items():
                applying.append((len(own), path.name, path))
        for _, _, path in sorted(applying):
            metadata.update(_read(path))
    return metadata


def _folders(image: Path, root: Path) -> list[Path]:
    inner = image.relative_to(root).parent.parts
    return [root.joinpath(*inner[:depth]) for depth in range(len(inner) + 1)]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"is not readable JSON ({error})", remedy="Mend the sidecar, or fetch it with 'datalad get'", subject=path
        ) from error
    if not isinstance(content, dict):
        raise DataError("is not a JSON object", remedy="Mend the sidecar", subject=path)
    return content
