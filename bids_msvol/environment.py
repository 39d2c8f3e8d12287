# SPDX-License-Identifier: Apache-2.0
"""Make the process environment safe for the libraries: writable folders, a fixed number of threads, fixed seeds.

Containers run without a home, with an unknown user and on a read-only disk; several libraries fail at import there.
Variables are set before those libraries are imported, and worker processes inherit them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from bids_msvol.config import Config
from bids_msvol.errors import CannotCreateError

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS")

_SINGLE_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""Libraries whose sums depend on the number of threads; ITK also keeps the number it starts with."""

_CACHE_FOLDERS = {
    "XDG_CACHE_HOME": ".cache",
    "MPLCONFIGDIR": ".config/matplotlib",
    "DENO_DIR": ".cache/deno",
}
"""Folders in which libraries write, by variable, with the place in the home folder that they take otherwise."""

_READABLE_IS_ENOUGH = frozenset(("DENO_DIR",))
"""Folders that a container fills beforehand: when there is something in them, they need not be writable."""


@contextmanager
def prepared_environment(config: Config, environ: MutableMapping[str, str] | None = None) -> Iterator[None]:
    """Set the environment variables of a run while inside, and put the former ones back.

    Parameters
    ----------
    config
        Gives the threads and the seed.
    environ
        Where to set them; the process's own by default.

    Raises
    ------
    CannotCreateError
        If no private folder can be made where one is needed.
    """
    variables: MutableMapping[str, str] = os.environ if environ is None else environ
    former = dict(variables)
    private: Path | None = None
    try:
        wanted = _unwritable(variables)
        if wanted:
            private = _private_folder()
            for name in wanted:
                folder = private / _CACHE_FOLDERS.get(name, "")
                folder.mkdir(parents=True, exist_ok=True)
                variables[name] = str(folder)
        for name in _THREAD_VARIABLES:
            variables[name] = str(config.omp_nthreads)
        for name in _SINGLE_THREAD_VARIABLES:
            variables[name] = "1"
        variables["ANTS_RANDOM_SEED"] = str(config.random_seed)
        variables["PYTHONHASHSEED"] = "0"  # the order of sets, in the workers
        variables["MPLBACKEND"] = "Agg"
        yield
    finally:
        variables.clear()
        variables.update(former)
        if private is not None:
            shutil.rmtree(private, ignore_errors=True)


def _private_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="bids_msvol-home-"))
    except OSError as error:
        raise CannotCreateError(
            "neither the home folder nor a folder for temporary files can be written",
            remedy="Set TMPDIR to a folder that can be written",
        ) from error


def _unwritable(variables: MutableMapping[str, str]) -> list[str]:
    """Name the variables whose folder, given or implied, cannot be written."""
    home = Path(variables["HOME"]) if variables.get("HOME") else None
    names = [] if home is not None and home.is_dir() and _can_write(home) else ["HOME"]
    for name, default in _CACHE_FOLDERS.items():
        if variables.get(name):
            folder = Path(variables[name])
        elif home is None or names[:1] == ["HOME"]:
            names.append(name)
            continue
        else:
            folder = home / default
        if not _is_usable(folder, read_only=name in _READABLE_IS_ENOUGH):
            names.append(name)
    return names


def _is_usable(folder: Path, *, read_only: bool) -> bool:
    try:
        if read_only and folder.is_dir() and any(folder.iterdir()):
            return True
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    except OSError:
        return False
    return existing.is_dir() and _can_write(existing)


def _can_write(folder: Path) -> bool:
    # Permissions do not tell: root may write anywhere, and yet not on a read-only mount.
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
