# SPDX-License-Identifier: Apache-2.0
"""Read the pictures of a report back."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def read_tile(uri: str) -> NDArray[np.uint8]:
    """Return the pixels of a data URI, shape (rows, columns, 4)."""
    head, _, content = uri.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content, validate=True))).convert("RGBA"))


def colors_of(uri: str) -> set[str]:
    """Return the colours of all opaque pixels of a data URI, such as ``#ffd400``."""
    pixels = read_tile(uri)
    return {"#" + "".join(f"{value:02x}" for value in pixel[:3]) for pixel in pixels[pixels[..., 3] == 255]}
