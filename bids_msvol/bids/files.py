# SPDX-License-Identifier: Apache-2.0
"""Is a file there, and is it the file itself? Datasets from DataLad hold links to content that may not be there."""

from __future__ import annotations

from pathlib import Path

from bids_msvol.errors import DataError, NoInputError

_LARGEST_POINTER_BYTES = 1024
"""Stand-ins for files that were not fetched are short texts."""


def check_fetched(path: Path) -> None:
    """Check that a file exists, has content, and is not a stand-in for content that was not fetched.

    Raises
    ------
    NoInputError
        If it does not exist or was not fetched.
    DataError
        If it is empty.
    """
    if path.is_symlink() and not path.exists():
        if "annex" in path.readlink().parts:
            raise _not_fetched(path)
        raise NoInputError(
            f"is a link to {path.readlink()}, which does not exist",
            remedy="Mend the link; in a container, mount the folder that it leads to as well",
            subject=path,
        )
    if not path.is_file():
        raise NoInputError("does not exist", remedy="Check the dataset", subject=path)
    try:
        with path.open("rb") as file:
            start = file.read(_LARGEST_POINTER_BYTES)
    except OSError as error:
        raise NoInputError(
            f"cannot be read ({error.strerror})", remedy="Check the permissions of the file", subject=path
        ) from error
    if not start:
        raise DataError("is empty (0 bytes)", remedy="Copy or convert the image again", subject=path)
    if start.startswith(b"/annex/objects/"):
        raise _not_fetched(path)
    if start.startswith(b"version https://git-lfs"):
        raise NoInputError("was not fetched by git-lfs", remedy="Run 'git lfs pull' in the dataset", subject=path)


def _not_fetched(path: Path) -> NoInputError:
    return NoInputError(
        "is a git-annex link whose content was not fetched", remedy=f"Run 'datalad get {path}' first", subject=path
    )
