# SPDX-License-Identifier: Apache-2.0
"""Which program of the Spinal Cord Toolbox outlines the cord, and whether it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bids_msvol.errors import InvocationError

CONTRASTS: Mapping[str, str] = {"T1w": "t1", "T2w": "t2", "T2starw": "t2s", "dwi": "dwi"}
"""BIDS suffixes, and what `sct_deepseg_sc` calls these contrasts."""

FIRST_WITH_TASKS = 7
"""Version from which `sct_deepseg` has a task ``spinalcord``, for any contrast. Both programs are there before and
after, but `sct_deepseg` was spoken to in another way before, and `sct_deepseg_sc` is outdated since."""

VERSION_LIMIT_S = 120.0
"""Time in which the toolbox must say its version."""


def check_installed() -> None:
    """Check that the toolbox can be called.

    Raises
    ------
    InvocationError
        If it is not on the PATH.
    """
    if not shutil.which("sct_deepseg") and not shutil.which("sct_deepseg_sc"):
        raise InvocationError(
            "the Spinal Cord Toolbox is not installed here: neither sct_deepseg nor sct_deepseg_sc is on the PATH",
            remedy="Install it from https://spinalcordtoolbox.com and add its bin folder to the PATH",
        )


def outlining_program(contrast: str, image: Path) -> list[str]:
    """Return the program that outlines the cord, with what it needs to be told besides the files.

    Parameters
    ----------
    contrast
        BIDS suffix of the image.
    image
        The image, for messages.

    Raises
    ------
    InvocationError
        If the toolbox is not there, or too old for this contrast.
    """
    check_installed()
    with_tasks, older, version = (shutil.which(name) for name in ("sct_deepseg", "sct_deepseg_sc", "sct_version"))
    if with_tasks and (not older or _major(version) >= FIRST_WITH_TASKS):
        return [with_tasks, "spinalcord"]
    if not older or contrast not in CONTRASTS:
        raise InvocationError(
            f"the Spinal Cord Toolbox installed here cannot outline the cord in a {contrast} image",
            remedy=f"Install version {FIRST_WITH_TASKS} of the toolbox or later, or give an image of another contrast",
            subject=image,
        )
    return [older, "-c", CONTRASTS[contrast]]


def _major(program: str | None) -> int:
    """Return the first number of the version; 0 if it is not known, as of copies from the source."""
    if program is None:
        return 0
    try:
        said = subprocess.run([program], capture_output=True, text=True, timeout=VERSION_LIMIT_S, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    number = re.search(r"^v?(\d+)\.", said, re.MULTILINE)
    return int(number[1]) if number else 0
