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


def check_folders(config: Config) -> None:
    """Refuse folders that would mix input, output and intermediate files; nothing is written for the check.

    Raises
    ------
    InvocationError
        If the output is the input, or the work folder lies inside the input.
    """
    source, output, work = (folder.resolve() for folder in (config.bids_dir, config.output_dir, config.work_dir))
    if output == source:
        raise InvocationError(
            "is the input dataset, where nothing is written",
            remedy=f"Choose another folder, such as {config.bids_dir / 'derivatives' / 'bids_msvol'}",
            subject=config.output_dir,
        )
    # BIDS_DIR/derivatives/bids_msvol/work lies inside the dataset, too, but among results.
    if work.is_relative_to(source) and not work.is_relative_to(output):
        raise InvocationError(
            "is a work folder inside the input dataset",
            remedy="Give --work-dir a folder elsewhere, or leave the option out",
            subject=config.work_dir,
        )


def make_output_dir(config: Config) -> None:
    """Make the output folder if needed, and check that it can be written to.

    Raises
    ------
    CannotCreateError
        If it cannot be made or written to.
    """
    parent = config.output_dir.parent
    # BIDS_DIR/derivatives is where outputs belong, so it may be made; elsewhere it is a slip or a lost mount.
    if not parent.exists() and parent != config.bids_dir / "derivatives":
        raise CannotCreateError(
            f"cannot be made, since {parent} does not exist",
            remedy="Make that folder, or mount it if this is a container",
            subject=config.output_dir,
        )
    _check_writable(config.output_dir)


def check_output_space(config: Config, n_sessions: int) -> None:
    """Check that the disk has room for the outputs of a run.

    Parameters
    ----------
    config
        The run.
    n_sessions
        Sessions to process.

    Raises
    ------
    OutOfResourcesError
        If it has too little.
    """
    shortage = _shortage(config.output_dir, OUTPUT_MB_PER_SESSION, config, n_sessions)
    if shortage:
        raise OutOfResourcesError(
            shortage,
            remedy="Make room, choose another disk, or process fewer participants at a time",
            subject=config.output_dir,
        )


def work_space_shortage(config: Config, n_sessions: int) -> str:
    """Say how much room the disk of the work folder lacks for the intermediate files of a run; empty if it has enough.

    It is no reason to refuse: without its intermediate files a run gives the same results, but cannot resume.
    """
    shortage = _shortage(config.work_dir, WORK_MB_PER_SESSION, config, n_sessions)
    return f"{config.work_dir} {shortage}" if shortage else ""


def _shortage(folder: Path, mb_per_session: float, config: Config, n_sessions: int) -> str:
    needed_gb = n_sessions * mb_per_session / config.resolution_mm**3 / 1000
    free_gb = shutil.disk_usage(_existing(folder)).free / 1e9
    if free_gb >= needed_gb:
        return ""
    noun = "session needs" if n_sessions == 1 else "sessions need"
    return f"has {free_gb:.2f} GB of free disk, and {n_sessions} {noun} about {needed_gb:.2f} GB"


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
