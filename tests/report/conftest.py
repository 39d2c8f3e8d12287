# SPDX-License-Identifier: Apache-2.0
"""What the tests of the report share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bids_msvol.report import cord_pictures, lesion_panels, lesion_pictures, overlays

RESOLUTIONS = (
    (overlays, "HEAD_PIXELS_PER_MM"), (overlays, "DEEP_PIXELS_PER_MM"), (lesion_pictures, "PIXELS_PER_MM"),
    (lesion_panels, "PIXELS_PER_MM"), (cord_pictures, "STRAIGHT_PIXELS_PER_MM"),
    (cord_pictures, "SECTION_PIXELS_PER_MM"),
)  # fmt: skip
FULL = tuple(getattr(module, name) for module, name in RESOLUTIONS)


@pytest.fixture(scope="module")
def coarse_pictures() -> Iterator[None]:
    """Draw pictures of few pixels: their size does not matter to most tests, and large ones take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in RESOLUTIONS:
            patch.setattr(module, name, 0.3)
        yield
