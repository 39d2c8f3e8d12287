# SPDX-License-Identifier: Apache-2.0
"""Checks of the folders that are written, before any work is done."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from bids_msvol.errors import CannotCreateError, InvocationError, OutOfResourcesError

if TYPE_CHECKING:
    from bids_msvol.config import Config

OUTPUT_MB_PER_SESSION = 80.0
"""Disk that the outputs of a session take at 1 mm."""

WORK_MB_PER_SESSION = 1000.0
"""Disk that the intermediate files of a session take at 1 mm."""


def check_output_dir(config: Config) -> None:
    """Check that the output folder can be written, making it if needed, and that nothing is written into the input.

    Raises
    ------
    InvocationError
        If the output is the input, or the work folder lies inside the input.
    CannotCreateError
        If the output folder cannot be made or written to.
    """
    source, output = config.bids_dir.resolve(), config.output_dir.resolve()
    if output == source:
        raise InvocationError(
            "is the input dataset, where nothing is written",
            remedy=f"Choose another folder, such as {config.bids_dir / 'derivatives' / 'bids_msvol'}",
            subject=config.output_dir,
        )
    work = config.work_dir.resolve()
    if work == source or (source in work.parents and output not in (work, *work.parents)):
        raise InvocationError(
            "is a work folder inside the input dataset",
            remedy="Choose another with --work-dir",
            subject=config.work_dir,
        )
    parent = config.output_dir.parent
    # BIDS_DIR/derivatives is where outputs belong, so it may be made; elsewhere it is a slip or a lost mount.
    if not parent.exists() and parent != config.bids_dir / "derivatives":
        raise CannotCreateError(
            f"cannot be made, since {parent} does not exist",
            remedy="Make that folder, or mount it if this is a container",
            subject=config.output_dir,
        )
    _check_writable(config.output_dir)


def check_disk_space(config: Config, n_sessions: int) -> None:
    """Check that the disks have room for the outputs and the intermediate files of a run.

    Parameters
    ----------
    config
        The run.
    n_sessions
        Sessions to process.

    Raises
    ------
    OutOfResourcesError
        If a disk has too little room.
    """
    voxels = (1.0 / config.resolution_mm) ** 3
    for folder, megabytes in ((config.output_dir, OUTPUT_MB_PER_SESSION), (config.work_dir, WORK_MB_PER_SESSION)):
        needed = n_sessions * megabytes * voxels
        free = shutil.disk_usage(_existing(folder)).free / 1e6
        if free < needed:
            raise OutOfResourcesError(
                f"has {free / 1000:.1f} GB of free disk, and {n_sessions} sessions need about {needed / 1000:.1f} GB",
                remedy="Make room, choose another disk, or process fewer participants at a time",
                subject=folder,
            )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _check_writable(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CannotCreateError("is a file, not a folder", remedy="Choose another folder", subject=folder)
    trial = folder / f".write-test.tmp-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Asking for permissions is not enough: root may write anywhere, and yet not on a read-only mount.
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise CannotCreateError(
            f"cannot be written to ({error.strerror})",
            remedy="Check its permissions; in a container, mount it so that it can be written to",
            subject=folder,
        ) from error
